"""Who is there to be told from: patients in training, in validation, and among records with a sample."""

import numpy as np
import pytest
from tiny_objectives import GROUPS, X, losses, make

from beatssl_sklearn import LeadAgnostic, Sum

FOUR, TWO = np.repeat(np.arange(4), 2), np.repeat(np.arange(2), 4)
SUM = Sum([LeadAgnostic(local_weight=0)])


@pytest.mark.parametrize(
    ("name", "remedy"), [("patients", "positive='record'"), ("segments", "global_weight=0"), (SUM, "global_weight=0")]
)
def test_one_patient_on_a_side(name, remedy):
    few = make(name, "dual_stream" if name == "patients" else "beatnet", max_epochs=1)
    for fraction, groups, side in ((0.2, FOUR, "4 to validate"), (0.75, FOUR, "4 to train on"), (0.5, TWO, "2 to")):
        few.set_params(validation_fraction=fraction)
        # As many records as batches need, but of one patient.
        with pytest.raises(ValueError, match=f"validation_fraction leaves one patient only of {side}.*{remedy}"):
            few.fit(X[:8], groups=groups)
    few.set_params(validation_fraction=0.5)
    # Without groups, each record is a patient.
    for groups in (FOUR, None):
        row = few.fit(X[:8], groups=groups).history_[0]
        assert row["train_loss"] > 0.01 and row["valid_loss"] > 0.01


@pytest.mark.parametrize("name", ["patients", "segments"])
def test_patients_without_a_sample_do_not_count(name):
    some = X[:8].copy()
    some[4:] = np.nan
    params = {"allow_nan": True, "check": "ignore"}
    message = r"one patient only \(4 of 8 records of X hold no sample\), .*leave groups out"
    with pytest.raises(ValueError, match=message):
        make(name, **params).fit(some, groups=TWO)
    make(name, **params, max_epochs=1).fit(some, groups=FOUR)


def test_objectives_that_compare_no_patients_are_held_out_as_before():
    fitted = make("records", max_epochs=1, validation_fraction=0.5).fit(X[:8], groups=TWO)
    assert np.isfinite(losses(fitted)).all()
    make("patients", max_epochs=1, validation_fraction=0.25).fit(X, groups=GROUPS)
