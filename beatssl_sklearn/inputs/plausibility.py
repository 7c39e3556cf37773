"""What is odd in records, told once per record: amplitudes, rates, leads, noise.

Every estimator that reads records has the parameter `check`, makes one `RecordCheck` per call, shows it every block,
and lets it tell at the end.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .._optional import find_stack_level
from ..ecg.leads import resolve_leads
from .measures import Measures, measure_block
from .source import Block, Source

RAISED = "X looks odd (check='raise'): "
"""How the error of ``check="raise"`` begins; what is odd follows line by line."""
CHECKS = ("warn", "raise", "ignore")
"""Values of the parameter `check` of all estimators that read records."""
LIMB_ERROR = 0.15
"""Share of the limb leads against Einthoven's law, with a gain for each lead. The largest of 20,000 is .07."""

# Root mean square of a record [mV]. The largest of 30,000 real ones is 2 mV, the smallest .03 mV.
_LARGEST_MV, _SMALLEST_MV = 2.5, 0.005
# Median root mean square of a group of n records [mV]: first + second / n. Groups of patients have .1 to .4 mV, and of
# 75 patients none has more than .8 mV in half an hour's pieces.
_GROUP_MV = (0.85, 0.6)
# Share of the samples of a lead that are clipped.
_CLIPPED = 0.02
# Shortest record [s] that is said to have no heartbeat: with three leads and more, and with fewer.
_SILENT_S = (2.0, 8.0)
# Median heart rate [1/min] that no group of patients, of whatever number, has.
_HEART_RATES = (27.0, 220.0)
# A usual record: 75 beats per minute, and this sharpness of its QRS complexes.
_USUAL_RR, _USUAL_SHARPNESS = 0.8, 0.85
# Under a wrong rate, heartbeats and QRS complexes are too fast, or too slow, by the same factor. Natural logarithms of
# either factor, and least sum of both in a group of n records: third + fourth / n.
_TOO_SLOW, _TOO_FAST = (0.15, 0.1, 0.4, 1.3), (0.1, 0.15, 0.45, 1.3)
# One patient may be as slow or fast as that in all pieces of a long recording, which are alike. Below this sum of both,
# records must differ as patients do: by these standard deviations.
_STRONG, _OF_PATIENTS = 0.85, (0.08, 0.04)
# The same for a single one of several records; and a sharpness that is too large whatever the heart rate, 1.4.
_ONE_TOO_SLOW, _ONE_TOO_FAST, _TOO_SHARP = 1.35, (0.2, 0.38), 0.5

_TEXTS = {
    "integers": "integers, taken as mV; are these ADC counts?",
    "flat": "no lead varies (flat signal)",
    "large": f"root mean square above {_LARGEST_MV:g} mV; are these microvolts or ADC counts?",
    "small": f"root mean square below {_SMALLEST_MV:g} mV; are these volts?",
    "identical": "all leads are the same signal",
    "limb": "the limb leads contradict Einthoven's law (III = II - I); are the leads in the order that is named, and of"
    " one patient?",
    "clipped": f"more than {100 * _CLIPPED:g} % of a lead lie at its largest or smallest value (clipped, saturated)",
    "silent": "no heartbeat was found; is this an ECG, and fs its sampling rate?",
    "rate": "QRS complexes, or they and the heart rate, are too fast or too slow; is fs the sampling rate?",
}


def check_choice(check: object) -> str:
    """Return a value of the parameter `check`.

    Raises
    ------
    ValueError
        If it is not one of "warn", "raise", "ignore".
    """
    if not isinstance(check, str) or check not in CHECKS:
        raise ValueError(f"check must be one of {', '.join(CHECKS)}, got {check!r}")
    return check


