"""Scores of detected events against annotated ones, beat by beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..ecg.waves.table import check_rate
from .delineation import delineation_scores, rate
from .segmentation import segmentation_scores

__all__ = [
    "BeatDetectionScores", "beat_detection_scores", "delineation_scores", "match_beats", "segmentation_scores",
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


def match_beats(
    true: ArrayLike, predicted: ArrayLike, fs: float, tolerance: float = 0.150
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair annotated and detected beats of one record, each used at most once.

    Pairs form from the nearest to the farthest. Of several detections around one annotated beat, the nearest one is
    its match; the others have none.

    Parameters
    ----------
    true, predicted : array-like of shape (n_true,) and (n_predicted,)
        Sample indices at the rate `fs`, in any order.
    fs : float
        Sampling rate [Hz].
    tolerance : float, default=.150
        Largest distance of a pair [s], inclusive. ANSI/AAMI EC57 uses 150 ms.

    Returns
    -------
    true_index, predicted_index : int64 arrays of shape (n_matched,)
        Positions in `true` and in `predicted`, ordered by `true_index`.

    Raises
    ------
    ValueError
        If an input is not one-dimensional or not finite, `fs` is not positive or `tolerance` is negative.

    References
    ----------
    ANSI/AAMI EC57:2012, Testing and reporting performance results of cardiac rhythm and ST segment measurement
    algorithms, section 4.3 (match window of 150 ms).
    """
    t, p = _positions(true, "true"), _positions(predicted, "predicted")
    check_rate(fs)
    if not np.isfinite(tolerance) or tolerance < 0:
        raise ValueError(f"tolerance must be a number >= 0 [s], got {tolerance!r}")
    order = np.argsort(p, kind="stable")
    # The slack keeps a pair at exactly the tolerance a pair, whatever tolerance * fs rounds to.
    reach = tolerance * fs + 1e-6
    first = np.searchsorted(p[order], t - reach, side="left")
    count = np.searchsorted(p[order], t + reach, side="right") - first
    # Candidates: each annotated beat i with every detection j within reach of it.
    i = np.repeat(np.arange(len(t)), count)
    j = order[np.repeat(first - (np.cumsum(count) - count), count) + np.arange(len(i))]
    used_t, used_p, pairs = np.zeros(len(t), bool), np.zeros(len(p), bool), []
    for k in np.argsort(np.abs(t[i] - p[j]), kind="stable"):
        if not used_t[i[k]] and not used_p[j[k]]:
            used_t[i[k]] = used_p[j[k]] = True
            pairs.append((i[k], j[k]))
    matched = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    return matched[:, 0], matched[:, 1]


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
    t_records, p_records = _as_records(true), _as_records(predicted)
    if len(t_records) != len(p_records):
        raise ValueError(f"true has {len(t_records)} records but predicted has {len(p_records)}")
    n_true = n_predicted = 0
    errors = [np.empty(0)]
    for t, p in zip(t_records, p_records, strict=True):
        i, j = match_beats(t, p, fs, tolerance)
        t, p = _positions(t, "true"), _positions(p, "predicted")
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


def _as_records(beats: Any) -> list[Any]:
    """Return a list of records, from one record or from a sequence of records."""
    if isinstance(beats, np.ndarray):
        return list(beats) if beats.dtype == object or beats.ndim > 1 else [beats]
    beats = list(beats)
    return beats if beats and all(np.ndim(b) >= 1 for b in beats) else [beats]


def _positions(beats: ArrayLike, name: str) -> NDArray[np.float64]:
    """Sample indices of a record, or ValueError."""
    try:
        x = np.asarray(beats, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold sample indices, one 1-D array per record") from error
    if x.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional per record, got shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"{name} must be finite, got {x[~np.isfinite(x)][0]}")
    return x
