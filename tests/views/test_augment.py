"""Views of a record: rotated and scaled vectorcardiogram, masked time, fewer leads."""

import numpy as np
import pytest
import torch
from closeness import assert_close_to_rounding
from sklearn.base import clone
from torch.utils._python_dispatch import TorchDispatchMode

from beatssl_sklearn.views.augment import NoViews, VCGViews, checked_views
from beatssl_sklearn.views.leads import LeadMasking
from beatssl_sklearn.views.vcg import from_vcg

N, T = 16, 400
MATRIX_ONLY = {"mask_ratio": 0.0}
MASK_ONLY = {"angle": 0.0, "scale": (1.0, 1.0)}
VIEWS = {"default": VCGViews(), "3kg": VCGViews.three_kg(), "none": NoViews()}


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


# What a view is


@pytest.mark.parametrize("name", VIEWS)
def test_views_leave_the_record_alone(name, x, present):
    before = x.clone()
    view, left = VIEWS[name](x, present, generator())
    assert view.shape == x.shape and view.dtype == x.dtype and torch.equal(left, present)
    assert torch.equal(x, before)
    assert torch.equal(view, x) == (name == "none")


@pytest.mark.parametrize("name", VIEWS)
def test_same_generator_same_view_and_global_state_untouched(name, x, present):
    state = torch.get_rng_state()
    first = VIEWS[name](x, present, generator(5))[0]
    assert torch.equal(first, VIEWS[name](x, present, generator(5))[0])
    assert torch.equal(first, VIEWS[name](x, present, generator(6))[0]) == (name == "none")
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("make", [VCGViews, VCGViews.three_kg])
def test_einthoven_and_goldberger_survive(make, x, present):
    view, _ = make(**MATRIX_ONLY)(x, present, generator())
    lead_i, lead_ii = view[..., 0], view[..., 1]
    assert_close_to_rounding(view[..., 2], lead_ii - lead_i)
    assert_close_to_rounding(view[..., 3], -(lead_i + lead_ii) / 2)
    assert_close_to_rounding(view[..., 4], lead_i - lead_ii / 2)
    assert_close_to_rounding(view[..., 5], lead_ii - lead_i / 2)


def test_the_published_views_are_the_published_ones():
    assert VCGViews.three_kg() == VCGViews(angle=45.0, scale=(1.0, 1.5), mask_ratio=0.5, residual=False)
    changed = VCGViews.three_kg(angle=30.0, lead_drop=0.2)
    assert (changed.angle, changed.lead_drop, changed.mask_ratio, changed.residual) == (30.0, 0.2, 0.5, False)


def test_no_views_are_the_record_itself(x, present):
    present[:, 3] = False
    view, left = NoViews()(x, present, generator())
    assert view is x and left is present


# Masked time


def test_mask_takes_its_share_in_one_piece_that_wraps(x, present):
    view, _ = VCGViews(mask_ratio=0.3, **MASK_ONLY)(x, present, generator())
    zero = view == 0
    assert torch.equal(view[~zero], x[~zero])
    assert (zero.sum(1) == 120).all()
    starts = zero & ~zero.roll(1, 1)
    assert (starts.sum(1) == 1).all()
    assert (zero[:, 0] & zero[:, -1]).any()
    assert starts.int().argmax(1).unique().numel() > N


@pytest.mark.parametrize(("mask_ratio", "expected"), [(0.0, 0), (0.0001, 0), (1.0, T), (1 / T, 1)])
def test_mask_limits(mask_ratio, expected, x, present):
    view, _ = VCGViews(mask_ratio=mask_ratio, **MASK_ONLY)(x, present, generator())
    assert ((view == 0).sum(1) == expected).all()


def test_mask_start_is_uniform():
    ones = torch.ones(500, 20, 12)
    view, _ = VCGViews(mask_ratio=0.25, **MASK_ONLY)(ones, torch.ones(500, 12, dtype=torch.bool), generator())
    share = (view == 0).float().mean((0, 2))
    assert (share - 0.25).abs().max() < 0.03


# Fewer leads; the draws are tested with `LeadMasking`


@pytest.mark.parametrize("changes", [{"lead_drop": 0.5}, {"lead_subset": 0.5}, {"lead_drop": 0.2, "lead_subset": 0.8}])
def test_leads_that_are_dropped_are_0_and_reported(changes):
    views = VCGViews(mask_ratio=0.0, **MASK_ONLY, **changes)
    x, present = torch.ones(800, 3, 12), torch.ones(800, 12, dtype=torch.bool)
    view, left = views(x, present, generator())
    assert torch.equal(view != 0, left[:, None].expand_as(view))
    assert left.any(1).all() and not left.all() and present.all() and x.all()


def test_leads_are_dropped_as_lead_masking_drops_them(present):
    x, present = torch.ones(500, 3, 12), torch.ones(500, 12, dtype=torch.bool)
    views = VCGViews(mask_ratio=0.0, lead_drop=0.3, lead_subset=0.5, **MASK_ONLY)
    masking = LeadMasking(0.3, subset=0.5)
    for mine, others in zip(views(x, present, generator()), masking(x, present, generator()), strict=True):
        assert torch.equal(mine, others)


