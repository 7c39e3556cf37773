"""The segmenter that ships: unchanged, for any rate and leads, and right on real ECGs that it was not trained on."""

from pathlib import Path

import numpy as np
import pytest
from scipy.signal import resample_poly
from sklearn.exceptions import NotFittedError

from beatssl_sklearn import ECGRecord, WaveSegmenter, WFDBFolder, fetch_mitdb, make_ecg
from beatssl_sklearn.evaluation.metrics import beat_detection_scores

STORED = Path(__file__).parent / "shipped_waves.npz"


@pytest.fixture(scope="module")
def segmenter():
    """In float32: the same marks on every machine."""
    return WaveSegmenter.load("waves").set_params(precision="fp32")


@pytest.fixture(scope="module")
def ptbxl500(data_dir):
    return [WFDBFolder(data_dir / "ptbxl500")[i] for i in range(8)]


def test_waves_are_the_stored_ones(segmenter, data_dir):
    waves, stored = segmenter.delineate(WFDBFolder(data_dir / "ludb")[:2]), np.load(STORED)
    assert waves["lead"].tolist() == stored["lead"].tolist()
    assert waves["wave"].tolist() == stored["wave"].tolist()
    for mark in ("onset", "offset", "peak"):
        np.testing.assert_allclose(waves[mark], stored[mark], atol=0.05)


@pytest.mark.parametrize("fs", [500, 360])
def test_a_lead_without_a_signal_says_nothing_of_the_others(segmenter, data_dir, fs):
    both = WFDBFolder(data_dir / "ludb")[0].signal[:2].astype(np.float32)
    if fs != 500:
        both = resample_poly(both, 18, 25, axis=1).astype(np.float32)
    both[0] = 0.7
    one = segmenter.delineate([ECGRecord(both[1:], fs, ("II",))])
    two = segmenter.delineate([ECGRecord(both, fs, ("I", "II"))])
    assert two["lead"].tolist() == one["lead"].tolist() and two["wave"].tolist() == one["wave"].tolist()
    for mark in ("onset", "offset", "peak"):
        np.testing.assert_allclose(two[mark], one[mark], atol=0.2)


def test_low_precision_moves_borders_by_little(segmenter, ptbxl500):
    X = np.stack([record.signal for record in ptbxl500])
    low = WaveSegmenter.load("waves").set_params(precision="bf16").predict(X)
    assert (low == segmenter.predict(X)).mean() > 0.99


def test_noise_has_no_waves():
    """White noise of .02 to 1 mV, mains hum and wander: of 240 leads, hardly one has a wave."""
    rng, t = np.random.default_rng(0), np.arange(5000) / 500
    white = [rng.normal(0, level, (4, 12, 5000)) for level in (0.02, 0.2, 1)]
    hum = 0.2 * np.sin(2 * np.pi * 50 * t + rng.random((4, 12, 1)) * 6)
    wander = 0.5 * np.sin(2 * np.pi * 0.3 * t + rng.random((4, 12, 1)) * 6) + rng.normal(0, 0.01, (4, 12, 5000))
    noise = np.concatenate([*white, hum, wander]).astype(np.float32)
    with pytest.warns(UserWarning, match="no heartbeat was found"):
        assert len(WaveSegmenter.load("waves").delineate(noise)) <= 2


@pytest.mark.parametrize("record", [101, 119, 208])
def test_beats_of_another_database(segmenter, data_dir, record):
    """Two minutes with ventricular extrasystoles, two leads at 360 Hz: nearly every annotated beat has one QRS."""
    mitdb = fetch_mitdb(data_dir / "mitdb", records=[record], download_if_missing=False)
    whole, stop = mitdb.data[0], 120 * 360
    waves = segmenter.delineate([ECGRecord(whole.signal[:, :stop], whole.fs, whole.leads)])
    lead = waves[(waves.lead == whole.leads[0]) & (waves.wave == "QRS")]
    true = mitdb.rpeaks[0]
    scores = beat_detection_scores(true[true < stop], lead.peak.to_numpy(), whole.fs)
    assert scores.sensitivity > 0.985 and scores.ppv > 0.985


def test_rates_agree(segmenter, ptbxl500):
    """The same records at 500, 250 and 125 Hz have the same waves, within a sample or two."""
    X = np.stack([record.signal for record in ptbxl500])
    whole = segmenter.set_params(fs=500).delineate(X)
    for step in (2, 4):
        fewer = resample_poly(X, 1, step, axis=2).astype(np.float32)
        found = WaveSegmenter.load("waves").set_params(fs=500 / step, precision="fp32").delineate(fewer)
        for wave in ("P", "QRS", "T"):
            a, b = (table[table.wave == wave] for table in (whole, found))
            assert abs(len(a) - len(b)) < 0.1 * len(a)
            for record, lead in ((0, "II"), (3, "V5")):
                x, y = (t[(t.record == record) & (t.lead == lead)].onset_s.to_numpy() for t in (a, b))
                nearest = np.abs(x[:, None] - y).min(axis=1)
                assert np.median(nearest) < 0.008


@pytest.mark.parametrize("leads", [("II",), ("I", "II", "V2"), ("V5", "MLII")])
def test_any_leads(segmenter, leads):
    ecg = make_ecg(2, fs=500, random_state=0)
    index = [ecg.leads.index(lead.replace("MLII", "II")) for lead in leads]
    waves = WaveSegmenter.load("waves").set_params(leads=leads).delineate(ecg.data[:, index])
    assert set(waves.lead) == set(leads)
    for i in range(2):
        beats = waves[(waves.record == i) & (waves.lead == leads[0]) & (waves.wave == "QRS")]
        assert beat_detection_scores(ecg.rpeaks[i], beats.peak.to_numpy(), 500).f1 > 0.95


