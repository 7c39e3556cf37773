"""Rank, alignment and uniformity of embeddings."""

import pytest
import torch

from beatssl_sklearn.contrast.diagnostics import alignment, effective_rank, uniformity


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(50, 8), (8, 50)])
def test_effective_rank(shape):
    singular = torch.linalg.svdvals(normal(*shape).double())
    share = singular / singular.sum()
    expected = torch.exp(-(share * share.log()).sum()).item()
    assert effective_rank(normal(*shape)).item() == pytest.approx(expected, rel=1e-6)


def test_effective_rank_limits():
    assert effective_rank(torch.eye(6)).item() == pytest.approx(6)
    assert effective_rank(normal(40, 1) @ normal(1, 20)).item() == pytest.approx(1, abs=1e-3)
    assert effective_rank(torch.zeros(5, 3)) == 0 and effective_rank(torch.zeros(0, 3)) == 0


def test_alignment_and_uniformity():
    z = normal(40, 6)
    assert alignment(z, 2 * z).item() == pytest.approx(0, abs=1e-10)
    assert alignment(z, -z).item() == pytest.approx(4)
    pairs = torch.pdist(torch.nn.functional.normalize(z.double(), dim=1)) ** 2
    expected = torch.exp(-2 * pairs).mean().log().item()
    assert uniformity(z).item() == pytest.approx(expected, rel=1e-5)
    assert uniformity(z, chunk=7).item() == pytest.approx(expected, rel=1e-5)
    assert uniformity(torch.ones(5, 3)).item() == pytest.approx(0, abs=1e-5)
    assert uniformity(torch.ones(1, 3)) == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_same_under_autocast(dtype):
    z = normal(60, 16).to(dtype)
    expected = effective_rank(z), uniformity(z), alignment(z, z.flip(0))
    with torch.autocast("cpu", dtype=dtype):
        assert (effective_rank(z), uniformity(z), alignment(z, z.flip(0))) == expected
