"""Headers: what the fields mean, what is odd, and what is malformed or hostile."""

from __future__ import annotations

import numpy as np
import pytest
from closeness import assert_close_to_rounding

from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.ecg.wfdb import read_wfdb


class TestFields:
    @pytest.mark.parametrize(
        ("unit", "gain"),
        [("uV", "1"), ("\u00b5V", "1"), ("\u03bcV", "1.0"), ("V", "1e6"), ("mV", "1000"), ("nV", ".001")],
    )
    def test_units_become_mv(self, write_record, samples, tmp_path, unit, gain):
        record = read_wfdb(write_record(tmp_path, gain=f"{gain}(0)/{unit}"))
        np.testing.assert_allclose(record.signal, samples.T / 1000, rtol=1e-6)

    def test_gain_and_baseline_by_lead(self, write_record, signal_line, samples, tmp_path):
        lines = [signal_line(i, gain=f"{100 * (i + 1)}({i * 7})/mV") for i in range(3)]
        expected = (samples - np.arange(3) * 7.0) / (100 * np.arange(1, 4))
        assert_close_to_rounding(read_wfdb(write_record(tmp_path, lines=lines)).signal, expected.T)

    def test_differences_start_at_adc_zero_without_an_initial_value(self, write_record, tmp_path):
        path = write_record(tmp_path, first="rec 1 500 4", lines=["rec.dat 8 100/mV 10 50"], data=bytes([0, 1, 2, 255]))
        np.testing.assert_allclose(read_wfdb(path, positional=True).signal, [[0, 0.01, 0.03, 0.02]], atol=1e-6)

    def test_baseline_defaults_to_adc_zero(self, write_record, signal_line, samples, tmp_path):
        lines = [signal_line(i, gain="200").replace(" 16 0 ", " 11 1024 ") for i in range(3)]
        np.testing.assert_allclose(read_wfdb(write_record(tmp_path, lines=lines)).signal, (samples.T - 1024) / 200)

    @pytest.mark.parametrize(
        "options",
        [
            {"newline": "\r\n"},
            {"first": "\ufeffrec 3 500 300"},
            {"first": "rec 3 500/500(0) 300 09:49:17.25 05/05/2020"},
            {"first": "rec 3 500 300 05-May-2020 09:49:17"},
            {"first": "below/rec 3 500.0 300"},
            {"first": "below/deeper/rec 3 5e2 300"},
            {"file": "./rec.dat"},
            {"file": "below/deeper/rec.dat"},
            {"first": "rec 3 500"},
            {"first": "rec 3 500", "checksum": 1},
            {"first": "rec 3 500 0", "checksum": 1},
            {"first": "  rec\t3\t500\t300  "},
            {"first": "# a comment first\n\nrec 3 500 300"},
            {"extra": ("# \u00c4rztin: M\u00fcller", "")},
        ],
    )
    def test_harmless_variants_are_silent(self, write_record, tmp_path, options):
        path = write_record(tmp_path, **options)
        assert read_wfdb(str(path) + ".hea").signal.shape == (3, 300)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"gain": "0"}, "no gain for I, II, III"),
            ({"gain": "-1000(0)/mV"}, "negative gain for I, II, III"),
            ({"first": "other 3 500 300"}, "another record name"),
            ({"first": "rec 3"}, "250 Hz assumed"),
            ({"first": "rec 3 500 300 25:61:61 01/01/2020"}, "start time"),
        ],
    )
    def test_odd_headers_warn(self, only_warning, options, message):
        assert message in only_warning(**options)


