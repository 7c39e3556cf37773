"""Distances, similarities, and bandwidths that bring a perplexity."""

import math

import pytest
import torch

from beatssl_sklearn.contrast.similarity import (
    calibrate_bandwidth,
    cosine_similarity,
    rbf_similarity,
    squared_distances,
)


@pytest.fixture
def table():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(40, 6, generator=generator)
    present = torch.rand(40, 6, generator=generator) < 0.8
    weights = torch.rand(6, generator=generator)
    return features, present, weights / weights.sum()


def perplexity_of(d2, bandwidth):
    kernel = rbf_similarity(d2.double(), bandwidth.double())
    kernel = kernel / kernel.sum(1, keepdim=True)
    return torch.special.entr(kernel).sum(1).exp()


def test_distances_are_the_formula(table):
    features, present, weights = table
    d2 = squared_distances(*table)
    for i, j in [(0, 1), (5, 5), (7, 30), (39, 2)]:
        both = (present[i] & present[j]).double() * weights
        expected = (both * (features[i] - features[j]).double() ** 2).sum() / both.sum()
        assert d2[i, j].item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-6)
    torch.testing.assert_close(d2, d2.T, rtol=0, atol=1e-5)


def test_missing_values_do_not_matter(table):
    features, present, weights = table
    junk = torch.where(present, features, torch.tensor(math.nan))
    assert torch.equal(squared_distances(junk, present, weights), squared_distances(*table))
    assert torch.equal(cosine_similarity(junk, present, weights), cosine_similarity(*table))


def test_no_overlap_is_infinitely_far(table):
    features, present, weights = table
    present[0], present[1] = torch.arange(6) < 3, torch.arange(6) >= 3
    present[2] = False
    d2 = squared_distances(features, present, weights)
    assert d2[0, 1] == math.inf and d2[2].eq(math.inf).all() and d2[0, 0] < 1e-6
    assert cosine_similarity(features, present, weights)[2].eq(0).all()
    assert rbf_similarity(d2, torch.ones(40))[2].eq(0).all()


def test_reference_is_a_part_of_the_whole(table):
    features, present, weights = table
    for measure in (squared_distances, cosine_similarity):
        whole = measure(features, present, weights)
        part = measure(features[:5], present[:5], weights, reference=features[7:], reference_present=present[7:])
        torch.testing.assert_close(part, whole[:5, 7:])
    with pytest.raises(ValueError, match="together"):
        squared_distances(*table, features)


def test_cosine(table):
    features, _, weights = table
    everything = torch.ones(40, 6, dtype=torch.bool)
    scaled = features * weights.sqrt()
    expected = torch.nn.functional.cosine_similarity(scaled[:, None], scaled[None], dim=2).clamp(min=0)
    torch.testing.assert_close(cosine_similarity(features, everything, weights), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        cosine_similarity(features, everything, weights, 50.0), expected**50, rtol=1e-3, atol=1e-4
    )
    with pytest.raises(ValueError, match="exponent"):
        cosine_similarity(*table, 0.0)


@pytest.mark.parametrize("batch_size", [32, 64, 256])
def test_bandwidth_brings_the_perplexity(batch_size):
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(600, 8, generator=generator)
    present = torch.rand(600, 8, generator=generator) < 0.9
    weights = torch.full((8,), 1 / 8)
    bandwidth = calibrate_bandwidth(features, present, weights, 10, batch_size)
    d2 = squared_distances(features, present, weights).fill_diagonal_(math.inf)
    expected = torch.full((600,), 10 * 599 / (batch_size - 1), dtype=torch.float64)
    torch.testing.assert_close(perplexity_of(d2, bandwidth), expected, rtol=2e-3, atol=0)


def test_perplexity_in_a_batch_does_not_depend_on_the_batch_size():
    generator = torch.Generator().manual_seed(2)
    features = torch.randn(3000, 6, generator=generator)
    present, weights = torch.ones(3000, 6, dtype=torch.bool), torch.full((6,), 1 / 6)
    for batch_size in (64, 256):
        bandwidth = calibrate_bandwidth(features, present, weights, 10, batch_size, generator=generator)
        found = []
        for _ in range(10):
            batch = torch.randperm(3000, generator=generator)[:batch_size]
            d2 = squared_distances(features[batch], present[batch], weights).fill_diagonal_(math.inf)
            found.append(perplexity_of(d2, bandwidth[batch]).median())
        assert 7 < torch.stack(found).mean() < 12


def test_reference_subset_and_its_generator():
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(300, 4, generator=generator)
    present, weights = torch.ones(300, 4, dtype=torch.bool), torch.full((4,), 0.25)
    drawn = [
        calibrate_bandwidth(
            features, present, weights, 8, 32, n_reference=100, generator=torch.Generator().manual_seed(s), chunk=77
        )
        for s in (0, 0, 1)
    ]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    rows = torch.arange(0, 300, 3)
    given = calibrate_bandwidth(features, present, weights, 8, 32, reference=rows)
    d2 = squared_distances(features, present, weights, features[rows], present[rows])
    outside = torch.arange(300) % 3 != 0
    perplexity = perplexity_of(d2[outside], given[outside])
    torch.testing.assert_close(perplexity, torch.full_like(perplexity, 8 * 100 / 31), rtol=2e-3, atol=0)
    assert calibrate_bandwidth(features, present, weights, 8, 32, n_reference=100).isfinite().all()


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_records(n):
    features = torch.randn(n, 4, generator=torch.Generator().manual_seed(0))
    present, weights = torch.ones(n, 4, dtype=torch.bool), torch.full((4,), 0.25)
    bandwidth = calibrate_bandwidth(features, present, weights, 10, 32)
    assert bandwidth.shape == (n,) and (bandwidth > 0).all()
    similarity = rbf_similarity(squared_distances(features, present, weights), bandwidth)
    assert similarity.isfinite().all()


def test_duplicates_and_unknown_records_give_finite_similarities():
    features = torch.zeros(20, 4)
    features[10:15] = 1.0
    present, weights = torch.ones(20, 4, dtype=torch.bool), torch.full((4,), 0.25)
    present[15:] = False
    bandwidth = calibrate_bandwidth(features, present, weights, 3, 20)
    assert bandwidth[15:].eq(math.inf).all() and bandwidth[:15].gt(0).all()
    similarity = rbf_similarity(squared_distances(features, present, weights), bandwidth)
    assert similarity[15:].eq(1).all()
    assert similarity[0, :10].eq(1).all() and similarity[:15, 15:].eq(0).all()
    assert similarity.isfinite().all()


def test_the_same_for_every_unit_of_the_features(table):
    features, present, weights = table
    plain = calibrate_bandwidth(features, present, weights, 5, 20)
    scaled = calibrate_bandwidth(features * 1000, present, weights, 5, 20)
    torch.testing.assert_close(scaled, plain * 1000, rtol=1e-3, atol=0)


def test_float32_under_autocast(table):
    expected = squared_distances(*table)
    cosine = cosine_similarity(*table)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(squared_distances(*table), expected)
        assert torch.equal(cosine_similarity(*table), cosine)


@pytest.mark.parametrize(
    ("wrong", "name"), [((0.0, 32), "perplexity"), ((10.0, 1), "batch_size"), ((math.nan, 32), "perplexity")]
)
def test_values_out_of_range_are_named(table, wrong, name):
    with pytest.raises(ValueError, match=name):
        calibrate_bandwidth(*table, *wrong)
