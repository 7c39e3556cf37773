"""The command `beatssl rhythms`: tables of windows, records and episodes, annotation files, and long records."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import beatssl_sklearn
from beatssl_sklearn import (
    BeatEmbedder,
    ECGRecord,
    RhythmEmbedder,
    WFDBFolder,
    WindowEmbedder,
    load,
    make_ecg,
    read_annotations,
    save,
)
from beatssl_sklearn.cli import rhythm_model, rhythms_records
from beatssl_sklearn.cli.main import main
from beatssl_sklearn.cli.rhythms_records import marks_of
from beatssl_sklearn.ecg import Episode, merge_episodes, rhythm_episodes
from beatssl_sklearn.sequences import SequenceClassifier

LEADS = ("II", "V1")
DURATIONS = {"a": 20, "b_long": 130, "brief": 6}
WriteRecord = Callable[..., None]
Refusal = Callable[..., str]


def simulated(name: str) -> np.ndarray:
    """Sinus rhythm, then atrial fibrillation; the brief record has the latter alone."""
    seconds = DURATIONS[name]
    parts = [
        make_ecg(1, rhythm=rhythm, fs=100, duration=seconds / 2, leads=LEADS, random_state=seconds).data[0]
        for rhythm in (("af", "af") if name == "brief" else ("sinus", "af"))
    ]
    return np.concatenate(parts, axis=1)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory, write_record: WriteRecord) -> Path:
    folder = tmp_path_factory.mktemp("records")
    for name in DURATIONS:
        write_record(folder / name, simulated(name), 100, LEADS)
    return folder


def training() -> tuple[list[ECGRecord], list[str]]:
    ecg = make_ecg(16, rhythm=["sinus", "af"], fs=100, duration=20, leads=LEADS, random_state=3)
    return [ECGRecord(x, 100.0, LEADS) for x in ecg.data], ["A" if own == "af" else "N" for own in ecg.rhythm]


@pytest.fixture(scope="module")
def by_windows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of a pipeline that labels windows."""
    path = tmp_path_factory.mktemp("by_windows") / "windows.bssl"
    embedder = WindowEmbedder(
        "ptbxl-s", timing=True, timing_window=20, parts=["mean", "beat"], check="ignore", allow_nan=True
    )
    X, y = training()
    rows = embedder.transform(X)
    head = SequenceClassifier().fit(rows, [[label] * len(own) for label, own in zip(y, rows, strict=True)])
    save(Pipeline([("embed", embedder), ("head", head)]), path, by_name=True)
    return path


