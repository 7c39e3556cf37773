"""Estimators in other processes: forked while a thread works, started anew, and pickled with all that they need."""

import ast
import multiprocessing
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, make_pipeline

import beatssl_sklearn
from beatssl_sklearn import (
    BeatClassifier,
    BeatEmbedder,
    BeatSSL,
    BeatSSLPretrainer,
    FineTunedClassifier,
    RhythmEmbedder,
    WaveSegmenter,
    load,
    make_ecg,
    save,
)
from beatssl_sklearn.persistence import model_file

ECG = make_ecg(8, rhythm="mixed", fs=100, duration=3, random_state=0)
X, Y = ECG.data, np.array(["a", "b"] * 4)
TINY = {
    "fs": 100,
    "encoder_params": {"widths": (4, 4, 4), "n_dims": 4},
    "objective": BeatSSL("none", "none", projection_dim=4),
    "max_epochs": 0,
    "random_state": 0,
    "device": "cpu",
}
RUN = {"max_epochs": 0, "random_state": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def pre():
    return BeatSSLPretrainer(**TINY).fit(X)


# Forks

FORK = """
    import os, signal, sys, threading, time, warnings
    import torch
    from beatssl_sklearn import RhythmEmbedder, load, make_ecg
    # torch itself cannot go on in a child after it has used several threads.
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    file = sys.argv[1]
    X = make_ecg(2, fs=100, duration=3, random_state=0).data
    expected = RhythmEmbedder(file).transform(X)
    done = threading.Event()

    def work():
        while not done.is_set():
            os.utime(file)
            load(file)
            RhythmEmbedder(file).transform(X)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(6):
        time.sleep(.01)
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            same = (RhythmEmbedder(load(file)).transform(X) == expected).all()
            os._exit(0 if same and (RhythmEmbedder(file).transform(X) == expected).all() else 3)
        status = os.waitpid(child, 0)[1]
        if status:
            done.set()
            sys.exit(f"a child ended with {status}")
    done.set()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_child_works_that_was_forked_while_threads_load_and_embed(pre, tmp_path):
    save(pre, tmp_path / "m.bssl")
    command = [sys.executable, "-c", textwrap.dedent(FORK), str(tmp_path / "m.bssl")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-2000:]


def test_the_package_holds_no_lock():
    """A lock that a thread holds at a fork is held in the child for ever."""
    locks = {"Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Barrier"}
    wrong = [
        f"{path.name}:{node.lineno}"
        for path in Path(beatssl_sklearn.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in locks
    ]
    assert not wrong


# Processes that start anew


def test_spawned_processes_embed_the_same(pre, tmp_path):
    save(pre, tmp_path / "m.bssl")
    embedders = [RhythmEmbedder(pre), RhythmEmbedder(tmp_path / "m.bssl"), pre, RhythmEmbedder("ptbxl-s", fs=100)]
    expected = [embedder.transform(X) for embedder in embedders]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = [pool.apply(embedder.transform, (X,)) for embedder in embedders]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())


def test_workers_of_joblib_embed_the_same(pre):
    expected = RhythmEmbedder(pre).transform(X)
    parts = np.array_split(X, 2)
    with joblib.parallel_config("loky", n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(RhythmEmbedder(pre).transform)(part) for part in parts)
        model = make_pipeline(RhythmEmbedder(pre), LogisticRegression(max_iter=1000))
        in_workers = cross_val_score(model, X, Y, cv=2)
    np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    assert in_workers.tolist() == cross_val_score(model, X, Y, cv=2).tolist()


# A pickle carries what it needs

TABLE = pd.DataFrame(X[:, 1])
BEATS = [np.array(["N", "V"] * 20)] * len(X)


def segmenter(file):
    return WaveSegmenter(file, fs_model=100, widths=(4, 4, 4, 4), **RUN)


PICKLED = {
    "embedder": (RhythmEmbedder, lambda m: m.transform(X)),
    "union": (
        lambda f: FeatureUnion([("a", RhythmEmbedder(f)), ("b", RhythmEmbedder(f))]),
        lambda m: m.fit_transform(X),
    ),
    "columns": (
        lambda f: ColumnTransformer([("ecg", RhythmEmbedder(f, leads="II"), list(TABLE.columns))]),
        lambda m: m.fit_transform(TABLE),
    ),
    "pipeline": (
        lambda f: make_pipeline(RhythmEmbedder(f), LogisticRegression(max_iter=1000)),
        lambda m: m.fit(X, Y).predict_proba(X),
    ),
    "search": (
        lambda f: GridSearchCV(
            make_pipeline(RhythmEmbedder(f), LogisticRegression(max_iter=1000)), {"logisticregression__C": [1.0]}, cv=2
        ),
        lambda m: m.fit(X, Y).predict_proba(X),
    ),
    "beats": (
        lambda f: make_pipeline(BeatEmbedder(f), BeatClassifier(LogisticRegression(max_iter=1000))),
        lambda m: np.concatenate(m.fit(X, [BEATS[0][: len(b)] for b in m[0].transform(X)]).predict_proba(X)),
    ),
    "classifier": (lambda f: FineTunedClassifier(f, **RUN), lambda m: m.fit(X, Y).predict_proba(X)),
    "segmenter": (segmenter, lambda m: m.fit(X, ECG.masks).predict_proba(X)),
}


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("name", PICKLED)
def test_a_pickle_needs_no_file(name, fitted, pre, tmp_path):
    """Also to be cloned and fitted again."""
    make, use = PICKLED[name]
    save(pre, tmp_path / "own.bssl")
    model = make(str(tmp_path / "own.bssl"))
    expected = use(clone(model))
    if fitted:
        use(model)
    joblib.dump(model, tmp_path / "m.joblib")
    (tmp_path / "own.bssl").unlink()
    model_file._cached.cache_clear()
    again = joblib.load(tmp_path / "m.joblib")
    assert np.array_equal(use(again), expected) and np.array_equal(use(clone(again)), expected)


@pytest.mark.parametrize("name", ["embedder", "pipeline", "classifier", "segmenter"])
def test_a_file_needs_no_other_file(name, pre, tmp_path):
    make, use = PICKLED[name]
    save(pre, tmp_path / "own.bssl")
    model = make(str(tmp_path / "own.bssl"))
    expected = use(model)
    save(model, tmp_path / "m.bssl")
    (tmp_path / "own.bssl").unlink()
    model_file._cached.cache_clear()
    assert np.array_equal(use(load(tmp_path / "m.bssl")), expected)
