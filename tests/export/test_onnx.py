"""ONNX files under onnxruntime, against the estimators that they were exported from."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from beatssl_sklearn import (
    BeatSSLPretrainer,
    FineTunedClassifier,
    RhythmEmbedder,
    SampleEmbedder,
    export_onnx,
    fit_readout,
    make_ecg,
)
from beatssl_sklearn.export import onnx_inputs

ECG = make_ecg(3, fs=100, duration=5, random_state=0)
X = ECG.data.astype(np.float32)
SMALL = {
    "beatnet": {"widths": (4, 6, 8), "n_dims": 4},
    "resnet1d": {"width": 2},
    "transformer": {"n_dims": 8, "n_layers": 1, "n_heads": 2, "stem_width": 4, "feed_forward": 8},
    "dual_stream": {"widths": (4, 4, 4, 4)},
}


def fitted(encoder="beatnet", **changes):
    given = {"fs": 100, "encoder_params": SMALL[encoder], "max_epochs": 0, "batch_size": 4, "random_state": 0} | changes
    return BeatSSLPretrainer(encoder=encoder, device="cpu", **given).fit(X)


@pytest.fixture(scope="module")
def pre():
    return fitted()


@pytest.fixture(scope="module")
def exported(pre, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "encoder.onnx"
    export_onnx(pre, path)
    return path


def session(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


# Embedders


def test_a_readout_is_in_the_graph(pre, tmp_path):
    taught = fit_readout(pre, X, np.arange(6.0).reshape(3, 2) ** 2, n_hidden=3, max_epochs=1)
    export_onnx(taught, tmp_path / "m.onnx")
    (embedding, _) = session(tmp_path / "m.onnx").run(None, onnx_inputs(taught, X))
    assert_close(embedding, taught.transform(X))


@pytest.mark.parametrize("n_times", [500, 377, 1500])
def test_embeddings_of_any_number_of_records_and_any_length(pre, exported, n_times):
    other = make_ecg(2, fs=100, duration=n_times / 100, random_state=1).data
    embedding, tokens = session(exported).run(None, onnx_inputs(pre, other))
    assert_close(embedding, RhythmEmbedder(pre).transform(other))
    assert_close(tokens, SampleEmbedder(pre).transform(other))


def test_other_rates_leads_and_given_r_peaks(pre, exported):
    ecg = make_ecg(3, fs=250, duration=4, leads=["V2", "II"], random_state=2)
    embedder = RhythmEmbedder(pre, fs=250, leads=["V2", "II"])
    found, _ = session(exported).run(None, onnx_inputs(embedder, ecg.data))
    assert_close(found, embedder.transform(ecg.data))
    by_name = onnx_inputs(pre, ecg.data, fs=250, leads=["V2", "II"], rpeaks=embedder.rpeaks(ecg.data))
    assert np.array_equal(session(exported).run(None, by_name)[0], found)


def test_a_record_without_a_beat_has_its_mean_token(pre, exported):
    inputs = onnx_inputs(pre, X, rpeaks=[[], *ECG.rpeaks[1:]])
    assert (inputs["beats"][0] == np.float32(1 / 250)).all()
    np.testing.assert_allclose(inputs["beats"].sum(axis=2), 1, rtol=1e-5)
    embedding, tokens = session(exported).run(None, inputs)
    np.testing.assert_allclose(embedding[0, 12:].reshape(7, 4), np.tile(tokens[0].mean(axis=0), (7, 1)), atol=1e-5)


def test_the_file_says_what_it_takes(exported):
    model = onnx.load(exported)
    about = {prop.key: prop.value for prop in model.metadata_props}
    assert about["fs"] == "100" and about["leads"] == "I,II,III,aVR,aVL,aVF,V1,V2,V3,V4,V5,V6"
    assert about["stride"] == "2" and about["beat_phases"] == "7" and about["beat_window"] == "0.25,0.45"
    assert len(about["weights_sha256"]) == 64 and "research only" in about["use"]
    assert [i.name for i in model.graph.input] == ["signal", "beats"]
    assert [o.name for o in model.graph.output] == ["embedding", "tokens"]
    # Nothing but standard operators.
    assert {node.domain for node in model.graph.node} == {""}


@pytest.mark.parametrize("encoder", ["resnet1d", "transformer", "dual_stream"])
def test_other_encoders(encoder, tmp_path):
    model = fitted(encoder)
    export_onnx(model, tmp_path / "model.onnx")
    embedding, _ = session(tmp_path / "model.onnx").run(None, onnx_inputs(model, X))
    assert_close(embedding, RhythmEmbedder(model).transform(X))


# Segmenters


@pytest.mark.parametrize("context", ["encoder", "leads"])
def test_probabilities_of_waves(context, pre, segmenter_of, tmp_path):
    model = segmenter_of(pre, context=context).fit(X, ECG.masks)
    export_onnx(model, tmp_path / "waves.onnx")
    for data in (X, make_ecg(1, fs=100, duration=7.7, random_state=1).data):
        inputs = onnx_inputs(model, data)
        assert set(inputs) == ({"leads", "signal"} if context == "encoder" else {"leads"})
        (found,) = session(tmp_path / "waves.onnx").run(None, inputs)
        assert_close(found[:, :, : data.shape[2]], model.predict_proba(data))
    two = onnx_inputs(model, X[:, [1, 7]], leads=["II", "V2"])
    assert two["leads"].shape[1] == 2 and session(tmp_path / "waves.onnx").run(None, two)[0].shape[1] == 2


# What is refused


class CountsSamples(torch.nn.Module):
    """An encoder that a trace gets wrong: what it adds depends on the length of the first signal."""

    stride, n_dims, n_dims_record, receptive_field = 2.0, 4, 4, 0.1

    def __init__(self, fs_model):
        super().__init__()
        self.layer = torch.nn.Linear(24, 4)

    def forward(self, x):
        x = torch.nn.functional.pad(x, (0, 0, 0, x.shape[1] % 2))
        return self.layer(x.reshape(x.shape[0], -1, 24)) + float(x.shape[1])

    def pool(self, e):
        return e.mean(1)


def test_a_graph_that_differs_from_the_network_is_not_written(tmp_path):
    model = BeatSSLPretrainer(fs=100, encoder=CountsSamples, max_epochs=0, batch_size=4, random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"gives another embedding than the network.*signal \(3, 12, 128\)"):
        export_onnx(model, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_models_that_are_no_networks_of_records(pre, tmp_path):
    head = FineTunedClassifier(pre, max_epochs=0, device="cpu", random_state=0).fit(X, [0, 1, 0])
    with pytest.raises(TypeError, match=r"got FineTunedClassifier; its encoder is exported as RhythmEmbedder\(model\)"):
        export_onnx(head, tmp_path / "model.onnx")
    with pytest.raises(NotFittedError):
        export_onnx(BeatSSLPretrainer(), tmp_path / "model.onnx")
    for wrong in (3, None, RhythmEmbedder, {}):
        with pytest.raises(TypeError, match="model must be a fitted embedder, pretrainer or WaveSegmenter"):
            export_onnx(wrong, tmp_path / "model.onnx")
    pipeline = make_pipeline(RhythmEmbedder(pre), LogisticRegression())
    with pytest.raises(TypeError, match=r"got Pipeline; its first step can be exported: model\[0\]"):
        export_onnx(pipeline, tmp_path / "model.onnx")
    with pytest.raises(OSError, match="nowhere"):
        export_onnx(tmp_path / "nowhere.bssl", tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        (None, TypeError, "path must be the name of a file, got None"),
        (b"x.onnx", TypeError, "path must be the name of a file, got b'x.onnx'"),
        ("", IsADirectoryError, "path='' is a folder"),
        (".", IsADirectoryError, "path='.' is a folder"),
        ("no/such/x.onnx", FileNotFoundError, "path='no/such/x.onnx': there is no folder 'no/such'"),
    ],
)
def test_paths_are_refused_before_the_long_work(pre, path, error, message):
    with pytest.raises(error, match=message):
        export_onnx(pre, path)


@pytest.mark.parametrize("signal", ["x", [["a"]], X.astype(complex), [[[1.0], [2.0, 3.0]]]])
def test_signals_that_are_no_real_numbers(pre, signal):
    with pytest.raises(TypeError, match="signal must (be an array of|hold real) numbers"):
        onnx_inputs(pre, signal)


@pytest.mark.parametrize(
    ("signal", "given", "message"),
    [
        (X[0], {}, r"shape \(n_records, n_leads, n_times\)"),
        (np.where(np.arange(3)[:, None, None] == 1, np.nan, X), {}, "record 1 holds NaN"),
        (np.tile(X, 4), {}, "20 s at 100 Hz, and a graph takes up to 15 s"),
        (X, {"fs": 20}, "fs must lie between"),
        (X, {"rpeaks": ECG.rpeaks[:2]}, "rpeaks holds 2 records"),
        (X, {"leads": ["II"]}, "leads"),
    ],
)
def test_records_that_cannot_be_prepared(pre, signal, given, message):
    with pytest.raises(ValueError, match=message):
        onnx_inputs(pre, signal, **given)


# Shipped models


@pytest.mark.parametrize("name", ["ptbxl", "waves"])
def test_shipped_models(name, tmp_path):
    export_onnx(name, tmp_path / "model.onnx")
    # The segmenter's own rate: at others, `predict_proba` resamples what the network says.
    fs = 500 if name == "ptbxl" else 250
    ecg = make_ecg(2, fs=fs, duration=10, random_state=3)
    found = session(tmp_path / "model.onnx").run(None, onnx_inputs(name, ecg.data, fs=fs))[0]
    if name == "ptbxl":
        assert_close(found, RhythmEmbedder(name, fs=fs).transform(ecg.data))
    else:
        from beatssl_sklearn import load

        assert_close(found[:, :, :2500], load(name).set_params(fs=fs, precision="fp32").predict_proba(ecg.data))
