"""Targets of records: hard, soft and published, with and without patients."""

import math

import pytest
import torch

from beatssl_sklearn.contrast.record_targets import hard_targets, paper_targets, rhythm_targets, soft_targets

N = 6


@pytest.fixture
def similarity():
    return torch.rand(N, N, generator=torch.Generator().manual_seed(0)) * 0.9


def assert_targets(targets, n=N):
    assert targets.shape == (2 * n, 2 * n) and targets.dtype == torch.float32
    assert not targets.diagonal().any() and (targets >= 0).all()
    torch.testing.assert_close(targets.sum(1), torch.ones(2 * n))


def test_hard():
    targets = hard_targets(3)
    assert_targets(targets, 3)
    assert targets.argmax(1).tolist() == [3, 4, 5, 0, 1, 2]


def test_soft_by_hand():
    similarity = torch.tensor([[9.0, 1.0, 3.0], [2.0, 9.0, 2.0], [0.0, 1.0, 9.0]])
    targets = soft_targets(similarity, 0.4)
    assert_targets(targets, 3)
    first = torch.tensor([0.0, 0.05, 0.15, 0.6, 0.05, 0.15])
    torch.testing.assert_close(targets[0], first)
    torch.testing.assert_close(targets[3], first.roll(3))


def test_soft_limits(similarity):
    hard = hard_targets(N)
    assert torch.equal(soft_targets(similarity, 0.0), hard)
    sharp = (similarity.fill_diagonal_(1.0)) ** math.inf
    assert torch.equal(soft_targets(sharp, 0.5), hard)
    assert not soft_targets(similarity, 1.0).diagonal(N).any()
    assert torch.equal(soft_targets(torch.ones(1, 1), 0.5), hard_targets(1))


def test_paper_by_hand():
    similarity = torch.tensor([[1.0, 0.5], [0.5, 1.0]])
    torch.testing.assert_close(paper_targets(similarity, 2.0)[0], torch.tensor([0.0, 0.25, 1.0, 0.25]) / 1.5)


def test_paper_limits(similarity):
    assert_targets(paper_targets(similarity))
    assert torch.equal(paper_targets(similarity, math.inf), hard_targets(N))
    torch.testing.assert_close(paper_targets(similarity, 1e6), hard_targets(N))


def same_patient(groups):
    """Pairs of views of different records of one patient."""
    return (groups[:, None] == groups).fill_diagonal_(False).repeat(2, 2)


def test_records_of_one_patient_are_excluded(similarity):
    excluded = rhythm_targets("soft", similarity[:3, :3], 0.5, torch.tensor([7, 3, 7])).excluded
    assert torch.equal(excluded, excluded.T) and excluded.sum() == 8
    assert excluded[0].tolist() == [False, False, True, False, False, True]


@pytest.mark.parametrize("kind", ["hard", "soft", "paper"])
@pytest.mark.parametrize("same_group", ["mask", "positive"])
def test_groups(kind, same_group, similarity):
    groups = torch.tensor([0, 0, 1, 2, 2, 2])
    targets, excluded = rhythm_targets(kind, similarity, 0.5, groups, same_group)
    assert_targets(targets)
    same = same_patient(groups)
    if same_group == "mask":
        assert torch.equal(excluded, same) and not targets[same].any()
    else:
        assert excluded is None and (targets[same] > 0).all()
    if kind == "soft":
        other_view = targets.diagonal(N)
        expected = torch.tensor([1.0, 1, 1, 1, 1, 1] if same_group == "mask" else [1 / 3, 1 / 3, 1, 0.2, 0.2, 0.2])
        torch.testing.assert_close(other_view, expected / 2)


@pytest.mark.parametrize("kind", ["hard", "soft", "paper"])
@pytest.mark.parametrize("same_group", ["mask", "positive"])
def test_groups_of_one_change_nothing(kind, same_group, similarity):
    plain = rhythm_targets(kind, similarity, 0.5)
    grouped = rhythm_targets(kind, similarity, 0.5, torch.arange(N), same_group)
    assert torch.equal(plain.weights, grouped.weights)
    assert plain.excluded is None and (grouped.excluded is None or not grouped.excluded.any())


def test_one_patient_only(similarity):
    groups = torch.zeros(N, dtype=torch.int64)
    for kind in ("hard", "soft", "paper"):
        assert torch.equal(rhythm_targets(kind, similarity, 0.5, groups).weights, hard_targets(N))


@pytest.mark.parametrize("kind", ["hard", "soft", "paper"])
@pytest.mark.parametrize("same_group", ["mask", "positive"])
def test_order_of_the_batch_does_not_matter(kind, same_group, similarity):
    order = torch.randperm(N, generator=torch.Generator().manual_seed(1))
    views = torch.cat([order, order + N])
    groups = torch.tensor([0, 0, 1, 2, 2, 2])
    plain = rhythm_targets(kind, similarity, 0.5, groups, same_group).weights
    permuted = rhythm_targets(kind, similarity[order][:, order], 0.5, groups[order], same_group).weights
    torch.testing.assert_close(permuted, plain[views][:, views])


def test_inputs_are_not_changed(similarity):
    before = similarity.clone()
    for kind in ("hard", "soft", "paper"):
        rhythm_targets(kind, similarity, 0.5, torch.zeros(N, dtype=torch.int64), "positive")
        rhythm_targets(kind, similarity)
    assert torch.equal(similarity, before)


def test_hard_without_similarity():
    assert torch.equal(rhythm_targets("hard", n_records=3).weights, hard_targets(3))
    assert torch.equal(rhythm_targets("hard", groups=torch.arange(3)).weights, hard_targets(3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("firm",), "'firm'"),
        (("hard", None, 0.5, None, "drop"), "'drop'"),
        (("soft",), "similarity"),
        (("hard",), "n_records"),
        (("soft", torch.ones(2, 2), 1.5), "1.5"),
        (("soft", torch.ones(2, 3)), r"\(2, 3\)"),
        (("soft", torch.ones(2, 2), 0.5, torch.zeros(3)), r"groups must be \(2,\)"),
    ],
)
def test_errors_name_the_parameter(arguments, message):
    with pytest.raises(ValueError, match=message):
        rhythm_targets(*arguments)
    with pytest.raises(ValueError, match="exponent"):
        paper_targets(torch.ones(2, 2), 0.0)
