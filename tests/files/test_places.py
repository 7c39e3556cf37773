"""Whether a file can be written, asked before it is."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from beatssl_sklearn.files import places
from beatssl_sklearn.files.places import check_replaceable, check_writable


def test_nothing_is_left_and_nothing_is_changed(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("older")
    for name in ("old", "new"):
        check_writable(tmp_path / name)
    assert os.listdir(tmp_path) == ["old"] and (tmp_path / "old").read_text() == "older"


def test_places_that_cannot_be_written_to(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        check_writable(tmp_path)
    with pytest.raises(FileNotFoundError):
        check_writable(tmp_path / "nowhere" / "file")
    # As long a name as a file can have, and a longer one.
    check_writable(tmp_path / ("n" * 255))
    with pytest.raises(OSError, match="too long"):
        check_writable(tmp_path / ("n" * 256))


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="folders of all are POSIX only")
def test_a_file_of_another_user_in_a_folder_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("theirs")
    owner = file.stat().st_uid
    monkeypatch.setattr(places.os, "geteuid", lambda: owner + 1)
    check_replaceable(file)
    tmp_path.chmod(0o777 | stat.S_ISVTX)
    with pytest.raises(PermissionError, match="another user"):
        check_replaceable(file)
    monkeypatch.setattr(places.os, "geteuid", lambda: owner)
    check_replaceable(file)
