"""How the ventricles of the simulator are excited: narrow, with a bundle branch block, or slowly everywhere."""

from __future__ import annotations

from typing import NamedTuple

from .beats import QRS_IVCD, QRS_LBBB, QRS_NARROW, QRS_RBBB, T_NORMAL, Lobes, Patient, Pattern, make_pattern

Dipole = tuple[float, float, float]


class Conduction(NamedTuple):
    """Shape of the complexes that come from the atria."""

    symbol: str
    """MIT-BIH symbol."""
    finding: tuple[str, ...]
    """What a report says of it."""
    qrs: Lobes
    t: Dipole
    st: Dipole
    t_delay: float
    """By how much the T wave comes later [s]."""

    def pattern(self, patient: Patient, p: str | None = "sinus") -> Pattern:
        """Make the shape of a beat of a patient."""
        return make_pattern(patient, self.qrs, p=p, t=self.t, st=self.st, t_delay=self.t_delay)


NARROW = Conduction("N", (), QRS_NARROW, T_NORMAL, (0, 0, 0), 0.0)
RBBB = Conduction("R", ("right bundle branch block",), QRS_RBBB, (0.26, 0.18, 0.14), (0.02, 0.0, 0.05), 0.02)
LBBB = Conduction("L", ("left bundle branch block",), QRS_LBBB, (-0.26, -0.05, -0.30), (-0.07, -0.02, -0.14), 0.04)
IVCD = Conduction(
    "N", ("intraventricular conduction delay",), QRS_IVCD, (0.06, 0.16, -0.20), (-0.03, -0.02, -0.05), 0.035
)


def draw_conduction(share: float) -> Conduction:
    """Choose by a number from 0 to 1: half narrow, the others wide."""
    return (NARROW, NARROW, NARROW, RBBB, LBBB, IVCD)[int(6 * share)]
