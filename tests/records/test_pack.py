"""Packing: a run that was stopped goes on, nothing is written twice, and what cannot be packed is named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn import ECGRecord, ZarrRecords, make_ecg, pack_records
from beatssl_sklearn.records.writer import StoreWriter

X = make_ecg(14, fs=100, duration=2, random_state=0).data
LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


class Failing:
    """Records of which one cannot be read; it counts how often each is read."""

    def __init__(self, bad: int | None, error: BaseException) -> None:
        self.bad, self.error, self.read = bad, error, [0] * len(X)
        self.names, self.shape = tuple(f"r{i}" for i in range(len(X))), (len(X),)

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, i: int) -> ECGRecord:
        self.read[i] += 1
        if i == self.bad:
            raise self.error
        return ECGRecord(X[i], 100.0, LEADS, {"patient_id": f"p{i // 2}"})


def chunk_times(place: Path) -> dict[str, int]:
    return {path.name: os.stat(path / "0/0").st_mtime_ns for path in (place / "0/signal/c").iterdir()}


def test_a_stopped_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beatssl_sklearn.records.writer._COMMIT", 4)
    place, records = tmp_path / "a.zarr", Failing(10, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        pack_records(records, place, chunk=4)
    with pytest.raises(ValueError, match="store 'a.zarr' is half written: 8 records are complete"):
        ZarrRecords(place)
    with pytest.raises(ValueError, match="store 'a.zarr' was begun with compression='lz4', not 'zstd'"):
        pack_records(records, place, chunk=4, compression="zstd")
    before = chunk_times(place)
    assert sorted(before) == ["0", "1"]
    records.bad, records.read = None, [0] * len(X)
    packed = pack_records(records, place, chunk=4)
    assert records.read == [0] * 8 + [1] * 6
    assert {name: time for name, time in chunk_times(place).items() if name in before} == before
    assert packed.names == records.names and packed.patient_ids is not None
    assert packed.patient_ids.tolist() == [f"p{i // 2}" for i in range(len(X))]
    np.testing.assert_array_equal(np.asarray(packed), np.asarray(pack_records(X, tmp_path / "b.zarr", fs=100)))


def test_what_a_stopped_write_left_is_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beatssl_sklearn.records.writer._COMMIT", 4)
    place = tmp_path / "a.zarr"
    with monkeypatch.context() as patch:
        # All arrays have eight records when the program ends, and the store counts four.
        commit, n_commits = StoreWriter._commit, iter(range(9))

        def stop(self: StoreWriter, complete: bool) -> None:
            if next(n_commits) == 1:
                raise KeyboardInterrupt
            commit(self, complete)

        patch.setattr(StoreWriter, "_commit", stop)
        with pytest.raises(KeyboardInterrupt):
            pack_records(X[::-1], place, fs=100, chunk=4)
    packed = pack_records(X[::-1], place, fs=100, chunk=4)
    assert len(packed) == len(X) and packed.names == tuple(map(str, range(len(X))))
    assert np.abs(np.asarray(packed) - X[::-1]).max() < 1e-3


def test_a_complete_store_is_kept_and_appended_to(tmp_path: Path) -> None:
    place = tmp_path / "a.zarr"
    names = [f"n{i}" for i in range(len(X))]
    pack_records(X[:6], place, fs=100, chunk=4, names=names[:6])
    before = chunk_times(place)
    pack_records(X[:6], place, fs=100, chunk=4, names=names[:6])
    assert chunk_times(place) == before
    with pytest.raises(FileExistsError, match="store 'a.zarr' is complete and lacks the record 'n6'; append=True"):
        pack_records(X, place, fs=100, chunk=4, names=names)
    packed = pack_records(X[6:], place, fs=100, chunk=4, names=names[6:], append=True)
    assert packed.names == tuple(names)
    assert np.abs(np.asarray(packed) - X).max() < 1e-3
    # The chunk that was not full is written again.
    assert chunk_times(place)["0"] == before["0"] and chunk_times(place)["1"] != before["1"]


def test_two_writers_notice_each_other(tmp_path: Path) -> None:
    place = str(tmp_path / "a.zarr")
    one = StoreWriter(place, {})
    other = StoreWriter(place, {})
    one.add(X[0], 100.0, LEADS, "a")
    other.add(X[1], 100.0, LEADS, "b")
    with pytest.raises(FileExistsError, match="store 'a.zarr': another program writes into it"):
        one.finish()
    other.finish()
    assert ZarrRecords(place).names == ("b",)


def test_unreadable_records_are_named_or_skipped(tmp_path: Path) -> None:
    records = Failing(3, OSError("record 3 (r3): the file is gone"))
    with pytest.raises(OSError, match="r3"):
        pack_records(records, tmp_path / "a.zarr")
    with pytest.warns(UserWarning, match=r"skipped record 3 \(r3\): the file is gone"):
        packed = pack_records(records, tmp_path / "b.zarr", skip_unreadable=True)
    assert len(packed) == 13 and "r3" not in packed.names


def test_a_full_disk_keeps_what_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beatssl_sklearn.records.writer._COMMIT", 4)
    import zarr

    write = zarr.Array.__setitem__

    def full(self: Any, key: Any, value: Any) -> None:
        if key.stop > 8:
            raise OSError(28, "No space left on device")
        write(self, key, value)

    with monkeypatch.context() as patch:
        patch.setattr(zarr.Array, "__setitem__", full)
        with pytest.raises(OSError, match="store 'a.zarr' cannot be written: .*No space.*its 8 complete records"):
            pack_records(X, tmp_path / "a.zarr", fs=100, chunk=4)
    assert len(pack_records(X, tmp_path / "a.zarr", fs=100, chunk=4)) == len(X)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "X is an array: fs, its sampling rate"),
        ({"fs": 100, "names": ["a"]}, "names must have one entry per record: 1 for 14 records"),
        ({"fs": 100, "names": ["a"] * 14}, "two records have the name 'a'"),
        ({"fs": 100, "compression": "gzip"}, "compression must be one of"),
        ({"fs": 100, "chunk": 0}, "chunk must be positive or None, got 0"),
        ({"fs": 100, "step": float("inf")}, "step must lie between 1e-09 and 1 mV, or be None, got inf"),
        ({"fs": 100, "names": ["a", None, *"bcdefghijklm"]}, "names: record 1 has no name"),
        ({"fs": 100, "step": 1e-6}, r"record '0': step=1e-06 mV is too small"),
        ({"fs": 100, "patient_ids": "abc"}, "patient_ids must have one entry per record: str for 14 records"),
    ],
)
def test_what_cannot_be_packed_is_refused(tmp_path: Path, arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        pack_records(X, tmp_path / "a.zarr", **arguments)


@pytest.mark.parametrize("arguments", [{"chunk": 2.5}, {"chunk": True}, {"chunk": "4"}, {"step": "0.005"}])
def test_wrong_types_are_named(tmp_path: Path, arguments: dict[str, Any]) -> None:
    ((name, value),) = arguments.items()
    with pytest.raises(TypeError, match=f"{name} must be .* or None, got {value!r}"):
        pack_records(X, tmp_path / "a.zarr", fs=100, **arguments)
    assert not (tmp_path / "a.zarr").exists()


def test_numbers_of_numpy_are_taken(tmp_path: Path) -> None:
    for chunk, step in ((np.int64(4), np.float32(0.25)), (4, 0.25)):
        records = pack_records(X, tmp_path / "a.zarr", fs=100, chunk=chunk, step=step)
    assert np.abs(np.asarray(records) - X).max() <= 0.125 + 1e-6


def test_a_patient_who_is_missing_is_unknown(tmp_path: Path) -> None:
    for i, patients in enumerate(([None, float("nan"), "b"], pd.Series([None, pd.NA, "b"]))):
        records = pack_records(X[:3], tmp_path / f"{i}.zarr", fs=100, patient_ids=patients)
        assert records.patient_ids is not None and records.patient_ids.tolist() == ["", "", "b"]


def test_a_column_of_arrays_is_packed(tmp_path: Path) -> None:
    column = pd.Series([X[0], X[1][:, :150], X[2]], index=["a", "b", "c"])
    with pytest.raises(ValueError, match=r"record 0 \(a\) is an array: its sampling rate fs \[Hz\] must be given"):
        pack_records(column, tmp_path / "a.zarr")
    records = pack_records(column, tmp_path / "b.zarr", fs=100)
    assert (records.names, records.leads, records.fs) == (("a", "b", "c"), LEADS, 100.0)
    assert [record.signal.shape[1] for record in records] == [200, 150, 200]


def test_other_things_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="store 'a.zarr': there is something else at this place"):
        pack_records(X, tmp_path / "a.zarr", fs=100)
    with pytest.raises(ValueError, match=r"record 0 \(0\) holds integers"):
        pack_records(X.astype(np.int16), tmp_path / "b.zarr", fs=100)
    (tmp_path / "c.zarr").write_text("years of work")
    with pytest.raises(FileExistsError, match="store 'c.zarr': there is something else at this place"):
        pack_records(X, tmp_path / "c.zarr", fs=100)
