"""The models that ship as "statements" and "age-sex": small, unchanged, and worth something on real ECGs."""

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from beatssl_sklearn import WFDBFolder, load, make_ecg
from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.persistence import model_file

STORED = Path(__file__).parent / "shipped_statements.npz"
SUPERCLASSES = ["NORM", "MI", "STTC", "CD", "HYP"]


@pytest.fixture(scope="module")
def statements():
    return load("statements")


@pytest.fixture(scope="module")
def age_sex():
    return load("age-sex")


@pytest.fixture(scope="module")
def ptbxl500(data_dir):
    """A hundred records of 500 Hz, most of which the models have seen, and their table."""
    with open(data_dir / "ptbxl" / "labels.csv", newline="") as stream:
        rows = {int(row["ecg_id"]): row for row in csv.DictReader(stream)}
    folder = WFDBFolder(data_dir / "ptbxl500")
    ids = [int(Path(name).name.split("_")[0]) for name in folder.names]
    return np.stack([record.signal for record in folder]), [rows[i] for i in ids]


def simulated(rhythm, n=8, fs=500):
    return make_ecg(n, rhythm=rhythm, fs=fs, random_state=0).data


def test_files_are_small_and_have_cards(statements, age_sex):
    for name, most in (("statements", 300_000), ("age-sex", 50_000)):
        assert (model_file._SHIPPED / f"{name}.bssl").stat().st_size < most
        card = (model_file._SHIPPED / f"{name}.md").read_text(encoding="utf-8")
        assert card.startswith(f"# Model card: `{name}`") and "**For research only. This is not a medical" in card
    assert list(statements.classes_[:5]) == SUPERCLASSES and len(statements.classes_) == 50
    assert {"AFIB", "CLBBB", "LVH", "PVC", "SR"} < set(statements.classes_)
    assert age_sex[-1].answers_.tolist() == ["age", "p_male"]


def test_answers_are_the_stored_ones(statements, age_sex):
    stored, X = np.load(STORED), make_ecg(4, rhythm="mixed", fs=500, random_state=0).data
    np.testing.assert_allclose(statements.predict_proba(X), stored["statements"], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(statements.score_samples(X), stored["usual"], atol=2e-3)
    np.testing.assert_allclose(age_sex.predict(X), stored["age-sex"], rtol=1e-3, atol=1e-3)


def test_simulated_fibrillation_is_told_from_sinus_rhythm(statements):
    labels = list(statements.classes_)
    af, sinus = statements.predict_proba(simulated("af")), statements.predict_proba(simulated("sinus"))
    assert af[:, labels.index("AFIB")].min() > sinus[:, labels.index("AFIB")].max()
    assert np.median(sinus[:, labels.index("SR")]) > 0.85 and np.median(af[:, labels.index("SR")]) < 0.1


def test_any_rate_and_leads(statements):
    X = simulated("af", 4, 360)
    p = load("statements").set_params(embed__fs=360, embed__leads=("II", "V1")).predict_proba(X[:, [1, 6]])
    assert p.shape == (4, 50) and p[:, list(statements.classes_).index("AFIB")].min() > 0.1


def test_noise_is_unlike_anything_seen(statements, ptbxl500):
    """Real records are usual at any rate of the training; noise alone is beyond all of it."""
    X, _ = ptbxl500
    assert (statements.score_samples(X) < 0.05).mean() < 0.2
    statements[0].set_params(check="ignore")
    noise = np.random.default_rng(0).normal(0, 0.3, (4, len(LEADS), 5000)).astype(np.float32)
    assert statements.score_samples(noise).max() < 0.01
    statements[0].set_params(check="warn")


def test_probabilities_of_real_records(statements, ptbxl500):
    """A floor, and sums: of a calibrated label, as many records are expected as there are."""
    X, rows = ptbxl500
    p = statements.predict_proba(X)[:, :5]
    y = np.array([[name in row["superclass"].split() for name in SUPERCLASSES] for row in rows])
    assert roc_auc_score(y[:, 0], p[:, 0]) > 0.85
    spread = np.sqrt((p * (1 - p)).sum(axis=0))
    assert (np.abs(p.sum(axis=0) - y.sum(axis=0)) < 4 * spread + 1).all()


def test_age_and_sex_of_real_records(age_sex, ptbxl500):
    X, rows = ptbxl500
    age, male = age_sex.predict(X).T
    known = np.array([row["age"] not in ("", "300.0") for row in rows])
    true = np.array([float(row["age"] or "nan") for row in rows])
    assert np.abs(age - true)[known].mean() < 10
    assert roc_auc_score([row["sex"] == "0" for row in rows], male) > 0.8
