"""Pretrain on real ECGs and ask what the frozen embeddings are worth, beside a random initialisation.

    python -m benchmarks.study_main_job --unpacked PTBXL_FOLDER --epochs 12 --out benchmarks/results

Measures: macro AUROC of PTB-XL's five superclasses on fold 9, from a logistic regression on standardised embeddings of
the labelled records of folds 1-8; its C is chosen by AUROC on fold 8 after fitting on folds 1-7. Pretraining sees folds
1-8 without labels. 95 % intervals by bootstrap over patients. Beats: MIT-BIH DS1 (2 leads, 360 Hz) through the same
encoder, a logistic regression on the beats' embeddings, cross-validated with whole records left out.

Cannot show: what other seeds, encoders or settings would give (one pretraining), nor anything about fold 10 and DS2,
which are not read here.

`--limit 40 --epochs 1` is a trial of two minutes. A run that is killed goes on from `--checkpoint-dir`.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from beatssl_sklearn import BeatEmbedder, BeatSSLPretrainer, RhythmEmbedder, fetch_mitdb, fetch_ptbxl, save

C_GRID = (0.003, 0.01, 0.03, 0.1)
N_BOOTSTRAP = 1000


def linear_probe(C: float) -> Any:
    return make_pipeline(StandardScaler(), OneVsRestClassifier(LogisticRegression(C=C, max_iter=1000)))


def macro_auroc(target: NDArray, score: NDArray) -> float:
    return float(roc_auc_score(target, score, average="macro"))


def bootstrap_interval(target: NDArray, score: NDArray, patient: NDArray, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the macro AUROC, drawing patients with replacement."""
    rng = np.random.default_rng(seed)
    names, code = np.unique(patient, return_inverse=True)
    members = np.split(np.argsort(code, kind="stable"), np.cumsum(np.bincount(code))[:-1])
    values = []
    for _ in range(N_BOOTSTRAP):
        rows = np.concatenate([members[i] for i in rng.integers(len(names), size=len(names))])
        values.append(macro_auroc(target[rows], score[rows]))
    return float(np.percentile(values, 2.5)), float(np.percentile(values, 97.5))


def probe_ptbxl(pretrainer: BeatSSLPretrainer, train: Any, valid: Any) -> dict[str, float]:
    embedder = RhythmEmbedder(pretrainer, batch_size=64)
    Z, Z_valid = embedder.transform(train.data), embedder.transform(valid.data)
    labelled = train.target.any(axis=1)
    choose = labelled & (train.fold == train.fold.max())
    fit = labelled & ~choose
    scores = {
        C: macro_auroc(train.target[choose], linear_probe(C).fit(Z[fit], train.target[fit]).predict_proba(Z[choose]))
        for C in C_GRID
    }
    best = max(scores, key=lambda C: scores[C])
    chosen = linear_probe(best).fit(Z[fit], train.target[fit]).predict_proba(Z[choose])
    threshold = [_best_threshold(train.target[choose, k], chosen[:, k]) for k in range(chosen.shape[1])]
    score = linear_probe(best).fit(Z[labelled], train.target[labelled]).predict_proba(Z_valid)
    low, high = bootstrap_interval(valid.target, score, valid.patient_id)
    return {
        "auroc": macro_auroc(valid.target, score),
        "auroc_low": low,
        "auroc_high": high,
        "f1": float(f1_score(valid.target, score >= threshold, average="macro")),
        "C": best,
        "n_scored": len(valid.target),
    }


def _best_threshold(target: NDArray, score: NDArray) -> float:
    candidates = np.quantile(score, np.linspace(0.02, 0.98, 97))
    return float(max(candidates, key=lambda t: f1_score(target, score >= t)))


def probe_mitdb(pretrainer: BeatSSLPretrainer, mitdb: Any) -> dict[str, float]:
    beats, labels, record = [], [], []
    for i in range(len(mitdb.data)):
        one = mitdb.data[i]
        embedder = BeatEmbedder(pretrainer, batch_size=64)
        kept = mitdb.beat_labels[i] != "Q"
        peaks, own = mitdb.rpeaks[i][kept], mitdb.beat_labels[i][kept]
        inside = (peaks >= 0.25 * one.fs) & (peaks + 0.45 * one.fs <= one.signal.shape[1])
        Z = embedder.transform([one], rpeaks=[peaks[inside]])[0]
        own = own[inside]
        if len(Z) != len(own):
            raise ValueError(f"record {i}: {len(Z)} embeddings of {len(own)} beats")
        beats.append(Z)
        labels.append(own)
        record.append(np.full(len(own), mitdb.patient_id[i]))
    Z, y, g = np.concatenate(beats), np.concatenate(labels), np.concatenate(record)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300, class_weight="balanced"))
    predicted = cross_val_predict(model, Z, y, groups=g, cv=GroupKFold(5))
    per_class = f1_score(y, predicted, labels=["N", "S", "V", "F"], average=None)
    out = {f"f1_{name}": float(value) for name, value in zip("NSVF", per_class, strict=True)}
    return {**out, "f1_macro": float(np.mean(per_class)), "n_beats": len(y)}


