"""Where the leads of a recording lie on the paper, and at what scale, in millimetres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .figure import shortened

MM_PER_S, MM_PER_MV = 25.0, 10.0
# Seconds of the longest row at 25 mm/s, of a longer row that several leads share, and of rows of long recordings.
_ROW_S, _SHARED_ROW_S = 12.5, 20.0
_LONG_ROWS_S = (10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0)
_MOST_ROWS = 32
# With more rows than these the page is drawn at half the gain.
_TALL_ROWS = 12
_GAINS = (10.0, 5.0, 2.0, 1.0)
# Room above or below a baseline [mm]: the least at 10 mm/mV, and the most before the gain is lowered.
_LEAST_UP, _LEAST_DOWN, _HIGHEST = 8.0, 5.0, 40.0
_NARROWEST = 75.0
# A point of type [mm], and the width of a bold letter over its height.
_MM_PER_POINT, _LETTER = 25.4 / 72, 0.68
LETTERS = 12
"""Most letters of a lead's name on paper."""


class Strip(NamedTuple):
    """A piece of a lead's trace.

    Attributes
    ----------
    lead : int
        Row of the signal.
    row : int
        Row of the paper.
    start, stop : int
        First sample, and last sample + 1.
    origin : int
        Sample at the left edge of the paper.
    """

    lead: int
    row: int
    start: int
    stop: int
    origin: int


@dataclass(frozen=True)
class Page:
    """The layout of a recording on paper.

    Attributes
    ----------
    strips : list of Strip
        Pieces of traces, from top to bottom.
    fs : float
        Sampling rate [Hz].
    row_s : float
        Length of a row [s].
    speed : float
        Millimetres of paper per second.
    gain : float
        Millimetres of paper per millivolt.
    scale : float
        Size of the drawn paper over its true size.
    medians : ndarray of shape (n_leads,)
        Level of each lead that lies on the baseline [mV].
    baselines, tops, bottoms : ndarray of shape (n_rows,)
        Ordinates of each row [mm]: of the baseline, and of the band that its trace keeps.
    marks : ndarray of shape (n_rows,)
        Ordinate of the marks of beats above each row [mm].
    names : list of str
        Name of each strip, shortened.
    labels : list of float
        Ordinate of each strip's name [mm], if names stand in the paper; otherwise they stand in the margin.
    margin : float
        Width left of the time axis [mm].
    height, width : float
        Of the paper beside the margin [mm].
    """

    strips: list[Strip]
    fs: float
    row_s: float
    speed: float
    gain: float
    scale: float
    medians: NDArray[np.float64]
    baselines: NDArray[np.float64]
    tops: NDArray[np.float64]
    bottoms: NDArray[np.float64]
    marks: NDArray[np.float64]
    names: list[str]
    labels: list[float]
    margin: float
    height: float
    width: float

    @property
    def shrink(self) -> float:
        """Factor of letters and lines: on small paper they are smaller, as far as they can be read."""
        return shrink_of(self.scale)

    @property
    def tall(self) -> float:
        """Height of a name [mm of the paper]."""
        return 10 * self.shrink * _MM_PER_POINT / self.scale

    @property
    def columns(self) -> bool:
        """Whether leads stand beside each other, with their names in the paper."""
        return bool(self.labels)

    @property
    def wrapped(self) -> bool:
        """Whether the recording continues in lower rows."""
        return self.strips[-1].origin > 0

    @property
    def lowest(self) -> list[Strip]:
        """Strips of the lowest lead, which beats are marked above."""
        return self.strips[-1:] if self.columns else [s for s in self.strips if s.lead == self.strips[-1].lead]

    @property
    def pulse(self) -> float:
        """Height of the pulse of calibration [mV]."""
        return _pulse_of(self.gain)

    def x_of(self, samples: Any, strip: Strip) -> Any:
        """Abscissa [mm] of a sample, or of each in an array."""
        return (samples - strip.origin) / self.fs * self.speed

    def y_of(self, x: NDArray[np.float64], strip: Strip) -> NDArray[np.float64]:
        """Ordinates of a strip's samples [mm]; what leaves the band of the row is cut off."""
        y = self.baselines[strip.row] + (x[strip.lead, strip.start : strip.stop] - self.medians[strip.lead]) * self.gain
        return np.clip(y, self.bottoms[strip.row], self.tops[strip.row])


