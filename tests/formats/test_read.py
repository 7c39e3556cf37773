"""Files of all formats are read to the last step, and say what they say."""

from __future__ import annotations

import sys

import ecg_files
import edfio
import numpy as np
import pydicom
import pytest

from beatssl_sklearn import read_ecg
from beatssl_sklearn.ecg.leads import LEADS

FILES = ecg_files.every_file()
RATE_UNKNOWN = ("NumPy",)


def written(tmp_path, name, raw):
    path = tmp_path / name
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("kind", FILES)
def test_samples_rate_and_leads_of_every_format(tmp_path, kind):
    name, raw, microvolts, leads = FILES[kind]
    record = read_ecg(written(tmp_path, name, raw), fs=500 if kind in RATE_UNKNOWN else None)
    assert record.fs == 500 and record.leads == leads
    assert record.signal.dtype == np.float32 and record.signal.shape == microvolts.shape
    # Half of the smallest step is far below a part in a million of the largest value.
    np.testing.assert_allclose(record.signal, microvolts / 1000, rtol=3e-7, atol=1e-7)
    assert record.info["record"] == name and record.info["format"] == kind.partition(",")[0]
    assert record.info["other_signals"] == ()


KEEP_PATIENT = [kind for kind in FILES if kind not in ("BDF", "CSV", "NumPy", "MATLAB", "HDF5")]


@pytest.mark.parametrize("kind", KEEP_PATIENT)
def test_patient_and_filters_are_kept_and_names_are_dropped(tmp_path, kind):
    name, raw, _, _ = FILES[kind]
    path = written(tmp_path, name, raw)
    info = read_ecg(path).info
    assert info["patient_id"] == "P17" and info["sex"] == "F"
    assert info["base_date"] == "2020-03-04" and info["base_time"] == "05:06:07"
    if kind not in ("HL7 aECG", "ISHNE"):
        assert (info["filters"]["highpass"], info["filters"]["lowpass"]) == (0.05, 150)
    assert not any(word in repr(info) for word in ("Jane", "Doe", "1950"))
    identity = read_ecg(path, keep_identity=True).info["identity"]
    assert identity["name"] == "Jane Doe"
    assert "1950" in identity.get("birth_date", "1950")


def test_a_patient_field_without_the_rules_of_edf_plus_is_a_name(tmp_path):
    raw = FILES["EDF"][1]
    raw = raw[:8] + b"Jane Doe, born 1950".ljust(80) + raw[88:]
    path = written(tmp_path, "a.edf", raw)
    assert "patient_id" not in read_ecg(path).info and "Jane" not in repr(read_ecg(path).info)
    assert read_ecg(path, keep_identity=True).info["identity"]["patient"].startswith("Jane")


def test_content_counts_before_the_extension(tmp_path):
    assert read_ecg(written(tmp_path, "a.dat", FILES["SCP-ECG"][1])).info["format"] == "SCP-ECG"
    assert read_ecg(written(tmp_path, "a.csv", FILES["EDF"][1])).info["format"] == "EDF"
    with pytest.raises(ValueError, match=r"'b\.edf': its content is not that of EDF; known are WFDB, EDF"):
        read_ecg(written(tmp_path, "b.edf", b"no ECG" * 100))
    with pytest.raises(ValueError, match=r"XML of an unknown kind: its root is 'html'"):
        read_ecg(written(tmp_path, "b.xml", b"<html><body/></html>"))
    with pytest.raises(FileNotFoundError, match=r"there is no file 'c\.edf'"):
        read_ecg(tmp_path / "c.edf")


