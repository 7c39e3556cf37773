"""Beat types without labels: clusters of QRS shapes, then rules on rhythm and width.

Annotations only served to choose the thresholds below, on the 22 records of MIT-BIH DS1
(`benchmarks/study_beat_types.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import median_filter

from ..beats import as_rpeaks, keep_inside, window_samples
from ..leads import DERIVED, LEADS, resolve_leads
from .beat_clusters import FS_SHAPE, QRS_WINDOW, SHIFT, cluster_beats, qrs_shapes, shape_correlation
from .quantities import EARLY_RR

__all__ = ["TYPE_NAMES", "BeatTypes", "beat_types", "early_beats"]

TYPE_NAMES = {0: "N", 1: "S", 2: "V", -1: "ignore"}

# The median of so many RR intervals around a beat is its usual rhythm: about 1.5 minutes.
RUNNING_BEATS = 121
# An irregular rhythm has many short intervals: an early one is shorter than usual by this many typical deviations.
IRREGULARITY = 3.0
WIDE = 1.2
ALIKE = 0.85
UNLIKE = 0.6
AMPLITUDE_RANGE = (0.35, 5.0)
NOISE = 3.0
RIVAL = 0.34
RIVAL_WIDTH = 0.7


class BeatTypes(NamedTuple):
    """Beats of one record, one entry for each R peak.

    Attributes
    ----------
    types : ndarray of int8, shape (n_rpeaks,)
        0 = N, 1 = S, 2 = V, -1 = ignore; see `TYPE_NAMES`.
    clusters : ndarray of int64, shape (n_rpeaks,)
        Cluster of QRS shape within the record, 0 the largest (not always N); -1 if the window of QRS leaves the record.
    """

    types: NDArray[np.int8]
    clusters: NDArray[np.int64]


def beat_types(
    X: ArrayLike,
    fs: float,
    rpeaks: Sequence[ArrayLike],
    leads: Sequence[str] | None = None,
    *,
    threshold: float = 0.9,
) -> list[BeatTypes]:
    """Classify beats without labels.

    Parameters
    ----------
    X : array-like, shape (n_records, n_leads, n_times)
        Signals [mV]. Shapes are compared in all leads together. Samples that are not finite count as 0.
    fs : float
        Sampling rate [Hz].
    rpeaks : sequence of n_records arrays of int
        Sample indices at `fs`, increasing.
    leads : sequence of str, default=None
        Names of the leads of `X`. If I and II are among them, the limb leads that follow from these are left out, so
        that the frontal plane does not count three times. None means any leads, and for twelve leads the standard ones
        in canonical order.
    threshold : float, default=.9
        Least correlation of a beat with the mean of its cluster.

    Returns
    -------
    beats : list of n_records BeatTypes
        Type and cluster of each beat.

    Raises
    ------
    ValueError, TypeError
        If shapes, `fs`, `threshold` or the R peaks are not as described. The message names the record.

    Notes
    -----
    The largest cluster is N, unless a cluster of at least .34 of its size is narrower than .7 of its width (bigeminy).
    Another cluster is V in two cases: its mean shape correlates with the shape of N by less than .85 and is 1.2 times
    as wide; or it correlates by less than .6, and most of its beats are early or it has more than two beats. Any other
    cluster counts as N. Early beats (`early_beats`) of N are S. Three kinds of cluster are ignored: the amplitude is
    not within .35 to 5 times the amplitude of N; or rare beats are unlike N but neither early nor wide; or a shape
    unlike N is three times as noisy above 25 Hz. Types are relative to the record: if most beats are ectopic, N and V
    change places, and an intermittent bundle branch block looks like V.

    References
    ----------
    de Chazal, O'Dwyer, Reilly (2004), IEEE Trans. Biomed. Eng. 51: the division of MIT-BIH and its classes.
    """
    x = np.asarray(X, dtype=np.float32)
    if x.ndim != 3:
        raise ValueError(f"X must have shape (n_records, n_leads, n_times); got {x.shape}.")
    if len(rpeaks) != len(x):
        raise ValueError(f"rpeaks must hold one array per record: {len(rpeaks)} arrays for {len(x)} records.")
    if not 0 < threshold < 1:
        raise ValueError(f"threshold must be between 0 and 1; got {threshold!r}.")
    window_samples(fs)
    x = x[:, _independent(x.shape[1], leads)]
    out = []
    for i, peaks in enumerate(rpeaks):
        r = as_rpeaks(peaks)
        if (np.diff(r) <= 0).any():
            raise ValueError(f"rpeaks of record {i} must increase.")
        signal = x[i] if np.isfinite(x[i]).all() else np.nan_to_num(x[i], nan=0.0, posinf=0.0, neginf=0.0)
        out.append(_record_types(signal, fs, r, threshold))
    return out


def early_beats(rpeaks: ArrayLike, fs: float) -> NDArray[np.bool_]:
    """Find the beats that come early in the rhythm around them.

    Parameters
    ----------
    rpeaks : array-like of int, shape (n_rpeaks,)
        Sample indices at `fs`, increasing.
    fs : float
        Sampling rate [Hz].

    Returns
    -------
    early : ndarray of bool, shape (n_rpeaks,)
        The RR interval before the beat is below .85 of the running median of 121 intervals, and also shorter than this
        median by more than 3 times the running median of the deviation, so that an irregular rhythm is not a series of
        early beats.
    """
    rr = np.diff(as_rpeaks(rpeaks) / fs)
    early = np.zeros(rr.size + (np.size(rpeaks) > 0), dtype=bool)
    if rr.size:
        ratio = rr / _running_median(rr)
        deviation = _running_median(np.abs(ratio - 1.0))
        early[1:] = ratio < np.minimum(EARLY_RR, 1.0 - IRREGULARITY * deviation)
    return early


def _independent(n_leads: int, leads: Sequence[str] | None) -> NDArray[np.int64]:
    """Return the rows of the leads that do not follow from others."""
    if leads is None and n_leads != len(LEADS):
        return np.arange(n_leads)
    index, _ = resolve_leads(LEADS if leads is None else leads)
    if index.size != n_leads:
        raise ValueError(f"leads must name the {n_leads} leads of X; got {index.size} names.")
    if not {0, 1} <= set(index.tolist()):
        return np.arange(n_leads)
    return np.flatnonzero(~np.isin(index, [LEADS.index(name) for name in DERIVED]))


def _running_median(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the median of the window around each value: the nearest whole one at the ends, all of a short series."""
    half = RUNNING_BEATS // 2
    if x.size <= RUNNING_BEATS:
        return np.full(x.size, np.median(x))
    return np.pad(median_filter(x, size=RUNNING_BEATS)[half:-half], half, mode="edge")


