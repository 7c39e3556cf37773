"""Lead names, their aliases, and placement of any subset among the twelve."""

from __future__ import annotations

import numpy as np
import pytest
from closeness import assert_close_to_rounding

from beatssl_sklearn.ecg.leads import (
    EIGHT_LEADS,
    INDEPENDENT,
    LEADS,
    canonical_lead,
    derive_lead,
    place_leads,
    resolve_leads,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("II", ("II", 1)),
        ("ii", ("II", 1)),
        ("MLII", ("II", 1)),
        ("Lead II", ("II", 1)),
        ("lead_v3", ("V3", 1)),
        ("ECG lead aVF", ("aVF", 1)),
        ("DIII", ("III", 1)),
        ("AVR", ("aVR", 1)),
        ("-aVR", ("aVR", -1)),
        (" v6 ", ("V6", 1)),
        ("ML2", ("II", 1)),
        ("MLI", ("I", 1)),
        ("D3", ("III", 1)),
        ("L1", ("I", 1)),
        ("MV2", ("V2", 1)),
        ("MCL1", ("V1", 1)),
        ("mcl6", ("V6", 1)),
        ("mod.V1", ("V1", 1)),
        ("EKG-II", ("II", 1)),
        ("MDC_ECG_LEAD_AVF", ("aVF", 1)),
    ],
)
def test_aliases(name, expected):
    assert canonical_lead(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        *("", "V7", "noise1", "IV", "--aVR", "\u00c9", "lead", "ECG", "ECG1"),
        *("D4", "ML5", "MCL7", "CM5", "CC5", "C3", "V1-V2", "vx"),
    ],
)
def test_unknown_names_are_refused(name):
    with pytest.raises(ValueError, match="unknown lead"):
        canonical_lead(name)


def test_every_lead_resolves_to_its_own_place():
    index, sign = resolve_leads([name.swapcase() for name in LEADS])
    assert index.tolist() == list(range(12)) and index.dtype == np.int64
    assert (sign == 1).all() and sign.dtype == np.float32


def test_eight_leads_give_all_twelve():
    assert EIGHT_LEADS == ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
    assert [LEADS[i] for i in INDEPENDENT] == list(EIGHT_LEADS)
    assert place_leads(np.ones((8, 3)), EIGHT_LEADS)[1].all()


def test_errors_list_all_offenders():
    with pytest.raises(ValueError, match=r"'noise1', 'noise2'"):
        resolve_leads(["I", "noise1", "noise2"])
    with pytest.raises(ValueError, match=r"duplicate lead names 'II', 'MLII'"):
        resolve_leads(["II", "V1", "MLII"])
    with pytest.raises(ValueError, match="empty"):
        resolve_leads([])
    with pytest.raises(TypeError, match="single value"):
        resolve_leads("II")
    with pytest.raises(TypeError, match="must be a str"):
        resolve_leads([2])


def test_canonical_input_is_not_copied():
    X = np.ones((2, 12, 5), dtype=np.float32)
    Y, present = place_leads(X, LEADS)
    assert Y is X and present.all()


def test_placement_by_name_with_sign():
    X = np.random.default_rng(0).normal(size=(3, 2, 7)).astype(np.float32)
    Y, present = place_leads(X, ["V5", "-aVR"])
    assert Y.shape == (3, 12, 7) and Y.dtype == np.float32
    np.testing.assert_array_equal(Y[:, LEADS.index("V5")], X[:, 0])
    np.testing.assert_array_equal(Y[:, LEADS.index("aVR")], -X[:, 1])
    assert [name for name, there in zip(LEADS, present, strict=True) if there] == ["aVR", "V5"]
    assert not Y[:, ~present].any()


def test_limb_leads_obey_einthoven_and_goldberger():
    X = np.random.default_rng(1).normal(size=(2, 50)).astype(np.float32)
    Y, present = place_leads(X, ["II", "I"])
    assert present.tolist() == [True] * 6 + [False] * 6
    i, ii, iii, avr, avl, avf = Y[:6]
    assert_close_to_rounding(i + iii, ii)
    np.testing.assert_allclose(avr + avl + avf, 0, atol=1e-6 * np.abs(avf).max())
    assert_close_to_rounding(avl - avf, 1.5 * (i - ii))


def test_given_leads_are_never_replaced():
    X = np.ones((3, 4), dtype=np.float32)
    Y, _ = place_leads(X, ["I", "II", "aVL"])
    np.testing.assert_array_equal(Y[LEADS.index("aVL")], 1)
    np.testing.assert_array_equal(Y[LEADS.index("aVF")], 0.5)


def test_nothing_is_derived_from_one_limb_lead():
    _, present = place_leads(np.ones((2, 4)), ["II", "V1"])
    assert present.sum() == 2


def test_mismatched_shapes_and_leads_are_refused():
    with pytest.raises(ValueError, match="3 leads but leads names 2"):
        place_leads(np.ones((3, 5)), ["I", "II"])
    with pytest.raises(ValueError, match="two dimensions"):
        place_leads(np.ones(5), ["I"])
    with pytest.raises(ValueError, match="'V1' does not follow"):
        derive_lead("V1", np.ones(3), np.ones(3))
