"""Rhythm episodes and windows: the label of each window, and the episodes that labelled windows or beats make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .episodes import Episode, as_episodes, covered, join_episodes
from .short_episodes import absorb_short
from .waves.table import check_rate

__all__ = ["merge_episodes", "window_labels", "window_shares"]


def window_shares(
    episodes: Iterable[tuple[int, int, str]], windows: ArrayLike, labels: Sequence[str]
) -> NDArray[np.float64]:
    """Return which share of each window lies in episodes of each rhythm.

    Parameters
    ----------
    episodes : iterable of Episode
        Episodes of the record.
    windows : array-like of shape (n_windows, 2)
        First sample of each window, and the sample after its last one. Windows may overlap.
    labels : sequence of str
        Rhythms.

    Returns
    -------
    shares : ndarray of shape (n_windows, n_labels), float64
        From 0 to 1. Rows sum to less than 1 where there is no episode, or one of another rhythm.

    Raises
    ------
    TypeError, ValueError
        If an episode is invalid, if two overlap, or if a window is empty or not finite.
    """
    checked, spans = as_episodes(episodes), _spans(windows, "windows")
    shares = np.zeros((len(spans), len(labels)))
    for column, label in enumerate(labels):
        own = np.array([episode[:2] for episode in checked if episode.label == label], float).reshape(-1, 2)
        shares[:, column] = covered(spans, own) / (spans[:, 1] - spans[:, 0])
    return shares


def window_labels(
    episodes: Iterable[tuple[int, int, str]], windows: ArrayLike, *, min_share: float = 0.5, fill: Any = None
) -> NDArray[np.object_]:
    """Label windows of a record with the rhythm that has the largest share of them.

    Parameters
    ----------
    episodes : iterable of Episode
        Episodes of the record.
    windows : array-like of shape (n_windows, 2)
        First sample of each window, and the sample after its last one. Windows may overlap.
    min_share : float, default=.5
        Least share of the window that the rhythm must have, from 0 to 1.
    fill : object, default=None
        Label of a window without such a rhythm.

    Returns
    -------
    labels : ndarray of shape (n_windows,), object
        Labels. Of two equal shares, the label that is first in the alphabet counts.

    Raises
    ------
    TypeError, ValueError
        If an episode is invalid, if two overlap, if a window is empty or not finite, or if `min_share` is out of its
        range.

    Examples
    --------
    >>> from beatssl_sklearn.ecg import window_labels
    >>> window_labels([(0, 900, "N"), (900, 1500, "AFIB")], [[0, 600], [400, 1000], [700, 1300]]).tolist()
    ['N', 'N', 'AFIB']
    """
    if not (isinstance(min_share, Real) and 0 <= min_share <= 1):
        raise ValueError(f"min_share must be a number from 0 to 1, got {min_share!r:.60}")
    checked = as_episodes(episodes)
    names = sorted({episode.label for episode in checked})
    shares = window_shares(checked, windows, names)
    labels = np.full(len(shares), fill, dtype=object)
    if names:
        most = shares.max(axis=1)
        has_one = (most > 0) & (most >= min_share)
        labels[has_one] = np.array(names, dtype=object)[shares.argmax(axis=1)[has_one]]
    return labels


def merge_episodes(
    labels: ArrayLike | Sequence[Any], spans: ArrayLike, *, min_duration: float = 0.0, fs: float = 1.0
) -> list[Episode]:
    """Make episodes of labelled windows or labelled beats.

    Parameters
    ----------
    labels : array-like of shape (n,), of str
        Label of each window or beat. None is no label: its time belongs to no episode.
    spans : array-like of shape (n, 2), or (n,), of integers
        Windows in their order, as first sample and the sample after the last one: where two neighbours overlap, each
        has the half of the overlap on its side. Or positions of beats in their order: the time between two beats is
        shared half and half; it begins with the first beat and ends with the last one.
    min_duration : float, default=0
        Shortest episode [s]. The shortest of those that are shorter gives its time to the episode that it touches, to
        the longer one if there are two; this is repeated. One that touches no other is dropped.
    fs : float, default=1
        Sampling rate [Hz]. With 1, `min_duration` is in samples.

    Returns
    -------
    episodes : list of Episode
        In order; neighbours that touch have different labels.

    Raises
    ------
    TypeError
        If a label is neither a str nor None.
    ValueError
        If there is not one label for each span, if spans are empty, negative or out of order, if `min_duration` is
        negative or `fs` is not positive.

    Examples
    --------
    >>> from beatssl_sklearn.ecg import merge_episodes
    >>> windows = [[0, 600], [300, 900], [600, 1200], [900, 1500]]
    >>> merge_episodes(["N", "N", "AFIB", "AFIB"], windows)
    [Episode(start=0, stop=750, label='N'), Episode(start=750, stop=1500, label='AFIB')]
    """
    check_rate(fs)
    if not (isinstance(min_duration, Real) and np.isfinite(min_duration) and min_duration >= 0):
        raise ValueError(f"min_duration must be a number >= 0 [s], got {min_duration!r:.60}")
    names = _names(labels)
    bounds = _shared(spans)
    if len(names) != len(bounds):
        raise ValueError(f"labels has {len(names)} entries for {len(bounds)} spans")
    episodes = join_episodes(
        Episode(start, stop, name)
        for name, (start, stop) in zip(names, bounds.tolist(), strict=True)
        if name is not None and start < stop
    )
    return absorb_short(episodes, min_duration * fs)


def _spans(windows: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return windows as numbers of shape (n, 2)."""
    spans = np.asarray(windows, dtype=np.float64)
    spans = spans.reshape(-1, 2) if spans.shape == (0,) else spans
    if spans.ndim != 2 or spans.shape[1] != 2:
        raise ValueError(f"{name} must have the shape (n, 2), first and last sample plus 1, got {spans.shape}")
    wrong = ~(np.isfinite(spans).all(axis=1) & (spans[:, 0] < spans[:, 1]))
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"{name}[{i}] must be finite with start < stop, got {spans[i].tolist()}")
    return spans


def _names(labels: Any) -> list[str | None]:
    names = list(labels)
    for i, name in enumerate(names):
        if not (name is None or isinstance(name, str)):
            raise TypeError(f"labels[{i}] must be a str or None, got {name!r:.60}")
    return [name if name is None else str(name) for name in names]


def _shared(spans: ArrayLike) -> NDArray[np.int64]:
    """Return the time of each window or beat, (n, 2), after neighbours have shared what is between them."""
    given = np.asarray(spans)
    if given.size and given.dtype.kind not in "iu":
        raise ValueError(f"spans must hold samples as integers, got {given.dtype}")
    if given.ndim == 1:
        if (np.diff(given) <= 0).any():
            raise ValueError("spans, as positions of beats, must increase")
        bounds = np.stack([given, given + 1], axis=1).astype(np.int64)
    else:
        bounds = _spans(given, "spans").astype(np.int64)
        if (np.diff(bounds, axis=0) < 0).any():
            raise ValueError("spans must be in order: neither their starts nor their stops may decrease")
    if len(bounds) and bounds[0, 0] < 0:
        raise ValueError(f"spans must not begin before the record, got {bounds[0].tolist()}")
    middle = (bounds[:-1, 1] + bounds[1:, 0]) // 2
    meet = np.ones(len(middle), bool) if given.ndim == 1 else bounds[1:, 0] < bounds[:-1, 1]
    shared = bounds.copy()
    shared[:-1, 1], shared[1:, 0] = np.where(meet, middle, bounds[:-1, 1]), np.where(meet, middle, bounds[1:, 0])
    return shared
