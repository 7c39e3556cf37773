"""QT Database: 105 two-lead ECGs of a quarter of an hour with the waves of 30 beats or more marked by hand."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from ..ecg.leads import LEADS, canonical_lead
from ..ecg.waves.annotations import group_marks
from ..ecg.waves.find import WAVES
from ..ecg.wfdb import WFDBFolder, read_annotations
from ._folders import provide, read_plain_header, read_records, set_folder
from ._qtdb_masks import paint_beats

PROJECT = "qtdb/1.0.0"
# fmt: off
_RECORDS = {
    "arrhythmia": "100 102 103 104 114 116 117 123 213 221 223 230 231 232 233",
    "ST change": "301 302 306 307 308 310",
    "supraventricular": "803 808 811 820 821 840 847 853 871 872 873 883 891",
    "normal": "16265 16272 16273 16420 16483 16539 16773 16786 16795 17453",
    "European ST-T": "e0104 e0106 e0107 e0110 e0111 e0112 e0114 e0116 e0121 e0122 e0124 e0126 e0129 e0133 e0136 e0166"
                     " e0170 e0203 e0210 e0211 e0303 e0405 e0406 e0409 e0411 e0509 e0603 e0604 e0606 e0607 e0609 e0612"
                     " e0704",
    "sudden death": "30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 17152",
    "long-term": "14046 14157 14172 15814",
}
# fmt: on
SOURCES = {f"sel{number}": source for source, numbers in _RECORDS.items() for number in numbers.split()}
"""Source database of each record, from table 2 of the publisher's description."""
_TWICE = frozenset(f"sel{number}" for number in (100, 102, 103, 114, 116, 117, 123, 213, 221, 223, 230))
"""Records that the second annotator marked, too."""
STAND_INS = {
    "CM5": "V5", "CM4": "V4", "CM2": "V2", "CC5": "V6", "ML5": "V6", "D4": "II",
    "V1-V2": "V1", "V2-V3": "V2", "V3-V4": "V3", "V4-V5": "V4", "V5-V6": "V5", "ECG1": "II", "ECG2": "V1",
}  # fmt: skip
"""Standard leads whose names the other leads of the set get."""
# Marks of beats, as WFDB's `isqrs` has them.
_BEATS = frozenset("NLRBAaJSVrFejnE/fQ?")

DESCR = """QT Database, version 1.0.0
https://physionet.org/content/qtdb/1.0.0/

105 records, two leads, 15 min, 250 Hz, excerpts of seven databases (`source`). Cardiologists marked onset, peak and
offset of P, onset and offset of QRS, and peak and offset of T in 30 beats or more of each record. They saw both leads:
one set of marks holds for both. The QRS peak comes from a detector. Onsets of T are marked in some records only. Not
every beat is marked, so that false positives cannot be counted.

Few leads are standard ones. `leads` has their names in `data`, `published_leads` those of the publisher: of D4, CM5,
CC5, ML5, differences such as V2-V3, ECG1 and ECG2, the name in `data` is a stand-in, not the place of the electrodes.

No two records are known to share a patient. The records are excerpts: sel100 is part of record 100 of the MIT-BIH
Arrhythmia Database, sel803 of record 803 of the MIT-BIH Supraventricular Arrhythmia Database, and so on. Do not train
on one and test on the other.

Licence: Open Data Commons Attribution License 1.0 (ODC-BY).
Citation: P. Laguna, R. G. Mark, A. L. Goldberger, G. B. Moody: A database for evaluation of algorithms for measurement
of QT and other waveform intervals in the ECG. Computers in Cardiology 24, 673-676 (1997).
doi:10.1109/CIC.1997.648140. Data: doi:10.13026/C24K53.
PhysioNet: A. L. Goldberger et al., Circulation 101(23), e215-e220 (2000).
"""


