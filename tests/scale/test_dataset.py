"""Embeddings and waves in shards: the numbers of `transform`, whatever was interrupted or could not be read."""

from __future__ import annotations

import csv
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from beatssl_sklearn import (
    BeatEmbedder,
    RhythmEmbedder,
    WaveSegmenter,
    ZarrRecords,
    delineate_dataset,
    embed_dataset,
    make_ecg,
    pack_records,
    read_dataset,
)
from beatssl_sklearn.scale import manifest, shard

SHARDS: dict[str, Any] = {"batch_size": 4, "shard_size": 8}


def numbers_of(table: pd.DataFrame, first: str = "mean_0") -> np.ndarray:
    return table.loc[:, first:].to_numpy()


def test_rows_are_those_of_transform(
    embedder: RhythmEmbedder, signals: np.ndarray, lazy: Callable[..., Any], places: Path
) -> None:
    seen: list[int] = []
    result = embed_dataset(embedder, lazy(), places, **SHARDS, progress=seen.append)
    assert result[1:] == (24, 24, 3, 3, []) and seen == [0, 8, 8, 8]
    table = read_dataset(places)
    assert table.columns[:3].tolist() == ["row", "record", "patient"]
    assert table["row"].tolist() == list(range(24)) and table["record"].tolist()[23] == "n23"
    assert table["patient"].tolist()[:3] == ["p0", "p0", "p1"]
    np.testing.assert_array_equal(numbers_of(table), embedder.transform(signals))
    pd.testing.assert_frame_equal(pd.read_parquet(places), table)
    assert sorted(path.name for path in places.iterdir() if path.suffix == ".parquet") == [
        f"part-00000{i}.parquet" for i in range(3)
    ]


@pytest.mark.parametrize("batch_size", [1, 5, 24])
def test_any_batch_gives_the_numbers_of_this_batch(
    batch_size: int, embedder: RhythmEmbedder, signals: np.ndarray, places: Path
) -> None:
    embed_dataset(embedder, signals, places, batch_size=batch_size, shard_size=7)
    expected = RhythmEmbedder(**{**embedder.get_params(deep=False), "batch_size": batch_size}).transform(signals)
    np.testing.assert_array_equal(numbers_of(read_dataset(places)), expected)


def test_rows_of_beats(embedder: RhythmEmbedder, signals: np.ndarray, lazy: Callable[..., Any], places: Path) -> None:
    beats = BeatEmbedder(embedder.encoder_, check="ignore", device="cpu", batch_size=4, timing=True)
    embed_dataset(beats, lazy(), places, level="beat", **SHARDS)
    table, rpeaks = read_dataset(places), beats.rpeaks(signals)
    assert table["row"].tolist() == np.repeat(np.arange(24), [len(own) for own in rpeaks]).tolist()
    np.testing.assert_array_equal(table["rpeak"], np.concatenate(rpeaks))
    np.testing.assert_array_equal(table["time_s"], np.concatenate(rpeaks) / 100)
    assert table["beat"].tolist() == [k for own in rpeaks for k in range(len(own))]
    np.testing.assert_array_equal(numbers_of(table, "beat1_0"), np.concatenate(list(beats.transform(signals))))


def test_rows_of_waves(segmenter: WaveSegmenter, places: Path) -> None:
    X = make_ecg(6, fs=250, duration=4, random_state=1).data
    delineate_dataset(segmenter, X, places, batch_size=16, shard_size=16, ids=list("abcdef"), consensus=True)
    expected, found = segmenter.delineate(X, consensus=True), read_dataset(places)
    assert len(found) > 50 and (found["record"] == np.array(list("abcdef"))[found["row"]]).all()
    assert (found["row"].to_numpy() == expected["record"].to_numpy()).all()
    pd.testing.assert_frame_equal(found.iloc[:, 2:], expected.iloc[:, 1:].reset_index(drop=True))


def test_a_finished_job_embeds_nothing_again(
    embedder: RhythmEmbedder, lazy: Callable[..., Any], places: Path
) -> None:
    embed_dataset(embedder, lazy(), places, **SHARDS)
    before = {path: path.stat().st_mtime_ns for path in places.glob("*.parquet")}
    os.unlink(places / "part-000001.parquet")
    again = lazy()
    assert embed_dataset(embedder, again, places, **SHARDS).n_made == 1
    # Three records are looked at to know that they are the same; beside them only the missing shard is read.
    assert set(again.read) - {"n0", "n12", "n23"} == {f"n{i}" for i in range(8, 16)} - {"n12"}
    assert {p: t for p, t in before.items() if p.name != "part-000001.parquet"}.items() <= {
        path: path.stat().st_mtime_ns for path in places.glob("*.parquet")
    }.items()


