"""Records whose P waves the segmenter "ludb" had lost, by it and by networks that have not seen them.

    python -m benchmarks.delineation.failures --ptbxl PTBXL --qtdb QTDB --before LUDB.bssl

LUDB.bssl is a segmenter trained on LUDB alone, with an encoder (`benchmarks.delineation.cross_validate` --rows ours, or
the one of earlier versions). Draws 6 s of each record twice. Records of the QT Database: by the network of the fold
that leaves out their source. Those of PTB-XL (fold 9, left bundle branch block): by "waves", which knows folds 1 to 7.

Cannot show: how often it happens; the tables do.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from beatssl_sklearn import ECGRecord, WaveSegmenter, fetch_ptbxl, fetch_qtdb
from beatssl_sklearn.plotting import plot_delineation

from .common import as_shipped, make_parser
from .recipe import SOURCES

QTDB = ("sel38", "sel40", "sel42", "sel46", "sel52", "sel306", "sel821")
PTBXL_ID, N_PTBXL = 798, 3
LEADS = ("I", "II", "V1")
SECONDS = 6.0


def draw(file: Path, record: ECGRecord, title: str, networks: dict[str, WaveSegmenter]) -> None:
    """Draw what each network finds in a record."""
    figure = Figure(figsize=(11, 2.2 + 1.9 * len(record.leads)), layout="constrained")
    parts = figure.subfigures(len(networks), 1)
    for part, (name, network) in zip(parts, networks.items(), strict=True):
        table = network.set_params(check="ignore").delineate([record])
        n_p = int((table.wave == "P").sum())
        text = f"{title}, {name}: {n_p} P in {len(record.leads)} leads"
        plot_delineation(record, table=table, title=text, figure=part)
    figure.savefig(file, dpi=64)


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--ptbxl", type=Path, required=True, help="PTB-XL as published")
    parser.add_argument("--qtdb", type=Path, required=True, help="the QT Database as published")
    parser.add_argument("--before", type=Path, required=True, help="a segmenter trained on LUDB alone")
    args = parser.parse_args(argv)
    folder = args.out / "pictures" / "failures"
    folder.mkdir(parents=True, exist_ok=True)
    before = WaveSegmenter.load(args.before)
    qtdb = fetch_qtdb(args.qtdb, records=QTDB, download_if_missing=False)
    for i, name in enumerate(QTDB):
        whole, first = qtdb.data[i], int(min(marks[:, 1].min() for marks in qtdb.waves[i].values() if len(marks)))
        piece = whole.signal[:, first : first + round(SECONDS * whole.fs)]
        fold = next(k for k, sources in enumerate(SOURCES) if qtdb.source[i] in sources)
        after = as_shipped(WaveSegmenter.load(Path(args.cache) / f"waves-fold{fold}.bssl"))
        networks = {"before": before, f"after (not trained on '{qtdb.source[i]}')": after}
        draw(folder / f"{name}.png", ECGRecord(piece, whole.fs, whole.leads), name, networks)
    ptbxl = fetch_ptbxl(args.ptbxl, folds=9, download_if_missing=False)
    blocked = [i for i, s in enumerate(ptbxl.subclass) if "CLBBB" in s and "SR" in ptbxl.rhythm[i]]
    lost = before.set_params(fs=ptbxl.fs, leads=ptbxl.leads).delineate([ptbxl.data[i] for i in blocked])
    n_p = np.bincount(lost.record[lost.wave == "P"], minlength=len(blocked))
    # The one of the tests first, then those of which the most was lost.
    for k in sorted(range(len(blocked)), key=lambda k: (ptbxl.record_id[blocked[k]] != PTBXL_ID, n_p[k]))[:N_PTBXL]:
        i = blocked[k]
        record = ptbxl.data[i]
        rows = [record.leads.index(lead) for lead in LEADS]
        piece = ECGRecord(record.signal[rows][:, : round(SECONDS * record.fs)], record.fs, LEADS)
        name = f"ptbxl-{ptbxl.record_id[i]}"
        draw(folder / f"{name}.png", piece, name, {"before": before, "after": WaveSegmenter.load("waves")})


if __name__ == "__main__":
    main()
