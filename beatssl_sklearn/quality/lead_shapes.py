"""Shapes by which leads are known: of the median heartbeat in the eight independent leads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..ecg.leads import INDEPENDENT, LEADS, place_leads, resolve_leads
from .coarse import Coarse, cut_beats

# The median heartbeat on a common grid [s], around the R peak.
_GRID = np.arange(-0.24, 0.385, 0.01)
PARTS = ((-0.24, -0.06, 0.03), (-0.06, 0.08, 0.01), (0.08, 0.38, 0.04))
"""P wave; QRS complex; ST segment and T wave of a median heartbeat: from and to [s], and seconds of a bin."""
_LEAST = 1e-3


def median_beats(coarse: Coarse, leads: tuple[str, ...]) -> NDArray[np.float32]:
    """Return the median heartbeats of records in the eight independent leads.

    Parameters
    ----------
    coarse : Coarse
        The records at about 100 samples per second.
    leads : tuple of str
        Names of their leads.

    Returns
    -------
    ndarray of float32, shape (n_records, 8, n_grid)
        In the unit of the records, each lead with mean 0, on a grid of 10 ms. NaN without three heartbeats, or without
        the leads I, II and V1 to V6.
    """
    return medians(coarse, leads, range(len(coarse.signal)), (slice(None),))[0]


def medians(
    coarse: Coarse, leads: tuple[str, ...], records: Sequence[int], which: Sequence[slice]
) -> NDArray[np.float32]:
    """Return the medians of some heartbeats of some records, as `median_beats` does of all.

    Parameters
    ----------
    coarse, leads : as for `median_beats`
    records : sequence of int
        Positions of the records.
    which : sequence of slice
        The heartbeats of each median.

    Returns
    -------
    ndarray of float32, shape (len(which), len(records), 8, n_grid)
    """
    out = np.full((len(which), len(records), len(INDEPENDENT), len(_GRID)), np.nan, np.float32)
    _, present = place_leads(np.zeros((len(leads), 1), np.float32), leads)
    if not present[INDEPENDENT].all():
        return out
    for i, record in enumerate(records):
        beats, _ = cut_beats(coarse, record)
        if beats.shape[-1] < 3:
            continue
        for k, own in enumerate(which):
            ordered = np.sort(beats[..., own], axis=-1)
            median = ordered[..., ordered.shape[-1] // 2]
            out[k, i] = place_leads(median, leads)[0][INDEPENDENT] @ _interpolation(median.shape[1], coarse.rate)
    # The level before the P wave would be nearer to zero, but is noisier.
    return np.asarray(out - out.mean(axis=-1, keepdims=True))


def _interpolation(n_samples: int, rate: float) -> NDArray[np.float32]:
    """Return the matrix (n_samples, n_grid) that interpolates a heartbeat along straight lines."""
    times = (np.arange(n_samples) - round(0.25 * rate)) / rate
    return np.stack([np.interp(_GRID, times, row) for row in np.eye(n_samples)]).astype(np.float32)


def shape_inputs(beats: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what the scores of swaps are computed from.

    Parameters
    ----------
    beats : ndarray of shape (n_records, 8, n_grid)
        Median heartbeats of leads I, II, V1 to V6 [mV].

    Returns
    -------
    ndarray of float32, shape (n_records, n_inputs)
        Means of bins of each lead, relative to the record's QRS complexes; and of P, QRS and T, the products of each
        two leads, and their correlations; and logarithms of R and S of each lead.
    """
    upper = np.triu_indices(len(INDEPENDENT))
    off_diagonal = np.triu_indices(len(INDEPENDENT), 1)
    qrs = beats[..., within(*PARTS[1][:2])]
    scale = np.maximum(np.sqrt((qrs**2).mean(axis=(1, 2), keepdims=True)), _LEAST)
    x = beats / scale
    columns = []
    for start, stop, width in PARTS:
        part = x[..., within(start, stop)]
        step = round(width / 0.01)
        n_bins = part.shape[-1] // step
        columns.append(part[..., : n_bins * step].reshape(len(x), len(INDEPENDENT), n_bins, step).mean(axis=-1))
        products = part @ part.swapaxes(1, 2) / part.shape[-1]
        size = np.sqrt(np.maximum(np.einsum("nll->nl", products), _LEAST**2))
        correlations = products / size[:, :, None] / size[:, None, :]
        # Of small waves, the products of the largest leads must not be all.
        columns.append((products / (size**2).mean(axis=1)[:, None, None])[:, *upper])
        columns.append(correlations[:, *off_diagonal])
    inner = x[..., within(*PARTS[1][:2])]
    inner = inner - inner[..., :1]
    for height in (inner.max(axis=-1), -inner.min(axis=-1)):
        columns.append(np.log(np.maximum(height, 0.02)))
    return np.concatenate([c.reshape(len(x), -1) for c in columns], axis=1).astype(np.float32)


def within(start: float, stop: float) -> slice:
    """Return where a part of a median heartbeat is, from its times around the R peak [s]."""
    first, last = np.searchsorted(_GRID, [start - 1e-6, stop - 1e-6])
    return slice(int(first), int(last))


def limb_errors(
    signal: NDArray[np.float32], leads: tuple[str, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32], tuple[str, ...]]:
    """Compare given limb leads with those that follow from I and II.

    Parameters
    ----------
    signal : ndarray of shape (n_records, n_leads, n_times)
        [mV].
    leads : tuple of str

    Returns
    -------
    error : ndarray of shape (n_records, n_derived)
        Root mean square of the difference, relative to the larger of the two.
    likeness : ndarray of shape (n_records, n_derived)
        Correlation of the two: -1 of an inverted lead.
    names : tuple of str
        Leads that are given and follow from I and II; none if either is absent.
    """
    placed, _ = place_leads(signal, leads)
    given = {LEADS.index(name) for name in ("III", "aVR", "aVL", "aVF")} & _positions(leads)
    if not given or not {0, 1} <= _positions(leads):
        return np.zeros((len(signal), 0), np.float32), np.zeros((len(signal), 0), np.float32), ()
    own = sorted(given)
    derived = place_leads(placed[:, :2], ("I", "II"))[0][:, own]
    x = placed[:, own]
    x = x - x.mean(axis=-1, keepdims=True)
    y = derived - derived.mean(axis=-1, keepdims=True)
    xx, yy, xy = (np.einsum("nlt,nlt->nl", a, b) for a, b in ((x, x), (y, y), (x, y)))
    largest = np.maximum(np.maximum(xx, yy), 1e-12)
    error = np.sqrt(np.maximum(xx + yy - 2 * xy, 0) / largest)
    likeness = xy / np.maximum(np.sqrt(xx * yy), 1e-12)
    return error, likeness, tuple(LEADS[i] for i in own)


def _positions(leads: tuple[str, ...]) -> set[int]:
    return set(resolve_leads(leads)[0].tolist())
