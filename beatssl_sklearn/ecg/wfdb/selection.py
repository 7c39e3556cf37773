"""Which signals of a record are read, and which leads they count as."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from ..leads import LEADS, canonical_lead, resolve_leads
from .header import Header
from .paths import refuse
from .segments import not_in_voltage, signal_names

# Signals that monitors and sleep laboratories record beside the ECG, some of them in mV.
_OTHER_SIGNALS = re.compile(
    r"(?:resp|pleth|ppg|abp|art|n?bp|cvp|pap|icp|lap|rap|u[av]p|eeg|eog|emg|sp?o2|co2|etco2|pcg|scg|scl|gsr|eda|event"
    r"|airflow|flow|snore|temp|marker)(?![a-z])",
    re.ASCII,
)


class Wanted(NamedTuple):
    """What a user asked for.

    Attributes
    ----------
    leads : tuple of str, or None
        Wanted leads, in this order; with `positional` the names of all signals. None means all.
    named : tuple of (str, str)
        What some signals are called, in lower case, and the leads that they count as.
    positional : bool
        Whether to take signals in the order of the header.
    """

    leads: tuple[str, ...] | None = None
    named: tuple[tuple[str, str], ...] = ()
    positional: bool = False


_ALL, _BY_POSITION = Wanted(), Wanted(positional=True)


class Selection(NamedTuple):
    """Chosen signals of a record.

    Attributes
    ----------
    columns : tuple of int, of length n_leads
        Positions of the signals in the record.
    signs : tuple of int, of length n_leads
        -1 for a reversed lead, otherwise 1.
    names : tuple of str, of length n_leads
        Lead names.
    in_header : tuple of str, of length n_leads
        What the signals are called in the header.
    """

    columns: tuple[int, ...]
    signs: tuple[int, ...]
    names: tuple[str, ...]
    in_header: tuple[str, ...]


def wanted_signals(leads: Sequence[str] | Mapping[str, str] | None, positional: bool) -> Wanted:
    """Check the parameters `leads` and `positional`; see `read_wfdb`."""
    if leads is None:
        return _BY_POSITION if positional else _ALL
    if isinstance(leads, (str, bytes)):
        raise TypeError(f"leads must be a sequence of names or a mapping, got the single value {leads!r:.60}")
    for name in [*leads, *(leads.values() if isinstance(leads, Mapping) else ())]:
        if not isinstance(name, str):
            raise TypeError(f"leads must hold names, got {type(name).__name__}: {name!r:.60}")
    if not isinstance(leads, Mapping):
        return Wanted(tuple(leads), (), positional)
    if positional:
        raise ValueError("leads as a mapping names signals, positional=True takes them by position: use one of both")
    if not leads:
        raise ValueError("leads is an empty mapping: name at least one signal, or use None")
    for lead in leads.values():
        canonical_lead(lead)
    return Wanted(None, tuple((name.strip().lower(), lead) for name, lead in leads.items()))


def choose_signals(name: str, header: Header, headers: dict[str, Header], wanted: Wanted) -> Selection:
    """Choose signals of a record by name or by position; see `read_wfdb`.

    Raises
    ------
    ValueError
        If leads are unknown, duplicate or missing; the message names the record.
    """
    names = signal_names(name, header, headers)
    try:
        return select_signals(names, not_in_voltage(header, headers), wanted)
    except ValueError as error:
        refuse(name, str(error))


@lru_cache(256)
def select_signals(names: tuple[str, ...], others: tuple[int, ...], wanted: Wanted) -> Selection:
    """Choose among signals of these names.

    It is cached, since the records of a folder mostly have the same signals.

    Parameters
    ----------
    names : tuple of str
        Names of all signals.
    others : tuple of int
        Positions of those that are not in voltage.
    wanted : Wanted
        What the user asked for.

    Raises
    ------
    ValueError
        If leads are unknown, duplicate or missing.
    """
    if wanted.positional:
        return _select_by_position(names, others, wanted.leads)
    if wanted.leads is not None:
        return _select_by_name(names, wanted.leads)
    if wanted.named:
        return _select_named(names, dict(wanted.named))
    # A signal with the name of a lead is never left out, whatever its unit: reading it fails in words.
    columns = [k for k, name in enumerate(names) if _is_standard(name) or not (k in others or _is_other(name))]
    if not columns:
        raise ValueError(f"no signal is an ECG lead: it has {_shown(names)}; leads={{NAME: LEAD}} names one")
    try:
        index, sign = resolve_leads(names[k] for k in columns)
    except ValueError as error:
        raise ValueError(
            f"{error}; leads={{NAME: LEAD}} names some, leads=[...] takes some by name, positional=True takes all as "
            "they stand"
        ) from None
    found = {LEADS[i]: (k, int(s)) for i, k, s in zip(index, columns, sign, strict=True)}
    return _in_order(names, found)


def _select_by_position(
    names: tuple[str, ...], others: tuple[int, ...], leads: tuple[str, ...] | None
) -> Selection:
    """Take all signals of voltage; if there are none, all, so that reading them fails in words."""
    columns = tuple(k for k in range(len(names)) if k not in others) or tuple(range(len(names)))
    if leads is not None and len(leads) != len(columns):
        which = f" of voltage among {len(names)}" if len(columns) < len(names) else ""
        raise ValueError(f"leads has {len(leads)} names for {len(columns)} signals{which}")
    in_header = tuple(names[k] for k in columns)
    return Selection(columns, (1,) * len(columns), leads if leads is not None else in_header, in_header)


def _select_by_name(names: tuple[str, ...], leads: tuple[str, ...]) -> Selection:
    """Choose the wanted leads, in their order; other signals may have any names."""
    index, sign = resolve_leads(leads)
    if (sign < 0).any():
        raise ValueError("leads holds a reversed lead: signals are returned with their sign corrected")
    wanted = tuple(LEADS[i] for i in index)
    found, twice = _standard_signals(names, {})
    missing = [lead for lead in wanted if lead not in found]
    if missing:
        raise ValueError(f"leads not found: {', '.join(missing)}; it has {', '.join(found) or 'no standard lead'}"
                         f"{'' if found else f' but {_shown(names)}; leads={{NAME: LEAD}} names one'}")
    if twice.intersection(wanted):
        raise ValueError(f"duplicate leads: {', '.join(lead for lead in wanted if lead in twice)}")
    columns, signs = zip(*(found[lead] for lead in wanted), strict=True)
    return Selection(columns, signs, wanted, tuple(names[k] for k in columns))


def _select_named(names: tuple[str, ...], named: dict[str, str]) -> Selection:
    """Choose the signals that the user named and those with a standard name, in the order of `LEADS`."""
    found, twice = _standard_signals(names, named)
    if not found:
        raise ValueError(f"no signal is called {_shown(named)}, and none is a standard lead: it has {_shown(names)}")
    if twice:
        raise ValueError(f"duplicate leads: {', '.join(sorted(twice))} among {_shown(names)}")
    return _in_order(names, found)


def _standard_signals(names: tuple[str, ...], named: dict[str, str]) -> tuple[dict[str, tuple[int, int]], set[str]]:
    """Return (position, sign) of each lead, and the leads that occur twice; signals without a lead are left out."""
    found: dict[str, tuple[int, int]] = {}
    twice: set[str] = set()
    for column, name in enumerate(names):
        try:
            lead, sign = canonical_lead(named.get(name.strip().lower(), name))
        except ValueError:
            continue
        twice.update({lead} & found.keys())
        found[lead] = (column, sign)
    return found, twice


def _in_order(names: tuple[str, ...], found: dict[str, tuple[int, int]]) -> Selection:
    leads = tuple(lead for lead in LEADS if lead in found)
    columns, signs = zip(*(found[lead] for lead in leads), strict=True)
    return Selection(columns, signs, leads, tuple(names[k] for k in columns))


def _is_standard(name: str) -> bool:
    try:
        canonical_lead(name)
    except ValueError:
        return False
    return True


def _is_other(name: str) -> bool:
    return _OTHER_SIGNALS.match(name.strip().lower()) is not None


def _shown(names: Sequence[str] | Mapping[str, str]) -> str:
    """Quote names for a message; shorten long names and long lists."""
    shown = ", ".join(repr(name[:40]) for name in list(names)[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")