class TestMalformed:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"gain": "1000(0)/mmHg"}, "'mmHg', which is not one of voltage"),
            ({"gain": "1e-300(0)/mV"}, "implausible gain"),
            ({"gain": "1e400(0)/mV"}, "implausible gain"),
            ({"gain": "nan(0)/mV"}, "malformed gain"),
            ({"fmt": "999"}, "unknown format '999'"),
            ({"fmt": "16x0"}, "no sample per frame"),
            ({"name": "I"}, "duplicate lead names"),
            ({"name": "ch"}, "unknown lead names"),
            ({"name": ""}, "unknown lead names ''"),
            ({"checksum": "1_0"}, "malformed line"),
            ({"first": "rec 3 500 " + "9" * 5000}, "longer than"),
            ({"first": "rec 3 500 -5"}, "length"),
            ({"first": "rec 0 500 300", "lines": []}, "number of signals is '0'"),
            ({"fmt": "16:-1"}, "unknown format"),
            ({"fmt": "16x70000"}, "more than 65536 samples per frame"),
            ({"first": "rec 2 500 300"}, "2 signals but has 3 signal lines"),
            ({"first": "rec 999999999 500 300"}, "signal lines"),
            ({"first": "rec 3 0 300"}, "sampling rate '0'"),
            ({"first": "rec 3 1e9 300"}, "sampling rate"),
            ({"first": "rec"}, "no number of signals"),
            ({"extra": ("#" * 2**20,)}, "more than the"),
            ({"first": "\0"}, "NUL"),
            ({"first": "# comment", "lines": []}, "no record line"),
        ],
    )
    def test_refused_by_name(self, refusal, options, message):
        assert message in refusal(**options)

    @pytest.mark.parametrize(
        "file",
        [
            *("../other.dat", "/etc/passwd", "..", "..\\other.dat", "http://127.0.0.1:9/x.dat", "a::b.dat", "-"),
            *("a/../../other.dat", "a//other.dat", "./", "a/-"),
        ],
    )
    def test_file_names_stay_in_the_directory(self, write_record, samples, tmp_path, file):
        (tmp_path / "other.dat").write_bytes(samples.tobytes())
        path = write_record(tmp_path / "inner", file=file)
        with pytest.raises(ValueError, match="record 'rec': signal 1: .*leaves the record's directory"):
            read_wfdb(path)

    @pytest.mark.filterwarnings("ignore::UserWarning")
    def test_damaged_headers_never_crash(self, write_record, tmp_path):
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


class TestSegments:
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
            ("rec/2 3 500 100000000300\nseg 300\n~ 100000000000\n", "most of them in gaps: at most"),
            ("rec/1 3 500 300\n~ 300\n", "no segment but gaps"),
            ("rec/1 3 500 300\nnull 300\n", "no segment but gaps"),
            ("rec/2 3 500\nseg 300\nseg 0\n", "segment 'seg' has no samples"),
            ("rec/1 3 500\nabsent 300\n", "there is no file 'absent.hea'"),
            ("rec/1 3 500\nseg\n", "malformed segment line"),
        ],
    )
    def test_refused(self, write_record, tmp_path, text, message):
        write_record(tmp_path, first="seg 3 500 300")
        (tmp_path / "rec.hea").rename(tmp_path / "seg.hea")
        (tmp_path / "nested.hea").write_text("nested/1 3 500 300\nrec 300\n")
        (tmp_path / "rec.hea").write_text(text)
        with pytest.raises(ValueError, match="record 'rec'") as error:
            read_wfdb(tmp_path / "rec")
        assert message in str(error.value)

    @pytest.mark.parametrize(
        ("layout", "second", "message"),
        [
            (None, "III", "segment 's2' does not have the signals of the first segment"),
            (("I", "I"), "II", "its layout names a signal twice"),
            (("I", "II"), "I", "segment 's2' names a signal twice"),
        ],
    )
    def test_names_that_cannot_be_joined(self, write_record, signal_line, tmp_path, layout, second, message):
        """They are refused before any signal file is opened: there is none."""
        lines = {"s1": ("I", "II"), "s2": ("I", second)}
        segments = ["s1 300", "s2 300"]
        if layout:
            lines["lay"] = layout
            segments.insert(0, "lay 0")
        for name, leads in lines.items():
            length, file = (0, "~") if name == "lay" else (300, "absent.dat")
            signals = [signal_line(0, file=file, name=lead) for lead in leads]
            (tmp_path / f"{name}.hea").write_text("\n".join([f"{name} 2 500 {length}", *signals]) + "\n")
        (tmp_path / "rec.hea").write_text("\n".join([f"rec/{len(segments)} 2 500 600", *segments]) + "\n")
        with pytest.raises(ValueError, match=f"record 'rec': {message}"):
            read_wfdb(tmp_path / "rec", positional=True, leads=LEADS[:2])