@pytest.fixture(scope="module")
def by_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of a pipeline that labels records."""
    path = tmp_path_factory.mktemp("by_records") / "records.bssl"
    X, y = training()
    pipeline = make_pipeline(
        RhythmEmbedder("ptbxl-s", check="ignore"), StandardScaler(), LogisticRegression(max_iter=1000)
    )
    save(pipeline.fit(X, y), path, by_name=True)
    return path


class MeanOfWindows(ClassifierMixin, BaseEstimator):
    """Labels records by the mean of their windows."""

    def __init__(self, classifier: Any) -> None:
        self.classifier = classifier

    def fit(self, X: Any, y: Any) -> MeanOfWindows:
        self.classifier.fit(self._means(X), y)
        self.classes_ = self.classifier.classes_
        return self

    def predict(self, X: Any) -> np.ndarray:
        return self.classifier.predict(self._means(X))

    def predict_proba(self, X: Any) -> np.ndarray:
        return self.classifier.predict_proba(self._means(X))

    def _means(self, X: Any) -> np.ndarray:
        return np.stack([rows.mean(axis=0) for rows in X])


def rhythms(model: Any, folder: Path, out: Path, *more: str) -> int:
    return main(["rhythms", str(model), str(folder), "--out", str(out), "--device", "cpu", "--quiet", *more])


def tables(out: Path, ending: str = "csv") -> list[pd.DataFrame]:
    read = pd.read_csv if ending == "csv" else pd.read_parquet
    options: dict[str, Any] = {"keep_default_na": True} if ending == "csv" else {}
    return [read(out / f"{name}.{ending}", **options) for name in ("windows", "records", "episodes")]


def assert_tables_are_the_pipelines(model: Path, folder: Path, out: Path, ending: str = "csv") -> None:
    windows, totals, episodes = tables(out, ending)
    pipeline, every = load(model), WFDBFolder(folder)
    expected, p, spans = pipeline.predict(every), pipeline.predict_proba(every), pipeline[0].windows(every)
    assert list(windows) == ["record", "start_s", "stop_s", "label", "probability", "p_A", "p_N"]
    assert list(totals) == ["record", "label", "share_A", "share_N", "minutes"]
    assert list(episodes) == ["record", "label", "start_s", "stop_s"]
    for i, name in enumerate(every.names):
        own = windows[windows["record"] == name]
        np.testing.assert_allclose(own[["start_s", "stop_s"]], spans[i] / 100)
        assert own["label"].tolist() == expected[i].tolist()
        np.testing.assert_allclose(own[["p_A", "p_N"]], p[i], atol=1e-3)
        merged = merge_episodes([str(label) for label in expected[i]], spans[i])
        found = episodes[episodes["record"] == name]
        assert list(zip(found["start_s"] * 100, found["stop_s"] * 100, found["label"], strict=True)) == merged
        share = sum(stop - start for start, stop, label in merged if label == "A") / (100 * DURATIONS[name])
        row = totals.iloc[i]
        assert row["record"] == name and row["minutes"] == pytest.approx(DURATIONS[name] / 60, abs=1e-6)
        assert row["share_A"] == pytest.approx(share, abs=1e-6) and row["share_N"] == pytest.approx(1 - share, abs=1e-6)
        assert row["label"] == ("A" if share >= 0.5 else "N")
    assert len(episodes) > len(every)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables_are_the_pipelines(
    ending: str, by_windows: Path, records: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    assert rhythms(by_windows, records, tmp_path, "--format", ending, "--strict", "--check", "ignore") == 0
    stdout, stderr = capsys.readouterr()
    assert "windows and " in stdout and "episodes of 3 records" in stdout and stderr == ""
    assert_tables_are_the_pipelines(by_windows, records, tmp_path, ending)


def test_long_records_are_read_in_pieces(
    by_windows: Path, records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []
    whole = WindowEmbedder.transform

    def watched(self: Any, X: Any) -> Any:
        shown.extend(X[i].signal.shape[1] for i in range(len(X)))
        return whole(self, X)

    monkeypatch.setattr(rhythms_records, "BATCH_SAMPLES", 10_000)
    monkeypatch.setattr(rhythms_records, "PIECE_S", 30.0)
    monkeypatch.setattr(rhythm_model, "PIECE_S", 30.0)
    with monkeypatch.context() as patch:
        patch.setattr(WindowEmbedder, "transform", watched)
        assert rhythms(by_windows, records, tmp_path) == 0
    assert shown == [2000, 600]
    assert_tables_are_the_pipelines(by_windows, records, tmp_path)


@pytest.mark.parametrize("most", [10**6, 1000])
def test_a_model_of_records(
    most: int, by_records: Path, records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rhythms_records, "BATCH_SAMPLES", most)
    monkeypatch.setattr(rhythm_model, "PIECE_S", 30.0)
    assert rhythms(by_records, records, tmp_path) == 0
    windows, totals, _ = tables(tmp_path)
    pipeline = load(by_records)
    assert totals["label"].tolist() == windows["label"].tolist() == pipeline.predict(WFDBFolder(records)).tolist()
    assert windows["stop_s"].tolist() == [20.0, 130.0, 6.0]
    # Each window as if it were a record.
    assert rhythms(by_records, records, tmp_path, "--window", "5") == 0
    windows = tables(tmp_path)[0]
    starts = windows[windows["record"] == "a"]["start_s"]
    assert starts.tolist() == [0, 2.5, 5, 7.5, 10, 12.5, 15]
    signal = WFDBFolder(records)[0].signal
    cut = [ECGRecord(signal[:, round(100 * s) : round(100 * s) + 500], 100.0, LEADS) for s in starts]
    np.testing.assert_allclose(
        windows[windows["record"] == "a"][["p_A", "p_N"]], pipeline.predict_proba(cut), atol=1e-3
    )


def test_a_head_that_labels_records_from_windows(
    records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = training()
    head = MeanOfWindows(LogisticRegression(max_iter=1000))
    pipeline = make_pipeline(WindowEmbedder("ptbxl-s", check="ignore"), head).fit(X, y)
    monkeypatch.setattr(beatssl_sklearn, "load", lambda path: pipeline)
    assert rhythms("model", records, tmp_path) == 0
    windows, totals, _ = tables(tmp_path)
    every = WFDBFolder(records)
    assert totals["label"].tolist() == pipeline.predict(every).tolist()
    first = head.predict_proba([rows[None] for rows in pipeline[0].transform(every)[0]])
    np.testing.assert_allclose(windows[windows["record"] == "a"][["p_A", "p_N"]], first, atol=1e-3)


def test_windows_without_a_sample_have_no_label(
    by_windows: Path, write_record: WriteRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gap = simulated("b_long")
    gap[:, 4000:6000] = np.nan
    write_record(tmp_path / "data" / "gap", gap, 100, LEADS)
    write_record(tmp_path / "data" / "nothing", np.full((2, 2000), np.nan), 100, LEADS)
    assert rhythms(by_windows, tmp_path / "data", tmp_path, "--allow-nan", "--annotations", "--check", "ignore") == 0
    windows, totals, episodes = tables(tmp_path)
    inside = (windows["start_s"] >= 40) & (windows["stop_s"] <= 60) | (windows["record"] == "nothing")
    assert inside.sum() == 3 + 3
    assert windows["label"].isna().tolist() == windows["probability"].isna().tolist() == inside.tolist()
    assert not ((episodes["start_s"] < 50) & (episodes["stop_s"] > 50)).any()
    assert set(episodes["record"]) == {"gap"}
    # Half of the overlap with the windows beside it: from 42.5 to 57.5 s there is no label.
    own = totals.set_index("record").loc["gap"]
    assert own["share_A"] + own["share_N"] == pytest.approx(1 - 15 / 130, abs=1e-6)
    assert totals["label"].isna().tolist() == [False, True]
    marks = read_annotations(tmp_path / "annotations" / "gap", "atr")
    stretches = [[e.start / 100, e.stop / 100] for e in rhythm_episodes(marks, 13_000)]
    assert stretches == episodes[["start_s", "stop_s"]].to_numpy().tolist()


def test_marks_in_annotation_files() -> None:
    episodes = [Episode(0, 300, "N"), Episode(300, 700, "A"), Episode(900, 1000, "O")]
    assert marks_of(episodes, 1500) == ([0, 300, 700, 900, 1000], ["(N", "(AFIB", "(", "(O", "("])
    assert marks_of([Episode(0, 300, "~")], 300) == ([0], ["(~"])
    assert marks_of([], 300) == ([], [])


def test_short_episodes_and_annotations(by_windows: Path, records: Path, tmp_path: Path) -> None:
    assert rhythms(by_windows, records, tmp_path, "--min-duration", "15", "--annotations") == 0
    windows, totals, episodes = tables(tmp_path)
    for name, seconds in DURATIONS.items():
        own = windows[windows["record"] == name]
        spans = (100 * own[["start_s", "stop_s"]]).round().astype(int).to_numpy()
        expected = merge_episodes(own["label"].tolist(), spans, min_duration=15, fs=100)
        found = episodes[episodes["record"] == name]
        assert list(zip(found["start_s"] * 100, found["stop_s"] * 100, found["label"], strict=True)) == expected
        marks = rhythm_episodes(read_annotations(tmp_path / "annotations" / name, "atr"), 100 * seconds)
        names = {"A": "AFIB", "N": "N"}
        assert marks == [(start, stop, names[label]) for start, stop, label in expected]
    # It lasts 6 s: no episode is left, but the label of its windows.
    assert "brief" not in set(episodes["record"]) and totals["label"].notna().all()
    assert episodes["record"].tolist().count("a") == 1


def test_the_model_that_is_taken_if_none_is_given(write_record: WriteRecord, tmp_path: Path) -> None:
    arguments = argparse.Namespace(folder=tmp_path, leads=None, positional=False, fs=None, window=None)
    for name, seconds in (("a", 60), ("b", 121)):
        write_record(tmp_path / name, np.zeros((2, 100 * seconds)), 100, LEADS)
    assert rhythm_model.default_model(["a", "missing"], arguments) == ("af", "")
    model, reason = rhythm_model.default_model(["missing", "a", "b"], arguments)
    assert model == "af-episodes" and reason.startswith("b lasts 2 min") and "--model af " in reason
    arguments.window = 30.0
    assert rhythm_model.default_model(["b"], arguments) == ("af", "")


def test_what_cannot_be_done(
    by_windows: Path, by_records: Path, records: Path, tmp_path: Path, refusal: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = ("--out", tmp_path / "out")
    for model, more, text in (
        (by_windows, ["--window", "1"], "--window must be"),
        (by_windows, ["--step", "11"], "--step must be"),
        (by_records, ["--window", "5", "--step", "6"], "--step must be"),
        ("ptbxl-s", [], "ptbxl-s: it holds a BeatSSLPretrainer; a Pipeline is needed that begins with a Window"),
        ("no.bssl", [], "neither a file nor a shipped model"),
    ):
        assert text in refusal("rhythms", model, records, *out, *more)
    narrow = LogisticRegression().fit(np.eye(4), [0, 1, 0, 1])
    for first, text in (
        (BeatEmbedder("ptbxl-s"), "a WindowEmbedder or a RhythmEmbedder"),
        (RhythmEmbedder("ptbxl-s"), "do not label what that one embeds"),
        (WindowEmbedder("ptbxl-s"), "do not label what that one embeds"),
    ):
        monkeypatch.setattr(beatssl_sklearn, "load", lambda path, first=first: Pipeline([("e", first), ("c", narrow)]))
        assert text in refusal("rhythms", "m.bssl", records, *out)
    assert not (tmp_path / "out").exists()


def test_records_that_cannot_be_used(
    by_windows: Path, by_records: Path, write_record: WriteRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    signal = simulated("a")
    gap = signal.copy()
    gap[1, 500:600] = np.nan
    for name, x in (("fine", signal), ("flat", 0 * signal), ("gap", gap), ("tiny", signal[:, :20])):
        write_record(tmp_path / "data" / name, x, 100, LEADS)
    (tmp_path / "data" / "header.hea").write_text("this is no header\n")
    for most in (10**6, 1000):
        # The second time, most of them are long.
        monkeypatch.setattr(rhythms_records, "BATCH_SAMPLES", most)
        assert rhythms(by_records, tmp_path / "data", tmp_path / "out", "--window", "5", "--strict") == 1
        stderr = capsys.readouterr().err
        assert "skipped gap: lead V1 lacks 100 samples; --allow-nan uses it all the same" in stderr
        assert "skipped header: " in stderr and "skipped tiny: " in stderr and "3 of 5 records were skipped" in stderr
        assert stderr.replace("record 'flat'", "flat").count("warning: flat: no lead varies (flat signal)") == 1
        assert tables(tmp_path / "out")[1]["record"].tolist() == ["fine", "flat"]
