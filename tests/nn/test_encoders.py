import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from beatssl_sklearn.nn.beatnet import BeatNet, stem_stride
from beatssl_sklearn.nn.blocks import ConvNorm, fold_tokens, init_weights, pool_tokens, to_image, to_tokens
from beatssl_sklearn.nn.encoders import ENCODERS, build_encoder
from beatssl_sklearn.nn.inference import _FusedConv, bf16_supported, inference_module

SMALL = {"beatnet": {"widths": (8, 16, 24), "n_dims": 12}, "resnet1d": {"width": 8}}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def build(name="beatnet", fs=100.0, seed=0, **params):
    return build_encoder(name, fs, params or SMALL[name], generator(seed))


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


@pytest.mark.parametrize("shape", [(2, 100), (2, 12, 100), (2, 0, 12), (2, 100, 8)])
def test_wrong_shape_is_named(shape):
    with pytest.raises(ValueError, match=r"n_times >= 1, 12"):
        build()(torch.zeros(shape))


@pytest.mark.parametrize(
    ("fs", "stride"),
    [(50, 1), (75, 1), (100, 2), (125, 2), (128, 2), (200, 4), (250, 4), (360, 4), (500, 8), (1000, 16)],
)
def test_tokens_at_50_hz_or_more(fs, stride):
    assert stem_stride(fs) == stride
    assert build(fs=fs).stride == stride


@pytest.mark.parametrize(("size", "params", "macs"), [("s", 0.37e6, 134e6), ("m", 1.01e6, 364e6), ("l", 2.49e6, 882e6)])
def test_size(size, params, macs):
    encoder = build(fs=250.0, size=size)
    count = [0.0]

    def add(layer, _, y):
        count[0] += layer.weight.numel() * y.shape[-1] / 640 * 625

    for layer in encoder.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(add)
    with torch.inference_mode():
        encoder.eval()(torch.zeros(1, 2500, 12))
    assert sum(p.numel() for p in encoder.parameters()) == pytest.approx(params, rel=0.02)
    assert count[0] == pytest.approx(macs, rel=0.01)


@pytest.mark.parametrize(("name", "fs"), [("beatnet", 250.0), ("beatnet", 100.0), ("resnet1d", 500.0)])
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


def test_receptive_field_is_more_than_a_beat():
    for fs in (100.0, 250.0, 500.0):
        assert 1.2 < BeatNet(fs).receptive_field < 1.8


@pytest.mark.parametrize("name", ENCODERS)
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


@pytest.mark.parametrize("name", ENCODERS)
def test_token_lies_in_the_middle_of_what_it_sees(name):
    """A palindrome through symmetric kernels gives a palindrome: there is no half-token shift anywhere."""
    encoder = build(name).eval()
    x = torch.randn(1, 32 * 32, 1, generator=generator()).expand(1, -1, 12)
    with torch.no_grad():
        for layer in encoder.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.fill_(1 / layer.weight[0].numel())
        e, mirrored = encoder(x), encoder(x.flip(1))
    torch.testing.assert_close(mirrored.flip(1), e, rtol=1e-4, atol=1e-5)
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


def test_he_initialisation():
    weight = build(size="m").block3.conv2.conv.weight
    assert weight.std().item() == pytest.approx((2 / weight[0].numel()) ** 0.5, rel=0.01)


def test_init_weights_rejects_what_it_does_not_know():
    with pytest.raises(TypeError, match="PReLU"):
        init_weights(nn.Sequential(nn.PReLU()), generator())


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"size": "xl"}, "size must be one of.*'xl'"),
        ({"widths": (1, 2)}, "widths"),
        ({"widths": (1, 0, 2)}, "widths"),
        ({"n_dims": 0}, "n_dims"),
        ({"kernel_size": 4}, "kernel_size"),
        ({"depth": 3}, r"no parameters \['depth'\].*'kernel_size'"),
    ],
)
def test_wrong_parameters_are_named(params, message):
    with pytest.raises(ValueError, match=message):
        build_encoder("beatnet", 100.0, params, generator())


