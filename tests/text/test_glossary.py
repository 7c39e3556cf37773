"""Glossary: every code is described, and texts give the codes that they name."""

from itertools import combinations

import numpy as np
import pytest

from beatssl_sklearn.text.glossary import Glossary, _key

SCP = (
    "NDT NST_ DIG LNGQT NORM IMI ASMI LVH LAFB ISC_ IRBBB 1AVB IVCD ISCAL CRBBB CLBBB ILMI LAO/LAE AMI ALMI ISCIN "
    "INJAS LMI ISCIL LPFB ISCAS INJAL ISCLA RVH ANEUR RAO/RAE EL WPW ILBBB IPLMI ISCAN IPMI SEHYP INJIN INJLA PMI 3AVB "
    "INJIL 2AVB ABQRS PVC STD_ VCLVH QWAVE LOWT NT_ PAC LPR INVT LVOLT HVOLT TAB_ STE_ PRC(S) SR AFIB STACH SARRH "
    "SBRAD PACE SVARR BIGU AFLT SVTAC PSVT TRIGU"
).split()
GLOSSARY = Glossary.load()


def test_every_code_has_a_kind_and_both_languages():
    assert len(SCP) == 71
    assert set(SCP) | {"MI", "STTC", "CD", "HYP"} <= set(GLOSSARY.codes)
    assert len(GLOSSARY.codes) >= 90
    for code in GLOSSARY.codes:
        assert GLOSSARY.kind(code) in ("diagnostic", "form", "rhythm", "superclass", "finding")
        assert GLOSSARY.phrases(code, "en") and GLOSSARY.phrases(code, "de"), code


def test_a_phrase_belongs_to_one_family():
    keys = {code: set(map(_key, GLOSSARY.phrases(code))) for code in GLOSSARY.codes}
    for a, b in combinations(GLOSSARY.codes, 2):
        related = a in GLOSSARY.parents(b) or b in GLOSSARY.parents(a)
        assert related or not keys[a] & keys[b], (a, b)


def test_each_phrase_names_its_own_code():
    for code in GLOSSARY.codes:
        for phrase in GLOSSARY.phrases(code):
            assert code in GLOSSARY.concepts(phrase), (code, phrase)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("inferiorer Infarkt", ["IMI", "MI"]),
        ("unvollständiger Rechtsschenkelblock", ["IRBBB", "RBBB", "BBB", "CD"]),
        ("Rechts-Schenkelblock", ["CRBBB", "RBBB", "BBB", "CD"]),
        ("supraventrikulÄre extrasystole(n) sinusrhythmus", ["PAC", "SR", "PRC(S)"]),
        ("sinusrhythmus ueberdrehter linkstyp qrs(t) abnorm", ["SR", "LEFT_AXIS", "ABQRS"]),
        ("vorhofflimmern/-flattern a-v block i", ["AFIB", "1AVB", "AVB", "CD"]),
        ("AV-Block II. Grades", ["2AVB", "AVB", "CD"]),
        ("st & t abnorm    anterolaterale ischÄmie oder linksbelastung", ["STTC", "ISCAL", "ISCHEMIA"]),
        ("afib with rapid ventricular response, PVCs", ["AFIB", "TACHYCARDIA", "PVC", "PRC(S)"]),
        ("signs of an old heart attack", ["OLD", "MI"]),
        ("mÄssige amplitudenkriterien f#r linkshypertrophie", ["VCLVH", "LVH", "HYP"]),
        ("sinusrytm avvikande qrs(t) fÖrlopp    inferior infarkt", ["SR", "ABQRS", "IMI", "MI"]),
        ("it is es ob r-s", []),
    ],
)
def test_texts_give_the_codes_that_they_name(text, codes):
    assert GLOSSARY.concepts(text) == codes


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("kein Vorhofflimmern, Linkstyp", ["LEFT_AXIS"]),
        ("no ecg evidence of ischaemia. sinus rhythm", ["SR"]),
        ("kein Hinweis auf einen frischen Infarkt", []),
        ("no q waves or st elevation", []),
        ("not a normal ECG", []),
        ("no definite pathology", ["NORM"]),
        ("inferiorer infarkt nicht auszuschliessen", ["IMI", "POSSIBLE", "MI"]),
        ("old inferior infarct cannot be excluded", ["OLD", "IMI", "POSSIBLE", "MI"]),
        ("Vorhofflimmern möglich", ["AFIB", "POSSIBLE"]),
        ("no change. atrial flutter", ["AFLT"]),
        ("Ausschluss eines Infarkts", []),
        ("Vorhofflimmern wurde ausgeschlossen", []),
        ("Vorhofflimmern kann nicht ausgeschlossen werden", ["AFIB"]),
        ("Vorhofflimmern: nein, Linkstyp", ["LEFT_AXIS"]),
        ("Linksschenkelblock: ja", ["CLBBB", "LBBB", "BBB", "CD"]),
        ("Vorhofflimmern oder Vorhofflattern nicht nachweisbar", []),
        ("Vorhofflimmern ist nicht mehr nachweisbar, jetzt Sinusrhythmus", ["SR"]),
        ("Sinusrhythmus und Vorhofflimmern nicht nachgewiesen", ["SR"]),
        ("pericarditis is unlikely in the absence of tachycardia", []),
        ("free of atrial fibrillation", []),
        ("anterior free wall infarct", ["MI"]),
        ("Kein Anhalt für Vorhofflimmern oder Linksschenkelblock", []),
        ("Kein Anhalt für Perikarditis oder Vorhofflimmern", []),
        ("kein Vorhofflimmern bei Sinusrhythmus", ["SR"]),
        ("the cause of the bradycardia is not evident", ["BRADYCARDIA"]),
    ],
)
def test_a_denied_phrase_does_not_count_and_a_possible_one_does(text, codes):
    assert GLOSSARY.concepts(text) == codes


