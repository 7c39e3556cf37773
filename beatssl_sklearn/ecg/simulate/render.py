"""From the beats of a record to its samples: QT intervals, and sums of Gaussians."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .beats import Array, P, Pattern, T
from .course import Course
from .noise import fibrillation

_Lobes = tuple[Array, Array, Array, Array]
"""Centre, left and right standard deviation [s] of Gaussians, and their size in eight leads [mV]."""
_ALL = slice(None)


def repolarise(course: Course, duration: float, shortest: float) -> tuple[Course, Array]:
    """Keep the beats that reach into the record, and stretch their QT intervals with the RR intervals."""
    rr = np.diff(course.times, prepend=2 * course.times[0] - course.times[1])
    stretch = np.clip(0.75 * np.median(rr) + 0.25 * rr, shortest, 1.5) ** 0.4
    near = (course.times > -1.2) & (course.times < duration + 1.2)
    if near.sum() < 2:
        # A short record of slow beats: two beats make a rate.
        near[:] = True
    return course._replace(times=course.times[near], kinds=course.kinds[near]), stretch[near]


def render(course: Course, stretch: Array, rng: np.random.Generator, fs: float, n_times: int) -> tuple[Array, Array]:
    """Make leads I, II, V1 to V6 of shape (8, n_times) without noise [mV]: the signal, and its P waves alone.

    The P waves are zero where the course says that they overlap nothing.
    """
    phase = rng.random()
    size = _breath(course.times, phase) + rng.normal(0, 0.01, course.times.size)
    lobes, p_lobes = [], []
    for kind, pattern in enumerate(course.patterns):
        chosen = course.kinds == kind
        scale = np.where(pattern.wave >= T, stretch[chosen, None], 1.0)
        lobes.append(_place(pattern, course.times[chosen], size[chosen], scale))
        p_lobes.append(_place(pattern, course.times[chosen], size[chosen], scale, pattern.wave == P))
    for pattern, times in course.atria:
        lobes.append(_place(pattern, times, _breath(times, phase), np.ones((times.size, 1))))
        p_lobes.append(_place(pattern, times, _breath(times, phase), np.ones((times.size, 1)), pattern.wave == P))
    signal = _sum_lobes(lobes, fs, n_times)
    p_waves = _sum_lobes(p_lobes, fs, n_times) if course.overlaps else np.zeros_like(signal)
    if course.fibrillation:
        signal += course.fibrillation * fibrillation(rng, fs, n_times)
    return signal, p_waves


def _breath(times: Array, phase: float) -> Array:
    return 1 + 0.035 * np.sin(2 * np.pi * (0.25 * times + phase))


def _place(
    pattern: Pattern, times: Array, size: Array, scale: Array, chosen: NDArray[np.bool_] | slice = _ALL
) -> _Lobes:
    """Put the pattern's chosen Gaussians at each of the times; `scale` stretches them, of shape (n_times, n_lobes)."""
    centre = times[:, None] + (pattern.centre * scale)[:, chosen]
    left, right = (pattern.left * scale)[:, chosen], (pattern.right * scale)[:, chosen]
    source = size[:, None, None] * pattern.source[chosen]
    return centre.ravel(), left.ravel(), right.ravel(), source.reshape(-1, 8)


def _sum_lobes(lobes: list[_Lobes], fs: float, n_times: int) -> Array:
    """Sum all Gaussians, each on the samples within four standard deviations of its centre."""
    centre, left, right, source = (np.concatenate(parts) for parts in zip(*lobes, strict=True))
    # A low-pass filter as in a recorder: without it a spike of 1 ms could fall between two samples.
    blur = 0.35 / fs
    area = left + right
    left, right = np.hypot(left, blur), np.hypot(right, blur)
    source = source * (area / (left + right))[:, None]
    first = np.clip(np.ceil((centre - 4 * left) * fs), 0, n_times).astype(np.int64)
    last = np.clip(np.floor((centre + 4 * right) * fs) + 1, first, n_times).astype(np.int64)
    count = last - first
    lobe = np.repeat(np.arange(count.size), count)
    sample = np.arange(lobe.size) + np.repeat(first - (np.cumsum(count) - count), count)
    t = sample / fs - centre[lobe]
    height = np.exp(-0.5 * (t / np.where(t < 0, left[lobe], right[lobe])) ** 2)
    return np.stack([np.bincount(sample, height * amplitude[lobe], n_times) for amplitude in source.T])
