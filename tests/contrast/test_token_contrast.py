"""The local loss: a stated value, and what it must do at the edges."""

import math

import pytest
import torch

from beatssl_sklearn.contrast.token_contrast import token_contrast


def test_a_stated_value():
    """One token with three negatives: only its own row of the loss has that value."""
    c = torch.tensor([1.0, 2.0, 3.0])
    targets = torch.tensor([[1.0, 1.0, 2.0], [0.0, 1.0, 0.0], [1.0, 0.0, -1.0], [-1.0, 2.0, 1.0]])
    context = torch.stack([c, *targets[1:]])
    negatives = torch.ones(1, 4, 4, dtype=torch.bool)
    # The other rows have no negatives, so that their loss is 0.
    negatives[0, 1:] = False
    found = token_contrast(context[None], targets[None], 0.1, negatives)
    assert 4 * float(found) == pytest.approx(0.0481029, rel=1e-4)


def test_chance_is_the_logarithm_of_the_number_of_tokens():
    targets = torch.nn.functional.normalize(torch.randn(64, 5, 256, generator=torch.Generator().manual_seed(0)), dim=2)
    context = torch.randn(64, 5, 256, generator=torch.Generator().manual_seed(1))
    assert float(token_contrast(context, targets, 1.0)) == pytest.approx(math.log(5), abs=0.02)


def test_a_negative_that_equals_the_target_counts_as_none():
    targets = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]])
    context = torch.tensor([[[2.0, 0.1], [1.0, 0.0], [0.0, 1.0]]])
    twice = token_contrast(context, targets, 1.0)
    logits = torch.nn.functional.normalize(context[0], dim=1) @ torch.eye(2)
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 0, 1]), reduction="none")
    # The third token is told from two equal ones.
    expected[2] = torch.logsumexp(torch.tensor([1.0, 0.0, 0.0]), 0) - 1.0
    assert float(twice) == pytest.approx(float(expected.mean()), rel=1e-5)


@pytest.mark.parametrize("shape", [(0, 4, 3), (3, 1, 3), (3, 0, 3)])
def test_too_few_tokens_give_zero_with_a_gradient(shape):
    context = torch.ones(shape).requires_grad_()
    loss = token_contrast(context, torch.ones(shape), 0.1)
    loss.backward()
    assert float(loss.detach()) == 0 and not context.grad.any()


def test_what_cannot_be_compared():
    with pytest.raises(ValueError, match="one shape"):
        token_contrast(torch.ones(2, 3, 4), torch.ones(2, 3, 5), 0.1)
    with pytest.raises(ValueError, match="temperature"):
        token_contrast(torch.ones(2, 3, 4), torch.ones(2, 3, 4), -1.0)
