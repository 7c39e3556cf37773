"""The same records as published at 500 Hz and at 100 Hz: are their embeddings and predictions the same?

    python -m benchmarks.study.rates --unpacked PTBXL --model ours=OURS.bssl --rows random,ours

Measures: for each of the records of `ptbxl500`, the cosine of the two embeddings, and the cosine after the mean and the
scale of the training records' embeddings have been taken out (without which all embeddings look alike); the share of
the superclass decisions (record by class, and whole records) that agree, from a logistic regression fitted to 100 Hz
embeddings of folds 1 to 8 without these records, with its own thresholds; and the largest difference of a probability.

Cannot show: other devices' filters and amplifiers. The publisher made the 100 Hz version from the 500 Hz one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beatssl_sklearn import RhythmEmbedder, WFDBFolder
from beatssl_sklearn.evaluation.probing import LinearProbe

from .common import Study, make_parser, parse
from .labels import row_digest, subset
from .models import remembered
from .results import Table, shown, write_markdown

KEYS = ("row", "encoder")


def cosines(A: NDArray, B: NDArray) -> NDArray[np.float64]:
    """Return the cosine of each row of A with the same row of B."""
    a, b = A.astype(np.float64), B.astype(np.float64)
    return np.asarray((a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))


def at_both_rates(study: Study, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Embed the records of `ptbxl500` at 500 Hz and at 100 Hz; also their ids."""
    folder = _folder(study.args.data / "ptbxl500")
    fast = WFDBFolder(folder)
    ids = np.array([int(Path(record).name.split("_")[0]) for record in fast.names])
    slow = WFDBFolder(
        study.args.unpacked, names=[f"records100/{i // 1000 * 1000:05d}/{i:05d}_lr" for i in ids.tolist()]
    )
    found = []
    for X, rate in ((fast, 500), (slow, 100)):
        embedder = RhythmEmbedder(study.encoders(name)[0], batch_size=32, device=study.args.device)
        path = study.args.cache / "embeddings" / f"{row_digest(study, name, 0)}-ptbxl500-{rate}.npy"
        found.append(remembered(path, lambda e=embedder, x=X: e.transform(x)))
    return found[0], found[1], ids


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise FileNotFoundError(f"{path.name} is not in --data")
    return path


def compare(study: Study, name: str) -> dict[str, Any]:
    """Compare embeddings and predictions of a row's first encoder."""
    fast, slow, ids = at_both_rates(study, name)
    records = study.records
    Z, rows = study.embedding(name), subset(study, "superclass", 1.0, 0)
    rows = rows[~np.isin(records.record_id[rows], ids)]
    mean, scale = Z[rows].mean(axis=0), np.maximum(Z[rows].std(axis=0), 1e-6)
    probe = LinearProbe().fit(Z[rows], records.tasks["superclass"].target[rows], groups=records.patient[rows])
    cosine, centred = cosines(fast, slow), cosines((fast - mean) / scale, (slow - mean) / scale)
    same = probe.predict(fast) == probe.predict(slow)
    difference = np.abs(probe.predict_proba(fast) - probe.predict_proba(slow))
    return {
        "n_records": len(ids),
        "cosine_min": float(cosine.min()),
        "cosine_mean": float(cosine.mean()),
        "centred_cosine_min": float(centred.min()),
        "centred_cosine_mean": float(centred.mean()),
        "share_over_99": float((cosine >= 0.99).mean()),
        "same_decisions": float(same.mean()),
        "same_records": float(same.all(axis=1).mean()),
        "probability_difference_max": float(difference.max()),
        "probability_difference_mean": float(difference.mean()),
    }


def main(argv: list[str] | None = None) -> None:
    args = parse(make_parser(__doc__, ("random", "ours")), "rates", argv)
    study = Study(args)
    table = Table(args.out / "rates.csv", KEYS)
    lines = []
    for name in args.rows:
        key = {"row": name, "encoder": row_digest(study, name, 0)}
        row = table.find(**key) or table.add({**key, **compare(study, name), **study.describe(name)})
        pairs = [f"{float(row[f'{c}_mean']):.4f}, {float(row[f'{c}_min']):.4f}" for c in ("cosine", "centred_cosine")]
        shares = [f"{100 * float(row[k]):.1f} %" for k in ("share_over_99", "same_decisions", "same_records")]
        largest = shown(float(row["probability_difference_max"]))
        lines.append([name, str(row["budget"]), *pairs, *shares, largest])
        sys.stdout.write(" | ".join(lines[-1]) + "\n")
    header = ["row", "training", "cosine: mean, least", "standardised: mean, least", "records with cosine >= .99"]
    header += ["same decisions", "records with all the same", "largest difference of a probability"]
    about = [f"{table.rows[-1]['n_records']} records of PTB-XL as published at 500 Hz and at 100 Hz; seed 0."]
    write_markdown(args.out / "rates.md", "500 Hz and 100 Hz", about, args.command, header, lines)


if __name__ == "__main__":
    main()
