"""The twelve standard leads: names, aliases, derived limb leads, and placement of any subset."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEADS: tuple[str, ...] = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
"""The canonical order of the twelve standard leads."""

INDEPENDENT: NDArray[np.int64] = np.array([0, 1, 6, 7, 8, 9, 10, 11])
"""Positions in `LEADS` of the eight leads that the other four follow from: I, II, V1 to V6."""
INDEPENDENT.setflags(write=False)

EIGHT_LEADS: tuple[str, ...] = tuple(LEADS[i] for i in INDEPENDENT)
"""Names of the leads at `INDEPENDENT`: I, II, V1 to V6."""

DERIVED: dict[str, tuple[float, float]] = {
    "III": (-1.0, 1.0),
    "aVR": (-0.5, -0.5),
    "aVL": (1.0, -0.5),
    "aVF": (-0.5, 1.0),
}
"""Limb leads as weights of (I, II): Einthoven's law and Goldberger's augmented leads."""

_INDEX = {name: i for i, name in enumerate(LEADS)}
_LIMB = {"I": "1", "II": "2", "III": "3"}
# Other names of the same place on the body. Ambulatory recorders modify leads: ML is a modified limb lead, MV and MCL
# are modified chest leads with the electrode at the place of V. Romance languages write DI, and D1 or L1 for short.
_ALIASES: dict[str, str] = (
    {name.lower(): name for name in LEADS}
    | {f"{prefix}{n}": name for name, n in _LIMB.items() for prefix in ("ml", "d", "l")}
    | {f"{prefix}{name.lower()}": name for name in _LIMB for prefix in ("ml", "d")}
    | {f"{prefix}{n}": f"V{n}" for n in range(1, 7) for prefix in ("mv", "mcl", "mod.v", "mod v")}
)
_PREFIX = re.compile(r"^(?:(?:mdc[\s_:-]+)?(?:ecg|ekg)[\s_:-]+)?(?:lead[\s_:-]*)?")
_CANONICAL: dict[str, tuple[str, int]] = {name: (name, 1) for name in LEADS}


def canonical_lead(name: str) -> tuple[str, int]:
    """Return the canonical name of a lead and its sign.

    Case, surrounding blanks and the words "ECG" and "lead" do not matter. The modified leads of ambulatory recorders
    count as the standard leads of the same number.

    Parameters
    ----------
    name : str
        A lead's name, for example ``"II"``, ``"avr"``, ``"MLII"``, ``"ML2"``, ``"D3"``, ``"MCL1"``, ``"Lead II"`` or
        ``"-aVR"``.

    Returns
    -------
    name : str
        One of `LEADS`.
    sign : int
        -1 if the name starts with a minus sign (as -aVR in the Cabrera sequence), otherwise 1.

    Raises
    ------
    TypeError
        If the name is not a str.
    ValueError
        If the name is not a standard lead.

    Notes
    -----
    These are the same place under another name: MLI to MLIII, ML1 to ML3, DI to DIII, D1 to D3, L1 to L3 (limb leads),
    MV1 to MV6, MCL1 to MCL6 and mod.V1 to mod.V6 (chest leads). Leads that only resemble a standard one are unknown
    here: CM5 and CC5 (bipolar, larger than V5 and with another axis), ML5, D4, V1-V2, and C1 to C6 (chest leads of some
    devices, but electrodes of an electroencephalogram in others). Name them by ``leads={"CM5": "V5"}`` in `read_wfdb`.

    Examples
    --------
    >>> canonical_lead("MLII"), canonical_lead("-aVR")
    (('II', 1), ('aVR', -1))
    """
    if not isinstance(name, str):
        raise TypeError(f"a lead's name must be a str, got {type(name).__name__}: {name!r:.60}")
    exact = _CANONICAL.get(name)
    if exact is not None:
        return exact
    key, sign = name.strip().lower(), 1
    if key[:1] in ("-", "\u2212"):
        key, sign = key[1:].strip(), -1
    key = _PREFIX.sub("", key, count=1)
    if key not in _ALIASES:
        raise ValueError(f"unknown lead {name[:60]!r}: expected one of {', '.join(LEADS)}")
    return _ALIASES[key], sign


def resolve_leads(names: Iterable[str]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Find the position in `LEADS` and the sign of each lead name.

    Parameters
    ----------
    names : iterable of str
        Lead names in any order.

    Returns
    -------
    index : ndarray of shape (n_leads,), int64
        Position of each lead in `LEADS`.
    sign : ndarray of shape (n_leads,), float32
        1, or -1 for an inverted lead.

    Raises
    ------
    TypeError
        If `names` is a single str.
    ValueError
        If there is no name, a name is unknown, or two names mean the same lead. The message lists all such names.
    """
    if isinstance(names, (str, bytes)):
        raise TypeError(f"leads must be a sequence of names, got the single value {names!r:.60}")
    names = list(names)
    resolved: list[tuple[str, int]] = []
    unknown: list[str] = []
    for name in names:
        try:
            resolved.append(canonical_lead(name))
        except ValueError:
            unknown.append(name)
    if unknown:
        raise ValueError(f"unknown lead names {_listed(unknown)}: expected names out of {', '.join(LEADS)}")
    if not resolved:
        raise ValueError("leads is empty: at least one lead name is needed")
    index = np.array([_INDEX[name] for name, _ in resolved], dtype=np.int64)
    count = np.bincount(index, minlength=len(LEADS))
    if count.max() > 1:
        twice = [names[i] for i in range(len(names)) if count[index[i]] > 1]
        raise ValueError(f"duplicate lead names {_listed(twice)}: each lead may occur once")
    return index, np.array([sign for _, sign in resolved], dtype=np.float32)


