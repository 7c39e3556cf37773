"""Does the attribution of a prompt find the heartbeats that the prompt is about?

    python -m benchmarks.study.report_beats --unpacked PTBXL --data DATA

Measures: a `ReportAligner` is fitted on reports of folds 1 to 8 with several weights of the beat loss. Then it is asked
for "ventricular extrasystole" and, as controls, for other things. Within each record, the AUROC tells extrasystoles
from the usual beats by what each beat adds to the score; it is averaged over records, with 95 % intervals by bootstrap
over patients. "First": the share of records whose largest part belongs to an extrasystole; "chance" is their mean share
of the beats. "distance" has no text: it is how far a beat's embedding lies from the median of its record.

Two sets: records of PTB-XL's fold 9 with the statement PVC, where a rule finds extrasystoles (early, of another shape,
and wide); and excerpts of 10 s of MIT-BIH DS1, two leads, where experts marked each beat.

Cannot show: that the parts are causes. The rule misses late and narrow extrasystoles, and beats that are neither one
nor the other are left out. The encoder was pretrained to predict features of beats, rhythm and shape among them. Fold 9
was looked at while this was built.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from beatssl_sklearn import (
    BeatEmbedder,
    ECGRecord,
    ReportAligner,
    ReportAlignment,
    detect_rpeaks,
    fetch_mitdb,
    fetch_ptbxl,
    match_labels,
    save,
)
from beatssl_sklearn.evaluation.probing import bootstrap_interval, macro_auroc
from beatssl_sklearn.plotting import plot_attribution

from .common import make_parser, parse
from .results import Row, Table, with_interval, write_markdown

ASKED = "ventricular extrasystole"
CONTROLS = ("left bundle branch block", "sinus rhythm", "normal ECG")
PROMPTS = (ASKED, "ventrikuläre Extrasystole", "premature beat", *CONTROLS)
KEYS = ("set", "beat_weight", "seed", "prompt")
N_BOOTSTRAP = 1000
# A beat is early if the interval before it is shorter than this share of the median.
EARLY = 0.8
# Correlation with the record's median beat: of another shape below, of the usual shape above.
UNLIKE, LIKE = 0.8, 0.9
# Wide beats are this much wider than the median.
WIDE = 1.2
_SHAPE, _WIDEST = (0.12, 0.20), 0.2
FEWEST_USUAL, MOST_EXCERPTS, EXCERPT_S = 3, 12, 10.0


class Marked(NamedTuple):
    """Records with beats that are told apart: 1 extrasystole, 0 usual, -1 neither."""

    records: Any
    rpeaks: list[NDArray[np.int64]]
    types: list[NDArray[np.int64]]
    patient: NDArray[np.int64]
    name: list[str]


def early_wide_beats(signal: NDArray[np.float64], fs: float, rpeaks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Mark beats by a rule: 1 if early, of another shape and wide, 0 if neither early nor of another shape, else -1.

    Parameters
    ----------
    signal : ndarray (n_leads, n_times) [mV]
    fs : float [Hz]
    rpeaks : ndarray (n_beats,)
    """
    types = np.full(len(rpeaks), -1)
    before, after = round(_SHAPE[0] * fs), round(_SHAPE[1] * fs)
    inside = np.flatnonzero((rpeaks >= before) & (rpeaks + after < signal.shape[1]))
    if len(inside) < FEWEST_USUAL + 1:
        return types
    rr = np.concatenate([[np.nan], np.diff(rpeaks)])
    early = rr[inside] < EARLY * np.nanmedian(rr)
    beats = np.stack([signal[:, p - before : p + after] for p in rpeaks[inside]])
    beats = beats - np.median(beats, axis=2, keepdims=True)
    shapes = beats.reshape(len(beats), -1)
    usual = np.median(shapes, axis=0)
    alike = np.array([np.corrcoef(own, usual)[0, 1] for own in shapes])
    size = np.sqrt((beats**2).mean(axis=1))
    width = (size > 0.3 * size.max(axis=1, keepdims=True)).sum(axis=1)
    types[inside[~early & (alike > LIKE)]] = 0
    types[inside[early & (alike < UNLIKE) & (width > WIDE * np.median(width))]] = 1
    return types


def _enough(types: NDArray[np.int64]) -> bool:
    """Whether a record has extrasystoles, and enough usual beats that are not fewer."""
    n_usual = int((types == 0).sum())
    return n_usual >= FEWEST_USUAL and 0 < int((types == 1).sum()) <= n_usual


