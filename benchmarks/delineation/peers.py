"""Delineation beside what people can install: NeuroKit2, ecgdeli, prominence-delineator, openecg on the same records.

    python -m benchmarks.delineation.peers --qtdb QTDB --peer ecgdeli=PYTHON --peer openecg-v56c=PYTHON --ours ludb=ludb
    python -m benchmarks.delineation.peers --qtdb QTDB --ours waves=0.bssl,1.bssl,2.bssl,3.bssl,4.bssl

To be run with OMP_NUM_THREADS=1. PYTHON is the interpreter of an environment that has the peer;
`benchmarks.delineation.peer_drivers` has their names and runs there. "openecg-codec" takes openecg, torch and scipy,
"openecg-v56c" openecg, ai-edge-litert and scipy, "prominence-delineator" its extra "all". A row of --ours has one file
or shipped name, which delineates all records, or five networks, of which network k delineates the records of fold k:
those that `benchmarks.delineation.train` leaves out, a fifth of LUDB and some sources of the QT Database. Marks are
kept record by record under --cache: an interrupted run goes on. With --fold, only LUDB's records of one fold; with
--quick, four records of each set.

Measures: LUDB, per lead: F1 of onsets and offsets together within 150 ms, and within the tolerances of Martinez et al.
2004 (P 50, QRS 40, onset of T 50, offset of T 100 ms); SD of the errors within 150 ms. QT Database: one set of marks
holds for two leads; of each mark the lead counts whose own is nearer, within 150 ms: sensitivity of peaks, SD of errors
of all records together. 95 % intervals by bootstrap over patients. Records per second of CPU time, one thread.

Cannot show: false positives on the QT Database, where not every beat is marked; what other settings of a peer would
give; how well a trained peer does on patients it has not seen, where the table says that it was trained on these.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

import beatssl_sklearn
from beatssl_sklearn import WaveSegmenter, fetch_ludb
from beatssl_sklearn.datasets import fetch_qtdb
from beatssl_sklearn.ecg.waves import WAVES

from ..study.results import Row, Table, command_of, with_interval, write_markdown
from .common import BOUNDARIES, N_FOLDS, as_shipped, folds_of, make_parser
from .peer_drivers import PEERS
from .peer_scores import ERRORS, F1, count, with_intervals
from .recipe import SOURCES

DRIVER = Path(__file__).with_name("peer_drivers.py")
RULES = "nothing: rules"
SEEN = {"ludb": "LUDB, these 150 records", "waves": "LUDB and QT Database, these records; PTB-XL"}
ABOUT = {
    "neurokit2-dwt": ("MIT", RULES),
    "neurokit2-prominence": ("MIT", RULES),
    "prominence-delineator": ("GPL-3.0", RULES),
    "ecgdeli": ("GPL-3.0", RULES),
    "openecg-codec": ("Apache-2.0", "LUDB (160 of 200 records), QT Database, ISP"),
    "openecg-v56c": ("Apache-2.0", "LUDB (160 of 200 records), QT Database, ISP, synthetic AV blocks"),
}


class Records(NamedTuple):
    """Records of a set, with their marks and the fold of each."""

    name: str
    ids: list[str]
    data: list[Any]
    waves: list[Any]
    fold: NDArray[np.int64]
    fs: float


class Marked(NamedTuple):
    """What one row of the table found: per record marks (n_waves, 5) as in the drivers' files, and CPU time [s]."""

    marks: list[NDArray[np.float64]]
    seconds: NDArray[np.float64]
    n_failed: int


# ---- records ---------------------------------------------------------------------------------------------------------


def read_records(name: str, args: argparse.Namespace) -> Records:
    """Read the records of a set that are asked for."""
    if name == "ludb":
        numbers = sorted(int(n.rpartition("/")[2]) for n in (args.data / "ludb/RECORDS").read_text().split())
        fold = np.zeros(len(numbers), np.int64)
        for k, test in enumerate(folds_of(len(numbers))):
            fold[test] = k
        kept = np.flatnonzero(fold == args.fold) if args.fold is not None else np.arange(len(numbers))
        kept = kept[:4] if args.quick else kept
        found = fetch_ludb(args.data / "ludb", records=[numbers[i] for i in kept], download_if_missing=False)
    else:
        found = fetch_qtdb(args.qtdb or args.data / "qtdb", download_if_missing=False)
        fold = np.array([next(k for k, own in enumerate(SOURCES) if source in own) for source in found.source])
        kept = np.arange(4 if args.quick else len(found.data))
    n = len(kept)
    data, waves = [found.data[i] for i in range(n)], [found.waves[i] for i in range(n)]
    return Records(name, [str(i) for i in found.record_id[:n]], data, waves, fold[kept], found.fs)


