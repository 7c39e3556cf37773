"""Rhythm episodes of annotations, and the labels of samples and beats in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from beatssl_sklearn.ecg import Episode, episode_mask, label_at, rhythm_episodes
from beatssl_sklearn.ecg.episodes import as_episodes, covered
from beatssl_sklearn.ecg.wfdb import Annotations

EPISODES = [(2, 5, "N"), (5, 8, "AFIB"), (9, 12, "AFL")]


def marks(*entries: tuple[int, str, str]) -> Annotations:
    sample, symbol, aux = zip(*entries, strict=True)
    return Annotations(np.array(sample), list(symbol), list(aux))


def test_a_rhythm_lasts_until_the_next_mark() -> None:
    read = rhythm_episodes(
        marks((18, "+", "(N"), (77, "N", ""), (90, '"', "TS"), (99, "+", "(AFIB"), (130, "+", "PSE"), (160, "+", "(N")),
        200,
    )
    assert read == [Episode(18, 99, "N"), Episode(99, 160, "AFIB"), Episode(160, 200, "N")]
    assert all(type(value) is int for episode in read for value in episode[:2])


def test_repeated_late_and_empty_marks() -> None:
    # A repeated mark begins nothing new; of two marks at one sample the later one counts; the record ends at 200.
    read = rhythm_episodes(
        marks((10, "+", "(N"), (50, "+", "(N\0"), (80, "+", "(J"), (80, "+", "(B"), (190, "+", "(N"), (230, "+", "(T")),
        200,
    )
    assert read == [(10, 80, "N"), (80, 190, "B"), (190, 200, "N")]
    assert rhythm_episodes(Annotations(np.array([], np.int64), [], []), 200) == []
    assert rhythm_episodes(marks((5, "N", ""), (300, "+", "(N")), 200) == []
    with pytest.raises(ValueError, match="n_times must be a positive number of samples, got 0"):
        rhythm_episodes(marks((5, "+", "(N")), 0)


def test_labels_of_samples_and_beats() -> None:
    assert label_at(EPISODES, [1, 2, 4, 5, 7, 8, 9, 11, 12]).tolist() == [
        None, "N", "N", "AFIB", "AFIB", None, "AFL", "AFL", None,
    ]  # fmt: skip
    assert label_at(EPISODES[::-1], [8, 5], fill="?").tolist() == ["?", "AFIB"]
    assert label_at([], [3]).tolist() == [None] and label_at(EPISODES, []).shape == (0,)
    assert np.flatnonzero(episode_mask(EPISODES, 11)).tolist() == [5, 6, 7]
    assert np.flatnonzero(episode_mask(EPISODES, 11, ["AFIB", "AFL"])).tolist() == [5, 6, 7, 9, 10]


def test_covered_counts_samples_as_masks_do() -> None:
    rng = np.random.default_rng(0)
    bounds = np.sort(rng.choice(300, 20, replace=False)).reshape(-1, 2)
    spans = np.sort(rng.integers(0, 301, (50, 2)), axis=1)
    mask = np.zeros(300, bool)
    for start, stop in bounds:
        mask[start:stop] = True
    expected = [mask[start:stop].sum() for start, stop in spans]
    np.testing.assert_array_equal(covered(spans.astype(float), bounds.astype(float)), expected)


@pytest.mark.parametrize(
    ("episodes", "error", "message"),
    [
        ([(1, 2)], TypeError, r"true\[0\] must be \(start, stop, label\)"),
        ([(1, 3, "N"), (3.0, 4, "N")], TypeError, r"true\[1\] must be two samples as integers"),
        ([(1, 2, 7)], TypeError, "a label as str"),
        ([(2, 2, "N")], ValueError, "0 <= start < stop, got 2 and 2"),
        ([(-1, 2, "N")], ValueError, "got -1 and 2"),
        ([(4, 8, "N"), (1, 5, "AFIB")], ValueError, r"true overlap: \(1, 5, 'AFIB'\) and \(4, 8, 'N'\)"),
    ],
)
def test_refusals(episodes: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        as_episodes(episodes, "true")
