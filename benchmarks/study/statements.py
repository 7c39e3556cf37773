"""The shipped models "statements" and "age-sex": how they are made, and what they are worth.

    python -m benchmarks.study.statements --unpacked PTBXL [--cache CACHE] [--models DIR]

Fits both on folds 1 to 8 of PTB-XL, on the vectors of the shipped encoder "ptbxl", and scores them on fold 9. Labels:
the five superclasses, and every statement of at least 100 records of folds 1 to 8 (whatever its likelihood). Writes
`labels.csv` (AUROC, F1 at the model's threshold, calibration error of each label), `summary.csv`, `unlike.csv` (what
`score_samples` says of altered records), `reliability.csv`, `statements.md` and `reliability.png`. With
`--models`, heads come from this folder, or are fitted and written there. Intervals are 95 % by bootstrap over patients.

Cannot show: fold 10, other hospitals or devices. The encoder was trained on folds 1 to 8, without the superclasses, and
its settings were chosen by a score on fold 9; nothing of the heads was. Labels of fewer than 30 records of fold 9 have
wide intervals. Drawing records anew raises a calibration error, so that its interval lies too high. The calibration
holds for the shares of labels in PTB-XL.
"""

from __future__ import annotations

import argparse
import ast
import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline

from beatssl_sklearn import RhythmEmbedder, fetch_ptbxl, load, make_ecg, save
from beatssl_sklearn.classifiers import AgeSexRegressor, LabelClassifier
from beatssl_sklearn.evaluation.probing import bootstrap_interval, macro_auroc

SUPERCLASSES = ("NORM", "MI", "STTC", "CD", "HYP")
LEAST_POSITIVES = 100
N_FOLDS = 3
N_BINS, N_BOOTSTRAP = 10, 200
OUT = Path("benchmarks/results/study/statements")
_ALTERED = 500
Statistic = Callable[..., float]


def label_table(folder: Path, data: Any, train: NDArray[np.bool_]) -> pd.DataFrame:
    """Return superclasses and the statements that are frequent enough: (n_records, n_labels) of 0 and 1."""
    with open(folder / "ptbxl_database.csv", newline="") as stream:
        rows = {int(row["ecg_id"]): row for row in csv.DictReader(stream)}
    found = []
    for i in data.record_id.tolist():
        own = rows[i]["statements"].split() if "statements" in rows[i] else list(ast.literal_eval(rows[i]["scp_codes"]))
        found.append({code.strip("_ ") for code in own})
    table = pd.DataFrame(data.target, columns=list(data.target_names))
    for name in sorted({code for own in found for code in own} - set(SUPERCLASSES)):
        has = np.array([name in own for own in found])
        if has[train].sum() >= LEAST_POSITIVES:
            table[name] = has.astype(np.int8)
    return table


def vectors(data: Any, cache: Path | None) -> NDArray[np.float32]:
    """Embed all records, once if there is a cache."""
    path = None if cache is None else cache / "statements_vectors.npz"
    if path is not None and path.exists():
        with np.load(path) as kept:
            assert np.array_equal(kept["record_id"], data.record_id), f"{path} has other records"
            return np.asarray(kept["Z"])
    Z = RhythmEmbedder("ptbxl", fs=100).transform(data.data)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, Z=Z, record_id=data.record_id)
    return Z


def calibration_error(y: NDArray, p: NDArray[np.float64]) -> float:
    """Return the mean distance between probability and share of positives, over bins of equal width."""
    bins = np.minimum((p * N_BINS).astype(int), N_BINS - 1)
    sums = np.bincount(bins, weights=p, minlength=N_BINS) - np.bincount(bins, weights=y, minlength=N_BINS)
    return float(np.abs(sums).sum() / len(y))


def mean_error(y: NDArray, p: NDArray[np.float64]) -> float:
    """Return the mean calibration error over labels."""
    return float(np.mean([calibration_error(y[:, k], p[:, k]) for k in range(y.shape[1])]))


