"""PatientIdentifier: galleries, maps, thresholds."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from beatssl_sklearn import PatientIdentifier, load, save


def embeddings(n_patients, n_records, *, seed=0, n_dims=24):
    """Records whose nuisance directions are as strong as what tells patients apart."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(np.random.default_rng(99).normal(size=(n_dims, n_dims)))[0]
    own = rng.normal(size=(n_patients, n_dims // 2)).repeat(n_records, axis=0)
    nuisance = 6 * rng.normal(size=(n_patients * n_records, n_dims // 2))
    noisy = np.hstack([own + 0.3 * rng.normal(size=own.shape), nuisance]) @ axes
    return noisy, np.repeat([f"p{seed}-{i:03d}" for i in range(n_patients)], n_records)


TRAIN, TRAIN_PATIENTS = embeddings(150, 3, seed=1)
TEST, TEST_PATIENTS = embeddings(40, 2, seed=2)
GALLERY, PROBE = slice(0, None, 2), slice(1, None, 2)


def identifier(metric, **changes):
    """Return an identifier for these embeddings, which are normally distributed: a limit has nothing to do."""
    found = PatientIdentifier(metric, **({"n_dims": 16, "shrinkage": None, "limit": None, "random_state": 0} | changes))
    return found.fit(TRAIN, TRAIN_PATIENTS).enroll(TEST[GALLERY], TEST_PATIENTS[GALLERY])


@pytest.mark.parametrize("metric", ["whitened", "arcface"])
def test_a_map_learnt_on_other_patients_finds_more(metric):
    plain = identifier("cosine").score(TEST[PROBE], TEST_PATIENTS[PROBE])
    assert plain < 0.6
    assert identifier(metric).score(TEST[PROBE], TEST_PATIENTS[PROBE]) > plain + 0.2


def test_training_changes_the_map_and_is_the_same_each_time():
    untrained, one, two = identifier("arcface", max_epochs=0), identifier("arcface"), identifier("arcface")
    assert one.map_.shape == (16, 24) and identifier("arcface", n_dims=99).map_.shape == (24, 24)
    assert np.array_equal(one.map_, two.map_) and not np.allclose(one.map_, untrained.map_)
    assert not np.array_equal(one.map_, identifier("arcface", random_state=1).map_)


def test_directions_count_by_the_share_that_lies_between_patients():
    """Two directions with covariances 4 and 0 of patients, and 1 and 1 within."""
    rng = np.random.default_rng(0)
    patients = np.arange(4000).repeat(4)
    own = np.stack([2 * rng.normal(size=4000), np.zeros(4000)], axis=1)
    Z = own.repeat(4, axis=0) + rng.normal(size=(16000, 2))
    found = PatientIdentifier(shrinkage=0.0, limit=None).fit(Z, patients)
    # Within patients the first direction has the deviation 1, and 4 / 5 of its variance lie between patients.
    expected = np.array([0.8, 0.0])
    np.testing.assert_allclose(np.linalg.norm(found.map_ / found.deviation_, axis=0), expected, atol=0.03)
    assert PatientIdentifier(shrinkage=0.0, n_dims=1).fit(Z, patients).map_.shape == (1, 2)


@pytest.mark.parametrize("metric", ["whitened", "arcface"])
def test_columns_are_limited(metric):
    odd, odder = TEST[PROBE].copy(), TEST[PROBE].copy()
    odd[:, 3], odder[:, 3] = 200, 2000
    limited, plain = identifier(metric, limit=3.0), identifier(metric, limit=None)
    np.testing.assert_allclose(limited.decision_function(odd), limited.decision_function(odder), atol=1e-6)
    assert np.abs(plain.decision_function(odd) - plain.decision_function(odder)).max() > 0.01
    far = identifier(metric, limit=1e4)
    np.testing.assert_allclose(far.decision_function(odd), plain.decision_function(odd), atol=0.01)
    with pytest.raises(ValueError, match="limit"):
        identifier(metric, limit=0)


def test_records_of_a_patient_that_are_equal():
    twice = np.repeat(TRAIN[::3], 2, axis=0), np.repeat(TRAIN_PATIENTS[::3], 2)
    for metric in ("whitened", "arcface"):
        found = identifier(metric).fit(*twice)
        assert np.isfinite(found.map_).all() and found.score(*twice) == 1


def test_scores_ranks_and_probabilities_agree():
    found = identifier("whitened")
    scores = found.decision_function(TEST[PROBE])
    assert scores.shape == (40, 40) and np.abs(scores).max() <= 1 + 1e-9
    ranked = found.rank(TEST[PROBE], k=3)
    np.testing.assert_array_equal(ranked[:, 0], found.predict(TEST[PROBE]))
    probability = found.predict_proba(TEST[PROBE])
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    np.testing.assert_array_equal(found.classes_[probability.argmax(axis=1)], ranked[:, 0])
    assert found.rank(TEST[:1], k=99).shape == (1, 40)


def test_a_patient_scores_as_the_best_of_the_records():
    found = identifier("cosine")
    each = PatientIdentifier("cosine").fit(TRAIN, TRAIN_PATIENTS).enroll(TRAIN, np.arange(len(TRAIN)))
    best = each.decision_function(TEST[:5]).reshape(5, 150, 3).max(axis=2)
    together = found.enroll(TRAIN, TRAIN_PATIENTS).decision_function(TEST[:5])
    np.testing.assert_allclose(together, best)


def test_nobody_enrolled():
    found = identifier("whitened", unknown="nobody").calibrate(TEST[PROBE], TEST_PATIENTS[PROBE], false_accepts=0.01)
    strangers, _ = embeddings(40, 1, seed=3)
    known = found.predict(TEST[PROBE])
    unknown = found.predict(strangers)
    assert np.mean(unknown == "nobody") > 0.5 > np.mean(known == "nobody")
    assert (found.set_params(threshold=-1.0).predict(strangers) != "nobody").all()


@pytest.mark.parametrize("false_accepts", [0.5, 0.1, 0.05, 0.01, 1e-3, 1 / 1560])
def test_no_more_false_accepts_than_asked(false_accepts):
    found = identifier("cosine").calibrate(TEST[PROBE], TEST_PATIENTS[PROBE], false_accepts=false_accepts)
    scores = found.decision_function(TEST[PROBE])
    others = scores[TEST_PATIENTS[PROBE][:, None] != found.classes_]
    assert len(others) == 1560 and (others >= found.threshold_).sum() == int(false_accepts * 1560 + 1e-9)


def test_equal_scores_of_others_are_accepted_together_or_not_at_all():
    found = PatientIdentifier("cosine").fit(np.eye(3), [1, 2, 3]).calibrate(np.eye(3), [1, 2, 3], false_accepts=0.5)
    assert found.threshold_ > found.decision_function(np.eye(3))[0, 1]
    assert found.predict(np.eye(3)).tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("ids", "unknown", "dtype"),
    [
        (np.arange(40), -1, "int64"),
        (np.arange(40, dtype=np.uint8), -1, "O"),
        (np.arange(40), None, "O"),
        (np.arange(40), 0.5, "O"),
        (np.arange(40.0), np.nan, "float64"),
        (np.arange(40).astype("U2"), "nobody", "U6"),
        (np.arange(40).astype("U2"), None, "O"),
    ],
)
def test_who_is_unknown_has_the_dtype_of_patients_where_it_fits(ids, unknown, dtype):
    found = PatientIdentifier("cosine", threshold=0.9, unknown=unknown).fit(TEST[GALLERY], ids)
    known, strangers = found.predict(TEST[GALLERY]), found.predict(-TEST[GALLERY])
    assert known.dtype == strangers.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(known, ids)
    np.testing.assert_array_equal(strangers, np.full(40, unknown))


@pytest.mark.parametrize("unknown", [None, -1, "nobody"])
def test_thresholds_are_scored(unknown):
    ids = np.arange(3).repeat(20)
    Z = np.eye(3)[ids] + 0.05 * np.random.default_rng(0).normal(size=(60, 3))
    found = PatientIdentifier("cosine", threshold=0.5, unknown=unknown)
    assert cross_val_score(found, Z, ids, cv=3).tolist() == [1, 1, 1]
    search = GridSearchCV(found, {"threshold": [0.5, 1.0]}, cv=3, error_score="raise").fit(Z, ids)
    assert search.best_params_ == {"threshold": 0.5} and search.cv_results_["mean_test_score"].tolist() == [1, 0]


def test_records_of_strangers_are_right_where_nobody_is_found():
    found = PatientIdentifier("cosine", threshold=0.9, unknown="nobody").fit(np.eye(3), [1, 2, 3])
    Z, patients = np.vstack([np.eye(3), -np.eye(3)]), [1, 2, 1, "nobody", "nobody", 3]
    assert found.score(Z, patients) == pytest.approx(4 / 6)
    assert found.score(Z, patients, [1, 1, 1, 1, 1, 0]) == pytest.approx(4 / 5)
    with pytest.raises(ValueError, match="record 5 is missing"):
        found.set_params(unknown=None).score(Z, [1, 2, 1, 1, 1, None])


@pytest.mark.parametrize(
    ("call", "ids"),
    [
        ("score", ["1", "2", "3"]),
        ("calibrate", ["1", "2", "3"]),
        ("calibrate", np.array(["1", "2", "3"], dtype=object)),
        ("enroll", ["x", "y", "z"]),
    ],
)
def test_ids_of_another_type_are_no_strangers(call, ids):
    found = PatientIdentifier("cosine").fit(np.eye(3), [1, 2, 3])
    with pytest.raises(TypeError, match=r"ids of the same type as the enrolled ones, got .*convert them"):
        getattr(found, call)(np.eye(3), ids, **({"keep": True} if call == "enroll" else {}))
    assert found.classes_.tolist() == [1, 2, 3] and len(found.gallery_) == 3


@pytest.mark.parametrize("ids", [["a", 1, "b"], np.array(["a", 1, "b"], dtype=object)])
def test_ids_of_several_types(ids):
    with pytest.raises(TypeError, match="patients must hold labels of one type, got int and str"):
        PatientIdentifier("cosine").fit(TRAIN[:3], ids)


def test_a_constant_column_counts_for_nothing():
    """The deviation of 12 times .1 is 1e-17."""
    rng = np.random.default_rng(0)
    Z = np.hstack([rng.normal(size=(12, 8)), np.full((12, 1), 0.1)])
    assert Z[:, -1].std() > 0
    found = PatientIdentifier("cosine").fit(Z, np.arange(12))
    assert found.score(Z + 1e-6 * rng.normal(size=Z.shape), np.arange(12)) == 1
    # A column that varies counts, however small it is.
    for tiny in (1e-30, 1e-200):
        rows = Z[:, :8] * tiny
        assert PatientIdentifier("cosine").fit(rows, np.arange(12)).score(rows, np.arange(12)) == 1


@pytest.mark.parametrize("metric", ["cosine", "whitened", "arcface"])
def test_sizes_beyond_all_embeddings(metric):
    """One record of another size would hide what tells the others apart. As a probe it is a direction."""
    huge, large = TRAIN.copy(), TRAIN.copy()
    huge[5, 3], large[5] = 1e200, 1e6 * TRAIN[5]
    with pytest.raises(ValueError, match=r"embedding of record 5 holds 1e\+200, more than float32"):
        identifier(metric).set_params(max_epochs=0).fit(huge, TRAIN_PATIENTS)
    with pytest.raises(ValueError, match=r"embedding of record 5 is .*e\+0\d times as large.*Leave it out"):
        identifier(metric).set_params(max_epochs=0).fit(large, TRAIN_PATIENTS)
    with pytest.raises(ValueError, match="record 5 holds"):
        identifier(metric).decision_function(huge)
    assert np.abs(identifier(metric, max_epochs=0).decision_function(1e30 * TRAIN)).max() <= 1 + 1e-12


def test_copies_of_a_record_are_no_other_size():
    copies = np.repeat(TRAIN[:1], 9, axis=0) + 1e-9 * np.random.default_rng(0).normal(size=(9, 24))
    found = PatientIdentifier("cosine").fit(np.concatenate([copies, TRAIN[-1:]]), [0] * 9 + [1])
    assert found.predict(TRAIN[-1:]).tolist() == [1]


def test_galleries_grow_and_are_replaced():
    found = identifier("cosine")
    before = found.classes_
    found.enroll(TRAIN[:3], TRAIN_PATIENTS[:3], keep=True)
    assert len(found.classes_) == len(before) + 1 and len(found.gallery_) == 43
    assert list(found.enroll(TRAIN[:3], TRAIN_PATIENTS[:3]).classes_) == [TRAIN_PATIENTS[0]]


def test_in_a_pipeline_and_in_a_file(tmp_path):
    pipe = make_pipeline(StandardScaler(), clone(PatientIdentifier())).fit(TRAIN, TRAIN_PATIENTS)
    save(pipe, tmp_path / "p.bssl")
    np.testing.assert_array_equal(load(tmp_path / "p.bssl").predict(TRAIN), pipe.predict(TRAIN))


@pytest.mark.parametrize(
    ("parameters", "Z", "patients", "message"),
    [
        ({"metric": "euclid"}, TRAIN, TRAIN_PATIENTS, "metric must be one of"),
        ({"threshold": 3.0}, TRAIN, TRAIN_PATIENTS, "threshold"),
        # In float32, this is infinite.
        ({"metric": "arcface", "scale": 1e39}, TRAIN, TRAIN_PATIENTS, "scale must be a number between"),
        ({}, TRAIN[:3], TRAIN_PATIENTS[:3], "one patient only"),
        ({}, TRAIN[::3], TRAIN_PATIENTS[::3], "no patient has two records; use metric='cosine'"),
        ({}, TRAIN, TRAIN_PATIENTS[1:], "one label per record"),
        ({}, TRAIN[:3], ["a", None, "b"], "record 1 is missing"),
        ({}, TRAIN[:3], [1.0, 2.0, np.nan], "record 2 is missing"),
        ({}, TRAIN[:3], ["a", np.nan, "b"], "record 1 is missing"),
        ({}, TRAIN[:3], pd.array(["a", pd.NA, "b"], dtype="string"), "record 1 is missing"),
        ({}, TRAIN[:3] * [[1], [np.nan], [np.inf]], ["a", "a", "b"], "embedding of record 1 and 1 others holds NaN"),
    ],
)
def test_what_cannot_be_fitted(parameters, Z, patients, message):
    with pytest.raises(ValueError, match=message):
        PatientIdentifier(**parameters).fit(Z, patients)


def test_what_cannot_be_asked():
    found = identifier("cosine")
    with pytest.raises(ValueError, match="23 features.*expecting 24"):
        found.predict(TEST[:, 1:])
    with pytest.raises(ValueError, match="embedding of record 1 holds NaN or infinity"):
        found.predict([TEST[0], np.full(24, np.nan)])
    with pytest.raises(ValueError, match="k must be a positive integer, got 0"):
        found.rank(TEST, k=0)
    with pytest.raises(ValueError, match="false_accepts"):
        found.calibrate(TEST, TEST_PATIENTS, false_accepts=1.0)


def test_a_file_without_a_spread_is_refused(tmp_path):
    found = identifier("whitened")
    found.deviation_ = np.zeros_like(found.deviation_)
    with pytest.raises(ValueError, match="deviation_ must be positive"):
        save(found, tmp_path / "m.bssl")


@pytest.mark.parametrize(
    ("changes", "Z", "patients"),
    [
        ({"metric": "cosine"}, TRAIN[:, :5], TRAIN_PATIENTS[:3]),
        ({}, TRAIN[::3, :5], TRAIN_PATIENTS[::3]),
        ({"metric": "cosine", "unknown": (1, 2)}, TRAIN[:, :5] + 1, TRAIN_PATIENTS),
    ],
)
def test_a_fit_that_fails_changes_nothing(changes, Z, patients):
    found = identifier("whitened").calibrate(TEST[PROBE], TEST_PATIENTS[PROBE])
    scores, threshold = found.decision_function(TEST), found.threshold_
    given = {name: getattr(found, name) for name in changes}
    with pytest.raises((TypeError, ValueError)):
        found.set_params(**changes).fit(Z, patients)
    found.set_params(**given)
    np.testing.assert_array_equal(found.decision_function(TEST), scores)
    assert found.threshold_ == threshold and found.n_features_in_ == 24


@pytest.mark.parametrize(("name", "value"), [("metric", "cosine"), ("limit", 0.05), ("limit", None)])
def test_the_map_keeps_its_parameters(name, value, tmp_path):
    found = identifier("whitened", limit=3.0)
    save(found, tmp_path / "m.bssl")
    for one in (found, load(tmp_path / "m.bssl"), pickle.loads(pickle.dumps(found))):
        one.set_params(**{name: value})
        for ask in ("predict", "predict_proba", "decision_function", "enroll"):
            with pytest.raises(ValueError, match=f"{name}={value!r} was set after fit, which had .*call fit again"):
                getattr(one, ask)(TEST, *([TEST_PATIENTS] if ask == "enroll" else []))
        with pytest.raises(ValueError, match=f"{name}={value!r} was set after fit"):
            save(one, tmp_path / "changed.bssl")
        one.fit(TRAIN, TRAIN_PATIENTS).predict(TEST)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"temperature": 0}, ValueError, "temperature must be a number at least 1e-06, got 0"),
        ({"temperature": "hot"}, TypeError, "temperature must be a number, got 'hot'"),
        ({"threshold": np.nan}, ValueError, "threshold must be a number between -1 and 1, got nan"),
        ({"threshold": "hi"}, TypeError, "threshold must be a number, got 'hi'"),
        ({"unknown": (1, 2)}, TypeError, r"unknown must be one label .*'p2-000'.*, got \(1, 2\)"),
        ({"unknown": b"nobody"}, TypeError, "unknown must be one label .*, got b'nobody'"),
        ({"unknown": {}}, TypeError, "unknown must be one label .*, got {}"),
    ],
)
def test_parameters_that_may_change_are_checked_where_they_are_used(changes, error, message):
    found = identifier("cosine").set_params(**changes)
    with pytest.raises(error, match=message):
        (found.predict_proba if "temperature" in changes else found.predict)(TEST)
    with pytest.raises(error, match=message.partition(" ")[0]):
        found.fit(TRAIN, TRAIN_PATIENTS)


