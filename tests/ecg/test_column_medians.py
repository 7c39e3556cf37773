"""Medians of columns are numpy's, to the bit."""

import numpy as np
import pytest

from beatssl_sklearn.ecg.column_medians import column_medians


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 3), (2, 3), (7, 4), (8, 4), (101, 2, 5), (100, 2, 5), (6, 0)])
def test_they_are_numpys(shape, dtype):
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    kept = x.copy()
    found = column_medians(x)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.median(x, axis=0))
    np.testing.assert_array_equal(x, kept)
    np.testing.assert_array_equal(column_medians(np.round(x)), np.median(np.round(x), axis=0))


def test_what_is_given_is_left_alone():
    x = np.random.default_rng(0).normal(size=(5, 9))
    rows = x.copy()
    np.testing.assert_array_equal(column_medians(x.T), np.median(x, axis=1))
    np.testing.assert_array_equal(x, rows)
    x.setflags(write=False)
    np.testing.assert_array_equal(column_medians(x.T), np.median(x, axis=1))
