"""Rhythm episodes that are too short to be believed give their time to their neighbours."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from .episodes import Episode

__all__ = ["absorb_short"]


class _Chain:
    """Episodes in order, of which some are taken out; touching neighbours have different labels."""

    def __init__(self, episodes: Sequence[Episode]) -> None:
        self.episodes = list(episodes)
        self.is_left = [True] * len(episodes)
        # Places of the neighbours that are left; -1 and the number of episodes stand for none.
        self.before = list(range(-1, len(episodes) - 1))
        self.after = list(range(1, len(episodes) + 1))

    def length(self, i: int) -> int:
        return self.episodes[i].stop - self.episodes[i].start

    def touching(self, i: int) -> list[int]:
        """Return the places of the neighbours that episode i touches, the earlier one first."""
        near, own = [], self.episodes[i]
        if self.before[i] >= 0 and self.episodes[self.before[i]].stop == own.start:
            near.append(self.before[i])
        if self.after[i] < len(self.episodes) and self.episodes[self.after[i]].start == own.stop:
            near.append(self.after[i])
        return near

    def remove(self, i: int) -> None:
        self.is_left[i] = False
        if self.before[i] >= 0:
            self.after[self.before[i]] = self.after[i]
        if self.after[i] < len(self.episodes):
            self.before[self.after[i]] = self.before[i]

    def relabel(self, i: int, near: list[int]) -> None:
        """Give episode i the label of the longest one in `near`, and join it with those that have this label."""
        label = self.episodes[max(near, key=self.length)].label
        taken = [j for j in near if self.episodes[j].label == label]
        joined = [self.episodes[j] for j in (i, *taken)]
        self.episodes[i] = Episode(min(e.start for e in joined), max(e.stop for e in joined), label)
        for j in taken:
            self.remove(j)


def absorb_short(episodes: Sequence[Episode], shortest: float) -> list[Episode]:
    """Give the time of short episodes to neighbours.

    Parameters
    ----------
    episodes : sequence of Episode
        In order; those that touch have different labels.
    shortest : float
        Length from which on an episode stays [samples].

    Returns
    -------
    episodes : list of Episode
        Those that are left. The shortest goes first: to the longer one of the episodes that it touches (of equal ones,
        to the earlier one), or away if it touches none.
    """
    chain = _Chain(episodes)
    waiting = [(chain.length(i), i) for i in range(len(episodes))]
    heapq.heapify(waiting)
    while waiting and waiting[0][0] < shortest:
        _, i = heapq.heappop(waiting)
        if not chain.is_left[i]:
            continue  # A shorter neighbour has its time.
        near = chain.touching(i)
        if near:
            chain.relabel(i, near)
            heapq.heappush(waiting, (chain.length(i), i))
        else:
            chain.remove(i)
    return [episode for episode, is_left in zip(chain.episodes, chain.is_left, strict=True) if is_left]
