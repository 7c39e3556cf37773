"""Rhythm episodes and windows: shares and labels of windows, and episodes of labelled windows and beats."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from beatssl_sklearn.ecg import label_at, merge_episodes, window_labels, window_shares

EPISODES = [(0, 60, "N"), (60, 100, "AFIB"), (120, 200, "AFIB")]
WINDOWS = [[0, 50], [40, 80], [90, 130], [200, 250]]


def test_shares_and_labels_of_windows() -> None:
    shares = window_shares(EPISODES, WINDOWS, ["AFIB", "N", "VT"])
    np.testing.assert_allclose(shares, [[0, 1, 0], [0.5, 0.5, 0], [0.5, 0, 0], [0, 0, 0]])
    # Half and half: the first in the alphabet.
    assert window_labels(EPISODES, WINDOWS).tolist() == ["N", "AFIB", "AFIB", None]
    assert window_labels(EPISODES, WINDOWS, min_share=0.6, fill="?").tolist() == ["N", "?", "?", "?"]
    assert window_labels(EPISODES, WINDOWS, min_share=0).tolist() == ["N", "AFIB", "AFIB", None]
    assert window_labels([], WINDOWS).tolist() == [None] * 4 and window_labels(EPISODES, []).shape == (0,)


def test_windows_share_their_overlaps() -> None:
    windows = [[0, 100], [50, 150], [100, 200], [150, 250]]
    # Borders of the windows' own time: 75, 125, 175.
    assert merge_episodes(["N", "A", "A", "N"], windows) == [(0, 75, "N"), (75, 175, "A"), (175, 250, "N")]
    assert merge_episodes(["N", None, "N", "N"], windows) == [(0, 75, "N"), (125, 250, "N")]
    # A gap between windows stays one.
    assert merge_episodes(["N", "N", "A"], [[0, 10], [10, 20], [30, 40]]) == [(0, 20, "N"), (30, 40, "A")]
    assert merge_episodes([], []) == []


def test_beats_share_the_time_between_them() -> None:
    episodes = merge_episodes(["N", "N", "A", "A"], [100, 200, 300, 360])
    assert episodes == [(100, 250, "N"), (250, 361, "A")]
    assert label_at(episodes, [100, 200, 300, 360]).tolist() == ["N", "N", "A", "A"]
    assert merge_episodes(["A"], [7]) == [(7, 8, "A")]


def test_short_episodes_give_way_to_the_longer_neighbour() -> None:
    names = ["N"] * 5 + ["A"] * 2 + ["V"] * 3 + ["A"] + ["N"] * 9
    windows = np.stack([np.arange(20), np.arange(1, 21)], axis=1) * 100
    assert len(merge_episodes(names, windows)) == 5
    # Below 2: the one A goes to the nine N. Below 3: then the two A go to the five N.
    assert merge_episodes(names, windows, min_duration=2, fs=100) == [
        (0, 500, "N"), (500, 700, "A"), (700, 1000, "V"), (1000, 2000, "N"),
    ]  # fmt: skip
    assert merge_episodes(names, windows, min_duration=300) == [(0, 700, "N"), (700, 1000, "V"), (1000, 2000, "N")]
    assert merge_episodes(names, windows, min_duration=301) == [(0, 2000, "N")]
    # One that touches none is dropped; the last one left is, too.
    assert merge_episodes(["A", None, "N"], [[0, 5], [5, 10], [10, 90]], min_duration=6) == [(10, 90, "N")]
    assert merge_episodes(["A"], [[0, 5]], min_duration=6) == []


def test_what_is_left_of_many_short_episodes() -> None:
    rpeaks = np.arange(5000) * 200
    names = np.where(np.random.default_rng(0).random(5000) < 0.3, "A", "N")
    episodes = merge_episodes(names, rpeaks, min_duration=30, fs=250)
    # All time is given to somebody, and no neighbours have one label.
    assert episodes[0].start == 0 and episodes[-1].stop == rpeaks[-1] + 1
    assert all(episode.stop - episode.start >= 7500 for episode in episodes)
    assert all(a.stop == b.start and a.label != b.label for a, b in pairwise(episodes))


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"labels": ["N"]}, ValueError, "labels has 1 entries for 2 spans"),
        ({"labels": ["N", 1]}, TypeError, r"labels\[1\] must be a str or None, got 1"),
        ({"spans": [[0, 10], [10, 10]]}, ValueError, r"spans\[1\] must be finite with start < stop"),
        ({"spans": [[5, 10], [0, 20]]}, ValueError, "spans must be in order"),
        ({"spans": [[-5, 10], [0, 20]]}, ValueError, "before the record"),
        ({"spans": [5, 5]}, ValueError, "must increase"),
        ({"spans": [5.5, 6.5]}, ValueError, "integers"),
        ({"spans": np.zeros((2, 3), int)}, ValueError, r"shape \(n, 2\)"),
        ({"min_duration": -1}, ValueError, "min_duration must be a number >= 0"),
        ({"fs": 0}, ValueError, "fs"),
    ],
)
def test_refusals(parameters: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        merge_episodes(**({"labels": ["N", "A"], "spans": [[0, 10], [10, 20]]} | parameters))


def test_refused_windows_and_shares() -> None:
    with pytest.raises(ValueError, match=r"windows\[0\] must be finite"):
        window_labels(EPISODES, [[3, 3]])
    with pytest.raises(ValueError, match="min_share must be a number from 0 to 1, got 2"):
        window_labels(EPISODES, WINDOWS, min_share=2)
