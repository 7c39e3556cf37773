"""A folder takes the results of one command."""

from __future__ import annotations

from pathlib import Path

import pytest

from beatssl_sklearn.cli.main import main
from beatssl_sklearn.cli.other_results import check_other_results


@pytest.mark.parametrize(
    ("command", "table", "other"),
    [
        ("rhythms", "beats.csv", "beats"),
        ("beats", "windows.parquet", "rhythms"),
        ("beats", "windows.incomplete.csv", "rhythms"),
    ],
)
def test_results_of_the_other_command_are_not_replaced(
    command: str, table: str, other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / table).touch()
    (tmp_path / "records.csv").write_text("kept")
    assert main([command, str(tmp_path), "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert f"it has {table}, of beatssl {other}" in said and "choose another folder" in said
    assert (tmp_path / "records.csv").read_text() == "kept"
    # The same command may run again.
    check_other_results(tmp_path, other)
