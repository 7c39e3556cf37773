"""Chunks that are decoded without zarr's event loop: the same samples, and zarr wherever something is odd."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from beatssl_sklearn import ZarrRecords, make_ecg, pack_records
from beatssl_sklearn.records import signal_chunks
from beatssl_sklearn.records.chunk_files import ChunkFiles

X = make_ecg(11, fs=100, duration=2, random_state=0).data.astype(np.float32)


def files_of(place: Path) -> ChunkFiles:
    return ChunkFiles(place / "0" / "signal", zarr.open_array(place / "0" / "signal", mode="r"))


@pytest.mark.parametrize("compression", ["lz4", "zstd", None])
def test_chunks_are_those_of_zarr(compression: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "a.zarr"
    pack_records(X, place, fs=100, chunk=4, compression=compression)
    expected = zarr.open_array(place / "0" / "signal", mode="r")[:]
    for c in range(3):
        read = files_of(place).read(c)
        assert read is not None and read.shape == (4, 12, 200)
        np.testing.assert_array_equal(read[: 11 - 4 * c], expected[4 * c : 4 * c + 4])
    assert files_of(place).read(3) is None
    records = ZarrRecords(place)

    def refuse(*args: Any) -> None:
        raise AssertionError("zarr was asked")

    monkeypatch.setattr(signal_chunks, "read_rows", refuse)
    assert np.abs(np.asarray(records) - X).max() < 1e-3


def test_missing_samples_alone_have_no_file(tmp_path: Path) -> None:
    gone = X.copy()
    gone[4:8] = np.nan
    place = tmp_path / "a.zarr"
    pack_records(gone, place, fs=100, chunk=4)
    assert not (place / "0/signal/c/1").exists()
    np.testing.assert_array_equal(np.isnan(np.asarray(ZarrRecords(place))), np.isnan(gone))


@pytest.mark.parametrize("change", [{"chunk": 3}, {"n_times": 300}])
def test_what_is_not_as_told_is_left_to_zarr(change: dict[str, int], tmp_path: Path) -> None:
    place = tmp_path / "a.zarr"
    pack_records(X, place, fs=100, chunk=4)
    described = json.loads((place / "zarr.json").read_text())
    described["attributes"]["kinds"][0] |= change
    (place / "zarr.json").write_text(json.dumps(described))
    assert np.abs(np.asarray(ZarrRecords(place)) - X).max() < 1e-3


@pytest.mark.parametrize("codec", ["zstd", "transpose"])
def test_other_codecs_are_left_to_zarr(codec: str, tmp_path: Path) -> None:
    place = tmp_path / "0" / "signal"
    more: dict[str, Any] = {"compressors": zarr.codecs.ZstdCodec()}
    if codec == "transpose":
        more = {"filters": zarr.codecs.TransposeCodec(order=(0, 2, 1)), "compressors": zarr.codecs.Crc32cCodec()}
    zarr.create_array(place, shape=(4, 2, 8), chunks=(4, 2, 8), dtype="int16", **more)[:] = 7
    assert files_of(tmp_path).read(0) is None
