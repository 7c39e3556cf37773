"""The command line: beatssl demo | pretrain | embed | delineate | info."""

from __future__ import annotations

import argparse
import csv
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from .cli_parser import build_parser

_READ_ERRORS = (ValueError, OSError)
# Samples that a batch may hold, so that long records do not fill the memory together.
_BATCH_SAMPLES = 2**24


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status: 0 done, 1 bad records under --strict, 2 not done, 130 interrupted."""
    arguments = build_parser().parse_args(argv)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            return _COMMANDS[arguments.command](arguments)
        except (ValueError, TypeError, OSError, ImportError, FloatingPointError) as error:
            sys.stderr.write(f"beatssl: {error}\n")
            return 2
        except KeyboardInterrupt:
            sys.stderr.write("beatssl: interrupted\n")
            return 130


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    from tqdm import tqdm

    tqdm.write(f"warning: {message}", file=sys.stderr)


def _progress(items: Sequence[Any], what: str, quiet: bool) -> Any:
    from tqdm import tqdm

    return tqdm(total=len(items), desc=what, unit="rec", disable=quiet)


class _Refused:
    """Records that could not be used, told once each and summed up at the end."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def add(self, name: str, error: Exception, bar: Any) -> None:
        self.names.append(name)
        bar.write(f"skipped {name}: {error}", file=sys.stderr)

    def summary(self, n_records: int, strict: bool) -> int:
        if self.names:
            sys.stderr.write(f"{len(self.names)} of {n_records} records were skipped\n")
        return 1 if strict and self.names else 0


def _demo(arguments: argparse.Namespace) -> int:
    from .demo import run_demo

    run_demo(arguments.out, arguments.data, arguments.seed, say=_say)
    return 0


def _folder(arguments: argparse.Namespace) -> Any:
    from .ecg.leads import resolve_leads
    from .ecg.wfdb_io import WFDBFolder
    from .estimators.devices import resolve_device

    # What is wrong with the command must not become a complaint about each record.
    resolve_device(arguments.device)
    if arguments.leads is not None:
        resolve_leads(arguments.leads)
    elif arguments.positional:
        raise ValueError("--positional needs --leads, the names of the signals in their order")
    return WFDBFolder(arguments.folder, leads=arguments.leads, positional=arguments.positional)


def _pretrain(arguments: argparse.Namespace) -> int:
    from . import BeatSSLPretrainer, save

    _check_writable(arguments.out)
    folder, refused = _readable(_folder(arguments), arguments.allow_nan, arguments.quiet)
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
    _say(f"{arguments.out}: {len(folder)} records, {pretrainer.n_iter_} epochs")
    return refused.summary(len(folder) + len(refused.names), arguments.strict)


def _check_writable(path: Path) -> None:
    """Refuse, before hours of training, a file that cannot be written after it."""
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise OSError(f"--out {path}: no file of this name can be written")


def _readable(every: Any, allow_nan: bool, quiet: bool) -> tuple[Any, _Refused]:
    """Return the records of a folder that can be used, so that none stops a training that has begun."""
    refused, good = _Refused(), []
    with _progress(every.names, "check", quiet) as bar:
        for i, name in enumerate(every.names):
            try:
                record = every[i]
                _check_record(record, allow_nan)
                if not np.ptp(record.signal, axis=1).any():
                    raise ValueError("no lead varies (flat signal)")
                good.append(i)
            except _READ_ERRORS as error:
                refused.add(name, error, bar)
            bar.update()
    if len(good) < 2:
        raise ValueError(f"{len(good)} of {len(every)} records can be used; at least 2 are needed")
    return every[np.array(good)], refused


def _check_record(record: Any, allow_nan: bool) -> None:
    from .ecg.preprocess import check_fs
    from .estimators.inputs import check_duration

    check_duration(record.signal.shape[1], check_fs(record.fs), "the record")
    missing = np.isnan(record.signal).sum(axis=1)
    if missing.any() and not allow_nan:
        lead = int(missing.argmax())
        raise ValueError(f"lead {record.leads[lead]} lacks {missing[lead]} samples; the model was not made for that")


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


