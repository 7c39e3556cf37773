"""FrontEnd: parameters, preparation, R peaks."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn import BeatSSLPretrainer, FrontEnd, detect_rpeaks, make_ecg
from beatssl_sklearn.ecg.preprocess import preprocess
from beatssl_sklearn.inputs.front_end import check_given_rpeaks
from beatssl_sklearn.inputs.source import ArraySource

ECG = make_ecg(3, fs=250, duration=4, random_state=0)


def block():
    return next(ArraySource(ECG.data, 250.0, tuple(ECG.leads), False).read(np.arange(3), 3))


def test_parameters_of_an_estimator():
    pre = BeatSSLPretrainer(fs_model=125, amplitude="relative", beat_window=[0.2, 0.3], beat_phases=np.int64(3))
    front_end = FrontEnd.from_parameters(pre.get_params(deep=False))
    assert front_end == FrontEnd(125.0, "relative", "multilead", (0.2, 0.3), 3)
    assert type(front_end.beat_phases) is int and front_end == pickle.loads(pickle.dumps(front_end))
    assert FrontEnd() == FrontEnd.from_parameters(BeatSSLPretrainer().get_params(deep=False))


@pytest.mark.parametrize(
    ("name", "value"),
    [("fs_model", 3), ("amplitude", "huge"), ("beat_window", (1, 2, 3)), ("beat_phases", 0), ("beat_phases", 65)],
)
def test_bad_parameters_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name} must.*{value if not isinstance(value, tuple) else ''}"):
        FrontEnd.from_parameters(BeatSSLPretrainer(**{name: value}).get_params(deep=False))


def test_signals_are_prepared_as_preprocess_does():
    found = FrontEnd(amplitude="relative")(block())
    expected = preprocess(ECG.data, 250.0, 100.0, tuple(ECG.leads), "relative")
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    assert FrontEnd(fs_model=100).n_times(4.0) == found.signal.shape[1] == 400


def test_peaks_are_found_or_given():
    front_end = FrontEnd(beat_window=(0.3, 0.5))
    for found, detected in zip(front_end.find_rpeaks(block()), detect_rpeaks(ECG.data, 250.0), strict=True):
        np.testing.assert_array_equal(found, detected[(detected >= 75) & (detected <= 1000 - 125)])
    given = front_end.find_rpeaks(block(), [[10, 500], [600], []])
    assert [r.tolist() for r in given] == [[500], [600], []]
    assert replace(front_end, rpeak_detector=lambda x, fs: [300]).find_rpeaks(block())[0].tolist() == [300]


@pytest.mark.parametrize("bad", [[5, 3], [-1], [1000], [1.5]])
def test_peaks_that_cannot_be_are_named_with_their_record(bad):
    with pytest.raises(ValueError, match="rpeaks of record 1"):
        FrontEnd().find_rpeaks(block(), [[500], bad, [500]])


def test_peaks_in_a_column_belong_to_records_by_position():
    peaks = [np.array([500]), np.array([600]), np.array([700])]
    for index in ([2, 1, 0], [5, 6, 7], ["a", "b", "c"]):
        column = pd.Series(peaks, index=index)
        assert check_given_rpeaks(column, 3) == peaks
        assert [r.tolist() for r in FrontEnd().find_rpeaks(block(), column)] == [[500], [600], [700]]
    assert check_given_rpeaks({2: peaks[2], 0: peaks[0], 1: peaks[1]}, 3) == peaks
    assert check_given_rpeaks(None, 3) is None


@pytest.mark.parametrize(
    ("rpeaks", "error", "message"),
    [
        ([[500]], ValueError, "rpeaks holds 1 records, X has 3"),
        ({"a": [1], 1: [2], 2: [3]}, ValueError, "rpeaks must have the rows of X as keys, 0 to 2, got .'a', 1, 2"),
        (pd.DataFrame({"r": [[1], [2], [3]]}), ValueError, "rpeaks holds 1 records, X has 3"),
        (5, TypeError, "rpeaks must hold one array per record, got int"),
    ],
    ids=["too few", "other keys", "a table", "a number"],
)
def test_peaks_that_are_not_of_these_records(rpeaks, error, message):
    with pytest.raises(error, match=message):
        check_given_rpeaks(rpeaks, 3)
