"""Ranges of records: whatever is read is the same part of what `read_wfdb` reads, with the same warnings."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.ecg.wfdb import read_wfdb
from beatssl_sklearn.ecg.wfdb.reader import WFDBReader

RNG = np.random.default_rng(0)


def write_signal(path, signal, fs, leads, *, announce_length=True):
    """Write a format 16 record of 1,000 adu/mV with right checksums."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digital = np.rint(1000 * signal).astype("<i2")
    digital.T.tofile(path.with_name(path.name + ".dat"))
    lines = [f"{path.name} {len(leads)} {fs}" + (f" {signal.shape[1]}" if announce_length else "")]
    for lead, x in zip(leads, digital, strict=True):
        lines.append(f"{path.name}.dat 16 1000(0)/mV 16 0 {x[0]} {x.sum(dtype=np.int64) & 0xFFFF} 0 {lead}")
    path.with_name(path.name + ".hea").write_text("\n".join(lines) + "\n")


def with_warnings(call):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        result = call()
    return result, {str(warning.message) for warning in found}


def read_and_check(path, **options):
    reader = WFDBReader(path, **options)
    reader.check()
    return reader


def ranges(n_times):
    yield 0, n_times
    for start in (*range(8), n_times - 5, n_times - 1):
        for length in (1, 2, 13, n_times):
            yield start, min(start + length, n_times)


def assert_ranges_are_parts(path, **options):
    """Compare ranges, and the warnings of opening and checking, with the whole record; return the warnings."""
    whole, expected = with_warnings(lambda: read_wfdb(path, **options))
    reader, found = with_warnings(lambda: read_and_check(path, **options))
    assert found == expected
    assert (reader.fs, reader.leads, reader.n_times) == (whole.fs, whole.leads, whole.signal.shape[1])
    for start, stop in ranges(reader.n_times):
        part = reader.read(start, stop)
        assert part.dtype == np.float32
        np.testing.assert_array_equal(part, whole.signal[:, start:stop], err_msg=f"{start} to {stop}")
    return found


@pytest.mark.parametrize("n_times", [96, 101])
@pytest.mark.parametrize("fmt", ["8", "16", "24", "32", "61", "80", "160", "212", "310", "311"])
def test_formats(fmt, n_times, tmp_path, monkeypatch):
    monkeypatch.setattr("beatssl_sklearn.ecg.wfdb.reader._CHUNK_SAMPLES", 50)
    raw = RNG.integers(0, 256, size=n_times * 12, dtype=np.uint8)
    (tmp_path / "r.dat").write_bytes(raw.tobytes())
    lines = [f"r.dat {fmt} 100({i})/mV 16 0 {i} 0 0 {LEADS[i]}" for i in range(3)]
    (tmp_path / "r.hea").write_text("\n".join([f"r 3 500 {n_times}", *lines]) + "\n")
    assert_ranges_are_parts(tmp_path / "r")
    assert_ranges_are_parts(tmp_path / "r", leads=("III", "I"))


@pytest.mark.parametrize("fmt", ["16", "212"])
def test_an_unknown_length(fmt, tmp_path):
    (tmp_path / "r.dat").write_bytes(RNG.integers(0, 256, size=602, dtype=np.uint8).tobytes())
    lines = [f"r.dat {fmt} 100/mV 16 0 0 0 0 {LEADS[i]}" for i in range(3)]
    (tmp_path / "r.hea").write_text("\n".join(["r 3 500", *lines]) + "\n")
    assert_ranges_are_parts(tmp_path / "r")


def test_an_unknown_length_is_that_of_the_first_file_in_the_header(tmp_path):
    for name, n_bytes in (("a", 2 * 2 * 100), ("b", 2 * 120)):
        (tmp_path / f"{name}.dat").write_bytes(RNG.integers(0, 256, size=n_bytes, dtype=np.uint8).tobytes())
    lines = [f"{file}.dat 16 100/mV 16 0 0 0 0 {lead}" for file, lead in (("a", "III"), ("b", "I"), ("a", "II"))]
    (tmp_path / "r.hea").write_text("\n".join(["r 3 500", *lines]) + "\n")
    told = {"record 'r': 40 bytes of trailing data are ignored: another signal file ends earlier"}
    for leads in (None, ("I", "II")):
        assert assert_ranges_are_parts(tmp_path / "r", leads=leads) == told
        assert read_and_measure(tmp_path / "r", leads=leads) == 100
    assert assert_ranges_are_parts(tmp_path / "r", leads=("I",)) == set()
    assert read_and_measure(tmp_path / "r", leads=("I",)) == 120


