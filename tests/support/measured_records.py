"""Measured records of equal and of unequal lengths, and batches of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from beatssl_sklearn import BeatSSL, ECGRecord, FrontEnd, NoViews, make_ecg
from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.inputs.source import ArraySource, RecordSource
from beatssl_sklearn.pretraining.batches import Batches
from beatssl_sklearn.pretraining.measured import measure_records

FS, WINDOW, STRIDE = 100.0, (0.25, 0.45), 2.0
EQUAL = make_ecg(9, rhythm="mixed", fs=FS, duration=4, random_state=0)
LONG = make_ecg(3, fs=FS, duration=24, random_state=1)
FAST = make_ecg(2, fs=250.0, duration=17, random_state=2)
BRIEF = make_ecg(2, fs=FS, duration=3, random_state=3)


def build(source, rpeaks=None, objective=None, **params):
    objective = BeatSSL(beat_feature_weight=0, perplexity=5) if objective is None else objective
    front_end = FrontEnd(beat_window=WINDOW)
    return measure_records(source, front_end, objective, batch_size=4, seed=0, rpeaks=rpeaks, **params)


def equal_records(**params):
    return build(ArraySource(EQUAL.data, FS, LEADS, False), EQUAL.rpeaks, **params)


def unequal_records(**params):
    records, rpeaks = [], []
    for ecg in (LONG, FAST, BRIEF):
        records += [ECGRecord(x, ecg.fs, LEADS) for x in ecg.data]
        rpeaks += ecg.rpeaks
    # A source in which rates and lengths alternate.
    order = [0, 3, 1, 5, 4, 6, 2]
    source = RecordSource([records[i] for i in order], False)
    return build(source, [rpeaks[i] for i in order], **params)


def batches_of(data, index=None, *, views=None, **params):
    """Batches of BeatSSL whose targets say by `group` which records a batch holds."""
    every = np.arange(data.source.n_records)
    defaults = {"batch_size": 4, "stride": STRIDE, "device": torch.device("cpu"), "seed": 0, "n_epochs": 1}
    numbered = dataclasses.replace(data, groups=every)
    objective = BeatSSL(views=NoViews() if views is None else views)
    return Batches(objective, numbered, every if index is None else index, **(defaults | params))
