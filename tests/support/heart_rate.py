"""An objective in one file: the embedding of a view predicts the heart rate."""

import numpy as np
import torch
from torch import nn

from beatssl_sklearn import Objective, VCGViews, register
from beatssl_sklearn.nn import build_predictor


class RateHead(nn.Module):
    def __init__(self, linear):
        super().__init__()
        self.linear = linear

    def forward(self, encoder, signal):
        return self.linear(encoder.pool(encoder(signal)))[:, 0]


@register
class HeartRate(Objective):
    """Predict the heart rate of a record."""

    def __init__(self, weight=1.0, *, views=None):
        self.weight = weight
        self.views = views

    def measure(self, block, rpeaks, front_end):
        rr = [np.median(np.diff(r)) / block.fs if len(r) > 1 else 1.0 for r in rpeaks]
        return 1 / np.array(rr, dtype=np.float32)

    def prepare(self, measured, fit):
        return np.concatenate(measured)

    def draw(self, batch):
        views = VCGViews() if self.views is None else self.views
        signal, _ = views(*batch.window(batch.draw_start()), batch.generator)
        return {"signal": signal}, batch.put(batch.known[batch.rows])

    def heads(self, encoder, known, generator):
        return RateHead(build_predictor(encoder.n_dims_record, 1, generator))

    def loss(self, outputs, targets):
        return {"loss": self.weight * torch.nn.functional.smooth_l1_loss(outputs, targets)}
