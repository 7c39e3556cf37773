"""Scores of detected events against annotated ones, beat by beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..ecg.matching import as_positions, as_records, match_beats
from .delineation import delineation_scores, rate
from .segmentation import segmentation_scores
from .verification import equal_error_rate, identification_accuracy, true_accepts_at

__all__ = [
    "BeatDetectionScores", "beat_detection_scores", "delineation_scores", "equal_error_rate",
    "identification_accuracy", "match_beats", "segmentation_scores", "true_accepts_at",
]  # fmt: skip


class BeatDetectionScores(NamedTuple):
    """Scores of detected beats.

    Attributes
    ----------
    sensitivity, ppv, f1 : float
        Rates; NaN if the denominator is 0.
    n_true, n_predicted, n_matched : int
        Annotated beats, detected beats and pairs.
    mean_error_ms, sd_error_ms : float
        Detected minus annotated position [ms]; NaN without a pair.
    """

    sensitivity: float
    ppv: float
    f1: float
    n_true: int
    n_predicted: int
    n_matched: int
    mean_error_ms: float
    sd_error_ms: float


def beat_detection_scores(
    true: ArrayLike | Sequence[ArrayLike],
    predicted: ArrayLike | Sequence[ArrayLike],
    fs: float,
    tolerance: float = 0.150,
) -> BeatDetectionScores:
    """Score detected beats against annotated ones, all records pooled ("gross" statistics of EC57).

    Parameters
    ----------
    true, predicted : array-like of shape (n_beats,), or a list of such arrays, one per record
        Sample indices of the annotated and of the detected beats at the rate `fs`. A flat list of numbers is one
        record. A list of arrays or lists is a list of records.
    fs : float
        Sampling rate [Hz], one for all records.
    tolerance : float, default=.150
        Largest distance of a pair [s], inclusive.

    Returns
    -------
    BeatDetectionScores
        ``sensitivity`` = n_matched / n_true, ``ppv`` = n_matched / n_predicted, ``f1`` = 2 n_matched / (n_true +
        n_predicted), the three counts, and mean and standard deviation (over pairs, ddof 0) of the errors, detected
        minus annotated time [ms].

    Raises
    ------
    ValueError
        If the numbers of records differ, and as for :func:`match_beats`.

    References
    ----------
    ANSI/AAMI EC57:2012, sections 4.3 and 5.2 (sensitivity and positive predictivity of beat detection).
    """
    t_records, p_records = as_records(true), as_records(predicted)
    if len(t_records) != len(p_records):
        raise ValueError(f"true has {len(t_records)} records but predicted has {len(p_records)}")
    n_true = n_predicted = 0
    errors = [np.empty(0)]
    for number, (t, p) in enumerate(zip(t_records, p_records, strict=True)):
        t, p = as_positions(t, f"record {number}: true"), as_positions(p, f"record {number}: predicted")
        i, j = match_beats(t, p, fs, tolerance)
        n_true, n_predicted = n_true + len(t), n_predicted + len(p)
        errors.append((p[j] - t[i]) * (1000.0 / fs))
    error = np.concatenate(errors)
    n = len(error)
    return BeatDetectionScores(
        sensitivity=rate(n, n_true),
        ppv=rate(n, n_predicted),
        f1=rate(2 * n, n_true + n_predicted),
        n_true=n_true,
        n_predicted=n_predicted,
        n_matched=n,
        mean_error_ms=float(error.mean()) if n else float("nan"),
        sd_error_ms=float(error.std()) if n else float("nan"),
    )
