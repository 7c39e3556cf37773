"""RhythmEmbedder, BeatEmbedder, SampleEmbedder: where the encoder comes from, and how X is described."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pandas
import pytest
import wfdb
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from beatssl_sklearn import (
    BeatClassifier,
    BeatEmbedder,
    BeatSSL,
    BeatSSLPretrainer,
    ECGRecord,
    RhythmEmbedder,
    SampleEmbedder,
    WFDBFolder,
    detect_rpeaks,
    load,
    make_ecg,
    save,
)
from beatssl_sklearn.ecg import MORPHOLOGY_NAMES, TIMING_NAMES, beat_morphology, beat_timing
from beatssl_sklearn.ecg.beats import keep_inside
from beatssl_sklearn.ecg.leads import LEADS

FS, N_DIMS = 100, 12
TINY = {
    "fs": FS,
    "encoder_params": {"widths": (8, 16, 24), "n_dims": N_DIMS},
    "objective": BeatSSL(projection_dim=8),
    "max_epochs": 1,
    "batch_size": 5,
    "random_state": 0,
    "device": "cpu",
}
EMBEDDERS = [RhythmEmbedder, BeatEmbedder, SampleEmbedder]
ECG = make_ecg(8, rhythm="mixed", fs=FS, duration=5, random_state=0)
ECG.data.setflags(write=False)
X = ECG.data


@pytest.fixture(scope="module")
def pre():
    return BeatSSLPretrainer(**TINY).fit(X)


@pytest.fixture(scope="module")
def untrained():
    """Of fs=500, for records of other rates."""
    return BeatSSLPretrainer(**(TINY | {"fs": 500, "max_epochs": 0})).fit(make_ecg(2, duration=2, random_state=0).data)


def cosine(a, b):
    a, b = (np.asarray(x, dtype=np.float64).reshape(-1, x.shape[-1]) for x in (a, b))
    return (a * b).sum(1) / np.sqrt((a**2).sum(1) * (b**2).sum(1))


def same(a, b, exact=True):
    if isinstance(a, np.ndarray) and a.dtype != object:
        return np.array_equal(a, b) if exact else np.allclose(a, b, rtol=1e-4, atol=1e-5)
    return len(a) == len(b) and all(same(p, q, exact) for p, q in zip(a, b, strict=True))


# Shapes


def test_output_shapes(pre):
    rhythm = RhythmEmbedder(pre).transform(X)
    assert rhythm.shape == (8, 10 * N_DIMS) and rhythm.dtype == np.float32
    beats = BeatEmbedder(pre).transform(X)
    assert beats.shape == (8,) and beats.dtype == object
    assert all(b.dtype == np.float32 and b.shape[1] == 7 * N_DIMS for b in beats)
    tokens = SampleEmbedder(pre).transform(X)
    assert tokens.shape == (8, 250, N_DIMS) and tokens.dtype == np.float32


def test_one_record_and_equal_beat_numbers_stay_objects(pre):
    embedder = BeatEmbedder(pre)
    assert embedder.transform(X[:1]).shape == (1,)
    equal = embedder.transform(X[:3], rpeaks=[r[1:3] for r in ECG.rpeaks[:3]])
    assert equal.shape == (3,) and all(b.shape == (2, 7 * N_DIMS) for b in equal)


def test_records_without_a_beat(pre):
    flat = np.array(X[:3])
    flat[1] = 0.7
    embedder = BeatEmbedder(pre)
    with pytest.warns(UserWarning, match="record 1: no lead varies"):
        beats = embedder.transform(flat)
    assert beats[1].shape == (0, 7 * N_DIMS) and len(beats[0]) and len(beats[2])
    none = embedder.transform(X[:2], rpeaks=[[], np.zeros(0, int)])
    assert [b.shape for b in none] == [(0, 7 * N_DIMS)] * 2


@pytest.mark.parametrize("cls", EMBEDDERS)
def test_a_records_embedding_does_not_depend_on_the_others(cls, pre):
    embedder = cls(pre)
    together = embedder.transform(X)
    order = np.random.default_rng(0).permutation(len(X))
    assert same(embedder.transform(X[order]), together[order], exact=False)
    assert same(embedder.transform(X[3:4])[0], together[3], exact=False)
    for batch_size in (1, 3, 64):
        assert same(cls(pre, batch_size=batch_size).transform(X), together, exact=False)


def test_the_rhythm_does_not_depend_on_the_beats_asked_for(pre):
    out = pre.embed(X, rpeaks=[r[1:3] for r in ECG.rpeaks])
    assert same(out.rhythm, pre.transform(X)) and {len(b) for b in out.beat} == {2}


def test_all_levels_belong_to_one_network(pre):
    out = pre.embed(X, levels=("rhythm", "beat", "sample"))
    assert same(RhythmEmbedder(pre).transform(X), out.rhythm, exact=False)
    assert same(BeatEmbedder(pre).transform(X), out.beat, exact=False)
    tokens = SampleEmbedder(pre).transform(X)
    assert same(list(tokens), out.sample, exact=False)
    deviation = np.sqrt(tokens.var(1) + 1e-4)
    of_beats = np.stack([b.mean(0) for b in out.beat])
    expected = np.concatenate([tokens.mean(1), tokens.max(1), deviation, of_beats], axis=1)
    np.testing.assert_allclose(expected, out.rhythm, rtol=1e-3, atol=1e-4)


def no_beat_in_the_first(signal, fs):
    return [] if np.array_equal(signal, X[0]) else detect_rpeaks(signal, fs)[0]


def test_the_embedding_of_a_beatless_record_takes_the_mean_token_for_its_beats():
    blind = BeatSSLPretrainer(**TINY, rpeak_detector=no_beat_in_the_first).fit(X)
    out = blind.embed(X[:2], levels=("rhythm", "sample"))
    beats = out.rhythm[:, 3 * N_DIMS :].reshape(2, 7, N_DIMS)
    np.testing.assert_allclose(beats[0], np.tile(out.sample[0].mean(0), (7, 1)), rtol=1e-4, atol=1e-5)
    assert np.abs(beats[1] - out.sample[1].mean(0)).max() > 1e-2


# Where the encoder comes from


@pytest.mark.parametrize("cls", EMBEDDERS)
def test_stateless_with_anything_fitted(cls, pre, tmp_path):
    embedder = cls(pre)
    before = joblib.hash(embedder)
    z = embedder.transform(X)
    if cls is not SampleEmbedder:
        assert joblib.hash(embedder) == before, "transform must leave the embedder as it was"
    assert same(embedder.fit(X[:2]).transform(X), z), "fit has nothing to learn"
    save(pre, tmp_path / "m.bssl")
    for path in (tmp_path / "m.bssl", str(tmp_path / "m.bssl")):
        assert same(cls(path).transform(X), z)


@pytest.mark.parametrize("cls", EMBEDDERS)
def test_an_unfitted_pretrainer_is_trained(cls, pre):
    unfitted = BeatSSLPretrainer(**TINY)
    embedder = cls(unfitted)
    with pytest.raises(NotFittedError, match=cls.__name__):
        embedder.transform(X)
    assert embedder.fit(X) is embedder
    assert not hasattr(unfitted, "encoder_"), "the pretrainer that was passed stays as it was"
    assert same(embedder.transform(X), cls(pre).transform(X))
    assert embedder.n_features_in_ == 12


def test_another_pretrainer_takes_the_place_of_a_trained_one(pre):
    embedder = RhythmEmbedder(BeatSSLPretrainer(**(TINY | {"random_state": 1}))).fit(X)
    before = embedder.transform(X)
    after = embedder.set_params(pretrainer=pre).fit(X).transform(X)
    assert same(after, pre.transform(X)) and not same(after, before)


@pytest.mark.parametrize("cls", EMBEDDERS)
def test_clone(cls, pre):
    copied = clone(cls(pre, batch_size=3))
    assert copied.pretrainer.encoder_ is pre.encoder_ and copied.batch_size == 3
    assert same(copied.transform(X), cls(pre).transform(X), exact=False)
    unfitted = BeatSSLPretrainer(**TINY)
    copied = clone(cls(unfitted).fit(X))
    assert copied.pretrainer is not unfitted and not hasattr(copied, "pretrainer_")
    assert copied.pretrainer.get_params() == unfitted.get_params()
    assert clone(cls("somewhere.bssl")).pretrainer == "somewhere.bssl"


def test_parameters_of_a_clone_do_not_reach_the_pretrainer_that_was_passed(pre):
    z = pre.transform(X)
    copied = clone(RhythmEmbedder(pre)).set_params(pretrainer__fs=50.0)
    assert pre.fs == FS and copied.encoder_.fs == 50 and same(pre.transform(X), z)
    copied.set_params(pretrainer__amplitude="relative")
    assert pre.amplitude == "absolute" and same(pre.transform(X), z)
    with pytest.raises(ValueError, match="amplitude='relative' was set after fit, which had 'absolute'"):
        copied.transform(X)


def test_training_parameters_of_a_fitted_pretrainer_do_nothing_and_say_so(pre):
    embedder = RhythmEmbedder(pre)
    for name in ("objective__temperature", "max_epochs"):
        with pytest.warns(UserWarning, match=f"pretrainer__{name} is set, but the pretrainer is fitted") as caught:
            clone(embedder).set_params(**{f"pretrainer__{name}": 3})
        assert caught[0].filename == __file__
    embedder.set_params(batch_size=3)
    RhythmEmbedder(clone(pre)).set_params(pretrainer__max_epochs=3)


@pytest.mark.parametrize("cls", EMBEDDERS)
def test_an_encoder_is_taken_as_a_pretrainer(cls, pre):
    embedder = cls(pre.encoder_)
    assert same(embedder.transform(X), cls(pre).transform(X))
    assert clone(embedder).encoder_ is pre.encoder_
    assert same(cls(cls(pre)).transform(X), embedder.transform(X)), "anything that has an encoder_"


def test_a_pickle_carries_the_encoder_of_a_file(pre, tmp_path):
    path = tmp_path / "own.bssl"
    save(pre, path)
    pipe = make_pipeline(RhythmEmbedder(str(path)), LogisticRegression(max_iter=1000)).fit(X, np.arange(len(X)) % 2)
    expected = pipe.predict_proba(X)
    content, before = pickle.dumps(pipe), joblib.hash(pipe[0])
    save(BeatSSLPretrainer(**(TINY | {"random_state": 1, "max_epochs": 0})).fit(X), path)
    assert joblib.hash(pipe[0]) != before, "a cache notices another file"
    path.unlink()
    again = pickle.loads(content)
    assert same(again.predict_proba(X), expected) and same(clone(again[0]).transform(X), pre.transform(X))
    assert again[0].pretrainer == str(path)
    with pytest.raises(FileNotFoundError):
        again[0].set_params(pretrainer=f"{path}2").transform(X)


def test_a_record_without_its_axis_is_no_set_of_records(pre):
    """Whichever way it lies, also as a table of leads."""
    frame = pandas.DataFrame(X[0].T, columns=list(ECG.leads))
    for one in (X[0], np.ascontiguousarray(X[0].T), X[0][:2], frame):
        for embed in (RhythmEmbedder(pre).transform, BeatEmbedder(pre).transform, pre.transform):
            with pytest.raises(ValueError, match="n_records, n_leads, n_times"):
                embed(one)
    assert RhythmEmbedder(pre, leads="II").transform(X[:, 1]).shape == (8, 120), "records of one lead are a table"


def test_what_is_no_pretrainer():
    for wrong in (3, None, LogisticRegression()):
        with pytest.raises(TypeError, match="pretrainer must be a pretrainer, a path"):
            RhythmEmbedder(wrong).fit(X)
        with pytest.raises(NotFittedError):
            RhythmEmbedder(wrong).transform(X)
    with pytest.raises(FileNotFoundError, match="nowhere.bssl"):
        RhythmEmbedder("folder/nowhere.bssl").transform(X)


def test_embedders_of_one_file_share_it_until_it_changes(pre, tmp_path):
    path = tmp_path / "m.bssl"
    save(pre, path)
    a, b = RhythmEmbedder(path), BeatEmbedder(path)
    assert a.encoder_ is b.encoder_
    other = BeatSSLPretrainer(**(TINY | {"random_state": 1, "max_epochs": 0})).fit(X)
    save(other, path)
    assert same(a.transform(X), RhythmEmbedder(other).transform(X))


@pytest.mark.parametrize("cls", EMBEDDERS)
def test_pickles(cls, pre, tmp_path):
    embedder = cls(pre).fit(X)
    z = embedder.transform(X)
    for again in (pickle.loads(pickle.dumps(embedder)), copy.deepcopy(embedder)):
        assert same(again.transform(X), z)
    save(pre, tmp_path / "m.bssl")
    by_path = pickle.dumps(cls(tmp_path / "m.bssl"))
    assert len(pickle.dumps(cls("ptbxl"))) < 1000, "a shipped model is pickled as its name"
    assert same(pickle.loads(by_path).transform(X), z)


def test_threads_share_an_embedder(pre):
    embedder = BeatEmbedder(copy.deepcopy(pre))
    expected = BeatEmbedder(pre).transform(X)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: embedder.transform(X), range(8)):
            assert same(found, expected, exact=False)


# How X is described


@pytest.mark.parametrize("cls", EMBEDDERS)
def test_the_same_records_at_other_rates(cls, untrained):
    at = {fs: make_ecg(3, fs=fs, duration=6, noise=0, random_state=4) for fs in (250, 500)}
    z = {fs: cls(untrained, fs=fs) for fs in at}
    if cls is BeatEmbedder:
        found = {fs: z[fs].transform(at[fs].data, rpeaks=at[fs].rpeaks) for fs in at}
        pairs = list(zip(*found.values(), strict=True))
    else:
        pairs = list(zip(*(z[fs].transform(at[fs].data) for fs in at), strict=True))
    assert min(cosine(a, b).min() for a, b in pairs) > 0.99
    if cls is RhythmEmbedder:
        twice_as_fast = cls(untrained, check="ignore").transform(at[250].data)
        assert cosine(twice_as_fast, z[500].transform(at[500].data)).max() < 0.99


def test_rates_and_leads_default_to_the_pretrainers(pre):
    plain = RhythmEmbedder(pre).transform(X)
    assert same(RhythmEmbedder(pre, fs=FS, leads=ECG.leads).transform(X), plain)
    order = np.random.default_rng(1).permutation(12)
    shuffled = RhythmEmbedder(pre, leads=[ECG.leads[i] for i in order]).transform(X[:, order])
    assert same(shuffled, plain, exact=False)


@pytest.mark.parametrize("names", [("II",), ("V1", "II", "V5"), ("aVF", "V6")])
def test_a_subset_of_leads_is_the_rest_at_zero(names, pre):
    index = [ECG.leads.index(name) for name in names]
    silent = np.zeros_like(X)
    silent[:, index] = X[:, index]
    named = RhythmEmbedder(pre, leads=names).transform(X[:, index])
    assert same(named, RhythmEmbedder(pre).transform(silent), exact=False)
    assert not same(named, RhythmEmbedder(pre).transform(X), exact=False)


def test_limb_leads_follow_from_i_and_ii(pre):
    eight = [ECG.leads.index(name) for name in ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")]
    named = RhythmEmbedder(pre, leads=[ECG.leads[i] for i in eight]).transform(X[:, eight])
    assert cosine(named, RhythmEmbedder(pre).transform(X)).min() > 0.9999


def test_an_inverted_lead(pre):
    turned = np.array(X)
    turned[:, 3] *= -1
    names = ["-aVR" if name == "aVR" else name for name in ECG.leads]
    assert same(RhythmEmbedder(pre, leads=names).transform(turned), RhythmEmbedder(pre).transform(X), exact=False)


@pytest.mark.parametrize(
    ("leads", "x", "message"),
    [
        (["II", "XX"], X[:, :2], "XX"),
        (["II", "MLII"], X[:, :2], "duplicate"),
        (["II", "V1"], X, r"X has 12 leads but leads=\['II', 'V1'\] names 2; .* X\[:, \[1, 6\]\]"),
        (None, X[:, :5], "5 leads.*fitted on 12"),
        (None, X.transpose(0, 2, 1), "axes seem swapped"),
        (None, X[0], r"no lead axis.*n_records.*X\[None\]"),
        (None, X[0, 0], r"X must have the shape \(n_records, n_leads, n_times\), got \(\d+,\).*X\[None, None\]"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "transform"])
def test_x_that_does_not_fit_its_description(method, leads, x, message, pre):
    with pytest.raises(ValueError, match=message):
        getattr(RhythmEmbedder(pre, leads=leads), method)(x)


def test_records_describe_themselves(pre):
    z = RhythmEmbedder(pre).transform(X)
    fast = make_ecg(8, rhythm="mixed", fs=500, duration=5, random_state=0)
    mixed = [ECGRecord(X[0], FS, ECG.leads), ECGRecord(fast.data[1], 500.0, fast.leads)]
    mixed += [ECGRecord(X[2][[1, 6]], FS, ("II", "V1"))]
    with pytest.warns(UserWarning, match=r"leads \(V6\) is for arrays.*leads of their own \(I, II, III, aVR"):
        found = RhythmEmbedder(pre, fs=250, leads=["V6"]).transform(mixed)
    assert same(found[0], z[0], exact=False) and cosine(found[1], z[1]) > 0.95
    assert same(found[2], RhythmEmbedder(pre, leads=["II", "V1"]).transform(X[2:3][:, [1, 6]])[0], exact=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch_size", 0), ("batch_size", 2.5), ("fs", 10), ("fs", "x"), ("device", "gpu9"), ("precision", "fp8")],
)
def test_bad_parameters_are_named(name, value, pre):
    with pytest.raises((ValueError, TypeError), match=name) as error:
        RhythmEmbedder(pre, **{name: value}).transform(X)
    assert str(value) in str(error.value)


# R peaks


def test_rpeaks_tell_where_the_beats_are(pre):
    embedder = BeatEmbedder(pre)
    peaks, beats = embedder.rpeaks(X), embedder.transform(X)
    assert [len(r) for r in peaks] == [len(b) for b in beats]
    for r in peaks:
        assert r.dtype == np.int64 and (np.diff(r) > 0).all()
        assert (r >= 25).all() and (r + 45 <= X.shape[2]).all()
    assert same(embedder.transform(X, rpeaks=peaks), beats)
    truth = [keep_inside(r, X.shape[2], FS) for r in ECG.rpeaks]
    assert np.mean([len(r) == len(t) for r, t in zip(peaks, truth, strict=True)]) >= 0.75


def test_given_rpeaks(pre):
    embedder = BeatEmbedder(pre)
    beats = embedder.transform(X, rpeaks=ECG.rpeaks)
    kept = [keep_inside(r, X.shape[2], FS) for r in ECG.rpeaks]
    assert [len(b) for b in beats] == [len(r) for r in kept]
    # Each beat on its own, and in another order of records, is the same beat.
    last = embedder.transform(X[::-1], rpeaks=[r[-1:] for r in kept[::-1]])
    assert same([b[-1:] for b in beats][::-1], list(last), exact=False)
    assert same(embedder.fit_transform(X, rpeaks=ECG.rpeaks), beats), "fit_transform embeds the same beats"
    with pytest.raises(ValueError, match="rpeaks holds 3 records, X has 8"):
        embedder.transform(X, rpeaks=ECG.rpeaks[:3])
    with pytest.raises(ValueError, match="rpeaks of record 1"):
        embedder.transform(X, rpeaks=[ECG.rpeaks[0], np.array([499, 500]), *ECG.rpeaks[2:]])


def test_a_beat_is_embedded_from_its_surroundings(pre):
    """Far from a change in the signal, nothing changes; at the change, it does."""
    peaks = [np.arange(60, 450, 70)]
    noisy = np.array(X[:1])
    noisy[:, :, 420:] = noisy[:, :, :80]
    before, after = (BeatEmbedder(pre).transform(x, rpeaks=peaks)[0] for x in (X[:1], noisy))
    likeness = cosine(before, after)
    assert likeness[:3].min() > likeness[-1]


def test_rpeaks_are_routed_to_fit_and_transform(pre):
    labels = np.empty(len(X), dtype=object)
    kept = [keep_inside(r, X.shape[2], FS) for r in ECG.rpeaks]
    for i, (r, types) in enumerate(zip(ECG.rpeaks, ECG.beat_types, strict=True)):
        labels[i] = np.where(np.isin(types[np.isin(r, kept[i])], ["V"]), "V", "N")
    with config_context(enable_metadata_routing=True):
        embedder = BeatEmbedder(pre).set_fit_request(rpeaks=True).set_transform_request(rpeaks=True)
        pipe = make_pipeline(embedder, BeatClassifier(LogisticRegression(max_iter=1000)))
        pipe.fit(X, labels, rpeaks=ECG.rpeaks)
        found = pipe.predict(X, rpeaks=ECG.rpeaks)
    assert [len(y) for y in found] == [len(r) for r in kept]


# Long records and tokens

LONG = make_ecg(2, fs=FS, duration=60, noise=0.03, random_state=9)


def test_beats_of_long_records_equal_those_of_excerpts(pre):
    embedder = BeatEmbedder(pre)
    beats = embedder.transform(LONG.data, rpeaks=LONG.rpeaks)
    kept = [keep_inside(r, 6000, FS) for r in LONG.rpeaks]
    assert [len(b) for b in beats] == [len(r) for r in kept]
    for i, peaks in enumerate(kept):
        # The core from 20 s to 30 s is embedded with two seconds of context on either side.
        inner = (peaks >= 2000) & (peaks < 3000)
        excerpt = embedder.transform(LONG.data[i : i + 1, :, 1800:3200], rpeaks=[peaks[inner] - 1800])[0]
        assert cosine(beats[i][inner], excerpt).min() > 0.9999
        # Any other excerpt has another scale and baseline, and hardly another embedding.
        inner = (peaks >= 3300) & (peaks < 3700)
        excerpt = embedder.transform(LONG.data[i : i + 1, :, 3000:4000], rpeaks=[peaks[inner] - 3000])[0]
        assert cosine(beats[i][inner], excerpt).min() > 0.99


def test_no_beat_is_lost_or_doubled_at_a_seam(pre):
    every = np.arange(100, 5900, 50)
    beats = BeatEmbedder(pre).transform(LONG.data[:1], rpeaks=[every])[0]
    assert len(beats) == len(every)
    for seam in (1000, 2000, 3000, 4000, 5000):
        # Peaks on either side of a seam: an excerpt around it holds both without a seam.
        near = np.abs(every - seam) <= 100
        excerpt = LONG.data[:1, :, seam - 500 : seam + 500]
        alone = BeatEmbedder(pre).transform(excerpt, rpeaks=[every[near] - seam + 500])[0]
        assert cosine(beats[near], alone).min() > 0.97


def test_embeddings_of_long_records_are_the_mean_over_their_cores(pre):
    z = RhythmEmbedder(pre).transform(LONG.data)
    windows = [LONG.data[:, :, 1000 * k : 1000 * (k + 1)] for k in range(6)]
    assert cosine(z, np.mean([RhythmEmbedder(pre).transform(w) for w in windows], axis=0)).min() > 0.99


def test_tokens_lie_on_one_grid(pre):
    embedder = SampleEmbedder(pre)
    tokens = embedder.transform(LONG.data)
    assert tokens.shape == (2, 3000, N_DIMS)
    times = embedder.token_times(LONG.data)
    assert times.shape == (3000,)
    np.testing.assert_allclose(np.diff(times), 0.02, atol=1e-9)
    assert times[0] == pytest.approx(0.005) and times[-1] < 60
    inner = slice(1000, 1500)
    excerpt = SampleEmbedder(pre).transform(LONG.data[:, :, 1800:3200])[:, 100:600]
    assert cosine(tokens[:, inner], excerpt).min() > 0.999


def test_tokens_follow_the_model_rate_and_not_that_of_x(untrained):
    for fs in (250, 360, 500):
        embedder = SampleEmbedder(untrained, fs=fs)
        x = make_ecg(1, fs=fs, duration=4, random_state=0).data
        times = embedder.token_times(x)
        assert embedder.transform(x).shape[1] == len(times) == 200
        np.testing.assert_allclose(np.diff(times), 0.02, atol=1e-9)


def test_token_times_are_those_of_the_tokens(pre):
    """For any length: what `embed` returns beside the tokens."""
    for n_times in (31, 64, 333, 1400, 1501, 2600):
        x = np.tile(X[:1], 6)[:, :, :n_times]
        found = pre.embed(x, levels=("sample",))
        times = SampleEmbedder(pre).token_times(x)
        assert len(times) == len(found.sample[0])
        np.testing.assert_allclose(times, found.times[0], atol=1e-9)


def test_tokens_of_unequal_records(pre):
    records = [ECGRecord(X[0], FS, ECG.leads), ECGRecord(X[1][:, :300], FS, ECG.leads)]
    embedder = SampleEmbedder(pre)
    tokens = embedder.transform(records)
    assert tokens.dtype == object and [t.shape for t in tokens] == [(250, N_DIMS), (150, N_DIMS)]
    assert len(embedder.token_times(records)) == 250


# Missing samples, memory, machinery


def test_nan_is_refused_unless_the_pretrainer_allows_it(pre):
    x = np.array(X)
    x[2, 5], x[4] = np.nan, np.nan
    for cls in EMBEDDERS:
        with pytest.raises(ValueError, match="record 2, lead aVF.*allow_nan"):
            cls(pre).transform(x)
    tolerant = BeatSSLPretrainer(**TINY, allow_nan=True).fit(x)
    z = RhythmEmbedder(tolerant).transform(x)
    assert np.isnan(z[4]).all() and np.isfinite(np.delete(z, 4, axis=0)).all()
    beats = BeatEmbedder(tolerant).transform(x)
    assert beats[4].shape == (0, 7 * N_DIMS) and all(np.isfinite(b).all() for b in beats)
    assert same(RhythmEmbedder(tolerant).transform(X)[:2], z[:2], exact=False)


def cached_results(folder):
    return len(list(folder.rglob("output.pkl")))


@pytest.mark.parametrize("cls", EMBEDDERS)
def test_memory(cls, pre, tmp_path):
    plain = cls(pre).transform(X)
    remembering = cls(pre, memory=str(tmp_path))
    assert same(remembering.transform(X), plain) and cached_results(tmp_path) == 1
    assert same(remembering.transform(X), plain) and cached_results(tmp_path) == 1
    assert same(clone(remembering).fit(X).transform(X), plain)
    if cls is SampleEmbedder:
        assert clone(remembering).fit(X).transform(X).shape[1] == 250
    before = cached_results(tmp_path)
    remembering.transform(X[:3])
    other = BeatSSLPretrainer(**(TINY | {"random_state": 1, "max_epochs": 0})).fit(X)
    assert not same(cls(other, memory=joblib.Memory(tmp_path, verbose=0)).transform(X), plain)
    assert cached_results(tmp_path) == before + 2, "other records and other weights are other results"


def test_memory_saves_the_work(pre, tmp_path):
    counted = BeatSSLPretrainer(**TINY, rpeak_detector=counting_detector).fit(X)
    COUNTED.clear()
    embedder = BeatEmbedder(counted, memory=str(tmp_path))
    first = embedder.transform(X)
    assert len(COUNTED) == len(X)
    assert same(embedder.transform(X), first) and len(COUNTED) == len(X)
    assert not same(embedder.transform(X, rpeaks=[r[:2] for r in ECG.rpeaks]), first)


COUNTED = []


def counting_detector(signal, fs):
    COUNTED.append(fs)
    return np.arange(50, signal.shape[1] - 50, 80)


def test_grid_search_over_a_frozen_embedder(pre):
    y = np.arange(len(X)) % 2
    pipe = make_pipeline(RhythmEmbedder(pre), LogisticRegression(max_iter=1000))
    grid = {"rhythmembedder__batch_size": [2, 8], "logisticregression__C": [0.1, 1.0]}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_estimator_[0].encoder_ is pre.encoder_
    scores = search.cv_results_["mean_test_score"].reshape(2, 2)
    np.testing.assert_array_equal(scores[:, 0], scores[:, 1])


def test_parameters_of_the_pretrainer_can_be_searched():
    pipe = make_pipeline(RhythmEmbedder(BeatSSLPretrainer(**TINY)), LogisticRegression(max_iter=1000))
    pipe.set_params(rhythmembedder__pretrainer__objective__temperature=0.7, rhythmembedder__fs=125.0)
    fitted = clone(pipe).fit(X, np.arange(len(X)) % 2)[0]
    assert (fitted.pretrainer_.objective_.temperature, fitted.pretrainer_.fs) == (0.7, 125.0)
    assert fitted.pretrainer.fs == FS


def test_groups_and_rpeaks_reach_an_unfitted_pretrainer():
    groups = np.arange(len(X)) // 2
    params = TINY | {"batch_size": 8}
    expected = BeatSSLPretrainer(**params).fit(X, groups=groups, rpeaks=ECG.rpeaks)
    found = RhythmEmbedder(BeatSSLPretrainer(**params)).fit(X, groups=groups, rpeaks=ECG.rpeaks)
    assert same(found.transform(X), expected.transform(X))
    assert not same(found.transform(X), BeatSSLPretrainer(**params).fit(X).transform(X))


@pytest.mark.parametrize("index", [np.arange(8)[::-1], np.arange(8) + 3], ids=["reversed", "of a part"])
def test_rpeaks_in_a_column_belong_to_records_by_position(index, pre):
    column = pandas.Series(ECG.rpeaks, index=index)
    expected = BeatEmbedder(pre).transform(X, rpeaks=ECG.rpeaks)
    assert len({len(beats) for beats in expected}) > 1
    assert same(BeatEmbedder(pre).transform(X, rpeaks=column), expected)
    found = pre.embed(X, levels=("beat",), rpeaks=column)
    assert same(found.beat, expected) and same(found.rpeaks, pre.embed(X, levels=("beat",), rpeaks=ECG.rpeaks).rpeaks)


def test_names_and_tables(pre):
    embedder = RhythmEmbedder(pre).set_output(transform="pandas")
    frame = embedder.transform(X)
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == list(embedder.get_feature_names_out())
    assert frame.columns[0] == "mean_0" and frame.shape == (8, 10 * N_DIMS)
    for cls in (BeatEmbedder, SampleEmbedder):
        assert not hasattr(cls(pre), "set_output"), "their output is no table"


@pytest.mark.parametrize("cls", EMBEDDERS)
def test_warnings_point_at_the_caller(cls, pre):
    x = np.array(X[:2])
    x[0] = 0
    with pytest.warns(UserWarning, match="record 0: no lead varies") as caught:
        cls(pre).transform(x)
    assert [w.filename for w in caught] == [__file__]


def test_implausible_amplitudes():
    pre = BeatSSLPretrainer(**TINY, amplitude="relative").fit(X)
    x = np.array(X[:3])
    x[2] *= 1e3
    with pytest.warns(UserWarning, match="record 2: root mean square above 2.5 mV"):
        z = RhythmEmbedder(pre).transform(x)
    assert same(z, RhythmEmbedder(pre).transform(X[:3]), exact=False), "the scale of a record is divided out"
    for factor, unit in ((1e-9, "volts"), (1e15, "microvolts"), (1e30, "microvolts")):
        with np.errstate(all="raise"), pytest.warns(UserWarning, match=f"are these {unit}"):
            z = RhythmEmbedder(pre).transform(X[:3] * np.float32(factor))
        assert np.isfinite(z).all()


def test_a_wrong_sampling_rate_is_suspected(pre):
    ecg = make_ecg(24, fs=FS, random_state=0)
    with pytest.warns(UserWarning, match=r"heart rate below \d+/min, .*; is fs the sampling rate"):
        RhythmEmbedder(pre, fs=FS / 2).transform(ecg.data)
    RhythmEmbedder(pre).transform(ecg.data)
    RhythmEmbedder(pre, fs=FS / 2).transform(ecg.data[:1])  # it may be the patient's


def test_voltage_is_seen_unless_amplitudes_are_relative(pre):
    relative = BeatSSLPretrainer(**TINY, amplitude="relative").fit(X)
    assert same(RhythmEmbedder(relative).transform(2 * X), RhythmEmbedder(relative).transform(X), exact=False)
    assert not np.allclose(RhythmEmbedder(pre).transform(2 * X), RhythmEmbedder(pre).transform(X), rtol=0.1)


@pytest.mark.parametrize("how", ["set_output", "configuration"])
def test_rows_of_a_folder_keep_their_names(how, pre, tmp_path):
    for i, name in enumerate(("b", "a")):
        wfdb.wrsamp(name, 100, ["mV"] * 12, list(LEADS), X[i].T.astype(float), fmt=["16"] * 12, write_dir=str(tmp_path))
    (tmp_path / "RECORDS").write_text("b\na\n")
    folder = WFDBFolder(tmp_path)
    for estimator in (RhythmEmbedder(pre), copy.copy(pre)):
        assert isinstance(estimator.transform(folder), np.ndarray)
        if how == "set_output":
            table = estimator.set_output(transform="pandas").transform(folder)
        else:
            with config_context(transform_output="pandas"):
                table = estimator.transform(folder)
        assert list(table.index) == ["b", "a"]
        assert list(table.columns) == list(estimator.get_feature_names_out())


@pytest.mark.parametrize(
    "index",
    [
        pandas.Index(list("abcdefgh"), name="patient"),
        pandas.Index(np.arange(8, dtype=np.int32), name=0),
        pandas.CategoricalIndex(list("aabbccdd"), name="site"),
        pandas.date_range("2020-01-01", periods=8, freq="D", name="day"),
        pandas.MultiIndex.from_product([["p", "q"], range(4)], names=["patient", "visit"]),
    ],
    ids=lambda index: type(index).__name__,
)
def test_pandas_output_keeps_the_index_of_a_column(index, pre):
    """Its name and type, too, as scikit-learn's transformers do."""
    column = pandas.Series([ECGRecord(x, FS, LEADS) for x in X], index=index)
    for estimator in (RhythmEmbedder(pre), copy.copy(pre)):
        estimator.set_output(transform="pandas")
        for given in (column, column.to_frame("ecg")):
            table = estimator.transform(given)
            pandas.testing.assert_index_equal(table.index, index, exact=True)
            assert list(table.columns) == list(estimator.get_feature_names_out())


