"""What holds for every estimator and component of the package, found by the registry."""

import copy
import inspect
import pickle
from itertools import product

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from skorch.callbacks import EarlyStopping

import beatssl_sklearn as package
from beatssl_sklearn import BeatSSL, BeatSSLPretrainer, ReportAlignment, TfidfText, VCGViews, WaveAugment, make_ecg
from beatssl_sklearn.components import Component, registered

ECG = make_ecg(8, rhythm="mixed", fs=100, duration=3, random_state=0)
X, Y = ECG.data, np.array(["a", "b"] * 4)
TEXTS = ["Vorhofflimmern." if rhythm == "af" else "Sinus rhythm. Normal ECG." for rhythm in ECG.rhythm]
RUN = {"max_epochs": 0, "random_state": 0, "device": "cpu"}
TINY = {"fs": 100, "encoder_params": {"widths": (4, 4, 4), "n_dims": 4}, "batch_size": 4, **RUN}


def lengths(texts):
    return np.array([[len(text), text.count("a") + 1] for text in texts])


def small_alignment():
    return ReportAlignment(text=TfidfText(n_dims=8, n_buckets=64), projection_dim=4)


def small_objective():
    return BeatSSL("none", "none", projection_dim=4, views=VCGViews())


@pytest.fixture(scope="module")
def pre():
    return BeatSSLPretrainer(small_objective(), **TINY).fit(X)


# How each is made, and what it reads.
SMALL = {
    "BeatSSLPretrainer": lambda cls, pre: cls(small_objective(), **TINY),
    "Pretrainer": lambda cls, pre: cls(small_objective(), **TINY),
    "RhythmEmbedder": lambda cls, pre: cls(pre),
    "BeatEmbedder": lambda cls, pre: cls(pre),
    "SampleEmbedder": lambda cls, pre: cls(pre),
    "WindowEmbedder": lambda cls, pre: cls(pre, window=2.0, step=0.5, timing=True),
    "FineTunedClassifier": lambda cls, pre: cls(pre, views=VCGViews(), **RUN),
    "FineTunedRegressor": lambda cls, pre: cls(pre, views=VCGViews(), **RUN),
    "WaveSegmenter": lambda cls, pre: cls(pre, fs_model=100, widths=(4, 4, 4, 4), augment=WaveAugment(), **RUN),
    "WaveMeasures": lambda cls, pre: cls(fs=100, missing="fill", device="cpu"),
    "BeatClassifier": lambda cls, pre: cls(LogisticRegression(max_iter=1000)),
    "BeatContext": lambda cls, pre: cls(phases=1, timing=False, n_components=2),
    "SequenceClassifier": lambda cls, pre: cls(LogisticRegression(max_iter=1000), centre=True),
    "LinearProbe": lambda cls, pre: cls(C=0.01),
    "PatientIdentifier": lambda cls, pre: cls("cosine"),
    "LabelClassifier": lambda cls, pre: cls(C_grid=(0.01,), n_folds=2, n_components=2),
    "AgeSexRegressor": lambda cls, pre: cls(alpha_grid=(1.0,), C_grid=(0.01,), n_folds=2),
    "ReportAligner": lambda cls, pre: cls(pre, objective=small_alignment(), batch_size=4, **RUN),
    "TfidfText": lambda cls, pre: cls(n_dims=8, n_buckets=64),
    "ReportTextEncoder": lambda cls, pre: cls(n_dims=8, n_layers=1, n_heads=1, n_buckets=16, max_epochs=1),
    "CallableText": lambda cls, pre: cls(lengths),
}
# These read one table per record.
OF_BEATS = ("BeatClassifier", "BeatContext", "SequenceClassifier")
# These read a row per record.
OF_ROWS = ("LinearProbe", "PatientIdentifier", "LabelClassifier", "AgeSexRegressor")
ESTIMATORS = {
    name: cls
    for name, cls in registered(BaseEstimator).items()
    if cls.__module__.startswith("beatssl_sklearn.") and hasattr(cls, "fit")
}
COMPONENTS = {n: cls for n, cls in registered(Component).items() if cls.__module__.startswith("beatssl_sklearn.")}


def test_every_estimator_is_here():
    assert set(ESTIMATORS) == set(SMALL)
    found = {n: getattr(package, n) for n in package.__all__}
    public = {n for n, cls in found.items() if hasattr(cls, "fit") and not inspect.isabstract(cls)}
    assert public <= set(ESTIMATORS)


def fitted(name, pre):
    estimator = SMALL[name](ESTIMATORS[name], pre)
    if name in OF_BEATS:
        return estimator.fit(*beats())
    if name in OF_ROWS:
        tables = {"LabelClassifier": np.eye(2)[[0, 1] * 4], "AgeSexRegressor": np.array([[30, 0], [50, 1]] * 4)}
        return estimator.fit(X[:, 0, ::50], tables.get(name, Y))
    if name == "ReportAligner":
        return estimator.fit(X, reports=TEXTS)
    if hasattr(estimator, "encode"):
        return estimator.fit(TEXTS)
    if name == "FineTunedRegressor":
        return estimator.fit(X, np.arange(8.0))
    return estimator.fit(X, ECG.masks if name == "WaveSegmenter" else Y)


