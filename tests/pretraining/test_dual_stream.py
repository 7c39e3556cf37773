"""DualStream: what it learns, whose records are positives, and which lead groups there are."""

from math import log

import numpy as np
import pytest
import torch
from tiny_objectives import GROUPS, TINY, X, losses, make, same_weights

from beatssl_sklearn import DualStream, LeadMasking, NoViews, Pretrainer, load, save
from beatssl_sklearn.contrast.infonce_groups import group_infonce
from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.pretraining import DualStreamOutputs
from beatssl_sklearn.pretraining.dual_stream import DualStreamTargets

BATCH = 16


def test_all_losses_fall_below_those_of_guessing():
    params = {"widths": (8, 8, 16, 16)}
    objective = DualStream(projection_dim=16, positive="record", cross_weight=0.5, views=NoViews())
    last = make(objective, max_epochs=50, batch_size=BATCH, lr=1e-2, encoder_params=params).fit(X).history_[-1]
    for name in ("segment_loss", "lead_loss", "cross_loss"):
        assert last[name] < log(BATCH) - 0.3
    # Its denominator also holds the other items of the same view.
    assert last["fused_loss"] < log(2 * BATCH - 1) - 0.3


def test_without_groups_records_are_the_positives():
    by_record = make("patients").set_params(objective__positive="record")
    assert same_weights(make("patients").fit(X), by_record.fit(X))
    np.testing.assert_array_equal(by_record.fit(X, groups=GROUPS).transform(X), by_record.fit(X).transform(X))
    assert not same_weights(make("patients").fit(X, groups=GROUPS), make("patients").fit(X))


@pytest.mark.parametrize("weight", ["segment_weight", "lead_weight", "cross_weight", "fused_weight"])
def test_each_weight_alone(weight):
    weights = dict.fromkeys(("segment_weight", "lead_weight", "cross_weight", "fused_weight"), 0.0)
    fitted = make(DualStream(projection_dim=8, **{**weights, weight: 2.0})).fit(X, groups=GROUPS)
    for row in fitted.history_:
        assert row["train_loss"] == pytest.approx(2 * row[weight.replace("weight", "loss")], rel=1e-5)


def test_one_group_has_no_loss_between_groups():
    fitted = make("patients", encoder_params={**TINY["dual_stream"], "lead_groups": [list(LEADS)]}).fit(X)
    assert {row["lead_loss"] for row in fitted.history_} == {0.0}
    assert fitted.transform(X).shape[1] > 0


def test_records_that_lack_a_group_are_embedded_and_trained_on():
    some = X.copy()
    some[::2, 6:] = 0
    fitted = make("patients", check="ignore").fit(some, groups=GROUPS)
    assert np.isfinite(losses(fitted)).all() and np.isfinite(fitted.transform(some)).all()


@pytest.mark.parametrize("lacking", [[0], range(0, 32, 4)], ids=["one", "many"])
@pytest.mark.parametrize("leads", [slice(6, 12), slice(0, 12)], ids=["chest", "all"])
def test_few_records_without_leads_do_not_spoil_the_projectors(lacking, leads):
    some = X.copy()
    some[list(lacking), leads] = 0
    heads = make("patients", check="ignore").fit(some).heads_
    # They begin at 0, and whole records move them by less than 1e-3.
    assert max(abs(array).max() for name, array in heads.items() if name.endswith("bias")) < 1e-3


def test_views_that_leave_one_group_leave_nothing_to_compare_between_groups():
    views = LeadMasking(schedule=[LEADS[:2], LEADS[6:]])
    last = make(DualStream(projection_dim=8, cross_weight=1, views=views), max_epochs=4, batch_size=BATCH).fit(X)
    assert {row["lead_loss"] for row in last.history_} == {0.0}
    assert all(0 < row["segment_loss"] < log(BATCH) - 0.5 and row["cross_loss"] > 0 for row in last.history_)


