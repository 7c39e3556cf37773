"""Data, folds, networks and counts that the tables of the delineation study share."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from beatssl_sklearn import BeatSSLPretrainer, WaveSegmenter, fetch_ludb, save
from beatssl_sklearn.ecg.waves import WAVES
from beatssl_sklearn.evaluation import confusion, delineation_counts

from ..study.results import Row

ROOT = Path(__file__).parents[2]
N_FOLDS, SHARE = 5, 16
BOUNDARIES = ("onset", "peak", "offset")
MEANING = {
    "waves": "without encoder, four sources (`train`)",
    "ours": "pretrained encoder, fine-tuned",
    "frozen": "pretrained encoder, frozen",
    "random frozen": "encoder as initialised, frozen",
    "scratch": "same network from scratch",
}


@dataclass(frozen=True)
class Annotated:
    """LUDB in memory."""

    X: NDArray[np.float32]
    masks: NDArray[np.int8]
    waves: list[Any]
    record_id: NDArray[np.int64]
    diagnoses: dict[str, list[tuple[str, ...]]]
    fs: float
    leads: tuple[str, ...]


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the arguments that all tables take."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("BEATSSL_DATA", ROOT.parent / "shared/data")))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/delineation")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/beatssl_sklearn/delineation")
    parser.add_argument("--epochs", type=int, default=160)
    parser.add_argument("--row", default="ours", choices=MEANING, help="whose networks are looked at")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="20 records, 2 folds, 2 epochs")
    return parser


def read_ludb(data: Path, quick: bool = False) -> Annotated:
    """Read the records and what is marked in them."""
    records = sorted(int(n.rpartition("/")[2]) for n in (data / "ludb/RECORDS").read_text().split())
    ludb = fetch_ludb(data / "ludb", records=records[:20] if quick else None, lazy=False, download_if_missing=False)
    return Annotated(
        np.asarray(ludb.data, dtype=np.float32),
        np.asarray(ludb.masks),
        list(ludb.waves),
        ludb.record_id,
        ludb.diagnoses,
        float(ludb.fs),
        tuple(ludb.leads),
    )


def folds_of(n_records: int, quick: bool = False) -> list[NDArray[np.int64]]:
    """Return the records of each fold; LUDB has one record per patient."""
    order = np.random.default_rng(0).permutation(n_records)
    return [np.sort(part) for part in np.array_split(order, 2 if quick else N_FOLDS)]


def make_segmenter(name: str, epochs: int, seed: int, **params: Any) -> WaveSegmenter:
    """Return the unfitted network of a row."""
    own: dict[str, Any] = {"pretrainer": "ptbxl"}
    if name in ("frozen", "random frozen"):
        own["encoder_lr"] = 0.0
    if name == "random frozen":
        own["pretrainer"] = BeatSSLPretrainer(fs=500).untrained_encoder(seed)
    if name == "scratch":
        own["pretrainer"] = None
    return WaveSegmenter(**{**own, "fs": 500, "max_epochs": epochs, "random_state": seed, **params})


def network_file(name: str, args: argparse.Namespace, key: str) -> Path:
    """Return the file of a trained network."""
    quick = "-quick" if args.quick else ""
    return Path(args.cache) / f"{name.replace(' ', '_')}-{key}-e{args.epochs}-s{args.seed}{quick}.bssl"


def few_records(n_records: int, seed: int, quick: bool = False) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw a sixteenth of one fold's training patients; return them and the fold."""
    folds = folds_of(n_records, quick)
    test = folds[seed % len(folds)]
    train = np.random.default_rng(seed).permutation(np.setdiff1d(np.arange(n_records), test))
    return np.sort(train[: max(2, len(train) // SHARE)]), test


def fitted(
    name: str, ludb: Annotated, train: NDArray[np.int64], args: argparse.Namespace, key: str, **params: Any
) -> WaveSegmenter:
    """Train a row's network on some records, unless its file is there.

    Raises
    ------
    FileNotFoundError
        If it is a network of the row "waves", which only `benchmarks.delineation.train` makes.
    """
    if name == "waves":
        found = as_shipped(WaveSegmenter.load(Path(args.cache) / f"waves-{key}.bssl"))
        return found.set_params(fs=ludb.fs, leads=ludb.leads, check="ignore")
    file = network_file(name, args, key)
    if file.exists():
        return WaveSegmenter.load(file)
    segmenter = make_segmenter(name, args.epochs, args.seed, **params).fit(ludb.X[train], ludb.masks[train])
    file.parent.mkdir(parents=True, exist_ok=True)
    save(segmenter, file)
    seconds = sum(row["seconds"] for row in segmenter.history_)
    loss = segmenter.history_[-1]["train_loss"]
    sys.stdout.write(f"{name} {key}: {len(train)} records, loss {loss:.4f}, {seconds:.0f} s\n")
    sys.stdout.flush()
    return segmenter


def as_shipped(segmenter: WaveSegmenter) -> WaveSegmenter:
    """Give a network of a fold the calibration that ships, six numbers from all folds, and with it its limits."""
    segmenter.unet_ = replace(segmenter.unet_, calibration=WaveSegmenter.load("waves").unet_.calibration)
    return segmenter


class Counts(NamedTuple):
    """Counts of each record; sums of them give the scores of any set of records."""

    events: NDArray[np.float64]
    """(n_records, 3 waves, 3 boundaries, 5): marks, predictions, pairs, sum of errors [ms], sum of squares."""
    confusion: NDArray[np.int64]
    """(n_records, 4, 4): samples by true and predicted label."""


def count(table: Any, labels: NDArray[np.int8], ludb: Annotated, index: NDArray[np.int64]) -> Counts:
    """Count the events and samples of some records; `table` numbers them from 0."""
    truth = [ludb.waves[i] for i in index]
    rows = delineation_counts(truth, table, ludb.fs)
    events = np.zeros((len(index), len(WAVES), len(BOUNDARIES), 5))
    columns = ["n_true", "n_predicted", "n_matched", "sum_error_ms", "sum_squared_error_ms2"]
    for row in rows[rows.boundary.isin(BOUNDARIES)].itertuples():
        where = int(row.record), WAVES.index(row.wave), BOUNDARIES.index(row.boundary)
        events[where] = [getattr(row, c) for c in columns]
    return Counts(events, np.asarray(confusion(ludb.masks[index], labels)))


def scores(counts: Counts) -> Row:
    """Return the scores of all records, pooled."""
    events, samples = counts.events.sum(axis=0), counts.confusion.sum(axis=0)
    row: Row = {}
    for w, wave in enumerate(WAVES):
        both = events[w, [0, 2]].sum(axis=0)
        row[f"{wave}_f1"] = 2 * both[2] / max(both[0] + both[1], 1)
        for b, boundary in enumerate(BOUNDARIES):
            _, _, n, total, squares = events[w, b]
            mean = total / max(n, 1)
            row[f"{wave}_{boundary}_mean"] = mean
            row[f"{wave}_{boundary}_sd"] = float(np.sqrt(max(squares / max(n, 1) - mean**2, 0)))
    hits, size = np.diag(samples), samples.sum(axis=0) + samples.sum(axis=1)
    dice = 2 * hits / np.maximum(size, 1)
    row |= {f"{wave}_dice": dice[w + 1] for w, wave in enumerate(WAVES)}
    return row | {
        "dice": dice[1:].mean(),
        "macro_f1": dice.mean(),
        "miou": (hits / np.maximum(size - hits, 1))[1:].mean(),
        "n_records": len(counts.events),
    }


def with_bootstrap(counts: Counts, n_bootstrap: int = 500, seed: int = 0) -> Row:
    """Return the scores with 95 % intervals over patients."""
    rng = np.random.default_rng(seed)
    n = len(counts.events)
    drawn = []
    for _ in range(n_bootstrap):
        rows = rng.integers(n, size=n)
        drawn.append(scores(Counts(counts.events[rows], counts.confusion[rows])))
    out = scores(counts)
    for name in list(out):
        if name != "n_records":
            out[f"{name}_low"], out[f"{name}_high"] = np.quantile([d[name] for d in drawn], (0.025, 0.975)).tolist()
    return out


def joined(parts: Sequence[Counts]) -> Counts:
    """Put the records of several parts together."""
    return Counts(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def load_counts(file: Path) -> Counts | None:
    """Read counts that `keep_counts` wrote."""
    if not file.exists():
        return None
    with np.load(file) as kept:
        return Counts(kept["events"], kept["confusion"])


def keep_counts(file: Path, counts: Counts) -> Counts:
    """Write counts, so that a run can be resumed."""
    np.savez_compressed(file, events=counts.events, confusion=counts.confusion)
    return counts