def shrink_of(scale: float) -> float:
    """Return the factor of letters and lines at the scale of a drawn paper."""
    return min(1.0, max(0.7, 1.5 * scale))


def _pulse_of(gain: float) -> float:
    return 1.0 if 5 <= gain <= MM_PER_MV else MM_PER_MV / gain


def lay_out(x: NDArray[np.float64], fs: float, names: list[str], *, marked: bool, scale: float = 1.0) -> Page:
    """Lay out a recording.

    Parameters
    ----------
    x : ndarray of shape (n_leads, n_times)
        Signals [mV], NaN where a sample is missing.
    fs : float
        Sampling rate [Hz].
    names : list of n_leads str
        Names of the leads.
    marked : bool
        Whether beats are marked above the lowest lead.
    scale : float, default=1.0
        Size of the drawn paper over its true size: type has a size of its own.

    Returns
    -------
    Page
        The layout.
    """
    n_leads, n_times = x.shape
    strips, row_s = _strips(n_leads, n_times, fs, names)
    n_rows = strips[-1].row + 1
    columns = len(strips) > n_leads and strips[-1].origin == 0
    medians = np.array([_median(row) for row in x])
    up, down = _extents(x - medians[:, None], strips, n_rows, fs)
    gain = _gain(max(up.max(), down.max()), n_rows)
    least = 0.5 if gain < MM_PER_MV and n_rows > _TALL_ROWS else 1.0
    tall = 10 * shrink_of(scale) * _MM_PER_POINT / scale
    up = np.maximum(up * gain, max(least * _LEAST_UP, 0.7 * tall))
    down = np.maximum(down * gain, max(least * _LEAST_DOWN, 0.7 * tall))
    # The pulse of calibration stands before the first lead of each stretch; in columns, before each row.
    each = 1 if columns else n_leads
    up[::each] = np.maximum(up[::each], _pulse_of(gain) * gain + 0.5)
    speed = MM_PER_S * min(1.0, _ROW_S / row_s)
    # In columns, a name is no wider than its lead.
    letter = _LETTER * tall
    most = max(1, int((strips[0].stop / fs * speed - 3) / letter)) if columns else LETTERS
    texts = [shortened(names[strip.lead], min(most, LETTERS)) for strip in strips]
    widths = [2 + letter * len(text) for text in texts] if columns else []
    labels = _label_heights(x - medians[:, None], strips, widths, fs / speed, gain, up)
    room = up.copy()
    for strip, label in zip(strips, labels, strict=False):
        room[strip.row] = max(room[strip.row], label + tall + 0.5)
    if marked:
        room[n_rows - 1 :: -n_leads] += 5.0
    above = room.copy()
    if n_leads > 1 and strips[-1].origin:
        # The time stands above the first lead of each stretch.
        room[::n_leads] += tall
    baselines, height = _baselines(room, down, 5.0 if n_rows <= _TALL_ROWS else 1.0)
    return Page(
        strips=strips,
        fs=fs,
        row_s=row_s,
        speed=speed,
        gain=gain,
        scale=scale,
        medians=medians,
        baselines=baselines,
        tops=baselines + up,
        bottoms=baselines - down,
        marks=baselines + above - 2.5,
        names=texts,
        labels=[baselines[strip.row] + label for strip, label in zip(strips, labels, strict=False)],
        margin=_margin([] if columns else texts, strips[-1].origin > 0, letter),
        height=height,
        width=max(row_s * speed, _NARROWEST),
    )


