"""WaveSegmenter: what it learns, what it starts from, and how it behaves as an estimator."""

import copy
import pickle
import random
import warnings

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import check_random_state, get_tags

from beatssl_sklearn import (
    BeatSSL,
    BeatSSLPretrainer,
    FittedEncoder,
    RhythmEmbedder,
    VCGViews,
    WaveAugment,
    WaveMeasures,
    WaveSegmenter,
    load,
    make_ecg,
    save,
)
from beatssl_sklearn.ecg.waves.table import CONSENSUS, TABLE_COLUMNS, empty_table
from beatssl_sklearn.inputs.windows import windows
from beatssl_sklearn.segmentation import FittedUNet, inference

FS = 100
TINY = {
    "objective": BeatSSL(projection_dim=8),
    "fs": FS,
    "encoder_params": {"widths": (8, 8, 8), "n_dims": 8},
    "max_epochs": 0,
    "batch_size": 8,
    "random_state": 0,
    "device": "cpu",
}
PLAIN = WaveAugment(stretch=1, gain=1, noise=0, low_rate=0, lead_subset=0)
ECG = make_ecg(4, fs=FS, duration=6, random_state=0)
X, Y = ECG.data, ECG.masks
for array in (X, Y):
    array.setflags(write=False)
PATIENT = np.array([7, 7, 3, 3])
CONV = "stem.conv.weight"

