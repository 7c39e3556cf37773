"""BeatSSLPretrainer: what a fit does, what it refuses, and that it can be repeated bit for bit."""

import copy
import itertools
import random

import joblib
import numpy as np
import pandas
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import check_random_state
from skorch.callbacks import Callback, EarlyStopping

from beatssl_sklearn import (
    PAPER_PRESET,
    BeatSSL,
    BeatSSLPretrainer,
    ECGRecord,
    NoViews,
    VCGViews,
    WFDBFolder,
    make_ecg,
)

FS, N_RECORDS, N_DIMS = 100, 10, 12
TINY = {
    "fs": FS,
    "encoder_params": {"widths": (8, 16, 24), "n_dims": N_DIMS},
    "max_epochs": 1,
    "batch_size": 5,
    "random_state": 0,
    "device": "cpu",
}
ECG = make_ecg(N_RECORDS, rhythm="mixed", fs=FS, duration=4, records_per_patient=2, random_state=0)
ECG.data.setflags(write=False)
X = ECG.data


OF_THE_OBJECTIVE = set(BeatSSL().get_params(deep=False))


def make(**params):
    """Make a small pretrainer; parameters of the objective are given to it."""
    own = {name: params.pop(name) for name in OF_THE_OBJECTIVE & set(params)}
    return BeatSSLPretrainer(**({"objective": BeatSSL(**({"projection_dim": 8} | own))} | TINY | params))


@pytest.fixture(scope="module")
def fitted():
    return make().fit(X)


def same_weights(a, b):
    a, b = ({**est.encoder_.weights, **est.heads_} for est in (a, b))
    return list(a) == list(b) and all(np.array_equal(a[k], b[k]) for k in a)


# What a fit leaves behind


def test_shapes_and_attributes(fitted):
    z = fitted.transform(X)
    assert z.shape == (N_RECORDS, 10 * N_DIMS) and z.dtype == np.float32 and np.isfinite(z).all()
    assert (fitted.n_iter_, fitted.n_leads_, fitted.n_features_in_, fitted.device_) == (1, 12, 12, "cpu")
    assert all(isinstance(w, np.ndarray) for w in fitted.encoder_.weights.values())
    assert len(repr(fitted)) < 2000


def test_history(fitted):
    (row,) = fitted.history_
    expected = {
        *("epoch", "train_loss", "rhythm_loss", "beat_loss", "rhythm_kl", "beat_kl"),
        *("feature_loss", "beat_feature_loss"),
        *("effective_rank", "alignment", "uniformity", "lr", "records_per_second", "seconds"),
    }
    assert set(row) == expected
    assert all(np.isfinite(v) for v in row.values())
    assert row["epoch"] == 1
    weighted = (row["rhythm_loss"], 0.5 * row["beat_loss"], 4 * row["feature_loss"], 2 * row["beat_feature_loss"])
    assert row["train_loss"] == pytest.approx(sum(weighted), rel=1e-5) and min(weighted) > 0
    assert 0 <= row["rhythm_kl"] <= row["rhythm_loss"]
    assert 1 <= row["effective_rank"] <= 8


def test_training_lowers_the_loss():
    history = make(max_epochs=12, lr=3e-3, views=NoViews()).fit(X).history_
    assert [row["epoch"] for row in history] == list(range(1, 13))
    assert history[-1]["rhythm_kl"] < 0.8 * history[0]["rhythm_kl"]
    # The rate has risen within the first tenth of the steps, and then falls as a cosine to a hundredth.
    rates = [row["lr"] for row in history]
    assert rates == sorted(rates, reverse=True) and rates[0] == 3e-3 and rates[-1] == pytest.approx(3e-5)


CHOICES = [BeatSSL.bounds[name] for name in ("rhythm_targets", "beat_targets", "similarity")]


@pytest.mark.parametrize(("rhythm", "beat", "similarity"), list(itertools.product(*CHOICES)))
def test_every_contrast_runs(rhythm, beat, similarity):
    est = make(rhythm_targets=rhythm, beat_targets=beat, similarity=similarity, exponent=4).fit(X)
    (row,) = est.history_
    assert np.isfinite(est.transform(X[:2])).all()
    assert row["rhythm_kl"] <= row["rhythm_loss"]
    assert (row["beat_loss"] == 0) == (beat == "none")


