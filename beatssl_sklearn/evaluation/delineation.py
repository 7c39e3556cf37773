"""Scores of delineated waves against annotated ones, mark by mark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..ecg.leads import LEADS, canonical_lead
from ..ecg.waves.find import WAVES
from ..ecg.waves.table import CONSENSUS, check_table

__all__ = ["delineation_counts", "delineation_scores"]

BOUNDARIES = ("onset", "peak", "offset")
_ONSET, _PEAK, _OFFSET = range(3)
_LEADS = (*LEADS, CONSENSUS)


class _Marks(NamedTuple):
    """Waves of all records, one per row; `times` (n, 3) [samples] is NaN where a mark is missing."""

    record: NDArray[np.int64]
    lead: NDArray[np.int64]
    wave: NDArray[np.int64]
    times: NDArray[np.float64]


class _Compared(NamedTuple):
    """Counts (n_records, 3 waves, 3 boundaries), and the error of each match with its flat position among them."""

    records: NDArray[np.int64]
    n_true: NDArray[np.int64]
    n_predicted: NDArray[np.int64]
    n_matched: NDArray[np.int64]
    cell: NDArray[np.int64]
    error_ms: NDArray[np.float64]


def delineation_scores(true: Any, predicted: Any, fs: float, tolerance: float = 0.150) -> Any:
    """Score delineated waves against annotated ones, all records and leads pooled.

    A predicted mark is right if it lies within `tolerance` of an annotated mark of the same record, lead, wave and
    boundary; each mark is used at most once, and pairs form from the nearest to the farthest, as in
    :func:`~beatssl_sklearn.evaluation.metrics.match_beats`.

    Parameters
    ----------
    true, predicted : DataFrame, or sequence of n_records dict
        Annotated and predicted waves, each in either form. A table has one row per wave and the columns ``record``,
        ``lead``, ``wave`` ("P", "QRS" or "T"), ``onset``, ``peak`` and ``offset`` [samples]; others do not matter. A
        sequence has one dict per record, of lead to dict of wave to array of shape (n_waves, 3) with onset, peak and
        offset [samples], as the ``waves`` of `fetch_ludb`. A missing mark is NaN or -1 (or less).
    fs : float
        Sampling rate of the marks [Hz].
    tolerance : float, default=.150
        Largest distance of a pair [s], inclusive.

    Returns
    -------
    scores : DataFrame
        Twelve rows: per ``wave`` the ``boundary`` onset, peak and offset, and "on+off", which pools onsets and offsets.
        Columns ``n_true``, ``n_predicted``, ``n_matched``; ``sensitivity`` = n_matched / n_true, ``ppv`` = n_matched /
        n_predicted, ``f1`` = 2 n_matched / (n_true + n_predicted); of the errors, predicted minus annotated time
        [ms], ``mean_error_ms``, ``sd_error_ms`` (over pairs, ddof 0) and ``median_abs_error_ms``. A rate without a
        denominator, and errors without a pair, are NaN.

    Raises
    ------
    ValueError
        If `fs` or `tolerance` is out of range, a column is missing, a lead or wave is unknown or occurs twice, marks
        are not finite or have another shape, or records of one input do not exist in the other, which is a sequence.
    TypeError
        If an input is neither a table nor a sequence of dicts.
    ImportError
        If pandas is not installed.

    Notes
    -----
    Four rules keep what the annotators left out from counting against a prediction:

    - A lead of a record is scored where `true` has marks for it; predictions for other leads, "consensus" among
      them, and for records without any mark are ignored.
    - Annotators often leave out the first and the last beats: predicted marks without a match that lie before the first
      or after the last annotated mark (of any wave) of their record and lead are ignored.
    - Where an annotated wave lacks an onset or offset, that of the predicted wave whose peak matches the annotated peak
      is ignored if it has no match. Where the annotated wave lacks its peak, the onset or the offset links the two.
    - Names of leads are compared after :func:`~beatssl_sklearn.ecg.leads.canonical_lead`.

    ``n_predicted`` is the number of predicted marks that remain.

    References
    ----------
    J. P. Martinez, R. Almeida, S. Olmos, A. P. Rocha, P. Laguna: A wavelet-based ECG delineator: evaluation on standard
    databases. IEEE Transactions on Biomedical Engineering 51(4), 570-581, 2004 (sensitivity, positive predictivity,
    mean and standard deviation of the errors per boundary).

    ANSI/AAMI EC57:2012, Testing and reporting performance results of cardiac rhythm and ST segment measurement
    algorithms, section 4.3 (match window of 150 ms).
    """
    pandas = import_pandas()
    found = _compare(true, predicted, fs, tolerance)
    pooled = [n.sum(axis=0) for n in (found.n_true, found.n_predicted, found.n_matched)]
    wave, boundary = np.divmod(found.cell % 9, 3)
    rows = []
    for w, wave_name in enumerate(WAVES):
        for name, kept in (*((b, [k]) for k, b in enumerate(BOUNDARIES)), ("on+off", [_ONSET, _OFFSET])):
            n = [int(counts[w, kept].sum()) for counts in pooled]
            error = found.error_ms[(wave == w) & np.isin(boundary, kept)]
            rows.append((wave_name, name, *n, *_rates(*n), *_moments(error)))
    columns = ("wave", "boundary", "n_true", "n_predicted", "n_matched", "sensitivity", "ppv", "f1")
    return pandas.DataFrame(rows, columns=[*columns, "mean_error_ms", "sd_error_ms", "median_abs_error_ms"])


def delineation_counts(true: Any, predicted: Any, fs: float, tolerance: float = 0.150) -> Any:
    """Count the marks behind :func:`delineation_scores` record by record, for intervals over patients.

    All columns add up: drawing records with replacement and summing the drawn rows gives the counts of a replicate,
    from which follow its rates, its mean error ``sum_error_ms / n_matched`` and the standard deviation, the root of
    ``sum_squared_error_ms2 / n_matched`` less the squared mean.

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
        offset), all leads together, with ``n_true``, ``n_predicted``, ``n_matched``, ``sum_error_ms`` and
        ``sum_squared_error_ms2``. A record without marks has zeros.

    Raises
    ------
    ValueError, TypeError, ImportError
        As :func:`delineation_scores`.
    """
    pandas = import_pandas()
    found = _compare(true, predicted, fs, tolerance)
    n, size = len(found.records), found.n_true.size
    return pandas.DataFrame(
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


def import_pandas() -> Any:
    """Import pandas, or say how to get it."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError("tables of scores need pandas: pip install 'beatssl-sklearn[pandas]'") from error
    return pandas


