"""What a file may set: a closed list of parameters and attributes, each checked before anything is built."""

import contextlib
import copy
import gc
import tracemalloc
import warnings

import numpy as np
import pytest
from forged_files import forged, nested
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from beatssl_sklearn import (
    BeatClassifier,
    BeatContext,
    BeatEmbedder,
    BeatSSL,
    BeatSSLPretrainer,
    FineTunedClassifier,
    LeadMasking,
    RhythmEmbedder,
    SequenceClassifier,
    VCGViews,
    WaveAugment,
    WaveSegmenter,
    load,
    make_ecg,
    save,
)
from beatssl_sklearn.evaluation import LinearProbe
from beatssl_sklearn.files.tensor_file import read_tensor_file, write_tensor_file
from beatssl_sklearn.persistence import model_file

TINY = {
    "fs": 100,
    "encoder_params": {"widths": (4, 4, 4), "n_dims": 4},
    "objective": BeatSSL("none", "none", projection_dim=4, views=VCGViews(scale=(0.9, 1.1))),
    "max_epochs": 1,
    "batch_size": 6,
    "random_state": 0,
    "device": "cpu",
}
ECG = make_ecg(6, rhythm="mixed", fs=100, duration=3, random_state=0)
X, Y = ECG.data, np.array(["a", "b"] * 3)
# What a model that was loaded may end in.
TYPED = (ValueError, TypeError, OSError)


@pytest.fixture(scope="module")
def pre():
    return BeatSSLPretrainer(**TINY).fit(X)


def same(a, b):
    return len(a) == len(b) and all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))


def change(config, *keys, to):
    config = copy.deepcopy(config)
    part = config
    for key in keys[:-1]:
        part = part[key]
    if to is None:
        del part[keys[-1]]
    else:
        part[keys[-1]] = to
    return config


@pytest.mark.parametrize(
    ("keys", "to"),
    [
        (("format",), None),
        (("format",), 99),
        (("version",), None),
        (("parameters",), None),
        (("parameters",), [1]),
        (("parameters", "no_such_parameter"), 3),
        (("class",), "os.system"),
        (("class",), None),
        (("class",), "FrontEnd"),
        (("parameters", "pretrainer"), {"neither": "tuple", "nor": "dict"}),
        (("parameters", "pretrainer", "class"), "subprocess.Popen"),
        (("parameters", "pretrainer", "parameters", "no_such_parameter"), 3),
        (("parameters", "pretrainer", "parameters"), [1]),
        (("parameters", "pretrainer", "fitted", "__class__"), "x"),
        (("parameters", "pretrainer", "fitted", "encoder_"), None),
        (("parameters", "pretrainer", "fitted", "encoder_", "fields", "no_such_field"), 3),
        (("parameters", "pretrainer", "fitted", "encoder_", "fields", "_ready"), 3),
        (("parameters", "pretrainer", "fitted", "encoder_", "fields", "weights"), {"array": "nowhere"}),
        (("fitted",), None),
        (("fitted",), 3),
        (("fitted", "no_such_attribute"), 3),
    ],
)
def test_forged_configurations_are_refused(keys, to, pre, tmp_path):
    save(BeatEmbedder(pre), tmp_path / "m.bssl")
    arrays, config = read_tensor_file(tmp_path / "m.bssl")
    write_tensor_file(tmp_path / "m.bssl", arrays, change(config, *keys, to=to))
    with pytest.raises(ValueError, match="m.bssl"):
        load(tmp_path / "m.bssl")


def test_weights_of_another_network_are_refused(pre, tmp_path):
    save(pre, tmp_path / "m.bssl")
    arrays, config = read_tensor_file(tmp_path / "m.bssl")
    first = min(name for name, array in arrays.items() if name.startswith("encoder_.weights.") and array.ndim > 1)
    fewer = {name: array for name, array in arrays.items() if name != first}
    write_tensor_file(tmp_path / "m.bssl", fewer, config)
    with pytest.raises(ValueError, match="m.bssl: the file lacks the array"):
        load(tmp_path / "m.bssl")
    write_tensor_file(tmp_path / "m.bssl", arrays | {first: arrays[first][..., :1]}, config)
    with pytest.raises(ValueError, match="weights do not fit the network.*block1"):
        load(tmp_path / "m.bssl")


