"""The command `beatssl retrieve`: the records that fit a text best, shown or as a table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn import ReportAligner, WFDBFolder
from beatssl_sklearn.cli.main import main

TEXT = "Vorhofflimmern mit schneller Überleitung"


def retrieve(aligner: Path, folder: Path, *more: Any) -> int:
    return main([str(word) for word in ("retrieve", aligner, folder, TEXT, "--quiet", *more)])


def test_the_best_are_the_estimators(
    aligner: Path, told: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    usable = WFDBFolder(told, names=[f"r{i}" for i in (0, 1, 10, 11, *range(2, 10))] + ["two"])
    found = ReportAligner.load(aligner).retrieve(TEXT, k=4, X=usable)
    expected = [usable.names[i] for i in found.rows]
    # Batches that each have their best.
    assert retrieve(aligner, told, "--top", 4, "--batch-size", 3) == 0
    stdout, stderr = capsys.readouterr()
    first, *lines = stdout.splitlines()
    assert first == "the 4 highest of 13 records, by similarity"
    assert [line.split()[1] for line in lines] == expected
    np.testing.assert_allclose([float(line.split()[0]) for line in lines], found.similarity, atol=6e-4)
    assert "2 of 15 records were skipped" in stderr
    out = tmp_path / "found.csv"
    assert retrieve(aligner, told, "--top", 4, "--out", out, "--strict") == 1
    table = pd.read_csv(out)
    assert table.columns.tolist() == ["record", "similarity"] and table["record"].tolist() == expected
    np.testing.assert_allclose(table["similarity"], found.similarity, rtol=1e-4)
    assert capsys.readouterr().out == f"{out}: the 4 highest of 13 records\n"


def test_fewer_records_than_asked_for(aligner: Path, told: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert retrieve(aligner, told, "--records", "two") == 0
    first, line = capsys.readouterr().out.splitlines()
    assert first == "all 1 records, by similarity" and line.endswith("  two")


def test_what_is_refused(
    aligner: Path, told: Path, model: Path, refusal: Callable[..., str], tmp_path: Path
) -> None:
    assert "not a ReportAligner" in refusal("retrieve", model, told, TEXT)
    assert "a text without a word: '12'" in refusal("retrieve", aligner, told, "12")
    assert "there is no such folder" in refusal("retrieve", aligner, tmp_path / "nowhere", TEXT)
    assert "must end in .csv or .parquet" in refusal("retrieve", aligner, told, TEXT, "--out", tmp_path / "t.txt")
    assert retrieve(aligner, told, "--records", "bad", "--out", tmp_path / "t.csv") == 2
    assert not list(tmp_path.iterdir())
