"""Whole records: real ones, the choice of leads, joined segments, and paths that must not be followed."""

from __future__ import annotations

import copy
import os
import pickle
from dataclasses import replace

import joblib
import numpy as np
import pytest
from closeness import assert_close_to_rounding

from beatssl_sklearn.ecg.leads import LEADS, canonical_lead
from beatssl_sklearn.ecg.wfdb import ECGRecord, WFDBFolder, read_wfdb

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def reference(wfdb):
    """Returns what wfdb reads: signals by name, and the sampling rate."""

    def read(path):
        record = wfdb.rdrecord(str(path))
        return {name: record.p_signal[:, i] for i, name in enumerate(record.sig_name)}, record.fs

    return read


class TestECGRecord:
    @pytest.fixture
    def record(self):
        return ECGRecord(np.ones((2, 30), dtype=np.float32), 500.0, ("I", "II"), {"age": 70})

    def test_it_unpacks_into_three(self, record):
        signal, fs, leads = record
        assert signal is record[0] is record.signal and (fs, leads) == record[1:] == (500.0, ("I", "II"))

    def test_numpy_and_pandas_take_it_as_one_object(self, record):
        pd = pytest.importorskip("pandas")
        for array in (np.array([record], dtype=object), np.asarray([record])):
            assert array.shape == (1,) and array[0] is record
        assert pd.DataFrame({"ecg": [record, record], "age": [1, 2]})["ecg"].iloc[1] is record

    def test_copies_and_pickles(self, record):
        for again in (copy.deepcopy(record), pickle.loads(pickle.dumps(record))):
            assert again.info == record.info and again.leads == record.leads and again != record
            np.testing.assert_array_equal(again.signal, record.signal)
            assert joblib.hash(again) == joblib.hash(record)
        assert joblib.hash(replace(record, fs=250.0)) != joblib.hash(record)
        assert ECGRecord(record.signal, 500.0, ("I", "II")).info == {}

    def test_it_cannot_be_changed(self, record):
        with pytest.raises(AttributeError):
            record.fs = 250.0

    def test_repr_shows_neither_samples_nor_info(self, record):
        text = repr(replace(record, info={"comments": ("JANE DOE",)}))
        assert text == "ECGRecord(signal: 2 x 30 float32 [mV], fs=500, leads=('I', 'II'))"
        assert "list" in repr(ECGRecord([[1.0]], "fast", ("I",)))