@pytest.mark.parametrize("level", ["rhythm_targets", "beat_targets", "similarity"])
def test_each_choice_changes_the_result(level, fitted):
    other = {"rhythm_targets": "paper", "beat_targets": "soft", "similarity": "cosine"}[level]
    assert not same_weights(fitted, make(**{level: other}).fit(X))


def test_no_beat_weight_is_no_beat_loss():
    a, b = make(beat_weight=0).fit(X), make(beat_targets="none").fit(X)
    assert same_weights(a, b) and a.history_[0]["beat_loss"] == 0


def test_soft_targets_of_fraction_zero_are_hard_targets():
    soft = make(rhythm_targets="soft", soft_fraction=0, max_epochs=2).fit(X)
    assert same_weights(soft, make(rhythm_targets="hard", max_epochs=2).fit(X))


def test_paper_preset():
    est = make(**PAPER_PRESET).fit(X)
    assert est.get_params()["objective__rhythm_targets"] == "paper" and est.objective.exponent == 50
    assert np.isfinite(est.transform(X)).all()


def test_no_epoch_is_the_random_initialisation():
    a, b = make(max_epochs=0).fit(X), make(max_epochs=0, beat_targets="soft", lr=1.0).fit(X[:4])
    assert a.history_ == [] and a.n_iter_ == 0
    assert same_weights(a, b), "without an epoch, only the seed and the network count"
    assert not same_weights(a, make(max_epochs=0, random_state=1).fit(X))
    assert a.transform(X).std(axis=0).max() > 0


# Groups, peaks and validation


@pytest.mark.parametrize("same_group", ["mask", "positive"])
def test_groups_change_the_contrast(same_group, fitted):
    grouped = make(same_group=same_group, batch_size=N_RECORDS).fit(X, groups=ECG.patient_id)
    plain = make(batch_size=N_RECORDS).fit(X)
    assert not same_weights(grouped, plain)
    names = np.array([f"patient {i}" for i in ECG.patient_id])
    named = make(same_group=same_group, batch_size=N_RECORDS).fit(X, groups=names)
    assert same_weights(grouped, named), "labels are names, whatever their type"


def test_groups_of_one_record_each_change_nothing():
    alone = make(same_group="mask").fit(X, groups=np.arange(N_RECORDS))
    assert same_weights(alone, make().fit(X))


@pytest.mark.parametrize("groups", [np.arange(3), np.zeros((N_RECORDS, 2)), 5])
def test_groups_of_another_shape(groups):
    with pytest.raises(ValueError, match="groups must hold one label per record"):
        make().fit(X, groups=groups)


def test_rpeaks_take_the_detectors_place():
    def detector(signal, fs):
        raise AssertionError("the detector must not run")

    given = make(rpeak_detector=detector).fit(X, rpeaks=ECG.rpeaks)
    assert all(np.isfinite(b).all() for b in given.embed(X, levels=("beat",), rpeaks=ECG.rpeaks).beat)
    with pytest.raises(AssertionError, match="must not run"):
        given.transform(X)
    assert not same_weights(given, make().fit(X, rpeaks=[r[::2] for r in ECG.rpeaks]))
    assert make().fit(X, rpeaks=[r[:0] for r in ECG.rpeaks]).history_[0]["beat_loss"] == 0


@pytest.mark.parametrize(
    ("rpeaks", "message"),
    [
        (ECG.rpeaks[:3], "rpeaks holds 3 records, X has 10"),
        ([*ECG.rpeaks[:-1], np.array([5, 400])], "rpeaks of record 9"),
        ([*ECG.rpeaks[:-1], np.array([50, 40])], "rpeaks of record 9"),
        ([ECG.rpeaks[0] / 2.0, *ECG.rpeaks[1:]], "rpeaks of record 0"),
        ([ECG.rpeaks[0][None], *ECG.rpeaks[1:]], "rpeaks of record 0"),
    ],
)
def test_rpeaks_that_cannot_be(rpeaks, message):
    with pytest.raises(ValueError, match=message):
        make().fit(X, rpeaks=rpeaks)


class Spy(Callback):
    """Notes which records the run is given."""

    def on_train_begin(self, net, X=None, **kwargs):
        SPIED.append((X.index, None if net.held_out is None else net.held_out.index))


SPIED = []


