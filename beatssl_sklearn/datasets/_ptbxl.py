"""PTB-XL: 21,799 clinical 12-lead ECGs of 10 s, with diagnostic, rhythm and form statements."""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from .._optional import find_stack_level
from ..ecg.leads import LEADS
from ..ecg.wfdb import WFDBFolder
from ._folders import as_number, choose_records, inside, provide, read_table, set_folder

PROJECT = "ptb-xl/1.0.3"
SUPERCLASSES = ("NORM", "MI", "STTC", "CD", "HYP")
_TABLE = "ptbxl_database.csv"
_STATEMENTS = "scp_statements.csv"
_LABEL_KINDS = ("superclass", "subclass", "rhythm", "form")
_MAX_CODES_LENGTH = 4096
_OVER_89 = 90.0

DESCR = """PTB-XL, a large publicly available electrocardiography dataset, version 1.0.3
https://physionet.org/content/ptb-xl/1.0.3/

12 leads, 10 s, 500 Hz and resampled to 100 Hz. Ten folds; a patient is in one of them only. The publisher proposes 1-8
to train, 9 to choose, 10 to test. `target` gives the diagnostic superclasses NORM, MI, STTC, CD, HYP (a record can have
several, and has none if `labelled` is False). Every statement of a record counts, whatever its likelihood, as in the
publisher's example. An age of 90 means "older than 89".

Licence: Creative Commons Attribution 4.0 International (CC BY 4.0).
Citation: P. Wagner, N. Strodthoff, R.-D. Bousseljot, D. Kreiseler, F. I. Lunze, W. Samek, T. Schaeffter: PTB-XL, a
large publicly available electrocardiography dataset. Scientific Data 7, 154 (2020). doi:10.1038/s41597-020-0495-6.
Data: doi:10.13026/kfzx-aw45. PhysioNet: A. L. Goldberger et al., Circulation 101(23), e215-e220 (2000).
"""


class _Statement(NamedTuple):
    superclass: str
    subclass: str
    rhythm: bool
    form: bool


