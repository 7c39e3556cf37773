"""Episodes of atrial fibrillation: how much the order of windows counts, and what the head is worth.

The weight of the transitions is chosen without MIT-BIH, on recordings whose episodes are known because they are made:
"stitched" strings windows of CinC records together, another record every 30 s or so; "repeated" keeps one record for
an episode, so that its mistakes are alike; "simulated" is `make_ecg`. Heads for the first two come from three folds.
The rule: the largest mean of the three F1 by duration; of those within .002, the smallest weight.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline

from beatssl_sklearn import ECGRecord, SequenceClassifier, WindowEmbedder, fetch_mitdb, make_ecg
from beatssl_sklearn.ecg import Episode, merge_episodes
from beatssl_sklearn.evaluation import EpisodeScores, episode_scores

from ..study.results import Table
from .rhythm_heads import RUN, Turned, embedded, pipelines

WEIGHTS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)
N_FOLDS, N_BOOTSTRAP = 3, 1000
STEP_S, WINDOW_S = 5, 10
# Shortest and longest episode with and without fibrillation [s]; lengths are log-uniform.
LASTS = {True: (30.0, 900.0), False: (60.0, 1800.0)}
N_STRUNG, STRUNG_S = 16, 7200
N_SIMULATED, SIMULATED_S, FS = 12, 1800, 250
OTHERS = ("sinus", "sinus", "pac", "pvc", "av_block_2", "rbbb")
COUNTS = ("true_s", "predicted_s", "both_s", "judged_s", "n_true", "n_found", "n_predicted", "n_right")
Known = tuple[list[NDArray[np.float32]], list[list[Episode]]]


def fit_episodes(y: NDArray[Any], windows: list[list[NDArray]], which: NDArray[np.int64]) -> SequenceClassifier:
    """Fit the head of windows on some records; each has the same weight, noise is left out."""
    kept = which[y[which] != "~"]
    rows = [part[i] for part in windows for i in kept]
    labels = [np.full(len(part[i]), "AFIB" if y[i] == "A" else "N") for part in windows for i in kept]
    weights = [1 / len(part[i]) for part in windows for i in kept]
    head: SequenceClassifier = pipelines()["af-episodes"][-1]
    return head.fit(rows, labels, sample_weight=weights)


def narrowed(head: SequenceClassifier, windows: list[NDArray]) -> tuple[SequenceClassifier, list[NDArray]]:
    """Return the same head for one column, the score of a window, and this column: windows are used again and again."""
    scores = head.estimator_.decision_function(np.concatenate(windows))[:, None]
    line = LogisticRegression()
    line.classes_, line.coef_, line.intercept_ = head.classes_, np.ones((1, 1)), np.zeros(1)
    narrow = copy(head)
    narrow.estimator_ = line
    return narrow, np.split(scores, np.cumsum([len(rows) for rows in windows])[:-1])


def lengths(rng: np.random.Generator, total: float) -> Iterator[tuple[bool, int]]:
    """Yield episodes of a made recording: with fibrillation or without, in turn, and their windows."""
    left, fibrillates = total, bool(rng.integers(2))
    while left > 0:
        lasts = min(left, float(np.exp(rng.uniform(*np.log(LASTS[fibrillates])))))
        yield fibrillates, max(1, round(lasts / STEP_S))
        left, fibrillates = left - lasts, not fibrillates


def strung(y: NDArray[Any], windows: list[NDArray], repeated: bool, seed: int) -> Known:
    """Make recordings of the windows of records."""
    rng = np.random.default_rng(seed)
    pools = {True: np.flatnonzero(y == "A"), False: np.flatnonzero((y == "N") | (y == "O"))}
    recordings, truth = [], []
    for _ in range(N_STRUNG):
        parts, labels = [], []
        for fibrillates, n in lengths(rng, STRUNG_S):
            found = [windows[rng.choice(pools[fibrillates])]]
            while sum(map(len, found)) < n:
                found.append(found[0] if repeated else windows[rng.choice(pools[fibrillates])])
            parts.append(np.concatenate(found)[:n])
            labels += ["AFIB" if fibrillates else "N"] * n
        recordings.append(np.concatenate(parts))
        truth.append(merge_episodes(labels, spans_of(len(labels))))
    return recordings, truth


def simulated() -> tuple[list[ECGRecord], list[list[Episode]]]:
    """Simulate recordings whose rhythm changes, lead II."""
    rng = np.random.default_rng(7)
    records, truth = [], []
    for _ in range(N_SIMULATED):
        parts: list[NDArray[np.float32]] = []
        episodes, start = [], 0
        for fibrillates, n in lengths(rng, SIMULATED_S):
            rhythm = "af" if fibrillates else str(rng.choice(OTHERS))
            options: dict[str, Any] = {"rhythm": rhythm, "leads": ["II"], "noise": 0.05, "random_state": rng}
            parts.append(make_ecg(1, fs=FS, duration=n * STEP_S, **options).data[0])
            stop = start + parts[-1].shape[1]
            episodes.append(Episode(start, stop, "AFIB" if fibrillates else "N"))
            start = stop
        records.append(ECGRecord(np.concatenate(parts, axis=1), float(FS), ("II",)))
        truth.append(episodes)
    return records, truth


def spans_of(n: int) -> NDArray[np.int64]:
    """Return windows in seconds."""
    starts = STEP_S * np.arange(n)
    return np.stack([starts, starts + WINDOW_S], axis=1)


def f1(sensitivity: float, ppv: float) -> float:
    """Return the harmonic mean."""
    return 2 * sensitivity * ppv / (sensitivity + ppv) if sensitivity + ppv else 0.0


def by_weight(
    head: SequenceClassifier, known: Known, spans: list[NDArray[np.int64]], fs: float
) -> dict[float, EpisodeScores]:
    """Score the head with each weight."""
    recordings, truth = known
    stops = [int(own[-1, 1]) for own in spans]
    found = {}
    for weight in WEIGHTS:
        labels = head.set_params(weight=weight).predict(recordings)
        predicted = [merge_episodes(part, span) for part, span in zip(labels, spans, strict=True)]
        found[weight] = episode_scores(truth, predicted, fs=fs, n_times=stops)
    return found


def choose_weight(
    table: Table, cache: Path, y: NDArray[Any], groups: NDArray[Any], windows: list[list[NDArray]], head: Pipeline
) -> float:
    """Choose the weight of the transitions on made recordings."""
    sums: dict[str, dict[float, NDArray[np.float64]]] = {}
    folds = StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=0).split(y, y, groups)
    for k, (train, test) in enumerate(folds):
        own, scores = narrowed(fit_episodes(y, windows, train), [windows[-1][i] for i in test])
        for name, repeated in (("stitched", False), ("repeated", True)):
            known = strung(y[test], scores, repeated, k)
            add_times(sums, name, by_weight(own, known, [spans_of(len(rows)) for rows in known[0]], 1.0))
    records, truth = simulated()
    embedder: WindowEmbedder = pipelines()["af-episodes"][0].set_params(**RUN)
    known = (embedded(cache, "simulated-windows", embedder, records), truth)
    add_times(sums, "simulated", by_weight(head[-1], known, embedder.windows(records), float(FS)))
    table_rows = {name: {w: rates(total) for w, total in totals.items()} for name, totals in sums.items()}
    for name, rows in table_rows.items():
        for weight, row in rows.items():
            table.add({"row": f"{name}, weight {weight:g}", **row})
    means = {w: float(np.mean([rows[w]["duration F1"] for rows in table_rows.values()])) for w in WEIGHTS}
    return min(w for w, mean in means.items() if mean >= max(means.values()) - 0.002)


def add_times(
    sums: dict[str, dict[float, NDArray[np.float64]]], name: str, found: Mapping[float, EpisodeScores]
) -> None:
    """Add the times and counts of recordings to those of the others of their kind."""
    for weight, scores in found.items():
        total = np.array([getattr(scores, column) for column in COUNTS], dtype=np.float64)
        own = sums.setdefault(name, {})
        own[weight] = own.get(weight, np.zeros(len(COUNTS))) + total


def rates(total: NDArray[np.float64]) -> dict[str, float]:
    """Return rates by duration and by episodes of times and counts."""
    true, predicted, both, judged, n_true, n_found, n_predicted, n_right = total
    with np.errstate(invalid="ignore", divide="ignore"):
        duration = {"Se": both / true, "PPV": both / predicted}
        specificity = 1 - (predicted - both) / (judged - true)
        episodes = {"episode Se": n_found / n_true, "episode PPV": n_right / n_predicted}
    row = {**duration, "duration F1": f1(*duration.values()), "specificity": specificity, **episodes}
    row["episode F1"] = f1(*episodes.values())
    return {name: float(value) for name, value in row.items()}


def with_bootstrap(scores: EpisodeScores) -> dict[str, float]:
    """Return rates and their intervals by records; draws without an episode say nothing of it."""
    counts = scores.records[list(COUNTS)].to_numpy(np.float64)
    row, rng = rates(counts.sum(axis=0)), np.random.default_rng(0)
    draws = [rates(counts[rng.integers(0, len(counts), len(counts))].sum(axis=0)) for _ in range(N_BOOTSTRAP)]
    for name in list(row):
        low, high = np.nanquantile([draw[name] for draw in draws], [0.025, 0.975])
        row |= {f"{name}_low": float(low), f"{name}_high": float(high)}
    return row


def as_fibrillation(episodes: list[Episode]) -> list[Episode]:
    """Return episodes in which flutter counts as fibrillation."""
    return [Episode(start, stop, "AFIB" if label == "AFL" else label) for start, stop, label in episodes]


def score_ds1(table: Table, cache: Path, data: Path, head: Pipeline, chosen: float) -> None:
    """Score episodes on MIT-BIH DS1 with each weight, and with the chosen one in detail."""
    ds1 = fetch_mitdb(data / "mitdb", records="DS1", download_if_missing=False)
    own = [i for i in range(len(ds1.data)) if ds1.leads[i][0] == "II"]
    embedder: WindowEmbedder = pipelines()["af-episodes"][0].set_params(**RUN)
    both = [ds1.data[i] for i in own]
    for name, records in (("lead II", list(Turned(both, "II", 1.0))), ("both leads", both)):
        rows = embedded(cache, f"mitdb-windows-{name.replace(' ', '-')}", embedder, records)
        spans, n_times = embedder.windows(records), [record.signal.shape[1] for record in records]
        for weight in sorted({chosen, *(WEIGHTS if name == "lead II" else ())}):
            labels = head[-1].set_params(weight=weight).predict(rows)
            found = [merge_episodes(part, span) for part, span in zip(labels, spans, strict=True)]
            left_out = [ds1.rhythms[i] for i in own]
            counted = [as_fibrillation(episodes) for episodes in left_out]
            row = f"DS1 {name}, weight {weight:g}{', chosen' if weight == chosen else ''}"
            for how, truth, ignore in ((" without flutter", left_out, ("AFL",)), (" flutter is AF", counted, ())):
                scores = episode_scores(truth, found, fs=ds1.fs, n_times=n_times, ignore=ignore)
                table.add({"row": row + how, **with_bootstrap(scores)})
                if weight == chosen:
                    each = scores.records.assign(record=[ds1.record_id[i] for i in own])
                    each.to_csv(table.path.with_name(f"ds1 {name}{how}.csv".replace(" ", "_")), index=False)
