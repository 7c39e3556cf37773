"""Patient ids and the embeddings beside them: what is missing or of another kind is refused, and nothing is changed."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_array

from ..inputs.labels import as_labels, check_labels, missing_labels

__all__ = ["as_ids", "finite_rows", "found_right", "ids_or_unknown", "joined_ids", "patient_codes"]


def as_ids(patients: Any, n_records: int) -> NDArray[Any]:
    """Return one id per record; numbers beside text stay numbers.

    Parameters
    ----------
    patients : array-like (n_records,)
        Id of each record's patient.
    n_records : int
        Number of records.

    Returns
    -------
    ndarray (n_records,)
        Of dtype object where ids are of several types.

    Raises
    ------
    ValueError
        If there is not one id per record.
    """
    ids = as_labels(patients, "patients")
    if ids.dtype.kind in "US" and not isinstance(patients, np.ndarray):
        # numpy makes text of the numbers in a list that has both.
        given = np.asarray(patients, dtype=object)
        ids = ids if all(isinstance(one, (str, bytes)) for one in given.ravel()) else given
    if ids.shape != (n_records,):
        raise ValueError(f"patients must hold one label per record: shape {ids.shape} for {n_records} records")
    return ids


def patient_codes(patients: Any, n_records: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the patients' ids, and the position of each record's patient among them.

    Parameters
    ----------
    patients : array-like (n_records,)
        Id of each record's patient.
    n_records : int
        Number of records.

    Returns
    -------
    ids : ndarray (n_patients,)
        Sorted.
    codes : ndarray of int64 (n_records,)
        Positions in `ids`.

    Raises
    ------
    ValueError, TypeError
        If there is not one id per record, if one is missing (the message names the record), or if ids are of several
        types.
    """
    labels = as_ids(patients, n_records)
    check_labels(labels, "patients")
    ids, codes = np.unique(labels, return_inverse=True)
    return ids, codes.astype(np.int64)


def joined_ids(enrolled: NDArray[Any], given: NDArray[Any]) -> NDArray[Any]:
    """Return enrolled ids, then given ones, if they can be compared with each other.

    Parameters
    ----------
    enrolled, given : ndarray (n,), ndarray (m,)
        Ids.

    Returns
    -------
    ndarray (n + m,)
        All of them.

    Raises
    ------
    TypeError
        If an array of both kinds would change an id, as that of numbers and text does.
    """
    try:
        joined = np.concatenate([enrolled, given])
        np.unique(joined)
        same = joined.tolist() == enrolled.tolist() + given.tolist()
    except TypeError:
        same = False
    if not same:
        raise TypeError(
            f"patients must hold ids of the same type as the enrolled ones, got {given[0]!r:.80} beside "
            f"{enrolled[0]!r:.80}; convert them first, as with numpy's astype"
        )
    return joined


def ids_or_unknown(found: NDArray[Any], nobody: NDArray[np.bool_], unknown: Any) -> NDArray[Any]:
    """Return the ids that were found, and `unknown` where nobody was.

    Parameters
    ----------
    found : ndarray (n_records,)
        Ids.
    nobody : ndarray of bool (n_records,)
        Where none of them counts.
    unknown : object
        What stands there instead.

    Returns
    -------
    ndarray (n_records,)
        Of the dtype of `found` if that holds `unknown` as it is, of longer text if both are text, else of objects.
    """
    # The dtype does not depend on whether there is a record of nobody.
    named = found.astype(_dtype_with(found.dtype, unknown))
    named[nobody] = unknown
    return named


def _dtype_with(dtype: np.dtype[Any], unknown: Any) -> np.dtype[Any]:
    """Return a dtype that holds the ids of one dtype, and `unknown` as it is."""
    if dtype.kind == "U" and isinstance(unknown, str):
        return np.promote_types(dtype, np.asarray(unknown).dtype)
    number = not isinstance(unknown, (bool, np.bool_))
    if dtype.kind in "iu" and number and isinstance(unknown, Integral):
        limits = np.iinfo(dtype)
        return dtype if limits.min <= int(unknown) <= limits.max else np.dtype(object)
    if dtype.kind == "f" and number and isinstance(unknown, Real):
        with np.errstate(over="ignore"):
            held = dtype.type(unknown)
        return dtype if held == unknown or unknown != unknown else np.dtype(object)
    return np.dtype(object)


def found_right(found: NDArray[Any], patients: Any, enrolled: NDArray[Any], unknown: Any) -> NDArray[np.bool_]:
    """Return for which records the patient was found.

    Parameters
    ----------
    found : ndarray (n_records,)
        As predicted: enrolled ids, or `unknown`.
    patients : array-like (n_records,)
        Id of each record's patient, or `unknown`.
    enrolled : ndarray (n_patients,)
        Ids of the gallery.
    unknown : object
        What stands for nobody enrolled.

    Returns
    -------
    ndarray of bool (n_records,)
        Where both are equal.

    Raises
    ------
    ValueError, TypeError
        As for `patient_codes` and `joined_ids`; `unknown` may be of another type than ids.
    """
    labels = as_ids(patients, len(found)).astype(object)
    # A missing label is no `unknown`, even if that is None.
    there = ~missing_labels(labels)
    nobody = np.array([known and label == unknown for known, label in zip(there, labels, strict=True)], dtype=bool)
    named = labels.copy()
    named[nobody] = enrolled[:1].astype(object)[0]
    joined_ids(enrolled, patient_codes(named, len(named))[0])
    return np.asarray(found.astype(object) == labels, dtype=bool)


def finite_rows(Z: ArrayLike, n_dims: int | None = None) -> NDArray[np.float64]:
    """Return embeddings as numbers, all finite.

    Parameters
    ----------
    Z : array-like (n_records, n_dims)
        Embeddings.
    n_dims : int, default=None
        How many columns there must be; None is any number.

    Returns
    -------
    ndarray of float64 (n_records, n_dims)
        The same.

    Raises
    ------
    ValueError
        If Z is no table of numbers of that width, or if one is not finite; the message names the record.
    """
    vectors: NDArray[np.float64] = check_array(Z, dtype=np.float64, ensure_all_finite=False)
    rows = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(rows):
        more = f" and {len(rows) - 1} others" if len(rows) > 1 else ""
        raise ValueError(f"Z: the embedding of record {rows[0]}{more} holds NaN or infinity; leave these records out")
    if n_dims not in (None, vectors.shape[1]):
        raise ValueError(
            f"X has {vectors.shape[1]} features, but PatientIdentifier is expecting {n_dims} features as input"
        )
    return vectors
