"""save and load, pickles, and what neither may hold."""

import copy
import os
import pickle

import joblib
import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from beatssl_sklearn import (
    BeatClassifier,
    BeatEmbedder,
    BeatSSL,
    BeatSSLPretrainer,
    RhythmEmbedder,
    SampleEmbedder,
    VCGViews,
    __version__,
    load,
    make_ecg,
    register,
    save,
)
from beatssl_sklearn.evaluation import LinearProbe
from beatssl_sklearn.files.tensor_file import read_tensor_file, write_tensor_file
from beatssl_sklearn.inputs import reading as base
from beatssl_sklearn.persistence import model_file, shipped_models

TINY = {
    "fs": 100,
    "encoder_params": {"widths": (8, 16, 24), "n_dims": 12},
    "objective": BeatSSL(projection_dim=8),
    "max_epochs": 1,
    "batch_size": 4,
    "random_state": 0,
    "device": "cpu",
}
EMBEDDERS = [RhythmEmbedder, BeatEmbedder, SampleEmbedder]
X = make_ecg(6, rhythm="mixed", fs=100, duration=4, random_state=0).data


@pytest.fixture(scope="module")
def pre():
    return BeatSSLPretrainer(**TINY).fit(X)


def every_estimator(pre):
    return [pre, *(cls(pre) for cls in EMBEDDERS)]


def same(a, b):
    return len(a) == len(b) and all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))


# save and load


def test_pretrainers(pre, tmp_path):
    save(pre, tmp_path / "m.bssl")
    again = load(str(tmp_path / "m.bssl"))
    assert type(again) is BeatSSLPretrainer and again.get_params() == pre.get_params()
    for name in ("history_", "n_iter_", "n_leads_", "n_features_in_", "device_"):
        assert getattr(again, name) == getattr(pre, name)
    for found, saved in ((again.encoder_.weights, pre.encoder_.weights), (again.heads_, pre.heads_)):
        assert set(found) == set(saved) and saved
        assert all(np.array_equal(found[k], a) and found[k].dtype == a.dtype for k, a in saved.items())
    assert again.objective_ == pre.objective_ and again.encoder_.front_end == pre.encoder_.front_end
    assert np.array_equal(again.transform(X), pre.transform(X))
    assert again.partial_fit(X).n_iter_ == 2, "training goes on from a file"


@pytest.mark.parametrize("cls", EMBEDDERS)
def test_embedders(cls, pre, tmp_path):
    embedder = cls(pre, fs=125.0, leads=("I", "II", "V2"), batch_size=3)
    save(embedder, tmp_path / "m.bssl")
    again = load(tmp_path / "m.bssl")
    assert type(again) is cls and type(again.pretrainer) is BeatSSLPretrainer
    own = ("fs", "leads", "batch_size", "device", "precision", "memory")
    assert [getattr(again, name) for name in own] == [getattr(embedder, name) for name in own]
    assert same(again.transform(X[:, [0, 1, 7]]), embedder.transform(X[:, [0, 1, 7]]))


def test_embedders_that_were_fitted_on_tables_of_one_lead(pre, tmp_path):
    table = X[:, 1]
    embedder = RhythmEmbedder(pre, leads="II").fit(table)
    save(embedder, tmp_path / "m.bssl")
    again = load(tmp_path / "m.bssl")
    assert again.n_features_in_ == table.shape[1] and same(again.transform(table), embedder.transform(table))
    save(RhythmEmbedder(pre), tmp_path / "n.bssl")
    assert not hasattr(load(tmp_path / "n.bssl"), "n_features_in_")


def test_embedders_trained_by_fit(pre, tmp_path):
    trained = RhythmEmbedder(BeatSSLPretrainer(**TINY)).fit(X)
    save(trained, tmp_path / "m.bssl")
    assert same(load(tmp_path / "m.bssl").transform(X), pre.transform(X))
    by_path = BeatEmbedder(tmp_path / "m.bssl")
    save(by_path, tmp_path / "n.bssl")
    (tmp_path / "m.bssl").unlink()
    assert same(load(tmp_path / "n.bssl").transform(X), BeatEmbedder(pre).transform(X)), "the file stands alone"
    assert same(SampleEmbedder(tmp_path / "n.bssl").transform(X), SampleEmbedder(pre).transform(X))


