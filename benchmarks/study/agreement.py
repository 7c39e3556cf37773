"""Do two leads of a record give the embedding of all twelve? Cosines of the same record's and of other records'.

    python -m benchmarks.study.agreement --unpacked PTBXL --model ours=OURS.bssl --rows random,ours,lead-agnostic

Measures: on fold 9, the cosine between the embedding of twelve leads and that of leads I and II of the same record
("own"), and the mean cosine with leads I and II of all other patients' records ("others"). Columns are standardised by
the embeddings of folds 1 to 8 with twelve leads, because raw embeddings share one large mean. "First": the share of
records whose own leads I and II come before those of all other records. 95 % intervals by bootstrap over patients.

Cannot show: whether a classifier of twelve leads works on two (`benchmarks.study.leads`, "trained on 12").
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from beatssl_sklearn.evaluation.probing import bootstrap_interval

from .common import Study, make_parser, parse
from .labels import row_digest
from .results import Row, Table, with_interval, write_markdown

TWO = ("I", "II")
KEYS = ("row", "encoder")
N_BOOTSTRAP = 400
SCORES = ("own", "others", "gap", "first")


def agreement(whole: NDArray, few: NDArray, patient: NDArray) -> dict[str, NDArray[np.float64]]:
    """Return the scores of each record.

    Parameters
    ----------
    whole, few : ndarray (n, d)
        Standardised embeddings of all leads, and of some.
    patient : ndarray (n,)

    Returns
    -------
    dict
        `own`, `others`, `gap` (their difference) and `first` (0 or 1), each (n,).
    """
    unit = [Z / np.maximum(np.linalg.norm(Z, axis=1, keepdims=True), 1e-12) for Z in (whole, few)]
    cosine = (unit[0] @ unit[1].T).astype(np.float64)
    stranger = patient[:, None] != patient
    own = cosine.diagonal()
    others = (cosine * stranger).sum(axis=1) / np.maximum(stranger.sum(axis=1), 1)
    rivals = np.where(np.eye(len(cosine), dtype=bool), -np.inf, cosine)
    return {"own": own, "others": others, "gap": own - others, "first": (own > rivals.max(axis=1)).astype(np.float64)}


def cell(study: Study, table: Table, name: str) -> Row:
    """Compute one row, unless it is finished."""
    key = {"row": name, "encoder": row_digest(study, name, 0)}
    done = table.find(**key)
    if done is not None:
        return done
    whole, few = (study.embedding(name, 0, leads) for leads in (None, TWO))
    train, test, patient = study.records.train, study.records.test, study.records.patient
    mean, scale = whole[train].mean(axis=0), np.maximum(whole[train].std(axis=0), 1e-6)
    found: Row = dict(key)
    scores = agreement((whole[test] - mean) / scale, (few[test] - mean) / scale, patient[test])
    for score, values in scores.items():
        found[score] = float(values.mean())
        limits = bootstrap_interval(_mean, scores["first"], values, patient[test], n_bootstrap=N_BOOTSTRAP)
        found[f"{score}_low"], found[f"{score}_high"] = limits
    sys.stdout.write(f"{name}: gap {with_interval(found, 'gap')}\n")
    sys.stdout.flush()
    return table.add({**found, **study.describe(name)})


def _mean(_: NDArray, values: NDArray) -> float:
    return float(values.mean())


def main(argv: list[str] | None = None) -> None:
    args = parse(make_parser(__doc__, ("random", "ours")), "agreement", argv)
    study = Study(args)
    table = Table(args.out / "agreement.csv", KEYS)
    lines = []
    for name in args.rows:
        found = cell(study, table, name)
        lines.append([name, study.budget(name), *(with_interval(found, score) for score in SCORES)])
    header = ["row", "training", "cosine, own", "others'", "difference", "first"]
    about = [f"PTB-XL, fold {args.test_fold}: twelve leads against I and II; 95 % intervals over patients."]
    write_markdown(args.out / "agreement.md", "Two leads and twelve", about, args.command, header, lines)


if __name__ == "__main__":
    main()
