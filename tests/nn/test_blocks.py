"""Layers, pooling and initialisation."""

import pytest
import torch
from torch import nn

from beatssl_sklearn.nn.blocks import (
    ConvNorm,
    ResidualBlock,
    fold_tokens,
    init_weights,
    pad_times,
    pool_tokens,
    to_image,
    to_tokens,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_he_initialisation():
    layer = init_weights(ConvNorm(48, 96, 9), generator())
    weight = layer.conv.weight
    assert weight.std().item() == pytest.approx((2 / weight[0].numel()) ** 0.5, rel=0.02)
    bias = init_weights(nn.Linear(4, 3), generator()).bias
    assert not bias.any()


def test_init_weights_rejects_what_it_does_not_know():
    with pytest.raises(TypeError, match="PReLU"):
        init_weights(nn.Sequential(nn.PReLU()), generator())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pool_and_its_gradient(dtype):
    e = torch.randn(3, 9, 5, generator=generator()).relu().to(dtype).requires_grad_()
    deviation = (e.float().var(1, unbiased=False) + 1e-4).sqrt()
    expected = torch.cat([e.float().mean(1), e.float().amax(1), deviation], dim=1)
    up = torch.randn(expected.shape, generator=generator(1))
    (grad,) = torch.autograd.grad(pool_tokens(e), e, up)
    (grad_expected,) = torch.autograd.grad(expected, e, up)
    torch.testing.assert_close(pool_tokens(e), expected)
    # In bfloat16 the gradient is added up from rounded parts.
    rounding = {"rtol": 2e-2, "atol": 1e-2} if dtype == torch.bfloat16 else {}
    torch.testing.assert_close(grad, grad_expected, **rounding)


def test_fold_tokens_is_a_view():
    tokens = torch.randn(2, 8, 3, generator=generator())
    folded = to_tokens(fold_tokens(to_image(tokens), 4))
    assert folded.data_ptr() == tokens.data_ptr()
    assert torch.equal(folded, tokens.reshape(2, 2, 12))


@pytest.mark.parametrize("shape", [(2, 100), (2, 12, 100), (2, 0, 12), (2, 100, 8)])
def test_wrong_shape_is_named(shape):
    with pytest.raises(ValueError, match=r"n_times >= 1, 12"):
        pad_times(torch.zeros(shape), 16)


def test_zeros_are_padded_on_the_right():
    x = torch.randn(2, 30, 12, generator=generator())
    padded = pad_times(x, 16)
    assert padded.shape == (2, 32, 12) and torch.equal(padded[:, :30], x) and not padded[:, 30:].any()
    assert pad_times(x[:, :16], 16).shape == (2, 16, 12)


@pytest.mark.parametrize("pair", [False, True])
def test_a_residual_block_is_its_convolutions_and_a_skip(pair):
    block = init_weights(ResidualBlock(6, 8, 5, pair=pair), generator()).eval()
    x = to_image(torch.randn(2, 32, 6, generator=generator()))
    folded = fold_tokens(x, 2) if pair else x
    convolved = block.conv2.norm(block.conv2.conv(block.conv1(folded)))
    expected = torch.relu(convolved + block.skip(folded))
    torch.testing.assert_close(block(x), expected)
    assert to_tokens(expected).shape == (2, 16 if pair else 32, 8)
