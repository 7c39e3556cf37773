from __future__ import annotations

import numpy as np
import pytest

from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.ecg.waves.intervals import beat_intervals, consensus, record_intervals
from beatssl_sklearn.ecg.waves.table import empty_table, make_table, table_of_marks

pd = pytest.importorskip("pandas", reason="pandas is not installed")

FS = 1000.0
P, QRS, T = (-160, -120, -80), (-40, 0, 50), (200, 300, 360)


def beats(rpeaks: list[float], p: object = P, qrs: object = QRS, t: object = T) -> dict[str, list[list[float]]]:
    """Waves of one lead [ms], at distances from the R peaks."""
    shapes = {"P": p, "QRS": qrs, "T": t}
    return {wave: [[r + mark for mark in shape] for r in rpeaks] for wave, shape in shapes.items() if shape}


def table(*rows: tuple[float, float, float, str], lead: str = "II", record: int = 0) -> pd.DataFrame:
    onset, peak, offset, wave = zip(*rows, strict=True)
    return make_table(record, lead, list(wave), onset, peak, offset, FS)


# ---- consensus -------------------------------------------------------------------------------------------------------


def twelve(seed: int = 0, rpeaks: tuple[int, ...] = (500, 1300, 2100)) -> list[dict[str, dict[str, np.ndarray]]]:
    """Waves of twelve leads whose marks are a few ms apart, the same shift for all beats."""
    shift = np.random.default_rng(seed).permutation(12)
    return [
        {
            lead: {wave: np.array(marks) + [s, 0, -s] for wave, marks in beats(list(rpeaks)).items()}
            for lead, s in zip(LEADS, shift, strict=True)
        }
    ]


@pytest.mark.parametrize(("quantile", "inset"), [(0.0, 0.0), (1 / 11, 1.0), (0.25, 2.75), (0.5, 5.5)])
def test_boundaries_are_robustly_early_and_late(quantile: float, inset: float) -> None:
    waves = consensus(table_of_marks(twelve(), FS), FS, quantile=quantile)
    assert set(waves["lead"]) == {"consensus"}
    assert waves["wave"].tolist() == ["P", "QRS", "T"] * 3
    r = np.repeat([500, 1300, 2100], 3)
    np.testing.assert_allclose(waves["onset"] - r, np.tile([P[0], QRS[0], T[0]], 3) + inset)
    np.testing.assert_allclose(waves["peak"] - r, np.tile([P[1], QRS[1], T[1]], 3))
    np.testing.assert_allclose(waves["offset"] - r, np.tile([P[2], QRS[2], T[2]], 3) - inset)
    np.testing.assert_allclose(waves["onset_s"], waves["onset"] / FS)


def test_one_bad_lead_moves_little() -> None:
    marks = twelve()
    good = consensus(table_of_marks(marks, FS), FS)
    marks[0]["V4"]["QRS"][:, 0] -= 60
    marks[0]["V4"]["T"][:, 2] += 90
    bad = consensus(table_of_marks(marks, FS), FS)
    assert bad["wave"].tolist() == good["wave"].tolist()
    assert np.abs(bad["onset"] - good["onset"]).max() <= 1 and np.abs(bad["offset"] - good["offset"]).max() <= 1


def test_waves_need_a_share_of_the_leads() -> None:
    def seen(n: int, **options: object) -> list[str]:
        waves = [{lead: beats([1000]) if k < n else beats([3000]) for k, lead in enumerate(LEADS)}]
        found = consensus(table_of_marks(waves, FS), FS, **options)
        return found["wave"][found["peak"] < 2000].tolist()

    assert seen(3) == [] and seen(4) == ["P", "T"] and seen(5) == ["P", "T"] and seen(6) == ["P", "QRS", "T"]
    assert seen(3, min_share=0.25) == ["P", "QRS", "T"] and seen(2, min_share=0.25) == []
    assert seen(11, min_share=1.0) == [] and seen(1, min_share=0.0) == ["P", "QRS", "T"]
    assert seen(1, min_share={"QRS": 0.05}) == ["QRS"]
    single = table_of_marks([{"II": beats([1000])}], FS)
    assert len(consensus(single, FS, min_share=1.0)) == 3
    assert len(consensus(single, FS, n_leads=2)) == 3 and len(consensus(single, FS, n_leads=12)) == 0


