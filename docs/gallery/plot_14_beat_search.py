"""
Search a head for heartbeats
============================

A classifier scores each beat, and transitions bring the scores into order. Which classifier, and how much order?

With ``BEATSSL_DATA``, the beats are of twelve records of the MIT-BIH Arrhythmia Database (Moody and Mark 2001, ODC-BY),
ten minutes each. Without, they are simulated.
"""

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from beatssl_sklearn import BeatContext, BeatEmbedder, ECGRecord, SequenceClassifier, make_ecg, match_labels
from beatssl_sklearn.datasets import fetch_mitdb
from beatssl_sklearn.evaluation import beat_scorer

mitdb = Path(os.environ.get("BEATSSL_DATA", "none"), "mitdb")
if mitdb.is_dir():
    chosen = [106, 114, 118, 119, 124, 201, 203, 205, 207, 208, 209, 223]
    mit = fetch_mitdb(mitdb, records=chosen, download_if_missing=False)
    records = [ECGRecord(r.signal[:, : int(600 * r.fs)], r.fs, r.leads) for r in mit.data]
    marks, types, patient = mit.rpeaks, [np.where(own == "Q", None, own) for own in mit.beat_labels], mit.patient_id
else:
    ecg = make_ecg(12, rhythm=["pac", "pvc"], fs=250, duration=20, leads=["II", "V1"], noise=0.05, random_state=0)
    records, marks, patient = [ECGRecord(x, ecg.fs, ecg.leads) for x in ecg.data], ecg.rpeaks, ecg.patient_id
    types = [np.where(own == "A", "S", own) for own in ecg.beat_types]

# %%
# Embedding, morphology and timing do not depend on the head: they are computed once.

embedder = BeatEmbedder("ptbxl", timing=True, morphology=True)
beats, rpeaks = embedder.transform(records), embedder.rpeaks(records)
y = match_labels(rpeaks, marks, types, fs=records[0].fs)
heads = {f"logistic, C={C:g}": LogisticRegression(C=C, max_iter=1000) for C in (0.001, 0.01, 0.1)}
heads["network of 16"] = MLPClassifier((16,), alpha=1.0, tol=0.01, random_state=0)
model = Pipeline([("context", BeatContext(n_components=0, morphology=True)), ("head", SequenceClassifier())])
weights = [0.0, 0.5, 1.0]
grid = {"head__estimator": [make_pipeline(StandardScaler(), head) for head in heads.values()], "head__weight": weights}
search = GridSearchCV(model, grid, scoring=beat_scorer("f1_macro"), cv=GroupKFold(4)).fit(beats, y, groups=patient)

# %%
# Every square is the mean over four folds of patients. A weight of 0 labels each beat by itself.

table = search.cv_results_["mean_test_score"].reshape(len(heads), len(weights))
fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
image = ax.imshow(table, cmap="viridis", aspect="auto")
for (i, j), value in np.ndenumerate(table):
    ax.text(j, i, f"{value:.2f}", ha="center", va="center", color="black" if image.norm(value) > 0.6 else "white")
ax.set_xticks(range(len(weights)), weights)
ax.set_yticks(range(len(heads)), list(heads))
ax.set(xlabel="weight of transitions", title="macro F1 of N, S, V and F, patients left out")
