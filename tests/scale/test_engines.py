"""The same shards by every engine: processes, Dask, Ray and Spark."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beatssl_sklearn import RhythmEmbedder, embed_dataset, make_ecg, read_dataset
from beatssl_sklearn.scale.engines import engine_named, with_dask

# Services of the engines open sockets and processes that they leave to the collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
SHARDS: dict[str, Any] = {"batch_size": 4, "shard_size": 4}


def check(embedder: RhythmEmbedder, signals: np.ndarray, places: Path, **engine: Any) -> None:
    result = embed_dataset(embedder, signals, places, **SHARDS, **engine)
    assert (result.n_made, result.failures) == (6, [])
    np.testing.assert_array_equal(read_dataset(places).loc[:, "mean_0":].to_numpy(), embedder.transform(signals))


def test_dask_threads(embedder: RhythmEmbedder, signals: np.ndarray, places: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    with distributed.Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0"):
        check(embedder, signals, places, engine="dask")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["joblib", "dask", "ray"])
def test_processes(engine: str, tmp_path: Path) -> None:
    """In a program of its own: services that an engine leaves behind end with it."""
    if engine != "joblib":
        pytest.importorskip({"dask": "distributed"}.get(engine, engine), reason=f"{engine} is not installed")
    program = Path(__file__).with_name("dataset_to_kill.py")
    command = [sys.executable, program, tmp_path, engine, "24", "4"]
    # Beside other programs, Ray's workers would wait.
    environment = os.environ | {"RAY_worker_niceness": "0"}
    subprocess.run(command, check=True, capture_output=True, timeout=600, env=environment)
    X = make_ecg(24, fs=100, duration=4, random_state=0).data
    expected = RhythmEmbedder("ptbxl-s", fs=100, check="ignore", device="cpu", batch_size=4).transform(X)
    np.testing.assert_array_equal(read_dataset(tmp_path).loc[:, "mean_0":].to_numpy(), expected)
    assert len(list(tmp_path.glob("part-*.parquet"))) == 6


@pytest.mark.slow
def test_joblib_that_is_stopped_says_so_alone(embedder: RhythmEmbedder, signals: np.ndarray, tmp_path: Path) -> None:
    """What joblib cancels is no warning, which would be an error here."""
    embed_dataset(embedder, signals, tmp_path, **SHARDS)
    for path in tmp_path.glob("part-*.parquet"):
        path.unlink()
    (tmp_path / "part-000000.parquet").mkdir()
    with pytest.warns(UserWarning) as warned, pytest.raises(OSError, match="part-000000.parquet cannot be written"):
        embed_dataset(embedder, signals, tmp_path, **SHARDS, engine="joblib", n_jobs=2)
    assert ["is not whole" in str(one.message) for one in warned] == [True]


@pytest.mark.spark
def test_spark(embedder: RhythmEmbedder, signals: np.ndarray, places: Path) -> None:
    pytest.importorskip("pyspark", reason="Spark is not installed")
    if shutil.which("java") is None:
        pytest.skip("there is no Java")
    check(embedder, signals, places, engine="spark", n_jobs=2)


@pytest.mark.parametrize(("engine", "package"), [("dask", "distributed"), ("ray", "ray"), ("spark", "pyspark")])
def test_an_engine_that_is_not_installed(
    engine: str, package: str, embedder: RhythmEmbedder, signals: np.ndarray, tmp_path: Path, monkeypatch: Any
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    found = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", lambda n, p=None: missing(n) if n == package else found(n, p))
    with pytest.raises(ImportError, match=rf"engine='{engine}' needs {package}: pip install 'beatssl"):
        embed_dataset(embedder, signals, tmp_path / "shards", engine=engine)
    assert not (tmp_path / "shards").exists()


def test_work_that_stops_is_told_by_any_engine(
    embedder: RhythmEmbedder, signals: np.ndarray, places: Path, monkeypatch: Any
) -> None:
    """A worker that ends again and again is no endless loop; one that ends once is replaced."""
    from beatssl_sklearn.scale.engines import with_joblib
    from beatssl_sklearn.scale.engines.lost import WorkerLost

    lost = []

    def run(work: Callable[[Any], Any], tasks: Iterator[Any], n_jobs: int) -> Iterator[Any]:
        lost.append(n_jobs)
        if len(lost) != 2:
            raise WorkerLost("killed")
        yield work(next(tasks))
        raise WorkerLost("killed")

    monkeypatch.setattr(with_joblib, "run", run)
    with pytest.raises(RuntimeError, match="workers ended 4 times .* 1 of 6 shards are finished and stay"):
        embed_dataset(embedder, signals, places, **SHARDS, engine="joblib", n_jobs=2)
    assert len(lost) == 6
    monkeypatch.undo()
    check_rest = embed_dataset(embedder, signals, places, **SHARDS)
    assert check_rest.n_made == 5


def test_engines_have_one_form() -> None:
    assert engine_named("dask") is with_dask.run
    with pytest.raises(ValueError, match="got 'celery'"):
        engine_named("celery")
