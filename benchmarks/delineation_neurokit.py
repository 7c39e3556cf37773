"""NeuroKit2's delineation of LUDB, scored as the package's own.

Command
-------
NeuroKit2 needs another pandas than the package, hence two steps in two environments. In one with ``pip install
neurokit2 wfdb``::

    OMP_NUM_THREADS=1 python benchmarks/delineation_neurokit.py mark --data LUDB --out marks.csv.gz

and in the package's::

    python -m benchmarks.delineation_neurokit score --data DATA --marks marks.csv.gz

The first takes minutes and writes the marks and, beside them, a ``.json`` of times, failures and versions; records
whose marks are there already are not done again.

What it measures
----------------
Per lead as recorded (500 Hz, mV): `ecg_clean`, R peaks by `ecg_peaks`, waves by `ecg_delineate`, all with their
defaults. R peaks are those of the lead itself ("own"), or those of lead II for all twelve leads ("II"). They are the
QRS peaks; QRS onset and offset are ECG_R_Onsets and ECG_R_Offsets. "peak" gives neither these nor P offsets and T
onsets. A lead on which NeuroKit2 raises has no marks. Scores by `delineation_scores`, 95 % intervals by bootstrap over
patients. Times are CPU time of cleaning, R peaks and delineation of a lead; with "II" a twelfth of its R peaks counts.

What it cannot show
-------------------
Times elsewhere: other processes move them. How well another choice of its settings would do; "cwt" is left out, whose
lists of P and T waves are one beat short.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import platform
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
WAVES = {"P": "P", "QRS": "R", "T": "T"}
BOUNDARIES = ("onset", "peak", "offset")
COLUMNS = ("method", "rpeaks", "record", "lead", "wave", *BOUNDARIES)
METHODS = ("dwt", "prominence", "peak")
SOURCES = ("II", "own")
COUNTS = ("n_true", "n_predicted", "n_matched", "sum_error_ms", "sum_squared_error_ms2")
N_BOOTSTRAP = 1000
FS = 500


# ---- marks, in NeuroKit2's environment -------------------------------------------------------------------------------


class Timed(NamedTuple):
    """Result or error of a call, and its CPU time [ms]."""

    result: Any
    error: str
    ms: float


def timed(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Timed:
    """Call a function that may raise anything."""
    start = time.process_time()
    try:
        result, error = function(*args, **kwargs), ""
    # NeuroKit2 raises whatever numpy and pandas raise when a lead defies its assumptions.
    except Exception as raised:
        result, error = None, f"{function.__name__}: {type(raised).__name__}: {raised}"
    return Timed(result, error, 1000 * (time.process_time() - start))


def by_beat(found: Sequence[float] | None, n_beats: int) -> NDArray[np.float64]:
    """One mark per beat, NaN where it is missing."""
    # NeuroKit2 drops marks before the first sample from its lists, which only those of the first beats can be.
    kept = np.asarray([] if found is None else found, dtype=np.float64)
    if len(kept) > n_beats:
        raise ValueError(f"{len(kept)} marks of {n_beats} beats")
    return np.concatenate([np.full(n_beats - len(kept), np.nan), kept])


def waves_of(found: dict[str, Any], rpeaks: NDArray[np.int64]) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Onset, peak and offset of each wave that has one of them."""
    for wave, letter in WAVES.items():
        kinds = [by_beat(found.get(f"ECG_{letter}_{kind}s"), len(rpeaks)) for kind in ("Onset", "Peak", "Offset")]
        if wave == "QRS":
            kinds[1] = rpeaks.astype(np.float64)
        marks = np.stack(kinds, axis=1)
        for times in marks[~np.isnan(marks).all(axis=1)]:
            yield wave, times


def delineate(cleaned: Timed, peaks: Timed, method: str) -> Timed:
    """Delineate a cleaned lead from given R peaks."""
    import neurokit2 as nk

    def ecg_delineate() -> list[tuple[str, NDArray[np.float64]]]:
        found = nk.ecg_delineate(cleaned.result, peaks.result, sampling_rate=FS, method=method)[1]
        return list(waves_of(found, np.asarray(peaks.result)))

    error = cleaned.error or peaks.error
    return Timed(None, error, 0.0) if error else timed(ecg_delineate)


