"""The recording of a picture: what is taken for one, and which seconds of it are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..ecg.leads import LEADS
from ..ecg.waves.table import check_rate
from ..ecg.wfdb import ECGRecord

_WANTED = "an ECGRecord, or an array (n_leads, n_times) [mV] with its fs"


class Excerpt(NamedTuple):
    """Part of a recording.

    Attributes
    ----------
    x : ndarray of shape (n_leads, n_times)
        Signals [mV], NaN where a sample is missing.
    fs : float
        Sampling rate [Hz].
    names : list of n_leads str
        Names of the leads.
    first : int
        Sample of the recording that is column 0.
    recorded : float or None
        Length of the whole recording [s]; None if it is not known.
    """

    x: NDArray[np.float64]
    fs: float
    names: list[str]
    first: int
    recorded: float | None

    @property
    def shown(self) -> str:
        """The seconds that are shown; empty if they are the whole recording."""
        first, last = self.first / self.fs, (self.first + self.x.shape[1]) / self.fs
        if self.recorded is None:
            return f"{round(first, 2):.10g} to {round(last, 2):.10g} s"
        if last - first > self.recorded - 1 / self.fs:
            return ""
        return f"{round(first, 2):.10g} to {round(last, 2):.10g} s of {round(self.recorded, 2):.10g} s"


def excerpt_of(
    signal: Any,
    fs: float | None,
    leads: Sequence[str] | None,
    start: float = 0.0,
    duration: float | None = None,
    t0: float = 0.0,
    recorded: float | None = None,
) -> Excerpt:
    """Take the part of a recording that is shown.

    Parameters
    ----------
    signal : ECGRecord, or array-like of shape (n_leads, n_times) or (n_times,)
        Signals [mV].
    fs : float or None
        Sampling rate [Hz]; None for that of an ECGRecord.
    leads : sequence of n_leads str or None
        Names of the leads. None means those of an ECGRecord, or else the standard twelve, or numbers.
    start : float, default=0.0
        First second shown.
    duration : float, default=None
        Seconds shown; None for all.
    t0 : float, default=0.0
        Time of the signal's first sample [s].
    recorded : float, default=None
        Length of the whole recording [s]. None means that it ends with the signal, and is unknown if `t0` is not 0.

    Returns
    -------
    Excerpt
        The part; infinity is NaN.

    Raises
    ------
    TypeError
        If it is no recording.
    ValueError
        If it has another shape, or a parameter does not belong to it.
    """
    if isinstance(signal, ECGRecord):
        signal, fs, leads = _of_record(signal, fs, leads)
    if fs is None:
        raise ValueError("fs must be given for an array: its sampling rate [Hz]")
    _check_fs(fs)
    x = _checked(signal)
    names = _lead_names(x.shape[0], leads)
    if not np.isfinite(t0) or t0 < 0:
        raise ValueError(f"t0 must be a time of the recording [s], got {t0!r}")
    begin = round(t0 * fs)
    stop = begin + x.shape[1]
    if not 0 <= start * fs < stop:
        raise ValueError(f"start must lie in the recording, {begin / fs:g} to {stop / fs:g} s, got {start!r}")
    first = max(begin, min(round(start * fs), stop - 1))
    if duration is not None:
        if not (np.isfinite(duration) and duration * fs >= 1):
            raise ValueError(f"duration must be a positive number of seconds, got {duration!r}")
        stop = min(stop, first + round(duration * fs))
    end = begin + x.shape[1]
    if recorded is not None and not recorded * fs > end - 1:
        raise ValueError(f"recorded must not be shorter than the signal, which ends at {end / fs:g} s, got {recorded}")
    if recorded is None and not begin:
        recorded = x.shape[1] / fs
    part = x[:, first - begin : stop - begin].astype(np.float64)
    return Excerpt(np.where(np.isfinite(part), part, np.nan), float(fs), names, first, recorded)


def _of_record(record: ECGRecord, fs: Any, leads: Any) -> tuple[Any, float, Sequence[str]]:
    """Signal, rate and leads of a record, which brings its own."""
    if fs is not None:
        _check_fs(fs)
        if fs != record.fs:
            raise ValueError(f"fs must not be given for an ECGRecord, which has its own: {record.fs:g} Hz, not {fs:g}")
    if leads is not None and tuple(leads) != tuple(record.leads):
        raise ValueError(f"leads must not be given for an ECGRecord, which has its own: {record.leads}, not {leads}")
    return record.signal, record.fs, record.leads


def _check_fs(fs: Any) -> None:
    if isinstance(fs, bool) or not isinstance(fs, (int, float, np.integer, np.floating)):
        raise TypeError(
            f"fs must be a number [Hz], got {type(fs).__name__}: the order is (signal, fs, ...); an ECGRecord has its "
            f"own fs, and what follows is then given by name, such as table=..."
        )
    check_rate(float(fs))


def _checked(signal: Any) -> NDArray[Any]:
    """Signal as an array (n_leads, n_times) of any real type, not copied."""
    if isinstance(signal, (list, tuple)) and any(isinstance(part, ECGRecord) for part in signal):
        raise TypeError(f"signal must be {_WANTED}, got {len(signal)} records: pass one of them")
    if isinstance(signal, (str, bytes)) or hasattr(signal, "__fspath__"):
        raise TypeError(f"signal must be {_WANTED}, got the name {signal!r:.60}: read it with read_wfdb")
    if hasattr(signal, "columns"):
        raise TypeError(f"signal must be {_WANTED}, got a table: pass table[leads].to_numpy().T and the names as leads")
    if isinstance(signal, np.ma.MaskedArray):
        signal = np.ma.filled(signal.astype(np.float64), np.nan)
    try:
        x = np.asarray(signal.detach().cpu() if hasattr(signal, "detach") else signal)
    except (ValueError, TypeError, RuntimeError):
        raise ValueError(f"signal must be {_WANTED}, got rows of different lengths") from None
    if x.dtype.kind not in "iuf":
        raise TypeError(f"signal must be {_WANTED}, got {type(signal).__name__} of {x.dtype}")
    if x.ndim == 1:
        x = x[None]
    if x.ndim == 3:
        raise ValueError(f"signal must have shape (n_leads, n_times), got {len(x)} records of {x.shape[1:]}: pass one")
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"signal must have shape (n_leads, n_times), got {x.shape}")
    if x.shape[0] > x.shape[1]:
        raise ValueError(f"signal must have shape (n_leads, n_times), got {x.shape}: is it transposed?")
    return x


def _lead_names(n_leads: int, leads: Any) -> list[str]:
    if leads is None:
        return list(LEADS) if n_leads == len(LEADS) else [str(k + 1) for k in range(n_leads)]
    if isinstance(leads, str):
        raise TypeError(f"leads must be a sequence of names, got the single name {leads!r}")
    if len(leads) != n_leads:
        raise ValueError(f"leads must name the {n_leads} rows of signal, got {len(leads)}: {list(leads)}")
    return [str(name) for name in leads]
