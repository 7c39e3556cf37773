"""Commands and options of the command line, and their help."""

from __future__ import annotations

import argparse
from pathlib import Path

from .._version import __version__

_DESCRIPTION = """ECG embeddings and waves from the command line: a folder of WFDB records (name.hea with
name.dat) goes in, and a model, or a table of embeddings, waves or intervals, comes out.
"""
_EPILOG = """examples:
  beatssl demo
  beatssl pretrain my_records --out model.bssl --epochs 20
  beatssl embed model.bssl my_records --out records.csv
  beatssl embed model.bssl my_records --level beat --out beats.parquet
  beatssl delineate my_records --out waves --annotations --plot 3
  beatssl info model.bssl

exit status: 0 done; 1 done, but --strict and some records were skipped; 2 not done.
For research only; not a medical device.
"""
_FOLDER = "folder with the WFDB records: those in its file RECORDS, else every header below it"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; the namespace that it makes has the command's name as `command`."""
    parser = argparse.ArgumentParser(
        "beatssl", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=name)
        return sub

    _add_demo(command("demo", "Pretrain, embed, classify and plot in a few minutes; needs no data."))
    _add_pretrain(command("pretrain", "Pretrain an encoder on a folder of ECGs, without labels."))
    _add_embed(command("embed", "Write the embeddings of a folder of ECGs to a table."))
    _add_delineate(command("delineate", "Mark P, QRS and T in a folder of ECGs, and measure the intervals."))
    info = command("info", "Tell what a model file holds.")
    info.add_argument("model", metavar="MODEL", help="file that `beatssl pretrain` or `save` wrote")
    return parser


def _add_demo(demo: argparse.ArgumentParser) -> None:
    demo.add_argument("--out", type=Path, default=Path("demo_output"), help="folder for the results [%(default)s]")
    demo.add_argument("--data", type=Path, help="folder of WFDB records, for example PTB-XL; without it: simulated")
    demo.add_argument("--seed", type=int, default=0, help="seed of everything random [%(default)s]")


def _add_pretrain(pretrain: argparse.ArgumentParser) -> None:
    pretrain.add_argument("folder", metavar="DIR", type=Path, help=_FOLDER)
    pretrain.add_argument("--out", type=Path, required=True, help="model file to write, for example model.bssl")
    pretrain.add_argument("--epochs", type=int, default=20, help="passes over the records; 0: none [%(default)s]")
    pretrain.add_argument("--batch-size", type=_positive, default=128, help="records per training step [%(default)s]")
    pretrain.add_argument("--size", choices=("s", "m", "l"), default="m", help="size of the network [%(default)s]")
    pretrain.add_argument("--fs-model", type=float, default=100.0, help="rate inside the network [%(default)g Hz]")
    pretrain.add_argument("--lr", type=float, default=1e-3, help="highest learning rate [%(default)g]")
    pretrain.add_argument(
        "--patients", type=Path, help="CSV file with the columns record,patient: who belongs to whom"
    )
    pretrain.add_argument("--allow-nan", action="store_true", help="use records that have missing samples, too")
    pretrain.add_argument("--checkpoint-dir", type=Path, help="folder from which an interrupted run goes on")
    pretrain.add_argument("--seed", type=int, default=0, help="seed of everything random [%(default)s]")
    _add_common(pretrain)


def _add_embed(embed: argparse.ArgumentParser) -> None:
    embed.add_argument("model", metavar="MODEL", help="file that `beatssl pretrain` or `save` wrote")
    embed.add_argument("folder", metavar="DIR", type=Path, help=_FOLDER)
    embed.add_argument("--level", choices=("rhythm", "beat"), default="rhythm", help="a row per record or heartbeat")
    embed.add_argument("--out", type=Path, required=True, help="table to write: .csv, .parquet or .npz")
    embed.add_argument("--batch-size", type=_positive, default=32, help="records at a time [%(default)s]")
    _add_common(embed)


def _add_delineate(delineate: argparse.ArgumentParser) -> None:
    delineate.add_argument("folder", metavar="DIR", type=Path, help=_FOLDER)
    delineate.add_argument(
        "--out", type=Path, required=True, help="folder for the results: tables of waves and of intervals, and the rest"
    )
    delineate.add_argument("--model", default="ludb", help="shipped segmenter, or file with one [%(default)s]")
    delineate.add_argument("--consensus", action="store_true", help="also the waves that the leads agree on")
    delineate.add_argument(
        "--annotations", action="store_true", help="also a WFDB annotation file for each lead, in OUT/annotations"
    )
    delineate.add_argument("--format", choices=("csv", "parquet"), default="csv", help="of the tables [%(default)s]")
    delineate.add_argument(
        "--plot", metavar="N", type=_positive, default=0, help="also pictures of the first N records, in OUT/plots"
    )
    delineate.add_argument("--allow-nan", action="store_true", help="use records that have missing samples, too")
    _add_common(delineate)


def _add_common(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--leads", metavar="NAMES", type=_comma_separated, help="leads to use, for example I,II,V2 [all]")
    sub.add_argument(
        "--positional", action="store_true", help="the records' own lead names are wrong: --leads names them, in order"
    )
    sub.add_argument("--device", help="cpu or cuda [the best there is]")
    sub.add_argument("--strict", action="store_true", help="exit with status 1 if a record had to be skipped")
    sub.add_argument("--quiet", action="store_true", help="no progress bars")


def _comma_separated(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, got {text!r}")
    return int(text)
