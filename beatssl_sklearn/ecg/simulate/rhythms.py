"""Rhythms of the simulator: times and kinds of beats, and the report of a record."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .beats import (
    P_ECTOPIC,
    P_SINUS,
    QRS,
    QRS_LBBB,
    QRS_NARROW,
    QRS_PACED,
    QRS_PVC,
    QRS_RBBB,
    T_NORMAL,
    Array,
    Patient,
    Pattern,
    make_pattern,
)

FASTEST_SINUS = 180.0
"""Rate above which a regular rhythm is called a supraventricular tachycardia, and shows no P waves [1/min]."""
_TERRITORIES = {"anterior": (0.07, 0.02, -0.24), "inferior": (-0.05, 0.26, 0.06), "lateral": (0.30, -0.10, 0.10)}


class Course(NamedTuple):
    """The beats of one record, and a few before its start and after its end."""

    patterns: list[Pattern]
    symbols: tuple[str, ...]
    """MIT-BIH symbol of each pattern."""
    times: Array
    """Times of the R peaks [s]."""
    kinds: NDArray[np.int64]
    """Index of each beat's pattern."""
    fibrillation: float
    """Amplitude of fibrillatory waves [mV]."""
    statements: tuple[str, ...]
    """Rhythm without its rate, and findings."""


def _sinus_rr(patient: Patient, rng: np.random.Generator, duration: float, fastest: float = 112.0) -> Array:
    """Draw RR intervals [s] with respiratory arrhythmia, enough for the record and a few beats on each side."""
    rr = 60 / min(patient.rate * rng.lognormal(0, 0.06), fastest)
    if patient.chosen_rate is not None:
        rr = 60 / patient.chosen_rate
    k = np.arange(int(1.6 * (duration + 2) / rr) + 6)
    breath = rng.uniform(0.01, 0.04) * np.sin(2 * np.pi * (k * rr * rng.uniform(0.17, 0.3) + rng.random()))
    return rr * (1 + breath + np.clip(rng.normal(0, 0.008, k.size), -0.03, 0.03))


def _times(rr: Array, rng: np.random.Generator) -> Array:
    return np.cumsum(rr) - rr[0] * (1.2 + rng.random())


def _sinus_name(rr: Array) -> str:
    rate = 60 / float(np.median(rr))
    if rate > FASTEST_SINUS:
        return "supraventricular tachycardia"
    return "sinus bradycardia" if rate < 60 else "sinus tachycardia" if rate > 100 else "sinus rhythm"


def _regular(
    patient: Patient, rng: np.random.Generator, duration: float, pattern: Pattern, symbol: str, *finding: str
) -> Course:
    rr = _sinus_rr(patient, rng, duration)
    times = _times(rr, rng)
    return Course([pattern], (symbol,), times, np.zeros(times.size, np.int64), 0.0, (_sinus_name(rr), *finding))


def _sinus(patient: Patient, rng: np.random.Generator, duration: float) -> Course:
    hidden = patient.chosen_rate is not None and patient.chosen_rate > FASTEST_SINUS
    return _regular(patient, rng, duration, make_pattern(patient, QRS_NARROW, p=None if hidden else P_SINUS), "N")


def _rbbb(patient: Patient, rng: np.random.Generator, duration: float) -> Course:
    pattern = make_pattern(patient, QRS_RBBB, t=(0.26, 0.18, 0.14), st=(0.02, 0.0, 0.05), t_delay=0.02)
    return _regular(patient, rng, duration, pattern, "R", "right bundle branch block")


def _lbbb(patient: Patient, rng: np.random.Generator, duration: float) -> Course:
    pattern = make_pattern(patient, QRS_LBBB, t=(-0.26, -0.05, -0.30), st=(-0.07, -0.02, -0.14), t_delay=0.04)
    return _regular(patient, rng, duration, pattern, "L", "left bundle branch block")


def _st_elevation(patient: Patient, rng: np.random.Generator, duration: float) -> Course:
    name, direction = list(_TERRITORIES.items())[int(patient.trait * len(_TERRITORIES))]
    st = np.array(direction) * rng.uniform(0.8, 1.7)
    pattern = make_pattern(patient, QRS_NARROW, t=0.75 * np.array(T_NORMAL) + 1.1 * st, st=st)
    return _regular(patient, rng, duration, pattern, "N", f"{name} ST elevation")


def _af(patient: Patient, rng: np.random.Generator, duration: float) -> Course:
    rr = 60 / np.clip(1.25 * patient.rate * rng.lognormal(0, 0.12), 55, 150)
    shape = 1 / rng.uniform(0.16, 0.26) ** 2
    intervals = np.maximum(rr * rng.gamma(shape, 1 / shape, int(2 * (duration + 2) / rr) + 8), 0.34)
    times = _times(intervals, rng)
    pattern = make_pattern(patient, QRS_NARROW, p=None, t=0.75 * np.array(T_NORMAL))
    waves = float(rng.uniform(0.025, 0.08))
    return Course([pattern], ("N",), times, np.zeros(times.size, np.int64), waves, ("atrial fibrillation",))


