"""Scores of delineated records for `benchmarks.delineation.peers`: counts of each record, and scores of their sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from beatssl_sklearn.ecg.waves import WAVES
from beatssl_sklearn.evaluation import NARROW, delineation_counts

from ..study.results import Row
from .common import BOUNDARIES

Marks = Sequence[NDArray[np.float64]]
"""Marks (n_waves, 5) of each record: lead, wave, onset, peak, offset [samples]."""

COLUMNS = ("n_true", "n_predicted", "n_matched", "sum_error_ms", "sum_squared_error_ms2")
TOLERANCES = (0.150, NARROW)
# F1: the wave, which of the tolerances, and the boundaries that count together.
F1 = {
    "F1 P": ("P", 0, (0, 2)),
    "F1 QRS": ("QRS", 0, (0, 2)),
    "F1 T": ("T", 0, (0, 2)),
    "F1 P 50": ("P", 1, (0, 2)),
    "F1 QRS 40": ("QRS", 1, (0, 2)),
    "F1 T on 50": ("T", 1, (0,)),
    "F1 T off 100": ("T", 1, (2,)),
}
ERRORS = {
    "P on": ("P", 0),
    "P off": ("P", 2),
    "QRS on": ("QRS", 0),
    "QRS off": ("QRS", 2),
    "T peak": ("T", 1),
    "T off": ("T", 2),
}
N_BOOTSTRAP = 1000


def count(
    waves: Sequence[Any],
    leads: Sequence[Sequence[str]],
    marks: Marks,
    fs: float,
    compared: Literal["each", "nearest"],
) -> NDArray[np.float64]:
    """Count the events of each record (n_records, tolerances, waves, boundaries, columns)."""
    found = [
        {
            lead: {wave: own[(own[:, 0] == k) & (own[:, 1] == w), 2:] for w, wave in enumerate(WAVES)}
            for k, lead in enumerate(names)
        }
        for names, own in zip(leads, marks, strict=True)
    ]
    tables = [delineation_counts(waves, found, fs, tolerance, leads=compared) for tolerance in TOLERANCES]
    shape = (len(found), len(WAVES), len(BOUNDARIES), len(COLUMNS))
    return np.stack([table[list(COLUMNS)].to_numpy(np.float64).reshape(shape) for table in tables], axis=1)


def scores_of(sums: NDArray[np.float64]) -> Row:
    """Return the scores of sums (..., tolerances, waves, boundaries, columns)."""
    out: Row = {}
    for name, (wave, tolerance, boundaries) in F1.items():
        own = sums[..., tolerance, WAVES.index(wave), list(boundaries), :].sum(axis=-2)
        out[name] = 2 * own[..., 2] / (own[..., 0] + own[..., 1])
    for w, wave in enumerate(WAVES):
        peaks = sums[..., 0, w, BOUNDARIES.index("peak"), :]
        out[f"sensitivity {wave}"] = peaks[..., 2] / peaks[..., 0]
    for name, (wave, boundary) in ERRORS.items():
        _, _, n, total, squares = np.moveaxis(sums[..., 0, WAVES.index(wave), boundary, :], -1, 0)
        out[f"mean {name}"] = total / n
        out[f"SD {name}"] = np.sqrt(np.maximum(squares / n - (total / n) ** 2, 0))
    return out


def with_intervals(counts: NDArray[np.float64], seed: int, n_bootstrap: int = N_BOOTSTRAP) -> Row:
    """Return the scores of counts (n_records, ...), with 95 % intervals over patients: each record is one."""
    n = len(counts)
    draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_bootstrap)
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn, whole = scores_of(np.tensordot(draws.astype(np.float64), counts, 1)), scores_of(counts.sum(axis=0))
    row: Row = {}
    for name, value in whole.items():
        # Where false positives cannot be counted there is no F1.
        if np.isfinite(value):
            row[name] = float(value)
            row[f"{name}_low"], row[f"{name}_high"] = np.nanquantile(drawn[name], (0.025, 0.975)).tolist()
    return row | record_sds(counts)


def record_sds(counts: NDArray[np.float64]) -> Row:
    """Return the means over records of their SDs, as Martinez et al. report them; records with two pairs or more."""
    out: Row = {}
    for name, (wave, boundary) in ERRORS.items():
        _, _, n, total, squares = np.moveaxis(counts[:, 0, WAVES.index(wave), boundary, :], -1, 0)
        own = n > 1
        variance = squares[own] / n[own] - (total[own] / n[own]) ** 2
        out[f"record SD {name}"] = float(np.sqrt(np.maximum(variance, 0)).mean()) if own.any() else float("nan")
    return out