def test_validation_holds_out_whole_groups():
    SPIED.clear()
    est = make(validation_fraction=0.4, callbacks=[Spy()], max_epochs=2).fit(X, groups=ECG.patient_id)
    ((train, valid),) = SPIED
    assert len(valid) == 4 and len(train) == 6
    assert not set(ECG.patient_id[train]) & set(ECG.patient_id[valid])
    for row in est.history_:
        assert np.isfinite([row["valid_loss"], row["valid_rhythm_loss"], row["valid_beat_loss"]]).all()


def test_all_records_train_by_default(fitted):
    SPIED.clear()
    make(callbacks=[Spy()]).fit(X)
    ((train, valid),) = SPIED
    assert sorted(train) == list(range(N_RECORDS)) and valid is None
    assert not any(key.startswith("valid") for key in fitted.history_[0])


def test_validation_does_not_train():
    SPIED.clear()
    est = make(validation_fraction=0.4, callbacks=[Spy()]).fit(X)
    ((_, valid),) = SPIED
    changed = np.array(X)
    changed[valid] = changed[valid][:, :, ::-1]
    assert not np.array_equal(X, changed)
    other = make(validation_fraction=0.4, rhythm_targets="hard", beat_targets="none", feature_weight=0)
    other.set_params(objective__beat_feature_weight=0)
    assert same_weights(clone(other).fit(X), clone(other).fit(changed)), "held-out signals must not move a weight"
    assert est.n_iter_ == 1


def test_validation_that_leaves_too_little():
    with pytest.raises(ValueError, match="validation_fraction=0.5 leaves"):
        make(validation_fraction=0.5).fit(X, groups=np.zeros(N_RECORDS))


# Going on


def test_warm_start():
    est = make(warm_start=True, max_epochs=1).fit(X)
    before = copy.deepcopy(est)
    assert same_weights(est.set_params(max_epochs=0).fit(X), before), "no epoch leaves the weights as they were"
    cold = make(max_epochs=1).fit(X).set_params(max_epochs=0).fit(X)
    assert not same_weights(cold, before), "without warm_start, a fit begins anew"
    est.set_params(max_epochs=2).fit(X)
    assert est.n_iter_ == 2 and not same_weights(est, before)


class SeedRecorder:
    """Views that note the generator's seed, and change nothing."""

    seeds: list[int] = []

    def __call__(self, x, present, generator):
        self.seeds.append(generator.initial_seed())
        return x, present


def test_every_epoch_draws_views_of_its_own():
    SeedRecorder.seeds.clear()
    make(views=SeedRecorder(), batch_size=N_RECORDS, max_epochs=3).fit(X)
    assert len(set(SeedRecorder.seeds)) == 3


def test_partial_fit():
    SeedRecorder.seeds.clear()
    est = make(views=SeedRecorder(), batch_size=N_RECORDS)
    for n in (1, 2, 3):
        assert est.partial_fit(X) is est
        assert est.n_iter_ == n == len(est.history_) == est.history_[-1]["epoch"]
        assert est.history_[-1]["lr"] == est.lr
    assert len(set(SeedRecorder.seeds)) == 3, "every call must draw views and batches of its own"
    first = make(views=SeedRecorder(), batch_size=N_RECORDS).partial_fit(X)
    assert first.n_iter_ == 1 and not same_weights(first, est)


def test_partial_fit_after_fit_goes_on(fitted):
    est = copy.deepcopy(fitted).partial_fit(X[:6], groups=ECG.patient_id[:6])
    assert est.n_iter_ == 2 and not same_weights(est, fitted)
    with pytest.raises(ValueError, match="5 leads"):
        est.partial_fit(X[:, :5])


def test_networks_never_outlive_their_weights(fitted):
    """Networks that are ready to run belong to one set of weights."""
    est = copy.deepcopy(fitted)
    z = est.transform(X[:2])
    est.encoder_ = est.encoder_.fitted_with({k: v * 2 for k, v in est.encoder_.weights.items()})
    assert not np.array_equal(est.transform(X[:2]), z)
    assert np.array_equal(fitted.transform(X[:2]), z)


# Networks and views


