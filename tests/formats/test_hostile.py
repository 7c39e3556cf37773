"""Damaged and hostile files end in words that name the file, soon and without filling the memory, or read right."""

from __future__ import annotations

import base64
import struct
import time
import tracemalloc
import warnings
import zlib

import ecg_files
import h5py
import numpy as np
import pytest

from beatssl_sklearn import read_ecg
from beatssl_sklearn.formats import xml_guard

FILES = ecg_files.every_file()
# A second on a quiet machine.
SECONDS = 10.0


def try_to_read(path):
    """Read a file; return its record, or None if it is refused in words."""
    begin = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            record = read_ecg(path)
    except (ValueError, OSError) as error:
        assert path.name in str(error) and str(path.parent) not in str(error)
        record = None
    assert time.perf_counter() - begin < SECONDS
    if record is not None:
        assert record.signal.ndim == 2 and len(record.leads) == len(record.signal) and 50 <= record.fs <= 2000
    return record


def mutant(raw, rng):
    """Change some bytes, most of them near the beginning, or cut the file, or double a part of it."""
    changed = bytearray(raw)
    for _ in range(int(rng.integers(1, 6))):
        at = int(rng.integers(min(len(raw), 2000) if rng.random() < 0.7 else len(raw)))
        kind = rng.integers(5)
        if kind == 0:
            changed[at % len(changed)] = int(rng.integers(256))
        elif kind == 1:
            changed[at % len(changed)] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            changed[at : at + 4] = rng.choice([b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\xff\xff\xff\xff", b"9999"])
        elif kind == 3:
            changed = changed[: max(1, at)]
        else:
            changed[at:at] = changed[at : at + int(rng.integers(1, 64))]
    return bytes(changed)


def mutate(tmp_path, kind, n_mutants, seed):
    name, raw, _, _ = FILES[kind]
    rng = np.random.default_rng(seed)
    n_read = 0
    for i in range(n_mutants):
        path = tmp_path / f"{i}-{name}"
        path.write_bytes(mutant(raw, rng))
        n_read += try_to_read(path) is not None
        path.unlink()
    return n_read


@pytest.mark.parametrize("kind", FILES)
def test_some_mutants(tmp_path, kind):
    mutate(tmp_path, kind, 8, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FILES)
def test_many_mutants(tmp_path, kind):
    mutate(tmp_path, kind, 200, seed=2)


@pytest.mark.parametrize("kind", FILES)
def test_cut_and_empty_files(tmp_path, kind):
    name, raw, _, _ = FILES[kind]
    for n_bytes in (0, 1, 100, len(raw) // 2):
        path = tmp_path / name
        path.write_bytes(raw[:n_bytes])
        record = try_to_read(path)
        assert record is None or n_bytes == len(raw) // 2


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
)
ENTITY = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY secret SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("dtd", [BOMB, ENTITY, '<?xml version="1.0"?><!DOCTYPE a SYSTEM "http://127.0.0.1/a.dtd">'])
@pytest.mark.parametrize("kind", ["HL7 aECG", "GE MUSE", "Philips Sierra"])
def test_xml_with_a_document_type_is_refused(tmp_path, kind, dtd):
    name, raw, _, _ = FILES[kind]
    path = tmp_path / name
    path.write_bytes(dtd.encode() + raw.partition(b"?>")[2])
    with pytest.raises(ValueError, match="document type"):
        read_ecg(path)


@pytest.mark.parametrize("inside", [b"<a>" * 200 + b"</a>" * 200, b"<a/>" * 1000], ids=["deep", "crowd"])
def test_xml_that_fills_the_memory_is_refused(tmp_path, monkeypatch, inside):
    monkeypatch.setattr(xml_guard, "_MOST_ELEMENTS", 1000)
    name, raw, _, _ = FILES["HL7 aECG"]
    path = tmp_path / name
    path.write_bytes(raw.replace(b"</AnnotatedECG>", inside + b"</AnnotatedECG>"))
    with pytest.raises(ValueError, match="levels or"):
        read_ecg(path)


def peak_of_refusal(path, match):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=match):
            read_ecg(path, fs=500)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_promises_are_checked_before_memory_is_taken(tmp_path):
    twelve = ecg_files.counts()
    npy = tmp_path / "a.npy"
    npy.write_bytes(ecg_files.npy(twelve).replace(b"(600, 12)", b"(600000000000, 12)", 1))
    scp = tmp_path / "a.scp"
    raw = ecg_files.scp(twelve[:8], huffman=True)
    scp.write_bytes(raw.replace(struct.pack("<II", 1, 600), struct.pack("<II", 1, 2**31)))
    dcm = tmp_path / "a.dcm"
    group = ecg_files.dicom_group(twelve, [f"Lead {lead}" for lead in ecg_files.LEADS])
    group.NumberOfWaveformSamples = 2**32 - 1
    dcm.write_bytes(ecg_files.dicom([group]))
    for path, match in ((npy, "cannot be read as an array"), (scp, "promises"), (dcm, "promises")):
        assert peak_of_refusal(path, match) < 2**24


def test_compressed_bombs_are_refused(tmp_path):
    h5 = tmp_path / "a.h5"
    with h5py.File(h5, "w") as file:
        # No chunk of it is stored.
        file.create_dataset("signal", shape=(12, 10**11), dtype="f8", chunks=(12, 2**16), compression="gzip")
    sierra = tmp_path / "a.xml"
    codes = np.arange(256, 1022)
    growing = np.concatenate([[0], codes, np.full(2**13, 1021)])
    bits = (growing[:, None] >> np.arange(9, -1, -1)) & 1
    body = np.packbits(bits.ravel().astype(np.uint8)).tobytes()
    chunk = struct.pack("<ihh", len(body), 0, 0) + body
    raw = ecg_files.sierra(ecg_files.counts(), compressed=True)
    begin = raw.index(b'">', raw.index(b"<parsedwaveforms")) + 2
    end = raw.index(b"</parsedwaveforms>")
    sierra.write_bytes(raw[:begin] + base64.b64encode(chunk * 12) + raw[end:])
    for path, match in ((h5, "promises"), (sierra, "would grow")):
        assert peak_of_refusal(path, match) < 2**26


def test_deflated_dicom_is_refused(tmp_path):
    raw = FILES["DICOM"][1]
    uid = b"1.2.840.10008.1.2.1\0"
    path = tmp_path / "a.dcm"
    at = raw.index(b"\x02\0\x10\0UI") + 8
    body = raw.index(b"\x08\0", raw.index(b"\x02\0\x12\0") if b"\x02\0\x12\0" in raw else at)
    meta = raw[:at - 2] + struct.pack("<H", 22) + uid[:-1] + b".99" + raw[at + len(uid) : body]
    length = struct.unpack_from("<I", meta, 140)[0]
    meta = meta[:140] + struct.pack("<I", length + 2) + meta[144:]
    path.write_bytes(meta + zlib.compress(b"\0" * 2**20)[2:-4])
    with pytest.raises(ValueError, match="deflated"):
        read_ecg(path)


def test_hdf5_follows_no_link_to_other_files(tmp_path):
    (tmp_path / "other.h5").write_bytes(FILES["HDF5"][1])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["signal"] = h5py.ExternalLink("other.h5", "record/signal")
    with pytest.raises(ValueError, match="unclear which array"):
        read_ecg(tmp_path / "a.h5")


def test_a_pickle_in_an_array_is_not_opened(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"a\.npy"):
        read_ecg(tmp_path / "a.npy", fs=500)


def test_links_and_devices_are_not_opened(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "a.edf").write_bytes(FILES["EDF"][1])
    (inside / "a.edf").symlink_to(tmp_path / "a.edf")
    (tmp_path / "a.xml").write_bytes(FILES["HL7 aECG"][1])
    (inside / "b.xml").symlink_to(tmp_path / "a.xml")
    with pytest.raises(ValueError, match="link out of its directory"):
        read_ecg(inside / "a.edf")
    assert read_ecg(inside / "b.xml", confine_to_root=tmp_path).fs == 500
    with pytest.raises(ValueError, match="lies outside confine_to_root"):
        read_ecg(tmp_path / "a.edf", confine_to_root=inside)
    with pytest.raises(ValueError, match="regular file"):
        read_ecg("/dev/zero")
