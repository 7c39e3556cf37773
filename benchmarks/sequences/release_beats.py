"""Fit the head that ships as "beats", on MIT-BIH DS1 and SVDB, and write its file.

    python -m benchmarks.sequences.release_beats --svdb SVDB

Writes `beatssl_sklearn/weights/beats.bssl`, which names the shipped encoder instead of holding it, and
`tests/shipped_beats.npz`: the labels and probabilities of a minute of one record.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from beatssl_sklearn import ECGRecord, fetch_mitdb, load, save

from .beats import beat_pipeline, load_beats

ROOT = Path(__file__).parents[2]
STORED = ROOT / "tests" / "shipped_beats.npz"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = os.environ.get("BEATSSL_DATA", str(ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(shared), help="folder with mitdb/ as published")
    parser.add_argument("--svdb", type=Path, required=True, help="folder of SVDB as published")
    parser.add_argument("--cache", type=Path, default=ROOT / "runs" / "sequences")
    parser.add_argument("--records", type=int, default=None, help="first records of each set, for trials")
    parser.add_argument("--align", action="store_true", help="windows around the middle of the QRS")
    parser.add_argument("--out", type=Path, default=ROOT / "beatssl_sklearn" / "weights" / "beats.bssl")
    parser.add_argument("--stored", type=Path, default=STORED, help="what the head says of a minute, for tests")
    args = parser.parse_args()
    threadpool_limits(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    sets = [load_beats(name, args, args.records, args.align) for name in ("mitdb", "svdb")]
    pipeline = beat_pipeline(args.align)
    start = time.time()
    # The embeddings are known: the steps after the embedder are fitted as the pipeline would fit them.
    X = [x for one in sets for x in (*one.beats, *one.detected_beats)]
    y = [labels for one in sets for labels in (*one.labels, *one.detected_labels)]
    pipeline[1:].fit(X, y)
    seconds = time.time() - start
    save(pipeline, args.out, by_name=True)
    n = sum(len(x) for x in X)
    size = args.out.stat().st_size / 1e3
    sys.stdout.write(f"{args.out.name}: {size:.0f} kB, {n:,} beats, fitted in {seconds:.0f} s\n")
    whole = fetch_mitdb(args.data / "mitdb", records=[208], download_if_missing=False).data[0]
    minute = [ECGRecord(whole.signal[:, : 60 * 360], whole.fs, whole.leads)]
    found = load(args.out)
    label, probability = found.predict(minute)[0].astype(str), found.predict_proba(minute)[0]
    np.savez_compressed(args.stored, label=label, probability=probability)


if __name__ == "__main__":
    main()