# ---- marks -----------------------------------------------------------------------------------------------------------


def read_marks(folder: Path, ids: Sequence[str]) -> Marked:
    """Read the marks that were kept."""
    marks, seconds, n_failed = [], [], 0
    for name in ids:
        with np.load(folder / f"{name}.npz") as kept:
            marks.append(kept["marks"])
            seconds.append(float(kept["seconds"]))
            n_failed += len(kept["errors"])
    return Marked(marks, np.array(seconds), n_failed)


def run_peer(peer: str, python: str, *words: str) -> str:
    """Run the driver in the environment of a peer and return what it printed."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        [python, str(DRIVER), peer, *words],
        env=environment | {"OMP_NUM_THREADS": "1"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout.strip()


def peer_marks(peer: str, python: str, version: str, records: Records, cache: Path) -> Marked:
    """Let a peer delineate the records that it has not done."""
    folder = cache / "peers" / f"{peer}-{version}" / records.name
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as given:
        for name, record in zip(records.ids, records.data, strict=True):
            if not (folder / f"{name}.npz").exists():
                np.savez(Path(given) / f"{name}.npz", signal=record.signal, fs=record.fs)
        if any(Path(given).iterdir()):
            run_peer(peer, python, "mark", given, str(folder))
    return read_marks(folder, records.ids)


def file_of(name: str) -> Path:
    """Return the file of a network, which may be a shipped one's name."""
    shipped = Path(beatssl_sklearn.__file__).parent / "weights" / f"{name}.bssl"
    return shipped if "/" not in name and shipped.exists() else Path(name)


def own_marks(files: Sequence[str], records: Records, cache: Path) -> Marked:
    """Delineate with one network, or each fold with its own."""
    contents = b"".join(file_of(name).read_bytes() for name in files)
    folder = cache / "peers" / f"ours-{hashlib.sha256(contents).hexdigest()[:12]}" / records.name
    folder.mkdir(parents=True, exist_ok=True)
    for k, file in enumerate(files):
        own = [i for i in range(len(records.ids)) if len(files) == 1 or records.fold[i] == k]
        missing = [i for i in own if not (folder / f"{records.ids[i]}.npz").exists()]
        if not missing:
            continue
        segmenter = WaveSegmenter.load(file) if len(files) == 1 else as_shipped(WaveSegmenter.load(file))
        segmenter.delineate([records.data[missing[0]]])  # the first call loads and compiles
        for i in missing:
            start = time.process_time()
            table = segmenter.delineate([records.data[i]])
            seconds = time.process_time() - start
            columns = [[records.data[i].leads.index(v) for v in table.lead], [WAVES.index(v) for v in table.wave]]
            marks = np.array([*columns, *(table[b] for b in BOUNDARIES)], np.float64).T
            part = folder / f"{records.ids[i]}.part.npz"
            np.savez_compressed(part, marks=marks, seconds=seconds, errors=np.zeros(0, str))
            os.replace(part, folder / f"{records.ids[i]}.npz")
    return read_marks(folder, records.ids)


# ---- page ------------------------------------------------------------------------------------------------------------

LUDB_SDS = ("SD P on", "SD P off", "SD QRS on", "SD QRS off", "SD T off")
QTDB_SCORES = (
    *("sensitivity P", "sensitivity QRS", "sensitivity T"),
    *("SD P on", "SD P off", "SD QRS on", "SD QRS off", "SD T peak", "SD T off"),
    *(f"record SD {name}" for name in ERRORS),
)


def scored(records: Records, found: Marked, seed: int) -> Row:
    """Return the scores of a row."""
    leads = [record.leads for record in records.data]
    compared: Literal["each", "nearest"] = "each" if records.name == "ludb" else "nearest"
    counts = count(records.waves, leads, found.marks, records.fs, compared)
    speed = 1 / float(np.median(found.seconds))
    about = {"set": records.name, "n_records": len(records.ids), "records_per_s": speed, "n_failed": found.n_failed}
    return about | with_intervals(counts, seed)


def trained_on(row: str, files: Sequence[str]) -> str:
    """Say what the networks of a row were trained on."""
    return "other folds" if len(files) > 1 else SEEN.get(row, "see its card")


def cells(row: Row, names: Sequence[str]) -> list[str]:
    """Show scores with their intervals, SDs in ms."""
    shown = []
    for name in names:
        if name.startswith("record SD"):
            shown.append(f"{row[name]:.1f}")
            continue
        limits = row[name], row[f"{name}_low"], row[f"{name}_high"]
        is_sd = name.startswith("SD")
        shown.append("{:.1f} ({:.1f}-{:.1f})".format(*limits) if is_sd else with_interval(row, name))
    return shown


