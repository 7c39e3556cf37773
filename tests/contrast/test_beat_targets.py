"""Targets of beats: which rows are positive, which pairs are left out."""

import math

import pytest
import torch

from beatssl_sklearn.contrast.beat_targets import HardBeatTargets, SoftBeatTargets
from beatssl_sklearn.contrast.infonce_chunked import chunked_infonce
from beatssl_sklearn.contrast.record_targets import hard_targets, soft_targets
from beatssl_sklearn.contrast.similarity import cosine_similarity

ROWS = ("hard", "hard, few", "hard, views only", "hard, all", "hard, patients", "rbf", "rbf, patients", "cosine")
N_BEATS = 30


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def dense(rows):
    targets, excluded = rows(slice(0, 2 * N_BEATS))
    return targets, excluded.expand_as(targets)


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_stochastic_and_noise_is_left_out(name, beats, target_rows):
    targets, excluded = dense(target_rows[name])
    noise = (beats["type"] < 0).repeat(2) if name != "cosine" else torch.zeros(2 * N_BEATS, dtype=torch.bool)
    torch.testing.assert_close(targets.sum(1), (~noise).float())
    assert not targets.diagonal().any() and (targets >= 0).all()
    assert not targets[excluded].any() and excluded[:, noise].all()
    assert not excluded[~noise][:, ~noise].diagonal().any()


@pytest.mark.parametrize("name", ROWS)
def test_rows_do_not_depend_on_the_slice(name, target_rows):
    targets, excluded = dense(target_rows[name])
    part, left_out = target_rows[name](slice(23, 41))
    assert torch.equal(part, targets[23:41]) and torch.equal(left_out.expand_as(part), excluded[23:41])


@pytest.mark.parametrize("name", ["hard", "hard, all"])
def test_positives_of_a_record(name, beats, target_rows):
    targets, _ = dense(target_rows[name])
    record, cluster, noise = beats["record"], beats["cluster"], beats["type"] < 0
    together = (record[:, None] == record) & (cluster[:, None] == cluster) & ~noise[:, None] & ~noise
    expected = together.repeat(2, 2).fill_diagonal_(False).float()
    expected = expected / expected.sum(1, keepdim=True).clamp(min=1)
    torch.testing.assert_close(targets, expected)


@pytest.mark.parametrize(("name", "cap"), [("hard, few", 2), ("hard, views only", 0)])
def test_cap_is_kept_exactly(name, cap, beats, target_rows):
    targets, _ = dense(target_rows[name])
    kind = beats["record"] * 2 + beats["cluster"]
    valid = beats["type"] >= 0
    for beat in valid.nonzero()[:, 0].tolist():
        others = (valid & (kind == kind[beat])).sum().item() - 1
        positives = targets[beat].nonzero()[:, 0]
        assert len(positives) == 2 * min(cap, others) + 1
        assert (kind.repeat(2)[positives] == kind[beat]).all() and beat + N_BEATS in positives


def test_capped_positives_are_spread_evenly():
    n = 600
    record, cluster = torch.zeros(n, dtype=torch.int64), torch.zeros(n, dtype=torch.int64)
    rows = HardBeatTargets(record, cluster, cluster, cap=8)
    others = rows(slice(0, 1))[0][0, :n].nonzero()[:, 0]
    assert len(others) == 8 and (others.diff() == 600 // 8 - 1).all()
    in_degree = (rows(slice(0, 2 * n))[0] > 0).sum(0)
    assert in_degree.eq(in_degree[0]).all()


def test_other_records_of_a_patient_are_no_negatives(beats, target_rows):
    record, patient = beats["record"].repeat(2), beats["patient"].repeat(2)
    elsewhere = (patient[:, None] == patient) & (record[:, None] != record)
    for name in ("hard, patients", "rbf, patients"):
        targets, excluded = dense(target_rows[name])
        assert excluded[elsewhere].all() and not targets[elsewhere].any()
        plain = dense(target_rows[name.partition(",")[0]])[1]
        assert torch.equal(excluded, plain | elsewhere)


def test_soft_beats_are_the_soft_targets_of_records(beats):
    features, present, weights = beats["features"]
    rows = SoftBeatTargets(features, present, weights, exponent=5.0, soft_fraction=0.4)
    similarity = cosine_similarity(features, present, weights, 5.0)
    torch.testing.assert_close(dense(rows)[0], soft_targets(similarity, 0.4))


def test_soft_beats_without_softness_are_one_hot(beats):
    for rows in (
        SoftBeatTargets(*beats["features"], beats["bandwidth"], soft_fraction=0.0),
        SoftBeatTargets(*beats["features"], exponent=math.inf),
    ):
        assert torch.equal(dense(rows)[0], hard_targets(N_BEATS))


def test_no_beat_at_all():
    none = torch.zeros(0, dtype=torch.int64)
    z = normal(0, 4).requires_grad_()
    for rows in (HardBeatTargets(none, none, none), SoftBeatTargets(normal(0, 3), normal(0, 3) > 0, torch.ones(3) / 3)):
        assert chunked_infonce(z, rows, 0.1).loss == 0


def test_one_beat_and_no_valid_beat():
    one = torch.zeros(1, dtype=torch.int64)
    for kind, expected in ((one, hard_targets(1)), (one - 1, torch.zeros(2, 2))):
        rows = HardBeatTargets(one, one, kind)
        assert torch.equal(rows(slice(0, 2))[0], expected)
        z = normal(2, 4).requires_grad_()
        found = chunked_infonce(z, rows, 0.1)
        found.loss.backward()
        assert found.loss.item() == pytest.approx(0, abs=1e-6) and z.grad.isfinite().all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda i, f: HardBeatTargets(i, i, i, cap=-1), "cap"),
        (lambda i, f: HardBeatTargets(i, i[:2], i), "cluster"),
        (lambda i, f: SoftBeatTargets(f, f > 0, f[0], soft_fraction=2.0), "soft_fraction"),
        (lambda i, f: SoftBeatTargets(f, f > 0, f[0], torch.ones(2)), "bandwidth"),
        (lambda i, f: SoftBeatTargets(f, f > 0, f[0], groups=i), "record_id"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make(torch.zeros(3, dtype=torch.int64), torch.ones(3, 4))
