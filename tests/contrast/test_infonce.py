import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from beatssl_sklearn.contrast import (
    HardBeatTargets,
    SoftBeatTargets,
    alignment,
    calibrate_bandwidth,
    chunked_infonce,
    cosine_similarity,
    effective_rank,
    hard_targets,
    paper_targets,
    phase_contrast,
    rhythm_targets,
    soft_infonce,
    soft_targets,
    uniformity,
)

B = 30


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def uniform(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(7))


class AllocationWatch(TorchDispatchMode):
    """Largest tensor that any operator returns, and no operator that makes the host wait for a GPU."""

    forbidden = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "is_nonzero", "equal.default")

    def __init__(self):
        super().__init__()
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func)
        assert not any(word in name for word in self.forbidden), name
        if "aten.index" in name and isinstance(args[1], (list, tuple)):
            assert not any(i is not None and i.dtype == torch.bool for i in args[1]), name
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, torch.Tensor):
                self.largest = max(self.largest, tensor.numel())
        return out


@pytest.fixture
def beats():
    """30 beats of 5 records and 3 patients; one record of one beat, some noise."""
    generator = torch.Generator().manual_seed(4)
    record = torch.repeat_interleave(torch.arange(5), torch.tensor([10, 8, 7, 4, 1]))
    cluster = torch.randint(0, 2, (B,), generator=generator)
    kind = torch.where(torch.rand(B, generator=generator) < 0.15, -1, cluster * 2).to(torch.int8)
    features = torch.randn(B, 6, generator=generator)
    present = torch.rand(B, 6, generator=generator) < 0.8
    present[3] = False
    weights = torch.full((6,), 1 / 6)
    return {
        "record": record,
        "cluster": cluster,
        "type": kind,
        "patient": torch.tensor([0, 1, 0, 2, 2])[record],
        "features": (features, present, weights),
        "bandwidth": calibrate_bandwidth(features, present, weights, 5, B),
    }


def target_rows(beats):
    labels = beats["record"], beats["cluster"], beats["type"]
    ids = {"record_id": beats["record"], "groups": beats["patient"]}
    valid = beats["type"] >= 0
    return {
        "hard": HardBeatTargets(*labels),
        "hard, few": HardBeatTargets(*labels, cap=2),
        "hard, views only": HardBeatTargets(*labels, cap=0),
        "hard, patients": HardBeatTargets(*labels, groups=beats["patient"]),
        "class": HardBeatTargets(*labels, scope="class", cap=3),
        "class, all": HardBeatTargets(*labels, scope="class", cap=None),
        "class, patients": HardBeatTargets(*labels, scope="class", cap=3, groups=beats["patient"]),
        "rbf": SoftBeatTargets(*beats["features"], beats["bandwidth"], valid=valid),
        "rbf, patients": SoftBeatTargets(*beats["features"], beats["bandwidth"], valid=valid, **ids),
        "cosine": SoftBeatTargets(*beats["features"], exponent=5.0, soft_fraction=1.0),
        "paper": SoftBeatTargets(*beats["features"], exponent=5.0, kind="paper", valid=valid, **ids),
    }


ROWS = [
    "hard",
    "hard, few",
    "hard, views only",
    "hard, patients",
    "class",
    "class, all",
    "class, patients",
    "rbf",
    "rbf, patients",
    "cosine",
    "paper",
]


def dense(rows):
    targets, excluded = rows(slice(0, 2 * B))
    return targets, excluded.expand_as(targets)


# --- the dense loss ---------------------------------------------------------------------------------------------------


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


def test_gradient_of_the_dense_loss():
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
    plain = soft_infonce(z, *_with_temperature(rhythm_targets("soft", similarity, 0.5, groups)))
    permuted = rhythm_targets("soft", similarity[order][:, order], 0.5, groups[order])
    found = soft_infonce(z[torch.cat([order, order + 6])], *_with_temperature(permuted))
    torch.testing.assert_close(found, plain)


def _with_temperature(targets):
    return targets.weights, 0.1, targets.excluded


@pytest.mark.parametrize("m", [0, 1])
def test_nothing_to_compare(m):
    z = normal(m, 4).requires_grad_()
    for found in (
        soft_infonce(z, torch.zeros(m, m), 0.1),
        chunked_infonce(z, lambda rows: (torch.zeros(m, m), None), 0.1),
    ):
        found.loss.backward()
        assert found.loss == 0 and found.kl == 0 and not z.grad.any()


