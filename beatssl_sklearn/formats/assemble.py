"""Contents of a file as a record: the leads among its signals, in mV, at one rate."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._optional import find_stack_level
from ..ecg.leads import canonical_lead
from ..ecg.preprocess import check_fs
from ..ecg.wfdb import ECGRecord
from ..ecg.wfdb.paths import refuse
from ..ecg.wfdb.selection import select_signals
from .contents import Channel, Contents, Options
from .units import millivolts_in

# Two rates that differ by less are one: some headers round them.
_SAME_RATE = 1e-6
# A week of twelve leads at 1,000 Hz is longer than any file that is read as a whole.
_MOST_SAMPLES = 2**33


class _Lead(NamedTuple):
    name: str
    sign: int
    channel: Channel


def record_of(name: str, contents: Contents, options: Options) -> ECGRecord:
    """Return the leads of a file as a record.

    Parameters
    ----------
    name : str
        What `info` and messages call the record.
    contents : Contents
        What was read.
    options : Options
        What is wanted.

    Returns
    -------
    ECGRecord

    Raises
    ------
    ValueError
        If there are no leads, if wanted ones are missing, if a unit is not one of voltage, or if rates differ.
    """
    leads = _chosen(name, contents, options)
    fs = _rate(name, leads, options.fs)
    scales = [_scale(name, lead, options.unit) for lead in leads]
    signal = _signal(name, leads, scales, contents.notes)
    for note in dict.fromkeys(contents.notes):
        warnings.warn(f"record {name!r}: {note}", UserWarning, stacklevel=find_stack_level())
    taken = {id(lead.channel) for lead in leads}
    info = {
        "record": name,
        **contents.info,
        "signal_names": tuple(lead.channel.name for lead in leads),
        "other_signals": tuple(channel.name for channel in contents.channels if id(channel) not in taken),
    }
    if options.keep_identity:
        info["identity"] = dict(contents.identity)
    return ECGRecord(signal, fs, tuple(lead.name for lead in leads), info)


def _chosen(name: str, contents: Contents, options: Options) -> list[_Lead]:
    """Choose the leads among the signals, by name or by position."""
    wanted = options.wanted
    channels = contents.channels
    if wanted.leads is None and not wanted.positional:
        # Other signals lie beside the ECG in many files.
        channels = [channel for channel in channels if _is_lead(channel.name, dict(wanted.named))]
        if not channels:
            others = ", ".join(repr(channel.name[:40]) for channel in contents.channels[:12]) or "no signals"
            refuse(name, f"no signal is an ECG lead: it has {others}; leads={{NAME: LEAD}} names one")
    names = tuple(channel.name for channel in channels)
    # A unit that is unknown may still be one of voltage, by the parameter `unit`.
    others_by_unit = tuple(
        i for i, channel in enumerate(channels)
        if channel.unit and options.unit is None and millivolts_in(channel.unit) is None
    )
    try:
        found = select_signals(names, others_by_unit, wanted)
    except ValueError as error:
        refuse(name, str(error))
    return [
        _Lead(lead, sign, channels[column])
        for column, sign, lead in zip(found.columns, found.signs, found.names, strict=True)
    ]


def _is_lead(name: str, named: dict[str, str]) -> bool:
    try:
        canonical_lead(named.get(name.strip().lower(), name))
    except ValueError:
        return False
    return True


def _rate(name: str, leads: list[_Lead], given: float | None) -> float:
    rates = [lead.channel.fs for lead in leads]
    if max(rates) - min(rates) > _SAME_RATE * max(rates):
        shown = ", ".join(f"{lead.name} {lead.channel.fs:g} Hz" for lead in leads)
        refuse(name, f"its leads have unequal sampling rates ({shown}); leads=[...] takes those of one rate")
    if given is not None and abs(given - rates[0]) > _SAME_RATE * rates[0]:
        refuse(name, f"it states a sampling rate of {rates[0]:g} Hz, and fs={given:g} says another: fs is for files "
               "that state none")
    try:
        return check_fs(rates[0])
    except (TypeError, ValueError) as error:
        refuse(name, str(error))


def _scale(name: str, lead: _Lead, unit: str | None) -> float:
    """Return what brings a lead to mV, upright."""
    stated = lead.channel.unit
    factor = millivolts_in(stated) if stated else None
    if factor is None and unit is not None:
        factor = millivolts_in(unit)
    if factor is None:
        what = f"has the unit {stated[:20]!r}, which is not one of voltage" if stated else "states no unit"
        refuse(name, f"lead {lead.name} {what}; unit='uV' reads it as \u00b5V, unit='mV' as mV")
    return factor * lead.sign


def _signal(name: str, leads: list[_Lead], scales: list[float], notes: list[str]) -> NDArray[np.float32]:
    """Return the leads as one array; what a lead lacks is missing."""
    values = [np.asarray(lead.channel.load(), dtype=np.float64).ravel() for lead in leads]
    ends = [lead.channel.start + len(part) for lead, part in zip(leads, values, strict=True)]
    if min(map(len, values)) == 0:
        refuse(name, "a lead has no samples")
    if max(ends) * len(leads) > _MOST_SAMPLES:
        refuse(name, f"it promises {max(ends)} samples of each lead, more than can be read")
    if min(ends) < max(ends) and not any(lead.channel.start for lead in leads):
        shortest = leads[int(np.argmin(ends))].name
        notes.append(f"lead {shortest} has {min(ends)} samples, others {max(ends)}: the rest of it is missing")
    out = np.full((len(leads), max(ends)), np.nan, dtype=np.float32)
    # What float32 cannot hold becomes infinite, and is refused where it is used.
    with np.errstate(over="ignore"):
        for row, lead, part, scale in zip(out, leads, values, scales, strict=True):
            row[lead.channel.start : lead.channel.start + len(part)] = part * scale
    return out
