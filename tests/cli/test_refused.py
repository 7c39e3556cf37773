"""Records that fail: each is one failure, whatever its error; a folder that goes away is none of theirs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beatssl_sklearn import ECGFolder, RhythmEmbedder, WaveSegmenter
from beatssl_sklearn.cli.main import main

Embed = Callable[..., int]

ERRORS = [
    (MemoryError(), "not enough memory"),
    (MemoryError("cannot allocate 36 TB"), "not enough memory: cannot allocate 36 TB"),
    (KeyError("x"), "KeyError: 'x'"),
    (OverflowError("too large"), "OverflowError: too large"),
    (RecursionError("too deep"), "too deep"),
    (OSError(5, "Input/output error"), "Input/output error"),
    (AttributeError(), "AttributeError"),
]


@pytest.mark.parametrize(("error", "text"), ERRORS, ids=lambda value: type(value).__name__)
def test_any_error_is_the_records_own(
    error: Exception, text: str, model: Path, good: Path, embed: Embed, read_embeddings: Any, record_names: list[str],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """When it is read, and when it is embedded."""
    read, transform, out = ECGFolder.__getitem__, RhythmEmbedder.transform, tmp_path / "t.csv"

    def reading_fails(self: ECGFolder, key: Any) -> Any:
        if isinstance(key, int) and self.names[key] == "a2":
            raise error
        return read(self, key)

    def embedding_fails(self: RhythmEmbedder, X: Any) -> np.ndarray:
        if any(X[i].fs == 250 for i in range(len(X))):
            raise error
        return transform(self, X)

    monkeypatch.setattr(ECGFolder, "__getitem__", reading_fails)
    monkeypatch.setattr(RhythmEmbedder, "transform", embedding_fails)
    assert embed(model, good, out) == 0
    stderr = capsys.readouterr().err
    assert text in stderr and "Traceback" not in stderr
    assert stderr.count("skipped a2: ") == stderr.count("skipped one_lead: ") == 1
    assert "2 of 5 records were skipped" in stderr
    left = [name for name in record_names if name not in ("a2", "one_lead")]
    assert read_embeddings(out)[1]["record"] == left
    assert embed(model, good, out, "--strict") == 1


def test_any_error_of_delineation(
    wave_model: Path, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    delineate = WaveSegmenter.delineate

    def fails(self: WaveSegmenter, X: Any, **given: Any) -> Any:
        if X[0].fs == 128:
            raise MemoryError
        return delineate(self, X, **given)

    monkeypatch.setattr(WaveSegmenter, "delineate", fails)
    assert main(["delineate", str(wave_model), str(good), "--out", str(tmp_path / "o"), "--quiet"]) == 0
    stderr = capsys.readouterr().err
    assert "skipped holter: not enough memory" in stderr and "1 of 5 records were skipped" in stderr


@pytest.mark.parametrize("command", ["embed", "delineate", "pretrain"])
@pytest.mark.parametrize("gone", [".", "sub"])
def test_a_folder_that_goes_away(
    command: str, gone: str, model: Path, wave_model: Path, good: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = tmp_path / "records"
    shutil.copytree(good, folder)
    read, calls = os.read, []

    def goes_away(*args: Any) -> bytes:
        calls.append(args)
        if len(calls) == 6:
            shutil.rmtree(folder / gone)
        return read(*args)

    monkeypatch.setattr("beatssl_sklearn.ecg.wfdb.paths.os.read", goes_away)
    models = {"embed": [str(model)], "delineate": [str(wave_model)], "pretrain": []}
    out = tmp_path / "out" / "t.csv" if command == "embed" else tmp_path / "out"
    if command == "embed":
        out.parent.mkdir()
    more = ["--epochs", "0", "--size", "s"] if command == "pretrain" else []
    status = main([command, *models[command], str(folder), "--out", str(out), "--quiet", *more])
    monkeypatch.undo()
    assert status == 2
    assert "was removed or replaced while its records were read" in capsys.readouterr().err
    assert not out.is_file()
    assert not list(tmp_path.rglob(".*"))


def test_a_record_that_goes_away_is_skipped(
    model: Path, good: Path, embed: Embed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "records"
    shutil.copytree(good, folder)
    (folder / "RECORDS").write_text("a1\na2\nnowhere/x\nholter\n")
    (folder / "a2.dat").unlink()
    assert embed(model, folder, tmp_path / "t.csv") == 0
    stderr = capsys.readouterr().err
    assert "skipped a2: " in stderr and "skipped nowhere/x: " in stderr and "2 of 4 records were skipped" in stderr


def test_a_folder_that_cannot_be_searched(
    model: Path, good: Path, embed: Embed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    scandir = os.scandir

    def refuse(path: Any = ".") -> Any:
        if Path(path).name == "sub":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    # Permissions of files do not hold back every user who runs this.
    monkeypatch.setattr(os, "scandir", refuse)
    assert embed(model, good, tmp_path / "t.csv") == 0
    stderr = capsys.readouterr().err
    assert f"warning: {good}: " in stderr and "sub" in stderr and "Permission denied" in stderr
    assert "1 folders could not be searched for records" in stderr
    assert embed(model, good, tmp_path / "t.csv", "--strict") == 1
