"""Segments that are gaps, lengths that are not given, and work that is refused before it is done."""

from __future__ import annotations

import numpy as np
import pytest

from beatssl_sklearn.ecg.wfdb import read_wfdb
from beatssl_sklearn.ecg.wfdb.reader import WFDBReader


@pytest.fixture
def write_segment(write_record, tmp_path):
    """Writes a segment of three leads of 300 samples."""

    def write(name, length=" 300"):
        write_record(tmp_path, first=f"{name} 3 500{length}", file=f"{name}.dat")
        (tmp_path / "rec.hea").rename(tmp_path / f"{name}.hea")
        (tmp_path / "rec.dat").rename(tmp_path / f"{name}.dat")

    return write


@pytest.mark.parametrize("length", [" 300", " 0", ""])
@pytest.mark.parametrize("total", [" 600", " 0", ""])
def test_lengths_need_not_be_given(write_segment, samples, tmp_path, length, total):
    for name in ("a", "b"):
        write_segment(name, length)
    (tmp_path / "rec.hea").write_text(f"rec/2 3 500{total}\na 300\nb 300\n")
    np.testing.assert_allclose(read_wfdb(tmp_path / "rec").signal, np.tile(samples.T, 2) / 1000, atol=1e-6)


@pytest.mark.parametrize("header", [None, "null 3 500 100", "null 3 500"])
def test_a_segment_without_samples_is_a_gap(write_segment, samples, tmp_path, header):
    write_segment("a")
    if header is not None:
        (tmp_path / "null.hea").write_text("\n".join([header, *["* 0"] * 3]) + "\n")
    (tmp_path / "rec.hea").write_text("rec/3 3 500 700\nnull 100\na 300\npublisher/a.hea 300\n")
    record = read_wfdb(tmp_path / "rec")
    assert np.isnan(record.signal[:, :100]).all()
    np.testing.assert_allclose(record.signal[:, 100:], np.tile(samples.T, 2) / 1000, atol=1e-6)


def test_a_signal_without_samples_is_missing_in_its_segment(write_segment, signal_line, samples, tmp_path):
    write_segment("a")
    lines = [signal_line(0, file="~", fmt="0"), *(signal_line(i, file="b.dat") for i in (1, 2))]
    (tmp_path / "b.hea").write_text("\n".join(["b 3 500 300", *lines]) + "\n")
    (tmp_path / "b.dat").write_bytes(samples[:, 1:].tobytes())
    (tmp_path / "rec.hea").write_text("rec/2 3 500 600\na 300\nb 300\n")
    record = read_wfdb(tmp_path / "rec")
    assert np.isnan(record.signal[0, 300:]).all()
    np.testing.assert_allclose(record.signal[1:], np.tile(samples[:, 1:].T, 2) / 1000, atol=1e-6)
    with pytest.raises(ValueError, match=r"record 'b': signal 1 has no samples \(format 0\)"):
        read_wfdb(tmp_path / "b")
    assert read_wfdb(tmp_path / "b", leads=["III"]).signal.shape == (1, 300)


@pytest.mark.parametrize("read", [read_wfdb, WFDBReader])
def test_a_long_gap_is_refused_before_memory_is_used(write_segment, tmp_path, read):
    write_segment("a")
    (tmp_path / "rec.hea").write_text("rec/2 3 500\na 300\n~ 500000000\n")
    with pytest.raises(ValueError, match=r"'rec': it has 1500000900 samples, most of them in gaps: .* 1800 bytes"):
        read(tmp_path / "rec")


def test_a_gap_of_a_few_hours_can_be_read_by_ranges(write_segment, tmp_path):
    write_segment("a")
    (tmp_path / "rec.hea").write_text("rec/3 3 500\na 300\n~ 5000000\na 300\n")
    reader = WFDBReader(tmp_path / "rec")
    assert reader.n_times == 5000600 and np.isnan(reader.read(4000, 9000)).all()


def test_too_little_memory_is_the_failure_of_one_record(write_segment, tmp_path, monkeypatch):
    write_segment("a")

    def full(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr("beatssl_sklearn.ecg.wfdb.record.physical_signals", full)
    with pytest.raises(ValueError, match="record 'a': there is not enough memory to read it"):
        read_wfdb(tmp_path / "a")