def fetch_ptbxl(
    data_home: str | os.PathLike[str] | None = None,
    *,
    sampling_rate: Literal[100, 500] = 100,
    folds: int | Iterable[int] | None = None,
    subset: Literal["labelled"] | Sequence[int] | None = None,
    download_if_missing: bool = True,
) -> Bunch:
    """Load PTB-XL from a local folder, or download it.

    Parameters
    ----------
    data_home : path-like, optional
        Folder with ``ptbxl_database.csv`` and ``records100/`` or ``records500/`` as published, or a folder whose
        sub-folder ``ptbxl`` has them or will have them. Default: environment variable ``BEATSSL_DATA_HOME``, otherwise
        ``~/.cache/beatssl_sklearn``.
    sampling_rate : {100, 500}, default=100
        Sampling rate of the version to load [Hz]; both are published.
    folds : int or iterable of int, optional
        Folds to load, out of 1 to 10. Default: all that the table has.
    subset : "labelled" or sequence of int, optional
        ``"labelled"`` leaves out records without a superclass. A sequence of ``ecg_id`` loads these, in this order.
    download_if_missing : bool, default=True
        Download missing files of these records through wfdb, file by file. For the whole set, the publisher's archive
        is faster.

    Returns
    -------
    data : Bunch
        ``data`` : WFDBFolder of n_records
            Read lazily; ``data[i]`` is an `ECGRecord` with ``signal`` of shape (12, n_times), float32 [mV].
        ``target`` : ndarray of shape (n_records, 5), int8
            Superclasses, multi-hot; all zero if there is none.
        ``target_names`` : tuple of str
            NORM, MI, STTC, CD, HYP.
        ``labelled`` : ndarray of shape (n_records,), bool
            Whether a record has a superclass.
        ``subclass``, ``rhythm``, ``form`` : list of n_records tuples of str
            Further labels, sorted, without the underscores that pad some published codes.
        ``record_id``, ``patient_id``, ``fold`` : ndarray of shape (n_records,), int64
            As published; a patient is in one fold only.
        ``age`` : ndarray of shape (n_records,), float32
            In years; NaN if unknown, 90 for "older than 89".
        ``sex`` : ndarray of shape (n_records,), str
            M, F, or empty if unknown.
        ``report`` : list of n_records str
            In German, Swedish or English; empty if there is none.
        ``fs``, ``leads``, ``DESCR`` : float, tuple of str, str
            Sampling rate [Hz]; names of the leads; origin, licence and citation of the set.

    Raises
    ------
    FileNotFoundError
        If files are missing and must not be downloaded.
    OSError
        If a download fails.
    ValueError
        If a parameter has a value that is not allowed, or if the table is not as published.

    References
    ----------
    P. Wagner et al., PTB-XL, a large publicly available electrocardiography dataset, Scientific Data 7, 154 (2020).
    """
    if sampling_rate not in (100, 500):
        raise ValueError(f"sampling_rate must be 100 or 500 Hz, got {sampling_rate!r}")
    folder = set_folder(data_home, "ptbxl", lambda path: (path / _TABLE).is_file() or (path / "records100").is_dir())
    provide(folder, PROJECT, [_TABLE], download_if_missing=download_if_missing)
    rows = read_table(folder / _TABLE, ("ecg_id", "patient_id", "strat_fold", "filename_lr"))
    if not rows:
        raise ValueError(f"{folder / _TABLE} has no record")
    if "superclass" not in rows[0]:
        provide(folder, PROJECT, [_STATEMENTS], download_if_missing=download_if_missing)
    rows = _select(rows, folds, subset)
    labels = _labels(rows, folder)
    labelled = np.array([bool(names) for names in labels["superclass"]])
    if isinstance(subset, str):
        rows = [row for row, keep in zip(rows, labelled, strict=True) if keep]
        labels = {kind: [x for x, keep in zip(v, labelled, strict=True) if keep] for kind, v in labels.items()}
        labelled = labelled[labelled]
    if not rows:
        raise ValueError(f"no record is left with folds={folds!r} and subset={subset!r:.60}")
    described = Bunch(
        target=_multi_hot(rows, labels["superclass"]),
        target_names=SUPERCLASSES,
        labelled=labelled,
        **{kind: labels[kind] for kind in _LABEL_KINDS[1:]},
        record_id=_integers(rows, "ecg_id"),
        patient_id=_integers(rows, "patient_id"),
        fold=_integers(rows, "strat_fold"),
        age=_ages(rows),
        sex=np.array([{"0": "M", "1": "F"}.get(row.get("sex", "").strip().removesuffix(".0"), "") for row in rows]),
        report=[row.get("report", "") for row in rows],
        fs=float(sampling_rate),
        leads=LEADS,
        DESCR=DESCR,
    )
    names = [_record_name(row, sampling_rate, folder / _TABLE) for row in rows]
    files = [f"{name}.{extension}" for name in names for extension in ("hea", "dat")]
    provide(folder, PROJECT, files, download_if_missing=download_if_missing)
    return Bunch(data=WFDBFolder(folder, names=names), **described)


def _select(rows: list[dict[str, str]], folds: Any, subset: Any) -> list[dict[str, str]]:
    """Return the rows of the wanted folds and records; the caller drops rows without a superclass."""
    there = _integers(rows, "strat_fold")
    if folds is not None:
        wanted = [folds] if isinstance(folds, (int, np.integer)) else list(folds)
        present = sorted(set(there.tolist()))
        for fold in wanted:
            if isinstance(fold, bool) or fold not in present:
                raise ValueError(f"folds has the unknown fold {fold!r}: the table has {', '.join(map(str, present))}")
        if not wanted:
            raise ValueError("folds is empty: no record is left")
        rows = [row for row, fold in zip(rows, there.tolist(), strict=True) if fold in wanted]
    if isinstance(subset, str):
        if subset != "labelled":
            raise ValueError(f"subset must be None, 'labelled' or a sequence of ecg_id, got {subset!r}")
    elif subset is not None:
        by_id = dict(zip(_integers(rows, "ecg_id").tolist(), rows, strict=True))
        rows = [by_id[number] for number in choose_records(subset, list(by_id), "subset")]
    return rows


def _record_name(row: dict[str, str], sampling_rate: int, table: Path) -> str:
    """Return the record of a row as a path inside the folder of `table`."""
    if sampling_rate == 100:
        name = row["filename_lr"]
    else:
        name = row.get("filename_hr") or row["filename_lr"].replace("records100", "records500").replace("_lr", "_hr")
    return inside(name, table)