def fetch_qtdb(
    data_home: str | os.PathLike[str] | None = None,
    *,
    records: Iterable[str] | None = None,
    leads: Mapping[str, str] | None = None,
    annotator: Literal["q1c", "q2c"] = "q1c",
    download_if_missing: bool = True,
) -> Bunch:
    """Load the QT Database from a local folder, or download it.

    Parameters
    ----------
    data_home : path-like, optional
        Folder with the records as published, or a folder whose sub-folder ``qtdb`` has them or will have them.
        Default: environment variable ``BEATSSL_DATA_HOME``, otherwise ``~/.cache/beatssl_sklearn``.
    records : iterable of str, optional
        Names of records, for example ``["sel100", "sele0104"]``. Default: all that the folder's ``RECORDS`` lists and
        the annotator has marked.
    leads : dict of str to str, optional
        Which standard lead a published name counts as, for example ``{"CM5": "II"}``. It has precedence over the
        stand-ins in Notes.
    annotator : {"q1c", "q2c"}, default="q1c"
        Whose marks to read. The second annotator marked 11 records.
    download_if_missing : bool, default=True
        Download missing files of these records through wfdb.

    Returns
    -------
    data : Bunch
        ``data`` : WFDBFolder of n_records
            ``data[i]`` is an `ECGRecord` with ``signal`` of shape (2, n_times), float32 [mV].
        ``waves`` : list of n_records dict
            Wave ("P", "QRS", "T") to array of shape (n_waves, 3), float64: onset, peak and offset [samples], NaN for a
            missing mark. They hold for both leads.
        ``masks``, also ``target`` : list of n_records ndarrays of shape (n_times,), int8
            For `WaveSegmenter`: 0 background, 1 P, 2 QRS, 3 T; a wave includes its onset and offset. -1 means "ignore",
            wherever the marks do not tell: see Notes.
        ``target_names`` : tuple of str
            Names of the labels from 0 on.
        ``rpeaks`` : list of n_records ndarrays of shape (n_beats,), int64
            QRS peaks of the marked beats [samples]. The other beats are missing.
        ``record_id``, ``patient_id`` : ndarray of shape (n_records,), str
            The same: no two records are known to share a patient.
        ``source`` : ndarray of shape (n_records,), str
            "arrhythmia", "ST change", "supraventricular", "normal", "long-term" (all five MIT-BIH), "European ST-T" or
            "sudden death".
        ``leads``, ``published_leads`` : list of n_records tuples of str
            Names of the leads of ``data[i]``, in its order, and what the publisher calls them.
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
        If a record, a lead or the annotator is unknown, if both leads of a record would have one name, or if a file is
        not as published.

    Notes
    -----
    Samples of a mask are ignored

    - before the first mark and after the last one, and between beats where an unmarked beat may lie: where the distance
      of the QRS peaks is more than 1.5 times the lower quartile of the record's distances;
    - from the end of the QRS to the peak of T where the onset of T is not marked, and in general beside a wave whose
      onset or offset is not marked, up to the next wave;
    - from the end of T to the QRS where P is not marked, and from the QRS to the next P where T is not marked: the
      annotators may not have seen the wave, which does not mean that there is none.

    U waves are background, as everything else that is neither P nor QRS nor T. Of two marks of the peak of one T, the
    first counts.

    Leads with a standard name keep it (`canonical_lead`). The others have the name of a standard lead as a stand-in, so
    that estimators read them: CM2, CM4 and CM5 are V2, V4 and V5, CC5 and ML5 are V6, the difference V1-V2 is V1 and so
    on, D4 is II, ECG1 is II and ECG2 is V1. Electrodes are elsewhere; what depends on a lead's place cannot be told
    from them.

    References
    ----------
    P. Laguna, R. G. Mark, A. L. Goldberger, G. B. Moody, A database for evaluation of algorithms for measurement of QT
    and other waveform intervals in the ECG, Computers in Cardiology 24, 1997.
    """
    if annotator not in ("q1c", "q2c"):
        raise ValueError(f"annotator must be 'q1c' or 'q2c', got {annotator!r:.60}")
    folder = set_folder(data_home, "qtdb", lambda path: any(path.glob("sel*.q1c")))
    names = _choose(records, folder, annotator)
    files = [f"{name}.{extension}" for name in names for extension in ("hea", "dat", annotator)]
    provide(folder, PROJECT, files, download_if_missing=download_if_missing)
    headers = [read_plain_header(folder / f"{name}.hea") for name in names]
    named = _named(leads)
    ordered = [_ordered(header.leads, named, name) for name, header in zip(names, headers, strict=True)]
    waves = [_read_waves(folder / name, annotator) for name in names]
    masks = [paint_beats(w, header.n_times) for w, header in zip(waves, headers, strict=True)]
    return Bunch(
        data=WFDBFolder(folder, names=names, leads=named),
        target=masks,
        masks=masks,
        target_names=("background", *WAVES),
        waves=waves,
        rpeaks=[w["QRS"][:, 1].astype(np.int64) for w in waves],
        record_id=np.array(names),
        patient_id=np.array(names),
        source=np.array([SOURCES[name] for name in names]),
        leads=[tuple(lead for lead, _ in pairs) for pairs in ordered],
        published_leads=[tuple(name for _, name in pairs) for pairs in ordered],
        fs=250.0,
        DESCR=DESCR,
    )