def write_results(rows: list[dict[str, Any]], out: Path, command: str) -> None:
    out.mkdir(parents=True, exist_ok=True)
    keys = list(dict.fromkeys(k for row in rows for k in row))
    with open(out / "main_job.csv", "w", newline="") as stream:
        writer = csv.DictWriter(stream, keys)
        writer.writeheader()
        writer.writerows(rows)
    lines = [
        "# Frozen embeddings of real ECGs: pretrained beside randomly initialised",
        "",
        f"Command: `{command}`.",
        f"Date: {time.strftime('%Y-%m-%d')}. One pretraining, seed 0; intervals are 95 % by bootstrap over patients.",
        f"PTB-XL fold 9 ({rows[0]['n_scored']:,} labelled records); MIT-BIH DS1 ({rows[0]['n_beats']:,} beats at their",
        "reference peaks, so that the detector is not the question), whole records left out.",
        "",
        "| encoder | AUROC, fold 9 | macro F1 | MIT-BIH F1 N / S / V / F | epochs | minutes |",
        "|---|---|---|---|---|---|",
    ]
    for r in rows:
        beats = " / ".join(f"{r[f'f1_{c}']:.3f}" for c in "NSVF") if "f1_N" in r else ""
        auroc = f"{r['auroc']:.3f} ({r['auroc_low']:.3f}-{r['auroc_high']:.3f})"
        lines.append(f"| {r['encoder']} | {auroc} | {r['f1']:.3f} | {beats} | {r['epochs']} | {r['minutes']:.0f} |")
    (out / "main_job.md").write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shared = os.environ.get("BEATSSL_DATA", "../shared/data")
    parser.add_argument("--unpacked", type=Path, required=True, help="PTB-XL in the publisher's layout")
    parser.add_argument("--data", type=Path, default=Path(shared), help="folder with mitdb/")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--size", default="m")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--limit", type=int, default=None, help="records per fold, for a trial")
    parser.add_argument("--checkpoint-dir", type=Path, default=None)
    parser.add_argument("--model", type=Path, default=None, help="where to save the pretrained model")
    parser.add_argument("--out", type=Path, default=None)
    arguments = parser.parse_args()
    train, valid = (load_folds(arguments.unpacked, folds, arguments.limit) for folds in (range(1, 9), [9]))
    mitdb = fetch_mitdb(arguments.data / "mitdb", records="DS1", download_if_missing=False)
    rows = []
    for epochs in (0, arguments.epochs):
        pretrainer = BeatSSLPretrainer(
            fs=100,
            encoder_params={"size": arguments.size},
            max_epochs=epochs,
            batch_size=arguments.batch_size,
            checkpoint_dir=arguments.checkpoint_dir if epochs else None,
            random_state=0,
            verbose=1,
        )
        started = time.perf_counter()
        pretrainer.fit(train.data, groups=train.patient_id)
        minutes = (time.perf_counter() - started) / 60
        if epochs and arguments.model is not None:
            save(pretrainer, arguments.model)
        row = {"encoder": f"beatnet {arguments.size}, {'pretrained' if epochs else 'random init'}", "epochs": epochs}
        row |= {"minutes": minutes, **probe_ptbxl(pretrainer, train, valid), **probe_mitdb(pretrainer, mitdb)}
        rows.append(row)
        print(json.dumps(row), flush=True)
    if arguments.out is not None:
        extra = "" if arguments.size == "m" else f" --size {arguments.size}"
        write_results(
            rows,
            arguments.out,
            f"python -m benchmarks.study_main_job --unpacked PTBXL --epochs {arguments.epochs}"
            f" --batch-size {arguments.batch_size}{extra}",
        )


def load_folds(folder: Path, folds: Any, limit: int | None) -> Any:
    """Load folds; fold 9, which scores, without the records that have no superclass."""
    subset = "labelled" if list(folds) == [9] else None
    data = fetch_ptbxl(folder, folds=folds, subset=subset, download_if_missing=False)
    if limit is not None:
        keep = np.concatenate([np.flatnonzero(data.fold == k)[:limit] for k in np.unique(data.fold)])
        for name in ("data", "target", "patient_id", "fold"):
            data[name] = data[name][keep]
    return data


if __name__ == "__main__":
    main()