def _labels(rows: list[dict[str, str]], folder: Path) -> dict[str, list[tuple[str, ...]]]:
    """Return the four kinds of labels, from their columns if the table has them, otherwise from the SCP codes."""
    given = [kind for kind in _LABEL_KINDS if kind in rows[0]]
    labels = {kind: [tuple(sorted(row[kind].split())) for row in rows] for kind in given}
    if "superclass" in given:
        return {kind: labels.get(kind, [()] * len(rows)) for kind in _LABEL_KINDS}
    if "scp_codes" not in rows[0]:
        raise ValueError(f"{folder / _TABLE} has neither a column superclass nor scp_codes")
    statements = _read_statements(folder / _STATEMENTS)
    unknown: set[str] = set()
    for kind in _LABEL_KINDS:
        labels[kind] = []
    for row in rows:
        codes = parse_scp_codes(row["scp_codes"], row["ecg_id"])
        unknown |= codes.keys() - statements.keys()
        known = {code: statements[code] for code in codes if code in statements}
        labels["superclass"].append(_tidy(s.superclass for s in known.values()))
        labels["subclass"].append(_tidy(s.subclass for s in known.values()))
        labels["rhythm"].append(_tidy(code for code, s in known.items() if s.rhythm))
        labels["form"].append(_tidy(code for code, s in known.items() if s.form))
    if unknown:
        shown = ", ".join(sorted(unknown)[:12])
        text = f"left out SCP codes that {_STATEMENTS} does not have: {shown}"
        warnings.warn(text, UserWarning, stacklevel=find_stack_level())
    return labels


def _tidy(codes: Iterable[str]) -> tuple[str, ...]:
    """Return the different codes, sorted, without the underscores that pad some of them."""
    return tuple(sorted({code.strip("_ ") for code in codes} - {""}))


def _read_statements(path: Path) -> dict[str, _Statement]:
    """Read the table of SCP statements by their code."""
    table: dict[str, _Statement] = {}
    for row in read_table(path, ("diagnostic_class", "diagnostic_subclass", "rhythm", "form")):
        # The code is in the first column, which has no name.
        code = next(iter(row.values()))
        rhythm, form = (as_number(row[kind], f"{kind} of {code} in {path}", 0.0) > 0 for kind in ("rhythm", "form"))
        table[code] = _Statement(row["diagnostic_class"], row["diagnostic_subclass"], rhythm, form)
    return table


def parse_scp_codes(text: str, record: str) -> dict[str, float]:
    """Parse the dictionary of SCP codes and likelihoods of a record; nothing in the text is executed.

    Raises
    ------
    ValueError
        If the text is far longer than any published one, or is not a dictionary of names and numbers.
    """
    problem = f"scp_codes of record {record} must be a dictionary of codes and likelihoods, got {text[:60]!r}"
    if len(text) > _MAX_CODES_LENGTH:
        raise ValueError(f"{problem} ... with {len(text)} characters")
    try:
        codes = ast.literal_eval(text.strip() or "{}")
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(problem) from error
    if not isinstance(codes, dict) or not all(
        isinstance(k, str) and isinstance(v, (int, float)) for k, v in codes.items()
    ):
        raise ValueError(problem)
    return codes


def _multi_hot(rows: list[dict[str, str]], superclass: list[tuple[str, ...]]) -> NDArray[np.int8]:
    """Return the superclasses of the rows as 0 and 1: (n_records, 5)."""
    target = np.zeros((len(rows), len(SUPERCLASSES)), np.int8)
    for i, names in enumerate(superclass):
        for name in names:
            if name not in SUPERCLASSES:
                raise ValueError(f"record {rows[i]['ecg_id']} has the unknown superclass {name!r}: not {SUPERCLASSES}")
            target[i, SUPERCLASSES.index(name)] = 1
    return target


def _integers(rows: list[dict[str, str]], column: str) -> NDArray[np.int64]:
    """Convert a column to integers: (n_records,)."""
    numbers = [as_number(row[column], f"{column} of record {row['ecg_id']}") for row in rows]
    for row, number in zip(rows, numbers, strict=True):
        if not number.is_integer():
            raise ValueError(f"{column} of record {row['ecg_id']} must be an integer, got {row[column]!r}")
    return np.array(numbers, np.int64)


def _ages(rows: list[dict[str, str]]) -> NDArray[np.float32]:
    """Return the ages in years: (n_records,)."""
    age = np.array([as_number(row.get("age", ""), f"age of record {row['ecg_id']}") for row in rows], np.float32)
    # Ages over 89 are published as 300, so that no person can be recognised by age.
    age[age > _OVER_89 - 1] = _OVER_89
    return age
