"""WaveMeasures as scikit-learn uses it: columns, pipelines, clones, files, odd records."""

from __future__ import annotations

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from beatssl_sklearn import ECGRecord, RhythmEmbedder, WaveMeasures, WaveSegmenter, make_ecg
from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.ecg.waves import USUAL_MEASURES, WAVE_MEASURES
from beatssl_sklearn.persistence import load, save

RHYTHMS = ["sinus", "lbbb", "rbbb", "af"]
ECG = make_ecg(4, rhythm=RHYTHMS, random_state=0)


@pytest.fixture(scope="module")
def table():
    return WaveMeasures().set_output(transform="pandas").fit_transform(ECG.data).set_index(ECG.rhythm)


def test_columns_say_what_is_simulated(table):
    assert list(table) == list(WAVE_MEASURES)
    assert table.loc["lbbb", "lbbb"] == 1 == table.loc["rbbb", "rbbb"]
    assert table.loc["sinus", ["lbbb", "rbbb"]].tolist() == [0, 0]
    assert table.loc["af", "p_absent"] == 1 and np.isnan(table.loc["af", "pr"])
    rr = [1000 * np.median(np.diff(r)) / ECG.fs for r in ECG.rpeaks]
    np.testing.assert_allclose(table["rr"], rr, atol=6)


@pytest.mark.parametrize("fs", [250, 1000])
def test_the_rate_does_not_matter(fs):
    clean, other = (make_ecg(2, fs=f, noise=0, random_state=0).data for f in (500, fs))
    expected, found = WaveMeasures().transform(clean), WaveMeasures(fs=fs).transform(other)
    amplitudes = [i for i, name in enumerate(WAVE_MEASURES) if "amplitude" in name or name.startswith("st_j")]
    durations = [i for i, name in enumerate(WAVE_MEASURES) if "duration" in name or name in ("pr", "qrs", "qt")]
    np.testing.assert_allclose(found[:, amplitudes], expected[:, amplitudes], atol=0.01)
    np.testing.assert_allclose(found[:, durations], expected[:, durations], atol=1)


def test_any_leads_have_the_same_columns():
    records = [ECGRecord(ECG.data[0], 500, LEADS), ECGRecord(ECG.data[0, [6, 1]], 500, ("V1", "II"))]
    eight = [0, 1, *range(6, 12)]
    records.append(ECGRecord(ECG.data[0, eight], 500, tuple(LEADS[i] for i in eight)))
    found = WaveMeasures(missing="fill").set_output(transform="pandas").transform(records)
    absent = found[[f"lead_absent_{lead}" for lead in LEADS]].sum(axis=1)
    assert absent.tolist() == [0, 10, 0] and np.isfinite(found.to_numpy()).all()
    # A lead that is not there has usual values; limb leads follow from I and II.
    usual = dict(zip(WAVE_MEASURES, USUAL_MEASURES, strict=True))
    assert found.loc[1, "r_amplitude_V5"] == usual["r_amplitude_V5"]
    np.testing.assert_allclose(found.loc[2, "r_amplitude_aVF"], found.loc[0, "r_amplitude_aVF"], atol=0.02)


@pytest.mark.filterwarnings("error")
def test_records_without_beats_have_rows():
    rng = np.random.default_rng(0)
    X = np.stack([np.zeros((12, 5000)), rng.normal(0, 0.2, (12, 5000)), np.full((12, 5000), np.nan), ECG.data[0]])
    X[3, 2, 100:300] = np.nan
    found = WaveMeasures(allow_nan=True, check="ignore").transform(X)
    assert found[:3, 0].tolist() == [0, 0, 0] and found[3, 0] > 5 and found.shape == (4, len(WAVE_MEASURES))
    filled = WaveMeasures(allow_nan=True, check="ignore", missing="fill").transform(X)
    assert np.isfinite(filled).all() and np.array_equal(filled[~np.isnan(found)], found[~np.isnan(found)])


# joblib says so where a disk is slow.
@pytest.mark.filterwarnings("ignore:Persisting input arguments")
def test_in_a_grid_search_beside_an_embedding(tmp_path):
    X = make_ecg(12, rhythm=["sinus", "lbbb"], duration=5, random_state=1)
    both = FeatureUnion([
        ("embedding", RhythmEmbedder("ptbxl-s")), ("measures", WaveMeasures(missing="fill", memory=str(tmp_path)))
    ])  # fmt: skip
    pipe = make_pipeline(both, StandardScaler(), LogisticRegression())
    search = GridSearchCV(pipe, {"logisticregression__C": [0.01, 1]}, cv=2).fit(X.data, X.rhythm)
    assert search.score(X.data, X.rhythm) == 1
    names = search.best_estimator_[0].get_feature_names_out()
    assert "measures__r_amplitude_V5" in names and len(names) > len(WAVE_MEASURES)


def test_clones_pickles_and_files_say_the_same(tmp_path):
    X = ECG.data[:1]
    own = WaveSegmenter.load("waves").set_params(wave_params={"min_confidence": 0.4})
    estimator = WaveMeasures(own, missing="fill").fit(X)
    expected = estimator.transform(X)
    cloned = clone(estimator).set_params(segmenter__wave_params={"min_confidence": 0.9})
    assert estimator.segmenter.wave_params == {"min_confidence": 0.4} and cloned.segmenter_ is not own
    save(estimator, tmp_path / "measures.bssl")
    joblib.dump(estimator, tmp_path / "measures.joblib")
    for other in (clone(estimator), load(tmp_path / "measures.bssl"), joblib.load(tmp_path / "measures.joblib")):
        assert np.array_equal(other.transform(X), expected)
    save(own, tmp_path / "own.bssl")
    assert np.array_equal(WaveMeasures(str(tmp_path / "own.bssl"), missing="fill").transform(X), expected)


def test_a_wrong_parameter_is_named():
    for params, error, words in (
        ({"missing": "zero"}, ValueError, "missing must be one of nan, fill, got 'zero'"),
        ({"segmenter": 3}, TypeError, "segmenter must be a fitted WaveSegmenter, .*, got 3"),
        ({"segmenter": "ptbxl-s"}, ValueError, "'ptbxl-s' holds a .*, not a WaveSegmenter"),
        ({"segmenter": WaveSegmenter()}, NotFittedError, "segmenter is a WaveSegmenter that is not fitted"),
        ({"batch_size": 0}, ValueError, "batch_size"),
    ):
        with pytest.raises(error, match=words):
            WaveMeasures(**params).fit(ECG.data)
