"""ECG and report: statements from prompts, reports among others, and probes on the aligned vectors.

    python -m benchmarks.study.reports --unpacked PTBXL --seeds 3

Aligns records of folds 1 to 8 that have a report, one change at a time around the defaults of `ReportAligner`, and
scores fold 9. Measures: macro AUROC of the five superclasses, of the rhythm and of the form statements, and of all 71,
those with 20 positives or more, from prompts of the glossary alone; recall at 1 of a record's report among 64 (50 draws
of records that have one, the same for all rows); a linear probe of the superclasses on the aligned vectors with 1 % of
the labels, and for the row "ours" of rhythm and form, too, with 1 %, 10 % and all. Mean over seeds (initialisation,
batches, labelled subset), also of the ends of intervals by bootstrap over patients. The row "shuffled" gives each
record the report of another. Rows of "size s" begin with `ptbxl-s`, or untrained: a CPU trains this size in minutes.

Cannot show: what reports of another hospital would give; how much of a score is the label in other words, since these
reports and the labels come from the same people (`agreement` shows how much a report alone gives away). Records with a
report are no random half: all records with a form statement are among them, and few normal ones. Fold 9 is where
choices are made.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import HashingVectorizer

from beatssl_sklearn import (
    CallableText,
    Glossary,
    LeadMasking,
    Pretrainer,
    ReportAligner,
    ReportAlignment,
    TfidfText,
    load,
    save,
)
from beatssl_sklearn.evaluation.probing import bootstrap_interval, macro_auroc
from beatssl_sklearn.text import ReportTextEncoder, normalised

from .common import Study, make_parser, parse
from .labels import scored_rows, subset
from .results import Row, Table, shown, with_interval, write_markdown
from .scoring import probe

KEYS = ("name", "seed", "n_reports")
SUPERCLASSES = ("NORM", "MI", "STTC", "CD", "HYP")
RHYTHMS = ("SR", "AFIB", "STACH", "SARRH", "SBRAD", "PACE", "SVARR", "BIGU", "AFLT", "PSVT", "SVTAC", "TRIGU")
MIN_POSITIVES, N_AMONG, N_DRAWS = 20, 64, 50
SCORES = ("superclass", "rhythm", "form", "statements", "recall_1", "probe_1", "probe_10", "probe_100")
FRACTIONS = {"1": 0.01, "10": 0.1, "100": 1.0}
# Rows whose probes use all labels, of three tasks: embedding all records takes a minute.
ALL_LABELS = ("ours",)
PROBED = ("superclass", "rhythm", "form")


def letters(texts: list[str]) -> NDArray:
    """Count hashed runs of three to five letters: a text encoder that knows nothing of ECGs."""
    counted = HashingVectorizer(analyzer="char_wb", ngram_range=(3, 5), n_features=512, alternate_sign=False)
    return np.asarray(counted.transform(texts).toarray())


QUERIES: dict[str, Any] = {"beat_source": "queries"}
OBJECTIVES: dict[str, dict[str, Any]] = {
    "ours": {},
    "shuffled": {},
    "without rhythm loss": {"rhythm_weight": 0.0},
    "without beat loss": {"beat_weight": 0.0},
    "beat loss of weight 1": {"beat_weight": 1.0},
    "whole reports only": {"phrase_share": 0.0},
    "equal reports apart": {"merge_equal": False},
    "without glossary": {"phrase_share": 0.0, "text": TfidfText(glossary=False)},
    "trained text encoder": {"text": ReportTextEncoder()},
    "letters only": {"text": CallableText(letters)},
    "random leads": {"views": LeadMasking()},
    "learned queries; bag": QUERIES,
    "learned queries; caption": {**QUERIES, "token_loss": "caption"},
    "learned queries; mlm": {**QUERIES, "token_loss": "mlm"},
    "small": {"text": TfidfText(max_words=2500, n_buckets=1024), "projection_dim": 192},
    "size s": {},
    "size s trained too": {},
    "size s trained too; no token loss": {"token_weight": 0.0},
    "size s trained too; caption": {"token_loss": "caption"},
    "size s trained too; mlm": {"token_loss": "mlm"},
    "size s from scratch": {},
}
"""What is learnt. "small" is what ships, as "ptbxl-reports"."""
TRAINED = {"pretrainer": "ptbxl-s", "encoder_lr": 1e-4, "max_epochs": 5}
CHANGES: dict[str, dict[str, Any]] = {
    "small": {"weight_decay": 0.5, "keep_records": False},
    "size s": {"pretrainer": "ptbxl-s"},
    **dict.fromkeys([name for name in OBJECTIVES if name.startswith("size s trained")], TRAINED),
    "size s from scratch": {"pretrainer": Pretrainer(encoder_params={"size": "s"}, fs=100), "max_epochs": 15},
}
"""What else is changed. Rows that train an encoder have one seed, and size s: they take minutes to an hour."""
LONG = ("size s trained", "size s from scratch")


def reports_of(data: Path, record_id: NDArray[np.int64]) -> list[str]:
    """Return the report of each record, "" where the shared data have none."""
    with open(data / "ptbxl" / "labels.csv", newline="", encoding="utf-8") as stream:
        known = {int(row["ecg_id"]): row for row in csv.DictReader(stream)}
    return [known[int(i)]["report"] for i in record_id]


def statements_of(data: Path, record_id: NDArray[np.int64]) -> list[set[str]]:
    """Return all statements of each record."""
    with open(data / "ptbxl" / "labels.csv", newline="", encoding="utf-8") as stream:
        known = {int(row["ecg_id"]): row for row in csv.DictReader(stream)}
    return [set(known[int(i)]["statements"].split()) for i in record_id]


def fitted(study: Study, name: str, seed: int, rows: NDArray[np.int64], reports: list[str]) -> ReportAligner:
    """Return the aligner of a row, from the cache if it is there; a shipped one by its name."""
    if name in study.args.shipped:
        return ReportAligner.load(name)
    args = study.args
    path = args.cache / "aligned" / f"{name.replace(' ', '-').replace(',', '')}-{len(rows)}-s{seed}.bssl"
    if path.exists():
        found: ReportAligner = load(path)
        return found
    texts = [reports[i] for i in rows]
    if name == "shuffled":
        texts = [texts[i] for i in np.random.default_rng(seed).permutation(len(texts))]
    aligner = ReportAligner(
        objective=ReportAlignment(**OBJECTIVES[name]),
        check="ignore",
        random_state=seed,
        memory=str(args.cache / "measurements"),
        device=args.device,
        **deepcopy(CHANGES.get(name, {})),
    ).fit(study.records.X[rows], reports=texts)
    if name != "letters only":
        path.parent.mkdir(parents=True, exist_ok=True)
        save(aligner, path)
    return aligner


def labels_of(statements: Sequence[set[str]], codes: Sequence[str]) -> tuple[list[str], NDArray[np.int8]]:
    """Return the codes with enough positives, and a table of them."""
    table = np.array([[code in own for code in codes] for own in statements], dtype=np.int8)
    often = table.sum(axis=0) >= MIN_POSITIVES
    return [code for code, kept in zip(codes, often, strict=True) if kept], table[:, often]


def zero_shot(study: Study, aligner: ReportAligner, Z: NDArray, row: Row, test: NDArray[np.int64]) -> None:
    """Add the scores of prompts to a row: of both languages and several texts, then of less."""
    records, args = study.records, study.args
    glossary, patient = Glossary.load(), records.patient[test]
    statements = statements_of(args.data, records.record_id[test])
    order = [records.tasks["superclass"].classes.index(code) for code in SUPERCLASSES]
    target = records.tasks["superclass"].target[test][:, order]
    labelled = target.any(axis=1)
    tasks = {"superclass": (list(SUPERCLASSES), target, labelled)}
    others = {"rhythm": RHYTHMS, "form": records.tasks["form"].classes}
    others["statements"] = tuple(code for code in glossary.codes if code not in SUPERCLASSES[1:])
    for task, chosen in others.items():
        kept, table = labels_of(statements, chosen)
        if not kept:  # few records, for trials
            continue
        tasks[task] = (kept, table, np.ones(len(test), dtype=bool))
    with_report = np.array([bool(normalised(text)) for text in reports_of(args.data, records.record_id[test])])
    for task, (codes, table, rows) in tasks.items():
        score = cosines(aligner, Z, glossary.prompts_for(codes))
        row[task] = macro_auroc(table[rows], score[rows])
        own = bootstrap_interval("macro_auroc", table[rows], score[rows], groups=patient[rows])
        row[f"{task}_low"], row[f"{task}_high"] = own
        row[f"{task}_with_report"] = macro_auroc(table[rows & with_report], score[rows & with_report])
        for language in ("en", "de"):
            several = {code: glossary.prompts(code, language) for code in codes}
            row[f"{task}_{language}"] = macro_auroc(table[rows], cosines(aligner, Z, several)[rows])
            one = {code: [glossary.describe(code, language)] for code in codes}
            row[f"{task}_{language}_one"] = macro_auroc(table[rows], cosines(aligner, Z, one)[rows])


def cosines(aligner: ReportAligner, Z: NDArray, prompts: Mapping[str, Sequence[str]]) -> NDArray:
    """Return how well records fit classes, as `ReportAligner.predict_proba` ranks them."""
    classes = []
    for texts in prompts.values():
        mean = aligner.encode_text(texts).mean(axis=0)
        classes.append(mean / np.linalg.norm(mean))
    return np.asarray(Z @ np.stack(classes).T)


def recall_at_1(aligner: ReportAligner, Z: NDArray, reports: Sequence[str]) -> float:
    """Return how often the report of a record is the nearest among 64; records as good as those with equal reports."""
    plain = [normalised(text) for text in reports]
    known = np.flatnonzero([bool(text) for text in plain])
    texts, rng, found = aligner.encode_text([plain[i] for i in known]), np.random.default_rng(0), []
    for _ in range(N_DRAWS):
        chosen = rng.choice(len(known), min(N_AMONG, len(known)), replace=False)
        found.append((Z[known[chosen]] @ texts[chosen].T).argmax(axis=1) == np.arange(len(chosen)))
    return float(np.mean(found))


def run(study: Study, table: Table, name: str, seed: int, n_reports: int | None) -> Row:
    """Align and score one row with one seed, unless it is finished."""
    args, records = study.args, study.records
    reports = reports_of(args.data, records.record_id)
    rows = np.flatnonzero(records.train & np.array([bool(normalised(text)) for text in reports]))
    if n_reports is not None:
        rows = np.sort(np.random.default_rng(0).permutation(rows)[:n_reports])
    done = table.find(name=name, seed=seed, n_reports=len(rows))
    if done is not None:
        return done
    started = time.perf_counter()
    aligner = fitted(study, name, seed, rows, reports)
    row: Row = {"name": name, "seed": seed, "n_reports": len(rows), "fit_seconds": time.perf_counter() - started}
    test = np.flatnonzero(records.test)
    Z = aligner.transform(records.X[test])
    zero_shot(study, aligner, Z, row, test)
    row["recall_1"] = recall_at_1(aligner, Z, [reports[i] for i in test])
    row |= probes(study, aligner, Z, seed, complete=name in ALL_LABELS and seed == 0)
    row["seconds"] = time.perf_counter() - started
    found = ", ".join(f"{score} {shown(row[score])}" for score in SCORES if score in row)
    sys.stdout.write(f"{name}, seed {seed}, {len(rows)} reports: {found}\n")
    sys.stdout.flush()
    return table.add(row)


def probes(study: Study, aligner: ReportAligner, Z: NDArray, seed: int, *, complete: bool) -> dict[str, float]:
    """Score linear probes on the aligned vectors: 1 % of the superclasses' labels, or all shares of three tasks."""
    records, found = study.records, {}
    test, train = np.flatnonzero(records.test), np.flatnonzero(records.train)
    known = aligner.transform(records.X[train]) if complete else None
    for task in PROBED if complete else PROBED[:1]:
        target, scored = records.tasks[task].target, scored_rows(study, task)
        for ending, fraction in FRACTIONS.items() if complete else [("1", FRACTIONS["1"])]:
            own = subset(study, task, fraction, seed)
            z = aligner.transform(records.X[own]) if known is None else known[np.searchsorted(train, own)]
            p = probe(z, target[own], records.patient[own], Z[np.searchsorted(test, scored)]).p
            name = f"probe_{ending}" if task == "superclass" else f"probe_{task}_{ending}"
            found[name] = macro_auroc(target[scored], p)
    return found


