"""Rhythms of the simulator whose atria are unusual: flutter, pacing, and a tachycardia with P waves on T waves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .beats import QRS, T_NORMAL, P, Patient, make_flutter_pattern, make_p_pattern, make_pattern
from .conduction import draw_conduction
from .course import Course, beat_times, conducted, sinus_name, sinus_rr, with_p_waves


def flutter(patient: Patient, rng: np.random.Generator, duration: float) -> Course:
    """Draw flutter waves without a pause, every second to fourth of them conducted."""
    period = 60 / rng.uniform(240, 340)
    fixed = (2, 3, 4, 0)[int(4 * patient.second_trait)]
    n_teeth = int((duration + 8) / period) + 8
    teeth = np.cumsum(period * (1 + rng.normal(0, 0.004, n_teeth))) - 4.0 - period * rng.random()
    ratios = np.full(n_teeth, fixed) if fixed else rng.choice([2, 3, 4], n_teeth, p=(0.3, 0.25, 0.45))
    passed = np.cumsum(ratios)
    passed = passed[passed < n_teeth]
    conduction = draw_conduction(0.7 * patient.trait)
    pattern = make_pattern(
        patient,
        conduction.qrs,
        p=None,
        t=0.6 * np.array(T_NORMAL) if not conduction.finding else conduction.t,
        st=conduction.st,
        t_delay=conduction.t_delay,
    )
    times = conducted(teeth[passed], rng.uniform(0.10, 0.24), pattern)
    # Nine of ten turn counterclockwise: down in II, III and aVF, up in V1.
    sign = 1.0 if patient.trait < 0.9 else -1.0
    dipole = sign * rng.uniform(0.08, 0.30) * (patient.turn @ [0.03, -0.85, -0.75])
    ratio = f"{fixed}:1" if fixed else "variable"
    return Course(
        [pattern],
        (conduction.symbol,),
        times,
        np.zeros(times.size, np.int64),
        0.0,
        (f"atrial flutter with {ratio} conduction", *conduction.finding),
        ((make_flutter_pattern(patient, period, dipole), teeth),),
        overlaps=True,
    )


def paced_atrial(patient: Patient, rng: np.random.Generator, duration: float) -> Course:
    """Pace the atrium alone, regularly; the patient's own conduction brings the beat to the ventricles."""
    rr = 60 / float(rng.choice([60, 65, 70, 75, 80, 90]))
    conduction = draw_conduction(patient.second_trait)
    pattern = conduction.pattern(patient, p=None)
    times = beat_times(np.full(int(1.4 * (duration + 2) / rr) + 6, rr), rng)
    # The impulse begins beside the sinus node, and conduction is often slow.
    p_times = times + pattern.bounds[QRS][0] - rng.uniform(0.15, 0.29)
    statements = ("atrial pacing", *conduction.finding)
    spike = 0.04 + 0.6 * patient.trait**2
    return with_p_waves(patient, pattern, conduction.symbol, times, statements, p_times, spike)


def p_on_t(patient: Patient, rng: np.random.Generator, duration: float) -> Course:
    """Let the sinus node beat so fast that P waves lie on the T waves before them."""
    rr = sinus_rr(replace(patient, chosen_rate=float(rng.uniform(130, 175))), rng, duration)
    conduction = draw_conduction(0.6 * patient.second_trait)
    pattern = conduction.pattern(patient, p=None)
    times = beat_times(rr, rng)
    onset, _, offset = make_p_pattern(patient).bounds[P]
    pr = max(rng.uniform(0.105, 0.16), offset - onset)
    p_times = times + pattern.bounds[QRS][0] - pr
    return with_p_waves(patient, pattern, conduction.symbol, times, (sinus_name(rr), *conduction.finding), p_times)
