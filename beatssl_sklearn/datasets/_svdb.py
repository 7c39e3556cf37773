"""MIT-BIH Supraventricular Arrhythmia Database: 78 two-lead ECGs of half an hour with the type of every beat."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from ..ecg.leads import LEADS, canonical_lead
from ..ecg.wfdb import WFDBFolder
from ._aami import AAMI_CLASSES, read_beats
from ._folders import choose_records, provide, read_plain_header, read_records, set_folder

PROJECT = "svdb/1.0.0"
RECORDS = (*range(800, 813), *range(820, 830), *range(840, 895))
_SIGNALS = ("ECG1", "ECG2")
STAND_INS = {"ECG1": "II", "ECG2": "V1"}
"""Standard leads whose names the signals get: the publisher does not say where the electrodes were."""

DESCR = """MIT-BIH Supraventricular Arrhythmia Database, version 1.0.0
https://physionet.org/content/svdb/1.0.0/

78 records, two leads, 30 min, 128 Hz; every beat has a type. `beat_labels` gives the AAMI classes
N = {N L R B e j}, S = {A a J S}, V = {V E}, F = {F}, Q = {/ f Q}. A premature beat from above the ventricles is S here,
and mostly A in the MIT-BIH Arrhythmia Database. Marks that are not beats are left out: artefacts (|) and changes of
signal quality (~). There are no marks of rhythms.

The signals are called ECG1 and ECG2. Where the electrodes were is not known. Some headers give no gain, which means
200 adu/mV. The set does not say which records share a patient.

