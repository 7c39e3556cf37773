"""The command `beatssl beats`: its tables and annotation files, long records, and what cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

import beatssl_sklearn
from beatssl_sklearn import (
    BeatClassifier,
    BeatEmbedder,
    ECGRecord,
    RhythmEmbedder,
    WFDBFolder,
    load,
    make_ecg,
    read_annotations,
    save,
)
from beatssl_sklearn.cli import beats_records
from beatssl_sklearn.cli.main import main
from beatssl_sklearn.sequences import BeatContext, SequenceClassifier

LEADS = ("II", "V1")
RECORDS = {"a": (100, LEADS, 20), "b_long": (100, LEADS, 130), "sub/one": (128, ("I",), 20)}
WriteRecord = Callable[..., None]
Refusal = Callable[..., str]


def labelled_beats() -> tuple[list[ECGRecord], list[np.ndarray], list[np.ndarray]]:
    """Records, their R peaks, and their beats' types."""
    ecg = make_ecg(6, rhythm=["pvc", "pac"], fs=100, duration=20, leads=LEADS, random_state=5)
    records = [ECGRecord(signal, 100.0, LEADS) for signal in ecg.data]
    # Those at the ends have no whole window.
    inside = [(rpeaks > 30) & (rpeaks < 1950) for rpeaks in ecg.rpeaks]
    types = [np.where(own == "A", "S", own)[kept] for own, kept in zip(ecg.beat_types, inside, strict=True)]
    return records, [rpeaks[kept] for rpeaks, kept in zip(ecg.rpeaks, inside, strict=True)], types


