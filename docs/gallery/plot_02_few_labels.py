"""
Few labels
==========

How many labelled records does a classifier need? A random encoder is the least that a pretrained one has to beat.

The ECGs are simulated, and easier than real ones: the figures of real ECGs are in :doc:`/study`.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.model_selection import StratifiedShuffleSplit, cross_val_score

from beatssl_sklearn import BeatSSLPretrainer, RhythmEmbedder, make_ecg
from beatssl_sklearn.evaluation import LinearProbe

ecg = make_ecg(240, rhythm=["sinus", "pac", "av_block_1", "ivcd"], fs=100, noise=0.06, random_state=0)

# %%
# The same network twice: with the weights of the package, and with random weights. Nothing is trained in either.

shipped = BeatSSLPretrainer.load("ptbxl-s")
random = clone(shipped).set_params(fs=100, max_epochs=0, random_state=0).fit(ecg.data[:10])
encoders = {
    "ptbxl-s": RhythmEmbedder("ptbxl-s", fs=100, parts=("mean", "max", "sd", "beat")),
    "random weights": RhythmEmbedder(random),
}

# %%
# A linear classifier learns from 8 to 120 records. Each number of records is drawn ten times. Here each record is
# another patient; otherwise, draw whole patients.

fig, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
sizes = [8, 16, 32, 60, 120]
for name, embedder in encoders.items():
    Z = embedder.transform(ecg.data)
    draws = [StratifiedShuffleSplit(10, train_size=size, test_size=120, random_state=0) for size in sizes]
    scores = np.array([cross_val_score(LinearProbe(C=0.01), Z, ecg.rhythm, cv=draw) for draw in draws])
    ax.plot(sizes, scores.mean(axis=1), "o-", label=name)
    ax.fill_between(sizes, scores.min(axis=1), scores.max(axis=1), alpha=0.2)
ax.set(xscale="log", xlabel="labelled records", ylabel="accuracy, four simulated rhythms")
ax.set_xticks(sizes, sizes)
ax.minorticks_off()
ax.legend(title="mean and range of ten draws")
