"""LUDB: 200 12-lead ECGs of 10 s with the P, QRS and T waves delineated in every lead."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from ..ecg.leads import LEADS
from ..ecg.waves.annotations import group_marks
from ..ecg.waves.find import WAVES
from ..ecg.wfdb import Annotations, WFDBFolder, read_annotations
from ._folders import as_number, choose_records, provide, read_plain_header, read_records, read_table, set_folder
from ._lazy import LazyArray, LazyList

PROJECT = "ludb/1.0.1"
_EXTENSIONS = tuple(lead.lower() for lead in LEADS)
_TABLE = "ludb.csv"
_FS = 500.0
_UNMARKED_BORDER = 0.05
"""How far [s] a wave without onset or offset may reach from its peak: these samples are ignored."""

DESCR = """Lobachevsky University Electrocardiography Database (LUDB), version 1.0.1
https://physionet.org/content/ludb/1.0.1/

200 records of 200 people, 12 leads, 10 s, 500 Hz. Onset, peak and offset of P, QRS and T were marked by cardiologists
in each lead. The first and last beats of a record have no marks: masks are -1 before the first and after the last mark
of a lead, so that these samples are neither trained on nor scored. A few waves lack an onset. An age of 90 means "older
than 89".

Licence: Open Data Commons Attribution License 1.0 (ODC-BY).
Citation: A. I. Kalyakulina, I. I. Yusipov, V. A. Moskalenko, A. V. Nikolskiy, K. A. Kosonogov, G. V. Osipov,
N. Yu. Zolotykh, M. V. Ivanchenko: LUDB, a new open-access validation tool for electrocardiogram delineation algorithms.
IEEE Access 8, 186181-186190 (2020). doi:10.1109/ACCESS.2020.3029211.
Data: doi:10.13026/eegm-h675. PhysioNet: A. L. Goldberger et al., Circulation 101(23), e215-e220 (2000).
"""


def fetch_ludb(
    data_home: str | os.PathLike[str] | None = None,
    *,
    records: Iterable[int | str] | None = None,
    lazy: bool = True,
    download_if_missing: bool = True,
) -> Bunch:
    """Load LUDB from a local folder, or download it.

    Parameters
    ----------
    data_home : path-like, optional
        Folder with ``data/``, ``RECORDS`` and ``ludb.csv`` as published, or a folder whose sub-folder ``ludb`` has
        them or will have them. Default: environment variable ``BEATSSL_DATA_HOME``, otherwise
        ``~/.cache/beatssl_sklearn``.
    records : iterable of int or str, optional
        Records to load, in this order. Default: all that the folder's ``RECORDS`` lists.
    lazy : bool, default=True
        Read signals, masks and waves when they are indexed. Otherwise ``data`` and ``masks`` are ndarrays of shape
        (n_records, 12, n_times), and ``waves`` is a list.
    download_if_missing : bool, default=True
        Download missing files through wfdb.

    Returns
    -------
    data : Bunch
        ``data`` : WFDBFolder of n_records
            ``data[i]`` is an `ECGRecord` with ``signal`` of shape (12, n_times), float32 [mV].
        ``masks``, also ``target`` : array-like of shape (n_records, 12, n_times), int8
            See `ludb_masks`. ``masks[i]`` and ``masks[array]`` give ndarrays, and so does ``np.asarray(masks)``.
        ``target_names`` : tuple of str
            Names of the labels from 0 on.
        ``waves`` : sequence of n_records dict
            See `ludb_waves`.
        ``rpeaks`` : list of n_records ndarrays of shape (n_beats,), int64
            Marked QRS peaks of lead II [samples].
        ``diagnoses`` : dict of str to list of n_records tuples of str
            Columns of ``ludb.csv``; empty lists of findings are empty tuples.
        ``record_id``, ``patient_id`` : ndarray of shape (n_records,), int64
            The same: one record per person.
        ``age`` : ndarray of shape (n_records,), float32
            In years; NaN if unknown, 90 for "older than 89".
        ``sex`` : ndarray of shape (n_records,), str
            M, F, or empty if unknown.
        ``fs``, ``leads``, ``DESCR`` : float, tuple of str, str
            Sampling rate [Hz]; names of the leads; origin, licence and citation of the set.

    Raises
    ------
    FileNotFoundError
        If files are missing and must not be downloaded.
    OSError
        If a download fails.
    ValueError
        If a record is unknown, or if a file is not as published.

    References
    ----------
    A. I. Kalyakulina et al., LUDB: a new open-access validation tool for electrocardiogram delineation algorithms, IEEE
    Access 8 (2020).
    """
    folder = set_folder(data_home, "ludb", lambda path: any(path.glob("data/*.avf")))
    listed = folder / "RECORDS"
    names = read_records(listed) if listed.is_file() else [f"data/{i}" for i in range(1, 201)]
    by_number = {_number(name, listed): name for name in names}
    if records is not None:
        # RECORDS may list only a part of the set; the rest can be downloaded.
        by_number = {i: f"data/{i}" for i in range(1, 201)} | by_number
    chosen = list(by_number) if records is None else choose_records(records, sorted(by_number), "records")
    names = [by_number[i] for i in chosen]
    files = [f"{name}.{ext}" for name in names for ext in ("hea", "dat", *_EXTENSIONS)]
    provide(folder, PROJECT, [_TABLE, *files], download_if_missing=download_if_missing)

    paths = [folder / name for name in names]
    data: Any = WFDBFolder(folder, names=names)
    n_times = read_plain_header(Path(f"{paths[0]}.hea")).n_times
    masks: Any = LazyArray(ludb_masks, paths, (len(LEADS), n_times), np.int8)
    waves: Any = LazyList(ludb_waves, paths)
    if not lazy:
        data, waves = np.stack([record.signal for record in data]), list(waves)
        masks = np.stack([_paint(w, n_times) for w in waves])
    age, sex, diagnoses = _diagnoses(folder / _TABLE, chosen)
    return Bunch(
        data=data,
        target=masks,
        masks=masks,
        target_names=("background", *WAVES),
        waves=waves,
        rpeaks=[_marks(read_annotations(path, "ii"), "N") for path in paths],
        diagnoses=diagnoses,
        record_id=np.array(chosen, np.int64),
        patient_id=np.array(chosen, np.int64),
        age=age,
        sex=sex,
        fs=_FS,
        leads=LEADS,
        DESCR=DESCR,
    )


def ludb_waves(record: str | os.PathLike[str]) -> dict[str, dict[str, NDArray[np.int64]]]:
    """Read the waves that are marked in each lead of a LUDB record.

    Parameters
    ----------
    record : path-like
        Path of the record without extension, for example ``"ludb/data/1"``.

    Returns
    -------
    waves : dict of lead to dict of wave to ndarray of shape (n_waves, 3), int64
        Onset, peak and offset of each P, QRS and T [samples]; -1 for a missing mark. In complexes that begin with their
        peak, some onsets are marked a sample or two after it; they are moved to the peak.

    Raises
    ------
    OSError
        If an annotation file is missing or cannot be read.
    """
    waves = {}
    for lead, extension in zip(LEADS, _EXTENSIONS, strict=True):
        marks = read_annotations(record, extension)
        waves[lead] = group_marks(np.asarray(marks.sample).tolist(), list(marks.symbol))
    return waves


def ludb_masks(record: str | os.PathLike[str]) -> NDArray[np.int8]:
    """Paint the waves of a LUDB record as labels of each lead and sample.

    Parameters
    ----------
    record : path-like
        Path of the record without extension, for example ``"ludb/data/1"``.

    Returns
    -------
    masks : ndarray of shape (12, n_times), int8
        0 background, 1 P, 2 QRS, 3 T; a wave includes its onset and offset. -1 means "ignore": before the first and
        after the last mark of the lead, and beside a wave without onset or offset.

    Raises
    ------
    OSError
        If a file is missing or cannot be read.
    """
    return _paint(ludb_waves(record), read_plain_header(Path(f"{os.fspath(record)}.hea")).n_times)


def _paint(waves: dict[str, dict[str, NDArray[np.int64]]], n_times: int) -> NDArray[np.int8]:
    """Return the masks (12, n_times) of the waves of all leads; see `ludb_masks`."""
    masks = np.full((len(LEADS), n_times), -1, np.int8)
    border = round(_UNMARKED_BORDER * _FS)
    for mask, lead in zip(masks, LEADS, strict=True):
        marks = np.concatenate([waves[lead][wave].ravel() for wave in WAVES])
        marks = marks[marks >= 0]
        if not marks.size:
            continue
        mask[marks.min() : marks.max() + 1] = 0
        for label, wave in enumerate(WAVES, 1):
            for onset, peak, offset in waves[lead][wave].tolist():
                # Ignore only background beside an unmarked border, not the waves painted before.
                if onset < 0:
                    mask[max(peak - border, 0) : peak][mask[max(peak - border, 0) : peak] == 0] = -1
                if offset < 0:
                    mask[peak + 1 : peak + border + 1][mask[peak + 1 : peak + border + 1] == 0] = -1
                mask[onset if onset >= 0 else peak : (offset if offset >= 0 else peak) + 1] = label
    return masks


def _marks(annotations: Annotations, symbol: str) -> NDArray[np.int64]:
    """Return the positions of a symbol [samples]."""
    return np.asarray(annotations.sample, np.int64)[np.array(annotations.symbol, dtype=object) == symbol]


def _number(name: str, source: Path) -> int:
    """Return the number of a record named in `source`."""
    number = name.rpartition("/")[2]
    if not number.isdecimal():
        raise ValueError(f"{source} has the record {name[:60]!r}: LUDB's records are named data/1 to data/200")
    return int(number)


def _diagnoses(
    path: Path, chosen: Sequence[int]
) -> tuple[NDArray[np.float32], NDArray[np.str_], dict[str, list[tuple[str, ...]]]]:
    """Read age, sex and findings of the chosen records; unknown where the table lacks a record."""
    table = read_table(path, ("ID", "Sex", "Age"))
    rows = {int(as_number(row["ID"], f"ID in {path}", -1)): row for row in table}
    empty = dict.fromkeys(table[0] if table else (), "")
    chosen_rows = [rows.get(number, empty) for number in chosen]
    ages = [as_number(row.get("Age", "").replace(">89", "90"), f"Age in {path}") for row in chosen_rows]
    sexes = [row.get("Sex", "").strip() for row in chosen_rows]
    findings = {
        column: [tuple(s for line in row[column].splitlines() if (s := line.strip())) for row in chosen_rows]
        for column in empty
        if column not in ("ID", "Sex", "Age")
    }
    return np.array(ages, np.float32), np.array(sexes), findings
