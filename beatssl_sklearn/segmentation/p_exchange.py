"""P waves of training windows, varied by themselves: larger, smaller, gone, of another record, or out of step.

A few dozen patients show hardly any P wave before a wide complex, so that a network learns from the complex whether
there is a P. Here a P is put before any complex, and taken away before any.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

P, _QRS, _T, _IGNORED = 1, 2, 3, -1
# What is done, and the share of it: see `vary_p`.
_RESIZE, _REMOVE, _EXCHANGE = 0.25, 0.45, 0.85
# Factors of the amplitude of resized and of exchanged P waves, and of the duration of exchanged ones.
_SIZES, _GAINS, _STRETCHES = (0.35, 2.2), (0.5, 1.6), (0.8, 1.25)
# Times from the onset of an exchanged P to the onset of the QRS, and between P waves out of step [s].
_PR_S, _PP_S = (0.11, 0.30), (0.5, 1.1)
# A P is smoothed over this time, and faded in and out over that one [s], so that noise stays where it is.
_SMOOTH_S, _FADE_S = 0.03, 0.012
# Sights of one complex or one P in several leads lie no farther apart [s].
_SAME_QRS_S, _SAME_P_S = 0.16, 0.06
# Share of a new P that may lie on a T.
_ON_T = 0.3


class Annotated(Protocol):
    """A record with its labels; see `AnnotatedRecord`."""

    @property
    def signal(self) -> NDArray[np.float32]:
        """Leads (n_times, 12)."""

    @property
    def mask(self) -> NDArray[np.int8]:
        """Labels (n_times, 12)."""


class _Shape(NamedTuple):
    """One P in one lead: how much later than in the first lead it begins [samples], and its deflection."""

    delay: int
    deflection: NDArray[np.float32]


def vary_p(
    signal: NDArray[np.float32],
    mask: NDArray[np.int8],
    fs: float,
    donors: Sequence[Annotated],
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Vary the P waves of a window in one of four ways.

    A quarter of the windows have theirs resized, and turned over in some; a fifth lose those of all beats, or of half;
    two fifths get those of a donor in place of theirs; the others get such that keep no step with the complexes.

    Parameters
    ----------
    signal, mask : ndarray (n_times, 12)
        Leads and their labels.
    fs : float
        Rate [Hz].
    donors : sequence of AnnotatedRecord
        Records with P waves, at the same rate.
    rng : numpy.random.Generator

    Returns
    -------
    signal, mask : ndarray (n_times, 12)
        New ones.
    """
    signal, mask, way = signal.copy(), mask.copy(), rng.random()
    if way < _RESIZE:
        size = _between(_SIZES, rng) * (1 if rng.random() < 0.85 else -1)
        _change(signal, mask, fs, size)
        return signal, mask
    if way < _REMOVE:
        keep = np.zeros(1, bool) if rng.random() < 0.6 else rng.random(64) < 0.5
        _remove(signal, mask, fs, keep)
        return signal, mask
    onsets = _qrs_onsets(mask, fs)
    shapes = _draw_p(donors[int(rng.integers(len(donors)))], fs, rng)
    if not len(onsets) or not shapes:
        return signal, mask
    _remove(signal, mask, fs, np.zeros(1, bool))
    gain, stretch = _between(_GAINS, rng), rng.uniform(*_STRETCHES)
    if way < _EXCHANGE:
        longest = np.median([len(shape.deflection) for shape in shapes.values()]) * stretch
        before = max(rng.uniform(*_PR_S) * fs, longest + _FADE_S * fs)
        starts = onsets - before + rng.normal(0, 0.004 * fs, len(onsets))
    else:
        step = rng.uniform(*_PP_S) * fs
        starts = np.arange(rng.uniform(0, step), len(signal), step)
    _set_in(signal, mask, shapes, starts, gain, stretch, rng)
    return signal, mask


def _between(limits: tuple[float, float], rng: np.random.Generator) -> float:
    low, high = limits
    return float(low * (high / low) ** rng.random())


