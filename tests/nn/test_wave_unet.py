"""WaveUNet: shapes, what the labels of a lead depend on, and folded norms."""

import copy

import pytest
import torch
from closeness import assert_close_to_rounding
from torch import nn

from beatssl_sklearn.nn.blocks import init_weights, to_image, to_tokens
from beatssl_sklearn.nn.encoders import build_encoder
from beatssl_sklearn.nn.inference import fold_layers
from beatssl_sklearn.nn.wave_unet import FOLD, FRAME_S, WaveUNet, _interpolate, rate_step, stage_maps

FS, FS_ENCODER = 250.0, 100.0
FRAME, FRAME_ENCODER = round(FRAME_S * FS), round(FRAME_S * FS_ENCODER)
WIDTHS = (8, 12, 16, 20)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def encoder(name="beatnet", fs=FS_ENCODER):
    params = {"beatnet": {"widths": (8, 12, 16), "n_dims": 10}, "resnet1d": {"width": 8}}[name]
    return build_encoder(name, fs, params, generator())


class Foreign(nn.Module):
    """An encoder of a user, without `stages`: means over 32 samples."""

    n_dims, n_dims_record, stride, receptive_field = 5, 5, 32, 0.3

    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(12, self.n_dims)

    def forward(self, x):
        n, n_times, d = x.shape
        x = nn.functional.pad(x, (0, 0, 0, -n_times % self.stride))
        return self.mix(x.reshape(n, -1, self.stride, d).mean(2))

    def pool(self, e):
        return e.mean(1)


def unet(encoder_=None, seed=0, no_encoder=False, **params):
    """A network as after training: norms with statistics, scales and shifts."""
    params = {"fs": FS, "fs_encoder": FS_ENCODER, "widths": WIDTHS} | params
    net = WaveUNet(None if no_encoder else encoder() if encoder_ is None else encoder_, **params)
    g = generator(seed)
    init_weights(net, g)
    norms = [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]
    with torch.no_grad():
        for layer in norms:
            layer.weight.uniform_(0.5, 1.5, generator=g)
            layer.bias.normal_(0, 0.3, generator=g)
            layer.momentum = 1.0
        net.train()(*batch(2, 2, 4, 9, params["fs"], params["fs_encoder"]))
        for layer in norms:
            layer.momentum = 0.1
    return net.eval()


def batch(n=3, n_leads=2, frames=2, seed=1, fs=FS, fs_encoder=FS_ENCODER):
    g = generator(seed)
    leads = torch.randn(n, n_leads, round(frames * FRAME_S * fs), generator=g)
    return leads, torch.randn(n, round(frames * FRAME_S * fs_encoder), 12, generator=g)


@pytest.fixture(scope="module")
def net():
    return unet()


# Shapes


@pytest.mark.parametrize("n_leads", [1, 2, 3, 12])
@pytest.mark.parametrize("frames", [1, 3, 8])
@torch.inference_mode()
def test_logits_of_every_sample_of_every_lead(net, n_leads, frames):
    logits = net(*batch(2, n_leads, frames))
    assert logits.shape == (2, n_leads, frames * FRAME, 4) and logits.dtype == torch.float32
    assert torch.isfinite(logits).all() and logits.std(dim=(0, 1, 2)).min() > 0


@pytest.mark.parametrize(
    ("fs", "fs_encoder"), [(500.0, 250.0), (500.0, 100.0), (100.0, 500.0), (125.0, 360.0), (50.0, 50.0)]
)
@torch.inference_mode()
def test_any_rates(fs, fs_encoder):
    net = unet(encoder(fs=fs_encoder), fs=fs, fs_encoder=fs_encoder)
    logits = net(*batch(1, 2, 2, fs=fs, fs_encoder=fs_encoder))
    assert logits.shape == (1, 2, round(2 * FRAME_S * fs), 4)


def test_frames_hold_whole_tokens_of_all_levels():
    assert rate_step(4) == 25 and rate_step(5) == 50
    for n_levels in (4, 5):
        for k in range(1, 41):
            assert FRAME_S * rate_step(n_levels) * k % (FOLD * 2 ** (n_levels - 1)) == 0