def _strips(n_leads: int, n_times: int, fs: float, names: list[str]) -> tuple[list[Strip], float]:
    """Pieces of traces, and the length of a row [s]."""
    seconds = n_times / fs
    if n_leads == 12 and 4 <= seconds <= _ROW_S:
        edges = np.linspace(0, n_times, 5).astype(int).tolist()
        strips = [Strip(k, k % 3, edges[k // 3], edges[k // 3 + 1], 0) for k in range(12)]
        return [*strips, Strip(names.index("II") if "II" in names else 0, 3, 0, n_times, 0)], seconds
    if seconds <= (_ROW_S if n_leads == 1 else _SHARED_ROW_S):
        return [Strip(k, k, 0, n_times, 0) for k in range(n_leads)], seconds
    row_s = next((s for s in _LONG_ROWS_S if n_leads * np.ceil(seconds / s) <= _MOST_ROWS), seconds)
    length = round(min(row_s, seconds) * fs)
    origins = range(0, n_times, length)
    strips = [
        Strip(k, part * n_leads + k, origin, min(origin + length, n_times), origin)
        for part, origin in enumerate(origins)
        for k in range(n_leads)
    ]
    return strips, length / fs


def _median(row: NDArray[np.float64]) -> float:
    """Median of the samples that are there; 0 if there is none."""
    there = row[np.isfinite(row)]
    return float(np.median(there)) if there.size else 0.0


def _extents(
    x: NDArray[np.float64], strips: list[Strip], n_rows: int, fs: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Highest and lowest level of each row that lasts 6 ms [mV], so that pacing spikes take no room."""
    up, down = np.zeros(n_rows), np.zeros(n_rows)
    width = max(1, round(0.006 * fs))
    for strip in strips:
        piece = x[strip.lead, strip.start : strip.stop]
        piece = piece[np.isfinite(piece)]
        if piece.size >= width:
            shifted = [piece[k : piece.size - width + 1 + k] for k in range(width)]
            # A tenth more, since a peak is higher than what lasts.
            up[strip.row] = max(up[strip.row], 1.1 * np.minimum.reduce(shifted).max())
            down[strip.row] = max(down[strip.row], -1.1 * np.maximum.reduce(shifted).min())
    return up, down


def _gain(highest: float, n_rows: int) -> float:
    """Millimetres per millivolt at which the highest level fits."""
    gain = _GAINS[n_rows > _TALL_ROWS]
    for decade in range(12):
        for step in _GAINS[:3]:
            lower = step / 10**decade
            if lower <= gain and highest * lower <= _HIGHEST:
                return lower
    return 1e-12


def _label_heights(
    x: NDArray[np.float64],
    strips: list[Strip],
    widths: list[float],
    per_mm: float,
    gain: float,
    up: NDArray[np.float64],
) -> list[float]:
    """Height of each strip's name over its baseline [mm]: just above the trace that it stands over."""
    heights = []
    for strip, width in zip(strips, widths, strict=False):
        piece = x[strip.lead, strip.start : min(strip.stop, strip.start + round(width * per_mm))]
        piece = piece[np.isfinite(piece)]
        level = min(float(piece.max()) * gain, up[strip.row]) if piece.size else 0.0
        heights.append(max(level, 3.0) + 1.0)
    return heights


def _baselines(up: NDArray[np.float64], down: NDArray[np.float64], step: float) -> tuple[NDArray[np.float64], float]:
    """Ordinates of the baselines, on lines of the grid, and the height of the paper [mm]."""
    y, offsets = 1.0, np.zeros(len(up))
    for row in reversed(range(len(up))):
        y = np.ceil((y + down[row]) / step) * step
        offsets[row] = y
        y += up[row] + 1
    return offsets, float(np.ceil((y + 1) / 5) * 5)


def _margin(names: list[str], wrapped: bool, letter: float) -> float:
    """Width of the pulse of calibration, and of names and times beside it."""
    letters = max([6 * wrapped, *map(len, names)])
    return float(np.ceil((10 + (1 + letters * letter if letters else 0)) / 5) * 5)
