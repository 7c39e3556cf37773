"""Superclasses from reduced lead sets, by the classifier of twelve leads and by one for the same leads.

    python -m benchmarks.study.leads --unpacked PTBXL --model ours=OURS.bssl --rows random,features,ours

Measures: macro AUROC and F1 on fold 9, all labels. "trained on 12": the logistic regression was fitted to embeddings of
twelve leads and sees embeddings of fewer; "trained on these": fitted to embeddings of the same leads. The encoder is
the same in both and does not know the lead set.

Cannot show: what an encoder pretrained on few leads would give, nor electrodes placed otherwise than PTB-XL's.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from .common import Study, make_parser, parse
from .labels import n_draws, row_digest, row_fit, scored_rows, subset
from .results import Table, with_interval, write_markdown
from .scoring import Fit, keep_fit, probes, read_fit, summary

LEAD_SETS: dict[str, tuple[str, ...] | None] = {
    "12": None,
    "six limb leads": ("I", "II", "III", "aVR", "aVL", "aVF"),
    "I, II, V2": ("I", "II", "V2"),
    "I, II": ("I", "II"),
    "II": ("II",),
    "V2": ("V2",),
}
KEYS = ("row", "leads", "trained_on", "encoder", "n_fits")


def transferred(study: Study, name: str, leads: Any, seed: int) -> Fit:
    """Fit on twelve leads, score on fewer: one fit for all lead sets."""
    records, target = study.records, study.records.tasks["superclass"].target
    rows, test = subset(study, "superclass", 1.0, seed), scored_rows(study, "superclass")
    fewer = [own for own in LEAD_SETS.values() if own is not None]

    def file_of(own: Any) -> Path:
        file = f"{row_digest(study, name, seed)}-{records.key}-12-to-{'-'.join(own)}-s{seed}.npz"
        return Path(study.args.cache / "fits" / file)

    if not all(file_of(own).exists() for own in fewer):
        Z = study.embedding(name, seed)[rows]
        seen = (study.embedding(name, seed, own)[test] for own in fewer)
        for own, fit in zip(fewer, probes(Z, target[rows], records.patient[rows], seen), strict=True):
            keep_fit(file_of(own), fit)
    return read_fit(file_of(leads))


def cell(study: Study, table: Table, name: str, shown_as: str, trained_on: str) -> dict[str, Any]:
    """Compute one cell, unless it is finished."""
    leads, n = LEAD_SETS[shown_as], n_draws(study, name, 1.0)
    encoder = row_digest(study, name, 0)
    key = {"row": name, "leads": shown_as, "trained_on": trained_on, "encoder": encoder, "n_fits": n}
    done = table.find(**key)
    if done is None:
        if trained_on == "12" and leads is not None:
            fits = [transferred(study, name, leads, seed) for seed in range(n)]
        else:
            fits = [row_fit(study, name, "superclass", 1.0, seed, leads) for seed in range(n)]
        test = scored_rows(study, "superclass")
        target, patient = study.records.tasks["superclass"].target[test], study.records.patient[test]
        done = table.add({**key, **summary(fits, target, patient), **study.describe(name)})
        sys.stdout.write(f"{name} {shown_as}, trained on {trained_on}: {with_interval(done, 'auroc')}\n")
        sys.stdout.flush()
    return done


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__, ("random", "features", "hard", "paper", "ours"))
    sets = parser.add_argument("--lead-sets", type=lambda s: s.split(";"), default=list(LEAD_SETS))
    sets.help = f"some of: {'; '.join(LEAD_SETS)}"
    parser.add_argument("--same-only", action="store_true", help="no classifiers of twelve leads that see fewer")
    args = parse(parser, "leads", argv)
    unknown = sorted(set(args.lead_sets) - set(LEAD_SETS))
    if unknown:
        parser.error(f"--lead-sets has {unknown[0]!r}; known are {'; '.join(LEAD_SETS)}")
    study = Study(args)
    table = Table(args.out / "leads.csv", KEYS)
    lines, trained_on = [], ("these",) if args.same_only else ("12", "these")
    for name in args.rows:
        for shown_as in args.lead_sets:
            own = cell(study, table, name, shown_as, "same")
            cells = [own]
            if not args.same_only:
                cells.insert(0, own if shown_as == "12" else cell(study, table, name, shown_as, "12"))
            lines.append([name, shown_as, *(with_interval(c, s) for s in ("auroc", "f1") for c in cells)])
    header = ["row", "leads", *(f"{s}, trained on {on}" for s in ("AUROC", "F1") for on in trained_on)]
    about = [
        f"PTB-XL superclasses, fold {args.test_fold}, linear probes on frozen embeddings, all labels; 95 % intervals",
        f"by bootstrap over patients. {'; '.join(f'{n}: {study.budget(n)}' for n in args.rows if study.budget(n))}.",
    ]
    write_markdown(args.out / "leads.md", "Reduced leads", about, args.command, header, lines)


if __name__ == "__main__":
    main()