def test_rows_of_zeros_are_no_anchors():
    z, targets = normal(12, 4), hard_targets(6)
    targets[3:5] = 0
    rest = [i for i in range(12) if i not in (3, 4)]
    each = [soft_infonce(z, torch.where(torch.arange(12)[:, None] == i, targets, 0.0), 0.1).loss for i in rest]
    torch.testing.assert_close(soft_infonce(z, targets, 0.1).loss, torch.stack(each).mean())
    z.requires_grad_()
    for found in (
        soft_infonce(z, torch.zeros(12, 12), 0.1, torch.ones(12, 12, dtype=torch.bool)),
        chunked_infonce(z, lambda rows: (torch.zeros(12, 12)[rows], torch.ones(1, 12, dtype=torch.bool)), 0.1),
    ):
        (gradient,) = torch.autograd.grad(found.loss, z)
        assert found.loss == 0 and not gradient.any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_losses_are_float32_under_autocast(dtype, beats):
    z = normal(2 * B, 16).to(dtype)
    rows = target_rows(beats)["rbf"]
    targets, excluded = dense(rows)
    tokens = z.reshape(10, 6, 16)
    expected = (
        soft_infonce(z.float(), targets, 0.1, excluded),
        chunked_infonce(z.float(), rows, 0.1),
        phase_contrast(tokens.float(), tokens.float().flip(0), 0.1),
    )
    with torch.autocast("cpu", dtype=dtype):
        found = (
            soft_infonce(z, targets, 0.1, excluded),
            chunked_infonce(z, rows, 0.1),
            phase_contrast(tokens, tokens.flip(0), 0.1),
        )
        rank = effective_rank(z), uniformity(z), alignment(z, z.flip(0))
    assert found == expected and all(f.loss.dtype == torch.float32 for f in found)
    assert rank == (effective_rank(z), uniformity(z), alignment(z, z.flip(0)))


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_wrong_temperature_is_named(temperature):
    with pytest.raises(ValueError, match="temperature"):
        soft_infonce(normal(4, 2), hard_targets(2), temperature)
    with pytest.raises(ValueError, match="temperature"):
        chunked_infonce(normal(4, 2), lambda rows: (hard_targets(2)[rows], None), temperature)


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"\(6, 6\)"):
        soft_infonce(normal(4, 2), hard_targets(3), 0.1)
    with pytest.raises(ValueError, match="chunk"):
        chunked_infonce(normal(4, 2), lambda rows: (hard_targets(2)[rows], None), 0.1, chunk=0)


# --- the chunked loss -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("chunk", [7, 512])
def test_chunked_equals_dense(name, chunk, beats):
    rows = target_rows(beats)[name]
    targets, excluded = dense(rows)
    z = normal(2 * B, 8).requires_grad_()
    expected = soft_infonce(z, targets, 0.1, excluded)
    found = chunked_infonce(z, rows, 0.1, chunk)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    (ours,) = torch.autograd.grad(3 * found.loss, z)
    (theirs,) = torch.autograd.grad(3 * expected.loss, z)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["hard", "rbf, patients"])
def test_gradient_of_the_chunked_loss(name, beats):
    rows = target_rows(beats)[name]
    z = normal(2 * B, 3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: chunked_infonce(z, rows, 0.3, 16).loss, z)


