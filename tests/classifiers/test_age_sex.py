"""Age and sex from embeddings."""

import numpy as np
import pytest
from scipy.special import expit

from beatssl_sklearn import load
from beatssl_sklearn.classifiers import AgeSexRegressor
from beatssl_sklearn.persistence import save

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(2000, 5))
MALE = expit(2 * Z[:, 1])
Y = np.column_stack([60 + 10 * Z[:, 0] + 3 * RNG.normal(size=2000), RNG.random(2000) < MALE])


@pytest.fixture(scope="module")
def model():
    y = Y[:1500].copy()
    y[:200, 0], y[100:300, 1] = np.nan, np.nan
    return AgeSexRegressor(alpha_grid=(1.0, 1e4), C_grid=(0.1, 1.0)).fit(Z[:1500], y, groups=np.arange(1500) // 2)


def test_age_and_sex_are_found(model):
    age, male = model.predict(Z[1500:]).T
    # The noise of age alone has a mean absolute value of 3 sqrt(2 / pi) years.
    assert abs(np.abs(age - Y[1500:, 0]).mean() - 3 * np.sqrt(2 / np.pi)) < 0.25
    assert np.abs(male - MALE[1500:]).mean() < 0.03
    assert model.alpha_ == 1.0 and model.answers_.tolist() == ["age", "p_male"]


def test_ages_stay_possible(model):
    ages = model.predict(np.array([[-8.0, 0, 0, 0, 0], [8.0, 0, 0, 0, 0]]))[:, 0]
    assert ages[0] == 0 and ages[1] == 120


def test_saved_is_the_same(model, tmp_path):
    save(model, tmp_path / "model.bssl")
    assert np.array_equal(load(tmp_path / "model.bssl").predict(Z[:9]), model.predict(Z[:9]))


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (np.zeros(30), r"\(n_records, 2\) of age and sex, got shape \(30,\)"),
        (np.column_stack([np.full(30, 300), [0, 1] * 15]), "ages must be from 0 to 120"),
        (np.column_stack([np.arange(30), np.full(30, 2)]), "0 for female, 1 for male"),
        (np.column_stack([np.arange(30), np.full(30, np.nan)]), "of sex must be known"),
    ],
)
def test_tables_that_cannot_be_used(y, text):
    with pytest.raises(ValueError, match=text):
        AgeSexRegressor().fit(Z[:30], y)
