"""Scores of rhythm episodes against annotated ones, by their duration and one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..ecg.episodes import as_episodes, covered
from ..ecg.waves.table import check_rate
from .delineation import rate

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["EpisodeScores", "episode_scores"]

_COUNTS = ("n_true", "n_found", "n_predicted", "n_right")
_SECONDS = ("true_s", "predicted_s", "both_s", "judged_s")


class EpisodeScores(NamedTuple):
    """Scores of the episodes of one rhythm, all records pooled.

    Attributes
    ----------
    duration_sensitivity, duration_ppv, duration_specificity : float
        Rates by time; NaN if the denominator is 0.
    episode_sensitivity, episode_ppv : float
        Rates by episodes; NaN if the denominator is 0.
    true_s, predicted_s, both_s, judged_s : float
        Time of the rhythm as annotated, as predicted and in both, and all time that is judged [s].
    n_true, n_found, n_predicted, n_right : int
        Annotated episodes, those of them that were found, predicted episodes, those of them that are right.
    records : DataFrame
        One row per record with the same columns.
    """

    duration_sensitivity: float
    duration_ppv: float
    duration_specificity: float
    episode_sensitivity: float
    episode_ppv: float
    true_s: float
    predicted_s: float
    both_s: float
    judged_s: float
    n_true: int
    n_found: int
    n_predicted: int
    n_right: int
    records: DataFrame


def episode_scores(
    true: Sequence[Any],
    predicted: Sequence[Any],
    *,
    fs: float,
    n_times: int | Sequence[int],
    label: str = "AFIB",
    ignore: str | Iterable[str] = (),
    min_overlap: float = 0.0,
) -> EpisodeScores:
    """Score predicted episodes of a rhythm against annotated ones.

    Parameters
    ----------
    true, predicted : list of Episode, or a list of such lists, one per record
        Annotated and predicted episodes, as returned by `rhythm_episodes` and `merge_episodes`. Those of one record
        must not overlap. Time without an episode is time without the rhythm.
    fs : float
        Sampling rate of the episodes [Hz], one for all records.
    n_times : int, or sequence of int, one per record
        Length of the record [samples]. An int says that there is one record.
    label : str, default="AFIB"
        The rhythm that is scored. All others count as its absence.
    ignore : str or iterable of str, default=()
        Annotated rhythms that are not judged, for example "AFL": what is predicted in their time is neither right nor
        wrong.
    min_overlap : float, default=0
        Least share of an episode that must be covered, from 0 to 1. 0 means that any overlap is enough.

    Returns
    -------
    EpisodeScores
        Rates and what they are made of; its ``records`` has the rates per record. Means over its rows are the average
        statistics of EC57, the others the gross ones.

        - ``duration_sensitivity``: of the time of the rhythm, the share that is predicted; both_s / true_s.
        - ``duration_ppv``: of the predicted time, the share that is the rhythm; both_s / predicted_s.
        - ``duration_specificity``: of the time without the rhythm, the share without a prediction.
        - ``episode_sensitivity``: of the annotated episodes, the share that predicted ones overlap by at least
          `min_overlap` of the annotated episode; n_found / n_true.
        - ``episode_ppv``: of the predicted episodes, the share that annotated ones overlap by at least `min_overlap` of
          the predicted episode; n_right / n_predicted.

    Raises
    ------
    TypeError
        If an episode is no tuple of two integers and a str.
    ValueError
        If the numbers of records differ, episodes of a record overlap or reach over its end, `label` is ignored, or a
        parameter is out of its range; the message names the record.

    Notes
    -----
    One predicted episode can find several annotated ones, and one annotated episode can make several predicted ones
    right; the two rates of episodes are therefore counted on both sides separately. A predicted episode that lies
    wholly in ignored time is not counted. Of one that lies there in part, only the rest is.

    References
    ----------
    ANSI/AAMI EC57:2012, Testing and reporting performance results of cardiac rhythm and ST segment measurement
    algorithms: episodes of atrial fibrillation, by number and by duration.

    Examples
    --------
    >>> from beatssl_sklearn.evaluation import episode_scores
    >>> true = [(0, 600, "N"), (600, 1000, "AFIB")]
    >>> scores = episode_scores(true, [(700, 1100, "AFIB")], fs=1.0, n_times=1200)
    >>> scores.duration_sensitivity, scores.duration_ppv, scores.episode_sensitivity
    (0.75, 0.75, 1.0)
    """
    check_rate(fs)
    if not (isinstance(min_overlap, Real) and 0 <= min_overlap <= 1):
        raise ValueError(f"min_overlap must be a number from 0 to 1, got {min_overlap!r:.60}")
    ignored = {ignore} if isinstance(ignore, str) else set(ignore)
    if label in ignored:
        raise ValueError(f"ignore has {label!r}, which is the label to score")
    rows = [
        _of_record(t, p, n, label, ignored, float(min_overlap)) for t, p, n in _records(true, predicted, n_times)
    ]
    return _scores(rows, float(fs))


def _records(true: Any, predicted: Any, n_times: Any) -> Iterable[tuple[list[Any], list[Any], int]]:
    """Yield the episodes and the length of each record."""
    if isinstance(n_times, (int, np.integer)):
        true, predicted, lengths, where = [true], [predicted], [n_times], ""
    else:
        true, predicted, lengths, where = list(true), list(predicted), list(n_times), "record {}: "
    if not len(true) == len(predicted) == len(lengths):
        raise ValueError(
            f"true has {len(true)} records, predicted has {len(predicted)} and n_times has {len(lengths)}"
        )
    for i, (t, p, n) in enumerate(zip(true, predicted, lengths, strict=True)):
        prefix = where.format(i)
        if not (isinstance(n, (int, np.integer)) and n > 0):
            raise ValueError(f"{prefix}n_times must be a positive number of samples, got {n!r:.60}")
        checked = [as_episodes(episodes, f"{prefix}{name}") for episodes, name in ((t, "true"), (p, "predicted"))]
        for name, episodes in zip(("true", "predicted"), checked, strict=True):
            if episodes and episodes[-1].stop > n:
                raise ValueError(f"{prefix}{name} reaches to sample {episodes[-1].stop} of a record of {n}")
        yield checked[0], checked[1], int(n)


def _of_record(
    true: list[Any], predicted: list[Any], n_times: int, label: str, ignored: set[str], min_overlap: float
) -> dict[str, float]:
    """Return the counts and the times [samples] of a record."""
    annotated = _bounds(episode for episode in true if episode.label == label)
    found = _bounds(episode for episode in predicted if episode.label == label)
    left_out = _bounds(episode for episode in true if episode.label in ignored)
    lengths = annotated[:, 1] - annotated[:, 0]
    judged = found[:, 1] - found[:, 0] - covered(found, left_out)
    met, right = covered(annotated, found), covered(found, annotated)
    counts = judged > 0
    return {
        "true_s": float(lengths.sum()),
        "predicted_s": float(judged.sum()),
        "both_s": float(met.sum()),
        "judged_s": float(n_times - (left_out[:, 1] - left_out[:, 0]).sum()),
        "n_true": len(annotated),
        "n_found": int(_is_covered(met, lengths, min_overlap).sum()),
        "n_predicted": int(counts.sum()),
        "n_right": int(_is_covered(right[counts], judged[counts], min_overlap).sum()),
    }


def _bounds(episodes: Iterable[Any]) -> NDArray[np.float64]:
    return np.array([episode[:2] for episode in episodes], np.float64).reshape(-1, 2)


def _is_covered(part: NDArray[np.float64], whole: NDArray[np.float64], min_overlap: float) -> NDArray[np.bool_]:
    return (part > 0) & (part >= min_overlap * whole)


def _scores(rows: list[dict[str, float]], fs: float) -> EpisodeScores:
    import pandas as pd

    columns = (*_SECONDS, *_COUNTS)
    rows = [{name: row[name] / fs if name in _SECONDS else row[name] for name in columns} for row in rows]
    total = {name: sum(row[name] for row in rows) for name in columns}
    table = pd.DataFrame([_rates(row) | row for row in rows], columns=EpisodeScores._fields[:-1])
    # Rates are numbers with a fraction, counts have none: a mapping of one type would say neither.
    pooled: dict[str, Any] = {**_rates(total), **total}
    return EpisodeScores(**pooled, records=table)


def _rates(row: dict[str, float]) -> dict[str, float]:
    absent = row["judged_s"] - row["true_s"]
    return {
        "duration_sensitivity": rate(row["both_s"], row["true_s"]),
        "duration_ppv": rate(row["both_s"], row["predicted_s"]),
        "duration_specificity": rate(absent - (row["predicted_s"] - row["both_s"]), absent),
        "episode_sensitivity": rate(row["n_found"], row["n_true"]),
        "episode_ppv": rate(row["n_right"], row["n_predicted"]),
    }
