"""The command line: beatssl demo | pretrain | embed | info."""

from __future__ import annotations

import argparse
import csv
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DESCRIPTION = """ECG embeddings from the command line.

A folder of WFDB records (name.hea and name.dat) goes in; a model, or a table of embeddings, comes out.
Begin with:  beatssl demo --out demo_output
"""
_READ_ERRORS = (ValueError, OSError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status: 0 done, 1 bad records under --strict, 2 could not be done."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except (ValueError, TypeError, OSError, ImportError, FloatingPointError) as error:
        sys.stderr.write(f"beatssl: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("beatssl: interrupted; what was written before stays\n")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "beatssl", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name, help=text, description=text, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        sub.set_defaults(run=run)
        return sub

    demo = command("demo", _demo, "Pretrain, embed, classify and plot in a few minutes, on simulated or your own ECGs.")
    demo.add_argument("--out", type=Path, default=Path("demo_output"), help="folder for the model and the pictures")
    demo.add_argument("--data", type=Path, default=None, help="folder of WFDB records; simulated ECGs if left out")
    demo.add_argument("--seed", type=int, default=0, help="seed of everything random")

    pretrain = command("pretrain", _pretrain, "Pretrain an encoder on a folder of WFDB records, without labels.")
    pretrain.add_argument("folder", metavar="DIR", type=Path, help="folder of WFDB records, searched through")
    pretrain.add_argument("--out", type=Path, required=True, help="model file to write, for example model.bssl")
    pretrain.add_argument("--fs-model", type=float, default=100.0, help="sampling rate inside the network [Hz]")
    pretrain.add_argument("--epochs", type=int, default=20, help="passes over the records; 0: random initialisation")
    pretrain.add_argument("--batch-size", type=int, default=128, help="records per training step")
    pretrain.add_argument("--size", choices=("s", "m", "l"), default="m", help="size of the network")
    pretrain.add_argument("--lr", type=float, default=1e-3, help="highest learning rate")
    pretrain.add_argument("--seed", type=int, default=0, help="seed of everything random")
    pretrain.add_argument("--checkpoint-dir", type=Path, default=None, help="folder to resume an interrupted run from")
    pretrain.add_argument("--device", default=None, help="cpu or cuda; the best there is if left out")
    pretrain.add_argument(
        "--patients", type=Path, default=None, help="CSV with the columns record,patient: records of one patient"
    )
    pretrain.add_argument("--strict", action="store_true", help="exit with status 1 if a record could not be read")
    pretrain.add_argument("--quiet", action="store_true", help="no progress bars")

    embed = command("embed", _embed, "Write the embeddings of a folder of WFDB records to a table.")
    embed.add_argument("model", metavar="MODEL", help="model file, or the name of a shipped model")
    embed.add_argument("folder", metavar="DIR", type=Path, help="folder of WFDB records, searched through")
    embed.add_argument("--level", choices=("rhythm", "beat"), default="rhythm", help="a row per record or heartbeat")
    embed.add_argument("--out", type=Path, required=True, help="table to write: .csv, .parquet or .npz")
    embed.add_argument("--batch-size", type=int, default=32, help="records at a time")
    embed.add_argument("--device", default=None, help="cpu or cuda; the best there is if left out")
    embed.add_argument("--strict", action="store_true", help="exit with status 1 if a record could not be embedded")
    embed.add_argument("--quiet", action="store_true", help="no progress bar")

    info = command("info", _info, "Tell what a model file holds.")
    info.add_argument("model", metavar="MODEL", help="model file, or the name of a shipped model")
    return parser


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


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


def _pretrain(arguments: argparse.Namespace) -> int:
    from . import BeatSSLPretrainer, save

    folder, refused = _readable(arguments.folder, arguments.quiet)
    pretrainer = BeatSSLPretrainer(
        fs_model=arguments.fs_model,
        encoder_params={"size": arguments.size},
        max_epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        lr=arguments.lr,
        checkpoint_dir=arguments.checkpoint_dir,
        device=arguments.device,
        random_state=arguments.seed,
        verbose=0 if arguments.quiet else 1,
    )
    groups = None if arguments.patients is None else _patients(arguments.patients, folder.names)
    pretrainer.fit(folder, groups=groups)
    save(pretrainer, arguments.out)
    _say(f"{arguments.out}: {len(folder)} records, {pretrainer.n_iter_} epochs")
    return refused.summary(len(folder) + len(refused.names), arguments.strict)


def _readable(path: Path, quiet: bool) -> tuple[Any, _Refused]:
    """Return the records of a folder that can be read, so that none stops a training that has begun."""
    from .ecg.wfdb_io import WFDBFolder

    every, refused, good = WFDBFolder(path), _Refused(), []
    with _progress(every.names, "read", quiet) as bar, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for i, name in enumerate(every.names):
            try:
                signal = every[i].signal
                if not np.isfinite(signal).all():
                    raise ValueError("it has missing samples")
                good.append(i)
            except _READ_ERRORS as error:
                refused.add(name, error, bar)
            bar.update()
    if len(good) < 2:
        raise ValueError(f"{path}: {len(good)} of {len(every)} records can be used; at least 2 are needed")
    return every[np.array(good)], refused


def _patients(path: Path, names: Sequence[str]) -> NDArray:
    with open(path, newline="", encoding="utf-8") as stream:
        patient = {row["record"]: row["patient"] for row in csv.DictReader(stream)}
    missing = [name for name in names if name not in patient]
    if missing:
        raise ValueError(f"{path.name}: no patient for {len(missing)} records, for example {missing[0]}")
    return np.array([patient[name] for name in names])


def _embed(arguments: argparse.Namespace) -> int:
    from .ecg.wfdb_io import WFDBFolder
    from .embedding_table import open_table
    from .estimators.embedders import BeatEmbedder, RhythmEmbedder

    beats = arguments.level == "beat"
    embedder = (BeatEmbedder if beats else RhythmEmbedder)(
        arguments.model, batch_size=arguments.batch_size, device=arguments.device
    )
    embedder._fitted()
    folder, refused = WFDBFolder(arguments.folder), _Refused()
    with open_table(arguments.out) as table, _progress(folder.names, "embed", arguments.quiet) as bar:
        for names, records in _chunks(folder, arguments.batch_size, refused, bar):
            for name, record, rows, rpeaks in _embedded(embedder, names, records, refused, bar):
                table.add(name, record.fs, rows, rpeaks if beats else None)
            bar.update(len(names))
    _say(f"{arguments.out}: {table.n_rows} rows of {len(folder) - len(refused.names)} records")
    return refused.summary(len(folder), arguments.strict)


def _chunks(folder: Any, size: int, refused: _Refused, bar: Any) -> Iterator[tuple[list[str], list[Any]]]:
    """Yield records that can be read, a batch at a time."""
    names: list[str] = []
    records: list[Any] = []
    for i, name in enumerate(folder.names):
        try:
            records.append(folder[i])
            names.append(name)
        except _READ_ERRORS as error:
            refused.add(name, error, bar)
            bar.update()
        if len(records) == size or (records and i == len(folder) - 1):
            yield names, records
            names, records = [], []
    if records:
        yield names, records


def _embedded(
    embedder: Any, names: list[str], records: list[Any], refused: _Refused, bar: Any
) -> Iterator[tuple[str, Any, NDArray, NDArray | None]]:
    """Yield embeddings record by record; a batch with a bad record is repeated one by one, to find it."""
    try:
        results = _rows(embedder, records)
    except _READ_ERRORS as error:
        if len(records) == 1:
            refused.add(names[0], error, bar)
            return
        for name, record in zip(names, records, strict=True):
            yield from _embedded(embedder, [name], [record], refused, bar)
        return
    for name, record, (rows, rpeaks) in zip(names, records, results, strict=True):
        yield name, record, rows, rpeaks


def _rows(embedder: Any, records: list[Any]) -> list[tuple[NDArray, NDArray | None]]:
    from .estimators.embedders import RhythmEmbedder

    if isinstance(embedder, RhythmEmbedder):
        return [(row[None], None) for row in embedder.transform(records)]
    rpeaks = embedder.rpeaks(records)
    return list(zip(embedder.transform(records, rpeaks=rpeaks), rpeaks, strict=True))


def _info(arguments: argparse.Namespace) -> int:
    from . import load

    model = load(arguments.model)
    pretrainer = getattr(model, "pretrainer", model)
    last = pretrainer.history_[-1] if pretrainer.history_ else {}
    encoder = [a for name, a in pretrainer.weights_.items() if name.startswith("encoder.")]
    rows = {
        "class": type(model).__name__,
        "encoder": f"{pretrainer.encoder} {pretrainer.encoder_params or ''}".strip(),
        "encoder parameters": f"{sum(a.size for a in encoder):,}",
        "rate of the network [Hz]": f"{pretrainer.fs_model:g}",
        "dimensions per record": pretrainer._n_features_out,
        "leads at fit": pretrainer.n_leads_,
        "epochs": pretrainer.n_iter_,
        "last loss": f"{last['train_loss']:.4f}" if last else "none (random initialisation)",
        "R-peak detector": pretrainer.rpeak_detector,
        "beat window [s]": f"-{pretrainer.beat_window[0]:g} to {pretrainer.beat_window[1]:g}",
    }
    for name, value in rows.items():
        _say(f"{name:26s}{value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
