"""Memory that stays in the process while a training runs, and goes back afterwards."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is set")

# Prints the page faults of rounds that each fill 64 MB anew, inside and outside, and the memory that is left [MB].
ROUNDS = """
import resource
import torch
from beatssl_sklearn.training.allocator import kept_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(16_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * resource.getpagesize() / 1e6

outside, at_first = faults(), resident()
with kept_memory():
    faults()
    with kept_memory():
        pass
    inside, kept = faults(), resident()
print(outside, inside, kept - at_first, resident() - at_first)
"""


def run_rounds(**environment: str) -> list[float]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    run = subprocess.run(
        [sys.executable, "-c", ROUNDS], env=own | environment, capture_output=True, text=True, check=True
    )
    return [float(word) for word in run.stdout.split()]


def test_blocks_stay_while_it_runs_and_go_back_at_its_end() -> None:
    outside, inside, kept, left = run_rounds()
    assert inside < outside / 5
    assert kept > 50
    assert left < 20


def test_an_allocator_that_the_user_has_tuned_is_left_alone() -> None:
    outside, inside, *_ = run_rounds(GLIBC_TUNABLES="glibc.malloc.arena_max=2")
    assert inside > outside / 5
