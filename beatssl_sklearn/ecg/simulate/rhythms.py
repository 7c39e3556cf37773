"""Rhythms of the simulator: times and kinds of beats, and the report of a record."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .atrial_rhythms import flutter, p_on_t, paced_atrial
from .av_blocks import av_block_1, av_block_2, av_block_3
from .beats import QRS, QRS_NARROW, QRS_PACED, QRS_PVC, T_NORMAL, Array, Patient, Pattern, make_pattern
from .conduction import IVCD, LBBB, NARROW, RBBB
from .course import FASTEST_SINUS, Course, beat_times, regular, sinus_name, sinus_rr

_TERRITORIES = {"anterior": (0.07, 0.02, -0.24), "inferior": (-0.05, 0.26, 0.06), "lateral": (0.30, -0.10, 0.10)}


def _sinus(patient: Patient, rng: np.random.Generator, duration: float) -> Course:
    hidden = patient.chosen_rate is not None and patient.chosen_rate > FASTEST_SINUS
    return regular(patient, rng, duration, NARROW.pattern(patient, p=None if hidden else "sinus"), "N")


def _rbbb(patient: Patient, rng: np.random.Generator, duration: float) -> Course:
    return regular(patient, rng, duration, RBBB.pattern(patient), RBBB.symbol, *RBBB.finding)


def _lbbb(patient: Patient, rng: np.random.Generator, duration: float) -> Course:
    return regular(patient, rng, duration, LBBB.pattern(patient), LBBB.symbol, *LBBB.finding)


def _ivcd(patient: Patient, rng: np.random.Generator, duration: float) -> Course:
    return regular(patient, rng, duration, IVCD.pattern(patient), IVCD.symbol, *IVCD.finding)


def _st_elevation(patient: Patient, rng: np.random.Generator, duration: float) -> Course:
    name, direction = list(_TERRITORIES.items())[int(patient.trait * len(_TERRITORIES))]
    st = np.array(direction) * rng.uniform(0.8, 1.7)
    pattern = make_pattern(patient, QRS_NARROW, t=0.75 * np.array(T_NORMAL) + 1.1 * st, st=st)
    return regular(patient, rng, duration, pattern, "N", f"{name} ST elevation")


def _af(patient: Patient, rng: np.random.Generator, duration: float) -> Course:
    rr = 60 / np.clip(1.25 * patient.rate * rng.lognormal(0, 0.12), 55, 150)
    shape = 1 / rng.uniform(0.16, 0.26) ** 2
    intervals = np.maximum(rr * rng.gamma(shape, 1 / shape, int(2 * (duration + 2) / rr) + 8), 0.34)
    times = beat_times(intervals, rng)
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
    rr = sinus_rr(patient, rng, duration, fastest=92)
    every = int(rng.choice([0, 0, 0, 2, 3, 4]))
    early = _premature(rng, rr, duration, every)
    # A ventricular beat does not reset the sinus node: the next sinus beat comes when it is due.
    gain = rr * rng.uniform(0.27, 0.40) * early
    times = beat_times(rr, rng) - gain
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
    return Course(patterns, ("N", "V"), times, early.astype(np.int64), 0.0, (sinus_name(rr), finding))


def _pac(patient: Patient, rng: np.random.Generator, duration: float) -> Course:
    rr = sinus_rr(patient, rng, duration, fastest=92)
    early = _premature(rng, rr, duration, 0)
    name = sinus_name(rr)
    # An atrial beat resets the sinus node: the interval after it is only a little longer than the others.
    rr = rr * np.where(early, rng.uniform(0.62, 0.76), 1.0)
    rr[1:] *= np.where(early[:-1], rng.uniform(1.02, 1.12), 1.0)
    patterns = [make_pattern(patient, QRS_NARROW), make_pattern(patient, QRS_NARROW, p="ectopic", pr_scale=0.85)]
    findings = (name, "supraventricular premature beats")
    return Course(patterns, ("N", "A"), beat_times(rr, rng), early.astype(np.int64), 0.0, findings)


def _paced(patient: Patient, rng: np.random.Generator, duration: float) -> Course:
    rr = 60 / float(rng.choice([60, 65, 70, 75, 80]))
    intervals = np.full(int(1.4 * (duration + 2) / rr) + 6, rr)
    sequential = patient.trait < 0.5
    spikes = ("atrium", "ventricle") if sequential else ("ventricle",)
    pattern = make_pattern(
        patient,
        QRS_PACED,
        p="sinus" if sequential else None,
        turn=patient.turn_ectopic,
        spikes=spikes,
        t=(-0.06, 0.34, -0.30),
        st=(-0.02, 0.10, -0.09),
        t_delay=0.05,
    )
    times = beat_times(intervals, rng)
    name = "atrioventricular sequential pacing" if sequential else "ventricular pacing"
    waves = 0.0 if sequential else float(rng.uniform(0.0, 0.04))
    return Course([pattern], ("/",), times, np.zeros(times.size, np.int64), waves, (name,))


RHYTHMS: dict[str, Callable[[Patient, np.random.Generator, float], Course]] = {
    "sinus": _sinus, "af": _af, "pvc": _pvc, "pac": _pac, "lbbb": _lbbb, "rbbb": _rbbb, "st_elevation": _st_elevation,
    "paced": _paced, "ivcd": _ivcd, "av_block_1": av_block_1, "av_block_2": av_block_2, "av_block_3": av_block_3,
    "flutter": flutter, "paced_atrial": paced_atrial, "p_on_t": p_on_t,
}  # fmt: skip
"""Rhythms by name: each function makes the course of one record of a patient."""
MIXED = ("sinus", "af", "pvc", "pac", "lbbb", "rbbb", "st_elevation", "paced")
"""Rhythms of "mixed": a fixed list, so that its records stay what they are when rhythms are added."""


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
