"""The command `beatssl pretrain`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .messages import say
from .own_modules import import_modules
from .parser import (
    add_allow_nan,
    add_check,
    add_folder,
    add_id,
    add_import,
    add_reading,
    add_seed,
    new_command,
    positive,
    setting,
)

if TYPE_CHECKING:
    from .. import Objective, Pretrainer
    from .record_column import RecordColumn

# What `fit` may need beside the records: options that are CSV files, and the names of their columns.
_COLUMNS = {"groups": ("group", "patient"), "reports": ("report",), "times": ("time", "recording_date")}


class _Objective(argparse.Action):
    """The option --objective; "help" asks for a list, which needs neither records nor a file to write."""

    def __init__(self, *args: Any, needed: Sequence[argparse.Action], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._needed = needed

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        setattr(namespace, self.dest, values)
        if values == "help":
            for action in self._needed:
                action.required = False


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    command = new_command(commands, "pretrain", "Pretrain an encoder on a folder of ECGs, without labels.", run)
    folder = add_folder(command)
    out = command.add_argument("--out", type=Path, required=True, help="model file to write, for example model.bssl")
    command.add_argument(
        "--objective",
        action=_Objective,
        needed=(folder, out),
        metavar="NAME",
        default="BeatSSL",
        help="what is learnt, for example BeatSSL or beat_ssl.paper; `--objective help` lists all [%(default)s]",
    )
    command.add_argument(
        "--set",
        metavar="NAME=VALUE",
        type=setting,
        action="append",
        default=[],
        help="parameter of the objective, for example temperature=.2, views.angle=20 or views=LeadMasking; repeatable",
    )
    add_import(command)
    command.add_argument("--encoder", metavar="NAME", help="beatnet or resnet1d [the objective's own]")
    command.add_argument(
        "--encoder-set",
        metavar="NAME=VALUE",
        type=setting,
        action="append",
        default=[],
        help="parameter of the encoder, for example size=s; repeatable",
    )
    command.add_argument("--size", choices=("s", "m", "l"), help="size of the network, as --encoder-set size=s")
    command.add_argument("--fs-model", type=float, default=100.0, help="rate inside the network [%(default)g Hz]")
    command.add_argument("--epochs", type=int, default=20, help="passes over the records; 0: none [%(default)s]")
    command.add_argument("--batch-size", type=positive, default=128, help="records per training step [%(default)s]")
    command.add_argument("--lr", type=float, default=1e-3, help="highest learning rate [%(default)g]")
    command.add_argument(
        "--groups", metavar="FILE", type=Path, help="CSV file with the columns record,group (or patient): who is who"
    )
    command.add_argument(
        "--reports", metavar="FILE", type=Path, help="CSV file with the columns record,report, for objectives of text"
    )
    command.add_argument(
        "--times",
        metavar="FILE",
        type=Path,
        help="CSV file with the columns record,time (or recording_date), dates or days, for --set max_gap_days=30",
    )
    add_id(command)
    add_allow_nan(command)
    add_check(command, raises="train nothing")
    command.add_argument("--checkpoint-dir", type=Path, help="folder from which an interrupted run goes on")
    add_seed(command)
    add_reading(command)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    import_modules(arguments.imports)
    from .objective import build_objective, described_objectives

    if arguments.objective == "help":
        for line in described_objectives():
            say(line)
        return 0
    from ..components import seed_of
    from ..training.distributed import is_first_process
    from .folder import open_folder, readable_records, record_ids

    # All that is asked for is checked here, before the records are read.
    seed_of(arguments.seed)
    objective = build_objective(arguments.objective, arguments.set)
    _check_needs(objective, arguments)
    pretrainer = _pretrainer(objective, arguments)
    objective.check_encoder(pretrainer.untrained_encoder(seed=0).module())
    # Of the processes that torchrun has started, one shows progress and writes.
    speaks = is_first_process()
    arguments.quiet = arguments.quiet or not speaks
    every, refused = open_folder(arguments)
    if speaks:
        _check_places(arguments)
    files = _read_files(arguments)
    ids = record_ids(every.names, arguments)
    folder = readable_records(every, refused, arguments)
    # Records without a group would become one patient. A report or a time may be empty.
    given = {name: file.values(folder.names, ids, may_be_empty=name != "groups") for name, file in files.items()}
    pretrainer.fit(folder, **given)
    if speaks:
        from .. import save

        save(pretrainer, arguments.out)
        say(f"{arguments.out}: {len(folder)} records, {pretrainer.n_iter_} epochs")
    return refused.summary(len(every))


def _pretrainer(objective: Objective, arguments: argparse.Namespace) -> Pretrainer:
    from .. import BeatSSL, BeatSSLPretrainer, Pretrainer
    from .progress import on_terminal

    size = [] if arguments.size is None else [("size", arguments.size)]
    # `BeatSSLPretrainer.load` shall find what was pretrained without further options.
    return (BeatSSLPretrainer if type(objective) is BeatSSL else Pretrainer)(
        objective,
        encoder=arguments.encoder,
        encoder_params=dict([*size, *arguments.encoder_set]) or None,
        fs_model=arguments.fs_model,
        allow_nan=arguments.allow_nan,
        check=arguments.check,
        max_epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        lr=arguments.lr,
        checkpoint_dir=arguments.checkpoint_dir,
        device=arguments.device,
        distributed="auto",
        random_state=arguments.seed,
        # Bars fill a log file.
        verbose=1 if on_terminal() and not arguments.quiet else 0,
    )


def _read_files(arguments: argparse.Namespace) -> dict[str, RecordColumn]:
    """Read the CSV files that say something of each record."""
    from .record_column import RecordColumn

    given = {name: getattr(arguments, name) for name in _COLUMNS}
    return {name: RecordColumn(path, _COLUMNS[name]) for name, path in given.items() if path is not None}


def _check_places(arguments: argparse.Namespace) -> None:
    """Refuse, before hours of training, files that cannot be written, or that would replace what is read."""
    from ..training.checkpoint import FILE_NAME
    from .outputs import check_file, check_folder, check_outputs

    check_outputs([arguments.out], arguments)
    check_file(arguments.out)
    if arguments.checkpoint_dir is None:
        return
    checkpoint = arguments.checkpoint_dir / FILE_NAME
    check_outputs([checkpoint], arguments, "--checkpoint-dir")
    check_folder(arguments.checkpoint_dir, "--checkpoint-dir")
    if checkpoint.resolve() == arguments.out.resolve():
        raise ValueError(f"--out {arguments.out}: the checkpoint has this name; choose another one")


def _check_needs(objective: Objective, arguments: argparse.Namespace) -> None:
    """Refuse, before the records are read, an objective that lacks what it needs."""
    for name in objective.needs:
        who = objective._who_needs(name)
        if name not in _COLUMNS:
            raise ValueError(f"{who} needs {name}, which only Pretrainer.fit in Python takes")
        if getattr(arguments, name) is None:
            columns = ",".join(("record", _COLUMNS[name][0]))
            raise ValueError(f"{who} needs --{name}, a CSV file with the columns {columns}")
