"""From class probabilities per sample to P, QRS and T waves, for many strips (one lead of one record each) at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .borders import border_shifts, mean_borders, peaks, samples_of, smooth

__all__ = ["WAVES", "Waves", "find_waves", "paint"]

WAVES = ("P", "QRS", "T")
"""Names of the labels 1, 2 and 3; label 0 is the background."""

_P, _QRS, _T = 1, 2, 3
_N_LABELS = 1 + len(WAVES)
_MIN_SAMPLES = 3  # an onset, a peak and an offset
_INSIDE = 1e-3  # of a sample: the least distance of a peak from the borders of its wave
_SMOOTHING = 0.015  # [s] to either side, in which P and T are looked up: less noise, and they are wide enough
_CHUNK_SAMPLES = 2**16


class Waves(NamedTuple):
    """Waves of all strips, in the order of the strips, then of the onsets.

    Attributes
    ----------
    strip : ndarray of int64, shape (n_waves,)
        Row of the probabilities that the wave was found in.
    wave : ndarray of int8, shape (n_waves,)
        1 P, 2 QRS, 3 T.
    onset, peak, offset : ndarray of float64, shape (n_waves,)
        In samples, between samples where the probabilities say so; ``onset < peak < offset``.
    confidence : ndarray of float32, shape (n_waves,)
        Mean probability of the wave's class over its samples, 0 to 1.
    """

    strip: NDArray[np.int64]
    wave: NDArray[np.int8]
    onset: NDArray[np.float64]
    peak: NDArray[np.float64]
    offset: NDArray[np.float64]
    confidence: NDArray[np.float32]


class _Runs(NamedTuple):
    """Runs of equal label that tile the strips laid end to end; `mass` sums each class's probability over each run."""

    strip: NDArray[np.int64]
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    label: NDArray[np.int8]
    mass: NDArray[np.float32]


class _Rules(NamedTuple):
    """The parameters of `find_waves`, in samples."""

    max_gap: float
    min_length: NDArray[np.float64]
    min_confidence: float
    refractory: float
    p_blanking: float
    smoothing: int
    r_wave: bool
    border_window: int
    need_qrs: bool