def reliability(y: NDArray, p: NDArray[np.float64]) -> pd.DataFrame:
    """Return number, mean probability and share of positives of each bin that has a record."""
    bins = np.minimum((p * N_BINS).astype(int), N_BINS - 1)
    frame = pd.DataFrame({"bin": bins, "probability": p, "share": y.astype(float), "n": 1})
    return frame.groupby("bin").agg({"n": "sum", "probability": "mean", "share": "mean"}).reset_index()


def interval(patient: NDArray, statistic: Statistic, *columns: NDArray) -> tuple[float, ...]:
    """Return a statistic of columns of rows, and its 95 % interval over patients."""
    _, code = np.unique(patient, return_inverse=True)
    order = np.argsort(code, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(code))[:-1])
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(N_BOOTSTRAP):
        rows = np.concatenate([members[k] for k in rng.integers(0, len(members), len(members))])
        drawn.append(statistic(*(column[rows] for column in columns)))
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return statistic(*columns), float(low), float(high)


def auroc(y: NDArray, p: NDArray[np.float64]) -> float:
    """Return the AUROC; NaN without two classes."""
    return float(roc_auc_score(y, p)) if 0 < y.sum() < len(y) else float("nan")


def scored_labels(
    model: LabelClassifier, y: NDArray, p: NDArray[np.float64], patient: NDArray, n_train: NDArray[np.int64]
) -> pd.DataFrame:
    """Return a row per label."""
    rows = []
    for k, label in enumerate(model.classes_):
        low, high = bootstrap_interval("macro_auroc", y[:, k], p[:, k], groups=patient)
        rows.append(
            {
                "label": str(label),
                "n_train": int(n_train[k]),
                "n_test": int(y[:, k].sum()),
                "auroc": auroc(y[:, k], p[:, k]),
                "low": low,
                "high": high,
                "f1": f1_score(y[:, k], p[:, k] >= model.thresholds_[k]),
                "threshold": model.thresholds_[k],
                "share": y[:, k].mean(),
                "mean_probability": p[:, k].mean(),
                "calibration_error": calibration_error(y[:, k], p[:, k]),
                "C": model.C_[k],
            }
        )
    return pd.DataFrame(rows)


def summary(y: NDArray, p: NDArray[np.float64], patient: NDArray) -> pd.DataFrame:
    """Return means over the superclasses and over the other labels."""
    rows = []
    for name, own in (("superclasses", slice(0, 5)), ("statements", slice(5, None))):
        limits = bootstrap_interval("macro_auroc", y[:, own], p[:, own], groups=patient)
        found = {"macro AUROC": (macro_auroc(y[:, own], p[:, own]), *limits)}
        found["mean ECE"] = interval(patient, mean_error, y[:, own], p[:, own])
        for what, values in found.items():
            rows.append({"labels": name, "measure": what, **dict(zip(("value", "low", "high"), values, strict=True))})
    return pd.DataFrame(rows)


def scored_people(found: NDArray[np.float64], true: NDArray[np.float64], patient: NDArray) -> pd.DataFrame:
    """Return scores of age and sex."""
    known = np.isfinite(true[:, 0])
    age, own, of = true[known, 0], found[known, 0], patient[known]
    mean_age = np.full_like(age, np.nanmean(true[:, 0]))
    rows = []
    for name, statistic, columns, who in (
        ("age: mean absolute error", lambda a, b: float(np.abs(a - b).mean()), (age, own), of),
        ("age: median absolute error", lambda a, b: float(np.median(np.abs(a - b))), (age, own), of),
        ("age: mean error", lambda a, b: float((b - a).mean()), (age, own), of),
        ("age: correlation", lambda a, b: float(np.corrcoef(a, b)[0, 1]), (age, own), of),
        ("age: mean absolute error of the mean age", lambda a, b: float(np.abs(a - b).mean()), (age, mean_age), of),
        ("sex: AUROC", auroc, (true[:, 1], found[:, 1]), patient),
        ("sex: ECE", calibration_error, (true[:, 1], found[:, 1]), patient),
    ):
        value, low, high = interval(who, statistic, *columns)
        rows.append({"labels": "age-sex", "measure": name, "value": value, "low": low, "high": high})
    return pd.DataFrame(rows)


