"""Beats, and targets of beats, that several tests compare."""

import pytest
import torch

from beatssl_sklearn.contrast.beat_targets import HardBeatTargets, SoftBeatTargets
from beatssl_sklearn.contrast.similarity import calibrate_bandwidth

N_BEATS = 30


@pytest.fixture
def beats():
    """30 beats of 5 records and 3 patients; one record of one beat, some noise."""
    generator = torch.Generator().manual_seed(4)
    record = torch.repeat_interleave(torch.arange(5), torch.tensor([10, 8, 7, 4, 1]))
    cluster = torch.randint(0, 2, (N_BEATS,), generator=generator)
    kind = torch.where(torch.rand(N_BEATS, generator=generator) < 0.15, -1, cluster * 2).to(torch.int8)
    features = torch.randn(N_BEATS, 6, generator=generator)
    present = torch.rand(N_BEATS, 6, generator=generator) < 0.8
    present[3] = False
    weights = torch.full((6,), 1 / 6)
    return {
        "record": record,
        "cluster": cluster,
        "type": kind,
        "patient": torch.tensor([0, 1, 0, 2, 2])[record],
        "features": (features, present, weights),
        "bandwidth": calibrate_bandwidth(features, present, weights, 5, N_BEATS),
    }


@pytest.fixture
def target_rows(beats):
    """Targets of these beats by name."""
    labels = beats["record"], beats["cluster"], beats["type"]
    ids = {"record_id": beats["record"], "groups": beats["patient"]}
    valid = beats["type"] >= 0
    return {
        "hard": HardBeatTargets(*labels),
        "hard, few": HardBeatTargets(*labels, cap=2),
        "hard, views only": HardBeatTargets(*labels, cap=0),
        "hard, all": HardBeatTargets(*labels, cap=None),
        "hard, patients": HardBeatTargets(*labels, groups=beats["patient"]),
        "rbf": SoftBeatTargets(*beats["features"], beats["bandwidth"], valid=valid),
        "rbf, patients": SoftBeatTargets(*beats["features"], beats["bandwidth"], valid=valid, **ids),
        "cosine": SoftBeatTargets(*beats["features"], exponent=5.0, soft_fraction=1.0),
    }
