"""Swapped and inverted leads, units and rates: found, and undone."""

from __future__ import annotations

import numpy as np
import pytest

from beatssl_sklearn import ECGRecord, check_leads, fix_leads, make_ecg
from beatssl_sklearn.ecg import LEADS
from beatssl_sklearn.quality import SWAPS, least_certainty

FS = 500.0


@pytest.fixture(scope="module")
def right() -> np.ndarray:
    return make_ecg(6, fs=FS, random_state=0).data


def with_arms_swapped(x: np.ndarray) -> np.ndarray:
    """By hand: I is inverted, II and III change places, and so do aVR and aVL."""
    return np.concatenate([-x[:, :1], x[:, [2, 1, 4, 3, 5]], x[:, 6:]], axis=1)


def slow_noise(rng: np.random.Generator, shape: tuple[int, ...], size: float) -> np.ndarray:
    """Noise of this size [mV] below about 5 Hz, as of moving electrodes."""
    white = rng.normal(size=shape)
    smooth = np.apply_along_axis(np.convolve, -1, white, np.hanning(round(0.2 * FS)), "same")
    return size * smooth / smooth.std()


def test_every_mistake_undoes_itself() -> None:
    assert len(SWAPS) == 16 and all(np.array_equal(m @ m, np.eye(8)) for m in SWAPS.values())


def test_swapped_arms_are_found_and_undone(right: np.ndarray) -> None:
    swapped = with_arms_swapped(right)
    before, after = check_leads(right, fs=FS)["swap LA/RA"], check_leads(swapped, fs=FS)
    assert (after["swap LA/RA"] > 0.9).all() and (before < 0.1).all()
    assert after["limb_error"].max() < 1e-3
    fixed, done = fix_leads(swapped, fs=FS)
    undone = (done["done"] == "swap LA/RA").to_numpy()
    assert undone.any() and done["done"].isin(["", "swap LA/RA"]).all()
    assert np.allclose(fixed[undone], right[undone], atol=1e-5)


def test_leads_that_depend_on_others_tell_which_one_is_inverted(right: np.ndarray) -> None:
    x = right[:3].copy()
    x[0, 3] *= -1  # aVR
    x[1, 0] *= -1  # I, with the leads that follow from it as they were
    table = check_leads(x, fs=FS)
    assert table["inverted aVR"].tolist() == [1, 0, 0] and table["likely"].tolist()[1:] == ["inverted I", ""]
    fixed, done = fix_leads(x, fs=FS)
    assert done["done"].tolist() == ["inverted aVR", "inverted I", ""]
    assert np.allclose(fixed, right[:3], atol=1e-6)


def test_swaps_that_change_little_are_asked_for_more() -> None:
    # Odds of 19 become 1900, by hand; those of the other mistakes stay.
    assert least_certainty("swap V5/V6", 0.95) == pytest.approx(1900 / 1901)
    assert least_certainty("swap LA/LL", 0.5) == pytest.approx(100 / 101)
    assert least_certainty("swap LA/RA", 0.95) == least_certainty("inverted V6", 0.95) == 0.95
    x = make_ecg(24, fs=FS, random_state=3).data
    x[:, [10, 11]] = x[:, [11, 10]]
    table = check_leads(x, fs=FS)
    for certainty in (0.5, 0.8, 0.95):
        asked = np.array([least_certainty(own, certainty) for own in table["likely"]])
        expected = np.where(table["certainty"] >= asked, table["likely"], "")
        assert fix_leads(x, fs=FS, certainty=certainty)[1]["done"].tolist() == expected.tolist()
    assert (table["likely"] == "swap V5/V6").any()


def test_noise_is_no_swap_and_is_told() -> None:
    """Noise of half the height of P waves and more: what it makes of leads is doubted, in any unit."""
    rng = np.random.default_rng(1)
    x = make_ecg(40, fs=FS, random_state=5).data
    x = x + slow_noise(rng, x.shape, 0.2)
    table = check_leads(x, fs=FS)
    doubted = table["findings"].str.contains("too noisy to tell")
    assert doubted.any() and (table["likely"] != "").mean() <= 0.05
    assert table["certainty"].isna().tolist() == doubted.tolist() and (table.loc[doubted, "likely"] == "").all()
    # Nothing is undone where nothing can be told.
    fixed, done = fix_leads(x, fs=FS)
    assert done["done"][doubted].eq("").all() and np.array_equal(fixed[doubted], x[doubted].astype(np.float32))
    assert check_leads(1000 * x, fs=FS)["certainty"].isna().tolist() == doubted.tolist()