def altered_records(data: Any, test: NDArray[np.bool_]) -> dict[str, NDArray[np.float32]]:
    """Return records of fold 9 and what can be wrong with them: (n, 12, 1000) each."""
    rows = np.flatnonzero(test)[:: max(1, int(test.sum()) // _ALTERED)][:_ALTERED]
    X = np.stack([record.signal for record in data.data[rows]])
    rng = np.random.default_rng(0)
    # Electrodes of the arms are exchanged: I turns over, II and III change places, and so do aVR and aVL.
    arms = X[:, [0, 2, 1, 4, 3, *range(5, 12)]]
    arms[:, 0] *= -1
    noise = rng.normal(0, 0.3, X.shape).astype(np.float32)
    return {
        "as recorded": X,
        "arms exchanged": arms,
        "V1 to V6 in reverse": np.concatenate([X[:, :6], X[:, :5:-1]], axis=1),
        "all leads turned over": -X,
        "with white noise of 0.3 mV": X + noise,
        "played at half the speed": np.repeat(X[:, :, : X.shape[2] // 2], 2, axis=2),
        "white noise alone": noise,
        "simulated (make_ecg)": make_ecg(200, rhythm="mixed", fs=100, random_state=0).data,
    }


def unlike_table(model: Pipeline, data: Any, test: NDArray[np.bool_]) -> pd.DataFrame:
    """Return how many altered records are farther from the mean than 95, 99 and 99.9 % of the training."""
    rows = []
    for name, X in altered_records(data, test).items():
        s = model.score_samples(X)
        shares = {f"beyond_{q}": float((s <= 1 - q / 100).mean()) for q in (95, 99, 99.9)}
        rows.append({"records": name, "n": len(X), "median_unlike": float(np.median(1 - s)), **shares})
    return pd.DataFrame(rows)


def draw_reliability(table: pd.DataFrame, path: Path) -> None:
    """Draw probability against share of positives, of each superclass and of all statements together."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
    for name, own in table.groupby("labels", sort=False):
        shown = own[own.n >= 20]
        together = name == "statements"
        style: dict[str, Any] = {"color": "black", "linewidth": 2.5} if together else {"linewidth": 1.5}
        axes.plot(shown.probability, shown.share, marker="o", markersize=4, label=name, **style)
    axes.set(xlabel="probability", ylabel="share of records that have the label", xlim=(0, 1), ylim=(0, 1))
    axes.set_title("Fold 9 of PTB-XL; bins of at least 20 records", fontsize=11)
    axes.legend(frameon=False)
    axes.set_aspect("equal")
    figure.savefig(path, dpi=150)


def reliability_table(classes: Sequence[str], y: NDArray, p: NDArray[np.float64]) -> pd.DataFrame:
    """Return the bins of each superclass, and of the statements together."""
    parts = [reliability(y[:, k], p[:, k]).assign(labels=classes[k]) for k in range(5)]
    parts.append(reliability(y[:, 5:].ravel(), p[:, 5:].ravel()).assign(labels="statements"))
    return pd.concat(parts)[["labels", "bin", "n", "probability", "share"]]


def markdown(scores: pd.DataFrame, labels: pd.DataFrame, unlike: pd.DataFrame) -> str:
    """Return all tables as one page."""
    lines = ["# Statements, age and sex", "", "Fold 9 of PTB-XL; models of folds 1 to 8. For research only.", ""]
    lines += ["| labels | measure | value (95 %) |", "|---|---|---|"]
    for row in scores.itertuples():
        lines.append(f"| {row.labels} | {row.measure} | {row.value:.3f} ({row.low:.3f}-{row.high:.3f}) |")
    lines += ["", "| label | records of folds 1-8 | of fold 9 | AUROC (95 %) | F1 | threshold | ECE |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for row in labels.itertuples():
        lines.append(
            f"| {row.label} | {row.n_train} | {row.n_test} | {row.auroc:.3f} ({row.low:.3f}-{row.high:.3f}) | "
            f"{row.f1:.2f} | {row.threshold:.2f} | {row.calibration_error:.3f} |"
        )
    lines += ["", "Records farther from the mean than 95, 99 and 99.9 % of the training records:", ""]
    lines += ["| records | n | median of `unlike` | 95 | 99 | 99.9 |", "|---|---|---|---|---|---|"]
    for _, own in unlike.iterrows():
        shares = " | ".join(f"{own[f'beyond_{q}']:.2f}" for q in (95, 99, 99.9))
        lines.append(f"| {own['records']} | {own['n']} | {own['median_unlike']:.3f} | {shares} |")
    return "\n".join([*lines, ""])


def people_table(data: Any) -> NDArray[np.float64]:
    """Return age and sex (1 is male), NaN where unknown: (n_records, 2)."""
    sex = np.where(data.sex == "M", 1.0, np.where(data.sex == "F", 0.0, np.nan))
    return np.column_stack([data.age.astype(np.float64), sex])


def model_in(folder: Path | None, name: str, fit: Callable[[], Any]) -> Any:
    """Return the head of a model file; if it is not there, fit the head and write the file."""
    path = None if folder is None else folder / f"{name}.bssl"
    if path is not None and path.exists():
        return load(path)[-1]
    head = fit()
    if path is not None:
        save(Pipeline([("embed", RhythmEmbedder("ptbxl")), ("answer", head)]), path, by_name=True)
    return head


def main() -> None:
    """Fit, score and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unpacked", type=Path, required=True, help="PTB-XL, as for `fetch_ptbxl`")
    parser.add_argument("--cache", type=Path, help="folder that keeps the vectors")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--models", type=Path, help="folder for statements.bssl and age-sex.bssl")
    arguments = parser.parse_args()
    data = fetch_ptbxl(arguments.unpacked, folds=range(1, 10), download_if_missing=False)
    test = data.fold == 9
    patient = data.patient_id
    table = label_table(arguments.unpacked, data, ~test)
    Z, people = vectors(data, arguments.cache), people_table(data)

    def fit_statements() -> LabelClassifier:
        return LabelClassifier(n_folds=N_FOLDS).fit(Z[~test], table[~test], groups=patient[~test])

    def fit_age_sex() -> AgeSexRegressor:
        return AgeSexRegressor(n_folds=N_FOLDS).fit(Z[~test], people[~test], groups=patient[~test])

    statements = model_in(arguments.models, "statements", fit_statements)
    age_sex = model_in(arguments.models, "age-sex", fit_age_sex)
    y, p = table[test].to_numpy(), statements.predict_proba(Z[test])
    labels = scored_labels(statements, y, p, patient[test], table[~test].to_numpy().sum(axis=0))
    scores = pd.concat(
        [summary(y, p, patient[test]), scored_people(age_sex.predict(Z[test]), people[test], patient[test])]
    )
    unlike = unlike_table(make_pipeline(RhythmEmbedder("ptbxl", fs=100), statements), data, test)
    bins = reliability_table([str(c) for c in statements.classes_], y, p)
    arguments.out.mkdir(parents=True, exist_ok=True)
    named = {"labels": labels, "summary": scores, "unlike": unlike, "reliability": bins}
    for name, frame in named.items():
        frame.round(4).to_csv(arguments.out / f"{name}.csv", index=False)
    (arguments.out / "statements.md").write_text(markdown(scores, labels, unlike), encoding="utf-8")
    draw_reliability(bins, arguments.out / "reliability.png")
    print(scores.round(4).to_string(index=False))
    print(unlike.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