def test_records_that_fail_are_listed(
    embedder: RhythmEmbedder, signals: np.ndarray, lazy: Callable[..., Any], places: Path
) -> None:
    records = lazy("n5", "n20")
    result = embed_dataset(embedder, records, places, **SHARDS)
    assert [failure[:3] for failure in result.failures] == [(5, "n5", "OSError"), (20, "n20", "OSError")]
    with open(places / "_failures.csv", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[:2] == [["row", "record", "error", "message"], ["5", "n5", "OSError", "the file of n5 is gone"]]
    good = [i for i in range(24) if i not in (5, 20)]
    table = read_dataset(places)
    assert table["row"].tolist() == good
    expected = embedder.transform(signals)[good]
    assert np.abs(numbers_of(table) - expected).max() <= 1e-5 * np.abs(expected).max()
    assert embed_dataset(embedder, lazy(), places, **SHARDS).n_made == 0
    assert embed_dataset(embedder, lazy(), places, **SHARDS, retry_failed=True).failures == []
    assert len(read_dataset(places)) == 24


def test_records_of_another_rate_in_the_middle(
    embedder: RhythmEmbedder, lazy: Callable[..., Any], places: Path
) -> None:
    records = lazy()
    for i in (5, 6):
        one = records.records[i]
        records.records[i] = type(one)(one.signal, 250.0, one.leads)
    embed_dataset(embedder, records, places, **SHARDS)
    expected = embedder.transform(records)
    np.testing.assert_allclose(numbers_of(read_dataset(places)), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_none_could_be_used(embedder: RhythmEmbedder, lazy: Callable[..., Any], places: Path) -> None:
    with pytest.raises(ValueError, match=r"none of 24 records could be used; the first: the file of n0 is gone \(n0\)"):
        embed_dataset(embedder, lazy(*(f"n{i}" for i in range(24))), places, **SHARDS)


def test_odd_records_are_noted(embedder: RhythmEmbedder, signals: np.ndarray, places: Path) -> None:
    own = RhythmEmbedder(embedder.encoder_, device="cpu")
    flat = signals.copy()
    flat[9] = 0
    with pytest.warns(UserWarning, match="on records 8 to 11: record 1: no lead varies"):
        embed_dataset(own, flat, places, **SHARDS)
    assert "8,11,record 1: no lead varies (flat signal)" in (places / "_warnings.csv").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"records": 23}, "the number of records is 23, was 24"),
        ({"names": "other"}, r"the names of the records \(digest\) is"),
        ({"fs": 250.0}, "the rate of arrays, fs is 250.0, was None"),
        ({"rate": 200.0}, r"the rate \[Hz\] of record 0 is 200.0, was 100.0"),
        ({"level": "beat"}, "the task is 'embed, level beat', was 'embed, level rhythm'"),
        ({"seed": 1}, r"the model \(digest\) is"),
        ({"batch_size": 8}, "batch_size is 8, was 4"),
    ],
)
def test_another_job_is_refused(
    change: dict[str, Any], message: str, embedder: RhythmEmbedder, lazy: Callable[..., Any], places: Path
) -> None:
    embed_dataset(embedder, lazy(), places, **SHARDS)
    records, own, more = lazy()[: change.get("records", 24)], embedder, dict(SHARDS)
    if "names" in change:
        records.names = [change["names"] + name for name in records.names]
    if "rate" in change:
        one = records.records[0]
        records.records[0] = type(one)(one.signal, change["rate"], one.leads)
    if "seed" in change:
        own = RhythmEmbedder(embedder.encoder_.with_random_weights(1), check="ignore", device="cpu")
    if "fs" in change:
        own = RhythmEmbedder(embedder.encoder_, check="ignore", device="cpu", fs=change["fs"])
    if "level" in change:
        own = BeatEmbedder(embedder.encoder_, check="ignore", device="cpu")
    more |= {name: change[name] for name in ("level", "batch_size") if name in change}
    with pytest.raises(ValueError, match=f"holds another job: .*{message}.*overwrite=True"):
        embed_dataset(own, records, places, **more)
    assert embed_dataset(own, records, places, **more, overwrite=True).n_made == 3
    assert len(read_dataset(places)) >= len(records)


