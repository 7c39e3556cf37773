"""Measures of records from their waves: medians over beats in every lead, intervals, axes and criteria."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..leads import LEADS, resolve_leads
from ..preprocess import resample
from .amplitudes import FS_MEASURED, LEAD_VALUES, Beats, lead_values
from .consensus import consensus, group_quantiles
from .criteria import CRITERIA, criteria
from .intervals import record_intervals
from .rules import LABEL_P, LABEL_QRS, LABEL_T
from .table import CONSENSUS, check_rate, check_table, wave_labels

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["WAVE_MEASURES", "wave_measures"]

_DURATIONS = ("p_duration", "qrs_duration", "t_duration")
_FLAGS = ("p_absent", "q_absent", "t_absent")
_OF_LEADS = (*LEAD_VALUES, *_DURATIONS, *_FLAGS, "lead_absent")
# Columns of records that are those of `record_intervals`.
_INTERVALS = {
    "n_beats": "n_beats", "heart_rate": "heart_rate", "rr": "RR", "pr": "PR", "qrs": "QRS", "qt": "QT", "qtc": "QTcF",
}  # fmt: skip
_OF_RECORDS = ("n_beats", "heart_rate", "rr", "rr_sd", "p_duration", "pr", "qrs", "qt", "qtc", "p_absent")

WAVE_MEASURES: tuple[str, ...] = (
    *_OF_RECORDS,
    *CRITERIA,
    *(f"{name}_{lead}" for name in _OF_LEADS for lead in LEADS),
)
"""Names of the columns of `wave_measures`."""

# A P begins, and a T ends, no farther from the onset of QRS [s]; as in `beat_intervals`.
_LONGEST_PR_S, _LONGEST_QT_S = 0.35, 0.8
# Middles of a QRS in a lead and over all leads lie no farther apart [s].
_SAME_QRS_S = 0.12
# Less than this share of the beats has no median: it would be the median of mistakes.
_LEAST_SHARE = 0.5
# Longer records are measured piece by piece [s], with so much of the neighbours.
_PIECE_S, _MARGIN_S = 300.0, 2.0


def wave_measures(
    signal: ArrayLike, fs: float, table: DataFrame, leads: Sequence[str] | None = None
) -> NDArray[np.float32]:
    """Measure records in terms of cardiology, from their waves.

    Parameters
    ----------
    signal : array-like, shape (n_records, n_leads, n_times)
        Signals [mV]; NaN is a missing sample.
    fs : float
        Sampling rate [Hz].
    table : DataFrame
        Waves as returned by `make_table` or `WaveSegmenter.delineate`; `record` counts the rows of `signal` from 0. If
        it has no consensus rows, they are added.
    leads : sequence of str, default=None
        Names of the leads of `signal`; None means the twelve standard leads in canonical order.

    Returns
    -------
    measures : ndarray of float32, shape (n_records, n_measures)
        One column for each of `WAVE_MEASURES`, whichever leads there are. NaN where a lead, a wave or a beat is
        missing.

    Raises
    ------
    TypeError
        If `table` is not a DataFrame.
    ValueError
        If `fs`, the leads, the shape of `signal` or the table cannot be used.

    Notes
    -----
    Of each record: ``n_beats``; medians over beats of ``heart_rate`` [1/min], ``rr``, ``p_duration``, ``pr``, ``qrs``,
    ``qt`` and ``qtc`` (Fridericia) [ms], from the waves that the leads agree on; ``rr_sd``, the standard deviation of
    RR [ms]; ``p_absent``, the share of the beats without a P before them; and the columns of `criteria`.

    Of each lead, medians over beats: ``p_amplitude``, ``q_amplitude``, ``r_amplitude``, ``s_amplitude``,
    ``r2_amplitude`` (a second R), ``t_amplitude`` and ``st_j``, ``st_j40``, ``st_j80`` (0, 40 and 80 ms after QRS)
    [mV]; ``qrs_area`` [mV ms]; ``p_duration``, ``q_duration``, ``qrs_duration``, ``t_duration`` [ms]. Shares of the
    beats without such a wave: ``p_absent``, ``q_absent``, ``t_absent``. ``lead_absent`` is 1 for a lead that is not
    given, has no sample, or is constant. `lead_values` says how they are measured: at 500 Hz, whatever the rate, and
    against the level between P and QRS. QRS is the one that the leads agree on, P and T are the lead's own.

    Examples
    --------
    >>> from beatssl_sklearn import WaveSegmenter, make_ecg
    >>> from beatssl_sklearn.ecg.waves import WAVE_MEASURES, wave_measures
    >>> ecg = make_ecg(2, random_state=0)
    >>> waves = WaveSegmenter.load("waves").delineate(ecg.data)
    >>> wave_measures(ecg.data, ecg.fs, waves).shape == (2, len(WAVE_MEASURES))
    True
    """
    check_rate(fs)
    check_table(table)
    x, missing, absent = _placed(signal, leads)
    n_records = len(x)
    record = table["record"].to_numpy(np.int64)
    if record.size and not 0 <= record.min() <= record.max() < n_records:
        raise ValueError(f"table has the records {record.min()} to {record.max()}, signal has {n_records}")
    own = table[table["lead"] != CONSENSUS]
    agreed = table[table["lead"] == CONSENSUS]
    if not len(agreed):
        agreed = consensus(own, fs, n_leads=x.shape[1] if leads is None else len(leads))
    beats = _beats(own, agreed, FS_MEASURED / fs)
    found = _values(x, missing, fs, beats)
    found[absent[beats.record]] = np.nan
    n_beats = np.bincount(beats.record, minlength=n_records)
    medians, share = _medians(found, beats.record, n_beats)
    of_leads = dict(zip((*LEAD_VALUES, *_DURATIONS), np.moveaxis(medians, 2, 0), strict=True))
    shares = dict(zip((*LEAD_VALUES, *_DURATIONS), np.moveaxis(share, 2, 0), strict=True))
    # A Q that is not there has the amplitude 0.
    q = np.where(found[:, :, [LEAD_VALUES.index("q_amplitude")]] < 0, np.float32(0), np.float32(np.nan))
    of_leads["q_absent"] = 1 - _medians(q, beats.record, n_beats)[1][:, :, 0]
    of_leads |= {f"{wave}_absent": 1 - shares[f"{wave}_amplitude"] for wave in "pt"}
    of_leads["lead_absent"] = absent.astype(np.float32)
    of_records = _of_records(agreed, fs, n_records)
    of_records |= criteria(of_leads, of_records)
    columns = [of_records[name][:, None] for name in (*_OF_RECORDS, *CRITERIA)]
    return np.concatenate([*columns, *(of_leads[name] for name in _OF_LEADS)], axis=1).astype(np.float32)


def _placed(
    signal: ArrayLike, leads: Sequence[str] | None
) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None, NDArray[np.bool_]]:
    """Return the twelve leads without gaps, where samples are missing, and which leads say nothing."""
    x = np.asarray(signal, dtype=np.float32)
    names = LEADS if leads is None else leads
    index, sign = resolve_leads(names)
    if x.ndim != 3 or x.shape[1] != len(index) or not x.shape[2]:
        raise ValueError(f"signal must have shape (n_records, {len(index)}, n_times), got {x.shape}")
    placed = np.zeros((len(x), len(LEADS), x.shape[2]), dtype=np.float32)
    placed[:, index] = x * sign[:, None]
    missing = ~np.isfinite(placed)
    gaps = bool(missing.any())
    for record, lead in zip(*np.nonzero(missing.any(axis=2)), strict=True):
        gone = missing[record, lead]
        at = np.arange(len(gone))
        known = placed[record, lead, ~gone]
        placed[record, lead, gone] = np.interp(at[gone], at[~gone], known) if known.size else 0
    return placed, missing if gaps else None, placed.max(axis=2) == placed.min(axis=2)


def _values(
    x: NDArray[np.float32], missing: NDArray[np.bool_] | None, fs: float, beats: Beats
) -> NDArray[np.float32]:
    """Return `lead_values` and durations of all beats, (n_beats, 12, n_values), piece by piece of long records."""
    marks = np.stack([beats.p, beats.qrs, beats.t], axis=2)
    out = np.empty((len(beats.record), len(LEADS), len(LEAD_VALUES) + len(_DURATIONS)), dtype=np.float32)
    out[:, :, len(LEAD_VALUES) :] = (marks[..., 1] - marks[..., 0]) * (1000 / FS_MEASURED)
    step, margin = round(_PIECE_S * fs), round(_MARGIN_S * fs)
    for start in range(0, x.shape[2], step):
        # The last piece takes a rest that is short.
        stop = x.shape[2] if start + step + margin >= x.shape[2] else start + step
        first, last = max(0, start - margin), min(x.shape[2], stop + margin)
        at = beats.onset * (fs / FS_MEASURED)
        here = (at >= start) & (at < stop)
        known = None
        if missing is not None:
            n_fine = int(np.ceil((last - first) * FS_MEASURED / fs))
            nearest = np.minimum(np.round(np.arange(n_fine) * (fs / FS_MEASURED)).astype(np.int64), last - first - 1)
            known = ~missing[:, :, first:last][:, :, nearest]
        fine = resample(x[:, :, first:last], fs, FS_MEASURED)
        shifted = beats.shifted(first * (FS_MEASURED / fs), here)
        out[here, :, : len(LEAD_VALUES)] = lead_values(fine, known, shifted)
        if stop == x.shape[2]:
            break
    return out


def _beats(own: DataFrame, agreed: DataFrame, ratio: float) -> Beats:
    """Return the beats that leads agree on, and what each lead shows of them, at `FS_MEASURED`."""
    label, record = wave_labels(agreed), agreed["record"].to_numpy(np.int64)
    onset, offset = (agreed[name].to_numpy(np.float64) * ratio for name in ("onset", "offset"))
    kept = np.flatnonzero((label == LABEL_QRS) & np.isfinite(onset) & np.isfinite(offset))
    kept = kept[np.lexsort((onset[kept], record[kept]))]
    n = len(kept)
    beats = Beats(record[kept], onset[kept], offset[kept], *(np.full((n, len(LEADS), 2), np.nan) for _ in range(3)))
    if not n:
        return beats
    label, record = wave_labels(own), own["record"].to_numpy(np.int64)
    names = own["lead"].to_numpy(dtype=object)
    places = {name: int(resolve_leads([name])[0][0]) for name in set(names.tolist())}
    lead = np.array([places[name] for name in names], np.int64)
    marks = own[["onset", "offset"]].to_numpy(np.float64) * ratio
    middle = marks.mean(axis=1)
    # Records one behind the other on one axis: one sorted search serves all.
    span = max(np.nanmax(middle, initial=0.0), beats.offset.max()) + 10 * FS_MEASURED
    centre = beats.record * span + (beats.onset + beats.offset) / 2
    place = record * span + middle
    after = np.searchsorted(centre, place)
    before, after = np.maximum(after - 1, 0), np.minimum(after, n - 1)
    nearest = np.where(np.abs(centre[after] - place) < np.abs(centre[before] - place), after, before)
    near = np.abs(centre[nearest] - place) <= _SAME_QRS_S * FS_MEASURED
    early = (centre[after] >= place) & (beats.onset[after] - marks[:, 0] <= _LONGEST_PR_S * FS_MEASURED)
    late = (centre[before] <= place) & (marks[:, 1] - beats.onset[before] <= _LONGEST_QT_S * FS_MEASURED)
    for which, of_wave, beat, fits in (
        (LABEL_P, beats.p, after, early), (LABEL_QRS, beats.qrs, nearest, near), (LABEL_T, beats.t, before, late)
    ):  # fmt: skip
        rows = np.flatnonzero((label == which) & np.isfinite(middle) & fits & (beats.record[beat] == record))
        # Of several P the last one counts, of several T the first one: it is written last.
        rows = rows[np.argsort(place[rows], kind="stable")][:: -1 if which == LABEL_T else 1]
        of_wave[beat[rows], lead[rows]] = marks[rows]
    return beats


def _medians(
    values: NDArray[np.float32], record: NDArray[np.int64], n_beats: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return medians over the beats of records, and the share of the beats that have a value."""
    longest = int(n_beats.max(initial=0))
    stacked = np.full((len(n_beats), max(longest, 1), *values.shape[1:]), np.nan, dtype=np.float32)
    first = np.cumsum(n_beats) - n_beats
    stacked[record, np.arange(len(record)) - first[record]] = values
    stacked.sort(axis=1)  # NaN comes last
    n = np.isfinite(stacked).sum(axis=1)
    share = (n / np.maximum(n_beats, 1)[:, None, None]).astype(np.float32)
    low, high = np.maximum(n - 1, 0) // 2, np.minimum(n // 2, max(longest - 1, 0))
    middle = [np.take_along_axis(stacked, k[:, None], axis=1)[:, 0] for k in (low, high)]
    return np.where(share >= _LEAST_SHARE, (middle[0] + middle[1]) / 2, np.float32(np.nan)), share


