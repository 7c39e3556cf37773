"""What the study's commands share: their arguments, the models of a row, and embeddings that are computed once."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from beatssl_sklearn import BeatSSLPretrainer, Pretrainer

from .configs import MEANING, NETWORKS, ROWS, encoder_params, make_pretrainer
from .data import Records, feature_table, hand_features, load_ptbxl
from .models import embeddings, fit_or_load, given_vectors, load_model
from .results import Row, command_of
from .wave_vectors import wave_vectors

QUICK: dict[str, Any] = {
    "size": "s",
    "widths": (16, 16, 16),
    "epochs": 1,
    "batch_size": 64,
    "per_fold": 50,
    "subset_seeds": 2,
}
"""Values of these arguments with ``--quick``."""


def make_parser(doc: str | None, rows: tuple[str, ...] = ROWS) -> argparse.ArgumentParser:
    """Return a parser with the arguments of every command."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).parent
    shared = os.environ.get("BEATSSL_DATA", str(here.parents[2] / "shared" / "data"))
    add = parser.add_argument
    add("--unpacked", type=Path, required=True, help="PTB-XL in the publisher's layout")
    add("--data", type=Path, default=Path(shared), help="folder with mitdb/ and ptbxl500/")
    add("--cache", type=Path, default=here.parents[1] / "runs" / "study", help="models, embeddings, fitted scores")
    add("--out", type=Path, default=here.parent / "results" / "study")
    add("--quick", action="store_true", help="tiny records, network and budget; results go to OUT/quick")
    add("--threads", type=int, default=1)
    add("--device", default=None)
    default = f"default: {','.join(rows)}; a+b puts the embeddings of two rows side by side"
    add("--rows", type=lambda s: tuple(s.split(",")), default=rows, help=default)
    add("--model", action="append", default=[], metavar="NAME=FILE", help="a trained model of a row; may be repeated")
    add("--vectors", action="append", default=[], metavar="NAME=FILE", help="vectors of a row, .npz; may be repeated")
    add("--size", default="m", choices=("s", "m", "l"), help="of the networks that are not given by --model")
    add("--widths", type=lambda s: tuple(int(w) for w in s.split(",")), default=None, help="for trials: 16,16,16")
    add("--epochs", type=int, default=20, help="of pretraining, where a model is not given")
    add("--batch-size", type=int, default=256)
    add("--encoder-seeds", type=int, default=1, help="pretrainings (or random initialisations) of a row")
    add("--subset-seeds", type=int, default=5, help="draws of labelled subsets")
    add("--per-fold", type=int, default=None, help="records of each training fold")
    add("--test-fold", type=int, default=9)
    return parser


def parse(parser: argparse.ArgumentParser, module: str, argv: list[str] | None = None) -> argparse.Namespace:
    """Read the arguments, limit threads, and keep the command as others can run it."""
    words = sys.argv[1:] if argv is None else argv
    args = parser.parse_args(words)
    args.command = command_of(f"benchmarks.study.{module}", words)
    if args.quick:
        given = {word.split("=")[0].lstrip("-").replace("-", "_") for word in words}
        for name, value in QUICK.items():
            if hasattr(args, name) and name not in given:
                setattr(args, name, value)
        args.out = args.out / "quick"
    unknown = [pair for pair in (*args.model, *args.vectors) if "=" not in pair]
    if unknown:
        parser.error(f"--model and --vectors take NAME=FILE, got {unknown[0]!r}")
    torch.set_num_threads(args.threads)
    threadpool_limits(args.threads)
    return args