class MeanEncoder(torch.nn.Module):
    """Smallest encoder that follows the protocol: one linear map per 2 samples."""

    def __init__(self, fs_model, n_dims=6):
        super().__init__()
        self.stride, self.n_dims, self.n_dims_record, self.receptive_field = 2, n_dims, n_dims, 2 / fs_model
        self.linear = torch.nn.Linear(24, n_dims)

    def forward(self, x):
        x = torch.nn.functional.pad(x, (0, 0, 0, x.shape[1] % 2))
        return self.linear(x.reshape(len(x), -1, 24))

    def pool(self, e):
        return e.float().square().mean(dim=1)


def doubled(x, present, generator):
    return 2 * x, present


@pytest.mark.parametrize(
    ("encoder", "params", "n_dims"),
    [("resnet1d", {"width": 4}, 3 * 32), (MeanEncoder, None, 6), (MeanEncoder, {"n_dims": 9}, 9)],
)
def test_other_encoders(encoder, params, n_dims):
    est = make(encoder=encoder, encoder_params=params).fit(X)
    width = 7 * (32 if encoder == "resnet1d" else n_dims)
    assert est.transform(X).shape == (N_RECORDS, n_dims + width)
    assert est.embed(X[:2], levels=("beat",)).beat[0].shape[1] == width
    assert np.array_equal(copy.deepcopy(est).transform(X), est.transform(X))


@pytest.mark.parametrize(
    "params",
    [
        {"views": VCGViews.three_kg()},
        {"views": NoViews()},
        {"views": doubled},
        {"views": VCGViews(angle=30, mask_ratio=0.3)},
    ],
)
def test_views(params, fitted):
    est = make(**params).fit(X)
    assert np.isfinite(est.transform(X)).all() and not same_weights(est, fitted)


# Repeatability


def test_same_seed_same_bits(fitted):
    again = make().fit(X)
    assert same_weights(fitted, again) and np.array_equal(fitted.transform(X), again.transform(X))
    with_labels = clone(fitted).fit(X, np.arange(N_RECORDS))
    assert same_weights(fitted, with_labels), "y is ignored"
    assert not same_weights(fitted, make(random_state=1).fit(X))


def test_random_state_may_be_a_generator():
    a, b = (make(random_state=np.random.RandomState(5)).fit(X) for _ in range(2))
    assert same_weights(a, b)
    shared = np.random.RandomState(5)
    first, second = make(random_state=shared).fit(X), make(random_state=shared).fit(X)
    assert same_weights(a, first) and not same_weights(first, second)


def test_without_a_seed_every_fit_differs():
    assert not same_weights(*(make(random_state=None, max_epochs=0).fit(X) for _ in range(2)))


def test_global_random_states_stay():
    numpys = check_random_state(None)  # the global one
    numpys.seed(3)
    random.seed(3)
    torch.manual_seed(3)
    before = numpys.get_state()[1].copy(), random.getstate(), torch.get_rng_state()
    make().fit(X).transform(X)
    after = numpys.get_state()[1], random.getstate(), torch.get_rng_state()
    assert np.array_equal(before[0], after[0]) and before[1] == after[1] and torch.equal(before[2], after[2])


def test_n_jobs_does_not_change_the_result(fitted):
    assert same_weights(make(n_jobs=2).fit(X), fitted)


def test_x_stays_as_it_is():
    x = np.array(X)
    make().fit(x).transform(x)
    assert np.array_equal(x, X)


def test_failed_refit_leaves_the_estimator_as_it_was(fitted):
    est = copy.deepcopy(fitted)
    with pytest.raises(ValueError, match="NaN"):
        est.fit(np.full_like(X, np.nan))
    assert same_weights(est, fitted) and np.array_equal(est.transform(X), fitted.transform(X))


# Kinds of input


def unequal_records():
    other = make_ecg(4, fs=250, duration=6, leads=["V1", "II", "V5"], random_state=1)
    brief = make_ecg(3, fs=500, duration=2.5, leads=["I", "II"], random_state=2)
    return [
        *(ECGRecord(x, 100.0, ECG.leads) for x in X[:4]),
        *(ECGRecord(x, 250.0, other.leads) for x in other.data),
        *(ECGRecord(x, 500.0, brief.leads) for x in brief.data),
    ]


