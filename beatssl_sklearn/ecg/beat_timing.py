"""Timing of heartbeats: RR intervals against what is usual before, around, and in the slow rhythm between runs.

Premature beats, pauses, runs and atrial fibrillation differ from a regular rhythm by their times more than by their
shape. All numbers are logarithms of ratios, so that a rate of 50 and one of 100 look alike, but for a few that say the
rate itself. They follow from the R peaks alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from .column_medians import column_medians
from .matching import as_positions
from .waves.table import check_rate

__all__ = ["TIMING_NAMES", "beat_timing", "pieces"]

# Physiological limits of an interval [s]; what lies beyond is a missed beat or a false one.
_SHORTEST, _LONGEST = 0.2, 3.0
_CAUSAL, _CENTRED = (8, 30), (11, 61)
_LEVELS = (0.25, 0.5, 0.75, 0.9)
# Beats whose typical values are taken together: about half an hour.
PIECE = 2000
_BOUND = 1.5

_LOCAL = tuple(
    f"{side}_{kind}"
    for kind in (*(f"causal{k}" for k in _CAUSAL), *(f"centred{k}" for k in _CENTRED))
    for side in ("prev", "next")
)
_SHAPE = (
    *("prev_spread", "next_spread", "before_prev", "after_next", "compensation", "prev_next"),
    *("rate", "spread", "irregularity"),
)
_LEVEL = (
    *("log_prev", "log_next"),
    *(f"{side}_level{round(100 * q)}" for q in _LEVELS for side in ("prev", "next")),
    *("prev_minutes50", "prev_minutes80"),
)
_HELD = (
    *("prev_held", "next_held", "prev_held_after", "next_held_after", "prev_held_fast", "prev_held_fast_after"),
    *("prev_held_least", "prev_held_most", "gap2", "gap2_mean", "gap5", "gap5_mean", "jumps"),
)
TIMING_NAMES: tuple[str, ...] = (*_LOCAL, *_SHAPE, *_LEVEL, *_HELD)
"""Names of the columns of `beat_timing`."""


def beat_timing(rpeaks: ArrayLike, fs: float) -> NDArray[np.float32]:
    """Describe the times of the beats of one record.

    Parameters
    ----------
    rpeaks : array-like of shape (n_beats,)
        R peaks [samples], increasing: all beats of the record, or those of a stretch.
    fs : float
        Sampling rate [Hz].

    Returns
    -------
    ndarray (n_beats, 42) float32
        Columns are named by `TIMING_NAMES`. ``prev`` is the interval before the beat, ``next`` the one after it. The
        first beat has no interval before it and the last one none after: their columns are 0, as those of an interval
        that is as usual; what is no comparison is that of the nearest interval. With fewer than four beats, all
        columns are 0.

        - ``prev_causal8`` ...: log ratio to the median of the last 8 or 30 intervals before ``prev``, or to the
          centred median of 11 or 61. Within +-1.5.
        - ``prev_spread``, ``next_spread``: log ratio to the centred median of 11 over the robust spread of these
          ratios, within +-8. ``spread`` is the logarithm of that spread.
        - ``before_prev``, ``after_next``: as ``prev_centred11``, of the intervals one further.
        - ``compensation``: log ratio of both intervals to twice the median; 0 where the pause compensates.
          ``prev_next``: log ratio of the two. ``rate``: log of the median of the last 30 [s].
        - ``irregularity``: log of the mean change from one interval to the next, over 10 intervals.
        - ``log_prev``, ``log_next``: log of the intervals [s]. ``prev_level25`` ...: log ratio to quantiles of the
          intervals of about half an hour; ``prev_minutes50`` and ``80`` to those of 241 intervals around.
        - ``prev_held`` ...: log ratio to a slow rhythm that follows intervals within 12 % of it, and is held while
          they are farther, so that each beat of a tachycardia stays premature; tracked from the start, and ``after``
          from the end. It gives way with a time constant of 10 min (``fast``: 1 min).
        - ``gap2`` ...: log of the distance between intervals 2 or 5 ranks apart among 31 around, median and mean. The
          median is small for bigeminy, whose intervals are of two kinds, and large in atrial fibrillation.
          ``jumps``: share of 31 changes above 8 %.

    Raises
    ------
    ValueError
        If positions are not finite or do not increase, or `fs` is not positive.

    References
    ----------
    P. de Chazal et al., IEEE Trans. Biomed. Eng. 51(7), 2004 (RR intervals against local and record averages).
    T. Teijeiro et al., Physiol. Meas. 39, 2018 (rhythm first: runs and compensation).

    Examples
    --------
    >>> import numpy as np
    >>> from beatssl_sklearn.ecg import TIMING_NAMES, beat_timing
    >>> rpeaks = np.cumsum([250] * 10 + [175, 325] + [250] * 10)  # the eleventh beat comes early
    >>> timing = beat_timing(rpeaks, fs=250)
    >>> round(float(np.exp(timing[10, TIMING_NAMES.index("prev_causal8")])), 2)
    0.7
    """
    check_rate(fs)
    times = as_positions(rpeaks, "rpeaks") / fs
    rr = np.diff(times)
    if (rr <= 0).any():
        raise ValueError(f"rpeaks must increase, got {rpeaks!r:.80}")
    if len(times) < 4:
        return np.zeros((len(times), len(TIMING_NAMES)), dtype=np.float32)
    rr = np.clip(rr, _SHORTEST, _LONGEST)
    log_rr = np.log(rr)
    centred = {k: _centred_median(log_rr, k) for k in _CENTRED}
    usual = log_rr - centred[_CENTRED[0]]
    columns = [*_local(log_rr, centred), *_shape(log_rr, usual), *_level(log_rr), *_held(log_rr, rr)]
    return np.stack(columns, axis=1).astype(np.float32)


def pieces(n: int) -> list[slice]:
    """Return stretches of about 2,000 of `n` beats, in which a record is taken to be alike."""
    edges = np.linspace(0, n, max(1, round(n / PIECE)) + 1).astype(int)
    return [slice(int(a), int(b)) for a, b in zip(edges, edges[1:], strict=False)]


def _prev(x: NDArray[np.float64], bound: float = _BOUND) -> NDArray[np.float64]:
    """Give each beat the value of the interval before it."""
    return np.concatenate([[0.0], np.clip(x, -bound, bound)])


def _of_prev(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give each beat what holds at the interval before it; the first one has the second's."""
    return np.concatenate([x[:1], x])