def _runs(labels: NDArray[np.int8], label: int) -> list[tuple[int, int]]:
    """Return first samples and ends of the runs of a label."""
    edges = np.flatnonzero(np.diff(np.r_[0, (labels == label).view(np.int8), 0]))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _deflection(piece: NDArray[np.float32], fs: float) -> NDArray[np.float32]:
    """Return a wave without the line between its ends and without noise."""
    line = np.linspace(piece[0], piece[-1], len(piece))
    smooth = uniform_filter1d(piece - line, max(1, int(_SMOOTH_S * fs)), mode="nearest")
    steps = np.arange(len(piece))
    fade = np.minimum(1, np.minimum(steps, steps[::-1]) / max(1, int(_FADE_S * fs)))
    return np.asarray(smooth * fade, dtype=np.float32)


def _change(signal: NDArray[np.float32], mask: NDArray[np.int8], fs: float, size: float) -> None:
    for lead in range(signal.shape[1]):
        for start, stop in _runs(mask[:, lead], P):
            piece = signal[max(start - 1, 0) : stop + 1, lead]
            piece += np.float32(size - 1) * _deflection(piece, fs)


def _remove(signal: NDArray[np.float32], mask: NDArray[np.int8], fs: float, keep: NDArray[np.bool_]) -> None:
    """Take P waves out but those of beats to keep; beats are counted by their complexes."""
    onsets = _qrs_onsets(mask, fs) if keep.any() else np.zeros(0)
    for lead in range(signal.shape[1]):
        for start, stop in _runs(mask[:, lead], P):
            if keep[int(np.searchsorted(onsets, start)) % len(keep)]:
                continue
            piece = signal[max(start - 1, 0) : stop + 1, lead]
            piece -= _deflection(piece, fs)
            mask[start:stop, lead] = 0


def _qrs_onsets(mask: NDArray[np.int8], fs: float) -> NDArray[np.float64]:
    """Return onsets of the complexes that at least half of the leads show [samples]."""
    found = np.sort([start for lead in mask.T for start, _ in _runs(lead, _QRS) if start > 0])
    if not len(found):
        return np.zeros(0)
    sights = np.split(found, np.flatnonzero(np.diff(found) > _SAME_QRS_S * fs) + 1)
    most = max(map(len, sights))
    return np.array([np.median(sight) for sight in sights if len(sight) >= most / 2])


def _draw_p(donor: Annotated, fs: float, rng: np.random.Generator) -> dict[int, _Shape]:
    """Draw one P of a record, in all leads that show it."""
    whole: dict[int, list[tuple[int, int]]] = {}
    for lead in range(donor.mask.shape[1]):
        inside = [(a, b) for a, b in _runs(donor.mask[:, lead], P) if a > 2 and b < len(donor.mask) - 2]
        if inside:
            whole[lead] = inside
    if not whole:
        return {}
    first = whole[next(iter(whole))]
    begin, end = first[rng.integers(len(first))]
    middle, shapes = (begin + end) / 2, {}
    for lead, inside in whole.items():
        a, b = min(inside, key=lambda run: abs(sum(run) / 2 - middle))
        if abs((a + b) / 2 - middle) <= _SAME_P_S * fs:
            shapes[lead] = _Shape(a - begin, _deflection(donor.signal[a - 1 : b + 1, lead], fs))
    return shapes


def _set_in(
    signal: NDArray[np.float32],
    mask: NDArray[np.int8],
    shapes: dict[int, _Shape],
    starts: NDArray[np.float64],
    gain: float,
    stretch: float,
    rng: np.random.Generator,
) -> None:
    """Add P waves where there is room; a lead that the donor lacks gets the shape of one that it has."""
    have = list(shapes)
    for lead in np.flatnonzero(signal.any(axis=0)).tolist():
        shape = shapes.get(lead) or shapes[have[rng.integers(len(have))]]
        n = max(4, round(len(shape.deflection) * stretch))
        at = np.linspace(0, len(shape.deflection) - 1, n)
        wave = (gain * np.interp(at, np.arange(len(shape.deflection)), shape.deflection)).astype(np.float32)
        for first in (starts + shape.delay).astype(np.int64).tolist():
            if first < 1 or first + n > len(signal) - 1:
                continue
            labels = mask[first : first + n, lead]
            if (labels == _QRS).any() or (labels == P).any() or (labels == _T).mean() > _ON_T:
                continue
            signal[first : first + n, lead] += wave
            inner = labels[1:-1]
            inner[inner != _IGNORED] = P
