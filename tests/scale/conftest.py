"""A data set that takes no time: few short records of one lead, and the smallest encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beatssl_sklearn import BeatSSLPretrainer, ECGRecord, RhythmEmbedder, make_ecg

pytest.importorskip("pyarrow", reason="pyarrow is not installed")


class Lazy:
    """A collection that is read record by record and counts it; some records cannot be read."""

    def __init__(self, records: list[Any], names: list[str], patients: list[str], bad: tuple[str, ...] = ()) -> None:
        self.records, self.names, self.patients, self.bad = records, names, patients, bad
        self.shape = (len(records),)
        self.read: list[str] = []

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            part = Lazy(self.records[key], self.names[key], self.patients[key], self.bad)
            part.read = self.read
            return part
        self.read.append(self.names[key])
        if self.names[key] in self.bad:
            raise OSError(f"the file of {self.names[key]} is gone")
        return self.records[key]


@pytest.fixture(scope="session")
def signals() -> np.ndarray:
    return make_ecg(24, fs=100, duration=4, rhythm="mixed", random_state=0).data


@pytest.fixture(scope="session")
def embedder(signals: np.ndarray) -> RhythmEmbedder:
    """Weights that nobody trained: the numbers are as hard to get right."""
    pre = BeatSSLPretrainer(fs=100, fs_model=100, encoder_params={"size": "s"}, max_epochs=0, random_state=0)
    fitted = pre.set_params(device="cpu", batch_size=8).fit(signals[:8])
    return RhythmEmbedder(fitted.encoder_, check="ignore", device="cpu", batch_size=4)


@pytest.fixture
def lazy(signals: np.ndarray) -> Callable[..., Lazy]:
    """Makes a collection of the records, with names and patients: ``lazy("n3", ...)`` cannot read these."""
    leads = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")

    def make(*bad: str) -> Lazy:
        records = [ECGRecord(signal, 100.0, leads) for signal in signals]
        return Lazy(records, [f"n{i}" for i in range(len(records))], [f"p{i // 2}" for i in range(len(records))], bad)

    return make


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Path]:
    """A folder for shards; at the end of the test no half of a file is in it."""
    yield tmp_path / "shards"
    assert not list((tmp_path / "shards").glob(".*.tmp"))
