"""Annotation files: round trips, also through wfdb, and files and values that are refused."""

from __future__ import annotations

import os
import struct
import warnings

import numpy as np
import pytest

from beatssl_sklearn.ecg.wfdb import read_annotations, read_wfdb, write_annotations

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


def words(*values):
    return struct.pack(f"<{len(values)}H", *values)


def at(step, code):
    """An annotation `step` ticks behind the one before."""
    return words(code << 10 | step)


def note(text):
    """A note at sample 0 with its text, padded to whole words."""
    raw = text.encode()
    return words(22 << 10, 63 << 10 | len(raw)) + raw + b"\0" * (len(raw) % 2)


N, END = 1, words(0)


class TestTimeResolution:
    def test_positions_are_at_the_rate_of_the_record(self, write_record, tmp_path):
        path = write_record(tmp_path)  # 500 Hz
        for fs, sample in ((500, [1, 2, 25]), (1000, [2, 3, 50]), (360, [1, 2, 18]), (0.5, [0, 1, 2])):
            write_annotations(path, "qrs", sample, ["N"] * 3, fs=fs)
            expected = np.floor(np.array(sample) * (500 / fs) + 0.5)
            assert read_annotations(path, "qrs").sample.tolist() == expected.tolist()
        write_annotations(path, "qrs", [1, 2, 25], ["N"] * 3)
        assert read_annotations(path, "qrs").sample.tolist() == [1, 2, 25]

    def test_fs_takes_the_place_of_the_header(self, write_record, tmp_path):
        path = write_record(tmp_path)
        write_annotations(path, "qrs", [100, 200], ["N"] * 2, fs=1000)
        write_annotations(path, "raw", [100, 200], ["N"] * 2)
        assert read_annotations(path, "qrs", fs=250).sample.tolist() == [25, 50]
        assert read_annotations(path, "raw", fs=250).sample.tolist() == [100, 200]
        (tmp_path / "rec.hea").unlink()
        assert read_annotations(path, "qrs", fs=250).sample.tolist() == [25, 50]
        assert read_annotations(path, "qrs").sample.tolist() == [100, 200]
        for fs in (0, -1, np.inf, "250"):
            with pytest.raises(ValueError, match="record 'rec': fs must be positive and finite"):
                read_annotations(path, "qrs", fs=fs)

    def test_other_files_count_frames(self, write_record, tmp_path):
        lines = ["rec.dat 16x4 100/mV 16 0 0 0 0 II", "rec.dat 16 1/bpm 16 0 0 0 0 HR"]
        path = write_record(tmp_path, first="rec 2 125", lines=lines)
        write_annotations(path, "ticks", [10, 20], ["N"] * 2, fs=250)
        assert read_wfdb(path).fs == 500
        assert read_annotations(path, "ticks").sample.tolist() == [20, 40]
        (tmp_path / "many.hea").write_text("many/1 2 125\nrec 180\n")
        for name in ("rec", "many"):
            assert self.positions_of_frames(tmp_path / name, 10, 20) == [40, 80]

    def positions_of_frames(self, path, first, second):
        """Read annotations at two frames from a file without a time resolution."""
        path.with_name(path.name + ".frames").write_bytes(at(first, N) + at(second - first, N) + END)
        return read_annotations(path, "frames").sample.tolist()

    def test_positions_are_at_the_rate_of_the_signals_that_are_read(self, write_record, tmp_path):
        line = "rec.dat {} 1000/mV 16 0 0 0 0 {}".format
        beside = [line("16x2", "II"), line("16x2", "V1"), line("16", "RESP")]
        path = write_record(tmp_path, first="rec 3 250", lines=beside)
        assert read_wfdb(path).fs == 500 and self.positions_of_frames(path, 100, 900) == [200, 1800]
        # The lines of a layout say nothing of samples, and nor does that of an absent signal.
        layout = ["lay 3 250 0", *(f"~ 0 1/mV 0 0 0 0 0 {name}" for name in ("II", "V1", "RESP"))]
        (tmp_path / "lay.hea").write_text("\n".join(layout))
        (tmp_path / "many.hea").write_text("many/2 3 250\nlay 0\nrec 180\n")
        assert read_wfdb(tmp_path / "many").fs == 500
        assert self.positions_of_frames(tmp_path / "many", 100, 900) == [200, 1800]
        path = write_record(tmp_path, first="rec 2 250", lines=[line("16x2", "II"), "~ 0 1000/mV 16 0 0 0 0 V1"])
        assert read_wfdb(path, leads=["II"]).fs == 500 and self.positions_of_frames(path, 100, 900) == [200, 1800]
        # A name that the user would have to explain counts by its voltage.
        path = write_record(tmp_path, first="rec 2 250", lines=[line("16x3", "CM5"), "rec.dat 16 1/bpm 16 0 0 0 0 HR"])
        assert read_wfdb(path, positional=True).fs == 750 and self.positions_of_frames(path, 100, 900) == [300, 2700]

    def test_what_is_written_without_a_rate_is_read_as_it_was(self, write_record, tmp_path):
        path = write_record(tmp_path, first="rec 1 250", lines=["rec.dat 16x2 1000/mV 16 0 0 0 0 II"])
        write_annotations(path, "qrs", [200, 1800], ["N"] * 2)
        assert read_annotations(path, "qrs").sample.tolist() == [200, 1800]
        assert read_annotations(path, "qrs", fs=1000).sample.tolist() == [400, 3600]
        # A rate that is the frames' own is not written.
        write_annotations(write_record(tmp_path), "qrs", [3], ["N"])
        assert (tmp_path / "rec.qrs").read_bytes() == at(3, N) + END

    def test_a_record_without_a_readable_signal_has_a_rate(self, write_record, tmp_path):
        for first, lines in (("rec 0 500", []), ("rec 1 500 300", ["rec.dat 999 100"])):
            path = write_record(tmp_path, first=first, lines=lines)
            write_annotations(path, "qrs", [1000], ["N"], fs=1000)
            assert read_annotations(path, "qrs").sample.tolist() == [500]

    @pytest.mark.parametrize("text", ["1.2.3", "1e999", "1e-300"])
    def test_implausible(self, write_record, tmp_path, text):
        path = write_record(tmp_path)
        (tmp_path / "rec.qrs").write_bytes(note(f"## time resolution: {text}") + at(100, N) + END)
        with pytest.raises(ValueError, match="record 'rec': file 'rec.qrs' .*time resolution"):
            read_annotations(path, "qrs")

    def test_as_the_library_writes_it(self, write_record, tmp_path):
        # Its own files have an annotation of code 0 behind the definitions; a resolution of 0 is none.
        path = write_record(tmp_path)
        (tmp_path / "rec.qrs").write_bytes(note("## time resolution: 1000") + words(59 << 10, 0, 0) + at(100, N) + END)
        assert read_annotations(path, "qrs").sample.tolist() == [50]
        (tmp_path / "rec.qrs").write_bytes(note("## time resolution: 0") + at(100, N) + END)
        assert read_annotations(path, "qrs").sample.tolist() == [100]