def ptbxl_marked(data: Any, test_fold: int) -> Marked:
    """Return the records of a fold with the statement PVC whose extrasystoles the rule finds."""
    rows = [i for i in np.flatnonzero(data.fold == test_fold) if "PVC" in data.form[i]]
    records = [data.data[i] for i in rows]
    rpeaks = [detect_rpeaks(r.signal[None], r.fs)[0] for r in records]
    types = [early_wide_beats(r.signal.astype(np.float64), r.fs, p) for r, p in zip(records, rpeaks, strict=True)]
    kept = [k for k, own in enumerate(types) if _enough(own)]
    chosen = np.array(rows)[kept]
    names = [str(data.record_id[i]) for i in chosen]
    return Marked(
        data.data[chosen], [rpeaks[k] for k in kept], [types[k] for k in kept], data.patient_id[chosen], names
    )


def mitdb_marked(folder: Path) -> Marked:
    """Return excerpts of DS1 with beats that experts marked V and N, at most twelve per record."""
    data = fetch_mitdb(folder, records="DS1", download_if_missing=False)
    records, rpeaks, marks, names, patients = [], [], [], [], []
    for i, record in enumerate(data.data):
        n, peaks = round(EXCERPT_S * record.fs), data.rpeaks[i]
        types = np.select([data.beat_labels[i] == "V", data.beat_labels[i] == "N"], [1, 0], -1)
        parts = [(peaks >= at) & (peaks < at + n) for at in range(0, record.signal.shape[1] - n, n)]
        good = [k for k, own in enumerate(parts) if _enough(types[own])]
        for k in [good[j] for j in np.unique(np.linspace(0, len(good) - 1, min(len(good), MOST_EXCERPTS)).astype(int))]:
            records.append(ECGRecord(record.signal[:, k * n : (k + 1) * n], record.fs, record.leads))
            rpeaks.append(peaks[parts[k]] - k * n)
            marks.append(types[parts[k]])
            names.append(f"{i}/{k}")
            patients.append(int(data.patient_id[i]))
    return Marked(records, rpeaks, marks, np.array(patients), names)


def scores(marked: Marked, rpeaks: list[NDArray[np.int64]], parts: list[NDArray]) -> Row:
    """Return how well parts of beats tell extrasystoles, with intervals over patients."""
    auroc, first, share, patient = [], [], [], []
    for k, (peaks, part) in enumerate(zip(rpeaks, parts, strict=True)):
        types = np.asarray(match_labels([peaks], [marked.rpeaks[k]], [marked.types[k]], fs=_fs(marked, k), fill=-1)[0])
        types, part = types[types >= 0].astype(int), part[types >= 0]
        if 0 < types.sum() < len(types):
            auroc.append(macro_auroc(types, part))
            first.append(types[part.argmax()])
            share.append(types.mean())
            patient.append(marked.patient[k])
    out: Row = {"n_records": len(auroc), "n_patients": len(set(patient)), "chance": float(np.mean(share))}
    for name, own in (("auroc", np.array(auroc)), ("first", np.array(first, dtype=np.float64))):
        low, high = bootstrap_interval(
            lambda _, s: float(np.mean(s)), np.zeros(len(own)), own, np.array(patient), n_bootstrap=N_BOOTSTRAP
        )
        out |= {name: float(own.mean()), f"{name}_low": low, f"{name}_high": high}
    return out


def _fs(marked: Marked, k: int) -> float:
    return float(marked.records[k].fs)


def fitted(data: Any, args: argparse.Namespace, beat_weight: float, seed: int) -> ReportAligner:
    """Fit on reports of the training folds, so many of each, at even steps; or read what an earlier call kept."""
    words = (Path(args.pretrainer).name, args.per_fold, args.aligner_epochs, args.test_fold, beat_weight, seed)
    kept = args.cache / "reports" / f"beats-{'-'.join(map(str, words))}.bssl"
    if kept.exists():
        return ReportAligner.load(kept)
    has = np.array([bool(text) for text in data.report])
    rows = []
    for fold in sorted(set(data.fold.tolist()) - {args.test_fold}):
        own = np.flatnonzero(has & (data.fold == fold))
        rows.append(own[np.unique(np.linspace(0, len(own) - 1, min(args.per_fold, len(own))).round().astype(np.int64))])
    chosen = np.concatenate(rows)
    objective = ReportAlignment(beat_weight=beat_weight)
    aligner = ReportAligner(
        args.pretrainer, objective=objective, device=args.device, random_state=seed, check="ignore",
        max_epochs=args.aligner_epochs,
    )  # fmt: skip
    aligner.fit(data.data[chosen], reports=[data.report[i] for i in chosen])
    kept.parent.mkdir(parents=True, exist_ok=True)
    save(aligner, kept)
    return aligner


