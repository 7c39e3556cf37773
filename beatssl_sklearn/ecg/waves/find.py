"""P, QRS and T waves from the probabilities of samples, for many strips (one lead of one record each) at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .borders import border_shifts, mean_borders, peaks, samples_of, smooth
from .rhythm import unsteady
from .rules import LABEL_P, LABEL_QRS, LABEL_T, WAVES, Rules, checked_rules

__all__ = ["WAVES", "Waves", "find_waves", "paint"]

_N_LABELS = 1 + len(WAVES)
_INSIDE = 1e-3  # [samples] least distance of a peak from the borders of its wave
_CHUNK_SAMPLES = 2**16


class Waves(NamedTuple):
    """Waves of all strips, in the order of the strips, then of the onsets.

    Attributes
    ----------
    strip : ndarray of int64, shape (n_waves,)
        Row of the probabilities in which the wave was found.
    wave : ndarray of int8, shape (n_waves,)
        1 P, 2 QRS, 3 T.
    onset, peak, offset : ndarray of float64, shape (n_waves,)
        In samples, with fractions; ``onset < peak < offset``.
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
    """Runs of equal label that cover all strips in order; `mass` is the sum of each probability over a run."""

    strip: NDArray[np.int64]
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    label: NDArray[np.int8]
    mass: NDArray[np.float32]


