"""The command `beatssl info`: what a file describes, for any estimator that can be saved."""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .messages import say
from .own_modules import import_modules
from .parser import add_import, add_model, new_command

# Parameters that other lines show.
_SHOWN = ("pretrainer", "objective", "encoder", "encoder_params", "fs", "leads", "allow_nan", "max_epochs")
_LONGEST = 300


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    command = new_command(commands, "info", "Show what a model file holds.", run)
    add_model(command)
    add_import(command)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    import_modules(arguments.imports)
    from .. import load
    from ..persistence import shipped_models
    from .models import from_file

    with from_file(arguments.model):
        model = load(arguments.model)
    rows = list(_rows(model))
    if arguments.model in shipped_models():
        rows += _card_rows(arguments.model)
    for name, value in rows:
        say(f"{name:24s}{value}")
    return 0


def _rows(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield names and values; attributes decide which lines there are, not classes."""
    yield "class", type(model).__name__
    if hasattr(getattr(model, "encoder_", None), "front_end"):
        yield from _encoder_rows(model.encoder_)
        yield from _embedding_rows(model, model.encoder_)
    if hasattr(getattr(model, "objective_", None), "text_"):
        yield from _report_rows(model)
    if hasattr(model, "unet_"):
        yield from _wave_rows(model)
    elif hasattr(model, "classes_"):
        yield "classes", ", ".join(map(str, model.classes_))
    # An embedder holds the pretrainer that was trained.
    pretrainer = getattr(model, "pretrainer", None)
    trained = next((e for e in (model, pretrainer) if hasattr(e, "history_")), None)
    if trained is not None:
        yield from _training_rows(trained)
    changed = [f"{name}={_one_line(value)}" for name, value in _changed(model) if name not in _SHOWN]
    yield "other parameters", ", ".join(changed) or "defaults"
    yield "numbers in the file", f"{_n_numbers(model):,}"


def _encoder_rows(encoder: Any) -> Iterator[tuple[str, Any]]:
    settings = " ".join(f"{name}={value}" for name, value in (encoder.encoder_params or {}).items())
    front_end = encoder.front_end
    yield "encoder", f"{encoder.encoder} {settings}".strip()
    yield "encoder parameters", f"{sum(array.size for array in encoder.weights.values()):,}"
    yield "rate of the network", f"{front_end.fs_model:g} Hz"
    yield "amplitude", front_end.amplitude
    yield "rate of arrays", f"{encoder.fs:g} Hz"
    yield "leads of arrays", ", ".join(encoder.leads) if encoder.leads else "the standard ones of their number"
    yield "missing samples", "allowed" if encoder.allow_nan else "refused"


def _embedding_rows(model: Any, encoder: Any) -> Iterator[tuple[str, Any]]:
    """Yield what an estimator embeds; those that predict or delineate give no embeddings."""
    if hasattr(model, "predict"):
        return
    ready, front_end = encoder.model("cpu"), encoder.front_end
    sizes = {"record": ready.n_dims_record, "beat": ready.n_dims_beat, "token": ready.encoder.n_dims}
    own = {"RhythmEmbedder": "record", "BeatEmbedder": "beat", "SampleEmbedder": "token"}.get(type(model).__name__)
    for what, size in sizes.items():
        if own in (None, what):
            yield f"dimensions per {what}", size
    if own is not None or hasattr(model, "get_feature_names_out"):
        names = model.get_feature_names_out()
        yield "columns", f"{names[0]} to {names[-1]}" if len(names) else "none"
    yield "R-peak detector", front_end.rpeak_detector
    window = "{:g} s before to {:g} s after the R peak".format(*front_end.beat_window)
    yield "beat window", f"{window}, in {front_end.beat_phases} parts"


def _wave_rows(segmenter: Any) -> Iterator[tuple[str, Any]]:
    from ..ecg.waves import WAVES

    unet = segmenter.unet_
    yield "waves", f"onset, peak and offset of {', '.join(WAVES)}, in each lead and by consensus"
    yield "labels of samples", ", ".join(("background", *WAVES))
    yield "rate of labels", f"{unet.fs_model:g} Hz"
    yield "U-Net parameters", f"{sum(array.size for array in unet.weights.values()):,}"
    yield "training windows", (
        f"{segmenter.window:g} s, {segmenter.leads_per_window} leads, {segmenter.batch_size} per step"
    )


def _report_rows(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield what was learnt from reports, and what the file holds of them."""
    learnt = model.objective_
    yield "text encoder", f"{_one_line(learnt.text_)}, {learnt.text_.n_dims_} dimensions"
    yield "reports used", f"{learnt.n_reports_used_:,}"
    yield "words of reports", f"{len(learnt.words_):,}"
    yield "shared space", f"{learnt.projection_dim} dimensions"
    if hasattr(model, "gallery_"):
        yield "encoder in the fit", "kept as it was" if model.trained_ is None else "trained, too"
        yield "records in the file", f"vectors of {len(model.gallery_):,}"
        yield "reports in the file", f"{len(model.captions_):,}, word by word" if len(model.captions_) else "none"


def _training_rows(trained: Any) -> Iterator[tuple[str, Any]]:
    if hasattr(trained, "objective"):
        yield "objective", _one_line(trained.component("objective"))
    yield "epochs", trained.n_iter_
    last = trained.history_[-1] if trained.history_ else {}
    yield "last training loss", f"{last['train_loss']:.4f}" if last else "none (random initialisation)"
    if "valid_loss" in last:
        yield "last validation loss", f"{last['valid_loss']:.4f}"


def _changed(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parameters that are not at their defaults."""
    defaults = inspect.signature(type(model)).parameters
    for name, value in model.get_params(deep=False).items():
        if name not in defaults or repr(value) != repr(defaults[name].default):
            yield name, value


def _one_line(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _n_numbers(model: Any) -> int:
    from ..persistence import describe

    arrays: dict[str, Any] = {}
    describe(model, arrays)
    return sum(array.size for array in arrays.values())


def _card_rows(name: str) -> list[tuple[str, Any]]:
    """Return what the card of a shipped model says of its training data and its use, and where the card is."""
    folder = Path(__file__).parents[1] / "weights"
    # Sizes of one model share a card: "ptbxl-s" is described in ptbxl.md.
    own = folder / f"{name}.md"
    card = own if own.exists() else folder / f"{name.partition('-')[0]}.md"
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", card.read_text(encoding="utf-8"))
    facts = {
        "trained on": r"## What (?:it was|they were) trained on\n+(.+?)\n\n",
        "licence of its data": r"licence\s+([^)]+)\)",
        "use": r"\*\*(For research only[^*]+)\*\*",
    }
    found = {what: re.search(pattern, text, re.DOTALL) for what, pattern in facts.items()}
    return [*((what, " ".join(fact[1].split())) for what, fact in found.items() if fact), ("model card", card)]
