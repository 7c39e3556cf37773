"""WindowEmbedder: an embedding per window, and measures of RR intervals."""

import joblib
import numpy as np
import pytest
from sklearn.base import clone

from beatssl_sklearn import (
    BeatSSLPretrainer,
    ECGRecord,
    RhythmEmbedder,
    WindowEmbedder,
    detect_rpeaks,
    load,
    make_ecg,
    save,
)
from beatssl_sklearn.ecg import LEADS, RR_MEASURES, rr_measures
from beatssl_sklearn.embedding.window_stream import WindowPlan, embed_window_pieces, window_spans

FS, N_DIMS = 100, 12
X = make_ecg(3, rhythm="mixed", fs=FS, duration=34, random_state=0).data
X.setflags(write=False)


@pytest.fixture(scope="module")
def pre():
    tiny = {"encoder_params": {"widths": (8, 16, 24), "n_dims": N_DIMS}, "max_epochs": 0, "random_state": 0}
    return BeatSSLPretrainer(fs=FS, device="cpu", **tiny).fit(X)


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


# Where windows are


@pytest.mark.parametrize(
    ("n_times", "window", "step", "starts"),
    [
        (3400, 10, 5, [0, 500, 1000, 1500, 2000, 2400]),
        (3000, 10, 5, [0, 500, 1000, 1500, 2000]),
        (3001, 10, 5, [0, 500, 1000, 1500, 2000, 2001]),
        (3000, 10, 10, [0, 1000, 2000]),
        (1001, 10, 5, [0, 1]),
        (250, 2, 0.333, [0, 33, 50]),
    ],
)
def test_windows_begin_each_step_and_end_with_the_record(n_times, window, step, starts):
    spans = window_spans(n_times, FS, window, step)
    assert spans[:, 0].tolist() == starts and (spans[:, 1] - spans[:, 0] == window * FS).all()
    assert spans[-1, 1] == n_times


@pytest.mark.parametrize("n_times", [900, 1000])
def test_a_record_that_is_no_longer_than_a_window_is_one(n_times):
    assert window_spans(n_times, FS, 10, 5).tolist() == [[0, n_times]]
    assert window_spans(5 * n_times, FS, None, 5).tolist() == [[0, 5 * n_times]]


# What their rows are


@pytest.mark.parametrize("window", [4, 20], ids=["short", "longer than the network's"])
def test_a_window_is_embedded_as_a_record(pre, window):
    embedder = WindowEmbedder(pre, window=window, step=3, timing=True)
    rows, spans = embedder.transform(X), embedder.windows(X)
    assert rows.shape == (3,) and rows[0].dtype == np.float32
    for i, (own, where) in enumerate(zip(rows, spans, strict=True)):
        cuts = np.stack([X[i, :, start:stop] for start, stop in where])
        assert_close(own[:, : 10 * N_DIMS], RhythmEmbedder(pre, check="ignore").transform(cuts))
        # Also with the beats at the ends of the window, which are not embedded.
        assert_close(own[:, 10 * N_DIMS :], rr_measures(detect_rpeaks(cuts, FS), FS))


def test_rr_intervals_of_a_stretch_around_each_window(pre):
    rows = WindowEmbedder(pre, step=5, timing=True, timing_window=20).transform(X)
    stretches = [(0, 2000), (0, 2000), (500, 2500), (1000, 3000), (1400, 3400), (1400, 3400)]
    for signal, own in zip(X, rows, strict=True):
        # This record's peaks are the same in windows and in the whole.
        rpeaks = detect_rpeaks(signal, FS)[0]
        expected = rr_measures([rpeaks[(rpeaks >= a) & (rpeaks < b)] for a, b in stretches], FS)
        assert_close(own[:, 10 * N_DIMS :], expected)
    # Of a record that is shorter than the stretch, all of it.
    short = WindowEmbedder(pre, timing=True, timing_window=60).transform(X)[0][:, 10 * N_DIMS :]
    assert_close(short, np.repeat(rr_measures(detect_rpeaks(X[0], FS), FS), 6, axis=0))


def test_neither_batches_nor_other_records_matter(pre):
    expected = WindowEmbedder(pre, timing=True).transform(X)
    for batch_size in (1, 4, 100):
        rows = WindowEmbedder(pre, timing=True, batch_size=batch_size).transform(X)
        for own, other in zip(rows, expected, strict=True):
            assert_close(own, other)
    # Records of unequal length, and one that is shorter than a window.
    mixed = [ECGRecord(signal, FS, LEADS) for signal in (X[0], X[1][:, :700], X[2])]
    rows = WindowEmbedder(pre, timing=True).transform(mixed)
    assert [len(own) for own in rows] == [6, 1, 6]
    assert_close(rows[2], expected[2])
    assert_close(rows[1][:, : 10 * N_DIMS], RhythmEmbedder(pre).transform(X[1:2, :, :700]))


def test_the_whole_record_as_one_window(pre):
    rows = WindowEmbedder(pre, window=None).transform(X)
    assert [own.shape for own in rows] == [(1, 10 * N_DIMS)] * 3
    assert_close(np.concatenate(list(rows)), RhythmEmbedder(pre).transform(X))


