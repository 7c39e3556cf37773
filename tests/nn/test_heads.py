"""Projectors and feature predictors."""

import pytest
import torch

from beatssl_sklearn.nn.heads import build_predictor, build_projector


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("build", [lambda g: build_projector(6, 16, 8, g), lambda g: build_predictor(6, 8, g)])
def test_heads_are_seeded_and_float32(build):
    before = torch.random.get_rng_state()
    head, twin, other = build(generator(1)), build(generator(1)), build(generator(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    h = torch.randn(5, 6, generator=generator())
    assert torch.equal(head(h), twin(h)) and not torch.equal(head(h), other(h))
    with torch.autocast("cpu", torch.bfloat16):
        z = head(h.bfloat16())
    assert z.shape == (5, 8) and z.dtype == torch.float32
    z.sum().backward()
    assert all(p.grad is not None for p in head.parameters())


@pytest.mark.parametrize("shape", [(0, 6), (1, 6), (4, 3, 6)])
def test_projection_of_one_row_does_not_depend_on_the_others(shape):
    head = build_projector(6, 16, 8, generator())
    h = torch.randn(shape, generator=generator(1))
    z = head(h)
    assert z.shape == (*shape[:-1], 8)
    if len(h):
        torch.testing.assert_close(head(h[:1]), z[:1])


@pytest.mark.parametrize("widths", [(0, 4, 4), (4, 0, 4), (4, 4, -1)])
def test_wrong_widths_are_named(widths):
    with pytest.raises(ValueError, match="n_in|n_hidden|projection_dim"):
        build_projector(*widths, generator())


def test_predictor_needs_a_feature():
    with pytest.raises(ValueError, match="n_features"):
        build_predictor(4, 0, generator())