def rate(part: float, whole: int) -> float:
    """Share of a whole; NaN without one."""
    return part / whole if whole else float("nan")


def _rates(n_true: int, n_predicted: int, n_matched: int) -> tuple[float, float, float]:
    return rate(n_matched, n_true), rate(n_matched, n_predicted), rate(2 * n_matched, n_true + n_predicted)


def _moments(error: NDArray[np.float64]) -> tuple[float, float, float]:
    if not len(error):
        return float("nan"), float("nan"), float("nan")
    return float(error.mean()), float(error.std()), float(np.median(np.abs(error)))


# ---- marks -----------------------------------------------------------------------------------------------------------


def _compare(true: Any, predicted: Any, fs: float, tolerance: float) -> _Compared:
    if not np.isfinite(fs) or fs <= 0:
        raise ValueError(f"fs must be a positive number [Hz], got {fs!r}")
    if not np.isfinite(tolerance) or tolerance < 0:
        raise ValueError(f"tolerance must be a number >= 0 [s], got {tolerance!r}")
    (t, n_of_true), (p, n_of_predicted) = _read(true, "true"), _read(predicted, "predicted")
    if n_of_true is not None and n_of_predicted is not None and n_of_true != n_of_predicted:
        raise ValueError(f"true has {n_of_true} records but predicted has {n_of_predicted}")
    _check_records(p.record, n_of_true, "predicted", "true")
    _check_records(t.record, n_of_predicted, "true", "predicted")
    records = np.unique(t.record) if n_of_true is None else np.arange(n_of_true)

    # Strips, that is leads of records, are numbered in the order of the records; those without a mark are not scored.
    marked = ~np.isnan(t.times).all(axis=1)
    strips = np.unique(t.record[marked] * len(_LEADS) + t.lead[marked])
    t, p = (_of_strips(marks, strips) for marks in (t, p))
    record_of_strip = np.searchsorted(records, strips // len(_LEADS))
    reach = tolerance * fs + 1e-6
    shape = (len(records), len(WAVES), len(BOUNDARIES))
    partner = np.stack([_partners(t, p, b, reach) for b in range(3)], axis=1)
    cell_t, cell_p = (9 * record_of_strip[m.record, None] + 3 * m.wave[:, None] + np.arange(3) for m in (t, p))
    matched = partner >= 0
    counted = matched | ~(np.isnan(p.times) | _outside(t, p, len(strips)) | _excused(t, partner))
    error = p.times[matched] - t.times[partner[matched], np.nonzero(matched)[1]]

    def count(cell: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(cell, minlength=records.size * 9).reshape(shape)

    return _Compared(
        records,
        count(cell_t[~np.isnan(t.times)]),
        count(cell_p[counted]),
        count(cell_p[matched]),
        cell_p[matched],
        error * (1000.0 / fs),
    )


def _check_records(record: NDArray[np.int64], n_records: int | None, name: str, other: str) -> None:
    if n_records is None:
        return
    outside = record[(record < 0) | (record >= n_records)]
    if len(outside):
        raise ValueError(f"{name} has record {outside[0]}, but {other} has the records 0 to {n_records - 1}")


def _of_strips(marks: _Marks, strips: NDArray[np.int64]) -> _Marks:
    """Keep waves of these strips, sorted by strip, wave and time; `record` becomes the number of the strip."""
    strip = marks.record * len(_LEADS) + marks.lead
    kept = np.isin(strip, strips)
    number, wave, times = np.searchsorted(strips, strip[kept]), marks.wave[kept], marks.times[kept]
    order = np.lexsort((times[:, _OFFSET], times[:, _ONSET], times[:, _PEAK], wave, number))
    return _Marks(number[order], marks.lead[kept][order], wave[order], times[order])


def _partners(t: _Marks, p: _Marks, boundary: int, reach: float) -> NDArray[np.int64]:
    """Row of the annotated wave whose mark is matched by the mark of each predicted wave, otherwise -1."""
    rows_t, rows_p = (np.flatnonzero(~np.isnan(marks.times[:, boundary])) for marks in (t, p))
    time_t, time_p = t.times[rows_t, boundary], p.times[rows_p, boundary]
    partner = np.full(len(p.record), -1)
    if not len(rows_t) or not len(rows_p):
        return partner
    # Waves of one kind and strip are laid out on one axis far enough from all others, to search them in one go; what
    # this loses in precision is decided by the distances proper.
    low, high = min(time_t.min(), time_p.min()), max(time_t.max(), time_p.max())
    step = high - low + 2 * reach + 4
    axis_t, axis_p = (
        (marks.record[rows] * 3 + marks.wave[rows]) * step + time - low
        for marks, rows, time in ((t, rows_t, time_t), (p, rows_p, time_p))
    )
    order_t, order_p = np.argsort(axis_t, kind="stable"), np.argsort(axis_p, kind="stable")
    first = np.searchsorted(axis_p[order_p], axis_t[order_t] - reach - 1, side="left")
    number = np.searchsorted(axis_p[order_p], axis_t[order_t] + reach + 1, side="right") - first
    i = np.repeat(order_t, number)
    j = order_p[np.repeat(first - (np.cumsum(number) - number), number) + np.arange(len(i))]
    near = (time_p[j] >= time_t[i] - reach) & (time_p[j] <= time_t[i] + reach)
    i, j = i[near], j[near]
    nearest_first = np.argsort(np.abs(time_t[i] - time_p[j]), kind="stable")
    free_t, free_p = bytearray(b"\1" * len(time_t)), bytearray(b"\1" * len(time_p))
    for a, b in zip(i[nearest_first].tolist(), j[nearest_first].tolist(), strict=True):
        if free_t[a] and free_p[b]:
            free_t[a] = free_p[b] = 0
            partner[rows_p[b]] = rows_t[a]
    return partner


def _outside(t: _Marks, p: _Marks, n_strips: int) -> NDArray[np.bool_]:
    """Whether each predicted mark lies before the first or after the last annotated mark of its strip."""
    first, last = np.full(n_strips, np.inf), np.full(n_strips, -np.inf)
    missing = np.isnan(t.times)
    np.minimum.at(first, t.record, np.where(missing, np.inf, t.times).min(axis=1))
    np.maximum.at(last, t.record, np.where(missing, -np.inf, t.times).max(axis=1))
    return (p.times < first[p.record, None]) | (p.times > last[p.record, None])


def _excused(t: _Marks, partner: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the annotated wave that each predicted wave is linked to lacks the mark."""
    # One more row, which is what the partner -1 of an unmatched mark points to, lacks nothing.
    missing = np.concatenate([np.isnan(t.times), np.zeros((1, 3), bool)])
    link = partner[:, _PEAK]
    for boundary in (_ONSET, _OFFSET):
        other = partner[:, boundary]
        link = np.where((link < 0) & missing[other, _PEAK], other, link)
    return missing[link]


def _read(waves: Any, name: str) -> tuple[_Marks, int | None]:
    """Return the waves, and the number of records if they come as a sequence."""
    if isinstance(waves, import_pandas().DataFrame):
        return _from_table(waves, name), None
    if isinstance(waves, (Mapping, str, bytes)) or not hasattr(waves, "__len__"):
        kind = type(waves).__name__
        raise TypeError(f"{name} must be a table of waves or a sequence with one dict per record, got {kind}")
    rows: list[tuple[int, str, str, NDArray[np.float64]]] = []
    for number, leads in enumerate(waves):
        if not isinstance(leads, Mapping) or not all(isinstance(kinds, Mapping) for kinds in leads.values()):
            raise TypeError(f"{name}, record {number}, must be a dict of lead to dict of wave to array")
        for lead, kinds in leads.items():
            for wave, marks in kinds.items():
                rows.append((number, lead, wave, _as_times(marks, f"{name}, record {number}, lead {lead}, {wave}")))
    sizes = np.array([len(times) for *_, times in rows], np.int64)
    record, lead, wave = (np.repeat(np.array([row[k] for row in rows], object), sizes) for k in range(3))
    times = np.concatenate([np.zeros((0, 3)), *(times for *_, times in rows)])
    return _coded(record.astype(np.int64), lead, wave, times, name), len(waves)


def _from_table(table: Any, name: str) -> _Marks:
    check_table(table, name)
    try:
        times = table[list(BOUNDARIES)].to_numpy(np.float64, na_value=np.nan)
        number = table["record"].to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must have numbers in the columns record, {', '.join(BOUNDARIES)}") from error
    if not (np.isfinite(number) & (number == np.round(number))).all():
        raise ValueError(f"{name} must have whole numbers in the column record")
    lead, wave = (np.asarray(table[column], object) for column in ("lead", "wave"))
    return _coded(number.astype(np.int64), lead, wave, _as_times(times, name), name)


def _as_times(marks: ArrayLike, where: str) -> NDArray[np.float64]:
    try:
        times = np.array(marks, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: marks must be an array of shape (n_waves, 3) [samples]") from error
    if not times.size:
        return np.zeros((0, 3))
    if times.ndim != 2 or times.shape[1] != 3:
        raise ValueError(f"{where}: marks must have the shape (n_waves, 3), got {times.shape}")
    if np.isinf(times).any():
        raise ValueError(f"{where}: marks must be finite, or NaN or -1 where they are missing")
    times[times <= -1] = np.nan
    return times


def _coded(
    record: NDArray[np.int64], lead: NDArray[Any], wave: NDArray[Any], times: NDArray[np.float64], name: str
) -> _Marks:
    """Replace the names of leads and waves by their positions in `_LEADS` and `WAVES`."""
    leads, of_lead = np.unique(lead.astype(str), return_inverse=True)
    waves, of_wave = np.unique(wave.astype(str), return_inverse=True)
    for k, found in enumerate(waves):
        if found not in WAVES:
            first = record[of_wave == k][0]
            raise ValueError(f"{name}, record {first}: unknown wave {found[:60]!r}, expected one of {', '.join(WAVES)}")
    code = np.zeros(len(leads), np.int64)
    for k, found in enumerate(leads):
        try:
            code[k] = _LEADS.index(found if found == CONSENSUS else canonical_lead(str(found))[0])
        except ValueError as error:
            raise ValueError(f"{name}, record {record[of_lead == k][0]}: {error}") from error
    if len(np.unique(code)) < len(code):
        named = np.unique(np.stack([record, code[of_lead], of_lead]), axis=1)
        twice = np.flatnonzero((named[:2, 1:] == named[:2, :-1]).all(axis=0))
        if len(twice):
            number, position = named[:2, twice[0]]
            raise ValueError(f"{name}, record {number}: lead {_LEADS[position]} occurs under two names")
    return _Marks(record, code[of_lead], np.array([WAVES.index(w) for w in waves], np.int64)[of_wave], times)
