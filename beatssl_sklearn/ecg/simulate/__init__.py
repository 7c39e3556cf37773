"""Simulated ECGs with everything about them known."""

from .make_ecg import SimulatedECG, make_ecg

__all__ = ["SimulatedECG", "make_ecg"]
