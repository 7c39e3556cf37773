"""P waves before wide complexes, and where there are none: records of PTB-XL whose rhythm is stated.

    python -m benchmarks.delineation.p_waves --ptbxl PTBXL --models ludb,waves --fold 9

Measures: in sinus rhythm with bundle branch blocks and other findings, the share of records in which a P is marked
before most complexes of lead II: the P begins at most .35 s before the complex. In fibrillation, and with pacemakers,
the P waves marked per minute and lead. Each from twelve leads, and from lead II alone. 95 % intervals by bootstrap over
records; a patient has few of them. `--steady` shows the trade of the limit `steady_p` of the shipped segmenter, whose
value was chosen on fold 9.

Cannot show: whether a P that is marked is one, in sinus rhythm; PTB-XL marks none. Nor what is hidden in a T.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from beatssl_sklearn import WaveSegmenter, fetch_ptbxl

from ..study.results import Row, Table, command_of, shown, write_markdown
from .common import make_parser

# Rhythms that are not sinus rhythm, or not alone.
OTHER = frozenset({"AFIB", "AFLT", "PACE", "SVTAC", "PSVT", "SVARR"})
SETS: dict[str, tuple[str, frozenset[str]]] = {
    "normal": ("NORM", OTHER),
    "left bundle branch block": ("CLBBB", OTHER),
    "right bundle branch block": ("CRBBB", OTHER),
    "unspecific conduction delay": ("IVCD", OTHER),
    "AV block": ("AVB", OTHER),
    "sinus tachycardia": ("STACH", OTHER),
    "fibrillation": ("AFIB", frozenset({"PACE"})),
    "paced": ("PACE", frozenset()),
}
MOST, BEFORE_S, N_BOOTSTRAP = 60, 0.35, 1000
SINUS = frozenset(SETS) - {"fibrillation", "paced"}


class Found(NamedTuple):
    """Of each record: the share of complexes of lead II with a P before them, and P waves per minute and lead."""

    share: NDArray[np.float64]
    per_minute: NDArray[np.float64]


def measure(segmenter: WaveSegmenter, X: NDArray[np.float32], fs: float, leads: tuple[str, ...]) -> Found:
    """Delineate records and count."""
    table = segmenter.set_params(fs=fs, leads=leads, check="ignore").delineate(X)
    n, minutes = len(X), X.shape[2] / fs / 60
    share = np.zeros(n)
    per_minute = np.bincount(table.record[table.wave == "P"], minlength=n) / minutes / len(leads)
    for record, own in table[table.lead == "II"].groupby("record"):
        qrs, p = own.onset_s[own.wave == "QRS"].to_numpy(), own.onset_s[own.wave == "P"].to_numpy()
        qrs = qrs[qrs > BEFORE_S]
        if len(qrs):
            gap = qrs[:, None] - p[None]
            share[record] = ((gap > 0) & (gap <= BEFORE_S)).any(axis=1).mean()
    return Found(share, per_minute)


def summary(found: Found, sinus: bool) -> Row:
    """Return the score of a set of records with its interval."""
    values = (found.share >= 0.5).astype(np.float64) if sinus else found.per_minute
    rng = np.random.default_rng(0)
    drawn = values[rng.integers(len(values), size=(N_BOOTSTRAP, len(values)))].mean(axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    return {"value": float(values.mean()), "low": low, "high": high, "complexes": float(found.share.mean())}


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--ptbxl", type=Path, required=True, help="PTB-XL as published")
    parser.add_argument("--models", default="waves", help="shipped names or files")
    parser.add_argument("--fold", type=int, default=9)
    parser.add_argument("--steady", default="", help="also with these values of `steady_p`; 0: without it")
    args = parser.parse_args(argv)
    ptbxl = fetch_ptbxl(args.ptbxl, folds=args.fold, download_if_missing=False)
    stated = [set(a) | set(b) | set(c) for a, b, c in zip(ptbxl.subclass, ptbxl.rhythm, ptbxl.form, strict=True)]
    table = Table(args.out / "p_waves.csv", ("records", "leads", "model", "fold"))
    for name, (wanted, without) in SETS.items():
        rows = [i for i, s in enumerate(stated) if wanted in s and not s & without][: 4 if args.quick else MOST]
        X = np.stack([ptbxl.data[i].signal for i in rows])
        for row, segmenter in asked(args.models, args.steady):
            for leads, signals in (("12", X), ("II", X[:, [1]])):
                names = tuple(ptbxl.leads) if leads == "12" else ("II",)
                key = {"records": name, "leads": leads, "model": row, "fold": args.fold}
                found = summary(measure(segmenter, signals, ptbxl.fs, names), name in SINUS)
                table.add(key | {"n": len(rows)} | found)
    write_page(args, table.rows, command_of("benchmarks.delineation.p_waves", argv or sys.argv[1:]))


def asked(models: str, steady: str) -> Iterator[tuple[str, WaveSegmenter]]:
    """Yield names and segmenters: each as it is, and with each value of `steady_p`."""
    for model in models.split(","):
        name = Path(model).stem
        yield name, WaveSegmenter.load(model)
        for share in filter(None, steady.split(",")):
            changed = WaveSegmenter.load(model).set_params(wave_params={"steady_p": float(share)})
            yield f"{name}, steady_p {shown(float(share))}" if float(share) else f"{name}, no steady_p", changed


def write_page(args: Any, rows: list[Row], command: str) -> None:
    """Write the table."""
    header = ["model", "fold", "records of PTB-XL", "n", "12 leads", "lead II alone"]
    by_key = {(r["model"], r["fold"], r["records"], str(r["leads"])): r for r in rows}
    lines = []
    # In the order in which models, folds and records came.
    for model, fold in dict.fromkeys((r["model"], r["fold"]) for r in rows):
        for records in SETS:
            both = [by_key.get((model, fold, records, leads)) for leads in ("12", "II")]
            if both[0] is not None and both[1] is not None:
                unit = "" if records in SINUS else " P/min"
                found = [_cell(r, unit) for r in both if r is not None]
                lines.append([model, str(fold), records, str(both[0]["n"]), *found])
    about = [
        f"PTB-XL, at most {MOST} records of each kind and fold. Sinus rhythm: share of records with a P",
        "before most complexes of lead II. Fibrillation and pacemakers: P waves marked per minute and lead. 95 %",
        "intervals by bootstrap over records. Networks were trained on other folds; `steady_p` was chosen on fold 9.",
    ]
    write_markdown(args.out / "p_waves.md", "P waves before wide complexes", about, command, header, lines)
    sys.stdout.write("\n".join(" | ".join(line) for line in lines) + "\n")


def _cell(row: Row, unit: str) -> str:
    if unit:
        return f"{row['value']:.1f} ({row['low']:.1f}-{row['high']:.1f}){unit}"
    return f"{shown(row['value'])} ({shown(row['low'])}-{shown(row['high'])})"


if __name__ == "__main__":
    main()
