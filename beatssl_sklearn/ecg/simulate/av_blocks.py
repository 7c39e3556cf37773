"""Atrioventricular blocks: P waves that come late to the ventricles, at times, or never."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .beats import QRS_PVC, Array, Patient, Pattern, make_pattern
from .conduction import LBBB, NARROW, RBBB, draw_conduction
from .course import Course, conducted, sinus_name, sinus_p_times, with_p_waves


def av_block_1(patient: Patient, rng: np.random.Generator, duration: float) -> Course:
    """Let every P wave come to the ventricles, but late."""
    conduction = draw_conduction(patient.trait)
    pattern = conduction.pattern(patient, p=None)
    p_times = sinus_p_times(patient, rng, duration)
    shortest = float(np.diff(p_times).min())
    pr = min(0.215 + 0.185 * patient.second_trait**1.5, 0.5 * shortest) + rng.normal(0, 0.003, p_times.size)
    times = conducted(p_times, pr, pattern)
    statements = (sinus_name(np.diff(p_times)), "first degree atrioventricular block", *conduction.finding)
    return with_p_waves(patient, pattern, conduction.symbol, times, statements, p_times)


def av_block_2(patient: Patient, rng: np.random.Generator, duration: float) -> Course:
    """Let some P waves not come to the ventricles: Wenckebach, Mobitz II, 2:1 or 3:1."""
    kind = patient.second_trait
    # The ventricles shall beat 27 times a minute at least.
    slowest, fastest = (50, 112) if kind < 0.65 else (56, 120) if kind < 0.9 else (85, 125)
    rate = float(np.clip(patient.rate * rng.lognormal(0, 0.06), slowest, fastest))
    p_times = sinus_p_times(patient, rng, duration, rate)
    conduction = NARROW if kind < 0.4 else draw_conduction(patient.trait)
    pattern = conduction.pattern(patient, p=None)
    if kind < 0.4:
        passed, pr = _wenckebach(rng, patient.pr, 60 / rate, p_times.size)
        name = "second degree atrioventricular block (Wenckebach)"
    else:
        passed, pr = _mobitz(rng, kind, p_times.size), np.full(p_times.size, 0.14 + 0.12 * rng.random())
        ratio = "Mobitz II" if kind < 0.65 else "2:1" if kind < 0.9 else "3:1"
        name = f"second degree atrioventricular block ({ratio})"
    times = conducted(p_times[passed], pr[passed], pattern)
    return with_p_waves(patient, pattern, conduction.symbol, times, (name, *conduction.finding), p_times)


def _wenckebach(rng: np.random.Generator, pr: float, rr: float, size: int) -> tuple[NDArray[np.bool_], Array]:
    """Let the PR interval [s] grow by less and less until a P wave is not conducted."""
    passed, intervals = np.ones(size, bool), np.full(size, pr)
    step = rng.uniform(0.04, 0.10)
    at = -int(rng.integers(4))
    while at < size:
        length = int(rng.integers(3, 7))
        growth = np.r_[0.0, np.cumsum(step / np.arange(1, length))]
        for k in range(max(at, 0), min(at + length, size)):
            intervals[k] = min(pr + growth[k - at], 0.7 * rr)
            passed[k] = k - at < length - 1
        at += length
    return passed, intervals


def _mobitz(rng: np.random.Generator, kind: float, size: int) -> NDArray[np.bool_]:
    """Choose the P waves that come to the ventricles."""
    passed = np.ones(size, bool)
    if kind >= 0.65:
        every = 2 if kind < 0.9 else 3
        passed[:] = (np.arange(size) + int(rng.integers(every))) % every == 0
        return passed
    at = int(rng.integers(4))
    while at < size:
        passed[at] = False
        at += int(rng.integers(3, 7))
    return passed


def av_block_3(patient: Patient, rng: np.random.Generator, duration: float) -> Course:
    """Let atria and ventricles beat on their own, the ventricles slowly, with narrow or wide complexes."""
    junctional = patient.trait < 0.5
    p_times = sinus_p_times(patient, rng, duration, float(np.clip(patient.rate * rng.lognormal(0.1, 0.08), 60, 120)))
    rr = 60 / (rng.uniform(38, 56) if junctional else rng.uniform(27, 42))
    intervals = rr * (1 + np.clip(rng.normal(0, 0.012, int((duration + 10) / rr) + 4), -0.04, 0.04))
    times = np.cumsum(intervals) - rr - 3.0 - rr * rng.random()
    if junctional:
        pattern, symbol, escape = NARROW.pattern(patient, p=None), "j", "junctional"
    else:
        pattern, symbol, escape = _ventricular_escape(patient), "E", "ventricular"
    name = f"third degree atrioventricular block with {escape} escape rhythm"
    return with_p_waves(patient, pattern, symbol, times, (name,), p_times)


def _ventricular_escape(patient: Patient) -> Pattern:
    """Make the complex of a ventricle that beats alone: like the block of the other bundle, or like a premature one."""
    kind = int(4 * patient.second_trait)
    if kind < 2:
        return (LBBB, RBBB)[kind].pattern(patient, p=None)
    origin, sign = (("RV", -1), ("LV", 1))[kind - 2]
    dipole = sign * np.array([0.32, 0.38, 0.38])
    return make_pattern(
        patient, QRS_PVC[origin], p=None, turn=patient.turn_ectopic, t_delay=0.05, t=dipole, st=0.15 * dipole
    )
