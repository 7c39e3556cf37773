"""The command `beatssl embed`: what its tables hold, and what it does with odd and bad records."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beatssl_sklearn import BeatEmbedder, RhythmEmbedder, WFDBFolder, make_ecg
from beatssl_sklearn.ecg.leads import LEADS

Embed = Callable[..., int]
ReadEmbeddings = Callable[[Path], tuple[list[str], dict[str, list[str]], np.ndarray]]


@pytest.mark.parametrize("ending", ["csv", "parquet", "npz"])
def test_rows_per_record(
    ending: str,
    model: Path,
    mixed: Path,
    embed: Embed,
    read_embeddings: ReadEmbeddings,
    record_names: list[str],
    bad_names: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / f"table.{ending}"
    assert embed(model, mixed, out) == 0
    stdout, stderr = capsys.readouterr()
    assert all(stderr.count(f"skipped {name}: ") == 1 for name in bad_names)
    assert f"{len(record_names)} rows of {len(record_names)} records" in stdout
    folder = WFDBFolder(mixed, names=[n for n in WFDBFolder(mixed).names if n in record_names])
    if ending == "csv":
        header, described, Z = read_embeddings(out)
        names = described["record"]
        assert header == ["record", *RhythmEmbedder(model).get_feature_names_out()]
    elif ending == "parquet":
        table = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed").read_table(out)
        names = table.column("record").to_pylist()
        Z = np.stack([table.column(name).to_numpy() for name in table.column_names[1:]], axis=1)
    else:
        with np.load(out) as arrays:
            names, Z = arrays["record"].tolist(), arrays["embedding"]
    assert names == list(folder.names)
    assert Z.dtype == np.float32
    assert np.array_equal(Z, RhythmEmbedder(model).transform(folder))
    assert [file.name for file in tmp_path.iterdir()] == [out.name]


def test_rows_per_beat(
    model: Path, good: Path, embed: Embed, read_embeddings: ReadEmbeddings, tmp_path: Path
) -> None:
    assert embed(model, good, tmp_path / "beats.csv", "--level", "beat", "--batch-size", "2") == 0
    header, described, Z = read_embeddings(tmp_path / "beats.csv")
    folder, embedder = WFDBFolder(good), BeatEmbedder(model)
    beats, rpeaks = embedder.transform(folder), embedder.rpeaks(folder)
    assert header == ["record", "beat", "rpeak", "time_s", *embedder.get_feature_names_out()]
    assert np.array_equal(Z, np.concatenate(list(beats)))
    assert [int(r) for r in described["rpeak"]] == np.concatenate(rpeaks).tolist()
    assert described["record"] == [name for name, own in zip(folder.names, beats, strict=True) for _ in own]
    assert described["beat"] == [str(k) for own in beats for k in range(len(own))]
    times = np.concatenate([peaks / folder[i].fs for i, peaks in enumerate(rpeaks)])
    assert [float(t) for t in described["time_s"]] == times.round(6).tolist()


def test_a_shipped_model_by_name(good: Path, embed: Embed, read_embeddings: ReadEmbeddings, tmp_path: Path) -> None:
    assert embed(Path("ptbxl-s"), good, tmp_path / "t.csv") == 0
    expected = RhythmEmbedder("ptbxl-s").transform(WFDBFolder(good))
    assert np.array_equal(read_embeddings(tmp_path / "t.csv")[2], expected)


def test_a_segmenter_has_an_encoder_too(
    wave_model: Path, good: Path, embed: Embed, read_embeddings: ReadEmbeddings, tmp_path: Path
) -> None:
    assert embed(wave_model, good, tmp_path / "t.csv") == 0
    expected = RhythmEmbedder(wave_model).transform(WFDBFolder(good))
    assert np.array_equal(read_embeddings(tmp_path / "t.csv")[2], expected)


def test_a_batch_does_not_change_the_rows(
    model: Path, good: Path, embed: Embed, read_embeddings: ReadEmbeddings, tmp_path: Path
) -> None:
    for size in ("1", "64"):
        assert embed(model, good, tmp_path / f"{size}.csv", "--batch-size", size) == 0
    (_, one, Z), (_, many, Z_many) = (read_embeddings(tmp_path / f"{size}.csv") for size in ("1", "64"))
    assert one == many
    np.testing.assert_allclose(Z, Z_many, rtol=1e-4, atol=1e-5)


def test_strict(model: Path, mixed: Path, good: Path, embed: Embed, tmp_path: Path) -> None:
    assert embed(model, mixed, tmp_path / "t.csv", "--strict") == 1
    assert (tmp_path / "t.csv").exists()
    assert embed(model, good, tmp_path / "t.csv", "--strict") == 0


def test_odd_records_are_named(
    model: Path,
    write_record: Callable[..., None],
    embed: Embed,
    read_embeddings: ReadEmbeddings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    signal = make_ecg(1, random_state=9).data[0]
    write_record(tmp_path / "data" / "a_fine", signal, 500, LEADS)
    write_record(tmp_path / "data" / "b_flat", 0 * signal, 500, LEADS)
    write_record(tmp_path / "data" / "c_gain", signal, 500, LEADS)
    header = tmp_path / "data" / "c_gain.hea"
    header.write_text(header.read_text().replace("1000(0)/mV", "0"))
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert embed(model, tmp_path / "data", tmp_path / "t.csv") == 0
    stderr = capsys.readouterr().err
    assert "warning: record 'b_flat': no lead varies (flat signal)" in stderr
    assert "warning: record 'c_gain': " in stderr
    assert ".py" not in stderr
    assert read_embeddings(tmp_path / "t.csv")[1]["record"] == ["a_fine", "b_flat", "c_gain"]


def test_leads_by_name_and_by_position(
    model: Path,
    write_record: Callable[..., None],
    embed: Embed,
    read_embeddings: ReadEmbeddings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ecg = make_ecg(1, leads=("II", "V1"), random_state=1)
    write_record(tmp_path / "data" / "r", ecg.data[0], 500, ("ECG1", "ECG2"))
    out = tmp_path / "t.csv"
    assert embed(model, tmp_path / "data", out) == 2
    stderr = capsys.readouterr().err
    assert "none of 1 records could be embedded" in stderr
    # In the words of the command line, not of Python.
    assert "--leads NAME=LEAD names some" in stderr and "--positional" in stderr and "=True" not in stderr
    assert not out.exists()
    assert embed(model, tmp_path / "data", out, "--positional", "--leads", "II,V1") == 0
    record = WFDBFolder(tmp_path / "data", leads=("II", "V1"), positional=True)
    both = read_embeddings(out)[2]
    assert np.array_equal(both, RhythmEmbedder(model).transform(record))

    write_record(tmp_path / "named" / "r", ecg.data[0], 500, ("MLII", "V1"))
    assert embed(model, tmp_path / "named", out, "--leads", "II") == 0
    one = read_embeddings(out)[2]
    assert one.shape == both.shape and not np.array_equal(one, both)
    # One signal of another name at a time.
    assert embed(model, tmp_path / "data", out, "--leads", "ECG1=II,ECG2=V1") == 0
    assert np.array_equal(read_embeddings(out)[2], both)
    for wrong, text in ((["--leads", "II,V9"], "'V9'"), (["--positional"], "--positional needs --leads")):
        assert embed(model, tmp_path / "named", out, *wrong) == 2
        assert text in capsys.readouterr().err


def test_what_cannot_be_done(model: Path, good: Path, refusal: Callable[..., str], tmp_path: Path) -> None:
    out = tmp_path / "t.csv"
    assert "'no.bssl' is neither a file nor a shipped model" in refusal("embed", "no.bssl", good, "--out", out)
    assert ".csv, .parquet, .npz" in refusal("embed", model, good, "--out", tmp_path / "t.xlsx")
    assert "nowhere" in refusal("embed", model, tmp_path / "nowhere", "--out", out)
    assert "nowhere" in refusal("embed", model, good, "--out", tmp_path / "nowhere" / "t.csv", "--quiet")
    text = refusal("embed", model, good, "--out", out, "--device", "abacus")
    assert "--device='abacus' is not a torch device" in text
    assert not list(tmp_path.iterdir())


def test_parquet_without_pyarrow(
    model: Path, good: Path, embed: Embed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert embed(model, good, tmp_path / "t.parquet") == 2
    assert "beatssl-sklearn[parquet]" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["csv", "parquet", "npz"])
def test_an_interruption_leaves_the_older_table(
    ending: str,
    model: Path,
    good: Path,
    embed: Embed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / f"t.{ending}"
    out.write_text("older")
    transform, calls = RhythmEmbedder.transform, []

    def interrupted(self: RhythmEmbedder, X: object) -> np.ndarray:
        calls.append(X)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return transform(self, X)

    monkeypatch.setattr(RhythmEmbedder, "transform", interrupted)
    assert embed(model, good, out, "--batch-size", "1") == 130
    assert "interrupted" in capsys.readouterr().err
    assert out.read_text() == "older"
    assert [file.name for file in tmp_path.iterdir()] == [out.name]
