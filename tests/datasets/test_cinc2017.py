"""CinC Challenge 2017: labels and their versions, layouts, and the archive from a server on this machine."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beatssl_sklearn.datasets import fetch_cinc2017

LOCAL: dict[str, Any] = {"download_if_missing": False}
LABELS = {"A00001": "N", "A00066": "N", "A00227": "O", "A01176": "O", "A00005": "A", "A00007": "~"}
OLD = LABELS | {"A00066": "O"}


def write_cinc2017(place: Path, nested: bool = False) -> Path:
    """Write records of 300, 310 ... samples as published: a MATLAB 4 file of int16, microvolts, and a header."""
    names = [f"{name[:3]}/{name}" if nested else name for name in LABELS]
    for i, name in enumerate(names):
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        signal = np.arange(300 + 10 * i, dtype="<i2") + 1
        header = struct.pack("<5i4s", 30, 1, signal.size, 0, 4, b"val\0")
        path.with_suffix(".mat").write_bytes(header + signal.tobytes())
        lines = f"{path.name} 1 300 {signal.size} 05:05:15 1/05/2000 \n{path.name}.mat 16+24 1000/mV 16 0 1 0 0 ECG \n"
        path.with_suffix(".hea").write_text(lines)
    (place / "RECORDS").write_text("".join(f"{name}\n" for name in names))
    write_labels(place / "REFERENCE.csv", LABELS)
    return place


def write_labels(path: Path, labels: dict[str, str]) -> None:
    path.write_text("".join(f"{name},{label}\n" for name, label in labels.items()))


@pytest.mark.parametrize("given", ["home", "set", "records"])
def test_cinc2017(tmp_path: Path, given: str) -> None:
    place = write_cinc2017(tmp_path / "cinc2017/training2017")
    data = fetch_cinc2017({"home": tmp_path, "set": place.parent, "records": place}[given], **LOCAL)
    assert data.record_id.tolist() == list(LABELS) and data.target.tolist() == list(LABELS.values())
    assert data.target_names == ("N", "A", "O", "~") and data.reference == "REFERENCE.csv"
    assert data.group.tolist() == ["A00001", "A00066", "A00227", "A00227", "A00005", "A00007"]
    assert data.n_times.tolist() == [300, 310, 320, 330, 340, 350] and data.fs == 300.0 and data.leads == ("I",)
    record = data.data[1]
    assert record.leads == ("I",) and record.fs == 300.0
    np.testing.assert_allclose(record.signal, [np.arange(1, 311) / 1000], rtol=1e-6)


def test_files_by_file_as_published(tmp_path: Path) -> None:
    write_cinc2017(tmp_path / "training", nested=True)
    write_labels(tmp_path / "training/REFERENCE.csv", {f"{name[:3]}/{name}": label for name, label in LABELS.items()})
    data = fetch_cinc2017(tmp_path, **LOCAL)
    assert data.record_id.tolist() == list(LABELS) and data.target.tolist() == list(LABELS.values())
    assert data.data[0].signal.shape == (1, 300)


def test_versions_of_the_labels(tmp_path: Path) -> None:
    place = write_cinc2017(tmp_path / "training2017")
    write_labels(place / "REFERENCE-v0.csv", OLD)
    assert fetch_cinc2017(tmp_path, labels="v0", **LOCAL).target[1] == "O"
    with pytest.raises(FileNotFoundError, match="REFERENCE-v2.csv"):
        fetch_cinc2017(tmp_path, labels="v2", **LOCAL)
    with pytest.raises(ValueError, match="labels must be one of v0, v1, v2, v3, got 'v4'"):
        fetch_cinc2017(tmp_path, labels="v4", **LOCAL)  # type: ignore[arg-type]
    write_labels(place / "REFERENCE.csv", OLD)
    with pytest.raises(ValueError, match=r"REFERENCE.csv does not hold the labels v3, as record 'A00066' shows"):
        fetch_cinc2017(tmp_path, **LOCAL)
    # The list with a version has precedence, and may lie above the records.
    write_labels(tmp_path / "REFERENCE-v3.csv", LABELS)
    assert fetch_cinc2017(tmp_path, **LOCAL).reference == "REFERENCE-v3.csv"


@pytest.mark.parametrize("label", [None, "X"])
def test_a_record_without_a_label(tmp_path: Path, label: str | None) -> None:
    place = write_cinc2017(tmp_path / "training2017")
    write_labels(place / "REFERENCE.csv", {k: v for k, v in (LABELS | {"A00005": label}).items() if v})
    with pytest.raises(ValueError, match=f"label {label!r} for record 'A00005'"):
        fetch_cinc2017(tmp_path, **LOCAL)


@pytest.mark.parametrize("cut", ["absent", "half", "no header"])
def test_partial_copies_are_not_taken_for_whole(tmp_path: Path, cut: str) -> None:
    place = write_cinc2017(tmp_path / "training2017")
    signal = place / "A00066.mat"
    if cut == "absent":
        signal.unlink()
    elif cut == "half":
        signal.write_bytes(signal.read_bytes()[:300])
    else:
        signal.with_suffix(".hea").unlink()
    with pytest.raises(FileNotFoundError, match="1 files of challenge-2017.*cut short.*A00066"):
        fetch_cinc2017(tmp_path, **LOCAL)


def test_missing_folder_tells_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="(?s)nowhere.*does not exist.*training2017.*physionet.org"):
        fetch_cinc2017(tmp_path / "nowhere", **LOCAL)


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve the project with its archive as PhysioNet does, and yield its folder."""
    from wfdb.io import download

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    project = tmp_path / "site/challenge-2017/1.0.0"
    place = write_cinc2017(tmp_path / "source/training2017")
    write_labels(place / "REFERENCE.csv", OLD)  # as old as the archive
    project.mkdir(parents=True)
    with zipfile.ZipFile(project / "training2017.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("training2017/", "")
        for path in sorted(place.iterdir()):
            archive.write(path, f"training2017/{path.name}")
    write_labels(project / "REFERENCE-v3.csv", LABELS)
    publish(project)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "site")))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr(download.config, "db_index_url", f"http://127.0.0.1:{server.server_port}/")
    yield project
    server.shutdown()
    thread.join()
    server.server_close()


