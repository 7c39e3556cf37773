"""Samples: all formats, missing samples, checksums, several files, and files that contradict their header."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.ecg.wfdb import read_wfdb

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
RNG = np.random.default_rng(1)


class TestFormats:
    @pytest.mark.parametrize("fmt", ["8", "16", "24", "32", "61", "80", "160", "212", "310", "311"])
    @pytest.mark.parametrize("n_times", [96, 97, 101])
    def test_equal_to_wfdb(self, wfdb, write_record, tmp_path, fmt, n_times):
        # The two highest bits of a block are unused in format 311; wfdb takes one of them for data.
        raw = RNG.integers(0, 256, size=n_times * 12, dtype=np.uint8)
        raw = raw & (0x3F if fmt == "311" else 0xFF)
        lines = [f"rec.dat {fmt} 100({i})/mV 16 0 {i} 1 0 {LEADS[i]}" for i in range(3)]
        path = write_record(tmp_path, first=f"rec 3 500 {n_times}", lines=lines, data=raw.tobytes())
        with pytest.warns(UserWarning, match="checksum|trailing"):
            record = read_wfdb(path)
        expected = wfdb.rdrecord(str(path)).p_signal.T
        np.testing.assert_allclose(record.signal, expected, rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize(("fmt", "subtype"), [("508", "PCM_S8"), ("516", "PCM_16"), ("524", "PCM_24")])
    def test_flac_equal_to_wfdb(self, wfdb, write_record, samples, tmp_path, fmt, subtype):
        soundfile = pytest.importorskip("soundfile", exc_type=ImportError)
        path = write_record(tmp_path, fmt=fmt, gain="100(3)/mV", checksum=1)
        soundfile.write(tmp_path / "rec.dat", samples, 96000, subtype=subtype, format="FLAC")
        with pytest.warns(UserWarning, match="checksum mismatch in I, II, III"):
            record = read_wfdb(path)
        np.testing.assert_allclose(record.signal, wfdb.rdrecord(str(path)).p_signal.T, rtol=1e-6, atol=1e-6)
        (tmp_path / "rec.dat").write_bytes(b"fLaC" + bytes(500))
        with pytest.raises(ValueError, match="record 'rec'"):
            read_wfdb(path)

    def test_a_flac_file_of_zeros_is_refused_before_it_is_decoded(self, write_record, tmp_path):
        soundfile = pytest.importorskip("soundfile", exc_type=ImportError)
        lines = [f"rec.dat 516 100/mV 16 0 0 0 0 {lead}" for lead in LEADS[:8]]
        path = write_record(tmp_path, first="rec 8 500", lines=lines)
        with soundfile.SoundFile(tmp_path / "rec.dat", "w", 96000, 8, "PCM_16", format="FLAC") as stream:
            for _ in range(10):
                stream.write(np.zeros((2**18, 8), dtype=np.int16))
        with pytest.raises(ValueError, match="claims 2621440 samples per signal in"):
            read_wfdb(path)

    def test_matlab_file_with_offset(self, write_record, samples, tmp_path):
        path = write_record(tmp_path, fmt="16+24", data=bytes(24) + samples.tobytes())
        np.testing.assert_allclose(read_wfdb(path).signal, samples.T / 1000)


class TestSignals:
    def test_invalid_samples_are_nan(self, write_record, samples, tmp_path):
        samples = samples.copy()
        samples[10:20, 1] = -32768
        lines = [f"rec.dat 16 1000(5)/mV 16 0 0 {int(samples[:, i].sum()) & 0xFFFF} 0 {LEADS[i]}" for i in range(3)]
        signal = read_wfdb(write_record(tmp_path, lines=lines, data=samples.tobytes())).signal
        assert np.isnan(signal[1, 10:20]).all() and np.isnan(signal).sum() == 10

    def test_several_samples_per_frame_keep_their_rate(self, wfdb, write_record, tmp_path):
        frames = RNG.integers(-100, 100, size=(50, 7)).astype("<i2")
        frames[7, 1] = -32768
        lines = ["rec.dat 16x3 100(5)/mV 16 0 0", "rec.dat 16 1/mmHg 16 0 0", "rec.dat 16x3:2 50(0)/mV 16 0 0"]
        path = write_record(tmp_path, first="rec 3 80 50", lines=lines, data=frames.tobytes())
        record = read_wfdb(path, positional=True)
        assert record.fs == 240 and record.signal.shape == (2, 150)
        expected = wfdb.rdrecord(str(path), smooth_frames=False).e_p_signal
        # At the end of a skewed signal, wfdb marks as many samples as missing as there are frames.
        np.testing.assert_allclose(record.signal[0], expected[0], rtol=1e-6)
        np.testing.assert_allclose(record.signal[1, :-6], expected[2][:-6], rtol=1e-6)
        assert np.isnan(record.signal[0, 22]) and np.isnan(record.signal[1, -6:]).all()

    def test_leads_of_unequal_rates_are_averaged_to_a_common_one(self, write_record, tmp_path):
        frames = RNG.integers(-100, 100, size=(50, 10)).astype("<i2")
        frames[7, :2] = frames[8, 0] = -32768
        lines = ["rec.dat 16x4 100(0)/mV 16 0 0 0 0 I", "rec.dat 16x6:3 100(0)/mV 16 0 0 0 0 II"]
        path = write_record(tmp_path, first="rec 2 125", lines=lines, data=frames.tobytes())
        with pytest.warns(UserWarning, match="its leads have unequal sampling rates: they are averaged to 250 Hz"):
            record = read_wfdb(path)
        first = frames[:, :4].reshape(100, 2).mean(axis=1) / 100
        first[14], first[16] = np.nan, frames[8, 1] / 100
        assert record.fs == 250
        np.testing.assert_allclose(record.signal[0], first, atol=1e-6)
        np.testing.assert_allclose(record.signal[1, :-6], frames[3:, 4:].reshape(94, 3).mean(axis=1) / 100, atol=1e-6)
        assert np.isnan(record.signal[1, -6:]).all()
        assert read_wfdb(path, leads=["II"]).fs == 750

    def test_a_baseline_outside_the_range(self, write_record, signal_line, samples, tmp_path):
        path = write_record(tmp_path, lines=[signal_line(i, gain="1000(-40000000)/mV") for i in range(3)])
        np.testing.assert_allclose(read_wfdb(path).signal, (samples.T + 40_000_000.0) / 1000, rtol=1e-7)

    def test_signals_in_several_files(self, write_record, signal_line, samples, tmp_path):
        for i in range(3):
            (tmp_path / f"{i % 2}.dat").write_bytes(samples[:, [0, 2] if i % 2 == 0 else [1]].tobytes())
        path = write_record(tmp_path, lines=[signal_line(i, file=f"{i % 2}.dat") for i in range(3)])
        np.testing.assert_allclose(read_wfdb(path).signal, samples.T / 1000, atol=1e-6)
        np.testing.assert_allclose(read_wfdb(path, leads=["II"]).signal, samples.T[1:2] / 1000, atol=1e-6)

    def test_no_checksum_was_computed(self, write_record, tmp_path):
        """Programs that compute none write 0, as in the CinC Challenge 2017."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read_wfdb(write_record(tmp_path, checksum=0))

    def test_checksums_cover_all_samples_of_a_frame(self, write_record, tmp_path):
        frames = RNG.integers(-30000, 30000, size=(200, 4)).astype("<i2")
        sums = frames[:, :3].sum(dtype=np.int64) & 0xFFFF, frames[:, 3].sum(dtype=np.int64) & 0xFFFF
        for added, wrong in (((0, 0), None), ((1, 0), "mismatch in V1:"), ((0, 1), "mismatch in 2:")):
            lines = [
                f"rec.dat 16x3 100(0)/mV 16 0 0 {sums[0] + added[0]} 0 V1",
                f"rec.dat 16 100(0)/bpm 16 0 0 {sums[1] + added[1]} 0",
            ]
            path = write_record(tmp_path, first="rec 2 250 200", lines=lines, data=frames.tobytes())
            if wrong is None:
                assert read_wfdb(path, positional=True).signal.shape == (1, 600)
                continue
            with pytest.warns(UserWarning, match=wrong):
                read_wfdb(path, positional=True)