LESSON = make_ecg(6, fs=250, noise=0.005, random_state=0)
LEARNER = {
    "fs": 250,
    "fs_model": 250,
    "widths": (32, 32, 32, 32),
    "max_epochs": 10,
    "batch_size": 1,
    "lr": 3e-2,
    "augment": PLAIN,
    "precision": "fp32",
    "random_state": 0,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def pre():
    return BeatSSLPretrainer(**TINY).fit(X)


@pytest.fixture(scope="module")
def fitted(pre, segmenter_of):
    return segmenter_of(pre).fit(X, Y)


@pytest.fixture(scope="module")
def learned():
    return WaveSegmenter(BeatSSLPretrainer(**TINY), **LEARNER).fit(LESSON.data, LESSON.masks)


def weights(segmenter):
    return {**segmenter.unet_.weights, **{f"encoder.{k}": a for k, a in segmenter.encoder_.weights.items()}}


def same_weights(first, second):
    a, b = weights(first), weights(second)
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def own_parameters(segmenter):
    """All parameters but those of the pretrainer."""
    return {name: value for name, value in segmenter.get_params().items() if not name.startswith("pretrainer")}


def dice(truth, found):
    pairs = [(truth == k, found == k) for k in (1, 2, 3)]
    return np.mean([2 * (t & f).sum() / (t.sum() + f.sum()) for t, f in pairs])


def millivolts(microvolts):
    return 1e-3 * microvolts


# What it learns


def test_it_learns(learned):
    losses = [row["train_loss"] for row in learned.history_]
    assert len(losses) == learned.n_iter_ == 10 and losses[-1] < 0.6 * losses[0]
    start = WaveSegmenter(BeatSSLPretrainer(**TINY), **(LEARNER | {"max_epochs": 0})).fit(LESSON.data, LESSON.masks)
    assert start.history_ == [] and start.n_iter_ == 0
    before, after = (s.score(LESSON.data, LESSON.masks) for s in (start, learned))
    assert before < 0.4 and after > 0.75


def test_it_finds_the_waves_of_records_it_was_not_shown(learned):
    other = make_ecg(2, fs=250, noise=0.005, random_state=77)
    table = learned.delineate(other.data, consensus=True)
    for record in range(2):
        agreed = table[(table.record == record) & (table.lead == CONSENSUS)]
        truth = other.waves[record][other.waves[record]["wave"] == "QRS"]
        found = agreed[agreed.wave == "QRS"]
        hits = [np.abs(found.peak_s - peak / 250).min() < 0.05 for peak in truth["peak"]]
        assert np.mean(hits) > 0.9 and len(found) <= len(truth) + 3


def test_history(pre, segmenter_of):
    found = segmenter_of(pre, max_epochs=2).fit(X, Y)
    assert len(found.history_) == found.n_iter_ == 2
    for k, row in enumerate(found.history_):
        assert row["epoch"] == k + 1 and np.isfinite(row["train_loss"]) and row["seconds"] > 0
        assert "valid_loss" not in row
    assert found.history_[0]["lr"] > found.history_[1]["lr"] > 0


# What it predicts


def test_shapes_and_types(fitted):
    proba, labels = fitted.predict_proba(X), fitted.predict(X)
    assert proba.shape == (4, 12, 600, 4) and proba.dtype == np.float32
    assert labels.shape == (4, 12, 600) and labels.dtype == np.int8
    np.testing.assert_allclose(proba.sum(-1), 1, atol=1e-5)
    assert proba.min() >= 0 and np.array_equal(labels, proba.argmax(-1))
    assert fitted.classes_.tolist() == [0, 1, 2, 3] and fitted.n_features_in_ == 12 and fitted.device_ == "cpu"
    assert all(isinstance(a, np.ndarray) for a in weights(fitted).values())


def test_score_is_the_mean_dice(learned):
    X, Y = LESSON.data, np.repeat(LESSON.masks[:, None], 12, axis=1)
    found = learned.predict(X)
    assert learned.score(X, Y) == pytest.approx(dice(Y, found)) == pytest.approx(learned.score(X, LESSON.masks))
    # Ignored samples do not count, and neither does a wave that is in no mask and in no prediction.
    ignored = np.where(found == Y, Y, -1)
    assert learned.score(X, ignored) == 1
    assert learned.score(X, list(found)) == 1
    assert learned.score(X, np.where(found == 3, 3, -1)) == 1
    assert learned.score(X, np.zeros_like(Y)) == 0


def test_score_of_records_without_a_wave(segmenter_of):
    found = segmenter_of(BeatSSLPretrainer(**TINY), max_epochs=0).fit(X, Y)
    unet = found.unet_
    silent = {name: np.zeros_like(a) if name.startswith("head") else a for name, a in unet.weights.items()}
    found.unet_ = FittedUNet(unet.encoder, silent, unet.fs_model, unet.widths)
    assert not found.predict(X).any() and found.score(X, np.zeros_like(Y)) == 1


@pytest.mark.parametrize("y", [Y[:3], None, {0: Y[0]}, Y[:, 1:], np.full(Y.shape, -1)])
def test_score_checks_masks(fitted, y):
    with pytest.raises((TypeError, ValueError), match="masks|record 0"):
        fitted.score(X, y)


def test_table(learned):
    X = LESSON.data[:3]
    table = learned.delineate(X)
    assert tuple(table.columns) == TABLE_COLUMNS
    assert (table.dtypes == empty_table().dtypes).all() and list(table.index) == list(range(len(table)))
    assert set(table.wave) == {"P", "QRS", "T"} and set(table.record) == {0, 1, 2} and set(table.lead) == set(ECG.leads)
    assert (table.onset < table.peak).all() and (table.peak < table.offset).all()
    assert (table.onset > -1).all() and (table.offset < X.shape[2]).all() and table.confidence.between(0, 1).all()
    for mark in ("onset", "peak", "offset"):
        np.testing.assert_allclose(table[mark] / 250, table[f"{mark}_s"])
    lead = table.lead.map(ECG.leads.index)
    order = np.lexsort((table.onset, lead, table.record))
    assert np.array_equal(order, np.arange(len(table)))
    same = (np.diff(table.record) == 0) & (np.diff(lead) == 0)
    assert (table.onset.to_numpy()[1:] >= table.offset.to_numpy()[:-1])[same].all()
    labels = learned.predict(X)
    middle = ((table.onset + table.offset) / 2).round().astype(int)
    code = table.wave.map({"P": 1, "QRS": 2, "T": 3})
    assert (labels[table.record, lead, middle] == code).mean() > 0.95


def test_consensus_rows_come_behind_those_of_the_leads(learned):
    X = LESSON.data[:2]
    plain, table = learned.delineate(X), learned.delineate(X, consensus=True)
    agreed = table.lead == CONSENSUS
    assert table[~agreed].reset_index(drop=True).equals(plain)
    assert (table.dtypes == plain.dtypes).all() and agreed.any() and list(table.index) == list(range(len(table)))
    for record in (0, 1):
        flags = agreed[table.record == record].to_numpy()
        assert flags.any() and (np.diff(flags.astype(int)) >= 0).all()
    assert (np.diff(table.record) >= 0).all()


def test_parameters_of_the_waves_are_passed_on(learned):
    X = LESSON.data[:2]
    plain = learned.delineate(X)
    strict = copy.copy(learned).set_params(wave_params={"min_confidence": 0.9, "need_qrs": False}).delineate(X)
    assert 0 < len(strict) < len(plain) and strict.confidence.min() >= 0.9 > plain.confidence.min()
    wrong = copy.copy(learned).set_params(wave_params={"confidence": 0.9})
    with pytest.raises(ValueError, match=r"wave_params may hold \[.*'max_gap', .*got \['confidence'\]"):
        wrong.delineate(X)


def test_bf16_stays_close(learned):
    X = LESSON.data[:2]
    exact = learned.predict_proba(X)
    rough = copy.copy(learned).set_params(precision="bf16").predict_proba(X)
    assert rough.dtype == np.float32 and 0 < np.abs(exact - rough).mean() < 0.02
    assert (exact.argmax(-1) == rough.argmax(-1)).mean() > 0.97


class Averages(torch.nn.Module):
    """An encoder of somebody else: no stages, no layers of this package."""

    stride, n_dims, n_dims_record, receptive_field = 4, 6, 6, 0.04

    def __init__(self, fs_model):
        super().__init__()
        self.mix = torch.nn.Conv1d(12, self.n_dims, 4, 4)
        self.norm = torch.nn.BatchNorm1d(self.n_dims)

    def forward(self, x):
        x = torch.nn.functional.pad(x.transpose(1, 2), (0, -x.shape[1] % 4))
        return self.norm(self.mix(x)).transpose(1, 2)

    def pool(self, e):
        return e.float().mean(1)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_encoders_of_others(precision, segmenter_of):
    given = BeatSSLPretrainer(**(TINY | {"encoder": Averages, "encoder_params": None}))
    found = segmenter_of(given, precision=precision).fit(X, Y)
    assert found.predict(X).shape == X.shape
    assert found.encoder_.weights["norm.running_mean"].any()


@pytest.mark.parametrize("encoder", ["resnet1d"])
def test_encoders_without_stages(encoder, segmenter_of):
    given = BeatSSLPretrainer(**(TINY | {"encoder": encoder, "encoder_params": {"width": 4}}))
    assert segmenter_of(given).fit(X, Y).predict(X).shape == X.shape


# What it starts from


def test_an_unfitted_pretrainer_says_which_encoder(pre, segmenter_of):
    given = BeatSSLPretrainer(encoder_params={"size": "s"})
    found = segmenter_of(given, fs=FS, max_epochs=0).fit(X, Y)
    assert found.encoder_.weights[CONV].shape[0] == 32 and not hasattr(given, "encoder_")
    assert RhythmEmbedder(found).transform(X).shape == (4, 10 * 96)


def test_without_a_pretrainer_the_default_encoder_starts_from_scratch(segmenter_of):
    first, again, other = (segmenter_of(None, fs=FS, max_epochs=0, random_state=seed).fit(X, Y) for seed in (0, 0, 1))
    shipped = segmenter_of("ptbxl", fs=FS, max_epochs=0).fit(X, Y)
    assert {k: a.shape for k, a in weights(first).items()} == {k: a.shape for k, a in weights(shipped).items()}
    conv = first.encoder_.weights[CONV]
    assert np.array_equal(conv, again.encoder_.weights[CONV])
    for differing in (other, shipped):
        assert not np.array_equal(conv, differing.encoder_.weights[CONV])


def test_a_name_a_file_and_what_is_fitted_are_the_same(pre, tmp_path, segmenter_of):
    save(pre, tmp_path / "model.bssl")
    expected = segmenter_of(pre).fit(X, Y)
    embedder = RhythmEmbedder(pre)
    for given in (tmp_path / "model.bssl", str(tmp_path / "model.bssl"), pre.encoder_, embedder):
        found = clone(segmenter_of(given)).fit(X, Y)
        assert np.array_equal(found.predict_proba(X), expected.predict_proba(X))
    small = segmenter_of("ptbxl-s", fs=FS, max_epochs=0).fit(X, Y)
    assert np.array_equal(small.encoder_.weights[CONV], load("ptbxl-s").encoder_.weights[CONV])


def test_it_starts_from_another_segmenters_encoder(fitted, segmenter_of):
    found = segmenter_of(fitted, max_epochs=0, random_state=9).fit(X, Y)
    assert all(np.array_equal(a, found.encoder_.weights[name]) for name, a in fitted.encoder_.weights.items())
    assert not np.array_equal(found.unet_.weights["head.conv.weight"], fitted.unet_.weights["head.conv.weight"])


def test_a_fitted_pretrainer_is_never_changed(pre, segmenter_of):
    before = joblib.hash(pre)
    found = segmenter_of(pre, fs=200, leads=ECG.leads, lr=1e-2).fit(X, Y)
    assert joblib.hash(pre) == before
    assert not np.array_equal(found.encoder_.weights[CONV], pre.encoder_.weights[CONV])
    assert found.pretrainer is pre and pre.fs == FS and pre.leads is None


def test_the_encoder_embeds_as_any_other(pre, segmenter_of):
    # Half the rate: a heart of half the speed, of which a warning would tell.
    described = {"fs": 50, "leads": ["V1", "II"], "check": "ignore"}
    found = segmenter_of(pre, lr=1e-2, **described).fit(X[:, :2], Y)
    encoder = found.encoder_
    assert isinstance(encoder, FittedEncoder) and encoder is found.unet_.encoder
    assert encoder.fs == 50 and tuple(encoder.leads) == ("V1", "II") and encoder.n_leads == 2
    embedded = RhythmEmbedder(found, check="ignore").transform(X[:, :2])
    assert embedded.shape == (4, 80) and np.isfinite(embedded).all()
    assert np.array_equal(RhythmEmbedder(encoder, check="ignore").transform(X[:, :2]), embedded)
    before = RhythmEmbedder(pre, **described).transform(X[:, :2])
    assert not np.allclose(embedded, before)
    assert encoder.weights.keys() == pre.encoder_.weights.keys()


# As an estimator


def test_one_seed_gives_the_same_bits(pre, segmenter_of):
    first, again, other = (segmenter_of(pre, max_epochs=2, random_state=seed).fit(X, Y) for seed in (5, 5, 6))
    assert same_weights(first, again)
    assert np.array_equal(first.predict_proba(X), again.predict_proba(X))
    assert first.delineate(X).equals(again.delineate(X))
    assert not np.array_equal(first.unet_.weights["head.conv.weight"], other.unet_.weights["head.conv.weight"])
    refitted = again.fit(X, Y)
    assert refitted is again and np.array_equal(first.predict_proba(X), again.predict_proba(X))


def test_windows_are_drawn_from_the_seed(pre, monkeypatch, segmenter_of):
    draws = []

    def draw(self, record, rng):
        draws.append(rng.random())
        raise KeyboardInterrupt

    monkeypatch.setattr("beatssl_sklearn.segmentation.batches.WaveBatches._window", draw)
    for seed in (5, 5, 6):
        with pytest.raises(KeyboardInterrupt):
            segmenter_of(pre, random_state=seed).fit(X, Y)
    assert draws[0] == draws[1] != draws[2]


def test_a_random_state_moves_on(pre, segmenter_of):
    for state in (check_random_state(0), None):
        first, second = (segmenter_of(pre, max_epochs=0, random_state=state).fit(X, Y).unet_.weights for _ in "ab")
        assert not np.array_equal(first["stem.conv.weight"], second["stem.conv.weight"])


def test_global_random_states_stay(pre, segmenter_of):
    def states():
        numpys = check_random_state(None).get_state()  # the global one
        return random.getstate(), numpys[1].tolist(), numpys[2], torch.get_rng_state().tolist()

    before = states()
    found = segmenter_of(pre, validation_fraction=0.3).fit(X, Y)
    found.delineate(X)
    found.score(X, Y)
    assert states() == before


def test_input_is_left_as_it_is(fitted, segmenter_of):
    """X and Y are read-only throughout this file; what is writable is not written to either."""
    signal, masks = X.copy(), np.repeat(Y[:, None], 12, axis=1)
    expected = masks.copy()
    segmenter_of(fitted.pretrainer).fit(signal, masks).predict(signal)
    assert np.array_equal(signal, X) and np.array_equal(masks, expected)
    augment, waves, widths = WaveAugment(stretch=1.2), {"max_gap": 0.01}, [8, 8, 8, 8]
    found = segmenter_of(fitted.pretrainer, augment=augment, wave_params=waves, widths=widths).fit(X, Y)
    found.delineate(X)
    assert found.augment is augment == WaveAugment(stretch=1.2) and found.wave_params is waves == {"max_gap": 0.01}
    assert found.widths is widths == [8, 8, 8, 8]


def test_copies_predict_the_same(fitted, tmp_path):
    expected = fitted.predict_proba(X)
    joblib.dump(fitted, tmp_path / "segmenter.joblib")
    revived = joblib.load(tmp_path / "segmenter.joblib")
    for other in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted), copy.copy(fitted), revived):
        assert np.array_equal(other.predict_proba(X), expected)
        assert joblib.hash(other) == joblib.hash(fitted)
        assert other.delineate(X).equals(fitted.delineate(X))
    assert b"torch" not in pickle.dumps(fitted)


