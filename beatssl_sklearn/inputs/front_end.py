"""The front end: how a signal becomes what a network reads, and where its heartbeats are.

Training and transforming use one `FrontEnd`, so that preprocessing cannot differ between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..components import check_number, register
from ..ecg.beats import BEAT_WINDOW, window_samples
from ..ecg.leads import place_leads
from ..ecg.preprocess import AMPLITUDES, Preprocessed, check_fs, preprocess
from ..ecg.rpeaks import DETECTORS, Detector, detect_rpeaks
from .source import Block


@register
@dataclass(frozen=True)
class FrontEnd:
    """How a signal becomes what a network reads, and where a heartbeat begins and ends.

    Parameters
    ----------
    fs_model : float, default=100
        Rate that the network works at [Hz].
    amplitude : {"absolute", "relative"}, default="absolute"
        Unit of the voltage; see `ecg.preprocess.preprocess`.
    rpeak_detector : str or callable, default="multilead"
        As for `detect_rpeaks`.
    beat_window : tuple of float, default=(0.25, 0.45)
        Seconds before and after the R peak.
    beat_phases : int, default=7
        Equal parts of the beat window.
    """

    fs_model: float = 100.0
    amplitude: str = "absolute"
    rpeak_detector: Detector = "multilead"
    beat_window: tuple[float, float] = BEAT_WINDOW
    beat_phases: int = 7

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> FrontEnd:
        """Return the front end that an estimator's parameters of these names describe.

        Parameters
        ----------
        parameters : mapping
            As returned by `get_params`; others than the front end's do not matter.

        Returns
        -------
        FrontEnd
            With checked values.

        Raises
        ------
        TypeError, ValueError
            If one of them cannot be used; the message names the parameter and its value.
        """
        fs_model, amplitude, detector, beat_window, phases = (parameters[name] for name in cls.__dataclass_fields__)
        check_fs(fs_model, "fs_model")
        check_number("beat_phases", phases, Integral, 1, 64)
        if amplitude not in AMPLITUDES:
            raise ValueError(f"amplitude must be one of {', '.join(AMPLITUDES)}, got {amplitude!r}")
        return cls(float(fs_model), amplitude, detector, checked_beat_window(beat_window), int(phases))

    def _check_file(self) -> None:
        self.from_parameters(vars(self))
        if not isinstance(self.rpeak_detector, str) or self.rpeak_detector not in DETECTORS:
            raise ValueError(f"rpeak_detector must be one of {', '.join(DETECTORS)}, got {self.rpeak_detector!r:.80}")

    def __call__(self, block: Block) -> Preprocessed:
        """Return the signals of a block (n_records, n_times, 12) as the network reads them."""
        return preprocess(block.signal, block.fs, self.fs_model, block.leads, self.amplitude)

    def n_times(self, seconds: float) -> int:
        """Return the number of samples of the network in a time.

        Parameters
        ----------
        seconds : float
            The time [s].

        Returns
        -------
        int
            At least 1.
        """
        return max(1, ceil(seconds * self.fs_model - 1e-9))

    def find_rpeaks(self, block: Block, given: Any = None) -> list[NDArray[np.int64]]:
        """Return the R peaks of a block's records whose beat window lies inside the record [samples].

        Parameters
        ----------
        block : Block
            Signals of the records.
        given : sequence or mapping of arrays, optional
            R peaks in place of the detector's: of every record of X by position, or a mapping from its row.

        Returns
        -------
        list of int64 arrays (n_beats,)
            One per record.

        Raises
        ------
        ValueError
            If given R peaks do not increase or lie outside their record; the message names the record.
        """
        n_times = block.signal.shape[2]
        if given is None:
            signal = block.signal
            if isinstance(self.rpeak_detector, str) and block.leads is not None:
                # Derived and absent leads as the network sees them, so that peaks are the same however leads are given.
                signal, _ = place_leads(signal, block.leads)
            found = detect_rpeaks(signal, block.fs, self.rpeak_detector)
        else:
            # A column of a table would be asked for the labels of its index.
            by_row = given if isinstance(given, (list, Mapping)) else list(given)
            found = [_checked_rpeaks(by_row[int(i)], n_times, int(i)) for i in block.rows]
        # The rule of `keep_inside`, without checking again what the detector has checked.
        before, after = window_samples(block.fs, self.beat_window)
        return [r[(r >= before) & (r <= n_times - after)] for r in found]


def check_given_rpeaks(rpeaks: Any, n_records: int) -> list[Any] | None:
    """Return R peaks that were given as a list, in the order of X.

    Parameters
    ----------
    rpeaks : sequence of n_records arrays, mapping from row to array, or None
        R peaks [samples]. What is no mapping is taken by position, whatever its index.
    n_records : int
        Number of records.

    Returns
    -------
    list of n_records arrays, or None
        None if none were given.

    Raises
    ------
    TypeError, ValueError
        If there is not one array per record.
    """
    if rpeaks is None:
        return None
    if not hasattr(rpeaks, "__len__"):
        raise TypeError(f"rpeaks must hold one array per record, got {type(rpeaks).__name__}")
    if isinstance(rpeaks, Mapping):
        if set(rpeaks) != set(range(n_records)):
            raise ValueError(f"rpeaks must have the rows of X as keys, 0 to {n_records - 1}, got {list(rpeaks)[:5]}")
        return [rpeaks[i] for i in range(n_records)]
    found = list(rpeaks)
    if len(found) != n_records:
        raise ValueError(f"rpeaks holds {len(found)} records, X has {n_records}")
    return found


def _checked_rpeaks(rpeaks: NDArray, n_times: int, record: int) -> NDArray[np.int64]:
    peaks = np.asarray(rpeaks)
    if peaks.size == 0:
        return np.zeros(0, dtype=np.int64)
    if peaks.ndim != 1 or peaks.dtype.kind not in "iu":
        raise ValueError(f"rpeaks of record {record} must be a 1-D array of integers, got {peaks.dtype} {peaks.shape}")
    if peaks.min() < 0 or peaks.max() >= n_times or (np.diff(peaks.astype(np.int64)) <= 0).any():
        raise ValueError(f"rpeaks of record {record} must increase and lie in 0..{n_times - 1}")
    return peaks.astype(np.int64)


def checked_beat_window(beat_window: Any) -> tuple[float, float]:
    """Return two times in seconds around an R peak.

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
    return before, after
