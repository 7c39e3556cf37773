"""The encoder "transformer": tokens, masks, sizes, and which leads there are."""

import numpy as np
import pytest
import torch

from beatssl_sklearn import LeadAgnostic, Pretrainer, load, make_ecg, save
from beatssl_sklearn.nn.encoders import build_encoder
from beatssl_sklearn.nn.transformer import Transformer, stem_layers


def build(fs=250.0, **params):
    return build_encoder("transformer", fs, params, torch.Generator().manual_seed(0)).eval()


@pytest.mark.parametrize(("fs", "layers"), [(500, 4), (250, 3), (125, 2), (100, 2), (50, 1)])
def test_the_stem_comes_close_to_31_tokens_a_second(fs, layers):
    assert stem_layers(fs) == layers
    assert build(float(fs), n_dims=16, n_layers=1, n_heads=2, stem_width=8, feed_forward=16).stride == 2**layers


def test_the_published_compact_size():
    encoder = build(500.0, n_dims=192, n_layers=4, n_heads=6, feed_forward=768)
    assert sum(p.numel() for p in encoder.parameters()) == pytest.approx(1.97e6, rel=0.02)


@pytest.mark.parametrize("n_times", [1, 7, 8, 1250])
def test_shapes(n_times):
    encoder = build()
    x = torch.randn(2, n_times, 12)
    e = encoder(x)
    assert e.shape == (2, -(-n_times // 8), encoder.n_dims)
    assert encoder.pool(e).shape == (2, encoder.n_dims_record)
    assert torch.equal(e, encoder.contextualize(encoder.embed(x)))


def test_every_token_sees_the_whole_record():
    encoder = build()
    x = torch.randn(1, 2000, 12)
    changed = x.clone()
    changed[0, -1] += 1
    assert (encoder(x)[0, 0] != encoder(changed)[0, 0]).any()


def test_a_hidden_token_is_not_seen():
    encoder = build()
    stem = encoder.embed(torch.randn(1, 800, 12))
    masked = torch.zeros(1, stem.shape[1], dtype=torch.bool)
    masked[0, 10:20] = True
    other = torch.where(masked[..., None], torch.randn_like(stem), stem)
    filler = torch.ones(encoder.n_dims)
    assert torch.equal(encoder.contextualize(stem, masked, filler), encoder.contextualize(other, masked, filler))
    assert not torch.equal(encoder.contextualize(stem), encoder.contextualize(other))
    with pytest.raises(ValueError, match="filler"):
        encoder.contextualize(stem, masked)


def test_positions_matter():
    encoder = build()
    stem = encoder.embed(torch.randn(1, 800, 12))
    order = torch.randperm(stem.shape[1], generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(encoder.contextualize(stem)[:, order], encoder.contextualize(stem[:, order]), atol=1e-3)


def test_voltage_is_seen_unless_the_stem_takes_it_away():
    x = torch.randn(2, 1000, 12)
    for norm, seen in (("none", True), ("group", False)):
        encoder = build(stem_norm=norm)
        a, b = encoder(x), encoder(3 * x)
        assert torch.allclose(a, b, atol=2e-2) is not seen


# Which leads there are


def test_without_a_lead_token_all_other_weights_are_the_same():
    plain, told = build().state_dict(), build(lead_token=True).state_dict()
    assert set(told) - set(plain) == {"lead_token.weight", "lead_token.bias"} and told["lead_token.weight"].any()
    assert all(torch.equal(told[name], weight) for name, weight in plain.items())


@pytest.mark.parametrize("n_times", [1, 7, 1250])
def test_leads_that_are_0_throughout_are_the_ones_that_are_absent(n_times):
    encoder, plain = build(lead_token=True), build()
    x = torch.randn(2, n_times, 12)
    x[0, :, 3:] = 0
    # A lead with one sample that is not 0 is there.
    x[0, :-1, 2] = 0
    with torch.no_grad():
        encoder.lead_token.bias.copy_(torch.arange(encoder.n_dims) / 100)
        for record, there in ((0, [0, 1, 2]), (1, list(range(12)))):
            # The same sum, by hand: it is added where `widen` adds its bias.
            plain.widen.bias.copy_(encoder.lead_token.weight[:, there].sum(1) + encoder.lead_token.bias)
            torch.testing.assert_close(encoder(x)[record], plain(x)[record], rtol=1e-4, atol=1e-4)


def test_the_leads_are_told_to_hidden_tokens_too():
    encoder = build(lead_token=True)
    x, masked = torch.randn(1, 800, 12), torch.ones(1, 100, dtype=torch.bool)
    fewer = x.clone()
    fewer[..., 6:] = 0

    def hidden(signal):
        return encoder.contextualize(encoder.embed(signal), masked, torch.ones(encoder.n_dims), signal)

    assert torch.equal(hidden(x), hidden(2 * x)) and not torch.equal(hidden(x), hidden(fewer))
    with pytest.raises(ValueError, match="signal is missing: lead_token=True needs"):
        encoder.contextualize(encoder.embed(x))


def test_a_model_with_a_lead_token_is_trained_saved_and_loaded(tmp_path):
    X = make_ecg(8, fs=100, duration=4, random_state=0).data
    tiny = {"n_dims": 16, "n_layers": 1, "n_heads": 2, "stem_width": 8, "feed_forward": 16, "lead_token": True}
    fixed = {"fs": 100, "encoder": "transformer", "batch_size": 8, "random_state": 0, "device": "cpu"}
    pre = Pretrainer(LeadAgnostic(), encoder_params=tiny, max_epochs=2, **fixed).fit(X)
    weight = pre.encoder_.weights["lead_token.weight"]
    assert not np.array_equal(weight, pre.untrained_encoder(0).weights["lead_token.weight"])
    save(pre, tmp_path / "told.bssl")
    loaded = load(tmp_path / "told.bssl")
    assert loaded.encoder_params == tiny
    np.testing.assert_array_equal(loaded.transform(X), pre.transform(X))
    # A grid of parameters in an array has numpy's own True.
    same = Pretrainer(LeadAgnostic(), encoder_params={**tiny, "lead_token": np.True_}, max_epochs=2, **fixed).fit(X)
    save(same, tmp_path / "same.bssl")
    np.testing.assert_array_equal(load(tmp_path / "same.bssl").transform(X), pre.transform(X))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_heads": 5}, "n_heads must divide n_dims = 128, got 5"),
        ({"n_dims": 0}, "n_dims must be an integer from 1"),
        ({"n_layers": True}, "n_layers"),
        ({"n_dims": 10**9}, "n_dims"),
        ({"position_taps": 32}, "position_taps must be odd, got 32"),
        ({"stem_norm": "batch"}, "stem_norm must be one of none, group, got 'batch'"),
        ({"lead_token": 1}, "lead_token must be True or False, got 1"),
    ],
)
def test_bad_parameters_are_named(params, message):
    with pytest.raises(ValueError, match=message):
        Transformer(100.0, **params)
    with pytest.raises(ValueError, match="fs_model"):
        Transformer(0.0)