def test_another_version_is_warned_of(fitted):
    other = copy.deepcopy(fitted)
    state = other.__getstate__()
    state["_beatssl_version"] = "0.0.1"
    with pytest.warns(UserWarning, match="WaveSegmenter was pickled by version 0.0.1"):
        other.__setstate__(state)


def test_clone_keeps_the_encoder_and_forgets_the_fit(fitted, pre, segmenter_of):
    copied = clone(fitted)
    assert copied.pretrainer.encoder_.weights is pre.encoder_.weights
    assert own_parameters(copied) == own_parameters(fitted)
    assert not hasattr(copied, "unet_") and not hasattr(copied, "encoder_")
    with pytest.raises(NotFittedError):
        copied.predict(X)
    given = segmenter_of(BeatSSLPretrainer(**TINY))
    copied = clone(given)
    assert copied.pretrainer is not given.pretrainer and not hasattr(copied.pretrainer, "encoder_")


@pytest.mark.parametrize(
    "changes",
    [
        {"fs": 250, "leads": ["II"], "max_epochs": 7},
        {"objective__temperature": 0.7},
        {"objective__views__angle": 30.0},
    ],
)
@pytest.mark.parametrize("views_given", [False, True])
def test_what_is_set_on_a_clone_does_not_reach_the_pretrainer_given(changes, views_given, segmenter_of):
    objective = BeatSSL(views=VCGViews() if views_given else None)
    given = BeatSSLPretrainer(**TINY).set_params(objective=objective).fit(X)
    before = joblib.hash(given)
    copied = clone(segmenter_of(given))
    with warnings.catch_warnings():
        # Parameters of a training that is over do nothing.
        warnings.filterwarnings("ignore", "pretrainer__.* is set, but the pretrainer is fitted", UserWarning)
        copied.set_params(**{f"pretrainer__{name}": value for name, value in changes.items()})
    found = copied.get_params()
    assert all(found[f"pretrainer__{name}"] == value for name, value in changes.items())
    assert joblib.hash(given) == before