def find_waves(
    proba: ArrayLike,
    signal: ArrayLike,
    fs: float,
    *,
    max_gap: float = 0.02,
    min_duration: Sequence[float] = (0.03, 0.03, 0.05),
    min_confidence: float | Sequence[float] = 0.5,
    refractory: float = 0.15,
    p_blanking: float = 0.06,
    qrs_peak: str = "largest",
    border_window: float = 0.0,
    need_qrs: bool = False,
    sure_p: tuple[float, float] | None = None,
    steady_p: float | None = None,
) -> Waves:
    """Find the waves of many strips from the probabilities of their samples.

    A sample has the label of its largest probability. Runs of equal label become waves in these steps:

    1. QRS: close gaps within a complex; drop complexes that are too short or too uncertain; of several complexes within
       the refractory time keep the one with the largest sum of probability.
    2. T and P: close gaps; drop waves that are too short or too uncertain.
    3. T: between two complexes, before the first and after the last, keep the T with the largest sum.
    4. P: drop a P right after a QRS, before its T. Else any number of P can lie between two complexes, as in AV block.

    Parameters
    ----------
    proba : array-like of float32, shape (n_strips, n_times, 4)
        Probabilities of background, P, QRS and T; they need not sum to exactly 1.
    signal : array-like of float32, shape (n_strips, n_times)
        Signal [mV] for the peaks. A peak is where the signal is farthest from the line between the borders of the wave,
        for P and T after a moving average over 30 ms. In a constant signal it is the middle of the wave. Samples that
        are not finite count as 0.
    fs : float
        Sampling rate [Hz].
    max_gap : float, default=.02
        Shorter gaps [s] between two runs of one wave are closed, unless such a gap holds another wave of sufficient
        length.
    min_duration : sequence of three floats, default=(.03, .03, .05)
        Shorter P, QRS and T [s] are dropped, and also waves of fewer than three samples.
    min_confidence : float or sequence of three floats, default=.5
        Waves with a lower mean probability are dropped; three values are those of P, QRS and T.
    refractory : float, default=.15
        Complexes whose peaks are closer than this [s] count as one.
    p_blanking : float, default=.06
        A P between a QRS and its T is dropped if it begins earlier than this [s] after the end of the QRS.
    qrs_peak : {"largest", "r"}, default="largest"
        Peak of a QRS: its largest deflection of either sign; or its R wave, the largest positive deflection, if this is
        at least 1 % of the largest. LUDB marks R waves, even very small ones beside a large S.
    border_window : float, default=0
        0: a border lies where the probability of the wave equals the largest other probability, by linear
        interpolation, moved inwards by half a sample. Otherwise the probability of the wave is summed so far [s] around
        its first and last sample: the border lies at its mean position, which has the least squared error if the
        probabilities are right.
    need_qrs : bool, default=False
        Whether a strip without any QRS has no waves at all: without beats, apparent P and T are noise.
    sure_p : tuple of two floats or None, default=None
        A confidence and a share: a P below the confidence is kept only in a strip with at least so many surer ones for
        each QRS. In fibrillation there are none, so that what looks like a P here and there is dropped.
    steady_p : float or None, default=None
        A share: a strip keeps its P waves only if so many of its QRS have one at the usual distance before them (within
        30 ms of the median), if there are more P than QRS, or if five or more P come at regular intervals.

    Returns
    -------
    waves : Waves
        Waves of a strip do not overlap. A wave includes the samples at its borders, as in a mask; if all probabilities
        are 0 or 1, the borders are exactly its first and last sample.

    Raises
    ------
    ValueError
        If a shape is wrong, if `proba` is not finite, if a time or confidence is negative or not finite, or if
        `qrs_peak` is unknown.
    TypeError
        If a time, confidence or share is no number.
    """
    p, x = np.asarray(proba), np.asarray(signal)
    if p.ndim != 3 or p.shape[2] != _N_LABELS:
        raise ValueError(f"proba must have shape (n_strips, n_times, {_N_LABELS}); got {p.shape}.")
    if x.shape != p.shape[:2]:
        raise ValueError(f"signal must have shape {p.shape[:2]}, as proba without its classes; got {x.shape}.")
    rules = checked_rules(
        fs,
        max_gap=max_gap,
        min_duration=min_duration,
        min_confidence=min_confidence,
        refractory=refractory,
        p_blanking=p_blanking,
        qrs_peak=qrs_peak,
        border_window=border_window,
        need_qrs=need_qrs,
        sure_p=sure_p,
        steady_p=steady_p,
    )
    n_strips, n_times = x.shape
    if not x.size:
        return _no_waves()
    # Chunks that fit the cache are faster than all strips at once, and they limit memory.
    step = max(_CHUNK_SAMPLES // n_times, 1)
    # Values beyond float32 become infinite, which `_find` refuses in proba and replaces in signal.
    with np.errstate(over="ignore", invalid="ignore"):
        parts = [_find(p[i : i + step], x[i : i + step], i, rules) for i in range(0, n_strips, step)]
    return parts[0] if len(parts) == 1 else Waves(*map(np.concatenate, zip(*parts, strict=True)))


def paint(waves: Waves, n_strips: int, n_times: int) -> NDArray[np.int8]:
    """Turn waves into labels of samples: the inverse of `find_waves`.

    Parameters
    ----------
    waves : Waves
        Strip, wave, onset and offset are used. If waves overlap, the later row wins.
    n_strips, n_times : int
        Shape of the labels.

    Returns
    -------
    labels : ndarray of int8, shape (n_strips, n_times)
        0 background, 1 P, 2 QRS, 3 T. A wave has its label from the sample nearest to its onset to the sample nearest
        to its offset, both included, as far as they lie inside the strip.

    Raises
    ------
    ValueError
        If a wave belongs to a strip that does not exist.
    """
    labels = np.zeros((n_strips, n_times), np.int8)
    strip = np.asarray(waves.strip)
    if strip.size and not 0 <= strip.min() <= strip.max() < n_strips:
        raise ValueError(f"waves are of strips {strip.min()} to {strip.max()}; n_strips is {n_strips}.")
    # Halves round inwards, so that waves which touch stay apart.
    first = np.maximum(np.floor(waves.onset + 0.5).astype(np.int64), 0)
    last = np.minimum(np.ceil(waves.offset - 0.5).astype(np.int64), n_times - 1)
    length = np.maximum(last - first + 1, 0)
    labels.ravel()[samples_of(strip * n_times + first, length)] = np.repeat(waves.wave, length)
    return labels


def _find(proba: NDArray[Any], signal: NDArray[Any], first_strip: int, rules: Rules) -> Waves:
    """Find the waves of a chunk of strips that begins with strip `first_strip`."""
    planes = np.ascontiguousarray(proba.transpose(2, 0, 1), dtype=np.float32).reshape(_N_LABELS, -1)
    # The extremes show NaN and infinities without a temporary array.
    if not np.isfinite(planes.max() - planes.min()):
        raise ValueError(f"proba must be finite; strips {first_strip} to {first_strip + len(proba) - 1} are not.")
    x = np.ascontiguousarray(signal, dtype=np.float32)
    if not np.isfinite(x.max() - x.min()):
        x = np.where(np.isfinite(x), x, np.float32(0))
    runs = _close_gaps(_label_runs(planes, x.shape[1]), LABEL_QRS, rules)
    _drop_implausible(runs, (LABEL_QRS,), rules)
    _drop_refractory(runs, x, rules)
    for wave in (LABEL_T, LABEL_P):
        runs = _close_gaps(runs, wave, rules)
    _drop_implausible(runs, (LABEL_P, LABEL_T), rules)
    _keep_one_t(runs)
    _drop_early_p(runs, rules)
    if rules.sure_p is not None:
        _drop_lonely_p(runs, len(x), *rules.sure_p)
    if rules.steady_p is not None:
        of_none = unsteady(runs.strip, runs.label, runs.start, len(x), rules.fs, rules.steady_p)
        runs.label[of_none[runs.strip] & (runs.label == LABEL_P)] = 0
    if rules.need_qrs:
        beatless = np.bincount(runs.strip, runs.label == LABEL_QRS, minlength=len(x)) == 0
        runs.label[beatless[runs.strip]] = 0
    return _measure(runs, planes, x, first_strip, rules)


def _label_runs(planes: NDArray[np.float32], n_times: int) -> _Runs:
    """Find runs of the most probable label; of equally probable labels the first counts."""
    label = (planes[1] > planes[0]).view(np.int8)
    best = np.maximum(planes[0], planes[1])
    for k in range(2, _N_LABELS):
        # Labels grow with k, so that the maximum with k overwrites: faster than an indexed assignment.
        label = np.maximum(label, np.multiply(planes[k] > best, k, dtype=np.int8))
        best = np.maximum(best, planes[k])
    begins = np.ones(label.size, bool)
    np.not_equal(label[1:], label[:-1], out=begins[1:])
    # A run ends with its strip.
    begins[::n_times] = True
    start = np.flatnonzero(begins)
    length = np.diff(start, append=label.size)
    return _Runs(start // n_times, start, length, label[start], np.add.reduceat(planes, start, axis=1))


def _close_gaps(runs: _Runs, wave: int, rules: Rules) -> _Runs:
    """Join runs of a wave across short gaps that hold no other wave."""
    rows = np.flatnonzero(runs.label == wave)
    left, right = rows[:-1], rows[1:]
    gap = runs.start[right] - (runs.start + runs.length)[left]
    close = (gap < rules.max_gap) & (runs.strip[right] == runs.strip[left])
    if not close.any():
        return runs
    others = (runs.label > 0) & (runs.label != wave) & (runs.length >= rules.min_length[runs.label])
    # Equal counts on both sides of a gap mean that no other wave lies in it.
    count = np.cumsum(others)
    close &= count[right] == count[left]
    # +1 where a closed gap begins and -1 behind it: the cumulative sum is 1 inside.
    depth = np.zeros(runs.label.size, np.int8)
    depth[left[close] + 1] += 1
    depth[right[close]] -= 1
    label = np.where(np.cumsum(depth, dtype=np.int8) > 0, np.int8(wave), runs.label)
    begins = np.ones(label.size, bool)
    begins[1:] = (label[1:] != label[:-1]) | (runs.strip[1:] != runs.strip[:-1])
    first = np.flatnonzero(begins)
    length, mass = np.add.reduceat(runs.length, first), np.add.reduceat(runs.mass, first, axis=1)
    return _Runs(runs.strip[first], runs.start[first], length, label[first], mass)


def _drop_implausible(runs: _Runs, waves: tuple[int, ...], rules: Rules) -> None:
    """Turn waves that are too short or too uncertain into background."""
    for wave in waves:
        bad = (runs.length < rules.min_length[wave]) | (runs.mass[wave] < rules.min_confidence[wave] * runs.length)
        runs.label[bad & (runs.label == wave)] = 0


def _drop_refractory(runs: _Runs, x: NDArray[np.float32], rules: Rules) -> None:
    """Among complexes that are too close keep the strongest, drop its neighbours, and go on with the others."""
    rows = np.flatnonzero(runs.label == LABEL_QRS)
    start, length, strip = runs.start[rows], runs.length[rows], runs.strip[rows]
    if not ((start[1:] - (start + length)[:-1] < rules.refractory) & (strip[1:] == strip[:-1])).any():
        return
    peak = start + peaks(x.ravel(), start, length, np.full(rows.size, rules.r_wave))
    # Move the strips apart on the axis: then two near complexes are always in one strip.
    peak += strip * np.ceil(rules.refractory + 1)
    rank = np.empty(rows.size, np.int64)
    rank[np.argsort(-runs.mass[LABEL_QRS, rows], kind="stable")] = np.arange(rows.size)
    # Each round keeps every complex that is the strongest of its neighbourhood, and drops what it beats.
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
    """Keep only the T with the largest sum of probability in each beat."""
    rows = np.flatnonzero(runs.label == LABEL_T)
    beat = _beats(runs)[rows]
    # Sorted by beat, then by sum: the first of each beat stays.
    order = np.lexsort((-runs.mass[LABEL_T, rows], beat))
    again = beat[order][1:] == beat[order][:-1]
    runs.label[rows[order[1:][again]]] = 0


def _drop_early_p(runs: _Runs, rules: Rules) -> None:
    """Drop each P that begins right after a QRS and before its T: it is a part of the ST segment."""
    rows = np.flatnonzero(runs.label == LABEL_P)
    beat = _beats(runs)
    last = np.full(beat[-1] + 1, -1)
    complex_end = np.full(beat[-1] + 1, -np.inf)
    t, qrs = (np.flatnonzero(runs.label == wave) for wave in (LABEL_T, LABEL_QRS))
    # At most one T is left per beat, so that this assignment is unique.
    last[beat[t]] = t
    complex_end[beat[qrs]] = (runs.start + runs.length)[qrs]
    early = runs.start[rows] - complex_end[beat[rows]] < rules.p_blanking
    runs.label[rows[early & (last[beat[rows]] > rows)]] = 0


def _drop_lonely_p(runs: _Runs, n_strips: int, confidence: float, share: float) -> None:
    """Drop uncertain P waves of strips in which hardly any beat has a sure one."""
    p, qrs = runs.label == LABEL_P, runs.label == LABEL_QRS
    sure = p & (runs.mass[LABEL_P] >= confidence * runs.length)
    n_sure, n_qrs = (np.bincount(runs.strip[rows], minlength=n_strips) for rows in (sure, qrs))
    runs.label[p & ~sure & (n_sure < share * n_qrs)[runs.strip]] = 0


def _beats(runs: _Runs) -> NDArray[np.int64]:
    """Number the beats over all strips: a beat lasts from one QRS to the next, and ends with its strip."""
    return np.cumsum(runs.label == LABEL_QRS) + runs.strip


def _measure(
    runs: _Runs, planes: NDArray[np.float32], x: NDArray[np.float32], first_strip: int, rules: Rules
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
    # QRS peaks come from the signal, P and T peaks from its smoothed copy, which is appended.
    both = np.concatenate([x, smooth(x, rules.smoothing)]).ravel()
    is_qrs = label == LABEL_QRS
    peak = first + peaks(both, np.where(is_qrs, start, start + x.size), length, is_qrs & rules.r_wave)
    # The peak must lie inside its wave, also where a border has moved inwards past it.
    peak = np.clip(peak, onset + _INSIDE, offset - _INSIDE)
    confidence = np.clip(runs.mass[label, rows] / length, 0, 1).astype(np.float32)
    return Waves(strip + first_strip, label, onset, peak, offset, confidence)


def _no_waves() -> Waves:
    onset, peak, offset = np.empty((3, 0), np.float64)
    return Waves(np.empty(0, np.int64), np.empty(0, np.int8), onset, peak, offset, np.empty(0, np.float32))
