"""Whose record is it? Patients of PTB-XL found again by the embeddings of their records.

    python -m benchmarks.study.identify --unpacked PTBXL --model ours=OURS.bssl --rows random,features,ours

Measures: patients of fold 9 with several records. The gallery holds one record of each, the one with the least number;
all others are probes, each compared with the whole gallery. Top-1 and top-5 are shares of the probes; their intervals
are 95 % by bootstrap over patients, all probes of a patient drawn together, the gallery fixed. The equal error rate
(EER) and the true accepts at a share of false accepts (FAR) of 1e-3 are over all pairs of a probe and a gallery record.
Similarity is that of `PatientIdentifier`: "cosine", "whitened" and "arcface". Its map is fitted to patients of folds 1
to 8 with several records, seen through the same leads. In "12, probes II" the gallery has twelve leads and probes have
lead II; the map is then fitted to both versions of each record.

Cannot show: whether patients are found on another day. The data as given have no dates, so that a gallery record and a
probe may be minutes apart, and a least number need not be the earliest. Published figures on PTB-XL have
another rule for the gallery and other patients, and are not comparable. A larger gallery makes top-1 and top-5 lower,
and intervals do not hold the choice of the gallery. No patient without a gallery record is looked for. Settings of the
encoders were chosen on fold 9, though for other tasks. Not shown: fold 10, other hospitals or devices, the spread
between pretrainings.
"""

from __future__ import annotations

import sys
import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from beatssl_sklearn import PatientIdentifier
from beatssl_sklearn.evaluation import equal_error_rate, true_accepts_at
from beatssl_sklearn.evaluation.probing import bootstrap_interval

from .common import QUICK, Study, make_parser, parse
from .labels import row_digest
from .leads import LEAD_SETS
from .results import Row, Table, shown, with_interval, write_markdown
from .scoring import N_BOOTSTRAP

METRICS = ("cosine", "whitened", "arcface")
SEEN: dict[str, tuple[str, str]] = {
    "12": ("12", "12"),
    "I, II, V2": ("I, II, V2", "I, II, V2"),
    "II": ("II", "II"),
    "12, probes II": ("12", "II"),
}
"""Lead sets of the gallery and of the probes."""
FALSE_ACCEPTS = 1e-3
QUICK_PER_FOLD = 300
KEYS = ("row", "leads", "metric", "encoder")


class Roles(NamedTuple):
    """Positions of the records that fit the map, that are enrolled, and that are looked for."""

    fit: NDArray[np.int64]
    gallery: NDArray[np.int64]
    probes: NDArray[np.int64]


def roles(patient: NDArray, record_id: NDArray, test: NDArray[np.bool_]) -> Roles:
    """Share out the records of patients who have several on their side of the split.

    Parameters
    ----------
    patient, record_id : ndarray (n_records,)
    test : bool ndarray (n_records,)
        Records of the fold that scores.

    Returns
    -------
    Roles
        The gallery has the least `record_id` of each patient.

    Raises
    ------
    ValueError
        If the fold that scores has fewer than two such patients, or the others have none.
    """
    fit, several = (_of_several(patient, side) for side in (~test, test))
    order = several[np.argsort(record_id[several], kind="stable")]
    first = np.sort(order[np.unique(patient[order], return_index=True)[1]])
    if len(first) < 2 or not len(fit):
        raise ValueError(
            f"patients with several records: {len(first)} in the fold that scores, {len(np.unique(patient[fit]))} in "
            f"the others; at least 2 and 1 are needed. Use more records: a larger --per-fold"
        )
    return Roles(fit, first, np.setdiff1d(several, first))


def _of_several(patient: NDArray, side: NDArray[np.bool_]) -> NDArray[np.int64]:
    rows = np.flatnonzero(side)
    _, code, counts = np.unique(patient[rows], return_inverse=True, return_counts=True)
    return rows[counts[code] > 1]


def identification_scores(similarity: NDArray, gallery: NDArray, probes: NDArray) -> Row:
    """Return top-1 and top-5 with 95 % intervals over patients, EER, and true accepts at `FALSE_ACCEPTS`.

    Parameters
    ----------
    similarity : ndarray (n_probes, n_patients)
        Of each probe with each enrolled patient.
    gallery : ndarray (n_patients,)
        Enrolled patients, each once.
    probes : ndarray (n_probes,)
        Patient of each probe, among those enrolled.

    Returns
    -------
    dict
        A probe counts in top-k if fewer than k other patients are at least as similar: a tie is lost.

    Raises
    ------
    ValueError
        If a patient is enrolled twice, or a probe's patient is not enrolled.
    """
    same = probes[:, None] == gallery
    if (same.sum(axis=1) != 1).any():
        i = int(np.argmax(same.sum(axis=1) != 1))
        raise ValueError(f"patient {probes[i]} of probe {i} must be in gallery once, is {same[i].sum()} times")
    others = ((similarity >= similarity[same][:, None]) & ~same).sum(axis=1)
    out: Row = {}
    for name, k in (("top1", 1), ("top5", 5)):
        found = (others < k).astype(np.float64)
        out[name] = float(found.mean())
        out[f"{name}_low"], out[f"{name}_high"] = bootstrap_interval(
            _share, found, found, probes, n_bootstrap=N_BOOTSTRAP
        )
    out["eer"] = equal_error_rate(similarity, same)
    out["tar"] = true_accepts_at(similarity, same, FALSE_ACCEPTS)
    return out