def test_a_record_without_a_sample_is_nan_at_every_level(pre):
    signal = np.array(X[:3])
    signal[1] = np.nan
    given = [np.array([100, 200, 300])] * 3
    records = RhythmEmbedder(pre, allow_nan=True).transform(signal)
    tokens = SampleEmbedder(pre, allow_nan=True).transform(signal)
    beats = BeatEmbedder(pre, allow_nan=True).transform(signal, rpeaks=given)
    for found in (records, tokens, beats):
        assert np.isnan(found[1]).all() and all(np.isfinite(found[i]).all() for i in (0, 2))


def test_peaks_are_found_after_the_same_checks(pre):
    with pytest.raises(ValueError, match="no lead varies"):
        BeatEmbedder(pre, check="raise").rpeaks(np.ones((2, 12, 1000), np.float32))
    with pytest.warns(UserWarning, match="no lead varies"):
        assert [len(r) for r in BeatEmbedder(pre).rpeaks(np.ones((2, 12, 1000), np.float32))] == [0, 0]


def test_a_mapping_of_leads_is_no_description_of_arrays(pre):
    with pytest.raises(TypeError, match="leads of arrays are a sequence of names"):
        RhythmEmbedder(pre, leads={"II": "V1"}).transform(X[:, :1])


# Timing of beats


