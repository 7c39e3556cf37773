"""
Choose an objective
===================

The objective says what a pretraining learns. It is one parameter, and all else stays.

Such short trainings on a few simulated records choose nothing. :doc:`/study_objectives` compares on real ones.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GroupKFold, cross_val_score

from beatssl_sklearn import BeatSSL, BeatSSLPretrainer, DualStream, LeadAgnostic, Pretrainer, RhythmEmbedder, make_ecg
from beatssl_sklearn.evaluation import LinearProbe

ecg = make_ecg(48, rhythm=["sinus", "pvc", "av_block_1"], fs=100, records_per_patient=2, random_state=0)
X, y, patients = ecg.data, ecg.rhythm, ecg.patient_id

# %%
# Each objective has an encoder that suits it, here a tiny one.

run = {"fs": 100, "fs_model": 100, "max_epochs": 2, "batch_size": 16, "random_state": 0}
convolutions = {"widths": [8, 16, 24]}
streams = {"widths": [8, 16, 16, 24]}
transformer = {"n_dims": 24, "n_layers": 1, "feed_forward": 48, "stem_width": 16}
trainings = {
    "random weights": BeatSSLPretrainer(encoder_params=convolutions, **{**run, "max_epochs": 0}),
    "predictions": Pretrainer(BeatSSL.shipped(), encoder_params=convolutions, **run),
    "Beat-SSL": Pretrainer(BeatSSL(), encoder_params=convolutions, **run),
    "lead-agnostic": Pretrainer(LeadAgnostic(), encoder_params=transformer, **run),
    "dual stream": Pretrainer(DualStream(), encoder_params=streams, **run),
}
scores = {}
for name, pretrainer in trainings.items():
    Z = RhythmEmbedder(pretrainer.fit(X, groups=patients)).transform(X)
    scores[name] = cross_val_score(LinearProbe(C=0.01), Z, y, groups=patients, cv=GroupKFold(4))

# %%
# Dots are folds. Their spread is larger than most differences: so much for choices on few records.

fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for i, own in enumerate(scores.values()):
    ax.barh(i, own.mean(), color="tab:blue", alpha=0.4)
    ax.plot(own, np.full(len(own), i), "o", color="tab:blue")
ax.set_yticks(range(len(scores)), list(scores))
ax.invert_yaxis()
ax.set(xlabel="accuracy on patients that the classifier has not seen", xlim=(0, 1))
