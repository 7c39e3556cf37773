"""Reports: one spelling, no boilerplate, one statement per sentence."""

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn.text.reports import check_reports, normalised, sentences

MACHINE = (
    "sinusrhythmus  ueberdrehter linkstyp qrs(t) abnorm    inferiorer infarkt     alter unbest. t abnorm in"
    " lateralen ableitungen 4.46                          unbestÄtigter bericht"
)


@pytest.mark.parametrize(
    ("report", "text"),
    [
        ("ventrikulÄre  Extrasystole(n)", "ventrikuläre extrasystole(n)"),
        ("ventrikula\u0308re", "ventrikuläre"),
        ("ueberdrehter Linkstyp, frequent", "überdrehter linkstyp, frequent"),
        ("amplitudenkriterien f#r linkshypertrophie", "amplitudenkriterien für linkshypertrophie"),
        ("lagetyp normal 4.46                 unbestÄt", "lagetyp normal"),
        ("lagetyp normal 4.46       unbestÄtigter bericht Edit: IMI 15, (NORM 50)", "lagetyp normal"),
        ("sinus rhythm. pr interval 0.24 sec.", "sinus rhythm. pr interval 0.24 sec."),
        ("*** ekg == sinusrhythmus", "ekg sinusrhythmus"),
        ("trace only requested.", ""),
        ("  4.46 ", ""),
        ("", ""),
    ],
)
def test_a_report_has_one_spelling_and_no_boilerplate(report, text):
    assert normalised(report) == text
    assert normalised(text) == text


def test_former_line_ends_split_a_report_without_full_stops():
    assert sentences(MACHINE) == [
        "sinusrhythmus überdrehter linkstyp qrs(t) abnorm",
        "inferiorer infarkt alter unbest. t abnorm in lateralen ableitungen",
    ]


def test_blanks_inside_a_report_with_full_stops_are_wrapped_lines():
    report = "Sinus rhythm. Q waves in ii, iii, avf consistent with old inferior    myocardial infarction."
    assert sentences(report) == [
        "sinus rhythm",
        "q waves in ii, iii, avf consistent with old inferior myocardial infarction",
    ]


@pytest.mark.parametrize(
    ("report", "parts"),
    [
        ("pr 0.24 sec. qt 1.2; av-block 2. grades\nintraventr. leitungsstoerung", 4),
        ("av-block i. grades wahrsch. alt", 1),
        ("trace only requested.", 0),
        ("- . ;", 0),
    ],
)
def test_numbers_and_abbreviations_end_no_sentence(report, parts):
    assert len(sentences(report)) == parts


def test_missing_reports_are_empty_texts():
    reports = ["a", None, float("nan"), "", np.str_("b"), pd.NA]
    assert check_reports(reports, 6) == ["a", "", "", "", "b", ""]
    assert check_reports(pd.Series(["a", None]), 2) == ["a", ""]


def test_lone_surrogates_are_replaced():
    assert normalised("\ud800 Sinus\udcfcrhythmus") == "\ufffd sinus\ufffdrhythmus"
    assert sentences("sinus \udcff. af")[0].encode() and normalised("\ud800") == ""


def test_other_values_are_refused_by_name():
    with pytest.raises(TypeError, match="record 1 must be a text or None, got 3"):
        check_reports(["a", 3], 2)
    with pytest.raises(TypeError, match="sequence with a text or None per record, got str"):
        check_reports("one report", 10)
    with pytest.raises(ValueError, match="2 for 3 records"):
        check_reports(["a", "b"], 3)
