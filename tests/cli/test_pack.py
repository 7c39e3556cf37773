"""`beatssl pack`: folders and arrays become stores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beatssl_sklearn import WFDBFolder, ZarrRecords, make_ecg
from beatssl_sklearn.cli.main import main


def test_a_folder_is_packed_once(
    mixed: Path, bad_names: tuple[str, ...], record_names: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, groups = tmp_path / "out.zarr", tmp_path / "groups.csv"
    every = WFDBFolder(mixed).names
    groups.write_text("record,patient\n" + "".join(f"{name},p{i}\n" for i, name in enumerate(every)))
    arguments = ["pack", str(mixed), str(out), "--groups", str(groups), "--quiet"]
    assert main(arguments) == 0
    stdout, stderr = capsys.readouterr()
    # A gap is no reason to leave a record out.
    lost = [name for name in bad_names if name != "b_gap"]
    assert all(f"skipped {name}" in stderr for name in lost) and f"{len(lost)} of {len(every)} records" in stderr
    records = ZarrRecords(out)
    assert set(records.names) == {*record_names, "b_gap"}
    assert f"{len(records)} records, {len(records)} of them new" in stdout
    for name, record, patient in zip(records.names, records, records.patient_ids, strict=True):
        source = WFDBFolder(mixed, names=[name])[0]
        assert (record.fs, record.leads, patient) == (source.fs, source.leads, f"p{every.index(name)}")
        # The files hold whole microvolts.
        np.testing.assert_allclose(record.signal, source.signal, rtol=0, atol=1e-6)
    assert main([*arguments, "--strict"]) == 1
    assert f"{len(records)} records, 0 of them new" in capsys.readouterr().out


@pytest.mark.parametrize("kind", [".npy", ".npz"])
def test_an_array_is_packed(tmp_path: Path, kind: str) -> None:
    X = make_ecg(3, fs=250, duration=2, leads=("I", "V2"), random_state=0).data
    path, out = tmp_path / f"x{kind}", tmp_path / "out.zarr"
    np.save(path, X) if kind == ".npy" else np.savez(path, X=X, y=np.arange(3))
    assert main(["pack", str(path), str(out), "--fs", "250", "--leads", "I,V2", "--quiet"]) == 0
    records = ZarrRecords(out)
    assert (records.fs, records.leads, records.names) == (250.0, ("I", "V2"), ("0", "1", "2"))
    assert np.abs(np.asarray(records) - X).max() < 1e-3


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("empty.npy", b"", "no array of numbers can be read"),
        ("junk.npy", b"junk", "no array of numbers can be read"),
        ("cut.npy", slice(1000), "no array of numbers can be read"),
        ("cut.npz", slice(1000), "no array of numbers can be read"),
        ("number.npy", np.float32(3), "one array of numbers (n_records, n_leads, n_times) is needed, got number ()"),
        ("one.npz", np.zeros((2, 9)), "one array of numbers (n_records, n_leads, n_times) is needed, got X (2, 9)"),
        ("gone.npy", None, "there is no such file"),
    ],
)
def test_what_is_no_array_is_named(
    tmp_path: Path, refusal: Callable[..., str], name: str, content: Any, text: str
) -> None:
    path, array = tmp_path / name, np.zeros((2, 12, 500), dtype=np.float32)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        whole = array if isinstance(content, slice) else content
        np.save(path, whole) if path.suffix == ".npy" else np.savez(path, X=whole)
        if isinstance(content, slice):
            path.write_bytes(path.read_bytes()[content])
    assert f"{name}: {text}" in refusal("pack", path, tmp_path / "a.zarr", "--fs", "500")
    assert not (tmp_path / "a.zarr").exists()


def test_refusals(good: Path, tmp_path: Path, refusal: Callable[..., str]) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 12, 500), dtype=np.float32))
    assert "--fs, the sampling rate, is needed" in refusal("pack", tmp_path / "x.npy", tmp_path / "a.zarr")
    assert "--fs must lie between 50 and 2000 Hz, got 5" in refusal("pack", good, tmp_path / "a.zarr", "--fs", "5")
    (tmp_path / "b.zarr").mkdir()
    (tmp_path / "b.zarr" / "thesis.txt").touch()
    assert "there is something else" in refusal("pack", good, tmp_path / "b.zarr", "--quiet")