def test_columns_keep_their_names(tmp_path):
    table = pd.DataFrame(TRAIN, columns=[f"z{k:02d}" for k in range(24)])
    found = PatientIdentifier().fit(table, TRAIN_PATIENTS)
    save(found, tmp_path / "m.bssl")
    for one in (found, load(tmp_path / "m.bssl")):
        assert one.feature_names_in_.tolist() == table.columns.tolist()
        assert one.score(table, TRAIN_PATIENTS) > 0.9
        for ask in ("predict", "enroll"):
            with pytest.raises(ValueError, match="feature names should match"):
                getattr(one, ask)(table[table.columns[::-1]], *([TRAIN_PATIENTS] if ask == "enroll" else []))
    assert not hasattr(found.fit(TRAIN, TRAIN_PATIENTS), "feature_names_in_")
    found.feature_names_in_ = np.array(["a"], dtype=object)
    with pytest.raises(ValueError, match="feature_names_in_ has 1 names of 24 columns"):
        save(found, tmp_path / "m.bssl")


@pytest.mark.parametrize(("share", "error"), [("x", TypeError), (None, TypeError), (0, ValueError), (1.0, ValueError)])
def test_shares_of_false_accepts(share, error):
    with pytest.raises(error, match=f"false_accepts must be .*, got {share!r}"):
        identifier("cosine").calibrate(TEST, TEST_PATIENTS, false_accepts=share)


