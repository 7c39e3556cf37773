"""Usual measures: what `WaveMeasures` puts where a record has none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..leads import LEADS
from .measures import WAVE_MEASURES

__all__ = ["USUAL_MEASURES"]

# Medians of 7,243 records of PTB-XL, folds 1 to 8, whose only superclass is NORM, delineated by the segmenter "waves".
# Flags and shares that are not named are 0.
_OF_RECORDS = {
    "n_beats": 12, "heart_rate": 68.7, "rr": 874, "rr_sd": 22.4, "p_duration": 115, "pr": 163, "qrs": 91.4, "qt": 387,
    "qtc": 405, "p_axis": 48.5, "p_axis_sin": 0.749, "p_axis_cos": 0.659, "qrs_axis": 36, "qrs_axis_sin": 0.588,
    "qrs_axis_cos": 0.8, "t_axis": 39.4, "t_axis_sin": 0.635, "t_axis_cos": 0.772, "sokolow_lyon": 2.205,
    "cornell": 1.206, "cornell_product": 111,
}  # fmt: skip
# In the leads I, II, III, aVR, aVL, aVF, V1 to V6.
_OF_LEADS = {
    "p_amplitude": (0.084, 0.13, 0.064, -0.104, 0.034, 0.093, -0.019, 0.054, 0.067, 0.068, 0.064, 0.06),
    "q_amplitude": (0, 0, 0, -0.538, -0.018, 0, 0, 0, 0, 0, 0, -0.036),
    "r_amplitude": (0.73, 0.81, 0.207, 0.053, 0.371, 0.462, 0.159, 0.466, 0.819, 1.354, 1.349, 1.079),
    "s_amplitude": (0, -0.051, -0.112, 0, -0.04, -0.061, -0.807, -1.069, -0.77, -0.453, -0.187, 0),
    "t_amplitude": (0.212, 0.258, 0.064, -0.236, 0.088, 0.152, 0.046, 0.428, 0.465, 0.391, 0.314, 0.24),
    "qrs_area": (15.2, 17.4, 1.94, -16.6, 6.484, 9.442, -19.7, -18.2, 2.4, 19.8, 24.8, 22.8),
    "st_j": (-0.002, 0.002, 0.003, 0, -0.002, 0.003, 0.001, 0.011, -0.009, -0.025, -0.02, -0.007),
    "st_j40": (0.007, 0.012, 0.005, -0.009, 0.001, 0.009, 0.044, 0.093, 0.066, 0.027, 0.009, 0.003),
    "st_j80": (0.021, 0.028, 0.006, -0.024, 0.007, 0.017, 0.047, 0.125, 0.104, 0.056, 0.031, 0.019),
    "q_duration": (0, 0, 0, 56.5, 10, 0, 0, 0, 0, 0, 0, 17.6),
    "p_duration": (108, 112, 106, 112, 104, 110, 101, 102, 107, 110, 112, 112),
    "qrs_duration": (84.5, 85.3, 86.9, 83.7, 85.8, 86.6, 94, 95.1, 92.8, 87.1, 84.8, 85),
    "t_duration": (177, 182, 152, 178, 160, 171, 158, 199, 201, 195, 189, 182),
}  # fmt: skip


def _usual() -> NDArray[np.float32]:
    found = dict.fromkeys(WAVE_MEASURES, 0.0) | _OF_RECORDS
    for name, values in _OF_LEADS.items():
        found |= {f"{name}_{lead}": value for lead, value in zip(LEADS, values, strict=True)}
    usual = np.array(list(found.values()), dtype=np.float32)
    usual.setflags(write=False)
    return usual


USUAL_MEASURES: NDArray[np.float32] = _usual()
"""Median of each of `WAVE_MEASURES` in normal adults."""
