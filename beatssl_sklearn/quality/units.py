"""The unit of records, by the height of their waves. Huge and tiny records are brought to a usual size first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..inputs.source import Block

UNITS: dict[str, float] = {"V": 1000.0, "mV": 1.0, "counts": 0.005, "uV": 0.001}
"""Units that are told apart, and what makes millivolt of them; of counts, whose gain is unknown, about."""
UNKNOWN = "unknown"
"""What stands for a unit if the height of the waves fits none."""

# Usual height of a lead in each unit, and its standard deviation, as powers of ten; counts of 5 microvolt.
_HEIGHTS, _SPREAD = {"V": -3.0, "mV": 0.0, "counts": 2.3, "uV": 3.0}, 0.25
# Probability, before a record is seen, that its unit is right.
_PRIOR = 0.9
# A height that is a hundred times that of the nearest unit is none of an ECG.
_FARTHEST = 2.0
# Largest values that stay as they are: squares of larger ones overflow in float32, those of smaller ones vanish.
_SMALLEST, _LARGEST = 1e-6, 1e6
# Powers of two that float32 can hold.
_MOST = 126


def moderate(block: Block) -> tuple[Block, NDArray[np.int64]]:
    """Bring records whose values are huge or tiny to a size of about 1.

    Parameters
    ----------
    block : Block
        Records of one length, rate and lead set.

    Returns
    -------
    block : Block
        The same, or with other signals.
    exponents : ndarray of int64, shape (n_records,)
        Powers of two that make the given values of the new ones; 0 of a usual record.
    """
    exponents = np.zeros(len(block.signal), np.int64)
    # NaN is missing, and ignored.
    peak = np.fmax(np.fmax.reduce(block.signal, axis=(1, 2)), -np.fmin.reduce(block.signal, axis=(1, 2)))
    odd = ((peak > _LARGEST) | (peak < _SMALLEST)) & (peak > 0)
    if not odd.any():
        return block, exponents
    exponents[odd] = np.clip(np.log2(peak[odd].astype(np.float64)).round(), -_MOST, _MOST)
    return block._replace(signal=np.ldexp(block.signal, -exponents[:, None, None]).astype(np.float32)), exponents


def units_of(
    x: NDArray[np.float32], exponents: NDArray[np.int64]
) -> tuple[list[str], NDArray[np.float64], NDArray[np.float32]]:
    """Return the unit of each record.

    Parameters
    ----------
    x : ndarray of float32, shape (n_records, n_leads, n_times)
        Signals of a moderate size.
    exponents : ndarray of int64, shape (n_records,)
        As returned by `moderate`.

    Returns
    -------
    units : list of str
        Of `UNITS`, or `UNKNOWN`.
    right : ndarray of shape (n_records,)
        Probability that it is millivolt.
    factors : ndarray of float32, shape (n_records,)
        What makes millivolt of `x`; where no unit fits, a usual height.
    """
    low, high = np.percentile(x, [1, 99], axis=-1)
    heights = high - low
    alive = heights > 1e-3 * heights.max(axis=1, keepdims=True)
    typical = np.array([np.median(h[a]) if a.any() else 1.0 for h, a in zip(heights, alive, strict=True)])
    typical = np.maximum(typical, 1e-9)
    off = (np.log10(typical) + exponents * np.log10(2.0))[:, None] - np.array(list(_HEIGHTS.values()))
    prior = np.array([_PRIOR if unit == "mV" else (1 - _PRIOR) / 3 for unit in _HEIGHTS])
    logit = -0.5 * (off / _SPREAD) ** 2 + np.log(prior)
    p = np.exp(np.maximum(logit - logit.max(axis=1, keepdims=True), -700.0))
    p /= p.sum(axis=1, keepdims=True)
    names, none = list(UNITS), np.abs(off).min(axis=1) > _FARTHEST
    units = [UNKNOWN if far else names[k] for k, far in zip(p.argmax(axis=1), none, strict=True)]
    scales = np.ldexp([UNITS.get(unit, 1.0) for unit in units], exponents)
    return units, np.asarray(p[:, names.index("mV")]), np.where(none, 1 / typical, scales).astype(np.float32)
