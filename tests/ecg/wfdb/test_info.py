"""What a record knows besides its signals: comments, the start, the patient."""

from __future__ import annotations

import pytest

from beatssl_sklearn.ecg.wfdb import WFDBFolder, read_wfdb


def test_comments_stand_without_their_mark_wherever_they_are(write_record, signal_line, tmp_path):
    lines = ["# first", signal_line(0), "  ## second ", signal_line(1), signal_line(2)]
    info = read_wfdb(write_record(tmp_path, lines=lines, extra=("#", "# 69 M 1085 1629 x1", ""))).info
    assert info["comments"] == ("first", "second", "", "69 M 1085 1629 x1")
    assert info["record"] == "rec" and info["signal_names"] == ("I", "II", "III")
    assert set(info) == {"comments", "record", "signal_names"}


@pytest.mark.parametrize(
    ("first", "time", "date"),
    [
        ("rec 3 500 300 13:5:0 25/4/1989", "13:05:00", "1989-04-25"),
        ("rec 3 500 300 13:05:00.125", "13:05:00.125", None),
        ("rec 3 500 300 05-May-2020 9:17", "00:09:17", "2020-05-05"),
        ("rec 3 500 300 10:00:00 25/4/89", "10:00:00", None),
        ("rec 3 500 300 10:00:00 29/2/00", "10:00:00", None),
        ("rec 3 500 300 29/02/2020", None, "2020-02-29"),
        ("rec 3 500 300", None, None),
    ],
)
def test_the_start(write_record, tmp_path, first, time, date):
    info = read_wfdb(write_record(tmp_path, first=first)).info
    assert (info.get("base_time"), info.get("base_date")) == (time, date)


@pytest.mark.parametrize("day", ["31/02/2020", "29-feb-2021", "31/4/89", "1/1/0000"])
def test_a_day_that_is_in_no_calendar(write_record, tmp_path, day):
    path = write_record(tmp_path, first=f"rec 3 500 300 10:00:00 {day}")
    with pytest.warns(UserWarning, match="'rec': the start time is not readable and is ignored"):
        info = read_wfdb(path).info
    assert info["base_time"] == "10:00:00" and "base_date" not in info


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("Patient ID: 17", {"patient_id": "17"}),
        ("subject_id = p10000032", {"patient_id": "p10000032"}),
        ("patient 1", {"patient_id": "1"}),
        ("<age>: 65 <sex>: F <diagnoses> (none)", {"age": "65", "sex": "F"}),
        ("Age: 56", {"age": "56"}),
        ("Gender: male", {"sex": "male"}),
        ("Age: NaN", {}),
        ("Sex: unknown", {}),
        ("the patient moved: see below", {}),
        ("Dosage: 5 mg", {}),
    ],
)
def test_the_patient(write_record, tmp_path, comment, expected):
    info = read_wfdb(write_record(tmp_path, extra=(f"# {comment}", "# Age: 99"))).info
    assert {key: info[key] for key in ("patient_id", "age", "sex") if key in info} == {"age": "99"} | expected


def test_the_record_of_a_folder_has_its_name_there(write_record, tmp_path):
    write_record(tmp_path / "p1" / "s2")
    assert WFDBFolder(tmp_path)[0].info["record"] == "p1/s2/rec"
