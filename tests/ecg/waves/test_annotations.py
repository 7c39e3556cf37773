"""Waves in annotation files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.ecg.waves.annotations import group_marks, read_waves, write_waves
from beatssl_sklearn.ecg.waves.table import make_table, table_of_marks
from beatssl_sklearn.ecg.wfdb.annotations import read_annotations, write_annotations

FS = 500.0
MARKS = [
    {
        "II": {"P": [[20, 25, 30]], "QRS": [[40, 50, 60], [440, 450, 460]], "T": [[70, 80, -1]]},
        "aVF": {"QRS": [[-1, 51, 60]], "P": [[430, 440, -1]]},
    }
]


@pytest.fixture
def marks() -> pd.DataFrame:
    return table_of_marks(MARKS, FS)


def put(path: Path, lead: str, text: str, step: int = 10) -> None:
    symbols = text.split()
    write_annotations(path, lead.lower(), step * np.arange(1, len(symbols) + 1), symbols, fs=FS)


def test_round_trip(tmp_path: Path, marks: pd.DataFrame) -> None:
    write_waves(tmp_path / "r1", marks, FS)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r1.avf", "r1.ii"]
    for strict in (False, True):
        pd.testing.assert_frame_equal(read_waves(tmp_path / "r1", ["II", "aVF"], fs=FS, strict=strict), marks)
    assert read_waves(tmp_path / "r1", fs=FS, record=4)["record"].unique().tolist() == [4]
    assert set(read_waves(tmp_path / "r1", ["aVF"], fs=FS)["lead"]) == {"aVF"}


def test_waves_come_back_at_their_times_at_another_rate(tmp_path: Path, marks: pd.DataFrame) -> None:
    write_waves(tmp_path / "r1", marks, FS)
    (tmp_path / "r1.hea").write_text("r1 1 250 5000\nr1.dat 16 1000/mV 16 0 0 0 0 II\n")
    for fs, rate in ((None, 250.0), (250.0, 250.0), (1000.0, 1000.0)):
        found = read_waves(tmp_path / "r1", ["II", "aVF"], fs=fs)
        np.testing.assert_allclose(found["peak"], marks["peak"] * (rate / FS), atol=0.5)
        np.testing.assert_allclose(found["peak_s"], marks["peak_s"], atol=0.5 / rate)


def test_wfdb_reads_the_same(tmp_path: Path, marks: pd.DataFrame) -> None:
    wfdb = pytest.importorskip("wfdb")
    write_waves(tmp_path / "r1", marks, FS)
    found = wfdb.rdann(str(tmp_path / "r1"), "ii")
    assert found.sample.tolist() == [20, 25, 30, 40, 50, 60, 70, 80, 440, 450, 460]
    assert found.symbol == list("(p)(N)(t(N)") and found.fs == FS
    assert not found.num.any() and not found.chan.any() and not found.subtype.any()


def test_marks_are_rounded_and_equal_ones_keep_their_order(tmp_path: Path) -> None:
    rows = [[10.4, 10.45, 30.5], [30.2, 30.4, 41.5], [30.49, 30.49, 30.49]]
    onset, peak, offset = np.array([rows[1], rows[2], rows[0]]).T
    with pytest.raises(ValueError, match="lead V1: marks are out of order or waves overlap, '[)]' at sample 31 and"):
        write_waves(tmp_path / "r", make_table(0, "V1", ["QRS", "P", "P"], onset, peak, offset, FS), FS)
    onset, peak, offset = np.array([[30.2, 30.4, 41.5], [10.4, 10.45, 30.49]]).T
    write_waves(tmp_path / "r", make_table(0, "V1", ["QRS", "P"], onset, peak, offset, FS), FS)
    found = read_annotations(tmp_path / "r", "v1")
    assert found.sample.tolist() == [10, 10, 30, 30, 30, 42] and found.symbol == list("(p)(N)")
    table = read_waves(tmp_path / "r", ["V1"], fs=FS, strict=True)
    assert table[["onset", "peak", "offset"]].to_numpy().tolist() == [[10, 10, 30], [30, 30, 42]]


def test_consensus_and_leads_without_waves(tmp_path: Path, marks: pd.DataFrame) -> None:
    whole = marks[marks["lead"] == "II"].assign(lead="consensus")
    write_waves(tmp_path / "r1", pd.concat([marks, whole]), FS, leads=["II", "V6", "consensus"])
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".all", ".ii", ".v6"]
    found = read_waves(tmp_path / "r1", fs=FS)
    assert found["lead"].unique().tolist() == ["II", "consensus"]
    assert len(read_waves(tmp_path / "r1", ["V6"], fs=FS, strict=True)) == 0
    pd.testing.assert_frame_equal(read_waves(tmp_path / "r1", ["consensus"], fs=FS), whole.reset_index(drop=True))


def test_one_record_is_written(tmp_path: Path) -> None:
    table = table_of_marks([{"II": {"QRS": [[r, r + 5, r + 10]]}} for r in (100, 200)], FS)
    with pytest.raises(ValueError, match="record 'r': the table has 2 records, from 0 to 1"):
        write_waves(tmp_path / "r", table, FS)
    write_waves(tmp_path / "r", table, FS, record=1)
    assert read_annotations(tmp_path / "r", "ii").sample.tolist() == [200, 205, 210]


def test_nothing_is_written_after_an_error(tmp_path: Path, marks: pd.DataFrame) -> None:
    broken = marks.copy()
    broken.loc[broken["lead"] == "aVF", "peak"] = np.nan
    with pytest.raises(ValueError, match="record 'r': lead aVF: the wave at sample 60 has no peak"):
        write_waves(tmp_path / "r", broken, FS)
    reversed_ = make_table(0, ["II", "V1"], 2, [1.0, 50], [2.0, 40], [3.0, 60], FS)
    with pytest.raises(ValueError, match="lead V1: marks are out of order .* '[(]' at sample 50 and 'N' at sample 40"):
        write_waves(tmp_path / "r", reversed_, FS)
    twins = make_table(0, ["II", "ii"], 2, [1.0, 1], [2.0, 2], [3.0, 3], FS)
    with pytest.raises(ValueError, match="share the extension 'ii'"):
        write_waves(tmp_path / "r", twins, FS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "message", "n_waves"),
    [
        ("( p ) )", "lead II, sample 40: an offset without a wave", 1),
        ("( )", "lead II, sample 20: an offset without a wave", 0),
        ("( ( p )", "lead II, sample 10: an onset without a wave", 1),
        ("( N ) (", "lead II, sample 40: an onset without a wave", 1),
        ("( t ) N ( )", "lead II, sample 50: an onset after the peak", 2),
        ("( p ) ~", "lead II, sample 40: the annotation '~' is not", 1),
    ],
)
def test_marks_in_an_impossible_order(tmp_path: Path, text: str, message: str, n_waves: int) -> None:
    put(tmp_path / "r7", "II", text)
    with pytest.raises(ValueError, match=f"record 'r7': {message}"):
        read_waves(tmp_path / "r7", ["II"], fs=FS, strict=True)
    assert len(read_waves(tmp_path / "r7", ["II"], fs=FS)) == n_waves


@pytest.mark.parametrize("text", ["N )", "( p ( N )", "p N t", "( N", ""])
def test_missing_marks_are_in_order(tmp_path: Path, text: str) -> None:
    put(tmp_path / "r", "I", text)
    assert len(read_waves(tmp_path / "r", ["I"], fs=FS, strict=True)) == sum(s in "pNt" for s in text.split())


def test_the_late_onset_of_ludb_moves_to_the_peak() -> None:
    for sequence in (list, tuple):
        waves = group_marks(sequence([50, 52, 60, 70]), sequence("N()p"))
        assert waves["QRS"].tolist() == [[50, 50, 60]] and waves["P"].tolist() == [[-1, 70, -1]]
        assert waves["T"].shape == (0, 3) and waves["T"].dtype == np.int64


def test_files_that_are_not_there(tmp_path: Path, marks: pd.DataFrame) -> None:
    with pytest.raises(FileNotFoundError, match="record 'r1': there is no annotation file of any lead"):
        read_waves(tmp_path / "r1")
    write_waves(tmp_path / "r1", marks, FS)
    with pytest.raises(FileNotFoundError, match="record 'r1': there is no file 'r1.v1'"):
        read_waves(tmp_path / "r1", ["V1"], fs=FS)
    with pytest.raises(FileNotFoundError, match="record 'r1': there is no header with .*: give fs"):
        read_waves(tmp_path / "r1")
    with pytest.raises(TypeError, match="leads must be a sequence"):
        read_waves(tmp_path / "r1", "II")
    (tmp_path / "r1.hea").write_text("r1 1 250 500\nr1.dat 16 1000/mV 16 0 0 0 0 II\n")
    np.testing.assert_allclose(read_waves(tmp_path / "r1")["peak_s"], read_waves(tmp_path / "r1")["peak"] / 250)


@pytest.mark.parametrize("number", [1, 7])
def test_real_ludb(data_dir: Path, tmp_path: Path, number: int) -> None:
    """What was read and written again is the original, mark by mark; record 7 has late and missing onsets."""
    path = data_dir / "ludb" / "data" / str(number)
    if not path.with_suffix(".ii").is_file():
        pytest.skip("no LUDB")
    wfdb = pytest.importorskip("wfdb")
    table = read_waves(path)
    assert table["lead"].unique().tolist() == list(LEADS) and table["onset_s"].max() < 10
    write_waves(tmp_path / "r", table, FS)
    for lead in LEADS:
        ours, theirs = wfdb.rdann(str(tmp_path / "r"), lead.lower()), wfdb.rdann(str(path), lead.lower())
        if number == 1 or lead != "V1" and "N()" not in "".join(theirs.symbol):
            assert ours.symbol == theirs.symbol
            np.testing.assert_array_equal(ours.sample, theirs.sample)
        assert sum(s in "pNt" for s in ours.symbol) == sum(s in "pNt" for s in theirs.symbol)
    pd.testing.assert_frame_equal(read_waves(tmp_path / "r", fs=FS), table)
    if number == 7:
        with pytest.raises(ValueError, match=r"record '7': lead V1, sample 1766: an onset after the peak"):
            read_waves(path, strict=True)
