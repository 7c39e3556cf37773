"""
Your own folder
===============

A folder of files, whatever their format, goes wherever records go.

With ``BEATSSL_DATA``, this takes 40 records of PTB-XL (Wagner et al. 2020, CC BY 4.0) from its folder ``ptbxl500``.
Without, it writes simulated ones to files first.
"""

import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.preprocessing import StandardScaler

from beatssl_sklearn import ECGFolder, RhythmEmbedder, make_ecg
from beatssl_sklearn.plotting import plot_ecg

folder = Path(os.environ.get("BEATSSL_DATA", "none"), "ptbxl500")
if not folder.is_dir():
    folder = Path(tempfile.mkdtemp())
    for i, signal in enumerate(make_ecg(40, rhythm="mixed", random_state=0).data):
        np.save(folder / f"record{i}.npy", signal)

# %%
# Nothing is read yet. Arrays do not state their rate, so ``fs`` does; files of hospitals do.

records = ECGFolder(folder, fs=None if list(folder.glob("*.hea")) else 500)[:40]
Z = RhythmEmbedder("ptbxl-s").transform(records)

# %%
# Which record is most like the first one? The picture has both, lead II of each.

scaled = StandardScaler().fit_transform(Z)
distances = np.linalg.norm(scaled - scaled[0], axis=1)
near = int(np.argsort(distances)[1])
fig, axes = plt.subplots(2, 1, figsize=(9, 4), layout="constrained")
for ax, i in zip(axes, (0, near), strict=True):
    plot_ecg(records[i].signal[1:2], records[i].fs, leads=["II"], ax=ax, title=records.names[i])
