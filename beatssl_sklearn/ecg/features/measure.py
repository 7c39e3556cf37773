"""Features of records and of beats, which soft targets compare.

For many records, call `record_features` (or `beat_features`) on chunks, join the tables with `concatenate`, add
principal components of the beats with `with_components`, and put all columns on one scale with `standardize`. Features
describe the measured record, never an augmented view.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..beats import BEAT_WINDOW, as_rpeaks, keep_inside, window_samples
from ..leads import EIGHT_LEADS, INDEPENDENT, LEADS, place_leads
from .median_beat import beat_correlation, beat_waves, centred_beats, median_beat, resampling_matrix
from .principal_components import Components, component_scores, fit_components
from .quantities import LEAD_QUANTITIES, beat_rms, frontal_axis, rhythm_measures, rr_around, wave_amplitudes
from .table import FeatureTable, make_feature_table

__all__ = ["beat_features", "record_features", "with_components"]

FS_GRID = 100.0
# The onset of P is also looked for in this time before the beat window [s].
P_LEAD_IN = 0.1
BEATS_PER_CHUNK = 512

_RECORD_COLUMNS: tuple[tuple[str, str], ...] = (
    *((name, "rhythm") for name in ("log_median_rr", "log_sd_rr", "log_rmssd", "beat_rate", "ectopic_share")),
    ("beat_correlation", "rhythm"),
    *((f"{name}_{lead}", group) for name, group in LEAD_QUANTITIES.items() for lead in EIGHT_LEADS),
    ("log_rms", "qrs"),
    *((name, "intervals") for name in ("qrs_width", "pr_interval", "qt_interval")),
    *((name, "axis") for name in ("qrs_axis_sin", "qrs_axis_cos", "t_axis_sin", "t_axis_cos")),
)
_BEAT_COLUMNS = (
    ("log_rr_before", "rhythm"),
    ("log_rr_after", "rhythm"),
    ("qrs_width", "intervals"),
    ("median_correlation", "morphology"),
)


def record_features(
    X: ArrayLike, fs: float, rpeaks: Sequence[ArrayLike], leads: Sequence[str] | None = None
) -> FeatureTable:
    """Measure clinical features of records, and their median beats.

    Parameters
    ----------
    X : array-like, shape (n_records, n_leads, n_times)
        Signals [mV].
    fs : float
        Sampling rate [Hz].
    rpeaks : sequence of n_records arrays of int
        Sample indices at `fs`, increasing.
    leads : sequence of str, default=None
        Names of the leads of `X`; None means the twelve standard leads in canonical order.

    Returns
    -------
    table : FeatureTable
        One row per record; NaN if a value cannot be measured (no beat, no such wave, a lead absent from the record or
        from most beats). `beats` holds the median beats, shape (n_records, 8, 70): leads I, II, V1 to V6 at 100 Hz over
        [R - .25, R + .45) s, divided by their RMS over the present leads (the column ``log_rms`` is its log).

    Raises
    ------
    ValueError, TypeError
        If shapes, `fs`, `leads` or the R peaks are not as described. The message names the record.

    Notes
    -----
    Columns by group:

    - rhythm: log median RR [log s], log of SD of RR and of RMSSD [log s, 5 ms added], beats per minute, the share of
      beats that are early (RR < .85 of the median) or correlate with the median beat by less than .8, and the median
      over the beats of arctanh of this correlation;
    - qrs, for each of eight leads of the median beat: the highest and the deepest point of QRS relative to the level
      before it [mV] (S stands for the deeper one of Q and S) and its area [mV s]; and the log RMS of the median beat;
    - st_t, for each lead: the level 60 to 80 ms after QRS, and T where it peaks over all leads [mV];
    - p, for each lead: P where it peaks over all leads [mV], or without P the level .19 to .09 s before R;
    - intervals of the median beat: QRS, PR and QT [s];
    - axis: sine and cosine of the frontal axes of QRS (area) and T (amplitude).
    """
    x, r = _check_records(X, fs, rpeaks, leads)
    n_before, n_after = window_samples(fs)
    lead_in = int(round(P_LEAD_IN * fs))
    beats = np.empty((len(x), INDEPENDENT.size, lead_in + n_before + n_after), dtype=np.float32)
    rhythm = np.empty((len(x), 5), dtype=np.float32)
    alike = np.empty(len(x), dtype=np.float32)
    for i in range(len(x)):
        beats[i], correlation, inside = _wide_median_beat(x[i], r[i], fs, lead_in)
        rhythm[i] = rhythm_measures(r[i] / fs, correlation, inside)
        finite = correlation[np.isfinite(correlation)]
        # Arctanh spreads correlations near 1, where most beats lie.
        alike[i] = np.median(np.arctanh(np.clip(finite, -0.9995, 0.9995))) if finite.size else np.nan
    median_rr = np.exp(rhythm[:, 0])
    waves = beat_waves(beats, fs, median_rr, lead_in + n_before)
    amplitudes = wave_amplitudes(beats, waves, fs, lead_in + n_before)
    grid = beats[:, :, lead_in:] @ resampling_matrix(fs, FS_GRID)
    grid -= grid.mean(axis=2, keepdims=True)
    rms = beat_rms(grid)
    intervals = np.stack(
        [waves.qrs_offset - waves.qrs_onset, waves.qrs_onset - waves.p_onset, waves.t_end - waves.qrs_onset], axis=1
    )
    values = np.concatenate(
        [
            rhythm,
            alike[:, None],
            amplitudes.transpose(1, 0, 2).reshape(len(x), len(LEAD_QUANTITIES) * INDEPENDENT.size),
            np.log(rms)[:, None],
            intervals,
            frontal_axis(amplitudes[list(LEAD_QUANTITIES).index("qrs_area")], 1e-4),
            frontal_axis(amplitudes[list(LEAD_QUANTITIES).index("t_amplitude")], 1e-2),
        ],
        axis=1,
    )
    return make_feature_table(values, _RECORD_COLUMNS, grid / rms[:, None, None])


def beat_features(
    X: ArrayLike,
    fs: float,
    rpeaks: Sequence[ArrayLike],
    leads: Sequence[str] | None = None,
    beat_window: tuple[float, float] = BEAT_WINDOW,
) -> FeatureTable:
    """Measure features of single beats; one table holds the beats of all records.

    Parameters
    ----------
    X : array-like, shape (n_records, n_leads, n_times)
        Signals [mV].
    fs : float
        Sampling rate [Hz].
    rpeaks : sequence of n_records arrays of int
        Sample indices at `fs`, increasing.
    leads : sequence of str, default=None
        Names of the leads of `X`; None means the twelve standard leads in canonical order.
    beat_window : tuple of two floats, default=(.25, .45)
        Time before and after the R peak [s].

    Returns
    -------
    table : FeatureTable
        One row for each beat of ``keep_inside(rpeaks[i], n_times, fs, beat_window)``, record after record. Columns: log
        ratio of the RR before and after the beat to the record's median RR (missing at the ends), QRS width [s], and
        arctanh of the correlation with the record's median beat. `beats` holds the beats, shape (n_beats, 8, n_grid) at
        100 Hz, divided by the RMS of the record's median beat.

    Raises
    ------
    ValueError, TypeError
        If shapes, `fs`, `leads` or the R peaks are not as described. The message names the record.
    """
    x, r = _check_records(X, fs, rpeaks, leads)
    to_grid = resampling_matrix(fs, FS_GRID, beat_window)
    values = [np.empty((0, len(_BEAT_COLUMNS)), dtype=np.float32)]
    grids = [np.empty((0, INDEPENDENT.size, to_grid.shape[1]), dtype=np.float32)]
    for i in range(len(x)):
        inside = keep_inside(r[i], x.shape[2], fs, beat_window)
        if inside.size == 0:
            continue
        template = median_beat(x[i], inside, fs, beat_window)
        rms = beat_rms((template @ to_grid)[None])[0]
        before, after, median_rr = rr_around(r[i] / fs)
        kept = np.isin(r[i], inside)
        rows = np.empty((inside.size, len(_BEAT_COLUMNS)), dtype=np.float32)
        rows[:, 0], rows[:, 1] = before[kept], after[kept]
        for start in range(0, inside.size, BEATS_PER_CHUNK):
            part = slice(start, start + BEATS_PER_CHUNK)
            beats = centred_beats(x[i], inside[part], fs, beat_window)
            waves = beat_waves(beats, fs, np.full(len(beats), median_rr), window_samples(fs, beat_window)[0])
            rows[part, 2] = waves.qrs_offset - waves.qrs_onset
            rows[part, 3] = np.arctanh(np.clip(beat_correlation(beats, template), -0.9995, 0.9995))
            grids.append((beats @ to_grid) / rms)
        values.append(rows)
    return make_feature_table(np.concatenate(values), _BEAT_COLUMNS, np.concatenate(grids))


def with_components(
    table: FeatureTable,
    beats: NDArray[np.float32] | None = None,
    n_components: int = 32,
    *,
    components: Components | None = None,
) -> FeatureTable:
    """Add columns: the scores of the rows' beats on principal components.

    Parameters
    ----------
    table : FeatureTable
        From `record_features` or `beat_features`.
    beats : ndarray of float32, shape (n_rows, n_leads, n_samples), default=None
        One beat per row; None means ``table.beats``.
    n_components : int, default=32
        Number of components to fit; 16 are enough for single beats. Unused if `components` are given.
    components : Components, default=None
        Fitted components, which give the same columns to parts of a data set and to other data.

    Returns
    -------
    table : FeatureTable
        With the columns ``component_0``, ... in the group "components", and without `beats`.

    Raises
    ------
    ValueError
        If there are no beats, or if their number differs from the number of rows.
    """
    beats = table.beats if beats is None else beats
    if beats is None:
        raise ValueError("beats must be given: the table holds none.")
    if len(beats) != len(table.values):
        raise ValueError(f"beats has {len(beats)} rows but the table has {len(table.values)}.")
    fitted = fit_components(beats, n_components) if components is None else components
    scores = component_scores(beats, fitted)
    group = table.group_names.index("components")
    return FeatureTable(
        np.concatenate([table.values, scores], axis=1),
        (*table.names, *(f"component_{k}" for k in range(scores.shape[1]))),
        np.concatenate([table.groups, np.full(scores.shape[1], group, dtype=np.int64)]),
        table.group_names,
        None,
    )


def _check_records(
    X: ArrayLike, fs: float, rpeaks: Sequence[ArrayLike], leads: Sequence[str] | None
) -> tuple[NDArray[np.float32], list[NDArray[np.int64]]]:
    """Return the eight independent leads (NaN if absent) and the R peaks of each record, after checks."""
    window_samples(fs)
    x = np.asarray(X, dtype=np.float32)
    if x.ndim != 3:
        raise ValueError(f"X must have shape (n_records, n_leads, n_times); got {x.shape}.")
    if leads is None and x.shape[1] != len(LEADS):
        raise ValueError(f"leads must name the {x.shape[1]} leads of X; only twelve may go unnamed.")
    if len(rpeaks) != len(x):
        raise ValueError(f"rpeaks must hold one array per record: {len(rpeaks)} arrays for {len(x)} records.")
    placed, present = place_leads(x, LEADS if leads is None else leads)
    eight = placed[:, INDEPENDENT]
    eight[:, ~present[INDEPENDENT]] = np.nan
    if np.isinf(eight).any():
        eight[np.isinf(eight)] = np.nan
    checked = []
    for i, peaks in enumerate(rpeaks):
        r = as_rpeaks(peaks)
        if (np.diff(r) <= 0).any():
            raise ValueError(f"rpeaks of record {i} must increase.")
        checked.append(r)
    return eight, checked


def _wide_median_beat(
    x: NDArray[np.float32], rpeaks: NDArray[np.int64], fs: float, lead_in: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Return the median beat with a lead-in for P, the correlation of every beat with it, and which R peaks were used.

    If the lead-in of the first beat begins before the record, the record's first sample is repeated there. The median
    hides this, and a beat that has no lead-in inside the record is not lost.
    """
    n_before, n_after = window_samples(fs)
    kept = keep_inside(rpeaks, x.shape[1], fs)
    padded = np.concatenate([np.repeat(x[:, :1], lead_in, axis=1), x], axis=1)
    wide = ((n_before + lead_in) / fs, n_after / fs)
    template = median_beat(padded, kept + lead_in, fs, wide)
    core = template[:, lead_in:] - template[:, lead_in:].mean(axis=1, keepdims=True)
    parts = [
        beat_correlation(centred_beats(x, kept[s : s + BEATS_PER_CHUNK], fs), core)
        for s in range(0, kept.size, BEATS_PER_CHUNK)
    ]
    correlation = np.concatenate([np.empty(0, dtype=np.float32), *parts])
    return template, correlation, np.isin(rpeaks, kept)