def _next(x: NDArray[np.float64], bound: float = _BOUND) -> NDArray[np.float64]:
    """Give each beat the value of the interval after it."""
    return np.concatenate([np.clip(x, -bound, bound), [0.0]])


def _around(x: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Return the `k` values around each one (n, k), mirrored at the ends."""
    return sliding_window_view(np.pad(x, k // 2, mode="reflect"), k)[: len(x)]


def _centred_median(x: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    return column_medians(_around(x, k).T)


def _causal_median(x: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Return the median of the last `k` values before each one; before the first, the median of all."""
    found = np.empty_like(x)
    found[0] = np.median(x)
    for i in range(1, min(k, len(x))):
        found[i] = np.median(x[:i])
    if len(x) > k:
        found[k:] = column_medians(sliding_window_view(x, k)[: len(x) - k].T)
    return found


def _local(log_rr: NDArray[np.float64], centred: dict[int, NDArray[np.float64]]) -> Iterator[NDArray[np.float64]]:
    for baseline in (*(_causal_median(log_rr, k) for k in _CAUSAL), *centred.values()):
        yield _prev(log_rr - baseline)
        yield _next(log_rr - baseline)


def _shape(log_rr: NDArray[np.float64], usual: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Yield spread, neighbours, compensation, rate and irregularity."""
    spread = np.empty(len(usual))
    for piece in pieces(len(usual)):
        spread[piece] = max(1.4826 * float(np.median(np.abs(usual[piece]))), 0.01)
    yield _prev(usual / spread, 8.0)
    yield _next(usual / spread, 8.0)
    yield np.concatenate([[0.0], _prev(usual)[:-1]])
    yield np.concatenate([_next(usual)[1:], [0.0]])
    both = np.log((np.exp(log_rr[:-1]) + np.exp(log_rr[1:])) / 2)
    yield np.concatenate([[0.0], np.clip(both - (log_rr - usual)[:-1], -_BOUND, _BOUND), [0.0]])
    yield np.concatenate([[0.0], np.clip(log_rr[:-1] - log_rr[1:], -_BOUND, _BOUND), [0.0]])
    yield _of_prev(_causal_median(log_rr, _CAUSAL[-1]))
    yield _of_prev(np.log(spread))
    change = np.abs(np.diff(log_rr))
    yield _to_beats(np.log(_around(change, 10 + 1).mean(axis=1) + 0.005))


def _to_beats(of_changes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give each beat what holds around the change at it; the first and last ones have their neighbour's."""
    return np.pad(of_changes, 1, mode="edge")


def _level(log_rr: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Yield the intervals themselves, and against quantiles of longer stretches."""
    yield _of_prev(log_rr)
    yield np.concatenate([log_rr, log_rr[-1:]])
    for q in _LEVELS:
        level = np.empty_like(log_rr)
        for piece in pieces(len(log_rr)):
            level[piece] = np.quantile(log_rr[piece], q)
        yield _prev(log_rr - level)
        yield _next(log_rr - level)
    around = np.array(_around(log_rr, min(241, 2 * len(log_rr) - 1)))
    for q in (0.5, 0.8):
        place = round(q * (around.shape[1] - 1))
        around.partition(place, axis=1)
        yield _prev(log_rr - around[:, place])


def _held(log_rr: NDArray[np.float64], rr: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Yield the intervals against a rhythm that is held through runs, and how spread out they are."""
    ahead, back = _against_held(log_rr, rr, 600.0), _against_held(log_rr[::-1], rr[::-1], 600.0)[::-1]
    yield from (_prev(ahead), _next(ahead), _prev(back), _next(back))
    yield _prev(_against_held(log_rr, rr, 60.0))
    yield _prev(_against_held(log_rr[::-1], rr[::-1], 60.0)[::-1])
    yield _prev(np.minimum(ahead, back))
    yield _prev(np.maximum(ahead, back))
    ranked = np.sort(_around(log_rr, 31), axis=1)
    for lag in (2, 5):
        gaps = ranked[:, lag:] - ranked[:, :-lag]
        yield _of_prev(np.log(np.median(gaps, axis=1) + 0.004))
        yield _of_prev(np.log(gaps[:, lag:-lag].mean(axis=1) + 0.004))
    jumps = (np.abs(np.diff(log_rr)) > 0.08).astype(np.float64)
    yield _to_beats(_around(jumps, 31).mean(axis=1))


def _against_held(log_rr: NDArray[np.float64], rr: NDArray[np.float64], give_way: float) -> NDArray[np.float64]:
    """Return intervals against a rhythm that follows those within 12 %, and the others with a time constant [s]."""
    held = float(np.median(log_rr[:30]))
    found = []
    for x, seconds in zip(log_rr.tolist(), rr.tolist(), strict=True):
        away = x - held
        found.append(away)
        held += away * (0.1 if -0.12 < away < 0.12 else min(1.0, seconds / give_way))
    return np.array(found)
