"""
Fibrillation in a Holter recording
==================================

``load("af-episodes")`` labels windows of 10 s, every 5 s, AFIB or N. Neighbouring windows become episodes.

The recording is simulated: 40 minutes of one lead, with two episodes of atrial fibrillation.
"""

import matplotlib.pyplot as plt
import numpy as np

from beatssl_sklearn import detect_rpeaks, load, make_ecg
from beatssl_sklearn.ecg import merge_episodes

fs, minutes = 128, [("sinus", 12), ("af", 6), ("pac", 10), ("af", 2), ("sinus", 10)]
parts = [
    make_ecg(1, rhythm=rhythm, fs=fs, duration=60 * m, leads=["II"], random_state=i).data[0]
    for i, (rhythm, m) in enumerate(minutes)
]
X = np.concatenate(parts, axis=1)[None]

# %%
# The model takes any rate and any of the twelve leads. ``merge_episodes`` joins windows of the same label.

model = load("af-episodes")
model[0].set_params(fs=fs, leads=("II",))
labels, windows = model.predict(X), model[0].windows(X)
episodes = [episode for episode in merge_episodes(labels[0], windows[0]) if episode.label == "AFIB"]
print([f"minute {e.start / fs / 60:.1f} to {e.stop / fs / 60:.1f}" for e in episodes])

# %%
# Each dot is a heartbeat. The line on top says what was simulated.

rpeaks = detect_rpeaks(X, fs=fs)[0]
fig, ax = plt.subplots(figsize=(9, 4), layout="constrained")
ax.plot(rpeaks[1:] / fs / 60, np.diff(rpeaks) / fs, ".", markersize=2, color="0.3")
spans = [(e.start / fs / 60, (e.stop - e.start) / fs / 60) for e in episodes]
found = ax.broken_barh(spans, (0, 2), alpha=0.2, color="tab:red")
true = ax.broken_barh([(12, 6), (28, 2)], (1.7, 0.1), color="tab:blue")
ax.set(xlabel="minute", ylabel="RR interval [s]", ylim=(0.2, 1.8))
ax.legend([found, true], ["found", "simulated"], loc="lower right", title="atrial fibrillation")
