"""Which signals are read: an ECG beside other signals, and signals that the user names."""

from __future__ import annotations

import numpy as np
import pytest

from beatssl_sklearn.ecg.wfdb import WFDBFolder, read_wfdb


@pytest.fixture
def write_named(write_record, signal_line, tmp_path):
    """Writes a record of three signals of these names and units; returns its path."""

    def write(names, units=("mV", "mV", "mV"), folder=tmp_path):
        lines = [signal_line(i, name=names[i], gain=f"1000(0)/{units[i]}") for i in range(3)]
        return write_record(folder, lines=lines)

    return write


class TestSignalsBesideTheECG:
    def test_other_units_are_left_out(self, write_named, samples):
        record = read_wfdb(write_named(("RESP", "II", "Chest"), ("l", "mV", "mmHg")))
        assert record.leads == ("II",) and record.info["signal_names"] == ("II",)
        np.testing.assert_allclose(record.signal, samples.T[1:2] / 1000, atol=1e-6)

    def test_well_known_names_are_left_out_although_they_are_in_voltage(self, write_named, samples):
        record = read_wfdb(write_named(("Pleth", "ECG lead V1", "RESP A")))
        assert record.leads == ("V1",) and record.info["signal_names"] == ("ECG lead V1",)
        np.testing.assert_allclose(record.signal, samples.T[1:2] / 1000, atol=1e-6)

    @pytest.mark.parametrize("names", [("II", "CM5", "RESP"), ("II", "vx", "RESP"), ("II", "ECG", "RESP")])
    def test_no_other_signal_of_voltage_is_left_out(self, write_named, names):
        with pytest.raises(ValueError, match=f"unknown lead names '{names[1]}': .*leads={{NAME: LEAD}} names some"):
            read_wfdb(write_named(names))

    def test_a_lead_is_never_left_out(self, write_named):
        with pytest.raises(ValueError, match="signal 2 has the unit 'mmHg', which is not one of voltage"):
            read_wfdb(write_named(("I", "II", "V1"), ("mV", "mmHg", "mV")))

    def test_without_any_lead(self, write_named):
        with pytest.raises(ValueError, match="no signal is an ECG lead: it has 'RESP', 'ABP', 'HR'; .* names one"):
            read_wfdb(write_named(("RESP", "ABP", "HR"), ("mV", "mV", "bpm")))

    def test_positions_count_signals_of_voltage(self, write_named, samples):
        path = write_named(("RESP", "ECG", "BP"), ("l", "mV", "mmHg"))
        record = read_wfdb(path, positional=True)
        assert record.leads == ("ECG",)
        np.testing.assert_allclose(record.signal, samples.T[1:2] / 1000, atol=1e-6)
        assert read_wfdb(path, positional=True, leads=["V5"]).leads == ("V5",)
        with pytest.raises(ValueError, match="leads has 3 names for 1 signals of voltage among 3"):
            read_wfdb(path, positional=True, leads=["I", "II", "III"])
        with pytest.raises(ValueError, match="'l', which is not one of voltage"):
            read_wfdb(write_named(("RESP", "SpO2", "BP"), ("l", "%", "mmHg")), positional=True)


class TestNamedSignals:
    def test_one_at_a_time(self, write_named, samples):
        path = write_named(("ECG1", "ECG2", "RESP"))
        record = read_wfdb(path, leads={"ECG2": "V5"})
        assert record.leads == ("V5",) and record.info["signal_names"] == ("ECG2",)
        np.testing.assert_allclose(record.signal, samples.T[1:2] / 1000, atol=1e-6)
        record = read_wfdb(path, leads={" ecg1 ": "V5", "ECG2": "-II"})
        assert record.leads == ("II", "V5") and record.info["signal_names"] == ("ECG2", "ECG1")
        np.testing.assert_allclose(record.signal, samples.T[[1, 0]] / [[-1000], [1000]], atol=1e-6)

    def test_leads_with_a_standard_name_stay(self, write_named):
        assert read_wfdb(write_named(("CM5", "MLII", "MCL1")), leads={"CM5": "V5"}).leads == ("II", "V1", "V5")
        assert read_wfdb(write_named(("CM5", "MLII", "MCL1")), leads={"MLII": "V2"}).leads == ("V1", "V2")

    def test_a_folder_whose_records_have_other_names(self, write_named, tmp_path):
        write_named(("ECG1", "ECG2", "x"), folder=tmp_path / "1")
        write_named(("D4", "V1", "x"), folder=tmp_path / "2")
        folder = WFDBFolder(tmp_path, leads={"ECG1": "II", "D4": "II"})
        assert [record.leads for record in folder] == [("II",), ("II", "V1")]

    @pytest.mark.parametrize(
        ("leads", "message"),
        [
            ({"ECG1": "V7"}, "unknown lead 'V7'"),
            ({}, "empty mapping"),
            ({"ECG3": "II"}, "no signal is called 'ecg3', and none is a standard lead: it has 'ECG1', 'ECG2', 'x'"),
            ({"ECG1": "II", "ECG2": "MLII"}, "duplicate leads: II among"),
        ],
    )
    def test_refused(self, write_named, leads, message):
        with pytest.raises(ValueError, match=message):
            read_wfdb(write_named(("ECG1", "ECG2", "x")), leads=leads)

    def test_names_and_positions_exclude_each_other(self, write_named):
        with pytest.raises(ValueError, match="use one of both"):
            read_wfdb(write_named(("a", "b", "c")), leads={"a": "II"}, positional=True)
        with pytest.raises(TypeError, match="leads must hold names, got int"):
            read_wfdb(write_named(("a", "b", "c")), leads={"a": 2})
