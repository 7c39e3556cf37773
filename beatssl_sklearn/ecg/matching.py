"""Annotated and detected beats: which belong together, and the labels that follow for detected ones."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .beats import as_objects
from .waves.table import check_rate

__all__ = ["as_positions", "as_records", "has_records", "match_beats", "match_labels"]


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
    t, p = as_positions(true, "true"), as_positions(predicted, "predicted")
    check_rate(fs)
    if not (isinstance(tolerance, Real) and np.isfinite(tolerance) and tolerance >= 0):
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


def match_labels(
    rpeaks: ArrayLike | Sequence[ArrayLike],
    annotated: ArrayLike | Sequence[ArrayLike],
    labels: ArrayLike | Sequence[ArrayLike],
    *,
    fs: float,
    tolerance: float = 0.150,
    fill: Any = None,
) -> NDArray[Any]:
    """Return a label for each beat at `rpeaks`: that of the annotated beat that it is.

    Beats are paired one to one, the nearest first, as :func:`match_beats` and the scores of beats do. Annotated beats
    that have no partner are left out: those not detected, and those whose window the record cuts off.

    Parameters
    ----------
    rpeaks : array-like of shape (n_beats,), or a list of such arrays, one per record
        Beats to label [samples], as returned by `BeatEmbedder.rpeaks` or `detect_rpeaks`.
    annotated : array-like of shape (n_annotated,), or a list of such arrays
        Annotated beats [samples], in any order.
    labels : array-like of shape (n_annotated,), or a list of such arrays
        Their labels.
    fs : float
        Sampling rate of all positions [Hz]. With ``fs=1``, `tolerance` is in samples.
    tolerance : float, default=.150
        Largest distance of a pair [s], inclusive.
    fill : object, default=None
        Label of a beat without a partner. None means a missing label: NaN where `labels` are floating-point numbers,
        otherwise None. `BeatClassifier` and the scores of beats leave such beats out.

    Returns
    -------
    ndarray of shape (n_beats,), or (n_records,) of object
        Labels of one record, or such an array for each record. Missing labels that are not NaN make it an array of
        objects, also where no label is missing.

    Raises
    ------
    ValueError
        If the numbers of records differ, an annotated beat has no label of its own, positions are not finite, `fs` is
        not positive or `tolerance` is negative; the message names the record.

    Examples
    --------
    >>> from beatssl_sklearn import match_labels
    >>> match_labels([101, 300, 498], [100, 200, 500], ["N", "V", "N"], fs=250).tolist()
    ['N', None, 'N']
    """
    given: dict[str, Any] = {"rpeaks": rpeaks, "annotated": annotated, "labels": labels}
    several = {name: has_records(values) for name, values in given.items()}
    if not any(several.values()):
        return _labels_of_record(rpeaks, annotated, labels, fs, tolerance, fill, "")
    # A record without beats, and no records, are both an empty list.
    alone = [name for name, values in given.items() if not several[name] and np.size(values)]
    if alone:
        raise ValueError(f"{alone[0]} holds one record, the others hold a list of records")
    records = {name: list(values) for name, values in given.items()}
    n = len(records["rpeaks"])
    for name in ("annotated", "labels"):
        if len(records[name]) != n:
            raise ValueError(f"{name} holds {len(records[name])} records, rpeaks has {n}")
    rows = zip(records["rpeaks"], records["annotated"], records["labels"], strict=True)
    return as_objects(
        [_labels_of_record(r, a, own, fs, tolerance, fill, f"record {i}: ") for i, (r, a, own) in enumerate(rows)]
    )


def _labels_of_record(
    rpeaks: Any, annotated: Any, labels: Any, fs: float, tolerance: float, fill: Any, where: str
) -> NDArray[Any]:
    found, beats = as_positions(rpeaks, f"{where}rpeaks"), as_positions(annotated, f"{where}annotated")
    own = np.asarray(labels)
    if own.dtype.kind in "US" and not isinstance(labels, np.ndarray):
        own = np.asarray(labels, dtype=object)  # A list of text may hold missing labels.
    if own.shape != beats.shape:
        raise ValueError(f"{where}annotated holds {len(beats)} beats, but labels have the shape {own.shape}")
    of_annotated, of_found = match_beats(beats, found, fs, tolerance)
    out = np.full(len(found), np.nan if fill is None and own.dtype.kind == "f" else fill, dtype=_dtype_of(own, fill))
    out[of_found] = own[of_annotated]
    return out


def _dtype_of(labels: NDArray[Any], fill: Any) -> Any:
    """Return the dtype that holds labels and what fills their gaps."""
    if fill is None:
        return labels.dtype if labels.dtype.kind == "f" else object
    filled = np.asarray(fill).dtype
    alike = labels.dtype.kind == filled.kind or {labels.dtype.kind, filled.kind} <= set("iuf")
    return np.result_type(labels.dtype, filled) if alike else object


def as_records(beats: Any) -> list[Any]:
    """Return a list of records, from one record or from a sequence of records."""
    return list(beats) if has_records(beats) else [beats]


def has_records(beats: Any) -> bool:
    """Return whether a value holds a sequence of records, and not the beats of one."""
    if isinstance(beats, np.ndarray) and beats.dtype != object:
        return beats.ndim > 1
    if isinstance(beats, str) or not hasattr(beats, "__len__"):
        return False
    return len(beats) > 0 and all(hasattr(b, "__len__") and not isinstance(b, (str, bytes)) for b in beats)


def as_positions(beats: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return sample indices of a record as numbers.

    Raises
    ------
    ValueError
        If they are no finite numbers in one dimension; the message has `name`.
    """
    try:
        x = np.asarray(beats, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold sample indices, one 1-D array per record") from error
    if x.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional per record, got shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"{name} must be finite, got {x[~np.isfinite(x)][0]}")
    return x