def find_waves(
    proba: ArrayLike,
    signal: ArrayLike,
    fs: float,
    *,
    max_gap: float = 0.02,
    min_duration: Sequence[float] = (0.03, 0.03, 0.05),
    min_confidence: float = 0.5,
    refractory: float = 0.15,
    p_blanking: float = 0.06,
    qrs_peak: str = "largest",
    border_window: float = 0.0,
    need_qrs: bool = False,
) -> Waves:
    """Find the waves of many strips from the probabilities of their samples.

    Samples take the label of their largest probability, and runs of equal label become waves in these steps. QRS come
    first: gaps within a complex are closed, complexes that are too short or too uncertain are dropped, and of those
    within the refractory time the one with the largest sum of probability stays. Then gaps in T and P are closed, and
    what is too short or uncertain is dropped; one T stays between two complexes, before the first and after the last:
    that with the largest sum. A P right behind a QRS whose T is still to come is dropped; otherwise any number of P may
    lie between two complexes, as in an AV block.

    Parameters
    ----------
    proba : array-like of float32, shape (n_strips, n_times, 4)
        Probabilities of background, P, QRS and T; they need not sum to exactly 1.
    signal : array-like of float32, shape (n_strips, n_times)
        The signal [mV] that peaks are looked for in: where it is furthest from the line between the borders of a wave,
        for P and T after a moving average over 30 ms. In a constant signal the peak is the middle of its wave. What is
        not finite counts as 0.
    fs : float
        Sampling rate [Hz].
    max_gap : float, default=.02
        Shorter gaps [s] between two runs of one wave are closed, unless they hold another wave that is long enough to
        be one.
    min_duration : sequence of three floats, default=(.03, .03, .05)
        Shorter P, QRS and T [s] are dropped, and so is what has fewer than three samples.
    min_confidence : float, default=.5
        Waves with a lower mean probability are dropped.
    refractory : float, default=.15
        Complexes whose peaks are closer than this [s] are one.
    p_blanking : float, default=.06
        A P between a QRS and its T is dropped if it begins earlier than this [s] after the end of the QRS.
    qrs_peak : {"largest", "r"}, default="largest"
        The peak of a QRS is its largest deflection of either sign, or its R wave: the largest positive deflection, if
        that has at least 1 % of the size of the largest. LUDB marks R waves, however small they are beside the S.
    border_window : float, default=0
        0: a border lies where the probability of the wave equals the largest of the others, by linear interpolation,
        moved inwards by half a sample. Otherwise, how far [s] around the first and the last sample of a wave its
        probability is added up: the border lies at its mean position, which has the least squared error if the
        probabilities are right.
    need_qrs : bool, default=False
        Whether a strip without a single QRS has no waves at all: without beats, what looks like P and T is noise.

    Returns
    -------
    waves : Waves
        Waves of a strip do not overlap. Borders are those of the first and last sample of the wave, as in masks that
        include both, and exactly those where probabilities are 0 and 1.

    Raises
    ------
    ValueError
        If a shape is wrong, `proba` is not finite, a time is negative or not finite, or `qrs_peak` is unknown.
    """
    p, x = np.asarray(proba), np.asarray(signal)
    if p.ndim != 3 or p.shape[2] != _N_LABELS:
        raise ValueError(f"proba must have shape (n_strips, n_times, {_N_LABELS}); got {p.shape}.")
    if x.shape != p.shape[:2]:
        raise ValueError(f"signal must have shape {p.shape[:2]}, that of proba without its classes; got {x.shape}.")
    rules = _rules(fs, max_gap, min_duration, min_confidence, refractory, p_blanking, qrs_peak, border_window, need_qrs)
    n_strips, n_times = x.shape
    if not x.size:
        return _no_waves()
    # Chunks that fit the cache are faster than all strips at once, and bound the memory.
    step = max(_CHUNK_SAMPLES // n_times, 1)
    # Values beyond float32 become infinite, and are refused or replaced there.
    with np.errstate(over="ignore", invalid="ignore"):
        parts = [_find(p[i : i + step], x[i : i + step], i, rules) for i in range(0, n_strips, step)]
    return parts[0] if len(parts) == 1 else Waves(*map(np.concatenate, zip(*parts, strict=True)))


def paint(waves: Waves, n_strips: int, n_times: int) -> NDArray[np.int8]:
    """Paint waves as labels per sample: the inverse of `find_waves`.

    Parameters
    ----------
    waves : Waves
        Of these, strip, wave, onset and offset are used. Where waves overlap, the later row wins.
    n_strips, n_times : int
        Shape of the labels.

    Returns
    -------
    labels : ndarray of int8, shape (n_strips, n_times)
        0 background, 1 P, 2 QRS, 3 T, from the sample nearest to the onset to that nearest to the offset, both
        included; what lies outside the strip is not painted.

    Raises
    ------
    ValueError
        If a wave is of a strip that does not exist.
    """
    labels = np.zeros((n_strips, n_times), np.int8)
    strip = np.asarray(waves.strip)
    if strip.size and not 0 <= strip.min() <= strip.max() < n_strips:
        raise ValueError(f"waves are of strips {strip.min()} to {strip.max()}; n_strips is {n_strips}.")
    # Halves round inwards, so that waves that touch stay apart.
    first = np.maximum(np.floor(waves.onset + 0.5).astype(np.int64), 0)
    last = np.minimum(np.ceil(waves.offset - 0.5).astype(np.int64), n_times - 1)
    length = np.maximum(last - first + 1, 0)
    labels.ravel()[samples_of(strip * n_times + first, length)] = np.repeat(waves.wave, length)
    return labels


def _rules(
    fs: float,
    max_gap: float,
    min_duration: Sequence[float],
    min_confidence: float,
    refractory: float,
    p_blanking: float,
    qrs_peak: str,
    border_window: float,
    need_qrs: bool,
) -> _Rules:
    if not np.isfinite(fs) or fs <= 0:
        raise ValueError(f"fs must be a positive, finite rate in Hz; got {fs!r}.")
    durations = np.asarray(min_duration, dtype=np.float64)
    if durations.shape != (len(WAVES),) or not (np.isfinite(durations) & (durations >= 0)).all():
        raise ValueError(f"min_duration must be non-negative times in seconds of P, QRS and T; got {min_duration!r}.")
    others = {"max_gap": max_gap, "min_confidence": min_confidence, "refractory": refractory, "p_blanking": p_blanking}
    others["border_window"] = border_window
    for name, value in others.items():
        if not np.isfinite(value) or value < 0:
            raise ValueError(f"{name} must be non-negative and finite; got {value!r}.")
    if qrs_peak not in ("largest", "r"):
        raise ValueError(f"qrs_peak must be 'largest' or 'r'; got {qrs_peak!r}.")
    # A hair less than the times, so that .07 s is 7 samples at 100 Hz whatever the rounding of the product.
    gap, dead, blank = (time * fs - 1e-6 for time in (max_gap, refractory, p_blanking))
    min_length = np.append(0.0, np.maximum(durations * fs - 1e-6, _MIN_SAMPLES))
    smoothing, window = int(_SMOOTHING * fs), round(border_window * fs)
    return _Rules(gap, min_length, min_confidence, dead, blank, smoothing, qrs_peak == "r", window, need_qrs)


def _find(proba: NDArray[Any], signal: NDArray[Any], first_strip: int, rules: _Rules) -> Waves:
    """The waves of a chunk of strips, the first of which is `first_strip`."""
    planes = np.ascontiguousarray(proba.transpose(2, 0, 1), dtype=np.float32).reshape(_N_LABELS, -1)
    # Extremes carry NaN and infinities, without a temporary array.
    if not np.isfinite(planes.max() - planes.min()):
        raise ValueError(f"proba must be finite; strips {first_strip} to {first_strip + len(proba) - 1} are not.")
    x = np.ascontiguousarray(signal, dtype=np.float32)
    if not np.isfinite(x.max() - x.min()):
        x = np.where(np.isfinite(x), x, np.float32(0))
    runs = _close_gaps(_label_runs(planes, x.shape[1]), _QRS, rules)
    _drop_implausible(runs, (_QRS,), rules)
    _drop_refractory(runs, x, rules)
    for wave in (_T, _P):
        runs = _close_gaps(runs, wave, rules)
    _drop_implausible(runs, (_P, _T), rules)
    _keep_one_t(runs)
    _drop_early_p(runs, rules)
    if rules.need_qrs:
        beatless = np.bincount(runs.strip, runs.label == _QRS, minlength=len(x)) == 0
        runs.label[beatless[runs.strip]] = 0
    return _measure(runs, planes, x, first_strip, rules)


def _label_runs(planes: NDArray[np.float32], n_times: int) -> _Runs:
    """Runs of the label of the largest probability, of the first of those that are equal."""
    label = (planes[1] > planes[0]).view(np.int8)
    best = np.maximum(planes[0], planes[1])
    for k in range(2, _N_LABELS):
        # Labels grow with k, so that the maximum with k overwrites.
        label = np.maximum(label, np.multiply(planes[k] > best, k, dtype=np.int8))
        best = np.maximum(best, planes[k])
    begins = np.ones(label.size, bool)
    np.not_equal(label[1:], label[:-1], out=begins[1:])
    begins[::n_times] = True
    start = np.flatnonzero(begins)
    length = np.diff(start, append=label.size)
    return _Runs(start // n_times, start, length, label[start], np.add.reduceat(planes, start, axis=1))


def _close_gaps(runs: _Runs, wave: int, rules: _Rules) -> _Runs:
    """Join runs of a wave that are separated by a short gap without another wave in it."""
    rows = np.flatnonzero(runs.label == wave)
    left, right = rows[:-1], rows[1:]
    gap = runs.start[right] - (runs.start + runs.length)[left]
    close = (gap < rules.max_gap) & (runs.strip[right] == runs.strip[left])
    if not close.any():
        return runs
    others = (runs.label > 0) & (runs.label != wave) & (runs.length >= rules.min_length[runs.label])
    count = np.cumsum(others)
    close &= count[right] == count[left]
    depth = np.zeros(runs.label.size, np.int8)
    depth[left[close] + 1] += 1
    depth[right[close]] -= 1
    label = np.where(np.cumsum(depth, dtype=np.int8) > 0, np.int8(wave), runs.label)
    begins = np.ones(label.size, bool)
    begins[1:] = (label[1:] != label[:-1]) | (runs.strip[1:] != runs.strip[:-1])
    first = np.flatnonzero(begins)
    length, mass = np.add.reduceat(runs.length, first), np.add.reduceat(runs.mass, first, axis=1)
    return _Runs(runs.strip[first], runs.start[first], length, label[first], mass)


def _drop_implausible(runs: _Runs, waves: tuple[int, ...], rules: _Rules) -> None:
    """Make background of what is too short or too uncertain."""
    for wave in waves:
        bad = (runs.length < rules.min_length[wave]) | (runs.mass[wave] < rules.min_confidence * runs.length)
        runs.label[bad & (runs.label == wave)] = 0


def _drop_refractory(runs: _Runs, x: NDArray[np.float32], rules: _Rules) -> None:
    """Of complexes that are too close keep the strongest, then the strongest of those that it leaves, and so on."""
    rows = np.flatnonzero(runs.label == _QRS)
    start, length, strip = runs.start[rows], runs.length[rows], runs.strip[rows]
    if not ((start[1:] - (start + length)[:-1] < rules.refractory) & (strip[1:] == strip[:-1])).any():
        return
    peak = start + peaks(x.ravel(), start, length, np.full(rows.size, rules.r_wave))
    # Strips far apart: what is near on this axis is near in one strip.
    peak += strip * np.ceil(rules.refractory + 1)
    rank = np.empty(rows.size, np.int64)
    rank[np.argsort(-runs.mass[_QRS, rows], kind="stable")] = np.arange(rows.size)
    while (np.diff(peak) < rules.refractory).any():
        first = np.searchsorted(peak, peak - rules.refractory, side="right")
        last = np.searchsorted(peak, peak + rules.refractory, side="left")
        ranges = np.stack([first, last], axis=1).ravel()
        wins = rank == np.minimum.reduceat(np.append(rank, rank.size), ranges)[::2]
        n_wins = np.append(0, np.cumsum(wins))
        keep = wins | (n_wins[last] == n_wins[first])
        runs.label[rows[~keep]] = 0
        rows, peak, rank = rows[keep], peak[keep], rank[keep]


def _keep_one_t(runs: _Runs) -> None:
    """Drop all T of a beat but the one with the largest sum of probability."""
    rows = np.flatnonzero(runs.label == _T)
    beat = _beats(runs)[rows]
    order = np.lexsort((-runs.mass[_T, rows], beat))
    again = beat[order][1:] == beat[order][:-1]
    runs.label[rows[order[1:][again]]] = 0


def _drop_early_p(runs: _Runs, rules: _Rules) -> None:
    """Drop each P that begins right after a QRS, before its T: it is a piece of the ST segment."""
    rows = np.flatnonzero(runs.label == _P)
    beat = _beats(runs)
    last = np.full(beat[-1] + 1, -1)
    complex_end = np.full(beat[-1] + 1, -np.inf)
    t, qrs = (np.flatnonzero(runs.label == wave) for wave in (_T, _QRS))
    last[beat[t]] = t
    complex_end[beat[qrs]] = (runs.start + runs.length)[qrs]
    early = runs.start[rows] - complex_end[beat[rows]] < rules.p_blanking
    runs.label[rows[early & (last[beat[rows]] > rows)]] = 0


def _beats(runs: _Runs) -> NDArray[np.int64]:
    """Number of the stretch from one QRS to the next that each run is in, counted over all strips."""
    return np.cumsum(runs.label == _QRS) + runs.strip


def _measure(
    runs: _Runs, planes: NDArray[np.float32], x: NDArray[np.float32], first_strip: int, rules: _Rules
) -> Waves:
    rows = np.flatnonzero(runs.label)
    strip, start, length, label = runs.strip[rows], runs.start[rows], runs.length[rows], runs.label[rows]
    n_times = x.shape[1]
    first = start - strip * n_times
    last = first + length - 1
    if rules.border_window:
        onset, offset = mean_borders(planes, strip, first, last, label, n_times, rules.border_window)
    else:
        before, behind = border_shifts(planes, start, length, label)
        onset, offset = first - before * (first > 0), last + behind * (last < n_times - 1)
    # P and T are looked up in the smoothed copy behind the signal itself.
    both = np.concatenate([x, smooth(x, rules.smoothing)]).ravel()
    is_qrs = label == _QRS
    peak = first + peaks(both, np.where(is_qrs, start, start + x.size), length, is_qrs & rules.r_wave)
    peak = np.clip(peak, onset + _INSIDE, offset - _INSIDE)
    confidence = np.clip(runs.mass[label, rows] / length, 0, 1).astype(np.float32)
    return Waves(strip + first_strip, label, onset, peak, offset, confidence)


def _no_waves() -> Waves:
    onset, peak, offset = np.empty((3, 0), np.float64)
    return Waves(np.empty(0, np.int64), np.empty(0, np.int8), onset, peak, offset, np.empty(0, np.float32))