@pytest.mark.parametrize("params", [{"width": 0}, {"kernel_size": 2}])
def test_wrong_parameters_of_resnet1d_are_named(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        build_encoder("resnet1d", 100.0, params, generator())


@pytest.mark.parametrize("name", ENCODERS)
def test_wrong_rate_is_named(name):
    with pytest.raises(ValueError, match="fs_model"):
        build_encoder(name, 0.0, None, generator())


def test_unknown_encoder_lists_the_known():
    with pytest.raises(ValueError, match="beatnet.*resnet1d.*'transformer'"):
        build_encoder("transformer", 100.0, None, generator())
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
    x = torch.randn(3, 20, 12, generator=generator())
    for precision in ("fp32", "bf16"):
        folded = inference_module(one, precision)
        torch.testing.assert_close(folded.pool(folded(x)), one.pool(one(x)).detach(), rtol=0.05, atol=0.05)


def test_what_the_user_returns_is_checked():
    with pytest.raises(TypeError, match="must return a torch.nn.Module"):
        build_encoder(lambda fs_model: None, 100.0, None, generator())
    with pytest.raises(TypeError, match="'stride'.*'pool'"):
        build_encoder(lambda fs_model: nn.Linear(1, 1), 100.0, None, generator())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pool_and_its_gradient(dtype):
    e = torch.randn(3, 9, 5, generator=generator()).relu().to(dtype).requires_grad_()
    deviation = (e.float().var(1, unbiased=False) + 1e-4).sqrt()
    expected = torch.cat([e.float().mean(1), e.float().amax(1), deviation], dim=1)
    up = torch.randn(expected.shape, generator=generator(1))
    (grad,) = torch.autograd.grad(pool_tokens(e), e, up)
    (grad_expected,) = torch.autograd.grad(expected, e, up)
    torch.testing.assert_close(pool_tokens(e), expected)
    # In bfloat16 the gradient is added up from rounded parts.
    rounding = {"rtol": 2e-2, "atol": 1e-2} if dtype == torch.bfloat16 else {}
    torch.testing.assert_close(grad, grad_expected, **rounding)


def test_fold_tokens_is_a_view():
    tokens = torch.randn(2, 8, 3, generator=generator())
    folded = to_tokens(fold_tokens(to_image(tokens), 4))
    assert folded.data_ptr() == tokens.data_ptr()
    assert torch.equal(folded, tokens.reshape(2, 2, 12))


@pytest.mark.parametrize("name", ENCODERS)
def test_folded_norms_change_nothing(name):
    x = torch.randn(4, 500, 12, generator=generator())
    encoder = trained_norms(build(name), x)
    weights = copy.deepcopy(encoder.state_dict())
    folded = inference_module(encoder, "fp32")
    e, expected = folded(x), encoder(x).detach()
    assert (e - expected).abs().max() <= 1e-5 * expected.abs().max()
    torch.testing.assert_close(folded.pool(e), encoder.pool(expected), rtol=1e-4, atol=1e-4)
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
    y = nn.functional.conv2d(x.float(), layer.weight.float(), layer.bias.float(), 1, layer.padding)
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
def test_batch_size_changes_no_bit(name, precision):
    x = torch.randn(32, 600, 12, generator=generator())
    folded = inference_module(trained_norms(build(name), x), precision)
    e = folded(x)
    for size in (1, 7):
        part = torch.cat([folded(chunk) for chunk in x.split(size)])
        assert torch.equal(part, e)
        assert torch.equal(torch.cat([folded.pool(chunk) for chunk in e.split(size)]), folded.pool(e))


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
    monkeypatch.setattr("beatssl_sklearn.nn.inference._has_fused_calls", lambda: False)
    torch.testing.assert_close(inference_module(encoder, "fp32")(x), expected, rtol=1e-5, atol=1e-5)


def test_bf16_supported_answers_for_every_device():
    assert isinstance(bf16_supported("cpu"), bool)
    assert bf16_supported("meta") is False


@pytest.mark.parametrize("name", ENCODERS)
def test_state_as_arrays_and_back(name):
    encoder, other = build(name, seed=1), build(name, seed=2)
    arrays = pickle.loads(pickle.dumps({key: value.numpy() for key, value in encoder.state_dict().items()}))
    assert all(isinstance(value, np.ndarray) for value in arrays.values())
    other.load_state_dict({key: torch.as_tensor(value) for key, value in arrays.items()})
    x = torch.randn(2, 100, 12, generator=generator())
    assert torch.equal(encoder.eval()(x), other.eval()(x))