def test_only_leads_are_taken_and_the_rest_is_named(tmp_path):
    breath = edfio.EdfSignal(np.zeros(12), 10, label="Resp", physical_dimension="mmHg", physical_range=(-1, 1))
    raw = ecg_files.edf(ecg_files.counts(3), ("EEG C3-A2", "ECG II", "ECG1"), extra=[breath])
    path = written(tmp_path, "a.edf", raw)
    record = read_ecg(path)
    assert record.leads == ("II",) and record.info["other_signals"] == ("EEG C3-A2", "ECG1", "Resp")
    record = read_ecg(path, leads={"ECG1": "-V1"})
    assert record.leads == ("II", "V1") and record.info["signal_names"] == ("ECG II", "ECG1")
    np.testing.assert_allclose(record.signal[1], -ecg_files.counts(3)[2] * 2.5e-3, rtol=1e-6)
    raw = ecg_files.edf(ecg_files.counts(1), ("EEG C3-A2",))
    with pytest.raises(ValueError, match=r"no signal is an ECG lead: it has 'EEG C3-A2'; leads=\{NAME: LEAD\}"):
        read_ecg(written(tmp_path, "b.edf", raw))


@pytest.mark.parametrize(("unit", "factor"), [("mV", 1.0), ("V", 1e3), ("\u00b5V", 1e-3), ("nV", 1e-6)])
def test_units(tmp_path, unit, factor):
    raw = ecg_files.aecg(ecg_files.counts(1), ("II",), scale="0.25", unit=unit)
    record = read_ecg(written(tmp_path, "a.xml", raw))
    np.testing.assert_allclose(record.signal[0], ecg_files.counts(1)[0] * 0.25 * factor, rtol=3e-7)


def test_an_unknown_unit_is_named_with_the_remedy(tmp_path):
    path = written(tmp_path, "a.edf", ecg_files.edf(ecg_files.counts(1), ("II",), unit="adu"))
    with pytest.raises(ValueError, match="lead II has the unit 'adu', which is not one of voltage; unit='uV'"):
        read_ecg(path)
    np.testing.assert_allclose(read_ecg(path, unit="uV").signal, ecg_files.counts(1) * 2.5e-3, rtol=1e-6)
    with pytest.raises(ValueError, match="unit must be"):
        read_ecg(path, unit="mmHg")
    path = written(tmp_path, "m.xml", ecg_files.muse(ecg_files.counts(8), unit="COUNTS"))
    with pytest.warns(UserWarning, match="LeadAmplitudeUnits"):
        record = read_ecg(path, unit="uV")
    np.testing.assert_allclose(record.signal, ecg_files.counts(8) * 4.88e-3, rtol=1e-6)


def test_rates_need_not_be_whole(tmp_path):
    row = ecg_files.counts(1)
    assert read_ecg(written(tmp_path, "a.xml", ecg_files.aecg(row, ("II",), "0.0078125"))).fs == 128
    assert read_ecg(written(tmp_path, "a.xml", ecg_files.aecg(row, ("II",), "0.0039"))).fs == pytest.approx(1 / 0.0039)
    eight = ecg_files.counts(8)
    assert read_ecg(written(tmp_path, "m.xml", ecg_files.muse(eight, base="249.5"))).fs == 249.5
    # 256 Hz are 3906.25 microseconds, and the file has whole ones.
    assert read_ecg(written(tmp_path, "a.scp", ecg_files.scp(eight, interval=3906))).fs == 256
    assert read_ecg(written(tmp_path, "a.scp", ecg_files.scp(eight, interval=2003))).fs == pytest.approx(1e6 / 2003)
    group = ecg_files.dicom_group(row, ["II"], fs="240.5")
    assert read_ecg(written(tmp_path, "a.dcm", ecg_files.dicom([group]))).fs == 240.5


def test_parts_of_leads_are_placed_in_time(tmp_path):
    values = ecg_files.counts(2, 500)
    first = ecg_files.dicom_group(values[:1], ["Lead I (Einthoven)"])
    second = ecg_files.dicom_group(values[1:], ["MDC_ECG_LEAD_V1"], offset="1000")
    median = ecg_files.dicom_group(values[:1], ["II"], originality="DERIVED")
    record = read_ecg(written(tmp_path, "a.dcm", ecg_files.dicom([first, second, median])))
    assert record.leads == ("I", "V1") and record.signal.shape == (2, 1000)
    np.testing.assert_array_equal(np.isnan(record.signal[0]), np.arange(1000) >= 500)
    np.testing.assert_array_equal(np.isnan(record.signal[1]), np.arange(1000) < 500)
    np.testing.assert_allclose(record.signal[1, 500:], values[1] * 2.5e-3, rtol=1e-6)
    record = read_ecg(written(tmp_path, "a.scp", ecg_files.scp(values, (1, 2), starts=[1, 101])))
    assert record.signal.shape == (2, 600) and np.isnan(record.signal[1, :100]).all()
    np.testing.assert_allclose(record.signal[1, 100:], values[1] * 2.5e-3, rtol=1e-6)


