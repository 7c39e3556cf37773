"""R peaks: `detect_rpeaks` and the detectors that have a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._optional import import_optional
from .preprocess import check_fs
from .rpeaks_activity import Grid, Index, Signal, boxed, coarse_activity
from .rpeaks_beats import low_and_high
from .rpeaks_gaps import bridged, without_gaps
from .rpeaks_multilead import multilead

Detector = str | Callable[[Signal, float], ArrayLike]
"""Name of a detector, or a function of a record's signal (n_leads, n_times) and its sampling rate [Hz]."""

MIN_DURATION = 0.3
"""Shortest record in which R peaks can be found [s]."""


def detect_rpeaks(X: ArrayLike, fs: float, detector: Detector = "multilead") -> list[Index]:
    """Find the R peaks of every record.

    Parameters
    ----------
    X : array-like of shape (n_records, n_leads, n_times) or (n_leads, n_times)
        Signals [mV] of at least 0.3 s: float32, float64, memory maps or views; never modified. Two dimensions are one
        record, and the result is still a list, of one array. NaN is missing: a straight line bridges a gap, and a lead
        without any value counts as absent. The scale does not matter.
    fs : float
        Sampling rate [Hz], 50 to 2000.
    detector : {"multilead", "sleepecg"} or callable, default="multilead"
        - "multilead": all leads together; for any number of leads and any length (in long records the thresholds
          follow the signal).
        - "sleepecg": the detector of that package, on lead II of twelve leads, otherwise on the lead whose activity
          stands out most. Needs the extra ``beatssl-sklearn[sleepecg]``.
        - a callable ``(signal (n_leads, n_times) float32, fs) -> sample indices``, called with one record at a time.
          Its result is checked and sorted, and duplicates are dropped.

    Returns
    -------
    list of n_records int64 arrays
        Sample indices at the rate `fs`, sorted, unique and inside the record. Empty if nothing stands out, as in flat
        records, in noise and in a pure tone. A record's result does not depend on the other records.

    Raises
    ------
    TypeError
        If X is not numeric, or `fs` or `detector` has a wrong type.
    ValueError
        If X has another number of dimensions, has no lead, is too short or holds an infinite value; if `fs` is out of
        range; if `detector` is unknown; if a callable returns anything but sample indices inside the record; or if
        "sleepecg" cannot read a record.
    ImportError
        If the detector's package is not installed.

    Notes
    -----
    "multilead" is this package's own. For each record:

    1. z: sums of blocks of about 16 ms (60 Hz or more);
    2. activity: for each lead ``|2 z[t] - z[t - 32 ms] - z[t + 32 ms]|``, capped at 1.5 times the mean of all leads,
       summed over leads, then over a box of 0.1 s; two or three leads have weights (below);
    3. levels low and high: the 30th and 97th percentile of the activity over 10 s, in long records interpolated between
       windows;
    4. beats: maxima within +-0.22 s above low + 0.45 (high - low); none if high / low is as small as in white noise in
       that many leads;
    5. T waves: a maximum up to 0.36 s after another of more than twice its height is no beat;
    6. search back: in an RR interval of more than 1.5 times the median of its neighbours, the highest maximum above
       low + 0.2 (high - low) is a beat;
    7. R peak: within 50 ms, the largest second difference (lag 48 ms) of the full-rate signal, capped and summed over
       leads as in 2; of two or three leads, the largest root of the sum of squares.

    Steps 5 and 6 follow Pan and Tompkins with other numbers. The numbers of these steps were chosen on LUDB, with
    checks on MIT-BIH DS1; ``benchmarks/results/rpeaks.md`` has the measurements.

    Weights of two or three leads, one per lead and 5 s: m is the median over 10 s of the highest activity in 1.25 s; a
    is m divided by the median of the mean activity, at most 8; b is m divided by the median of the lower quartile, at
    most 100; the weight is a times the root of b, relative to the lead with the largest such product. A lead of a
    smaller weight whose activity is higher than that of the best lead is brought down towards its height. In step 7,
    the weights have the power .8. These numbers were chosen on MIT-BIH DS1, also with noise in one lead, and checked on
    the records 800 to 869 of the Supraventricular Arrhythmia Database (``benchmarks/results/rpeaks_leads.md``).

    Missing signal: a lead that keeps one value for 0.25 s (0.1 s at an end) has none there, like NaN, and a straight
    line bridges it. So steps into zero padding, into gaps and to the rail of an electrode that is off are no beats. A
    gap of all leads of 1 s or at an end is left out of the levels, with 50 ms on each side, in which no R peak is
    found. Padding that was resampled by an FFT rings over its whole length and is not recognized, nor is padding of
    records that were resampled from less than 400 Hz: pad after resampling, or with NaN.

    Windows of 10 s in which high / low is below 10, peaks are narrow, or beats come at 130 per minute or more get a
    second look:

    - Hum of 50 or 60 Hz is subtracted where it has 10 % of the energy of the signal's slope.
    - A signal of which one frequency has 90 % is no ECG.
    - Pacing spikes: if two peaks or more, and 15 % of them, are as narrow as spikes (below 55 % of their height 4 ms
      away), such deflections are bridged. The result counts if beats follow the spikes, are broad, and are no more than
      before. Below 200 Hz spikes cannot be told from QRS complexes.
    - Fast rhythms: beats within 0.22 s of each other are found if all are regular (RR intervals within 15 % of their
      median of 0.187 to 0.34 s) and alike in shape and height, for 90 % of the window.

    Regular rhythms are found up to 300 per minute. In irregular ones, two beats within 0.22 s (over 270 per minute)
    count as one. In ventricular flutter some of the waves are found. Noise with short bursts, such as of a loose
    electrode, can look like beats.

    References
    ----------
    Pan and Tompkins, A real-time QRS detection algorithm, IEEE Trans Biomed Eng 32(3), 1985 (search-back at 166 % of
    the mean RR interval, T waves within 360 ms).
    Brunner and Hofer, SleepECG, J Open Source Softw 8(86), 2023.
    """
    fs = check_fs(fs)
    x = _as_records(X, fs)
    if isinstance(detector, str):
        if detector not in DETECTORS:
            raise ValueError(f"detector must be a callable or one of {sorted(DETECTORS)}, got {detector!r}")
        return DETECTORS[detector](x, fs)
    if not callable(detector):
        raise TypeError(f"detector must be a callable or one of {sorted(DETECTORS)}, got {detector!r}")
    return [_checked(detector(_filled(x, i), fs), x.shape[2], i) for i in range(len(x))]


