"""Criteria of electrocardiography on measured waves: hypertrophy, blocks, infarction, axes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..features.quantities import frontal_axis
from ..leads import LEADS

__all__ = ["CRITERIA", "criteria"]

_I, _II, _III, _AVR, _AVL, _AVF, _V1, _V2, _V3, _V4, _V5, _V6 = range(len(LEADS))
Values = NDArray[np.floating]

_CHEST, _LIMBS = slice(_V1, _V6 + 1), slice(_I, _AVF + 1)
# Leads that look at a wall, neighbours beside each other.
_WALLS = {"inferior": (_II, _AVF, _III), "lateral": (_I, _AVL, _V5, _V6), "anterior": (_V1, _V2, _V3, _V4)}
_NEEDED = 2  # leads of a wall that must be known
# What an axis is of, and the shortest vector that has a direction [mV, mV ms].
_AXES = {"p": ("p_amplitude", 0.02), "qrs": ("qrs_area", 1.0), "t": ("t_amplitude", 0.03)}

CRITERIA: tuple[str, ...] = (
    *(f"{wave}_axis{kind}" for wave in _AXES for kind in ("", "_sin", "_cos")),
    "sokolow_lyon", "sokolow_lyon_high", "cornell", "cornell_high_men", "cornell_high_women", "cornell_product",
    "cornell_product_high", "low_voltage_limbs", "low_voltage_chest", "qrs_wide", "rbbb", "lbbb", "left_anterior_block",
    "pr_long", "qtc_long",
    *(f"{kind}_{wall}" for kind in ("q_waves", "st_elevation", "st_depression", "t_inversion") for wall in _WALLS),
)  # fmt: skip
"""Names of what `criteria` returns."""


def criteria(of_leads: Mapping[str, Values], of_records: Mapping[str, Values]) -> dict[str, Values]:
    r"""Apply criteria of electrocardiography to measured waves.

    Parameters
    ----------
    of_leads : mapping of str to ndarray, shape (n_records, 12)
        Measures of leads in canonical order, as `wave_measures` names them.
    of_records : mapping of str to ndarray, shape (n_records,)
        ``qrs``, ``pr`` and ``qtc`` [ms].

    Returns
    -------
    dict of str to ndarray, shape (n_records,)
        Flags are 1 where a criterion is met and 0 where it is not; NaN where it needs what is missing.

    Notes
    -----
    "tall" is the larger of R and the second R, "deep" the depth of the deeper one of Q and S.

    - ``p_axis``, ``qrs_axis``, ``t_axis``: frontal axes [degrees] from leads I and II (QRS by its area), with sine and
      cosine; NaN for a vector that is too short.
    - ``sokolow_lyon`` = deep V1 + tall V5 or V6 [mV]; high from 3.5 mV on [1]_.
    - ``cornell`` = tall aVL + deep V3 [mV]; high above 2.8 mV in men, 2.0 mV in women [2]_. ``cornell_product`` =
      cornell times QRS duration [mV ms]; high above 244 mV ms [3]_; nothing is added for women.
    - ``low_voltage_limbs``, ``low_voltage_chest``: tall + deep below .5 mV, or 1.0 mV, in all such leads.
    - ``qrs_wide``: QRS of 120 ms and more. With it ``rbbb``: V1 or V2 has a second R above the first, or V1 is more
      tall than deep, and I or V6 has an S of .1 mV; ``lbbb``: no Q in I and V6, which are more tall than deep, and V1
      is three times as deep as tall. Both are simpler than the recommendation, which also asks for notches and times
      to the peak [4]_.
    - ``left_anterior_block``: QRS axis of -90 to -45 degrees, QRS below 120 ms, Q and tall R in aVL [4]_.
    - ``pr_long`` above 200 ms; ``qtc_long`` (Fridericia) from 460 ms on, the limit of women [5]_.
    - ``q_waves``, by wall: Q of .1 mV and 30 ms, or QS; in V2 and V3 Q of .05 mV and 20 ms [6]_.
    - ``st_elevation``, by wall: J of .1 mV and more, in V2 and V3 of .2 mV; ``st_depression``: J and J + 80 ms of
      -.05 mV and less; ``t_inversion``: T below -.1 mV where QRS is more tall than deep [6]_.

    A finding of a wall is there in two neighbours among II, aVF, III (inferior), I, aVL, V5, V6 (lateral) or V1, V2,
    V3, V4 (anterior); a wall of which fewer than two leads are known is NaN.

    References
    ----------
    .. [1] Sokolow, Lyon: The ventricular complex in left ventricular hypertrophy. Am Heart J 37, 1949, 161-186.
    .. [2] Casale et al.: Improved sex-specific criteria of left ventricular hypertrophy. Circulation 75, 1987, 565-572.
    .. [3] Molloy et al.: Electrocardiographic detection of left ventricular hypertrophy by the simple QRS
       voltage-duration product. J Am Coll Cardiol 20, 1992, 1180-1186.
    .. [4] Surawicz et al.: AHA/ACCF/HRS recommendations, part III: intraventricular conduction disturbances. J Am Coll
       Cardiol 53, 2009, 976-981.
    .. [5] Rautaharju et al.: AHA/ACCF/HRS recommendations, part IV: the ST segment, T and U waves, and the QT interval.
       J Am Coll Cardiol 53, 2009, 982-991.
    .. [6] Thygesen et al.: Fourth universal definition of myocardial infarction. Circulation 138, 2018, e618-e651.
    """
    q, r, s, r2 = (of_leads[f"{name}_amplitude"] for name in ("q", "r", "s", "r2"))
    tall, deep = np.fmax(r, r2), -np.fmin(q, s)
    out = _axes(of_leads)
    qrs, axis = of_records["qrs"], out["qrs_axis"]
    out["sokolow_lyon"] = deep[:, _V1] + np.fmax(tall[:, _V5], tall[:, _V6])
    out["sokolow_lyon_high"] = _flag(out["sokolow_lyon"], out["sokolow_lyon"] >= 3.5)
    out["cornell"] = cornell = tall[:, _AVL] + deep[:, _V3]
    out["cornell_high_men"], out["cornell_high_women"] = (_flag(cornell, cornell > limit) for limit in (2.8, 2.0))
    out["cornell_product"] = cornell * qrs
    out["cornell_product_high"] = _flag(out["cornell_product"], out["cornell_product"] > 244)
    for name, some, least in (("limbs", _LIMBS, 0.5), ("chest", _CHEST, 1.0)):
        largest = (tall + deep)[:, some].max(axis=1)
        out[f"low_voltage_{name}"] = _flag(largest, largest < least)
    out["qrs_wide"] = _flag(qrs, qrs >= 120)
    upright = tall > deep
    late = ((r2 > r) & (r2 > 0.1))[:, [_V1, _V2]].any(axis=1) | upright[:, _V1]
    right = (qrs >= 120) & late & (s <= -0.1)[:, [_I, _V6]].any(axis=1)
    out["rbbb"] = _flag(qrs + tall[:, _V1] + s[:, _I] + s[:, _V6], right)
    left = (qrs >= 120) & (upright & (q > -0.05))[:, [_I, _V6]].all(axis=1) & (deep > 3 * tall)[:, _V1]
    out["lbbb"] = _flag(qrs + q[:, _I] + q[:, _V6] + deep[:, _V1], left)
    anterior = (axis <= -45) & (axis >= -90) & (qrs < 120) & ((q < 0) & (r > deep))[:, _AVL]
    out["left_anterior_block"] = _flag(axis + qrs + q[:, _AVL], anterior)
    out["pr_long"] = _flag(of_records["pr"], of_records["pr"] > 200)
    out["qtc_long"] = _flag(of_records["qtc"], of_records["qtc"] >= 460)
    return out | _walls(of_leads, tall, deep)


def _axes(of_leads: Mapping[str, Values]) -> dict[str, Values]:
    out: dict[str, Values] = {}
    for wave, (name, smallest) in _AXES.items():
        axis = frontal_axis(of_leads[name][:, [_I, _II]], smallest)
        out[f"{wave}_axis"] = np.degrees(np.arctan2(axis[:, 0], axis[:, 1]))
        out[f"{wave}_axis_sin"], out[f"{wave}_axis_cos"] = axis.T
    return out


def _walls(of_leads: Mapping[str, Values], tall: Values, deep: Values) -> dict[str, Values]:
    """Return which walls show a finding in two neighbouring leads."""
    q, width, j, j80, t = (of_leads[k] for k in ("q_amplitude", "q_duration", "st_j", "st_j80", "t_amplitude"))
    from_v2 = np.isin(np.arange(len(LEADS)), (_V2, _V3))
    q_waves = (q <= -0.1) & ((width >= 30) | (tall == 0))
    shown = {
        "q_waves": q_waves | (from_v2 & (q <= -0.05) & (width >= 20)),
        "st_elevation": j >= np.where(from_v2, 0.2, 0.1),
        "st_depression": (j <= -0.05) & (j80 <= -0.05),
        "t_inversion": (t < -0.1) & (tall > deep),
    }
    out: dict[str, Values] = {}
    for kind, own in shown.items():
        known = np.isfinite(t if kind == "t_inversion" else j)
        for wall, some in _WALLS.items():
            here = own[:, list(some)]
            enough = known[:, list(some)].sum(axis=1) >= _NEEDED
            beside = (here[:, 1:] & here[:, :-1]).any(axis=1).astype(np.float32)
            out[f"{kind}_{wall}"] = np.where(enough, beside, np.float32(np.nan))
    return out


def _flag(known: Values, shown: NDArray[np.bool_]) -> Values:
    """Return 1 where a criterion is met, 0 where it is not, NaN where it needs what is not known."""
    return np.where(np.isnan(known), np.float32(np.nan), shown.astype(np.float32))
