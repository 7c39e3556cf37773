"""Strips of beats labelled by a head that has not seen their patient, beside the annotations.

    python -m benchmarks.sequences.pictures --svdb SVDB

The stretch of each record is chosen by hand, for what it shows; two go wrong. Pictures go to `results/sequences`.
"""

from __future__ import annotations

import argparse
import os
import warnings
from pathlib import Path

from matplotlib.figure import Figure
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from beatssl_sklearn import BeatContext, fetch_mitdb, fetch_svdb
from beatssl_sklearn.plotting import plot_beats

from .beats import labeller, load_beats

STRIPS = {
    "208": (120.0, "ventricular beats and fusions"),
    "209": (1290.0, "supraventricular beats, one missed"),
    "869": (300.0, "supraventricular runs, SVDB"),
    "106": (1050.0, "ventricular beats, some taken for supraventricular ones"),
    "854": (600.0, "supraventricular beats that are missed, SVDB"),
}
DURATION = 20.0


def main() -> None:
    here = Path(__file__).parents[1]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = os.environ.get("BEATSSL_DATA", str(here.parents[1] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(shared), help="folder with mitdb/ as published")
    parser.add_argument("--svdb", type=Path, required=True, help="folder of SVDB as published")
    parser.add_argument("--cache", type=Path, default=here.parent / "runs" / "sequences")
    parser.add_argument("--out", type=Path, default=here / "results" / "sequences")
    args = parser.parse_args()
    threadpool_limits(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    sets = [load_beats(name, args) for name in ("mitdb", "svdb")]
    read = {"mitdb": fetch_mitdb(args.data / "mitdb", records="DS1", download_if_missing=False)}
    read["svdb"] = fetch_svdb(args.svdb, download_if_missing=False)
    context = BeatContext(n_components=0)
    described = [context.fit_transform(one.beats) for one in sets]
    every = [(s, i) for s, one in enumerate(sets) for i in range(len(one.names))]
    args.out.mkdir(parents=True, exist_ok=True)
    for name, (start, what) in STRIPS.items():
        s, i = next((s, i) for s, i in every if sets[s].names[i] == name)
        others = [(t, j) for t, j in every if t != s or sets[t].groups[j] != sets[s].groups[i]]
        head = labeller().fit([described[t][j] for t, j in others], [sets[t].labels[j] for t, j in others])
        record = read["mitdb" if s == 0 else "svdb"].data[i]
        figure = plot_beats(
            record,
            sets[s].rpeaks[i],
            head.predict([described[s][i]])[0],
            reference=sets[s].labels[i],
            start=start,
            duration=DURATION,
            title=f"{name}: {what}",
            figure=Figure(),
        )
        figure.savefig(args.out / f"strip_{name}.png", dpi=110)


if __name__ == "__main__":
    main()
