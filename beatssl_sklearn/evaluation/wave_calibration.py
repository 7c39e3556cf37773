"""What the confidence of waves is worth: reliability, and sensitivity against false marks."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..components import check_number
from ..ecg.judged import annotated_minutes, as_table, judge_waves
from ..ecg.waves.find import WAVES
from .delineation import rate

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["calibration_error", "confidence_trade", "reliability"]

_THRESHOLDS = (*(k / 20 for k in range(20)), 0.98, 0.99)


def reliability(waves: DataFrame, right: ArrayLike, n_bins: int = 10) -> DataFrame:
    """Compare the confidence of waves with the share of them that is right.

    Parameters
    ----------
    waves : DataFrame
        Delineated waves with the columns ``wave`` and ``confidence``, as returned by `WaveSegmenter.delineate`.
    right : array-like of shape (n_waves,)
        As returned by `ecg.judge_waves`: 1 right, 0 wrong, NaN not judged. Such waves are left out.
    n_bins : int, default=10
        Number of bins of equal width from 0 to 1. A bin has its lower edge, and the last one both.

    Returns
    -------
    table : DataFrame
        One row per ``wave`` and bin that has a wave: ``low`` and ``high`` (its edges), ``n`` (waves), ``confidence``
        (their mean) and ``right`` (share of them that is right). If the confidence is the probability that a wave is
        right, the last two are equal but for chance.

    Raises
    ------
    ValueError, TypeError
        If a column is missing, lengths differ, a confidence is not from 0 to 1, or `n_bins` is out of its range.

    References
    ----------
    Guo C, Pleiss G, Sun Y, Weinberger K Q. On calibration of modern neural networks. ICML 2017.

    Examples
    --------
    >>> import pandas as pd
    >>> waves = pd.DataFrame({"wave": ["P"] * 4, "confidence": [0.9, 0.98, 0.95, 0.6]})
    >>> reliability(waves, [1, 1, 0, 0])[["low", "n", "right"]].round(2)
       low  n  right
    0  0.6  1   0.00
    1  0.9  3   0.67
    """
    import pandas as pd

    check_number("n_bins", n_bins, Integral, 1, 1000)
    missing = [name for name in ("wave", "confidence") if name not in waves]
    if missing:
        raise ValueError(f"waves lacks the columns {missing}: expected the table of WaveSegmenter.delineate")
    confidence, r = waves["confidence"].to_numpy(np.float64), np.asarray(right, np.float64)
    if r.shape != confidence.shape:
        raise ValueError(f"right must have one entry per wave ({len(confidence)}), got shape {r.shape}")
    if ((confidence < 0) | (confidence > 1)).any():
        raise ValueError("waves must have confidences from 0 to 1")
    judged = ~np.isnan(r) & ~np.isnan(confidence)
    # Confidences have 32 bits: .9 is a hair below the edge .9.
    place = np.minimum(np.floor(confidence[judged] * n_bins + 1e-6).astype(np.int64), n_bins - 1)
    name, confidence, r = waves["wave"].to_numpy()[judged], confidence[judged], r[judged]
    rows = []
    for wave in WAVES:
        for k in range(n_bins):
            own = (name == wave) & (place == k)
            if own.any():
                means = float(confidence[own].mean()), float(r[own].mean())
                rows.append((wave, k / n_bins, (k + 1) / n_bins, int(own.sum()), *means))
    return pd.DataFrame(rows, columns=["wave", "low", "high", "n", "confidence", "right"])


def calibration_error(table: DataFrame) -> dict[str, float]:
    """Return the expected calibration error of each wave.

    Parameters
    ----------
    table : DataFrame
        As returned by :func:`reliability`.

    Returns
    -------
    errors : dict of str to float
        By wave: the mean over waves of the distance between the confidence and the share that is right, in their bin.
        0 is best.
    """
    found = {}
    for wave, rows in table.groupby("wave", sort=False):
        found[str(wave)] = float(np.average((rows["confidence"] - rows["right"]).abs(), weights=rows["n"]))
    return found


def confidence_trade(
    true: Any, predicted: DataFrame, fs: float, thresholds: Sequence[float] = _THRESHOLDS, tolerance: float = 0.150
) -> DataFrame:
    """Count right and false waves for each least confidence, to choose `min_confidence` by.

    Parameters
    ----------
    true : DataFrame, or sequence of n_records dict
        Annotated waves, as for `ecg.judge_waves`; marks that hold for all leads are ``dict.fromkeys(leads, marks)``.
    predicted : DataFrame
        Delineated waves with their confidence; delineate with ``wave_params={"min_confidence": 0}``.
    fs : float
        Sampling rate of the marks [Hz].
    thresholds : sequence of float, default=0, .05 to .95, .98 and .99
        Least confidences: a wave with a lower one is left out.
    tolerance : float, default=.150
        Largest distance between peaks of a pair [s], inclusive.

    Returns
    -------
    table : DataFrame
        One row per ``wave`` and ``threshold``: ``n_true`` (annotated), ``n_predicted`` (judged), ``n_right``;
        ``sensitivity`` = n_right / n_true, ``ppv`` = n_right / n_predicted, ``f1`` = 2 n_right / (n_true +
        n_predicted), and ``false_per_minute``, wrong waves per minute of one annotated lead.

    Raises
    ------
    ValueError, TypeError
        As for `ecg.judge_waves`; or if a threshold is not from 0 to 1, waves have no confidence, or waves are of a
        record beyond the dicts.
    """
    import pandas as pd

    levels = [float(level) for level in thresholds]
    if not levels or not all(0 <= level <= 1 for level in levels):
        raise ValueError(f"thresholds must be numbers from 0 to 1, got {thresholds!r:.80}")
    if "confidence" not in predicted or predicted["confidence"].isna().any():
        raise ValueError("predicted must have a confidence of each wave")
    annotated = as_table(true, fs, "true")
    if not isinstance(true, pd.DataFrame) and len(predicted) and predicted["record"].max() >= len(true):
        raise ValueError(f"true holds {len(true)} records, predicted has waves of record {predicted['record'].max()}")
    minutes = annotated_minutes(annotated, fs)
    marked = annotated[annotated[["onset", "peak", "offset"]].notna().any(axis=1)]
    n_true = marked["wave"].value_counts()
    rows = []
    for level in levels:
        kept = predicted[predicted["confidence"].to_numpy(np.float64) >= level - 1e-7]
        right = judge_waves(annotated, kept, fs, tolerance)
        for wave in WAVES:
            own = right[kept["wave"].to_numpy() == wave]
            n, found, hits = int(n_true.get(wave, 0)), int((~np.isnan(own)).sum()), int(np.nansum(own))
            scores = rate(hits, n), rate(hits, found), rate(2 * hits, n + found)
            false = (found - hits) / minutes if minutes else float("nan")
            rows.append((wave, level, n, found, hits, *scores, false))
    columns = ["wave", "threshold", "n_true", "n_predicted", "n_right"]
    table = pd.DataFrame(rows, columns=[*columns, "sensitivity", "ppv", "f1", "false_per_minute"])
    order = table["wave"].map(WAVES.index)
    return table.iloc[np.lexsort((table["threshold"], order))].reset_index(drop=True)
