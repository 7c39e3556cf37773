"""Simulated patients and the shapes of their beats: loops of a dipole, as sums of Gaussians."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..dower import DOWER_EIGHT

Array = NDArray[np.float64]

P, QRS, T = 1, 2, 3
_SPIKE, _ST = 0, 4
# A wave ends where its vector passes this share of its greatest length.
_BOUNDARY = {P: 0.10, QRS: 0.05, T: 0.08}
_GRID = np.arange(-0.45, 0.75, 0.001)

Lobes = list[tuple[float, float, float, float, float]]
"""Gaussians of a loop: time from the R peak and standard deviation [ms]; X, Y and Z of the dipole [mV]."""

Row = tuple[int, float, float, float, Array]
"""One Gaussian: wave, centre, standard deviations to its left and right [s], dipole [mV]."""

P_SINUS: Lobes = [(-16, 18, 0.040, 0.085, -0.045), (18, 19, 0.065, 0.060, 0.050)]
P_ECTOPIC: Lobes = [(-14, 16, 0.030, -0.075, 0.030), (15, 17, -0.040, -0.060, -0.035)]
QRS_NARROW: Lobes = [
    (-25, 9, -0.13, -0.06, -0.26), (-3, 10.5, 0.95, 0.70, 0.12), (13, 10.5, 0.43, 0.30, 0.60),
    (32, 10, -0.12, -0.10, 0.28),
]  # fmt: skip
QRS_RBBB: Lobes = [
    (-21, 7, -0.13, -0.06, -0.34), (-3, 9, 0.80, 0.55, 0.10), (11, 8, 0.40, 0.30, 0.36), (33, 9, -0.10, -0.10, 0.00),
    (57, 15, -0.42, -0.05, -0.62), (80, 12, -0.19, -0.05, -0.26),
]  # fmt: skip
QRS_LBBB: Lobes = [
    (-34, 12, 0.25, 0.12, 0.06), (-12, 15, 0.62, 0.40, 0.55), (14, 15, 0.45, 0.10, 0.95), (42, 15, 0.62, 0.05, 0.80),
    (66, 12, 0.18, -0.05, 0.30),
]  # fmt: skip
# A wide complex that is neither: slurred, and notched at its end.
QRS_IVCD: Lobes = [
    (-38, 14, -0.10, -0.04, -0.22), (-10, 17, 0.62, 0.44, 0.10), (19, 16, 0.40, 0.20, 0.50),
    (50, 12, 0.10, -0.10, 0.34), (74, 12, 0.16, 0.04, 0.10),
]  # fmt: skip
QRS_PACED: Lobes = [
    (-40, 13, 0.14, -0.12, 0.04), (-12, 20, 0.20, -0.60, 0.52), (24, 21, 0.12, -0.78, 0.70),
    (60, 16, 0.18, -0.28, 0.34),
]  # fmt: skip
QRS_PVC: dict[str, Lobes] = {
    "RV": [(-38, 17, 0.15, 0.45, -0.05), (-5, 23, 0.45, 1.20, 0.75), (34, 22, 0.70, 0.50, 1.00),
           (68, 15, 0.20, 0.00, 0.30)],
    "LV": [(-38, 17, -0.15, -0.30, -0.35), (-5, 23, -0.55, -0.95, -0.85), (34, 22, -0.85, -0.30, -0.60),
           (68, 15, -0.30, 0.10, -0.20)],
}  # fmt: skip
T_NORMAL = (0.26, 0.21, -0.16)


class Pattern(NamedTuple):
    """Shape of one kind of beat as a sum of two-sided Gaussians; times [s] are relative to the R peak."""

    wave: NDArray[np.int8]
    """Of shape (n_lobes,): 1 P, 2 QRS, 3 T, 4 ST segment, 0 no wave (pacing spike, flutter)."""
    centre: Array
    left: Array
    right: Array
    source: Array
    """Of shape (n_lobes, 8): amplitude in leads I, II, V1 to V6 [mV]."""
    bounds: dict[int, tuple[float, float, float]]
    """Onset, peak and offset of P, QRS and T."""


@dataclass(frozen=True)
class Patient:
    """Properties that all records of one person share."""

    rate: float
    pr: float
    p_width: float
    qt: float
    qrs_width: float
    gain_p: float
    gain_qrs: float
    gain_t: float
    turn: Array
    turn_t: Array
    turn_ectopic: Array
    residual: Array
    trait: float
    chosen_rate: float | None = None
    """Heart rate that the user chose [1/min]; None for one around `rate`."""
    p_sinus: Lobes = field(default_factory=P_SINUS.copy)
    p_ectopic: Lobes = field(default_factory=P_ECTOPIC.copy)

    @property
    def second_trait(self) -> float:
        """Second number from 0 to 1 that does not go with the first, without another draw."""
        return 97 * self.trait % 1

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Patient:
        """Draw a patient, always with the same number of draws, whatever the rhythm."""
        frontal, horizontal, sagittal = rng.normal(0, (20, 9, 7))
        smooth = rng.normal(0, 0.09, (12, 8))
        smooth[:, 1:] = 0.6 * smooth[:, :-1] + 0.8 * smooth[:, 1:]
        return cls(
            rate=float(np.clip(rng.normal(73, 14), 46, 112)),
            pr=float(np.clip(rng.normal(0.160, 0.018), 0.125, 0.198)),
            p_width=float(np.clip(rng.normal(1, 0.1), 0.8, 1.2)),
            qt=float(np.clip(rng.normal(1, 0.05), 0.9, 1.1)),
            qrs_width=float(np.clip(rng.normal(1, 0.07), 0.87, 1.15)),
            gain_p=float(rng.lognormal(0, 0.22)),
            gain_qrs=float(np.clip(rng.lognormal(0, 0.22), 0.6, 1.6)),
            gain_t=float(np.clip(rng.lognormal(0, 0.28), 0.5, 1.9)),
            turn=_rotation(frontal, horizontal, sagittal),
            turn_t=_rotation(*(0.5 * np.array([frontal, horizontal, sagittal]) + rng.normal(0, 8, 3))),
            turn_ectopic=_rotation(*rng.normal(0, 15, 3)),
            residual=smooth[:, :6],
            trait=float(rng.random()),
        )


def _rotation(frontal: float, horizontal: float, sagittal: float) -> Array:
    """Return the rotation by three angles [degrees], each named after its plane."""
    (cf, ch, cs), (sf, sh, ss) = (f(np.radians([frontal, horizontal, sagittal])) for f in (np.cos, np.sin))
    in_frontal = np.array([[cf, -sf, 0], [sf, cf, 0], [0, 0, 1.0]])
    in_horizontal = np.array([[ch, 0, -sh], [0, 1.0, 0], [sh, 0, ch]])
    in_sagittal = np.array([[1.0, 0, 0], [0, cs, -ss], [0, ss, cs]])
    return in_frontal @ in_horizontal @ in_sagittal


def make_pattern(
    patient: Patient,
    qrs: Lobes,
    *,
    t: ArrayLike = T_NORMAL,
    st: ArrayLike = (0, 0, 0),
    p: str | None = "sinus",
    turn: Array | None = None,
    spikes: Sequence[str] = (),
    pr_scale: float = 1.0,
    t_delay: float = 0.0,
) -> Pattern:
    """Make the shape of a beat.

    `t` and `st` are dipoles [mV], `p` is "sinus", "ectopic" or None, and `spikes` names the paced chambers.
    """
    turn = patient.turn if turn is None else turn
    rows: list[Row] = []
    for ms, sd, *xyz in qrs:
        sd_s = sd * patient.qrs_width / 1000
        rows.append((QRS, ms * patient.qrs_width / 1000, sd_s, sd_s, patient.gain_qrs * turn @ xyz))
    start = min(centre - 2.2 * sd for _, centre, sd, _, _ in rows)
    end = max(centre + 2.0 * sd for _, centre, sd, _, _ in rows)
    p_start = start - patient.pr * pr_scale
    if p is not None:
        rows += _p_rows(patient, p, p_start, turn)
    apex = 0.275 * patient.qt + t_delay
    dipole_t = patient.gain_t * patient.turn_t @ np.asarray(t)
    rows += [(T, apex, 0.058, 0.038, 0.82 * dipole_t), (T, apex - 0.075, 0.050, 0.055, 0.18 * dipole_t)]
    if np.any(st):
        # Two wide Gaussians raise the ST segment from the J point to the T wave.
        st_vector = np.asarray(st, dtype=float)
        rows += [(_ST, end + 0.012, 0.016, 0.06, 0.80 * st_vector), (_ST, end + 0.100, 0.050, 0.070, 0.55 * st_vector)]
    for chamber in spikes:
        at, size = (start - 0.006, 1.0) if chamber == "ventricle" else (p_start - 0.012, 0.6)
        size *= 0.4 + 1.1 * patient.trait
        rows.append((_SPIKE, at, 0.0007, 0.0012, size * np.array([-0.25, 0.95, 0.45])))
    return _project(patient, rows)


def make_p_pattern(patient: Patient, p: str = "sinus", spike: float = 0.0) -> Pattern:
    """Make a P wave without a complex that begins near time 0, after a pacing spike of the given size [mV]."""
    rows = _p_rows(patient, p, 0.0, patient.turn)
    if spike:
        rows.append((_SPIKE, -0.012, 0.0007, 0.0012, spike * np.array([-0.25, 0.95, 0.45])))
    return _project(patient, rows)


def make_flutter_pattern(patient: Patient, period: float, dipole: ArrayLike) -> Pattern:
    """Make one tooth of a flutter saw of the given period [s] and size [mV]: slowly down and quickly up in II."""
    vector = np.asarray(dipole, dtype=float)
    return _project(patient, [
        (_SPIKE, 0.0, 0.34 * period, 0.13 * period, vector),
        (_SPIKE, 0.26 * period, 0.09 * period, 0.16 * period, -0.45 * vector),
    ])  # fmt: skip


def _p_rows(patient: Patient, p: str, start: float, turn: Array) -> list[Row]:
    lobes = patient.p_sinus if p == "sinus" else patient.p_ectopic
    width = patient.p_width / 1000
    shift = start - min(ms - 2.0 * sd for ms, sd, *_ in lobes) * width
    return [(P, shift + ms * width, sd * width, sd * width, patient.gain_p * turn @ xyz) for ms, sd, *xyz in lobes]


def _project(patient: Patient, rows: list[Row]) -> Pattern:
    vectors = np.array([row[4] for row in rows])
    source = vectors @ DOWER_EIGHT.T
    residual = patient.residual[np.arange(len(rows)) % len(patient.residual)]
    source[:, 2:] += residual * np.linalg.norm(vectors, axis=1, keepdims=True)
    wave = np.array([row[0] for row in rows], dtype=np.int8)
    centre, left, right = np.array([row[1:4] for row in rows]).T
    return Pattern(wave, centre, left, right, source, _bounds(wave, centre, left, right, source))


def _bounds(
    wave: NDArray[np.int8], centre: Array, left: Array, right: Array, source: Array
) -> dict[int, tuple[float, float, float]]:
    """Find where the length of the eight-lead vector passes a share of its maximum."""
    bounds = {}
    for code in (P, QRS, T):
        chosen = wave == code
        if not chosen.any():
            continue
        t = _GRID - centre[chosen, None]
        lobes = np.exp(-0.5 * (t / np.where(t < 0, left[chosen, None], right[chosen, None])) ** 2)
        size = np.sqrt(((source[chosen].T @ lobes) ** 2).sum(axis=0))
        above = np.flatnonzero(size > _BOUNDARY[code] * size.max())
        bounds[code] = (float(_GRID[above[0]]), float(_GRID[size.argmax()]), float(_GRID[above[-1]]))
    return bounds
