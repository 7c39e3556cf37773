"""What a record of the simulator consists of: beats, P waves between them, and their times."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .beats import QRS, Array, Patient, Pattern, make_p_pattern

FASTEST_SINUS = 180.0
"""Rate above which a regular rhythm is called a supraventricular tachycardia, and shows no P waves [1/min]."""


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
    atria: tuple[tuple[Pattern, Array], ...] = ()
    """Patterns without a complex, each with the times [s] at which it begins."""
    overlaps: bool = False
    """Whether P waves can lie on T waves and complexes, so that they are only marked where one sees them."""


def sinus_rr(patient: Patient, rng: np.random.Generator, duration: float, fastest: float = 112.0) -> Array:
    """Draw RR intervals [s] with respiratory arrhythmia, enough for the record and a few beats on each side."""
    rr = 60 / min(patient.rate * rng.lognormal(0, 0.06), fastest)
    if patient.chosen_rate is not None:
        rr = 60 / patient.chosen_rate
    k = np.arange(int(1.6 * (duration + 2) / rr) + 6)
    breath = rng.uniform(0.01, 0.04) * np.sin(2 * np.pi * (k * rr * rng.uniform(0.17, 0.3) + rng.random()))
    return rr * (1 + breath + np.clip(rng.normal(0, 0.008, k.size), -0.03, 0.03))


def beat_times(rr: Array, rng: np.random.Generator) -> Array:
    """Place beats with these RR intervals [s] so that the record begins between two of them."""
    return np.cumsum(rr) - rr[0] * (1.2 + rng.random())


def sinus_name(rr: Array) -> str:
    """Name a sinus rhythm after its rate."""
    rate = 60 / float(np.median(rr))
    if rate > FASTEST_SINUS:
        return "supraventricular tachycardia"
    return "sinus bradycardia" if rate < 60 else "sinus tachycardia" if rate > 100 else "sinus rhythm"


def regular(
    patient: Patient, rng: np.random.Generator, duration: float, pattern: Pattern, symbol: str, *finding: str
) -> Course:
    """Let every sinus beat have the same shape."""
    rr = sinus_rr(patient, rng, duration)
    times = beat_times(rr, rng)
    return Course([pattern], (symbol,), times, np.zeros(times.size, np.int64), 0.0, (sinus_name(rr), *finding))


def sinus_p_times(patient: Patient, rng: np.random.Generator, duration: float, rate: float | None = None) -> Array:
    """Draw when the sinus node's P waves begin [s], from some seconds before the record on; at a rate if given."""
    rr = sinus_rr(patient if rate is None else replace(patient, chosen_rate=rate), rng, duration + 6)
    return np.cumsum(rr) - 4.0 - rr[0] * rng.random()


def conducted(p_times: Array, pr: Array | float, pattern: Pattern) -> Array:
    """Return the times of beats [s] whose complexes begin `pr` [s] after the P waves."""
    return p_times + pr - pattern.bounds[QRS][0]


def with_p_waves(
    patient: Patient, pattern: Pattern, symbol: str, times: Array, statements: tuple[str, ...], p_times: Array,
    spike: float = 0.0,
) -> Course:  # fmt: skip
    """Let all beats have one shape, and let P waves begin at times of their own [s]; `spike` paces them [mV]."""
    atria = ((make_p_pattern(patient, spike=spike), p_times),)
    return Course([pattern], (symbol,), times, np.zeros(times.size, np.int64), 0.0, statements, atria, overlaps=True)
