"""
Embeddings in two lines
=======================

An embedding is a vector per record. Records that look alike have vectors that lie near each other.

The ECGs are simulated. That their rhythms lie apart proves nothing about real ECGs.
"""

from beatssl_sklearn import RhythmEmbedder, make_ecg
from beatssl_sklearn.plotting import plot_embedding

ecg = make_ecg(60, rhythm=["sinus", "af", "pvc", "lbbb", "paced"], fs=250, random_state=0)

# %%
# These are the two lines. ``transform`` needs no ``fit``: the encoder comes with the package.

embedder = RhythmEmbedder("ptbxl", fs=250)
Z = embedder.transform(ecg.data)  # (60, 1536)

# %%
# A map of the 60 vectors, by principal components.

plot_embedding(Z, ecg.rhythm, name="rhythm")
