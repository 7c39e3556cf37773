"""What is known about a simulated record: its R peaks, and onset, peak and offset of its waves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .beats import QRS, Array, P, T
from .course import Course

WAVE_DTYPE = np.dtype([("wave", "<U3"), ("onset", np.int64), ("peak", np.int64), ("offset", np.int64)])
"""Fields of `SimulatedECG.waves`, in samples."""

_WAVE_NAMES = {P: "P", QRS: "QRS", T: "T"}
# A P wave on a T wave is seen as a notch if the signal turns round by this much [mV] in so many of eight leads.
_NOTCH, _NOTCHED_LEADS = 0.012, 2
# Share of a P wave that must stay visible beside a complex or a T wave.
_VISIBLE = 0.65

_Marks = list[int]
"""Wave, onset, peak and offset [samples]."""


def annotate_beats(course: Course, fs: float, n_times: int) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """Return the samples of the R peaks inside the record, and the symbols of their beats."""
    offset = np.array([pattern.bounds[QRS][1] for pattern in course.patterns])
    peaks = np.rint((course.times + offset[course.kinds]) * fs).astype(np.int64)
    inside = (peaks >= 0) & (peaks < n_times)
    return peaks[inside], np.array(course.symbols, dtype="<U1")[course.kinds[inside]]


def annotate_waves(
    course: Course, stretch: Array, signal: Array, p_waves: Array, fs: float, mask: NDArray[np.int8]
) -> NDArray[np.void]:
    """List the waves and paint them into `mask`; `signal` and `p_waves` are as returned by `render`."""
    found: list[_Marks] = []
    for time, kind, scale in zip(course.times, course.kinds, stretch, strict=True):
        for code, times in course.patterns[kind].bounds.items():
            marks = np.rint((time + np.array(times) * (scale if code == T else 1.0)) * fs).astype(int)
            found.append([code, *marks.tolist()])
    for pattern, starts in course.atria:
        if P in pattern.bounds:
            marks = np.rint((starts[:, None] + np.array(pattern.bounds[P])) * fs).astype(int)
            found += [[P, *row] for row in marks.tolist()]
    found.sort(key=lambda wave: wave[2])
    if course.overlaps:
        listed = _separate([wave for wave in found if wave[0] != P])
        for wave in found:
            if wave[0] == P:
                _add_p(listed, wave, signal - p_waves, p_waves)
        listed.sort(key=lambda wave: wave[2])
    else:
        listed = _separate(found)
    for code, onset, _, offset in listed:
        mask[max(onset, 0) : max(offset + 1, 0)] = code
    whole = [(_WAVE_NAMES[code], *marks) for code, *marks in listed if marks[0] >= 0 and marks[2] < mask.size]
    return np.array(whole, dtype=WAVE_DTYPE)


def _separate(found: list[_Marks]) -> list[_Marks]:
    """Cut waves, sorted by peak, where they overlap."""
    listed: list[_Marks] = []
    for wave in found:
        before = listed[-1] if listed else None
        if before and before[3] >= wave[1]:
            if wave[0] == P and before[0] == T and wave[1] <= before[2]:
                continue
            if wave[0] == T:
                wave[1] = before[3] + 1
            else:
                before[3] = wave[1] - 1
        listed.append(wave)
    return [wave for wave in listed if wave[1] <= wave[2] <= wave[3]]


def _add_p(listed: list[_Marks], wave: _Marks, rest: Array, p_waves: Array) -> None:
    """List a P wave if one sees it, and cut the T wave on which it lies."""
    _, onset, peak, offset = wave
    near = [other for other in listed if other[1] <= offset and other[3] >= onset]
    start, end, hidden = onset, offset, False
    for code, left, top, right in near:
        # The T wave keeps its peak: the border lies in the middle of both peaks, or where the P wave begins or ends.
        is_t, middle = code == T, (top + peak) // 2
        if left <= peak <= right and not is_t:
            return
        hidden |= left <= peak <= right if is_t else peak > top
        if peak > top:
            start = max(start, middle + 1 if is_t else right + 1)
        else:
            end = min(end, middle if is_t else left - 1)
    if not start < peak < end or end - start < _VISIBLE * (offset - onset):
        return
    if hidden and not _is_notch(rest, p_waves, start, end):
        return
    for other in near:
        if other[0] == T and peak > other[2]:
            other[3] = min(other[3], start - 1)
        elif other[0] == T:
            other[1] = max(other[1], end + 1)
    listed.append([P, start, peak, end])


def _is_notch(rest: Array, p_waves: Array, onset: int, offset: int) -> bool:
    """Tell whether a P wave turns the signal round, in at least two leads, where the rest rises or falls."""
    inside = slice(max(onset, 0), max(offset + 1, 0))
    slope = np.diff(rest[:, inside], axis=1)
    step = slope + np.diff(p_waves[:, inside], axis=1)
    turned = np.where(step * slope < 0, np.abs(step), 0.0).sum(axis=1)
    return int((turned > _NOTCH).sum()) >= _NOTCHED_LEADS
