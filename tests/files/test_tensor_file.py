"""The file format: every changed bit is noticed, nothing is executed, and no file is half written."""

import json
import os
import re
import struct
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import safetensors.numpy

from beatssl_sklearn.files import tensor_file
from beatssl_sklearn.files.tensor_file import read_tensor_file, write_tensor_file

ARRAYS = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "count": np.array(3, dtype=np.int64),
    "mask": np.array([True, False]),
    "empty": np.zeros((0, 4), dtype=np.float64),
}
CONFIG = {"name": "é", "list": [1, 2.5, None, True], "nested": {"a": "b"}}


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.bssl"
    write_tensor_file(path, {"w": ARRAYS["weight"]}, {"a": 1})
    return path


def test_round_trip(tmp_path):
    write_tensor_file(tmp_path / "f", ARRAYS, CONFIG)
    arrays, config = read_tensor_file(str(tmp_path / "f"))
    assert config == CONFIG and set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype and arrays[name].shape == array.shape
        np.testing.assert_array_equal(arrays[name], array)


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(ARRAYS["weight"]),
        np.arange(20, dtype=np.float32)[::-2],
        np.arange(12, dtype=np.float16).reshape(3, 4).T,
        np.broadcast_to(np.float32(2), (3, 4)),
    ],
)
def test_any_layout_in_memory(tmp_path, array):
    write_tensor_file(tmp_path / "f", {"x": array}, {})
    np.testing.assert_array_equal(read_tensor_file(tmp_path / "f")[0]["x"], array)


@pytest.mark.parametrize("dtype", [">i8", ">u2", ">f4", ">f2", "<f8", "|u1", "?"])
def test_any_byte_order(tmp_path, dtype):
    array = np.array([[0, 1], [1, 0], [1, 1]]).astype(dtype)
    before = array.copy()
    write_tensor_file(tmp_path / "f", {"x": array}, {})
    found = read_tensor_file(tmp_path / "f")[0]["x"]
    assert found.dtype.isnative and found.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found, array)
    assert array.dtype == np.dtype(dtype) and array.tobytes() == before.tobytes(), "the caller's array stays as it is"


@pytest.mark.parametrize("dtype", [np.longdouble, complex])
def test_types_that_the_format_does_not_have(tmp_path, dtype):
    with pytest.raises(TypeError, match="arrays cannot be written: .*dtype"):
        write_tensor_file(tmp_path / "f", {"x": np.zeros(2, dtype)}, {})
    assert not os.listdir(tmp_path)


def test_nan_and_infinity_survive(tmp_path):
    x = np.array([np.nan, np.inf, -0.0, 1e-45], dtype=np.float32)
    write_tensor_file(tmp_path / "f", {"x": x}, {})
    assert read_tensor_file(tmp_path / "f")[0]["x"].tobytes() == x.tobytes()


def test_order_does_not_matter(tmp_path):
    write_tensor_file(tmp_path / "a", dict(reversed(ARRAYS.items())), dict(reversed(CONFIG.items())))
    arrays, config = read_tensor_file(tmp_path / "a")
    assert config == CONFIG and set(arrays) == set(ARRAYS)


def test_it_is_a_safetensors_file(small):
    arrays = safetensors.numpy.load_file(small)
    np.testing.assert_array_equal(arrays["w"], ARRAYS["weight"])


# Damage


def test_every_flipped_bit_is_noticed(small):
    content = small.read_bytes()
    assert len(content) < 300
    with small.open("r+b", buffering=0) as file:
        for position, byte in enumerate(content):
            for bit in range(8):
                os.pwrite(file.fileno(), bytes([byte ^ (1 << bit)]), position)
                with pytest.raises(ValueError, match="small.bssl"):
                    read_tensor_file(small)
            os.pwrite(file.fileno(), bytes([byte]), position)
    assert read_tensor_file(small)[1] == {"a": 1}


@pytest.mark.parametrize("value", [0x00, 0xFF, ord("0"), ord('"'), ord("}")])
def test_every_overwritten_byte_is_noticed(small, value):
    content = small.read_bytes()
    for position in range(len(content)):
        damaged = bytearray(content)
        if damaged[position] == value:
            continue
        damaged[position] = value
        small.write_bytes(damaged)
        with pytest.raises(ValueError, match="small.bssl"):
            read_tensor_file(small)


def test_every_truncation_is_noticed(small):
    content = small.read_bytes()
    for n in range(len(content)):
        small.write_bytes(content[:n])
        with pytest.raises(ValueError, match="small.bssl"):
            read_tensor_file(small)


@pytest.mark.parametrize("extra", [b"\0", b"x" * 100])
def test_appended_bytes_are_noticed(small, extra):
    small.write_bytes(small.read_bytes() + extra)
    with pytest.raises(ValueError, match="small.bssl"):
        read_tensor_file(small)


