"""Patient ids and the embeddings beside them: what is missing or of another kind is refused, and nothing is changed."""

from __future__ import annotations

from collections.abc import Sized
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import validate_data

from ..inputs.labels import as_ids, check_labels, missing_labels

_LARGEST = float(np.finfo(np.float32).max)

__all__ = ["check_unknown", "finite_rows", "found_right", "ids_or_unknown", "joined_ids", "patient_codes"]


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
    labels = as_ids(patients, n_records, "patients")
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
            f"patients must hold ids of the same type as the enrolled ones, got {_plain(given)!r:.80} beside "
            f"{_plain(enrolled)!r:.80}; convert them first, as with numpy's astype"
        )
    return joined


def _plain(ids: NDArray[Any]) -> Any:
    """Return the first id without numpy's type."""
    return ids[:1].tolist()[0]


def check_unknown(unknown: Any, ids: NDArray[Any]) -> None:
    """Refuse what cannot be the label of nobody beside patients' ids.

    Parameters
    ----------
    unknown : object
        The label.
    ids : ndarray (n_patients,)
        Ids of patients.

    Raises
    ------
    TypeError
        If it is a collection, or text beside bytes; the message names it.
    ValueError
        If a patient has this id.
    """
    known = _plain(ids)
    if isinstance(unknown, (str, bytes)):
        fits = not isinstance(known, (str, bytes)) or isinstance(known, str) == isinstance(unknown, str)
    else:
        fits = not isinstance(unknown, Sized)
    if not fits:
        raise TypeError(
            f"unknown must be one label that can stand beside ids such as {known!r:.80}, for example -1, got "
            f"{unknown!r:.80}"
        )
    if unknown is not None and np.asarray(ids == unknown).any():
        raise ValueError(f"unknown={unknown!r:.80} is the id of an enrolled patient; nobody needs a label of its own")


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
    labels = as_ids(patients, len(found), "patients").astype(object)
    # A missing label is no `unknown`, even if that is None.
    missing = missing_labels(labels)
    if missing.any() and missing_labels(np.array([unknown], dtype=object)).any():
        raise ValueError(
            f"patients: the label of record {missing.argmax()} is missing (None or NaN), as is unknown={unknown!r}; "
            f"for records of nobody enrolled, set unknown, for example unknown=-1, and give them this label"
        )
    there = ~missing
    nobody = np.array([known and label == unknown for known, label in zip(there, labels, strict=True)], dtype=bool)
    named = labels.copy()
    named[nobody] = enrolled[:1].astype(object)[0]
    joined_ids(enrolled, patient_codes(named, len(named))[0])
    return np.asarray(found.astype(object) == labels, dtype=bool)


def finite_rows(Z: ArrayLike, estimator: Any, *, reset: bool = False) -> NDArray[np.float64]:
    """Return embeddings as numbers, all finite.

    Parameters
    ----------
    Z : array-like (n_records, n_dims)
        Embeddings.
    estimator : estimator
        Whose columns they are.
    reset : bool, default=False
        Whether to set the estimator's number and names of columns, or to compare with them.

    Returns
    -------
    ndarray of float64 (n_records, n_dims)
        The same.

    Raises
    ------
    ValueError
        If Z is no table of numbers with these columns, or if one is not finite or larger than embeddings, which are of
        single precision, can be; the message names the record.
    """
    vectors: NDArray[np.float64] = validate_data(estimator, Z, dtype=np.float64, ensure_all_finite=False, reset=reset)
    rows = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(rows):
        more = f" and {len(rows) - 1} others" if len(rows) > 1 else ""
        raise ValueError(f"Z: the embedding of record {rows[0]}{more} holds NaN or infinity; leave these records out")
    # Their squares would be infinite.
    largest = np.abs(vectors).max(axis=1)
    if largest.max() > _LARGEST:
        row = int(np.argmax(largest > _LARGEST))
        raise ValueError(f"Z: the embedding of record {row} holds {largest[row]:.3g}, more than float32 can hold")
    return vectors
