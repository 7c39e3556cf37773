"""The demonstration, on simulated ECGs or a folder: shipped models, then pretrain, embed, score, save and draw."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import make_pipeline
from sklearn.utils import Bunch

from .. import BeatEmbedder, BeatSSLPretrainer, RhythmEmbedder, load, save
from ..ecg.features import TYPE_NAMES, beat_types
from ..files.atomic import write_atomically
from .demo_first import FIRST_FILES, N_FIRST, FirstLook, draw_first, first_look
from .demo_records import DemoRecords, records_of_folder, simulated_records
from .demo_scores import Scores, cross_validated_f1, linear_head
from .progress import on_terminal

Say = Callable[[str], None]

# With this network, 6,000 records x epochs of 5 s take half a minute of one core, and of 10 s a minute.
NETWORK = {"widths": (24, 32, 48), "n_dims": 64}
N_PASSES = 6000
EPOCHS = (5, 20)
# Few records have few steps: small batches make more of them.
BATCH_SIZE = 16
# What is written.
FILES = (
    *FIRST_FILES,
    *("model.bssl", "pipeline.joblib", "ecg_beats.png", "embedding_map.png", "history.png", "scores.json"),
)
# The model of the package that the demonstration shows beside its own.
SHIPPED = "ptbxl"


class Targets(NamedTuple):
    """Classes of records (n_records,) and of their beats, and what they are; "" where unknown."""

    of_records: NDArray[np.str_]
    of_records_are: str
    of_beats: list[NDArray[np.str_]]
    of_beats_are: str


def run_demo(out: Path, data: Path | None, seed: int, say: Say) -> dict[str, Any]:
    """Run the demonstration.

    Parameters
    ----------
    out : Path
        Folder for the model, the pipeline, the pictures and the scores.
    data : Path or None
        Folder of WFDB records; None simulates some.
    seed : int
        Seed of everything random.
    say : callable
        Takes lines on what happens.

    Returns
    -------
    dict
        What ``scores.json`` in `out` holds: the scores by task and encoder, and the seconds that it took.

    Raises
    ------
    ValueError
        If the folder has too few records that can be used.
    OSError
        If a folder cannot be read or written.
    RuntimeError
        If what was loaded differs from what was saved.
    """
    started = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    say(f"[1/6] {'Simulating' if data is None else 'Reading'} ECGs")
    ecgs = simulated_records(seed) if data is None else records_of_folder(data, seed, say)
    say(f"      {ecgs.origin}")
    say(f"[2/6] What the models of the package find in the first {min(N_FIRST, len(ecgs.records))} records")
    look = first_look(ecgs, out, say)
    written = [FIRST_FILES[0], *_draw_first(look, ecgs, out, say)]
    pretrainer = _pretrain(ecgs, seed, say)
    embedded = _embed(pretrainer, ecgs, say)
    targets = _targets(ecgs, embedded, say)
    tables = _compare(pretrainer, ecgs, embedded, targets, seed, say)
    written += _save_and_load(pretrainer, ecgs, embedded, targets.of_records, out, say)
    predicted = tables["beats"]["pretrained"].predicted if "beats" in tables else None
    written += _draw(pretrainer, ecgs, embedded, targets, predicted, out, seed)
    results = {
        "records": len(ecgs.records),
        "beats": int(sum(map(len, embedded.beat))),
        "epochs": pretrainer.n_iter_,
        "macro_f1": {level: {name: s.f1 for name, s in scores.items()} for level, scores in tables.items()},
        "seconds": round(time.perf_counter() - started, 1),
    }
    write_atomically(out / "scores.json", (json.dumps(results, indent=2) + "\n").encode())
    say(f"Written to {out.resolve()}: {', '.join([*written, 'scores.json'])}")
    say(f"Done in {results['seconds']:.0f} s. For research only: this is not a medical device.")
    return results


def _draw_first(look: FirstLook, ecgs: DemoRecords, out: Path, say: Say) -> list[str]:
    try:
        return draw_first(look, ecgs, out)
    except ImportError:
        say("      No pictures, since matplotlib is missing: pip install 'beatssl-sklearn[plot]'")
        return []


def _pretrain(ecgs: DemoRecords, seed: int, say: Say) -> BeatSSLPretrainer:
    n = len(ecgs.records)
    epochs = int(np.clip(round(N_PASSES / n), *EPOCHS))
    pretrainer = BeatSSLPretrainer(
        fs_model=100,
        encoder_params=NETWORK,
        max_epochs=epochs,
        batch_size=min(BATCH_SIZE, n // 2),
        random_state=seed,
        verbose=int(on_terminal()),
    )
    say(f"[3/6] Pretraining a small network on them for {epochs} epochs, without labels")
    return pretrainer.fit(ecgs.records, groups=ecgs.patients)


def _embed(pretrainer: BeatSSLPretrainer, ecgs: DemoRecords, say: Say) -> Bunch:
    started = time.perf_counter()
    embedded = pretrainer.embed(ecgs.records, rpeaks=ecgs.rpeaks)
    seconds = time.perf_counter() - started
    rate, n_beats = len(ecgs.records) / seconds, sum(map(len, embedded.beat))
    n_dims, n_dims_beat = embedded.rhythm.shape[1], embedded.beat[0].shape[1]
    say(
        f"[4/6] Embedded {len(ecgs.records)} records in {n_dims} and {n_beats} heartbeats in {n_dims_beat} dimensions, "
        f"{rate:.0f} records/s"
    )
    return embedded


def _targets(ecgs: DemoRecords, embedded: Bunch, say: Say) -> Targets:
    """Return the classes of records and of beats; where there are none, make do with others and say so."""
    classes, are = ecgs.classes, ecgs.class_name
    if not len(classes):
        classes, are = _heart_rate_thirds(ecgs, embedded.rpeaks), "heart rate"
        say("      No labels of records found: thirds of the heart rate, measured from the R peaks, stand in for them.")
    if ecgs.rpeaks is not None and ecgs.beat_labels is not None:
        kept = zip(ecgs.rpeaks, ecgs.beat_labels, embedded.rpeaks, strict=True)
        of_beats = [labels[np.isin(peaks, own)] for peaks, labels, own in kept]
        return Targets(classes, are, of_beats, "type")
    say("      No labels of beats found: types by rules on shape and prematurity stand in for them. They are no truth;")
    say("      the score only shows how well these types can be read off the embeddings.")
    return Targets(classes, are, _types_by_rule(ecgs, embedded.rpeaks), "type (by rules)")


def _heart_rate_thirds(ecgs: DemoRecords, rpeaks: Sequence[NDArray[np.int64]]) -> NDArray[np.str_]:
    rate = np.full(len(rpeaks), np.nan)
    for i, (record, peaks) in enumerate(zip(ecgs.records, rpeaks, strict=True)):
        if len(peaks) > 1:
            rate[i] = 60 * record.fs / np.median(np.diff(peaks))
    known = np.isfinite(rate)
    if not known.any():
        return np.full(len(rate), "")
    low, high = np.quantile(rate[known], (1 / 3, 2 / 3))
    names = np.array([f"below {low:.0f}/min", f"{low:.0f} to {high:.0f}/min", f"from {high:.0f}/min", ""])
    return names[np.where(known, np.digitize(rate, (low, high)), 3)]


def _types_by_rule(ecgs: DemoRecords, rpeaks: Sequence[NDArray[np.int64]]) -> list[NDArray[np.str_]]:
    names = np.array(["" if (name := TYPE_NAMES[k]) == "ignore" else name for k in (0, 1, 2, -1)])
    found = []
    for record, peaks in zip(ecgs.records, rpeaks, strict=True):
        (own,) = beat_types(record.signal[None], record.fs, [peaks], leads=record.leads)
        found.append(names[own.types])
    return found


def _compare(
    pretrainer: BeatSSLPretrainer, ecgs: DemoRecords, embedded: Bunch, targets: Targets, seed: int, say: Say
) -> dict[str, dict[str, Scores]]:
    """Score a linear classifier on the embeddings, beside those of the shipped and of an untrained encoder."""
    untrained = pretrainer.encoder_.with_random_weights(seed)
    encoders = {
        "pretrained": embedded,
        "shipped": BeatSSLPretrainer.load(SHIPPED).embed(ecgs.records, rpeaks=ecgs.rpeaks),
        "not_trained": Bunch(
            rhythm=RhythmEmbedder(untrained).transform(ecgs.records),
            beat=BeatEmbedder(untrained).transform(ecgs.records, rpeaks=ecgs.rpeaks),
        ),
    }
    say("[5/6] Logistic regression on the frozen embeddings, cross-validated by patient: macro F1, mean +- SD of folds")
    say(f"      {'':60s}{'pretrained':>18s}{'shipped':>18s}{'not trained':>18s}")
    tables: dict[str, dict[str, Scores]] = {}
    for level in ("records", "beats"):
        labels = targets.of_beats if level == "beats" else list(targets.of_records[:, None])
        task = f"{level} by {targets.of_beats_are if level == 'beats' else targets.of_records_are}"
        scores = {
            name: cross_validated_f1(z.beat if level == "beats" else z.rhythm[:, None], labels, ecgs.patients, seed)
            for name, z in encoders.items()
        }
        first = scores["pretrained"]
        if not first.classes:
            say(f"      {task}: no two classes of two patients each, nothing to score")
            continue
        tables[level] = scores
        what = f"{task}: {len(first.classes)} classes, n = {first.n}"
        say(f"      {what:60s}" + "".join(f"{score!s:>18s}" for score in scores.values()))
        rare = sorted({label for own in labels for label in own.tolist()} - {"", *first.classes})
        if rare:
            say(f"        left out as too rare: {', '.join(rare)}")
    say(f"      Shipped: the model {SHIPPED!r}, which saw none of these records unless they are of PTB-XL's folds 1-8.")
    say("      Pretraining saw all records, though no labels: for a result to report, keep test patients out of it.")
    if ecgs.rpeaks is not None:
        say("      Beats were embedded at their known R peaks: their score says nothing about finding them.")
    if ecgs.simulated:
        say("      Nothing follows from simulated ECGs about real ones.")
    return tables


def _save_and_load(
    pretrainer: BeatSSLPretrainer, ecgs: DemoRecords, embedded: Bunch, classes: NDArray[np.str_], out: Path, say: Say
) -> list[str]:
    """Write the model, and a pipeline with it, read both, and compare what they give."""
    save(pretrainer, out / "model.bssl")
    if not np.array_equal(load(out / "model.bssl").transform(ecgs.records), embedded.rhythm):
        raise RuntimeError("the loaded model gives other embeddings than the saved one")
    known = np.flatnonzero(classes != "")
    if len(np.unique(classes[known])) < 2:
        say("[6/6] Saved and loaded the model: the embeddings are the same, bit for bit")
        return ["model.bssl"]
    pipeline = make_pipeline(RhythmEmbedder(pretrainer), *(step for _, step in linear_head().steps))
    pipeline.fit([ecgs.records[i] for i in known], classes[known])
    content = BytesIO()
    joblib.dump(pipeline, content)
    write_atomically(out / "pipeline.joblib", content.getvalue())
    say("[6/6] Saved and loaded the model: the embeddings are the same, bit for bit; saved a pipeline with joblib")
    return ["model.bssl", "pipeline.joblib"]


def _draw(
    pretrainer: BeatSSLPretrainer,
    ecgs: DemoRecords,
    embedded: Bunch,
    targets: Targets,
    predicted: Sequence[NDArray[np.str_]] | None,
    out: Path,
    seed: int,
) -> list[str]:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        # The first step has said so.
        return []
    from ..plotting import plot_ecg, plot_embedding, plot_history

    # Chosen by its labels, not by what became of them.
    which = int(np.argmax([len(set(own.tolist()) - {""}) for own in targets.of_beats]))
    record, title = ecgs.records[which], ecgs.names[which]
    types = None if predicted is None or not len(predicted[which]) else predicted[which]
    if types is not None:
        n_right = int(np.sum(types == targets.of_beats[which]))
        judge = "as labelled" if targets.of_beats_are == "type" else "as by the rules"
        title += f": {n_right} of {len(types)} types {judge}"
    label = f"{len(ecgs.records)} records by {targets.of_records_are}"
    pictures: dict[str, Figure] = {
        "ecg_beats.png": plot_ecg(
            record, rpeaks=embedded.rpeaks[which], beat_types=types, title=title, figure=Figure()
        ),
        "embedding_map.png": plot_embedding(
            embedded.rhythm, targets.of_records.tolist(), method="tsne", figure=Figure(), random_state=seed
        ),
        "history.png": plot_history(pretrainer, figure=Figure()),
    }
    pictures["embedding_map.png"].axes[0].set_title(label, fontsize=11)
    for name, picture in pictures.items():
        content = BytesIO()
        picture.savefig(content, format="png", dpi=110)
        write_atomically(out / name, content.getvalue())
    return list(pictures)
