"""`WaveMeasures` of the study's records, kept in files batch by batch."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from beatssl_sklearn import WaveMeasures, WFDBFolder

from .data import Records

_AT_ONCE = 256


def measured(X: WFDBFolder, record_id: NDArray[np.int64], path: Path) -> NDArray[np.float32]:
    """Return the measures (n_records, n_measures) of records, NaN where one is missing; kept in a file."""
    measures = WaveMeasures(missing="nan", check="ignore", verbose=0)
    names = measures.get_feature_names_out()
    done: dict[int, NDArray[np.float32]] = {}
    if path.exists():
        with np.load(path, allow_pickle=False) as kept:
            done = dict(zip(kept["record_id"].tolist(), kept["values"], strict=True))
    wanted = [i for i, number in enumerate(record_id.tolist()) if number not in done]
    path.parent.mkdir(parents=True, exist_ok=True)
    for part in tqdm(range(0, len(wanted), _AT_ONCE), desc="measures", disable=not wanted):
        rows = wanted[part : part + _AT_ONCE]
        done |= dict(zip(record_id[rows].tolist(), measures.transform(X[rows]).astype(np.float32), strict=True))
        waiting = path.with_suffix(".part.npz")
        np.savez(waiting, record_id=np.array(list(done)), values=np.stack(list(done.values())), names=names.astype(str))
        os.replace(waiting, path)
    return np.stack([done[number] for number in record_id.tolist()])


def wave_vectors(
    records: Records, leads: Sequence[str] | None, fit_leads: Sequence[str] | None, cache: Path
) -> NDArray[np.float32]:
    """Return the measures of all records, seen through some leads.

    What is missing becomes the median over the training records, as `fit_leads` show them; 0 where none has it.
    """

    def seen_by(own: Sequence[str] | None) -> NDArray[np.float32]:
        file = cache / "measures" / f"{'-'.join(own or ('12',))}.npz"
        return measured(records.seen_by(own), records.record_id, file)

    values = seen_by(leads)
    known = values if leads == fit_leads else seen_by(fit_leads)
    return filled(values, known[records.train])


def filled(values: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return values with the medians of other rows, or 0, where they are NaN."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        medians = np.nan_to_num(np.nanmedian(known, axis=0))
    return np.where(np.isnan(values), medians, values).astype(np.float32)
