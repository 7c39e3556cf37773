"""Waves of windows put together: one sight of each wave, and the rules of a beat across the border."""

from __future__ import annotations

import numpy as np
import pytest

from beatssl_sklearn.ecg.waves.find import Waves
from beatssl_sklearn.segmentation.joining import joined

Row = tuple[int, int, float, float, float, float]
P, QRS, T = 1, 2, 3


def sights(*rows: Row) -> Waves:
    """Waves of one window, as (strip, wave, onset, peak, offset, confidence)."""
    types = (int, np.int8, float, float, float, np.float32)
    return Waves(*(np.array(column, kind) for column, kind in zip(zip(*rows, strict=True), types, strict=True)))


def kept(*windows: list[Row], refractory: float = 0, p_blanking: float = 0, reach: float = 1e3) -> list[tuple]:
    parts = [sights(*rows) for rows in windows]
    found = joined(parts, refractory=refractory, p_blanking=p_blanking, reach=reach)
    return list(zip(found.strip, found.wave, found.onset, found.peak, found.offset, strict=True))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        # The surer sight stays, whichever window it is of.
        ([(0, 2, 10, 15, 20, 0.9)], [(0, 2, 11, 15, 21, 0.8)], [(0, 2, 10, 15, 20)]),
        ([(0, 2, 10, 15, 20, 0.8)], [(0, 2, 11, 15, 21, 0.9)], [(0, 2, 11, 15, 21)]),
        # Other strips are other leads.
        ([(0, 2, 10, 15, 20, 0.8)], [(1, 2, 11, 15, 21, 0.9)], [(0, 2, 10, 15, 20), (1, 2, 11, 15, 21)]),
        # Kinds that are surer in different windows meet in the middle.
        (
            [(0, 1, 0, 5, 10, 0.6), (0, 2, 10, 15, 20, 0.9)],
            [(0, 1, 1, 6, 11, 0.8), (0, 2, 11, 16, 21, 0.7)],
            [(0, 1, 1, 6, 10.5), (0, 2, 10.5, 15, 20)],
        ),
        # Kinds that cannot both be right: the surer one stays.
        ([(0, 1, 0, 5, 10, 0.6)], [(0, 3, 4, 8, 15, 0.9)], [(0, 3, 4, 8, 15)]),
        # A chain, of which the ends do not overlap.
        (
            [(0, 3, 0, 5, 10, 0.7), (0, 3, 16, 20, 25, 0.6)],
            [(0, 3, 8, 12, 17, 0.9)],
            [(0, 3, 8, 12, 17)],
        ),
        ([(0, 3, 0, 5, 10, 0.7)], [(0, 1, 10, 15, 20, 0.9)], [(0, 3, 0, 5, 10), (0, 1, 10, 15, 20)]),
    ],
)
def test_two_sights_of_one_wave(first: list[Row], second: list[Row], expected: list[tuple[float, ...]]) -> None:
    assert kept(first, second) == kept(second, first) == expected


@pytest.mark.parametrize("at", [(0, 1), (1, 0)])
def test_a_beat_has_one_t_across_the_border(at: tuple[int, int]) -> None:
    before: list[Row] = [(0, QRS, 0, 5, 10, 0.9), (0, T, 15, 20, 25, 0.9)]
    behind: list[Row] = [(0, T, 40, 48, 55, 0.8), (0, QRS, 80, 85, 90, 0.9), (0, T, 95, 99, 100, 0.9)]
    # Sums of probability: 9 and 12. The next beat keeps its own.
    found = kept(*([before, behind][i] for i in at))
    assert [row[2] for row in found] == [0, 40, 80, 95]


def test_without_complexes_the_rules_of_a_beat_reach_so_far() -> None:
    rows: list[Row] = [(0, T, at, at + 5, at + 10, c) for at, c in ((0, 0.8), (60, 0.9), (150, 0.7), (220, 0.6))]
    # Each T beside those within reach, which a stronger one may have ruled out.
    for reach, left in ((1e3, [60]), (100, [60]), (80, [60, 150]), (60, [0, 60, 150, 220])):
        assert [row[2] for row in kept(rows[:2], rows[2:], reach=reach)] == left
    qrs: Row = (0, QRS, 0, 5, 10, 0.9)
    p, t = (0, P, 14, 16, 18, 0.9), (0, T, 90, 95, 100, 0.9)
    assert [row[1] for row in kept([qrs], [p, t], p_blanking=5, reach=77)] == [QRS, T]
    assert [row[1] for row in kept([qrs], [p, t], p_blanking=5, reach=76)] == [QRS, P, T]


def test_no_p_between_a_qrs_and_its_t_of_another_window() -> None:
    qrs: Row = (0, QRS, 0, 5, 10, 0.9)
    p: Row = (0, P, 14, 16, 18, 0.9)
    t: Row = (0, T, 30, 35, 40, 0.9)
    assert [row[1] for row in kept([qrs], [p, t], p_blanking=5)] == [QRS, T]
    assert [row[1] for row in kept([qrs, p], [t], p_blanking=5)] == [QRS, T]
    assert [row[1] for row in kept([qrs], [p, t], p_blanking=4)] == [QRS, P, T]
    assert [row[1] for row in kept([qrs], [p], p_blanking=5)] == [QRS, P]
    # One window has decided by borders of its own.
    assert [row[1] for row in kept([qrs, p, t], [(0, QRS, 90, 95, 99, 0.9)], p_blanking=5)] == [QRS, P, T, QRS]


def test_complexes_of_two_windows_keep_their_distance() -> None:
    first: Row = (0, QRS, 0, 5, 10, 0.8)
    second: Row = (0, QRS, 12, 15, 20, 0.9)
    assert [row[2] for row in kept([first], [second], refractory=11)] == [12]
    assert [row[2] for row in kept([first], [second], refractory=10)] == [0, 12]
    assert [row[2] for row in kept([first, second], [(1, *second[1:])], refractory=11)] == [0, 12, 12]