def test_low_temperature_does_not_overflow(beats):
    rows = target_rows(beats)["hard"]
    z = normal(2 * B, 8).requires_grad_()
    found = chunked_infonce(z, rows, 1e-3)
    torch.testing.assert_close(found, soft_infonce(z, dense(rows)[0], 1e-3, dense(rows)[1]))
    found.loss.backward()
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("scope", ["record", "class"])
def test_memory_is_linear_and_the_host_never_waits(scope):
    m, chunk, n_beats = 6144, 128, 3072
    record, cluster = torch.arange(n_beats) // 12, torch.zeros(n_beats, dtype=torch.int64)
    features = normal(n_beats, 4), torch.ones(n_beats, 4, dtype=torch.bool), torch.full((4,), 0.25)
    z = normal(m, 16).requires_grad_()
    with AllocationWatch() as watch:
        hard = HardBeatTargets(record, cluster, cluster, scope=scope, groups=record // 2)
        soft = SoftBeatTargets(*features, torch.ones(n_beats), record_id=record, groups=record // 2)
        (chunked_infonce(z, hard, 0.1, chunk).loss + chunked_infonce(z, soft, 0.1, chunk).loss).backward()
    assert watch.largest == chunk * m


def test_no_gradient_is_made_where_none_is_wanted(beats):
    rows = target_rows(beats)["hard"]
    with torch.no_grad():
        found = chunked_infonce(normal(2 * B, 8).requires_grad_(), rows, 0.1)
    assert not found.loss.requires_grad
    assert not chunked_infonce(normal(2 * B, 8).requires_grad_(), rows, 0.1).kl.requires_grad


# --- targets of beats -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_stochastic_and_noise_is_left_out(name, beats):
    targets, excluded = dense(target_rows(beats)[name])
    noise = (beats["type"] < 0).repeat(2) if name != "cosine" else torch.zeros(2 * B, dtype=torch.bool)
    torch.testing.assert_close(targets.sum(1), (~noise).float())
    assert not targets.diagonal().any() and (targets >= 0).all()
    assert not targets[excluded].any() and excluded[:, noise].all()
    assert not excluded[~noise][:, ~noise].diagonal().any()


def test_positives_of_a_record(beats):
    targets, _ = dense(target_rows(beats)["hard"])
    record, cluster, noise = beats["record"], beats["cluster"], beats["type"] < 0
    together = (record[:, None] == record) & (cluster[:, None] == cluster) & ~noise[:, None] & ~noise
    expected = together.repeat(2, 2).fill_diagonal_(False).float()
    expected = expected / expected.sum(1, keepdim=True).clamp(min=1)
    torch.testing.assert_close(targets, expected)


@pytest.mark.parametrize("name", ["class", "hard, few", "hard, views only"])
def test_cap_is_kept_exactly(name, beats):
    targets, _ = dense(target_rows(beats)[name])
    kind = beats["type"].long() if name == "class" else beats["record"] * 2 + beats["cluster"]
    valid = beats["type"] >= 0
    cap = {"class": 3, "hard, few": 2, "hard, views only": 0}[name]
    for beat in valid.nonzero()[:, 0].tolist():
        others = (valid & (kind == kind[beat])).sum().item() - 1
        positives = targets[beat].nonzero()[:, 0]
        assert len(positives) == 2 * min(cap, others) + 1
        assert (kind.repeat(2)[positives] == kind[beat]).all() and beat + B in positives


def test_capped_classes_reach_across_records():
    n = 600
    record, cluster = torch.arange(n) // 12, torch.zeros(n, dtype=torch.int64)
    rows = HardBeatTargets(record, cluster, cluster, scope="class", cap=8)
    positives = rows(slice(0, 1))[0][0, :n].nonzero()[:, 0]
    assert len(record[positives].unique()) == 8
    in_degree = (rows(slice(0, 2 * n))[0] > 0).sum(0)
    assert in_degree.eq(in_degree[0]).all()


def test_other_records_of_a_patient_are_no_negatives(beats):
    record, patient = beats["record"].repeat(2), beats["patient"].repeat(2)
    elsewhere = (patient[:, None] == patient) & (record[:, None] != record)
    for name in ("hard, patients", "rbf, patients", "paper"):
        targets, excluded = dense(target_rows(beats)[name])
        assert excluded[elsewhere].all() and not targets[elsewhere].any()
    targets, excluded = dense(target_rows(beats)["class, patients"])
    assert (excluded | (targets > 0))[elsewhere].all() and (targets[elsewhere] > 0).any()


def test_soft_beats_are_the_soft_targets_of_records(beats):
    features, present, weights = beats["features"]
    rows = SoftBeatTargets(features, present, weights, exponent=5.0, soft_fraction=0.4)
    similarity = cosine_similarity(features, present, weights, 5.0)
    torch.testing.assert_close(dense(rows)[0], soft_targets(similarity, 0.4))
    rows = SoftBeatTargets(features, present, weights, exponent=5.0, kind="paper")
    torch.testing.assert_close(dense(rows)[0], paper_targets(similarity))


def test_soft_beats_without_softness_are_one_hot(beats):
    for rows in (
        SoftBeatTargets(*beats["features"], beats["bandwidth"], soft_fraction=0.0),
        SoftBeatTargets(*beats["features"], exponent=math.inf),
        SoftBeatTargets(*beats["features"], exponent=math.inf, kind="paper"),
    ):
        assert torch.equal(dense(rows)[0], hard_targets(B))


def test_no_beat_at_all():
    none = torch.zeros(0, dtype=torch.int64)
    z = normal(0, 4).requires_grad_()
    for rows in (HardBeatTargets(none, none, none), SoftBeatTargets(normal(0, 3), normal(0, 3) > 0, torch.ones(3) / 3)):
        assert chunked_infonce(z, rows, 0.1).loss == 0


def test_one_beat_and_no_valid_beat():
    one = torch.zeros(1, dtype=torch.int64)
    for kind, expected in ((one, hard_targets(1)), (one - 1, torch.zeros(2, 2))):
        for scope in ("record", "class"):
            assert torch.equal(HardBeatTargets(one, one, kind, scope=scope)(slice(0, 2))[0], expected)
        z = normal(2, 4).requires_grad_()
        found = chunked_infonce(z, HardBeatTargets(one, one, kind), 0.1)
        found.loss.backward()
        assert found.loss.item() == pytest.approx(0, abs=1e-6) and z.grad.isfinite().all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda i, f: HardBeatTargets(i, i, i, scope="patient"), "'patient'"),
        (lambda i, f: HardBeatTargets(i, i, i, cap=-1), "cap"),
        (lambda i, f: HardBeatTargets(i, i[:2], i), "cluster"),
        (lambda i, f: SoftBeatTargets(f, f > 0, f[0], kind="hard"), "'hard'"),
        (lambda i, f: SoftBeatTargets(f, f > 0, f[0], soft_fraction=2.0), "soft_fraction"),
        (lambda i, f: SoftBeatTargets(f, f > 0, f[0], torch.ones(2)), "bandwidth"),
        (lambda i, f: SoftBeatTargets(f, f > 0, f[0], groups=i), "record_id"),
    ],
)
def test_errors_of_beat_targets(make, message):
    with pytest.raises(ValueError, match=message):
        make(torch.zeros(3, dtype=torch.int64), torch.ones(3, 4))