class TestDefinitions:
    def read(self, tmp_path, *parts):
        (tmp_path / "rec.atr").write_bytes(b"".join(parts) + END)
        found = read_annotations(tmp_path / "rec", "atr")
        return found.symbol, found.aux

    def test_between_headings_any_code_is_defined(self, tmp_path):
        table = ("## annotation type definitions", "42 CAL Calibration", "5 PVC a\tb", "## end of definitions")
        found = self.read(tmp_path, *map(note, table), at(7, 42), at(1, 5), at(1, 43))
        assert found == (["CAL", "PVC", "43"], ["", "", ""])

    def test_without_heading_only_codes_of_users_are(self, tmp_path):
        found = self.read(tmp_path, note("42 CAL"), note("5 min rest"), note("50 mm/s"), at(7, 42), at(1, 5))
        assert found == (['"', '"', "CAL", "V"], ["5 min rest", "50 mm/s", "", ""])

    def test_later_notes_are_notes(self, tmp_path):
        found = self.read(tmp_path, at(0, N), note("42 CAL Calibration"), at(7, 42))
        assert found == (["N", '"', "42"], ["", "42 CAL Calibration", ""])

    def test_equal_to_wfdb(self, wfdb, tmp_path):
        import pandas as pd

        labels = pd.DataFrame({"label_store": [42], "symbol": ["c"], "description": ["Calibration"]})
        samples = np.array([3, 700, 5000])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wfdb.wrann("rec", "atr", samples, ["N", "c", "V"], fs=250, custom_labels=labels, write_dir=str(tmp_path))
        found = read_annotations(tmp_path / "rec", "atr")
        assert found.sample.tolist() == samples.tolist() and found.symbol == ["N", "c", "V"]


