"""Feature tables."""

import numpy as np
import pytest

from beatssl_sklearn.ecg.features.table import GROUP_NAMES, concatenate, make_feature_table

COLUMNS = (("qrs_width", "intervals"), ("log_rms", "qrs"))


def table_of(n_rows, columns=COLUMNS, beats=True):
    values = np.arange(n_rows * len(columns), dtype=np.float64).reshape(n_rows, len(columns))
    return make_feature_table(values, columns, np.ones((n_rows, 8, 70), np.float32) if beats else None)


def test_columns_have_names_and_groups():
    table = table_of(3)
    assert table.values.dtype == np.float32 and table.values.shape == (3, 2)
    assert table.names == ("qrs_width", "log_rms")
    assert [GROUP_NAMES[group] for group in table.groups] == ["intervals", "qrs"] and table.groups.dtype == np.int64


def test_rows_are_joined_with_their_beats():
    joined = concatenate([table_of(2), table_of(0), table_of(3)])
    np.testing.assert_array_equal(joined.values, np.concatenate([table_of(2).values, table_of(3).values]))
    assert joined.names == table_of(1).names and joined.beats.shape == (5, 8, 70)
    assert concatenate([table_of(2), table_of(1, beats=False)]).beats is None


def test_tables_of_other_columns_do_not_join():
    with pytest.raises(ValueError, match="table 1 has other columns"):
        concatenate([table_of(2), table_of(2, COLUMNS[::-1])])
    with pytest.raises(ValueError, match="at least one"):
        concatenate([])
