"""The training of a `WaveSegmenter`: which records are held out, and which parameters are refused before it starts."""

import numpy as np
import pytest

from beatssl_sklearn import BeatSSL, BeatSSLPretrainer, WaveSegmenter, make_ecg
from beatssl_sklearn.segmentation.run import check_segmenter, record_weights, split_records

FS = 100
TINY = {
    "objective": BeatSSL(projection_dim=8),
    "fs": FS,
    "encoder_params": {"widths": (8, 8, 8), "n_dims": 8},
    "max_epochs": 0,
    "batch_size": 8,
    "random_state": 0,
    "device": "cpu",
}
ECG = make_ecg(4, fs=FS, duration=6, random_state=0)
X, Y = ECG.data, ECG.masks
PATIENT = np.array([7, 7, 3, 3])
NORM, CONV = "stem.norm.running_mean", "stem.conv.weight"


@pytest.fixture(scope="module")
def pre():
    return BeatSSLPretrainer(**TINY).fit(X)


def weights(segmenter):
    return {**segmenter.unet_.weights, **{f"encoder.{k}": a for k, a in segmenter.encoder_.weights.items()}}


# Held-out records


def test_without_a_fraction_all_records_are_trained_on():
    train, valid = split_records(None, PATIENT, 4, 0)
    assert train.tolist() == [0, 1, 2, 3] and len(valid) == 0


def test_whole_patients_are_held_out():
    seen = set()
    for seed in range(6):
        train, valid = split_records(0.5, PATIENT, 4, seed)
        assert valid.tolist() in ([0, 1], [2, 3]) and sorted([*train, *valid]) == [0, 1, 2, 3]
        assert [part.tolist() for part in split_records(0.5, PATIENT, 4, seed)] == [train.tolist(), valid.tolist()]
        seen.add(tuple(valid))
    assert len(seen) == 2
    assert len(split_records(0.25, None, 8, 0)[1]) == 2


def test_validation_does_not_train(pre, segmenter_of):
    found = segmenter_of(pre, max_epochs=3, validation_fraction=0.5).fit(X, Y, groups=PATIENT)
    assert all(np.isfinite(row["valid_loss"]) and 0 <= row["valid_dice"] <= 1 for row in found.history_)
    # The weights are those of training on either patient alone, whatever the other one's records are.
    others = []
    for patient in (3, 7):
        changed = np.array(X)
        changed[patient == PATIENT] *= -2
        others.append(segmenter_of(pre, max_epochs=3, validation_fraction=0.5).fit(changed, Y, groups=PATIENT))
    expected = weights(found)
    same = [all(np.array_equal(a, expected[k]) for k, a in weights(other).items()) for other in others]
    assert sorted(same) == [False, True]
    assert others[same.index(True)].history_[0]["valid_loss"] != found.history_[0]["valid_loss"]


def test_validation_leaves_something_to_train_on(pre, segmenter_of):
    with pytest.raises(ValueError, match=r"validation_fraction=0.5 leaves no record of 4 to train on"):
        split_records(0.5, np.zeros(4, dtype=np.int64), 4, 0)
    with pytest.raises(ValueError, match=r"validation_fraction=0.5 leaves no record of 4 to train on"):
        segmenter_of(pre, validation_fraction=0.5).fit(X, Y, groups=np.zeros(4))
    with pytest.raises(ValueError, match="groups must hold one label per record"):
        segmenter_of(pre, validation_fraction=0.5).fit(X, Y, groups=PATIENT[1:])


# Weights


def test_only_the_ratios_of_weights_count():
    assert record_weights(None, 3).tolist() == [1, 1, 1]
    for scale in (2.0**-900, 1.0, 2.0**1000):
        found = record_weights(np.array([3.0, 1.0, 0.0]) * scale, 3)
        assert (found / found.sum()).tolist() == [0.75, 0.25, 0]
    with pytest.raises(ValueError, match="sample_weight is 0 for each of the 3 records"):
        record_weights([0, 0, 0], 3)


def test_huge_weights_train(pre, segmenter_of):
    assert segmenter_of(pre).fit(X, Y, sample_weight=[1e308, 1e308, 1, 1e308]).n_iter_ == 1


def test_a_record_with_a_weight_is_left_to_train_on(pre, segmenter_of):
    weight = np.array([1.0, 1, 0, 0])
    held = [split_records(0.5, PATIENT, 4, seed)[1].tolist() for seed in range(6)]
    seed = held.index([0, 1])
    with pytest.raises(ValueError, match=r"validation_fraction=0.5 holds out all records whose sample_weight is above"):
        split_records(0.5, PATIENT, 4, seed, weight)
    assert split_records(0.5, PATIENT, 4, held.index([2, 3]), weight)[0].tolist() == [0, 1]
    found = segmenter_of(pre, validation_fraction=0.5, random_state=seed)
    with pytest.raises(ValueError, match="sample_weight"):
        found.fit(X, Y, groups=PATIENT, sample_weight=weight)


def test_what_has_no_weight_is_never_shown(pre, segmenter_of):
    only_first = np.where((np.arange(4) > 0)[:, None] & (Y == 1), 0, Y)
    with pytest.raises(ValueError, match="no sample is labelled P"):
        segmenter_of(pre).fit(X, only_first, sample_weight=[0, 1, 1, 1])


# Rates of the encoder