def test_missing_samples(tmp_path):
    values = ecg_files.counts(3)
    values[1, 5:9] = -32768
    lost = np.zeros((3, 600), dtype=bool)
    lost[1, 5:9] = True
    group = ecg_files.dicom_group(values, ["I", "II", "V2"])
    for name, raw in (("a.ecg", ecg_files.ishne(values)), ("a.dcm", ecg_files.dicom([group]))):
        np.testing.assert_array_equal(np.isnan(read_ecg(written(tmp_path, name, raw)).signal), lost)


def test_gaps_of_a_discontinuous_edf_are_missing(tmp_path):
    values = ecg_files.counts(1, 1500)
    record = read_ecg(written(tmp_path, "a.edf", ecg_files.discontinuous_edf(values, [0, 1, 4])))
    assert record.signal.shape == (1, 2500)
    np.testing.assert_array_equal(np.isnan(record.signal[0]), (np.arange(2500) >= 1000) & (np.arange(2500) < 2000))
    np.testing.assert_allclose(record.signal[0, 2000:], values[0, 1000:] * 2.5e-3, rtol=1e-6)


def test_tables_of_text(tmp_path):
    text = "# a comment\ntime_ms;I;II [mV];note\n0;0,5;1;x\n4;;1,5;y\n8;-1e-1;2;z\n"
    record = read_ecg(written(tmp_path, "a.csv", text.encode()), unit="uV")
    assert record.fs == 250 and record.leads == ("I", "II") and record.info["other_signals"] == ("note",)
    np.testing.assert_allclose(record.signal, [[5e-4, np.nan, -1e-4], [1, 1.5, 2]], rtol=1e-6)
    rounded = "\n".join(["time II", *(f"{i / 360:.3f} {i % 7}" for i in range(3600))])
    assert read_ecg(written(tmp_path, "b.txt", rounded.encode())).fs == 360
    for text, match in (
        ("time,II\n0,1\n0.01,2\n0.05,3\n0.06,4\n", "times are not even"),
        ("time,II\n0,1\n4,2\n8,3\n", r"state no unit, and in s they would mean 0.25 Hz; call the column 'time_ms' or"),
        ("time_s,II\n0,1\n4,2\n8,3\n", r"fs must lie between 50 and 2000 Hz, got 0\.25"),
        ("II,V1\n1,2\n3\n", "sample 2 has 1 fields"),
        ("II\n1\n2\n", "does not state its sampling rate; fs="),
        ("1,2\n3,4\n", "no lead names"),
        ("time,II\n0,1\n0.01,x\n", "sample 2 of 'II' is not a number"),
        ("time,II\n0,1\n0.01,2\n", None),
    ):
        path = written(tmp_path, "c.csv", text.encode())
        if match is None:
            assert read_ecg(path).fs == 100
            with pytest.raises(ValueError, match="states a sampling rate of 100 Hz, and fs=500"):
                read_ecg(path, fs=500)
            continue
        with pytest.raises(ValueError, match=match):
            read_ecg(path)


def test_times_of_another_unit_leave_the_rate_to_the_user(tmp_path):
    path = written(tmp_path, "ms.csv", b"time,II\n0,1\n4,2\n8,3\n")
    record = read_ecg(path, fs=250)
    assert record.fs == 250 and record.signal.tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("time", [(), ("time [ms]",)])
def test_a_blank_before_a_unit_separates_no_columns(tmp_path, mark, time):
    names = [*time, *(f"{lead} [uV]" for lead in LEADS)]
    rows = [[*(k * 2 for _ in time), *range(1000 + k, 1012 + k)] for k in range(200)]
    text = "\n".join(mark.join(map(str, row)) for row in [names, *rows])
    record = read_ecg(written(tmp_path, "u.csv", text.encode()), fs=None if time else 500)
    assert record.leads == LEADS and record.fs == 500
    np.testing.assert_allclose(record.signal[:, 3], np.arange(1003, 1015) / 1000, rtol=1e-6)


