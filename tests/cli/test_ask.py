"""The command `beatssl ask`: prompts, tables of scores, and what is shown without a table."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn import ReportAligner, WFDBFolder, make_ecg
from beatssl_sklearn.cli import folder as cli_folder
from beatssl_sklearn.cli.answers import Best
from beatssl_sklearn.cli.main import main
from beatssl_sklearn.cli.prompts import classes, prompt
from beatssl_sklearn.ecg.leads import LEADS

PROMPTS = [("AF", ["atrial fibrillation", "Vorhofflimmern"]), ("sinus rhythm", ["sinus rhythm"])]
ASKED = ("--prompt", "AF=atrial fibrillation|Vorhofflimmern", "--prompt", "sinus rhythm", "--codes", "NORM")


def ask(aligner: Path, folder: Path, *more: Any) -> int:
    return main([str(word) for word in ("ask", aligner, folder, "--quiet", *more)])


def expected(aligner: Path, told: Path, mode: str) -> tuple[list[str], np.ndarray]:
    every = WFDBFolder(told, skip_unreadable=True)
    usable = WFDBFolder(told, names=[name for name in every.names if name not in ("bad", "gap")])
    asked = classes(PROMPTS, ["NORM"])
    return list(usable.names), ReportAligner.load(aligner).predict_proba(usable, asked, mode=mode)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("mode", ["independent", "exclusive"])
def test_a_table_of_scores(
    ending: str, mode: str, aligner: Path, told: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    out = tmp_path / f"scores.{ending}"
    # The last batch is not full.
    assert ask(aligner, told, *ASKED, "--mode", mode, "--out", out, "--batch-size", 5) == 0
    stdout, stderr = capsys.readouterr()
    table = pd.read_csv(out) if ending == "csv" else pd.read_parquet(out)
    names, scores = expected(aligner, told, mode)
    assert table.columns.tolist() == ["record", "AF", "sinus rhythm", "NORM"]
    assert table["record"].tolist() == names
    np.testing.assert_allclose(table.iloc[:, 1:].to_numpy(), scores, rtol=1e-4, atol=1e-6)
    assert stdout == f"{out}: 13 records, 3 prompts\n"
    assert stderr.count("skipped bad: ") == stderr.count("skipped gap: ") == 1
    assert "lead II lacks 10 samples; --allow-nan uses it all the same" in stderr
    assert "2 of 15 records were skipped" in stderr
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_the_highest_without_a_table(aligner: Path, told: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(aligner, told, *ASKED, "--top", 3, "--strict") == 1
    lines = capsys.readouterr().out.splitlines()
    names, scores = expected(aligner, told, "independent")
    assert lines[0::4] == [f"{name}: the 3 highest of 13 records" for name in ("AF", "sinus rhythm", "NORM")]
    best = np.argsort(-scores[:, 0], kind="stable")[:3]
    assert lines[1:4] == [f"  {scores[i, 0]:.3f}  {names[i]}" for i in best]
    assert ask(aligner, told, *ASKED, "--records", "r1*", "--strict", "--id", "path") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "AF: all 3 records" and str(told / "r1") in lines[1] + lines[2] + lines[3]


def test_missing_samples_and_chosen_leads(
    aligner: Path, told: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "t.csv"
    assert ask(aligner, told, *ASKED, "--allow-nan", "--out", out, "--leads", "II,V1") == 0
    assert "skipped gap" not in capsys.readouterr().err
    table = pd.read_csv(out, index_col="record")
    assert len(table) == 14 and np.isfinite(table.to_numpy()).all()
    # Of records that have more leads, two make another answer.
    whole = expected(aligner, told, "independent")[1]
    assert not np.allclose(table.drop("gap").to_numpy(), whole, atol=1e-3)


def test_a_long_record_is_one_answer(
    aligner: Path,
    write_record: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    signal = make_ecg(1, fs=100, duration=20, random_state=0).data[0]
    write_record(tmp_path / "data" / "long", signal, 100, LEADS)
    for batch_samples in (2**24, 2**10):
        monkeypatch.setattr(cli_folder, "_BATCH_SAMPLES", batch_samples)
        assert ask(aligner, tmp_path / "data", "--codes", "AFIB", "--out", tmp_path / f"{batch_samples}.csv") == 0
    tables = [path.read_text() for path in sorted(tmp_path.glob("*.csv"))]
    assert tables[0] == tables[1] and tables[0].startswith("record,AFIB\nlong,0.")
    # One that cannot be used is skipped as others are.
    signal[0, 5] = np.nan
    write_record(tmp_path / "data" / "gap", signal, 100, LEADS)
    assert ask(aligner, tmp_path / "data", "--codes", "AFIB") == 0
    stdout, stderr = capsys.readouterr()
    assert "AFIB: all 1 records" in stdout and "skipped gap: " in stderr and "--allow-nan" in stderr


def test_a_record_that_fails_among_others(
    aligner: Path, told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = ReportAligner.predict_proba

    def fails(self: ReportAligner, X: Any, *args: Any, **given: Any) -> np.ndarray:
        if "r3" in X.names:
            raise MemoryError
        return answer(self, X, *args, **given)

    monkeypatch.setattr(ReportAligner, "predict_proba", fails)
    assert ask(aligner, told, *ASKED, "--out", tmp_path / "t.csv") == 0
    assert "skipped r3: not enough memory" in capsys.readouterr().err
    assert len(pd.read_csv(tmp_path / "t.csv")) == 12


def test_unknown_words_are_told_once(aligner: Path, told: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(aligner, told, "--prompt", "qqxyz", "--batch-size", 4) == 0
    assert capsys.readouterr().err.count("warning: 1 of 1 texts have no word that") == 1


def test_a_prompt_that_only_denies_is_told_once(
    aligner: Path, told: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(aligner, told, "--prompt", "no atrial fibrillation", "--batch-size", 4) == 0
    assert capsys.readouterr().err.count("warning: 1 of 1 texts only deny something") == 1


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("atrial fibrillation", ("atrial fibrillation", ["atrial fibrillation"])),
        ("one text | another", ("one text", ["one text", "another"])),
        (" AF = one|two", ("AF", ["one", "two"])),
        ("high=ST >= 1 mm", ("high", ["ST >= 1 mm"])),
    ],
)
def test_prompts(text: str, read: tuple[str, list[str]]) -> None:
    assert prompt(text) == read


@pytest.mark.parametrize("text", ["", "=x", "name=", "a||b", "|a"])
def test_prompts_that_are_none(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"must be TEXT or NAME=TEXT\|TEXT"):
        prompt(text)


def test_what_is_refused(
    aligner: Path, told: Path, model: Path, refusal: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*more: Any, by: Any = aligner) -> str:
        return refusal("ask", by, told, *more)

    assert f"{str(model)!r} holds a BeatSSLPretrainer, not a ReportAligner" in refused(*ASKED, by=model)
    assert "'no.bssl' is neither a file nor a shipped model" in refused(*ASKED, by="no.bssl")
    assert "nothing is asked: give --prompt" in refused()
    for command, last in (("ask", ASKED), ("retrieve", ["Vorhofflimmern"])):
        swapped = f"{told} is a folder, and {aligner} is none: MODEL comes before DIR, the folder of records"
        assert swapped in refusal(command, told, aligner, *last)
    assert "--codes: unknown code 'AFI'; close matches: AFIB" in refused("--codes", "NORM,AFI")
    assert "holds a text without a word: '12'" in refused("--prompt", "12")
    assert "--mode exclusive needs at least two prompts, got NORM" in refused("--codes", "NORM", "--mode", "exclusive")
    for one, two in (("NORM=normal", "NORM=other"), ("record=x", "y")):
        text = refused("--prompt", one, "--prompt", two)
        assert f"{one.partition('=')[0]!r} is the name of another column" in text
    assert "--codes: 'AFIB' is there twice" in refused("--codes", "AFIB,NORM,AFIB")
    for command in (["ask", aligner, told, "--prompt", "\udce4f"], ["retrieve", aligner, told, "\udce4f"]):
        text = refusal(*command)
        assert "holds a text that is no Unicode" in text and "skipped" not in text
    table = tmp_path / "t.npz"
    assert f"--out {table}: the table's name must end in .csv or .parquet" in refused(*ASKED, "--out", table)
    assert "cannot be written" in refused(*ASKED, "--out", tmp_path / "nowhere" / "t.csv")
    copy = tmp_path / "model.csv"
    copy.write_bytes(aligner.read_bytes())
    assert "which is read" in refused(*ASKED, "--out", copy, by=copy)
    assert main(["ask", str(aligner), str(told), *ASKED, "--records", "bad", "--out", str(tmp_path / "t.csv")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["model.csv"]


def test_the_best_are_the_first_of_equal_ones() -> None:
    best = Best(2)
    for name, score in (("a", 0.5), ("b", float("nan")), ("c", 0.7), ("d", 0.5), ("e", 0.7), ("f", 0.7)):
        best.add(name, score)
    assert best.ranked() == [("c", 0.7), ("e", 0.7)] and best.share == "the 2 highest of 6 records"
