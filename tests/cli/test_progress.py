"""Progress: a bar for those who watch, and a line now and then for a log."""

from __future__ import annotations

from pathlib import Path

import pytest

from beatssl_sklearn.cli import progress
from beatssl_sklearn.cli.main import main
from beatssl_sklearn.cli.progress import Progress


def test_a_log_gets_lines_at_intervals(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Progress(400, "embed", quiet=False) as bar:
        for _ in range(200):
            now[0] += 1.0
            bar.update(2)
        bar.write("skipped a\x1b[2J")
        bar.clear()
        now[0] += 60
        bar.note("1 of 9 pieces of b")
    assert capsys.readouterr().err.splitlines() == [
        "embed: 120 of 400 records, 2 records/s",
        "embed: 240 of 400 records, 2 records/s",
        "embed: 360 of 400 records, 2 records/s",
        "skipped a\\x1b[2J",
        "embed: 400 of 400 records, 1.54 records/s, 1 of 9 pieces of b",
    ]


def test_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "_EVERY_S", 0.0)
    with Progress(2, "embed", quiet=True) as bar:
        bar.update()
        bar.write("skipped a")
    assert capsys.readouterr().err == "skipped a\n"
    with Progress(2, "embed", quiet=False) as bar:
        bar.note("")
    assert capsys.readouterr().err == "embed: 0 of 2 records\n"


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "on_terminal", lambda: True)
    with Progress(2, "embed", quiet=False) as bar:
        bar.update()
        bar.note("piece")
        bar.write("skipped a\x07")
        bar.clear()
    stderr = capsys.readouterr().err
    assert "embed:" in stderr and "\r" in stderr and "skipped a\\x07\n" in stderr and "piece" in stderr


@pytest.mark.parametrize("command", ["embed", "delineate", "pretrain"])
def test_short_runs_write_nothing_into_a_log(
    command: str, model: Path, wave_model: Path, good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = {"embed": [str(model)], "delineate": [str(wave_model)], "pretrain": []}
    out = tmp_path / ("t.csv" if command == "embed" else "o")
    more = ["--epochs", "1", "--size", "s", "--batch-size", "3"] if command == "pretrain" else []
    assert main([command, *models[command], str(good), "--out", str(out), *more]) == 0
    stdout, stderr = capsys.readouterr()
    assert stderr == "" and stdout.count("\n") == 1
