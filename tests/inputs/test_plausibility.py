"""What is odd in records is told once per record, in every method that reads them."""

import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn import (
    BeatEmbedder,
    BeatSSLPretrainer,
    ECGRecord,
    FineTunedClassifier,
    RhythmEmbedder,
    SampleEmbedder,
    WaveSegmenter,
    WFDBFolder,
    detect_rpeaks,
    load,
    make_ecg,
    save,
)
from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.inputs.front_end import FrontEnd
from beatssl_sklearn.inputs.plausibility import RecordCheck, check_choice
from beatssl_sklearn.inputs.source import ArraySource, RecordSource

X = make_ecg(8, rhythm="sinus", fs=250, duration=6, random_state=2).data
DATA = Path(os.environ.get("BEATSSL_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
UNITS = r"records 0, 1.*root mean square above 2\.5 mV; are these microvolts"
Y = np.arange(8) % 2


def new(**changes):
    given = {"fs": 250, "encoder_params": {"size": "s"}, "max_epochs": 0, "random_state": 0, "device": "cpu"}
    return BeatSSLPretrainer(**{**given, **changes})


def found_in(signal, fs=250.0, leads=LEADS, **options):
    """Return kinds of odd records, and notes."""
    source = signal if isinstance(signal, RecordSource) else ArraySource(signal, fs, leads, True, **options)
    check = RecordCheck(source, "warn")
    for block in source.read(np.arange(source.n_records), 3):
        check.look(block, FrontEnd().find_rpeaks(block))
    kinds, notes = check.found()
    return {kind: rows.tolist() for kind, rows in kinds.items()}, notes


# The methods


METHODS = {
    "rhythm": lambda x, **c: RhythmEmbedder("ptbxl-s", fs=250, **c).transform(x),
    "beats": lambda x, **c: BeatEmbedder("ptbxl-s", fs=250, **c).transform(x),
    "given beats": lambda x, **c: BeatEmbedder("ptbxl-s", fs=250, **c).transform(x, rpeaks=[np.array([300, 500])] * 8),
    "tokens": lambda x, **c: SampleEmbedder("ptbxl-s", fs=250, **c).transform(x),
    "fit": lambda x, **c: new(**c).fit(x),
    "embed": lambda x, **c: new().fit(X).set_params(**c).embed(x),
    "delineate": lambda x, **c: WaveSegmenter.load("waves").set_params(fs=250, **c).delineate(x),
    "predict": lambda x, **c: WaveSegmenter.load("waves").set_params(fs=250, **c).predict(x),
    "fine-tune": lambda x, **c: FineTunedClassifier("ptbxl-s", fs=250, max_epochs=0, random_state=0, **c).fit(x, Y),
    "from scratch": lambda x, **c: FineTunedClassifier(new(), max_epochs=0, random_state=0, **c).fit(x, Y),
}


@pytest.mark.parametrize("how", METHODS)
def test_every_method_tells_once(how):
    signals = (X * 50).astype(np.float32)
    with pytest.warns(UserWarning, match=UNITS) as caught:
        METHODS[how](signals)
    assert [warning.filename for warning in caught] == [__file__]
    with pytest.raises(ValueError, match=UNITS):
        METHODS[how](signals, check="raise")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        METHODS[how](signals, check="ignore")
        METHODS[how](X, check="raise")


def test_the_choice_is_checked():
    assert check_choice("raise") == "raise"
    for wrong in ("loud", None, True):
        with pytest.raises(ValueError, match=f"check must be one of warn, raise, ignore, got {wrong!r}"):
            new(check=wrong).fit(X)
        with pytest.raises(ValueError, match="check must be one of"):
            RhythmEmbedder("ptbxl-s", fs=250, check=wrong).transform(X)


def test_a_file_keeps_the_choice_and_older_ones_have_the_default(tmp_path):
    save(RhythmEmbedder("ptbxl-s", fs=250, check="raise", allow_nan=True), tmp_path / "e.bssl")
    loaded = load(tmp_path / "e.bssl")
    assert (loaded.check, loaded.allow_nan) == ("raise", True)
    assert load("ptbxl-s").check == WaveSegmenter.load("waves").check == "warn"


def test_a_classifier_tells_when_it_predicts():
    fitted = METHODS["fine-tune"](X)
    with pytest.warns(UserWarning, match=UNITS) as caught:
        fitted.predict(X * 50)
    assert len(caught) == 1


def test_one_warning_lists_records_by_kind_and_name(tmp_path):
    records = [ECGRecord(x, 250.0, LEADS) for x in X]
    records[1] = ECGRecord(records[1].signal * 100, 250.0, LEADS)
    records[2] = ECGRecord(records[2].signal * 0, 250.0, LEADS)
    records[6] = ECGRecord(records[6].signal * 0 + 1.7, 250.0, LEADS)
    with pytest.warns(UserWarning) as caught:
        RhythmEmbedder("ptbxl-s").transform(records)
    (warning,) = caught
    flat, large = str(warning.message).split("\n")
    assert flat == "records 2, 6: no lead varies (flat signal)" and large.startswith("record 1: root mean square above")
    source = RecordSource(records, False, record_names=[f"p{i}" for i in range(8)])
    check = RecordCheck(source, "raise")
    check.look(next(source.read(np.arange(1, 3), 8)), [np.zeros(0, int)] * 2)
    with pytest.raises(ValueError, match=r"check='raise'.*record 'p2': no lead"):
        check.tell()


def test_a_cache_does_not_hide_an_error(tmp_path):
    embedder = RhythmEmbedder("ptbxl-s", fs=250, memory=str(tmp_path))
    with pytest.warns(UserWarning, match=UNITS):
        embedder.transform(X * 50)
    with pytest.raises(ValueError, match=UNITS):
        embedder.set_params(check="raise").transform(X * 50)


def test_long_lists_are_cut():
    with pytest.warns(UserWarning, match="records 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 others: no lead varies"):
        RhythmEmbedder("ptbxl-s", fs=250).transform(np.zeros((12, 12, 1000)))


# The kinds


RNG = np.random.default_rng(0)
T = np.arange(1500) / 250
KINDS = {
    "large": X * 25,
    "small": X / 1000,
    "flat": np.ones_like(X),
    "identical": np.repeat(X[:, 6:7], 12, axis=1),
    "silent": (0.2 * RNG.normal(size=(8, 8, 1500)), ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")),
    "limb": X[:, [6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5]],
    "clipped": np.clip(X, -0.25, 0.25),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_found_alone(kind):
    signal, leads = KINDS[kind] if isinstance(KINDS[kind], tuple) else (KINDS[kind], LEADS)
    assert found_in(np.asarray(signal, dtype=np.float32), leads=leads) == ({kind: list(range(8))}, [])


def test_a_record_without_a_known_sample_shows_it_by_its_result():
    assert found_in(np.full_like(X, np.nan)) == ({}, [])


def test_beats_that_are_given_may_be_none():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BeatEmbedder("ptbxl-s", fs=250).transform(X, rpeaks=[[]] * 8)
        new().fit(X, rpeaks=[[]] * 8)


def test_nothing_is_odd_in_ecgs():
    for rhythm in ("sinus", "af", "mixed"):
        for fs in (100, 250, 500):
            assert found_in(make_ecg(8, rhythm=rhythm, fs=fs, random_state=1).data, fs) == ({}, [])


@pytest.mark.parametrize("hum", [50, 60])
@pytest.mark.parametrize("fs", [100, 125, 250, 360, 500, 1000])
def test_hum_alone_is_no_ecg(fs, hum):
    t = np.arange(10 * fs) / fs
    phase = RNG.uniform(0, 6, (4, 8, 1))
    signal = (0.5 * np.sin(2 * np.pi * hum * t + phase)).astype(np.float32)
    leads = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
    kinds, _ = found_in(signal, float(fs), leads)
    assert kinds.get("silent") == [0, 1, 2, 3] and "small" not in kinds


def test_fibrillation_is_not_silent():
    """Waves of 4 to 7 Hz, without a QRS complex."""
    parts = [(0.4, 4.7), (0.3, 5.6), (0.2, 6.8)]
    wave = sum(a * np.sin(2 * np.pi * f * T + RNG.uniform(0, 6, (8, 2, 1))) for a, f in parts)
    kinds, notes = found_in(wave.astype(np.float32), leads=("II", "V1"))
    assert "silent" not in kinds and not notes


def test_leads_of_other_patients_and_in_another_order():
    strangers = np.stack([np.roll(X[:, i], i, axis=0) for i in range(12)], axis=1)
    assert found_in(strangers)[0] == {"limb": list(range(8))}
    order = np.random.default_rng(3)
    permuted = np.stack([x[order.permutation(12)] for x in X])
    assert found_in(permuted)[0]["limb"] == list(range(8))
    # The same order by name is right.
    turned = [11, 3, 0, 7, 2, 1, 4, 5, 6, 8, 9, 10]
    assert found_in(X[:, turned], leads=tuple(LEADS[i] for i in turned)) == ({}, [])
    cabrera = ("aVL", "I", "-aVR", "II", "aVF", "III")
    signal = X[:, [4, 0, 3, 1, 5, 2]] * np.array([1, 1, -1, 1, 1, 1], dtype=np.float32)[:, None]
    assert found_in(signal, leads=cabrera) == ({}, [])
    assert found_in(signal, leads=LEADS[:6])[0]["limb"] == list(range(8))


def test_gains_of_single_leads_filters_and_dead_leads_do_not_break_einthovens_law():
    gains = np.array([1, 0.7, 1.4, 2, 0.6, 1.1, 1, 1, 1, 1, 1, 1], dtype=np.float32)[:, None]
    dead = X.copy()
    dead[:, 1], dead[3, 4] = 0, 0
    gap = X.copy()
    gap[:, 2, 400:700] = np.nan
    for signal in (X * gains, dead, gap, np.round(X * 200) / 200, X + 0.01 * RNG.normal(size=X.shape)):
        assert found_in(signal.astype(np.float32)) == ({}, [])


def test_zero_padding_is_not_odd():
    padded = np.zeros((8, 12, 2500), np.float32)
    padded[:, :, 500:2000] = X + 0.3
    assert found_in(padded) == ({}, [])


def test_a_gain_that_is_six_times_too_large():
    kinds, (note,) = found_in((X * 6).astype(np.float32))
    assert "half of the records have a root mean square above" in note and not kinds
    assert found_in((X[:1] * 6).astype(np.float32)) == ({}, [])


def test_integers_are_told():
    counts = np.round(X * 2).astype(np.int16)
    with pytest.warns(UserWarning, match="integers, taken as mV; are these ADC counts") as caught:
        RhythmEmbedder("ptbxl-s", fs=250).transform(counts)
    assert len(caught) == 1
    with pytest.warns(UserWarning, match="^record 1: integers"):
        RhythmEmbedder("ptbxl-s").transform([ECGRecord(X[0], 250.0, LEADS), ECGRecord(counts[1], 250.0, LEADS)])


# Rates


@pytest.mark.parametrize(
    ("true", "called", "n"), [(500, 250, 2), (360, 180, 3), (100, 250, 3), (500, 1000, 8)]
)
def test_a_wrong_rate_is_told_for_few_records(true, called, n):
    signal = make_ecg(n, rhythm="sinus", fs=true, random_state=2).data
    _, notes = found_in(signal, float(called))
    assert len(notes) == 1 and "is fs the sampling rate of X" in notes[0]


def test_a_rate_at_which_no_heartbeat_is_found():
    """Of ten heartbeats in two seconds, those that are found are too sharp."""
    kinds, _ = found_in(make_ecg(8, rhythm="sinus", fs=100, random_state=2).data, 500.0)
    assert sorted(kinds["silent"] + kinds["rate"]) == list(range(8))


def test_slow_and_fast_hearts_are_no_wrong_rate():
    for rate in (30, 45, 130, 190):
        t = np.arange(5000) / 500
        beats = np.arange(0.4, 10, 60 / rate)
        wave = 0.005 * RNG.normal(size=5000)
        for beat in beats:
            wave += np.exp(-0.5 * ((t - beat) / 0.011) ** 2) - 0.25 * np.exp(-0.5 * ((t - beat - 0.03) / 0.011) ** 2)
        kinds, notes = found_in(np.tile(wave, (3, 1, 1)).astype(np.float32), 500.0, ("II",))
        assert (kinds, notes) == ({}, []), rate


def test_a_rate_that_was_not_given():
    short = make_ecg(6, rhythm="sinus", fs=100, random_state=0).data
    for estimator in (RhythmEmbedder("ptbxl-s"), FineTunedClassifier("ptbxl-s", max_epochs=0, random_state=0)):
        with pytest.warns(UserWarning, match="fs was not given: 1000 samples are taken as 2 s at 500 Hz"):
            estimator.fit_transform(short) if hasattr(estimator, "fit_transform") else estimator.fit(short, Y[:6])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RhythmEmbedder("ptbxl-s", fs=100).transform(short)
        RhythmEmbedder("ptbxl-s").transform(make_ecg(6, fs=500, random_state=0).data)
        RhythmEmbedder(new(fs=100).fit(short)).transform(short)


@pytest.mark.parametrize("how", ["rhythm", "fit", "predict", "fine-tune"])
def test_leads_that_records_have_in_place_of_the_named_ones(how):
    two = [ECGRecord(x[[1, 6]], 250.0, ("MLII", "V1")) for x in X]
    unused = r"^the parameter leads \(II, V6\) is for arrays, and is not used: the records have leads of their own "
    with pytest.warns(UserWarning, match=rf"{unused}\(MLII, V1\); choose leads of files in `WFDBFolder`") as caught:
        METHODS[how](two, leads=("II", "V6"))
    assert len(caught) == 1
    with pytest.raises(ValueError, match=r"check='raise'\): the parameter leads"):
        METHODS[how](two, leads=("II", "V6"), check="raise")
    with pytest.raises(ValueError, match=r"leads=\['II', 'X9'\]: unknown lead"):
        METHODS[how](two, leads=("II", "X9"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        METHODS[how](two, leads=("II", "V6"), check="ignore")
        # The same leads in another order, or of arrays that stand beside records.
        METHODS[how](two, leads=("V1", "Lead II"))
        METHODS[how]([two[0], ECGRecord(X[1][[0, 2]], 250.0, ("I", "III"))] * 4)
        METHODS[how](pd.Series([*two[:7], X[7][[0, 2]]]), leads=("I", "III"))


@pytest.mark.skipif(not (DATA / "ptbxl500").is_dir(), reason="needs the folder ptbxl500 of real ECGs")
def test_real_ecgs_are_not_odd_and_wrong_ones_are():
    folder = WFDBFolder(DATA / "ptbxl500")
    signal = np.stack([folder[i].signal for i in range(40)])
    assert found_in(signal, 500.0) == ({}, [])
    _, (note,) = found_in(signal, 360.0)
    assert "is fs the sampling rate" in note
    assert found_in(signal[:, ::-1].copy(), 500.0)[0]["limb"] == list(range(40))
    assert len(found_in(np.clip(signal, -0.4, 0.4), 500.0)[0]["clipped"]) > 36


@pytest.mark.parametrize("seconds", [0.3, 0.6, 1, 2])
def test_equal_values_at_the_top_of_a_wave_are_no_clipping(seconds):
    """Records of a few microvolts' resolution, cut short, have some equal samples at their largest value."""
    ecg = make_ecg(20, rhythm="sinus", fs=500, random_state=1).data
    short = (np.round(ecg / 0.005) * 0.005).astype(np.float32)[:, :, 700 : 700 + round(500 * seconds)]
    odd = RecordCheck(ArraySource(short, 500.0, LEADS, False), "warn")
    for block in odd.source.read(np.arange(len(short)), 32):
        odd.look(block, detect_rpeaks(block.signal, 500))
    assert "clipped" not in odd.found()[0]
