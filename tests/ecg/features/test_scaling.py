"""Scale and weights of the columns of feature tables."""

import numpy as np
import pytest

from beatssl_sklearn.ecg.features.scaling import fit_scaling, standardize
from beatssl_sklearn.ecg.features.table import FeatureTable


def make_table(values, groups, names=("g", "h", "components")):
    values = np.asarray(values, dtype=np.float32)
    columns = tuple(f"c{i}" for i in range(values.shape[1]))
    return FeatureTable(values, columns, np.asarray(groups, dtype=np.int64), names)


def test_standardize_is_robust_clipped_and_zero_where_missing():
    rng = np.random.default_rng(0)
    values = rng.normal(5, 2, (1001, 3))
    values[0, 0], values[1, 0] = np.nan, 1e6
    z, present, weights = standardize(make_table(values, [0, 0, 1]))
    assert z.dtype == weights.dtype == np.float32
    assert z[0, 0] == 0 and not present[0, 0] and present.sum() == present.size - 1
    assert z[1, 0] == 3 and np.abs(z).max() <= 3
    assert np.median(z, axis=0) == pytest.approx([0, 0, 0], abs=1e-2)
    assert z[2:].std(axis=0) == pytest.approx([1, 1, 1], abs=0.08)


def test_every_group_weighs_the_same_over_usable_columns():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50, 6))
    values[:, 1] = 7.1
    values[:, 4] = np.nan
    _, _, w = standardize(make_table(values, [0, 0, 0, 1, 1, 1]))
    np.testing.assert_allclose(w, [0.25, 0, 0.25, 0.25, 0, 0.25], atol=1e-6)
    _, _, w = standardize(make_table(values[:, [1, 4, 0]], [0, 1, 2], ("g", "h", "i")))
    np.testing.assert_allclose(w, [0, 0, 1], atol=1e-6)


def test_column_that_is_mostly_constant_uses_its_sd():
    values = np.zeros((100, 1))
    values[:10] = 1
    z, _, w = standardize(make_table(values, [0]))
    assert w[0] == 1 and z[0, 0] == pytest.approx(1 / 0.3, abs=0.4) and z[50, 0] == 0


def test_components_weigh_by_their_variance():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5000, 4)) * [1, 3, 1, 9]
    z, _, w = standardize(make_table(values, [2, 2, 2, 0]))
    assert w.sum() == pytest.approx(1) and w[3] == pytest.approx(0.5)
    assert w[1] / w[0] == pytest.approx(9, rel=0.15)
    # Distances of the group are those of the scores, up to one constant.
    d = np.square(z[:50, None, :3] - z[None, :50, :3]) @ w[:3]
    raw = np.square(values[:50, None, :3] - values[None, :50, :3]).sum(axis=2)
    assert np.corrcoef(d.ravel(), raw.ravel())[0, 1] > 0.995


def test_scaling_of_other_rows_can_be_applied():
    rng = np.random.default_rng(0)
    table = make_table(rng.normal(size=(300, 2)), [0, 1])
    scaling = fit_scaling(table)
    z, _, weights = standardize(table)
    part = table._replace(values=table.values[:7])
    np.testing.assert_array_equal(standardize(part, scaling)[0], z[:7])
    np.testing.assert_array_equal(standardize(part, scaling)[2], weights)
    with pytest.raises(ValueError, match="2 columns"):
        standardize(make_table(np.zeros((3, 3)), [0, 0, 0]), scaling)