def test_a_table_of_one_column_with_a_unit(tmp_path):
    (tmp_path / "one.csv").write_text("II (uV)\n" + "1500\n-250\n" * 100)
    record = read_ecg(tmp_path / "one.csv", fs=500)
    assert record.leads == ("II",) and record.signal[0, :2].tolist() == [1.5, -0.25]


def test_axes_and_names_of_arrays(tmp_path):
    def read(array, **options):
        np.save(tmp_path / "a.npy", array)
        return read_ecg(tmp_path / "a.npy", **options)

    two = np.arange(1200.0).reshape(2, 600)
    for array in (two, two.T):
        record = read(array, fs=250, leads=["V5", "II"], unit="uV")
        assert record.leads == ("V5", "II") and record.fs == 250
        np.testing.assert_allclose(record.signal, two / 1000, rtol=1e-6)
    assert read(two[0], fs=250, leads=["II"]).signal.shape == (1, 600)
    for array, options, match in (
        (two, {"leads": ["V5", "II"]}, "does not state its sampling rate"),
        (two, {"fs": 250}, r"2 leads and no lead names: leads=\[...\]"),
        (two, {"fs": 250, "leads": ["I", "II", "III"]}, "no axis of 3 leads"),
        (two[:, :2], {"fs": 250, "leads": ["I", "II"]}, "unclear which axis is time"),
        (np.zeros((3, 12, 600)), {"fs": 250}, "pass it as X"),
        (np.array([["a"]]), {"fs": 250}, "not of real numbers"),
    ):
        with pytest.raises(ValueError, match=match):
            read(array, **options)


def test_variables_of_a_matlab_file(tmp_path):
    values = ecg_files.counts()
    path = written(tmp_path, "a.mat", ecg_files.mat(values, other=values[:, :50] * 1.0))
    assert read_ecg(path).signal.shape == (12, 600)
    assert read_ecg(path, variable="other").signal.shape == (12, 50)
    with pytest.raises(ValueError, match=r"no array called 'x'; it has 'ecg' \(12, 600\)"):
        read_ecg(path, variable="x")


def test_leads_of_unequal_length_and_rate(tmp_path):
    values = list(ecg_files.counts(8))
    values[3] = values[3][:400]
    path = written(tmp_path, "m.xml", ecg_files.muse(values))
    with pytest.warns(UserWarning, match="lead V2 has 400 samples, others 600"):
        signal = read_ecg(path).signal
    assert np.isnan(signal[3, 400:]).all() and not np.isnan(signal[:3]).any()
    slow = edfio.EdfSignal(np.zeros(300), 250, label="V1", physical_dimension="uV", physical_range=(-1, 1))
    path = written(tmp_path, "a.edf", ecg_files.edf(ecg_files.counts(1), ("II",), extra=[slow]))
    with pytest.raises(ValueError, match=r"unequal sampling rates \(II 500 Hz, V1 250 Hz\)"):
        read_ecg(path)
    assert read_ecg(path, leads=["V1"]).fs == 250


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "edfio", None)
    path = written(tmp_path, "a.edf", FILES["EDF"][1])
    with pytest.raises(ImportError, match=r"reading EDF files needs edfio: pip install 'beatssl-sklearn\[formats\]'"):
        read_ecg(path)


def test_the_ecg_that_comes_with_pydicom(tmp_path):
    """A real 12-lead ECG: the library's own scaling is what is read, and Einthoven's law holds in it."""
    path = pydicom.data.get_testdata_file("waveform_ecg.dcm", download=False)
    record = read_ecg(path)
    file = pydicom.dcmread(path)
    physical = file.waveform_array(0).T / 1000
    assert record.leads == LEADS and record.fs == 1000 and record.signal.shape == physical.shape
    np.testing.assert_allclose(record.signal, physical, rtol=1e-6, atol=1e-7)
    i, ii, iii = record.signal[:3]
    np.testing.assert_allclose(iii, ii - i, atol=0.005)
