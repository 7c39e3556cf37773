"""LeadAgnostic: what it learns, which leads it sees, and which encoders it takes."""

from math import log

import numpy as np
import pytest
import torch
from tiny_objectives import ECG, GROUPS, TINY, X, losses, make, same_weights

from beatssl_sklearn import (
    GumbelQuantizer,
    LeadAgnostic,
    LeadMasking,
    NoViews,
    Pretrainer,
    RhythmEmbedder,
    load,
    make_ecg,
    save,
)
from beatssl_sklearn.nn import build_encoder
from beatssl_sklearn.pretraining import LeadAgnosticOutputs, PretrainedModule
from beatssl_sklearn.pretraining.lead_agnostic import LeadAgnosticTargets

BATCH, HIDDEN = 16, 11


@pytest.fixture(scope="module")
def learnt():
    """A network after 200 steps."""
    params = {**TINY["transformer"], "n_dims": 32, "feed_forward": 64, "stem_width": 32}
    objective = LeadAgnostic(
        n_negatives=HIDDEN - 1, mask_share=0.3, mask_length=3, views=LeadMasking(p=0.2), penalty_weight=0.1
    )
    return make(objective, max_epochs=100, batch_size=BATCH, lr=1e-2, encoder_params=params).fit(X)


def test_both_losses_fall_below_those_of_guessing(learnt):
    first, last = learnt.history_[0], learnt.history_[-1]
    assert last["local_loss"] < log(HIDDEN) - 0.3
    assert last["global_loss"] < min(log(BATCH), first["global_loss"]) - 0.3


def test_the_mean_tokens_of_fewer_leads_are_nearer_to_their_record(learnt):
    def unit(z):
        z = z - z.mean(axis=0)
        return z / np.linalg.norm(z, axis=1, keepdims=True)

    few = X.copy()
    few[:, 2:] = 0
    # The mean of tokens comes first.
    cosine = unit(learnt.transform(X)[:, :32]) @ unit(learnt.transform(few)[:, :32]).T
    assert np.diag(cosine).mean() > cosine.mean() + 0.2


@pytest.mark.parametrize("leads", [("II",), ("I", "II", "V2")])
def test_any_leads_are_embedded(learnt, leads):
    part = make_ecg(3, fs=100, duration=4, leads=leads, random_state=1)
    z = RhythmEmbedder(learnt, leads=leads).fit_transform(part.data)
    assert np.isfinite(z).all() and len(np.unique(z.round(3), axis=0)) == 3
    # Leads that are not there are 0; limb leads follow from I and II.
    padded = np.zeros((3, 12, 400), dtype=np.float32)
    padded[:, [ECG.leads.index(lead) for lead in leads]] = part.data
    if "I" in leads:
        one, two = part.data[:, 0], part.data[:, 1]
        padded[:, 2:6] = np.stack([two - one, -(one + two) / 2, one - two / 2, two - one / 2], axis=1)
    np.testing.assert_allclose(z, learnt.transform(padded), rtol=1e-3, atol=1e-3)


def test_one_lead_at_least_stays():
    x, present = torch.ones(10_000, 2, 12), torch.ones(10_000, 12, dtype=torch.bool)
    kept, there = LeadMasking()(x, present, torch.Generator().manual_seed(0))
    survivors = there.sum(1)
    assert survivors.min() >= 1 and float(survivors.float().mean()) == pytest.approx(6, abs=0.1)
    assert torch.equal(kept[:, 0] > 0, there) and bool((x == 1).all())
    assert LeadMasking(p=1.0)(x, present, torch.Generator().manual_seed(0))[1].sum(1).eq(1).all()


def test_an_encoder_that_cannot_hide_tokens_is_refused():
    with pytest.raises(TypeError, match="LeadAgnostic.*BeatNet cannot.*encoder='transformer'.*local_weight=0"):
        make(LeadAgnostic(), "beatnet").fit(X)


def test_without_the_local_loss_beatnet_learns():
    fitted = make(LeadAgnostic(local_weight=0, views=NoViews()), "beatnet", max_epochs=30, lr=1e-2, batch_size=BATCH)
    history = fitted.fit(X).history_
    assert {row["local_loss"] for row in history} == {0.0}
    assert history[-1]["global_loss"] < min(log(BATCH), history[0]["global_loss"]) - 0.3


