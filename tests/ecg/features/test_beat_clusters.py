"""Clusters of beats by shape."""

import numpy as np
import pytest

from beatssl_sklearn.ecg.features.beat_clusters import cluster_beats, qrs_shapes, shape_correlation, shape_norms

N_GRID, ROOM = 25, 4
GAINS = {"N": np.array([0.3, 1.0, -0.5]), "V": np.array([1.2, -0.9, 0.8])}
WIDTHS = {"N": 1.4, "V": 3.5}


def shape(kind, shift=0, offset=0.0):
    """One beat (3, 33) at 100 Hz whose R peak lies `shift` samples off."""
    s = (np.arange(N_GRID + 2 * ROOM) - 14 - shift) / WIDTHS[kind]
    return np.outer(GAINS[kind], np.exp(-0.5 * s**2) - 0.4 * np.exp(-0.5 * (s - 2.5) ** 2)) + offset


def shapes_of(kinds, noise=0.003, seed=0):
    rng = np.random.default_rng(seed)
    beats = np.stack([shape(kind) for kind in kinds])
    return (beats + rng.normal(0, noise, beats.shape)).astype(np.float32)


def test_shapes_are_cut_at_100_hz():
    fs, r = 500.0, np.array([200, 500, 900])
    x = np.sin(2 * np.pi * 2 * np.arange(1200) / fs)[None].repeat(2, axis=0).astype(np.float32)
    found = qrs_shapes(x, r, fs)
    assert found.shape == (3, 2, 33) and found.dtype == np.float32
    t = r[:, None] / fs + np.arange(-14, 19) / 100
    np.testing.assert_allclose(found[:, 0, 1:-1], np.sin(2 * np.pi * 2 * t)[:, 1:-1], atol=0.01)
    assert qrs_shapes(x, r[:0], fs).shape == (0, 2, 33)


@pytest.mark.parametrize("shift", [-4, -1, 0, 3])
def test_correlation_finds_the_shift_of_a_beat(shift):
    template = shape("N")[:, ROOM:-ROOM]
    template = (template - template.mean(axis=1, keepdims=True)).astype(np.float32)
    beats = np.stack([shape("N", shift, offset=40.0), 3 * shape("N", shift), shape("V", shift)]).astype(np.float32)
    correlation, found = shape_correlation(beats, template)
    assert found[:2].tolist() == [ROOM + shift] * 2
    np.testing.assert_allclose(correlation[:2], 1, atol=1e-3)
    assert correlation[2] < 0.5
    np.testing.assert_array_equal(shape_correlation(beats, template, shape_norms(beats, N_GRID))[0], correlation)
    assert shape_correlation(np.ones_like(beats[:1]), template)[0] == -1


def test_clusters_come_by_size_and_leftovers_stand_alone():
    shapes = shapes_of("NNVNNVNNNVNN")
    shapes[10] = np.random.default_rng(1).normal(0, 1, shapes[10].shape)
    cluster, templates = cluster_beats(shapes)
    assert np.bincount(cluster).tolist() == [8, 3, 1] and templates.shape == (3, 3, N_GRID)
    assert cluster[10] == 2 and (cluster[[2, 5, 9]] == 1).all()
    np.testing.assert_allclose(templates.mean(axis=2), 0, atol=1e-6)
    alone, _ = cluster_beats(shapes, max_clusters=1)
    assert len(np.unique(alone)) == 5
    correlation, _ = shape_correlation(shapes, templates[0])
    assert (correlation[cluster == 0] >= 0.9).all() and (correlation[cluster != 0] < 0.9).all()


def test_shifted_beats_are_one_cluster():
    shapes = np.stack([shape("N", shift) for shift in (0, 2, -3, 1, 0, -1)]).astype(np.float32)
    cluster, templates = cluster_beats(shapes)
    assert not cluster.any()
    expected = shape("N")[:, ROOM:-ROOM]
    np.testing.assert_allclose(templates[0], expected - expected.mean(axis=1, keepdims=True), atol=0.05)


def test_the_most_typical_beat_leads_where_the_median_is_like_no_beat():
    rng = np.random.default_rng(2)
    shapes = rng.normal(0, 1, (9, 3, N_GRID + 2 * ROOM)).astype(np.float32)
    shapes[[1, 4, 7]] = shapes_of("VVV")
    cluster, _ = cluster_beats(shapes)
    assert (cluster[[1, 4, 7]] == 0).all() and len(np.unique(cluster)) == 7


def test_no_beats():
    cluster, templates = cluster_beats(np.empty((0, 3, N_GRID + 2 * ROOM), np.float32))
    assert cluster.shape == (0,) and cluster.dtype == np.int64 and templates.shape == (0, 3, N_GRID)
