"""The matrix of machines: what a row sets, and what its table says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.machines import ROWS, SETTINGS, environment, outcome

ROOT = Path(__file__).parents[2]
REPORT = """<testsuites><testsuite>
<testcase classname="tests.a" name="right"/>
<testcase classname="tests.a" name="wrong"><failure/></testcase>
<testcase classname="tests.a" name="slow"><skipped/></testcase>
<testcase classname="tests.b" name="unclean"/>
<testcase classname="tests.b" name="unclean"><error/></testcase>
</testsuite></testsuites>"""


def test_a_row_sets_its_own_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Zen")
    for row in ROWS.values():
        assert {name: value for name, value in environment(row).items() if name in SETTINGS} == row


def test_rows_cover_every_value() -> None:
    for setting, values in {
        "ATEN_CPU_CAPABILITY": {None, "default", "avx2"},
        "ONEDNN_MAX_CPU_ISA": {None, "SSE41", "AVX2"},
        "OPENBLAS_CORETYPE": {None, "Nehalem", "Haswell", "SkylakeX", "Zen"},
        "OMP_NUM_THREADS": {None, "1", "2"},
    }.items():
        assert {row.get(setting) for row in ROWS.values()} == values


def test_a_report_is_counted(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT)
    assert outcome(tmp_path / "report.xml") == (1, 2, 1, ["tests.a::wrong", "tests.b::unclean"])


@pytest.mark.parametrize(("check", "counts", "status"), [("True", "1 | 0 | 0", 0), ("False", "0 | 1 | 0", 1)])
def test_the_table_has_a_line_per_row(check: str, counts: str, status: int, tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text(f"def test_one():\n    assert {check}\n")
    command = [sys.executable, "-m", "benchmarks.machines", "sse", "--", str(tmp_path / "test_one.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    line = done.stdout.splitlines()[-1]
    assert line.startswith("| sse | DEFAULT, ") and f" | {counts} | " in line
    assert line.endswith("test_one::test_one |") == (status == 1)


def test_an_unknown_row_is_named() -> None:
    command = [sys.executable, "-m", "benchmarks.machines", "cray"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "'cray'" in done.stderr and "zen" in done.stderr