def test_absent_leads_stay_zero(x, present):
    present[:, [2, 3, 4, 5, 8]] = False
    view, _ = VCGViews()(x * present[:, None], present, generator())
    assert not view[:, :, [2, 3, 4, 5, 8]].any()


# Shares and sizes


def test_p_is_the_share_of_records_that_change():
    x = torch.randn(2000, 10, 12, generator=generator(1)) + 5
    present = torch.ones(2000, 12, dtype=torch.bool)
    for residual in (True, False):
        view, _ = VCGViews(p=0.3, residual=residual)(x, present, generator())
        assert abs((view != x).any(2).any(1).float().mean().item() - 0.3) < 0.04
    assert torch.equal(VCGViews(p=0.0)(x, present, generator())[0], x)


def test_leads_are_dropped_whether_or_not_a_record_changes():
    present = torch.ones(2000, 12, dtype=torch.bool)
    x = torch.ones(2000, 3, 12)
    view, left = VCGViews(p=0.0, lead_drop=0.4)(x, present, generator())
    assert abs(left.float().mean().item() - 0.6) < 0.02
    assert torch.equal(view, x * left[:, None])


@pytest.mark.parametrize(
    ("scale", "middle"),
    [((0.5, 2.0), 1.0), ((1.0, 1.5), 1.25)],  # as likely shrunk as enlarged; uniform
)
def test_scale_is_log_uniform_where_it_straddles_one(scale, middle):
    # A signal that lies on the axis X alone is multiplied by the factor of X.
    x = from_vcg(torch.tensor([1.0, 0.0, 0.0])).expand(40_000, 1, 12)
    views = VCGViews(angle=0.0, scale=scale, mask_ratio=0.0)
    view, _ = views(x, torch.ones(40_000, 12, dtype=torch.bool), generator())
    factor = (view / x)[:, 0, 0]
    assert factor.min() >= scale[0] - 1e-4 and factor.max() <= scale[1] + 1e-4
    assert (factor < middle).float().mean().item() == pytest.approx(0.5, abs=0.01)
    quarter = factor.quantile(0.25).item()
    assert quarter == pytest.approx(np.sqrt(0.5) if scale[0] < 1 else 1.125, abs=0.01)


# How it is computed


def test_no_host_sync(x, present):
    views = VCGViews(lead_drop=0.3, p=0.5)
    views(x, present, generator())
    with NoHostSync():
        views(x, present, generator())


def test_autocast_does_not_lower_precision(x, present):
    expected = VCGViews()(x, present, generator())[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(VCGViews()(x, present, generator())[0], expected)


def test_record_and_batch_of_none(x, present):
    for views in VIEWS.values():
        assert views(x[:0], present[:0], generator())[0].shape == (0, T, 12)


def test_wrong_shapes_are_named(x, present):
    with pytest.raises(ValueError, match=r"\(16, 12, 400\)"):
        VCGViews()(x.mT, present, generator())


# As a component


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"angle": -1.0}, ValueError),
        ({"angle": "steep"}, TypeError),
        ({"angle": float("nan")}, ValueError),
        ({"scale": (1.5, 1.0)}, ValueError),
        ({"scale": (0.0, 1.0)}, ValueError),
        ({"scale": (1.0, float("inf"))}, ValueError),
        ({"scale": 1.2}, ValueError),
        ({"scale": ("a", "b")}, ValueError),
        ({"mask_ratio": 1.1}, ValueError),
        ({"mask_ratio": True}, TypeError),
        ({"lead_drop": -0.1}, ValueError),
        ({"lead_subset": 1.1}, ValueError),
        ({"p": 2.0}, ValueError),
        ({"p": None}, TypeError),
    ],
)
def test_values_out_of_range_are_named_by_check_alone(wrong, error):
    ((name, _),) = wrong.items()
    views = VCGViews(**wrong)
    for check in (views.check, lambda: checked_views(views)):
        with pytest.raises(error, match=name):
            check()


def test_checked_views():
    assert checked_views(None) == VCGViews()
    views = VCGViews(angle=30, scale=[0.8, 1.25], p=np.float32(0.5))
    assert checked_views(views) is views

    def custom(x, present, generator):
        return x, present

    assert checked_views(custom) is custom
    for wrong in ("3kg", {"angle": 30}, VCGViews, 7):
        with pytest.raises(TypeError, match="views must be VCGViews"):
            checked_views(wrong)


def test_parameters_are_those_of_an_estimator():
    views = VCGViews(angle=30.0)
    copied = clone(views).set_params(p=0.5, scale=(0.9, 1.1))
    assert (copied.angle, copied.p, copied.scale) == (30.0, 0.5, (0.9, 1.1)) and views.p == 1.0
    assert clone(views) == views != copied
    assert VCGViews() != NoViews() == NoViews()
    with pytest.raises(ValueError, match="Invalid parameter 'degrees'"):
        views.set_params(degrees=30)
    with pytest.raises(TypeError, match="degrees"):
        VCGViews(degrees=30)
