"""Folders of the sets: where they are, what they lack, how that is downloaded, and how their lists are read."""

from __future__ import annotations

import csv
import hashlib
import logging
import os
import posixpath
import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies

from ..ecg.wfdb.formats import COMPRESSED, stored_bytes
from ..ecg.wfdb.header import NO_SAMPLES, parse_header

logger = logging.getLogger(__name__)

CHECKSUMS = "SHA256SUMS.txt"
_CONNECTIONS = 2
"""As many as wfdb itself opens: PhysioNet is a public service."""
# Seconds until a server that does not answer counts as out of reach.
_PATIENCE = 20.0


class PlainHeader(NamedTuple):
    """What the loaders need of a WFDB header: lead names as published, length [samples], size of the signal file."""

    leads: tuple[str, ...]
    n_times: int
    n_bytes: int


def read_plain_header(path: Path) -> PlainHeader:
    """Read the header of a record of one segment, whose samples are in one file that is not compressed.

    Raises
    ------
    ValueError
        If the header is malformed, or does not describe such a record; the message names it.
    OSError
        If the file is missing or cannot be read.
    """
    try:
        header = parse_header(path.read_bytes(), path.stem)
    except ValueError as error:
        raise ValueError(f"{path} is not a header of this set: {error}") from error
    stored = {(spec.file, spec.fmt, spec.offset) for spec in header.signals}
    _, fmt, offset = stored.pop() if len(stored) == 1 else ("", NO_SAMPLES, 0)
    if fmt == NO_SAMPLES or fmt in COMPRESSED or not header.n_times:
        raise ValueError(f"{path} is not a header of this set: it is not of one uncompressed file of known length")
    n_samples = header.n_times * sum(spec.per_frame for spec in header.signals)
    leads = tuple(spec.name for spec in header.signals)
    return PlainHeader(leads, header.n_times, offset + stored_bytes(fmt, n_samples))


def set_folder(data_home: str | os.PathLike[str] | None, name: str, is_set: Callable[[Path], bool]) -> Path:
    """Return the folder of a set: `data_home` itself if it holds the set, otherwise its sub-folder `name`.

    Raises
    ------
    NotADirectoryError
        If `data_home` exists and is not a folder.
    """
    default = os.environ.get("BEATSSL_DATA_HOME") or Path.home() / ".cache" / "beatssl_sklearn"
    home = Path(default if data_home is None else data_home).expanduser()
    if home.exists() and not home.is_dir():
        raise NotADirectoryError(f"data_home must be a folder, got the file {home}")
    return home if is_set(home) else home / name


def provide(folder: Path, project: str, files: Sequence[str], *, download_if_missing: bool) -> None:
    """Make sure that all `files` of a set are in its folder, and whole.

    Parameters
    ----------
    folder : Path
        The set's folder.
    project : str
        Name and version at PhysioNet, for example ``"ludb/1.0.1"``.
    files : sequence of str
        Paths relative to the set's folder, with forward slashes.
    download_if_missing : bool
        Whether to download files that are absent or cut short.

    Raises
    ------
    FileNotFoundError
        If files are absent or cut short and must not be downloaded.
    OSError
        If a download fails.
    """
    absent = incomplete_files(folder, files)
    if not absent:
        return
    if not download_if_missing:
        where = f"in {folder}" if folder.is_dir() else f"in {folder}, which does not exist"
        raise FileNotFoundError(
            f"{len(absent)} of {len(files)} files of {project} are missing or cut short {where}{_shown(absent)}; the"
            f" first is {absent[0]}; data_home must name a folder with the layout of"
            f" https://physionet.org/content/{project}/ (download_if_missing=False)"
        )
    download(folder, project, absent)


def incomplete_files(folder: Path, files: Iterable[str]) -> list[str]:
    """Return the files that are absent or empty, and the signal files that are shorter than their header announces."""
    sizes: dict[str, int] = {}
    files = list(files)
    for parent in {posixpath.dirname(name) for name in files}:
        if (folder / parent).is_dir():
            with os.scandir(folder / parent) as entries:
                sizes.update({posixpath.join(parent, e.name): e.stat().st_size for e in entries if e.is_file()})
    bad = {name for name in files if not sizes.get(name)}
    # Most records of a set have one length. A file as long as one that is known to be whole needs no look at its
    # header, so that twenty thousand records are checked in a moment.
    whole = -1
    for name in files:
        if name in bad or not name.endswith(".dat") or sizes[name] == whole:
            continue
        header = name.removesuffix(".dat") + ".hea"
        if not sizes.get(header):
            continue
        if sizes[name] < read_plain_header(folder / header).n_bytes:
            bad.add(name)
        else:
            whole = sizes[name]
    return [name for name in files if name in bad]