def test_parameters(pre, segmenter_of):
    found = segmenter_of(pre)
    assert found.set_params(lr=0.5, wave_params={"max_gap": 0.1}) is found
    params = found.get_params(deep=False)
    assert params["lr"] == 0.5 and params["wave_params"] == {"max_gap": 0.1} and params["pretrainer"] is pre
    assert WaveSegmenter(**params).get_params(deep=False) == params
    assert found.get_params()["pretrainer__fs"] == FS
    assert WaveSegmenter().get_params()["pretrainer"] == "ptbxl"
    with pytest.raises(ValueError, match="Invalid parameter 'depth'"):
        found.set_params(depth=3)
    assert "WaveSegmenter(" in repr(found) and "stem.conv" not in repr(found)


def test_nested_parameters(pre, segmenter_of):
    found = segmenter_of(pre)
    assert found.augment is None
    found.set_params(augment__noise=0.25, augment__gain=2.0)
    assert found.augment == WaveAugment(noise=0.25, gain=2.0)
    copied = clone(found)
    assert copied.augment == found.augment and copied.augment is not found.augment
    copied.set_params(augment__noise=0.0)
    assert found.augment.noise == 0.25 and copied.get_params()["augment__noise"] == 0.0
    with pytest.raises(ValueError, match="Invalid parameter 'turn'"):
        found.set_params(augment__turn=1)
    quiet, loud = (clone(found).set_params(augment__noise=noise).fit(X, Y) for noise in (0.0, 1.0))
    assert not same_weights(quiet, loud)
    default = segmenter_of(pre, augment=WaveAugment()).fit(X, Y)
    assert same_weights(default, segmenter_of(pre).fit(X, Y))


