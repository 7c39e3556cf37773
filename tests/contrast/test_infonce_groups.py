"""InfoNCE with groups: stated values, and what it must do at the edges."""

import math

import numpy as np
import pytest
import torch

from beatssl_sklearn.contrast.infonce import soft_infonce
from beatssl_sklearn.contrast.infonce_groups import group_infonce

A = torch.sin(torch.arange(12.0) + 1).reshape(4, 3)
B = torch.cos(0.7 * torch.arange(12.0)).reshape(4, 3)


@pytest.mark.parametrize(
    ("groups", "reduction", "value"),
    [([0, 1, 2, 3], "rowmean", 6.039627), ([0, 0, 1, 2], "global", 10.256135), ([0, 0, 1, 2], "rowmean", 10.562041)],
)
def test_stated_values(groups, reduction, value):
    found = group_infonce(A, B, 0.1, torch.tensor(groups), reduction=reduction)
    assert float(found) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("reduction", ["rowmean", "global"])
@pytest.mark.parametrize("intra", [False, True])
def test_no_groups_are_groups_of_one(reduction, intra):
    alone = group_infonce(A, B, 0.1, reduction=reduction, intra_view_negatives=intra)
    apart = group_infonce(A, B, 0.1, torch.tensor([7, 2, 9, 4]), reduction=reduction, intra_view_negatives=intra)
    assert float(alone) == float(apart)


def test_negatives_of_the_same_view_make_nt_xent():
    z, n = torch.cat([A, B]), len(A)
    other = torch.eye(2 * n).roll(n, dims=1)
    found = group_infonce(A, B, 0.2, intra_view_negatives=True)
    assert float(found) == pytest.approx(float(soft_infonce(z, other, 0.2).loss), rel=1e-5)


def test_masked_groups_are_neither_positives_nor_negatives():
    groups = torch.tensor([0, 0, 1, 2])
    found = group_infonce(A, B, 0.1, groups, mask_same_group=True)
    logits = torch.nn.functional.normalize(A) @ torch.nn.functional.normalize(B).T / 0.1
    logits[0, 1] = logits[1, 0] = -math.inf
    expected = [torch.nn.functional.cross_entropy(side, torch.arange(4)) for side in (logits, logits.T)]
    assert float(found) == pytest.approx(float(sum(expected) / 2), rel=1e-5)


E, LOG = math.e, math.log
# Costs of pairs for the cosines [[1, 0, 0], [1, 0, 0], [0, 1, 1]] and a temperature of 1; items 0 and 1 are of one
# group. First nothing of the group is near, then item 1 of b to item 0 of a, but not the other way round.
APART = [LOG(E + 1) - 1, LOG(2), LOG(1 + 2 * E) - 1], [LOG(E + 1) - 1, LOG(1 + E), LOG(2 + E) - 1]
ONE_WAY = (
    [(LOG(E + 2) - 1, LOG(E + 2)), LOG(2), LOG(1 + 2 * E) - 1],
    [LOG(E + 1) - 1, (LOG(2 + E), LOG(2 + E)), LOG(2 + E) - 1],
)


@pytest.mark.parametrize(("near_01", "costs"), [(False, APART), (True, ONE_WAY)])
@pytest.mark.parametrize("reduction", ["rowmean", "global"])
def test_items_of_a_group_that_are_not_near_are_left_out(near_01, costs, reduction):
    x, y = torch.eye(2)
    near = torch.zeros(3, 3, dtype=torch.bool)
    near[0, 1] = near_01
    found = group_infonce(
        torch.stack([x, x, y]), torch.stack([x, y, y]), 1.0, torch.tensor([0, 0, 1]), near=near, reduction=reduction
    )
    sides = [[np.atleast_1d(cost) for cost in side] for side in costs]
    flat = [np.concatenate(side) for side in sides]
    expected = flat if reduction == "global" else [[cost.mean() for cost in side] for side in sides]
    assert float(found) == pytest.approx(np.mean([np.mean(side) for side in expected]), rel=1e-5)


@pytest.mark.parametrize("near", [False, True, None])
def test_items_that_are_not_near_are_not_pushed_apart(near):
    a, b = torch.zeros(2, 3, 3)
    # Only item 1 of b has a third coordinate.
    a[:, :2], b[:, :2], b[1] = A[:3, :2], B[:3, :2], torch.tensor([0.0, 0.0, 1.0])
    # Without groups, all are negatives.
    groups = None if near is None else torch.tensor([0, 0, 1])
    pairs = None if near is None else torch.full((3, 3), near)
    group_infonce(a.requires_grad_(), b, 0.1, groups, near=pairs).backward()
    toward = -float(a.grad[0, 2])
    assert toward == 0 if near is False else toward > 0 if near else toward < 0


@pytest.mark.parametrize("intra", [False, True])
def test_all_or_nothing_is_near(intra):
    groups, options = torch.tensor([0, 0, 1, 0]), {"intra_view_negatives": intra}
    near = torch.ones(4, 4, dtype=torch.bool)
    assert group_infonce(A, B, 0.1, groups, near=near, **options) == group_infonce(A, B, 0.1, groups, **options)
    masked = group_infonce(A, B, 0.1, groups, mask_same_group=True, **options)
    assert group_infonce(A, B, 0.1, groups, near=~near, **options) == masked
    with pytest.raises(ValueError, match=r"near must be bool of shape \(4, 4\), got torch.float32 \(4, 4\)"):
        group_infonce(A, B, 0.1, groups, near=near.float())


@pytest.mark.parametrize("a, groups", [(A[:1], None), (A, torch.zeros(4, dtype=torch.long)), (A[:0], None)])
def test_nothing_to_compare_is_zero_with_a_gradient(a, groups):
    a = a.clone().requires_grad_()
    found = group_infonce(a, a * 2, 0.1, groups)
    found.backward()
    assert float(found.detach()) == 0 and torch.equal(a.grad, torch.zeros_like(a))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((A, B[:3], 0.1), "one shape"),
        ((A, B, 0.0), "temperature"),
        ((A, B, 0.1, torch.zeros(3)), r"groups must have shape \(4,\)"),
    ],
)
def test_what_cannot_be_compared(arguments, message):
    with pytest.raises(ValueError, match=message):
        group_infonce(*arguments)
    with pytest.raises(ValueError, match="reduction must be one of rowmean, global, got 'sum'"):
        group_infonce(A, B, 0.1, reduction="sum")


def test_the_gradient_reaches_both_views_under_autocast():
    a, b = (x.clone().requires_grad_() for x in (A, B))
    with torch.autocast("cpu", torch.bfloat16):
        found = group_infonce(a, b, 0.1)
    found.backward()
    assert found.dtype == torch.float32
    assert all(x.grad.abs().sum() > 0 for x in (a, b))
