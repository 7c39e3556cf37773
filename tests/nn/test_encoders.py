"""Encoders: the protocol that all of them follow, and how they are made."""

import pickle

import numpy as np
import pytest
import torch
from closeness import assert_close_to_rounding
from torch import nn

from beatssl_sklearn.nn.encoders import ENCODERS, build_encoder

SMALL = {
    "beatnet": {"widths": (8, 16, 24), "n_dims": 12},
    "dual_stream": {"widths": (8, 8, 16, 16)},
    "resnet1d": {"width": 8},
    "transformer": {"n_dims": 16, "n_layers": 1, "n_heads": 2, "stem_width": 8, "feed_forward": 16},
}
# Attention shows a token the whole record, so that a shift changes what enters at the ends, and there is no field.
CONVOLUTIONAL = [name for name in ENCODERS if name != "transformer"]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def build(name="beatnet", fs=100.0, seed=0, **params):
    return build_encoder(name, fs, params or SMALL[name], generator(seed))


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("n_times", [1, 2, 3, 4, 7, 31, 32, 33, 100, 999, 1000, 2500])
def test_one_token_per_stride(name, n_times):
    encoder = build(name).eval()
    with torch.inference_mode():
        e = encoder(torch.randn(2, n_times, 12, generator=generator()))
        h = encoder.pool(e)
    assert e.shape == (2, int(np.ceil(n_times / encoder.stride)), encoder.n_dims)
    assert e.dtype == torch.float32
    assert e.stride(2) == 1
    assert h.shape == (2, encoder.n_dims_record) and h.dtype == torch.float32
    assert encoder.n_dims_record == 3 * encoder.n_dims
    assert torch.isfinite(h).all()


@pytest.mark.parametrize("name", ENCODERS)
def test_no_records(name):
    encoder = build(name).eval()
    e = encoder(torch.zeros(0, 250, 12))
    assert e.shape[0] == 0 and encoder.pool(e).shape == (0, encoder.n_dims_record)


@pytest.mark.parametrize(
    ("name", "fs"), [("beatnet", 250.0), ("beatnet", 100.0), ("dual_stream", 100.0), ("resnet1d", 500.0)]
)
def test_receptive_field_is_what_reaches_a_token(name, fs):
    encoder = build(name, fs).eval()
    x = torch.randn(1, 64 * 32, 12, generator=generator()).requires_grad_()
    e = encoder(x)
    middle = e.shape[1] // 2
    seen = 0
    for token in range(middle, middle + 2):
        (grad,) = torch.autograd.grad(e[0, token].sum(), x, retain_graph=True)
        reached = grad[0].abs().sum(1).nonzero()
        seen = max(seen, int(reached.max() - reached.min()) + 1)
    # Upsampling shows one of two neighbours a little more than the other.
    assert seen / fs == pytest.approx(encoder.receptive_field, abs=2 * encoder.stride / fs)


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_shift_of_the_input_shifts_the_map(name):
    encoder = build(name).eval()
    step = 2 * encoder.stride if name == "beatnet" else encoder.stride
    x = torch.randn(1, 64 * 32, 12, generator=generator())
    with torch.inference_mode():
        e, shifted = encoder(x), encoder(torch.roll(x, step, dims=1))
    tokens = step // encoder.stride
    margin = int(encoder.receptive_field * encoder.fs_model / encoder.stride) + tokens
    torch.testing.assert_close(
        shifted[:, margin:-margin], e[:, margin - tokens : -margin - tokens], rtol=1e-4, atol=1e-4
    )
    assert not torch.allclose(shifted, e)


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_token_lies_in_the_middle_of_what_it_sees(name):
    """A palindrome through symmetric kernels gives a palindrome: there is no half-token shift anywhere."""
    encoder = build(name).eval()
    x = torch.randn(1, 32 * 32, 1, generator=generator()).expand(1, -1, 12)
    with torch.no_grad():
        for layer in encoder.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.fill_(1 / layer.weight[0].numel())
        e, mirrored = encoder(x), encoder(x.flip(1))
    assert_close_to_rounding(mirrored.flip(1), e, 1e-5)
    assert not torch.allclose(mirrored, e)


