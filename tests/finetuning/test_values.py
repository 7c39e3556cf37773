"""Values for training a regressor: standardised, weighed, held out, or refused."""

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn.finetuning.values import encode_values, hold_out_values, mean_r2

Y = np.array([1.0, 3.0, 5.0, 7.0])


def test_one_value_per_record_is_standardised():
    targets = encode_values(Y, 4)
    assert targets.mean.shape == targets.scale.shape == () and targets.n_outputs == 1
    # Mean 4; squared deviations 9, 1, 1, 9.
    assert targets.mean == 4 and targets.scale == pytest.approx(np.sqrt(5))
    np.testing.assert_allclose(targets.values[:, 0] * np.sqrt(5), [-3, -1, 1, 3], rtol=1e-6)
    assert (targets.weights == 1).all() and targets.values.dtype == targets.weights.dtype == np.float32


def test_missing_values_weigh_nothing():
    y = np.array([[1.0, np.nan], [3.0, 10.0], [np.nan, np.nan], [5.0, 20.0]])
    targets = encode_values(y, 4)
    assert targets.mean.tolist() == [3, 15] and targets.counts.tolist() == [1, 1, 0, 1]
    # Five values in the six entries of three records, 1 on average.
    np.testing.assert_allclose(targets.weights, 1.2 * ~np.isnan(y), rtol=1e-6)
    assert (targets.values[np.isnan(y)] == 0).all()


@pytest.mark.parametrize("missing", [None, pd.NA, np.nan])
def test_what_is_missing_may_be_none(missing):
    found = encode_values(pd.Series([1.0, missing, 5.0], dtype=object), 3)
    assert found.mean == 3 and found.counts.tolist() == [1, 0, 1]


def test_weights_count_records():
    found, repeated = encode_values(Y, 4, [0, 1, 2, 1]), encode_values(np.repeat(Y, [0, 1, 2, 1]), 4)
    assert found.mean == repeated.mean == 5 and found.scale == pytest.approx(float(repeated.scale))
    np.testing.assert_allclose(found.weights[:, 0], [0, 0.75, 1.5, 0.75], rtol=1e-6)


def test_a_constant_target_is_its_mean():
    found = encode_values(np.full((3, 1), 0.1), 3)
    assert found.scale.tolist() == [1] and np.abs(found.values).max() < 1e-12 and found.mean.shape == (1,)


@pytest.mark.parametrize(
    ("y", "weight", "error", "message"),
    [
        (None, None, ValueError, "requires y to be passed"),
        (Y[:3], None, ValueError, "values of 3 records, X has 4"),
        (Y[:, None, None], None, ValueError, r"shape \(n_records,\)"),
        (["a", "b", "c", "d"], None, TypeError, "y must hold numbers"),
        (np.array([1, "b", 3, 4], dtype=object), None, TypeError, "y must hold numbers.*b"),
        (np.where(Y == 3, np.inf, Y), None, ValueError, "infinity: the value of record 1"),
        (np.where([[1, 0]], Y[:, None], np.nan), None, ValueError, "column 1 has no value"),
        (np.where(Y == 3, Y, np.nan), [1, 0, 1, 1], ValueError, "column 0 has no value in any record that counts"),
        (Y, np.zeros(4), ValueError, "sample_weight is zero"),
        (Y, [1, -1, 1, 1], ValueError, "record 1 is -1.0"),
    ],
)
def test_what_cannot_be_learned_is_named(y, weight, error, message):
    with pytest.raises(error, match=message):
        encode_values(y, 4, weight)


def test_r2_is_of_the_known_values():
    y = np.array([[0.0, 5.0], [2.0, 0.0], [4.0, 7.0]])
    guess = np.array([[1.0, 5.0], [2.0, 99.0], [3.0, 8.0]])
    weights = np.array([[1.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    # 1 - 2 / 8 of the first target, 1 - 1 / 2 of the second.
    assert mean_r2(y, guess, weights) == pytest.approx((0.75 + 0.5) / 2)
    assert np.isnan(mean_r2(y, guess, weights * [[1], [0], [0]]))


def test_held_out_are_whole_patients_with_like_values():
    patient = np.repeat(np.arange(100), 2)
    y = np.random.default_rng(0).normal(size=100)[patient]
    targets, index = encode_values(y, 200), np.arange(200)
    train, valid = hold_out_values(index, targets, patient, 0.2, 0)
    assert not set(patient[train]) & set(patient[valid]) and len(valid) == pytest.approx(40, abs=4)
    assert np.mean(targets.values[valid] > 0) == pytest.approx(np.mean(targets.values > 0), abs=0.05)
    assert sorted([*train, *valid]) == index.tolist()
    with pytest.raises(ValueError, match="validation_fraction=0.2 leaves too few.*1 patients"):
        hold_out_values(index, targets, np.zeros(200, dtype=int), 0.2, 0)


def test_values_without_a_standard_deviation_are_refused():
    y = np.column_stack([np.arange(4.0), np.arange(4.0) * 1e300])
    with pytest.raises(ValueError, match="y: the values of column 1 are too large"):
        encode_values(y, 4, None)
