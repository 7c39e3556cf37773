"""The command `beatssl pretrain`."""

from __future__ import annotations

import argparse
import csv
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .folder import open_folder, readable_records, say


def run_pretrain(arguments: argparse.Namespace) -> int:
    from .. import BeatSSLPretrainer, save

    _check_writable(arguments.out)
    folder, refused = readable_records(open_folder(arguments), arguments.allow_nan, arguments.quiet)
    pretrainer = BeatSSLPretrainer(
        fs_model=arguments.fs_model,
        encoder_params={"size": arguments.size},
        allow_nan=arguments.allow_nan,
        max_epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        lr=arguments.lr,
        checkpoint_dir=arguments.checkpoint_dir,
        device=arguments.device,
        random_state=arguments.seed,
        verbose=0 if arguments.quiet else 1,
    )
    groups = None if arguments.patients is None else _patients(arguments.patients, folder.names)
    with warnings.catch_warnings():
        # What is odd about a record was told when it was checked.
        warnings.filterwarnings("ignore", message="record '")
        pretrainer.fit(folder, groups=groups)
    save(pretrainer, arguments.out)
    say(f"{arguments.out}: {len(folder)} records, {pretrainer.n_iter_} epochs")
    return refused.summary(len(folder) + len(refused.names), arguments.strict)


def _check_writable(path: Path) -> None:
    """Refuse, before hours of training, a file that cannot be written after it."""
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise OSError(f"--out {path}: no file of this name can be written")


def _patients(path: Path, names: Sequence[str]) -> NDArray:
    with open(path, newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    if not rows or rows[0].get("record") is None or rows[0].get("patient") is None:
        raise ValueError(f"{path.name}: a table with the columns record and patient was expected")
    patient = {row["record"]: row["patient"] for row in rows}
    missing = [name for name in names if name not in patient]
    if missing:
        raise ValueError(f"{path.name}: no patient for {len(missing)} records, for example {missing[0]}")
    return np.array([patient[name] for name in names])
