"""Windows of records: for embedding, and for training."""

import numpy as np
import pytest

from beatssl_sklearn import FrontEnd
from beatssl_sklearn.inputs.source import ArraySource
from beatssl_sklearn.inputs.windows import cut_windows, read_windows, repeat_to_length, training_window, windows


@pytest.mark.parametrize(("fs", "window"), [(100.0, 10.0), (250.0, 10.0), (257.0, 3.3)])
def test_windows_are_cut_where_they_begin(fs, window):
    signal = np.arange(2 * 3 * 6000, dtype=np.float32).reshape(2, 3, 6000)
    n = round(window * fs)
    last = (6000 - n) / fs
    for start in ([0.0, 1.0], [0.504, last], [last, last + 1]):
        cut = cut_windows(signal, fs, np.array(start), window)
        assert cut.shape == (2, 3, n)
        for x, piece, begin in zip(signal, cut, start, strict=True):
            first = min(round(begin * fs), 6000 - n)
            np.testing.assert_array_equal(piece, x[:, first : first + n])
    assert cut_windows(signal[:, :, : n - 1], fs, np.zeros(2), window).shape == (2, 3, n - 1)


@pytest.mark.parametrize("seconds", [0.3, 15, 15.1, 24, 86_400])
def test_cores_tile_a_record(seconds):
    fs, n_times = 100.0, round(seconds * 100)
    cuts = windows(n_times, fs)
    assert cuts[0].core_start == 0 and cuts[-1].core_stop == n_times
    assert all(a.core_stop == b.core_start for a, b in zip(cuts, cuts[1:], strict=False))
    assert all(w.start <= w.core_start < w.core_stop <= w.stop for w in cuts)
    assert max(w.stop - w.start for w in cuts) <= 19.1 * fs


def test_records_of_one_length_are_whole_windows():
    assert training_window(np.array([12.0, 12.0])) == (12.0, True)
    assert training_window(np.array([12.0, 9.0])) == (10.0, False)
    assert training_window(np.array([3.0, 4.0])) == (4.0, False)
    assert training_window(np.array([24.0, 24.0])) == (10.0, False)


def test_short_signals_are_repeated():
    signal = np.arange(3, dtype=np.float32)[None, :, None]
    assert repeat_to_length(signal, 7)[0, :, 0].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert repeat_to_length(signal, 2)[0, :, 0].tolist() == [0, 1]


def test_windows_are_prepared_by_the_front_end():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 2, 500)).astype(np.float32)
    source = ArraySource(x, 250.0, ("II", "V1"), False)
    signal, present = read_windows(source, FrontEnd(fs_model=100), np.array([2, 0]), np.array([0.0, 1.0]), 1.0)
    assert signal.shape == (2, 100, 12) and present.sum(axis=1).tolist() == [2, 2]
    whole = FrontEnd(fs_model=100)(next(source.read(np.array([2]), 1))._replace(signal=x[2:3, :, :250]))
    np.testing.assert_array_equal(signal[0], whole.signal[0])