def mark_record(signals: NDArray[np.float64], methods: Sequence[str]) -> Iterator[tuple[str, str, str, Timed]]:
    """Delineate the leads of a record: method, source of R peaks, lead, and its waves with their whole CPU time."""
    import neurokit2 as nk

    def ecg_peaks(cleaned: Timed) -> NDArray[np.int64]:
        return nk.ecg_peaks(cleaned.result, sampling_rate=FS)[1]["ECG_R_Peaks"]

    cleaned = [timed(nk.ecg_clean, signal, sampling_rate=FS) for signal in signals]
    own = [Timed(None, c.error, 0.0) if c.error else timed(ecg_peaks, c) for c in cleaned]
    shared = own[LEADS.index("II")]
    shared = Timed(shared.result, shared.error, shared.ms / len(LEADS))
    for lead, clean, peaks in zip(LEADS, cleaned, own, strict=True):
        for method in methods:
            for source, given in zip(SOURCES, (shared, peaks), strict=True):
                # On lead II both are the same.
                if source == SOURCES[0] or lead != "II":
                    done = delineate(clean, given, method)
                yield method, source, lead, Timed(done.result, done.error, clean.ms + given.ms + done.ms)


def open_marks(path: Path, mode: str) -> Any:
    """Open a table, compressed if its name ends in .gz."""
    return gzip.open(path, mode + "t", newline="") if path.suffix == ".gz" else open(path, mode, newline="")


def about_path(marks: Path) -> Path:
    """Return the file with the times, failures and versions of marks."""
    return marks.with_name(marks.name.removesuffix(".gz").removesuffix(".csv") + ".json")


def mark(args: argparse.Namespace) -> None:
    """Write the marks of all records, and times, failures and versions."""
    import wfdb

    folder = args.data / "ludb" if (args.data / "ludb").is_dir() else args.data
    names = sorted((p.stem for p in (folder / "data").glob("*.hea")), key=int)[: args.records]
    packages = ("neurokit2", "numpy", "pandas", "scipy", "wfdb")
    about: dict[str, Any] = {
        "methods": args.method,
        "records": [],
        "bytes": 0,
        "failures": [],
        "ms": {f"{method} {source}": [] for method in args.method for source in SOURCES},
        "versions": {"python": platform.python_version()} | {package: version(package) for package in packages},
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if about_path(args.out).exists():
        about = json.loads(about_path(args.out).read_text())
        if about["methods"] != list(args.method):
            raise ValueError(f"{args.out.name} holds {about['methods']}, but --method is {list(args.method)}")
        # Rows of a record that was interrupted between the two files would be there twice.
        os.truncate(args.out, about["bytes"])
    else:
        with open_marks(args.out, "w") as stream:
            csv.writer(stream, lineterminator="\n").writerow(COLUMNS)
    for name in names:
        if int(name) in about["records"]:
            continue
        record = wfdb.rdrecord(str(folder / "data" / name))
        if record.fs != FS:
            raise ValueError(f"record {name} has {record.fs} Hz, expected {FS}")
        order = [[s.lower() for s in record.sig_name].index(lead.lower()) for lead in LEADS]
        rows = []
        with warnings.catch_warnings():
            # It warns of short records and few peaks; its marks are taken as they are.
            warnings.simplefilter("ignore")
            for method, source, lead, done in mark_record(record.p_signal.T[order], about["methods"]):
                if done.error:
                    about["failures"].append([method, source, int(name), lead, done.error])
                    continue
                about["ms"][f"{method} {source}"].append(round(done.ms, 2))
                for wave, times in done.result:
                    marks = ["" if np.isnan(t) else f"{t:g}" for t in times]
                    rows.append([method, source, name, lead, wave, *marks])
        with open_marks(args.out, "a") as stream:
            csv.writer(stream, lineterminator="\n").writerows(rows)
        about["records"].append(int(name))
        about["bytes"] = args.out.stat().st_size
        about_path(args.out).write_text(json.dumps(about) + "\n")
    sys.stdout.write(f"{len(about['records'])} records, {len(about['failures'])} failures\n")


# ---- scores, in the package's environment ----------------------------------------------------------------------------


def intervals(counts: Any, seed: int = 0) -> dict[tuple[str, str], dict[str, float]]:
    """95 % intervals of the scores of each wave and boundary, drawing patients; LUDB has one record of each."""
    waves = list(WAVES)
    table = counts[list(COUNTS)].to_numpy(np.float64).reshape(-1, len(waves), len(BOUNDARIES), len(COUNTS))
    n = len(table)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=N_BOOTSTRAP)
    sums = np.einsum("bp,pwkc->bwkc", drawn, table)
    out: dict[tuple[str, str], dict[str, float]] = {}
    for w, wave in enumerate(waves):
        for boundary, kept in (*((b, [k]) for k, b in enumerate(BOUNDARIES)), ("on+off", [0, 2])):
            true, predicted, matched, error, square = sums[:, w, kept].sum(axis=1).T
            with np.errstate(invalid="ignore", divide="ignore"):
                mean = error / matched
                replicates = {
                    "sensitivity": matched / true,
                    "ppv": matched / predicted,
                    "f1": 2 * matched / (true + predicted),
                    "mean_error_ms": mean,
                    "sd_error_ms": np.sqrt(np.maximum(square / matched - mean**2, 0)),
                }
            out[wave, boundary] = {}
            for name, values in replicates.items():
                defined = values[~np.isnan(values)]
                low, high = np.quantile(defined, [0.025, 0.975]) if len(defined) else (np.nan, np.nan)
                out[wave, boundary] |= {f"{name}_low": float(low), f"{name}_high": float(high)}
    return out


