"""P waves of every size and shape, for patients and records that shall show them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..dower import DOWER_EIGHT
from .beats import QRS, Array, Lobes, P, Patient, make_p_pattern
from .course import Course


class _Loop(NamedTuple):
    """A P wave as the right and the left atrium make it."""

    axes: tuple[float, float]
    """Frontal axis of both atria [degrees]."""
    backward: tuple[float, float]
    """How far both point to the back, as a share of their frontal size."""
    gap: float
    """Time between the atria [ms]."""
    sd: tuple[float, float]
    """Standard deviations of both [ms]."""
    left: float
    """Size of the left atrium, as a share of the right."""
    size: float
    """Greatest value in leads I, II and V1 to V6 [mV]."""

    def lobes(self) -> Lobes:
        """Return the Gaussians of the loop."""
        angles = np.radians(self.axes)
        dipoles = np.column_stack([np.cos(angles), np.sin(angles), self.backward]) * np.array([[1.0], [self.left]])
        t = np.arange(-120.0, 120.0, 4.0)
        centres = np.array([-self.gap / 2, self.gap / 2])
        waves = np.exp(-0.5 * ((t - centres[:, None]) / np.array(self.sd)[:, None]) ** 2)
        dipoles *= self.size / np.abs(DOWER_EIGHT @ dipoles.T @ waves).max()
        rows = zip(centres.tolist(), self.sd, dipoles.tolist(), strict=True)
        return [(centre, sd, x, y, z) for centre, sd, (x, y, z) in rows]


def _usual(rng: np.random.Generator) -> _Loop:
    sd = tuple(rng.uniform(13, 21, 2))
    backward = (rng.normal(-0.5, 0.3), rng.normal(0.6, 0.4))
    return _Loop((rng.normal(60, 18), rng.normal(40, 22)), backward, rng.uniform(18, 40), sd, rng.uniform(0.6, 1.2),
                 float(np.clip(rng.lognormal(np.log(0.11), 0.4), 0.04, 0.25)))  # fmt: skip


def _low(rng: np.random.Generator) -> _Loop:
    return _usual(rng)._replace(size=float(rng.uniform(0.02, 0.05)))


def _pulmonale(rng: np.random.Generator) -> _Loop:
    return _usual(rng)._replace(
        axes=(rng.normal(78, 8), rng.normal(65, 12)), gap=rng.uniform(15, 28), left=0.5, size=rng.uniform(0.2, 0.4)
    )


def _mitrale(rng: np.random.Generator) -> _Loop:
    """Wide, with two humps, and in V1 first up and then deeply down."""
    return _usual(rng)._replace(
        axes=(rng.normal(60, 12), rng.normal(20, 18)),
        backward=(rng.normal(-0.4, 0.2), rng.normal(1.0, 0.3)),
        gap=rng.uniform(45, 78),
        sd=tuple(rng.uniform(14, 21, 2)),
        left=rng.uniform(0.8, 1.5),
    )


def _biphasic(rng: np.random.Generator) -> _Loop:
    """First up and then down in II, III and aVF: the left atrium is excited from below."""
    axis = rng.normal(65, 12)
    return _usual(rng)._replace(
        axes=(axis, -axis + rng.normal(0, 20)), gap=rng.uniform(38, 70), left=rng.uniform(0.6, 1.1)
    )


def _inverted(rng: np.random.Generator) -> _Loop:
    """Excited from below (negative in II, III and aVF) or, one of four, from the left (negative in I)."""
    axis = rng.normal(-80, 18) if rng.random() < 0.75 else rng.normal(130, 20)
    return _usual(rng)._replace(
        axes=(axis, axis + rng.normal(0, 25)),
        backward=(rng.normal(-0.4, 0.4), rng.normal(-0.2, 0.4)),
        gap=rng.uniform(12, 35),
    )


_KINDS: tuple[tuple[Callable[[np.random.Generator], _Loop], float], ...] = (
    (_usual, 0.30), (_low, 0.20), (_pulmonale, 0.10), (_mitrale, 0.17), (_biphasic, 0.10), (_inverted, 0.13),
)  # fmt: skip


def draw_p_waves(patient: Patient, rng: np.random.Generator) -> Patient:
    """Give a patient a P wave of any kind, an ectopic one, and a PR interval from 0.09 to 0.30 s."""
    kind = rng.choice(len(_KINDS), p=[share for _, share in _KINDS])
    sinus, ectopic = _KINDS[kind][0](rng), _inverted(rng)
    if rng.random() < 0.4:
        ectopic = _usual(rng)._replace(axes=tuple(rng.uniform(-180, 180) + rng.normal(0, 20, 2)))
    patient = replace(patient, p_sinus=sinus.lobes(), p_ectopic=ectopic.lobes(), gain_p=1.0, p_width=1.0)
    onset, _, offset = make_p_pattern(patient).bounds[P]
    pr = float(np.clip(rng.lognormal(np.log(0.165), 0.24), 0.09, 0.30))
    # Most P waves end before the complex: the left atrium is not excited after the ventricles.
    return replace(patient, pr=max(pr, 0.9 * (offset - onset)))


def add_p_waves(course: Course, rhythm: str, patient: Patient, rng: np.random.Generator) -> Course:
    """Add P waves that do not lead to a complex, and let P waves lie on T waves; the other beats stay."""
    course = course._replace(overlaps=True)
    if rhythm == "pvc":
        return _around_ventricular_beats(course, patient, rng)
    if rhythm == "pac" and patient.second_trait < 0.3:
        return _block_premature_beats(course, patient, rng)
    if rhythm == "paced" and P not in course.patterns[0].bounds and patient.second_trait < 0.6:
        rr = 60 / rng.uniform(55, 110)
        times = np.arange(course.times[0] - 2, course.times[-1], rr)
        times += rng.uniform(0, rr) + rng.normal(0, 0.015 * rr, times.size)
        return course._replace(fibrillation=0.0, atria=((make_p_pattern(patient), times),))
    return course


def _around_ventricular_beats(course: Course, patient: Patient, rng: np.random.Generator) -> Course:
    """Add the P wave that goes back from a ventricular beat to the atria, or the one that the sinus node sends."""
    at = np.flatnonzero(course.kinds[1:-1] == 1) + 1
    if patient.second_trait < 0.45:
        begins = course.times[at] + course.patterns[1].bounds[QRS][0] + rng.uniform(0.13, 0.28)
        return course._replace(atria=((make_p_pattern(patient, "ectopic"), begins + rng.normal(0, 0.004, at.size)),))
    due = (course.times[at - 1] + course.times[at + 1]) / 2
    return course._replace(atria=((make_p_pattern(patient), due + course.patterns[0].bounds[P][0]),))


def _block_premature_beats(course: Course, patient: Patient, rng: np.random.Generator) -> Course:
    """Let premature P waves come so early that they are not conducted: a P wave on a T wave, and a pause."""
    early = course.kinds == 1
    rr = float(np.median(np.diff(course.times)))
    at: Array = course.times[early] + course.patterns[1].bounds[P][0] - rng.uniform(0.0, 0.12, int(early.sum())) * rr
    atria = ((make_p_pattern(patient, "ectopic"), at),)
    return course._replace(times=course.times[~early], kinds=course.kinds[~early], atria=atria)
