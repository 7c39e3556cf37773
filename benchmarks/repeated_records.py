"""A data set of any size that takes no disk: some simulated records, again and again."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from beatssl_sklearn import make_ecg
from beatssl_sklearn.ecg import LEADS, ECGRecord


@lru_cache(maxsize=4)
def simulated(n: int, fs: float, duration: float = 10) -> np.ndarray:
    """Return signals (n, 12, n_times) [mV] of some seconds, of which all processes make the same, once."""
    return np.asarray(make_ecg(n, fs=fs, duration=duration, rhythm="mixed", random_state=0).data)


class Repeated:
    """Records that are read one by one.

    Parameters
    ----------
    n_different : int
        Simulated records.
    n_records : int
        Records of the data set.
    fs : float
        Their rate [Hz].
    duration : float, default=10
        Their length [s].
    """

    def __init__(self, n_different: int, n_records: int, fs: float, duration: float = 10) -> None:
        self.n_different, self.fs, self.duration = n_different, fs, duration
        self.rows = range(n_records)

    @property
    def names(self) -> list[str]:
        return [f"r{i:07d}" for i in self.rows]

    @property
    def shape(self) -> tuple[int]:
        return (len(self.rows),)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            part = Repeated(self.n_different, 0, self.fs, self.duration)
            part.rows = self.rows[key]
            return part
        some = simulated(self.n_different, self.fs, self.duration)
        return ECGRecord(some[self.rows[key] % self.n_different], self.fs, LEADS)
