"""Criteria on measures that are set by hand: one that is met, one that is just missed, one that is unknown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.ecg.waves.criteria import CRITERIA, criteria

NAMES = (
    *(f"{wave}_amplitude" for wave in ("p", "q", "r", "s", "r2", "t")), "qrs_area", "st_j", "st_j80", "q_duration"
)  # fmt: skip
INTERVALS = {"qrs": 90.0, "pr": 160.0, "qtc": 410.0}


def found(intervals: dict[str, float] | None = None, **leads: dict[str, float]) -> dict[str, Any]:
    """Criteria of a record: ``r_amplitude={"V5": 2}``; other deflections are an R of 1 mV and a T of .3 mV."""
    usual = dict.fromkeys(NAMES, 0.0) | {"r_amplitude": 1.0, "t_amplitude": 0.3, "p_amplitude": 0.1, "qrs_area": 10.0}
    values = {name: np.full((1, 12), usual[name]) for name in NAMES}
    for name, own in leads.items():
        for lead, value in own.items():
            values[name][0, LEADS.index(lead)] = value
    records = {name: np.array([value]) for name, value in (INTERVALS | (intervals or {})).items()}
    result = criteria(values, records)
    assert set(result) == set(CRITERIA)
    return {name: float(value[0]) for name, value in result.items()}


def test_hypertrophy() -> None:
    high = found({"qrs": 100.0}, s_amplitude={"V1": -1.5, "V3": -1.4}, r_amplitude={"V6": 2.0, "aVL": 1.1})
    assert high["sokolow_lyon"] == pytest.approx(3.5) and high["sokolow_lyon_high"] == 1
    assert high["cornell"] == pytest.approx(2.5) and high["cornell_product"] == pytest.approx(250)
    assert (high["cornell_high_men"], high["cornell_high_women"], high["cornell_product_high"]) == (0, 1, 1)
    assert found(s_amplitude={"V1": -1.4}, r_amplitude={"V6": 2.0})["sokolow_lyon_high"] == 0
    assert np.isnan(found(r_amplitude={"aVL": np.nan}, r2_amplitude={"aVL": np.nan})["cornell_high_men"])


@pytest.mark.parametrize(("i", "ii", "degrees"), [(1, 0.5, 0), (0, 1, 90), (1, -0.5, -49.1), (-1, -0.5, -180)])
def test_axes_follow_from_i_and_ii(i: float, ii: float, degrees: float) -> None:
    """The vertical part is (2 II - I) / sqrt 3: for I = 1 and II = -.5 it is -2 / sqrt 3."""
    axis = found(qrs_area={"I": 10 * i, "II": 10 * ii})["qrs_axis"]
    assert np.cos(np.radians(axis - degrees)) == pytest.approx(1, abs=1e-4)


def test_blocks() -> None:
    left = {"r_amplitude": {"V1": 0.1}, "s_amplitude": {"V1": -1.5}}
    assert found({"qrs": 140.0}, **left)["lbbb"] == 1 and found({"qrs": 110.0}, **left)["lbbb"] == 0
    assert found({"qrs": 140.0}, **left, q_amplitude={"V6": -0.2})["lbbb"] == 0
    right = {"r_amplitude": {"V1": 0.2}, "r2_amplitude": {"V1": 0.6}, "s_amplitude": {"V1": -0.7, "V6": -0.4}}
    wide = found({"qrs": 140.0}, **right)
    assert (wide["rbbb"], wide["lbbb"], wide["qrs_wide"]) == (1, 0, 1)
    assert found({"pr": 210.0, "qtc": 470.0})["pr_long"] == 1 == found({"qtc": 460.0})["qtc_long"]


def test_walls_need_two_neighbours() -> None:
    deep, broad = {"II": -0.2, "aVF": -0.2}, {"II": 35.0, "aVF": 35.0}
    assert found(q_amplitude=deep, q_duration=broad)["q_waves_inferior"] == 1
    assert found(q_amplitude=deep, q_duration={"II": 35.0, "aVF": 20.0})["q_waves_inferior"] == 0
    # II and III stand apart: aVF lies between them.
    apart = {"II": -0.1, "III": -0.1}
    assert found(st_j=apart, st_j80=apart)["st_depression_inferior"] == 0
    # V2 and V3 need .2 mV.
    assert found(st_j={"V2": 0.15, "V3": 0.15})["st_elevation_anterior"] == 0
    assert found(st_j={"V3": 0.2, "V4": 0.1})["st_elevation_anterior"] == 1
    assert found(t_amplitude={"V5": -0.2, "V6": -0.2})["t_inversion_lateral"] == 1
    assert np.isnan(found(st_j=dict.fromkeys(("II", "aVF"), np.nan))["st_elevation_inferior"])
