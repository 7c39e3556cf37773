"""Scores of delineated waves against annotated ones, mark by mark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..ecg.waves.find import WAVES
from .read_marks import BOUNDARIES
from .wave_marks import NARROW, Tolerance, compare_marks

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["NARROW", "delineation_counts", "delineation_scores"]


def delineation_scores(
    true: Any,
    predicted: Any,
    fs: float,
    tolerance: Tolerance = 0.150,
    *,
    leads: Literal["each", "nearest"] = "each",
) -> DataFrame:
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
    tolerance : float or dict of (str, str) to float, default=.150
        Largest distance of a pair [s], inclusive: one for all, or one for each pair of wave and boundary, for example
        ``NARROW`` or ``NARROW | {("T", "offset"): 0.06}``. ``NARROW`` has .05 for P, .04 for QRS, .05 for onset and
        peak of T and .1 for the offset of T.
    leads : {"each", "nearest"}, default="each"
        "each" compares each lead with the same lead. "nearest" is for records with one set of marks for all leads, such
        as the ``waves`` of `fetch_qtdb`: `true` is a sequence with one dict of wave to array per record, or a table
        without the column ``lead``. Each annotated mark is compared with the predicted lead that is nearest to it.

    Returns
    -------
    scores : DataFrame
        Twelve rows: per ``wave`` the ``boundary`` onset, peak and offset, and "on+off", which pools onsets and offsets.
        Counts: ``n_true``, ``n_predicted``, ``n_matched``. Rates: ``sensitivity`` = n_matched / n_true, ``ppv`` =
        n_matched / n_predicted, ``f1`` = 2 n_matched / (n_true + n_predicted). Errors, predicted minus annotated time
        [ms]: ``mean_error_ms``, ``sd_error_ms`` (over pairs, ddof 0) and ``median_abs_error_ms``. A rate is NaN if its
        denominator is 0, an error if there is no pair. With ``leads="nearest"``, ``n_predicted``, ``ppv`` and ``f1``
        are NaN.

    Raises
    ------
    ValueError
        If `fs`, `tolerance` or `leads` is out of range, a column is missing, a lead or wave is unknown, a lead occurs
        under two names, marks are infinite or have another shape, or a sequence lacks a record of the other input.
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

    With ``leads="nearest"`` the marks are paired within each predicted lead of the record, the consensus aside. Of the
    pairs of an annotated mark, the nearest counts: onset, peak and offset of a wave can come from different leads.
    The sensitivity is the share of annotated marks that are found in some lead; the best of two leads is better than
    either. Sets with such marks leave out beats, so that predictions without a match are not wrong and are not counted.

    References
    ----------
    J. P. Martinez, R. Almeida, S. Olmos, A. P. Rocha, P. Laguna: A wavelet-based ECG delineator: evaluation on standard
    databases. IEEE Transactions on Biomedical Engineering 51(4), 570-581, 2004 (sensitivity, positive predictivity,
    mean and standard deviation of the errors per boundary; for the QT Database, the lead with the smaller error for
    each mark).

    ANSI/AAMI EC57:2012, Testing and reporting performance results of cardiac rhythm and ST segment measurement
    algorithms, section 4.3 (match window of 150 ms).
    """
    import pandas as pd

    found = compare_marks(true, predicted, fs, tolerance, leads)
    pooled = [n.sum(axis=0) for n in (found.n_true, found.n_predicted, found.n_matched)]
    # Each record has nine cells: three waves with three boundaries each.
    wave, boundary = np.divmod(found.cell % 9, 3)
    rows = []
    for w, wave_name in enumerate(WAVES):
        for name, kept in (*((b, [k]) for k, b in enumerate(BOUNDARIES)), ("on+off", [0, 2])):
            n = [counts[w, kept].sum().item() for counts in pooled]
            error = found.error_ms[(wave == w) & np.isin(boundary, kept)]
            rows.append((wave_name, name, *n, *_rates(*n), *_moments(error)))
    columns = ("wave", "boundary", "n_true", "n_predicted", "n_matched", "sensitivity", "ppv", "f1")
    return pd.DataFrame(rows, columns=[*columns, "mean_error_ms", "sd_error_ms", "median_abs_error_ms"])


def delineation_counts(
    true: Any,
    predicted: Any,
    fs: float,
    tolerance: Tolerance = 0.150,
    *,
    leads: Literal["each", "nearest"] = "each",
) -> DataFrame:
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
    tolerance : float or dict of (str, str) to float, default=.150
        Largest distance of a pair [s], inclusive; by wave and boundary as for :func:`delineation_scores`.
    leads : {"each", "nearest"}, default="each"
        As for :func:`delineation_scores`.

    Returns
    -------
    counts : DataFrame
        Nine rows per record of `true`, sorted by ``record``, ``wave`` (P, QRS, T) and ``boundary`` (onset, peak,
        offset), all leads together. Columns ``n_true``, ``n_predicted``, ``n_matched``, ``sum_error_ms`` and
        ``sum_squared_error_ms2``. A record without marks has zeros. With ``leads="nearest"``, ``n_predicted`` is NaN.

    Raises
    ------
    ValueError, TypeError
        As for :func:`delineation_scores`.
    """
    import pandas as pd

    found = compare_marks(true, predicted, fs, tolerance, leads)
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


def rate(part: float, whole: float) -> float:
    """Divide a count by another; NaN if the other is 0."""
    return part / whole if whole else float("nan")


def _rates(n_true: int, n_predicted: float, n_matched: int) -> tuple[float, float, float]:
    """Sensitivity, positive predictivity and F1."""
    return rate(n_matched, n_true), rate(n_matched, n_predicted), rate(2 * n_matched, n_true + n_predicted)


def _moments(error: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean, standard deviation and median absolute value; NaN without an error."""
    if not len(error):
        return float("nan"), float("nan"), float("nan")
    return float(error.mean()), float(error.std()), float(np.median(np.abs(error)))
