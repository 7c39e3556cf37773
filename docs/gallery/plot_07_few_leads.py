"""
Few leads
=========

Any of the twelve leads are enough: ``leads`` names them. A classifier needs the leads in training that it will get.

The ECGs are simulated. With real ones, other leads may matter more or less (:doc:`/study`).
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from beatssl_sklearn import RhythmEmbedder, make_ecg
from beatssl_sklearn.ecg import LEADS

ecg = make_ecg(200, rhythm=["sinus", "st_elevation", "lbbb", "rbbb", "ivcd"], fs=100, noise=0.1, random_state=0)
train, test = np.arange(200) < 100, np.arange(200) >= 100  # each record is another patient

# %%
# For each set of leads: a classifier that learns with these leads, and one that learnt with all twelve.

sets = {"all twelve": LEADS, "limb leads": LEADS[:6], "I, II, V2": ("I", "II", "V2"), "II": ("II",), "V2": ("V2",)}


def embed(leads):
    own = [LEADS.index(lead) for lead in leads]
    # One lead alone can be nearly flat. By default, such records are named in a warning.
    return RhythmEmbedder("ptbxl-s", fs=100, leads=leads, check="ignore").transform(ecg.data[:, own])


all_leads = embed(LEADS)
model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
of_twelve, of_same = [], []
for leads in sets.values():
    Z = embed(leads)
    of_twelve.append(model.fit(all_leads[train], ecg.rhythm[train]).score(Z[test], ecg.rhythm[test]))
    of_same.append(model.fit(Z[train], ecg.rhythm[train]).score(Z[test], ecg.rhythm[test]))

fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
place = np.arange(len(sets))
ax.bar(place - 0.2, of_same, 0.4, label="trained with the same leads")
ax.bar(place + 0.2, of_twelve, 0.4, label="trained with twelve")
ax.axhline(0.2, color="0.5", ls=":")
ax.set_xticks(place, list(sets))
ax.set(ylabel="accuracy, five simulated rhythms", ylim=(0, 1.25))
ax.legend(loc="upper right", ncols=2)
