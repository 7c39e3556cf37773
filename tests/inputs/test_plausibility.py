"""Warnings about signals that cannot be what they should be, in every method that reads them."""

import numpy as np
import pytest

from beatssl_sklearn import BeatEmbedder, BeatSSLPretrainer, RhythmEmbedder, WaveSegmenter, make_ecg
from beatssl_sklearn.inputs.plausibility import root_mean_square, warn_about_rate, warn_about_scale, warn_about_units

X = make_ecg(8, rhythm="sinus", fs=250, duration=6, random_state=2).data
UNITS = r"records? 0, 1.*root mean square above 5 mV; are these microvolts"


def test_root_mean_square_of_the_leads_that_vary():
    t = np.arange(1000) / 100
    x = np.zeros((2, 3, 1000), dtype=np.float32)
    x[0, :2] = np.sqrt(2) * np.sin(2 * np.pi * t) + 7
    x[1, 0] = np.nan
    np.testing.assert_allclose(root_mean_square(x), [1, 0], atol=1e-5)
    assert np.isinf(root_mean_square(np.float32(1e30) * x[:1]))


@pytest.mark.parametrize("factor", [50, 1000])
@pytest.mark.parametrize("how", ["rhythm", "beats", "fit", "delineate", "predict"])
def test_other_units_are_noticed(factor, how):
    signals = (X * factor).astype(np.float32)
    pretrainer = BeatSSLPretrainer(fs=250, encoder_params={"size": "s"}, max_epochs=0, random_state=0, device="cpu")
    call = {
        "rhythm": lambda x: RhythmEmbedder("ptbxl-s", fs=250).transform(x),
        "beats": lambda x: BeatEmbedder("ptbxl-s", fs=250).transform(x),
        "fit": pretrainer.fit,
        "delineate": lambda x: WaveSegmenter.load("ludb").set_params(fs=250).delineate(x),
        "predict": lambda x: WaveSegmenter.load("ludb").set_params(fs=250).predict(x),
    }[how]
    with pytest.warns(UserWarning, match=UNITS) as caught:
        call(signals)
    assert {warning.filename for warning in caught} == {__file__}
    call(X)


def test_a_wrong_rate_is_noticed_from_a_few_records_on():
    signals = make_ecg(8, rhythm="sinus", fs=500, random_state=2).data
    with pytest.warns(UserWarning, match="heart rate below .* is fs the sampling rate of X"):
        RhythmEmbedder("ptbxl-s", fs=250).transform(signals)
    warn_about_rate(np.array([1.8, np.nan, 1.9, 2.0, 1.7]))
    with pytest.warns(UserWarning, match="above 176/min"):
        warn_about_rate(np.full(5, 0.34))


def test_real_amplitudes_pass():
    warn_about_units(np.arange(3), np.array([0.01, 0.2, 2.0]))
    with pytest.warns(UserWarning, match="record 1: root mean square"):
        warn_about_scale(np.arange(2), np.array([1.0, np.nan]))