def test_nothing_is_found_in_nothing(segmenter):
    """No signal, the mains, and a wandering baseline that ends away from zero."""
    t, phase = np.arange(5000) / 500, np.random.default_rng(0).uniform(0, 6, (1, 12, 1))
    with pytest.warns(UserWarning, match="no lead varies"):
        assert len(segmenter.delineate(np.zeros((1, 12, 5000), np.float32))) == 0
    for hertz, size in ((50, 0.2), (0.3, 0.5)):
        hum = (size * np.sin(2 * np.pi * hertz * t + phase)).astype(np.float32)
        with pytest.warns(UserWarning, match="no heartbeat was found"):
            assert len(segmenter.delineate(hum)) == 0


@pytest.mark.parametrize("leads", [None, ("II",)])
def test_p_waves_before_wide_complexes(segmenter, leads):
    """Simulated bundle branch blocks and AV blocks: the P waves are found, from twelve leads and from one."""
    ecg = make_ecg(12, rhythm=["lbbb", "rbbb", "ivcd", "av_block_1"], fs=500, random_state=11)
    X = ecg.data if leads is None else ecg.data[:, [ecg.leads.index("II")]]
    waves = WaveSegmenter.load("waves").set_params(leads=leads).delineate(X)
    found = (waves[waves.lead == "II"].wave == "P").groupby(waves.record).sum()
    true = np.array([(rows["wave"] == "P").sum() for rows in ecg.waves])
    assert found.sum() > 0.9 * true.sum() and (found.to_numpy() > true / 2).mean() > 0.9


@pytest.mark.parametrize("fs", [250, 500])
@pytest.mark.parametrize("kind", ["missing", "constant", "quiet"])
def test_no_wave_where_a_lead_has_no_signal(fs, kind):
    """The other leads' waves are not marked in one that is off for five seconds."""
    X = make_ecg(1, fs=fs, random_state=0).data.copy()
    first, stop = 3 * fs, 8 * fs
    noise = np.random.default_rng(0).normal(0, 1e-3, stop - first)
    X[0, 1, first:stop] = {"missing": np.nan, "constant": X[0, 1, first], "quiet": noise}[kind]
    found = WaveSegmenter.load("waves").set_params(fs=fs, allow_nan=True, check="ignore")
    waves, proba = found.delineate(X), found.predict_proba(X)[0]
    # Quiet stretches are found to a quarter of a second.
    slack = round(0.25 * fs) if kind == "quiet" else 0
    lead = waves[waves.lead == "II"]
    assert not ((lead.offset > first + slack) & (lead.onset < stop - 1 - slack)).any()
    assert (lead.offset < first + slack).any() and (lead.onset > stop - 1 - slack).any()
    assert not proba[1, first + slack : stop - slack, 1:].any()
    assert ((waves.lead == "I") & (waves.onset > first) & (waves.offset < stop)).sum() > 12


def test_records_without_mistakes_keep_the_order_of_confidences():
    marked = make_ecg(2, fs=500, random_state=5)
    true = [
        dict.fromkeys(marked.leads, {k: [list(w)[1:] for w in rows if w["wave"] == k] for k in ("P", "QRS", "T")})
        for rows in marked.waves
    ]
    found = WaveSegmenter.load("waves")
    before = found.unet_.calibration
    with pytest.warns(UserWarning, match="only .*0 QRS wrong"):
        after = found.calibrate(marked.data, true).unet_.calibration
    assert (after.slope > 0.8 * before.slope).all()
    assert (after([0.6] * 3, [1, 2, 3]) + 0.1 < after([0.99] * 3, [1, 2, 3])).all()
    with pytest.raises(ValueError, match="waves holds 4 records, X has 2"):
        found.calibrate(marked.data, true + true)


def test_a_fitted_network_keeps_its_context_and_an_unfitted_one_has_no_confidence():
    X = make_ecg(1, fs=500, random_state=0).data
    with pytest.raises(ValueError, match="context='encoder' was set after fit"):
        WaveSegmenter.load("waves").set_params(context="encoder").predict(X)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        WaveSegmenter().calibrate(X, [{}])


def test_what_a_lead_is_called_does_not_matter(segmenter, ptbxl500):
    alone = np.stack([record.signal[[1]] for record in ptbxl500[:2]])
    tables = [
        WaveSegmenter.load("waves").set_params(leads=(name,), check="ignore", precision="fp32").delineate(alone)
        for name in ("II", "V1", "V5")
    ]
    assert len(tables[0]) > 20
    marks = ["onset", "peak", "offset"]
    for other in tables[1:]:
        assert other.wave.tolist() == tables[0].wave.tolist()
        # A lead's place among the twelve changes the order of sums, and with it the rounding.
        np.testing.assert_allclose(other[marks], tables[0][marks], atol=0.05)


def test_confidences_are_probabilities(segmenter):
    assert segmenter.unet_.calibration is not None and not hasattr(segmenter, "encoder_")


def test_the_former_name():
    with pytest.warns(FutureWarning, match="the model 'ludb' was replaced by 'waves'"):
        former = WaveSegmenter.load("ludb")
    assert former.unet_.widths == WaveSegmenter.load("waves").unet_.widths
