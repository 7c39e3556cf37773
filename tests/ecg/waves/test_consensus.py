"""Waves over all leads."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.ecg.waves.consensus import consensus, group_quantiles
from beatssl_sklearn.ecg.waves.table import empty_table, make_table, table_of_marks

FS = 1000.0
P, QRS, T = (-160, -120, -80), (-40, 0, 50), (200, 300, 360)


def beats(rpeaks: list[float]) -> dict[str, list[list[float]]]:
    """Waves of one lead [ms], at distances from the R peaks."""
    marks = {"P": P, "QRS": QRS, "T": T}
    return {wave: [[r + mark for mark in marks[wave]] for r in rpeaks] for wave in marks}


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
    """False P waves at random times, as in atrial fibrillation, lie close together but are not one wave."""
    onset = np.arange(0, 2400, 20.0)
    scattered = make_table(0, np.tile(np.array(LEADS, object), 10), "P", onset, onset + 25, onset + 50, FS)
    found = consensus(scattered, FS)
    assert ((found["offset"] - found["onset"]) < 200).all()
    assert len(consensus(scattered, FS, min_share=0.8)) == 0


def test_neighbouring_waves_do_not_overlap() -> None:
    rows = [(0, 50, 110, "P"), (100, 140, 200, "QRS"), (190, 300, 420, "T"), (400, 450, 480, "P")]
    onset, peak, offset, wave = zip(*rows, strict=True)
    found = consensus(make_table(0, "II", list(wave), onset, peak, offset, FS), FS)
    assert found[["onset", "peak", "offset"]].to_numpy().tolist() == [
        [0, 50, 100], [100, 140, 200], [200, 300, 410], [410, 450, 480],
    ]  # fmt: skip


def test_a_wave_that_reaches_the_peak_of_its_neighbour_is_one_of_two() -> None:
    rows = [(700, 730, 820, "T", "I"), (800, 805, 830, "P", "I"), (700, 730, 820, "T", "II")]
    rows += [(100, 150, 220, "QRS", "I"), (180, 200, 290, "T", "I"), (60, 80, 120, "QRS", "V1")]
    onset, peak, offset, wave, lead = zip(*rows, strict=True)
    found = consensus(make_table(0, list(lead), list(wave), onset, peak, offset, FS), FS)
    marks = found[["onset", "peak", "offset"]].to_numpy()
    # P lies in the T that two leads show; the first T in the QRS.
    assert found["wave"].tolist() == ["QRS", "T"] and (np.diff(marks) > 0).all()
    assert marks[1].tolist() == [700, 730, 820]


def test_one_t_between_two_complexes_and_no_early_p() -> None:
    """Leads differ in which T they keep. A complex that too few leads show still ends its beat."""
    leads = ["I", "II", "V1"]
    rows = [(400, 430, 460, "P"), (490, 500, 540, "QRS"), (700, 800, 860, "T"), (1490, 1500, 1540, "QRS")]
    every = [(*row, lead) for row in rows for lead in leads]
    odd = [(1000, 1050, 1100, "T", "V1"), (560, 580, 620, "P", "I"), (560, 580, 620, "P", "II")]

    def seen(*more: tuple[float, float, float, str, str]) -> list[tuple[str, float]]:
        onset, peak, offset, wave, lead = zip(*every, *more, strict=True)
        found = consensus(make_table(0, list(lead), list(wave), onset, peak, offset, FS), FS)
        return list(zip(found["wave"], found["peak"], strict=True))

    plain = [("P", 430), ("QRS", 500), ("T", 800), ("QRS", 1500)]
    assert seen() == seen(*odd) == plain
    assert ("T", 1050) in seen(*odd, (900, 920, 950, "QRS", "V1"))
    no_qrs = make_table(0, "II", "T", [0, 500, 990], [50, 550, 1050], [100, 600, 1100], FS)
    assert len(consensus(no_qrs, FS)) == 3


def test_missing_marks() -> None:
    marks = {"I": {"QRS": [[-1, 100, 120]]}, "II": {"QRS": [[-1, 100, 110]]}, "V1": {"QRS": [[104, 110, -1]]}}
    # One lead of three has an onset: it would be that of an odd lead.
    found = consensus(table_of_marks([marks], FS), FS, quantile=0.0)
    np.testing.assert_equal(found[["onset", "peak", "offset"]].to_numpy(), [[np.nan, 100, 120]])
    assert found["onset_s"].isna().all()
    marks["V2"] = {"QRS": [[106, 108, -1]]}
    found = consensus(table_of_marks([marks], FS), FS, quantile=0.0)
    assert found[["onset", "peak", "offset"]].to_numpy().tolist() == [[104, 104, 120]]
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
    with pytest.raises(TypeError, match="min_share must be a number"):
        consensus(waves, FS, min_share="a")  # type: ignore[arg-type]


def test_quantiles_of_groups_are_numpys() -> None:
    rng = np.random.default_rng(0)
    group, values = rng.integers(0, 6, 80), rng.normal(size=80)
    values[rng.random(80) < 0.2] = np.nan
    values[group == 3] = np.nan
    for q in (0.0, 0.25, 0.5, 1.0):
        found = group_quantiles(values, group, 7, q)
        for k in range(7):
            finite = values[(group == k) & np.isfinite(values)]
            expected = np.quantile(finite, q) if finite.size else np.nan
            np.testing.assert_allclose(found[k], expected)


def test_real_ludb(data_dir) -> None:
    from beatssl_sklearn.ecg.waves.annotations import read_waves

    path = data_dir / "ludb" / "data" / "1"
    if not path.with_suffix(".ii").is_file():
        pytest.skip("no LUDB")
    marks = read_waves(path)
    waves = consensus(marks, 500.0)
    # All leads of this record show every wave.
    assert (waves["wave"] == "QRS").sum() == (marks[marks["lead"] == "II"]["wave"] == "QRS").sum()
    assert (waves["onset"] <= waves["peak"]).all() and (waves["peak"] <= waves["offset"]).all()
    assert (waves["offset"].to_numpy()[:-1] <= waves["onset"].to_numpy()[1:]).all()
