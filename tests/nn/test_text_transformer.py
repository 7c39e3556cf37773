"""TextTransformer: padding, positions, masked words, and the mean of tokens."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from beatssl_sklearn.nn.blocks import init_weights
from beatssl_sklearn.nn.text_transformer import TextTransformer


def build(n_words=50, **params):
    sizes = {"n_dims": 16, "n_layers": 2, "n_heads": 2, "feed_forward": 32} | params
    return init_weights(TextTransformer(n_words, **sizes), torch.Generator().manual_seed(0)).eval()


def drawn_ids(n=3, n_ids=7):
    return torch.randint(4, 50, (n, n_ids), generator=torch.Generator().manual_seed(1))


def test_size_of_the_default():
    network = TextTransformer(1000)
    layer = 12 * 128**2 + 13 * 128
    assert sum(p.numel() for p in network.parameters()) == 1000 * 129 + 128 * 128 + 2 * layer + 2 * 128


def test_padding_changes_nothing():
    network, ids = build(), drawn_ids()
    padded = F.pad(ids, (0, 5))
    torch.testing.assert_close(network(padded)[:, :7], network(ids), rtol=1e-5, atol=1e-5)


def test_every_token_sees_the_others_and_their_order():
    network, ids = build(), drawn_ids(1)
    other = ids.clone()
    other[0, 6] = 4 + (other[0, 6] - 3) % 46
    assert (network(ids)[0, 0] != network(other)[0, 0]).any()
    swapped = ids[:, [0, 2, 1, 3, 4, 5, 6]]
    assert not torch.allclose(network(ids)[0, 0], network(swapped)[0, 0], atol=1e-6)


def test_logits_are_products_with_the_words_at_masked_positions():
    network, ids = build(), drawn_ids()
    masked = torch.zeros_like(ids, dtype=torch.bool)
    masked[0, 2] = masked[2, 5] = True
    with torch.no_grad():
        network.bias.copy_(torch.arange(50.0))
        states = network(ids)
        expected = torch.stack([states[0, 2], states[2, 5]]).numpy() @ network.words.numpy().T + np.arange(50)
        np.testing.assert_allclose(network.word_logits(states, masked).numpy(), expected, rtol=1e-5)


def test_words_are_learnt_as_input_and_as_output():
    network, ids = build(), drawn_ids()
    network.word_logits(network(ids), ids > 0).sum().backward()
    assert network.words.grad.abs().sum(1).all()
    network.zero_grad()
    network(ids).square().sum().backward()
    assert (network.words.grad.abs().sum(1) > 0).nonzero()[:, 0].tolist() == sorted(set(ids.flatten().tolist()))


def test_pool_is_the_mean_of_what_counts_or_the_first_state():
    network = build()
    states = torch.arange(24.0).reshape(2, 3, 4)
    counted = torch.tensor([[False, True, True], [False, False, False]])
    assert network.pool(states, counted).tolist() == [[6, 7, 8, 9], [12, 13, 14, 15]]


def test_weights_come_from_the_generator_alone():
    first, second = build().state_dict(), build().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert first["words"].std().item() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_heads": 3}, "n_heads must divide n_dims = 16, got 3"),
        ({"n_layers": 0}, "n_layers must be an integer from 1 to 48, got 0"),
        ({"n_words": True}, "n_words must be an integer"),
        ({"max_length": 10**6}, "max_length"),
    ],
)
def test_bad_parameters_are_named(params, message):
    with pytest.raises(ValueError, match=message):
        TextTransformer(**({"n_words": 10, "n_dims": 16} | params))


def test_too_long_a_text_is_refused():
    with pytest.raises(ValueError, match=r"ids must have shape \(n, n_ids <= 6\), got \(3, 7\)"):
        build(max_length=6)(drawn_ids())
