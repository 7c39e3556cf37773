"""BeatNet: rates, sizes and stages."""

import pytest
import torch
from torch import nn

from beatssl_sklearn.nn.beatnet import BeatNet, stem_stride


@pytest.mark.parametrize(
    ("fs", "stride"),
    [(50, 1), (75, 1), (100, 2), (125, 2), (128, 2), (200, 4), (250, 4), (360, 4), (500, 8), (1000, 16)],
)
def test_tokens_at_50_hz_or_more(fs, stride):
    assert stem_stride(fs) == stride
    assert BeatNet(fs, widths=(8, 16, 24), n_dims=12).stride == stride


@pytest.mark.parametrize(("size", "params", "macs"), [("s", 0.37e6, 134e6), ("m", 1.01e6, 364e6), ("l", 2.49e6, 882e6)])
def test_size(size, params, macs):
    encoder = BeatNet(250.0, size=size)
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


def test_receptive_field_is_more_than_a_beat():
    for fs in (100.0, 250.0, 500.0):
        assert 1.2 < BeatNet(fs).receptive_field < 1.8


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"fs_model": 0.0}, "fs_model"),
        ({"size": "xl"}, "size must be one of.*'xl'"),
        ({"widths": (1, 2)}, "widths"),
        ({"widths": (1, 0, 2)}, "widths"),
        ({"n_dims": 0}, "n_dims"),
        ({"kernel_size": 4}, "kernel_size"),
    ],
)
def test_wrong_parameters_are_named(params, message):
    with pytest.raises(ValueError, match=message):
        BeatNet(**({"fs_model": 100.0} | params))


@pytest.mark.parametrize("n_times", [1, 31, 128, 129, 250, 1000])
@torch.inference_mode()
def test_stages(n_times):
    encoder = BeatNet(100.0, widths=(8, 12, 16), n_dims=10).eval()
    x = torch.randn(2, n_times, 12, generator=torch.Generator().manual_seed(0))
    maps = encoder.stages(x)
    n_tokens = -(-n_times // encoder.stride)
    assert torch.equal(encoder(x), maps[-1])
    assert [m.shape[1] for m in maps] == [n_tokens, -(-n_tokens // 2), n_tokens]
    assert tuple(m.shape[2] for m in maps) == encoder.stage_widths == (8, 16, 10)


@pytest.mark.parametrize(
    "params",
    [
        *({"n_dims": n} for n in (20_000, 1.5, 0)),
        *({"widths": w} for w in ([10**9] * 3, 3, (8, 8))),
        *({"kernel_size": k} for k in (2, 999)),
    ],
)
def test_absurd_networks_are_refused_before_they_cost_anything(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        BeatNet(100.0, **params)
