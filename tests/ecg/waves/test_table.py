"""Tables of waves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn.ecg.waves.table import (
    TABLE_COLUMNS,
    check_table,
    empty_table,
    make_table,
    table_of_marks,
    wave_labels,
)

NAN = np.nan


def test_columns_and_types() -> None:
    table = make_table([0, 0], ["II", "II"], ["P", "QRS"], [1.5, 20], [2, 30], [3, NAN], 500.0, [0.5, 1])
    assert tuple(table.columns) == TABLE_COLUMNS
    kinds = {name: table[name].dtype for name in TABLE_COLUMNS}
    assert kinds["record"] == np.int64 and kinds["confidence"] == np.float32
    assert all(kinds[name] == np.float64 for name in TABLE_COLUMNS[3:9])
    assert table["lead"].tolist() == ["II", "II"] and table["wave"].tolist() == ["P", "QRS"]
    assert all(type(name) is str for name in table["lead"])
    np.testing.assert_allclose(table["onset_s"], [0.003, 0.04])
    assert np.isnan(table["offset_s"][1]) and table["confidence"].tolist() == [0.5, 1]


def test_empty_table_is_like_others() -> None:
    table = make_table(0, "II", 2, [1.0], [2.0], [3.0], 500.0)
    empty = empty_table()
    assert len(empty) == 0 and empty.dtypes.equals(table.dtypes)
    both = pd.concat([empty, table], ignore_index=True)
    pd.testing.assert_frame_equal(both, table)
    pd.testing.assert_frame_equal(table_of_marks([], 500.0), empty)
    pd.testing.assert_frame_equal(table_of_marks([{}, {"I": {"P": []}}], 500.0), empty)


def test_rows_are_sorted_by_the_order_of_the_recording() -> None:
    columns = [0, 1, 0, 0], [0, 0, 1, 1], [1, 2, 3, 1], [5, 1, 9, NAN], [6, 2, 10, 2], [7, 3, 11, 3]
    table = make_table(*columns, 100.0, [0.1, 0.2, 0.3, 0.4], leads=["V1", "I"])
    assert list(zip(table["record"], table["lead"], table["wave"], strict=True)) == [
        (0, "V1", "P"), (0, "I", "P"), (0, "I", "T"), (1, "V1", "QRS"),
    ]  # fmt: skip
    np.testing.assert_allclose(table["peak"], [6, 2, 10, 2])
    np.testing.assert_allclose(table["confidence"], [0.1, 0.4, 0.3, 0.2], rtol=1e-6)
    names = ["V1", "V1", "I", "I"]
    by_name = make_table(columns[0], names, *columns[2:], 100.0, [0.1, 0.2, 0.3, 0.4], leads=["V1", "I"])
    pd.testing.assert_frame_equal(by_name, table)
    unsorted = make_table(columns[0], names, *columns[2:], 100.0)
    assert unsorted["record"].tolist() == columns[0]


def test_marks_of_people() -> None:
    waves = [
        {"II": {"T": np.array([[80, 90, -1]]), "P": np.array([[10, 12, 15]]), "QRS": np.empty((0, 3))}},
        {"I": {"QRS": [[-1, 30, 40], [5, 6, 7]]}, "II": {"P": [[1, 2, 3]]}},
    ]
    table = table_of_marks(waves, 1000.0)
    assert table["record"].tolist() == [0, 0, 1, 1, 1]
    assert table["wave"].tolist() == ["P", "T", "P", "QRS", "QRS"]
    np.testing.assert_array_equal(table["onset"], [10, 80, 1, 5, NAN])
    np.testing.assert_array_equal(table["offset"], [15, NAN, 3, 7, 40])
    np.testing.assert_allclose(table["peak_s"], table["peak"] / 1000)
    assert table["confidence"].isna().all()
    assert wave_labels(table).tolist() == [1, 3, 1, 2, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fs": 0.0}, "fs must be"),
        ({"onset": [1.0, 2.0]}, r"onset must have one entry per wave \(1\), got shape \(2,\)"),
        ({"wave": ["U"]}, "unknown wave .*U"),
        ({"wave": [4]}, "unknown wave .*4"),
        ({"wave": [None]}, "unknown wave"),
        ({"lead": [None], "leads": ["V1"]}, "lead must be a name"),
        ({"lead": ["V9"], "leads": ["V1"]}, r"lead has \['V9'\]"),
        ({"lead": [1], "leads": ["V1"]}, "lead has the position 1"),
        ({"lead": [0]}, "lead has the position 0"),
    ],
)
def test_errors(change: dict[str, object], message: str) -> None:
    columns = {"record": 0, "lead": "II", "wave": "P", "onset": [1.0], "peak": [2.0], "offset": [3.0], "fs": 500.0}
    with pytest.raises(ValueError, match=message):
        make_table(**(columns | change))


def test_errors_of_marks_and_tables() -> None:
    with pytest.raises(TypeError, match="put it into a list"):
        table_of_marks({"II": {"P": [[1, 2, 3]]}}, 500.0)
    with pytest.raises(ValueError, match="record 1, lead II: unknown wave 'U'"):
        table_of_marks([{}, {"II": {"U": [[1, 2, 3]]}}], 500.0)
    with pytest.raises(ValueError, match=r"record 0, lead II, wave P: .*\(1, 2\)"):
        table_of_marks([{"II": {"P": [[1, 2]]}}], 500.0)
    with pytest.raises(TypeError, match="waves must be a DataFrame of waves, got list$"):
        check_table([], "waves")
    with pytest.raises(TypeError, match="got list; ecg.waves.table_of_marks makes one"):
        check_table([{"II": {"P": [[1, 2, 3]]}}], "waves")
    with pytest.raises(ValueError, match=r"lacks the columns \['peak'\]"):
        check_table(empty_table().drop(columns="peak"))
    with pytest.raises(TypeError, match="leads must be a sequence"):
        make_table(0, 0, 1, [1.0], [2.0], [3.0], 500.0, leads="II")
