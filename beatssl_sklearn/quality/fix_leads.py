"""`fix_leads`: undo the mistakes that are certain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..ecg.leads import DERIVED, EIGHT_LEADS, LEADS, resolve_leads
from ..ecg.wfdb import ECGRecord
from ..inputs.source import ArraySource, Block
from .check_leads import Judged, judge
from .reading import open_records, read_blocks, record_names
from .swaps import SWAPS, least_certainty
from .units import UNITS

if TYPE_CHECKING:
    from pandas import DataFrame


def fix_leads(
    X: Any, fs: float | None = None, leads: Sequence[str] | str | None = None, *, certainty: float = 0.95
) -> tuple[Any, DataFrame]:
    """Undo swapped electrodes, inverted leads and wrong units where they are certain.

    Parameters
    ----------
    X : array of shape (n_records, n_leads, n_times), list of ECGRecord or of paths, column of a table, or a folder
        Signals; never modified.
    fs : float, default=None
        Sampling rate of arrays [Hz]; records and files have their own.
    leads : sequence of str, default=None
        Names of the leads of arrays; None is as for embedders.
    certainty : float, default=0.95
        Least probability of a mistake, if nine of ten records are right, between .5 and 1. Of swaps that change little,
        a hundred times its odds are asked for (.9995 instead of .95): LA and LL, and neighbours from V2 on.

    Returns
    -------
    fixed : array of float32, or list of ECGRecord
        An array for an array, else records. Whatever is not certain is as it was.
    done : DataFrame
        A row per record: record, and done, what was undone; "" for nothing.

    Raises
    ------
    ValueError
        If `certainty` is out of range, `fs` is missing for an array, or X cannot be used.
    TypeError
        If X is of no such kind.

    Notes
    -----
    Leads III, aVR, aVL and aVF that are the opposite of what follows from I and II are turned. Microvolt and volt
    become millivolt. Counts stay, because their gain is unknown, and so does a wrong rate, because the right one is. Of
    mistakes of electrodes, at most one per record is undone; `check_leads` says more of each.

    Patients can look like swaps that change little. Of PTB-XL's records that were changed as they are, nearly all were
    of this kind. So the line for these swaps is stricter, which leaves the other mistakes as they were.
    ``benchmarks/results/leads.md`` has what it costs. Nothing is undone where heartbeats are too noisy to tell.

    Examples
    --------
    >>> import numpy as np
    >>> from beatssl_sklearn import fix_leads, make_ecg
    >>> X = make_ecg(1, fs=500, random_state=0).data
    >>> fixed, done = fix_leads(1000 * X, fs=500)
    >>> done["done"][0], bool(np.allclose(fixed, X, atol=1e-5))
    ('uV to mV', True)
    """
    if isinstance(certainty, bool) or not isinstance(certainty, (int, float)) or not 0.5 <= certainty < 1:
        raise ValueError(f"certainty must be at least .5 and below 1, got {certainty!r}")
    import pandas

    source = open_records(X, fs, leads)
    names = record_names(source)
    records: list[ECGRecord] = []
    texts: list[str] = []
    for block in read_blocks(source):
        judged = judge(block)
        for i in range(len(block.rows)):
            signal, done = _fixed(block, i, judged, certainty)
            records.append(ECGRecord(signal, block.fs, block.leads))
            texts.append("; ".join(done))
    table = pandas.DataFrame({"record": names, "done": texts})
    if isinstance(source, ArraySource):
        return np.stack([record.signal for record in records]), table
    return records, table


def _fixed(block: Block, i: int, judged: Judged, certainty: float) -> tuple[NDArray[np.float32], list[str]]:
    """Return the signal of a record without its mistakes, and what was done."""
    x, done = block.signal[i].copy(), []
    index, sign = resolve_leads(block.leads)
    unit = judged.unit[i]
    if unit in ("uV", "V") and judged.scores["wrong_unit"][i] >= certainty:
        x *= np.float32(UNITS[unit])
        done.append(f"{unit} to mV")
    for name in DERIVED:
        if judged.scores[f"inverted {name}"][i] >= certainty:
            x[index == LEADS.index(name)] *= -1
            done.append(f"inverted {name}")
    likely = judged.likely[i]
    if likely and judged.certainty[i] >= least_certainty(likely, certainty):
        x = _undone(x, index, sign, likely)
        done.append(likely)
    return x, done


def _undone(x: NDArray[np.float32], index: NDArray[np.int64], sign: NDArray, mistake: str) -> NDArray[np.float32]:
    """Undo a mistake of electrodes: every matrix of `SWAPS` undoes itself."""
    x = x * sign[:, None].astype(np.float32)
    at = {name: int(np.flatnonzero(index == LEADS.index(name))[0]) for name in EIGHT_LEADS}
    eight = SWAPS[mistake] @ x[[at[name] for name in EIGHT_LEADS]]
    changed = x.copy()
    changed[[at[name] for name in EIGHT_LEADS]] = eight
    if mistake.startswith("swap") and "V" not in mistake:
        for name, (of_i, of_ii) in DERIVED.items():
            changed[index == LEADS.index(name)] = of_i * eight[0] + of_ii * eight[1]
    return np.asarray(changed * sign[:, None], dtype=np.float32)
