"""Folders of any format as collections: what they hold, what they leave, and who takes them."""

from __future__ import annotations

import pickle

import ecg_files
import joblib
import numpy as np
import pytest

from beatssl_sklearn import ECGFolder, RhythmEmbedder, WFDBFolder
from beatssl_sklearn.ecg.leads import LEADS

FILES = ecg_files.every_file()


def put(folder, *kinds, where=""):
    place = folder / where
    place.mkdir(parents=True, exist_ok=True)
    for kind in kinds:
        name, raw, _, _ = FILES[kind]
        (place / name).write_bytes(raw)


def put_wfdb(folder, name="7"):
    lines = [f"{name} 12 500 600", *(f"{name}.dat 16 400(0)/mV 16 0 0 0 0 {lead}" for lead in LEADS)]
    (folder / f"{name}.hea").write_text("\n".join(lines))
    (folder / f"{name}.dat").write_bytes(ecg_files.counts().T.astype("<i2").tobytes())


def test_formats_that_say_what_they_are_come_before_arrays(tmp_path):
    put(tmp_path, "CSV", "NumPy")
    assert ECGFolder(tmp_path).names == ("a.csv", "a.npy")
    put(tmp_path, "EDF", "ISHNE", where="ward 10")
    put(tmp_path, "SCP-ECG", where="ward 2")
    (tmp_path / "notes.doc").write_text("no ECG")
    (tmp_path / ".hidden.edf").write_bytes(b"")
    assert ECGFolder(tmp_path).names == ("ward 2/a.scp", "ward 10/a.ecg", "ward 10/a.edf")
    put_wfdb(tmp_path)
    (tmp_path / "7.ecg").write_bytes(b"an annotation file of the record 7")
    (tmp_path / "IM000001").write_bytes(FILES["DICOM"][1])
    records = ECGFolder(tmp_path)
    assert records.names == ("7", "IM000001", "ward 2/a.scp", "ward 10/a.ecg", "ward 10/a.edf")
    assert [record.info["format"] for record in records] == ["WFDB", "DICOM", "SCP-ECG", "ISHNE", "EDF"]
    assert [record.info["record"] for record in records] == list(records.names)
    np.testing.assert_array_equal(records[0].signal, WFDBFolder(tmp_path)[0].signal)
    assert ECGFolder(tmp_path, names=["a.csv"])[0].fs == 500


def test_indexing_patterns_and_pickles(tmp_path):
    put(tmp_path, "EDF", "ISHNE", "SCP-ECG")
    records = ECGFolder(tmp_path, leads=["II", "I"])
    assert records[1:].names == ("a.edf", "a.scp") and records[[2, 0]].names == ("a.scp", "a.ecg")
    assert records[np.array([True, False, False])].names == ("a.ecg",) and records.shape == (3,)
    assert ECGFolder(tmp_path, pattern="*.s?p").names == ("a.scp",)
    copy = pickle.loads(pickle.dumps(records))
    assert copy.names == records.names and copy[0].leads == ("II", "I")
    before = joblib.hash(records)
    assert joblib.hash(ECGFolder(tmp_path, leads=["II", "I"])) == before
    (tmp_path / "a.scp").write_bytes(ecg_files.scp(ecg_files.counts(8, seed=1)))
    assert joblib.hash(records) != before


def test_what_is_wrong_with_a_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match="holds no records"):
        ECGFolder(tmp_path)
    put(tmp_path, "EDF")
    with pytest.raises(ValueError, match="leaves the folder"):
        ECGFolder(tmp_path, names=["../a.edf"])
    with pytest.raises(NotADirectoryError):
        ECGFolder(tmp_path / "a.edf")
    with pytest.raises(FileNotFoundError, match=r"b\.edf"):
        ECGFolder(tmp_path, names=["b.edf"])[0]


def test_embedders_take_a_folder_of_mixed_formats(tmp_path):
    put(tmp_path, "EDF", "SCP-ECG")
    put_wfdb(tmp_path)
    records = ECGFolder(tmp_path)
    embedder = RhythmEmbedder("ptbxl", device="cpu", check="ignore").fit(records)
    together = embedder.transform(records)
    assert together.shape[0] == 3 and np.isfinite(together).all()
    np.testing.assert_allclose(together[2:], embedder.transform([records[2]]), rtol=1e-4, atol=1e-5)