def _sleepecg(x: NDArray, fs: float) -> list[Index]:
    sleepecg = import_optional("sleepecg", "detector='sleepecg'", "sleepecg")
    grid = Grid.at(fs)
    out = []
    for i in range(len(x)):
        with np.errstate(invalid="ignore", over="ignore"):
            signal, gone = without_gaps(x[i], i, fs) or (_filled(x, i), None)
        lead = signal[_best_lead(signal, grid)].astype(np.float64)
        try:
            beats = sleepecg.detect_heartbeats(lead, fs) if np.ptp(lead) > 0 else []
        except (ValueError, IndexError) as error:
            raise ValueError(f"detector 'sleepecg' cannot read record {i} of {len(lead)} samples: {error}") from error
        found = _checked(beats, x.shape[2], i)
        out.append(found if gone is None else found[~gone[found]])
    return out


def _best_lead(signal: Signal, grid: Grid) -> int:
    """Return lead II of twelve leads unless it is flat, otherwise the lead whose activity stands out most."""
    if len(signal) == 12 and np.ptp(signal[1]) > 0:
        return 1
    contrast = np.zeros(len(signal))
    for lead in range(len(signal)):
        activity = np.zeros((1, signal.shape[1] // grid.block), np.float32)
        if coarse_activity(signal[lead : lead + 1], grid, activity[0])[0]:
            low, high = (float(level[0]) for level in low_and_high(boxed(activity, grid.box)))
            contrast[lead] = high / low if low > 0 else high > 0
    return int(contrast.argmax())


DETECTORS = {"multilead": multilead, "sleepecg": _sleepecg}
"""Detectors by their names."""


def _as_records(X: ArrayLike, fs: float) -> NDArray:
    """Return X as a real array (n_records, n_leads, n_times); an array is not copied."""
    if hasattr(X, "signal") or (hasattr(X, "names") and hasattr(X, "shape") and not isinstance(X, np.ndarray)):
        raise TypeError(
            f"X is a {type(X).__name__}, whose records have rates of their own: pass record.signal and record.fs, one "
            f"record after the other, or use BeatEmbedder.rpeaks"
        )
    x = np.asarray(X)
    if x.dtype.kind not in "fiuO":
        raise TypeError(f"X must hold real numbers [mV], got {x.dtype}")
    if x.dtype.kind == "O":
        try:
            x = x.astype(np.float32)
        except (TypeError, ValueError) as error:
            raise TypeError("X must hold real numbers [mV] in records of one shape, got Python objects") from error
    if x.ndim == 2:
        x = x[None]
    if x.ndim != 3:
        raise ValueError(f"X must have shape (n_records, n_leads, n_times) or (n_leads, n_times), got {x.shape}")
    if x.shape[1] == 0:
        raise ValueError(f"X must have at least one lead, got shape {x.shape}")
    if x.shape[2] < int(MIN_DURATION * fs):
        raise ValueError(f"X must last at least {MIN_DURATION} s, got {x.shape[2]} samples at {fs:g} Hz")
    return x


def _filled(x: NDArray, record: int) -> Signal:
    """Return one record as a fresh float32 array without gaps."""
    return bridged(np.array(x[record], dtype=np.float32, order="C"), record)


def _checked(beats: Any, n_times: int, record: int) -> Index:
    """Return the result of a detector as sorted, unique sample indices."""
    try:
        found = np.asarray(beats)
    except (TypeError, ValueError):  # lists of several lengths, an array on another device
        found = np.array(None)
    if found.size == 0:
        return np.empty(0, np.int64)
    if found.ndim != 1 or found.dtype.kind not in "fiu" or not (found == np.floor(found)).all():
        raise ValueError(f"detector must return a 1-D array of sample indices: record {record} gave {beats!r}")
    if found.min() < 0 or found.max() >= n_times:
        raise ValueError(
            f"detector returned indices {found.min()} to {found.max()} for record {record} of {n_times} samples"
        )
    return np.unique(found.astype(np.int64))
