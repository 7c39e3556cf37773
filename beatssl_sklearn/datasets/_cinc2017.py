"""PhysioNet/CinC Challenge 2017: 8,528 single-lead ECGs of a hand-held device with their rhythm."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from ..ecg.wfdb import WFDBFolder
from ._folders import incomplete_files, provide, read_plain_header, read_records, set_folder

PROJECT = "challenge-2017/1.0.0"
ARCHIVE = "training2017.zip"
RHYTHMS = ("N", "A", "O", "~")
VERSIONS = ("v0", "v1", "v2", "v3")
DUPLICATES = (("A00227", "A01176"), ("A02656", "A03123"))
"""Records that are the same sample for sample."""
# In the archive as published ("training2017"), or file by file ("training"); "" is the folder itself.
_PLACES = ("training2017", "training", "")
# Some of the records whose label changed from v2 to v3: they show how old a list without a version is.
_NEW_IN_V3 = {"A00066": "N", "A00282": "A", "A00660": "O", "A00781": "A", "A00891": "N", "A00902": "A"}

DESCR = """PhysioNet/Computing in Cardiology Challenge 2017, training set, version 1.0.0
https://physionet.org/content/challenge-2017/1.0.0/

8,528 records, one lead, 9 to 61 s, 300 Hz, of a hand-held device (AliveCor). Each has one label: N normal sinus rhythm,
A atrial fibrillation, O other rhythm, ~ too noisy to tell. The labels were revised after the challenge began; v3 is the
final version. A record whose label changed was contentious.

The lead is nominally I. The hands are not fixed, so that many signals are inverted. The device has a passband of
0.5 to 40 Hz. Noisy records are shorter than others: a classifier can learn that instead of noise. The set does not say
which records share a patient. A00227 and A01176 are the same signal, and so are A02656 and A03123.

