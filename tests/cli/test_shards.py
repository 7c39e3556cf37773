"""`beatssl embed` and `beatssl delineate` into folders of shards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from beatssl_sklearn import RhythmEmbedder, WaveSegmenter, WFDBFolder, read_dataset
from beatssl_sklearn.cli import main

pytest.importorskip("pyarrow", reason="pyarrow is not installed")
Embed = Callable[..., int]


def test_a_folder_means_shards(
    model: Path,
    mixed: Path,
    embed: Embed,
    record_names: list[str],
    bad_names: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "shards"
    assert embed(model, mixed, f"{out}/", "--batch-size", "2", "--shard-size", "2") == 0
    stdout, stderr = capsys.readouterr()
    assert all(stderr.count(f"skipped {name}: ") == 1 for name in bad_names)
    assert f"{len(record_names)} rows of {len(record_names)} records, in " in stdout
    table = read_dataset(out)
    assert table["record"].tolist() == record_names
    expected = RhythmEmbedder(model).transform(WFDBFolder(mixed, names=record_names))
    found = table.loc[:, "mean_0":].to_numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    # The folder is there now, so that the slash is not needed; failures are not forgotten.
    assert embed(model, mixed, out, "--batch-size", "2", "--shard-size", "2", "--strict") == 1
    assert f"skipped {bad_names[0]}" in capsys.readouterr().err


def test_waves_in_shards(wave_model: Path, good: Path, record_names: list[str], tmp_path: Path) -> None:
    arguments = ["delineate", str(wave_model), str(good), "--out", str(tmp_path / "w"), "--engine", "none", "--quiet"]
    assert main(arguments) == 0
    found, expected = read_dataset(tmp_path / "w"), WaveSegmenter.load(wave_model).delineate(WFDBFolder(good))
    assert found["record"].tolist() == [record_names[i] for i in expected["record"]]
    np.testing.assert_array_equal(found["onset"], expected["onset"])


def test_what_cannot_be(model: Path, wave_model: Path, good: Path, refusal: Callable[..., str], tmp_path: Path) -> None:
    out = tmp_path / "shards"
    embed = ("embed", model, good, "--quiet", "--out")
    assert "--out" in refusal(*embed, tmp_path / "t.csv", "--engine", "joblib")
    assert "--level sample cannot be written as shards" in refusal(*embed, f"{out}/", "--level", "sample")
    assert "--workers is for shards" in refusal(*embed, tmp_path / "t.csv", "--workers", "2")
    assert "--workers 2 needs an engine" in refusal(*embed, f"{out}/", "--engine", "none", "--workers", "2")
    delineate = ("delineate", wave_model, good, "--quiet", "--engine", "none", "--out", out)
    assert "--plot cannot be had with --engine" in refusal(*delineate, "--plot", "1")
    assert not out.exists()


def test_another_job_is_refused(
    model: Path, good: Path, embed: Embed, refusal: Callable[..., str], tmp_path: Path
) -> None:
    assert embed(model, good, f"{tmp_path}/s/", "--batch-size", "2") == 0
    message = refusal("embed", model, good, "--quiet", "--out", f"{tmp_path}/s/", "--batch-size", "2", "--id", "path")
    assert "the names of the records (digest) is" in message and "or --overwrite to begin anew" in message
    assert embed(model, good, f"{tmp_path}/s/", "--batch-size", "2", "--id", "path", "--overwrite") == 0