def test_tuples_and_numbers_survive(tmp_path):
    params = TINY | {
        "leads": ("II", "V1"),
        "beat_window": (np.float64(0.2), 0.3),
        "batch_size": np.int64(3),
        "objective": BeatSSL(
            temperature=np.float64(0.25), views=VCGViews(scale=(0.9, 1.1), angle=np.float32(10)), projection_dim=8
        ),
        "max_epochs": 0,
    }
    save(BeatSSLPretrainer(**params).fit(X[:, [1, 6]]), tmp_path / "m.bssl")
    again = load(tmp_path / "m.bssl").get_params()
    assert again["leads"] == ("II", "V1") and again["beat_window"] == (0.2, 0.3)
    assert again["objective__views"] == VCGViews(scale=(0.9, 1.1), angle=10.0)
    assert again["encoder_params"]["widths"] == (8, 16, 24)
    assert type(again["batch_size"]) is int and again["batch_size"] == 3 and again["objective__temperature"] == 0.25


def test_what_belongs_to_the_machine_is_left_out(tmp_path):
    params = TINY | {"checkpoint_dir": str(tmp_path / "checkpoints"), "callbacks": []}
    est = BeatSSLPretrainer(**params).fit(X)
    for name, estimator in (("a", est), ("b", RhythmEmbedder(est, memory=str(tmp_path / "cache")))):
        save(estimator, tmp_path / name)
        content = (tmp_path / name).read_bytes()
        for secret in (str(tmp_path), os.getcwd(), os.path.expanduser("~/"), "/tmp/"):
            assert secret.encode() not in content
        for record in (X[0, 0, 100:116], X[3, 1, 200:216]):
            assert record.tobytes() not in content
    assert load(tmp_path / "a").checkpoint_dir is None and load(tmp_path / "a").callbacks is None
    assert load(tmp_path / "b").memory is None


class Encoder(torch.nn.Module):
    stride, n_dims, n_dims_record, receptive_field = 1, 12, 12, 0.01

    def __init__(self, fs_model):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(12))

    def forward(self, x):
        return x * self.scale

    def pool(self, e):
        return e.mean(dim=1)


def all_of_it(x, present, generator):
    return x, present


def every_second(signal, fs):
    return np.arange(0, signal.shape[1], int(fs))


@pytest.mark.parametrize(
    ("name", "value"), [("encoder", Encoder), ("views", all_of_it), ("rpeak_detector", every_second)]
)
def test_what_json_cannot_hold_is_named(name, value, tmp_path):
    params = TINY | ({"objective": BeatSSL(views=value)} if name == "views" else {name: value})
    params |= {"encoder_params": None} if name == "encoder" else {"check": "ignore"}
    est = BeatSSLPretrainer(**params).fit(X)
    with pytest.raises(TypeError, match=f"{name}=.*joblib"):
        save(est, tmp_path / "m.bssl")
    assert not list(tmp_path.iterdir())
    joblib.dump(est, tmp_path / "m.joblib")
    assert same(joblib.load(tmp_path / "m.joblib").transform(X), est.transform(X))


def test_what_cannot_be_saved(pre, tmp_path):
    for estimator in (BeatSSLPretrainer(**TINY), RhythmEmbedder(BeatSSLPretrainer(**TINY))):
        with pytest.raises(NotFittedError):
            save(estimator, tmp_path / "m.bssl")
    for other in (KNeighborsClassifier().fit(X[:, 0], [0, 1] * 3), None, pre.encoder_, pre.encoder_.weights):
        with pytest.raises(TypeError, match="whose class is registered.*joblib"):
            save(other, tmp_path / "m.bssl")
    with pytest.raises(OSError):
        save(pre, tmp_path / "no" / "m.bssl")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_loaded(tmp_path):
    with pytest.raises(FileNotFoundError, match="'nothing.bssl' is neither a file nor a shipped model"):
        load(tmp_path / "nothing.bssl")
    with pytest.raises(OSError, match="regular file"):
        load(tmp_path)
    with pytest.raises(TypeError, match="path must be"):
        load(3)
    joblib.dump({"a": 1}, tmp_path / "m.joblib")
    with pytest.raises(ValueError, match="m.joblib"):
        load(tmp_path / "m.joblib")


