"""R peaks of records, detected or given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ecg.beats import window_samples
from ..ecg.leads import place_leads
from ..ecg.rpeaks import detect_rpeaks
from .source import Block


def check_given_rpeaks(rpeaks: Any, n_records: int) -> None:
    """Refuse R peaks that are not of these records.

    Raises
    ------
    ValueError
        If there is not one array per record.
    """
    if rpeaks is not None and len(rpeaks) != n_records:
        raise ValueError(f"rpeaks holds {len(rpeaks)} records, X has {n_records}")

Detector = str | Callable[[NDArray, float], NDArray]


def find_rpeaks(
    block: Block, detector: Detector, beat_window: tuple[float, float], given: Sequence[NDArray] | None = None
) -> list[NDArray[np.int64]]:
    """Return the R peaks of a block's records whose beat window lies inside the record [samples]."""
    n_times = block.signal.shape[2]
    if given is None:
        signal = block.signal
        if isinstance(detector, str) and block.leads is not None:
            # Derived and absent leads as the network sees them, so that peaks are the same however leads are given.
            signal, _ = place_leads(signal, block.leads)
        found = detect_rpeaks(signal, block.fs, detector)
    else:
        found = [checked_rpeaks(given[int(i)], n_times, int(i)) for i in block.rows]
    # The rule of `keep_inside`, without checking again what the detector has checked.
    before, after = window_samples(block.fs, beat_window)
    return [r[(r >= before) & (r <= n_times - after)] for r in found]


def checked_rpeaks(rpeaks: NDArray, n_times: int, record: int) -> NDArray[np.int64]:
    """Check R peaks that a user passes.

    Raises
    ------
    ValueError
        If they are not increasing sample numbers of the record.
    """
    peaks = np.asarray(rpeaks)
    if peaks.size == 0:
        return np.zeros(0, dtype=np.int64)
    if peaks.ndim != 1 or peaks.dtype.kind not in "iu":
        raise ValueError(f"rpeaks of record {record} must be a 1-D array of integers, got {peaks.dtype} {peaks.shape}")
    if peaks.min() < 0 or peaks.max() >= n_times or (np.diff(peaks.astype(np.int64)) <= 0).any():
        raise ValueError(f"rpeaks of record {record} must increase and lie in 0..{n_times - 1}")
    return peaks.astype(np.int64)



def check_beat_window(beat_window: Any) -> None:
    """Refuse what is not two times in seconds around an R peak.

    Raises
    ------
    ValueError
        Naming the parameter and the value.
    """
    try:
        before, after = (float(s) for s in beat_window)
    except (TypeError, ValueError):
        raise ValueError(f"beat_window must be two times in seconds, got {beat_window!r}") from None
    if not (0 <= before <= 2 and 0 <= after <= 2 and before + after >= 0.05):
        raise ValueError(f"beat_window must be two times of 0-2 s that span at least .05 s, got {beat_window!r}")