class TestRealRecords:
    @pytest.mark.parametrize("folder", ["ptbxl500", "ludb/data", "mitdb"])
    def test_equal_to_wfdb(self, data_dir, reference, folder):
        names = WFDBFolder(data_dir / folder).names
        for name in names[:: max(1, len(names) // 8)]:
            record = read_wfdb(data_dir / folder / name)
            signals, fs = reference(data_dir / folder / name)
            assert record.fs == fs and len(record.leads) == len(signals)
            assert [LEADS.index(lead) for lead in record.leads] == sorted(LEADS.index(lead) for lead in record.leads)
            for name_in_file, expected in signals.items():
                row = record.signal[record.leads.index(canonical_lead(name_in_file)[0])]
                assert_close_to_rounding(row, expected)

    def test_uncalibrated_noise_needs_positions(self, data_dir, reference):
        with pytest.raises(ValueError, match="'noise1', 'noise2'.*positional=True"):
            read_wfdb(data_dir / "nstdb/bw")
        with pytest.warns(UserWarning, match="record 'bw': no gain for noise1, noise2: 200 adu/mV"):
            record = read_wfdb(data_dir / "nstdb/bw", positional=True)
        signals, _ = reference(data_dir / "nstdb/bw")
        assert_close_to_rounding(record.signal, np.stack(list(signals.values())))
        assert record.leads == ("noise1", "noise2")


class TestLeads:
    def test_signal_rate_and_leads(self, write_record, samples, tmp_path):
        record = read_wfdb(write_record(tmp_path))
        assert record.signal.dtype == np.float32 and record.fs == 500 and record.leads == ("I", "II", "III")
        np.testing.assert_allclose(record.signal, samples.T / 1000, atol=1e-6)
        assert len(repr(record)) < 200 and "3 x 300" in repr(record)

    def test_order_and_signs_by_name(self, write_record, signal_line, samples, tmp_path):
        lines = [signal_line(0, name="V2"), signal_line(1, name="-avr"), signal_line(2, name="Lead I")]
        record = read_wfdb(write_record(tmp_path, lines=lines))
        assert record.leads == ("I", "aVR", "V2")
        np.testing.assert_allclose(record.signal * 1000, samples.T[[2, 1, 0]] * [[1], [-1], [1]], atol=1e-3)

    def test_wanted_leads_come_as_asked_and_others_do_not_matter(self, write_record, signal_line, samples, tmp_path):
        lines = [signal_line(0, name="ABP", gain="1(0)/mmHg"), signal_line(1, name="II"), signal_line(2, name="V1")]
        path = write_record(tmp_path, lines=lines)
        record = read_wfdb(path, leads=["v1", "MLII"])
        assert record.leads == ("V1", "II")
        np.testing.assert_allclose(record.signal, samples.T[[2, 1]] / 1000, atol=1e-6)
        with pytest.raises(ValueError, match="record 'rec': leads not found: V5, V6; it has II, V1"):
            read_wfdb(path, leads=["V5", "II", "V6"])

    def test_positional_leads_are_named(self, write_record, tmp_path):
        path = write_record(tmp_path, name="channel")
        assert read_wfdb(path, positional=True).leads == ("channel",) * 3
        assert read_wfdb(path, positional=True, leads=("V1", "I", "II")).leads == ("V1", "I", "II")

    def test_bad_leads(self, write_record, tmp_path):
        path = write_record(tmp_path)
        for leads in ("II", [2], [["II"]]):
            with pytest.raises(TypeError, match="leads"):
                read_wfdb(path, leads=leads)
        with pytest.raises(ValueError, match="2 names for 3 signals"):
            read_wfdb(path, positional=True, leads=["I", "II"])


def test_segments_and_gaps(write_record, signal_line, samples, tmp_path):
    write_record(tmp_path, first="s1 3 500 300", lines=[signal_line(i) for i in range(3)])
    (tmp_path / "rec.hea").rename(tmp_path / "s1.hea")
    (tmp_path / "s2.hea").write_text(f"s2 1 500 300\n{signal_line(1, file='s2.dat')}\n")
    (tmp_path / "s2.dat").write_bytes(samples[:, 1].tobytes())
    layout = "\n".join(f"~ 0 1000(0)/mV 16 0 0 0 0 {LEADS[i]}" for i in range(3))
    (tmp_path / "lay.hea").write_text(f"lay 3 500 0\n{layout}\n")
    (tmp_path / "rec.hea").write_text("rec/4 3 500 700\nlay 0\ns1 300\n~ 100\ns2 300\n")
    record = read_wfdb(tmp_path / "rec")
    assert record.signal.shape == (3, 700) and record.leads == ("I", "II", "III")
    np.testing.assert_allclose(record.signal[:, :300], samples.T / 1000, atol=1e-6)
    assert np.isnan(record.signal[:, 300:400]).all() and np.isnan(record.signal[[0, 2], 400:]).all()
    np.testing.assert_allclose(record.signal[1, 400:], samples[:, 1] / 1000, atol=1e-6)
    (tmp_path / "rec.hea").write_text("rec/2 3 500 600\ns1 300\ns1 300\n")
    np.testing.assert_allclose(read_wfdb(tmp_path / "rec").signal, np.tile(samples.T, 2) / 1000, atol=1e-6)


class TestPaths:
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

    def test_the_name_of_one_of_its_files_is_no_record(self, write_record, tmp_path):
        write_record(tmp_path)
        hint = r"record 'rec.dat': there is no file 'rec.dat.hea'; 'rec.hea' is there: name the record .* 'rec'$"
        with pytest.raises(FileNotFoundError, match=hint):
            read_wfdb(tmp_path / "rec.dat")
        with pytest.raises(FileNotFoundError, match=r"there is no file 'other.dat.hea'$"):
            read_wfdb(tmp_path / "other.dat")

    def test_only_regular_files_are_opened(self, write_record, tmp_path):
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

    def test_links_may_leave_neither_the_directory_nor_the_root(self, write_record, tmp_path):
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
