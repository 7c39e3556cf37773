"""The WFDB reader on real records, on well-formed synthetic ones in every format, and on malformed and hostile ones."""

from __future__ import annotations

import os
import pickle
import warnings

import numpy as np
import pytest

from beatssl_sklearn.ecg.leads import LEADS, canonical_lead
from beatssl_sklearn.ecg.wfdb import WFDBFolder, read_annotations, read_wfdb, write_annotations

with warnings.catch_warnings():
    # On import and in use wfdb calls what newer versions of pandas deprecate.
    warnings.simplefilter("ignore", DeprecationWarning)
    import wfdb

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
RNG = np.random.default_rng(0)
SAMPLES = RNG.integers(-2000, 2000, size=(300, 3)).astype("<i2")


def signal_line(i, *, file="rec.dat", fmt="16", gain="1000(0)/mV", name=None, checksum=None):
    checksum = int(SAMPLES[:, i].sum()) & 0xFFFF if checksum is None else checksum
    return f"{file} {fmt} {gain} 16 0 {SAMPLES[0, i]} {checksum} 0 {LEADS[i] if name is None else name}"


def write_record(folder, *, first="rec 3 500 300", lines=None, data=None, extra=(), newline="\n", **options):
    """Write three leads of 300 samples; options go to each signal line."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [signal_line(i, **options) for i in range(3)] if lines is None else lines
    (folder / "rec.dat").write_bytes(SAMPLES.tobytes() if data is None else data)
    (folder / "rec.hea").write_text(newline.join([first, *lines, *extra]) + newline, encoding="utf-8", newline="")
    return folder / "rec"


def reference(path):
    """What wfdb reads, by canonical lead."""
    record = wfdb.rdrecord(str(path))
    return {name: record.p_signal[:, i] for i, name in enumerate(record.sig_name)}, record.fs


class TestRealRecords:
    @pytest.mark.parametrize("folder", ["ptbxl500", "ludb/data", "mitdb"])
    def test_equal_to_wfdb(self, data_dir, folder):
        names = WFDBFolder(data_dir / folder).names
        for name in names[:: max(1, len(names) // 8)]:
            record = read_wfdb(data_dir / folder / name)
            signals, fs = reference(data_dir / folder / name)
            assert record.fs == fs and len(record.leads) == len(signals)
            assert [LEADS.index(lead) for lead in record.leads] == sorted(LEADS.index(lead) for lead in record.leads)
            for name_in_file, expected in signals.items():
                row = record.signal[record.leads.index(canonical_lead(name_in_file)[0])]
                np.testing.assert_allclose(row, expected, rtol=0, atol=1e-6)

    def test_uncalibrated_noise_needs_positions(self, data_dir):
        with pytest.raises(ValueError, match="'noise1', 'noise2'.*positional=True"):
            read_wfdb(data_dir / "nstdb/bw")
        with pytest.warns(UserWarning, match="record 'bw': no gain for noise1, noise2: 200 adu/mV"):
            record = read_wfdb(data_dir / "nstdb/bw", positional=True)
        signals, _ = reference(data_dir / "nstdb/bw")
        np.testing.assert_allclose(record.signal, np.stack(list(signals.values())), rtol=0, atol=1e-6)
        assert record.leads == ("noise1", "noise2")

    @pytest.mark.parametrize(("name", "extension"), [("ludb/data/1", "ii"), ("mitdb/207", "atr"), ("mitdb/101", "atr")])
    def test_annotations_round_trip(self, data_dir, tmp_path, name, extension):
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


class TestWellFormed:
    def test_signal_rate_and_leads(self, tmp_path):
        record = read_wfdb(write_record(tmp_path))
        assert record.signal.dtype == np.float32 and record.fs == 500 and record.leads == ("I", "II", "III")
        np.testing.assert_allclose(record.signal, SAMPLES.T / 1000, atol=1e-6)
        assert len(repr(record)) < 200 and "3 x 300" in repr(record)

    @pytest.mark.parametrize("fmt", ["8", "16", "24", "32", "61", "80", "160", "212", "310", "311"])
    @pytest.mark.parametrize("n_times", [96, 97, 101])
    def test_formats_equal_wfdb(self, tmp_path, fmt, n_times):
        # The two highest bits of a block are unused in format 311; wfdb takes one of them for data.
        raw = RNG.integers(0, 256, size=n_times * 12, dtype=np.uint8)
        raw = raw & (0x3F if fmt == "311" else 0xFF)
        lines = [f"rec.dat {fmt} 100({i})/mV 16 0 {i} 0 0 {LEADS[i]}" for i in range(3)]
        path = write_record(tmp_path, first=f"rec 3 500 {n_times}", lines=lines, data=raw.tobytes())
        with pytest.warns(UserWarning, match="checksum|trailing"):
            record = read_wfdb(path)
        expected = wfdb.rdrecord(str(path)).p_signal.T
        np.testing.assert_allclose(record.signal, expected, rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize(("fmt", "subtype"), [("508", "PCM_S8"), ("516", "PCM_16"), ("524", "PCM_24")])
    def test_flac_equal_wfdb(self, tmp_path, fmt, subtype):
        soundfile = pytest.importorskip("soundfile", exc_type=ImportError)
        path = write_record(tmp_path, fmt=fmt, gain="100(3)/mV", checksum=0)
        soundfile.write(tmp_path / "rec.dat", SAMPLES, 96000, subtype=subtype, format="FLAC")
        with pytest.warns(UserWarning, match="checksum mismatch in I, II, III"):
            record = read_wfdb(path)
        np.testing.assert_allclose(record.signal, wfdb.rdrecord(str(path)).p_signal.T, rtol=1e-6, atol=1e-6)
        (tmp_path / "rec.dat").write_bytes(b"fLaC" + bytes(500))
        with pytest.raises(ValueError, match="record 'rec'"):
            read_wfdb(path)

    def test_matlab_file_with_offset(self, tmp_path):
        data = bytes(24) + SAMPLES.tobytes()
        np.testing.assert_allclose(read_wfdb(write_record(tmp_path, fmt="16+24", data=data)).signal, SAMPLES.T / 1000)

    @pytest.mark.parametrize(
        ("unit", "gain"),
        [("uV", "1"), ("\u00b5V", "1"), ("\u03bcV", "1.0"), ("V", "1e6"), ("mV", "1000"), ("nV", ".001")],
    )
    def test_units_become_mv(self, tmp_path, unit, gain):
        record = read_wfdb(write_record(tmp_path, gain=f"{gain}(0)/{unit}"))
        np.testing.assert_allclose(record.signal, SAMPLES.T / 1000, rtol=1e-6)

    def test_gain_and_baseline_by_lead(self, tmp_path):
        lines = [signal_line(i, gain=f"{100 * (i + 1)}({i * 7})/mV") for i in range(3)]
        expected = (SAMPLES - np.arange(3) * 7.0) / (100 * np.arange(1, 4))
        np.testing.assert_allclose(read_wfdb(write_record(tmp_path, lines=lines)).signal, expected.T, rtol=0, atol=1e-6)

    def test_baseline_defaults_to_adc_zero(self, tmp_path):
        lines = [signal_line(i, gain="200").replace(" 16 0 ", " 11 1024 ") for i in range(3)]
        np.testing.assert_allclose(read_wfdb(write_record(tmp_path, lines=lines)).signal, (SAMPLES.T - 1024) / 200)

    def test_invalid_samples_are_nan(self, tmp_path):
        samples = SAMPLES.copy()
        samples[10:20, 1] = -32768
        lines = [f"rec.dat 16 1000(5)/mV 16 0 0 {int(samples[:, i].sum()) & 0xFFFF} 0 {LEADS[i]}" for i in range(3)]
        signal = read_wfdb(write_record(tmp_path, lines=lines, data=samples.tobytes())).signal
        assert np.isnan(signal[1, 10:20]).all() and np.isnan(signal).sum() == 10

    def test_order_and_signs_by_name(self, tmp_path):
        lines = [signal_line(0, name="V2"), signal_line(1, name="-avr"), signal_line(2, name="Lead I")]
        record = read_wfdb(write_record(tmp_path, lines=lines))
        assert record.leads == ("I", "aVR", "V2")
        np.testing.assert_allclose(record.signal * 1000, SAMPLES.T[[2, 1, 0]] * [[1], [-1], [1]], atol=1e-3)

    def test_wanted_leads_come_as_asked_and_others_do_not_matter(self, tmp_path):
        lines = [signal_line(0, name="ABP", gain="1(0)/mmHg"), signal_line(1, name="II"), signal_line(2, name="V1")]
        path = write_record(tmp_path, lines=lines)
        record = read_wfdb(path, leads=["v1", "MLII"])
        assert record.leads == ("V1", "II")
        np.testing.assert_allclose(record.signal, SAMPLES.T[[2, 1]] / 1000, atol=1e-6)
        with pytest.raises(ValueError, match="record 'rec': leads not found: V5, V6; it has II, V1"):
            read_wfdb(path, leads=["V5", "II", "V6"])
        with pytest.raises(ValueError, match="mmHg"):
            read_wfdb(path, positional=True)

    def test_positional_leads_are_named(self, tmp_path):
        path = write_record(tmp_path, name="channel")
        assert read_wfdb(path, positional=True).leads == ("channel",) * 3
        assert read_wfdb(path, positional=True, leads=("V1", "I", "II")).leads == ("V1", "I", "II")

    def test_frames_are_averaged_and_skew_is_undone(self, tmp_path):
        frames = RNG.integers(-100, 100, size=(50, 3)).astype("<i2")
        frames[7, :2] = -32768
        frames[8, 0] = -32768
        lines = ["rec.dat 16x2 100(0)/mV 16 0 0", "rec.dat 16:3 100(0)/mV 16 0 0"]
        path = write_record(tmp_path, first="rec 2 250 50", lines=lines, data=frames.tobytes())
        signal = read_wfdb(path, positional=True).signal
        expected = frames[:, :2].mean(axis=1) / 100
        expected[7:9] = np.nan, frames[8, 1] / 100
        np.testing.assert_allclose(signal[0], expected, atol=1e-6)
        np.testing.assert_allclose(signal[1, :-3], frames[3:, 2] / 100, atol=1e-6)
        assert np.isnan(signal[1, -3:]).all()

    def test_signals_in_several_files(self, tmp_path):
        for i in range(3):
            (tmp_path / f"{i % 2}.dat").write_bytes(SAMPLES[:, [0, 2] if i % 2 == 0 else [1]].tobytes())
        path = write_record(tmp_path, lines=[signal_line(i, file=f"{i % 2}.dat") for i in range(3)])
        np.testing.assert_allclose(read_wfdb(path).signal, SAMPLES.T / 1000, atol=1e-6)
        np.testing.assert_allclose(read_wfdb(path, leads=["II"]).signal, SAMPLES.T[1:2] / 1000, atol=1e-6)

    def test_segments_and_gaps(self, tmp_path):
        lines = [signal_line(i) for i in range(3)]
        write_record(tmp_path, first="s1 3 500 300", lines=lines)
        (tmp_path / "rec.hea").rename(tmp_path / "s1.hea")
        (tmp_path / "s2.hea").write_text(f"s2 1 500 300\n{signal_line(1, file='s2.dat')}\n")
        (tmp_path / "s2.dat").write_bytes(SAMPLES[:, 1].tobytes())
        layout = "\n".join(f"~ 0 1000(0)/mV 16 0 0 0 0 {LEADS[i]}" for i in range(3))
        (tmp_path / "lay.hea").write_text(f"lay 3 500 0\n{layout}\n")
        (tmp_path / "rec.hea").write_text("rec/4 3 500 700\nlay 0\ns1 300\n~ 100\ns2 300\n")
        record = read_wfdb(tmp_path / "rec")
        assert record.signal.shape == (3, 700) and record.leads == ("I", "II", "III")
        np.testing.assert_allclose(record.signal[:, :300], SAMPLES.T / 1000, atol=1e-6)
        assert np.isnan(record.signal[:, 300:400]).all() and np.isnan(record.signal[[0, 2], 400:]).all()
        np.testing.assert_allclose(record.signal[1, 400:], SAMPLES[:, 1] / 1000, atol=1e-6)
        (tmp_path / "rec.hea").write_text("rec/2 3 500 600\ns1 300\ns1 300\n")
        np.testing.assert_allclose(read_wfdb(tmp_path / "rec").signal, np.tile(SAMPLES.T, 2) / 1000, atol=1e-6)

    @pytest.mark.parametrize(
        "options",
        [
            {"newline": "\r\n"},
            {"first": "\ufeffrec 3 500 300"},
            {"first": "rec 3 500/500(0) 300 09:49:17.25 05/05/2020"},
            {"first": "rec 3 500 300 05-May-2020 09:49:17"},
            {"first": "below/rec 3 500.0 300"},
            {"first": "rec 3 500"},
            {"extra": ("# \u00c4rztin: M\u00fcller", "")},
        ],
    )
    def test_harmless_variants_are_silent(self, tmp_path, options):
        path = write_record(tmp_path, **options)
        assert read_wfdb(str(path) + ".hea").signal.shape == (3, 300)


class TestOdd:
    """Readable, with a warning that names the record and neither its folder nor its comments."""

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"gain": "0"}, "no gain for I, II, III"),
            ({"gain": "-1000(0)/mV"}, "negative gain for I, II, III"),
            ({"checksum": 1}, "checksum mismatch in I, II, III"),
            ({"data": SAMPLES.tobytes() + bytes(8)}, "8 bytes of trailing data"),
            ({"first": "other 3 500 300"}, "another record name"),
            ({"first": "rec 3"}, "250 Hz assumed"),
            ({"first": "rec 3 500 300 25:61:61 01/01/2020"}, "start time"),
        ],
    )
    def test_warning(self, tmp_path, options, message):
        path = write_record(tmp_path / "JANE_DOE", extra=("# Name: JANE DOE",), **options)
        with pytest.warns(UserWarning, match=f"record 'rec': .*{message}") as caught:
            record = read_wfdb(path)
        assert len(caught) == 1 and "JANE" not in str(caught[0].message) + repr(record)
        assert os.path.basename(caught[0].filename) == os.path.basename(__file__)
        assert np.isfinite(record.signal).all()


class TestMalformed:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"gain": "1000(0)/mmHg"}, "'mmHg', which is not one of voltage"),
            ({"gain": "1e-300(0)/mV"}, "implausible gain"),
            ({"gain": "1e400(0)/mV"}, "implausible gain"),
            ({"gain": "nan(0)/mV"}, "malformed gain"),
            ({"fmt": "999"}, "unknown format '999'"),
            ({"fmt": "16x1000000000"}, "are needed"),
            ({"fmt": "16x0"}, "no sample per frame"),
            ({"fmt": "16:1000000"}, "skew"),
            ({"fmt": "16+999999999"}, "0 bytes of samples"),
            ({"fmt": "516"}, "not a FLAC file"),
            ({"name": "I"}, "duplicate lead names"),
            ({"name": "ch"}, "unknown lead names"),
            ({"name": ""}, "unknown lead names ''"),
            ({"checksum": "1_0"}, "malformed line"),
            ({"first": "rec 3 500 5000"}, "1800 bytes of samples, 30000 are needed"),
            ({"first": "rec 3 500 1000000000000"}, "are needed"),
            ({"first": "rec 3 500 " + "9" * 5000}, "longer than"),
            ({"first": "rec 3 500 -5"}, "length"),
            ({"first": "rec 3 500 0"}, "length is 0"),
            ({"first": "rec 2 500 300"}, "2 signals but has 3 signal lines"),
            ({"first": "rec 999999999 500 300"}, "signal lines"),
            ({"first": "rec 3 0 300"}, "sampling rate '0'"),
            ({"first": "rec 3 1e9 300"}, "sampling rate"),
            ({"first": "rec"}, "no number of signals"),
            ({"data": SAMPLES.tobytes()[:-1]}, "1799 bytes"),
            ({"data": b""}, "0 bytes"),
            ({"extra": ("#" * 2**20,)}, "more than the"),
            ({"first": "\0"}, "NUL"),
            ({"first": "# comment", "lines": []}, "no record line"),
        ],
    )
    def test_refused_by_name(self, tmp_path, options, message):
        path = write_record(tmp_path / "SECRET", **options)
        with pytest.raises(ValueError, match=r"record 'rec'") as error:
            read_wfdb(path)
        assert message in str(error.value) and "SECRET" not in str(error.value) and len(str(error.value)) < 600

    @pytest.mark.parametrize(
        "file", ["../other.dat", "/etc/passwd", "..", "..\\other.dat", "http://127.0.0.1:9/x.dat", "a::b.dat", "-"]
    )
    def test_file_names_stay_in_the_directory(self, tmp_path, file):
        (tmp_path / "other.dat").write_bytes(SAMPLES.tobytes())
        path = write_record(tmp_path / "inner", file=file)
        with pytest.raises(ValueError, match="record 'rec': signal 1: .*leaves the record's directory"):
            read_wfdb(path)

    def test_only_regular_files_are_opened(self, tmp_path):
        path = write_record(tmp_path)
        data = tmp_path / "rec.dat"
        data.unlink()
        with pytest.raises(FileNotFoundError, match="record 'rec': there is no file 'rec.dat'"):
            read_wfdb(path)
        data.mkdir()
        with pytest.raises(ValueError, match="not a regular file"):
            read_wfdb(path)
        data.rmdir()
        if hasattr(os, "mkfifo"):
            os.mkfifo(data)
            with pytest.raises(ValueError, match="not a regular file"):
                read_wfdb(path)
            data.unlink()
            data.symlink_to("/dev/zero")
            with pytest.raises(ValueError, match="record 'rec'"):
                read_wfdb(path, confine_to_root="/")

    def test_links_may_leave_neither_the_directory_nor_the_root(self, tmp_path):
        path = write_record(tmp_path / "a")
        (tmp_path / "b").mkdir()
        os.replace(tmp_path / "a/rec.dat", tmp_path / "b/kept.dat")
        (tmp_path / "a/rec.dat").symlink_to("../b/kept.dat")
        with pytest.raises(ValueError, match="record 'rec': .*confine_to_root"):
            read_wfdb(path)
        assert read_wfdb(path, confine_to_root=tmp_path).signal.shape == (3, 300)
        assert WFDBFolder(tmp_path)[0].signal.shape == (3, 300)
        with pytest.raises(ValueError, match="outside confine_to_root"):
            read_wfdb(path, confine_to_root=tmp_path / "b")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("rec/1 3 500 300\nrec 300\n", "segment of itself"),
            ("rec/1 3 500 300\nnested 300\n", "consists of segments"),
            ("rec/5 3 500 300\nseg 300\n", "5 segments but has 1"),
            ("rec/999999999 3 500 300\nseg 300\n", "implausible number of segments"),
            ("rec/1 3 500 999\nseg 300\n", "300 samples in all"),
            ("rec/1 3 250 300\nseg 300\n", "sampled at 500 Hz"),
            ("rec/2 3 500 600\nseg 300\nseg 200\n", "500 samples in all"),
            ("rec/2 3 500 500\nseg 300\nseg 200\n", "has 300 samples"),
            ("rec/1 3 500 300\n../seg 300\n", "leaves the record's directory"),
            ("rec/1 2 500 300\nseg 300\n", "2 signals but its first segment has 3"),
            ("rec/2 3 500 100000000300\nseg 300\n~ 100000000000\n", "at most"),
            ("rec/1 3 500 300\n~ 300\n", "no segment but gaps"),
        ],
    )
    def test_segments(self, tmp_path, text, message):
        write_record(tmp_path, first="seg 3 500 300")
        (tmp_path / "rec.hea").rename(tmp_path / "seg.hea")
        (tmp_path / "nested.hea").write_text("nested/1 3 500 300\nrec 300\n")
        (tmp_path / "rec.hea").write_text(text)
        with pytest.raises(ValueError, match="record 'rec'") as error:
            read_wfdb(tmp_path / "rec")
        assert message in str(error.value)

    @pytest.mark.parametrize(
        "path", ["", ".", "a/..", "a/", "s3://bucket/rec", "file:///rec", "a::http://h/rec", "r\0", "r" * 5000]
    )
    def test_bad_paths(self, path):
        with pytest.raises(ValueError, match="path|record"):
            read_wfdb(path)

    @pytest.mark.parametrize("path", [None, 5, b"rec", ["rec"]])
    def test_bad_path_types(self, path):
        with pytest.raises(TypeError, match="path must be"):
            read_wfdb(path)

    def test_bad_leads(self, tmp_path):
        path = write_record(tmp_path)
        for leads in ("II", [2], [["II"]]):
            with pytest.raises(TypeError, match="leads"):
                read_wfdb(path, leads=leads)
        with pytest.raises(ValueError, match="2 names for 3 signals"):
            read_wfdb(path, positional=True, leads=["I", "II"])

    @pytest.mark.filterwarnings("ignore::UserWarning")
    def test_damaged_headers_never_crash(self, tmp_path):
        path = write_record(tmp_path)
        text = (tmp_path / "rec.hea").read_bytes()
        rng = np.random.default_rng(3)
        pieces = [b"0", b"-1", b"1e9", b"nan", b"/", b"(", b"+", b":", b"x", b"212", b"..", b"#", b"\n", b"\xff", b"~"]
        read = 0
        for _ in range(500):
            damaged = bytearray(text)
            for _ in range(rng.integers(1, 4)):
                at = int(rng.integers(0, len(damaged)))
                damaged[at : at + int(rng.integers(0, 4))] = pieces[rng.integers(len(pieces))]
            (tmp_path / "rec.hea").write_bytes(damaged)
            try:
                signal = read_wfdb(path).signal
            except (ValueError, OSError) as error:
                assert "rec" in str(error)
            else:
                read += 1
                assert signal.ndim == 2 and not np.isinf(signal).any()
        assert 0 < read < 500


class TestAnnotations:
    def test_long_gaps_equal_positions_and_text(self, tmp_path):
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
    def test_bad_values_leave_the_old_file(self, tmp_path, sample, symbol, aux, message):
        (tmp_path / "rec.atr").write_bytes(b"old")
        with pytest.raises(ValueError, match=f"record 'rec'.*{message}"):
            write_annotations(tmp_path / "rec", "atr", sample, symbol, aux=aux)
        assert (tmp_path / "rec.atr").read_bytes() == b"old" and os.listdir(tmp_path) == ["rec.atr"]

    def test_positions_must_be_integers(self, tmp_path):
        with pytest.raises(TypeError, match="integers"):
            write_annotations(tmp_path / "rec", "atr", [1.5], ["N"])

    @pytest.mark.parametrize("extension", ["../atr", "hea", "dat", "", "a/b"])
    def test_bad_extensions(self, tmp_path, extension):
        for call in (read_annotations, lambda p, e: write_annotations(p, e, [1], ["N"])):
            with pytest.raises(ValueError, match="extension"):
                call(tmp_path / "rec", extension)

    def test_damaged_files(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="record 'rec'"):
            read_annotations(tmp_path / "rec", "atr")
        for raw in (b"", b"\xff" * 40, b"\0\xec", b"\x05\xff"):
            (tmp_path / "rec.atr").write_bytes(raw)
            with pytest.raises(ValueError, match="record 'rec'"):
                read_annotations(tmp_path / "rec", "atr")
        (tmp_path / "rec.atr").write_bytes(b"\x0a\x04")
        with pytest.warns(UserWarning, match="truncated"):
            assert read_annotations(tmp_path / "rec", "atr").sample.tolist() == [10]


class TestFolder:
    @pytest.fixture
    def folder(self, tmp_path):
        for name in ("10", "9", "sub/1"):
            write_record(tmp_path / name)
        return WFDBFolder(tmp_path)

    def test_indexing(self, folder):
        assert folder.names == ("9/rec", "10/rec", "sub/1/rec") and folder.shape == (3,) and len(folder) == 3
        assert folder[-1].signal.shape == (3, 300) and folder[np.int64(0)].fs == 500
        assert folder[1:].names == folder.names[1:]
        assert folder[[2, 0]].names == folder[np.array([2, 0])].names == ("sub/1/rec", "9/rec")
        assert folder[np.array([True, False, True])].names == folder[np.array([0, 2]), ...].names
        assert len(folder[[]]) == 0 and [record.fs for record in folder] == [500] * 3
        for key in (3, [True], [0.5], "9"):
            with pytest.raises(IndexError):
                folder[key]

    def test_pickle_and_repr_hold_no_signals(self, folder, tmp_path):
        again = pickle.loads(pickle.dumps(folder[1:]))
        assert again.names == folder.names[1:] and len(pickle.dumps(folder)) < 2000
        assert str(tmp_path.parent) not in repr(folder) and "n_records=3" in repr(folder)

    def test_scikit_learn_can_split_it(self, folder):
        from sklearn.model_selection import GroupKFold, train_test_split
        from sklearn.utils import _safe_indexing, indexable

        train, test = train_test_split(folder, test_size=1, random_state=0)
        assert isinstance(train, WFDBFolder) and len(train) == 2 and len(test) == 1
        splits = list(GroupKFold(3).split(folder, groups=[0, 1, 2]))
        assert sorted(_safe_indexing(folder, part)[0].fs for _, part in splits) == [500] * 3
        assert indexable(folder, [0, 1, 2])[0] is folder

    def test_becomes_an_array(self, folder, tmp_path):
        assert np.asarray(folder).shape == (3, 3, 300) and np.asarray(folder, dtype=np.float64).dtype == np.float64
        write_record(tmp_path / "10", first="rec 3 250 300")
        with pytest.raises(ValueError, match="'10/rec' differs from '9/rec'"):
            np.asarray(folder)

    def test_records_file_comes_first(self, folder, tmp_path):
        (tmp_path / "RECORDS").write_text("sub/1/rec\n9/rec\n")
        assert WFDBFolder(tmp_path).names == ("sub/1/rec", "9/rec")
        (tmp_path / "RECORDS").write_text("sub/\n")
        assert WFDBFolder(tmp_path).names == ("sub/1/rec",)
        assert WFDBFolder(tmp_path, names=["9/rec"], leads=["II"])[0].leads == ("II",)

    @pytest.mark.parametrize("name", ["../rec", "/etc/rec", "a/../../rec", "s3://b/rec", "a\\rec"])
    def test_names_stay_in_the_folder(self, folder, tmp_path, name):
        with pytest.raises(ValueError, match="leaves the folder"):
            WFDBFolder(tmp_path, names=[name])
        (tmp_path / "RECORDS").write_text(name + "\n")
        with pytest.raises(ValueError, match="leaves the folder"):
            WFDBFolder(tmp_path)

    def test_directories_behind_links_are_refused(self, folder, tmp_path):
        (tmp_path / "10/out").symlink_to(tmp_path / "9")
        with pytest.raises(ValueError, match="a link leads record 'rec' outside"):
            WFDBFolder(tmp_path / "10", names=["out/rec"])

    def test_missing_and_empty(self, tmp_path):
        with pytest.raises(ValueError, match="no records"):
            WFDBFolder(tmp_path)
        with pytest.raises(OSError, match="not an existing folder"):
            WFDBFolder(tmp_path / "absent")
        with pytest.raises(TypeError, match="names"):
            WFDBFolder(tmp_path, names="rec")

    def test_warnings_point_to_the_caller(self, tmp_path):
        write_record(tmp_path, checksum=1)
        for read in (lambda f: f[0], list):
            with pytest.warns(UserWarning, match="record 'rec': checksum") as caught:
                read(WFDBFolder(tmp_path))
            assert os.path.basename(caught[0].filename) == os.path.basename(__file__)
