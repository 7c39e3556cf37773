"""
ECG and report
==============

``ReportAligner`` brings ECGs and texts into one space: ask in words, without training a classifier.

The ECGs are simulated. The aligner has learnt from reports of real ones. The numbers rank ECGs; they are no
probabilities, and no diagnoses.
"""

import matplotlib.pyplot as plt

from beatssl_sklearn import ReportAligner, make_ecg

rhythms = ["sinus", "af", "pvc", "lbbb", "rbbb", "paced"]
ecg = make_ecg(24, rhythm=rhythms, fs=250, random_state=0)
aligner = ReportAligner.load("ptbxl-reports").set_params(fs=250)

# %%
# A prompt may be English or German, and several prompts may stand for one thing. 0.5 is the median record of the
# aligner's training.

prompts = {
    "normal ECG": "normal ECG",
    "fibrillation": ["atrial fibrillation", "Vorhofflimmern"],
    "ventricular beats": ["ventricular extrasystole", "premature ventricular contraction"],
    "left bundle block": ["left bundle branch block", "Linksschenkelblock"],
    "right bundle block": ["right bundle branch block", "Rechtsschenkelblock"],
    "pacemaker": "pacemaker rhythm",
}
p = aligner.predict_proba(ecg.data, prompts)

# %%
# A row is a record. Its name is the rhythm that was simulated.

order = sorted(range(24), key=lambda i: rhythms.index(ecg.rhythm[i]))
fig, ax = plt.subplots(figsize=(6.8, 6), layout="constrained")
image = ax.imshow(p[order], cmap="RdBu_r", vmin=0, vmax=1, aspect="auto")
ax.set_yticks(range(24), ecg.rhythm[order], fontsize=8)
ax.set_xticks(range(len(prompts)), list(prompts), rotation=30, ha="right")
fig.colorbar(image, label="fits the prompt")
