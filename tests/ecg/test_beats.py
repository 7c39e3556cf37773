"""Beat windows and the border rule."""

import numpy as np
import pytest

from beatssl_sklearn.ecg.beats import as_objects, as_rpeaks, beat_windows, keep_inside, window_samples


def test_window_samples_are_seconds_times_rate():
    assert window_samples(500.0) == (125, 225)
    assert window_samples(100, (0.1, 0.2)) == (10, 20)


@pytest.mark.parametrize("fs", [0, -1.0, np.nan, np.inf])
def test_rate_must_be_positive(fs):
    with pytest.raises(ValueError, match="fs"):
        window_samples(fs)


@pytest.mark.parametrize("window", [(0.1,), (-0.1, 0.2), (0.0, 0.0), (np.nan, 0.2)])
def test_window_must_hold_samples(window):
    with pytest.raises(ValueError, match="beat_window"):
        window_samples(100.0, window)


def test_border_rule_is_exact():
    # Window [r - 10, r + 20) of a record of 100 samples: 10 is the first and 80 the last peak that fits.
    kept = keep_inside([0, 9, 10, 50, 80, 81, 99], 100, 100.0, (0.1, 0.2))
    assert kept.dtype == np.int64
    np.testing.assert_array_equal(kept, [10, 50, 80])


def test_windows_hold_the_signal_around_each_peak():
    x = np.arange(200, dtype=np.float64).reshape(2, 100)
    beats = beat_windows(x, [5, 30, 80, 90], 100.0, (0.1, 0.2))
    assert beats.shape == (2, 2, 30) and beats.dtype == np.float32
    np.testing.assert_array_equal(beats[0, 0], np.arange(20, 50))
    np.testing.assert_array_equal(beats[1, 1], 100 + np.arange(70, 100))
    beats[:] = 0
    assert x[1, 99] == 199, "windows must not share memory with the signal"


@pytest.mark.parametrize("rpeaks", [[], [1], np.array([])])
def test_no_beat_gives_an_empty_stack(rpeaks):
    assert beat_windows(np.zeros((3, 100)), rpeaks, 100.0).shape == (0, 3, 70)


def test_record_shorter_than_the_window_has_no_beat():
    assert beat_windows(np.zeros((3, 20)), [10], 100.0).shape == (0, 3, 70)


def test_rpeaks_must_be_one_row_of_integers():
    with pytest.raises(TypeError, match="float64"):
        as_rpeaks([1.5, 2.0])
    with pytest.raises(ValueError, match="1-D"):
        as_rpeaks([[1, 2]])
    with pytest.raises(ValueError, match="n_leads, n_times"):
        beat_windows(np.zeros(10), [1], 100.0)


@pytest.mark.parametrize("shapes", [[], [(2, 3)], [(2, 3), (2, 3)], [(2, 3), (0, 3)], [(4,), (2, 2)]])
def test_arrays_stay_single_objects(shapes):
    arrays = [np.full(shape, i) for i, shape in enumerate(shapes)]
    objects = as_objects(arrays)
    assert objects.dtype == object and objects.shape == (len(shapes),)
    assert all(a is b for a, b in zip(objects, arrays, strict=True))