def _embed(arguments: argparse.Namespace) -> int:
    from .embedding_table import open_table
    from .estimators.embedders import BeatEmbedder, RhythmEmbedder

    beats = arguments.level == "beat"
    embedder = (BeatEmbedder if beats else RhythmEmbedder)(
        arguments.model, batch_size=arguments.batch_size, device=arguments.device
    )
    allow_nan = embedder._fitted().allow_nan
    folder, refused = _folder(arguments), _Refused()
    with open_table(arguments.out) as table, _progress(folder.names, "embed", arguments.quiet) as bar:
        for names, records in _chunks(folder, arguments.batch_size, allow_nan, refused, bar):
            for name, record, rows, rpeaks in _embedded(embedder, names, records, refused, bar):
                table.add(name, record.fs, rows, rpeaks if beats else None)
            bar.update(len(names))
        if len(refused.names) == len(folder):
            raise ValueError(f"none of {len(folder)} records could be embedded")
    _say(f"{arguments.out}: {table.n_rows} rows of {len(folder) - len(refused.names)} records")
    return refused.summary(len(folder), arguments.strict)


def _chunks(
    folder: Any, size: int, allow_nan: bool, refused: _Refused, bar: Any
) -> Iterator[tuple[list[str], list[Any]]]:
    """Yield records that can be used, a batch at a time."""
    names: list[str] = []
    records: list[Any] = []
    n_samples = 0
    for i, name in enumerate(folder.names):
        try:
            record = folder[i]
            _check_record(record, allow_nan)
        except _READ_ERRORS as error:
            refused.add(name, error, bar)
            bar.update()
            continue
        names.append(name)
        records.append(record)
        n_samples += record.signal.size
        if len(records) == size or n_samples >= _BATCH_SAMPLES:
            yield names, records
            names, records, n_samples = [], [], 0
    if records:
        yield names, records


def _embedded(
    embedder: Any, names: list[str], records: list[Any], refused: _Refused, bar: Any
) -> Iterator[tuple[str, Any, NDArray, NDArray | None]]:
    """Yield embeddings record by record.

    A batch with a bad or an odd record is repeated one by one, so that the message can name the record.
    """
    try:
        with warnings.catch_warnings(record=True) as odd:
            warnings.simplefilter("always", UserWarning)
            results = _rows(embedder, records)
    except _READ_ERRORS as error:
        if len(records) == 1:
            refused.add(names[0], error, bar)
            return
        results = []
    if len(records) > 1 and (odd or not results):
        for name, record in zip(names, records, strict=True):
            yield from _embedded(embedder, [name], [record], refused, bar)
        return
    for warning in odd:
        bar.write(f"warning: {names[0]}: {warning.message}", file=sys.stderr)
    for name, record, (rows, rpeaks) in zip(names, records, results, strict=True):
        yield name, record, rows, rpeaks


def _rows(embedder: Any, records: list[Any]) -> list[tuple[NDArray, NDArray | None]]:
    from .estimators.embedders import RhythmEmbedder

    if isinstance(embedder, RhythmEmbedder):
        return [(row[None], None) for row in embedder.transform(records)]
    rpeaks = embedder.rpeaks(records)
    return list(zip(embedder.transform(records, rpeaks=rpeaks), rpeaks, strict=True))


def _delineate(arguments: argparse.Namespace) -> int:
    from .cli_delineate import run_delineate

    return run_delineate(arguments)


def _info(arguments: argparse.Namespace) -> int:
    from . import load

    model = load(arguments.model)
    pretrainer = getattr(model, "pretrainer", model)
    trained = model if hasattr(model, "history_") else pretrainer
    last = trained.history_[-1] if trained.history_ else {}
    encoder = [a for name, a in pretrainer.weights_.items() if name.startswith("encoder.")]
    settings = ", ".join(f"{k}={v}" for k, v in (pretrainer.encoder_params or {}).items())
    rows = {
        "class": type(model).__name__,
        "encoder": f"{pretrainer.encoder} {settings}".strip(),
        "encoder parameters": f"{sum(a.size for a in encoder):,}",
        "rate of the network": f"{pretrainer.fs_model:g} Hz",
        "dimensions per record": pretrainer._n_features_out,
        "epochs": trained.n_iter_,
        "last training loss": f"{last['train_loss']:.4f}" if last else "none (random initialisation)",
        "R-peak detector": pretrainer.rpeak_detector,
        "beat window": "{:g} s before to {:g} s after the R peak".format(*pretrainer.beat_window),
        "missing samples": "allowed" if pretrainer.allow_nan else "refused",
    }
    for name, value in rows.items():
        _say(f"{name:24s}{value}")
    return 0


_COMMANDS = {"demo": _demo, "pretrain": _pretrain, "embed": _embed, "delineate": _delineate, "info": _info}


if __name__ == "__main__":
    sys.exit(main())
