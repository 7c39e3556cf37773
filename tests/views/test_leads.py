"""Fewer leads: what is drawn, and what is left of a record."""

import pytest
import torch
from sklearn.base import clone

from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.persistence.description import describe
from beatssl_sklearn.persistence.restoring import restore
from beatssl_sklearn.views.leads import LeadMasking, kept_leads, one_stays


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


def test_what_stays_is_what_there_is_or_the_largest_draw():
    present = torch.tensor([[True, True, False], [True, True, False], [False, False, False]])
    kept = torch.tensor([[True, False, True], [False, False, True], [True, True, True]])
    draw = torch.tensor([[0.1, 0.2, 0.3]]).expand(3, 3)
    assert one_stays(kept, present, draw).tolist() == [[True, False, False], [False, True, False], [False] * 3]


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
    left = LeadMasking()(torch.ones(10_000, 1, 12), everyone(10_000), generator())[1].sum(1)
    assert left.float().mean().item() == pytest.approx(6, abs=0.1) and left.min() >= 1


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
        ({"schedule": "I"}, TypeError, "schedule must be None or a list of lead sets.*, got 'I'"),
        ({"schedule": ["I", "II"]}, TypeError, r"schedule .* got \['I', 'II'\], where 'I' is no list of leads"),
        ({"schedule": []}, ValueError, r"schedule .* got \[\], which has no set"),
        ({"schedule": [("I",), ()]}, ValueError, r"schedule .* got \[\('I',\), \(\)\]: leads is empty"),
        ({"schedule": [("I", "V9")]}, ValueError, "schedule .* unknown lead names 'V9'"),
        ({"schedule": [("II", "MLII")]}, ValueError, "schedule .* duplicate lead names 'II', 'MLII'"),
        ({"schedule": [(1,)]}, TypeError, "schedule .* must be a str, got int"),
        ({"schedule": [("I",)], "p": 2}, ValueError, "p must be a number between 0 and 1, got 2"),
    ],
)
def test_values_out_of_range_are_named_by_check(wrong, error, message):
    masking = LeadMasking(**wrong)
    with pytest.raises(error, match=message):
        masking.check()


def test_it_is_a_component():
    masking = LeadMasking(0.3)
    assert clone(masking) == masking != clone(masking).set_params(subset=0.5) and masking.subset == 0.0
    assert masking.get_params() == {"p": 0.3, "subset": 0.0, "schedule": None}
    devices = LeadMasking(schedule=[("I",), ("II",)])
    assert clone(devices) == devices != LeadMasking(schedule=[("II",), ("I",)])
    assert restore(describe(devices, {}), {}) == devices


# LeadMasking with the leads of devices


def drawn(schedule, present, seed=0, **params):
    """Return which leads stay; the view has the rest at 0, and the record is as it was."""
    x = torch.ones(len(present), 3, 12)
    view, left = LeadMasking(schedule=schedule, **params)(x, present, generator(seed))
    assert torch.equal(view, left[:, None].expand(-1, 3, -1).float()) and (x == 1).all()
    return left


def names_of(left):
    return [tuple(name for name, kept in zip(LEADS, row, strict=True) if kept) for row in left.tolist()]


def test_sets_of_leads_are_drawn_alike():
    found = names_of(drawn([("V5",), ["lead i", "-aVR", "MCL2"], LEADS], everyone(6000)))
    assert set(found) == {("V5",), ("I", "aVR", "V2"), LEADS}
    for one in set(found):
        assert found.count(one) / 6000 == pytest.approx(1 / 3, abs=0.02)


def test_limb_leads_that_follow_from_i_and_ii_stay_with_them():
    assert set(names_of(drawn([("II", "V2", "I")], everyone(3)))) == {(*LEADS[:6], "V2")}
    assert set(names_of(drawn([("II", "III")], everyone(3)))) == {("II", "III")}


def test_a_record_without_the_leads_of_a_set_keeps_what_it_has():
    present = torch.zeros(900, 12, dtype=torch.bool)
    present[:300, [0, 8]] = True
    present[300:600, [2, 7, 9]] = True
    found = names_of(drawn([("I", "V1")], present))
    assert set(found[:300]) == {("I",)} and set(found[600:]) == {()}
    for lead in ("III", "V2", "V4"):
        assert found[300:600].count((lead,)) / 300 == pytest.approx(1 / 3, abs=0.1)


def test_a_schedule_takes_the_place_of_the_other_parameters():
    schedule = [("I",), ("V1", "V2")]
    usual = drawn(schedule, everyone(50))
    for params in ({"p": 0.0}, {"p": 1.0, "subset": 1.0}):
        assert torch.equal(drawn(schedule, everyone(50), **params), usual)
    assert not torch.equal(drawn(schedule, everyone(50), seed=1), usual)