@torch.inference_mode()
def test_without_an_encoder_the_order_of_leads_does_not_matter():
    net = unet(no_encoder=True, widths=(8, 8, 16, 16, 16))
    leads, _ = batch(2, 3)
    order = [2, 0, 1]
    found = net(leads)
    assert torch.allclose(net(leads[:, order]), found[:, order], atol=1e-5)
    assert not torch.allclose(net(leads[:, :1]), found[:, :1], atol=1e-3)
    assert not any(name.startswith(("encoder", "context")) for name in net.state_dict())


@torch.inference_mode()
def test_a_lead_without_a_vote_says_nothing_of_the_others():
    net = unet(no_encoder=True, widths=(8, 8, 16, 16, 16))
    leads, _ = batch(2, 3)
    votes = torch.ones_like(leads)
    assert torch.equal(net(leads, votes=votes), net(leads))
    # Without a voter, all count; a record has the same bits whatever the others lack.
    votes[0] = 0
    assert torch.equal(net(leads, votes=votes), net(leads))
    votes[0, :2] = 1
    found = net(leads, votes=votes)
    assert torch.allclose(found[0, :2], net(leads[:, :2])[0], atol=1e-5)
    assert torch.equal(found[1], net(leads)[1])


@torch.inference_mode()
def test_number_of_classes():
    assert unet(n_classes=2)(*batch()).shape[-1] == 2


@pytest.mark.parametrize("widths", [(8, 8, 8), (8, 8, 8, 8, 8, 8), (8, 8, 0, 8), ()])
def test_four_or_five_positive_widths(widths):
    with pytest.raises(ValueError, match="widths must be 4 or 5 positive ints"):
        WaveUNet(encoder(), fs=FS, fs_encoder=FS_ENCODER, widths=widths)


# What a label depends on


@torch.inference_mode()
def test_a_record_does_not_depend_on_the_others(net):
    leads, signal = batch(4, 2)
    together = net(leads, signal)
    for i in range(4):
        assert_close_to_rounding(net(leads[i : i + 1], signal[i : i + 1]), together[i : i + 1], 1e-5)


@torch.inference_mode()
def test_one_lead_of_one_record_alone_and_among_others(net):
    leads, signal = batch(5, 1)
    assert_close_to_rounding(net(leads[3:4], signal[3:4])[0], net(leads, signal)[3], 1e-5)


@torch.inference_mode()
def test_permuted_leads_give_permuted_logits(net):
    leads, signal = batch(2, 12)
    order = torch.randperm(12, generator=generator())
    assert_close_to_rounding(net(leads[:, order], signal), net(leads, signal)[:, order], 1e-5)


@torch.inference_mode()
def test_a_lead_learns_of_the_others_in_two_ways(net):
    leads, signal = batch(1, 3)
    expected = net(leads, signal)
    other_lead, other_signal = leads.clone(), signal.clone()
    other_lead[:, 2] += 1
    other_signal[:, :, 5] += 1
    for changed in (net(other_lead, signal), net(leads, other_signal)):
        assert (changed[:, 0] - expected[:, 0]).abs().max() > 1e-3


@torch.inference_mode()
def test_equal_leads_are_as_one(net):
    leads, signal = batch(2, 1)
    torch.testing.assert_close(
        net(leads.expand(-1, 5, -1), signal), net(leads, signal).expand(-1, 5, -1, -1), rtol=1e-4, atol=1e-4
    )