def test_records_of_unequal_length_rate_and_leads():
    records = unequal_records()
    est = make(max_epochs=2).fit(records)
    z = est.transform(records)
    assert z.shape == (11, 10 * N_DIMS) and np.isfinite(z).all()
    assert est.n_leads_ == est.n_features_in_ == 12
    # A record's own rate and leads count, and not those of its neighbours.
    order = np.random.default_rng(0).permutation(11)
    np.testing.assert_allclose(est.transform([records[i] for i in order]), z[order], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(est.transform(X[:4]), z[:4], rtol=1e-4, atol=1e-5)


class Watched(np.ndarray):
    """Array that notes how many bytes each indexing takes."""

    taken: list[int] = []

    def __getitem__(self, key):
        out = super().__getitem__(key)
        if isinstance(out, np.ndarray) and self.ndim == 3:
            Watched.taken.append(out.size)
        return out


def test_memmaps_are_read_batch_by_batch(tmp_path):
    """Nothing ever takes more than one block of 64 records, and a batch of its own size."""
    n = 150
    big = np.memmap(tmp_path / "x.dat", dtype=np.float32, mode="w+", shape=(n, 12, 200))
    big[:] = np.resize(X[:, :, :200], big.shape)
    Watched.taken.clear()
    est = make(batch_size=10).fit(big.view(Watched))
    est.transform(big.view(Watched))
    one = 12 * 200
    assert max(Watched.taken) <= 64 * one
    assert sum(size == 10 * one for size in Watched.taken) >= 15 + 15
    assert same_weights(est, make(batch_size=10).fit(np.array(big)))


def write_record(folder, name, signal, fs):
    """Write format 16 by hand: one header line per lead, samples interleaved."""
    counts = np.round(signal * 1000).astype("<i2")
    lines = [f"{name} {len(signal)} {fs} {signal.shape[1]}"]
    lines += [
        f"{name}.dat 16 1000/mV 16 0 {c[0]} {int(c.astype(np.int64).sum()) & 0xFFFF} 0 {lead}"
        for c, lead in zip(counts, ECG.leads, strict=True)
    ]
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n")
    (folder / f"{name}.dat").write_bytes(counts.T.tobytes())


def test_a_folder_of_wfdb_records(tmp_path):
    for i, x in enumerate(X):
        write_record(tmp_path, f"rec{i}", x, FS)
    folder = WFDBFolder(tmp_path)
    est = make().fit(folder)
    exact = make().fit(np.round(X * 1000) / np.float32(1000))
    np.testing.assert_allclose(est.transform(folder), exact.transform(X), rtol=0.02, atol=0.02)
    np.testing.assert_allclose(est.transform(folder[2:4]), est.transform(folder)[2:4], rtol=1e-4, atol=1e-5)


def test_tables_are_records_of_one_lead():
    table = X[:, 1]
    est = make().fit(table)
    assert est.n_features_in_ == table.shape[1] and est.n_leads_ == 1
    np.testing.assert_allclose(est.transform(table), est.transform(X[:, 1:2]), rtol=1e-5, atol=1e-6)


def test_one_record_without_its_axis(fitted):
    with pytest.raises(ValueError, match=r"X\[None\]"):
        fitted.transform(X[0])


def test_nan_where_allowed():
    x = np.array(X)
    x[0, 3], x[1, :, 50:90], x[2] = np.nan, np.nan, np.nan
    with pytest.raises(ValueError, match="record 0, lead aVR"):
        make().fit(x)
    est = make(allow_nan=True).fit(x)
    z = est.transform(x)
    assert np.isnan(z[2]).all() and np.isfinite(np.delete(z, 2, axis=0)).all()
    with pytest.raises(ValueError, match="infinity"):
        est.transform(np.where(np.isnan(x), np.inf, x))


def test_too_few_records():
    with pytest.raises(ValueError, match="n_samples = 1"):
        make().fit(X[:1])
    x = np.array(X[:3])
    x[1:] = np.nan
    with pytest.raises(ValueError, match="1 of 3 records hold a sample"):
        make(allow_nan=True).fit(x)


def test_embed_returns_all_levels_in_one_pass(fitted):
    out = fitted.embed(X[:3], levels=("rhythm", "beat", "sample"))
    np.testing.assert_array_equal(out.rhythm, fitted.transform(X[:3]))
    assert [len(b) for b in out.beat] == [len(r) for r in out.rpeaks]
    assert all(b.shape[1] == 7 * N_DIMS for b in out.beat)
    assert [s.shape for s in out.sample] == [(len(t), N_DIMS) for t in out.times]
    given = fitted.embed(X[:3], rpeaks=[r[1:3] for r in ECG.rpeaks[:3]])
    assert [len(b) for b in given.beat] == [2, 2, 2] and set(given) == {"rhythm", "beat", "rpeaks"}
    with pytest.raises(ValueError, match="levels.*wave"):
        fitted.embed(X, levels=("rhythm", "wave"))
    with pytest.raises(ValueError, match="rpeaks holds 2 records"):
        fitted.embed(X[:3], rpeaks=ECG.rpeaks[:2])


# Refusals

BAD_PARAMETERS = [
    *(("fs", v) for v in (0, -500, float("nan"), "500Hz", None, True, 1e9)),
    *(("fs_model", v) for v in (10, None)),
    *(("leads", v) for v in (("I",) * 12, ("I", "II"), ("X",) * 12)),
    *(("encoder", v) for v in ("vit", 3)),
    *(("encoder_params", v) for v in ({"size": "xxl"}, {"depth": 3}, 7)),  # depth: no such parameter
    *(("projection_dim", v) for v in (0, 1.5)),
    *(("temperature", v) for v in (0, -1, float("nan"), "warm")),
    *(("rhythm_targets", v) for v in ("gentle", None)),
    *(("beat_targets", v) for v in ("paper", 1)),
    ("similarity", "dot"),
    ("exponent", -1),
    ("perplexity", 0.5),
    *(("soft_fraction", v) for v in (-0.1, 1.1)),
    ("beat_weight", -1),
    ("same_group", "negative"),
    *(("views", v) for v in ("flip", 3)),
    ("views", VCGViews(mask_ratio=2.0)),
    ("views", VCGViews(scale=(2, 1))),
    *(("objective", v) for v in (3, "no_such", BeatSSL)),
    *(("rpeak_detector", v) for v in ("unknown", 3)),
    *(("beat_window", v) for v in ((0.3,), ("a", "b"), (0, 0), (-0.1, 0.5), None)),
    *(("max_epochs", v) for v in (-1, 1.5, "x", True, None)),
    *(("batch_size", v) for v in (1, 0, -1, 2.5)),
    *(("lr", v) for v in (-1, float("nan"), "fast")),
    ("weight_decay", -0.1),
    *(("validation_fraction", v) for v in (0, 1, "x")),
    ("checkpoint_dir", 3),
    *(("device", v) for v in ("gpu9", 3, "meta")),
    ("precision", "fp8"),
    *(("random_state", v) for v in ("x", -1, 1.5)),
]


@pytest.mark.parametrize(("name", "value"), BAD_PARAMETERS)
def test_bad_parameters_are_named_by_fit(name, value):
    est = make(**{name: value})
    with pytest.raises((ValueError, TypeError)) as error:
        est.fit(X)
    message = str(error.value)
    if isinstance(value, dict):
        ((name, value),) = value.items()  # a parameter of the encoder
    elif isinstance(value, VCGViews):
        name, value = ("scale", value.scale) if value.scale == (2, 1) else ("mask_ratio", value.mask_ratio)
    elif name == "leads":
        value = value[0]
    assert name.removeprefix("rpeak_") in message, message
    assert name == "depth" or repr(value) in message or str(value) in message, message
    assert not hasattr(est, "encoder_")


def test_a_checkpoint_needs_a_seed(tmp_path):
    with pytest.raises(ValueError, match="checkpoint_dir needs a random_state"):
        make(checkpoint_dir=tmp_path, random_state=None).fit(X)
    assert not list(tmp_path.iterdir())


def test_not_fitted():
    for call in (make().transform, make().embed):
        with pytest.raises(NotFittedError):
            call(X)


def test_divergence_is_an_error_not_a_model():
    est = make(lr=1e30, max_epochs=4)
    with pytest.raises(FloatingPointError, match=r"diverged.*lr=1e\+30"):
        est.fit(X)
    assert not hasattr(est, "encoder_")


class Interrupt(Callback):
    """Raises at the beginning of an epoch, as a user's Ctrl-C or a crash would."""

    def __init__(self, epoch=3, error=KeyboardInterrupt):
        self.epoch, self.error = epoch, error

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise self.error


def test_interrupts_are_not_swallowed():
    est = make(callbacks=[Interrupt()], max_epochs=4)
    with pytest.raises(KeyboardInterrupt):
        est.fit(X)
    assert not hasattr(est, "encoder_")


# Checkpoints


class Stop(Exception):
    pass


def interrupted(folder, **params):
    est = make(max_epochs=4, checkpoint_dir=folder, callbacks=[Interrupt(3, Stop)], **params)
    with pytest.raises(Stop):
        est.fit(X)
    return folder / "training.checkpoint"


class EpochCounter(Callback):
    epochs: list[int] = []

    def on_epoch_end(self, net, **kwargs):
        self.epochs.append(len(net.history))


def test_a_resumed_run_ends_in_the_same_bits(tmp_path):
    undisturbed = make(max_epochs=4, beat_targets="soft").fit(X)
    assert interrupted(tmp_path / "run", beat_targets="soft").exists()
    EpochCounter.epochs.clear()
    resumed = make(max_epochs=4, beat_targets="soft", checkpoint_dir=tmp_path / "run", callbacks=[EpochCounter()])
    resumed.fit(X)
    assert EpochCounter.epochs == [3, 4], "two of four epochs were done"
    assert same_weights(resumed, undisturbed)
    measured = ("epoch", "train_loss", "rhythm_kl", "beat_kl", "alignment", "lr")
    assert [[r[k] for k in measured] for r in resumed.history_] == [
        [r[k] for k in measured] for r in undisturbed.history_
    ]
    EpochCounter.epochs.clear()
    resumed.fit(X)
    assert EpochCounter.epochs == [] and same_weights(resumed, undisturbed), "a finished run is not repeated"


def test_the_checkpoint_of_other_data_or_parameters_is_refused(tmp_path):
    file = interrupted(tmp_path)
    content = file.read_bytes()
    for params, x in (({}, X[::-1]), ({"temperature": 0.2}, X), ({"random_state": 1}, X), ({"batch_size": 4}, X)):
        name = next(iter(params), "data").replace("temperature", "objective__temperature")
        with pytest.raises(ValueError, match=f"checkpoint.*another run: {name} differ"):
            make(max_epochs=4, checkpoint_dir=tmp_path, **params).fit(x)
    with pytest.raises(ValueError, match="another run: data differ"):
        make(max_epochs=4, checkpoint_dir=tmp_path).fit(X, groups=ECG.patient_id)
    assert file.read_bytes() == content


def test_the_checkpoint_of_another_length_is_left_aside(tmp_path):
    interrupted(tmp_path)
    with pytest.warns(UserWarning, match="max_epochs=4.*anew"):
        other = make(max_epochs=3, checkpoint_dir=tmp_path).fit(X)
    assert same_weights(other, make(max_epochs=3).fit(X))


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_checkpoint_is_announced(tmp_path, damage):
    file = interrupted(tmp_path)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes({"cut": content[:1000], "flipped": bytes(content), "empty": b""}[damage])
    with pytest.warns(UserWarning, match="checkpoint left aside"):
        est = make(max_epochs=4, checkpoint_dir=tmp_path).fit(X)
    assert same_weights(est, make(max_epochs=4).fit(X))


def test_nothing_but_the_checkpoint_stays_in_its_folder(tmp_path):
    interrupted(tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == ["training.checkpoint"]


# Inside scikit-learn's machinery


def pipeline(**params):
    return Pipeline([("pre", make(**params)), ("head", LogisticRegression(max_iter=500))])


def test_groups_reach_fit_by_metadata_routing():
    y = np.arange(N_RECORDS) % 2
    with config_context(enable_metadata_routing=True):
        est = make(batch_size=N_RECORDS).set_fit_request(groups=True)
        pipe = Pipeline([("pre", est), ("head", LogisticRegression())]).fit(X, y, groups=ECG.patient_id)
        search = GridSearchCV(pipe, {"head__C": [1.0]}, cv=GroupKFold(2), error_score="raise")
        search.fit(X, y, groups=ECG.patient_id)
    routed = pipe.named_steps["pre"]
    assert same_weights(routed, make(batch_size=N_RECORDS).fit(X, groups=ECG.patient_id))
    assert not same_weights(routed, make(batch_size=N_RECORDS).fit(X))
    best = search.best_estimator_.named_steps["pre"]
    assert same_weights(best, routed), "the refit on all records is routed as well"


def test_rpeaks_can_be_routed():
    with config_context(enable_metadata_routing=True):
        est = make().set_fit_request(rpeaks=True)
        pipe = make_pipeline(est, LogisticRegression()).fit(X, np.arange(N_RECORDS) % 2, rpeaks=ECG.rpeaks)
    assert same_weights(pipe[0], make().fit(X, rpeaks=ECG.rpeaks))


def test_grid_search_in_two_processes():
    y = np.arange(N_RECORDS) % 2
    grid = {"pre__objective__temperature": [0.1, 0.5], "head__C": [0.1, 1.0]}
    scores = [
        GridSearchCV(pipeline(), grid, cv=2, n_jobs=n_jobs, error_score="raise")
        .fit(X, y)
        .cv_results_["mean_test_score"]
        for n_jobs in (1, 2)
    ]
    np.testing.assert_allclose(*scores)
    assert scores[0].shape == (4,)


def test_a_pipeline_with_memory_trains_once(tmp_path):
    y = np.arange(N_RECORDS) % 2
    EpochCounter.epochs.clear()
    head = LogisticRegression(max_iter=1000)
    pipe = Pipeline([("pre", make(callbacks=[EpochCounter()])), ("head", head)], memory=str(tmp_path))
    scores = [pipe.set_params(head__C=c).fit(X, y).predict_proba(X) for c in (0.01, 0.1, 1.0)]
    assert not np.allclose(scores[0], scores[2])
    assert len(EpochCounter.epochs) == 1
    again = Pipeline([("pre", make(callbacks=[EpochCounter()])), ("head", head)], memory=str(tmp_path)).fit(X, y)
    assert len(EpochCounter.epochs) == 1 and np.allclose(again.predict_proba(X), scores[2])
    pipe.set_params(pre__objective__temperature=0.2).fit(X, y)
    assert len(EpochCounter.epochs) == 2


def test_hash_of_a_fitted_estimator_is_stable(fitted):
    before = joblib.hash(fitted)
    fitted.transform(X)
    assert joblib.hash(fitted) == before == joblib.hash(copy.deepcopy(fitted))


def test_tables_for_pandas(fitted):
    names = list(fitted.get_feature_names_out())
    assert len(names) == 10 * N_DIMS and names[0] == "mean_0" and names[-1] == f"beat7_{N_DIMS - 1}"
    frame = make().set_output(transform="pandas").fit_transform(X)
    assert isinstance(frame, pandas.DataFrame) and list(frame.columns) == names
    np.testing.assert_array_equal(frame.to_numpy(), fitted.transform(X))


def test_silent_by_default_and_a_bar_on_request(capfd):
    make().fit(X).transform(X)
    assert capfd.readouterr() == ("", "")
    make(verbose=1, max_epochs=2).fit(X)
    out, err = capfd.readouterr()
    assert out == "" and "epoch 2/2, loss" in err and "features" in err


def test_every_warm_fit_with_checkpoints_trains(tmp_path):
    est = make(max_epochs=1, checkpoint_dir=tmp_path, warm_start=True).fit(X)
    first = copy.deepcopy(est)
    assert not same_weights(est.fit(X), first), "the checkpoint of the first fit is not the second one's"
    plain = make(max_epochs=1, warm_start=True).fit(X).fit(X)
    assert same_weights(est, plain)


# Early stopping and checkpoints


def stopping(patience=2):
    return EarlyStopping("train_loss", patience=patience, threshold=0.9, sink=lambda text: None)


def test_early_stopping_goes_on_after_an_interruption(tmp_path):
    whole = make(max_epochs=6, callbacks=[stopping()]).fit(X)
    assert whole.n_iter_ == 3
    with pytest.raises(Stop):
        make(max_epochs=6, checkpoint_dir=tmp_path, callbacks=[stopping(), Interrupt(3, Stop)]).fit(X)
    resumed = make(max_epochs=6, checkpoint_dir=tmp_path, callbacks=[stopping()]).fit(X)
    assert resumed.n_iter_ == 3 and same_weights(resumed, whole)
    with pytest.raises(ValueError, match="another run: callbacks differ"):
        make(max_epochs=6, checkpoint_dir=tmp_path, callbacks=[stopping(patience=3)]).fit(X)


def test_a_parameter_that_is_the_objectives_is_explained():
    with pytest.raises(TypeError, match=r"no parameter 'temperature': .*objective=BeatSSL\(temperature=\.\.\.\)"):
        BeatSSLPretrainer(temperature=0.2)