class RecordCheck:
    """What is odd in the records that one call of a method reads.

    Parameters
    ----------
    source : Source
        The records; names them, and may have notes of its own.
    check : {"warn", "raise", "ignore"}
        What to do with what is odd.

    Raises
    ------
    ValueError
        If `check` is none of these.
    """

    def __init__(self, source: Source, check: str) -> None:
        self.check = check_choice(check)
        self.source = source
        self._measured: list[Measures] = []
        # First rows and leads of the blocks whose leads are not those that the user named.
        self._other_leads: list[tuple[int, tuple[str, ...]]] = []
        # Rows by what the caller says of them.
        self._said: dict[str, list[int]] = {}

    @property
    def wanted(self) -> bool:
        """Whether there is anything to look at."""
        return self.check != "ignore"

    def look(self, block: Block, rpeaks: list[NDArray[np.int64]], given: bool = False) -> None:
        """Measure the records of a block; threads may call this at the same time.

        Parameters
        ----------
        block : Block
            Signals of the records.
        rpeaks : list of int64 arrays (n_beats,)
            R peaks of each record [samples].
        given : bool
            Whether the user chose these, so that a record without one need not be odd.
        """
        if self.wanted:
            measured = measure_block(block, rpeaks)
            if given:
                measured = measured._replace(silent=np.zeros_like(measured.silent))
            self._measured.append(measured)
            named = self.source.unused_leads
            if named is not None and set(resolve_leads(named)[0]) != set(resolve_leads(block.leads)[0]):
                self._other_leads.append((int(block.rows[0]), block.leads))

    def say(self, rows: NDArray[np.int64], text: str) -> None:
        """Note what is odd in some records, which the caller found.

        Parameters
        ----------
        rows : ndarray of int64
            Positions of the records.
        text : str
            What is odd.
        """
        self._said.setdefault(text, []).extend(rows.tolist())

    def found(self) -> tuple[dict[str, NDArray[np.int64]], list[str]]:
        """Return what is odd.

        Returns
        -------
        records : dict of str to ndarray of int64
            Positions of the odd records by kind.
        notes : list of str
            What is odd in all of them together.
        """
        said = [f"{_listed(np.array(rows), self.source.record_names)}: {text}" for text, rows in self._said.items()]
        notes = list(self.source.notes) + self._unused_leads() + said
        if not self._measured:
            return {}, notes
        parts: Any = zip(*self._measured, strict=True)
        every = Measures(*(np.concatenate(part) for part in parts))
        order = np.argsort(every.rows, kind="stable")
        every = Measures(*(values[order] for values in cast(Any, every)))
        kinds = {kind: every.rows[odd] for kind, odd in _odd_records(every).items() if odd.any()}
        return kinds, notes + _odd_groups(every, kinds)

    def _unused_leads(self) -> list[str]:
        """Return a note if the user named leads, and records have others of their own."""
        if not self._other_leads or self.source.unused_leads is None:
            return []
        own = min(self._other_leads)[1]
        return [
            f"the parameter leads ({', '.join(self.source.unused_leads)}) is for arrays, and is not used: the records "
            f"have leads of their own ({', '.join(own)}); choose leads of files in `WFDBFolder` or `read_wfdb`"
        ]

    def tell(self) -> None:
        """Warn of what is odd, in one warning, or raise.

        Raises
        ------
        ValueError
            If something is odd and `check` is "raise".
        """
        if not self.wanted:
            return
        kinds, notes = self.found()
        lines = notes + [f"{_listed(rows, self.source.record_names)}: {_TEXTS[kind]}" for kind, rows in kinds.items()]
        if not lines:
            return
        if self.check == "raise":
            raise ValueError(RAISED + "\n".join(lines))
        warnings.warn("\n".join(lines), UserWarning, stacklevel=find_stack_level())


