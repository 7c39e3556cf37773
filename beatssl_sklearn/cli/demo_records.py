"""What the demonstration works on: simulated ECGs, or a folder of records with whatever labels are found in it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..datasets import AAMI_CLASS, fetch_ludb, fetch_ptbxl
from ..ecg import ECGRecord, WFDBFolder, make_ecg, read_annotations, read_wfdb
from .messages import described, shown
from .progress import Progress
from .refused import RECORD_ERRORS

MAX_RECORDS = 1000
MIN_RECORDS = 8
N_SIMULATED = 600
# Half as long as clinical records, so that the demonstration is done in a minute.
SIMULATED_S = 5.0
EXCERPT_S, LONGEST_S, SHORTEST_S = 10.0, 15.0, 2.0
EXCERPTS_PER_RECORD = 30
_NO_CLASSES = np.zeros(0, dtype=str)

Say = Callable[[str], None]


class DemoRecords(NamedTuple):
    """Records and what is known of them.

    Attributes
    ----------
    origin : str
        What they are, in words.
    simulated : bool
    names : list of n_records str
    records : list of n_records ECGRecord
    patients : ndarray (n_records,) of str
    classes : ndarray (n_records,) of str
        Class of each record, "" where unknown; of length 0 where there are no classes at all.
    class_name : str
        What the classes are.
    rpeaks, beat_labels : list of n_records arrays (n_beats,), or None
        Annotated beats [samples] and their types; None where there are none.
    """

    origin: str
    simulated: bool
    names: list[str]
    records: list[ECGRecord]
    patients: NDArray[np.str_]
    classes: NDArray[np.str_]
    class_name: str
    rpeaks: list[NDArray[np.int64]] | None
    beat_labels: list[NDArray[np.str_]] | None


class _Folder(NamedTuple):
    """Records that are not read yet."""

    data: WFDBFolder
    patients: NDArray[np.str_]
    classes: NDArray[np.str_]
    class_name: str


def simulated_records(seed: int, n_records: int | None = None) -> DemoRecords:
    """Simulate records of all rhythms that `make_ecg` knows, two of each patient."""
    n_records = N_SIMULATED if n_records is None else n_records
    ecg = make_ecg(
        n_records,
        rhythm="mixed",
        fs=250,
        duration=SIMULATED_S,
        noise=0.05,
        records_per_patient=2,
        random_state=seed,
    )
    n_patients = len(set(ecg.patient_id.tolist()))
    return DemoRecords(
        f"{n_records} simulated records of {n_patients} patients, 12 leads, {SIMULATED_S:g} s at 250 Hz",
        True,
        [f"simulated record {i}" for i in range(n_records)],
        [ECGRecord(signal, ecg.fs, ecg.leads) for signal in ecg.data],
        ecg.patient_id.astype(str),
        ecg.rhythm,
        "rhythm",
        ecg.rpeaks,
        ecg.beat_types,
    )


def records_of_folder(folder: Path, seed: int, say: Say) -> DemoRecords:
    """Read records below a folder, with the labels of PTB-XL, of LUDB, or of beat annotations (``.atr``).

    Raises
    ------
    OSError
        If there is no such folder.
    ValueError
        If it has less than eight records, or excerpts of long ones, that can be used.
    """
    chosen = _labelled(folder, seed, say)
    excerpts = max(1, min(EXCERPTS_PER_RECORD, MAX_RECORDS // len(chosen.data)))
    out = DemoRecords("", False, [], [], _NO_CLASSES, _NO_CLASSES, chosen.class_name, [], [])
    assert out.rpeaks is not None and out.beat_labels is not None
    source: list[int] = []
    n_annotated = 0
    with Progress(len(chosen.data), "read", quiet=False) as bar:
        for i, name in enumerate(chosen.data.names):
            bar.update()
            try:
                parts = _excerpts(chosen.data[i], excerpts)
            except RECORD_ERRORS as error:
                bar.clear()
                say(f"      skipped {shown(name)}: {described(error)}")
                continue
            peaks, labels = _annotated_beats(folder / name)
            n_annotated += len(peaks)
            for start, record in parts:
                inside = (peaks >= start) & (peaks < start + record.signal.shape[1])
                out.names.append(name if len(parts) == 1 else f"{name} from {start / record.fs:.0f} s")
                out.records.append(record)
                out.rpeaks.append(peaks[inside] - start)
                out.beat_labels.append(labels[inside])
                source.append(i)
    if len(source) < MIN_RECORDS:
        raise ValueError(f"{folder}: {len(source)} records can be used; the demonstration needs {MIN_RECORDS}")
    patients = chosen.patients[source]
    n_read = len(set(source))
    cut = f", as {len(source)} excerpts of 10 s" if len(source) > n_read else ""
    return out._replace(
        origin=f"{n_read} records of {len(np.unique(patients))} patients from {folder}{cut}",
        patients=patients,
        classes=chosen.classes[source] if len(chosen.classes) else _NO_CLASSES,
        rpeaks=out.rpeaks if n_annotated else None,
        beat_labels=out.beat_labels if n_annotated else None,
    )


def _labelled(folder: Path, seed: int, say: Say) -> _Folder:
    """Find the records of a folder and choose as many as the demonstration can use."""
    for table, find in (("ptbxl_database.csv", _ptbxl), ("ludb.csv", _ludb)):
        if not (folder / table).is_file():
            continue
        try:
            return find(folder, seed, say)
        except (ValueError, OSError) as error:
            say(f"      without the labels of {table}: {error}")
    every = WFDBFolder(folder)
    data = every[_choose(np.arange(len(every)), seed, say)]
    # Records 201 and 202 of MIT-BIH are of one person.
    patients = np.array(["201" if name == "202" else name for name in data.names])
    return _Folder(data, patients, _NO_CLASSES, "")


def _ptbxl(folder: Path, seed: int, say: Say) -> _Folder:
    versions: tuple[tuple[Literal[100, 500], str], ...] = ((100, "lr"), (500, "hr"))
    for rate, tail in versions:
        files = {
            int(number): file
            for file in (folder / f"records{rate}").rglob(f"*_{tail}.hea")
            if (number := file.stem.removesuffix(f"_{tail}")).isdecimal()
        }
        if files:
            break
    chosen = _choose(np.array(sorted(files), dtype=np.int64), seed, say)
    numbers = [number for number in chosen.tolist() if _is_whole(files[number], (), say)]
    if not numbers:
        raise ValueError("none of its records is there")
    data = fetch_ptbxl(folder, sampling_rate=rate, subset=numbers, download_if_missing=False)
    first = np.where(data.target.any(axis=1), data.target.argmax(axis=1), len(data.target_names))
    classes = np.array([*data.target_names, ""])[first]
    return _Folder(data.data, data.patient_id.astype(str), classes, "first diagnostic superclass")


def _ludb(folder: Path, seed: int, say: Say) -> _Folder:
    leads = ("i", "ii", "iii", "avr", "avl", "avf", *(f"v{k}" for k in range(1, 7)))
    files = {int(f.stem): f for f in (folder / "data").glob("*.hea") if f.stem.isdecimal()}
    chosen = _choose(np.array(sorted(files), dtype=np.int64), seed, say)
    numbers = [number for number in chosen.tolist() if _is_whole(files[number], leads, say)]
    if not numbers:
        raise ValueError("none of its records is there")
    data = fetch_ludb(folder, records=numbers, download_if_missing=False)
    rhythms = data.diagnoses.get("Rhythms", [()] * len(numbers))
    classes = np.array([names[0] if names else "" for names in rhythms])
    return _Folder(data.data, data.patient_id.astype(str), classes, "rhythm")


def _choose(every: NDArray[np.int64], seed: int, say: Say) -> NDArray[np.int64]:
    if len(every) <= MAX_RECORDS:
        return every
    say(f"      {MAX_RECORDS} of {len(every)} records, drawn at random, are used")
    return np.sort(np.random.default_rng(seed).choice(every, MAX_RECORDS, replace=False))


def _is_whole(header: Path, extensions: Iterable[str], say: Say) -> bool:
    """Whether a record can be read and has its other files: a loader takes all records or none."""
    try:
        with warnings.catch_warnings():
            # The loader will read the record again, and warn.
            warnings.simplefilter("ignore", UserWarning)
            read_wfdb(header)
        for extension in extensions:
            file = header.with_suffix(f".{extension}")
            if not file.stat().st_size:
                raise ValueError(f"{file.name} is empty")
    except (OSError, ValueError) as error:
        say(f"      skipped {header.stem}: {error}")
        return False
    return True


def _excerpts(record: ECGRecord, n_excerpts: int) -> list[tuple[int, ECGRecord]]:
    """Return a record, or excerpts of 10 s spread over a long one, and the samples where they begin.

    Raises
    ------
    ValueError
        If nothing of it can be used.
    """
    n_times = record.signal.shape[1]
    if n_times < SHORTEST_S * record.fs:
        raise ValueError(f"it lasts {n_times / record.fs:.1f} s; at least {SHORTEST_S:g} s are needed")
    length, starts = n_times, np.zeros(1, dtype=np.int64)
    if n_times > LONGEST_S * record.fs:
        length = round(EXCERPT_S * record.fs)
        starts = np.linspace(0, n_times - length, min(n_excerpts, n_times // length)).astype(np.int64)
    parts = [(int(a), replace(record, signal=record.signal[:, a : a + length].copy())) for a in starts]
    good = [(a, part) for a, part in parts if np.isfinite(part.signal).all() and np.ptp(part.signal, axis=1).any()]
    if not good:
        raise ValueError("samples are missing, or no lead varies")
    return good


def _annotated_beats(path: Path) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """Return the beats of an annotation file ``.atr`` and their AAMI classes; none where there is no such file."""
    nothing: tuple[Any, Any] = np.zeros(0, dtype=np.int64), np.zeros(0, dtype="<U1")
    if not path.with_name(f"{path.name}.atr").is_file():
        return nothing
    try:
        marks = read_annotations(path, "atr")
    except (ValueError, OSError):
        return nothing
    labels = np.array([AAMI_CLASS.get(symbol, "") for symbol in marks.symbol], dtype="<U1")
    is_beat = labels != ""
    sample, first = np.unique(np.asarray(marks.sample, dtype=np.int64)[is_beat], return_index=True)
    return sample, labels[is_beat][first]
