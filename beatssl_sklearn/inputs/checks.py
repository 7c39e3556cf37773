"""Checks of arrays that users pass as X."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from .._optional import find_stack_level
from ..ecg.leads import EIGHT_LEADS, LEADS, resolve_leads
from ..ecg.rpeaks import MIN_DURATION


def name_leads(leads: Sequence[str] | str | None, n_leads: int) -> tuple[str, ...]:
    """Return the names of `n_leads` leads.

    Without names, twelve leads are the standard twelve in the standard order, eight are I, II, V1-V6, and one is
    lead II. Any other number is taken as the first so many of the standard twelve, with a warning.

    Raises
    ------
    ValueError
        If the names are unknown, doubled, or not as many as there are leads.
    """
    if leads is not None:
        names = (leads,) if isinstance(leads, str) else tuple(leads)
        try:
            resolve_leads(names)
        except ValueError as error:
            raise ValueError(f"leads={list(names)}: {error}") from error
        if len(names) != n_leads:
            raise ValueError(f"X has {n_leads} leads but leads={list(names)} names {len(names)}")
        return names
    if n_leads > len(LEADS):
        raise ValueError(
            f"X has {n_leads} leads, and only twelve are known; X must have the axes (n_records, n_leads, n_times)"
        )
    if n_leads == 12:
        return LEADS
    if n_leads in (1, 8):
        return ("II",) if n_leads == 1 else EIGHT_LEADS
    names = LEADS[:n_leads]
    warnings.warn(
        f"leads=None: the {n_leads} leads of X are taken as {', '.join(names)}; name them by the parameter leads",
        UserWarning,
        stacklevel=find_stack_level(),
    )
    return names


def check_duration(n_times: int, fs: float, what: str = "X") -> None:
    """Refuse signals that are too short to hold anything.

    Raises
    ------
    ValueError
        If there are less than 0.3 s.
    """
    if n_times < MIN_DURATION * fs:
        raise ValueError(f"{what} has {n_times} samples at {fs:g} Hz; at least {MIN_DURATION} s are needed")


def is_record_collection(X: Any) -> bool:
    """Whether X holds records that know their own rate and leads."""
    if isinstance(X, (np.ndarray, str, bytes, dict)) or not hasattr(X, "__getitem__") or not hasattr(X, "__len__"):
        return False
    if hasattr(X, "names") and hasattr(X, "shape"):
        return True
    return isinstance(X, (list, tuple)) and len(X) > 0 and all(hasattr(x, "signal") and hasattr(x, "fs") for x in X)


def as_array(X: Any) -> NDArray:
    """Return X as an array without copying one that is one already.

    Raises
    ------
    TypeError
        For what is no array: None, text, dict, sparse matrices, True and False.
    ValueError
        For lists of arrays of unequal shapes, and complex numbers.
    """
    if scipy.sparse.issparse(X):
        raise TypeError("X is a sparse matrix: sparse input is not supported, signals are dense")
    if X is None or isinstance(X, (str, bytes, dict, set)):
        raise TypeError(
            f"X must be an array (n_records, n_leads, n_times) in mV or a list of ECGRecord, got {type(X).__name__}"
        )
    try:
        array = X if isinstance(X, np.ndarray) else np.asarray(X)
    except ValueError as error:
        raise ValueError(
            "X is a list of arrays of unequal shapes, whose rates and leads are unknown; pass records of unequal "
            "length as a list of ECGRecord(signal, fs, leads)"
        ) from error
    if array.dtype.kind == "b":
        raise TypeError("X holds True and False, not signals in mV")
    if array.dtype.kind == "c":
        raise ValueError("Complex data not supported: X must hold signals in mV")
    if array.dtype.kind in "iu" and array.ndim == 3:
        warnings.warn(
            f"X holds integers ({array.dtype}): signals are expected in mV; are these ADC counts?",
            UserWarning,
            stacklevel=find_stack_level(),
        )
    if array.dtype.kind == "O" and array.ndim == 1 and len(array):
        raise ValueError("X is an array of objects; pass one array, or a list of ECGRecord(signal, fs, leads)")
    return array


def refuse_swapped_axes(shape: tuple[int, ...], n_leads: int | None = None) -> None:
    """Refuse (n_records, n_times, n_leads), which other libraries use.

    Raises
    ------
    ValueError
        If the second axis cannot be the leads.
    """
    if len(shape) == 3 and 0 < shape[2] <= len(LEADS) and (shape[1] > len(LEADS) or shape[1] > shape[2] == n_leads):
        raise ValueError(
            f"X has shape {shape}: the axes seem swapped; the order is (n_records, n_leads, n_times), so the lead axis"
            f" comes second: use X.transpose(0, 2, 1)"
        )