def test_timing_follows_the_embedding_of_each_beat(pre):
    plain, timed = BeatEmbedder(pre), BeatEmbedder(pre, timing=True, batch_size=3)
    beats, peaks = plain.transform(X), timed.rpeaks(X)
    for found, own, at in zip(timed.transform(X), beats, peaks, strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found[:, : own.shape[1]], own, atol=1e-5)
        np.testing.assert_array_equal(found[:, own.shape[1] :], beat_timing(at, FS))
    names = timed.get_feature_names_out()
    assert names.tolist() == [*plain.get_feature_names_out(), *TIMING_NAMES] and len(names) == found.shape[1]


def test_timing_is_the_same_where_detected_peaks_are_given_back(pre):
    timed = BeatEmbedder(pre, timing=True)
    for found, again in zip(timed.transform(X), timed.transform(X, rpeaks=timed.rpeaks(X)), strict=True):
        np.testing.assert_array_equal(found, again)


def test_timing_of_records_with_few_beats_or_none(pre):
    given = [np.array([250]), np.zeros(0, int), np.array([100, 180, 260]), *([np.array([100, 180, 260, 340])] * 5)]
    found = BeatEmbedder(pre, timing=True).transform(X, rpeaks=given)
    width = 7 * N_DIMS + len(TIMING_NAMES)
    assert [f.shape for f in found] == [(1, width), (0, width), (3, width), *([(4, width)] * 5)]
    assert not found[2][:, 7 * N_DIMS :].any() and found[3][:, 7 * N_DIMS :].any()
    for wrong in (np.array([100, 100, 260, 340]), np.array([260, 100, 340])):
        with pytest.raises(ValueError, match="rpeaks of record 2"):
            BeatEmbedder(pre, timing=True).transform(X, rpeaks=[*given[:2], wrong, *given[3:]])


