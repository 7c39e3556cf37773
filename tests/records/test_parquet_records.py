"""Parquet files as data lakes have them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beatssl_sklearn import ParquetRecords, make_ecg, pack_records
from beatssl_sklearn.ecg.leads import LEADS

X = make_ecg(7, fs=100, duration=3, random_state=0).data.astype(np.float32)


def write(path: Path, columns: dict[str, Any]) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=3)
    return path


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    for part, rows in (("a", slice(0, 5)), ("b", slice(5, 7))):
        leads = {lead: list(X[rows, LEADS.index(lead)]) for lead in ("I", "V2")}
        others = {"id": [f"r{i}" for i in range(7)][rows], "who": [1] * len(X[rows])}
        write(tmp_path / f"{part}.parquet", leads | others)
    return tmp_path


def test_a_column_for_each_lead(lake: Path) -> None:
    records = ParquetRecords(lake / "*.parquet", ["V2", "I"], fs=100, record_ids="id", patient_ids="who")
    assert (records.fs, records.leads, records.names[4:]) == (100.0, ("V2", "I"), ("r4", "r5", "r6"))
    assert records.patient_ids is not None and set(records.patient_ids.tolist()) == {"1"}
    order = [6, 0, 4, 4, 1]
    expected = X[order][:, [LEADS.index("V2"), 0]]
    np.testing.assert_array_equal(np.asarray(records[order]), expected)
    np.testing.assert_array_equal(np.asarray(pickle.loads(pickle.dumps(records[order]))), expected)
    assert len({id(records._group(0, 1)) for _ in range(2)}) == 1


@pytest.mark.parametrize("kind", ["flat", "nested", "fixed"])
def test_one_column_for_all_leads(tmp_path: Path, kind: str) -> None:
    flat = pa.array(list(X.reshape(7, -1)))
    column = {
        "flat": flat,
        "nested": pa.array([list(record) for record in X]),
        "fixed": pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), X[0].size),
    }[kind]
    path = write(tmp_path / "one.parquet", {"ecg": column})
    records = ParquetRecords(path, "ecg", fs=100, scale=0.5)
    np.testing.assert_array_equal(np.asarray(records[1:]), X[1:] / 2)
    assert len(pack_records(records, tmp_path / "out.zarr")) == 7


def test_missing_samples_and_lengths_of_their_own(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"II": [[0.5, None] + [1.0] * 98, [1.0] * 60]})
    records = ParquetRecords(path, ["II"], fs=100)
    assert [record.signal.shape for record in records] == [(1, 100), (1, 60)]
    np.testing.assert_array_equal(records[0].signal[0, :3], [0.5, np.nan, 1.0])


def test_refusals_name_file_record_and_column(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"I": [[1.0, 2.0], None, [1.0]], "II": [[1.0, 2.0], [1.0], [1.0, 2.0]]})
    records = ParquetRecords(path, ["I", "II"], fs=100)
    with pytest.raises(ValueError, match="file 'a.parquet', record '1': column 'I' holds no list of numbers but None"):
        records[1]
    with pytest.raises(ValueError, match=r"file 'a.parquet', record '2': \[1, 2\] values cannot be 2 leads of one"):
        records[2]
    with pytest.raises(ValueError, match="file 'a.parquet' has no column 'V9'; it has I, II"):
        ParquetRecords(path, ["V9"], fs=100, leads=["V1"])
    (tmp_path / "b.parquet").write_text("text")
    with pytest.raises(OSError, match="file 'b.parquet' is no Parquet file"):
        ParquetRecords(tmp_path / "b.parquet", ["I"], fs=100)
