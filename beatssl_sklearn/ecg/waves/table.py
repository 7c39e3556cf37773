"""Tables of waves: a pandas DataFrame with one row per wave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .find import WAVES

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = [
    "CONSENSUS", "TABLE_COLUMNS", "check_rate", "check_table", "empty_table", "make_table", "table_of_marks",
    "wave_labels",
]  # fmt: skip

TABLE_COLUMNS = (
    "record", "lead", "wave", "onset", "peak", "offset", "onset_s", "peak_s", "offset_s", "confidence",
)  # fmt: skip

CONSENSUS = "consensus"
"""Name of the lead for waves over all leads."""

_NEEDED = TABLE_COLUMNS[:6]


def empty_table() -> DataFrame:
    """Make a table without waves, with the columns and types of any other table.

    Returns
    -------
    table : DataFrame
        As returned by `make_table`, without rows.
    """
    return make_table([], [], [], [], [], [], 1.0)


def make_table(
    record: ArrayLike,
    lead: ArrayLike,
    wave: ArrayLike,
    onset: ArrayLike,
    peak: ArrayLike,
    offset: ArrayLike,
    fs: float,
    confidence: ArrayLike = np.nan,
    *,
    leads: Sequence[str] | None = None,
) -> DataFrame:
    """Make a table of waves from its columns.

    Parameters
    ----------
    record : array-like of int, shape (n_waves,)
        Row of X in which each wave was found. All columns but `peak` can be a single value.
    lead : array-like of str or int, shape (n_waves,)
        Names of the leads, or positions in `leads`.
    wave : array-like of str or int, shape (n_waves,)
        "P", "QRS" or "T", or their labels 1, 2 and 3.
    onset, peak, offset : array-like of float, shape (n_waves,)
        Marks [samples], with fractions; NaN if a mark is missing.
    fs : float
        Sampling rate [Hz].
    confidence : array-like of float, shape (n_waves,), default=NaN
        From 0 to 1; NaN if there is none, as for waves marked by people.
    leads : sequence of str, default=None
        Leads in the order of the recording: rows are sorted by record, lead and onset. None keeps their order.

    Returns
    -------
    table : DataFrame
        Columns `TABLE_COLUMNS`: ``record`` (int64), ``lead`` and ``wave`` (str), ``onset``, ``peak``, ``offset``
        (float64 [samples]), ``onset_s``, ``peak_s``, ``offset_s`` (float64 [s]) and ``confidence`` (float32).

    Raises
    ------
    ValueError
        If `fs` is not positive, if lengths differ, if a wave is unknown, or if a lead is not one of `leads`.
    """
    import pandas as pd

    check_rate(fs)
    n = np.size(peak)
    marks = {
        name: _column(name, values, n, np.float64)
        for name, values in (("onset", onset), ("peak", peak), ("offset", offset))
    }
    records = _column("record", record, n, np.int64)
    labels = _labels(_column("wave", wave, n, None))
    codes, names = _lead_codes(_column("lead", lead, n, None), leads)
    confidences = _column("confidence", confidence, n, np.float32)
    if leads is not None:
        start = np.where(np.isnan(marks["onset"]), marks["peak"], marks["onset"])
        order = np.lexsort((start, codes, records))
        records, labels, codes, confidences = records[order], labels[order], codes[order], confidences[order]
        marks = {name: values[order] for name, values in marks.items()}
    return pd.DataFrame(
        {
            "record": records,
            # Not categorical: to compare or join tables of different leads would change the type.
            "lead": pd.Series(np.array([*names, ""], dtype=object)[codes], dtype=str),
            "wave": pd.Series(np.array(WAVES, dtype=object)[labels - 1], dtype=str),
            **marks,
            **{f"{name}_s": values / fs for name, values in marks.items()},
            "confidence": confidences,
        },
        columns=list(TABLE_COLUMNS),
    )


def table_of_marks(
    waves: Iterable[Mapping[str, Mapping[str, ArrayLike]]], fs: float, name: str = "waves"
) -> DataFrame:
    """Make a table of waves in the form of LUDB's marks.

    Parameters
    ----------
    waves : iterable of n_records dict
        Lead to wave to array-like of shape (n_waves, 3) with onset, peak and offset [samples], as the ``waves`` of
        `fetch_ludb`. A mark that is negative or NaN is missing.
    fs : float
        Sampling rate [Hz].
    name : str, default="waves"
        Name of the parameter in messages.

    Returns
    -------
    table : DataFrame
        As returned by `make_table`, with record numbers from 0; missing marks and confidences are NaN.

    Raises
    ------
    TypeError
        If `waves` is a single dict instead of a sequence of them, or a record or a lead is no dict.
    ValueError
        If `fs` is not positive, a wave is unknown, a mark is infinite or marks have another shape. The message names
        record and lead.

    Examples
    --------
    >>> waves = [{"II": {"QRS": [[90, 100, 110]], "T": [[190, 230, 260]]}}]
    >>> table_of_marks(waves, 500.0)[["wave", "onset", "peak_s"]]
      wave  onset  peak_s
    0  QRS   90.0    0.20
    1    T  190.0    0.46
    """
    if isinstance(waves, Mapping):
        raise TypeError(f"{name} must be a sequence of one dict per record, got a single dict: put it into a list")
    names: dict[str, int] = {}
    keys: list[tuple[int, int, int]] = []
    parts: list[NDArray[np.float64]] = [np.empty((0, 3))]
    for i, of_record in enumerate(waves):
        if not isinstance(of_record, Mapping):
            raise TypeError(f"{name}, record {i}: expected a dict of leads, got {type(of_record).__name__}")
        for lead, of_lead in of_record.items():
            where = f"{name}, record {i}, lead {lead}"
            if lead in WAVES and not isinstance(of_lead, Mapping):
                raise TypeError(
                    f"{name}, record {i}: expected a dict of leads, got one of waves ({lead}); marks that hold for all "
                    f"leads are given to each of them: dict.fromkeys(leads, marks)"
                )
            if not isinstance(of_lead, Mapping):
                raise TypeError(f"{where}: expected a dict of P, QRS and T, got {type(of_lead).__name__}")
            for wave, values in of_lead.items():
                if wave not in WAVES:
                    raise ValueError(f"{where}: unknown wave {wave!r:.40}, expected one of {WAVES}")
                marks = np.asarray(values, dtype=np.float64)
                if marks.size and (marks.ndim != 2 or marks.shape[1] != 3):
                    raise ValueError(f"{where}, wave {wave}: marks must have shape (n_waves, 3), got {marks.shape}")
                if (marks == np.inf).any():
                    raise ValueError(f"{where}, wave {wave}: a mark is infinite; a missing one is NaN or negative")
                keys.append((i, names.setdefault(str(lead), len(names)), WAVES.index(wave) + 1))
                parts.append(marks.reshape(-1, 3))
    times = np.concatenate(parts)
    times = np.where(times >= 0, times, np.nan)
    n_waves = np.array([len(part) for part in parts[1:]], np.int64)
    record, code, label = np.repeat(np.array(keys, np.int64).reshape(-1, 3), n_waves, axis=0).T
    return make_table(record, code, label, times[:, 0], times[:, 1], times[:, 2], fs, leads=list(names))


def check_rate(fs: float) -> None:
    """Raise ValueError unless the sampling rate `fs` [Hz] is a positive finite number."""
    if isinstance(fs, bool) or not (isinstance(fs, Real) and np.isfinite(fs) and fs > 0):
        raise ValueError(f"fs must be a positive number [Hz], got {fs!r}")


def check_table(table: Any, name: str = "table") -> None:
    """Raise an error unless `table` is a table of waves.

    Parameters
    ----------
    table : object
        The value to check.
    name : str, default="table"
        Name of the parameter in the message.

    Raises
    ------
    TypeError
        If it is not a DataFrame.
    ValueError
        If it lacks one of the columns record, lead, wave, onset, peak and offset.
    """
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        hint = "; ecg.waves.table_of_marks makes one of a dict per record" if _are_marks(table) else ""
        raise TypeError(f"{name} must be a DataFrame of waves, got {type(table).__name__}{hint}")
    missing = [column for column in _NEEDED if column not in table.columns]
    if missing:
        raise ValueError(f"{name} lacks the columns {missing}: expected one row per wave with {list(_NEEDED)}")


def _are_marks(table: Any) -> bool:
    """Whether these are the marks of records, one dict each, without looking at more than one."""
    return isinstance(table, Sequence) and len(table) > 0 and isinstance(table[0], Mapping)


def wave_labels(table: DataFrame) -> NDArray[np.int8]:
    """Return the labels of the waves of a table.

    Parameters
    ----------
    table : DataFrame
        As returned by `make_table`.

    Returns
    -------
    labels : ndarray of shape (n_waves,), int8
        1 P, 2 QRS, 3 T.

    Raises
    ------
    ValueError
        If a wave is unknown.
    """
    return _labels(table["wave"])


def _column(name: str, values: Any, n: int, dtype: Any) -> NDArray[Any]:
    column = np.asarray(values, dtype=dtype)
    if column.shape not in ((), (n,)):
        raise ValueError(f"{name} must have one entry per wave ({n}), got shape {column.shape}")
    return np.broadcast_to(column, (n,))


def _labels(wave: Any) -> NDArray[np.int8]:
    """Labels 1, 2 and 3 of waves that are given by names or by labels."""
    import pandas as pd

    values = np.asarray(wave)
    if values.dtype.kind in "iu":
        labels = np.where((values >= 1) & (values <= len(WAVES)), values, 0).astype(np.int8)
    else:
        codes, found = pd.factorize(values.astype(object))
        labels = np.array([*(WAVES.index(name) + 1 if name in WAVES else 0 for name in found), 0], np.int8)[codes]
    if not labels.all():
        unknown = values[np.flatnonzero(labels == 0)[0]]
        raise ValueError(f"unknown wave {unknown!r:.40}: expected one of {WAVES}, or their labels 1, 2 and 3")
    return labels


def _lead_codes(lead: NDArray[Any], leads: Sequence[str] | None) -> tuple[NDArray[np.int64], list[str]]:
    """Position of each wave's lead among the names of leads, and these names."""
    import pandas as pd

    if isinstance(leads, str):
        raise TypeError(f"leads must be a sequence of names, got the single value {leads!r:.60}")
    names = [] if leads is None else [str(name) for name in leads]
    if lead.dtype.kind in "iu" and lead.size:
        outside = lead[(lead < 0) | (lead >= len(names))]
        if outside.size:
            raise ValueError(f"lead has the position {outside[0]}: there are {len(names)} leads")
        return lead.astype(np.int64), names
    codes, found = pd.factorize(lead.astype(object))
    if (codes < 0).any():
        raise ValueError("lead must be a name for each wave, got a missing one")
    unknown = [str(name) for name in found if leads is not None and name not in names]
    if unknown:
        raise ValueError(f"lead has {unknown}, which are not among leads: {names}")
    if leads is None:
        return codes, [str(name) for name in found]
    return np.array([names.index(name) for name in found], np.int64)[codes], names