def test_segments_of_other_records_are_used():
    alone, across = (make(LeadAgnostic(cross_record=flag)) for flag in (False, True))
    assert not same_weights(alone.fit(X, groups=GROUPS), across.fit(X, groups=GROUPS))
    # Without groups each record is its own patient.
    assert np.isfinite(losses(make(LeadAgnostic(cross_record=True)).fit(X))).all()


@pytest.mark.parametrize("patients", [None, torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])])
def test_the_global_loss_leaves_out_segments_without_leads(patients):
    n, zero, partner = 8, torch.zeros(()), torch.tensor([1, 0, 3, 2, 5, 4, 7, 6])
    records = torch.randn(2 * n, 4, generator=torch.Generator().manual_seed(0))
    there = torch.ones(2 * n, dtype=torch.bool)
    # The first segment of record 2, and the second of record 5, which is the partner of 4.
    there[2] = there[n + 5] = False

    near = None if patients is None else torch.rand(n, n, generator=torch.Generator().manual_seed(1)) < 0.5

    def far(records, there, patients, partner, near):
        outputs = LeadAgnosticOutputs(records, None, None, zero, zero, there)
        targets = LeadAgnosticTargets(patients, partner, None, near)
        return LeadAgnostic(local_weight=0).loss(outputs, targets)["global_loss"]

    rows = torch.tensor([0, 1, 3, 5, 6, 7])
    left = torch.cat([records[rows], records[n + partner[rows]]])
    of_rows = None if patients is None else patients[rows]
    of_pairs = None if near is None else near[rows][:, rows]
    expected = far(left, torch.ones(12, dtype=torch.bool), of_rows, torch.arange(6), of_pairs)
    torch.testing.assert_close(far(records, there, patients, partner, near), expected)


@pytest.mark.parametrize(("objective", "encoder"), [("segments", "dual_stream"), ("lead_agnostic", None)])
def test_segments_with_leads_are_told(objective, encoder):
    flat = X[:8].copy()
    flat[2] = 0
    seen = []

    class Spy(LeadAgnostic):
        def loss(self, outputs, targets):
            seen.append(outputs.there)
            return super().loss(outputs, targets)

    params = {"local_weight": 0} if objective == "segments" else {}
    encoder = encoder or "transformer"
    fitted = make(Spy(**params), encoder, max_epochs=1, check="ignore").fit(flat)
    assert [int(there.sum()) for there in seen] == [14] and np.isfinite(losses(fitted)).all()


@pytest.mark.parametrize(
    ("objective", "kept"),
    [("lead_agnostic", {"out", "filler"}), ("quantised", {"quantizer", "out", "filler"}), ("segments", set())],
)
def test_a_warm_start_goes_on_with_the_heads(objective, kept, tmp_path):
    pre = make(objective, "transformer", max_epochs=0).fit(X)
    heads = dict(pre.heads_)
    assert {name.partition(".")[0] for name in heads} == kept
    save(pre, tmp_path / "kept.bssl")
    again = load(tmp_path / "kept.bssl").set_params(warm_start=True, random_state=7).fit(X).heads_
    assert heads.keys() == again.keys() and all(np.array_equal(again[k], v) for k, v in heads.items())


def test_the_temperature_falls_over_all_calls():
    temperatures = []

    class Spy(LeadAgnostic):
        def after_step(self, module, progress):
            super().after_step(module, progress)
            temperatures.append(float(module.heads.quantizer.temperature))

    pre = make(Spy(quantizer=GumbelQuantizer(entries=8), target_dim=8), "transformer", max_epochs=2)
    pre.partial_fit(X).partial_fit(X)
    # As many steps in each call: the second call goes from a half to the end.
    n, falls = len(temperatures) // 2, pre.objective.quantizer.temperature_at
    assert temperatures[:n] == pytest.approx([falls((k + 1) / n) for k in range(n)])
    assert temperatures[n:] == pytest.approx([falls((n + k + 1) / (2 * n)) for k in range(n)])


def test_groups_of_one_record_each_change_nothing():
    assert same_weights(make("lead_agnostic").fit(X), make("lead_agnostic").fit(X, groups=np.arange(len(X))))


