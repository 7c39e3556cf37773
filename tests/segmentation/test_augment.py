"""WaveAugment: its parameters, and windows without a heart in them. What it does to windows: see `test_batches.py`."""

import numpy as np
import pytest
from sklearn.base import clone

from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.segmentation.augment import WaveAugment, checked_augment, noise_alone


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"stretch": 0.9}, ValueError, "stretch must be a number between 1 and 4, got 0.9"),
        ({"gain": 5}, ValueError, "gain must be a number between 1 and 4, got 5"),
        ({"gain": np.nan}, ValueError, "gain must be a number between 1 and 4, got nan"),
        ({"noise": -0.1}, ValueError, "noise must be a number between 0 and 1, got -0.1"),
        ({"low_rate": 2}, ValueError, "low_rate must be a number between 0 and 1, got 2"),
        ({"lead_subset": 1.5}, ValueError, "lead_subset must be a number between 0 and 1, got 1.5"),
        ({"background": -1}, ValueError, "background must be a number between 0 and 1, got -1"),
        ({"noise_mv": 0}, ValueError, "noise_mv must be a number between 1e-06 and 10, got 0"),
        ({"noise_mv": np.inf}, ValueError, "noise_mv must be a number between 1e-06 and 10, got inf"),
        ({"noise": "much"}, TypeError, "noise must be a number, got 'much'"),
        ({"stretch": None}, TypeError, "stretch must be a number, got None"),
        ({"low_rate": True}, TypeError, "low_rate must be a number, got True"),
    ],
)
def test_values_out_of_range_are_named_by_check_alone(parameters, error, message):
    augment = WaveAugment(**parameters)
    for check in (augment.check, lambda: checked_augment(augment)):
        with pytest.raises(error, match=message):
            check()


@pytest.mark.parametrize("wrong", ["strong", {"noise": 1}, [("noise", 1)], WaveAugment, 3])
def test_what_is_no_augment_is_refused(wrong):
    with pytest.raises(TypeError, match="augment must be a WaveAugment or None, got"):
        checked_augment(wrong)


def test_none_is_the_default():
    assert checked_augment(None) == WaveAugment()
    given = WaveAugment(gain=np.float32(2), noise=0)
    assert checked_augment(given) is given == WaveAugment(gain=2.0, noise=0) != WaveAugment()


def test_parameters_are_those_of_an_estimator():
    augment = WaveAugment(noise=0.5)
    copied = clone(augment).set_params(gain=2.0)
    assert copied.get_params() == WaveAugment(noise=0.5, gain=2.0).get_params() and augment.gain == 1.5
    with pytest.raises(ValueError, match="Invalid parameter 'turn'"):
        augment.set_params(turn=3)
    with pytest.raises(TypeError, match="turn"):
        WaveAugment(turn=3)


def test_noise_alone_is_of_many_sizes_and_obeys_einthoven():
    windows = [noise_alone(np.random.default_rng(seed), 250.0, 500) for seed in range(60)]
    for window in windows:
        assert window.shape == (500, 12) and window.dtype == np.float32 and window.any(axis=0).all()
        lead_i, lead_ii, lead_iii = (window[:, LEADS.index(name)] for name in ("I", "II", "III"))
        np.testing.assert_allclose(lead_i + lead_iii, lead_ii, atol=1e-3)
    # In units of .2 mV: log-uniform from .01 to 1 mV, of noise whose root mean square is about one.
    rms = np.array([np.sqrt((window[:, 6:] ** 2).mean()) * 0.2 for window in windows])
    assert 0.005 < rms.min() < 0.03 and 0.3 < rms.max() < 3 and 0.03 < np.median(rms) < 0.3
    assert np.array_equal(windows[7], noise_alone(np.random.default_rng(7), 250.0, 500))