def download(folder: Path, project: str, files: Sequence[str]) -> None:
    """Download files of a PhysioNet project; a file gets its final name only if its checksum is right.

    Raises
    ------
    OSError
        If the server is out of reach, a file is not there, or a checksum is wrong. Complete files stay.
    """
    logger.info("downloading %d files of %s to %s", len(files), project, folder)
    try:
        _reach()
        folder.mkdir(parents=True, exist_ok=True)
        _download_one(folder, project, {}, CHECKSUMS)
        sums = _read_checksums(folder / CHECKSUMS)
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            try:
                for _ in pool.map(partial(_download_one, folder, project, sums), files):
                    pass
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    except OSError as error:
        left = incomplete_files(folder, files)
        # The text of the error is enough: what a library of connections raised on the way says nothing more.
        raise OSError(
            f"download of {project} failed, {len(left)} of {len(files)} files are still missing in {folder}"
            f"{_shown(left)}: {error}. If you have the files, name their folder as data_home (or in the environment"
            f" variable BEATSSL_DATA_HOME), with the layout of https://physionet.org/content/{project}/. Else call"
            " again to continue, or choose records that are there; with download_if_missing=False, nothing is"
            " downloaded"
        ) from None


def _reach() -> None:
    """Connect to the server once, because downloads wait without a limit.

    Raises
    ------
    OSError
        If it cannot be reached within `_PATIENCE`; behind a proxy, that is left to the download.
    """
    from wfdb.io import download as wfdb_download

    if getproxies():
        return
    address = urlsplit(wfdb_download.config.db_index_url)
    host, port = address.hostname or "", address.port or (80 if address.scheme == "http" else 443)
    try:
        socket.create_connection((host, port), timeout=_PATIENCE).close()
    except OSError as error:
        raise OSError(f"{host} cannot be reached ({error})") from None


def _shown(files: Sequence[str]) -> str:
    """Return the first records, or other files, of a list of files of a set."""
    plain = (name if name.endswith((".csv", ".txt")) else posixpath.splitext(name)[0] for name in files)
    names = list(dict.fromkeys(plain))
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f" ({', '.join(names[:3])}{more})" if names else ""


def _download_one(folder: Path, project: str, sums: dict[str, str], name: str) -> None:
    """Download a file, and compare it with its SHA-256 in `sums`, which cannot list its own file."""
    from wfdb.io import download as wfdb_download

    if name != CHECKSUMS and name not in sums:
        raise FileNotFoundError(f"{CHECKSUMS} of {project} does not list {name}")
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    partial_file = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        wfdb_download.dl_full_file(posixpath.join(wfdb_download.config.db_index_url, project, name), str(partial_file))
        if name in sums and hashlib.sha256(partial_file.read_bytes()).hexdigest() != sums[name]:
            raise OSError(f"{name} arrived with a wrong SHA-256 checksum")
        os.replace(partial_file, target)
    finally:
        partial_file.unlink(missing_ok=True)


def _read_checksums(path: Path) -> dict[str, str]:
    """Read a list of lines ``CHECKSUM NAME``, as sha256sum writes it: an asterisk before the name means binary."""
    pairs = (line.split(maxsplit=1) for line in path.read_text("utf-8", errors="replace").splitlines())
    return {pair[1].strip().removeprefix("*"): pair[0].lower() for pair in pairs if len(pair) == 2}


def read_records(path: Path) -> list[str]:
    """Read the names in a RECORDS file.

    Raises
    ------
    ValueError
        If a name leads out of the set's folder.
    """
    return [inside(line.strip(), path) for line in path.read_text("utf-8").splitlines() if line.strip()]


def inside(name: str, source: Path) -> str:
    """Return a record's name after checking that it does not lead out of the folder of `source`.

    Raises
    ------
    ValueError
        If it does.
    """
    parts = PurePosixPath(name).parts
    if not parts or parts[0] == "/" or ".." in parts or "\\" in name or ":" in name:
        raise ValueError(f"{source} names the record {name[:80]!r}, which is not a path inside its folder")
    return name


def read_table(path: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    """Read the rows of a CSV file; quoted fields may hold line breaks.

    Raises
    ------
    ValueError
        If the file is not CSV in UTF-8, or lacks one of `columns`.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, restval="")
            lacking = set(columns) - set(reader.fieldnames or ())
            if lacking:
                raise ValueError(f"{path} lacks the columns {sorted(lacking)}")
            return list(reader)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a CSV file in UTF-8: {error}") from error


def as_number(text: str, what: str, default: float = float("nan")) -> float:
    """Convert a field to a number; an empty field gives `default`.

    Raises
    ------
    ValueError
        If it is not a number; `what` names it in the message.
    """
    if not text.strip():
        return default
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"{what} must be a number, got {text[:40]!r}") from error


def choose_records(records: Iterable[int | str], available: Sequence[int], what: str) -> list[int]:
    """Check the record numbers that a user gives.

    Raises
    ------
    ValueError
        If a record is unknown or given twice, or if none is given; the message lists the allowed ones.
    """
    if isinstance(records, (str, bytes)):
        records = [records if isinstance(records, str) else records.decode()]
    chosen: list[int] = []
    known = set(available)
    for record in records:
        try:
            number = int(record)
        except (TypeError, ValueError):
            number = -1
        if number not in known:
            allowed = ", ".join(map(str, available)) if len(available) < 60 else f"{min(available)} to {max(available)}"
            raise ValueError(f"{what} has the unknown record {record!r:.60}: allowed are {allowed}")
        chosen.append(number)
    if not chosen:
        raise ValueError(f"{what} is empty: no record is left")
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"{what} names a record more than once")
    return chosen