@pytest.mark.parametrize("name", ["memory", "checkpoint_dir", "callbacks", "device"])
def test_what_belongs_to_the_machine_is_not_read(name, pre, tmp_path):
    """A file cannot choose a folder that a transform writes to, whoever wrote it."""
    save(RhythmEmbedder(pre), tmp_path / "m.bssl")
    arrays, config = read_tensor_file(tmp_path / "m.bssl")
    for parameters in (config["parameters"], config["parameters"]["pretrainer"]["parameters"]):
        if name in parameters:
            parameters[name] = str(tmp_path / "chosen")
    write_tensor_file(tmp_path / "m.bssl", arrays, config)
    again = load(tmp_path / "m.bssl")
    assert getattr(again, name, None) is getattr(again.pretrainer, name) is None
    assert same(again.transform(X), pre.transform(X)) and not (tmp_path / "chosen").exists()


@pytest.fixture(scope="module")
def models(pre):
    """One fitted estimator of each kind, with what it reads."""
    beats = BeatEmbedder(pre).transform(X)
    labels = [np.array(["N", "V"])[np.arange(len(b)) % 2] for b in beats]
    z = pre.transform(X)
    run = {"max_epochs": 0, "random_state": 0, "device": "cpu"}
    small = {"fs_model": 100, "widths": (4, 4, 4, 4), "augment": WaveAugment()}
    several = np.arange(18).reshape(6, 3) % 2
    resnet = BeatSSLPretrainer(**TINY | {"encoder": "resnet1d", "encoder_params": {"width": 2}, "max_epochs": 0})
    return {
        "pretrainer": (pre, X),
        "resnet": (resnet.fit(X), X),
        "rhythm": (RhythmEmbedder(pre).fit(X).set_output(transform="pandas"), X),
        "encoder": (BeatEmbedder(pre.encoder_), X),
        "classifier": (FineTunedClassifier(pre, class_weight={"a": 1.0, "b": 2.0}, **run).fit(X, Y), X),
        "several labels": (FineTunedClassifier(pre.encoder_, views=LeadMasking(), **run).fit(X, several), X),
        "segmenter": (WaveSegmenter(pre, **small, **run).fit(X, ECG.masks), X),
        "beats": (BeatClassifier(make_pipeline(StandardScaler(), LogisticRegression())).fit(beats, labels), beats),
        "sequence": (SequenceClassifier(GaussianNB(), class_weight=None, centre=True).fit(beats, labels), beats),
        "perceptron": (BeatClassifier(MLPClassifier(3, tol=10.0, random_state=0)).fit(beats, labels), beats),
        "context": (BeatContext(timing=False, n_components=2).fit(beats), beats),
        "probe": (LinearProbe(C=0.01).fit(z, Y), z),
        "pipeline": (make_pipeline(RhythmEmbedder(pre), StandardScaler(), PCA(2), GaussianNB()).fit(X, Y), X),
    }


def use(model, data):
    for method in ("transform", "predict", "predict_proba", "delineate"):
        if hasattr(model, method):
            getattr(model, method)(data)


KINDS = ("pretrainer", "resnet", "rhythm", "encoder", "classifier", "several labels", "segmenter", "beats", "probe")
KINDS += ("sequence", "perceptron", "context")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [*KINDS, "pipeline"])
def test_forged_files_end_in_words(kind, models, tmp_path):
    """The digest is right, and any value may be wrong: `load` refuses it, or the model works or ends in words."""
    model, data = models[kind]
    save(model, tmp_path / "m.bssl")
    arrays, config = read_tensor_file(tmp_path / "m.bssl")
    use(load(tmp_path / "m.bssl"), data)
    rng = np.random.default_rng([len(kind), *kind.encode()])
    refused = 0
    for _ in range(30):
        try:
            write_tensor_file(tmp_path / "m.bssl", *forged(arrays, config, rng))
        except (TypeError, ValueError, RecursionError):
            # JSON or the format of arrays cannot hold it.
            continue
        try:
            found = load(tmp_path / "m.bssl")
        except (ValueError, OSError):
            refused += 1
            continue
        repr(found)
        with contextlib.suppress(*TYPED):
            use(found, data)
    assert refused > 10


# A file is refused before it costs anything


def every_dict(value):
    if isinstance(value, dict):
        yield value
        for inner in list(value.values()):
            yield from every_dict(inner)