# --- positions within the beat ----------------------------------------------------------------------------------------


def test_phase_contrast_is_soft_infonce_per_beat():
    first, second = normal(4, 5, 8), normal(4, 5, 8, seed=1)
    position = torch.arange(5.0).repeat(2)
    weights = (2 / (1 + torch.exp(0.7 * (position[:, None] - position).abs()))).fill_diagonal_(0)
    weights = weights / weights.sum(1, keepdim=True)
    each = [soft_infonce(torch.cat([a, b]), weights, 0.2) for a, b in zip(first, second, strict=True)]
    found = phase_contrast(first, second, 0.2, k=0.7)
    torch.testing.assert_close(found.loss, torch.stack([e.loss for e in each]).mean())
    torch.testing.assert_close(found.kl, torch.stack([e.kl for e in each]).mean())


def test_steep_phase_contrast_is_nt_xent():
    first, second = normal(1, 5, 8), normal(1, 5, 8, seed=1)
    expected = soft_infonce(torch.cat([first[0], second[0]]), hard_targets(5), 0.2)
    torch.testing.assert_close(phase_contrast(first, second, 0.2, k=1e4), expected)


def test_gradient_of_phase_contrast():
    first, second = (normal(2, 3, 4, seed=s, dtype=torch.float64).requires_grad_() for s in (0, 1))
    assert torch.autograd.gradcheck(lambda a, b: phase_contrast(a, b, 0.3).loss, (first, second))


@pytest.mark.parametrize("shape", [(0, 5, 4), (3, 1, 4)])
def test_phase_contrast_of_nothing(shape):
    tokens = normal(*shape).requires_grad_()
    loss = phase_contrast(tokens, tokens, 0.1).loss
    loss.backward()
    assert loss == 0 and not tokens.grad.any()


def test_phase_contrast_errors():
    with pytest.raises(ValueError, match="k must"):
        phase_contrast(normal(1, 2, 3), normal(1, 2, 3), 0.1, k=-1.0)
    with pytest.raises(ValueError, match="tokens2"):
        phase_contrast(normal(1, 2, 3), normal(1, 3, 3), 0.1)


# --- diagnostics ------------------------------------------------------------------------------------------------------


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
