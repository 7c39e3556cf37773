"""Fixtures shared by all tests; `--run-slow` runs the tests that take minutes, `--run-spark` those that start Spark."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from beatssl_sklearn import WaveSegmenter, make_ecg

# Before matplotlib is imported: where there is a screen, tests open no windows on it.
os.environ.setdefault("MPLBACKEND", "Agg")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-slow", action="store_true", help="also run tests that take minutes")
    parser.addoption("--run-spark", action="store_true", help="also run tests that start Spark, which needs Java")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for marker in ("slow", "spark"):
        if config.getoption(f"--run-{marker}"):
            continue
        for item in items:
            if item.get_closest_marker(marker) is not None:
                item.add_marker(pytest.mark.skip(reason=f"{marker}: needs --run-{marker}"))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder with the real ECGs: environment variable BEATSSL_DATA, or ../shared/data beside the checkout."""
    path = Path(os.environ.get("BEATSSL_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"no real ECGs: {path.name} is not a folder; set BEATSSL_DATA")
    return path


@pytest.fixture(scope="session")
def segmenter_of() -> Callable[..., WaveSegmenter]:
    """Makes a `WaveSegmenter` that trains in no time: ``segmenter_of(pretrainer, **changes)``."""
    fast: dict[str, Any] = {
        "fs_model": 100,
        "widths": (8, 8, 8, 8),
        "max_epochs": 1,
        "batch_size": 2,
        "leads_per_window": 3,
        "window": 2.56,
        "precision": "fp32",
        "random_state": 0,
        "device": "cpu",
    }

    def make(pretrainer: Any, **changes: Any) -> WaveSegmenter:
        return WaveSegmenter(pretrainer, **(fast | changes))

    return make


@pytest.fixture(scope="session")
def segmenter() -> WaveSegmenter:
    """Trained so little that it sees many waves that are not there: the more to compare."""
    ecg = make_ecg(4, fs=250, random_state=0)
    return WaveSegmenter(
        "ptbxl-s",
        fs=250,
        fs_model=250,
        max_epochs=4,
        widths=(8, 8, 8, 8),
        wave_params={"min_confidence": 0.3, "need_qrs": False},
        device="cpu",
        precision="fp32",
        random_state=0,
    ).fit(ecg.data, ecg.masks)
