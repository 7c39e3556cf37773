"""Checks of arrays that users pass as X."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
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
        names = checked_leads(leads)
        if len(names) != n_leads:
            text = f"X has {n_leads} leads but leads={list(names)} names {len(names)}"
            if n_leads == len(LEADS) > len(names):
                index = [LEADS.index(name) for name in names]
                text += f"; if X has the standard twelve, pass these alone: X[:, {index}]"
            raise ValueError(text)
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


def checked_leads(leads: Sequence[str] | str) -> tuple[str, ...]:
    """Return the names that the parameter `leads` holds; a single name is one lead.

    Raises
    ------
    TypeError
        If it is no sequence of names.
    ValueError
        If the names are unknown or doubled.
    """
    if isinstance(leads, Mapping) or not hasattr(leads, "__iter__"):
        raise TypeError(
            f"leads={leads!r}: leads of arrays are a sequence of names; names by signal are for `read_wfdb` and "
            f"`WFDBFolder`"
        )
    names = (leads,) if isinstance(leads, str) else tuple(leads)
    try:
        resolve_leads(names)
    except ValueError as error:
        raise ValueError(f"leads={list(names)}: {error}") from error
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


def as_array(X: Any) -> NDArray:
    """Return X as an array without copying one that is one already.

    Raises
    ------
    TypeError
        For what is no array: None, text, dict, sparse matrices, True and False.
    ValueError
        For lists of arrays of unequal shapes, and complex numbers.
    """
    if hasattr(X, "signal") and hasattr(X, "fs"):
        raise TypeError(f"X is one {type(X).__name__}; pass a list of records: [record]")
    if _is_no_array(X):
        raise TypeError(
            f"X must be an array (n_records, n_leads, n_times) in mV, a list of ECGRecord or of paths, or a column of "
            f"a table, got {type(X).__name__}"
        )
    try:
        array = real_numbers(X, "X")
    except _Ragged as error:
        raise ValueError(
            "X is a list of arrays of unequal shapes, whose rates and leads are unknown; pass records of unequal "
            "length as a list of ECGRecord(signal, fs, leads)"
        ) from error
    if array.ndim == 1 and array.size == 0:
        raise ValueError("Found array with 0 sample(s): X holds no record")
    if array.dtype.kind == "O" and array.ndim == 1:
        raise ValueError("X is an array of objects; pass one array, or a list of ECGRecord(signal, fs, leads)")
    return array


def as_signal(values: Any, what: str) -> NDArray:
    """Return the signal of one record, by the rules that arrays of all records have.

    Parameters
    ----------
    values : array-like (n_leads, n_times)
        Signal [mV].
    what : str
        Names the record in messages.

    Returns
    -------
    ndarray (n_leads, n_times) of real numbers

    Raises
    ------
    TypeError, ValueError
        If it holds anything but real numbers, or has other axes; the message names the record.
    """
    expected = f"{what}: its signal must be an array (n_leads, n_times) of real numbers in mV"
    if _is_no_array(values):
        raise TypeError(f"{expected}, got a {type(values).__name__}")
    try:
        array = real_numbers(values, f"the signal of {what}")
        if array.dtype.kind not in "fiu":
            array = array.astype(np.float32)
    except (_Ragged, TypeError, ValueError) as error:
        raise (TypeError if isinstance(error, TypeError) else ValueError)(f"{expected}: {error}") from error
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"{expected}, got the shape {array.shape}")
    return array


def _is_no_array(values: Any) -> bool:
    # Some sparse matrices are dicts, too.
    return values is None or (isinstance(values, (str, bytes, dict, set)) and not scipy.sparse.issparse(values))


class _Ragged(ValueError):
    """Lists that are no array."""


def real_numbers(values: Any, what: str) -> NDArray:
    """Return numbers as an array; those of text and objects stay as they are, to be refused where they are used.

    Tensors of any device become arrays. Masked samples become NaN, which is what missing ones are.

    Raises
    ------
    TypeError
        For sparse matrices, and for True and False.
    ValueError
        For complex numbers, and lists of unequal lengths.
    """
    if scipy.sparse.issparse(values):
        raise TypeError(f"{what} is a sparse matrix: sparse input is not supported, signals are dense")
    if isinstance(values, (list, tuple)) and any(hasattr(value, "detach") or np.ma.isMA(value) for value in values):
        values = [real_numbers(value, what) for value in values]
    array = _from_tensor(values, what) if hasattr(values, "detach") else values
    try:
        array = array if isinstance(array, np.ndarray) else np.asarray(array)
    except ValueError as error:
        raise _Ragged(str(error)) from error
    if array.dtype.kind == "b":
        raise TypeError(f"{what} holds True and False, not signals in mV")
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {what} must hold signals in mV")
    if np.ma.isMaskedArray(array):
        masked = np.ma.getmaskarray(array)
        array = np.where(masked, np.nan, array.data) if masked.any() else array.data
    return array


def _from_tensor(tensor: Any, what: str) -> NDArray:
    try:
        plain = tensor.detach().cpu()
        try:
            found: NDArray = plain.numpy()
        except TypeError:
            # NumPy lacks half precision of eight exponent bits.
            found = plain.float().numpy()
    except (AttributeError, TypeError, RuntimeError, NotImplementedError) as error:
        reason = f"a tensor that is no dense array of numbers ({error})"
        raise TypeError(f"{what} is {reason}; pass a NumPy array") from error
    return found


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
