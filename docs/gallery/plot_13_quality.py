"""
Is my data sane?
================

Look before you compute: bad leads, swapped electrodes, wrong units.

The ECGs are simulated, and spoilt by hand.
"""

import matplotlib.pyplot as plt
import numpy as np

from beatssl_sklearn import check_leads, fix_leads, make_ecg, signal_quality
from beatssl_sklearn.ecg import LEADS

rng = np.random.default_rng(0)
X = make_ecg(6, fs=250, random_state=0).data
X[1] *= 1000  # microvolt
X[2, [6, 7]] = X[2, [7, 6]]  # V1 and V2 exchanged
X[3, 8] = 0  # V3 came off
X[4] += rng.normal(0, 0.08, X[4].shape)  # muscle noise
X[5] = rng.normal(0, 0.2, X[5].shape)  # no heart
stories = ["good", "in microvolt", "V1 and V2 exchanged", "V3 off", "noisy", "no ECG"]

# %%
# What is wrong with the leads, and what can be undone for certain:

print(check_leads(X, fs=250)[["record", "unit", "likely", "findings"]].to_string())
fixed, done = fix_leads(X, fs=250)

# %%
# How good is each lead? Scores are between 0, of no use, and 1.

leads = signal_quality(fixed, fs=250, level="lead")
scores = leads.pivot(index="record", columns="lead", values="score")[list(LEADS)]
fig, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
image = ax.imshow(scores, cmap="viridis", vmin=0, vmax=1, aspect="auto")
ax.set_yticks(range(6), stories)
ax.set_xticks(range(12), LEADS)
fig.colorbar(image, label="score of the lead")
