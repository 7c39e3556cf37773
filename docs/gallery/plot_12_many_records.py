"""
A million records
=================

The same three calls hold for three hundred records and for a million: pack, embed into shards, read.

The ECGs are simulated. :doc:`/scale` has measured times and sizes. Needs the extras ``zarr`` and ``parquet``.
"""

import tempfile

import matplotlib.pyplot as plt
import numpy as np
from sklearn.preprocessing import StandardScaler

from beatssl_sklearn import RhythmEmbedder, ZarrRecords, embed_dataset, make_ecg, pack_records, read_dataset

ecg = make_ecg(300, rhythm="mixed", fs=100, duration=5, random_state=0)
folder = tempfile.mkdtemp()

# %%
# One store instead of 300 files. ``X`` may be a folder: ``WFDBFolder("my_records")``.

pack_records(ecg.data, f"{folder}/ecgs.zarr", fs=100)
records = ZarrRecords(f"{folder}/ecgs.zarr")

# %%
# Shards are Parquet files. A run that is killed goes on where it was when you call it again. ``engine`` names joblib,
# Dask, Ray or Spark.

result = embed_dataset(RhythmEmbedder("ptbxl-s"), records, f"{folder}/embedded", shard_size=100, batch_size=50)
print(result.n_shards, "shards,", result.n_rows, "rows, failures:", result.failures)
table = read_dataset(f"{folder}/embedded")  # columns row, record, mean_0, ...

# %%
# All 300 vectors, a row each, sorted by rhythm: every sixth column, standardised.

order = np.argsort(ecg.rhythm, kind="stable")
Z = table.drop(columns=["row", "record"]).to_numpy()[order]
fig, ax = plt.subplots(figsize=(8, 4.4), layout="constrained")
Z = StandardScaler().fit_transform(Z)
box = (0, Z.shape[1], len(Z), 0)
image = ax.imshow(Z[:, ::6], vmin=-2, vmax=2, cmap="RdBu_r", aspect="auto", interpolation="none", extent=box)
names, first = np.unique(ecg.rhythm[order], return_index=True)
ax.set_yticks(first, names, va="top")
ax.set(xlabel="column of the embedding")
fig.colorbar(image, label="standard deviations")
