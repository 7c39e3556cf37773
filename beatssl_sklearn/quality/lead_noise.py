"""Whether heartbeats are too noisy to tell a swap: noise looks like some of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .coarse import Coarse
from .lead_model import swap_logits
from .lead_shapes import PARTS, medians, within
from .swaps import SWAPS

# Noise of the median heartbeat from which nothing can be told: relative to QRS complexes, and to P waves.
_OF_QRS, _OF_P = 0.3, 0.3
# Arms and left leg differ by their P waves.
_BY_P = "swap LA/LL"
# Least size [mV].
_LEAST = 1e-6
_HALVES = (slice(None, None, 2), slice(1, None, 2))


def are_too_noisy(
    coarse: Coarse, leads: tuple[str, ...], factor: NDArray[np.float32], suspects: Sequence[str]
) -> NDArray[np.bool_]:
    """Return which suspected mistakes cannot be told from noise.

    Every other heartbeat, and those between them, give two median heartbeats. Half of their difference has the noise of
    the median of all, and nothing of the heart. A mistake must show in both of them.

    Parameters
    ----------
    coarse : Coarse
        The records at about 100 samples per second.
    leads : tuple of str
        Names of their leads.
    factor : ndarray of shape (n_records,)
        What makes millivolt of them.
    suspects : sequence of str
        One of `SWAPS` for each record, or "".

    Returns
    -------
    ndarray of bool, shape (n_records,)
        False without a suspect.
    """
    out = np.zeros(len(suspects), dtype=bool)
    rows = np.flatnonzero([name != "" for name in suspects])
    if not len(rows):
        return out
    every = medians(coarse, leads, rows.tolist(), (slice(None), *_HALVES)) * factor[rows, None, None]
    whole, halves = every[0], every[1:]
    noise = (halves[0] - halves[1]) / 2
    p, qrs = (within(*part[:2]) for part in PARTS[:2])
    of_qrs = _size(noise) / np.maximum(_size(whole[..., qrs]), _LEAST)
    of_p = _size(noise[..., p]) / np.maximum(_size(whole[..., p]), _LEAST)
    names = [suspects[i] for i in rows.tolist()]
    noisy = (of_qrs > _OF_QRS) | ((np.array(names) == _BY_P) & (of_p > _OF_P))
    out[rows] = noisy | (np.stack([_evidence(half, names) for half in halves]) <= 0).any(axis=0)
    return out


def _size(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the root mean square of all leads of each record."""
    return np.asarray(np.sqrt((x**2).mean(axis=(1, 2))))


def _evidence(beats: NDArray[np.float32], names: Sequence[str]) -> NDArray[np.float64]:
    """Return by how much each mistake is suspected more than whatever is suspected without it."""
    index = [list(SWAPS).index(name) for name in names]
    undone = np.stack([SWAPS[name] for name in names]) @ beats
    return np.asarray(swap_logits(beats)[np.arange(len(names)), index] - swap_logits(undone).max(axis=1))
