"""LUDB: waves, masks, diagnoses, and records that are not there."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beatssl_sklearn.datasets import fetch_ludb, ludb_masks, ludb_waves
from beatssl_sklearn.ecg.leads import LEADS

Writer = Callable[..., Path]
LOCAL: dict[str, Any] = {"download_if_missing": False}

# Marks of a lead that lack something.
LATE_ONSET = [(50, "N"), (52, "("), (60, ")"), (70, "("), (80, "t"), (90, ")")]
NO_ONSET = [(20, "("), (25, "p"), (30, ")"), (50, "N"), (60, ")")]
NO_OFFSET = [(20, "("), (25, "p"), (40, "("), (50, "N"), (60, ")")]


def test_ludb(write_ludb: Writer, tmp_path: Path) -> None:
    data = fetch_ludb(write_ludb(tmp_path / "ludb").parent, **LOCAL)
    assert data.record_id.tolist() == data.patient_id.tolist() == [1, 8]
    assert data.fs == 500.0 and data.leads == LEADS and data.target_names == ("background", "P", "QRS", "T")
    assert data.data.shape == (2,) and data.data[1].signal.shape == (12, 120)
    assert [peaks.tolist() for peaks in data.rpeaks] == [[50], [50]] and data.rpeaks[0].dtype == np.int64
    assert data.age.tolist() == [51.0, 90.0] and data.sex.tolist() == ["F", "M"]
    assert data.diagnoses == {
        "Rhythms": [("Sinus bradycardia",), ("Atrial fibrillation",)],
        "Hypertrophies": [("Left ventricular overload", "Left ventricular hypertrophy"), ()],
    }
    np.testing.assert_array_equal(data.waves[0]["V1"]["QRS"], [[40, 50, 60]])
    assert fetch_ludb(tmp_path, records=["8"], **LOCAL).age.tolist() == [90.0]


def test_ludb_masks(write_ludb: Writer, tmp_path: Path) -> None:
    write_ludb(tmp_path, V1=LATE_ONSET, V2=NO_ONSET, V3=NO_OFFSET, V4=[(50, "N")])
    masks = ludb_masks(tmp_path / "data/1")
    assert masks.shape == (12, 120) and masks.dtype == np.int8
    expected = np.full(120, -1)
    expected[20:91] = 0
    expected[20:31], expected[40:61], expected[70:91] = 1, 2, 3
    np.testing.assert_array_equal(masks[1], expected)

    waves = ludb_waves(tmp_path / "data/1")
    np.testing.assert_array_equal(waves["V1"]["QRS"], [[50, 50, 60]])
    assert masks[6, 49] == -1 and masks[6, 50] == 2
    np.testing.assert_array_equal(waves["V2"]["QRS"], [[-1, 50, 60]])
    assert masks[7, 30] == 1 and (masks[7, 31:50] == -1).all() and masks[7, 50] == 2
    np.testing.assert_array_equal(waves["V3"]["P"], [[20, 25, -1]])
    np.testing.assert_array_equal(waves["V3"]["QRS"], [[40, 50, 60]])
    assert (masks[8, 20:26] == 1).all() and (masks[8, 26:40] == -1).all() and masks[8, 40] == 2
    assert np.flatnonzero(masks[9] >= 0).tolist() == [50] and not len(waves["V4"]["T"])


def test_ludb_masks_are_an_array_that_is_read_late(write_ludb: Writer, tmp_path: Path) -> None:
    data = fetch_ludb(write_ludb(tmp_path), **LOCAL)
    masks = pickle.loads(pickle.dumps(data.masks))
    eager = fetch_ludb(tmp_path, lazy=False, **LOCAL)
    assert isinstance(eager.masks, np.ndarray) and isinstance(eager.data, np.ndarray)
    assert masks.shape == eager.masks.shape == eager.data.shape == (2, 12, 120)
    assert eager.data.dtype == np.float32 and eager.target is eager.masks
    np.testing.assert_array_equal(np.asarray(masks), eager.masks)
    for key in (1, -1, slice(0, 1), [1, 0], np.array([True, False]), (0, 3), (slice(None), 2, slice(5)), (..., 0), []):
        np.testing.assert_array_equal(masks[key], eager.masks[key])
    assert [mask.shape for mask in masks] == [(12, 120)] * 2
    with pytest.raises(IndexError):
        masks[2]
    later = data.waves[[1]]
    assert len(later) == 1 and later[0]["I"]["P"].tolist() == [[20, 25, 30]] and len(list(data.waves)) == 2


def test_ludb_errors(write_ludb: Writer, tmp_path: Path) -> None:
    write_ludb(tmp_path)
    with pytest.raises(ValueError, match="records has the unknown record 201"):
        fetch_ludb(tmp_path, records=[201], **LOCAL)
    with pytest.raises(FileNotFoundError, match="14 of 15 files.*data/2.hea"):
        fetch_ludb(tmp_path, records=[2], **LOCAL)
    (tmp_path / "data/8.v6").unlink()
    with pytest.raises(FileNotFoundError, match="1 of 29 files.*data/8.v6"):
        fetch_ludb(tmp_path, **LOCAL)
    (tmp_path / "RECORDS").write_text("../data/1\n")
    with pytest.raises(ValueError, match="not a path inside"):
        fetch_ludb(tmp_path, **LOCAL)
    (tmp_path / "RECORDS").write_text("data/one\n")
    with pytest.raises(ValueError, match="data/one"):
        fetch_ludb(tmp_path, **LOCAL)


def test_real_ludb(data_dir: Path) -> None:
    if not (data_dir / "ludb").is_dir():
        pytest.skip("no LUDB")
    data = fetch_ludb(data_dir, **LOCAL)
    assert data.masks.shape == (len(data.data), 12, 5000)
    assert set(data.diagnoses["Rhythms"][0]) and set(data.sex) == {"F", "M"} and np.isfinite(data.age).all()
    assert all(len(peaks) >= 3 and (np.diff(peaks) > 0).all() for peaks in data.rpeaks)
    seven = data.record_id.tolist().index(7)  # onsets of V1 to V3 are missing or come after the peak
    for i in (0, seven, len(data.data) - 1):
        masks = data.masks[i]
        assert set(np.unique(masks)) == {-1, 0, 1, 2, 3}
        assert (masks[1, data.rpeaks[i]] == 2).all()
        assert (masks[:, :100] == -1).all() and (masks[:, -100:] == -1).all()
        for wave in data.waves[i]["V1"].values():
            assert (wave[:, 1] <= wave[:, 2]).all() and (wave[:, 0] <= wave[:, 1]).all()
    assert (data.waves[seven]["V1"]["QRS"][:, 0] == -1).sum() == 5
