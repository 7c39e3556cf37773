"""Times of records as days: what is read, and what is refused."""

from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn.inputs.times import are_near, days_of

TEXT = ["2020-01-01", "2020-01-02 12:00:00"]
NUMPY = np.array(TEXT, dtype="datetime64[s]")


@pytest.mark.parametrize(
    "times",
    [
        TEXT,
        np.array(TEXT),
        pd.Series(TEXT),
        NUMPY,
        NUMPY.astype("datetime64[ns]"),
        list(NUMPY),
        pd.Series(NUMPY, index=[7, 8]),
        pd.DatetimeIndex(NUMPY, tz="Europe/Berlin"),
        [datetime(2020, 1, 1), datetime(2020, 1, 2, 12)],
        [date(2020, 1, 1), pd.Timestamp(TEXT[1])],
        [1, 2.5],
        ["1", " 2.5"],
        np.array([24, 60], dtype="timedelta64[h]"),
        [timedelta(1), pd.Timedelta("60h")],
    ],
    ids=lambda times: type(times).__name__,
)
def test_what_is_read(times):
    assert np.diff(days_of(times, 2)) == pytest.approx([1.5], abs=1e-9)


@pytest.mark.parametrize(
    "times",
    [
        [1.0, np.nan],
        [1, None],
        pd.Series([1, None], dtype="Int64"),
        [TEXT[0], ""],
        [TEXT[0], np.nan],
        np.array([TEXT[0], "nan"]),
        np.array([TEXT[0], "NaT"], dtype="datetime64[D]"),
        [pd.Timestamp(TEXT[0]), pd.NaT],
        np.ma.masked_array([1.0, 2.0], [False, True]),
    ],
)
def test_what_is_missing(times):
    assert np.isnan(days_of(times, 2)).tolist() == [False, True]


@pytest.mark.parametrize(
    ("times", "error", "message"),
    [
        ([1, 2, 3], ValueError, r"times must hold one time per record: shape \(3,\) for 2 records"),
        ([TEXT[0], "soon"], ValueError, "time of record 1 is 'soon'; give a date"),
        ([None, None], ValueError, "times of all 2 records are missing"),
        ([1, 20240131], ValueError, r"time of record 1 is 20240131; numbers are days, of at most 1e\+07"),
        ([1, np.inf], ValueError, "time of record 1 is inf"),
        ([True, False], TypeError, "time of record 0 is True, of type bool; give a date"),
        ([TEXT[0], "3"], TypeError, "of one kind: that of record 0 is a date, that of record 1 a number of days"),
        ([datetime(2020, 1, 1), pd.Timestamp(TEXT[1], tz="UTC")], TypeError, "record 1 a date with a time zone"),
    ],
)
def test_what_is_refused(times, error, message):
    with pytest.raises(error, match=message):
        days_of(times, 2)


def test_a_gap_is_met_to_the_day():
    # The fraction of a day has no exact binary form.
    days = days_of(["2020-01-01 09:17:34", "2020-01-31 09:17:34", "2020-01-31 09:17:35", ""], 4)
    assert are_near(days, days[0], 30).tolist() == [True, True, False, False]
    assert are_near(days, days[0], 0).tolist() == [True, False, False, False]
