"""Attention with heads, and pooling by learned queries."""

import pytest
import torch
from torch import nn

from beatssl_sklearn.nn.attention import AttentionLayer, AttentionPool, MultiHeadAttention, build_attention_pool


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def tokens(*shape, seed=1):
    return torch.randn(*shape, generator=generator(seed))


def test_pooling_is_torch_s_attention_of_normalised_queries_and_tokens():
    pool, e = build_attention_pool(6, 5, 8, generator(), n_heads=2), tokens(3, 7, 6)
    there = torch.rand(3, 7, generator=generator(2)) < 0.6
    there[:, 0] = True
    theirs = nn.MultiheadAttention(8, 2, kdim=6, vdim=6, batch_first=True)
    own = pool.attend
    with torch.no_grad():
        for theirs_part, own_part in (
            (theirs.q_proj_weight, own.to_query.weight),
            (theirs.k_proj_weight, own.to_key.weight),
            (theirs.v_proj_weight, own.to_value.weight),
            (theirs.out_proj.weight, own.out.weight),
        ):
            theirs_part.copy_(own_part)
        # Biases, too, must come to their places.
        for at, linear in enumerate((own.to_query, own.to_key, own.to_value, own.out)):
            linear.bias.copy_(tokens(8, seed=10 + at))
        theirs.in_proj_bias.copy_(torch.cat([own.to_query.bias, own.to_key.bias, own.to_value.bias]))
        theirs.out_proj.bias.copy_(own.out.bias)
    queries = pool.norm_queries(pool.queries).expand(3, -1, -1)
    normalised = pool.norm_tokens(e)
    for mask in (None, there):
        pooled, shares = theirs(queries, normalised, normalised, key_padding_mask=None if mask is None else ~mask)
        torch.testing.assert_close(pool(e, mask), pooled)
        torch.testing.assert_close(pool.attention(e, mask), shares)


def test_a_pool_is_seeded_and_float32():
    before = torch.random.get_rng_state()
    pool, twin, other = (build_attention_pool(6, 5, 8, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    e = tokens(3, 7, 6)
    assert torch.equal(pool(e), twin(e)) and not torch.equal(pool.queries, other.queries)
    with torch.autocast("cpu", torch.bfloat16):
        pooled, shares = pool(e.bfloat16()), pool.attention(e.bfloat16())
    assert pooled.shape == (3, 5, 8) and shares.shape == (3, 5, 7) and pooled.dtype == shares.dtype == torch.float32
    # Each query has its own weights.
    assert float(shares.detach().std(1).min()) > 0
    pooled.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in pool.parameters())


def test_queries_and_layers_keep_the_variance():
    pool = build_attention_pool(96, 64, 128, generator())
    assert float(pool.queries.detach().std()) == pytest.approx(1, rel=0.05)
    assert float(pool.attend.to_key.weight.detach().std()) == pytest.approx(96**-0.5, rel=0.05)
    assert not pool.attend.to_key.bias.any() and torch.equal(pool.norm_tokens.weight, torch.ones(96))


def test_the_order_and_scale_of_tokens_do_not_count():
    pool, e = build_attention_pool(6, 5, 8, generator()), tokens(2, 7, 6)
    torch.testing.assert_close(pool(e.flip(1)), pool(e))
    torch.testing.assert_close(pool(50 * e), pool(e), rtol=1e-3, atol=1e-3)


def test_tokens_that_are_not_there_take_no_part():
    pool, e = build_attention_pool(6, 5, 8, generator()), tokens(2, 7, 6)
    there = torch.arange(7) < torch.tensor([[7], [4]])
    spoilt = e.masked_fill(~there[..., None], torch.nan).requires_grad_()
    pooled = pool(spoilt, there)
    torch.testing.assert_close(pooled[1:], pool(e[1:, :4]))
    shares = pool.attention(spoilt, there).detach()
    assert not shares[1, :, 4:].any()
    torch.testing.assert_close(shares.sum(2), torch.ones(2, 5))
    pooled.sum().backward()
    assert spoilt.grad.isfinite().all() and not spoilt.grad[~there].any()


def test_a_causal_query_sees_no_later_source():
    attend = MultiHeadAttention(8, 8, 2)
    e = tokens(1, 6, 8)
    changed = e.clone()
    changed[:, 4:] += 1
    same = (attend(e, e, causal=True) == attend(changed, changed, causal=True)).all(2)[0]
    assert same.tolist() == [True] * 4 + [False] * 2
    assert not torch.equal(attend(e, e)[:, 0], attend(changed, changed)[:, 0])


def test_a_layer_is_torch_s_with_the_norm_first():
    theirs = nn.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", batch_first=True, norm_first=True)
    own, h = AttentionLayer(8, 2, 16), tokens(3, 7, 8)
    names = {
        "norm1": "norm1.",
        "norm2": "norm2.",
        "to_heads": "self_attn.in_proj_",
        "from_heads": "self_attn.out_proj.",
        "hidden": "linear1.",
        "out": "linear2.",
    }
    ends = ("weight", "bias")
    drawn = {f"{name}.{end}": tokens(*own.state_dict()[f"{name}.{end}"].shape) for name in names for end in ends}
    own.load_state_dict(drawn)
    theirs.load_state_dict({f"{name}{end}": drawn[f"{part}.{end}"] for part, name in names.items() for end in ends})
    there = torch.arange(7) < torch.tensor([[7], [4], [1]])
    for mask in (None, there):
        expected = theirs(h, src_key_padding_mask=None if mask is None else ~mask)
        torch.testing.assert_close(own(h, None if mask is None else mask[:, None, None]), expected)


def test_bad_input_is_named():
    pool, e = build_attention_pool(6, 5, 8, generator()), tokens(2, 7, 6)
    there = torch.ones(2, 7, dtype=torch.bool)
    there[1] = False
    with pytest.raises(ValueError, match="record 1 has no token"):
        pool(e, there)
    with pytest.raises(ValueError, match=r"there must be a bool Tensor \(2, 7\)"):
        pool.attention(e, there[:, :5])
    with pytest.raises(ValueError, match="n_heads must divide the width 8, got 3"):
        AttentionPool(6, 5, 8, 3)
    for sizes, name in (((0, 5, 8), "n_in"), ((6, 0, 8), "n_queries"), ((6, 5, -8), "n_out")):
        with pytest.raises(ValueError, match=f"{name} must be an integer from 1"):
            build_attention_pool(*sizes, generator())
