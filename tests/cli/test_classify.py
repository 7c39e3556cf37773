"""`beatssl classify`: a row per record, thresholds, refused records, and models of the user's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from beatssl_sklearn import RhythmEmbedder, WFDBFolder, load, make_ecg
from beatssl_sklearn.cli.main import main
from beatssl_sklearn.persistence import save


@pytest.fixture(scope="module")
def table(good: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    out = tmp_path_factory.mktemp("classify") / "table.csv"
    assert main(["classify", str(good), "--out", str(out), "--device", "cpu", "--quiet"]) == 0
    return pd.read_csv(out, dtype={"record": str}, keep_default_na=False)


def test_a_row_per_record_as_in_python(table: pd.DataFrame, good: Path, record_names: list[str]) -> None:
    model = load("statements")
    assert table.record.tolist() == record_names
    assert list(table.columns) == ["record", "labels", "unlike", "use", *(f"p_{c}" for c in model.classes_)]
    assert set(table.use) == {"research only"}
    model[0].set_params(device="cpu", check="ignore")
    records = list(WFDBFolder(good))
    p = model.predict_proba(records)
    np.testing.assert_allclose(table.filter(like="p_").to_numpy(float), p, atol=1e-5)
    np.testing.assert_allclose(table.unlike, 1 - model.score_samples(records), atol=1e-5)
    labels = [";".join(np.array(model.classes_)[row >= model[-1].thresholds_]) for row in p]
    assert table.labels.tolist() == labels


def test_thresholds(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "t.parquet"
    options = ["--threshold", "1", "--threshold", "SR=0", "--records", "a*", "--device", "cpu"]
    assert main(["classify", "--model", "statements", str(good), "--out", str(out), *options]) == 0
    assert pd.read_parquet(out).labels.tolist() == ["SR", "SR"]
    assert "For research only: this is not a medical device" in capsys.readouterr().err
    for wrong, text in (("nothing=.5", "no such label"), ("2", "probability from 0 to 1"), ("SR=x", "from 0 to 1")):
        try:
            status = main(["classify", str(good), "--out", str(out), "--threshold", wrong])
        except SystemExit as stop:
            status = stop.code
        assert status == 2 and text in capsys.readouterr().err


def test_age_and_sex(good: Path, tmp_path: Path) -> None:
    out = tmp_path / "people.csv"
    assert main(["classify", "age-sex", str(good), "--out", str(out), "--device", "cpu", "--quiet"]) == 0
    people = pd.read_csv(out)
    assert list(people.columns) == ["record", "use", "age", "p_male"] and len(people) == 5
    assert people.age.between(0, 120).all() and people.p_male.between(0, 1).all()
    assert main(["classify", "age-sex", str(good), "--out", str(out), "--threshold", ".5"]) == 2


def test_bad_records_are_named(mixed: Path, bad_names: tuple[str, ...], tmp_path: Path, capsys) -> None:
    out = tmp_path / "t.csv"
    assert main(["classify", str(mixed), "--out", str(out), "--device", "cpu", "--strict"]) == 1
    rows = pd.read_csv(out).record.tolist()
    assert len(rows) == 5 and not set(rows) & set(bad_names)
    told = capsys.readouterr().err
    assert all(name in told for name in bad_names)


def test_own_classifier(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Classes that exclude each other: the label is the most probable one."""
    ecg = make_ecg(8, rhythm="mixed", fs=100, random_state=0)
    kind = np.array(["a", "b"] * 4)
    model = make_pipeline(RhythmEmbedder("ptbxl-s", fs=100, device="cpu"), StandardScaler(), LogisticRegression())
    save(model.fit(ecg.data, kind), tmp_path / "own.bssl", by_name=True)
    out = tmp_path / "t.csv"
    assert main(["classify", str(tmp_path / "own.bssl"), str(good), "--out", str(out), "--device", "cpu"]) == 0
    found = pd.read_csv(out)
    assert list(found.columns) == ["record", "labels", "use", "p_a", "p_b"]
    assert found.labels.tolist() == np.where(found.p_a >= found.p_b, "a", "b").tolist()


@pytest.mark.parametrize(
    ("model", "text"),
    [("af", "holds a Pipeline of WindowEmbedder"), ("ptbxl", "holds a BeatSSLPretrainer"), ("nothing", "nothing")],
)
def test_other_models(model: str, text: str, good: Path, tmp_path: Path, capsys) -> None:
    assert main(["classify", model, str(good), "--out", str(tmp_path / "t.csv")]) == 2
    assert text in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_record_without_a_signal_has_no_answer(write_record, tmp_path: Path) -> None:
    signal = make_ecg(2, fs=100, random_state=0).data
    leads = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
    write_record(tmp_path / "data" / "a", signal[0], 100, leads)
    write_record(tmp_path / "data" / "b", np.full_like(signal[1], np.nan), 100, leads)
    out = tmp_path / "t.csv"
    options = ["--allow-nan", "--check", "ignore", "--device", "cpu"]
    assert main(["classify", str(tmp_path / "data"), "--out", str(out), *options]) == 0
    found = pd.read_csv(out)
    assert found.labels.notna().tolist() == [True, False] and found.p_NORM.notna().tolist() == [True, False]
