"""Objectives of a pretraining on 32 simulated records, with encoders of a few weights."""

import numpy as np
from sklearn.base import clone

from beatssl_sklearn import DualStream, GumbelQuantizer, LeadAgnostic, Pretrainer, make_ecg

ECG = make_ecg(32, rhythm="mixed", fs=100, duration=6, records_per_patient=2, random_state=0)
X, GROUPS = ECG.data, ECG.patient_id
TINY = {
    "transformer": {"n_dims": 16, "n_layers": 1, "n_heads": 2, "stem_width": 8, "feed_forward": 16},
    "dual_stream": {"widths": (4, 4, 4, 8)},
    "beatnet": {"widths": (8, 16, 24), "n_dims": 12},
}
OBJECTIVES = {
    "lead_agnostic": LeadAgnostic(),
    "quantised": LeadAgnostic(quantizer=GumbelQuantizer(entries=8), target_dim=8, cross_record=True),
    "segments": LeadAgnostic(local_weight=0),
    "patients": DualStream(projection_dim=8),
    "records": DualStream(projection_dim=8, positive="record", cross_weight=0.2),
}


def make(objective, encoder=None, **params):
    objective = clone(OBJECTIVES[objective] if isinstance(objective, str) else objective)
    encoder = objective.default_encoder if encoder is None else encoder
    fixed = {"fs": 100, "max_epochs": 2, "batch_size": 8, "random_state": 0, "device": "cpu"}
    return Pretrainer(objective, **{**fixed, "encoder": encoder, "encoder_params": TINY[encoder], **params})


def same_weights(a, b):
    pairs = zip(a.encoder_.weights.values(), b.encoder_.weights.values(), strict=True)
    return all(np.array_equal(one, other) for one, other in pairs)


def losses(fitted):
    """Return the losses of each epoch, in the order of their names; a run that went on has another order."""
    return np.array([[row[k] for k in sorted(row) if k.endswith("loss")] for row in fitted.history_])