@pytest.mark.parametrize(("parameter", "value"), [("fs_model", 250), ("widths", (8, 8, 8, 16))])
def test_what_describes_the_network_is_not_changed_under_it(fitted, parameter, value):
    other = copy.copy(fitted).set_params(**{parameter: value})
    for use in (other.predict, other.predict_proba, other.delineate, lambda X: other.score(X, Y)):
        with pytest.raises(ValueError, match=f"{parameter}=.* was set after fit.*call fit again"):
            use(X)
    assert other.set_params(**{parameter: getattr(fitted, parameter)}).predict(X).shape == X.shape
    same = copy.copy(fitted).set_params(fs_model=100.0, widths=np.array([8, 8, 8, 8]))
    assert np.array_equal(same.predict_proba(X), fitted.predict_proba(X))


def test_groups_are_an_argument_by_name(pre, segmenter_of):
    with pytest.raises(TypeError, match="positional"):
        segmenter_of(pre).fit(X, Y, PATIENT)


def test_a_name_is_no_trained_segmenter():
    with pytest.raises(NotFittedError, match="only the encoder that `fit` starts from.*load.'waves'"):
        WaveSegmenter("waves").delineate(np.zeros((1, 12, 5000), dtype=np.float32))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "delineate"])
def test_it_must_be_fitted(pre, method, segmenter_of):
    with pytest.raises(NotFittedError, match="WaveSegmenter"):
        getattr(segmenter_of(pre), method)(X)
    with pytest.raises(NotFittedError, match="WaveSegmenter"):
        segmenter_of(pre).score(X, Y)


def test_tags(pre, segmenter_of):
    tags = get_tags(segmenter_of(pre, allow_nan=True))
    assert tags.input_tags.three_d_array and tags.input_tags.allow_nan and not tags.input_tags.sparse
    assert tags.target_tags.required and tags.requires_fit and not get_tags(segmenter_of(pre)).input_tags.allow_nan


def test_search(pre, segmenter_of):
    search = GridSearchCV(segmenter_of(pre), {"lr": [1e-3, 1e-2]}, cv=2, error_score="raise").fit(X, Y)
    assert search.predict(X).shape == X.shape and 0 <= search.best_score_ <= 1
    assert search.best_estimator_.pretrainer.encoder_.weights is pre.encoder_.weights
    assert search.score(X, Y) == search.best_estimator_.score(X, Y)


