"""Measures of rhythm that rest on the R peaks alone: how regular the heartbeats of a stretch of signal are, and how."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .beats import as_rpeaks
from .preprocess import check_fs
from .rr_stretches import Stretches

__all__ = ["RR_MEASURES", "rr_measures"]

_BORDERS = (0.7, 0.85, 0.95, 1.05, 1.15, 1.4)  # of the histogram of intervals, in medians
_CHANGES = (0.05, 0.1, 0.2)  # from one interval to the next, in medians
_TOLERANCES = (0.05, 0.1)  # within which two intervals match, in medians
_LAGS = (1, 2, 3)  # of the autocorrelation, in intervals
_NEAR = 30  # Intervals that are further apart are not compared, so that time grows with the number of beats only.
_PRIOR = 3  # Templates as if intervals did not depend on each other, so that few beats do not say too much.
_LIMIT = 1.0  # Deviations are cut at this many medians: a pause is no more irregular than one lost beat.
# A premature beat comes after so many medians at most, the next one after so many at least.
_PREMATURE, _PAUSE, _COMPENSATED = 0.88, 1.05, 0.1
_USUAL = (60.0, 100.0)  # Rates that are neither slow nor fast [1/min].
_PNN_S = 0.05  # Changes that pNN50 counts [s].
_NO_POWER = 1e-6  # Intervals that vary by less than .1 % have no correlation: one sample more or less is rounding.

RR_MEASURES: tuple[str, ...] = (
    *("median_rr", "log_rate", "slow", "fast", "rr_mad", "rr_sd", "rr_low", "rr_high", "rr_drift"),
    *("rmssd", "change_median", "second_change"),
    *(f"changes_{round(100 * c)}" for c in _CHANGES),
    "pnn50",
    *(f"rr_bin{k}" for k in range(1, len(_BORDERS) + 2)),
    *("lorenz_origin", "lorenz_short_long", "lorenz_long_short", "lorenz_shorter", "lorenz_longer"),
    *("premature", "compensated", "turning_points"),
    *(f"autocorrelation_{lag}" for lag in _LAGS),
    *(f"{name}_{round(100 * r)}" for r in _TOLERANCES for name in ("match", "entropy")),
)
"""Names of the columns of `rr_measures`."""


def rr_measures(rpeaks: Sequence[NDArray[np.int64]], fs: float) -> NDArray[np.float64]:
    """Measure the rhythm of stretches of signal from their R peaks.

    Parameters
    ----------
    rpeaks : sequence of n arrays of int, shape (n_beats,)
        R peaks of each record or window, increasing [samples].
    fs : float
        Sampling rate [Hz].

    Returns
    -------
    ndarray (n, n_columns) of float64
        A row per stretch, with the columns `RR_MEASURES`. All values are finite. They do not grow with the number of
        beats. x is an RR interval divided by the stretch's median; d is the change from one x to the next, cut at +-1.

        - ``median_rr``: median interval [s]; ``log_rate``: natural logarithm of the rate per second, so 0 at 60 per
          minute; ``slow``, ``fast``: how far it is below that of 60, and above that of 100 per minute.
        - ``rr_mad``, ``rr_sd``: 1.4826 times the median absolute deviation of x, and the standard deviation of x from
          1, deviations cut at 1; ``rr_low``, ``rr_high``: 10th and 90th percentile of x, minus 1; ``rr_drift``: mean of
          the second half minus that of the first half, deviations cut at 1.
        - ``rmssd``, ``change_median``: root mean square of d, and median of its absolute value; ``second_change``: mean
          absolute change from one d to the next.
        - ``changes_5``, ``changes_10``, ``changes_20``: share of d beyond 5, 10 and 20 %; ``pnn50``: share of changes
          of more than 50 ms.
        - ``rr_bin1`` ... ``rr_bin7``: share of x up to .7, .85, .95, 1.05, 1.15, 1.4, and above.
        - Lorenz plot of d and the d after it: ``lorenz_origin``: share of points with both within 5 %;
          ``lorenz_short_long`` and so on: shares of points with both beyond 5 %, in the four quadrants: shorter then
          longer (a premature beat and its pause), longer then shorter, twice shorter, twice longer.
        - ``premature``: share of intervals that are short (x < .88) and followed by a long one (x > 1.05), of all
          that have a next one; ``compensated``: share of those pairs that sum up to 2 within .1.
        - ``turning_points``: share of intervals that are longer, or shorter, than both neighbours; 2 / 3 for random
          intervals.
        - ``autocorrelation_1`` to ``_3``: of x - 1, cut at +-1, between an interval and the first to third one after
          it. Two intervals in turn (bigeminy) have -1, 1, -1.
        - ``match_5``, ``match_10``: share of pairs of intervals that agree within 5 and 10 % of the median;
          ``entropy_5``, ``entropy_10``: sample entropy of templates of one interval with this tolerance, which is the
          coefficient of sample entropy but for a constant. Where few pairs match, it tends to the entropy of
          intervals that do not depend on each other. Only pairs up to 30 intervals apart are compared.

        With fewer than two beats there is no interval, and all columns are 0. Measures that need more beats than there
        are are 0, too: with two beats, these are all but the first four and ``rr_bin4``, which is 1.

    Raises
    ------
    TypeError, ValueError
        If R peaks are no 1-D arrays of integers, or do not increase; the message names the stretch. If `fs` is no
        plausible rate.

    References
    ----------
    Lake and Moorman, Accurate estimation of entropy in very short physiological time series, Am J Physiol Heart Circ
    Physiol 300, 2011 (coefficient of sample entropy).
    Sarkar, Ritscher and Mehra, A detector for a chronic implantable atrial tachyarrhythmia monitor, IEEE Trans Biomed
    Eng 55(3), 2008 (Lorenz plot of changes).
    Dash, Chon, Lu and Raeder, Automatic real time detection of atrial fibrillation, Ann Biomed Eng 37(9), 2009
    (root mean square of changes, turning points).

    Examples
    --------
    >>> import numpy as np
    >>> from beatssl_sklearn.ecg import RR_MEASURES, rr_measures
    >>> regular, bigeminy = np.arange(20) * 100, np.cumsum([0] + [70, 130] * 9)
    >>> rows = rr_measures([regular, bigeminy], fs=100)
    >>> rows[:, RR_MEASURES.index("autocorrelation_1")].round(2).tolist()
    [0.0, -1.0]
    """
    fs = check_fs(fs)
    rr = _intervals(rpeaks, fs)
    median = rr.quantile(rr.value, 0.5)
    # A stretch without an interval has no value that is divided.
    x = rr.with_value(rr.value / rr.of_stretch(median))
    d = x.changes()
    columns = [
        *(median, *_rate(rr), *_spread(x)),
        *_changes(d.with_value(np.clip(d.value, -_LIMIT, _LIMIT))),
        d.mean(np.abs(d.value) * d.of_stretch(median) > _PNN_S),
        *_histogram(x),
        *_lorenz(d),
        *_premature(x),
        _turning_points(d),
        *_autocorrelations(x),
        *(column for tolerance in _TOLERANCES for column in _matches(x, tolerance)),
    ]
    return np.stack(columns, axis=1)


def _intervals(rpeaks: Sequence[NDArray[np.int64]], fs: float) -> Stretches:
    """Return the RR intervals of all stretches [s]."""
    if not isinstance(rpeaks, (list, tuple, np.ndarray)) or (isinstance(rpeaks, np.ndarray) and rpeaks.dtype != object):
        raise TypeError(f"rpeaks must be a list of arrays, one per stretch ([rpeaks] for one), got {rpeaks!r:.60}")
    found = []
    for i, peaks in enumerate(rpeaks):
        try:
            found.append(np.diff(as_rpeaks(peaks)))
        except (TypeError, ValueError) as error:
            raise type(error)(f"rpeaks of stretch {i}: {error}") from error
        if (found[-1] <= 0).any():
            raise ValueError(f"rpeaks of stretch {i} must increase")
    stretch = np.repeat(np.arange(len(found)), [len(intervals) for intervals in found])
    return Stretches(np.concatenate([*found, np.zeros(0)]) / fs, stretch, len(found))


def _rate(rr: Stretches) -> list[NDArray[np.float64]]:
    """Return the logarithm of the rate, and how far it is from that of a usual rhythm."""
    mean = rr.mean(rr.value)
    rate = np.where(mean > 0, -np.log(np.where(mean > 0, mean, 1.0)), 0.0)
    return [rate, np.maximum(np.log(_USUAL[0] / 60) - rate, 0.0), np.maximum(rate - np.log(_USUAL[1] / 60), 0.0)]


def _spread(x: Stretches) -> list[NDArray[np.float64]]:
    """Return how far intervals are from their median."""
    off = np.clip(x.value - 1, -_LIMIT, _LIMIT)
    # Where the second half of its stretch begins; a lone interval is no half.
    counts = x.counts
    place = np.arange(len(x.value)) - x.of_stretch(np.cumsum(counts) - counts)
    has_interval, off_x = counts > 0, x.with_value(off)
    late = place >= x.of_stretch(counts / 2)
    halves = [half.mean(half.value) for half in (off_x.kept(~late), off_x.kept(late))]
    return [
        1.4826 * x.quantile(np.abs(off), 0.5),
        np.sqrt(x.mean(off**2)),
        x.quantile(x.value, 0.1) - has_interval,
        x.quantile(x.value, 0.9) - has_interval,
        np.where(counts > 1, halves[1] - halves[0], 0.0),
    ]


def _changes(d: Stretches) -> list[NDArray[np.float64]]:
    """Return how much intervals change from one to the next."""
    size, second = np.abs(d.value), d.changes()
    return [
        np.sqrt(d.mean(d.value**2)),
        d.quantile(size, 0.5),
        second.mean(np.abs(second.value)),
        *(d.mean(size > border) for border in _CHANGES),
    ]


def _histogram(x: Stretches) -> list[NDArray[np.float64]]:
    """Return the shares of intervals between borders."""
    place = np.searchsorted(_BORDERS, x.value)
    return [x.mean(place == k) for k in range(len(_BORDERS) + 1)]


def _lorenz(d: Stretches) -> list[NDArray[np.float64]]:
    """Return where the points of the Lorenz plot lie."""
    first, second, points = d.pairs(1)
    border = _CHANGES[0]
    return [
        points.mean((np.abs(first) <= border) & (np.abs(second) <= border)),
        points.mean((first < -border) & (second > border)),
        points.mean((first > border) & (second < -border)),
        points.mean((first < -border) & (second < -border)),
        points.mean((first > border) & (second > border)),
    ]


def _premature(x: Stretches) -> list[NDArray[np.float64]]:
    """Return the share of premature beats, and of those with a compensatory pause."""
    first, second, pairs = x.pairs(1)
    early = (first < _PREMATURE) & (second > _PAUSE)
    compensated = early & (np.abs(first + second - 2) < _COMPENSATED)
    return [pairs.mean(early), pairs.total(compensated) / np.maximum(pairs.total(early), 1)]


def _turning_points(d: Stretches) -> NDArray[np.float64]:
    first, second, points = d.pairs(1)
    return points.mean(first * second < 0)


def _autocorrelations(x: Stretches) -> list[NDArray[np.float64]]:
    """Return the correlations of intervals with later ones, 0 where none differ."""
    off = x.with_value(np.clip(x.value - 1, -_LIMIT, _LIMIT))
    off = off.with_value(off.value - off.of_stretch(off.mean(off.value)))
    power = off.mean(off.value**2)
    columns = []
    for lag in _LAGS:
        first, second, pairs = off.pairs(lag)
        # Of few intervals, the pairs may vary more than all of them.
        joint = pairs.mean(first * second) / np.where(power > _NO_POWER, power, 1.0)
        columns.append(np.where(power > _NO_POWER, np.clip(joint, -1, 1), 0.0))
    return columns


def _matches(x: Stretches, tolerance: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of pairs of intervals that match, and the sample entropy of templates of one interval."""
    n_pairs, n_match, n_next, n_both = (np.zeros(x.n_stretches) for _ in range(4))
    longest = int(x.counts.max(initial=0))
    for lag in range(1, min(_NEAR, longest - 1) + 1):
        match = x.pairs(lag)[2]
        match = match.with_value((np.abs(match.value) <= tolerance).astype(np.float64))
        first, second, followed = match.pairs(1)
        n_pairs += match.counts
        n_match += match.total(match.value)
        n_next += followed.total(first)
        n_both += followed.total(first * second)
    # One more pair that matches half, and some more templates that go on matching like any pair.
    by_chance = (n_match + 0.5) / (n_pairs + 1)
    entropy = -np.log((n_both + _PRIOR * by_chance) / (n_next + _PRIOR))
    return n_match / np.maximum(n_pairs, 1), np.where(n_pairs > 0, entropy, 0.0)