class TestContradictions:
    @pytest.mark.parametrize("other", ["212", "16+2"])
    def test_signals_of_a_file_contradict_each_other(self, refusal, signal_line, other):
        lines = [signal_line(0), signal_line(1, fmt=other), signal_line(2)]
        assert "signals in the file 'rec.dat' have different formats or offsets" in refusal(lines=lines)

    @pytest.mark.parametrize(
        ("options", "message"),
        [({"checksum": 1}, "checksum mismatch in I, II, III"), ({"n_bytes": 1808}, "8 bytes of trailing data")],
    )
    def test_odd_samples_warn(self, only_warning, options, message):
        assert message in only_warning(**options)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"fmt": "16x1000"}, "are needed"),
            ({"fmt": "16x60000"}, "implausible sampling rate 3e+07 Hz"),
            ({"fmt": "16:1000000"}, "skew"),
            ({"fmt": "16+999999999"}, "0 bytes of samples"),
            ({"fmt": "516"}, "not a FLAC file"),
            ({"first": "rec 3 500 5000"}, "1800 bytes of samples, 30000 are needed"),
            ({"first": "rec 3 500 1000000000000"}, "are needed"),
            ({"n_bytes": 1799}, "1799 bytes"),
            ({"n_bytes": 0}, "0 bytes"),
        ],
    )
    def test_refused_by_name(self, refusal, options, message):
        assert message in refusal(**options)