def test_files_of_another_version_warn(pre, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(model_file, "__version__", "0.0.7")
        save(pre, tmp_path / "m.bssl")
    with pytest.warns(UserWarning, match=f"saved by version 0.0.7 and is loaded by version {__version__}") as caught:
        again = load(tmp_path / "m.bssl")
    assert caught[0].filename == __file__
    assert same(again.transform(X), pre.transform(X))


def test_shipped_models_are_found_by_name(pre, tmp_path, monkeypatch):
    monkeypatch.setattr(model_file, "_SHIPPED", tmp_path)
    save(pre, tmp_path / "toy.bssl")
    assert shipped_models() == ["toy"]
    assert same(load("toy").transform(X), pre.transform(X))
    assert same(RhythmEmbedder("toy").transform(X), pre.transform(X))
    assert same(BeatSSLPretrainer.load("toy").transform(X), pre.transform(X))
    with pytest.raises(FileNotFoundError, match="shipped: toy"):
        load("toy2")


def test_a_pretrainer_is_loaded_from_the_file_of_an_embedder(pre, tmp_path):
    save(BeatEmbedder(pre), tmp_path / "beats.bssl")
    loaded = BeatSSLPretrainer.load(tmp_path / "beats.bssl")
    assert isinstance(loaded, BeatSSLPretrainer) and same(loaded.transform(X), pre.transform(X))


def test_the_file_of_another_estimator_is_no_pretrainer():
    with pytest.raises(ValueError, match="'waves' holds a WaveSegmenter, not a BeatSSLPretrainer"):
        BeatSSLPretrainer.load("waves")


def test_half_precision_halves_the_file_and_hardly_moves_an_embedding(tmp_path):
    wide = BeatSSLPretrainer(**(TINY | {"encoder_params": {"size": "s"}, "max_epochs": 0})).fit(X)
    save(wide, tmp_path / "full.bssl")
    save(wide, tmp_path / "half.bssl", half=True)
    assert os.path.getsize(tmp_path / "half.bssl") < 0.55 * os.path.getsize(tmp_path / "full.bssl")
    again = load(tmp_path / "half.bssl")
    saved = wide.encoder_.weights
    assert all(a.dtype == saved[name].dtype for name, a in again.encoder_.weights.items())
    z, z_half = wide.transform(X), again.transform(X)
    assert 0 < np.linalg.norm(z - z_half) < 2e-3 * np.linalg.norm(z)


@pytest.mark.parametrize("other", [2, 4])
def test_another_format_is_refused(pre, tmp_path, other):
    save(pre, tmp_path / "m.bssl")
    arrays, config = read_tensor_file(tmp_path / "m.bssl")
    write_tensor_file(tmp_path / "m.bssl", arrays, config | {"format": other})
    with pytest.raises(ValueError, match=f"m.bssl: the file has format {other}, this version reads 3"):
        load(tmp_path / "m.bssl")


def test_a_class_of_the_future_is_named(pre, tmp_path):
    save(pre, tmp_path / "m.bssl")
    arrays, config = read_tensor_file(tmp_path / "m.bssl")
    write_tensor_file(tmp_path / "m.bssl", arrays, config | {"class": "LeadAgnosticV2"})
    message = "holds a LeadAgnosticV2, which this version does not know .known: .*BeatSSL.*import the module"
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "m.bssl")


@pytest.mark.parametrize(
    "head", [LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression(C=0.1)), LinearProbe(C=0.01)]
)
def test_classifiers_of_beats(head, pre, tmp_path):
    beats = BeatEmbedder(pre).transform(X)
    labels = [np.array(["N", "V"])[np.arange(len(b)) % 2] for b in beats]
    classifier = BeatClassifier(head).fit(beats, labels)
    save(classifier, tmp_path / "m.bssl")
    again = load(tmp_path / "m.bssl")
    assert type(again) is BeatClassifier and type(again.estimator_) is type(head)
    for method in ("predict", "predict_proba"):
        assert same(getattr(again, method)(beats), getattr(classifier, method)(beats))
    assert again.score(beats, labels) == classifier.score(beats, labels)


def test_classifiers_that_are_not_registered_are_named(pre, tmp_path):
    beats = BeatEmbedder(pre).transform(X)
    labels = [np.arange(len(b)) % 2 for b in beats]
    with pytest.raises(TypeError, match="estimator=KNeighborsClassifier.*neither a plain value nor registered.*joblib"):
        save(BeatClassifier(KNeighborsClassifier()).fit(beats, labels), tmp_path / "m.bssl")
    assert not list(tmp_path.iterdir())


def test_a_device_stays_behind(pre, tmp_path):
    """A file that was made on a machine with a GPU is for all machines."""
    for device, kept in (("cuda", None), (torch.device("cuda", 1), None), ("cpu", "cpu"), (None, None)):
        save(copy.deepcopy(pre).set_params(device=device), tmp_path / "m.bssl")
        again = load(tmp_path / "m.bssl")
        assert again.device == kept and np.isfinite(again.transform(X)).all()


# Pickles


@pytest.mark.parametrize("position", range(4))
@pytest.mark.parametrize("how", ["pickle", "joblib", "deepcopy"])
def test_pickles_are_bit_identical(position, how, pre, tmp_path):
    estimator = every_estimator(pre)[position]
    z = estimator.transform(X)
    if how == "joblib":
        joblib.dump(estimator, tmp_path / "m.joblib")
        copies = [joblib.load(tmp_path / "m.joblib"), joblib.load(tmp_path / "m.joblib", mmap_mode="r")]
    elif how == "pickle":
        copies = [pickle.loads(pickle.dumps(estimator, protocol)) for protocol in (2, 5)]
    else:
        copies = [copy.deepcopy(estimator)]
    for again in copies:
        assert same(again.transform(X), z)
        assert type(again) is type(estimator)
        if position == 0:
            assert again.get_params() == estimator.get_params()


