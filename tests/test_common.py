"""scikit-learn's own checks, on every estimator."""

import functools

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator

from beatssl_sklearn import (
    BeatClassifier,
    BeatContext,
    BeatEmbedder,
    BeatSSL,
    BeatSSLPretrainer,
    FineTunedClassifier,
    FineTunedRegressor,
    Pretrainer,
    RhythmEmbedder,
    SampleEmbedder,
    SequenceClassifier,
    VCGViews,
    WaveSegmenter,
    make_ecg,
)

TINY = {
    "fs": 100,
    "encoder_params": {"widths": (8, 16, 24), "n_dims": 12},
    "max_epochs": 1,
    "batch_size": 8,
    "random_state": 0,
    "device": "cpu",
}
UNTRAINED = TINY | {"max_epochs": 0}


def fitted():
    """Pretrainer of one lead: the checks pass tables, which are records of one lead."""
    one_lead = make_ecg(4, fs=100, duration=2, leads=["II"], noise=0, random_state=0).data
    return BeatSSLPretrainer(**UNTRAINED).fit(one_lead)


TEST_PARAMETERS = {
    "BeatSSLPretrainer": lambda: BeatSSLPretrainer(**TINY),
    # With a contrast: the tables of the checks have no beats, and nothing that could be predicted of them.
    "Pretrainer": lambda: Pretrainer(BeatSSL("soft", "none", views=VCGViews(lead_subset=0.2)), **TINY),
    "RhythmEmbedder": lambda: RhythmEmbedder(BeatSSLPretrainer(**UNTRAINED)),
    "RhythmEmbedder-frozen": lambda: RhythmEmbedder(fitted()),
    "FineTunedClassifier": lambda: FineTunedClassifier(
        BeatSSLPretrainer(**UNTRAINED), max_epochs=2, batch_size=16, random_state=0, device="cpu"
    ),
    "FineTunedRegressor": lambda: FineTunedRegressor(
        BeatSSLPretrainer(**UNTRAINED), max_epochs=2, batch_size=16, random_state=0, device="cpu"
    ),
    "BeatEmbedder": lambda: BeatEmbedder(BeatSSLPretrainer(**UNTRAINED)),
    "SampleEmbedder": lambda: SampleEmbedder(BeatSSLPretrainer(**UNTRAINED)),
}

_RAGGED = "the output is ragged, one array (n_beats, n_dims) per record, which the check compares as one array"
EXPECTED_FAILURES = {
    "BeatEmbedder": dict.fromkeys(
        [
            "check_estimators_pickle",
            "check_fit_idempotent",
            "check_methods_sample_order_invariance",
            "check_methods_subset_invariance",
            "check_pipeline_consistency",
            "check_transformer_data_not_an_array",
            "check_transformer_general",
        ],
        _RAGGED,
    ),
    "FineTunedClassifier": {
        "check_sample_weight_equivalence_on_dense_data": "a record twice is in two batches; a weight is in one",
    },
    "FineTunedRegressor": {
        "check_sample_weight_equivalence_on_dense_data": "a record twice is in two batches; a weight is in one",
    },
}

# These take one table per record, and their tags say that a single table is none of their inputs: the generator then
# yields one check. These checks need no data, or refuse before they look at it.
OF_BEATS = {
    "BeatClassifier": lambda: BeatClassifier(LogisticRegression()),
    "BeatContext": BeatContext,
    "SequenceClassifier": SequenceClassifier,
}
CHECKS_WITHOUT_TABLES = [
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_estimators_unfitted",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
]


def name_of(check):
    return check.func.__name__ if isinstance(check, functools.partial) else check.__name__


def cases():
    for case, make in TEST_PARAMETERS.items():
        for estimator, check in estimator_checks_generator(make(), legacy=True):
            name = name_of(check)
            reason = EXPECTED_FAILURES.get(case, {}).get(name)
            marks = [] if reason is None else [pytest.mark.xfail(reason=reason, strict=True)]
            options = "-".join(k for k in check.keywords if k != "estimator_orig")
            yield pytest.param(estimator, check, marks=marks, id=f"{case}-{name}{'-' * bool(options)}{options}")