@pytest.mark.parametrize("pretrained", [True, False])
def test_an_encoder_of_rate_0_stays(pre, pretrained, segmenter_of):
    start = pre if pretrained else BeatSSLPretrainer(**TINY)
    frozen = segmenter_of(start, encoder_lr=0, lr=1e-2, max_epochs=2).fit(X, Y)
    untrained = segmenter_of(start, max_epochs=0).fit(X, Y)
    before = (pre if pretrained else untrained).encoder_.weights
    encoder = frozen.encoder_.weights
    assert len(encoder) > 10 and all(np.array_equal(a, before[name]) for name, a in encoder.items())
    head = "head.conv.weight"
    assert not np.array_equal(frozen.unet_.weights[head], untrained.unet_.weights[head])


def test_a_pretrained_encoder_learns_slowly_and_keeps_its_statistics(pre, segmenter_of):
    start = pre.encoder_.weights
    steps = {}
    for name, changes in {"default": {}, "fast": {"encoder_lr": 1e-2}, "slow": {"encoder_lr": 1e-5}}.items():
        found = segmenter_of(pre, lr=1e-2, max_epochs=2, **changes).fit(X, Y).encoder_.weights
        assert np.array_equal(found[NORM], start[NORM])
        steps[name] = np.abs(found[CONV] - start[CONV]).max()
    assert 0 < steps["slow"] < steps["default"] < steps["fast"]
    tenth = segmenter_of(pre, lr=1e-2, max_epochs=2, encoder_lr=1e-3).fit(X, Y).encoder_.weights
    assert np.abs(tenth[CONV] - start[CONV]).max() == pytest.approx(steps["default"])


def test_an_encoder_from_scratch_learns_at_the_full_rate_and_its_statistics(segmenter_of):
    start, found, same = (
        segmenter_of(BeatSSLPretrainer(**TINY), lr=1e-2, **changes).fit(X, Y).encoder_.weights
        for changes in ({"max_epochs": 0}, {}, {"encoder_lr": 1e-2})
    )
    assert not start[NORM].any() and found[NORM].any()
    assert np.array_equal(found[CONV], same[CONV])


# What a training refuses


PARAMETERS = [
    ("fs_model", 360, ValueError),
    ("fs_model", 30, ValueError),
    ("fs_model", None, TypeError),
    ("widths", (8, 8, 8), ValueError),
    ("widths", (8, 8, 8, 0), ValueError),
    ("widths", (8, 8, 8, 8.5), ValueError),
    ("widths", 8, ValueError),
    ("widths", "8888", ValueError),
    ("max_epochs", -1, ValueError),
    ("max_epochs", 1.5, TypeError),
    ("batch_size", 0, ValueError),
    ("batch_size", None, TypeError),
    ("leads_per_window", 13, ValueError),
    ("leads_per_window", 0, ValueError),
    ("window", 0.5, ValueError),
    ("window", 1000, ValueError),
    ("window", "long", TypeError),
    ("lr", -1.0, ValueError),
    ("lr", np.nan, ValueError),
    ("lr", True, TypeError),
    ("encoder_lr", "slow", TypeError),
    ("encoder_lr", -1e-3, ValueError),
    ("weight_decay", None, TypeError),
    ("weight_decay", -1, ValueError),
    ("dice_weight", -0.5, ValueError),
    ("dice_weight", [1], TypeError),
    ("augment", "3kg", TypeError),
    ("augment", {"gain": 2}, TypeError),
    ("augment__gain", "loud", TypeError),
    ("augment__noise", 1.5, ValueError),
    ("validation_fraction", 1.0, ValueError),
    ("validation_fraction", "some", TypeError),
    ("wave_params", {"smoothing": 1}, ValueError),
    ("wave_params", {"max_gap": -1}, ValueError),
    ("wave_params", {"max_gap": "short"}, TypeError),
    ("wave_params", {"fs": 500}, ValueError),
    ("wave_params", {"max_gap": None}, TypeError),
    ("wave_params", {"min_confidence": "a"}, TypeError),
    ("wave_params", {"sure_p": ("a", "b")}, TypeError),
    ("wave_params", ["max_gap"], TypeError),
    ("precision", "int8", ValueError),
    ("device", "abacus", ValueError),
    ("device", 7, TypeError),
]


@pytest.mark.parametrize(("parameter", "value", "error"), PARAMETERS)
def test_parameters_are_checked_and_named(pre, parameter, value, error, segmenter_of):
    found = segmenter_of(pre).set_params(**{parameter: value})
    for use in (check_segmenter, lambda segmenter: segmenter.fit(X, Y)):
        with pytest.raises(error) as caught:
            use(found)
        message = str(caught.value)
        assert parameter.rpartition("__")[2] in message
        shown = value if not isinstance(value, dict) else next(iter(value))
        assert str(shown).strip("[]()").split(",")[0].strip("'\"") in message
        assert not hasattr(found, "unet_")


def test_the_constructor_checks_nothing():
    for parameter, value, _ in PARAMETERS:
        if "__" not in parameter:
            assert WaveSegmenter(**{parameter: value}).get_params(deep=False)[parameter] is value


def test_divergence_is_an_error(pre, segmenter_of):
    found = segmenter_of(pre, lr=1e30, max_epochs=4)
    with pytest.raises(FloatingPointError, match="lr=1e\\+30"):
        found.fit(X, Y)
    assert not hasattr(found, "unet_")


def test_an_interrupt_reaches_the_caller(pre, monkeypatch, segmenter_of):
    def interrupt(self, *args):
        raise KeyboardInterrupt

    monkeypatch.setattr("beatssl_sklearn.segmentation.batches.WaveBatches._window", interrupt)
    found = segmenter_of(pre)
    with pytest.raises(KeyboardInterrupt):
        found.fit(X, Y)
    assert not hasattr(found, "unet_")