def distances(marked: Marked, pretrainer: str) -> Row:
    """Score the distance of beats from the median of their record, without any text."""
    embedder = BeatEmbedder(pretrainer, check="ignore")
    beats, rpeaks = embedder.transform(marked.records), embedder.rpeaks(marked.records)
    parts = [np.linalg.norm(own - np.median(own, axis=0), axis=1) if len(own) else np.zeros(0) for own in beats]
    return scores(marked, rpeaks, parts)


def draw(aligner: ReportAligner, marked: Marked, n: int, folder: Path) -> None:
    """Draw what the prompt points at on some records, at even steps."""
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    for k in np.unique(np.linspace(0, len(marked.name) - 1, n + 2).round().astype(int)[1:-1]):
        found = aligner.attribution(marked.records[k : k + 1], ASKED)
        figure = plot_attribution(marked.records[k], None, found, prompt=ASKED, figure=Figure())
        figure.savefig(folder / f"beats_{marked.name[k]}.png", dpi=80)


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.set_defaults(per_fold=375)
    parser.add_argument("--beat-weights", type=lambda s: [float(w) for w in s.split(",")], default=[0.0, 0.2, 1.0, 5.0])
    parser.add_argument("--pretrainer", default="ptbxl", help="name or file of the encoder")
    parser.add_argument("--aligner-epochs", type=int, default=None)
    parser.add_argument("--draw", type=int, default=0, help="how many records to draw")
    args = parse(parser, "report_beats", argv)
    if args.quick:
        args.aligner_epochs, args.beat_weights = 1, args.beat_weights[:1]
    folder = args.out / "reports"
    table = Table(folder / "beats.csv", KEYS)
    data = fetch_ptbxl(args.unpacked, folds=[*range(1, 9), args.test_fold], download_if_missing=False)
    sets = {"PTB-XL": ptbxl_marked(data, args.test_fold), "MIT-BIH": mitdb_marked(args.data / "mitdb")}
    for name, marked in sets.items():
        key = {"set": name, "beat_weight": "", "seed": "", "prompt": "distance"}
        if table.find(**key) is None:
            print(table.add(key | distances(marked, args.pretrainer)), file=sys.stderr)
    for weight in args.beat_weights:
        for seed in range(args.encoder_seeds):
            keys = [
                {"set": name, "beat_weight": weight, "seed": seed, "prompt": prompt}
                for name in sets
                for prompt in PROMPTS
            ]
            drawn = args.draw if weight == ReportAlignment().beat_weight and seed == 0 else 0
            if not drawn and all(table.find(**key) for key in keys):
                continue
            aligner = fitted(data, args, weight, seed)
            if drawn:
                draw(aligner, sets["PTB-XL"], drawn, folder)
            for key in keys:
                if table.find(**key) is not None:
                    continue
                marked = sets[key["set"]]
                found = aligner.attribution(marked.records, key["prompt"], leads=False)
                row = key | scores(marked, found.rpeaks, found.beats) | {"rhythm": float(np.nanmean(found.rhythm))}
                print(table.add(row | {"score": float(np.nanmean(found.score))}), file=sys.stderr)
    write(table, folder / "beats.md", sets, args)


def write(table: Table, path: Path, sets: dict[str, Marked], args: argparse.Namespace) -> None:
    """Write the table for readers."""
    counts = {
        name: [sum(int((own == kind).sum()) for own in marked.types) for kind in (1, 0)]
        for name, marked in sets.items()
    }
    about = [
        f"{args.per_fold} reports of each of the folds 1 to 8, encoder `{args.pretrainer}`, seeds 0 to "
        f"{args.encoder_seeds - 1}. AUROC of extrasystoles against the usual",
        "beats of the same record, by what each beat adds to the score of the prompt; mean over records, 95 %",
        f"intervals by bootstrap over patients ({N_BOOTSTRAP} draws). Beats that are neither are left out.",
    ]
    about += [
        f"{name}: {len(sets[name].types)} records, {own[0]} extrasystoles and {own[1]} usual beats."
        for name, own in counts.items()
    ]
    header = ("set", "beat weight", "seed", "prompt", "records", "patients", "AUROC", "first", "chance")
    lines = [
        [
            *(str(row[k]) for k in ("set", "beat_weight", "seed", "prompt", "n_records", "n_patients")),
            with_interval(row, "auroc"), with_interval(row, "first"), f"{row['chance']:.2f}".lstrip("0"),
        ]
        for row in sorted(table.rows, key=lambda r: r["set"] != "PTB-XL")
    ]  # fmt: skip
    write_markdown(path, "Which heartbeats a prompt points at", about, args.command, header, lines)


if __name__ == "__main__":
    main()