def test_records_and_extra_waves_are_apart() -> None:
    waves = twelve(1) + [{}] + twelve(2, rpeaks=(700,))
    for lead in LEADS:
        waves[2][lead]["P"] = np.array([[p - 40, p, p + 40] for p in (180, 380, 580)])
    found = consensus(table_of_marks(waves, FS), FS)
    assert found["record"].tolist() == [0] * 9 + [2] * 5
    assert found["peak"][9:].tolist() == [180, 380, 580, 700, 1000]
    again = consensus(pd.concat([table_of_marks(waves, FS), found]), FS)
    pd.testing.assert_frame_equal(again, found)


def test_scattered_waves_make_no_long_one() -> None:
    """Spurious P waves at random times, as in atrial fibrillation, are near to each other in time but not one wave."""
    onset = np.arange(0, 2400, 20.0)
    scattered = make_table(0, np.tile(np.array(LEADS, object), 10), "P", onset, onset + 25, onset + 50, FS)
    found = consensus(scattered, FS)
    assert ((found["offset"] - found["onset"]) < 200).all()
    assert len(consensus(scattered, FS, min_share=0.8)) == 0


def test_overlaps_are_parted() -> None:
    rows = [(0, 50, 110, "P"), (100, 140, 200, "QRS"), (190, 300, 420, "T"), (400, 450, 480, "P")]
    found = consensus(table(*rows), FS)
    assert found[["onset", "peak", "offset"]].to_numpy().tolist() == [
        [0, 50, 100], [100, 140, 200], [200, 300, 410], [410, 450, 480],
    ]  # fmt: skip


def test_missing_marks() -> None:
    marks = {"I": {"QRS": [[-1, 100, 120]]}, "II": {"QRS": [[-1, 100, 110]]}, "V1": {"QRS": [[104, 110, -1]]}}
    found = consensus(table_of_marks([marks], FS), FS, quantile=0.0)
    assert found[["onset", "peak", "offset"]].to_numpy().tolist() == [[100, 100, 120]]
    del marks["V1"]
    found = consensus(table_of_marks([marks], FS), FS)
    assert found["onset"].isna().all() and found["onset_s"].isna().all()
    assert consensus(empty_table(), FS).dtypes.equals(empty_table().dtypes)


def test_confidence_is_that_of_the_leads() -> None:
    waves = make_table(0, ["I", "II", "III"], 2, [0.0, 0, 0], [5.0, 5, 5], [9.0, 9, 9], FS, [0.2, 0.9, 0.8])
    assert consensus(waves, FS)["confidence"].tolist() == [pytest.approx(0.8)]


def test_consensus_errors() -> None:
    waves = table_of_marks(twelve(), FS)
    for options, message in (
        ({"quantile": 0.6}, "quantile must be"),
        ({"quantile": np.nan}, "quantile must be"),
        ({"min_share": 1.1}, "min_share must be"),
        ({"min_share": {"U": 0.1}}, r"unknown waves \['U'\]"),
        ({"n_leads": 11}, "n_leads must be at least 12"),
        ({"fs": -1.0}, "fs must be"),
    ):
        with pytest.raises(ValueError, match=message):
            consensus(waves, **({"fs": FS} | options))


# ---- intervals -------------------------------------------------------------------------------------------------------


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


def test_equal_peaks_make_no_infinite_rate() -> None:
    found = beat_intervals(table((960, 1000, 1050, "QRS"), (970, 1000, 1040, "QRS")), FS)
    assert found["RR"].isna().all() and found["heart_rate"].isna().all() and found["QTcB"].isna().all()


def test_real_ludb(data_dir) -> None:
    from beatssl_sklearn.ecg.waves.annotations import read_waves

    path = data_dir / "ludb" / "data" / "1"
    if not path.with_suffix(".ii").is_file():
        pytest.skip("no LUDB")
    marks = read_waves(path)
    waves = consensus(marks, 500.0)
    # each wave is marked in all leads of this record
    assert (waves["wave"] == "QRS").sum() == (marks[marks["lead"] == "II"]["wave"] == "QRS").sum()
    assert (waves["onset"] <= waves["peak"]).all() and (waves["peak"] <= waves["offset"]).all()
    assert (waves["offset"].to_numpy()[:-1] <= waves["onset"].to_numpy()[1:]).all()
    found = record_intervals(waves, 500.0, 1).iloc[0]
    assert 44 < found["heart_rate"] < 47 and 120 < found["PR"] < 170 and 80 < found["QRS"] < 120
    assert 450 < found["QT"] < 520 and found["QTcB"] < found["QTcF"] < found["QT"]
