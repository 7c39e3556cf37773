"""The aligner that ships: unchanged, without reports, for any rate and leads, and worth something on real ECGs."""

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from beatssl_sklearn import ReportAligner, RhythmEmbedder, WFDBFolder, make_ecg

STORED = Path(__file__).parent / "shipped_answers.npz"
ASKED = ("AFIB", "NORM", "left bundle branch block")


@pytest.fixture(scope="module")
def aligner():
    return ReportAligner.load("ptbxl-reports")


def test_answers_are_the_stored_ones(aligner, data_dir):
    stored, records = np.load(STORED), WFDBFolder(data_dir / "ludb")[:2]
    np.testing.assert_allclose(aligner.transform(records), stored["aligned"], atol=1e-3)
    np.testing.assert_allclose(aligner.predict_proba(records, ASKED), stored["answers"], atol=2e-3)


def test_it_holds_no_reports_and_reads_with_the_shipped_encoder(aligner):
    assert aligner.trained_ is None and len(aligner.captions_) == 0 and len(aligner.gallery_) == 512
    X = make_ecg(2, fs=500, random_state=0).data
    np.testing.assert_array_equal(RhythmEmbedder(aligner).transform(X), RhythmEmbedder("ptbxl").transform(X)[:, :1280])


def test_other_rates_and_leads(aligner):
    ecg = make_ecg(2, fs=250, random_state=0)
    own = ReportAligner.load("ptbxl-reports").set_params(fs=250, leads=("I", "II"))
    assert own.transform(ecg.data[:, :2]).shape == aligner.transform(make_ecg(2, random_state=0).data).shape


def test_prompts_in_two_languages_find_normal_ecgs(aligner, data_dir):
    with open(data_dir / "ptbxl" / "labels.csv", newline="") as stream:
        known = {int(row["ecg_id"]): row for row in csv.DictReader(stream)}
    folder = WFDBFolder(data_dir / "ptbxl500")
    rows = [known[int(Path(name).name.split("_")[0])] for name in folder.names]
    normal = np.array([row["superclass"] == "NORM" for row in rows])
    prompts = {"en": "normal ECG", "de": "normales EKG", "sttc": "ST-T changes"}
    found = aligner.predict_proba(folder, prompts)
    # In fold 9, it is about .91.
    assert roc_auc_score(normal, found[:, 0]) > 0.8 and roc_auc_score(normal, found[:, 1]) > 0.8
    assert roc_auc_score(normal, found[:, 2]) < 0.4
