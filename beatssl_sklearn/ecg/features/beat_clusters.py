"""Clusters of a record's beats by QRS shape, in all leads together."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..beats import beat_windows
from .median_beat import resampling_matrix

__all__ = ["cluster_beats", "qrs_shapes", "shape_correlation", "shape_norms"]

QRS_WINDOW = (0.1, 0.15)
# Detectors and people place the R peaks of one shape up to this far apart [s].
SHIFT = 0.04
FS_SHAPE = 100.0
MAX_ROUNDS = 3
BEATS_PER_CHUNK = 512

Floats = NDArray[np.float32]


def qrs_shapes(x: Floats, rpeaks: NDArray[np.int64], fs: float) -> Floats:
    """Cut the QRS of each beat on a common grid, with room for shifts.

    Parameters
    ----------
    x : ndarray of float32, shape (n_leads, n_times)
        One record [mV].
    rpeaks : ndarray of int64, shape (n_beats,)
        Sample indices at `fs`. The window from .14 s before to .19 s after each must lie inside the record.
    fs : float
        Sampling rate [Hz].

    Returns
    -------
    shapes : ndarray of float32, shape (n_beats, n_leads, 33)
        At 100 Hz [mV].
    """
    window = (QRS_WINDOW[0] + SHIFT, QRS_WINDOW[1] + SHIFT)
    to_grid = resampling_matrix(fs, FS_SHAPE, window)
    parts = [
        beat_windows(x, rpeaks[s : s + BEATS_PER_CHUNK], fs, window) @ to_grid
        for s in range(0, rpeaks.size, BEATS_PER_CHUNK)
    ]
    return np.concatenate([np.empty((0, len(x), to_grid.shape[1]), dtype=np.float32), *parts])


def shape_correlation(shapes: Floats, template: Floats, norm: Floats | None = None) -> tuple[Floats, NDArray[np.int64]]:
    """Find the best correlation of beats with a template over small shifts.

    Parameters
    ----------
    shapes : ndarray of float32, shape (n_beats, n_leads, n_wide)
        From `qrs_shapes`.
    template : ndarray of float32, shape (n_leads, n_grid)
        Mean shape; each lead has mean 0.
    norm : ndarray of float32, shape (n_beats, n_shifts), default=None
        From `shape_norms`: spares time if several templates are compared with the same beats.

    Returns
    -------
    correlation : ndarray of float32, shape (n_beats,)
        -1 for a beat without any deflection.
    shift : ndarray of int64, shape (n_beats,)
        Start of the best window within the wide one [samples].
    """
    n_beats, n_leads, n_wide = shapes.shape
    n_grid = template.shape[1]
    # One product serves all shifts. The template has mean 0, so that the mean of each window drops out.
    columns = np.zeros((n_leads, n_wide, n_wide - n_grid + 1), dtype=np.float32)
    for k in range(columns.shape[2]):
        columns[:, k : k + n_grid, k] = template
    product = shapes.reshape(n_beats, -1) @ columns.reshape(n_leads * n_wide, -1)
    scale = (shape_norms(shapes, n_grid) if norm is None else norm) * np.linalg.norm(template)
    # A beat without any deflection has no direction to compare: it stays at -1.
    correlation = np.divide(product, scale, out=np.full(product.shape, -1.0, dtype=np.float32), where=scale > 1e-6)
    shift = correlation.argmax(axis=1)
    return correlation[np.arange(n_beats), shift], shift


def shape_norms(shapes: Floats, n_grid: int) -> Floats:
    """Compute the norm of each window of n_grid samples of each beat, its leads centred: (n_beats, n_shifts)."""
    # Without the offset first: the difference of two large sums would lose a small shape on a large offset.
    x = _centre(shapes)
    power = _window_sum(x**2, n_grid) - _window_sum(x, n_grid) ** 2 / n_grid
    return np.asarray(np.sqrt(np.maximum(power.sum(axis=1), 0.0)), dtype=np.float32)


def cluster_beats(shapes: Floats, threshold: float = 0.9, max_clusters: int = 40) -> tuple[NDArray[np.int64], Floats]:
    """Group beats whose shapes correlate with the running mean of their cluster.

    Parameters
    ----------
    shapes : ndarray of float32, shape (n_beats, n_leads, n_wide)
        From `qrs_shapes`.
    threshold : float, default=.9
        Least correlation with the mean of the cluster.
    max_clusters : int, default=40
        Most clusters to look for; each beat left over becomes a cluster.

    Returns
    -------
    cluster : ndarray of int64, shape (n_beats,)
        0 is the largest cluster, then by size.
    templates : ndarray of float32, shape (n_clusters, n_leads, n_grid)
        Mean shapes [mV]; each lead has mean 0.

    Notes
    -----
    Leader clustering with typical beats as leaders: the median of all beats without a cluster leads the next cluster,
    whose mean is refined until its members stay (three rounds at most). If no beat resembles this median, the beat that
    resembles most others leads instead.
    """
    n_beats, _, n_wide = shapes.shape
    n_grid = n_wide - 2 * int(round(SHIFT * FS_SHAPE))
    middle = slice((n_wide - n_grid) // 2, (n_wide + n_grid) // 2)
    norm = shape_norms(shapes, n_grid)
    cluster = np.full(n_beats, -1, dtype=np.int64)
    templates: list[Floats] = []
    while (left := np.flatnonzero(cluster < 0)).size and len(templates) < max_clusters:
        members, template = _next_cluster(shapes[left], norm[left], middle, threshold)
        cluster[left[members]] = len(templates)
        templates.append(template)
    for i in np.flatnonzero(cluster < 0):
        cluster[i] = len(templates)
        templates.append(_centre(shapes[i, :, middle]))
    # A stable sort keeps the order in which clusters of one size were found.
    order = np.argsort(-np.bincount(cluster, minlength=len(templates)), kind="stable")
    means = np.stack(templates)[order] if templates else np.empty((0, shapes.shape[1], n_grid), dtype=np.float32)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[cluster], means


def _next_cluster(shapes: Floats, norm: Floats, middle: slice, threshold: float) -> tuple[NDArray[np.bool_], Floats]:
    """Find the members, at least one, and the mean shape of one cluster among the given beats."""
    n_grid = middle.stop - middle.start
    # The median is nobody's beat, but broken and ectopic beats cannot move it far.
    template = _centre(np.sort(shapes[:, :, middle], axis=0)[len(shapes) // 2])
    correlation, shift = shape_correlation(shapes, template, norm)
    if correlation.max() < threshold:
        template = _centre(shapes[_most_typical(shapes[:, :, middle], threshold), :, middle])
        correlation, shift = shape_correlation(shapes, template, norm)
    members = correlation >= threshold
    for _ in range(MAX_ROUNDS):
        if not members.any():
            break
        template = _mean_shape(shapes[members], shift[members], n_grid)
        correlation, shift = shape_correlation(shapes, template, norm)
        before, members = members, correlation >= threshold
        if (members == before).all():
            break
    if not members.any():
        members[correlation.argmax()] = True
    return members, template


def _window_sum(x: Floats, n: int) -> Floats:
    """Sum over all windows of n samples along the last axis."""
    # In float64, because the difference of two long sums loses digits.
    total = np.cumsum(np.pad(x, ((0, 0), (0, 0), (1, 0))), axis=2, dtype=np.float64)
    return np.asarray(total[:, :, n:] - total[:, :, :-n], dtype=np.float32)


def _centre(shape: Floats) -> Floats:
    return np.asarray(shape - shape.mean(axis=-1, keepdims=True), dtype=np.float32)


def _mean_shape(shapes: Floats, shift: NDArray[np.int64], n_grid: int) -> Floats:
    """Average beats, each at its own shift."""
    windows = sliding_window_view(shapes, n_grid, axis=2)
    return _centre(windows[np.arange(len(shapes)), :, shift].mean(axis=0))


def _most_typical(shapes: Floats, threshold: float) -> int:
    """Return the index of the beat that resembles most others, among at most 256 evenly spread beats."""
    some = np.unique(np.linspace(0, len(shapes) - 1, min(len(shapes), 256)).round().astype(np.int64))
    flat = _centre(shapes[some]).reshape(some.size, -1)
    flat = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), np.float32(1e-6))
    return int(some[((flat @ flat.T) >= threshold).sum(axis=1).argmax()])