def agreement(study: Study) -> Row:
    """Score the glossary on the reports themselves: how much of a report is its label in other words."""
    records, args = study.records, study.args
    test = np.flatnonzero(records.test)
    reports, glossary = reports_of(args.data, records.record_id[test]), Glossary.load()
    said = [set(glossary.concepts(text)) for text in reports]
    known = np.array([bool(text) for text in reports])
    classes = records.tasks["superclass"].classes
    target = records.tasks["superclass"].target[test]
    named = np.array([[c in own for c in classes] for own in said])
    found = {"n": int(known.sum())}
    for k, code in enumerate(classes):
        truth = target[known, k] > 0
        hits = (named[known, k] & truth).sum()
        found |= {f"{code}_sensitivity": hits / truth.sum(), f"{code}_precision": hits / named[known, k].sum()}
    return found


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__, rows=tuple(OBJECTIVES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shipped", type=lambda s: s.split(","), default=[], help="rows that are shipped models")
    sizes = parser.add_argument("--sizes", type=lambda s: [int(n) for n in s.split(",") if n], default=[1000, 3000])
    sizes.help = "reports of other fits of ours"
    args = parse(parser, "reports", argv)
    study = Study(args)
    table = Table(args.out / "reports" / "reports_runs.csv", KEYS)
    if args.quick:
        args.seeds, args.sizes = 1, []
    for seed in range(args.seeds):
        for name in args.rows:
            if seed == 0 or not name.startswith(LONG) and name not in args.shipped:
                run(study, table, name, seed, None)
        for n_reports in args.sizes:
            run(study, table, "ours", seed, n_reports)
    Table(args.out / "reports" / "agreement.csv", ("n",)).add(agreement(study))
    write(args, table)


def mean_of(rows: Sequence[Row], name: str) -> float | None:
    """Return the mean over those rows that have a value, None without any."""
    values = [float(row[name]) for row in rows if row.get(name, "") != ""]
    return float(np.mean(values)) if values else None


def write(args: argparse.Namespace, table: Table) -> None:
    """Write a page of Markdown: means over seeds, of scores and of the ends of their intervals over patients."""
    names = dict.fromkeys((row["name"], row["n_reports"]) for row in table.rows)
    lines = []
    for name, n_reports in names:
        own = [row for row in table.rows if (row["name"], row["n_reports"]) == (name, n_reports)]
        cells = []
        for score in SCORES:
            found = {name: mean_of(own, name) for name in (score, f"{score}_low", f"{score}_high")}
            cells.append(with_interval({k: v for k, v in found.items() if v is not None}, score))
        lines.append([name, str(n_reports), *cells, str(len(own))])
    about = [
        "Zero-shot: macro AUROC on fold 9 from the glossary's prompts, English and German, with 95 % intervals by",
        "bootstrap over patients; means over seeds. Reports of folds 1 to 8. Recall at 1: a record's report among 64.",
        "Probe: superclasses from the aligned vectors, with a share of the labels of folds 1 to 8.",
    ]
    header = ["row", "reports", "superclass", "rhythm", "form", "statements", "recall at 1"]
    header += ["probe, 1 %", "10 %", "100 %", "seeds"]
    write_markdown(args.out / "reports" / "reports.md", "ECG and report", about, args.command, header, lines)


if __name__ == "__main__":
    main()
