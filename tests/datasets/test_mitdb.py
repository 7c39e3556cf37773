"""MIT-BIH Arrhythmia Database: beats, leads, and the sets of de Chazal et al."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beatssl_sklearn.datasets import DS1, DS2, fetch_mitdb

Writer = Callable[..., Path]
LOCAL: dict[str, Any] = {"download_if_missing": False}


@pytest.fixture(name="write_rhythms")
def _write_rhythms() -> Callable[..., None]:
    from beatssl_sklearn.ecg import write_annotations

    def write(path: Path, marks: list[tuple[int, str, str]]) -> None:
        sample, symbol, aux = zip(*marks, strict=True)
        write_annotations(path, "atr", sample, symbol, 360, aux)

    return write


def test_mitdb(write_mitdb: Writer, tmp_path: Path) -> None:
    data = fetch_mitdb(write_mitdb(tmp_path), **LOCAL)
    assert data.record_id.tolist() == [114, 202] and data.patient_id.tolist() == [114, 201]
    assert data.leads == [("II", "V5"), ("II", "V1")] == [record.leads for record in data.data] and data.fs == 360.0
    np.testing.assert_allclose(data.data[0].signal[:, 0], [0.001, 0.0])  # V5 comes first in the file
    assert data.target_names == ("N", "S", "V", "F", "Q") and data.target is data.beat_labels
    assert "".join(data.beat_labels[0]) == "NNSVFQQN" and "".join(data.beat_symbols[0]) == "NLAVF/Qe"
    assert data.rpeaks[0].tolist() == [50, 90, 130, 170, 210, 250, 290, 450] and data.rpeaks[0].dtype == np.int64
    assert data.data.shape == (2,) and data.data[0].signal.shape == (2, 600)
    assert fetch_mitdb(tmp_path, records=[202], **LOCAL).record_id.tolist() == [202]


def test_beats_at_one_sample_and_rhythms(
    write_record: Callable[..., None], write_rhythms: Callable[..., None], tmp_path: Path
) -> None:
    write_record(tmp_path / "100", ("MLII", "V1"), 600, 360)
    marks = [(10, "+", "(N"), (50, "N", ""), (90, "V", ""), (90, "N", ""), (95, "~", ""), (95, "A", "")]
    write_rhythms(tmp_path / "100", [*marks, (300, "+", "(AFIB"), (310, "N", ""), (400, "+", "(AFIB")])
    data = fetch_mitdb(tmp_path, records=[100], **LOCAL)
    assert data.rpeaks[0].tolist() == [50, 90, 95, 310] and "".join(data.beat_symbols[0]) == "NVAN"
    assert "".join(data.beat_labels[0]) == "NVSN"
    assert data.rhythms == [[(10, 300, "N"), (300, 600, "AFIB")]]


def test_mitdb_sets_of_de_chazal() -> None:
    assert len(DS1) == len(DS2) == 22 and not set(DS1) & set(DS2)
    assert not {102, 104, 107, 217} & {*DS1, *DS2}


@pytest.mark.parametrize(("records", "message"), [("DS3", "DS3"), ([100, 110], "110.*100, 101"), ([], "empty")])
def test_mitdb_refuses_unknown_records(write_mitdb: Writer, tmp_path: Path, records: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fetch_mitdb(write_mitdb(tmp_path), records=records, **LOCAL)


def test_mitdb_records_that_are_not_there(write_mitdb: Writer, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="63 of 66 files.*101.hea"):
        fetch_mitdb(write_mitdb(tmp_path), records="DS1", **LOCAL)


def test_real_mitdb(data_dir: Path) -> None:
    if not (data_dir / "mitdb").is_dir():
        pytest.skip("no MIT-BIH")
    data = fetch_mitdb(data_dir / "mitdb", records="DS1", **LOCAL)
    assert data.record_id.tolist() == list(DS1)
    assert data.leads[data.record_id.tolist().index(114)] == ("II", "V5")
    counts = {name: sum((labels == name).sum() for labels in data.beat_labels) for name in data.target_names}
    assert counts == {"N": 45866, "S": 944, "V": 3788, "F": 415, "Q": 8}
    record = data.data[0]
    assert record.fs == 360.0 and record.signal.shape == (2, 650000)
    assert np.median(np.abs(record.signal[0, data.rpeaks[0]])) > 0.5
    assert all((np.diff(rpeaks) > 0).all() for rpeaks in data.rpeaks)


def test_real_rhythms(data_dir: Path) -> None:
    if not (data_dir / "mitdb").is_dir():
        pytest.skip("no MIT-BIH")
    data = fetch_mitdb(data_dir / "mitdb", records="DS1", **LOCAL)
    by_record = dict(zip(data.record_id.tolist(), data.rhythms, strict=True))
    assert {r for r, rhythms in by_record.items() if any(e.label == "AFIB" for e in rhythms)} == {201, 203}
    assert by_record[201][:2] == [(60, 136226, "AFIB"), (136226, 138552, "NOD")]
    assert [e.label for e in by_record[207]].count("VFL") == 6
    for rhythms in by_record.values():
        assert rhythms[0].start < 230 and rhythms[-1].stop == 650000
        assert all(a.stop == b.start and a.label != b.label for a, b in pairwise(rhythms))
