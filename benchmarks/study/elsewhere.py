r"""What frozen embeddings are worth where PTB-XL's labels do not reach: a disease of another country, and neighbours.

    python -m benchmarks.study.elsewhere --unpacked PTBXL --brugada BRUGADA --model ours=ptbxl \
        --vectors waves=WAVES.npz --rows ours,waves,ours+waves

Measures, for each row:
- Brugada: AUROC and average precision of confirmed Brugada syndrome against investigated and healthy, patients of
  another hospital, 12 leads at 100 Hz (Brugada-HUCA in the publisher's layout). Logistic regression, every patient
  scored by a fit that has not seen the patient (5 folds, 3 splits, whose scores are averaged), intervals by bootstrap
  over patients. Patients who share a signal are on one side. The atypical are left out.
- neighbours: mean average precision on the fold that scores: all other records of it, nearest first (cosine of the
  embeddings, standardised on the training folds); those that share a subclass statement count as found. Records of the
  same patient are left out. "by chance" is what a random order gives.

Cannot show: another hospital than this one; 41 confirmed patients make wide intervals.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from beatssl_sklearn import RhythmEmbedder, WaveMeasures, WFDBFolder
from beatssl_sklearn.evaluation.probing import LinearProbe, bootstrap_interval

from .common import Study, make_parser, parse
from .labels import row_digest
from .models import digest_of, remembered
from .results import Row, Table, shown, with_interval, write_markdown
from .scoring import N_BOOTSTRAP

N_FOLDS, N_SPLITS = 5, 3
HEALTHY, CONFIRMED = 0, 1
KEYS = ("row", "encoder")


def load_brugada(folder: Path) -> tuple[WFDBFolder, NDArray[np.int64], NDArray[np.int64]]:
    """Return records, whether the syndrome is confirmed, and groups: patients who share a signal are one group."""
    with open(folder / "metadata.csv", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if int(row["brugada"]) in (HEALTHY, CONFIRMED)]
    X = WFDBFolder(folder, names=[f"files/{row['patient_id']}/{row['patient_id']}" for row in rows])
    signals = [joblib.hash(np.asarray(record.signal)) for record in X]
    groups = np.unique(signals, return_inverse=True)[1]
    return X, np.array([int(row["brugada"]) for row in rows]), groups


def embed_elsewhere(study: Study, name: str, X: WFDBFolder) -> NDArray[np.float32]:
    """Return the vectors of a row for other records than the study's; rows joined by "+" stand side by side."""
    if "+" in name:
        return np.hstack([embed_elsewhere(study, part, X) for part in name.split("+")])
    where = study.args.cache / "elsewhere"
    if name == "waves":
        return remembered(where / "waves.npy", lambda: WaveMeasures(missing="fill", verbose=0).fit_transform(X))
    model = study.encoders(name)[0]
    return remembered(where / f"{digest_of(model)}.npy", lambda: RhythmEmbedder(model).transform(X))


def out_of_fold(Z: NDArray, y: NDArray, groups: NDArray) -> NDArray[np.float64]:
    """Return the probability of each record by fits that have not seen its group, a mean over the splits."""
    total = np.zeros(len(y))
    for seed in range(N_SPLITS):
        folds = StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=seed)
        for train, test in folds.split(Z, y, groups):
            probe = LinearProbe().fit(Z[train], y[train], groups=groups[train])
            total[test] += probe.predict_proba(Z[test])[:, int(np.flatnonzero(probe.classes_ == CONFIRMED)[0])]
    return total / N_SPLITS


def brugada_scores(Z: NDArray, y: NDArray, groups: NDArray) -> Row:
    """Return AUROC and average precision with 95 % intervals over patients."""
    p = out_of_fold(Z, y, groups)
    row: Row = {}
    for name, score in (("auroc", roc_auc_score), ("precision", average_precision_score)):
        row[name] = float(score(y, p))
        low, high = bootstrap_interval(_of_table(score), y[:, None], [p[:, None]], groups, n_bootstrap=N_BOOTSTRAP)
        row |= {f"{name}_low": low, f"{name}_high": high}
    return row


