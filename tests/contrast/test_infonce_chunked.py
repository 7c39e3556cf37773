"""The chunked loss: equal to the dense one, with memory that is linear in the number of beats."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from beatssl_sklearn.contrast.beat_targets import HardBeatTargets, SoftBeatTargets
from beatssl_sklearn.contrast.infonce import soft_infonce
from beatssl_sklearn.contrast.infonce_chunked import chunked_infonce
from beatssl_sklearn.contrast.record_targets import hard_targets

ROWS = ("hard", "hard, few", "hard, views only", "hard, all", "hard, patients", "rbf", "rbf, patients", "cosine")
N_VIEWS = 60


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def dense(rows):
    targets, excluded = rows(slice(0, N_VIEWS))
    return targets, excluded.expand_as(targets)


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


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("chunk", [7, 512])
def test_chunked_equals_dense(name, chunk, target_rows):
    rows = target_rows[name]
    targets, excluded = dense(rows)
    z = normal(N_VIEWS, 8).requires_grad_()
    expected = soft_infonce(z, targets, 0.1, excluded)
    found = chunked_infonce(z, rows, 0.1, chunk)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    (ours,) = torch.autograd.grad(3 * found.loss, z)
    (theirs,) = torch.autograd.grad(3 * expected.loss, z)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["hard", "rbf, patients"])
def test_gradient(name, target_rows):
    z = normal(N_VIEWS, 3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: chunked_infonce(z, target_rows[name], 0.3, 16).loss, z)


def test_low_temperature_does_not_overflow(target_rows):
    rows = target_rows["hard"]
    z = normal(N_VIEWS, 8).requires_grad_()
    found = chunked_infonce(z, rows, 1e-3)
    torch.testing.assert_close(found, soft_infonce(z, dense(rows)[0], 1e-3, dense(rows)[1]))
    found.loss.backward()
    assert z.grad.isfinite().all()


def test_memory_is_linear_and_the_host_never_waits():
    m, chunk, n_beats = 6144, 128, 3072
    record, cluster = torch.arange(n_beats) // 12, torch.zeros(n_beats, dtype=torch.int64)
    features = normal(n_beats, 4), torch.ones(n_beats, 4, dtype=torch.bool), torch.full((4,), 0.25)
    z = normal(m, 16).requires_grad_()
    with AllocationWatch() as watch:
        hard = HardBeatTargets(record, cluster, cluster, groups=record // 2)
        soft = SoftBeatTargets(*features, torch.ones(n_beats), record_id=record, groups=record // 2)
        (chunked_infonce(z, hard, 0.1, chunk).loss + chunked_infonce(z, soft, 0.1, chunk).loss).backward()
    assert watch.largest == chunk * m


def test_no_gradient_is_made_where_none_is_wanted(target_rows):
    rows = target_rows["hard"]
    with torch.no_grad():
        found = chunked_infonce(normal(N_VIEWS, 8).requires_grad_(), rows, 0.1)
    assert not found.loss.requires_grad
    assert not chunked_infonce(normal(N_VIEWS, 8).requires_grad_(), rows, 0.1).kl.requires_grad


@pytest.mark.parametrize("m", [0, 1])
def test_nothing_to_compare(m):
    z = normal(m, 4).requires_grad_()
    found = chunked_infonce(z, lambda rows: (torch.zeros(m, m), None), 0.1)
    found.loss.backward()
    assert found.loss == 0 and found.kl == 0 and not z.grad.any()


def test_no_anchor_and_all_pairs_excluded():
    z = normal(12, 4).requires_grad_()
    found = chunked_infonce(z, lambda rows: (torch.zeros(12, 12)[rows], torch.ones(1, 12, dtype=torch.bool)), 0.1)
    (gradient,) = torch.autograd.grad(found.loss, z)
    assert found.loss == 0 and not gradient.any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_float32_under_autocast(dtype, target_rows):
    z, rows = normal(N_VIEWS, 16).to(dtype), target_rows["rbf"]
    with torch.autocast("cpu", dtype=dtype):
        found = chunked_infonce(z, rows, 0.1)
    assert found == chunked_infonce(z.float(), rows, 0.1) and found.loss.dtype == torch.float32


def test_wrong_arguments_are_named():
    for temperature in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="temperature"):
            chunked_infonce(normal(4, 2), lambda rows: (hard_targets(2)[rows], None), temperature)
    with pytest.raises(ValueError, match="chunk"):
        chunked_infonce(normal(4, 2), lambda rows: (hard_targets(2)[rows], None), 0.1, chunk=0)
    with pytest.raises(ValueError, match=r"z must be \(m, d\)"):
        chunked_infonce(normal(4), lambda rows: (hard_targets(2)[rows], None), 0.1)
