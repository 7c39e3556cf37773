"""Labels, groups and weights of records or beats: what is missing in them, and what cannot be used."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._optional import find_stack_level

__all__ = ["as_ids", "as_labels", "check_labels", "checked_weights", "missing_labels", "warn_of_empty"]


def as_labels(values: Any, name: str = "y") -> NDArray[Any]:
    """Return labels as an array in which what is missing can still be seen.

    Parameters
    ----------
    values : array-like
        Labels: None, NaN, NaT and pandas' NA are missing, and so is what a masked array hides.
    name : str, default="y"
        Name of the parameter, for the message.

    Returns
    -------
    ndarray
        Of dtype object where numpy would turn a missing label into text.

    Raises
    ------
    ValueError
        If rows have unlike lengths.
    """
    if isinstance(values, np.ma.MaskedArray):
        shown = np.ma.getdata(values).astype(object)
        shown[np.ma.getmaskarray(values)] = None
        return shown
    try:
        labels = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} must be an array of labels: {error}") from None
    if labels.dtype.kind in "US" and not isinstance(values, np.ndarray):
        # A list of text and NaN becomes an array of text, with "nan" for NaN.
        given = np.asarray(values, dtype=object)
        return given if missing_labels(given).any() else labels
    return labels


def as_ids(values: Any, n_records: int, name: str) -> NDArray[Any]:
    """Return one id per record, of a patient or another group; numbers beside text stay numbers.

    Parameters
    ----------
    values : array-like (n_records,)
        Id of each record.
    n_records : int
        Number of records.
    name : str
        Name of the parameter, for the message.

    Returns
    -------
    ndarray (n_records,)
        Of dtype object where ids are of several types, which `check_labels` refuses.

    Raises
    ------
    ValueError
        If there is not one id per record.
    """
    ids = as_labels(values, name)
    if ids.dtype.kind in "US" and not isinstance(values, np.ndarray):
        # numpy makes text of the numbers, and of the bytes, in a list that has text, too.
        given = np.asarray(values, dtype=object)
        kind = str if ids.dtype.kind == "U" else bytes
        ids = ids if all(isinstance(one, kind) for one in given.ravel()) else given
    if ids.shape != (n_records,):
        raise ValueError(f"{name} must hold one label per record: shape {ids.shape} for {n_records} records")
    return ids


def missing_labels(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which labels are None, NaN, NaT or pandas' NA.

    Parameters
    ----------
    labels : ndarray
        As returned by `as_labels`.

    Returns
    -------
    ndarray of bool
        Of the shape of `labels`.
    """
    if labels.dtype.kind in "fcmM":
        return np.asarray(labels != labels)
    if labels.dtype.kind != "O":
        return np.zeros(labels.shape, dtype=bool)
    return np.array([_is_missing(label) for label in labels.ravel()], dtype=bool).reshape(labels.shape)


def _is_missing(label: Any) -> bool:
    if label is None:
        return True
    try:
        return bool(label != label)
    except TypeError:  # pandas' NA is neither equal to itself nor unequal
        return True
    except ValueError:  # an array has no one answer, and is no missing label
        return False


def check_labels(labels: NDArray[Any], name: str, what: str = "label") -> None:
    """Refuse labels of which one is missing, or that cannot be put in order; warn of empty texts.

    Parameters
    ----------
    labels : ndarray of shape (n_records, ...)
        As returned by `as_labels`.
    name : str
        Name of the parameter, for the message.
    what : str, default="label"
        What each record has one of.

    Raises
    ------
    ValueError
        If a label is missing; the message names its record.
    TypeError
        If labels are of unlike types.
    """
    _refuse_missing(labels, name, what)
    if labels.dtype == object:
        try:
            np.unique(labels)
        except TypeError:
            kinds = sorted({type(label).__name__ for label in labels.ravel().tolist()})
            raise TypeError(f"{name} must hold {what}s of one type, got {' and '.join(kinds)}") from None
    warn_of_empty(labels, name, what)


def warn_of_empty(
    labels: NDArray[Any], name: str, what: str = "label", of: str = "record", cure: str | None = None
) -> None:
    """Warn of labels without a letter, as of empty cells of a table: they are a class, and no missing label.

    Parameters
    ----------
    labels : ndarray of shape (n, ...)
        As returned by `as_labels`.
    name, what, of : str
        Name of the parameter, what each row has one of, and what a row is, for the message.
    cure : str, default=None
        What to do if they stand for nothing; None is to leave the rows out.
    """
    if labels.dtype.kind not in "UO":
        return
    empty = np.array([isinstance(v, str) and v == "" for v in labels.ravel().tolist()], dtype=bool)
    n_empty = int(empty.reshape(len(labels), -1).any(axis=1).sum()) if len(labels) else 0
    if not n_empty:
        return
    one = n_empty == 1
    subject, whose = (f"1 {of} has", "its") if one else (f"{n_empty} {of}s have", "their")
    cure = cure or f"leave {'this' if one else 'these'} {of}{'' if one else 's'} out if it stands for a missing {what}"
    kind = "class" if what == "label" else what
    warnings.warn(
        f"{name}: {subject} the empty text '' as {whose} {what}, which is a {kind} like any other; {cure}",
        UserWarning,
        stacklevel=find_stack_level(),
    )


def _refuse_missing(labels: NDArray[Any], name: str, what: str, of: str = "record") -> None:
    missing = missing_labels(labels)
    if missing.any():
        rows = np.flatnonzero(missing.reshape(len(labels), -1).any(axis=1))
        more = f" and {len(rows) - 1} others" if len(rows) > 1 else ""
        raise ValueError(
            f"{name}: the {what} of {of} {rows[0]}{more} is missing (None or NaN); leave these {of}s out, or give them "
            f"a {what}"
        )


def checked_weights(
    sample_weight: Any, n: int, name: str = "sample_weight", of: str = "record"
) -> NDArray[np.float64] | None:
    """Return weights as an array of numbers, or None where there are none.

    Parameters
    ----------
    sample_weight : array-like of shape (n,) or None
        How many records each record counts as.
    n : int
        Number of records.
    name, of : str
        Name of the parameter, and what has a weight, for messages.

    Returns
    -------
    ndarray of float64 of shape (n,) or None
        Finite, not negative.

    Raises
    ------
    ValueError, TypeError
        If there is not one weight per record, or a weight is no finite number of at least 0; the message names the
        record and the weight.
    """
    if sample_weight is None:
        return None
    given = as_labels(sample_weight, name)
    if given.shape != (n,):
        raise ValueError(f"{name} must hold one weight per {of}: shape {given.shape} for {n} {of}s")
    if given.dtype.kind == "O":
        _refuse_missing(given, name, "weight", of)
    if given.dtype.kind not in "biufO":
        raise TypeError(f"{name} must hold numbers, got {given.dtype}")
    try:
        weights = given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must hold numbers: {error}") from None
    bad = np.flatnonzero(~np.isfinite(weights) | (weights < 0))
    if len(bad):
        raise ValueError(
            f"{name} must hold finite weights of at least 0; that of {of} {bad[0]} is {float(weights[bad[0]])!r}"
        )
    return weights
