"""Units of voltage."""

from __future__ import annotations

# mV in one of the unit. The micro sign has two code points, and some writers spell it out or lose it.
_MILLIVOLTS: dict[str, float] = {
    **dict.fromkeys(("mv", "mvolt", "mvolts", "millivolt", "millivolts"), 1.0),
    **dict.fromkeys(("uv", "\u00b5v", "\u03bcv", "uvolt", "uvolts", "microvolt", "microvolts"), 1e-3),
    **dict.fromkeys(("nv", "nvolt", "nvolts", "nanovolt", "nanovolts"), 1e-6),
    **dict.fromkeys(("v", "volt", "volts"), 1e3),
}


def millivolts_in(unit: str) -> float | None:
    """Return how many mV one of the unit is; None if it is not one of voltage.

    Parameters
    ----------
    unit : str
        Its symbol or its name, in any case.

    Returns
    -------
    float or None
    """
    return _MILLIVOLTS.get(unit.strip().lower())