def _premature(rng: np.random.Generator, rr: Array, duration: float, every: int) -> NDArray[np.bool_]:
    """Choose the early beats: never two in a row, and at least one if the record has room for it."""
    at = np.cumsum(rr) - 1.7 * rr[0]
    chance = rng.random(rr.size)
    early = (np.arange(rr.size) + int(rng.integers(8))) % every == 0 if every else chance < 0.16
    early[1:] &= ~early[:-1] if every else chance[:-1] >= 0.16
    early[0] = False
    room = np.flatnonzero((at > 1.3) & (at < duration - 1.3))
    if room.size and not early[room].any():
        early[rng.choice(room)] = True
        early[1:] &= ~early[:-1]
    return early


def _pvc(patient: Patient, rng: np.random.Generator, duration: float) -> Course:
    rr = _sinus_rr(patient, rng, duration, fastest=92)
    every = int(rng.choice([0, 0, 0, 2, 3, 4]))
    early = _premature(rng, rr, duration, every)
    # A ventricular beat does not reset the sinus node: the next sinus beat comes when it is due.
    gain = rr * rng.uniform(0.27, 0.40) * early
    times = _times(rr, rng) - gain
    origin = "RV" if patient.trait < 0.5 else "LV"
    sign = -1 if origin == "RV" else 1
    ectopic = make_pattern(
        patient,
        QRS_PVC[origin],
        p=None,
        turn=patient.turn_ectopic,
        t_delay=0.05,
        t=(sign * 0.32, sign * 0.38, sign * 0.38),
        st=(sign * 0.05, sign * 0.06, sign * 0.06),
    )
    finding = {2: "ventricular bigeminy", 3: "ventricular trigeminy"}.get(every, "ventricular premature beats")
    patterns = [make_pattern(patient, QRS_NARROW), ectopic]
    return Course(patterns, ("N", "V"), times, early.astype(np.int64), 0.0, (_sinus_name(rr), finding))


def _pac(patient: Patient, rng: np.random.Generator, duration: float) -> Course:
    rr = _sinus_rr(patient, rng, duration, fastest=92)
    early = _premature(rng, rr, duration, 0)
    name = _sinus_name(rr)
    # An atrial beat resets the sinus node: the interval after it is only a little longer than the others.
    rr = rr * np.where(early, rng.uniform(0.62, 0.76), 1.0)
    rr[1:] *= np.where(early[:-1], rng.uniform(1.02, 1.12), 1.0)
    patterns = [make_pattern(patient, QRS_NARROW), make_pattern(patient, QRS_NARROW, p=P_ECTOPIC, pr_scale=0.85)]
    findings = (name, "supraventricular premature beats")
    return Course(patterns, ("N", "A"), _times(rr, rng), early.astype(np.int64), 0.0, findings)


def _paced(patient: Patient, rng: np.random.Generator, duration: float) -> Course:
    rr = 60 / float(rng.choice([60, 65, 70, 75, 80]))
    intervals = np.full(int(1.4 * (duration + 2) / rr) + 6, rr)
    sequential = patient.trait < 0.5
    spikes = ("atrium", "ventricle") if sequential else ("ventricle",)
    pattern = make_pattern(
        patient,
        QRS_PACED,
        p=P_SINUS if sequential else None,
        turn=patient.turn_ectopic,
        spikes=spikes,
        t=(-0.06, 0.34, -0.30),
        st=(-0.02, 0.10, -0.09),
        t_delay=0.05,
    )
    times = _times(intervals, rng)
    name = "atrioventricular sequential pacing" if sequential else "ventricular pacing"
    waves = 0.0 if sequential else float(rng.uniform(0.0, 0.04))
    return Course([pattern], ("/",), times, np.zeros(times.size, np.int64), waves, (name,))


RHYTHMS: dict[str, Callable[[Patient, np.random.Generator, float], Course]] = {
    "sinus": _sinus, "af": _af, "pvc": _pvc, "pac": _pac, "lbbb": _lbbb, "rbbb": _rbbb, "st_elevation": _st_elevation,
    "paced": _paced,
}  # fmt: skip
"""Rhythms by name: each function makes the course of one record of a patient."""


def describe(course: Course, duration: float) -> str:
    """Write the report of a record of the given length [s]: rhythm with its rate, findings, axis."""
    visible = course.times[(course.times >= 0) & (course.times < duration)]
    times = visible if visible.size > 1 else course.times
    rate = 60 * (times.size - 1) / (times[-1] - times[0])
    rhythm, *findings = course.statements
    axis = _axis(course.patterns[0], until=0.04 if "R" in course.symbols else np.inf)
    if "/" not in course.symbols and not -30 <= axis <= 90:
        side = "right" if axis > 90 else "left" if axis >= -90 else "extreme"
        findings.append(f"{side} axis deviation")
    return " ".join(f"{statement}." for statement in (f"{rhythm} {rate:.0f}/min", *findings))


def _axis(pattern: Pattern, until: float) -> float:
    """Compute the frontal axis [degrees] from net areas in I and aVF, of Gaussians centred before `until` [s]."""
    qrs = (pattern.wave == QRS) & (pattern.centre < until)
    lead_i, lead_ii = ((pattern.left + pattern.right)[qrs, None] * pattern.source[qrs, :2]).sum(axis=0)
    return float(np.degrees(np.arctan2(2 / np.sqrt(3) * (lead_ii - lead_i / 2), lead_i)))
