"""What fine-tuning starts from: checked parameters, a plan for the records at hand, and the head of a frozen probe."""

import numpy as np
import pytest
import torch

from beatssl_sklearn import FineTunedClassifier, LeadMasking, NoViews, VCGViews
from beatssl_sklearn.finetuning.labels import encode_labels
from beatssl_sklearn.finetuning.net import HeadedEncoder
from beatssl_sklearn.finetuning.probe import fit_probe, standardisation
from beatssl_sklearn.finetuning.start import check_fine_tuning, plan_of, start_at_frozen
from beatssl_sklearn.nn.encoders import build_encoder
from beatssl_sklearn.nn.weights import module_arrays

# The plan


@pytest.mark.parametrize(
    ("params", "n_train", "scratch", "plan"),
    [
        ({}, 4999, False, (True, 1e-4, 1e-4, np.inf)),
        ({}, 5000, False, (False, 1e-2, 2e-3, 5)),
        ({}, 50, True, (False, 1e-2, 1e-2, np.inf)),
        ({"head_init": "probe"}, 5000, False, (True, 1e-4, 1e-4, np.inf)),
        ({"head_init": "zero", "lr": 5e-3}, 50, False, (False, 5e-3, 1e-3, 5)),
        ({"lr": 1e-4, "encoder_lr": 3e-4}, 5000, False, (False, 1e-4, 3e-4, 5)),
        ({"encoder_lr": 0}, 5000, False, (True, 1e-4, 0, np.inf)),
        ({"window": 3, "head_init": "probe"}, 50, False, (True, 1e-4, 1e-4, 3)),
        ({"max_epochs": 0}, 5000, False, (True, 1e-4, 1e-4, np.inf)),
    ],
)
def test_what_is_left_open_depends_on_the_records(params, n_train, scratch, plan):
    parameters = FineTunedClassifier(**params).get_params(deep=False)
    assert tuple(plan_of(parameters, n_train, scratch)) == pytest.approx(plan)


# The head


@pytest.mark.parametrize("from_probe", [True, False])
@pytest.mark.parametrize("kind", ["two", "three", "several"])
def test_the_network_starts_at_the_frozen_probe(kind, from_probe):
    encoder = build_encoder("beatnet", 100.0, {"widths": (8, 8, 8), "n_dims": 8}, torch.Generator().manual_seed(0))
    rng = np.random.default_rng(0)
    embedding = (rng.normal(size=(60, 10 * 8)) * np.logspace(-1, 1, 80) + 3).astype(np.float32)
    y = {"two": np.arange(60) % 2, "three": np.arange(60) % 3, "several": rng.integers(0, 2, (60, 2))}[kind]
    targets = encode_labels(y, 60, None)
    train, patients = np.arange(5, 60), np.arange(60) // 2
    module = HeadedEncoder(encoder, 7, targets.n_outputs, adapt_norm=False)
    before = module_arrays(encoder)
    start_at_frozen(module, embedding, targets, train, patients, fit_probe if from_probe else None, seed=3)
    standard = standardisation(embedding[train])
    assert np.array_equal(module.norm.running_mean, standard.mean)
    assert np.array_equal(module.norm.running_var, standard.variance)
    weight, bias = module.linear.weight.detach().numpy(), module.linear.bias.detach().numpy()
    if from_probe:
        expected = fit_probe(embedding, standard, targets, train, patients, 3)
        assert np.array_equal(weight, expected[0]) and np.array_equal(bias, expected[1]) and weight.any()
    else:
        assert not weight.any() and not bias.any()
    assert all(np.array_equal(array, before[name]) for name, array in module_arrays(module.encoder).items())


# Parameters


PARAMETERS = [
    ("max_epochs", -1, ValueError),
    ("max_epochs", 1.5, TypeError),
    ("batch_size", 1, ValueError),
    ("lr", -1.0, ValueError),
    ("encoder_lr", "slow", TypeError),
    ("weight_decay", None, TypeError),
    ("dropout", 1.0, ValueError),
    ("patience", 0, ValueError),
    ("validation_fraction", 1.0, ValueError),
    ("head_init", "best", ValueError),
    ("window", 0.5, ValueError),
    ("early_stopping", "yes", ValueError),
    ("views", "3kg", TypeError),
    ("views", {"angle": 30}, TypeError),
    ("views", VCGViews, TypeError),
    ("views__angle", -3, ValueError),
    ("views__scale", (1.5, 1.0), ValueError),
    ("views__p", "often", TypeError),
    ("precision", "int8", ValueError),
    ("device", "abacus", ValueError),
]


@pytest.mark.parametrize(("parameter", "value", "error"), PARAMETERS)
def test_parameters_are_checked_and_named(parameter, value, error):
    classifier = FineTunedClassifier().set_params(**{parameter: value})
    with pytest.raises(error, match=parameter.rpartition("__")[2]):
        check_fine_tuning(classifier)


def test_the_constructor_checks_nothing():
    for parameter, value, _ in PARAMETERS:
        if "__" not in parameter:
            assert FineTunedClassifier(**{parameter: value}).get_params(deep=False)[parameter] is value


@pytest.mark.parametrize("views", [None, VCGViews(lead_drop=0.5), LeadMasking(0.3), NoViews(), lambda x, p, g: (x, p)])
def test_views_of_every_kind_are_taken(views):
    check_fine_tuning(FineTunedClassifier(views=views, early_stopping=np.bool_(True)))
