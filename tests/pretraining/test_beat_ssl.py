"""BeatSSL: its targets, presets and parameters."""

import numpy as np
import pytest
import torch
from measured_records import EQUAL, batches_of, build
from sklearn.base import clone

from beatssl_sklearn import BeatSSL, NoViews, VCGViews
from beatssl_sklearn.pretraining import beat_ssl


def test_contexts_belong_to_the_beats(equal):
    for views, context in batches_of(equal):
        n = len(context.group)
        n_beats = len(context.beat_record)
        assert torch.equal(views["roi_record"][:n_beats], context.beat_record)
        for row, record in enumerate(context.group.tolist()):
            first, last = equal.beat_offset[record], equal.beat_offset[record + 1]
            own = context.beat_record == row
            np.testing.assert_array_equal(context.beat_type[own], equal.known.beat_type[first:last])
            np.testing.assert_array_equal(context.beat_cluster[own], equal.known.beat_cluster[first:last])
        assert int(context.beat_record.max()) < n


def test_the_number_of_beats_is_capped(equal, monkeypatch):
    monkeypatch.setattr(beat_ssl, "MAX_BEATS", 7)
    kept = []
    for epoch in range(3):
        found = batches_of(equal, batch_size=9)
        found.epoch = epoch
        ((views, context),) = found
        assert len(views["roi_record"]) == 14 and len(context.beat_record) == len(context.beat_type) == 7
        assert (np.diff(context.beat_record) >= 0).all()
        pairs = set(zip(views["roi_record"][:7].tolist(), views["roi_start"][:7].tolist(), strict=True))
        assert len(pairs) == 7, "drawn without replacement"
        kept.append(pairs)
    assert kept[0] != kept[1] != kept[2]


def test_batches_without_beats(equal):
    nothing = build(equal.source, [r[:0] for r in EQUAL.rpeaks])
    for views, context in batches_of(nothing):
        assert len(views["roi_record"]) == len(views["roi_start"]) == len(context.beat_record) == 0


def test_presets():
    paper = BeatSSL.paper()
    assert (paper.rhythm_targets, paper.beat_targets) == ("paper", "hard")
    assert (paper.similarity, paper.exponent) == ("cosine", 50)
    assert paper.feature_weight == paper.beat_feature_weight == 0 and paper.views == VCGViews.three_kg()
    assert BeatSSL.paper(temperature=0.2).temperature == 0.2
    assert BeatSSL.shipped(rhythm_targets="soft").rhythm_targets == "soft"
    shipped = BeatSSL.shipped()
    assert shipped.n_views == 1 and not shipped.contrasts_records and not shipped.contrasts_beats
    assert shipped.views == VCGViews(lead_subset=0.25)


def test_equal_by_value():
    assert BeatSSL() == BeatSSL() == clone(BeatSSL()) and BeatSSL() != BeatSSL(temperature=0.2)
    assert BeatSSL(views=VCGViews(angle=3)) == BeatSSL(views=VCGViews(angle=3)) != BeatSSL(views=VCGViews(angle=4))
    assert BeatSSL(views=NoViews()) != BeatSSL() and BeatSSL() != "BeatSSL"


def test_nested_parameters():
    objective = BeatSSL(views=VCGViews(angle=3))
    assert objective.get_params()["views__angle"] == 3
    assert BeatSSL().set_params(views__angle=4).views == VCGViews(angle=4), "None stands for VCGViews()"
    with pytest.raises(ValueError, match="Invalid parameter 'speed'"):
        objective.set_params(speed=3)


def test_more_positional_arguments_than_targets_are_refused():
    with pytest.raises(TypeError):
        BeatSSL("soft", "hard", 0.2)
