"""The test suite as other machines run it: with other instructions, BLAS kernels and numbers of threads.

Command
-------
``python -m benchmarks.machines [ROW ...] [-- PYTEST ARGUMENTS]``, or ``make test-matrix [ROWS="ROW ..."]``

What it measures
----------------
Runs pytest once per row, in a process of its own, and prints a table: the kernels that the row really got, how many
tests passed, failed and were skipped, and which failed. The rows cover every value of each setting, not every
combination. ``-- tests/ecg -x`` gives pytest other arguments; without any it runs the whole suite. Status 1 if a test
failed.

What it cannot show
-------------------
Processors of other makers, other operating systems and GPUs. A row cannot add instructions that the processor lacks:
such rows are left out, by name. The kernel that oneDNN takes can be set, but not read back.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import torch

# What a row does not set is as the machine has it.
SETTINGS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "OPENBLAS_CORETYPE", "OMP_NUM_THREADS")
ROWS: dict[str, dict[str, str]] = {
    "plain": {},
    "one-thread": {"OMP_NUM_THREADS": "1"},
    "sse": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "OPENBLAS_CORETYPE": "Nehalem",
        "OMP_NUM_THREADS": "1",
    },
    "haswell": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "OMP_NUM_THREADS": "2",
    },
    # The wheels of numpy and scipy have no kernels of their own for it, and take Haswell's.
    "zen": {"ATEN_CPU_CAPABILITY": "avx2", "OPENBLAS_CORETYPE": "Zen", "OMP_NUM_THREADS": "1"},
    "skylake": {"ONEDNN_MAX_CPU_ISA": "AVX2", "OPENBLAS_CORETYPE": "SkylakeX", "OMP_NUM_THREADS": "2"},
}
NEEDS_AVX512 = "skylake"
# Printed by a process of the row: what torch and the BLAS of numpy and scipy take.
KERNELS = """
import scipy.linalg, torch, threadpoolctl
blas = sorted({str(lib.get("architecture")) for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "blas"})
print(torch.backends.cpu.get_cpu_capability(), "+".join(blas), torch.get_num_threads(), sep=", ")
"""


class Outcome(NamedTuple):
    """What a run of the suite counted, and the tests that failed."""

    passed: int
    failed: int
    skipped: int
    names: list[str]


def environment(row: Mapping[str, str]) -> dict[str, str]:
    """Return this process' environment with the row's settings, and no other of their kind."""
    return {name: value for name, value in os.environ.items() if name not in SETTINGS} | dict(row)


def outcome(report: Path) -> Outcome:
    """Count the tests of a JUnit report. A test that fails and then fails to be cleaned up counts once."""
    state: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        failed = case.find("failure") is not None or case.find("error") is not None
        found = "failed" if failed else "skipped" if case.find("skipped") is not None else "passed"
        state[name] = "failed" if "failed" in (found, state.get(name)) else found
    passed, failed, skipped = (list(state.values()).count(kind) for kind in ("passed", "failed", "skipped"))
    return Outcome(passed, failed, skipped, [name for name, kind in state.items() if kind == "failed"])


def run(row: Mapping[str, str], arguments: Sequence[str]) -> tuple[str, Outcome]:
    """Run pytest in the row's environment; return the kernels that it got, and its outcome."""
    settings = environment(row)
    kernels = subprocess.run([sys.executable, "-c", KERNELS], env=settings, capture_output=True, text=True, check=True)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={report}", *arguments]
        done = subprocess.run(command, env=settings, check=False)
        if not report.is_file():
            raise SystemExit(f"pytest ended with status {done.returncode} and without a report")
        return kernels.stdout.strip(), outcome(report)


def main() -> int:
    given = sys.argv[1:]
    cut = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("row", nargs="*", help=f"{', '.join(ROWS)}; all by default")
    names, arguments = parser.parse_args(given[:cut]).row or list(ROWS), given[cut + 1 :]
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        parser.error(f"row must be one of {list(ROWS)}, got {unknown[0]!r}")
    lines, failed = ["| row | torch, BLAS, threads | passed | failed | skipped | minutes | tests that failed |"], False
    lines.append("|---" * 7 + "|")
    for name in names:
        if name == NEEDS_AVX512 and torch.backends.cpu.get_cpu_capability() != "AVX512":
            lines.append(f"| {name} | left out: the processor has no AVX-512 | | | | | |")
            continue
        start = time.monotonic()
        kernels, found = run(ROWS[name], arguments)
        minutes = (time.monotonic() - start) / 60
        failed = failed or found.failed > 0
        counts = " | ".join(str(n) for n in found[:3])
        lines.append(f"| {name} | {kernels} | {counts} | {minutes:.0f} | {', '.join(found.names)} |")
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