def test_timing_is_part_of_the_caches_key(pre, tmp_path):
    embedder = BeatEmbedder(pre, memory=joblib.Memory(tmp_path, verbose=0))
    widths = [embedder.set_params(timing=t).transform(X[:2])[0].shape[1] for t in (False, True, False, True)]
    assert widths == [7 * N_DIMS, 7 * N_DIMS + 42] * 2


def test_timing_is_kept_by_clones_and_files(pre, tmp_path):
    embedder = BeatEmbedder(pre, timing=True)
    save(embedder, tmp_path / "m.bssl")
    for other in (clone(embedder), load(tmp_path / "m.bssl"), pickle.loads(pickle.dumps(embedder))):
        assert other.timing is True
        np.testing.assert_array_equal(other.transform(X[:1])[0], embedder.transform(X[:1])[0])
    with pytest.raises(TypeError, match="timing must be True or False, got 'yes'"):
        BeatEmbedder(pre, timing="yes").transform(X)


def test_morphology_stands_between_embedding_and_timing(pre, tmp_path):
    plain, both = BeatEmbedder(pre), BeatEmbedder(pre, timing=True, morphology=True, batch_size=3)
    beats, peaks = plain.transform(X), both.rpeaks(X)
    for signal, found, own, at in zip(X, both.transform(X), beats, peaks, strict=True):
        width = own.shape[1]
        np.testing.assert_allclose(found[:, :width], own, atol=1e-5)
        np.testing.assert_array_equal(found[:, width : width + 40], beat_morphology(signal, at, FS))
        np.testing.assert_array_equal(found[:, width + 40 :], beat_timing(at, FS))
    names = [*plain.get_feature_names_out(), *MORPHOLOGY_NAMES]
    assert both.get_feature_names_out().tolist() == [*names, *TIMING_NAMES]
    alone = BeatEmbedder(pre, morphology=True)
    assert alone.get_feature_names_out().tolist() == names
    save(alone, tmp_path / "m.bssl")
    for other in (clone(alone), load(tmp_path / "m.bssl"), pickle.loads(pickle.dumps(alone))):
        np.testing.assert_array_equal(other.transform(X[:1])[0], alone.transform(X[:1])[0])
    # A part of the cache's key.
    cached = BeatEmbedder(pre, memory=joblib.Memory(tmp_path / "cache", verbose=0))
    widths = [cached.set_params(morphology=m).transform(X[:2])[0].shape[1] for m in (False, True, False)]
    assert widths == [width, width + 40, width]
    given = [np.array([250]), np.zeros(0, int), *([np.array([100, 180, 260, 340])] * 6)]
    found = alone.transform(X, rpeaks=given)
    assert [f.shape for f in found[:2]] == [(1, width + 40), (0, width + 40)] and not found[0][:, width:].any()
    with pytest.raises(TypeError, match="morphology must be True or False, got 1"):
        BeatEmbedder(pre, morphology=1).transform(X)


