"""ArcFace: stated values."""

import math

import pytest
import torch

from beatssl_sklearn.nn.arcface import arcface_logits, train_arcface

COSINES = torch.tensor([[0.6, 0.1, -0.2], [-0.3, 0.5, 0.2]])
TARGET = torch.tensor([0, 1])


@pytest.mark.parametrize(("scale", "margin", "value"), [(32, 0.5, 2.936802), (192, 1.0, 106.327632)])
def test_stated_values(scale, margin, value):
    logits = arcface_logits(COSINES, TARGET, scale, margin)
    assert float(torch.nn.functional.cross_entropy(logits, TARGET)) == pytest.approx(value, rel=1e-5)


def test_the_true_class_falls_beyond_the_last_angle():
    cosines = torch.linspace(-1, 1, 201)[:, None]
    logits = arcface_logits(cosines, torch.zeros(201, dtype=torch.long), 1.0, 0.5)[:, 0]
    assert (logits.diff() > 0).all()
    assert float(logits[-1]) == pytest.approx(math.cos(0.5), abs=1e-3)


def test_training_brings_the_vectors_of_a_class_together():
    generator = torch.Generator().manual_seed(0)
    target = torch.arange(40).repeat(4)
    z = torch.randn(40, 32, generator=generator)[target] + 2 * torch.randn(160, 32, generator=generator)
    begin = torch.randn(16, 32, generator=generator)
    run = {"start": begin, "scale": 32.0, "margin": 0.5, "batch_size": 64, "lr": 3e-2, "seed": 1}

    def same_minus_other(project):
        unit = torch.nn.functional.normalize(z @ project.T)
        cosine, same = unit @ unit.T, target[:, None] == target
        return float(cosine[same].mean() - cosine[~same].mean())

    start, end = (train_arcface(z, target, epochs=n, **run) for n in (0, 150))
    assert same_minus_other(end) > same_minus_other(start) + 0.2
    torch.testing.assert_close(train_arcface(z, target, epochs=150, **run), end, rtol=0, atol=0)