def _choose(records: Iterable[str] | None, folder: Path, annotator: str) -> list[str]:
    """Return the names of the records to load; see `fetch_qtdb`."""
    if records is None:
        listed = folder / "RECORDS"
        chosen, what = read_records(listed) if listed.is_file() else list(SOURCES), str(listed)
        chosen = [name for name in chosen if annotator == "q1c" or name in _TWICE]
    else:
        chosen, what = [records] if isinstance(records, str) else list(records), "records"
    for name in chosen:
        if name not in SOURCES:
            raise ValueError(f"{what} has the unknown record {name!r:.60}: allowed are {', '.join(SOURCES)}")
        if annotator == "q2c" and name not in _TWICE:
            raise ValueError(f"{what} has {name!r}: the second annotator marked only {', '.join(sorted(_TWICE))}")
    if not chosen:
        raise ValueError(f"{what} is empty: no record is left that {annotator} has marked")
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"{what} names a record more than once")
    return chosen


def _named(leads: Mapping[str, str] | None) -> dict[str, str]:
    """Return the standard lead of each other name, by lower-case name."""
    if leads is not None and not isinstance(leads, Mapping):
        raise TypeError(f"leads must be a dict of published name to standard lead, or None, got {leads!r:.60}")
    named = {name.lower(): lead for name, lead in STAND_INS.items()}
    for name, lead in (leads or {}).items():
        canonical_lead(lead)
        named[name.strip().lower()] = lead
    return named


def _ordered(published: tuple[str, ...], named: Mapping[str, str], record: str) -> list[tuple[str, str]]:
    """Return the leads of a record as it is read, each with its published name."""
    pairs: list[tuple[str, str]] = []
    for name in published:
        try:
            pairs.append((canonical_lead(named.get(name.strip().lower(), name))[0], name))
        except ValueError as error:
            raise ValueError(f"record {record!r}: {error}; leads={{{name!r}: 'V5'}} names it") from error
    if len({lead for lead, _ in pairs}) < len(pairs):
        raise ValueError(
            f"record {record!r}: its leads {', '.join(published)} would both be {pairs[0][0]}; leads={{NAME: LEAD}}"
            " names one of them otherwise"
        )
    return sorted(pairs, key=lambda pair: LEADS.index(pair[0]))


def _read_waves(path: Path, annotator: str) -> dict[str, NDArray[np.float64]]:
    """Return the waves of a record; see `fetch_qtdb`."""
    annotations = read_annotations(path, annotator)
    marks: list[tuple[int, str]] = []
    for sample, symbol in zip(annotations.sample.tolist(), annotations.symbol, strict=True):
        mark = "N" if symbol in _BEATS else symbol
        # A biphasic wave can have a mark at either peak.
        if mark not in ("p", "t") or not marks or marks[-1][1] != mark:
            marks.append((sample, mark))
    waves = group_marks([sample for sample, _ in marks], [mark for _, mark in marks])
    return {wave: np.where(rows < 0, np.nan, rows) for wave, rows in waves.items()}
