"""Folders of the sets: which are found, what is missing or cut short, and downloads from a server on this machine."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from beatssl_sklearn.datasets import _folders, fetch_ludb, fetch_mitdb, fetch_ptbxl
from beatssl_sklearn.datasets._folders import read_plain_header
from beatssl_sklearn.ecg.leads import LEADS

Writer = Callable[..., Path]
LOCAL: dict[str, Any] = {"download_if_missing": False}


@pytest.mark.parametrize(
    ("fetch", "expected"),
    [(fetch_ptbxl, "ptbxl_database.csv"), (fetch_ludb, "ludb.csv"), (fetch_mitdb, "100.hea")],
)
def test_missing_folder_tells_what_was_expected(tmp_path: Path, fetch: Any, expected: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"(?s)nowhere.*{expected}.*physionet.org"):
        fetch(tmp_path / "nowhere", **LOCAL)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="data_home"):
        fetch(tmp_path / "file", **LOCAL)


def test_data_home_from_the_environment(write_ptbxl: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_ptbxl(tmp_path / "ptbxl")
    monkeypatch.setenv("BEATSSL_DATA_HOME", str(tmp_path))
    assert len(fetch_ptbxl(**LOCAL).data) == 3
    monkeypatch.delenv("BEATSSL_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(FileNotFoundError, match="beatssl_sklearn"):
        fetch_ptbxl(**LOCAL)


@pytest.mark.parametrize("cut", ["absent", "empty", "half", "no header"])
def test_partial_copies_are_not_taken_for_whole(write_ptbxl: Writer, tmp_path: Path, cut: str) -> None:
    write_ptbxl(tmp_path)
    dat = tmp_path / "records100/00000/00002_lr.dat"
    if cut == "absent":
        dat.unlink()
    elif cut == "no header":
        dat.with_suffix(".hea").unlink()
    else:
        dat.write_bytes(dat.read_bytes()[: 0 if cut == "empty" else 240])
    with pytest.raises(FileNotFoundError, match="1 of 6 files.*missing or cut short.*00002_lr"):
        fetch_ptbxl(tmp_path, **LOCAL)
    assert len(fetch_ptbxl(tmp_path, subset=[1, 3], **LOCAL).data) == 2


@pytest.mark.parametrize(
    ("header", "n_bytes"),
    [
        ("1 2 100 5\n1.dat 16 200 16 0 0 0 0 I\n1.dat 16 200 16 0 0 0 0 II\n", 20),
        ("1 1 100 5\n1.dat 212 200 12 0 0 0 0 Lead II\n", 8),
        ("1 2 100 5\n1.dat 16x2+24 200 16 0 0 0 0 I\n1.dat 16+24 200 16 0 0 0 0 II\n", 54),
    ],
)
def test_size_of_a_signal_file(tmp_path: Path, header: str, n_bytes: int) -> None:
    (tmp_path / "1.hea").write_text(header)
    found = read_plain_header(tmp_path / "1.hea")
    assert found.n_times == 5 and found.n_bytes == n_bytes
    assert found.leads == (("Lead II",) if n_bytes == 8 else ("I", "II"))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "1 1 100\n1.dat 16 200 16 0 0 0 0 I\n",
        "1 1 100 5\n1.dat 516 200 16 0 0 0 0 I\n",
        "1 1 100 5\n1.dat 0 200 16 0 0 0 0 I\n",
        "1 1 100 5\n../1.dat 16 200 16 0 0 0 0 I\n",
        "1 2 100 5\n1.dat 16 200 16 0 0 0 0 I\n2.dat 16 200 16 0 0 0 0 II\n",
        "1/1 1 100 5\n2 5\n",
    ],
    ids=["empty", "no length", "compressed", "no samples", "elsewhere", "two files", "segments"],
)
def test_a_header_of_another_kind_is_named(tmp_path: Path, write_ludb: Writer, header: str) -> None:
    write_ludb(tmp_path)
    (tmp_path / "data/1.hea").write_text(header or "\n")
    with pytest.raises(ValueError, match=r"data/1\.hea is not a header of this set"):
        fetch_ludb(tmp_path, **LOCAL)


def test_import_is_light() -> None:
    code = "import sys, beatssl_sklearn.datasets as d; print(sorted({'wfdb', 'requests'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_without_a_list_of_records_the_published_one_is_expected(
    write_ludb: Writer, write_mitdb: Writer, tmp_path: Path
) -> None:
    write_ludb(tmp_path / "ludb")
    (tmp_path / "ludb" / "RECORDS").unlink()
    with pytest.raises(FileNotFoundError, match="2772 of 2801 files.*data/2.hea"):
        fetch_ludb(tmp_path, **LOCAL)
    write_mitdb(tmp_path / "mitdb")
    (tmp_path / "mitdb" / "RECORDS").unlink()
    with pytest.raises(FileNotFoundError, match="138 of 144 files.*100.hea"):
        fetch_mitdb(tmp_path, **LOCAL)


class Site:
    """A server in the layout of PhysioNet's, with faults."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.faults: dict[str, str] = {}
        self.asked: list[str] = []
        site = self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rpartition("/")[2]
                site.asked.append(name)
                fault = site.faults.get(name)
                content = (root / self.path.lstrip("/")).read_bytes() if fault else b""
                if fault == "error":
                    self.send_error(503)
                elif fault:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content[::-1] if fault == "corrupt" else content[: len(content) // 2])
                    self.close_connection = True
                else:
                    super().do_GET()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root)))
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def publish(self, project: str) -> Path:
        """Write the checksums of a project whose files are in place."""
        folder = self.root / project
        lines = [
            f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.relative_to(folder).as_posix()}\n"
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        ]
        (folder / "SHA256SUMS.txt").write_text("".join(lines))
        return folder


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    from wfdb.io import download

    site = Site(tmp_path / "site")
    thread = threading.Thread(target=site.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr(download.config, "db_index_url", site.url)
    yield site
    site.server.shutdown()
    thread.join()
    site.server.server_close()


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_download_of_a_whole_set(
    write_ludb: Writer, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ludb(site.root / "ludb/1.0.1", records=(1, 8, 9))
    source = site.publish("ludb/1.0.1")
    data = fetch_ludb(tmp_path / "home", records=[1, 8])
    assert data.record_id.tolist() == [1, 8] and data.age.tolist() == [51.0, 90.0]
    target = tmp_path / "home/ludb"
    assert files_in(target) == {
        "SHA256SUMS.txt", "ludb.csv",
        *(f"data/{i}.{e}" for i in (1, 8) for e in ("hea", "dat", *(lead.lower() for lead in LEADS))),
    }  # fmt: skip
    assert all((target / name).read_bytes() == (source / name).read_bytes() for name in files_in(target))
    site.asked.clear()
    fetch_ludb(tmp_path / "home", records=[8])
    assert site.asked == []
    assert capsys.readouterr() == ("", "")


def test_download_of_the_records_asked_for(write_ptbxl: Writer, site: Site, tmp_path: Path) -> None:
    write_ptbxl(site.root / "ptb-xl/1.0.3")
    site.publish("ptb-xl/1.0.3")
    data = fetch_ptbxl(tmp_path / "home", folds=9)
    assert data.data[0].signal.shape == (12, 20)
    tables = {"SHA256SUMS.txt", "ptbxl_database.csv", "scp_statements.csv"}
    records = {"records100/00000/00003_lr.hea", "records100/00000/00003_lr.dat"}
    assert files_in(tmp_path / "home/ptbxl") == tables | records
    assert len(fetch_ptbxl(tmp_path / "home").data) == 3


@pytest.mark.parametrize("fault", ["error", "corrupt", "cut"])
def test_interrupted_download_is_no_set_and_goes_on_later(
    write_mitdb: Writer, site: Site, tmp_path: Path, fault: str
) -> None:
    write_mitdb(site.root / "mitdb/1.0.0")
    site.publish("mitdb/1.0.0")
    site.faults["202.dat"] = fault
    with pytest.raises(OSError, match=r"download of mitdb/1.0.0 failed.*still missing in .* \(.*202") as caught:
        fetch_mitdb(tmp_path / "home", records=[114, 202])
    assert "download_if_missing=False" in str(caught.value) and caught.value.__suppress_context__
    there = files_in(tmp_path / "home")
    assert "mitdb/202.dat" not in there and not any(name.endswith(".part") for name in there)
    with pytest.raises(FileNotFoundError, match="202"):
        fetch_mitdb(tmp_path / "home", records=[114, 202], **LOCAL)
    site.faults.clear()
    site.asked.clear()
    assert fetch_mitdb(tmp_path / "home", records=[114, 202]).record_id.tolist() == [114, 202]
    assert "202.dat" in site.asked and "114.dat" not in site.asked


def test_download_mends_a_file_cut_short(write_mitdb: Writer, site: Site, tmp_path: Path) -> None:
    write_mitdb(site.root / "mitdb/1.0.0")
    source = site.publish("mitdb/1.0.0")
    shutil.copytree(source, tmp_path / "home")
    (tmp_path / "home/114.dat").write_bytes((source / "114.dat").read_bytes()[:100])
    fetch_mitdb(tmp_path / "home")
    assert (tmp_path / "home/114.dat").read_bytes() == (source / "114.dat").read_bytes()
    assert site.asked == ["SHA256SUMS.txt", "114.dat"]


def test_download_of_an_unlisted_file_fails(write_mitdb: Writer, site: Site, tmp_path: Path) -> None:
    write_mitdb(site.root / "mitdb/1.0.0")
    site.publish("mitdb/1.0.0")
    with pytest.raises(OSError, match="does not list 100.hea"):
        fetch_mitdb(tmp_path / "home", records=[100])


def test_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from wfdb.io import download

    monkeypatch.setattr(download.config, "db_index_url", "http://127.0.0.1:9/")
    with pytest.raises(OSError, match=r"ptb-xl/1.0.3 failed.*127.0.0.1 cannot be reached.*as data_home") as caught:
        fetch_ptbxl(tmp_path)
    assert isinstance(caught.value.__context__, OSError) and caught.value.__suppress_context__
    # Not even a folder.
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind a firewall that drops what it does not let through: the system would wait for minutes."""
    monkeypatch.setattr(_folders, "getproxies", dict)
    monkeypatch.setattr(_folders, "_PATIENCE", 0.2)
    waited = []

    def never(address: tuple[str, int], timeout: float) -> None:
        waited.append((address, timeout))
        raise TimeoutError("timed out")

    monkeypatch.setattr(_folders.socket, "create_connection", never)
    with pytest.raises(OSError, match=r"physionet.org cannot be reached \(timed out\).*data_home"):
        fetch_mitdb(tmp_path)
    assert waited == [(("physionet.org", 443), 0.2)]
