"""MIT-BIH Arrhythmia Database: 48 two-lead ECGs of half an hour with the type of every beat."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from sklearn.utils import Bunch

from ..ecg.episodes import rhythm_episodes
from ..ecg.leads import LEADS, resolve_leads
from ..ecg.wfdb import WFDBFolder
from ._aami import AAMI_CLASSES, read_beats
from ._folders import choose_records, provide, read_plain_header, read_records, set_folder

PROJECT = "mitdb/1.0.0"
# fmt: off
DS1 = (101, 106, 108, 109, 112, 114, 115, 116, 118, 119, 122, 124, 201, 203, 205, 207, 208, 209, 215, 220, 223, 230)
"""Training records of de Chazal et al. 2004. `DS1` and `DS2` are all records but the four with paced beats."""
DS2 = (100, 103, 105, 111, 113, 117, 121, 123, 200, 202, 210, 212, 213, 214, 219, 221, 222, 228, 231, 232, 233, 234)
"""Test records of de Chazal et al. 2004."""
PACED = (102, 104, 107, 217)
# fmt: on

DESCR = """MIT-BIH Arrhythmia Database, version 1.0.0
https://physionet.org/content/mitdb/1.0.0/

48 records of 47 people, two leads, 30 min, 360 Hz; every beat has a type. `beat_labels` gives the AAMI classes
N = {N L R B e j}, S = {A a J S}, V = {V E}, F = {F}, Q = {/ f Q}. Marks that are not beats are left out, and so are the
waves of ventricular flutter. The leads differ from record to record; they are modified limb and chest leads, not the
standard ones. Records 201 (DS1) and 202 (DS2) come from the same person.

`rhythms` has the rhythm from mark to mark: AB atrial bigeminy, AFIB atrial fibrillation, AFL atrial flutter, B
ventricular bigeminy, BII second-degree heart block, IVR idioventricular, N normal sinus, NOD nodal, P paced, PREX
pre-excitation, SBR sinus bradycardia, SVTA supraventricular tachyarrhythmia, T ventricular trigeminy, VFL ventricular
flutter, VT ventricular tachycardia.

Licence: Open Data Commons Attribution License 1.0 (ODC-BY).
Citation: G. B. Moody, R. G. Mark: The impact of the MIT-BIH Arrhythmia Database. IEEE Engineering in Medicine and
Biology 20(3), 45-50 (2001). doi:10.1109/51.932724. Data: doi:10.13026/C2F305.
PhysioNet: A. L. Goldberger et al., Circulation 101(23), e215-e220 (2000).
Split DS1/DS2: P. de Chazal, M. O'Dwyer, R. B. Reilly: Automatic classification of heartbeats using ECG morphology and
heartbeat interval features. IEEE Transactions on Biomedical Engineering 51(7), 1196-1206 (2004).
"""


def fetch_mitdb(
    data_home: str | os.PathLike[str] | None = None,
    *,
    records: Literal["DS1", "DS2"] | Iterable[int | str] | None = None,
    download_if_missing: bool = True,
) -> Bunch:
    """Load the MIT-BIH Arrhythmia Database from a local folder, or download it.

    Parameters
    ----------
    data_home : path-like, optional
        Folder with the records as published, or a folder whose sub-folder ``mitdb`` has them or will have them.
        Default: environment variable ``BEATSSL_DATA_HOME``, otherwise ``~/.cache/beatssl_sklearn``.
    records : "DS1", "DS2" or iterable of int or str, optional
        One of the two sets of de Chazal et al. 2004, or record numbers. Default: all that the folder's ``RECORDS``
        lists.
    download_if_missing : bool, default=True
        Download missing files of these records through wfdb.

    Returns
    -------
    data : Bunch
        ``data`` : WFDBFolder of n_records
            ``data[i]`` is an `ECGRecord` with ``signal`` of shape (2, n_times), float32 [mV].
        ``rpeaks`` : list of n_records ndarrays of shape (n_beats,), int64
            Positions of the beats [samples], strictly increasing and inside the signal. Of several beats at one sample,
            the first counts.
        ``beat_labels``, also ``target`` : list of n_records ndarrays of shape (n_beats,), str
            AAMI classes of the beats.
        ``target_names`` : tuple of str
            N, S, V, F, Q.
        ``beat_symbols`` : list of n_records ndarrays of shape (n_beats,), str
            The annotation symbols behind ``beat_labels``.
        ``rhythms`` : list of n_records lists of Episode
            Rhythms as (start, stop, label) [samples], for example "N" or "AFIB"; see `rhythm_episodes`. The first one
            begins at its mark, up to 0.6 s after the record in DS1.
        ``record_id``, ``patient_id`` : ndarray of shape (n_records,), int64
            They differ for record 202, which comes from patient 201.
        ``leads`` : list of n_records tuples of str
            The leads of ``data[i]``, in its order. Modified leads have their standard names: MLII is II.
        ``fs``, ``DESCR`` : float, str
            Sampling rate [Hz]; origin, licence and citation of the set.

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
    P. de Chazal, M. O'Dwyer, R. B. Reilly, Automatic classification of heartbeats using ECG morphology and heartbeat
    interval features, IEEE Trans. Biomed. Eng. 51(7), 2004, section II.
    """
    folder = set_folder(data_home, "mitdb", lambda path: any(path.glob("[12][0-9][0-9].atr")))
    chosen = _choose(records, folder / "RECORDS")
    names = [str(number) for number in chosen]
    files = [f"{name}.{extension}" for name in names for extension in ("hea", "dat", "atr")]
    provide(folder, PROJECT, files, download_if_missing=download_if_missing)
    headers = [read_plain_header(folder / f"{name}.hea") for name in names]
    beats = [read_beats(folder / name, header.n_times) for name, header in zip(names, headers, strict=True)]
    labels = [own.labels for own in beats]
    return Bunch(
        data=WFDBFolder(folder, names=names),
        target=labels,
        target_names=AAMI_CLASSES,
        rpeaks=[own.rpeaks for own in beats],
        beat_labels=labels,
        beat_symbols=[own.symbols for own in beats],
        rhythms=[rhythm_episodes(own.annotations, h.n_times) for own, h in zip(beats, headers, strict=True)],
        record_id=np.array(chosen, np.int64),
        patient_id=np.array([201 if number == 202 else number for number in chosen], np.int64),
        leads=[_in_standard_order(header.leads) for header in headers],
        fs=360.0,
        DESCR=DESCR,
    )


def _in_standard_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return the standard names of leads, in the order of `LEADS`."""
    index, _ = resolve_leads(names)
    return tuple(LEADS[i] for i in sorted(index))


def _choose(records: str | Iterable[int | str] | None, listed: Path) -> list[int]:
    """Return the numbers of the records to load; see `fetch_mitdb`."""
    published = sorted((*DS1, *DS2, *PACED))
    if records is None:
        if not listed.is_file():
            return published
        return choose_records(read_records(listed), published, f"{listed}")
    if isinstance(records, str):
        if records not in ("DS1", "DS2"):
            raise ValueError(f"records must be 'DS1', 'DS2' or record numbers, got {records!r}")
        return list(DS1 if records == "DS1" else DS2)
    return choose_records(records, published, "records")
