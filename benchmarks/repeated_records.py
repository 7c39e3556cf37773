"""A data set of any size that takes no disk: some simulated records, again and again."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from beatssl_sklearn import make_ecg
from beatssl_sklearn.ecg import LEADS, ECGRecord


@lru_cache(maxsize=4)
def simulated(n: int, fs: float) -> np.ndarray:
    """Return signals (n, 12, n_times) of 10 s [mV], of which all processes make the same, once."""
    return np.asarray(make_ecg(n, fs=fs, duration=10, rhythm="mixed", random_state=0).data)


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
    """

    def __init__(self, n_different: int, n_records: int, fs: float) -> None:
        self.n_different, self.fs = n_different, fs
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
            part = Repeated(self.n_different, 0, self.fs)
            part.rows = self.rows[key]
            return part
        return ECGRecord(simulated(self.n_different, self.fs)[self.rows[key] % self.n_different], self.fs, LEADS)
