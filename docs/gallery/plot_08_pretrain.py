"""
Pretrain your own encoder
=========================

Pretraining takes records without labels. ``groups`` says which are of one patient.

A tiny network, 64 simulated records and six epochs show how it goes, and nothing else. Real records need the defaults:
``BeatSSLPretrainer(fs=500, random_state=0)``.
"""

from beatssl_sklearn import BeatSSLPretrainer, RhythmEmbedder, make_ecg
from beatssl_sklearn.plotting import plot_history

ecg = make_ecg(64, rhythm="mixed", fs=100, records_per_patient=2, random_state=0)
pretrainer = BeatSSLPretrainer(
    fs=100,
    fs_model=100,
    encoder_params={"widths": [8, 16, 24]},
    max_epochs=6,
    batch_size=16,
    validation_fraction=0.25,  # of the patients
    random_state=0,
)
pretrainer.fit(ecg.data, groups=ecg.patient_id)

# %%
# The fitted pretrainer goes into any embedder.

print(RhythmEmbedder(pretrainer).transform(ecg.data).shape)

# %%
# A falling loss shows that something is learnt. Only your own task shows whether it is of use
# (:doc:`/user_guide/pitfalls`). ``plot_history(pretrainer)`` also draws the parts of the loss.

keys = ("train_loss", "valid_loss", "effective_rank")
plot_history([{key: epoch[key] for key in keys} for epoch in pretrainer.history_])
