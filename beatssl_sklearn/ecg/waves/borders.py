"""Onset, peak and offset of the found waves, between samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LEAST_R = 0.01  # of the largest deflection: a smaller positive one is no R wave


def mean_borders(
    planes: NDArray[np.float32],
    strip: NDArray[np.int64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    label: NDArray[np.int8],
    n_times: int,
    window: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean onsets and offsets: the probabilities of a wave, summed from its middle outwards, are its length.

    The window of the sum ends at the middle of the wave and at its neighbours.
    """
    # Cumulative sums give the sum over any window as one difference.
    until = np.zeros((len(planes), planes.shape[1] + 1))
    np.cumsum(planes[1:], axis=1, dtype=np.float64, out=until[1:, 1:])
    neighbours = strip[1:] == strip[:-1]
    lowest, highest = np.zeros(len(strip), np.int64), np.full(len(strip), n_times - 1)
    lowest[1:][neighbours] = last[:-1][neighbours] + 1
    highest[:-1][neighbours] = first[1:][neighbours] - 1
    middle, origin = (first + last) // 2, strip * n_times
    low, high = np.maximum(first - window, lowest), np.minimum(first + window, middle)
    onset = high - (until[label, origin + high] - until[label, origin + low])
    low, high = np.maximum(last - window, middle + 1), np.minimum(last + window, highest)
    offset = low - 1 + until[label, origin + high + 1] - until[label, origin + low]
    onset, offset = np.clip(onset, lowest, middle - 0.25), np.clip(offset, middle + 0.25, highest)
    # Two waves of one class can both claim the samples between them: each gives up half.
    excess = np.maximum(offset[:-1] + 1 - onset[1:], 0) * neighbours / 2
    onset[1:] += excess
    offset[:-1] -= excess
    return onset, offset


def border_shifts(
    planes: NDArray[np.float32], start: NDArray[np.int64], length: NDArray[np.int64], label: NDArray[np.int8]
) -> NDArray[np.float64]:
    """Return how far waves reach beyond their first and last samples, minus .5: (2, n_waves), -.5 to .5 samples."""
    inner = np.stack([start, start + length - 1])
    outer = np.stack([start - 1, start + length])
    # If a wave ends with its strip, this reads a sample of another strip; the caller drops that result.
    p = planes[:, np.clip([inner, outer], 0, planes.shape[1] - 1)].astype(np.float64)
    waves = np.arange(label.size)
    own = np.moveaxis(p[label, ..., waves], 0, -1)
    p[label, ..., waves] = -np.inf
    # The border lies where the lead over the other classes becomes 0, by linear interpolation.
    ahead = own - p.max(axis=0)
    change = ahead[0] - ahead[1]
    return np.divide(ahead[0], change, out=np.full(change.shape, 0.5), where=change > 0) - 0.5


def smooth(x: NDArray[np.float32], half: int) -> NDArray[np.float32]:
    """Average over `half` samples to each side; the first and last `half` samples of a strip stay as they are."""
    width, n_times = 2 * half + 1, x.shape[1]
    if width > n_times:
        return x
    # Sums over 1, 2, 4, ... samples add up to any width, faster than a cumulative sum. They also run over the ends of
    # the strips, where they are not used.
    power = total = x.ravel()
    size = done = 1
    while done < width:
        power, size = power[:-size] + power[size:], 2 * size
        if width & size:
            total, done = total[:-size] + power[done:], done + size
    y = x.copy()
    y.ravel()[half : x.size - half] = total / np.float32(width)
    y[:, :half], y[:, n_times - half :] = x[:, :half], x[:, n_times - half :]
    return y


def peaks(
    x: NDArray[np.float32], start: NDArray[np.int64], length: NDArray[np.int64], upwards: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Find where `x` is farthest from the line between the ends of each run, in samples from its start.

    For runs marked as `upwards` only samples above the line count, unless `x` hardly rises above it.
    """
    peak = (length - 1) / 2
    if not start.size:
        return peak
    inner = length - 2
    slope = (x[start + length - 1] - x[start]) / (length - 1).astype(np.float32)
    sample, first = samples_of(start + 1, inner), np.cumsum(inner) - inner
    ahead = (sample - np.repeat(start, inner)).astype(np.float32)
    above = x[sample] - np.repeat(x[start], inner) - np.repeat(slope, inner) * ahead
    away = np.abs(above)
    if upwards.any():
        upwards = upwards & (np.maximum.reduceat(above, first) > _LEAST_R * np.maximum.reduceat(away, first))
        away = np.where(np.repeat(upwards, inner), above, away)
    top = np.maximum.reduceat(away, first)
    hits = np.flatnonzero(away == np.repeat(top, inner))
    # Of several largest samples the first one counts.
    run = np.searchsorted(first, hits, side="right") - 1
    found = np.append(True, run[1:] != run[:-1])[: run.size] & (top[run] > 0) & (top[run] < np.inf)
    run, best = run[found], sample[hits[found]]
    peak[run] = best - start[run] + _vertex(x, best, slope[run])
    return peak


def _vertex(x: NDArray[np.float32], best: NDArray[np.int64], slope: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the vertex of the parabola through a sample and its neighbours, minus a slope: -.5 to .5 samples."""
    before, here, after = x[best + np.array([[-1], [0], [1]])].astype(np.float64)
    bend = 2 * here - before - after
    shift = np.divide((after - before) / 2 - slope, bend, out=np.zeros(best.size), where=bend != 0)
    return np.clip(shift, -0.5, 0.5)


def samples_of(first: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.int64]:
    """Join the ranges ``first, first + 1, ...`` of `length` indices each."""
    ends = np.cumsum(length)
    return np.arange(ends[-1] if ends.size else 0) + np.repeat(first - (ends - length), length)