def _odd_records(m: Measures) -> dict[str, NDArray[np.bool_]]:
    """Return which records are odd, by kind. A record that is no signal at all has no other fault."""
    # Records without a known sample show it by their result, NaN.
    known = ~m.blank
    signal = known & (m.n_leads > 0)
    beats, complexes = _factors(m)
    shortest = np.where(m.n_leads < 3, _SILENT_S[1], _SILENT_S[0])
    clipped = signal & (m.clipped > _CLIPPED)
    return {
        "integers": known & m.integers,
        "flat": known & (m.n_leads == 0),
        "large": signal & ~(m.rms <= _LARGEST_MV),
        "small": signal & (m.rms < _SMALLEST_MV),
        "identical": signal & m.identical,
        # Sums of clipped leads are wrong.
        "limb": signal & ~m.identical & ~clipped & (m.limb_error > LIMB_ERROR),
        "clipped": clipped,
        "silent": signal & m.silent & (m.duration >= shortest),
        "rate": signal
        & (
            (np.abs(beats + complexes) > _ONE_TOO_SLOW)
            | ((beats > _ONE_TOO_FAST[0]) & (complexes > _ONE_TOO_FAST[1]))
            | (complexes > _TOO_SHARP)
        ),
    }


def _factors(m: Measures) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return by how much the heart rate, and the sharpness of QRS complexes, exceed the usual ones, as logarithms."""
    with np.errstate(divide="ignore"):
        return np.log(_USUAL_RR / m.rr), np.log(m.sharpness / _USUAL_SHARPNESS)


def _odd_groups(m: Measures, kinds: dict[str, NDArray[np.int64]]) -> list[str]:
    """Return what is odd of the records together, though each of them may be a patient's."""
    notes = []
    signal = ~m.blank & (m.n_leads > 0)
    largest = _GROUP_MV[0] + _GROUP_MV[1] / max(1, signal.sum())
    if signal.sum() > 1 and largest < (median := float(np.median(m.rms[signal]))) <= _LARGEST_MV:
        notes.append(f"half of the records have a root mean square above {median:.2g} mV; are these mV?")
    rate, sharpness = _factors(m)
    both = np.isfinite(rate) & np.isfinite(sharpness)
    if not both.any():
        return notes
    rate, sharpness = rate[both], sharpness[both]
    beats, complexes = float(np.median(rate)), float(np.median(sharpness))
    heart_rate = 60 / _USUAL_RR * np.exp(beats)
    slow = _both_exceed(-rate, -sharpness, _TOO_SLOW) or heart_rate < _HEART_RATES[0]
    fast = _both_exceed(rate, sharpness, _TOO_FAST) or heart_rate > _HEART_RATES[1]
    if both.sum() == 1 and (slow or fast):
        kinds["rate"] = m.rows[both]
    elif slow or fast:
        notes.append(
            f"half of the records would have a heart rate {'below' if slow else 'above'} {heart_rate:.0f}/min, and QRS "
            f"complexes {np.exp(complexes):.1f} times as fast as usual; is fs the sampling rate of X?"
        )
        kinds.pop("rate", None)
    return notes


def _both_exceed(rate: NDArray, sharpness: NDArray, limits: tuple[float, float, float, float]) -> bool:
    """Whether heart rates and QRS complexes are too fast in half of the records, as under no group's own rate."""
    beats, complexes = float(np.median(rate)), float(np.median(sharpness))
    least = limits[2] + limits[3] / len(rate)
    differ = _deviation(rate) > _OF_PATIENTS[0] and _deviation(sharpness) > _OF_PATIENTS[1]
    least = least if differ else max(least, _STRONG)
    return beats > limits[0] and complexes > limits[1] and beats + complexes > least


def _deviation(values: NDArray) -> float:
    """Return the standard deviation that normal values of this median deviation have."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _listed(rows: NDArray[np.int64], names: Sequence[object] | None) -> str:
    """Name records: by the names that they have, or else by their position."""
    named = [names[i] if names is not None and isinstance(names[i], str) else int(i) for i in rows[:10]]
    shown = ", ".join(repr(name) for name in named)
    more = f" and {len(rows) - 10} others" if len(rows) > 10 else ""
    return f"record{'s' if len(rows) > 1 else ''} {shown}{more}"