def test_aligned_beats_do_not_depend_on_where_they_were_marked(pre, tmp_path):
    plain, aligned = BeatEmbedder(pre), BeatEmbedder(pre, align=True, batch_size=3)
    peaks = aligned.rpeaks(X)
    assert all(np.array_equal(a, b) for a, b in zip(peaks, plain.rpeaks(X), strict=True))
    kept = [own[1:-1] for own in peaks]
    beside = [own + np.where(np.arange(len(own)) % 2, 2, -2) for own in kept]
    moved = []
    for embedder in (aligned, plain):
        here, there = (embedder.transform(X, rpeaks=given) for given in (kept, beside))
        moved.append([np.linalg.norm(a - b) / np.linalg.norm(a) for a, b in zip(here, there, strict=True)])
    assert max(moved[0]) < 0.05 and all(a < p / 3 for a, p in zip(*moved, strict=True)), moved
    # Of a narrow QRS, the middle is near the peak.
    pairs = zip(aligned.transform(X), plain.transform(X), strict=True)
    assert all(a.shape == b.shape and np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.8 for a, b in pairs)
    save(aligned, tmp_path / "m.bssl")
    for other in (clone(aligned), load(tmp_path / "m.bssl"), pickle.loads(pickle.dumps(aligned))):
        assert other.align is True
        np.testing.assert_array_equal(other.transform(X[:1])[0], aligned.transform(X[:1])[0])
    cached = BeatEmbedder(pre, memory=joblib.Memory(tmp_path / "cache", verbose=0))
    first, second = (cached.set_params(align=a).transform(X[:2])[0] for a in (False, True))
    assert not np.array_equal(first, second)
    with pytest.raises(TypeError, match="align must be True or False, got 'qrs'"):
        BeatEmbedder(pre, align="qrs").transform(X)
