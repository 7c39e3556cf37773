"""
Search a pipeline
=================

Embedders are scikit-learn estimators, so that a search varies their parameters with those of the classifier.

The ECGs are simulated. A search chooses; it does not score. Report what other patients give, in an outer loop.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from beatssl_sklearn import RhythmEmbedder, make_ecg

rhythms = ["sinus", "pac", "av_block_1", "ivcd"]
ecg = make_ecg(48, rhythm=rhythms, fs=100, duration=6, noise=0.06, records_per_patient=2, random_state=0)

# %%
# Parameters of a step have the step's name before them. Records of a patient stay on one side of each split.

model = Pipeline(
    [("embed", RhythmEmbedder("ptbxl-s", fs=100)), ("scale", StandardScaler()), ("classify", LogisticRegression())]
)
parts = {"mean": ["mean"], "mean, max, sd": ["mean", "max", "sd"], "beat": ["beat"], "all": None}
strengths = [1e-4, 1e-3, 1e-2, 1e-1]
grid = {"embed__parts": list(parts.values()), "classify__C": strengths}
search = GridSearchCV(model, grid, cv=GroupKFold(3)).fit(ecg.data, ecg.rhythm, groups=ecg.patient_id)
print(search.best_params_)

# %%
# Every square is the mean of three folds of patients.

table = search.cv_results_["mean_test_score"].reshape(len(strengths), len(parts)).T
fig, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
image = ax.imshow(table, cmap="viridis", aspect="auto")
for (i, j), value in np.ndenumerate(table):
    ax.text(j, i, f"{value:.2f}", ha="center", va="center", color="black" if image.norm(value) > 0.6 else "white")
ax.set_xticks(range(len(strengths)), strengths)
ax.set_yticks(range(len(parts)), list(parts))
ax.set(xlabel="C of the classifier", ylabel="parts of the embedding", title="accuracy, four simulated rhythms")