def test_a_folder_of_another_version_is_refused(
    embedder: RhythmEmbedder, lazy: Callable[..., Any], places: Path, monkeypatch: Any
) -> None:
    with monkeypatch.context() as older:
        older.setattr(manifest, "__version__", "0.0.1")
        embed_dataset(embedder, lazy(), places, **SHARDS)
    with pytest.raises(ValueError, match="the version of beatssl_sklearn is '[^']*', was '0.0.1'"):
        embed_dataset(embedder, lazy(), places, **SHARDS)


@pytest.mark.parametrize("content", ["[]", "{", '{"records": {"number": 24}, "shard_size": 0}'])
def test_a_damaged_manifest_is_named(
    content: str, embedder: RhythmEmbedder, lazy: Callable[..., Any], places: Path
) -> None:
    embed_dataset(embedder, lazy(), places, **SHARDS)
    (places / "_manifest.json").write_text(content)
    with pytest.raises(ValueError, match="_manifest.json is damaged; overwrite=True begins anew"):
        read_dataset(places)
    with pytest.raises(ValueError, match="_manifest.json is damaged; overwrite=True begins anew"):
        embed_dataset(embedder, lazy(), places, **SHARDS)


def test_chunks_of_a_store_that_cannot_be_read_are_failures(
    embedder: RhythmEmbedder, signals: np.ndarray, tmp_path: Path, places: Path
) -> None:
    store = tmp_path / "a.zarr"
    pack_records(signals, store, fs=100, chunk=4)
    (store / "0/signal/c/1/0/0").unlink()
    damaged = store / "0/signal/c/4/0/0"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    result = embed_dataset(embedder, ZarrRecords(store), places, **SHARDS)
    assert [failure.row for failure in result.failures] == [*range(4, 8), *range(16, 20)]
    assert result.failures[0].message == "store 'a.zarr', record '4': a chunk of the signals is missing"
    assert "checksum" in result.failures[4].message
    assert read_dataset(places)["row"].tolist() == [*range(4), *range(8, 16), *range(20, 24)]


def test_two_jobs_in_one_folder(embedder: RhythmEmbedder, lazy: Callable[..., Any], places: Path) -> None:
    places.mkdir()
    with FileLock(places / ".lock"), pytest.raises(BlockingIOError, match="another job is writing into"):
        embed_dataset(embedder, lazy(), places, **SHARDS)


@pytest.mark.parametrize("kept", [0, 100, -9])
def test_half_of_a_shard_is_made_anew(
    kept: int, embedder: RhythmEmbedder, signals: np.ndarray, lazy: Callable[..., Any], places: Path
) -> None:
    embed_dataset(embedder, lazy(), places, **SHARDS)
    path = places / "part-000001.parquet"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match="1 of 3 shards are missing, not whole or of another job"):
        read_dataset(places)
    assert len(read_dataset(places, partial=True, columns=["row"])) == 16
    with pytest.warns(UserWarning, match="part-000001.parquet is not whole"):
        embed_dataset(embedder, lazy(), places, **SHARDS)
    np.testing.assert_array_equal(numbers_of(read_dataset(places)), embedder.transform(signals))


def test_shards_that_changed_places_are_noticed(
    embedder: RhythmEmbedder, signals: np.ndarray, lazy: Callable[..., Any], places: Path
) -> None:
    embed_dataset(embedder, lazy(), places, **SHARDS)
    one, other = places / "part-000001.parquet", places / "part-000002.parquet"
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    with pytest.raises(ValueError, match="2 of 3 shards are missing, not whole or of another job"):
        read_dataset(places)
    with pytest.warns(UserWarning, match="is not whole, or of another job"):
        assert embed_dataset(embedder, lazy(), places, **SHARDS).n_made == 2
    np.testing.assert_array_equal(numbers_of(read_dataset(places)), embedder.transform(signals))


def test_a_flipped_bit_names_the_shard(embedder: RhythmEmbedder, lazy: Callable[..., Any], places: Path) -> None:
    embed_dataset(embedder, lazy(), places, **SHARDS)
    import pyarrow.parquet

    path = places / "part-000001.parquet"
    content = bytearray(path.read_bytes())
    # The last byte of a column's numbers.
    column = pyarrow.parquet.read_metadata(path).row_group(0).column(9)
    content[column.data_page_offset + column.total_compressed_size - 1] ^= 1
    path.write_bytes(content)
    with pytest.raises(OSError, match="part-000001.parquet is damaged .* remove it, and repeat the call"):
        read_dataset(places)
    path.unlink()
    assert embed_dataset(embedder, lazy(), places, **SHARDS).n_made == 1
    assert len(read_dataset(places)) == 24


