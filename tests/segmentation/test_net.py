"""Loss and network of `WaveSegmenter`, as they are trained."""

import numpy as np
import pytest
import torch

from beatssl_sklearn.nn.encoders import build_encoder
from beatssl_sklearn.nn.weights import module_arrays
from beatssl_sklearn.segmentation.net import WaveLoss, build_unet

SIZES = {"fs": 100, "fs_encoder": 50, "widths": (4, 4, 4, 4)}


def encoder_of(seed=0):
    return build_encoder("beatnet", 50.0, {"widths": (8, 8, 8), "n_dims": 8}, torch.Generator().manual_seed(seed))


def others(net):
    return {k: v for k, v in net.state_dict().items() if not k.startswith("encoder.")}


# The loss


def test_the_loss_is_cross_entropy_and_dice():
    logits = torch.tensor([[[[0.0, 1.0, 2.0, 0.5], [1.0, 0.0, 0.0, 0.0], [9.0, 9.0, 9.0, 9.0]]]])
    labels = torch.tensor([[[2, 0, -1]]], dtype=torch.int8)
    known, truth = logits[0, 0, :2], [2, 0]
    entropy = -known.log_softmax(1)[[0, 1], truth].mean()
    proba = known.softmax(1)
    coefficients = []
    for k in range(4):
        members = torch.tensor([float(t == k) for t in truth])
        coefficients.append((2 * (proba[:, k] * members).sum() + 1) / (proba[:, k].sum() + members.sum() + 1))
    for weight in (0.0, 1.0, 2.5):
        expected = float(entropy + weight * (1 - torch.stack(coefficients).mean()))
        assert float(WaveLoss(weight)(logits, labels)) == pytest.approx(expected, rel=1e-5)


def test_the_loss_without_a_label_is_0():
    logits = torch.randn(1, 2, 5, 4, requires_grad=True)
    loss = WaveLoss(1.0)(logits, torch.full((1, 2, 5), -1, dtype=torch.int8))
    loss.backward()
    assert float(loss.detach()) == 0 and not logits.grad.any()


# The network


def test_weights_come_from_the_seed_alone():
    encoder = torch.nn.Linear(12, 3)
    encoder.n_dims = 3
    state = torch.get_rng_state()
    first, again, other = (others(build_unet(encoder, **SIZES, seed=seed)) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first.values(), again.values(), strict=True))
    assert not torch.equal(first["stem.conv.weight"], other["stem.conv.weight"])
    assert all(torch.isfinite(v.float()).all() for v in first.values())
    assert torch.equal(torch.get_rng_state(), state)


def test_the_encoder_keeps_its_weights():
    encoder = encoder_of()
    before = module_arrays(encoder)
    net = build_unet(encoder, **SIZES, seed=5)
    assert net.encoder is encoder
    assert all(np.array_equal(a, before[name]) for name, a in module_arrays(net.encoder).items())


def test_weights_that_are_given_are_those_of_all_but_the_encoder():
    given = {k: v.numpy() for k, v in others(build_unet(encoder_of(0), **SIZES, seed=1)).items()}
    encoder = encoder_of(3)
    before = module_arrays(encoder)
    found = module_arrays(build_unet(encoder, **SIZES, seed=2, weights=given))
    assert all(np.array_equal(found[name], array) for name, array in given.items())
    assert all(np.array_equal(found[f"encoder.{name}"], array) for name, array in before.items())
    with pytest.raises(ValueError, match="the weights do not fit the network"):
        build_unet(encoder_of(3), **SIZES, seed=2, weights=dict(list(given.items())[1:]))


@pytest.mark.parametrize("adapt_norm", [True, False])
def test_statistics_of_the_encoder_follow_the_batches_only_where_they_shall(adapt_norm):
    net = build_unet(encoder_of(), **SIZES, seed=0)
    net.adapt_norm = adapt_norm
    net.train()
    draw = torch.Generator().manual_seed(0)
    before = module_arrays(net)
    net(torch.randn(2, 3, 256, generator=draw), torch.randn(2, 128, 12, generator=draw))
    moved = {name for name, array in module_arrays(net).items() if not np.array_equal(array, before[name])}
    assert "stem.norm.running_mean" in moved
    assert ("encoder.stem.norm.running_mean" in moved) == adapt_norm
    assert not net.eval().training and not net.encoder.training
