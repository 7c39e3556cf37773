"""The dense loss: equal to NT-Xent, exact in its limits, and float32 under autocast."""

import math

import pytest
import torch

from beatssl_sklearn.contrast.infonce import soft_infonce, unit_rows
from beatssl_sklearn.contrast.record_targets import hard_targets, rhythm_targets, soft_targets


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def uniform(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(7))


def test_hard_targets_are_nt_xent():
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    z = normal(16, 5).requires_grad_()
    expected = losses.NTXentLoss(temperature=0.1)(z, torch.arange(8).repeat(2))
    for targets in (hard_targets(8), soft_targets(uniform(8, 8), 0.0), rhythm_targets("hard", n_records=8).weights):
        found = soft_infonce(z, targets, 0.1)
        torch.testing.assert_close(found.loss, expected)
        torch.testing.assert_close(found.kl, expected)
    (theirs,) = torch.autograd.grad(expected, z)
    (ours,) = torch.autograd.grad(found.loss, z)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("groups", "expected"), [([0, 1, 2, 3], 6.039627), ([0, 0, 1, 2], 10.562041)], ids=["records", "patients"]
)
def test_cross_view_only_by_known_numbers(groups, expected):
    first = torch.sin(torch.arange(12.0) + 1).reshape(4, 3)
    second = torch.cos(0.7 * torch.arange(12.0)).reshape(4, 3)
    same = (torch.tensor(groups)[:, None] == torch.tensor(groups)).float()
    same = same / same.sum(1, keepdim=True)
    zero = torch.zeros(4, 4)
    targets = torch.cat([torch.cat([zero, same], 1), torch.cat([same, zero], 1)])
    within_view = torch.block_diag(torch.ones(4, 4), torch.ones(4, 4)).bool()
    assert soft_infonce(torch.cat([first, second]), targets, 0.1, within_view).loss.item() == pytest.approx(expected)


def test_gradient():
    z = normal(8, 3, dtype=torch.float64).requires_grad_()
    targets, excluded = rhythm_targets("soft", uniform(4, 4), 0.5, torch.tensor([0, 0, 1, 2]))
    assert torch.autograd.gradcheck(lambda z: soft_infonce(z, targets.double(), 0.3, excluded).loss, z)


def test_kl_is_zero_when_the_softmax_is_the_target():
    z = normal(10, 4)
    unit = torch.nn.functional.normalize(z, dim=1)
    own = torch.softmax((unit @ unit.T / 0.2).fill_diagonal_(-math.inf), dim=1)
    found = soft_infonce(z, own, 0.2)
    assert 0 <= found.kl < 1e-5
    assert found.loss.item() == pytest.approx(torch.special.entr(own).sum().item() / 10, rel=1e-4)
    for seed in range(5):
        assert soft_infonce(z, soft_targets(uniform(5, 5), 0.7), 0.2 + seed).kl >= 0


def test_excluded_pairs_do_not_matter():
    z = normal(8, 5)
    targets, excluded = rhythm_targets("soft", uniform(4, 4), 0.5, torch.tensor([0, 0, 1, 2]))
    moved = soft_infonce(z, targets, 0.1).loss
    loss = soft_infonce(z, targets, 0.1, excluded).loss
    assert loss < moved
    unit = torch.nn.functional.normalize(z, dim=1)
    logits = (unit @ unit.T / 0.1).masked_fill(excluded | torch.eye(8, dtype=torch.bool), -math.inf)
    by_hand = [(targets[i] * (logits[i].logsumexp(0) - logits[i]).nan_to_num(posinf=0)).sum() for i in range(8)]
    torch.testing.assert_close(loss, torch.stack(by_hand).mean())


def test_order_of_the_batch_does_not_matter():
    z, similarity = normal(12, 5), uniform(6, 6)
    groups = torch.tensor([0, 0, 1, 2, 2, 3])
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    targets, excluded = rhythm_targets("soft", similarity, 0.5, groups)
    permuted = rhythm_targets("soft", similarity[order][:, order], 0.5, groups[order])
    found = soft_infonce(z[torch.cat([order, order + 6])], permuted.weights, 0.1, permuted.excluded)
    torch.testing.assert_close(found, soft_infonce(z, targets, 0.1, excluded))


@pytest.mark.parametrize("m", [0, 1])
def test_nothing_to_compare(m):
    z = normal(m, 4).requires_grad_()
    found = soft_infonce(z, torch.zeros(m, m), 0.1)
    found.loss.backward()
    assert found.loss == 0 and found.kl == 0 and not z.grad.any()


def test_rows_of_zeros_are_no_anchors():
    z, targets = normal(12, 4), hard_targets(6)
    targets[3:5] = 0
    rest = [i for i in range(12) if i not in (3, 4)]
    each = [soft_infonce(z, torch.where(torch.arange(12)[:, None] == i, targets, 0.0), 0.1).loss for i in rest]
    torch.testing.assert_close(soft_infonce(z, targets, 0.1).loss, torch.stack(each).mean())


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_rows_of_zeros_get_no_gradient(dtype):
    z = torch.tensor([[0, 0], [3, 4], [1e-7, 0], [math.nan, 1]], dtype=dtype, requires_grad=True)
    unit = unit_rows(z)
    assert unit.dtype == torch.promote_types(dtype, torch.float32)
    torch.testing.assert_close(unit[:3].float(), torch.tensor([[0, 0], [0.6, 0.8], [0, 0]]))
    assert unit[3].isnan().all(), "what is no number must be seen"
    (gradient,) = torch.autograd.grad(unit[:3].sum(), z)
    assert not gradient[[0, 2]].any()
    torch.testing.assert_close(gradient[1].float(), torch.tensor([0.032, -0.024]), rtol=1e-2, atol=0)


def test_no_anchor_and_all_pairs_excluded():
    z = normal(12, 4).requires_grad_()
    found = soft_infonce(z, torch.zeros(12, 12), 0.1, torch.ones(12, 12, dtype=torch.bool))
    (gradient,) = torch.autograd.grad(found.loss, z)
    assert found.loss == 0 and not gradient.any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_float32_under_autocast(dtype):
    z = normal(12, 16).to(dtype)
    targets, excluded = rhythm_targets("soft", uniform(6, 6), 0.5, torch.tensor([0, 0, 1, 2, 2, 3]))
    with torch.autocast("cpu", dtype=dtype):
        found = soft_infonce(z, targets, 0.1, excluded)
    assert found == soft_infonce(z.float(), targets, 0.1, excluded) and found.loss.dtype == torch.float32


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_wrong_temperature_is_named(temperature):
    with pytest.raises(ValueError, match="temperature"):
        soft_infonce(normal(4, 2), hard_targets(2), temperature)


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"\(6, 6\)"):
        soft_infonce(normal(4, 2), hard_targets(3), 0.1)
