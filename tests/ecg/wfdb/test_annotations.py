"""Annotation files: round trips, also through wfdb, and files and values that are refused."""

from __future__ import annotations

import os

import numpy as np
import pytest

from beatssl_sklearn.ecg.wfdb import read_annotations, write_annotations

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.mark.parametrize(("name", "extension"), [("ludb/data/1", "ii"), ("mitdb/207", "atr"), ("mitdb/101", "atr")])
def test_round_trip_on_real_annotations(wfdb, data_dir, tmp_path, name, extension):
    found = read_annotations(data_dir / name, extension)
    expected = wfdb.rdann(str(data_dir / name), extension)
    np.testing.assert_array_equal(found.sample, expected.sample)
    assert found.symbol == list(expected.symbol)
    assert found.aux == [text.rstrip("\0") for text in expected.aux_note]
    write_annotations(tmp_path / "rec", "atr", found.sample, found.symbol, fs=360, aux=found.aux)
    again, by_wfdb = read_annotations(tmp_path / "rec", "atr"), wfdb.rdann(str(tmp_path / "rec"), "atr")
    for other in (again.sample, by_wfdb.sample):
        np.testing.assert_array_equal(other, found.sample)
    assert again.symbol == found.symbol == by_wfdb.symbol and again.aux == found.aux == by_wfdb.aux_note
    assert by_wfdb.fs == 360 and os.listdir(tmp_path) == ["rec.atr"]


def test_long_gaps_equal_positions_and_text(tmp_path):
    sample, symbol, aux = [0, 3, 3, 1026, 2**31 - 1], ["+", "(", "N", ")", "V"], ["(AFIB", "", "odd", "", "x" * 255]
    write_annotations(tmp_path / "rec.v2", "qrs", sample, symbol, aux=aux)
    found = read_annotations(tmp_path / "rec.v2", "qrs")
    assert found.sample.tolist() == sample and found.symbol == symbol and found.aux == aux
    assert len(repr(found)) < 100
    write_annotations(tmp_path / "rec", "qrs", [], [], fs=500)
    assert len(read_annotations(tmp_path / "rec", "qrs").sample) == 0


@pytest.mark.parametrize(
    ("sample", "symbol", "aux", "message"),
    [
        ([5, 3], ["N", "N"], None, "ascending"),
        ([-1], ["N"], None, "ascending"),
        ([2**31], ["N"], None, "ascending"),
        ([1, 2], ["N"], None, "1 entries for 2"),
        ([1], ["N"], ["a", "b"], "aux has 2 entries"),
        ([1], ["quack"], None, "unknown annotation symbols 'quack'"),
        ([1], ["N"], ["\u00c4"], "ASCII"),
        ([1], ["N"], ["x" * 256], "255"),
    ],
)
def test_bad_values_leave_the_old_file(tmp_path, sample, symbol, aux, message):
    (tmp_path / "rec.atr").write_bytes(b"old")
    with pytest.raises(ValueError, match=f"record 'rec'.*{message}"):
        write_annotations(tmp_path / "rec", "atr", sample, symbol, aux=aux)
    assert (tmp_path / "rec.atr").read_bytes() == b"old" and os.listdir(tmp_path) == ["rec.atr"]


def test_a_file_that_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError, match="record 'rec': annotations cannot be written") as error:
        write_annotations(tmp_path / "JANE_DOE" / "rec", "atr", [1], ["N"])
    assert "JANE" not in str(error.value)
    (tmp_path / "kept").write_bytes(b"old")
    (tmp_path / "rec.atr").symlink_to("kept")
    with pytest.raises(ValueError, match="record 'rec': .*symbolic link"):
        write_annotations(tmp_path / "rec", "atr", [1], ["N"])
    assert (tmp_path / "kept").read_bytes() == b"old" and sorted(os.listdir(tmp_path)) == ["kept", "rec.atr"]


def test_positions_must_be_integers(tmp_path):
    with pytest.raises(TypeError, match="integers"):
        write_annotations(tmp_path / "rec", "atr", [1.5], ["N"])


@pytest.mark.parametrize("extension", ["../atr", "hea", "dat", "", "a/b"])
def test_bad_extensions(tmp_path, extension):
    for call in (read_annotations, lambda p, e: write_annotations(p, e, [1], ["N"])):
        with pytest.raises(ValueError, match="extension"):
            call(tmp_path / "rec", extension)


def test_damaged_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="record 'rec'"):
        read_annotations(tmp_path / "rec", "atr")
    for raw in (b"", b"\xff" * 40, b"\0\xec", b"\x05\xff"):
        (tmp_path / "rec.atr").write_bytes(raw)
        with pytest.raises(ValueError, match="record 'rec'"):
            read_annotations(tmp_path / "rec", "atr")
    (tmp_path / "rec.atr").write_bytes(b"\x0a\x04")
    with pytest.warns(UserWarning, match="truncated"):
        assert read_annotations(tmp_path / "rec", "atr").sample.tolist() == [10]