def test_what_cannot_be_scored():
    found = identifier("cosine")
    with pytest.raises(ValueError, match="sample_weight is 0 for all records"):
        found.score(TEST, TEST_PATIENTS, np.zeros(80))
    for unknown in (None, np.nan):
        with pytest.raises(ValueError, match="record 0 is missing .* set unknown, for example unknown=-1"):
            found.set_params(unknown=unknown).score(TEST, [None] * 80)
    assert found.set_params(unknown=-1, threshold=1.0).score(TEST[PROBE], [-1] * 40) == 1


def test_messages_name_ids_as_they_were_given():
    with pytest.raises(ValueError, match=r"one patient only \('p1-000'\)"):
        PatientIdentifier().fit(TRAIN[:3], TRAIN_PATIENTS[:3])
    with pytest.raises(TypeError, match="got 0 beside 'p2-000'"):
        identifier("cosine").enroll(TEST, np.arange(80), keep=True)


def test_nobody_is_no_patient():
    rng = np.random.default_rng(0)
    Z, patients = rng.normal(size=(12, 4)), np.arange(12) // 3
    with pytest.raises(ValueError, match="unknown=3 is the id of an enrolled patient"):
        PatientIdentifier(unknown=3).fit(Z, patients)
    assert PatientIdentifier(unknown=-1).fit(Z, patients).unknown == -1