COSTLY = [
    ("encoder_params", {"dict": {"n_dims": 4096}}),
    ("encoder_params", {"dict": {"widths": {"tuple": [4096] * 3}}}),
    ("encoder_params", {"dict": {"widths": nested(800, "list")}}),
    ("encoder_params", {"dict": {"size": 7}}),
    ("leads", {"text": [*[""] * 20_000, "x" * 20_000]}),
    ("history_", nested(300, "tuple")),
    ("beat_phases", 2**62),
    ("fs_model", 1e300),
    ("projection_dim", 10**12),
]


@pytest.mark.parametrize(("name", "value"), COSTLY, ids=lambda v: v if isinstance(v, str) else "")
def test_what_a_file_asks_for_is_checked_before_it_is_built(name, value, pre, tmp_path):
    save(pre, tmp_path / "m.bssl")
    arrays, config = read_tensor_file(tmp_path / "m.bssl")
    for part in every_dict(config):
        if name in part:
            part[name] = value
    write_tensor_file(tmp_path / "m.bssl", arrays, config)
    gc.collect()
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="m.bssl"):
            load(tmp_path / "m.bssl")
        assert tracemalloc.get_traced_memory()[1] < 30 * 2**20
    finally:
        tracemalloc.stop()


def test_messages_hold_no_control_characters(pre, tmp_path):
    save(RhythmEmbedder(pre), tmp_path / "m.bssl")
    arrays, config = read_tensor_file(tmp_path / "m.bssl")
    evil = "\x1b]0;owned\x07\n\u202e"
    places = [("class",), ("version",), ("parameters", "precision"), ("parameters", evil), ("fitted", evil)]
    places += [("parameters", "pretrainer", "fitted", "encoder_", "class"), ("format",)]
    for keys in places:
        write_tensor_file(tmp_path / "m.bssl", arrays, change(config, *keys, to=evil))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                load(tmp_path / "m.bssl")
                texts = [str(w.message) for w in caught]
            except ValueError as error:
                texts = [str(error)]
        assert texts and all(text.isprintable() for text in texts), keys


def test_a_file_names_no_other_file(pre, tmp_path):
    """An embedder's pretrainer may be a path, but not in a file: `load` reads what the user names."""
    save(pre, tmp_path / "secret.bssl")
    save(RhythmEmbedder(pre.encoder_), tmp_path / "m.bssl")
    arrays, config = read_tensor_file(tmp_path / "m.bssl")
    for path in (str(tmp_path / "secret.bssl"), "/dev/zero", "ptbxl-xxl"):
        write_tensor_file(tmp_path / "m.bssl", arrays, change(config, "parameters", "pretrainer", to=path))
        with pytest.raises(ValueError, match="is the name of no shipped model"):
            load(tmp_path / "m.bssl")


def test_parameters_that_a_file_lacks_have_their_defaults(pre, tmp_path):
    """Files from before a parameter existed."""
    save(RhythmEmbedder(pre.encoder_), tmp_path / "m.bssl")
    arrays, config = read_tensor_file(tmp_path / "m.bssl")
    config["parameters"] = {"pretrainer": config["parameters"]["pretrainer"]}
    write_tensor_file(tmp_path / "m.bssl", arrays, config)
    assert load(tmp_path / "m.bssl").get_params(deep=False).keys() == RhythmEmbedder().get_params(deep=False).keys()
    assert same(load(tmp_path / "m.bssl").transform(X), pre.transform(X))


def test_parameters_that_scikit_learn_gave_up_and_nobody_set(pre, tmp_path):
    """Files of two versions: one writes `penalty`, the other `multi_class`, as "deprecated"; neither takes both."""
    model, z = make_pipeline(StandardScaler(), LogisticRegression(C=0.5)), pre.transform(X)
    model.fit(z, Y)
    save(model, tmp_path / "m.bssl")
    arrays, config = read_tensor_file(tmp_path / "m.bssl")
    written = config["parameters"]["steps"][1]["tuple"][1]["parameters"]
    assert "deprecated" not in written.values()
    written.update(penalty="deprecated", multi_class="deprecated")
    write_tensor_file(tmp_path / "m.bssl", arrays, config)
    found = load(tmp_path / "m.bssl")
    assert found[1].get_params() == LogisticRegression(C=0.5).get_params()
    assert same(found.predict_proba(z), model.predict_proba(z))


def test_an_error_of_a_users_class_is_the_files(pre, tmp_path, monkeypatch):
    save(pre, tmp_path / "m.bssl")

    def fails(*args):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(model_file, "restore", fails)
    with pytest.raises(ValueError, match="m.bssl: this is no model of this package: ZeroDivisionError by zero"):
        load(tmp_path / "m.bssl")