def read_and_measure(path, **options):
    return with_warnings(lambda: WFDBReader(path, **options))[0].n_times


def test_frames_skews_offsets_and_several_files(tmp_path):
    (tmp_path / "a.dat").write_bytes(RNG.integers(0, 256, size=24 + 60 * 3 * 2, dtype=np.uint8).tobytes())
    (tmp_path / "b.dat").write_bytes(RNG.integers(0, 256, size=90, dtype=np.uint8).tobytes())
    lines = [
        "a.dat 16x2:3+24 100(5)/mV 16 0 0 1 0 -I",
        "b.dat 212:1 100/uV 12 0 0 1 0 II",
        "a.dat 16+24 200/mV 16 0 0 1 0 V1",
    ]
    (tmp_path / "r.hea").write_text("\n".join(["r 3 360 60", *lines]) + "\n")
    found = assert_ranges_are_parts(tmp_path / "r")
    assert any("checksum mismatch in -I, II, V1:" in text for text in found)
    assert any("averaged to 360 Hz" in text for text in found)
    assert_ranges_are_parts(tmp_path / "r", leads=("II",))
    assert_ranges_are_parts(tmp_path / "r", leads=("V2", "V3", "V4"), positional=True)
    reader, _ = with_warnings(lambda: read_and_check(tmp_path / "r", leads=("I",)))
    assert (reader.fs, reader.n_times) == (720, 120)
    assert_ranges_are_parts(tmp_path / "r", leads=("I",))


def test_segments_of_several_samples_per_frame(tmp_path):
    for name, n_times in (("s1", 20), ("s2", 31)):
        (tmp_path / f"{name}.dat").write_bytes(RNG.integers(0, 256, size=n_times * 8, dtype=np.uint8).tobytes())
        lines = [f"{name}.dat 16x3 100/mV 16 0 0 0 0 II", f"{name}.dat 16 100/bpm 16 0 0 0 0 HR"]
        (tmp_path / f"{name}.hea").write_text("\n".join([f"{name} 2 100 {n_times}", *lines]) + "\n")
    (tmp_path / "r.hea").write_text("r/3 2 100 61\ns1 20\n~ 10\ns2 31\n")
    assert_ranges_are_parts(tmp_path / "r")
    whole, _ = with_warnings(lambda: read_wfdb(tmp_path / "r"))
    assert whole.fs == 300 and whole.signal.shape == (1, 183) and np.isnan(whole.signal[0, 60:90]).all()


def test_a_chunk_may_be_shorter_than_a_skew(tmp_path, monkeypatch):
    monkeypatch.setattr("beatssl_sklearn.ecg.wfdb.reader._CHUNK_SAMPLES", 12)
    (tmp_path / "r.dat").write_bytes(RNG.integers(0, 256, size=2 * 31, dtype=np.uint8).tobytes())
    (tmp_path / "r.hea").write_text("r 1 250 31\nr.dat 16:5 100/mV 16 0 0 0 0 II\n")
    assert_ranges_are_parts(tmp_path / "r")
    (tmp_path / "r.hea").write_text("r 1 250 31\nr.dat 16:31 100/mV 16 0 0 0 0 II\n")
    with pytest.raises(ValueError, match="a skew of 31 samples"):
        read_and_check(tmp_path / "r")


def test_flac(tmp_path):
    soundfile = pytest.importorskip("soundfile", exc_type=ImportError)
    samples = RNG.integers(-2000, 2000, size=(9000, 2)).astype("<i2")
    soundfile.write(tmp_path / "r.dat", samples, 96000, subtype="PCM_16", format="FLAC")
    for length in (" 8000", ""):
        lines = [f"r.dat 516+500 1000(3)/mV 16 0 0 0 0 {lead}" for lead in ("I", "II")]
        (tmp_path / "r.hea").write_text("\n".join([f"r 2 500{length}", *lines]) + "\n")
        assert_ranges_are_parts(tmp_path / "r")