def test_the_temperature_of_the_quantizer_falls():
    quantizer = GumbelQuantizer(temperature=2, last_temperature=0.5)
    assert [quantizer.temperature_at(p) for p in (0, 0.5, 1)] == pytest.approx([2, 1, 0.5])


def test_the_first_step_has_the_temperature_that_is_asked_for():
    encoder = build_encoder("transformer", 100.0, TINY["transformer"], torch.Generator().manual_seed(0))
    objective = LeadAgnostic(quantizer=GumbelQuantizer(temperature=3.0))
    module = PretrainedModule(encoder, objective.heads(encoder, None, torch.Generator().manual_seed(0)))
    assert float(module.heads.quantizer.temperature) == 3.0
    objective.after_step(module, 1.0)
    assert float(module.heads.quantizer.temperature) == 0.5


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"mask_share": 1.5}, ValueError, "mask_share"),
        ({"segment": 0.5}, ValueError, "segment"),
        ({"quantizer": 3}, TypeError, "quantizer must be a GumbelQuantizer or None, got 3"),
        ({"quantizer": GumbelQuantizer(3)}, ValueError, "target_dim must be a multiple of 3 groups, got 128"),
        ({"local_weight": 0, "global_weight": 0}, ValueError, "both 0"),
        ({"views": 3}, TypeError, "views"),
        ({"cross_record": "yes"}, TypeError, "cross_record must be True or False, got 'yes'"),
        ({"penalty_weight": float("inf")}, ValueError, "penalty_weight must be a number between 0 and .*, got inf"),
    ],
)
def test_what_cannot_be_learnt(params, error, message):
    with pytest.raises(error, match=message):
        Pretrainer(LeadAgnostic(**params), fs=100).fit(X)


def test_parameters_of_the_quantizer_need_a_quantizer():
    pre = make("lead_agnostic")
    with pytest.raises(ValueError, match=r"parameter 'quantizer__entries' .*: quantizer=None has no parameters"):
        pre.set_params(objective__quantizer__entries=8)
    for named in ("GumbelQuantizer", "gumbel_quantizer"):
        found = make("lead_agnostic").set_params(objective__quantizer=named, objective__quantizer__entries=8)
        assert found.objective.quantizer == GumbelQuantizer(entries=8)
        found = make(LeadAgnostic(quantizer=named)).set_params(objective__quantizer__entries=8)
        assert found.objective.quantizer == GumbelQuantizer(entries=8)


@pytest.mark.parametrize("name", ["temperature", "last_temperature"])
def test_temperatures_are_finite(name):
    with pytest.raises(ValueError, match=f"{name} must be a finite number, got inf"):
        LeadAgnostic(quantizer=GumbelQuantizer(**{name: float("inf")})).check()


@pytest.mark.parametrize("before", ["quantised", "lead_agnostic"])
def test_a_warm_start_with_another_quantizer(before):
    pre = make(before, max_epochs=0).fit(X)
    pre.set_params(warm_start=True, objective__quantizer=GumbelQuantizer(entries=16))
    message = r"warm_start .*weights of the previous fit.* head '(quantizer|out)'.* objective=LeadAgnostic\("
    with pytest.raises(ValueError, match=message):
        pre.fit(X)


def test_leads_of_other_recordings_are_named_after_fit():
    pre = make("segments", "beatnet", max_epochs=0).fit(X)
    pre.set_params(leads=["I", "II"])
    np.testing.assert_array_equal(pre.transform(X[:, :2]), RhythmEmbedder(pre, leads=["I", "II"]).transform(X[:, :2]))
    np.testing.assert_array_equal(pre.embed(X[:, :2]).rhythm, pre.transform(X[:, :2]))
    assert pre.n_leads_ == 12 and pre.partial_fit(X[:, :2]).n_leads_ == 12
    with pytest.raises(ValueError, match=r"X has 3 leads but leads=\['I', 'II'\] names 2"):
        pre.transform(X[:, :3])
    with pytest.raises(ValueError, match="X has 2 leads, but Pretrainer was fitted on 12"):
        pre.set_params(leads=None).transform(X[:, :2])