@pytest.mark.parametrize("patients", [None, torch.arange(12) // 2])
def test_only_groups_that_are_there_are_compared(patients):
    n = 12
    objective = DualStream()
    *groups, fused = torch.randn(3, 2 * n, 5, generator=torch.Generator().manual_seed(0))
    there = torch.ones(2 * n, 2, dtype=torch.bool)
    # Records 0 and 1 lack a group in one segment, 2 in both, 3 has nothing, 4 has nothing in one segment.
    there[0, 1] = there[n + 1, 0] = there[[2, n + 2], 1] = False
    there[[3, n + 3, n + 4]] = False
    near = None if patients is None else torch.rand(n, n, generator=torch.Generator().manual_seed(1)) < 0.5
    found = objective.loss(DualStreamOutputs(groups, fused, there), DualStreamTargets(patients, near))

    def among(a, b, *few, intra=False):
        rows = torch.tensor([*few, *range(5, n)])
        options = {} if patients is None else {"groups": patients[rows], "near": near[rows][:, rows]}
        return group_infonce(a[rows], b[rows], objective.temperature, intra_view_negatives=intra, **options)

    ((a, b), (c, d)), whole = (group.chunk(2) for group in groups), fused.chunk(2)
    torch.testing.assert_close(found["fused_loss"], among(*whole, 0, 1, 2, intra=True))
    torch.testing.assert_close(found["segment_loss"], (among(a, b, 0, 2) + among(c, d, 1)) / 2)
    torch.testing.assert_close(found["lead_loss"], (among(a, c, 1, 4) + among(b, d, 0)) / 2)
    torch.testing.assert_close(found["cross_loss"], (among(a, d, 0, 1) + among(b, c)) / 2)


class TwoGroups(torch.nn.Module):
    """An encoder whose streams are the means of their leads, and -1 for groups that count as absent."""

    groups, stream_width, n_dims = [[0, 1], [6, 7, 8]], 4, 8

    def streams(self, x):
        return [x[:, :, group].mean(2, keepdim=True).expand(-1, -1, 4) for group in self.groups]

    def absent_vectors(self):
        return torch.full((2, 4), -1.0)


def seen(share, there=None, n=2000, training=True):
    """Return which groups of leads the projector of all groups gets (n, 2); those of single groups get all."""
    heads = DualStream(group_dropout=share).heads(TwoGroups(), set(LEADS), torch.Generator().manual_seed(0))
    heads.projectors, heads.fused = torch.nn.ModuleList([torch.nn.Identity()] * 2), torch.nn.Identity()
    signal = torch.ones(n, 3, 12) if there is None else torch.ones(n, 3, 12) * there[:, None]
    draw = torch.rand((n, 12), generator=torch.Generator().manual_seed(1))
    whole, some = heads(TwoGroups(), signal), heads.train(training)(TwoGroups(), signal, draw)
    assert all(torch.equal(a, b) for a, b in zip(whole.groups, some.groups, strict=True))
    return some.fused[:, ::4] > 0


def test_groups_are_dropped_at_the_rate_and_one_stays():
    left = seen(0.3).float()
    assert left.sum(1).min() == 1
    # Where both are drawn, one of them stays.
    assert left.mean(0).tolist() == pytest.approx([1 - 0.3 + 0.3**2 / 2] * 2, abs=0.03)
    assert seen(1.0).sum(1).eq(1).all() and seen(0.0).all() and seen(1.0, training=False).all()


def test_the_only_group_of_a_segment_stays():
    there = torch.zeros(200, 12)
    there[:100, [0, 3]], there[100:, 7] = 1, 1
    assert torch.equal(seen(1.0, there, n=200), torch.arange(200)[:, None] // 100 == torch.tensor([0, 1]))


def test_group_dropout_trains_the_vectors_of_absent_groups(tmp_path):
    plain, dropped, again = (make(DualStream(projection_dim=8, group_dropout=p)).fit(X) for p in (0, 0.5, 0.5))
    assert not plain.encoder_.weights["absent.weight"].any() and dropped.encoder_.weights["absent.weight"].all()
    assert same_weights(dropped, again) and same_weights(plain, make("patients").fit(X))
    some = X.copy()
    some[:, 6:] = 0
    save(dropped, tmp_path / "dropped.bssl")
    loaded = load(tmp_path / "dropped.bssl")
    assert loaded.objective.group_dropout == 0.5
    np.testing.assert_array_equal(loaded.set_params(check="ignore").transform(some), dropped.transform(some))


def test_a_group_that_no_record_has_is_named():
    limb = make("patients", leads=LEADS[:6])
    with pytest.raises(ValueError, match="DualStream: no record has a lead of the group V1, V2.*lead_groups"):
        limb.fit(X[:, :6])
    groups = [list(LEADS[:3]), list(LEADS[3:6])]
    fitted = limb.set_params(encoder_params={**TINY["dual_stream"], "lead_groups": groups}).fit(X[:, :6])
    assert np.isfinite(fitted.transform(X[:, :6])).all()


def test_groups_are_found_under_other_names_and_by_computed_leads():
    params = {**TINY["dual_stream"], "lead_groups": [["I"], ["II"], ["aVR", "III"]]}
    plain = make("patients", leads=("I", "II"), encoder_params=params).fit(X[:, :2])
    assert same_weights(plain, make("patients", leads=("d1", "MLII"), encoder_params=params).fit(X[:, :2]))


def test_a_group_at_rest_in_all_records_is_named():
    still = X.copy()
    still[:, 6:] = 0.5
    with pytest.raises(ValueError, match="DualStream: no record has a lead of the group V1, V2"):
        make("patients", check="ignore").fit(still)
    still[3, 7] = X[3, 7]
    assert np.isfinite(losses(make("patients", check="ignore").fit(still))).all()


def test_a_warm_start_goes_on_with_the_projectors():
    pre = make("patients", max_epochs=0).fit(X)
    heads = dict(pre.heads_)
    assert {name.partition(".")[0] for name in heads} == {"projectors", "fused"}
    again = pre.set_params(warm_start=True, random_state=7).fit(X).heads_
    assert heads.keys() == again.keys() and all(np.array_equal(again[k], v) for k, v in heads.items())


def test_an_encoder_without_streams_is_refused():
    with pytest.raises(TypeError, match="DualStream.*BeatNet does not encode apart: use encoder='dual_stream'"):
        make(DualStream(), "beatnet").fit(X)

    class NeverAbsent(TwoGroups):
        absent_vectors = property()

    with pytest.raises(TypeError, match=r"group_dropout=0\.1 trains .* NeverAbsent does not have: .*dropout=0"):
        DualStream(group_dropout=0.1).check_encoder(NeverAbsent())


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"positive": "hospital"}, ValueError, "positive must be one of"),
        ({"temperature": 0}, ValueError, "temperature"),
        (dict.fromkeys(("segment_weight", "lead_weight", "fused_weight"), 0), ValueError, "are all 0"),
        ({"views": "nothing"}, (TypeError, ValueError), "views"),
        ({"fused_weight": float("inf")}, ValueError, "fused_weight must be a number between 0 and 1e.06, got inf"),
        ({"max_gap_days": -1}, ValueError, "max_gap_days must be a number at least 0, got -1"),
        ({"max_gap_days": 30, "positive": "record"}, ValueError, "max_gap_days=30 limits .* set positive='patient'"),
        ({"group_dropout": 1.5}, ValueError, "group_dropout must be a number between 0 and 1, got 1.5"),
    ],
)
def test_what_cannot_be_learnt(params, error, message):
    with pytest.raises(error, match=message):
        Pretrainer(DualStream(**params), fs=100).fit(X)


def test_groups_of_leads_need_another_to_be_compared_with():
    objective = DualStream(fused_weight=0, segment_weight=0, projection_dim=8)
    with pytest.raises(ValueError, match="nothing to learn: fused_weight and segment_weight are 0.*has one group"):
        make(objective, encoder_params=TINY["dual_stream"] | {"lead_groups": [["I", "II", "V1"]]}).fit(X)
    apart = X.copy()
    apart[::2, :6] = apart[1::2, 6:] = np.nan
    pre = make(objective, allow_nan=True, check="ignore")
    with pytest.warns(UserWarning, match=r"DualStream: the loss was 0 in every epoch \(.*lead_loss.*\)") as told:
        pre.fit(apart)
    assert len(told) == 1
    pre.fit(X)
