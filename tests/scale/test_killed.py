"""SIGKILL, to the driver or a worker, at any moment: what is finished stays, and the result is the undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from beatssl_sklearn import RhythmEmbedder, embed_dataset, make_ecg, read_dataset

PROGRAM = str(Path(__file__).with_name("dataset_to_kill.py"))
N_RECORDS, SHARD_SIZE = 48, 2


def start(folder: Path, engine: str) -> subprocess.Popen[str]:
    """Start the program and wait until its work begins."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, PROGRAM, str(folder), engine, str(N_RECORDS), str(SHARD_SIZE)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    assert process.stdout is not None
    with process.stdout as stream:
        assert stream.readline() == "begins\n"
    return process


def shards(folder: Path) -> dict[str, int]:
    """Return when each shard was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("part-*.parquet")}


def wait_for(folder: Path, n_shards: int, process: subprocess.Popen[str], longest: float = 300) -> None:
    end = time.monotonic() + longest
    while len(shards(folder)) < n_shards and process.poll() is None:
        assert time.monotonic() < end, f"only {len(shards(folder))} shards"
        time.sleep(0.005)


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the processes in which shards are made: not joblib's resource tracker, which uses no time."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if "resource_tracker" not in " ".join(child.cmdline()):
                found.append(child)
        except psutil.Error:
            # It has ended since.
            continue
    return found


def check_whole(folder: Path) -> None:
    """Finish the job here, and compare it with `transform`."""
    X = make_ecg(N_RECORDS, fs=100, duration=4, random_state=0).data
    embedder = RhythmEmbedder("ptbxl-s", fs=100, check="ignore", device="cpu", batch_size=SHARD_SIZE)
    there = shards(folder)
    result = embed_dataset(embedder, X, folder, batch_size=SHARD_SIZE, shard_size=SHARD_SIZE)
    assert result.n_shards - result.n_made == len(there), "a finished shard was made again"
    assert there.items() <= shards(folder).items()
    table = read_dataset(folder)
    assert table["row"].tolist() == list(range(N_RECORDS))
    np.testing.assert_array_equal(table.loc[:, "mean_0":].to_numpy(), embedder.transform(X))
    assert not list(folder.glob(".*.tmp"))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill so")
def test_a_killed_driver_goes_on(tmp_path: Path) -> None:
    process = start(tmp_path, "none")
    wait_for(tmp_path, 3, process)
    process.kill()
    process.wait()
    n_there = len(shards(tmp_path))
    assert 3 <= n_there < N_RECORDS // SHARD_SIZE
    check_whole(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill so")
def test_random_kills_of_driver_and_workers(tmp_path: Path) -> None:
    """Twenty kills, of the driver or of a worker; each call goes on where the former one ended."""
    rng = random.Random(0)
    kills, n_finished, n_runs = {"driver": 0, "worker": 0}, 0, 0
    folder = tmp_path / "0"
    folder.mkdir()
    while sum(kills.values()) < 20:
        n_runs += 1
        process = start(folder, "joblib")
        while sum(kills.values()) < 20 and process.poll() is None:
            before = shards(folder)
            # Most kills fall between two shards; some into the start, before workers are there or have made one.
            if rng.random() < 0.75:
                wait_for(folder, len(before) + 1, process)
            time.sleep(rng.uniform(0, 0.3))
            own = workers(process) if process.poll() is None else []
            kill_driver = rng.random() < 0.5
            if process.poll() is not None or not (own or kill_driver):
                continue
            victim = psutil.Process(process.pid) if kill_driver else rng.choice(own)
            left = psutil.Process(process.pid).children(recursive=True)
            try:
                victim.kill()
            except psutil.NoSuchProcess:
                continue
            kills["driver" if kill_driver else "worker"] += 1
            if kill_driver:
                # Workers whose driver has gone may finish their shard, and end.
                assert not psutil.wait_procs(left, timeout=120)[1], "workers outlive their driver"
                break
            # Nothing that was finished is lost, and the call itself replaces the worker.
            assert before.items() <= shards(folder).items()
        process.wait()
        if len(shards(folder)) == N_RECORDS // SHARD_SIZE:
            check_whole(folder)
            n_finished += 1
            folder = tmp_path / str(n_finished)
            folder.mkdir()
    check_whole(folder)
    # For `pytest -s`.
    print(f"kills: {kills}; calls: {n_runs}; jobs: {n_finished + 1}")
    assert min(kills.values()) > 0