def _of_records(agreed: DataFrame, fs: float, n_records: int) -> dict[str, NDArray[np.floating]]:
    """Return the measures of all leads together."""
    found = record_intervals(agreed, fs, n_records)
    out: dict[str, NDArray[np.floating]] = {k: found[own].to_numpy(np.float64) for k, own in _INTERVALS.items()}
    out["p_absent"] = 1 - np.nan_to_num(found["PR_share"].to_numpy(np.float64))
    label, record = wave_labels(agreed), agreed["record"].to_numpy(np.int64)
    ms = 1000 / fs
    p = label == LABEL_P
    length = (agreed["offset"] - agreed["onset"]).to_numpy(np.float64)[p] * ms
    length = group_quantiles(length, record[p], n_records, 0.5)
    out["p_duration"] = np.where(out["p_absent"] <= 1 - _LEAST_SHARE, length, np.nan)
    peak = agreed["peak"].to_numpy(np.float64) * ms
    order = np.lexsort((peak, record))
    order = order[(label == LABEL_QRS)[order] & np.isfinite(peak[order])]
    rr, same = np.diff(peak[order]), np.diff(record[order]) == 0
    rr, own = rr[same], record[order][1:][same]
    n = np.bincount(own, minlength=n_records)
    mean = np.bincount(own, rr, n_records) / np.maximum(n, 1)
    variance = np.bincount(own, (rr - mean[own]) ** 2, n_records) / np.maximum(n, 1)
    out["rr_sd"] = np.where(n > 1, np.sqrt(variance), np.nan)
    return out