class TestSegments:
    @pytest.mark.parametrize("layout", [False, True])
    def test_parts_and_gaps(self, layout, tmp_path):
        for name, n_times, leads in (("s1", 40, ("I", "II")), ("s2", 30, ("II",) if layout else ("I", "II"))):
            write_signal(tmp_path / name, RNG.normal(size=(len(leads), n_times)), 250, leads)
        segments = ["s1 40", "~ 10", "s2 30", "s1 40"]
        if layout:
            (tmp_path / "lay.hea").write_text("lay 2 250 0\n~ 0 200/mV 0 0 0 0 0 I\n~ 0 200/mV 0 0 0 0 0 II\n")
            segments.insert(0, "lay 0")
        (tmp_path / "r.hea").write_text("\n".join([f"r/{len(segments)} 2 250 120", *segments]) + "\n")
        assert_ranges_are_parts(tmp_path / "r")
        assert_ranges_are_parts(tmp_path / "r", leads=("II", "I"))

    def test_damage_is_noticed_in_each(self, tmp_path):
        for name, announce_length in (("s1", True), ("s2", False)):
            write_signal(tmp_path / name, RNG.normal(size=(1, 40)), 250, ("II",), announce_length=announce_length)
        with open(tmp_path / "s1.dat", "r+b") as stream:
            stream.write(b"\0\0\0\0")
        with open(tmp_path / "s2.dat", "ab") as stream:
            stream.write(b"\0\0\0\0")
        (tmp_path / "r.hea").write_text("r/2 1 250 80\ns1 40\ns2 40\n")
        assert assert_ranges_are_parts(tmp_path / "r") == {
            "record 'r': checksum mismatch in II: the samples may be damaged",
            "record 'r': 4 bytes of trailing data are ignored: the header announces less",
        }

    def test_other_signals_are_refused(self, tmp_path):
        for name, lead in (("s1", "I"), ("s2", "II")):
            write_signal(tmp_path / name, RNG.normal(size=(1, 40)), 250, (lead,))
        (tmp_path / "r.hea").write_text("r/2 1 250 80\ns1 40\ns2 40\n")
        for read in (read_wfdb, WFDBReader):
            with pytest.raises(ValueError, match="record 'r': segment 's2' does not have the signals of the first"):
                read(tmp_path / "r")


def test_headers_warn_as_ever(tmp_path):
    write_signal(tmp_path / "r", RNG.normal(size=(1, 100)), 250, ("II",))
    header = tmp_path / "r.hea"
    header.write_text(header.read_text().replace("1000(0)/mV", "0").replace("r 1", "q 1"))
    assert_ranges_are_parts(tmp_path / "r")
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        WFDBReader(tmp_path / "r")
    assert len(found) == 2 and "no gain for II" in str(found[1].message) + str(found[0].message)
    assert {warning.filename for warning in found} == {__file__}


def test_refused(tmp_path):
    path = tmp_path / "data" / "r"
    write_signal(path, RNG.normal(size=(2, 100)), 250, ("I", "II"))
    reader = WFDBReader(path)
    for start, stop in ((-1, 5), (5, 5), (90, 101)):
        with pytest.raises(ValueError, match="it has 100"):
            reader.read(start, stop)
    with pytest.raises(ValueError, match="leads not found: V1"):
        WFDBReader(path, leads=["V1"])
    (tmp_path / "other").mkdir()
    with pytest.raises(ValueError, match="outside confine_to_root"):
        WFDBReader(path, confine_to_root=tmp_path / "other")
    header = path.with_name("r.hea")
    text = header.read_text()
    header.write_text(text.replace("/mV", "/bpm"))
    with pytest.raises(ValueError, match="'bpm', which is not one of voltage"):
        WFDBReader(path)
    header.write_text(text)
    path.with_name("r.dat").unlink()
    with pytest.raises(FileNotFoundError, match="'r.dat'"):
        WFDBReader(path)
    with pytest.raises(OSError, match="'r.dat'"):
        reader.read(0, 10)
