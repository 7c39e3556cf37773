"""Features of hand-made records whose features are known."""

import numpy as np
import pytest

from beatssl_sklearn.ecg.beats import keep_inside
from beatssl_sklearn.ecg.features.measure import beat_features, record_features, with_components
from beatssl_sklearn.ecg.features.principal_components import component_scores, fit_components
from beatssl_sklearn.ecg.features.scaling import standardize
from beatssl_sklearn.ecg.features.table import FeatureTable, concatenate
from beatssl_sklearn.ecg.leads import EIGHT_LEADS, LEADS

GAIN = dict(zip(EIGHT_LEADS, (0.5, 1.0, -0.6, 0.8, 1.2, 1.5, 1.1, 0.7), strict=True))
R = 1.0
T = 0.3
P = 0.12


def wave(t, centre, width, height):
    return height * np.exp(-0.5 * ((t - centre) / width) ** 2)


def make_record(fs=250.0, seconds=10.0, rr=0.8, pr=0.16, gain=None, peaks=None):
    """Twelve leads of one Gaussian P, QRS and T per beat, each lead a multiple of the same beat."""
    gain = GAIN if gain is None else gain
    t = np.arange(int(seconds * fs)) / fs
    peaks = np.arange(0.5, seconds - 0.5, rr) if peaks is None else np.asarray(peaks)
    peaks = np.round(peaks * fs) / fs
    beat = sum(wave(t, p, 0.012, R) + wave(t, p + 0.28, 0.04, T) + wave(t, p - pr, 0.02, P) for p in peaks) + np.zeros(
        t.size
    )
    eight = {name: gain[name] * beat for name in EIGHT_LEADS}
    limb = {"III": eight["II"] - eight["I"], "aVR": -(eight["I"] + eight["II"]) / 2}
    limb |= {"aVL": eight["I"] - eight["II"] / 2, "aVF": eight["II"] - eight["I"] / 2}
    x = np.stack([(eight | limb)[name] for name in LEADS])
    return x.astype(np.float32), np.round(peaks * fs).astype(np.int64)


def column(table, name):
    return table.values[:, table.names.index(name)]


@pytest.fixture(scope="module")
def regular():
    x, r = make_record()
    return record_features(x[None], 250.0, [r])


def test_table_is_named_grouped_float32(regular):
    assert regular.values.dtype == np.float32
    assert regular.values.shape == (1, len(regular.names)) and len(set(regular.names)) == len(regular.names)
    assert regular.groups.shape == (len(regular.names),)
    assert regular.group_names[regular.groups[regular.names.index("qrs_width")]] == "intervals"
    assert regular.beats.shape == (1, 8, 70) and regular.beats.dtype == np.float32


def test_rhythm_of_a_regular_record(regular):
    assert column(regular, "log_median_rr")[0] == pytest.approx(np.log(0.8), abs=1e-3)
    assert column(regular, "beat_rate")[0] == pytest.approx(75.0, abs=0.1)
    assert column(regular, "log_sd_rr")[0] == pytest.approx(np.log(0.005), abs=0.1)
    assert column(regular, "ectopic_share")[0] == 0
    assert column(regular, "beat_correlation")[0] > 3


@pytest.mark.parametrize("lead", EIGHT_LEADS)
def test_amplitudes_are_those_of_the_waves(regular, lead):
    gain = GAIN[lead]
    assert column(regular, f"r_amplitude_{lead}")[0] == pytest.approx(max(gain, 0) * R, abs=0.03)
    assert column(regular, f"s_amplitude_{lead}")[0] == pytest.approx(min(gain, 0) * R, abs=0.03)
    assert column(regular, f"t_amplitude_{lead}")[0] == pytest.approx(gain * T, abs=0.03)
    assert column(regular, f"p_amplitude_{lead}")[0] == pytest.approx(gain * P, abs=0.02)
    assert column(regular, f"st_level_{lead}")[0] == pytest.approx(0, abs=0.03)
    area = gain * R * 0.012 * np.sqrt(2 * np.pi)
    assert column(regular, f"qrs_area_{lead}")[0] == pytest.approx(area, rel=0.08)


def test_intervals(regular):
    assert 0.04 < column(regular, "qrs_width")[0] < 0.12
    # P begins about two of its SD before its peak, QRS about two and a half before R.
    assert column(regular, "pr_interval")[0] == pytest.approx(0.16 + 2 * 0.02 - 2.5 * 0.012, abs=0.02)
    assert column(regular, "qt_interval")[0] == pytest.approx(0.28 + 2 * 0.04 + 2.5 * 0.012, abs=0.025)


def test_longer_conduction_lengthens_pr_only(regular):
    x, r = make_record(pr=0.22)
    longer = record_features(x[None], 250.0, [r])
    assert column(longer, "pr_interval")[0] - column(regular, "pr_interval")[0] == pytest.approx(0.06, abs=0.008)
    assert column(longer, "qt_interval")[0] == pytest.approx(column(regular, "qt_interval")[0], abs=0.008)