def _share(found: NDArray, _: NDArray) -> float:
    return float(found.mean())


def cells(study: Study, table: Table, name: str, encoder: int, shown_as: str) -> list[Row]:
    """Compute the cells of an encoder and lead set, one for each metric, unless they are finished."""
    key = {"row": name, "leads": shown_as, "encoder": row_digest(study, name, encoder)}
    if any(table.find(**key, metric=metric) is None for metric in METRICS):
        records = study.records
        at = roles(records.patient, records.record_id, records.test)
        for_gallery, for_probes = (LEAD_SETS[leads] for leads in SEEN[shown_as])
        enrolled = study.embedding(name, encoder, for_gallery, for_gallery)
        looked_for = study.embedding(name, encoder, for_probes, for_gallery)
        fit_on = [enrolled] if for_probes == for_gallery else [enrolled, looked_for]
        for metric in METRICS:
            if table.find(**key, metric=metric) is None:
                scores = _found_again(metric, [Z[at.fit] for Z in fit_on], enrolled, looked_for, at, records.patient)
                added = table.add({**key, "metric": metric, **scores, **study.describe(name)})
                sys.stdout.write(f"{name} {shown_as} {metric}: top-1 {with_interval(added, 'top1')}\n")
                sys.stdout.flush()
    return [row for metric in METRICS if (row := table.find(**key, metric=metric)) is not None]


def _found_again(
    metric: str, fit_on: list[NDArray], enrolled: NDArray, looked_for: NDArray, at: Roles, patient: NDArray
) -> Row:
    """Fit a map, enrol the gallery, and score the probes."""
    started = time.perf_counter()
    model = PatientIdentifier(metric, random_state=0)
    model.fit(np.concatenate(fit_on), np.tile(patient[at.fit], len(fit_on)))
    seconds = time.perf_counter() - started
    model.enroll(enrolled[at.gallery], patient[at.gallery])
    similarity = model.decision_function(looked_for[at.probes])
    return identification_scores(similarity, model.classes_, patient[at.probes]) | {
        "n_gallery": len(at.gallery),
        "n_probes": len(at.probes),
        "n_fit_patients": len(np.unique(patient[at.fit])),
        "n_fit_records": len(at.fit),
        "n_dims": enrolled.shape[1],
        "fit_seconds": seconds,
    }


def main(argv: list[str] | None = None) -> None:
    args = parse(make_parser(__doc__, ("random", "features", "ours")), "identify", argv)
    if args.quick and args.per_fold == QUICK["per_fold"]:
        args.per_fold = QUICK_PER_FOLD  # few patients have several records
    study = Study(args)
    for name in args.rows:
        study.n_encoders(name)  # trained on all records, where they are not given
    records = study.records
    study.records = records.take(np.sort(np.concatenate(roles(records.patient, records.record_id, records.test))))
    table = Table(args.out / "identify.csv", KEYS)
    lines, last = [], {}
    for name in args.rows:
        for encoder in range(study.n_encoders(name)):
            for shown_as in SEEN:
                for cell in cells(study, table, name, encoder, shown_as):
                    lines.append(_line(cell, name if encoder == 0 else f"{name}, encoder {encoder}"))
                    last = cell
    header = ["row", "leads", "metric", "top-1", "top-5", "EER", f"true accepts at FAR {FALSE_ACCEPTS:g}"]
    about = _about(args, study, last)
    write_markdown(args.out / "identify.md", "Whose record is it?", about, args.command, header, lines)


def _line(cell: Row, row: str) -> list[str]:
    shares = [with_interval(cell, score) for score in ("top1", "top5")]
    return [row, str(cell["leads"]), cell["metric"], *shares, *(shown(float(cell[k])) for k in ("eer", "tar"))]


def _about(args: Any, study: Study, cell: Row) -> list[str]:
    """Say what a reader of the table must know."""
    n = int(cell["n_gallery"])
    chance = f"{shown(1 / n)} and {shown(min(1.0, 5 / n))}"
    budgets = "; ".join(f"{row}: {study.budget(row)}" for row in args.rows if study.budget(row))
    return [
        f"PTB-XL, fold {args.test_fold}: {n:,} patients with several records, one of each enrolled, and",
        f"{int(cell['n_probes']):,} other records looked for. Chance is {chance}. Maps are fitted to",
        f"{int(cell['n_fit_records']):,} records of {int(cell['n_fit_patients']):,} patients of the other folds; in",
        '"12, probes II", to both versions of them. Intervals are 95 % by bootstrap over patients, with the gallery as',
        "it is. The data have no dates: records of a patient may be of one day. Published figures on PTB-XL have other",
        "galleries and patients, and are not comparable. A larger gallery is harder.",
        *([f"{budgets}."] if budgets else []),
    ]


if __name__ == "__main__":
    main()