class Run(NamedTuple):
    """Scores of one method with one source of R peaks: one row per wave and boundary."""

    method: str
    rpeaks: str
    rows: list[dict[str, Any]]
    failures: list[list[Any]]
    n_leads: int
    ms_per_lead: float

    def row(self, wave: str, boundary: str) -> dict[str, Any]:
        """The scores of one wave and boundary."""
        return next(row for row in self.rows if (row["wave"], row["boundary"]) == (wave, boundary))

    @property
    def mean_f1(self) -> float:
        """Mean over waves of the F1 of onsets and offsets; what a method never gives counts as missed."""
        return float(np.mean([self.row(wave, "on+off")["f1"] for wave in WAVES]))


def score_runs(about: dict[str, Any], path: Path, data: Path) -> list[Run]:
    """Score each method with each source of R peaks."""
    import pandas

    from beatssl_sklearn.datasets import fetch_ludb
    from beatssl_sklearn.evaluation import delineation_counts, delineation_scores

    ludb = fetch_ludb(data, records=about["records"], download_if_missing=False)
    true, found = list(ludb.waves), pandas.read_csv(path)
    found["record"] = found["record"].map({int(number): row for row, number in enumerate(ludb.record_id)})
    runs = []
    for method in about["methods"]:
        for source in SOURCES:
            marks = found[(found["method"] == method) & (found["rpeaks"] == source)]
            scores, limits = delineation_scores(true, marks, FS), intervals(delineation_counts(true, marks, FS))
            runs.append(
                Run(
                    method,
                    source,
                    [row | limits[row["wave"], row["boundary"]] for row in scores.to_dict("records")],
                    [failure[2:] for failure in about["failures"] if failure[:2] == [method, source]],
                    len(true) * len(LEADS),
                    float(np.median(about["ms"][f"{method} {source}"])),
                )
            )
    return runs