def test_what_is_no_collection_is_refused(embedder: RhythmEmbedder, signals: np.ndarray, tmp_path: Path) -> None:
    for records in ((signal for signal in signals), {"a": signals}, "folder", 3):
        with pytest.raises(TypeError, match="records must be a collection of records or an array, got"):
            embed_dataset(embedder, records, tmp_path / "shards", **SHARDS)
    assert not (tmp_path / "shards").exists()


def test_an_error_of_progress_leaves_the_folder_free(
    embedder: RhythmEmbedder, lazy: Callable[..., Any], places: Path
) -> None:
    def progress(n: int) -> None:
        if n:
            raise RuntimeError("the window was closed")

    with pytest.raises(RuntimeError, match="window"):
        embed_dataset(embedder, lazy(), places, **SHARDS, progress=progress)
    assert embed_dataset(embedder, lazy(), places, **SHARDS).n_made == 2


def test_a_full_disk_keeps_what_is_finished(
    embedder: RhythmEmbedder, signals: np.ndarray, lazy: Callable[..., Any], places: Path, monkeypatch: Any
) -> None:
    def write(path: Path, content: bytes) -> None:
        if path.name == "part-000001.parquet":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        path.write_bytes(content)

    with monkeypatch.context() as full:
        full.setattr(shard, "write_atomically", write)
        with pytest.raises(OSError, match="part-000001.parquet cannot be written: No space left.*1 of 3 shards"):
            embed_dataset(embedder, lazy(), places, **SHARDS)
    assert embed_dataset(embedder, lazy(), places, **SHARDS).n_made == 2
    np.testing.assert_array_equal(numbers_of(read_dataset(places)), embedder.transform(signals))


def test_the_metadata_tells_the_model(embedder: RhythmEmbedder, lazy: Callable[..., Any], places: Path) -> None:
    import pyarrow.parquet

    embed_dataset(embedder, lazy("n9"), places, **SHARDS)
    about = json.loads(pyarrow.parquet.read_schema(places / "part-000001.parquet").metadata[b"beatssl_sklearn"])
    assert about["model"] == json.loads((places / "_manifest.json").read_text())["model"]
    assert about["settings"]["check"] == "ignore" and about["batch_size"] == 4
    assert about["shard"]["failures"] == [[9, "n9", "OSError", "the file of n9 is gone"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"engine": "slurm"}, "engine must be None or one of joblib, dask, ray, spark, got 'slurm'"),
        ({"n_jobs": 2}, "n_jobs=2 needs an engine: engine='joblib'"),
        ({"n_jobs": 0, "engine": "joblib"}, "n_jobs must be None or a whole number other than 0"),
        ({"level": "sample"}, "level must be one of rhythm, beat"),
        ({"level": "beat"}, "level='beat' needs a BeatEmbedder, got a RhythmEmbedder"),
        ({"shard_size": 0}, "shard_size"),
        ({"batch_size": 0}, "batch_size"),
        ({"ids": ["a"]}, "ids has 1 entries, but there are 24 records"),
    ],
)
def test_parameters_that_cannot_be(
    change: dict[str, Any], message: str, embedder: RhythmEmbedder, lazy: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        embed_dataset(embedder, lazy(), tmp_path / "shards", **(SHARDS | change))
    assert not (tmp_path / "shards").exists()


def test_folders_of_something_else(embedder: RhythmEmbedder, lazy: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "other.parquet").touch()
    with pytest.raises(ValueError, match="has Parquet files of something else"):
        embed_dataset(embedder, lazy(), tmp_path, **SHARDS)
    with pytest.raises(ValueError, match="holds nothing that embed_dataset"):
        read_dataset(tmp_path)
    with pytest.raises(NotADirectoryError, match="is a file; a folder is needed"):
        embed_dataset(embedder, lazy(), tmp_path / "other.parquet", **SHARDS)


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        (["row", "nope"], ValueError, "columns has 'nope', which the shards do not have; they have row, record, "),
        ("row", TypeError, "columns must be a sequence of names or None, got 'row'"),
        ((1, 2), TypeError, "columns must be a sequence of names or None"),
        ([], ValueError, "columns is empty; None reads all of them"),
    ],
)
def test_columns_that_cannot_be_read_are_named(
    columns: Any, error: type[Exception], message: str, embedder: RhythmEmbedder, lazy: Callable[..., Any], places: Path
) -> None:
    embed_dataset(embedder, lazy(), places, **SHARDS)
    assert read_dataset(places, columns=["row", "record"]).shape == (24, 2)
    with pytest.raises(error, match=message):
        read_dataset(places, columns=columns)
    with pytest.raises(ValueError, match="is a file; give the folder of the shards"):
        read_dataset(next(places.glob("*.parquet")))
