"""Folders that hold the results of another command, whose files would be replaced."""

from __future__ import annotations

from pathlib import Path

# Commands that write records.csv and annotations .atr, and the table that only each of them has.
_TABLES = {"beats": "beats", "rhythms": "windows"}


def check_other_results(out: Path, command: str) -> None:
    """Refuse a folder of results of another command; results of the same command are replaced.

    Parameters
    ----------
    out : Path
        The folder for the results.
    command : {"beats", "rhythms"}
        Which command is going to write there.

    Raises
    ------
    ValueError
        The message names the folder, a file in it, and the command that wrote it.
    """
    for other, table in _TABLES.items():
        names = [f"{table}{part}.{kind}" for part in ("", ".incomplete") for kind in ("csv", "parquet")]
        found = [name for name in names if other != command and (out / name).exists()]
        if found:
            raise ValueError(
                f"--out {out}: it has {found[0]}, of beatssl {other}; both commands write records and annotations of "
                f"the same names, so choose another folder"
            )
