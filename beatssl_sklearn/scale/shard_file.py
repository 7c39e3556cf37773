"""One shard as a file: a Parquet table, with what the shard is, and what failed in it, in its metadata.

The metadata stands at the end of the file. So a file that was cut off has none, and one with metadata is whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._optional import import_optional
from .kinds import Kind, Rows

_KEY = b"beatssl_sklearn"
_NAME = re.compile(r"part-(\d{6,})\.parquet")


class Failure(NamedTuple):
    """A record that could not be used.

    Attributes
    ----------
    row : int
        Position of the record in the data set.
    record : str
        Its name.
    error : str
        Class of the error.
    message : str
        What the error says.
    """

    row: int
    record: str
    error: str
    message: str


class Note(NamedTuple):
    """A warning on some records.

    Attributes
    ----------
    first_row, last_row : int
        Positions of the records that were looked at together.
    message : str
        What is odd.
    """

    first_row: int
    last_row: int
    message: str


class ShardInfo(NamedTuple):
    """What a finished shard says of itself.

    Attributes
    ----------
    number, start, stop : int
        Its number, and the records that it has.
    n_rows : int
        Rows of the table.
    failures : list of Failure
    notes : list of Note
    job : str
        Digest of the manifest of the job that it belongs to.
    """

    number: int
    start: int
    stop: int
    n_rows: int
    failures: list[Failure]
    notes: list[Note]
    job: str


def shard_path(folder: Path, number: int) -> Path:
    """Return the path of a shard. In order of names, shards are in order of records."""
    return folder / f"part-{number:06d}.parquet"


def shard_paths(folder: Path) -> list[Path]:
    """Return the shards that are in a folder, whole or not."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def shard_bytes(
    kind: Kind,
    info: ShardInfo,
    parts: Sequence[Rows],
    ids: Sequence[str],
    patients: Sequence[str] | None,
    about: dict[str, Any],
) -> bytes:
    """Return the file of a shard.

    Parameters
    ----------
    kind : Kind
        Names the columns.
    info : ShardInfo
        For the metadata.
    parts : sequence of Rows
        In the order of records; positions count from the first record of the shard.
    ids, patients : sequence of str
        Of the records of the shard.
    about : dict
        What else the metadata tells: the model and the parameters.
    """
    arrow = import_optional("pyarrow", "writing shards", "parquet")
    parquet = import_optional("pyarrow.parquet", "writing shards", "parquet")
    record = np.concatenate([np.zeros(0, np.int64), *(part.record for part in parts)])
    columns: dict[str, Any] = {
        "row": arrow.array(info.start + record),
        "record": arrow.array(ids, arrow.string()).take(arrow.array(record)),
    }
    if patients is not None:
        columns["patient"] = arrow.array(patients, arrow.string()).take(arrow.array(record))
    for name, dtype in kind.columns.items():
        of_type = arrow.string() if dtype == "string" else arrow.from_numpy_dtype(np.dtype(dtype))
        values = np.concatenate([part.columns[name] for part in parts]) if parts else np.zeros(0)
        columns[name] = arrow.array(values.tolist() if dtype == "string" else values.astype(dtype), of_type)
    empty = [np.zeros((0, len(kind.features)), np.float32)]
    embedding = np.concatenate(empty + [part.embedding for part in parts if part.embedding is not None])
    columns |= {name: arrow.array(np.ascontiguousarray(embedding[:, k])) for k, name in enumerate(kind.features)}
    table = arrow.table(columns).replace_schema_metadata({_KEY: json.dumps({**about, "shard": info._asdict()})})
    sink = arrow.BufferOutputStream()
    texts = [field.name for field in table.schema if field.type == arrow.string()]
    # Embeddings have no value twice, so that dictionaries of values would cost time and save nothing.
    parquet.write_table(
        table, sink, compression="zstd", use_dictionary=texts, write_statistics=["row"], write_page_checksum=True
    )
    return bytes(sink.getvalue())


def shard_info(path: Path) -> ShardInfo | None:
    """Return what a shard says of itself; None if it is not whole."""
    parquet = import_optional("pyarrow.parquet", "reading shards", "parquet")
    arrow = import_optional("pyarrow", "reading shards", "parquet")
    try:
        info = ShardInfo(**json.loads(parquet.read_metadata(path).metadata[_KEY])["shard"])
    except (arrow.ArrowInvalid, OSError, KeyError, TypeError, ValueError):
        return None
    return info._replace(failures=[Failure(*f) for f in info.failures], notes=[Note(*n) for n in info.notes])


def own_shard(folder: Path, number: int, size: int, n_records: int, job: str) -> ShardInfo | None:
    """Return what a shard says of itself; None if it is not whole, or not this one of the job."""
    info = shard_info(shard_path(folder, number))
    expected = (number, number * size, min(n_records, (number + 1) * size), job)
    return info if info is not None and (info.number, info.start, info.stop, info.job) == expected else None


def read_shard(path: Path, columns: list[str] | None) -> Any:
    """Return the table of a shard.

    Raises
    ------
    ValueError
        If it has no such column.
    OSError
        If it is damaged.
    """
    arrow = import_optional("pyarrow", "reading shards", "parquet")
    parquet = import_optional("pyarrow.parquet", "reading shards", "parquet")
    try:
        if columns is not None:
            known = parquet.read_schema(path).names
            unknown = [name for name in columns if name not in known]
            if unknown:
                shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
                raise KeyError(f"columns has {unknown[0]!r}, which the shards do not have; they have {shown}")
        return parquet.read_table(path, columns=columns, page_checksum_verification=True)
    except KeyError as error:
        raise ValueError(error.args[0]) from None
    except (OSError, arrow.ArrowException) as error:
        raise OSError(f"{path} is damaged ({error}); remove it, and repeat the call that made it") from error