def _record_types(x: NDArray[np.float32], fs: float, r: NDArray[np.int64], threshold: float) -> BeatTypes:
    types = np.full(r.size, -1, dtype=np.int8)
    clusters = np.full(r.size, -1, dtype=np.int64)
    inside = np.isin(r, keep_inside(r, x.shape[1], fs, (QRS_WINDOW[0] + SHIFT, QRS_WINDOW[1] + SHIFT)))
    if not inside.any():
        return BeatTypes(types, clusters)
    shapes = qrs_shapes(x, r[inside], fs)
    cluster, templates = cluster_beats(shapes, threshold)
    early = early_beats(r, fs)[inside]
    kind = _cluster_types(templates, cluster, early)[cluster]
    kind[(kind == 0) & early] = 1
    types[inside], clusters[inside] = kind, cluster
    return BeatTypes(types, clusters)


def _cluster_types(
    templates: NDArray[np.float32], cluster: NDArray[np.int64], early: NDArray[np.bool_]
) -> NDArray[np.int8]:
    """Return the type (0, 2 or -1) of each cluster; cluster 0 is the largest."""
    n = np.bincount(cluster, minlength=len(templates))
    is_early = np.bincount(cluster, weights=early, minlength=len(templates)) > 0.5 * n
    spread, noise = _spread(templates), _noise(templates)
    rms = np.sqrt(np.mean(templates**2, axis=(1, 2)))
    # In bigeminy ectopic beats can be the largest cluster: then a much narrower rival is the normal one.
    rival = (n >= RIVAL * n[0]) & (rms >= AMPLITUDE_RANGE[0] * rms[0]) & (spread < RIVAL_WIDTH * spread[0])
    normal = int(np.where(rival, spread, np.inf).argmin()) if rival.any() else 0
    if rms[normal] == 0:
        return np.full(len(templates), -1, dtype=np.int8)
    # Repeated edges give the templates room for the shifts that single beats have.
    room = int(round(SHIFT * FS_SHAPE))
    alike = shape_correlation(np.pad(templates, ((0, 0), (0, 0), (room, room)), mode="edge"), templates[normal])[0]
    amplitude = rms / rms[normal]
    wide = spread > WIDE * spread[normal]
    ventricular = ((alike < ALIKE) & wide) | ((alike < UNLIKE) & (is_early | (n > 2)))
    broken = (amplitude < AMPLITUDE_RANGE[0]) | (amplitude > AMPLITUDE_RANGE[1])
    broken |= (alike < UNLIKE) & ~ventricular
    broken |= (alike < ALIKE) & (noise > NOISE * max(noise[normal], 0.01))
    types = np.where(ventricular, 2, 0).astype(np.int8)
    types[broken] = -1
    types[normal] = 0
    return types


def _spread(shapes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Measure the width of QRS [samples]: the time of the middle 90 % of the energy of its slope."""
    power = np.square(np.diff(shapes, axis=2)).sum(axis=1, dtype=np.float64)
    share = np.cumsum(power, axis=1) / np.maximum(power.sum(axis=1, keepdims=True), 1e-12)
    at = np.arange(share.shape[1])
    return np.array([np.interp(0.95, row, at) - np.interp(0.05, row, at) for row in share])


def _noise(shapes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Measure noise: the share of energy that a binomial mean of three samples removes."""
    rough = shapes[:, :, 1:-1] - 0.5 * (shapes[:, :, :-2] + shapes[:, :, 2:])
    return np.square(rough).sum(axis=(1, 2)) / np.maximum(np.square(shapes).sum(axis=(1, 2)), 1e-12)
