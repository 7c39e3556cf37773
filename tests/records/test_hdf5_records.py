"""HDF5 files as CODE-15 has them."""

from __future__ import annotations

import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import h5py
import numpy as np
import pytest

from beatssl_sklearn import HDF5Records, make_ecg
from beatssl_sklearn.ecg.leads import LEADS

X = make_ecg(6, fs=400, duration=5, random_state=0).data.astype(np.float32)
PADDED = np.zeros((6, 2100, 12), dtype=np.float32)
PADDED[:, 50:2050] = X.transpose(0, 2, 1) * 10
# A record of half the length, and one of zeros.
PADDED[2, 1050:] = 0
PADDED[5] = 0


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("code15")
    for part, rows in enumerate((slice(0, 4), slice(4, 6))):
        with h5py.File(folder / f"exams_part{part}.hdf5", "w") as file:
            file["tracings"] = PADDED[rows]
            file["exam_id"] = np.arange(100, 106)[rows]
    return folder


def records_of(files: Path) -> HDF5Records:
    return HDF5Records(files / "exams_part*.hdf5", scale=0.1, patient_ids={100: 7, 101: 7, 103: 8})


def first_sample(records: HDF5Records) -> float:
    return float(records[1].signal[0, 0])


def test_records_are_scaled_trimmed_and_named(files: Path) -> None:
    records = records_of(files)
    assert records.names == ("100", "101", "102", "103", "104", "105")
    assert (records.fs, records.leads, records.shape) == (400.0, LEADS, (6,))
    assert records.patient_ids is not None and records.patient_ids.tolist() == ["7", "7", "", "8", "", ""]
    assert [record.signal.shape[1] for record in records] == [2000, 2000, 1000, 2000, 2000, 2100]
    np.testing.assert_allclose(records[4].signal, X[4], rtol=1e-6)
    assert not records[5].signal.any() and records[3].info == {"record": "103", "patient_id": "8"}


def test_any_order_is_read(files: Path) -> None:
    part = HDF5Records(files / "exams_part*.hdf5", scale=0.1, trim=False)[[4, 1, 1, 0, 3]]
    assert part.names == ("104", "101", "101", "100", "103")
    np.testing.assert_allclose(np.asarray(part)[:, :, 50:2050], X[[4, 1, 1, 0, 3]], rtol=1e-6)


def test_threads_and_processes_share_it(files: Path) -> None:
    records = records_of(files)[1:]
    with ThreadPoolExecutor(4) as pool:
        for i, record in enumerate(pool.map(records.__getitem__, range(4))):
            np.testing.assert_array_equal(record.signal, records[i].signal)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(records))[0].signal, records[0].signal)
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as workers:
        assert workers.submit(first_sample, records).result() == first_sample(records)


def test_one_lead_and_leads_first(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["one"], file["first"] = X[:, 0], X[:, :3]
    one = HDF5Records(tmp_path / "a.h5", "one", record_ids=None, leads=("I",), trim=False)
    np.testing.assert_array_equal(np.asarray(one), X[:, :1])
    three = HDF5Records(tmp_path / "a.h5", "first", record_ids=None, leads=("I", "II", "III"), trim=False)
    np.testing.assert_array_equal(np.asarray(three), X[:, :3])
    assert three.names == tuple("012345") and three.patient_ids is None


def test_refusals_name_file_and_array(files: Path, tmp_path: Path) -> None:
    part = files / "exams_part0.hdf5"
    with pytest.raises(ValueError, match=r"file 'exams_part0.hdf5' has no array 'ecg'; it has exam_id, tracings"):
        HDF5Records(part, "ecg")
    with pytest.raises(ValueError, match="record_ids must have one entry per record: 2 for 4 records"):
        HDF5Records(part, record_ids=["a", "b"])
    with pytest.raises(ValueError, match="scale must be a number, or one for each of 12 leads"):
        HDF5Records(part, scale=[1.0, 2.0])
    for scale in ("x", "0.5", None, {"I": 1}, 1j, [[1.0]], float("nan"), True, [1.0, [2.0]]):
        with pytest.raises(ValueError, match="scale must be a number, or one for each of 12 leads, got"):
            HDF5Records(part, scale=scale)
    with pytest.raises(TypeError, match="leads=3: leads of arrays are a sequence of names"):
        HDF5Records(part, leads=3)
    with pytest.raises(FileNotFoundError, match=r"there is no file 'gone.hdf5'"):
        HDF5Records(tmp_path / "gone.hdf5")
    (tmp_path / "text.hdf5").write_text("no HDF5")
    with pytest.raises(OSError, match="file 'text.hdf5' is no HDF5 file"):
        HDF5Records(tmp_path / "text.hdf5")