def with_header(header, data=b""):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def test_the_limit_refuses_what_is_else_valid(tmp_path, monkeypatch):
    metadata = {"beatssl_config": '{"a": 1}', "sha256": tensor_file._digest('{"a": 1}', {}), "x": "x" * 2**24}
    (tmp_path / "f").write_bytes(with_header({"__metadata__": metadata}))
    with pytest.raises(ValueError, match="is not a beatssl_sklearn file"):
        read_tensor_file(tmp_path / "f")
    monkeypatch.setattr(tensor_file, "MAX_HEADER_BYTES", 2**25)
    assert read_tensor_file(tmp_path / "f") == ({}, {"a": 1})


def forged(config_text):
    """A file whose digest is right, as anybody can make one."""
    arrays = {"w": ARRAYS["weight"]}
    metadata = {"beatssl_config": config_text, "sha256": tensor_file._digest(config_text, arrays)}
    return safetensors.numpy.save(arrays, metadata)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04cposix\nsystem\n.",
        struct.pack("<Q", 2**62) + b"{}",
        struct.pack("<Q", 2**25) + b"{" + b" " * 2**25,
        with_header(b"[" * 100_000),
        with_header(b"{" * 100),
        with_header([]),
        with_header({}),
        with_header({"__metadata__": []}),
        with_header({"__metadata__": {}}),
        with_header({"__metadata__": {"beatssl_config": "{}"}}),
        with_header({"__metadata__": {"beatssl_config": 3, "sha256": "0"}}),
        with_header({"__metadata__": {"beatssl_config": "{}", "sha256": None}}),
        with_header({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}, b"\0" * 16),
        safetensors.numpy.save(ARRAYS),
        safetensors.numpy.save(ARRAYS, {"beatssl_config": "{}", "sha256": "0" * 64}),
        forged("not JSON"),
        forged("[" * 100_000),
        with_header(b"\xff\xfe{}"),
    ],
    ids=lambda content: f"{len(content)}-bytes",
)
def test_hostile_files_are_refused(tmp_path, content):
    (tmp_path / "evil.bssl").write_bytes(content)
    with pytest.raises(ValueError, match="evil.bssl"):
        read_tensor_file(tmp_path / "evil.bssl")


def test_what_is_no_regular_file(tmp_path, small):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", "/dev/zero"):
        with pytest.raises(OSError, match="not a regular file"):
            read_tensor_file(path)
    with pytest.raises(FileNotFoundError):
        read_tensor_file(tmp_path / "nothing")
    (tmp_path / "link").symlink_to(small)
    assert read_tensor_file(tmp_path / "link")[1] == {"a": 1}
    (tmp_path / "secret").write_text("user:password\n" * 50)
    (tmp_path / "other").symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError) as error:
        read_tensor_file(tmp_path / "other")
    assert "password" not in str(error.value)


# Writing


def test_a_failed_write_leaves_the_old_file_and_nothing_else(small, monkeypatch):
    before = small.read_bytes()

    def fails(*args):
        raise OSError("no space left")

    for name in ("replace", "fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fails)
            with pytest.raises(OSError, match="no space left"):
                write_tensor_file(small, ARRAYS, CONFIG)
        assert small.read_bytes() == before and os.listdir(small.parent) == [small.name]
    with pytest.raises(TypeError):
        write_tensor_file(small, ARRAYS, {"x": object()})
    assert small.read_bytes() == before


def test_folders_that_are_missing_or_no_folders(small):
    for path in (small.parent / "no" / "f", small / "f", small.parent):
        with pytest.raises(OSError):
            write_tensor_file(path, ARRAYS, CONFIG)
    assert os.listdir(small.parent) == [small.name]


def test_a_full_disk_is_an_error(small):
    before = small.read_bytes()
    code = f"""
        import resource, signal
        import numpy as np
        from beatssl_sklearn.files.tensor_file import write_tensor_file
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            write_tensor_file({str(small)!r}, {{"w": np.zeros(100_000)}}, {{}})
        except OSError as error:
            print("refused:", error)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120)
    assert run.stdout.startswith("refused:"), run.stderr[-2000:]
    assert small.read_bytes() == before and os.listdir(small.parent) == [small.name]


def test_names_in_messages_are_not_paths(tmp_path):
    (tmp_path / "x.bssl").write_bytes(b"nothing")
    with pytest.raises(ValueError) as error:
        read_tensor_file(tmp_path / "x.bssl")
    assert not re.search(re.escape(str(tmp_path)), str(error.value))


def test_half_a_character_is_damage(tmp_path):
    """Texts that UTF-8 cannot hold have no digest."""
    path = tmp_path / "t"
    write_tensor_file(path, {"a": np.zeros(1)}, {"x": "0123456789"})
    content = path.read_bytes()
    # The description is JSON inside JSON: a backslash of its own there is two here.
    path.write_bytes(content.replace(b"0123456789", b"\\ud8009999"))
    with pytest.raises(ValueError, match="t is damaged"):
        read_tensor_file(path)