def test_cross_validation(pre, segmenter_of):
    scores = cross_val_score(segmenter_of(pre), X, list(Y), groups=PATIENT, cv=GroupKFold(2), error_score="raise")
    assert scores.shape == (2,) and np.isfinite(scores).all()
    assert cross_val_predict(segmenter_of(pre), X, Y, cv=2).shape == X.shape


def test_last_step_of_a_pipeline(pre, fitted, segmenter_of):
    microvolts = 1000 * X.astype(np.float64)
    model = make_pipeline(FunctionTransformer(millivolts), segmenter_of(pre)).fit(microvolts, Y)
    np.testing.assert_allclose(model.predict_proba(microvolts), fitted.predict_proba(X), atol=1e-3)
    assert model.score(microvolts, Y) == pytest.approx(fitted.score(X, Y), abs=0.02)


def test_a_second_fit_is_what_is_used(pre, segmenter_of):
    found = segmenter_of(pre, lr=1e-2).fit(X, Y)
    first = found.predict_proba(X)
    found.set_params(max_epochs=2).fit(X[::-1], Y[::-1])
    assert not np.array_equal(found.predict_proba(X), first)
    assert np.array_equal(copy.deepcopy(found).predict_proba(X), found.predict_proba(X))


def test_it_is_silent_unless_asked(pre, capsys, segmenter_of):
    segmenter_of(pre).fit(X, Y).predict(X)
    assert capsys.readouterr() == ("", "")
    segmenter_of(pre, verbose=1).fit(X, Y)
    assert "segment" in capsys.readouterr().err


# In a file


@pytest.mark.parametrize("kind", ["name", "path", "estimator", "encoder", "segmenter", "none", "unfitted"])
def test_it_is_read_back_from_a_file(kind, pre, fitted, tmp_path, segmenter_of):
    save(pre, tmp_path / "pre.bssl")
    given = {
        "name": "ptbxl-s",
        "path": str(tmp_path / "pre.bssl"),
        "estimator": pre,
        "encoder": pre.encoder_,
        "segmenter": fitted,
        "none": None,
        "unfitted": BeatSSLPretrainer(**TINY),
    }[kind]
    augment = WaveAugment(noise=0.3)
    every = {"max_gap": 0.05, "min_confidence": 0}
    changes = {"fs": FS, "augment": augment, "wave_params": every, "leads": ("I", "V2"), "lr": 1e-3}
    found = segmenter_of(given, **changes).fit(X[:, [0, 7]], Y)
    save(found, tmp_path / "waves.bssl")
    (tmp_path / "pre.bssl").unlink()
    for revived in (load(tmp_path / "waves.bssl"), WaveSegmenter.load(tmp_path / "waves.bssl")):
        assert np.array_equal(revived.predict_proba(X[:, [0, 7]]), found.predict_proba(X[:, [0, 7]]))
        assert revived.delineate(X[:, [0, 7]]).equals(found.delineate(X[:, [0, 7]]))
        assert same_weights(revived, found) and revived.history_ == found.history_
        assert (revived.n_iter_, revived.device_, revived.n_features_in_) == (1, "cpu", 2)
        assert own_parameters(revived) == own_parameters(found) and revived.augment == augment
        embedded = (RhythmEmbedder(segmenter).transform(X[:, [0, 7]]) for segmenter in (revived, found))
        assert np.array_equal(*embedded)
        if kind in {"name", "none"}:
            assert revived.pretrainer == given
        elif kind == "unfitted":
            assert isinstance(revived.pretrainer, BeatSSLPretrainer) and not hasattr(revived.pretrainer, "encoder_")
        else:
            # The encoder that it began with: trained again, it sees nothing of these labels.
            begun = fitted if kind == "segmenter" else pre
            assert isinstance(revived.pretrainer, FittedEncoder)
            assert np.array_equal(revived.pretrainer.weights[CONV], begun.encoder_.weights[CONV])
            assert not np.array_equal(revived.encoder_.weights[CONV], begun.encoder_.weights[CONV])
    assert found.pretrainer is given


def test_what_is_read_back_begins_as_the_saved_one_did(fitted, pre, tmp_path):
    save(fitted, tmp_path / "waves.bssl")
    revived = load(tmp_path / "waves.bssl")
    begun = clone(revived).set_params(max_epochs=0).fit(X, Y)
    assert np.array_equal(begun.encoder_.weights[CONV], pre.encoder_.weights[CONV])
    # Training goes on from what was trained where that is asked for.
    further = clone(revived).set_params(max_epochs=0, pretrainer=revived.encoder_).fit(X, Y)
    assert np.array_equal(further.encoder_.weights[CONV], fitted.encoder_.weights[CONV])