@pytest.mark.parametrize("degrees", [-120, -60, 0, 45, 90, 170])
def test_frontal_axis(degrees):
    angle = np.deg2rad(degrees)
    limb = {"I": np.cos(angle), "II": np.cos(angle) / 2 + np.sin(angle) * np.sqrt(3) / 2}
    x, r = make_record(gain=GAIN | limb)
    table = record_features(x[None], 250.0, [r])
    for name in ("qrs", "t"):
        found = np.arctan2(column(table, f"{name}_axis_sin")[0], column(table, f"{name}_axis_cos")[0])
        assert np.cos(found - angle) > np.cos(np.deg2rad(3))


def test_features_hardly_depend_on_the_rate(regular):
    for fs, tolerance in ((500.0, 0.02), (100.0, 0.12)):
        x, r = make_record(fs=fs)
        other = record_features(x[None], fs, [r])
        for name in ("r_amplitude_II", "t_amplitude_V4", "qrs_width", "pr_interval", "qt_interval", "log_rms"):
            assert column(other, name)[0] == pytest.approx(column(regular, name)[0], abs=tolerance), name
        assert np.corrcoef(other.beats.ravel(), regular.beats.ravel())[0, 1] > 0.98


def test_premature_and_odd_beats_count_as_ectopic():
    x, r = make_record(peaks=[0.5, 1.3, 2.1, 2.6, 3.7, 4.5, 5.3, 6.1, 6.9, 7.7])
    table = record_features(x[None], 250.0, [r])
    assert column(table, "ectopic_share")[0] == pytest.approx(0.1)
    x[:, r[6] - 60 : r[6] + 100] *= -1
    assert column(record_features(x[None], 250.0, [r]), "ectopic_share")[0] == pytest.approx(0.2)


def test_absent_leads_are_missing_and_the_rest_unchanged(regular):
    x, r = make_record()
    some = [LEADS.index(name) for name in ("V2", "II")]
    table = record_features(x[None, some], 250.0, [r], leads=("V2", "MLII"))
    assert table.names == regular.names
    assert np.isnan(column(table, "r_amplitude_I")).all() and np.isnan(column(table, "qrs_axis_sin")).all()
    for name in ("r_amplitude_II", "t_amplitude_V2", "log_median_rr"):
        assert column(table, name)[0] == pytest.approx(column(regular, name)[0], abs=0.01)
    assert np.isnan(table.beats[0, 0]).all() and np.isfinite(table.beats[0, [1, 3]]).all()


def test_inverted_lead_name_gives_the_same_features(regular):
    x, r = make_record()
    x[1] *= -1
    names = ["-II" if name == "II" else name for name in LEADS]
    np.testing.assert_allclose(record_features(x[None], 250.0, [r], names).values, regular.values, rtol=1e-4, atol=1e-5)


def test_without_independent_leads_only_the_rhythm_remains():
    x, r = make_record()
    table = record_features(x[None, [5]], 250.0, [r], ["aVF"])
    assert np.isfinite(column(table, "log_median_rr")).all()
    assert np.isnan(column(table, "qrs_width")).all() and np.isnan(table.beats).all()


def test_no_beat_and_no_signal_are_missing_without_warnings():
    x, r = make_record()
    X = np.stack([x, np.zeros_like(x), x, np.full_like(x, 0.3)])
    none = np.array([], dtype=np.int64)
    table = record_features(X, 250.0, [none, none, r[:1], r])
    assert np.isnan(table.values[:2]).all()
    assert np.isnan(column(table, "beat_rate")[2]) and np.isfinite(column(table, "r_amplitude_II")[2])
    assert np.isfinite(column(table, "beat_rate")[3]) and np.isnan(column(table, "log_rms")[3])
    assert np.isnan(column(table, "qrs_width")[3])
    z, present, weights = standardize(with_components(table, n_components=4))
    assert np.isfinite(z).all() and np.isfinite(weights).all() and not present[:2].any()


def test_two_beats_have_a_rate_and_no_variation():
    x, r = make_record()
    table = record_features(x[None], 250.0, [r[:2]])
    assert np.isfinite(column(table, "beat_rate")[0]) and np.isnan(column(table, "log_rmssd")[0])


def test_samples_that_are_not_finite_cost_only_their_beats(regular):
    x, r = make_record()
    x[3, 100], x[7, r[3]], x[1, r[5] : r[5] + 9] = np.nan, np.nan, np.inf
    table = record_features(x[None], 250.0, [r])
    np.testing.assert_allclose(column(table, "r_amplitude_II"), column(regular, "r_amplitude_II"), atol=0.01)
    assert np.isfinite(table.beats).all()


def test_no_records():
    table = record_features(np.empty((0, 12, 2500)), 250.0, [])
    assert table.values.shape[0] == 0 and table.beats.shape == (0, 8, 70)
    z, _, weights = standardize(table)
    assert z.shape == table.values.shape and (weights == 0).all()


def test_errors_name_what_is_wrong():
    x, r = make_record()
    with pytest.raises(ValueError, match="n_records, n_leads, n_times"):
        record_features(x, 250.0, [r])
    with pytest.raises(ValueError, match="leads must name the 3"):
        record_features(x[None, :3], 250.0, [r])
    with pytest.raises(ValueError, match="2 arrays for 1 records"):
        record_features(x[None], 250.0, [r, r])
    with pytest.raises(ValueError, match="record 1 must increase"):
        record_features(np.stack([x, x]), 250.0, [r, r[::-1]])
    with pytest.raises(ValueError, match="fs"):
        record_features(x[None], 0.0, [r])


