"""Where a lead has no signal, and what becomes of probabilities there."""

from __future__ import annotations

import numpy as np
import pytest

from beatssl_sklearn.segmentation.dead import dead_stretches, silence

FS = 100.0


def alive(n_times: int = 1000) -> np.ndarray:
    return np.sin(np.arange(2 * n_times) * 0.7).astype(np.float32).reshape(1, 2, n_times)


def stretches(signal: np.ndarray, fs: float = FS) -> list[tuple[int, int, int]]:
    """Lead, first and last sample of each stretch of the first record in which a lead shows no waves."""
    return edges_of(dead_stretches(signal, fs).silent)


def edges_of(mask: np.ndarray | None) -> list[tuple[int, int, int]]:
    if mask is None:
        return []
    found = []
    for lead, row in enumerate(mask[0]):
        edges = np.flatnonzero(np.diff(row, prepend=False, append=False)).reshape(-1, 2)
        found += [(lead, int(a), int(b) - 1) for a, b in edges]
    return found


@pytest.mark.parametrize(("value", "shortest"), [(np.nan, 20), (0.25, 60), (0.0, 60)])
@pytest.mark.parametrize("first", [0, 333, 940])
def test_missing_and_constant_stretches_of_a_length(value: float, shortest: int, first: int) -> None:
    for length, expected in ((shortest - 1, []), (shortest, [(1, first, first + shortest - 1)])):
        signal = alive()
        signal[0, 1, first : first + length] = value
        assert stretches(signal) == expected
    assert stretches(alive()) == []


@pytest.mark.parametrize(("value", "shortest"), [(np.nan, 20), (0.25, 30)])
@pytest.mark.parametrize("first", [0, 333])
def test_a_lead_is_mute_in_shorter_stretches_of_one_value(value: float, shortest: int, first: int) -> None:
    for length, expected in ((shortest - 1, []), (shortest, [(1, first, first + shortest - 1)])):
        signal = alive()
        signal[0, 1, first : first + length] = value
        assert edges_of(dead_stretches(signal, FS).mute) == expected
    quiet = alive()
    quiet[0, 1] = np.random.default_rng(0).uniform(-0.005, 0.005, 1000)
    dead = dead_stretches(quiet, FS)
    assert edges_of(dead.mute) == edges_of(dead.silent) == [(1, 0, 999)]


@pytest.mark.parametrize("fs", [50.0, 257.0, 2000.0])
def test_lengths_are_times(fs: float) -> None:
    signal, n = alive(int(3 * fs)), round(0.6 * fs)
    signal[0, 0, 10 : 10 + n] = 1
    assert stretches(signal, fs) == [(0, 10, 9 + n)]
    signal[0, 0, 10] = 0
    assert stretches(signal, fs) == []


def test_a_lead_with_the_noise_of_an_amplifier() -> None:
    noise = np.random.default_rng(0).uniform(-0.005, 0.005, 1000).astype(np.float32)
    signal = alive()
    signal[0, 1] = noise
    assert stretches(signal) == [(1, 0, 999)]
    # Pieces of .25 s: what is alive until 5.1 s leaves those from 5.25 s on.
    signal[0, 1, :510] = alive()[0, 1, :510]
    assert stretches(signal) == [(1, 525, 999)]
    signal[0, 1] = 2 * noise
    assert stretches(signal) == []
    # Alone, or in volts, a record is small as a whole.
    signal[0, 1] = noise
    assert stretches(signal[:, 1:]) == [] and stretches(1e-3 * alive()) == []


def test_a_wave_ends_with_the_signal_or_is_none() -> None:
    label = np.zeros(40, np.int64)
    label[5:15], label[20:29], label[32:36] = 1, 2, 3
    proba = np.eye(4, dtype=np.float32)[label].T.copy()
    dead = np.zeros(40, bool)
    # Five of ten samples of P are lost, five of nine of QRS, and all of T.
    dead[10:25], dead[31:] = True, True
    silence(proba, dead)
    assert np.flatnonzero(proba.argmax(axis=0)).tolist() == [5, 6, 7, 8, 9]
    np.testing.assert_array_equal(proba.sum(axis=0), 1)
