"""DualStream: what it learns, whose records are positives, and which lead groups there are."""

from math import log

import numpy as np
import pytest
from tiny_objectives import GROUPS, TINY, X, losses, make, same_weights

from beatssl_sklearn import DualStream, NoViews, Pretrainer
from beatssl_sklearn.ecg.leads import LEADS

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


def test_a_group_that_no_record_has_is_named():
    limb = make("patients", leads=LEADS[:6])
    with pytest.raises(ValueError, match="DualStream: no record has a lead of the group V1, V2.*lead_groups"):
        limb.fit(X[:, :6])
    groups = [list(LEADS[:3]), list(LEADS[3:6])]
    fitted = limb.set_params(encoder_params={**TINY["dual_stream"], "lead_groups": groups}).fit(X[:, :6])
    assert np.isfinite(fitted.transform(X[:, :6])).all()


def test_an_encoder_without_streams_is_refused():
    with pytest.raises(TypeError, match="DualStream.*BeatNet does not encode apart: use encoder='dual_stream'"):
        make(DualStream(), "beatnet").fit(X)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"positive": "hospital"}, ValueError, "positive must be one of"),
        ({"temperature": 0}, ValueError, "temperature"),
        (dict.fromkeys(("segment_weight", "lead_weight", "fused_weight"), 0), ValueError, "are all 0"),
        ({"views": "nothing"}, (TypeError, ValueError), "views"),
    ],
)
def test_what_cannot_be_learnt(params, error, message):
    with pytest.raises(error, match=message):
        Pretrainer(DualStream(**params), fs=100).fit(X)