@dataclass
class Study:
    """Records, and what each row of a table makes of them."""

    args: argparse.Namespace
    _encoders: dict[str, list[Pretrainer]] = field(default_factory=dict)

    @cached_property
    def records(self) -> Records:
        whole = not self.args.quick
        return load_ptbxl(
            self.args.unpacked, test_fold=self.args.test_fold, per_fold=self.args.per_fold, whole_test=whole
        )

    @property
    def encoder_params(self) -> dict[str, Any]:
        return encoder_params(self.args.size, self.args.widths)

    def given(self, name: str) -> list[str]:
        """Files given for a row by ``--model``."""
        return [path for own, _, path in (pair.partition("=") for pair in self.args.model) if own == name]

    def vectors(self, name: str) -> str | None:
        """File given for a row by ``--vectors``."""
        return next((path for own, _, path in (pair.partition("=") for pair in self.args.vectors) if own == name), None)

    def encoders(self, name: str) -> list[Pretrainer]:
        """Fitted encoders of a row: the files given, otherwise one for each seed."""
        if name not in self._encoders:
            if self.given(name):
                found = [load_model(path) for path in self.given(name)]
            else:
                found = [self._fitted(name, seed) for seed in range(self.args.encoder_seeds)]
            self._encoders[name] = found
        return self._encoders[name]

    def _fitted(self, name: str, seed: int) -> Pretrainer:
        args = self.args
        run = {"max_epochs": args.epochs, "batch_size": args.batch_size, "device": args.device, "n_jobs": args.threads}
        # Rows differ in few of the parameters that measurements depend on.
        run["memory"] = str(args.cache / "measurements")
        unfitted = make_pretrainer(name, seed, encoder=self.encoder_params, changes=self.network, **run)
        return fit_or_load(name, unfitted, self.records, args.cache)

    @cached_property
    def network(self) -> dict[str, Any]:
        """Parameters of the network and its input, where a model of "ours" is given: other rows get the same."""
        given = self.given("ours")
        if not given:
            return {}
        fitted = load_model(given[0]).encoder_
        network = {"encoder": fitted.encoder, "encoder_params": fitted.encoder_params}
        return network | {"fs_model": fitted.front_end.fs_model, "amplitude": fitted.front_end.amplitude}

    def unfitted(self, seed: int) -> BeatSSLPretrainer:
        """Describe the network that is trained from scratch, the one of "ours"."""
        return make_pretrainer("ours", seed, encoder=self.encoder_params, changes=self.network)

    def embedding(self, name: str, encoder: int = 0, leads: Any = None, fit_leads: Any = None) -> NDArray[np.float32]:
        """Embed all records with an encoder of a row (or its hand features), seen through some leads.

        The scales of hand features, and what stands for missing wave measures, come from `fit_leads`; encoders have
        nothing to fit. Rows joined by "+" stand side
        by side.
        """
        if "+" in name:
            return np.hstack([self.embedding(part, encoder, leads, fit_leads) for part in name.split("+")])
        if (file := self.vectors(name)) is not None:
            if leads is not None:
                raise ValueError(f"--vectors {name}: the vectors are of twelve leads")
            return given_vectors(file, self.records)
        if name == "waves":
            return wave_vectors(self.records, leads, fit_leads, self.args.cache)
        if name in NETWORKS or self.given(name):
            chosen = self.encoders(name)[encoder % len(self.encoders(name))]
            return embeddings(chosen, self.records, self.args.cache, leads=leads, device=self.args.device)
        if name not in ("features", "boosting"):
            raise ValueError(f"--rows has {name!r}; known are {', '.join(MEANING)}, and names with a --model")
        table = feature_table(self.records, leads, self.args.cache)
        fit_on = table if fit_leads == leads else feature_table(self.records, fit_leads, self.args.cache)
        return hand_features(fit_on, table, self.records.train)

    def n_encoders(self, name: str) -> int:
        if "+" in name:
            return max(self.n_encoders(part) for part in name.split("+"))
        return len(self.encoders(name)) if name in NETWORKS or self.given(name) else 1

    def budget(self, name: str) -> str:
        """Return size, epochs and minutes of training of a row's encoder."""
        if name not in NETWORKS and not self.given(name):
            return ""
        first = self.encoders(name)[0]
        encoder = first.encoder_.encoder
        size = (first.encoder_.encoder_params or {}).get("size", "m") if encoder == "beatnet" else encoder
        minutes = sum(row.get("seconds", 0.0) for row in first.history_) / 60
        return f"{size}, {first.n_iter_} epochs" + (f", {minutes:.0f} min" if minutes >= 0.5 else "")

    def describe(self, name: str) -> Row:
        given = "given vectors" if self.vectors(name) else "given model"
        what = "both, side by side" if "+" in name else MEANING.get(name, given)
        return {"row": name, "what": what, "budget": self.budget(name)}