def test_what_a_text_denies():
    assert GLOSSARY.denied("Sinusrhythmus, kein Vorhofflimmern oder Linkstyp") == ["AFIB", "LEFT_AXIS"]
    assert GLOSSARY.denied("no AF. AF") == GLOSSARY.denied("Vorhofflimmern") == GLOSSARY.denied("") == []
    for ask in (GLOSSARY.denied, GLOSSARY.concepts):
        with pytest.raises(TypeError, match="text must be one text, got None"):
            ask(None)


def test_prompts_are_written_out():
    prompts = GLOSSARY.prompts_for(["AFIB", "LAO/LAE"])
    assert prompts["AFIB"][0] == GLOSSARY.describe("AFIB") == "atrial fibrillation"
    assert GLOSSARY.describe("AFIB", "de") == "Vorhofflimmern" in prompts["AFIB"]
    assert GLOSSARY.prompts("AFIB", "sv")[0] == "förmaksflimmer"
    for code in GLOSSARY.codes:
        assert 2 <= len(GLOSSARY.prompts(code)) <= 6
        assert all(len(prompt) >= 3 for prompt in GLOSSARY.prompts(code)), code


def test_unknown_names_are_refused_with_close_matches():
    with pytest.raises(ValueError, match="unknown code 'afb'; close matches: .*AFIB"):
        GLOSSARY.describe("afb")
    with pytest.raises(ValueError, match="unknown language 'fr'; known are en, de, sv"):
        GLOSSARY.phrases("AFIB", "fr")
    with pytest.raises(ValueError, match="'A' has no description in the language 'sv'; it has en"):
        Glossary({"A": {"kind": "finding", "parents": [], "en": ["a"]}}).describe("A", "sv")
    with pytest.raises(ValueError, match="unknown code 'B'"):
        Glossary({"A": {"kind": "finding", "parents": ["B"], "en": ["a"]}})


def test_codes_of_groups_are_known_without_the_line_behind():
    own = Glossary.load()
    for code in ("NST", "ISC", "NT", "STD"):
        assert own.describe(code) == own.describe(f"{code}_")
    with pytest.raises(ValueError, match="unknown code 'NORMX'"):
        own.describe(np.str_("NORMX"))
