"""Morphology of heartbeats: QRS, T and P wave of each beat beside what is typical of the record.

A ventricular beat has a wide QRS of another shape, and a T wave against it; an atrial premature beat has the usual QRS
after another P wave. These columns measure that in the signal, at 250 Hz, so that they do not depend on an encoder.
Leads are scaled by their own QRS and then taken together: any number of leads, of any name, gives the same columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, sosfiltfilt

from .beat_middle import GRID_HZ, centre_of_slopes, windows_at
from .beat_timing import pieces
from .column_medians import column_medians
from .matching import as_positions
from .preprocess import check_fs

__all__ = ["MORPHOLOGY_NAMES", "beat_morphology", "stretches_morphology"]

Floats = NDArray[Any]
# Returns the samples (n_leads, stop - start) of a record from one to before another.
Read = Callable[[int, int], Floats]

_BAND = (0.5, 40.0)
# What is read on either side of a stretch of beats, so that the filter has settled [s].
_MARGIN = 5.0
# Around the middle of the QRS [s].
_BEFORE, _AFTER = 0.4, 0.56
_QRS, _WIDE_QRS, _T, _P, _P_SEARCHED = (-0.10, 0.10), (-0.14, 0.14), (0.12, 0.44), (-0.28, -0.06), (-0.36, -0.05)
_PR_LEVEL = (-0.12, -0.08)
# A lead whose QRS is smaller than this share of the largest lead's is noise.
_LEAST_LEAD = 0.03
# A beat whose slopes are all smaller than this share of the record's large ones has no signal.
_LEAST_BEAT = 1e-3
_FEWEST = 4
_BOUND, _SPREADS = 2.0, 8.0

_WIDTHS = ("width90", "width50", "width_rms", "width_level")
_KINDS = ("likeness", "likeness_most", "likeness_least", "unlikeness", "unlikeness_spread", "size", "distance")
MORPHOLOGY_NAMES: tuple[str, ...] = (
    "qrs_shift",
    *(f"qrs_{width}{kind}" for width in _WIDTHS for kind in ("", "_log", "_spread")),
    "qrs_slope",
    *(f"qrs_{kind}" for kind in _KINDS),
    *("qrs_rarity", "qrs_area", "qrs_swing_most", "qrs_swing_least", "qrs_change_before", "qrs_change_after"),
    *("t_likeness", "t_distance", "t_rarity", "t_discordance", "qrs_one_sided"),
    *("p_likeness", "p_distance", "p_rarity", "p_size", "p_typical", "p_best", "p_lag", "p_share"),
)
"""Names of the columns of `beat_morphology`."""


def beat_morphology(signal: ArrayLike, rpeaks: ArrayLike, fs: float) -> NDArray[np.float32]:
    """Describe the waves of the beats of one record beside its typical beat.

    Parameters
    ----------
    signal : array-like of shape (n_leads, n_times)
        One record, in any unit. NaN counts as 0.
    rpeaks : array-like of shape (n_beats,)
        R peaks [samples], increasing.
    fs : float
        Sampling rate [Hz], 50 to 2000.

    Returns
    -------
    ndarray (n_beats, 40) float32
        Columns are named by `MORPHOLOGY_NAMES`. The typical wave is the median of the half of the beats that are
        nearest to the median of all; of long records, over each stretch of about 2,000 beats. Each beat is read from
        the middle of its QRS, the centre of the squared slope, and not from its R peak: the R peak of a wide beat lies
        at another place for each detector. With fewer than four beats, or no lead with a QRS, all columns are 0. So
        are those of beats where there is no signal, which do not count as neighbours either.

        - ``qrs_shift``: middle of the QRS after the R peak [s], less the record's median.
        - ``qrs_width90``, ``50``, ``rms``, ``level``: log ratio to the record's median of the time that holds 90 or
          50 % of the squared slope, of its standard deviation, and of the time from the first to the last moment where
          its root is above 20 % of its maximum. ``_log``: log of that time [s]; ``_spread``: the ratio over the robust
          spread of the record. ``qrs_slope``: log ratio of the steepest slopes.
        - ``qrs_likeness``: cosine with the typical QRS, all leads together; ``most`` and ``least`` over leads.
          ``qrs_unlikeness``: log of one minus it; ``spread`` as above. ``qrs_size``, ``qrs_area``: log ratios of root
          mean square and mean absolute value. ``qrs_distance``: log of the distance over the typical QRS's size;
          ``qrs_rarity``: over the record's median distance. ``qrs_swing_most``, ``least``: log of the amplitude over
          the usual one of the lead.
        - ``qrs_change_before``, ``after``: log of one minus the cosine with the neighbour's QRS; at the ends, with
          itself.
        - ``t_likeness``, ``t_distance``, ``t_rarity``: as of the QRS. ``t_discordance``: whether T goes with the QRS
          (1) or against it (-1), over all leads. ``qrs_one_sided``: whether the QRS has one direction (1) or two (0).
        - ``p_likeness``, ``p_distance``, ``p_rarity``, ``p_size``: as of the QRS, of the stretch of the P wave, from
          280 to 60 ms before the middle of the QRS, less a straight line. ``p_typical``: log of the typical one's size
          over the QRS. ``p_best``: best likeness with it as it moves; ``p_lag``: where that is [s], less the record's
          median. ``p_share``: how much of the typical P wave there is, 1 as usual.

    Raises
    ------
    TypeError
        If the signal or `fs` is no number.
    ValueError
        If the signal is not (n_leads, n_times) with at least one lead, or holds what float32 cannot, positions are not
        finite, do not increase or lie outside, or `fs` is not 50 to 2000 Hz.

    References
    ----------
    P. de Chazal et al., IEEE Trans. Biomed. Eng. 51(7), 2004 (widths, and P wave, beside the record's). T. Teijeiro et
    al., Physiol. Meas. 39, 2018 (QRS beside the record's usual one). M. Llamedo, J. P. Martinez, IEEE Trans. Biomed.
    Eng. 58(3), 2011 (features that carry over to other leads and databases).

    Examples
    --------
    >>> from beatssl_sklearn import make_ecg
    >>> from beatssl_sklearn.ecg import MORPHOLOGY_NAMES, beat_morphology
    >>> ecg = make_ecg(1, rhythm="pvc", fs=250, duration=30, random_state=0)
    >>> found = beat_morphology(ecg.data[0], ecg.rpeaks[0], fs=250)
    >>> likeness = found[:, MORPHOLOGY_NAMES.index("qrs_likeness")]
    >>> ventricular = ecg.beat_types[0] == "V"
    >>> bool(likeness[ventricular].max() < likeness[~ventricular].min())
    True
    """
    whole = np.asarray(signal)
    if whole.ndim != 2 or not len(whole):
        raise ValueError(f"signal must be (n_leads, n_times), got {whole.shape}; at least one lead is needed")
    if whole.dtype.kind not in "biuf":
        raise TypeError(f"signal must hold real numbers, got {whole.dtype}")
    if whole.dtype.kind == "f" and whole.dtype.itemsize > 4:
        largest = np.fmax.reduce(np.abs(whole), axis=None, initial=0.0)
        if largest > np.finfo(np.float32).max:
            raise ValueError(f"signal holds {largest:.3g}, more than float32 can hold")
    return stretches_morphology(lambda start, stop: whole[:, start:stop], whole.shape[1], rpeaks, fs)


def stretches_morphology(read: Read, n_times: int, rpeaks: ArrayLike, fs: float) -> NDArray[np.float32]:
    """Describe the waves as `beat_morphology` does, of a record that must not be in memory as a whole.

    Parameters
    ----------
    read : callable
        ``read(start, stop)`` returns the samples from `start` to before `stop`, an array (n_leads, stop - start).
    n_times : int
        Samples of the record.
    rpeaks, fs : as for `beat_morphology`

    Returns
    -------
    ndarray (n_beats, 40) float32
        As of the whole record, in stretches of about half an hour.

    Raises
    ------
    TypeError, ValueError
        As `beat_morphology`, of `fs` and positions.
    """
    fs = check_fs(fs)
    at = as_positions(rpeaks, "rpeaks")
    if (np.diff(at) <= 0).any():
        raise ValueError(f"rpeaks must increase, got {rpeaks!r:.80}")
    if len(at) and not (0 <= at[0] and at[-1] < n_times):
        raise ValueError(f"rpeaks must lie within the {n_times} samples of the signal, got {rpeaks!r:.80}")
    found = np.zeros((len(at), len(MORPHOLOGY_NAMES)), dtype=np.float32)
    if len(at) < _FEWEST:
        return found
    margin = round(_MARGIN * fs)
    for piece in pieces(len(at)):
        first = max(0, int(at[piece.start]) - margin)
        samples = read(first, min(n_times, int(at[piece.stop - 1]) + margin))
        stretch = _stretch(_filtered(samples, fs), at[piece] - first, fs)
        if stretch is not None:
            columns = np.stack([*_qrs_columns(stretch), *_t_columns(stretch), *_p_columns(stretch)], axis=1)
            found[piece][stretch.alive] = columns
    return found


def _filtered(samples: Floats, fs: float) -> NDArray[np.float32]:
    """Return a stretch of signal without baseline wander and hum, (n_leads, n_times)."""
    sos = butter(2, (_BAND[0], min(_BAND[1], 0.45 * fs)), "bandpass", fs=fs, output="sos")
    pad = min(3 * round(fs), samples.shape[1] - 1)
    known = np.nan_to_num(samples.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    # Lead by lead: the filter computes in double precision.
    return np.stack([sosfiltfilt(sos, lead, padlen=pad).astype(np.float32) for lead in known])


class _Stretch(NamedTuple):
    """Beats of a stretch of a record, read from the middle of their QRS.

    Attributes
    ----------
    beats : ndarray (n_beats, n_leads, n_samples)
        At 250 Hz, over the usual amplitude of the QRS of the lead.
    steepness : ndarray (n_beats, n_samples - 1)
        Squared slopes, over the usual slope of the lead, summed over leads.
    shift : ndarray (n_beats,)
        Middle of the QRS after the R peak [s].
    alive : bool ndarray
        Which of all beats of the stretch these are: those with a signal.
    """

    beats: NDArray[np.float32]
    steepness: NDArray[np.float32]
    shift: Floats
    alive: NDArray[np.bool_]


def _stretch(signal: NDArray[np.float32], at: Floats, fs: float) -> _Stretch | None:
    """Return the beats of a stretch, or None if no lead has a QRS."""
    before, after = 0.2, 0.3
    slopes = np.diff(windows_at(signal, at, fs, before, after), axis=2)
    steepest = np.abs(slopes).max(axis=2)
    # In flat stretches there is what is left of the filter's step, and no beat to compare with others.
    alive = (steepest > _LEAST_BEAT * np.quantile(steepest, 0.9, axis=0)).any(axis=1)
    if alive.sum() < _FEWEST:
        return None
    if not alive.all():
        slopes, steepest, at = slopes[alive], steepest[alive], at[alive]
    usual = np.median(steepest, axis=0)
    kept = usual > _LEAST_LEAD * usual.max()
    if not kept.any():
        return None
    steepness = ((slopes[:, kept] / usual[kept, None]) ** 2).sum(axis=1)
    shift = centre_of_slopes(steepness, ((np.arange(steepness.shape[1]) + 0.5) / GRID_HZ - before).astype(np.float32))
    beats = windows_at(signal[kept], at + shift * fs, fs, _BEFORE, _AFTER)
    slopes = np.diff(beats, axis=2) / usual[kept, None]
    qrs = beats[:, :, _span(_QRS)]
    amplitude = np.median(qrs.max(axis=2) - qrs.min(axis=2), axis=0)
    return _Stretch(beats / (amplitude[:, None] + 1e-12), (slopes**2).sum(axis=1), shift, alive)


def _span(borders: tuple[float, float]) -> slice:
    """Return the samples of a beat between two times after the middle of its QRS [s]."""
    start, stop = (round(_BEFORE * GRID_HZ) + round(t * GRID_HZ) for t in borders)
    return slice(start, stop + 1)


def _norm(x: Floats) -> Floats:
    return np.sqrt((x * x).sum(axis=-1))


def _against(x: Floats, soft: float) -> Floats:
    """Return the bounded log ratio of positive numbers to their median."""
    return np.clip(np.log((x + soft) / (np.median(x) + soft)), -_BOUND, _BOUND)


def _over_spread(x: Floats, floor: float) -> Floats:
    """Return the difference from the median over the robust spread."""
    away = x - np.median(x)
    return np.clip(away / (1.4826 * np.median(np.abs(away)) + floor), -_SPREADS, _SPREADS)


def _typical(x: Floats) -> Floats:
    """Return the median of the half of the rows that are nearest to the median of all."""
    distance = _norm(x - column_medians(x))
    return column_medians(x[distance <= np.median(distance)])


def _cosine(x: Floats, y: Floats, soft: float = 1e-6) -> Floats:
    return (x * y).sum(axis=-1) / (_norm(x) * _norm(y) + soft)


def _widths(steepness: Floats) -> list[Floats]:
    """Return four durations of the QRS [s], as `_WIDTHS`."""
    times = ((np.arange(steepness.shape[1]) + 0.5 - round(_BEFORE * GRID_HZ)) / GRID_HZ).astype(np.float32)
    near = steepness * np.exp(-0.5 * (times / 0.07) ** 2)
    rms = np.sqrt((near * times**2).sum(axis=1) / (near.sum(axis=1) + 1e-9))
    own = steepness[:, _span(_WIDE_QRS)]
    share = np.cumsum(own, axis=1) / (own.sum(axis=1, keepdims=True) + 1e-9)
    at = {q: np.argmax(share >= q, axis=1) / GRID_HZ for q in (0.05, 0.25, 0.75, 0.95)}
    root = np.sqrt(uniform_filter1d(own, 5, axis=1, mode="constant"))
    above = root > 0.2 * root.max(axis=1, keepdims=True)
    level = (above.shape[1] - 1 - np.argmax(above[:, ::-1], axis=1) - np.argmax(above, axis=1)) / GRID_HZ
    return [at[0.95] - at[0.05], at[0.75] - at[0.25], rms, level]


def _qrs_columns(stretch: _Stretch) -> list[Floats]:
    """Return the columns of the QRS but for its direction."""
    found = [stretch.shift - np.median(stretch.shift)]
    for width in _widths(stretch.steepness):
        log = np.log(width + 0.01)
        found += [log - np.median(log), log, _over_spread(log, 0.05)]
    found.append(_against(np.sqrt(stretch.steepness[:, _span(_WIDE_QRS)].max(axis=1)), 1e-3))
    qrs = _levelled_qrs(stretch)
    flat = qrs.reshape(len(qrs), -1)
    typical = _typical(flat)
    by_lead = _cosine(qrs, typical.reshape(qrs.shape[1:]))
    likeness = _cosine(flat, typical)
    unlike = np.log(1.005 - likeness)
    found += [likeness, by_lead.max(axis=1), by_lead.min(axis=1), unlike, _over_spread(unlike, 0.1)]
    distance = _norm(flat - typical) / (_norm(typical) + 1e-6)
    found.append(np.clip(np.log((_norm(flat) + 0.05) / (_norm(typical) + 0.05)), -_BOUND, _BOUND))
    found += [np.log(distance + 0.02), np.log((distance + 0.02) / (np.median(distance) + 0.02))]
    swing = np.log(qrs.max(axis=2) - qrs.min(axis=2) + 0.05)
    found += [_against(np.abs(qrs).mean(axis=(1, 2)), 0.02), swing.max(axis=1), swing.min(axis=1)]
    alike = _cosine(flat[1:], flat[:-1])
    # The first beat is its own neighbour before, and the last one after.
    found += [np.log(1.005 - np.pad(alike, beside, constant_values=1)) for beside in ((1, 0), (0, 1))]
    return found


def _levelled_qrs(stretch: _Stretch) -> Floats:
    """Return the QRS of each beat (n_beats, n_leads, n_samples) from its own level."""
    level = column_medians(np.moveaxis(stretch.beats[:, :, _span(_WIDE_QRS)], 2, 0))
    return stretch.beats[:, :, _span(_QRS)] - level[:, :, None]


def _t_columns(stretch: _Stretch) -> list[Floats]:
    """Return the columns of the T wave, and the directions of QRS and T."""
    level = stretch.beats[:, :, _span(_PR_LEVEL)].mean(axis=2, keepdims=True)
    t = stretch.beats[:, :, _span(_T)] - level
    qrs = _levelled_qrs(stretch)
    direction = qrs.mean(axis=2)
    flat = t.reshape(len(t), -1)
    typical = _typical(flat)
    distance = _norm(flat - typical)
    return [
        _cosine(flat, typical, 1e-3),
        np.log(distance / (_norm(typical) + 0.05) + 0.05),
        np.log((distance + 0.05) / (np.median(distance) + 0.05)),
        _cosine(t.mean(axis=2), direction, 0.02),
        np.abs(direction).sum(axis=1) / (np.abs(qrs).mean(axis=2).sum(axis=1) + 0.02),
    ]


def _p_columns(stretch: _Stretch) -> list[Floats]:
    """Return the columns of the P wave."""
    p = stretch.beats[:, :, _span(_P)]
    start, stop = p[:, :, :3].mean(axis=2, keepdims=True), p[:, :, -3:].mean(axis=2, keepdims=True)
    p = p - start - (stop - start) * np.linspace(0, 1, p.shape[2], dtype=np.float32)
    p = p - p.mean(axis=2, keepdims=True)
    flat = p.reshape(len(p), -1)
    typical = _typical(flat)
    distance, size = _norm(flat - typical), _norm(typical)
    best, lag = _best_match(stretch.beats[:, :, _span(_P_SEARCHED)], typical.reshape(p.shape[1:])[:, 8:-8])
    return [
        _cosine(flat, typical, 1e-3),
        np.log((distance + 0.05) / (size + 0.05)),
        np.log((distance + 0.03) / (np.median(distance) + 0.03)),
        np.clip(np.log((_norm(flat) + 0.05) / (size + 0.05)), -_BOUND, _BOUND),
        np.full(len(p), np.log(size + 0.02)),
        best,
        lag - np.median(lag),
        np.clip(flat @ typical / (typical @ typical + 0.02), -1, 2),
    ]


def _best_match(searched: Floats, wave: Floats) -> tuple[Floats, Floats]:
    """Return how well a wave (n_leads, n) is found at its best place, all leads together, and where that is [s]."""
    wave = wave - wave.mean(axis=1, keepdims=True)
    n = wave.shape[1]
    n_places = searched.shape[2] - n + 1
    places = np.zeros((len(wave), searched.shape[2], n_places), dtype=np.float32)
    for k in range(n_places):
        places[:, k : k + n, k] = wave
    product = np.einsum("nlt,ltk->nk", searched, places, optimize=True)
    energy = (_sliding_sums(searched**2, n) - _sliding_sums(searched, n) ** 2 / n).sum(axis=1)
    likeness = product / (np.sqrt(np.maximum(energy, 0)) * _norm(wave.ravel()) + 1e-2)
    return likeness.max(axis=1), likeness.argmax(axis=1) / GRID_HZ


def _sliding_sums(x: Floats, n: int) -> Floats:
    sums = np.cumsum(x, axis=-1, dtype=np.float64)
    return sums[..., n - 1 :] - np.concatenate([np.zeros_like(sums[..., :1]), sums[..., :-n]], axis=-1)
