"""Scores of delineated waves against annotated ones, mark by mark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..ecg.waves.find import WAVES
from .wave_marks import BOUNDARIES, compare_marks

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["delineation_counts", "delineation_scores"]


def delineation_scores(true: Any, predicted: Any, fs: float, tolerance: float = 0.150) -> DataFrame:
    """Score delineated waves against annotated ones, all records and leads pooled.

    A predicted mark is right if it lies within `tolerance` of an annotated mark of the same record, lead, wave and
    boundary. Each mark is used at most once. Pairs form from the nearest to the farthest, as in
    :func:`~beatssl_sklearn.evaluation.metrics.match_beats`.

    Parameters
    ----------
    true, predicted : DataFrame, or sequence of n_records dict
        Annotated and predicted waves, each in one of two forms. A table has one row per wave and the columns
        ``record``, ``lead``, ``wave`` ("P", "QRS" or "T"), ``onset``, ``peak`` and ``offset`` [samples]; other columns
        are ignored. A sequence has one dict per record, like the ``waves`` of `fetch_ludb`: lead to dict of wave to
        array of shape (n_waves, 3) with onset, peak and offset [samples]. A missing mark is NaN or -1 (or less).
    fs : float
        Sampling rate of the marks [Hz].
    tolerance : float, default=.150
        Largest distance of a pair [s], inclusive.

    Returns
    -------
    scores : DataFrame
        Twelve rows: per ``wave`` the ``boundary`` onset, peak and offset, and "on+off", which pools onsets and offsets.
        Counts: ``n_true``, ``n_predicted``, ``n_matched``. Rates: ``sensitivity`` = n_matched / n_true, ``ppv`` =
        n_matched / n_predicted, ``f1`` = 2 n_matched / (n_true + n_predicted). Errors, predicted minus annotated time
        [ms]: ``mean_error_ms``, ``sd_error_ms`` (over pairs, ddof 0) and ``median_abs_error_ms``. A rate is NaN if its
        denominator is 0, an error if there is no pair.

    Raises
    ------
    ValueError
        If `fs` or `tolerance` is out of range, a column is missing, a lead or wave is unknown, a lead occurs under two
        names, marks are infinite or have another shape, or a sequence lacks a record of the other input.
    TypeError
        If an input is neither a table nor a sequence of dicts.

    Notes
    -----
    Four rules. By the first three, a prediction is not wrong where the annotators left something out:

    - A lead of a record is scored if `true` has a mark in it. Predictions in other leads (such as "consensus") and in
      records without any annotated mark are ignored.
    - Annotators often leave out the first and the last beats. A predicted mark without a match is ignored if it lies
      before the first or after the last annotated mark (of any wave) of its record and lead.
    - An annotated wave can lack an onset or offset. The predicted wave whose peak matches the annotated peak is linked
      to it: its onset or offset is ignored there, unless it has a match. If the annotated wave lacks its peak, a
      matching onset or offset links the two.
    - Names of leads are compared after :func:`~beatssl_sklearn.ecg.leads.canonical_lead`.

    ``n_predicted`` counts the predicted marks that remain.

    References
    ----------
    J. P. Martinez, R. Almeida, S. Olmos, A. P. Rocha, P. Laguna: A wavelet-based ECG delineator: evaluation on standard
    databases. IEEE Transactions on Biomedical Engineering 51(4), 570-581, 2004 (sensitivity, positive predictivity,
    mean and standard deviation of the errors per boundary).

    ANSI/AAMI EC57:2012, Testing and reporting performance results of cardiac rhythm and ST segment measurement
    algorithms, section 4.3 (match window of 150 ms).
    """
    import pandas as pd

    found = compare_marks(true, predicted, fs, tolerance)
    pooled = [n.sum(axis=0) for n in (found.n_true, found.n_predicted, found.n_matched)]
    # Each record has nine cells: three waves with three boundaries each.
    wave, boundary = np.divmod(found.cell % 9, 3)
    rows = []
    for w, wave_name in enumerate(WAVES):
        for name, kept in (*((b, [k]) for k, b in enumerate(BOUNDARIES)), ("on+off", [0, 2])):
            n = [int(counts[w, kept].sum()) for counts in pooled]
            error = found.error_ms[(wave == w) & np.isin(boundary, kept)]
            rows.append((wave_name, name, *n, *_rates(*n), *_moments(error)))
    columns = ("wave", "boundary", "n_true", "n_predicted", "n_matched", "sensitivity", "ppv", "f1")
    return pd.DataFrame(rows, columns=[*columns, "mean_error_ms", "sd_error_ms", "median_abs_error_ms"])


def delineation_counts(true: Any, predicted: Any, fs: float, tolerance: float = 0.150) -> DataFrame:
    """Count the marks behind :func:`delineation_scores` record by record, for intervals over patients.

    All columns add up. To bootstrap, draw records with replacement and sum their rows. The sums give the rates of a
    replicate, its mean error ``sum_error_ms / n_matched``, and its standard deviation: the square root of
    ``sum_squared_error_ms2 / n_matched`` minus the squared mean error.

    Parameters
    ----------
    true, predicted : DataFrame, or sequence of n_records dict
        As for :func:`delineation_scores`.
    fs : float
        Sampling rate of the marks [Hz].
    tolerance : float, default=.150
        Largest distance of a pair [s], inclusive.

    Returns
    -------
    counts : DataFrame
        Nine rows per record of `true`, sorted by ``record``, ``wave`` (P, QRS, T) and ``boundary`` (onset, peak,
        offset), all leads together. Columns ``n_true``, ``n_predicted``, ``n_matched``, ``sum_error_ms`` and
        ``sum_squared_error_ms2``. A record without marks has zeros.

    Raises
    ------
    ValueError, TypeError
        As for :func:`delineation_scores`.
    """
    import pandas as pd

    found = compare_marks(true, predicted, fs, tolerance)
    n, size = len(found.records), found.n_true.size
    return pd.DataFrame(
        {
            "record": np.repeat(found.records, 9),
            "wave": [wave for wave in WAVES for _ in BOUNDARIES] * n,
            "boundary": [*BOUNDARIES] * (3 * n),
            "n_true": found.n_true.ravel(),
            "n_predicted": found.n_predicted.ravel(),
            "n_matched": found.n_matched.ravel(),
            "sum_error_ms": np.bincount(found.cell, found.error_ms, size),
            "sum_squared_error_ms2": np.bincount(found.cell, found.error_ms**2, size),
        }
    )


def rate(part: float, whole: int) -> float:
    """Divide a count by another; NaN if the other is 0."""
    return part / whole if whole else float("nan")


def _rates(n_true: int, n_predicted: int, n_matched: int) -> tuple[float, float, float]:
    """Sensitivity, positive predictivity and F1."""
    return rate(n_matched, n_true), rate(n_matched, n_predicted), rate(2 * n_matched, n_true + n_predicted)


def _moments(error: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean, standard deviation and median absolute value; NaN without an error."""
    if not len(error):
        return float("nan"), float("nan"), float("nan")
    return float(error.mean()), float(error.std()), float(np.median(np.abs(error)))