def test_parts_and_names_of_columns(pre):
    names = WindowEmbedder(pre, timing=True).get_feature_names_out()
    assert names[:1] == ["mean_0"] and tuple(names[10 * N_DIMS :]) == RR_MEASURES
    some = WindowEmbedder(pre, timing=True, parts=["sd", "beat2"])
    chosen = np.isin(names, some.get_feature_names_out())
    assert chosen.sum() == 2 * N_DIMS + len(RR_MEASURES)
    for own, every in zip(some.transform(X), WindowEmbedder(pre, timing=True).transform(X), strict=True):
        np.testing.assert_array_equal(own, every[:, chosen])
    assert len(WindowEmbedder(pre).get_feature_names_out()) == 10 * N_DIMS


def test_windows_without_a_sample_are_nan(pre):
    signal = np.array(X[:1])
    signal[:, :, 1000:2000] = np.nan
    rows = WindowEmbedder(pre, allow_nan=True, timing=True).transform(signal)[0]
    assert np.isnan(rows).all(axis=1).tolist() == [False, False, True, False, False, False]
    assert np.isfinite(rows[[0, 1, 3, 4, 5]]).all()


def test_short_records_are_not_embedded(pre):
    mixed = [ECGRecord(signal, FS, LEADS) for signal in (X[0], X[1][:, :399], X[2][:, :400])]
    embedder = WindowEmbedder(pre, timing=True, min_duration=4)
    with pytest.warns(UserWarning, match=r"^record 1: shorter than 4 s \(min_duration\): not embedded$"):
        rows = embedder.transform(mixed)
    assert [len(own) for own in rows] == [6, 1, 1]
    assert [bool(np.isnan(own).all()) for own in rows] == [False, True, False]
    assert_close(rows[2], WindowEmbedder(pre, timing=True).transform(mixed[2:])[0])
    with pytest.raises(ValueError, match="record 1: shorter than 4 s"):
        embedder.set_params(check="raise").transform(mixed)


def test_odd_records_are_named_by_their_place(pre):
    flat = np.array(X)
    flat[1] = 0.2
    with pytest.warns(UserWarning, match="^record 1: no lead varies"):
        rows = WindowEmbedder(pre, timing=True).transform(flat)
    assert not rows[1][:, 10 * N_DIMS :].any()
    with pytest.raises(ValueError, match="record 1"):
        WindowEmbedder(pre, check="raise").transform(flat)


# Long records


class Recording:
    """A record in memory that is read in ranges, and that counts what was read at once."""

    leads = tuple(f"V{k}" for k in range(1, 4))
    fs, largest = FS, 0

    def __init__(self, signal):
        self.signal, self.n_times = signal, signal.shape[1]

    def read(self, start, stop):
        self.largest = max(self.largest, stop - start)
        return self.signal[:, start:stop]


@pytest.mark.parametrize("timing_window", [None, 24.0])
def test_piece_by_piece(pre, timing_window):
    record = Recording(make_ecg(1, rhythm="mixed", fs=FS, duration=203, random_state=1).data[0, 6:9])
    model, plan = pre.encoder_.model("cpu"), WindowPlan(timing=True, timing_window=timing_window)
    parts = list(embed_window_pieces(record, model, plan, piece=30, batch_size=4))
    assert len(parts) > 5 and record.largest <= 100 * FS
    embedder = WindowEmbedder(pre, timing=True, timing_window=timing_window)
    whole = [ECGRecord(record.signal, FS, record.leads)]
    np.testing.assert_array_equal(np.concatenate([part.spans for part in parts]), embedder.windows(whole)[0])
    assert_close(np.concatenate([part.rows for part in parts]), embedder.transform(whole)[0])


# As an estimator


def test_saved_copied_and_cached(pre, tmp_path):
    embedder = WindowEmbedder(pre, window=8, step=4, timing=True, parts="mean")
    expected = embedder.transform(X)
    save(embedder, tmp_path / "windows.bssl")
    joblib.dump(embedder, tmp_path / "windows.joblib")
    cached = clone(embedder).set_params(memory=str(tmp_path / "cache"))
    # The second time from the cache.
    for other in (load(tmp_path / "windows.bssl"), joblib.load(tmp_path / "windows.joblib"), cached, cached):
        for own, same in zip(other.transform(X), expected, strict=True):
            np.testing.assert_array_equal(own, same)
    assert len(cached.set_params(step=8.0).transform(X)[0]) < len(expected[0])


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        ({"window": 1}, ValueError, "window must be a number at least 2, got 1"),
        ({"window": "10"}, TypeError, "window must be a number, got '10'"),
        ({"step": 0}, ValueError, "step must be a number between 0.1 and 10, got 0"),
        ({"window": 4.0, "step": 5}, ValueError, "step must be a number between 0.1 and 4, got 5"),
        ({"timing_window": 1}, ValueError, "timing_window must be a number at least 2, got 1"),
        ({"min_duration": -1}, ValueError, "min_duration must be a number at least 0, got -1"),
        ({"timing": "yes"}, TypeError, "timing must be True or False, got 'yes'"),
        ({"parts": "median"}, ValueError, "parts must be"),
    ],
)
def test_parameters_out_of_range(pre, params, error, words):
    embedder = WindowEmbedder(pre, **params)
    for method in (embedder.transform, embedder.windows)[: 1 if "parts" in params else 2]:
        with pytest.raises(error, match=words):
            method(X)