def beats():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(4, 3)) for _ in range(3)], [np.array(["N", "V", "N", "V"])] * 3


def answer(estimator, name):
    data = beats()[0] if name in OF_BEATS else X[:, 0, ::50] if name in OF_ROWS else X
    if hasattr(estimator, "encode"):
        return estimator.encode(TEXTS)
    method = next(m for m in ("transform", "predict_proba", "predict") if hasattr(estimator, m))
    found = getattr(estimator, method)(data)
    return np.concatenate(list(found)) if found.dtype == object else np.asarray(found)


def outcome(estimator, name):
    """What a method returns, or the words in which it refuses."""
    try:
        return answer(estimator, name)
    except (ValueError, TypeError) as error:
        return f"{type(error).__name__}: {error}"


def assert_equal(found, expected):
    assert type(found) is type(expected)
    assert found == expected if isinstance(found, str) else np.array_equal(found, expected, equal_nan=True)


def settable(value):
    """Return another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    return None


# Clones


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SMALL)
def test_a_clone_shares_nothing_that_can_be_set(name, pre):
    """Every parameter, however deep, is set on the clone; the original keeps its own, and its answer."""
    estimator = fitted(name, pre)
    before, expected = copy.deepcopy(plain(estimator)), answer(estimator, name)
    cloned = clone(estimator)
    for path, value in sorted(plain(estimator).items()):
        cloned = clone(estimator)
        try:
            cloned.set_params(**{path: settable(value)})
        except (ValueError, TypeError, AttributeError):
            continue
    for part in parts(cloned):
        for key, value in vars(part).items():
            if isinstance(value, (list, dict)) and not key.startswith("_") and not key.endswith("_"):
                value.clear()
    assert repr(plain(estimator)) == repr(before)
    assert np.array_equal(answer(estimator, name), expected)


def plain(estimator):
    return {k: v for k, v in estimator.get_params().items() if not hasattr(v, "get_params")}


def parts(estimator):
    yield estimator
    yield from (v for v in estimator.get_params().values() if hasattr(v, "get_params"))


# Caches


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SMALL)
def test_nothing_is_remembered_that_a_parameter_has_changed(name, pre):
    """After any parameter was set, an estimator that has been used, and its pickle, which has not, say the same."""
    estimator = fitted(name, pre)
    answer(estimator, name)
    for path, value in plain(estimator).items():
        used = copy.deepcopy(estimator)
        answer(used, name)
        try:
            used.set_params(**{path: settable(value)})
        except (ValueError, TypeError, AttributeError):
            continue
        assert_equal(outcome(used, name), outcome(pickle.loads(pickle.dumps(used)), name))


@pytest.mark.parametrize("name", ["RhythmEmbedder", "BeatEmbedder", "SampleEmbedder"])
def test_another_pretrainer_is_seen(name, pre):
    other = BeatSSLPretrainer(small_objective(), **TINY | {"random_state": 1}).fit(X)
    estimator = fitted(name, pre)
    answer(estimator, name)
    expected = answer(SMALL[name](ESTIMATORS[name], other), name)
    assert np.array_equal(answer(estimator.set_params(pretrainer=other), name), expected)


# Callbacks


TAKES_CALLBACKS = [name for name, cls in ESTIMATORS.items() if "callbacks" in inspect.signature(cls).parameters]


def test_who_takes_callbacks():
    assert TAKES_CALLBACKS == ["BeatSSLPretrainer", "Pretrainer", "ReportAligner"]


@pytest.mark.parametrize(
    ("name", "method"), [*product(TAKES_CALLBACKS[:2], ["fit", "partial_fit"]), ("ReportAligner", "fit")]
)
def test_early_stopping_ends_a_fit_and_not_the_program(name, method, pre):
    stop = EarlyStopping("train_loss", patience=1, threshold=0.9, sink=lambda text: None)
    estimator = SMALL[name](ESTIMATORS[name], pre).set_params(max_epochs=5, callbacks=[stop])
    for _ in range(2):
        getattr(estimator, method)(X, **({"reports": TEXTS} if name == "ReportAligner" else {}))
    assert 0 < estimator.n_iter_ < 5 and np.isfinite(answer(estimator, name)).all()


# Words for what is wrong


@pytest.mark.parametrize("name", COMPONENTS)
def test_bounds_and_defaults_of_components_are_parameters(name):
    cls = COMPONENTS[name]
    assert {*cls.bounds, *cls.defaults} <= set(inspect.signature(cls).parameters)
    if name != "CallableText":
        # Its parameter is a function of the user's, which has no default.
        cls().check()


@pytest.mark.parametrize("name", SMALL)
def test_a_parameter_of_a_component_is_explained(name):
    cls = ESTIMATORS[name]
    for parameter, component in getattr(cls, "defaults", {}).items():
        for inner in set(inspect.signature(component).parameters) - set(inspect.signature(cls).parameters):
            with pytest.raises(TypeError, match=rf"{parameter}={component.__name__}\({inner}=\.\.\.\)"):
                cls(**{inner: 1})
