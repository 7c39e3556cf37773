"""A record that was read as a whole, where one is expected that is read by ranges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..ecg.wfdb import ECGRecord
from ..ecg.wfdb.paths import refuse
from ..ecg.wfdb.reader import WFDBReader


class WholeRecord(WFDBReader):
    """A record in memory with the methods of a `WFDBReader`: only WFDB files can be read by ranges.

    Parameters
    ----------
    name : str
        What messages call it.
    record : ECGRecord
        The record.
    """

    def __init__(self, name: str, record: ECGRecord) -> None:
        # Not that of `WFDBReader`, which opens files.
        self._record, self._called = record, name
        self.fs, self.leads, self.n_times = record.fs, record.leads, int(record.signal.shape[1])

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return the samples from `start` up to `stop`; see `WFDBReader`.

        Parameters
        ----------
        start, stop : int
            Range within the record [samples].

        Returns
        -------
        signal : ndarray of shape (n_leads, stop - start), float32
            Signals [mV], NaN where a sample is missing.

        Raises
        ------
        ValueError
            If the range is empty or leaves the record.
        """
        if not 0 <= start < stop <= self.n_times:
            refuse(self._called, f"there are no samples {start} to {stop}: it has {self.n_times}")
        return self._record.signal[:, start:stop]

    def check(self) -> None:
        """Do nothing: what is odd was told when the record was read."""
