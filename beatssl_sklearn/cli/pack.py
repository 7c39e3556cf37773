"""The command `beatssl pack`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .messages import say
from .parser import add_folder, add_id, add_reading, new_command, positive

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..records.pack import Packed

_ARRAYS = (".npy", ".npz")


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    command = new_command(commands, "pack", "Pack a folder of ECGs into a zarr store, which is read fast.", run)
    folder = add_folder(command)
    folder.help = f"{folder.help}; or a .npy or .npz file with an array (n_records, n_leads, n_times) in mV"
    command.add_argument(
        "out",
        metavar="OUT.zarr",
        help="store to write: a folder or a URL; one that an earlier run has begun goes on where it was",
    )
    command.add_argument(
        "--groups", metavar="FILE", type=Path, help="CSV file with the columns record,group (or patient): who is who"
    )
    command.add_argument("--append", action="store_true", help="add records to a store that is complete")
    command.add_argument(
        "--compression", choices=("lz4", "zstd", "none"), default="lz4", help="of the signals [%(default)s]"
    )
    command.add_argument("--chunk", type=positive, metavar="N", help="records of a chunk [as many as 2 MB hold]")
    add_id(command)
    add_reading(command, device=False)
    command.set_defaults(device=None)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from ..records.store_format import as_url
    from ..records.writer import StoreWriter

    compression = None if arguments.compression == "none" else arguments.compression
    options: dict[str, Any] = {"chunk": arguments.chunk, "compression": compression, "append": arguments.append}
    url = as_url(arguments.out)
    if arguments.folder.suffix.lower() in _ARRAYS:
        packed = _array(arguments)
        _write(packed, StoreWriter(url, {}, **options), arguments, None)
        return 0
    from ..records.pack import what_to_pack
    from .folder import open_folder, record_ids

    folder, refused = open_folder(arguments)
    ids = record_ids(folder.names, arguments)
    names = [ids[name] for name in folder.names]
    packed = what_to_pack(folder, None, None, names, _patients(arguments, folder.names, ids))
    name_of = dict(zip(names, folder.names, strict=True))
    n_packed = _write(
        packed, StoreWriter(url, {}, **options), arguments, lambda name, *rest: refused.add(name_of[name], *rest)
    )
    if not n_packed:
        raise ValueError(f"none of {len(folder)} records could be packed")
    return refused.summary(len(folder))


def _array(arguments: argparse.Namespace) -> Packed:
    """Return the records of an array in a file."""
    from ..records.pack import what_to_pack

    if arguments.fs is None:
        raise ValueError(f"{arguments.folder}: --fs, the sampling rate, is needed for an array")
    if isinstance(arguments.leads, dict) or arguments.positional or arguments.records:
        raise ValueError(f"{arguments.folder}: an array has no names of leads or records; name its leads by --leads")
    found = _loaded(arguments.folder)
    names = [str(i) for i in range(len(found))]
    ids = dict(zip(names, names, strict=True))
    return what_to_pack(found, arguments.fs, arguments.leads, names, _patients(arguments, names, ids))


def _loaded(path: Path) -> Any:
    """Return the array (n_records, n_leads, n_times) of a file.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    ValueError
        If it is damaged, or does not hold one such array.
    """
    from zipfile import BadZipFile, is_zipfile
    from zlib import error as DeflateError

    import numpy as np

    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    try:
        if path.suffix.lower() == ".npz" or is_zipfile(path):
            # numpy leaves open what it cannot read.
            with path.open("rb") as stream:
                arrays = dict(np.load(stream, allow_pickle=False))
        else:
            # What is copied into memory is a record at a time.
            arrays = {path.stem: np.load(path, mmap_mode="r", allow_pickle=False)}
    except (ValueError, TypeError, EOFError, OSError, BadZipFile, DeflateError) as error:
        raise ValueError(f"{path}: no array of numbers can be read from it; write it again with numpy") from error
    whole = [array for array in arrays.values() if array.ndim == 3 and array.dtype.kind in "fiu"]
    if len(whole) != 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "none"
        raise ValueError(f"{path}: one array of numbers (n_records, n_leads, n_times) is needed, got {shapes:.200}")
    return whole[0]


def _patients(arguments: argparse.Namespace, names: Any, ids: dict[str, str]) -> list[str] | None:
    if arguments.groups is None:
        return None
    from .record_column import RecordColumn

    return RecordColumn(arguments.groups, ("group", "patient")).values(names, ids, may_be_empty=False)


def _write(packed: Packed, writer: Any, arguments: argparse.Namespace, refuse: Callable[..., None] | None) -> int:
    """Write the records that the store lacks; return how many it has."""
    from ..records.pack import write_records
    from .progress import Progress

    def refused(name: str, error: Exception) -> None:
        if refuse is None:
            raise error
        refuse(name, error, bar)

    before = writer.n_records
    with Progress(len(packed.names), "pack", arguments.quiet) as bar:
        write_records(packed, writer, refused, bar.update)
    say(f"{arguments.out}: {writer.n_records} records, {writer.n_records - before} of them new")
    return int(writer.n_records)