def test_files_of_others_are_refused(pre, tmp_path, segmenter_of):
    save(pre, tmp_path / "encoder.bssl")
    with pytest.raises(ValueError, match="holds a BeatSSLPretrainer, not a WaveSegmenter"):
        WaveSegmenter.load(tmp_path / "encoder.bssl")
    with pytest.raises(OSError, match="no-such-model"):
        WaveSegmenter.load("no-such-model")
    with pytest.raises(NotFittedError):
        save(segmenter_of(pre), tmp_path / "waves.bssl")
    assert not (tmp_path / "waves.bssl").exists()


# What it refuses


@pytest.mark.parametrize(
    ("parameter", "value", "error"),
    [
        ("fs", 10, ValueError),
        ("fs", "fast", TypeError),
        ("leads", ["II", "V9"], ValueError),
        ("leads", ["II", "V2"], ValueError),
        ("pretrainer", LogisticRegression(), TypeError),
        ("pretrainer", BeatSSLPretrainer, TypeError),
        ("pretrainer", WaveSegmenter(), TypeError),
        ("pretrainer", "no-such-model", OSError),
        ("random_state", "now", ValueError),
    ],
)
def test_parameters_are_checked_and_named(pre, parameter, value, error, segmenter_of):
    """Those of a training are checked in `test_run.py`."""
    found = segmenter_of(pre).set_params(**{parameter: value})
    with pytest.raises(error) as caught:
        found.fit(X, Y)
    message = str(caught.value)
    assert value == "no-such-model" or parameter in message
    assert str(value).strip("[]()").split(",")[0].strip("'\"") in message
    assert not hasattr(found, "unet_")


def test_the_parameters_of_an_unfitted_pretrainer_are_checked(segmenter_of):
    with pytest.raises(ValueError, match="encoder_params"):
        segmenter_of(BeatSSLPretrainer(encoder_params={"depth": 3}), fs=FS).fit(X, Y)


# Without an encoder