class TestFilesOfOtherKinds:
    def refused(self, tmp_path, raw, match):
        (tmp_path / "rec.atr").write_bytes(raw)
        with pytest.raises(ValueError, match=f"record 'rec': file 'rec.atr' is not a valid annotation file: {match}"):
            read_annotations(tmp_path / "rec", "atr")

    def test_nothing_before_the_end_mark_but_much_behind(self, tmp_path):
        preamble = struct.pack("<iiiii", 0, 1, 2, 0, 4) + b"val\0"
        self.refused(tmp_path, preamble + bytes(range(1, 200)), "it has no annotations before its end mark")

    def test_aha_format(self, tmp_path):
        records = [b"\0" + kind + words(0, 100 * i, i) + bytes(8) for i, kind in enumerate((b"N", b"V", b"N"), 1)]
        self.refused(tmp_path, b"".join(records), "it is in the AHA format, which is not read")

    def test_a_cut_distance(self, tmp_path):
        self.refused(tmp_path, at(3, N) + words(59 << 10, 0), "a distance is cut off")

    def test_annotations_and_something_behind_them(self, tmp_path):
        (tmp_path / "rec.atr").write_bytes(at(3, N) + END + at(3, N))
        with pytest.warns(UserWarning, match="'rec.atr' goes on after its end mark: 2 bytes are ignored"):
            assert read_annotations(tmp_path / "rec", "atr").sample.tolist() == [3]
        (tmp_path / "rec.atr").write_bytes(at(3, N) + END + bytes(500))
        assert read_annotations(tmp_path / "rec", "atr").sample.tolist() == [3]


def test_numbers_subtypes_channels_and_codes_of_nothing_are_dropped(tmp_path):
    fields = words(60 << 10 | 1, 61 << 10 | 2, 62 << 10 | 3)
    raw = at(3, N) + fields + at(5, 0) + at(7, 5) + fields + words(63 << 10 | 3) + b"abc\0" + END
    (tmp_path / "rec.atr").write_bytes(raw)
    found = read_annotations(tmp_path / "rec", "atr")
    assert (found.sample.tolist(), found.symbol, found.aux) == ([3, 15], ["N", "V"], ["", "abc"])


def test_a_distance_may_go_back_but_not_before_the_annotation_before(tmp_path):
    back = words(59 << 10, 0xFFFF, 0xFFF0)  # -16
    (tmp_path / "rec.atr").write_bytes(at(30, N) + back + at(20, N) + END)
    assert read_annotations(tmp_path / "rec", "atr").sample.tolist() == [30, 34]
    (tmp_path / "rec.atr").write_bytes(at(30, N) + back + at(2, N) + END)
    with pytest.raises(ValueError, match="record 'rec': .* out of order"):
        read_annotations(tmp_path / "rec", "atr")