def test_hashes_do_not_depend_on_use_or_copies(pre):
    estimators = [pre, RhythmEmbedder(pre), BeatEmbedder(pre)]
    hashes = [joblib.hash(e) for e in estimators]
    for estimator in estimators:
        estimator.transform(X)
    assert [joblib.hash(e) for e in estimators] == hashes
    assert [joblib.hash(pickle.loads(pickle.dumps(e))) for e in estimators] == hashes
    other = BeatSSLPretrainer(**(TINY | {"random_state": 1})).fit(X)
    assert joblib.hash(other) != hashes[0]


def test_a_pickle_is_small_and_has_no_signals(pre):
    pre.transform(X)
    content = pickle.dumps(pre)
    assert len(content) < 1.2 * sum(w.nbytes for w in [*pre.encoder_.weights.values(), *pre.heads_.values()]) + 20_000
    for record in X[:, 0, 100:116]:
        assert record.tobytes() not in content and record.astype(np.float64).tobytes() not in content
    assert os.getcwd().encode() not in content and b"torch" not in content
    assert __version__.encode() in content


@pytest.mark.parametrize("position", range(4))
def test_pickles_of_another_version_warn(position, pre, monkeypatch):
    estimator = every_estimator(pre)[position]
    with monkeypatch.context() as patch:
        patch.setattr(base, "__version__", "0.0.7")
        content = pickle.dumps(estimator)
    with pytest.warns(UserWarning, match=f"pickled by version 0.0.7.*{__version__}"):
        again = pickle.loads(content)
    assert same(again.transform(X), estimator.transform(X))
    assert base.VERSION_KEY not in vars(again)


def test_unfitted_estimators_can_be_pickled():
    for estimator in (BeatSSLPretrainer(**TINY), RhythmEmbedder(BeatSSLPretrainer(**TINY))):
        with pytest.raises(NotFittedError):
            pickle.loads(pickle.dumps(estimator)).transform(X)


# Names of columns, and what set_output chose


def test_output_and_names_of_columns_are_kept(pre, tmp_path):
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(X[:, 1], columns=[f"t{i}" for i in range(X.shape[2])])
    embedder = RhythmEmbedder(pre, leads="II").fit(table).set_output(transform="pandas")
    model = make_pipeline(embedder, StandardScaler().set_output(transform="pandas"), LogisticRegression())
    model.fit(table, [0, 1] * 3)
    save(model, tmp_path / "m.bssl")
    again = load(tmp_path / "m.bssl")
    for saved, found in zip(model, again, strict=True):
        assert found.feature_names_in_.tolist() == saved.feature_names_in_.tolist()
    assert again[:2].transform(table).equals(model[:2].transform(table))
    with pytest.raises(ValueError, match="feature names should match"):
        again.predict(table.rename(columns={"t0": "other"}))


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_new_file_has_the_permissions_of_the_umask_and_an_older_one_keeps_its_own(umask, pre, tmp_path):
    before = os.umask(umask)
    try:
        save(pre, tmp_path / "m.bssl")
        assert os.stat(tmp_path / "m.bssl").st_mode & 0o777 == 0o666 & ~umask
        os.chmod(tmp_path / "m.bssl", 0o640)
        save(pre, tmp_path / "m.bssl")
        assert os.stat(tmp_path / "m.bssl").st_mode & 0o777 == 0o640
    finally:
        os.umask(before)


def test_what_load_would_refuse_is_not_saved(pre, tmp_path):
    """An older file stays, and the message says which value it is."""
    save(pre, tmp_path / "m.bssl")
    content = (tmp_path / "m.bssl").read_bytes()
    broken = copy.deepcopy(pre).set_params(batch_size=0)
    with pytest.raises(ValueError, match="BeatSSLPretrainer cannot be saved: .*batch_size must be .*got 0"):
        save(broken, tmp_path / "m.bssl")
    assert (tmp_path / "m.bssl").read_bytes() == content


@register
class RegisteredEncoder(Encoder):
    """An encoder of the user's that files may name."""


def test_a_registered_encoder_is_saved_by_its_name(tmp_path):
    est = BeatSSLPretrainer(**TINY | {"encoder": RegisteredEncoder, "encoder_params": None}).fit(X)
    save(est, tmp_path / "m.bssl")
    again = load(tmp_path / "m.bssl")
    assert again.encoder is RegisteredEncoder and same(again.transform(X), est.transform(X))
    save(RhythmEmbedder(est), tmp_path / "m.bssl")
    assert same(load(tmp_path / "m.bssl").transform(X), est.transform(X))
