"""Zarr stores: what comes back, from every place and in any order, and stores that are refused."""

from __future__ import annotations

import functools
import http.server
import json
import pickle
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from beatssl_sklearn import ECGRecord, ZarrRecords, make_ecg, pack_records
from beatssl_sklearn.records.quantize import MISSING, quantize, restore

X = make_ecg(20, fs=100, duration=4, random_state=0).data
X[3, 1, 50:90] = np.nan
KIND = {"fs": 100.0, "leads": ["I"], "n_times": 400, "chunk": 6, "n_records": 20}
PATIENTS = [f"p{i // 2}" for i in range(len(X))]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stores") / "a.zarr"
    pack_records(X, path, fs=100, patient_ids=PATIENTS, chunk=6)
    return path


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A store to be damaged."""
    path = tmp_path / "b.zarr"
    pack_records(X, path, fs=100, chunk=6, compression=None)
    return path


@pytest.fixture(scope="module")
def served(place: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(place.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/a.zarr"
        server.shutdown()
        thread.join()


def test_a_sample_is_off_by_half_a_step_at_most(place: Path) -> None:
    read = np.asarray(ZarrRecords(place))
    np.testing.assert_array_equal(np.isnan(read), np.isnan(X))
    step = np.nanmax(np.abs(X), axis=2, keepdims=True) / 32767
    # The step is a float32, and so is the sample: each is off by up to an epsilon of up to 32,767 steps.
    assert np.nanmax(np.abs(read - X) / step) <= 0.5 + 32767 * np.finfo(np.float32).eps


def test_whole_microvolts_come_back_as_they_were() -> None:
    counts = np.random.default_rng(0).integers(-3000, 3000, size=(2, 500))
    digital, steps = quantize((counts / 1000).astype(np.float32))
    np.testing.assert_array_equal(digital, counts)
    np.testing.assert_array_equal(steps, np.float32(0.001))


def test_missing_samples_and_leads() -> None:
    digital, steps = quantize(np.array([[0.0, np.nan, 2.0], [np.nan] * 3, [0.0] * 3]), step=0.5)
    np.testing.assert_array_equal(digital, [[0, MISSING, 4], [MISSING] * 3, [0] * 3])
    np.testing.assert_array_equal(steps, [0.5, 0.0, 0.5])
    out = np.empty((3, 3), dtype=np.float32)
    assert restore(digital, steps, out)
    np.testing.assert_array_equal(out, [[0.0, np.nan, 2.0], [np.nan] * 3, [0.0] * 3])
    with pytest.raises(ValueError, match=r"step=1e-05 mV is too small for a sample of 2 mV"):
        quantize(np.array([[2.0]]), step=1e-5)
    with pytest.raises(ValueError, match="infinite"):
        quantize(np.array([[np.inf]]))


def test_parts_are_lazy_and_keep_names_and_patients(place: Path) -> None:
    records, every = ZarrRecords(place), np.asarray(ZarrRecords(place))
    mask = np.arange(len(X)) % 3 == 0
    for key in (slice(2, 9), [5, 5, 0], np.array([19, -1, 7]), mask, [], ([1, 2], ...)):
        rows = np.arange(len(X))[np.array(key[0]) if isinstance(key, tuple) else key if len_of(key) else slice(0)]
        part = records[key]
        assert isinstance(part, ZarrRecords) and part.shape == rows.shape and part.names == tuple(map(str, rows))
        assert part.patient_ids is not None and part.patient_ids.tolist() == [PATIENTS[i] for i in rows]
        np.testing.assert_array_equal(np.asarray(part).reshape(-1), every[rows].reshape(-1))
    assert (records.fs, records.leads, records.shape) == (100.0, records[4].leads, (20,))
    np.testing.assert_array_equal(records[-1].signal, every[-1])
    assert records[6].info == {"record": "6", "patient_id": "p3"}
    for wrong in (np.ones(3, dtype=bool), np.array([[0]]), 20, [99]):
        with pytest.raises(IndexError):
            records[wrong]


def len_of(key: Any) -> int:
    return 1 if isinstance(key, (slice, tuple)) else len(key)


def test_all_places_are_alike(place: Path, served: str) -> None:
    local = np.asarray(ZarrRecords(str(place)))
    in_memory = pack_records(X, "memory://records/a.zarr", fs=100, patient_ids=PATIENTS, chunk=6)
    for records in (ZarrRecords(served), ZarrRecords("memory://records/a.zarr"), in_memory, ZarrRecords(f"file://{place}")):
        np.testing.assert_array_equal(np.asarray(records), local)
        assert records.names == ZarrRecords(place).names


def test_threads_and_pickles_share_it(place: Path) -> None:
    records = ZarrRecords(place)
    order = np.random.default_rng(0).permutation(len(X))
    every = np.asarray(records)
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda i: records[int(i)].signal, order))
    np.testing.assert_array_equal(np.stack(read), every[order])
    state = pickle.dumps(records[3:5])
    assert len(state) < 3000
    np.testing.assert_array_equal(np.asarray(pickle.loads(state)), every[3:5])


def test_records_of_all_kinds_keep_their_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    # Whole microvolts; 500 and 450 samples are one kind, 200 samples and the others are kinds of their own.
    limbs = ("I", "II")
    kinds = [(100.0, limbs, 500), (100.0, limbs, 450), (250.0, ("V1",), 500), (100.0, limbs, 200)] * 3
    counts = [rng.integers(-999, 999, (len(leads), n_times)) for _, leads, n_times in kinds]
    given = [ECGRecord(np.float32(x / 1000), fs, leads) for x, (fs, leads, _) in zip(counts, kinds, strict=True)]
    given[5].signal[0] = np.nan
    records = pack_records(given, tmp_path / "mixed.zarr", chunk=2)
    assert records.fs is None and records.leads is None
    assert sorted(path.name for path in (tmp_path / "mixed.zarr").iterdir()) == ["0", "1", "2", "zarr.json"]
    for one, expected in zip(records, given, strict=True):
        assert (one.fs, one.leads) == (expected.fs, expected.leads)
        np.testing.assert_allclose(one.signal, expected.signal, rtol=0, atol=1e-7)
    with pytest.raises(ValueError, match="record '1' differs from '0' in length, rate or leads"):
        np.asarray(records)


def test_a_missing_chunk_names_store_and_records(own: Path) -> None:
    (own / "0/signal/c/1/0/0").unlink()
    records = ZarrRecords(own)
    assert records[5].signal.shape == (12, 400)
    with pytest.raises(FileNotFoundError, match=r"store 'b.zarr', record '8'.*missing"):
        records[8]
    with pytest.raises(FileNotFoundError, match=r"store 'b.zarr', record '6' and 5 more: a chunk"):
        records.verify()


def test_a_flipped_bit_is_found(own: Path) -> None:
    chunk = own / "0/signal/c/2/0/0"
    raw = bytearray(chunk.read_bytes())
    raw[1000] ^= 1
    chunk.write_bytes(raw)
    with pytest.raises(OSError, match=r"store 'b.zarr', record '13': .*checksum"):
        ZarrRecords(own)[13]


@pytest.mark.parametrize("name", ["step", "length", "position", "name"])
def test_a_missing_table_is_found(own: Path, name: str) -> None:
    (path,) = (path for path in (own / "0" / name / "c").rglob("*") if path.is_file())
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f"store 'b.zarr': the chunk of 0/{name} with row 0 is missing"):
        ZarrRecords(own)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"version": 2}, "store 'b.zarr' has version 2 of the format, and this version of .* reads version 1"),
        ({"format": "other"}, "store 'b.zarr' is another program's"),
        ({"complete": False}, "store 'b.zarr' is half written: 20 records are complete; run the same packing again"),
        ({"kinds": [{"fs": 100}]}, "store 'b.zarr': its attributes are damaged"),
        ({"kinds": [KIND | {"chunk": 0}]}, "store 'b.zarr': its attributes are damaged"),
        ({"kinds": [KIND | {"n_records": -1}]}, "store 'b.zarr': its attributes are damaged"),
        ({"kinds": [KIND | {"fs": "nan"}]}, "store 'b.zarr': its attributes are damaged"),
    ],
)
def test_other_stores_are_refused(own: Path, changes: dict[str, object], text: str) -> None:
    described = json.loads((own / "zarr.json").read_text())
    described["attributes"] |= changes
    (own / "zarr.json").write_text(json.dumps(described))
    with pytest.raises(ValueError, match=text):
        ZarrRecords(own)


def test_damaged_descriptions_are_named(own: Path) -> None:
    records = ZarrRecords(own)
    (own / "0" / "signal" / "zarr.json").write_text("{")
    with pytest.raises(OSError, match="store 'b.zarr', record .*: the description of the array 0/signal is damaged"):
        records[0]
    (own / "zarr.json").write_text("{")
    with pytest.raises(ValueError, match="store 'b.zarr': its zarr.json is damaged: .* pack the records again"):
        ZarrRecords(own)
    with pytest.raises(ValueError, match="store 'b.zarr': its zarr.json is damaged"):
        pack_records(make_ecg(2, fs=100, duration=2).data, own, fs=100)


def test_leads_that_the_store_has_not_are_named(own: Path) -> None:
    described = json.loads((own / "zarr.json").read_text())
    described["attributes"]["kinds"] = [KIND]
    (own / "zarr.json").write_text(json.dumps(described))
    with pytest.raises(OSError, match="store 'b.zarr': its attributes are damaged: 0/step has not 1 leads"):
        ZarrRecords(own)


def test_a_store_that_took_the_place_of_another_is_noticed(own: Path) -> None:
    records = ZarrRecords(own)
    shutil.rmtree(own)
    pack_records(X[::-1], own, fs=100, chunk=6)
    with pytest.raises(OSError, match="store 'b.zarr', record '2': another store has taken its place"):
        records[2]


@pytest.mark.parametrize("key", [None, 1.5, True, [[0]]])
def test_wrong_positions_are_named(place: Path, key: object) -> None:
    with pytest.raises(IndexError, match="expected an integer, a slice, or a 1-D array of int or bool, got"):
        ZarrRecords(place)[key]


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="store 'gone.zarr': there is no zarr group"):
        ZarrRecords(tmp_path / "gone.zarr")
    zarr.create_array(tmp_path / "array.zarr", shape=(3,), dtype="i2")
    with pytest.raises(ValueError, match="store 'array.zarr' is a zarr array"):
        ZarrRecords(tmp_path / "array.zarr")
    with pytest.raises(TypeError, match="store must be a path or a URL, got int"):
        ZarrRecords(3)


def test_a_relative_path_means_the_same_after_a_change_of_folder(own: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(own.parent)
    records, expected = ZarrRecords(own.name), ZarrRecords(own)[0].signal
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    np.testing.assert_array_equal(records[0].signal, expected)