def place_leads(X: ArrayLike, leads: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Place leads by name among the twelve, and compute the limb leads that follow from I and II.

    Parameters
    ----------
    X : array-like of shape (..., n_leads, n_times)
        Signals [mV].
    leads : sequence of str, of length n_leads
        Names of the leads in `X`.

    Returns
    -------
    Y : ndarray of shape (..., 12, n_times), float32
        Signals in the order of `LEADS`; absent leads are zero. It is `X` itself, not a copy, if `X` is float32 and has
        the twelve leads in that order.
    present : ndarray of shape (12,), bool
        Leads that were given or computed.

    Raises
    ------
    ValueError
        If names are unknown, occur twice, or do not match the number of leads in `X`.

    Notes
    -----
    If I and II are given, absent limb leads are computed: III = II - I, aVR = -(I + II) / 2, aVL = I - II / 2,
    aVF = II - I / 2. Given leads are never replaced.
    """
    X = np.asarray(X, dtype=np.float32)
    if X.ndim < 2:
        raise ValueError(f"X must have at least two dimensions (n_leads, n_times), got shape {X.shape}")
    index, sign = resolve_leads(leads)
    if X.shape[-2] != len(index):
        raise ValueError(f"X has {X.shape[-2]} leads but leads names {len(index)}: shape {X.shape}")
    present = np.zeros(len(LEADS), dtype=bool)
    present[index] = True
    if present.all() and (sign == 1).all() and (index[:-1] < index[1:]).all():
        return X, present
    Y = np.zeros((*X.shape[:-2], len(LEADS), X.shape[-1]), dtype=np.float32)
    for source, (target, s) in enumerate(zip(index, sign, strict=True)):
        np.multiply(X[..., source, :], s, out=Y[..., target, :])
    if present[0] and present[1]:
        for name in DERIVED:
            if not present[_INDEX[name]]:
                Y[..., _INDEX[name], :] = derive_lead(name, Y[..., 0, :], Y[..., 1, :])
                present[_INDEX[name]] = True
    return Y, present


def derive_lead(name: str, lead_i: NDArray[Any], lead_ii: NDArray[Any]) -> NDArray[np.float32]:
    """Compute a limb lead from leads I and II.

    Parameters
    ----------
    name : {"III", "aVR", "aVL", "aVF"}
        The lead to compute.
    lead_i, lead_ii : ndarray of shape (..., n_times)
        Leads I and II [mV].

    Returns
    -------
    signal : ndarray of shape (..., n_times), float32
        The limb lead [mV].

    Raises
    ------
    ValueError
        If the lead does not follow from I and II.
    """
    if name not in DERIVED:
        raise ValueError(f"lead {name!r} does not follow from I and II: expected one of {', '.join(DERIVED)}")
    of_i, of_ii = (np.float32(weight) for weight in DERIVED[name])
    return np.asarray(of_i * lead_i + of_ii * lead_ii, dtype=np.float32)


def _listed(names: Iterable[object], limit: int = 12) -> str:
    """Quote names for an error message; shorten long names and long lists."""
    names = list(names)
    shown = ", ".join(repr(str(name)[:40]) for name in names[:limit])
    return shown + (f" and {len(names) - limit} more" if len(names) > limit else "")
