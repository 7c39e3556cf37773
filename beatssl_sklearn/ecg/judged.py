"""Which delineated waves are right, wave by wave, and how long the annotated signal is."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .leads import canonical_lead
from .matching import match_beats
from .waves.find import WAVES
from .waves.table import CONSENSUS, check_rate, check_table, table_of_marks, wave_labels

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["annotated_minutes", "judge_waves"]

_MARKS = ("onset", "peak", "offset")


def judge_waves(true: Any, predicted: DataFrame, fs: float, tolerance: float = 0.150) -> NDArray[np.float64]:
    """Say of each delineated wave whether it is right.

    A wave is right if its peak lies within `tolerance` of the peak of an annotated wave of the same record, lead and
    kind. Each annotated wave is used at most once, and pairs form from the nearest to the farthest. An annotated wave
    without a peak is met by an onset or an offset.

    Parameters
    ----------
    true : DataFrame, or sequence of n_records dict
        Annotated waves: a table with the columns of `make_table`, or one dict per record, as the ``waves`` of
        `fetch_ludb`. Of each lead, all waves from the first to the last one must be annotated. Marks that hold for all
        leads, as those of `fetch_qtdb`, are given to each of them: ``dict.fromkeys(leads, marks)``.
    predicted : DataFrame
        Delineated waves, as returned by `make_table` or `WaveSegmenter.delineate`.
    fs : float
        Sampling rate of all marks [Hz].
    tolerance : float, default=.150
        Largest distance of a pair [s], inclusive.

    Returns
    -------
    right : ndarray of shape (n_waves,), float64
        1 for a wave that is right, and 0 for one that is wrong. NaN for a wave that nobody can judge: where its lead
        has no annotated wave, where it lies before the first or after the last mark of its lead, or without a peak.

    Raises
    ------
    TypeError
        If an input is of another type.
    ValueError
        If `fs` or `tolerance` is out of its range, a column is missing, a wave is unknown, or a lead occurs under two
        names.

    References
    ----------
    ANSI/AAMI EC57:2012, section 4.3 (match window of 150 ms); the rules of the unannotated parts are those of
    :func:`~beatssl_sklearn.evaluation.delineation_scores`.

    Examples
    --------
    >>> from beatssl_sklearn.ecg.waves import make_table
    >>> true = [{"II": {"QRS": [[90, 100, 110], [590, 600, 610]], "T": [[190, 230, 260]]}}]
    >>> found = make_table(0, "II", ["QRS", "QRS", "T"], [91, 300, 700], [102, 320, 730], [111, 340, 760], 500.0)
    >>> judge_waves(true, found, 500.0).tolist()
    [1.0, 0.0, nan]
    """
    check_rate(fs)
    if not (isinstance(tolerance, Real) and np.isfinite(tolerance) and tolerance >= 0):
        raise ValueError(f"tolerance must be a number >= 0 [s], got {tolerance!r}")
    annotated = as_table(true, fs, "true")
    check_table(predicted, "predicted")
    strips = _strips(annotated, predicted)
    marks_t, marks_p = (rows[list(_MARKS)].to_numpy(np.float64) for rows in (annotated, predicted))
    kind_t, kind_p = (
        len(WAVES) * strip + wave_labels(rows) - 1
        for strip, rows in zip(strips, (annotated, predicted), strict=True)
    )
    first, last = _spans(strips[0], marks_t, int(max(s.max(initial=-1) for s in strips)) + 1)
    met, is_right = np.zeros(len(marks_t), bool), np.zeros(len(marks_p), bool)
    for mark in (1, 0, 2):
        # Peaks first; the other marks only stand in for a peak that the annotators left out.
        open_t = ~met & ~np.isnan(marks_t[:, mark]) & (np.isnan(marks_t[:, 1]) | (mark == 1))
        rows_t, rows_p = np.flatnonzero(open_t), np.flatnonzero(~is_right & ~np.isnan(marks_p[:, mark]))
        i, j = _pairs(kind_t[rows_t], marks_t[rows_t, mark], kind_p[rows_p], marks_p[rows_p, mark], fs, tolerance)
        met[rows_t[i]], is_right[rows_p[j]] = True, True
    peak = marks_p[:, 1]
    judged = is_right | ((peak >= first[strips[1]]) & (peak <= last[strips[1]]))
    return np.where(judged, is_right.astype(np.float64), np.nan)


def annotated_minutes(true: Any, fs: float) -> float:
    """Sum up the annotated time of all leads, from the first to the last mark of each.

    Parameters
    ----------
    true : DataFrame, or sequence of n_records dict
        As for `judge_waves`.
    fs : float
        Sampling rate of the marks [Hz].

    Returns
    -------
    minutes : float
        Lead-minutes: one record of twelve leads of 10 s has 2.
    """
    annotated = as_table(true, fs, "true")
    strip, _ = _strips(annotated, annotated[:0])
    first, last = _spans(strip, annotated[list(_MARKS)].to_numpy(np.float64), int(strip.max(initial=-1)) + 1)
    return float((last - first)[first <= last].sum() / (60 * fs))


def as_table(true: Any, fs: float, name: str) -> DataFrame:
    """Return annotated waves as a table; a mark that is negative is missing.

    Raises
    ------
    TypeError, ValueError
        If they are neither a table of waves nor a sequence of dicts; the message has `name`.
    """
    import pandas as pd

    if not isinstance(true, pd.DataFrame):
        if isinstance(true, (str, bytes, Mapping)) or not hasattr(true, "__len__"):
            raise TypeError(
                f"{name} must be a DataFrame with one row per wave, or a list of one dict per record (lead to wave to "
                f"marks of shape (n_waves, 3)), got {type(true).__name__}"
            )
        return table_of_marks(true, fs, name)
    if "lead" not in true and {"record", "wave"} <= {*true.columns}:
        raise ValueError(
            f"{name} has no column 'lead': marks that hold for all leads are given once for each of them, with its name"
        )
    check_table(true, name)
    marks = true[list(_MARKS)].astype(np.float64)
    return true.assign(**marks.where(marks >= 0))


def _strips(true: DataFrame, predicted: DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the leads of the records (strips) that occur; each wave of both tables gets the number of its strip."""
    import pandas as pd

    both = pd.concat([true[["record", "lead"]], predicted[["record", "lead"]]], ignore_index=True)
    lead = both["lead"].map({name: _place(name) for name in both["lead"].unique()})
    strip = both.assign(lead=lead).groupby(["record", "lead"], sort=False).ngroup().to_numpy(np.int64)
    for rows in (slice(None, len(true)), slice(len(true), None)):
        names = pd.DataFrame({"strip": strip[rows], "lead": both["lead"].to_numpy()[rows]}).drop_duplicates()
        twice = names["strip"].duplicated()
        if twice.any():
            raise ValueError(f"a record has one lead under two names, one of them {names['lead'][twice].iloc[0]!r:.60}")
    return strip[: len(true)], strip[len(true) :]