def random_records(n=12, seed=0):
    rng = np.random.default_rng(seed)
    records = [
        make_record(
            rr=rng.uniform(0.6, 1.1), pr=rng.uniform(0.12, 0.2), gain={name: rng.normal(1, 0.5) for name in EIGHT_LEADS}
        )
        for _ in range(n)
    ]
    X = np.stack([x for x, _ in records])
    return X + rng.normal(0, 0.01, X.shape).astype(np.float32), [r for _, r in records]


def test_streaming_equals_one_shot():
    X, r = random_records()
    whole = record_features(X, 250.0, r)
    parts = [record_features(X[s : s + 5], 250.0, r[s : s + 5]) for s in range(0, len(X), 5)]
    joined = concatenate(parts)
    np.testing.assert_allclose(joined.values, whole.values, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(joined.beats, whole.beats, rtol=1e-5, atol=1e-5)
    fitted = fit_components(whole.beats, 6)
    for table in (with_components(joined, n_components=6), with_components(whole, components=fitted)):
        assert table.names[-1] == "component_5" and table.beats is None
        np.testing.assert_allclose(table.values[:, -6:], component_scores(whole.beats, fitted), atol=1e-3)


def test_components_need_one_beat_per_row():
    table = FeatureTable(np.zeros((3, 1), dtype=np.float32), ("a",), np.zeros(1, dtype=np.int64))
    with pytest.raises(ValueError, match="holds none"):
        with_components(table)
    with pytest.raises(ValueError, match="4 rows"):
        with_components(table, np.zeros((4, 2, 4), dtype=np.float32), 2)


def test_beat_features_follow_the_beats_that_are_kept():
    x, r = make_record(peaks=[0.1, 0.9, 1.7, 2.2, 3.3, 4.1, 4.9, 5.7, 6.5, 7.3, 8.1, 9.7])
    y, s = make_record(rr=1.0)
    table = beat_features(np.stack([x, y]), 250.0, [r, s])
    kept = keep_inside(r, x.shape[1], 250.0)
    assert len(kept) == 10 and len(table.values) == len(kept) + len(s) == len(table.beats)
    assert column(table, "log_rr_before")[2] == pytest.approx(np.log(0.5 / 0.8), abs=0.01)
    assert column(table, "log_rr_after")[2] == pytest.approx(np.log(1.1 / 0.8), abs=0.01)
    assert np.isfinite(column(table, "log_rr_before")[0]), "the first kept beat has one before it in the record"
    assert np.isnan(column(table, "log_rr_before")[10]) and np.isnan(column(table, "log_rr_after")[-1])
    assert (np.delete(column(table, "median_correlation"), 2) > 1.5).all()


def test_odd_beat_stands_out():
    x, r = make_record(rr=0.9)
    t = np.arange(x.shape[1]) / 250.0
    x[:, r[4] - 60 : r[4] + 110] = 0
    x += np.float32(1) * (wave(t, r[4] / 250.0, 0.035, 1.0)).astype(np.float32) * np.arange(1, 13)[:, None] / 12
    table = beat_features(x[None], 250.0, [r])
    others = np.delete(np.arange(len(r)), 4)
    assert column(table, "median_correlation")[4] < column(table, "median_correlation")[others].min()
    assert column(table, "qrs_width")[4] > 1.5 * column(table, "qrs_width")[others].max()
    scores = with_components(table, n_components=2)
    first = column(scores, "component_0")
    assert abs(first[4] - first[others].mean()) > 5 * first[others].std()


def test_beat_features_without_beats():
    x, r = make_record()
    none = np.array([], dtype=np.int64)
    assert beat_features(x[None], 250.0, [none]).values.shape == (0, 4)
    one = beat_features(x[None], 250.0, [r[3:4]])
    assert one.values.shape == (1, 4) and np.isnan(one.values[0, :2]).all() and np.isfinite(one.values[0, 2:]).all()


def test_real_records_have_plausible_features(data_dir):
    wfdb_io = pytest.importorskip("beatssl_sklearn.ecg.wfdb")
    records = sorted((data_dir / "ludb" / "data").glob("*.hea"))[:12]
    if not records:
        pytest.skip("no LUDB records")
    tables = []
    for path in records:
        record = wfdb_io.read_wfdb(path.with_suffix(""))
        notes = wfdb_io.read_annotations(path.with_suffix(""), "ii")
        r = np.array([s for s, symbol in zip(notes.sample, notes.symbol, strict=True) if symbol == "N"])
        tables.append(record_features(record.signal[None], record.fs, [r], record.leads))
    table = concatenate(tables)
    assert 0.06 < np.nanmedian(column(table, "qrs_width")) < 0.13
    assert 0.3 < np.nanmedian(column(table, "qt_interval")) < 0.45
    assert np.isfinite(column(table, "qrs_width")).mean() > 0.9
