"""Fewer leads: what is drawn, and what is left of a record."""

import pytest
import torch
from sklearn.base import clone

from beatssl_sklearn.views.leads import LeadMasking, kept_leads


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def everyone(n):
    return torch.ones(n, 12, dtype=torch.bool)


# Which leads stay


def test_without_a_draw_nothing_is_drawn():
    source = generator()
    before = source.get_state()
    present = everyone(3)
    assert kept_leads(present, 0.0, 0.0, source) is present and torch.equal(source.get_state(), before)


def test_subsets_of_leads_have_all_sizes_and_the_other_records_stay_whole():
    sizes = torch.bincount(kept_leads(everyone(8000), 0.0, 0.5, generator()).sum(1), minlength=13) / 8000
    assert sizes[0] == 0 and sizes[12] == pytest.approx(0.5 + 0.5 / 13, abs=0.02)
    # No record loses all of its leads, which makes a single lead twice as likely.
    assert sizes[1] == pytest.approx(0.5 * 2 / 13, abs=0.015)
    torch.testing.assert_close(sizes[2:12], torch.full((10,), 0.5 / 13), atol=0.012, rtol=0)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_leads_are_dropped_at_the_rate_alike_and_apart(p):
    left = kept_leads(everyone(8000), p, 0.0, generator()).float()
    # Of all leads lost, which are p^12 of the records, one stays.
    assert left.mean().item() == pytest.approx(1 - p + p**12 / 12, abs=0.005)
    assert (left.mean(0) - left.mean()).abs().max() < 0.025
    apart = torch.corrcoef(left.T) - torch.eye(12)
    assert apart.abs().max() < 0.06


def test_one_lead_always_stays_and_any_may_be_it():
    left = kept_leads(everyone(4000), 1.0, 0.0, generator())
    assert (left.sum(1) == 1).all() and left.sum(0).min() > 200


@pytest.mark.parametrize(("drop", "subset"), [(0.9, 0.0), (1.0, 0.0), (0.0, 1.0), (0.5, 0.5)])
def test_only_leads_that_are_present_stay(drop, subset):
    present = torch.zeros(300, 12, dtype=torch.bool)
    present[:200, [1, 6]] = True
    left = kept_leads(present, drop, subset, generator())
    assert not (left & ~present).any()
    assert (left[:200].sum(1) >= 1).all() and not left[200:].any()
    assert (left[:200].sum(1) == 1).any()


def test_subsets_come_in_place_of_the_rate():
    left = kept_leads(everyone(6000), 0.3, 1.0, generator())
    assert left.float().mean().item() == pytest.approx(0.5 + 1 / 13 / 12, abs=0.01)
    mixed = kept_leads(everyone(6000), 0.0, 0.4, generator())
    assert mixed.all(1).float().mean().item() == pytest.approx(0.6 + 0.4 / 13, abs=0.02)


def test_the_generator_decides_alone():
    state = torch.get_rng_state()
    first, again, other = (kept_leads(everyone(50), 0.5, 0.5, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


# LeadMasking


@pytest.mark.parametrize("masking", [LeadMasking(), LeadMasking(1.0), LeadMasking(0.2, subset=0.7)])
def test_masked_leads_are_0_and_reported(masking):
    x, present = torch.randn(500, 5, 12, generator=generator(9)) + 9, everyone(500)
    before = x.clone()
    view, left = masking(x, present, generator())
    assert torch.equal(view, torch.where(left[:, None], x, 0)) and left.any(1).all() and not left.all()
    assert torch.equal(left, kept_leads(present, masking.p, masking.subset, generator()))
    assert torch.equal(x, before) and present.all()


def test_the_default_masks_half_of_the_leads():
    left = LeadMasking()(torch.ones(4000, 1, 12), everyone(4000), generator())[1]
    assert left.float().mean().item() == pytest.approx(0.5, abs=0.01)


def test_masking_nothing_is_the_record_itself():
    x, present = torch.ones(3, 5, 12), everyone(3)
    view, left = LeadMasking(0.0)(x, present, generator())
    assert view is x and left is present


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"p": 1.1}, ValueError, "p must be a number between 0 and 1, got 1.1"),
        ({"p": -0.1}, ValueError, "p must be a number between 0 and 1, got -0.1"),
        ({"p": "half"}, TypeError, "p must be a number, got 'half'"),
        ({"subset": 2}, ValueError, "subset must be a number between 0 and 1, got 2"),
        ({"subset": None}, TypeError, "subset must be a number, got None"),
    ],
)
def test_values_out_of_range_are_named_by_check(wrong, error, message):
    masking = LeadMasking(**wrong)
    with pytest.raises(error, match=message):
        masking.check()


def test_it_is_a_component():
    masking = LeadMasking(0.3)
    assert clone(masking) == masking != clone(masking).set_params(subset=0.5) and masking.subset == 0.0
    assert masking.get_params() == {"p": 0.3, "subset": 0.0}