BARE = {
    "context": "leads", "fs": FS, "fs_model": 100, "widths": (8, 8, 8, 8), "max_epochs": 1, "batch_size": 2,
    "augment": WaveAugment(p_exchange=0.5, inverted=0.2, high_pass=0.5), "random_state": 0, "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="module")
def bare():
    return WaveSegmenter("ptbxl-s", **BARE).fit(X, Y)


def test_a_segmenter_without_an_encoder_is_saved_and_has_none(bare, tmp_path):
    save(bare, tmp_path / "bare.bssl")
    found = load(tmp_path / "bare.bssl")
    assert np.array_equal(found.predict_proba(X[:2]), bare.predict_proba(X[:2]))
    assert not hasattr(found, "encoder_") and (tmp_path / "bare.bssl").stat().st_size < 100_000
    with pytest.raises(TypeError, match="must have an encoder_, which WaveSegmenter does not"):
        RhythmEmbedder(found).fit_transform(X)


def test_names_of_leads_do_not_matter_without_an_encoder(bare):
    one, pair = X[:2, [1]], X[:2, [1, 7]]
    for signals, names in ((one, [("II",), ("V5",)]), (pair, [("II", "V2"), ("V5", "V6")])):
        first, second = (clone_of(bare, leads=leads).predict_proba(signals) for leads in names)
        # A lead's place among the twelve changes the order of sums, and with it the rounding.
        np.testing.assert_allclose(first, second, atol=1e-4)


def clone_of(segmenter, **params):
    return copy.copy(segmenter).set_params(**params)


def test_records_of_other_leads_train_together():
    from beatssl_sklearn import ECGRecord

    two = [ECGRecord(x[[1, 7]], FS, ("II", "V2")) for x in X[:2]]
    every = [ECGRecord(x, FS, ECG.leads) for x in X[2:]]
    masks = [*Y[:2], *Y[2:]]
    fitted = WaveSegmenter("ptbxl-s", **BARE).fit(two + every, masks, sample_weight=[2, 2, 1, 1])
    assert np.isfinite(fitted.history_[-1]["train_loss"])


@pytest.mark.parametrize("context", ["encoder", "leads"])
def test_records_of_weight_zero_are_not_learnt_from(context):
    params = {**BARE, "context": context, "widths": (8, 8, 8, 8), "max_epochs": 1}
    weight = np.array([1.0, 1.0, 0.0, 0.0])
    wrong = np.concatenate([Y[:2], np.where(Y[2:] > 0, 3 - Y[2:] % 3, Y[2:])]).astype(Y.dtype)
    start = BeatSSLPretrainer(**TINY).fit(X)
    first, second = (WaveSegmenter(start, **params).fit(X, y, sample_weight=weight) for y in (Y, wrong))
    assert np.array_equal(first.predict_proba(X), second.predict_proba(X))


def test_bad_weights_and_context():
    with pytest.raises(ValueError, match="sample_weight must hold one weight per record: shape .3,. for 4 records"):
        WaveSegmenter("ptbxl-s", **BARE).fit(X, Y, sample_weight=[1, 1, 1])
    with pytest.raises(ValueError, match="context must be one of encoder, leads, got 'none'"):
        WaveSegmenter("ptbxl-s", **{**BARE, "context": "none"}).fit(X, Y)
    with pytest.raises(ValueError, match="fs_model must be a multiple of 50 Hz with 5 widths, got 125"):
        WaveSegmenter("ptbxl-s", **{**BARE, "fs_model": 125, "widths": (8,) * 5}).fit(X, Y)


# Confidences


def test_a_network_that_is_sure_of_nothing_says_so(learned, fitted):
    never = copy.copy(learned).set_params(wave_params={"min_confidence": 1.0})
    n_all = len(copy.copy(learned).set_params(wave_params={"min_confidence": 0}).delineate(LESSON.data))
    said = rf"{n_all} waves were found and none reaches min_confidence=1.0 \(wave_params\): calibrate"
    with pytest.warns(UserWarning, match=said) as caught:
        assert never.delineate(LESSON.data).empty
    assert len(caught) == 1 and caught[0].filename == __file__
    with pytest.warns(UserWarning, match="none reaches min_confidence"):
        measures = WaveMeasures(never, fs=250).set_output(transform="pandas").fit_transform(LESSON.data)
    assert measures["rr"].isna().all()
    # Nothing at all was found.
    assert never.set_params(check="ignore").delineate(np.zeros((1, 12, 1000))).empty


def test_the_network_runs_once_whatever_is_found(learned, monkeypatch):
    seen = []
    labelled = inference._label
    monkeypatch.setattr(inference, "_label", lambda *args: seen.append(0) or labelled(*args))
    for least in (0, 0.9, 1.0):
        seen.clear()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            copy.copy(learned).set_params(wave_params={"min_confidence": least}).delineate(np.tile(LESSON.data, 2))
        assert len(seen) == len(windows(2 * LESSON.data.shape[2], 250)) > 1


def test_calibrated_confidences_are_told_kept_in_files_and_thresholds_of_waves(learned, tmp_path):
    # Noisy enough that some waves are wrong.
    hard = make_ecg(6, rhythm="af", fs=250, noise=0.15, random_state=3)
    X, every = hard.data, {"min_confidence": 0, "sure_p": None, "steady_p": None, "need_qrs": False}
    calibrated = WaveSegmenter.load(saved(learned, tmp_path / "a.bssl")).set_params(wave_params=every)
    before = calibrated.delineate(X)
    assert calibrated.calibrate(np.concatenate([X, LESSON.data]), marks_of(hard) + marks_of(LESSON)) is calibrated
    after = calibrated.delineate(X)
    assert len(after) == len(before) and not np.allclose(after.confidence, before.confidence)
    expected = calibrated.unet_.calibration(before.confidence, before.wave)
    assert np.allclose(after.confidence, expected, atol=1e-6)
    again = WaveSegmenter.load(saved(calibrated, tmp_path / "b.bssl")).delineate(X)
    assert again.equals(after)
    # Where all waves of a kind are right, all have one probability.
    kind = max(("P", "QRS", "T"), key=lambda wave: np.ptp(after[after.wave == wave].confidence))
    own = after[after.wave == kind].confidence
    least = float((own.min() + own.max()) / 2)
    limits = tuple(least if wave == kind else 0 for wave in ("P", "QRS", "T"))
    fewer = calibrated.set_params(wave_params=every | {"min_confidence": limits}).delineate(X)
    assert 0 < (fewer.wave == kind).sum() < len(own) and fewer[fewer.wave == kind].confidence.min() >= least - 1e-6
    lonely = calibrated.set_params(wave_params={"min_confidence": 0, "sure_p": (1.0, 1.0)}).delineate(X)
    assert not (lonely.wave == "P").any() and (lonely.wave == "T").any()
    with pytest.raises(ValueError, match="wave_params=.*min_confidence must be from 0 to 1"):
        calibrated.set_params(wave_params={"min_confidence": 1.5}).delineate(X)


def saved(segmenter, path):
    save(segmenter, path)
    return path


def marks_of(ecg):
    """One dict of lead to dict of wave to marks for each record: simulated waves are those of all leads."""
    names = ("onset", "peak", "offset")
    of_record = [
        {w: np.stack([rows[rows["wave"] == w][k] for k in names], axis=1) for w in ("P", "QRS", "T")}
        for rows in ecg.waves
    ]
    return [dict.fromkeys(ecg.leads, kinds) for kinds in of_record]