def _of_table(score: Any) -> Any:
    return lambda y, p: float(score(y[:, 0], p[:, 0]))


def neighbour_precision(
    Z: NDArray[np.float32], statements: NDArray[np.int8], patient: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the average precision of each record's neighbours; NaN for records that share statements with none.

    Parameters
    ----------
    Z : ndarray of shape (n_records, n_dims)
        Standardised.
    statements : ndarray of shape (n_records, n_statements)
        0 or 1. A neighbour that shares one counts as found.
    patient : ndarray of shape (n_records,)
        Records of the same patient are no neighbours.
    """
    unit = Z / np.maximum(np.linalg.norm(Z, axis=1, keepdims=True), 1e-12)
    near, shared = unit @ unit.T, (statements.astype(np.float32) @ statements.T.astype(np.float32)) > 0
    out = np.full(len(Z), np.nan)
    for i in range(len(Z)):
        others = patient != patient[i]
        if shared[i, others].any():
            out[i] = average_precision_score(shared[i, others], near[i, others])
    return out


def neighbour_scores(study: Study, name: str) -> Row:
    """Return the mean average precision of a row's neighbours, with a 95 % interval over patients, and chance's."""
    records, task = study.records, study.records.tasks["subclass"]
    Z = study.embedding(name)
    mean, sd = Z[records.train].mean(axis=0), Z[records.train].std(axis=0)
    test = np.flatnonzero(records.test & task.labelled)
    own = ((Z[test] - mean) / np.maximum(sd, 1e-6)).astype(np.float32)
    precision = neighbour_precision(own, task.target[test], records.patient[test])
    known = np.isfinite(precision)
    patient = records.patient[test]
    low, high = bootstrap_interval(
        lambda _, s: float(s.mean()),
        np.zeros((known.sum(), 1)),
        [precision[known, None]],
        patient[known],
        n_bootstrap=N_BOOTSTRAP,
    )
    shared = (task.target[test].astype(int) @ task.target[test].T.astype(int)) > 0
    chance = float(np.mean([shared[i, patient != patient[i]].mean() for i in np.flatnonzero(known)]))
    value = float(precision[known].mean())
    return {"neighbours": value, "neighbours_low": low, "neighbours_high": high, "chance": chance}


def main(argv: list[str] | None = None) -> None:
    parser: argparse.ArgumentParser = make_parser(__doc__, ("ours", "waves", "ours+waves"))
    parser.add_argument("--brugada", type=Path, required=True, help="Brugada-HUCA in the publisher's layout")
    args = parse(parser, "elsewhere", argv)
    study, table = Study(args), Table(args.out / "elsewhere.csv", KEYS)
    X, y, groups = load_brugada(args.brugada)
    lines = []
    for name in args.rows:
        key = {"row": name, "encoder": "waves" if name == "waves" else row_digest(study, name, 0)}
        done = table.find(**key)
        if done is None:
            there = brugada_scores(embed_elsewhere(study, name, X), y, groups)
            done = table.add({**key, **there, **neighbour_scores(study, name)})
            sys.stdout.write(f"{name}: {with_interval(done, 'auroc')} {with_interval(done, 'neighbours')}\n")
            sys.stdout.flush()
        lines.append([name, *(with_interval(done, score) for score in ("auroc", "precision", "neighbours"))])
    about = [
        f"Brugada: {int((y == CONFIRMED).sum())} confirmed, {int((y == HEALTHY).sum())} healthy. Neighbours: PTB-XL,",
        f"fold {args.test_fold}, subclass; by chance {shown(float(table.rows[0]['chance']))}. 95 % intervals by",
        "bootstrap over patients.",
    ]
    header = ["row", "Brugada, AUROC", "average precision", "neighbours, mean average precision"]
    write_markdown(args.out / "elsewhere.md", "Elsewhere", about, args.command, header, lines)


if __name__ == "__main__":
    main()