def line(row: Row, scores: Sequence[str]) -> list[str]:
    """Show a row of the table."""
    name = f"{row['row']} {row['version']}".rstrip()
    about = [name, row["licence"], row["trained_on"], str(row["n_records"])]
    return [*about, *cells(row, scores), str(row["n_failed"]), f"{row['records_per_s']:.1f}"]


def markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table."""
    return [f"| {' | '.join(words)} |" for words in (header, ["---"] * len(header), *lines)]


def write_page(args: argparse.Namespace, rows: Sequence[Row], command: str) -> None:
    """Write both tables of all rows that are finished."""
    about = [
        "Each peer in an environment of its own, with its defaults, on the same records. F1: onsets and offsets",
        "together within 150 ms, then within the tolerance [ms] in the column's name. SD: of errors within 150 ms, in",
        "ms, of all records together; record SD: the mean of the records' SDs, as Martinez et al. report it. 95 %",
        "intervals by bootstrap over patients. Failed: leads on which a peer raised; they have no marks.",
        "Records/s: CPU time of one thread, median over the records. Records of the QT Database last 27 s to 5 min.",
        "openecg gives no peaks: here they are the samples farthest from the line between onset and offset.",
        "",
    ]
    tables = []
    for name, title, scores in (
        ("ludb", "LUDB: each lead, 500 Hz", (*F1, *LUDB_SDS)),
        ("qtdb", "QT Database: two leads, 250 Hz, for each mark the nearer lead", QTDB_SCORES),
    ):
        lines = [line(row, scores) for row in rows if row["set"] == name]
        header = ["", "licence", "trained on", "records", *scores, "failed", "records/s"]
        tables.append((title, header, lines))
        sys.stdout.write("\n".join(" | ".join(words) for words in lines) + "\n")
    (title, header, lines), (last_title, last_header, last_lines) = tables
    about += [f"## {title}", "", *markdown(header, lines), "", f"## {last_title}"]
    path = args.out / "peers.md"
    write_markdown(path, "Delineation beside other packages", about, command, last_header, last_lines)


def pairs(words: Sequence[str], option: str, parser: argparse.ArgumentParser) -> list[tuple[str, str]]:
    """Split NAME=VALUE."""
    found = [tuple(word.partition("=")[::2]) for word in words]
    if not all(name and value for name, value in found):
        parser.error(f"{option} takes NAME=VALUE, got {' '.join(words)}")
    return [(name, value) for name, value in found]


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON", help=", ".join(PEERS))
    parser.add_argument("--ours", action="append", default=[], metavar="NAME=FILE[,FILE...]")
    parser.add_argument("--qtdb", type=Path, help="the QT Database as published; default: qtdb in --data")
    parser.add_argument("--sets", default="qtdb,ludb")
    parser.add_argument("--fold", type=int, choices=range(N_FOLDS), help="only the LUDB records of this fold")
    args = parser.parse_args(argv)
    peers = pairs(args.peer, "--peer", parser)
    if unknown := [name for name, _ in peers if name not in PEERS]:
        parser.error(f"--peer has {unknown[0]!r}; there are {', '.join(PEERS)}")
    ours = [(name, files.split(",")) for name, files in pairs(args.ours, "--ours", parser)]
    if wrong := [name for name, files in ours if len(files) not in (1, N_FOLDS)]:
        parser.error(f"--ours {wrong[0]} takes one file, or {N_FOLDS} of which file k has not seen fold k")
    if absent := [file for _, files in ours for file in files if not file_of(file).exists()]:
        parser.error(f"--ours: there is no file or shipped model {absent[0]}")
    versions = {name: run_peer(name, python, "about") for name, python in peers}
    table = Table(args.out / "peers.csv", ("row", "version", "set", "n_records"))
    for name in args.sets.split(","):
        records = read_records(name, args)
        for row, files in ours:
            found = own_marks(files, records, args.cache)
            about = {"row": row, "version": "", "licence": "this package's", "trained_on": trained_on(row, files)}
            table.add(about | scored(records, found, args.seed))
        for peer, python in peers:
            found = peer_marks(peer, python, versions[peer], records, args.cache)
            licence, trained = ABOUT[peer]
            about = {"row": peer, "version": versions[peer], "licence": licence, "trained_on": trained}
            table.add(about | scored(records, found, args.seed))
    write_page(args, table.rows, command_of("benchmarks.delineation.peers", argv or sys.argv[1:]))


if __name__ == "__main__":
    main()
