"""Rhythm episodes: read from annotations, and as marks of samples and beats."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .matching import as_positions
from .wfdb import Annotations

__all__ = ["Episode", "as_episodes", "covered", "episode_mask", "join_episodes", "label_at", "rhythm_episodes"]


class Episode(NamedTuple):
    """A stretch of one rhythm.

    Parameters
    ----------
    start : int
        First sample.
    stop : int
        Sample after the last one.
    label : str
        Rhythm, for example "AFIB".
    """

    start: int
    stop: int
    label: str


def rhythm_episodes(annotations: Annotations, n_times: int) -> list[Episode]:
    """Read the rhythms of a record from its annotations.

    A mark with the symbol ``+`` and a note such as ``(AFIB`` says that a rhythm begins. It lasts until the next such
    mark, or until the record ends.

    Parameters
    ----------
    annotations : Annotations
        Annotations of the record, as returned by `read_annotations`.
    n_times : int
        Length of the record [samples].

    Returns
    -------
    episodes : list of Episode
        In order and without gaps from the first mark on. What comes before it has no episode: its rhythm is unknown.
        Labels are the notes without their bracket, for example "N", "AFIB", "AFL", "B" (ventricular bigeminy), "T"
        (trigeminy), "VT", "VFL". A mark that repeats the rhythm before it begins no new episode.

    Raises
    ------
    ValueError
        If `n_times` is not positive.

    Examples
    --------
    >>> from beatssl_sklearn.ecg import rhythm_episodes
    >>> from beatssl_sklearn.ecg.wfdb import Annotations
    >>> marks = Annotations([18, 77, 900], ["+", "N", "+"], ["(N", "", "(AFIB"])
    >>> rhythm_episodes(marks, 1500)
    [Episode(start=18, stop=900, label='N'), Episode(start=900, stop=1500, label='AFIB')]
    """
    end = _length(n_times)
    marks = zip(np.asarray(annotations.sample).tolist(), annotations.symbol, annotations.aux, strict=True)
    changes = [(sample, note[1:].strip(" )\0")) for sample, symbol, note in marks if symbol == "+" and note[:1] == "("]
    # The last one reaches to the end.
    changes.append((end, ""))
    episodes = [Episode(start, min(stop, end), label) for (start, label), (stop, _) in pairwise(changes)]
    return join_episodes(episode for episode in episodes if episode.start < episode.stop and episode.label)


def as_episodes(episodes: Iterable[tuple[int, int, str]], name: str = "episodes") -> list[Episode]:
    """Check the episodes of one record, and sort them by time.

    Parameters
    ----------
    episodes : iterable of Episode or of (start, stop, label)
        Episodes, in any order.
    name : str, default="episodes"
        What messages call them.

    Returns
    -------
    episodes : list of Episode
        The same, in order.

    Raises
    ------
    TypeError
        If one is no tuple of two integers and a str.
    ValueError
        If one is empty or begins before the record, or if two overlap.
    """
    checked = []
    for i, episode in enumerate(episodes):
        try:
            start, stop, label = episode
        except (TypeError, ValueError):
            raise TypeError(f"{name}[{i}] must be (start, stop, label), got {episode!r:.60}") from None
        if not (_is_integer(start) and _is_integer(stop) and isinstance(label, str)):
            raise TypeError(f"{name}[{i}] must be two samples as integers and a label as str, got {episode!r:.60}")
        if not 0 <= start < stop:
            raise ValueError(f"{name}[{i}] must have 0 <= start < stop, got {start} and {stop}")
        checked.append(Episode(int(start), int(stop), str(label)))
    checked.sort()
    for before, after in pairwise(checked):
        if after.start < before.stop:
            raise ValueError(f"{name} overlap: {tuple(before)} and {tuple(after)}")
    return checked


def episode_mask(
    episodes: Iterable[tuple[int, int, str]], n_times: int, label: str | Iterable[str] = "AFIB"
) -> NDArray[np.bool_]:
    """Mark the samples of a record that lie in episodes of a rhythm.

    Parameters
    ----------
    episodes : iterable of Episode
        Episodes of the record.
    n_times : int
        Length of the record [samples].
    label : str or iterable of str, default="AFIB"
        Rhythm, or several of them.

    Returns
    -------
    mask : ndarray of shape (n_times,), bool
        Whether the sample is in such an episode.

    Raises
    ------
    TypeError, ValueError
        If an episode is invalid, if two overlap, or if `n_times` is not positive.
    """
    wanted = {label} if isinstance(label, str) else set(label)
    mask = np.zeros(_length(n_times), bool)
    for episode in as_episodes(episodes):
        if episode.label in wanted:
            mask[episode.start : episode.stop] = True
    return mask


def label_at(episodes: Iterable[tuple[int, int, str]], positions: ArrayLike, fill: Any = None) -> NDArray[np.object_]:
    """Return the rhythm at positions of a record, for example at its beats.

    Parameters
    ----------
    episodes : iterable of Episode
        Episodes of the record.
    positions : array-like of shape (n_positions,)
        Samples, in any order.
    fill : object, default=None
        Label of a position in no episode.

    Returns
    -------
    labels : ndarray of shape (n_positions,), object
        Labels of the episodes.

    Raises
    ------
    TypeError, ValueError
        If an episode is invalid, if two overlap, or if `positions` are not finite numbers in one dimension.

    Examples
    --------
    >>> from beatssl_sklearn.ecg import label_at
    >>> label_at([(18, 900, "N"), (900, 1500, "AFIB")], [5, 77, 899, 900]).tolist()
    [None, 'N', 'N', 'AFIB']
    """
    checked, at = as_episodes(episodes), as_positions(positions, "positions")
    labels = np.full(len(at), fill, dtype=object)
    if not checked:
        return labels
    k = np.searchsorted([episode.start for episode in checked], at, side="right") - 1
    inside = (k >= 0) & (at < np.array([episode.stop for episode in checked])[k])
    labels[inside] = np.array([episode.label for episode in checked], dtype=object)[k[inside]]
    return labels


def covered(spans: NDArray[np.float64], episodes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many samples of each span lie in episodes, both of shape (n, 2), the latter in order and disjoint."""
    if not len(episodes):
        return np.zeros(len(spans))
    starts, lengths = episodes[:, 0], episodes[:, 1] - episodes[:, 0]
    before = np.concatenate([[0.0], np.cumsum(lengths)])

    def up_to(time: NDArray[np.float64]) -> NDArray[np.float64]:
        # All earlier episodes, and of the one that has begun what has passed of it.
        k = np.searchsorted(starts, time, side="right") - 1
        passed = np.minimum(time - starts[np.maximum(k, 0)], lengths[np.maximum(k, 0)])
        return np.where(k < 0, 0.0, before[np.maximum(k, 0)] + passed)

    return up_to(spans[:, 1]) - up_to(spans[:, 0])


def join_episodes(episodes: Iterable[Episode]) -> list[Episode]:
    """Join neighbours that touch and have one label."""
    joined: list[Episode] = []
    for episode in episodes:
        if joined and joined[-1].stop == episode.start and joined[-1].label == episode.label:
            joined[-1] = joined[-1]._replace(stop=episode.stop)
        else:
            joined.append(episode)
    return joined


def _is_integer(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, (bool, np.bool_))


def _length(n_times: int) -> int:
    if not _is_integer(n_times) or n_times < 1:
        raise ValueError(f"n_times must be a positive number of samples, got {n_times!r:.60}")
    return int(n_times)
