"""Signals that the simulator adds to the beats: fibrillating atria, and noise of body, electrodes and mains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Two sources in the atria, under V1: no dipole in the middle of the chest looks like them.
_FIBRILLATION = np.array([
    [0.10, 0.20, 1.00, 0.55, 0.30, 0.15, 0.08, 0.05], [0.10, 0.65, 0.10, 0.10, 0.15, 0.15, 0.15, 0.15],
])  # fmt: skip
# From nine electrodes (RA, LA, LL, V1 to V6) to leads I, II, V1 to V6: noise comes from electrodes, not from leads.
_FROM_ELECTRODES = np.zeros((8, 9), dtype=np.float32)
_FROM_ELECTRODES[0, :2] = -1, 1
_FROM_ELECTRODES[1, [0, 2]] = -1, 1
_FROM_ELECTRODES[2:, :3] = -1 / 3
_FROM_ELECTRODES[2:, 3:] = np.eye(6)


def fibrillation(rng: np.random.Generator, fs: float, n_times: int) -> NDArray[np.float64]:
    """Draw fibrillatory waves of 5 to 8 Hz with changing rate and size, largest in V1 and II; amplitude 1 in V1."""
    t = np.arange(n_times) / fs
    signal = np.zeros((8, n_times))
    for leads in _FIBRILLATION:
        rate, slow, size = rng.uniform(5.0, 7.5), rng.uniform(0.2, 1.1, 2), rng.uniform(0.3, 0.7, 2)
        start = rng.random(4)
        phase = 2 * np.pi * (rate * t + start[0])
        phase += 1.2 * np.sin(2 * np.pi * (slow[0] * t + start[1]))
        phase += 0.7 * np.sin(2 * np.pi * (1.7 * slow[1] * t + start[2]))
        wave = np.sin(phase) + 0.35 * np.sin(2 * phase + size[1])
        signal += leads[:, None] * (wave * (1 + size[0] * np.sin(2 * np.pi * (slow[1] * t + start[3]))))
    return signal


def electrode_noise(rng: np.random.Generator, fs: float, n_times: int) -> NDArray[np.float32]:
    """Draw noise of about unit rms in leads I, II, V1 to V6, shape (8, n_times)."""
    t = np.arange(n_times, dtype=np.float32) / np.float32(fs)
    level = rng.lognormal(0, 0.25, 4)
    # Baseline wander below .5 Hz, mostly from breathing, and electrode motion up to 4 Hz.
    hertz = np.r_[rng.uniform(0.03, 0.12), rng.uniform(0.17, 0.33), np.geomspace(0.4, 4, 7) * rng.uniform(0.8, 1.25, 7)]
    weight = np.r_[0.45, 0.60, 0.24 * (0.5 / hertz[2:]) ** 0.5] * np.r_[level[[0, 0]], np.full(7, level[1])]
    angle = (2 * np.pi * hertz[:, None]).astype(np.float32) * t
    sines, cosines = (rng.normal(0, weight, (9, 9)).astype(np.float32) for _ in range(2))
    noise = sines @ np.sin(angle) + cosines @ np.cos(angle)
    # Muscle: white noise without its lowest and highest frequencies, stronger at some electrodes.
    white = rng.standard_normal((9, n_times + 2), dtype=np.float32)
    muscle = 0.24 * level[2] * rng.lognormal(0, 0.35, (9, 1))
    noise += muscle.astype(np.float32) * (white[:, 2:] - white[:, :-2])
    hertz_mains = rng.choice([50.0, 60.0])
    if hertz_mains < fs / 2:
        mains = np.sin(2 * np.pi * (hertz_mains * t + rng.random()), dtype=np.float32)
        noise += rng.normal(0, 0.12 * level[3], (9, 1)).astype(np.float32) * mains
    return _FROM_ELECTRODES @ noise