def fitted(*steps: Any, timing: bool = True, morphology: bool = False, align: bool = False) -> Pipeline:
    """Return a pipeline after the embedder of beats, of which only what follows it is fitted."""
    records, rpeaks, types = labelled_beats()
    embedder = BeatEmbedder("ptbxl-s", timing=timing, morphology=morphology, align=align, check="ignore")
    rows: Any = embedder.transform(records, rpeaks=rpeaks)
    for step in steps[:-1]:
        rows = step.fit_transform(rows)
    steps[-1].fit(rows, types)
    return Pipeline([("embed", embedder), *((type(step).__name__, step) for step in steps)])


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of a pipeline that tells N, S and V."""
    path = tmp_path_factory.mktemp("heads") / "heads.bssl"
    save(fitted(BeatContext(n_components=4), SequenceClassifier()), path, by_name=True)
    return path


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory, write_record: WriteRecord) -> Path:
    folder = tmp_path_factory.mktemp("records")
    for i, (name, (fs, leads, duration)) in enumerate(RECORDS.items()):
        signal = make_ecg(1, rhythm="pvc", fs=fs, duration=duration, leads=leads, random_state=i).data[0]
        write_record(folder / name, signal, fs, leads)
    return folder


def beats(model: Path, folder: Path, out: Path, *more: str) -> int:
    return main(["beats", str(model), str(folder), "--out", str(out), "--device", "cpu", "--quiet", *more])


def assert_tables_are_the_pipelines(model: Path, folder: Path, out: Path, ending: str = "csv") -> None:
    read = pd.read_csv if ending == "csv" else pd.read_parquet
    table, totals = read(out / f"beats.{ending}"), read(out / f"records.{ending}")
    pipeline, every = load(model), WFDBFolder(folder)
    classes = pipeline.classes_.tolist()
    expected, p = pipeline.predict(every), pipeline.predict_proba(every)
    rpeaks = pipeline[0].rpeaks(every)
    assert list(table) == ["record", "beat", "rpeak", "time_s", "label", "probability", *(f"p_{c}" for c in classes)]
    assert list(totals) == ["record", "n_beats", *(f"n_{c}" for c in classes), "minutes"]
    assert totals["record"].tolist() == list(every.names)
    for i, name in enumerate(every.names):
        own = table[table["record"] == name]
        assert own["beat"].tolist() == list(range(len(rpeaks[i]))) and own["rpeak"].tolist() == rpeaks[i].tolist()
        np.testing.assert_allclose(own["time_s"], rpeaks[i] / every[i].fs, atol=1e-6)
        assert own["label"].tolist() == expected[i].tolist()
        np.testing.assert_allclose(own[[f"p_{c}" for c in classes]], p[i], atol=1e-3)
        chosen = [row[f"p_{row['label']}"] for _, row in own.iterrows()]
        assert own["probability"].tolist() == chosen
        assert totals["n_beats"][i] == len(rpeaks[i]) and totals["minutes"][i] * 60 == pytest.approx(
            RECORDS[name][2], abs=0.01
        )
        assert [totals[f"n_{c}"][i] for c in classes] == [(expected[i] == c).sum() for c in classes]
    assert table["label"].nunique() > 1


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables_are_the_pipelines(
    ending: str, heads: Path, records: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    assert beats(heads, records, tmp_path / "out", "--format", ending, "--strict") == 0
    stdout, stderr = capsys.readouterr()
    assert "beats of 3 records" in stdout and stderr == ""
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"beats.{ending}", f"records.{ending}"]
    assert_tables_are_the_pipelines(heads, records, tmp_path / "out", ending)


@pytest.fixture
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beats_records, "BATCH_SAMPLES", 10_000)
    monkeypatch.setattr(beats_records, "PIECE_S", 30.0)


def test_a_long_record_has_the_labels_of_the_whole_one(
    short_pieces: None, heads: Path, records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []
    whole = BeatEmbedder.transform

    def watched(self: Any, X: Any, **given: Any) -> Any:
        shown.extend(X[i].signal.shape[1] for i in range(len(X)))
        return whole(self, X, **given)

    with monkeypatch.context() as patch:
        patch.setattr(BeatEmbedder, "transform", watched)
        assert beats(heads, records, tmp_path) == 0
    assert shown == [2000, 2560]
    assert_tables_are_the_pipelines(heads, records, tmp_path)


def test_a_long_record_has_the_morphology_of_the_whole_one(short_pieces: None, records: Path, tmp_path: Path) -> None:
    """The typical beat is known at the end: the record is read again."""
    path = tmp_path / "heads.bssl"
    steps = (BeatContext(n_components=4, morphology=True), SequenceClassifier())
    save(fitted(*steps, morphology=True), path, by_name=True)
    assert beats(path, records, tmp_path / "out") == 0
    assert_tables_are_the_pipelines(path, records, tmp_path / "out")


def test_a_long_record_is_aligned_as_the_whole_one(short_pieces: None, records: Path, tmp_path: Path) -> None:
    path = tmp_path / "heads.bssl"
    save(fitted(BeatContext(n_components=4), SequenceClassifier(), align=True), path, by_name=True)
    assert beats(path, records, tmp_path / "out") == 0
    assert_tables_are_the_pipelines(path, records, tmp_path / "out")


def test_the_beats_of_a_long_record_are_never_in_memory_together(
    short_pieces: None, heads: Path, records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a day have 400 MB."""
    read: list[int] = []
    whole = beats_records.Waiting.read

    def halves(n: int) -> list[slice]:
        return [slice(0, n // 2), slice(n // 2, n)]

    def watched(self: Any, start: int, stop: int) -> np.ndarray:
        read.append(stop - start)
        return whole(self, start, stop)

    monkeypatch.setattr(beats_records.Waiting, "read", watched)
    monkeypatch.setattr("beatssl_sklearn.sequences.beat_context.pieces", halves)
    assert beats(heads, records, tmp_path, "--records", "b_long") == 0
    n_beats = len(pd.read_csv(tmp_path / "beats.csv"))
    assert n_beats > 100 and read == [n_beats // 2 + 1, n_beats - n_beats // 2 + 1]


def test_annotations(heads: Path, records: Path, tmp_path: Path, refusal: Refusal) -> None:
    assert beats(heads, records, tmp_path / "out", "--annotations") == 0
    table = pd.read_csv(tmp_path / "out" / "beats.csv")
    for name in RECORDS:
        marks = read_annotations(tmp_path / "out" / "annotations" / name, "atr")
        own = table[table["record"] == name]
        assert marks.sample.tolist() == own["rpeak"].tolist() and list(marks.symbol) == own["label"].tolist()
    text = refusal("beats", heads, records, "--out", records / "out", "--annotations")
    assert "own folder" in text and not (records / "out").exists()


def test_classes_without_a_symbol(heads: Path, records: Path, tmp_path: Path, refusal: Refusal) -> None:
    pipeline = load(heads)
    pipeline[-1].estimator_[-1].classes_ = np.array(["N", "S", "PVC"])
    save(pipeline, tmp_path / "m.bssl", by_name=True)
    text = refusal("beats", tmp_path / "m.bssl", records, "--out", tmp_path / "out", "--annotations")
    assert "--annotations: " in text and "the class PVC" in text and not (tmp_path / "out").exists()


def test_records_that_are_odd(
    heads: Path, write_record: WriteRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    signal = make_ecg(1, fs=100, duration=20, leads=LEADS, random_state=0).data[0]
    gap = signal.copy()
    gap[1, 500:600] = np.nan
    for name, x in (("fine", signal), ("flat", 0 * signal), ("gap", gap)):
        write_record(tmp_path / "data" / name, x, 100, LEADS)
    (tmp_path / "data" / "header.hea").write_text("this is no header\n")
    out, totals = tmp_path / "out", []
    for most in (10**6, 1000):
        # The second time, all of them are long.
        monkeypatch.setattr(beats_records, "BATCH_SAMPLES", most)
        assert beats(heads, tmp_path / "data", out, "--strict", "--annotations") == 1
        stderr = capsys.readouterr().err
        assert "skipped gap: lead V1 lacks 100 samples; --allow-nan uses it all the same" in stderr
        assert "skipped header: " in stderr and "2 of 4 records were skipped" in stderr
        assert stderr.replace("record 'flat'", "flat").count("warning: flat: no lead varies (flat signal)") == 1
        table = pd.read_csv(out / "beats.csv")
        totals.append(pd.read_csv(out / "records.csv").set_index("record"))
        assert set(table["record"]) == {"fine"} and totals[-1].loc["flat", "n_beats"] == 0
        assert len(read_annotations(out / "annotations" / "flat", "atr").sample) == 0
        assert beats(heads, tmp_path / "data", out, "--allow-nan", "--check", "ignore") == 0
        assert pd.read_csv(out / "records.csv")["record"].tolist() == ["fine", "flat", "gap"]
        capsys.readouterr()
    pd.testing.assert_frame_equal(*totals)
    text_of_none = tmp_path / "none"
    text_of_none.mkdir()
    (text_of_none / "header.hea").write_text("this is no header\n")
    assert beats(heads, text_of_none, tmp_path / "new") == 2
    assert "the beats of none of 1 records" in capsys.readouterr().err and not (tmp_path / "new").exists()


def test_a_long_record_that_fails_has_no_rows(
    short_pieces: None, heads: Path, records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    pieces = beats_records.embed_pieces

    def breaks(*args: Any, **kwargs: Any) -> Any:
        yield from list(pieces(*args, **kwargs))[:2]
        raise MemoryError

    for name, failing in (("embed_pieces", breaks), ("beat_timing", lambda rpeaks, fs: breaks)):
        with monkeypatch.context() as patch:
            patch.setattr(beats_records, name, failing)
            assert beats(heads, records, tmp_path) == 0
        assert "skipped b_long: " in capsys.readouterr().err
        assert set(pd.read_csv(tmp_path / "beats.csv")["record"]) == {"a", "sub/one"}


def test_a_head_without_probabilities(records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = fitted(BeatClassifier(SVC()), timing=False)
    monkeypatch.setattr(beatssl_sklearn, "load", lambda path: pipeline)
    assert beats(Path("svc"), records, tmp_path) == 0
    table = pd.read_csv(tmp_path / "beats.csv")
    assert list(table) == ["record", "beat", "rpeak", "time_s", "label"]
    expected = pipeline.predict(WFDBFolder(records))
    assert table["label"].tolist() == np.concatenate(list(expected)).tolist()


def test_models_that_do_not_fit(
    heads: Path, records: Path, tmp_path: Path, refusal: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder, row = BeatEmbedder("ptbxl-s"), LogisticRegression().fit(np.eye(4), [0, 1, 0, 1])
    narrow = BeatClassifier(LogisticRegression()).fit([np.eye(4)], [[0, 1, 0, 1]])
    for held, text in (
        (embedder, "it holds a BeatEmbedder; a Pipeline is needed that begins with a BeatEmbedder"),
        (Pipeline([("e", RhythmEmbedder("ptbxl-s")), ("c", row)]), "Pipeline of RhythmEmbedder, LogisticRegression"),
        (Pipeline([("e", embedder)]), "Pipeline of BeatEmbedder; "),
        (Pipeline([("e", embedder), ("c", BeatContext())]), "its last step, BeatContext, is no fitted classifier"),
        (Pipeline([("e", embedder), ("c", SequenceClassifier())]), "SequenceClassifier, is no fitted classifier"),
        (Pipeline([("e", embedder), ("c", row)]), "do not label what that one embeds"),
        (Pipeline([("e", embedder), ("c", narrow)]), "do not label what that one embeds"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(beatssl_sklearn, "load", lambda path, held=held: held)
            found = refusal("beats", "model.bssl", records, "--out", tmp_path / "out")
        assert "model.bssl: " in found and text in found and not (tmp_path / "out").exists()
    assert "neither a file nor a shipped model" in refusal("beats", "no.bssl", records, "--out", tmp_path / "out")
