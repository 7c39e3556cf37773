"""Encoders for inference: equal to training's to rounding, whatever the format, the batch and the machine."""

import copy
import os
import pickle
import subprocess
import sys

import pytest
import torch
from closeness import assert_close_to_rounding
from torch import nn

from beatssl_sklearn.nn.blocks import ConvNorm
from beatssl_sklearn.nn.encoders import ENCODERS, build_encoder
from beatssl_sklearn.nn.inference import _FusedConv, bf16_supported, inference_module

SMALL = {
    "beatnet": {"widths": (8, 16, 24), "n_dims": 12},
    "dual_stream": {"widths": (8, 8, 16, 16)},
    "resnet1d": {"width": 8},
    "transformer": {"n_dims": 16, "n_layers": 1, "n_heads": 2, "stem_width": 8, "feed_forward": 16},
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def build(name="beatnet", fs=100.0):
    return build_encoder(name, fs, SMALL[name], generator())


def trained_norms(encoder, x):
    """Statistics and scales of the norms as after training, so that folding them has something to fold."""
    g = generator(5)
    encoder.train()
    with torch.no_grad():
        encoder(x)
        for layer in encoder.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.weight.uniform_(0.5, 1.5, generator=g)
                layer.bias.normal_(0, 0.3, generator=g)
    return encoder.eval()


@pytest.mark.parametrize("name", ENCODERS)
def test_folded_norms_change_nothing(name):
    x = torch.randn(4, 500, 12, generator=generator())
    encoder = trained_norms(build(name), x)
    weights = copy.deepcopy(encoder.state_dict())
    folded = inference_module(encoder, "fp32")
    e, expected = folded(x), encoder(x).detach()
    assert (e - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert_close_to_rounding(folded.pool(e), encoder.pool(expected), 1e-4)
    assert not any(isinstance(layer, ConvNorm | nn.BatchNorm2d) for layer in folded.modules())
    assert all(torch.equal(a, b) for a, b in zip(weights.values(), encoder.state_dict().values(), strict=True))
    assert (folded.stride, folded.n_dims, folded.n_dims_record) == (
        encoder.stride,
        encoder.n_dims,
        encoder.n_dims_record,
    )


def pulse_trains(n, fs, seconds):
    g = generator(2)
    t = torch.arange(int(seconds * fs))[None, :, None] / fs
    pulses = torch.exp(-(((t * (1 + torch.rand(n, 1, 12, generator=g))) % 0.8 - 0.4) ** 2) / 0.002)
    return pulses * torch.randn(n, 1, 12, generator=g) + 0.05 * torch.randn(n, t.shape[1], 12, generator=g)


def rounded_convolution(layer, x, residual=None):
    """What a bfloat16 layer has to give, computed by float32 convolutions."""
    with torch.autocast("cpu", enabled=False):
        y = nn.functional.conv2d(x.bfloat16().float(), layer.weight.float(), layer.bias.float(), 1, layer.padding)
    y = y if residual is None else y + residual.float()
    return (y.relu() if layer.relu else y).bfloat16()


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("fs", [75.0, 100.0, 250.0, 500.0])
def test_bf16_embeddings_agree_with_fp32(name, fs, monkeypatch):
    x = pulse_trains(16, fs, 3)
    encoder = trained_norms(build(name, fs), x)
    full, low = inference_module(encoder, "fp32"), inference_module(encoder, "bf16")
    h_full, h_low = full.pool(full(x)), low.pool(low(x))
    monkeypatch.setattr(_FusedConv, "forward", rounded_convolution)
    h_rounded = low.pool(low(x))
    centre = h_full.mean(0)

    def cosine(a, b):
        return nn.functional.cosine_similarity((a - centre).flatten(), (b - centre).flatten(), dim=0)

    assert h_low.dtype == torch.float32
    assert cosine(h_full, h_low) >= 0.999
    assert cosine(h_rounded, h_low) >= 0.9998


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_batch_size_changes_rounding_only(name, precision):
    """Other sizes may take other kernels, which add up in another order."""
    x = torch.randn(32, 600, 12, generator=generator())
    folded = inference_module(trained_norms(build(name), x), precision)
    e = folded(x)
    for size in (1, 7):
        part = torch.cat([folded(chunk) for chunk in x.split(size)])
        # In bfloat16 a last bit is 1/256 of a value.
        assert_close_to_rounding(part, e, 1e-5 if precision == "fp32" else 2e-2)
        assert_close_to_rounding(torch.cat([folded.pool(chunk) for chunk in e.split(size)]), folded.pool(e))


def test_inference_module_survives_copies_and_dtype_names():
    x = torch.randn(2, 300, 12, generator=generator())
    folded = inference_module(build(), "bf16")
    e = folded(x)
    assert torch.equal(copy.deepcopy(folded)(x), e)
    assert torch.equal(pickle.loads(pickle.dumps(folded))(x), e)
    with pytest.raises(ValueError, match="precision.*'fp16'"):
        inference_module(build(), "fp16")


def test_plain_convolutions_do_where_the_fused_are_missing(monkeypatch):
    x = torch.randn(2, 300, 12, generator=generator())
    encoder = build()
    expected = inference_module(encoder, "fp32")(x)
    monkeypatch.setattr("beatssl_sklearn.nn.inference._has_fused_calls", lambda dtype: False)
    assert_close_to_rounding(inference_module(encoder, "fp32")(x), expected, 1e-5)


# Run in a process of its own: oneDNN reads the variable once.
WITHOUT_AVX512 = """
import torch
from beatssl_sklearn.nn.encoders import build_encoder
from beatssl_sklearn.nn.inference import bf16_supported, inference_module
encoder = build_encoder("beatnet", 100.0, {"widths": (8, 16, 24), "n_dims": 12}, torch.Generator().manual_seed(0))
x = torch.randn(2, 300, 12, generator=torch.Generator().manual_seed(1))
low, full = (inference_module(encoder, precision) for precision in ("bf16", "fp32"))
found, expected = (module.pool(module(x)).float().flatten() for module in (low, full))
print(bf16_supported(), float(torch.nn.functional.cosine_similarity(found, expected, dim=0)) > 0.999)
"""


def test_a_processor_without_avx512_embeds_in_bfloat16_too():
    """Slowly, because oneDNN refuses; so it is not chosen by itself."""
    settings = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", WITHOUT_AVX512], env=settings, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"], done.stderr


def test_bf16_supported_answers_for_every_device():
    assert isinstance(bf16_supported("cpu"), bool)
    assert bf16_supported("meta") is False


class Foreign(nn.Module):
    """An encoder of a user, in plain layers."""

    stride, n_dims, n_dims_record, receptive_field = 1, 4, 4, 0.0

    def __init__(self, fs_model):
        super().__init__()
        self.linear = nn.Linear(12, 4)

    def forward(self, x):
        return self.linear(x)

    def pool(self, e):
        return e.float().mean(1)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_encoders_of_users_stay_close(precision):
    encoder = build_encoder(Foreign, 100.0, None, generator(1))
    x = torch.randn(3, 20, 12, generator=generator())
    folded = inference_module(encoder, precision)
    torch.testing.assert_close(folded.pool(folded(x)), encoder.pool(encoder(x)).detach(), rtol=0.05, atol=0.05)
