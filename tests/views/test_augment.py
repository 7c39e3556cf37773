import dataclasses

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from beatssl_sklearn.views.augment import AUGMENTATIONS, VCGAugment, resolve_augment

N, T = 16, 400
MATRIX_ONLY = {"mask_ratio": 0.0}
MASK_ONLY = {"angle": 0.0, "scale": (1.0, 1.0)}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def x():
    x = torch.randn(N, T, 12, generator=generator(99)) + 3
    lead_i, lead_ii = x[..., 0], x[..., 1]
    x[..., 2:6] = torch.stack(
        [lead_ii - lead_i, -(lead_i + lead_ii) / 2, lead_i - lead_ii / 2, lead_ii - lead_i / 2], dim=-1
    )
    return x


@pytest.fixture
def present():
    return torch.ones(N, 12, dtype=torch.bool)


class NoHostSync(TorchDispatchMode):
    """Fails on operators that make the host wait for a GPU, or whose result's shape depends on data."""

    forbidden = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "is_nonzero", "equal.default")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func)
        assert not any(word in name for word in self.forbidden), name
        if "aten.index" in name and isinstance(args[1], (list, tuple)):
            assert not any(i is not None and i.dtype == torch.bool for i in args[1]), name
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_presets_run_and_leave_the_record_alone(name, x, present):
    before = x.clone()
    view, left = AUGMENTATIONS[name](x, present, generator())
    assert view.shape == x.shape and view.dtype == x.dtype and torch.equal(left, present)
    assert torch.equal(x, before)
    assert torch.equal(view, x) == (name == "none")


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_same_generator_same_view_and_global_state_untouched(name, x, present):
    state = torch.get_rng_state()
    first = AUGMENTATIONS[name](x, present, generator(5))[0]
    assert torch.equal(first, AUGMENTATIONS[name](x, present, generator(5))[0])
    assert torch.equal(first, AUGMENTATIONS[name](x, present, generator(6))[0]) == (name == "none")
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", ["vcg", "3kg"])
def test_einthoven_and_goldberger_survive(name, x, present):
    view, _ = resolve_augment(name, MATRIX_ONLY)(x, present, generator())
    lead_i, lead_ii = view[..., 0], view[..., 1]
    torch.testing.assert_close(view[..., 2], lead_ii - lead_i, rtol=0, atol=1e-5)
    torch.testing.assert_close(view[..., 3], -(lead_i + lead_ii) / 2, rtol=0, atol=1e-5)
    torch.testing.assert_close(view[..., 4], lead_i - lead_ii / 2, rtol=0, atol=1e-5)
    torch.testing.assert_close(view[..., 5], lead_ii - lead_i / 2, rtol=0, atol=1e-5)


def test_published_preset_is_the_published_one():
    assert AUGMENTATIONS["3kg"] == VCGAugment(45.0, (1.0, 1.5), 0.5, residual=False)


def test_mask_takes_its_share_in_one_piece_that_wraps(x, present):
    view, _ = VCGAugment(mask_ratio=0.3, **MASK_ONLY)(x, present, generator())
    zero = view == 0
    assert torch.equal(view[~zero], x[~zero])
    assert (zero.sum(1) == 120).all()
    starts = zero & ~zero.roll(1, 1)
    assert (starts.sum(1) == 1).all()
    assert (zero[:, 0] & zero[:, -1]).any()
    assert starts.int().argmax(1).unique().numel() > N


@pytest.mark.parametrize(("mask_ratio", "expected"), [(0.0, 0), (0.0001, 0), (1.0, T), (1 / T, 1)])
def test_mask_limits(mask_ratio, expected, x, present):
    view, _ = VCGAugment(mask_ratio=mask_ratio, **MASK_ONLY)(x, present, generator())
    assert ((view == 0).sum(1) == expected).all()


def test_mask_start_is_uniform():
    ones = torch.ones(500, 20, 12)
    view, _ = VCGAugment(mask_ratio=0.25, **MASK_ONLY)(ones, torch.ones(500, 12, dtype=torch.bool), generator())
    share = (view == 0).float().mean((0, 2))
    assert (share - 0.25).abs().max() < 0.03


def test_subsets_of_leads_have_all_sizes_and_the_other_records_stay_whole():
    augment = VCGAugment(mask_ratio=0.0, lead_subset=0.5, **MASK_ONLY)
    x, present = torch.ones(8000, 3, 12), torch.ones(8000, 12, dtype=torch.bool)
    view, left = augment(x, present, generator())
    assert torch.equal(view != 0, left[:, None].expand_as(view))
    sizes = torch.bincount(left.sum(1), minlength=13) / 8000
    assert sizes[0] == 0 and sizes[12] == pytest.approx(0.5 + 0.5 / 13, abs=0.02)
    # No lead is never left: the luckiest of none stays, and makes a single lead twice as likely.
    assert sizes[1] == pytest.approx(0.5 * 2 / 13, abs=0.015)
    torch.testing.assert_close(sizes[2:12], torch.full((10,), 0.5 / 13), atol=0.012, rtol=0)