Licence: Open Data Commons Attribution License 1.0 (ODC-BY).
Citation: G. D. Clifford, C. Liu, B. Moody, L. H. Lehman, I. Silva, Q. Li, A. E. Johnson, R. G. Mark: AF
classification from a short single lead ECG recording: the PhysioNet/Computing in Cardiology Challenge 2017. Computing
in Cardiology 44 (2017). doi:10.22489/CinC.2017.065-469.
PhysioNet: A. L. Goldberger et al., Circulation 101(23), e215-e220 (2000).
"""


def fetch_cinc2017(
    data_home: str | os.PathLike[str] | None = None,
    *,
    labels: Literal["v0", "v1", "v2", "v3"] = "v3",
    download_if_missing: bool = True,
) -> Bunch:
    """Load the training set of the CinC Challenge 2017 from a local folder, or download it.

    Parameters
    ----------
    data_home : path-like, optional
        Folder with ``training2017`` as published, or a folder whose sub-folder ``cinc2017`` has it or will have it; or
        ``training2017`` itself. Default: environment variable ``BEATSSL_DATA_HOME``, otherwise
        ``~/.cache/beatssl_sklearn``.
    labels : {"v0", "v1", "v2", "v3"}, default="v3"
        Version of the labels: the file ``REFERENCE-v3.csv`` and so on, beside the records or in the folder above. For
        v3, ``REFERENCE.csv`` is taken where there is no such file.
    download_if_missing : bool, default=True
        Download the publisher's archive (about 95 MB) through wfdb and unpack it if records are missing, and the labels
        if these are.

    Returns
    -------
    data : Bunch
        ``data`` : WFDBFolder of n_records
            ``data[i]`` is an `ECGRecord` with ``signal`` of shape (1, n_times), float32 [mV], lead I. n_times differs.
        ``target`` : ndarray of shape (n_records,), str
            Label of each record.
        ``target_names`` : tuple of str
            N (normal), A (atrial fibrillation), O (other rhythm), ~ (too noisy).
        ``record_id`` : ndarray of shape (n_records,), str
            For example "A00001".
        ``group`` : ndarray of shape (n_records,), str
            ``record_id``, but the same for records with the same signal: groups for cross-validation.
        ``n_times`` : ndarray of shape (n_records,), int64
            Length of each record [samples].
        ``reference`` : str
            Name of the file that the labels come from.
        ``fs``, ``leads``, ``DESCR`` : float, tuple of str, str
            Sampling rate [Hz]; ("I",); origin, licence and citation of the set.

    Raises
    ------
    FileNotFoundError
        If files are missing and must not be downloaded.
    OSError
        If a download fails, or if the archive cannot be unpacked.
    ValueError
        If `labels` is unknown, if a record has no label or an unknown one, if ``REFERENCE.csv`` is taken for v3 and
        holds older labels, or if a file is not as published.

    Notes
    -----
    The headers call the signal ECG; it is read as lead I. They do not have checksums. All headers are read at once,
    signals when they are indexed.

    There are no patient ids: a split may have one person on both sides.

    References
    ----------
    G. D. Clifford et al., AF classification from a short single lead ECG recording: the PhysioNet/Computing in
    Cardiology Challenge 2017, Computing in Cardiology 44, 2017.
    """
    if labels not in VERSIONS:
        raise ValueError(f"labels must be one of {', '.join(VERSIONS)}, got {labels!r:.60}")
    folder = set_folder(data_home, "cinc2017", lambda path: _place(path) is not None)
    place, lengths = _provide_records(folder, labels, download_if_missing)
    reference = _find_reference(place, folder, labels)
    if reference is None:
        reference = folder / f"REFERENCE-{labels}.csv"
        provide(folder, PROJECT, [reference.name], download_if_missing=download_if_missing)
    names = list(lengths)
    ids = [PurePosixPath(name).name for name in names]
    same = {second: first for first, second in DUPLICATES}
    return Bunch(
        data=WFDBFolder(place, names=names, leads={"ECG": "I"}),
        target=_read_labels(reference, ids, labels),
        target_names=RHYTHMS,
        record_id=np.array(ids),
        group=np.array([same.get(name, name) for name in ids]),
        n_times=np.array(list(lengths.values()), np.int64),
        reference=reference.name,
        fs=300.0,
        leads=("I",),
        DESCR=DESCR,
    )


def _place(folder: Path) -> Path | None:
    """Return where below a folder the records are; None if they are not there."""
    for name in _PLACES:
        place = folder / name
        # Other sets have a file RECORDS, too.
        if (place / "RECORDS").is_file() and (name or any(place.glob("A0*.hea"))):
            return place
    return None


def _provide_records(folder: Path, labels: str, download_if_missing: bool) -> tuple[Path, dict[str, int]]:
    """Return where the records are, and the length of each [samples]; download and unpack what is missing."""
    place = _place(folder)
    lengths, absent = _check_records(place) if place is not None else ({}, ["RECORDS"])
    if not absent:
        assert place is not None
        return place, lengths
    if not download_if_missing:
        where = f"in {place or folder}" if folder.is_dir() else f"in {folder}, which does not exist"
        raise FileNotFoundError(
            f"{len(absent)} files of {PROJECT} are missing or cut short {where}; the first is {absent[0]}; data_home"
            f" must name a folder with training2017 of https://physionet.org/content/{PROJECT}/"
            " (download_if_missing=False)"
        )
    provide(folder, PROJECT, [ARCHIVE, f"REFERENCE-{labels}.csv"], download_if_missing=True)
    if place is None or place.name == "training":
        place = folder / "training2017"
    _unpack(folder / ARCHIVE, place)
    lengths, absent = _check_records(place)
    if absent:
        raise OSError(f"{ARCHIVE} lacks {len(absent)} files that its RECORDS announces; the first is {absent[0]}")
    (folder / ARCHIVE).unlink()
    return place, lengths


def _check_records(place: Path) -> tuple[dict[str, int], list[str]]:
    """Return the length of each record that RECORDS lists, and the files that are absent or shorter than announced."""
    names = read_records(place / "RECORDS")
    if not names:
        raise ValueError(f"{place / 'RECORDS'} lists no record")
    absent = incomplete_files(place, [f"{name}.{extension}" for name in names for extension in ("hea", "mat")])
    missing = set(absent)
    lengths: dict[str, int] = {}
    for name in names:
        if not {f"{name}.hea", f"{name}.mat"} & missing:
            header = read_plain_header(place / f"{name}.hea")
            lengths[name] = header.n_times
            if (place / f"{name}.mat").stat().st_size < header.n_bytes:
                absent.append(f"{name}.mat")
    return lengths, absent


def _unpack(archive: Path, place: Path) -> None:
    """Write the files of the archive into one folder; a file gets its name when it is whole."""
    place.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as content:
            for member in content.infolist():
                # Only the last part of the name counts, so that nothing is written elsewhere.
                name = PurePosixPath(member.filename.replace("\\", "/")).name
                target = place / name
                if member.is_dir() or (target.is_file() and target.stat().st_size == member.file_size):
                    continue
                part = place / f"{name}.{os.getpid()}.part"
                try:
                    part.write_bytes(content.read(member))
                    os.replace(part, target)
                finally:
                    part.unlink(missing_ok=True)
    except zipfile.BadZipFile as error:
        archive.unlink()
        raise OSError(f"{archive} is damaged ({error}) and was removed; call again to download it") from error


def _find_reference(place: Path, folder: Path, labels: str) -> Path | None:
    """Return the file with the labels; None if there is none."""
    above = [place] if place == folder and folder.name != "training2017" else [place, place.parent]
    names = [f"REFERENCE-{labels}.csv", *(["REFERENCE.csv"] if labels == "v3" else [])]
    return next((path for name in names for path in (parent / name for parent in above) if path.is_file()), None)


def _read_labels(path: Path, ids: list[str], version: str) -> NDArray[np.str_]:
    """Return the labels of records."""
    pairs = [line.strip().rpartition(",") for line in path.read_text("utf-8").splitlines() if line.strip()]
    found = {PurePosixPath(name.strip()).name: label.strip() for name, _, label in pairs}
    for name in ids:
        if found.get(name) not in RHYTHMS:
            raise ValueError(f"{path} has the label {found.get(name)!r} for record {name!r}: expected N, A, O or ~")
    old = [name for name in ids if version == "v3" and found[name] != _NEW_IN_V3.get(name, found[name])]
    if old:
        raise ValueError(
            f"{path} does not hold the labels v3, as record {old[0]!r} shows: put the publisher's REFERENCE-v3.csv"
            " beside it"
        )
    return np.array([found[name] for name in ids])
