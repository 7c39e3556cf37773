"""Simulated ECGs whose beats, waves and rhythm are known."""

from .make_ecg import SimulatedECG, make_ecg

__all__ = ["SimulatedECG", "make_ecg"]
