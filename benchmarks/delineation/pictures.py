"""Delineated ECGs to look at, each by a network that was not trained on it.

    python -m benchmarks.delineation.pictures --epochs 160

Takes the networks of a row (`--row`) of `benchmarks.delineation.cross_validate`. Records are the first of LUDB with the
finding; noisy (6 dB of electrode motion of NSTDB), single lead and 100 Hz are the easy one again.

Cannot show: how good it is; the tables do. It shows what a mistake looks like.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from beatssl_sklearn.plotting import plot_delineation

from .common import Annotated, fitted, folds_of, make_parser, read_ludb
from .robustness import as_they_are, at_rate, members, with_leads, with_noise

FINDINGS = {
    "af": ("Atrial fibrillation",),
    "lbbb": ("Complete left bundle branch block",),
    "pvc": ("Ventricular extrasystole, type: couplet", "Ventricular extrasystole, type: single pvc"),
    "paced": ("Unipolar ventricular pacing", "Bipolar ventricular pacing", "Pacemaker presence"),
    "tachycardia": ("Sinus tachycardia",),
    "av_block": ("Iii degree av-block",),
}
EASY = 3


class Picture(NamedTuple):
    """What is drawn: a record under a condition."""

    name: str
    record: int
    change: Callable[[Annotated, NDArray[np.int64]], Annotated]


def pictures(ludb: Annotated, args: argparse.Namespace) -> Iterator[Picture]:
    """Yield the pictures, records by their row."""
    yield Picture("easy", EASY, as_they_are)
    drawn = {EASY}
    for name, findings in FINDINGS.items():
        new = [i for i in members(ludb, findings).tolist() if i not in drawn]
        if new:
            drawn.add(new[0])
            yield Picture(name, new[0], as_they_are)
    yield Picture("t_inversion", most_inverted(ludb), as_they_are)
    yield Picture("noisy", EASY, with_noise(args, "em", 6.0).change)
    yield Picture("one_lead", EASY, with_leads(("II",)).change)
    yield Picture("100hz", EASY, at_rate(100.0).change)


def most_inverted(ludb: Annotated) -> int:
    """Return the record whose marked T waves go down furthest in V5, against the level before the complex."""
    lead, lowest = ludb.leads.index("V5"), []
    for x, waves in zip(ludb.X[:, lead], ludb.waves, strict=True):
        t, qrs = waves["V5"]["T"][:, 1], waves["V5"]["QRS"][:, 0]
        level = np.median(x[qrs[qrs >= 0]]) if (qrs >= 0).any() else 0.0
        lowest.append(float(np.median(x[t[t >= 0]])) - level if (t >= 0).any() else 0.0)
    return int(np.argmin(lowest))


def main(argv: list[str] | None = None) -> None:
    args = make_parser(__doc__).parse_args(argv)
    ludb = read_ludb(args.data)
    folder = args.out / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    for name, record, change in pictures(ludb, args):
        fold = next(k for k, test in enumerate(folds_of(len(ludb.X))) if record in test)
        train = np.setdiff1d(np.arange(len(ludb.X)), folds_of(len(ludb.X))[fold])
        segmenter = fitted(args.row, ludb, train, args, f"fold{fold}")
        drawn = change(ludb, np.array([record]))
        table = segmenter.set_params(fs=drawn.fs, leads=drawn.leads).delineate(drawn.X)
        title = f"LUDB {ludb.record_id[record]}, {name.replace('_', ' ')}"
        figure = plot_delineation(drawn.X[0], drawn.fs, table, leads=drawn.leads, title=title, figure=Figure())
        figure.savefig(folder / f"{name}.png", dpi=64)


if __name__ == "__main__":
    main()
