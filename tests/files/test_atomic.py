"""A file is complete or absent, and has the permissions of any other new file."""

import os
import subprocess
import sys
import threading

import pytest

from beatssl_sklearn.files.atomic import write_atomically


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002, 0o000])
def test_the_umask_counts(tmp_path, umask):
    code = f"""
import os, pathlib
from beatssl_sklearn.files.atomic import write_atomically
os.umask({umask})
write_atomically(pathlib.Path("atomic"), b"new")
pathlib.Path("plain").write_bytes(b"new")
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    modes = [os.stat(tmp_path / name).st_mode & 0o777 for name in ("atomic", "plain")]
    assert modes == [0o666 & ~umask] * 2


def test_an_older_file_is_replaced_whole(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"older and longer")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new" and os.listdir(tmp_path) == ["f"]


def test_an_interruption_leaves_the_older_file(tmp_path, monkeypatch):
    path = tmp_path / "f"
    path.write_bytes(b"older")

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"older" and os.listdir(tmp_path) == ["f"]


def test_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "target").write_bytes(b"older")
    (tmp_path / "f").symlink_to(tmp_path / "target")
    write_atomically(tmp_path / "f", b"new")
    assert (tmp_path / "target").read_bytes() == b"older" and (tmp_path / "f").read_bytes() == b"new"


def test_writers_at_once_do_not_mix(tmp_path):
    path = tmp_path / "f"
    contents = [bytes([k]) * 100_000 for k in range(8)]
    threads = [threading.Thread(target=write_atomically, args=(path, content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents and os.listdir(tmp_path) == ["f"]


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "no" / "f", b"new")


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_an_older_file_keeps_its_permissions(tmp_path, mode):
    path = tmp_path / "f"
    path.write_bytes(b"older")
    path.chmod(mode)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new" and os.stat(path).st_mode & 0o777 == mode


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path):
    path = tmp_path / ("x" * 255)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.skipif(os.name != "posix", reason="folders are flushed on POSIX only")
def test_the_new_name_is_flushed_too(tmp_path, monkeypatch):
    """Otherwise a power cut may bring back the older file."""
    flushed = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: flushed.append(os.fstat(handle).st_ino) or fsync(handle))
    write_atomically(tmp_path / "f", b"new")
    assert flushed == [os.stat(tmp_path / "f").st_ino, os.stat(tmp_path).st_ino]