def test_leads_are_dropped_at_the_rate_but_never_all(present):
    augment = VCGAugment(mask_ratio=0.0, lead_drop=0.5, **MASK_ONLY)
    present = torch.ones(4000, 12, dtype=torch.bool)
    view, left = augment(torch.ones(4000, 3, 12), present, generator())
    assert abs(left.sum(1).float().mean().item() - 6) < 0.1
    assert torch.equal(view[:, 0] != 0, left)
    all_but_one = dataclasses.replace(augment, lead_drop=1.0)(torch.ones(4000, 3, 12), present, generator())[1]
    assert (all_but_one.sum(1) == 1).all()
    assert all_but_one.sum(0).min() > 200


def test_dropping_leads_keeps_only_present_ones():
    present = torch.zeros(300, 12, dtype=torch.bool)
    present[:200, [1, 6]] = True
    _, left = VCGAugment(lead_drop=0.9)(torch.ones(300, 20, 12) * present[:, None], present, generator())
    assert not (left & ~present).any()
    assert (left[:200].sum(1) >= 1).all() and not left[200:].any()


def test_absent_leads_stay_zero(x, present):
    present[:, [2, 3, 4, 5, 8]] = False
    view, _ = VCGAugment()(x * present[:, None], present, generator())
    assert not view[:, :, [2, 3, 4, 5, 8]].any()


def test_p_is_the_share_of_records_that_change(present):
    x = torch.randn(2000, 10, 12, generator=generator(1)) + 5
    present = torch.ones(2000, 12, dtype=torch.bool)
    for residual in (True, False):
        view, _ = VCGAugment(p=0.3, residual=residual)(x, present, generator())
        assert abs((view != x).any(2).any(1).float().mean().item() - 0.3) < 0.04
    assert torch.equal(VCGAugment(p=0.0)(x, present, generator())[0], x)


def test_scale_is_log_uniform_when_it_straddles_one():
    uniform = torch.rand(100_000, generator=generator())
    log = VCGAugment(scale=(0.5, 2.0))._draw_scale(uniform).log2()
    assert abs(log.mean().item()) < 0.01 and log.min() >= -1 and log.max() <= 1
    up = VCGAugment(scale=(1.0, 1.5))._draw_scale(uniform)
    assert abs(up.mean().item() - 1.25) < 0.005


def test_no_host_sync(x, present):
    augment = VCGAugment(lead_drop=0.3, p=0.5)
    augment(x, present, generator())
    with NoHostSync():
        augment(x, present, generator())


def test_autocast_does_not_lower_precision(x, present):
    expected = AUGMENTATIONS["vcg"](x, present, generator())[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(AUGMENTATIONS["vcg"](x, present, generator())[0], expected)


def test_record_and_batch_of_none(x, present):
    for name in AUGMENTATIONS:
        assert AUGMENTATIONS[name](x[:0], present[:0], generator())[0].shape == (0, T, 12)


def test_wrong_shapes_are_named(x, present):
    with pytest.raises(ValueError, match=r"\(16, 12, 400\)"):
        VCGAugment()(x.mT, present, generator())


@pytest.mark.parametrize(
    "wrong",
    [
        {"angle": -1.0},
        {"scale": (1.5, 1.0)},
        {"scale": (0.0, 1.0)},
        {"mask_ratio": 1.1},
        {"lead_drop": -0.1},
        {"lead_subset": 1.1},
        {"p": 2.0},
    ],
)
def test_values_out_of_range_are_named(wrong):
    ((name, _),) = wrong.items()
    with pytest.raises(ValueError, match=name):
        VCGAugment(**wrong)


def test_resolve_augment():
    assert resolve_augment("vcg") is AUGMENTATIONS["vcg"]
    assert resolve_augment("vcg", {"angle": 30, "scale": [0.8, 1.25]}).scale == (0.8, 1.25)
    assert resolve_augment(VCGAugment(), {"p": 0.5}).p == 0.5

    def custom(x, present, generator):
        return x, present

    assert resolve_augment(custom) is custom
    with pytest.raises(ValueError, match=r"3kg.*none.*vcg.*'flip'"):
        resolve_augment("flip")
    with pytest.raises(ValueError, match="'degrees': 30"):
        resolve_augment("vcg", {"degrees": 30})
    with pytest.raises(ValueError, match="augment_params"):
        resolve_augment(custom, {"p": 0.5})
    with pytest.raises(TypeError, match="None"):
        resolve_augment(None)