@pytest.mark.parametrize(("unit", "factor"), [("uV", 1000.0), ("V", 0.001)])
def test_units(right: np.ndarray, unit: str, factor: float) -> None:
    table = check_leads(factor * right, fs=FS)
    assert table["unit"].eq(unit).all() and (table["wrong_unit"] > 0.95).all()
    fixed, _ = fix_leads(factor * right, fs=FS)
    assert np.allclose(fixed, right, atol=1e-4)
    # The unit does not hide what else is wrong.
    assert np.allclose(check_leads(right, fs=FS)["swap V1/V2"], table["swap V1/V2"], atol=1e-2)


@pytest.mark.parametrize("factor", [1e-30, 1e-10, 1e6, 1e20, 1e36])
def test_amplitudes_that_fit_no_unit(right: np.ndarray, factor: float) -> None:
    """All else is judged as it is of the same records in millivolt, without an overflow."""
    x = with_arms_swapped(right[:2])
    # In double precision, as users have it.
    odd, usual = check_leads(factor * x.astype(np.float64), fs=FS), check_leads(x, fs=FS)
    assert set(odd["unit"]) == {"unknown"} and odd["findings"].str.contains("amplitudes fit no unit").all()
    assert np.allclose(odd["swap LA/RA"], usual["swap LA/RA"], atol=0.1) and odd["limb_error"].max() < 1e-3
    assert np.allclose(odd["fs_too_low"], usual["fs_too_low"], atol=0.02)


def test_gains_of_their_own_are_told_from_leads_that_are_wrong(right: np.ndarray) -> None:
    scaled, strange = right[:1].copy(), right[:1].copy()
    scaled[:, [0, 2, 4]] *= np.array([1.4, 0.6, 1.7], np.float32)[:, None]
    strange[:, 2:6] = right[:1, [8, 6, 10, 7]]
    table = check_leads(np.concatenate([scaled, strange]), fs=FS)
    assert (table["limb_error"] > 0.3).all()
    assert table["findings"].tolist() == ["limb leads have gains of their own", "limb leads contradict Einthoven's law"]


def test_wrong_rates(right: np.ndarray) -> None:
    usual, fast, slow = (check_leads(right, fs=fs) for fs in (FS, 2.5 * FS, FS / 2.5))
    assert usual["findings"].eq("").all()
    assert (fast["fs_too_high"] > 0.9).all() and (slow["fs_too_low"] > 0.9).all()


def test_leads_that_are_not_there_are_not_judged(right: np.ndarray) -> None:
    records = [ECGRecord(right[0, [1, 6]], FS, ("II", "V1")), ECGRecord(right[1], FS, LEADS)]
    table = check_leads(records)
    assert table["swap LA/RA"].isna().tolist() == [True, False] and table["likely"][0] == ""
    fixed, done = fix_leads(records)
    assert done["done"].tolist() == ["", ""]
    assert all(np.array_equal(a.signal, b.signal) for a, b in zip(fixed, records, strict=True))


def test_refusals(right: np.ndarray) -> None:
    with pytest.raises(ValueError, match="fs is needed"):
        check_leads(right)
    with pytest.raises(ValueError, match="certainty must be at least .5 and below 1, got 1"):
        fix_leads(right, fs=FS, certainty=1)


def test_a_gap_in_a_limb_lead_is_no_gain():
    ecg = make_ecg(3, fs=250, random_state=1)
    X = ecg.data.copy()
    X[0, 0, 300:400] = np.nan
    X[1, 3] = np.nan
    found = check_leads(X, 250)
    assert found["limb_error"].isna().tolist() == [True, True, False]
    assert not found["findings"].str.contains("limb leads").any()