def _place(name: Any) -> str:
    """Return the canonical name of a lead; another place on the body is its own."""
    try:
        return str(name) if name == CONSENSUS else canonical_lead(str(name))[0]
    except ValueError:
        return str(name)


def _spans(
    strip: NDArray[np.int64], marks: NDArray[np.float64], n: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the first and the last mark of each of n strips; a strip without any has an empty span."""
    first, last = np.full(n, np.inf), np.full(n, -np.inf)
    missing = np.isnan(marks)
    np.minimum.at(first, strip, np.where(missing, np.inf, marks).min(axis=1, initial=np.inf))
    np.maximum.at(last, strip, np.where(missing, -np.inf, marks).max(axis=1, initial=-np.inf))
    return first, last


def _pairs(
    kind_t: NDArray[np.int64],
    time_t: NDArray[np.float64],
    kind_p: NDArray[np.int64],
    time_p: NDArray[np.float64],
    fs: float,
    tolerance: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair times of equal kinds, the nearest first; return the positions of the pairs in both."""
    if not len(time_t) or not len(time_p):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    # All kinds lie on one axis, each on a stretch of its own, out of reach of the others: one search serves all.
    low = np.floor(min(time_t.min(), time_p.min()))
    step = np.ceil(max(time_t.max(), time_p.max()) - low + tolerance * fs) + 2
    order_t, order_p = np.lexsort((time_t, kind_t)), np.lexsort((time_p, kind_p))
    i, j = match_beats(
        (kind_t * step + (time_t - low))[order_t], (kind_p * step + (time_p - low))[order_p], fs, tolerance
    )
    return order_t[i], order_p[j]