@torch.inference_mode()
def test_a_shift_by_a_frame_shifts_the_logits(net):
    leads, signal = batch(1, 2, frames=6)
    logits = net(leads, signal)
    shifted = net(leads.roll(FRAME, 2), signal.roll(FRAME_ENCODER, 1))
    # Two frames at either end see the border.
    torch.testing.assert_close(
        shifted[:, :, 3 * FRAME : 4 * FRAME], logits[:, :, 2 * FRAME : 3 * FRAME], rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize(("fs", "fs_encoder"), [(250.0, 100.0), (500.0, 250.0), (100.0, 500.0)])
@pytest.mark.parametrize("make", [encoder, lambda fs: Foreign()])
@torch.inference_mode()
def test_a_sample_lies_in_the_middle_of_what_it_sees(fs, fs_encoder, make):
    """Symmetric kernels turn a mirrored signal into mirrored logits: there is no shift on any path."""
    net = WaveUNet(make(fs=fs_encoder), fs=fs, fs_encoder=fs_encoder, widths=WIDTHS).eval()
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.weight.fill_(1 / layer.weight[0].numel())
            if layer.bias is not None:
                layer.bias.zero_()
    leads, signal = batch(1, 2, 8, fs=fs, fs_encoder=fs_encoder)
    logits, mirrored = net(leads, signal), net(leads.flip(2), signal.flip(1))
    assert_close_to_rounding(mirrored.flip(2), logits, 1e-5)
    assert (mirrored - logits).abs().max() > 0.01 * logits.abs().max()


def test_the_gradient_reaches_every_weight():
    net = unet().train()
    logits = net(*batch(2, 3))
    (logits * torch.randn(logits.shape, generator=generator(7))).sum().backward()
    dead = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []
    assert any(name.startswith("encoder.") for name, _ in net.named_parameters())


def test_a_frozen_encoder_gets_no_gradient():
    net = unet()
    net.encoder.requires_grad_(False)
    net(*batch(1)).sum().backward()
    assert all(p.grad is None for p in net.encoder.parameters())
    assert all(p.grad is not None for p in net.stem.parameters())


# For inference


@pytest.mark.parametrize("make", [encoder, lambda: encoder("resnet1d"), Foreign])
@torch.inference_mode()
def test_folded_norms_give_the_same_logits(make):
    net = unet(make())
    inputs = batch(3, 2)
    expected = net(*inputs)
    folded = fold_layers(copy.deepcopy(net), torch.float32)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    assert not folded.training and not any(p.requires_grad for p in folded.parameters())
    assert_close_to_rounding(folded(*inputs), expected, 1e-4)
    # The residuals are written in place, the inputs are not.
    assert_close_to_rounding(folded(*inputs), expected, 1e-4)
    assert all(torch.equal(a, b) for a, b in zip(inputs, batch(3, 2), strict=True))


@torch.inference_mode()
def test_bf16_stays_close(net):
    leads, signal = batch(2, 3)
    expected = net(leads, signal)
    folded = fold_layers(copy.deepcopy(net), torch.bfloat16)
    found = folded(leads.bfloat16(), signal.bfloat16())
    assert found.dtype == torch.float32
    assert 0 < (found - expected).abs().mean() < 0.05 * expected.std()


# Encoders


@pytest.mark.parametrize("make", [Foreign, lambda: encoder("resnet1d")])
@torch.inference_mode()
def test_encoders_without_stages(make):
    own = make()
    net = unet(own)
    leads, signal = batch(2, 2)
    (found,) = stage_maps(own.eval(), signal)
    assert torch.equal(found, own(signal)) and len(net.context1) == len(net.context2) == 1
    assert net(leads, signal).shape == (2, 2, leads.shape[2], 4)
    assert (net(leads, signal) - net(leads, 2 * signal)).abs().max() > 1e-3


@pytest.mark.parametrize("n_times", [31, 250])
@torch.inference_mode()
def test_maps_of_an_encoder_with_stages(n_times):
    own = encoder().eval()
    x = torch.randn(2, n_times, 12, generator=generator())
    assert all(torch.equal(a, b) for a, b in zip(stage_maps(own, x), own.stages(x), strict=True))


def test_all_stages_are_used(net):
    assert [layer.conv.in_channels for layer in net.context1] == list(net.encoder.stage_widths)
    inputs = batch(1, 1)
    with torch.inference_mode():
        expected = net(*inputs)
        for layers in (net.context1, net.context2):
            for layer in layers:
                kept = layer.conv.weight.clone()
                layer.conv.weight.zero_()
                assert (net(*inputs) - expected).abs().max() > 1e-4
                layer.conv.weight.copy_(kept)


def test_maps_are_stretched_over_the_same_time():
    ramp = to_image(torch.arange(8.0)[None, :, None])
    assert _interpolate(ramp, 8) is ramp
    fine = to_tokens(_interpolate(ramp, 32))[0, :, 0]
    middle = (torch.arange(32) + 0.5) / 4 - 0.5
    torch.testing.assert_close(fine[2:-2], middle[2:-2])
    torch.testing.assert_close(to_tokens(_interpolate(ramp, 4))[0, :, 0], torch.tensor([0.5, 2.5, 4.5, 6.5]))
