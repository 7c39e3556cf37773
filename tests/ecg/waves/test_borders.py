"""Onsets, peaks and offsets between samples."""

import numpy as np

from beatssl_sklearn.ecg.waves.borders import border_shifts, mean_borders, peaks, samples_of, smooth

P, QRS = 1, 2


def test_smoothing_is_a_moving_average():
    x = np.random.default_rng(0).standard_normal((3, 40)).astype(np.float32)
    for half in range(20):
        want = x.copy()
        for i in range(half, 40 - half):
            want[:, i] = x[:, i - half : i + half + 1].mean(axis=1)
        np.testing.assert_allclose(smooth(x, half), want, atol=1e-6)
    np.testing.assert_array_equal(smooth(x, 20), x)


def test_ranges_are_joined():
    assert samples_of(np.array([5, 0, 9]), np.array([2, 0, 3])).tolist() == [5, 6, 9, 10, 11]
    assert samples_of(np.array([], int), np.array([], int)).shape == (0,)


def test_borders_lie_where_two_probabilities_are_equal():
    planes = np.zeros((4, 12), np.float32)
    planes[0] = [1, 1, 0.6, 0.2, 0, 0, 0.3, 0.9, 1, 1, 1, 1]
    planes[QRS] = 1 - planes[0]
    before, behind = border_shifts(planes, np.array([3]), np.array([4]), np.array([QRS], np.int8))
    # The lead over the background goes from -.2 to .6 on the left, and from .4 to -.8 on the right.
    np.testing.assert_allclose([before[0], behind[0]], [0.6 / 0.8 - 0.5, 0.4 / 1.2 - 0.5], atol=1e-6)


def test_mean_borders_share_what_two_waves_claim():
    planes = np.zeros((4, 30), np.float32)
    planes[P, 5:11] = planes[P, 14:20] = 1
    planes[P, 11:14] = 0.8
    planes[0] = 1 - planes[P]
    first, last = np.array([5, 14]), np.array([10, 19])
    onset, offset = mean_borders(planes, np.zeros(2, int), first, last, np.array([P, P], np.int8), 30, 6)
    assert onset[0] == 5 and offset[1] == 19
    assert 10 < offset[0] < 14 and onset[1] - offset[0] >= 1


def test_peaks_are_vertices_above_the_line_between_the_ends():
    t = np.arange(60.0)
    x = (np.exp(-0.5 * ((t - 20.3) / 3) ** 2) - 2 * np.exp(-0.5 * ((t - 40.6) / 3) ** 2) + 0.01 * t).astype(np.float32)
    runs = np.array([10, 30, 10]), np.array([20, 20, 40])
    either = peaks(x, *runs, np.zeros(3, bool))
    upwards = peaks(x, *runs, np.ones(3, bool))
    np.testing.assert_allclose(either, [10.3, 10.6, 30.6], atol=0.05)
    # The second run has nothing above its line, and so its deflection downwards counts.
    np.testing.assert_allclose(upwards, [10.3, 10.6, 10.3], atol=0.05)
    assert peaks(np.zeros(60, np.float32), *runs, np.zeros(3, bool)).tolist() == [9.5, 9.5, 19.5]