def publish(project: Path) -> None:
    files = [path for path in sorted(project.iterdir()) if path.name != "SHA256SUMS.txt"]
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.name}\n" for path in files]
    (project / "SHA256SUMS.txt").write_text("".join(sums))


def test_download_and_repair(published: Path, tmp_path: Path) -> None:
    data = fetch_cinc2017(tmp_path / "home")
    assert data.target.tolist() == list(LABELS.values()) and data.reference == "REFERENCE-v3.csv"
    target = tmp_path / "home/cinc2017"
    assert sorted(path.name for path in target.iterdir()) == ["REFERENCE-v3.csv", "SHA256SUMS.txt", "training2017"]
    assert len(list((target / "training2017").iterdir())) == 2 * len(LABELS) + 2
    (target / "training2017/A00001.mat").write_bytes(b"cut short")
    kept = (target / "training2017/A00005.mat").stat().st_mtime_ns
    assert fetch_cinc2017(tmp_path / "home").data[0].signal.shape == (1, 300)
    assert (target / "training2017/A00005.mat").stat().st_mtime_ns == kept
    for path in published.iterdir():
        path.unlink()
    assert len(fetch_cinc2017(tmp_path / "home").data) == len(LABELS)


def test_a_damaged_archive_is_removed(published: Path, tmp_path: Path) -> None:
    (published / "training2017.zip").write_bytes(b"no archive")
    publish(published)
    with pytest.raises(OSError, match="training2017.zip is damaged.*call again"):
        fetch_cinc2017(tmp_path / "home")
    assert not (tmp_path / "home/cinc2017/training2017.zip").exists()


def test_an_archive_writes_nothing_elsewhere(published: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(published / "training2017.zip", "a") as archive:
        archive.writestr("../../../escaped.hea", "text")
    publish(published)
    fetch_cinc2017(tmp_path / "home")
    assert [path.parent.name for path in tmp_path.rglob("escaped.hea")] == ["training2017"]


@pytest.fixture(scope="module")
def real_cinc2017(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    unpack = data_dir / "cinc2017" / "unpack.py"
    if not unpack.is_file():
        pytest.skip("no CinC 2017")
    folder = tmp_path_factory.mktemp("real") / "cinc2017"
    subprocess.run([sys.executable, str(unpack), str(folder), "--limit", "60"], check=True, capture_output=True)
    return folder


def test_real_cinc2017(real_cinc2017: Path) -> None:
    data = fetch_cinc2017(real_cinc2017, **LOCAL)
    assert data.record_id[:3].tolist() == ["A00001", "A00002", "A00005"] and len(data.data) == 60
    assert data.target[:3].tolist() == ["N", "N", "A"] and data.n_times[:3].tolist() == [9000, 9000, 18000]
    for i in (0, 2):
        signal = data.data[i].signal
        assert signal.shape == (1, data.n_times[i]) and 0.02 < signal.std() < 2
    assert fetch_cinc2017(real_cinc2017, labels="v0", **LOCAL).target[2] == "O"