CASES = list(cases())


# The checks' numbers are no ECGs. What is said of them is no error here.
@pytest.mark.filterwarnings(
    *(f"ignore:(.|\\n)*{odd}:UserWarning" for odd in ("no lead varies", "root mean square", "clipped", "heart"))
)
@pytest.mark.parametrize(("estimator", "check"), CASES)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("case", TEST_PARAMETERS)
def test_the_checks_are_not_empty(case):
    """Tags that leave out tables would make scikit-learn run a single check, and pass."""
    assert sum(p.id.startswith(f"{case}-check_") for p in CASES) >= 40


def test_expected_failures_name_checks_that_run():
    for case, failures in EXPECTED_FAILURES.items():
        ran = {name_of(p.values[1]) for p in CASES if p.id.startswith(f"{case}-check_")}
        assert set(failures) <= ran


@pytest.mark.parametrize("name", CHECKS_WITHOUT_TABLES)
@pytest.mark.parametrize("case", OF_BEATS)
def test_checks_of_estimators_of_beats(case, name):
    getattr(estimator_checks, name)(case, OF_BEATS[case]())


@pytest.mark.parametrize("case", TEST_PARAMETERS)
def test_tags(case):
    tags = get_tags(TEST_PARAMETERS[case]())
    assert tags.input_tags.two_d_array and tags.input_tags.three_d_array
    assert not tags.input_tags.sparse and not tags.input_tags.allow_nan
    assert not tags.non_deterministic
    if tags.transformer_tags is not None:
        assert tags.transformer_tags.preserves_dtype == []
    assert tags.requires_fit == (case != "RhythmEmbedder-frozen")


@pytest.mark.parametrize("cls", [BeatSSLPretrainer, Pretrainer, RhythmEmbedder, BeatEmbedder, SampleEmbedder])
def test_allow_nan_is_declared(cls):
    pretrainer = BeatSSLPretrainer(**TINY, allow_nan=True)
    estimator = cls(**TINY, allow_nan=True) if issubclass(cls, Pretrainer) else cls(pretrainer)
    assert get_tags(estimator).input_tags.allow_nan


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_missing_group_is_told_with_its_record(missing, segmenter_of):
    """It is no patient, nor are all of them one."""
    ecg = make_ecg(4, fs=100, duration=5, leads=["II"], random_state=0)
    groups = pd.Series(["a", "b", None, "a"], dtype=object)
    groups[2] = missing
    one_lead = BeatSSLPretrainer(**UNTRAINED, leads=["II"])
    labels = {FineTunedClassifier: [0, 1, 0, 1], WaveSegmenter: ecg.masks}
    estimators = [one_lead, RhythmEmbedder(one_lead), BeatEmbedder(one_lead)]
    estimators += [FineTunedClassifier(one_lead, max_epochs=0, device="cpu"), segmenter_of(one_lead, leads=["II"])]
    for estimator in estimators:
        with pytest.raises(ValueError, match="groups: the group of record 2 is missing"):
            estimator.fit(ecg.data, labels.get(type(estimator)), groups=groups)


@pytest.mark.parametrize("case", TEST_PARAMETERS)
def test_unfitted_clone(case):
    """A clone of what must be fitted is not fitted; a clone of a frozen embedder still is."""
    copy = clone(TEST_PARAMETERS[case]())
    X = make_ecg(2, fs=100, duration=2, leads=["II"], random_state=0).data
    if case == "RhythmEmbedder-frozen":
        assert copy.transform(X).shape == (2, 10 * 12)
        return
    with pytest.raises(NotFittedError):
        getattr(copy, "transform" if hasattr(copy, "transform") else "predict")(X)