@pytest.mark.parametrize("name", ENCODERS)
def test_weights_come_from_the_generator_alone(name):
    before = torch.random.get_rng_state()
    one, two, other = build(name, seed=3), build(name, seed=3), build(name, seed=4)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    assert not torch.equal(next(one.parameters()), next(other.parameters()))
    assert all(p.device.type == "cpu" and torch.isfinite(p).all() for p in one.parameters())
    assert all(torch.isfinite(b.float()).all() for b in one.buffers())
    assert one.training


def test_unknown_parameters_are_named():
    with pytest.raises(ValueError, match=r"no parameters \['depth'\].*'kernel_size'"):
        build_encoder("beatnet", 100.0, {"depth": 3}, generator())


def test_unknown_encoder_lists_the_known():
    with pytest.raises(ValueError, match="beatnet.*dual_stream.*resnet1d.*transformer.*'lstm'"):
        build_encoder("lstm", 100.0, None, generator())
    with pytest.raises(TypeError, match="encoder must be"):
        build_encoder(3, 100.0, None, generator())


class Foreign(nn.Module):
    stride, n_dims, n_dims_record, receptive_field = 1, 4, 4, 0.0

    def __init__(self, fs_model, gain=1.0):
        super().__init__()
        self.linear = nn.Linear(12, 4)
        self.gain = gain

    def forward(self, x):
        return self.gain * self.linear(x)

    def pool(self, e):
        return e.float().mean(1)


def test_class_of_the_user_is_seeded_too():
    before = torch.random.get_rng_state()
    one = build_encoder(Foreign, 100.0, {"gain": 2.0}, generator(1))
    two = build_encoder(lambda fs_model: Foreign(fs_model), 100.0, None, generator(1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert one.gain == 2.0 and torch.equal(one.linear.weight, two.linear.weight)


def test_what_the_user_returns_is_checked():
    with pytest.raises(TypeError, match="must return a torch.nn.Module"):
        build_encoder(lambda fs_model: None, 100.0, None, generator())
    with pytest.raises(TypeError, match="'stride'.*'pool'"):
        build_encoder(lambda fs_model: nn.Linear(1, 1), 100.0, None, generator())


@pytest.mark.parametrize("name", ENCODERS)
def test_bf16_gradients_agree_with_fp32(name):
    x = torch.randn(8, 400, 12, generator=generator())
    grads = []
    for enabled in (False, True):
        encoder = build(name)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            e = encoder(x)
        assert e.dtype == (torch.bfloat16 if enabled else torch.float32)
        (encoder.pool(e) * torch.randn(encoder.n_dims_record, generator=generator(1))).sum().backward()
        assert all(p.grad.dtype == torch.float32 for p in encoder.parameters())
        grads.append([p.grad.flatten() for p in encoder.parameters()])
    cosine = nn.functional.cosine_similarity(torch.cat(grads[0]), torch.cat(grads[1]), dim=0)
    # Twenty layers of eight channels, normalised over few tokens, amplify rounding; a wrong kernel gives about 0.
    assert cosine > (0.96 if name == "beatnet" else 0.85)


@pytest.mark.parametrize("name", ENCODERS)
def test_state_as_arrays_and_back(name):
    encoder, other = build(name, seed=1), build(name, seed=2)
    arrays = pickle.loads(pickle.dumps({key: value.numpy() for key, value in encoder.state_dict().items()}))
    assert all(isinstance(value, np.ndarray) for value in arrays.values())
    other.load_state_dict({key: torch.as_tensor(value) for key, value in arrays.items()})
    x = torch.randn(2, 100, 12, generator=generator())
    assert torch.equal(encoder.eval()(x), other.eval()(x))