Licence: Open Data Commons Attribution License 1.0 (ODC-BY).
Citation: S. D. Greenwald, R. S. Patil, R. G. Mark: Improved detection and classification of arrhythmias in
noise-corrupted electrocardiograms using contextual information. Computers in Cardiology 17, 461-464 (1990).
Data: doi:10.13026/C2V30W.
PhysioNet: A. L. Goldberger et al., Circulation 101(23), e215-e220 (2000).
"""


def fetch_svdb(
    data_home: str | os.PathLike[str] | None = None,
    *,
    records: Iterable[int | str] | None = None,
    leads: Mapping[str, str] | None = None,
    download_if_missing: bool = True,
) -> Bunch:
    """Load the MIT-BIH Supraventricular Arrhythmia Database from a local folder, or download it.

    Parameters
    ----------
    data_home : path-like, optional
        Folder with the records as published, or a folder whose sub-folder ``svdb`` has them or will have them.
        Default: environment variable ``BEATSSL_DATA_HOME``, otherwise ``~/.cache/beatssl_sklearn``.
    records : iterable of int or str, optional
        Record numbers. Default: all that the folder's ``RECORDS`` lists.
    leads : dict of str to str, optional
        Which standard leads the signals count as. Default: ``{"ECG1": "II", "ECG2": "V1"}``. If only one signal is
        named, only this one is read.
    download_if_missing : bool, default=True
        Download missing files of these records through wfdb.

    Returns
    -------
    data : Bunch
        ``data`` : WFDBFolder of n_records
            ``data[i]`` is an `ECGRecord` with ``signal`` of shape (2, n_times), float32 [mV].
        ``rpeaks`` : list of n_records ndarrays of shape (n_beats,), int64
            Positions of the beats [samples], strictly increasing and inside the signal: the last mark of record 860 is
            not. Of several beats at one sample, the first counts.
        ``beat_labels``, also ``target`` : list of n_records ndarrays of shape (n_beats,), str
            AAMI classes of the beats.
        ``target_names`` : tuple of str
            N, S, V, F, Q.
        ``beat_symbols`` : list of n_records ndarrays of shape (n_beats,), str
            The annotation symbols behind ``beat_labels``.
        ``record_id`` : ndarray of shape (n_records,), int64
            Numbers of the records.
        ``block`` : ndarray of shape (n_records,), int64
            Groups for cross-validation: see Notes.
        ``leads`` : list of n_records tuples of str
            The leads of ``data[i]``, in its order.
        ``fs``, ``DESCR`` : float, str
            Sampling rate [Hz]; origin, licence and citation of the set.

    Raises
    ------
    FileNotFoundError
        If files are missing and must not be downloaded.
    OSError
        If a download fails.
    TypeError
        If `leads` is not a mapping.
    ValueError
        If a record, a signal or a lead is unknown, if both signals would be one lead, or if a file is not as published.

    Notes
    -----
    The names of the leads are an assumption: many records of this time have a modified lead II and V1. What depends on
    a lead's place, such as the axis, cannot be told from them.

    There is no ``patient_id``, and the beats of some neighbours look alike: they may be one person's. ``block`` is the
    first of the ten numbers among which a record's number is: 800, 810, 820 and so on. If it gives the groups of a
    cross-validation, nearly all neighbours are on one side. A random split would put them on both sides, and scores
    would be too good. One record has many of the S beats (865 has 1,818): look at scores per record, too.

    Where the header gives no gain, reading the record warns that 200 adu/mV are assumed. Marks lie within about 25 ms
    of the QRS's largest energy, at a place that differs from record to record.

    References
    ----------
    S. D. Greenwald, R. S. Patil, R. G. Mark, Improved detection and classification of arrhythmias in noise-corrupted
    electrocardiograms using contextual information, Computers in Cardiology 17, 1990.
    """
    named = _named(leads)
    folder = set_folder(data_home, "svdb", lambda path: any(path.glob("8[0-9][0-9].atr")))
    chosen = _choose(records, folder / "RECORDS")
    names = [str(number) for number in chosen]
    files = [f"{name}.{extension}" for name in names for extension in ("hea", "dat", "atr")]
    provide(folder, PROJECT, files, download_if_missing=download_if_missing)
    beats = []
    for name in names:
        header = read_plain_header(folder / f"{name}.hea")
        if set(header.leads) != set(_SIGNALS):
            raise ValueError(f"record {name!r} has the signals {', '.join(header.leads)}: expected ECG1 and ECG2")
        beats.append(read_beats(folder / name, header.n_times))
    labels = [own.labels for own in beats]
    ordered = tuple(sorted((canonical_lead(lead)[0] for lead in named.values()), key=LEADS.index))
    return Bunch(
        data=WFDBFolder(folder, names=names, leads=named),
        target=labels,
        target_names=AAMI_CLASSES,
        rpeaks=[own.rpeaks for own in beats],
        beat_labels=labels,
        beat_symbols=[own.symbols for own in beats],
        record_id=np.array(chosen, np.int64),
        block=np.array(chosen, np.int64) // 10 * 10,
        leads=[ordered] * len(names),
        fs=128.0,
        DESCR=DESCR,
    )


def _choose(records: Iterable[int | str] | None, listed: Path) -> list[int]:
    """Return the numbers of the records to load; see `fetch_svdb`."""
    if records is not None:
        return choose_records(records, RECORDS, "records")
    return choose_records(read_records(listed), RECORDS, f"{listed}") if listed.is_file() else list(RECORDS)


def _named(leads: Mapping[str, str] | None) -> dict[str, str]:
    """Return the standard lead of each signal that is read."""
    if leads is None:
        return dict(STAND_INS)
    if not isinstance(leads, Mapping):
        raise TypeError(f"leads must be a dict of signal to standard lead, or None, got {leads!r:.60}")
    by_name = {signal.lower(): signal for signal in _SIGNALS}
    named: dict[str, str] = {}
    for name, lead in leads.items():
        signal = by_name.get(str(name).strip().lower())
        if signal is None:
            raise ValueError(f"leads names the unknown signal {name!r:.60}: expected {' or '.join(_SIGNALS)}")
        canonical_lead(lead)
        named[signal] = lead
    if not named:
        raise ValueError("leads is empty: name at least one of ECG1 and ECG2, or use None")
    if len({canonical_lead(lead)[0] for lead in named.values()}) < len(named):
        raise ValueError(f"leads gives both signals the lead {canonical_lead(named['ECG1'])[0]}: name one otherwise")
    return named