def with_limits(row: dict[str, Any], name: str) -> str:
    """A rate and its interval."""
    if not row["n_predicted"]:
        return "-"
    return f"{row[name]:.3f} ({row[f'{name}_low']:.3f}-{row[f'{name}_high']:.3f})"


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table."""
    return [f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *lines)]


def summary(runs: Sequence[Run]) -> list[str]:
    """Markdown of one line per run."""
    header = ["method", "R peaks", *(f"F1 {wave} on+off" for wave in WAVES), "mean", "F1 QRS peak", "failed", "ms"]
    lines = [
        [
            run.method,
            run.rpeaks,
            *(with_limits(run.row(wave, "on+off"), "f1") for wave in WAVES),
            f"{run.mean_f1:.3f}",
            with_limits(run.row("QRS", "peak"), "f1"),
            f"{len(run.failures)} of {run.n_leads}",
            f"{run.ms_per_lead:.1f}",
        ]
        for run in runs
    ]
    return markdown(header, lines)


def details(run: Run) -> list[str]:
    """Markdown of the scores of one run per wave and boundary."""
    lines = []
    for row in run.rows:
        cells = [row["wave"], row["boundary"], str(row["n_true"])]
        cells += [with_limits(row, name) for name in ("sensitivity", "ppv", "f1")]
        error = f"{row['mean_error_ms']:.1f} +- {row['sd_error_ms']:.1f}"
        cells += [error, f"{row['median_abs_error_ms']:.1f}"] if row["n_matched"] else ["-", "-"]
        lines.append(cells)
    header = ["wave", "boundary", "annotated", "sensitivity", "PPV", "F1", "error [ms]", "median absolute error [ms]"]
    return markdown(header, lines)


def exceptions(runs: Sequence[Run]) -> list[str]:
    """Markdown of what NeuroKit2 raised."""
    lines = []
    for run in runs:
        for message, n in Counter(message for *_, message in run.failures).most_common():
            n_records = len({record for record, _, m in run.failures if m == message})
            text = " ".join(message.replace("|", "/").split())
            lines.append([run.method, run.rpeaks, text, str(n), str(n_records)])
    return markdown(["method", "R peaks", "raised", "leads", "records"], lines) if lines else ["None."]


def page(runs: Sequence[Run], about: dict[str, Any], date: str) -> list[str]:
    """Lines of `neurokit.md`."""
    lines = [
        "# NeuroKit2's delineation of LUDB",
        "",
        "`OMP_NUM_THREADS=1 python benchmarks/delineation_neurokit.py mark --data LUDB --out marks.csv.gz`, then",
        f"`python -m benchmarks.delineation_neurokit score --data DATA --marks marks.csv.gz`, {date}.",
        f"Marks made with {', '.join(f'{name} {number}' for name, number in about['versions'].items())}.",
        "",
        f"{len(about['records'])} records, {runs[0].n_leads} leads, 500 Hz; a mark is right within 150 ms. Intervals:",
        "95 %, bootstrap over patients. Errors: predicted minus annotated times, mean +- standard deviation. NeuroKit2",
        "runs with its defaults on the leads as recorded. R peaks are those of the lead itself (own) or of lead II for",
        "all leads (II), and are taken as QRS peaks. A lead on which it raises (failed) has no marks. ms: CPU time per",
        "lead of cleaning, R peaks and delineation, median, one thread of a machine that had other work to do. on+off",
        "pools onsets and offsets; the method peak gives no QRS boundaries, P offsets and T onsets, which counts as",
        "missed there.",
        "",
        *summary(runs),
        "",
        "Below, per method, the source of R peaks with the higher mean: chosen on the records that are scored, which",
        "is in NeuroKit2's favour. All runs are in `neurokit.csv`.",
    ]
    for method in about["methods"]:
        best = max((run for run in runs if run.method == method), key=lambda run: run.mean_f1)
        lines += ["", f"## {method}, R peaks: {best.rpeaks}", "", *details(best)]
    return [*lines, "", "## Exceptions", "", *exceptions(runs)]


def score(args: argparse.Namespace) -> None:
    """Write `neurokit.csv` and `neurokit.md`."""
    about = json.loads(about_path(args.marks).read_text())
    runs = score_runs(about, args.marks, args.data)
    args.out.mkdir(parents=True, exist_ok=True)
    with open(args.out / "neurokit.csv", "w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["method", "rpeaks", "n_records", *runs[0].rows[0], "failed_leads", "ms_per_lead"])
        for run in runs:
            start, end = [run.method, run.rpeaks, len(about["records"])], [len(run.failures), f"{run.ms_per_lead:.1f}"]
            for row in run.rows:
                numbers = ["" if v != v else f"{v:.4f}" if isinstance(v, float) else v for v in row.values()]
                writer.writerow([*start, *numbers, *end])
    text = "\n".join(page(runs, about, args.date)) + "\n"
    (args.out / "neurokit.md").write_text(text)
    sys.stdout.write(text)


def main(argv: Sequence[str] | None = None) -> None:
    """Run one of the two steps."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    steps = parser.add_subparsers(dest="step", required=True)
    here = Path(__file__).resolve().parent
    default = Path(os.environ.get("BEATSSL_DATA", str(here.parents[1] / "shared" / "data")))
    first = steps.add_parser("mark", help="delineate, where NeuroKit2 is installed")
    first.add_argument("--data", type=Path, default=default, help="LUDB, or a folder with ludb/")
    first.add_argument("--out", type=Path, required=True, help="table of marks, .csv or .csv.gz")
    first.add_argument("--method", choices=METHODS, nargs="+", default=METHODS)
    first.add_argument("--records", type=int, default=None, help="the first so many, for trials")
    second = steps.add_parser("score", help="score marks, where the package is installed")
    second.add_argument("--data", type=Path, default=default, help="folder with ludb/")
    second.add_argument("--marks", type=Path, required=True)
    second.add_argument("--out", type=Path, default=here / "results" / "delineation")
    second.add_argument("--date", default="2026-11-21")
    args = parser.parse_args(argv)
    {"mark": mark, "score": score}[args.step](args)


if __name__ == "__main__":
    main()
