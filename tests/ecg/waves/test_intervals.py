"""Intervals of beats and records."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn.ecg.waves.consensus import consensus
from beatssl_sklearn.ecg.waves.intervals import beat_intervals, record_intervals
from beatssl_sklearn.ecg.waves.table import empty_table, make_table, table_of_marks

FS = 1000.0
P, QRS, T = (-160, -120, -80), (-40, 0, 50), (200, 300, 360)


def beats(rpeaks: list[float], p: object = P, qrs: object = QRS, t: object = T) -> dict[str, list[list[float]]]:
    """Waves of one lead [ms], at distances from the R peaks."""
    shapes = {"P": p, "QRS": qrs, "T": t}
    return {wave: [[r + mark for mark in shape] for r in rpeaks] for wave, shape in shapes.items() if shape}


def table(*rows: tuple[float, float, float, str], lead: str = "II", record: int = 0) -> pd.DataFrame:
    onset, peak, offset, wave = zip(*rows, strict=True)
    return make_table(record, lead, list(wave), onset, peak, offset, FS)


def test_intervals_of_beats() -> None:
    found = beat_intervals(table_of_marks([{"II": beats([500, 1140, 2000])}], FS), FS)
    assert found["beat"].tolist() == [0, 1, 2] and found["rpeak"].tolist() == [500, 1140, 2000]
    np.testing.assert_allclose(found["RR"], [np.nan, 640, 860])
    np.testing.assert_allclose(found["PR"], 120)
    np.testing.assert_allclose(found["QRS"], 90)
    np.testing.assert_allclose(found["QT"], 400)
    np.testing.assert_allclose(found["QTcB"], [np.nan, 400 / 0.8, 400 / 0.86**0.5])
    np.testing.assert_allclose(found["QTcF"], [np.nan, 400 / 0.64 ** (1 / 3), 400 / 0.86 ** (1 / 3)])
    np.testing.assert_allclose(found["heart_rate"], [np.nan, 93.75, 60 / 0.86])


def test_the_rate_only_scales() -> None:
    waves = table_of_marks([{"II": beats([500, 1140, 2000])}], FS)
    slow = waves.assign(**{name: waves[name] / 4 for name in ("onset", "peak", "offset")})
    ours, theirs = beat_intervals(slow, FS / 4), beat_intervals(waves, FS)
    pd.testing.assert_frame_equal(ours.drop(columns="rpeak"), theirs.drop(columns="rpeak"))


def test_which_p_belongs_to_a_beat() -> None:
    def pr(*rows: tuple[float, float, float, str], **options: float) -> list[float]:
        return beat_intervals(table(*rows), FS, **options)["PR"].tolist()

    qrs, t, next_qrs = (960, 1000, 1050, "QRS"), (1200, 1300, 1400, "T"), (1960, 2000, 2050, "QRS")
    assert pr((640, 660, 680, "P"), (800, 840, 880, "P"), qrs) == [160]
    np.testing.assert_equal(pr((600, 640, 680, "P"), qrs), [np.nan])
    assert pr((600, 640, 680, "P"), qrs, longest_pr=0.4) == [360]
    np.testing.assert_equal(pr((800, 840, 880, "P"), qrs, t, next_qrs, longest_pr=2.0), [160, np.nan])
    # on the down slope of T it counts, before its peak it does not
    np.testing.assert_equal(pr(qrs, t, (1340, 1360, 1390, "P"), (1500, 1540, 1590, "QRS")), [np.nan, 160])
    np.testing.assert_equal(pr(qrs, (1220, 1250, 1280, "P"), t, (1500, 1540, 1590, "QRS")), [np.nan, np.nan])
    np.testing.assert_equal(pr((800, 840, 880, "P"), (np.nan, 1000, 1050, "QRS")), [np.nan])


def test_which_t_belongs_to_a_beat() -> None:
    def qt(*rows: tuple[float, float, float, str], **options: float) -> list[float]:
        return beat_intervals(table(*rows), FS, **options)["QT"].tolist()

    qrs, t, next_qrs = (960, 1000, 1050, "QRS"), (1200, 1300, 1400, "T"), (1960, 2000, 2050, "QRS")
    np.testing.assert_equal(qt((100, 200, 300, "T"), qrs, t, (1500, 1550, 1600, "T"), next_qrs), [440, np.nan])
    np.testing.assert_equal(qt(qrs, (1800, 1850, 1900, "T")), [np.nan])
    assert qt(qrs, (1800, 1850, 1900, "T"), longest_qt=1.0) == [940]
    np.testing.assert_equal(qt(qrs, next_qrs, (2200, 2300, 2400, "T"), longest_qt=9.0), [np.nan, 440])
    np.testing.assert_equal(qt(qrs, (1200, 1300, np.nan, "T")), [np.nan])


def test_records_do_not_mix() -> None:
    parts = [
        table((960, 1000, 1050, "QRS"), record=3),
        table((1200, 1300, 1400, "T"), (1800, 1840, 1880, "P"), record=7),
        table((1960, 2000, 2050, "QRS"), (2960, 3000, 3050, "QRS"), record=9),
    ]
    found = beat_intervals(pd.concat(parts[::-1]), FS)
    assert found["record"].tolist() == [3, 9, 9] and found["beat"].tolist() == [0, 0, 1]
    np.testing.assert_equal(found["RR"].tolist(), [np.nan, np.nan, 1000])
    assert found["PR"].isna().all() and found["QT"].isna().all()


def test_one_lead_is_measured() -> None:
    waves = table_of_marks([{"I": beats([500, 1500]), "II": beats([500, 1500], qrs=(-50, 0, 60))}], FS)
    with pytest.raises(ValueError, match=r"leads \['I', 'II'\] and no consensus"):
        beat_intervals(waves, FS)
    assert beat_intervals(waves, FS, lead="II")["QRS"].tolist() == [110, 110]
    whole = pd.concat([waves, consensus(waves, FS, quantile=0.5)])
    assert beat_intervals(whole, FS)["QRS"].tolist() == [100, 100]
    with pytest.raises(ValueError, match="lead 'V1' is not in the table"):
        record_intervals(waves, FS, lead="V1")


def test_medians_per_record() -> None:
    waves = [{"II": beats([500, 1300, 2100, 3100])}, {}, {"II": beats([500], p=None)}]
    waves[0]["II"]["P"] = waves[0]["II"]["P"][:3]
    found = record_intervals(table_of_marks(waves, FS), FS, n_records=4)
    assert found["record"].tolist() == [0, 1, 2, 3] and found["n_beats"].tolist() == [4, 0, 1, 0]
    assert found["record"].dtype == found["n_beats"].dtype == np.int64
    np.testing.assert_allclose(found["RR"], [800, np.nan, np.nan, np.nan])
    np.testing.assert_allclose(found["heart_rate"], [75, np.nan, np.nan, np.nan])
    np.testing.assert_allclose(found["PR"], [120, np.nan, np.nan, np.nan])
    np.testing.assert_allclose(found["QT"], [400, np.nan, 400, np.nan])
    np.testing.assert_allclose(found["p_share"], [0.75, np.nan, 0, np.nan])
    assert record_intervals(table_of_marks(waves, FS), FS)["record"].tolist() == [0, 2]
    with pytest.raises(ValueError, match="n_records is 2, but the table has the records 0 to 2"):
        record_intervals(table_of_marks(waves, FS), FS, n_records=2)
    nothing = record_intervals(empty_table(), FS, n_records=2)
    assert nothing["n_beats"].tolist() == [0, 0] and nothing.drop(columns=["record", "n_beats"]).isna().all().all()
    assert len(record_intervals(empty_table(), FS)) == 0
    assert nothing.dtypes.equals(found.dtypes) and len(beat_intervals(empty_table(), FS)) == 0


def test_an_interval_that_most_beats_lack_is_missing() -> None:
    """Of twelve beats, one has a P by mistake: its PR is no PR of the record."""
    rpeaks = [500 + 600 * k for k in range(12)]
    rare, half = (beats(rpeaks, p=None) | {"P": beats(rpeaks[:n])["P"]} for n in (1, 6))
    found = record_intervals(table_of_marks([{"II": rare}, {"II": half}], FS), FS)
    np.testing.assert_allclose(found["p_share"], [1 / 12, 0.5])
    np.testing.assert_allclose(found["PR"], [np.nan, 120])
    np.testing.assert_allclose(found["QT"], [400, 400])
    np.testing.assert_allclose(found["PR_share"], found["p_share"])
    np.testing.assert_allclose(found[["QRS_share", "QT_share"]], 1)
    waves = table_of_marks([{"II": rare}, {"II": half}], FS)
    np.testing.assert_allclose(record_intervals(waves, FS, min_share=0)["PR"], [120, 120])
    strict = record_intervals(waves, FS, min_share=0.6)
    assert strict["PR"].isna().all() and strict["QT"].tolist() == [400, 400]
    np.testing.assert_allclose(strict["PR_share"], [1 / 12, 0.5])
    with pytest.raises(ValueError, match=r"min_share must be from 0 to 1, got 1\.2"):
        record_intervals(waves, FS, min_share=1.2)
    with pytest.raises(TypeError, match="min_share must be a number, got 'a'"):
        record_intervals(waves, FS, min_share="a")


def test_equal_peaks_make_no_infinite_rate() -> None:
    found = beat_intervals(table((960, 1000, 1050, "QRS"), (970, 1000, 1040, "QRS")), FS)
    assert found["RR"].isna().all() and found["heart_rate"].isna().all() and found["QTcB"].isna().all()


def test_real_ludb(data_dir) -> None:
    from beatssl_sklearn.ecg.waves.annotations import read_waves

    path = data_dir / "ludb" / "data" / "1"
    if not path.with_suffix(".ii").is_file():
        pytest.skip("no LUDB")
    found = record_intervals(consensus(read_waves(path), 500.0), 500.0, 1).iloc[0]
    assert 44 < found["heart_rate"] < 47 and 120 < found["PR"] < 170 and 80 < found["QRS"] < 120
    assert 450 < found["QT"] < 520 and found["QTcB"] < found["QTcF"] < found["QT"]


def test_each_record_has_the_rate_that_the_table_tells():
    """The same beats at two rates in one table have the same intervals; a rate that is none of theirs is refused."""
    at_500 = {"QRS": [[80, 100, 120], [580, 600, 620]], "T": [[200, 250, 280], [700, 750, 780]]}
    at_250 = {name: [[mark / 2 for mark in wave] for wave in waves] for name, waves in at_500.items()}
    slow = table_of_marks([{}, {"II": at_250}], 250.0)
    both = pd.concat([table_of_marks([{"II": at_500}], 500.0), slow], ignore_index=True)
    found = record_intervals(both)
    assert found["record"].tolist() == [0, 1]
    assert found.loc[0].drop("record").equals(found.loc[1].drop("record"))
    assert found["QT"].tolist() == [400.0, 400.0] and found["heart_rate"].tolist() == [60.0, 60.0]
    beats = beat_intervals(both)
    assert beats["RR"].dropna().tolist() == [1000.0, 1000.0]
    with pytest.raises(ValueError, match="fs=500, but record 1 of the table has 250 Hz"):
        record_intervals(both, 500.0)
