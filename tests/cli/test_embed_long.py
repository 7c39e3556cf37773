"""Long records of `beatssl embed`: read some minutes at a time, with the rows of the whole record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beatssl_sklearn import BeatEmbedder, RhythmEmbedder, SampleEmbedder, WFDBFolder, make_ecg
from beatssl_sklearn.cli import embed_records, folder
from beatssl_sklearn.ecg import ECGRecord
from beatssl_sklearn.ecg.leads import LEADS

Embed = Callable[..., int]
EMBEDDERS: dict[str, Any] = {"rhythm": RhythmEmbedder, "beat": BeatEmbedder, "sample": SampleEmbedder}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory, write_record: Callable[..., None]) -> Path:
    """A long record between two short ones."""
    path = tmp_path_factory.mktemp("long")
    for i, (name, duration) in enumerate((("a", 10), ("b_long", 130), ("c", 10))):
        signal = make_ecg(1, rhythm="pvc", fs=100, duration=duration, leads=LEADS[:3], random_state=i).data[0]
        write_record(path / name, signal, 100, LEADS[:3])
    return path


@pytest.fixture(autouse=True)
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_BATCH_SAMPLES", 10_000)
    monkeypatch.setattr(embed_records, "PIECE_S", 30.0)


@pytest.mark.parametrize("ending", ["csv", "npz"])
@pytest.mark.parametrize("level", list(EMBEDDERS))
def test_rows_are_those_of_the_whole_record(
    level: str, ending: str, model: Path, records: Path, embed: Embed, read_embeddings: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    shown: list[int] = []
    whole = EMBEDDERS[level].transform

    def watched(self: Any, X: Any, **given: Any) -> Any:
        shown.extend(X[i].signal.shape[1] for i in range(len(X)))
        return whole(self, X, **given)

    with monkeypatch.context() as patch:
        patch.setattr(EMBEDDERS[level], "transform", watched)
        assert embed(model, records, tmp_path / f"t.{ending}", "--level", level) == 0
    assert shown == [1000, 1000]
    assert capsys.readouterr().err == ""
    if ending == "csv":
        _, described, Z = read_embeddings(tmp_path / "t.csv")
    else:
        with np.load(tmp_path / "t.npz") as arrays:
            Z, described = arrays["embedding"], {name: arrays[name].tolist() for name in arrays}
    found = EMBEDDERS[level](model)
    expected = [np.atleast_2d(rows) for rows in found.transform(WFDBFolder(records))]
    joined = np.concatenate(expected)
    np.testing.assert_allclose(Z, joined, rtol=0, atol=1e-5 * np.abs(joined).max())
    lengths = [len(rows) for rows in expected]
    assert described["record"] == [name for name, n in zip("abc", lengths, strict=True) for name in [
        {"a": "a", "b": "b_long", "c": "c"}[name]] * n]
    if level == "beat":
        assert [int(r) for r in described["rpeak"]] == np.concatenate(found.rpeaks(WFDBFolder(records))).tolist()
    if level != "rhythm":
        number = "beat" if level == "beat" else "token"
        assert [int(k) for k in described[number]] == [k for n in lengths for k in range(n)]
        assert [file.name for file in tmp_path.iterdir()] == [f"t.{ending}"]


def test_a_record_whose_end_cannot_be_read_has_no_rows(
    model: Path, records: Path, embed: Embed, read_embeddings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    pieces = embed_records.embed_pieces

    def breaks(*args: Any, **kwargs: Any) -> Any:
        yield from list(pieces(*args, **kwargs))[:2]
        raise MemoryError

    monkeypatch.setattr(embed_records, "embed_pieces", breaks)
    assert embed(model, records, tmp_path / "t.csv", "--level", "beat") == 0
    assert "skipped b_long: not enough memory" in capsys.readouterr().err
    assert set(read_embeddings(tmp_path / "t.csv")[1]["record"]) == {"a", "c"}


def test_what_is_odd_in_a_long_record(
    model: Path, write_record: Callable[..., None], embed: Embed, read_embeddings: Any, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    signal = make_ecg(1, fs=100, duration=120, leads=LEADS[:3], random_state=0).data[0]
    gap = signal.copy()
    gap[1, 500:600] = np.nan
    data = tmp_path / "data"
    for name, x in (("fine", signal), ("flat", 0 * signal), ("gap", gap), ("large", 20 * signal)):
        write_record(data / name, x, 100, LEADS[:3])
    out = tmp_path / "t.csv"
    assert embed(model, data, out) == 0
    stderr = capsys.readouterr().err
    assert "skipped gap: lead II lacks 100 samples; --allow-nan uses it all the same" in stderr
    assert "warning: flat: no lead varies (flat signal)" in stderr and stderr.count("warning: flat: ") == 1
    assert "warning: large: its first ten minutes: root mean square above" in stderr
    assert embed(model, data, out, "--allow-nan", "--check", "ignore") == 0
    assert capsys.readouterr().err == ""
    names = ["fine", "flat", "gap", "large"]
    assert read_embeddings(out)[1]["record"] == names
    expected = RhythmEmbedder(model, allow_nan=True, check="ignore").transform(WFDBFolder(data))
    np.testing.assert_allclose(read_embeddings(out)[2], expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert embed(model, data, out, "--check", "raise") == 0
    assert "skipped large: " in capsys.readouterr().err
    assert read_embeddings(out)[1]["record"] == ["fine"]


def test_memory_does_not_grow_with_the_record(
    model: Path, write_record: Callable[..., None], embed: Embed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal = np.tile(make_ecg(1, fs=100, duration=10, leads=LEADS[:2], random_state=0).data[0], 60)
    write_record(tmp_path / "data" / "r", signal, 100, LEADS[:2])
    lengths: list[int] = []
    read = folder.WFDBReader.read

    def watched(self: Any, start: int, stop: int) -> Any:
        lengths.append(stop - start)
        return read(self, start, stop)

    monkeypatch.setattr(folder.WFDBReader, "read", watched)
    monkeypatch.setattr(WFDBFolder, "__getitem__", lambda self, key: pytest.fail("the record was read as a whole"))
    assert embed(model, tmp_path / "data", tmp_path / "t.csv", "--level", "beat") == 0
    # The survey reads ten minutes at once, pieces have a minute of context on either side.
    assert lengths and sum(n == 60_000 for n in lengths) == 1 and sorted(lengths)[-2] <= 100 * (30 + 2 * 60 + 5)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"# a comment\n\nr 2 250 7\nr.dat 16\n # another\nr.dat 16 1000 16 0 0 0 0 I", 14),
        # The samples of a record of segments are in its segments, and so are their formats.
        (b"r/3 2 250 7\na 3\n~ 1\nb 3\n", None),
        (b"r 1 15.5 160\nr.dat 16x32 1000 16 0 0 0 0 I", None),
        # What lies behind the first bytes is unknown.
        (b"r 2 250 7\nr.dat 16\n" + b"#" * 4096 + b"\nr.dat 16x2\n", None),
        (b"r 1 250 7\n" + b"#" * 4069 + b"\nr.dat 16x32 1000", None),
        (b"r 2 250\n", None),
        (b"r 2 250 0\n", None),
        (b"r 1 15.5 160\nr.dat 16x32 1000 16 0 0 0 0 I\n", None),
        (b"no header\n", None),
        (b"", None),
    ],
)
def test_lengths_that_headers_announce(header: bytes, expected: int | None, tmp_path: Path) -> None:
    (tmp_path / "r.hea").write_bytes(header)
    assert folder._announced_samples(str(tmp_path / "r.hea")) == expected
    assert folder._announced_samples(str(tmp_path / "nowhere.hea")) is None


def test_a_batch_is_a_collection_with_names() -> None:
    record = ECGRecord(np.zeros((1, 100), np.float32), 100.0, ("II",))
    batch = folder.Batch(["a", "b"], [record, record])
    assert batch.shape == (2,) and [one.names for one in batch.one_by_one()] == [("a",), ("b",)]
