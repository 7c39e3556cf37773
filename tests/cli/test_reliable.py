"""`beatssl embed --reliable`: records that nobody can read are named, or left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from beatssl_sklearn import make_ecg, read_dataset
from beatssl_sklearn.cli import folder
from beatssl_sklearn.cli.main import main
from beatssl_sklearn.ecg import LEADS

WriteRecord = Callable[..., None]
Embed = Callable[..., int]
ReadEmbeddings = Callable[[Path], tuple[list[str], dict[str, list[str]], np.ndarray]]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory, write_record: WriteRecord) -> Path:
    """Two good records, and one of which six electrodes were off."""
    where = tmp_path_factory.mktemp("records")
    ecg = make_ecg(3, fs=500, random_state=0).data
    ecg[1, 3:9] = 0
    for name, signal in zip("abc", ecg, strict=True):
        write_record(where / name, signal, 500, LEADS)
    return where


@pytest.mark.parametrize("long", [False, True])
def test_unreliable_records_are_dropped_named_or_kept(
    long: bool,
    records: Path,
    model: Path,
    embed: Embed,
    read_embeddings: ReadEmbeddings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if long:
        # Every record counts as long.
        monkeypatch.setattr(folder, "_BATCH_SAMPLES", 1000)
    found = {}
    for choice in ("keep", "warn", "drop"):
        out = tmp_path / f"{choice}.csv"
        assert embed(model, records, out, "--reliable", choice, "--check", "ignore") == 0
        _, described, Z = read_embeddings(out)
        found[choice] = (described["record"], Z, capsys.readouterr().err)
    assert found["keep"][0] == found["warn"][0] == ["a", "b", "c"] and found["drop"][0] == ["a", "c"]
    assert np.array_equal(found["keep"][1], found["warn"][1])
    assert np.allclose(found["keep"][1][[0, 2]], found["drop"][1], rtol=1e-5, atol=1e-6)
    assert found["keep"][2] == ""
    assert "warning: b: quality 0.0" in found["warn"][2] and "flat (aVR, aVL, aVF, V1, V2, V3)" in found["warn"][2]
    assert "skipped b: quality 0.0" in found["drop"][2] and "1 of 3 records were skipped" in found["drop"][2]


def test_shards_leave_out_what_tables_leave_out(
    records: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    found = {}
    for choice in ("keep", "warn", "drop"):
        out = tmp_path / choice
        run = ["embed", str(model), str(records), "--out", f"{out}/", "--check", "ignore", "--quiet"]
        assert main([*run, "--reliable", choice]) == 0
        found[choice] = read_dataset(out)["record"].tolist(), capsys.readouterr().err
    assert found["keep"] == (["a", "b", "c"], "")
    assert found["warn"][0] == ["a", "b", "c"] and "quality 0.0" in found["warn"][1]
    assert found["drop"][0] == ["a", "c"] and "skipped b: quality 0.0" in found["drop"][1]
