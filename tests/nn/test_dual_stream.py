"""The encoder "dual_stream": groups of leads that do not see each other."""

import pytest
import torch

from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.nn.dual_stream import LEAD_ORDER, LeadGroupEncoder
from beatssl_sklearn.nn.encoders import build_encoder


def build(**params):
    return build_encoder("dual_stream", 100.0, params, torch.Generator().manual_seed(0)).eval()


def test_the_order_of_the_leads_is_the_packages():
    assert LEAD_ORDER == LEADS


def test_the_stated_size():
    assert sum(p.numel() for p in build().parameters()) == pytest.approx(1.65e6, rel=0.01)


@pytest.mark.parametrize("n_times", [1, 8, 999, 1000])
def test_shapes(n_times):
    encoder = build()
    x = torch.randn(2, n_times, 12)
    e = encoder(x)
    assert e.shape == (2, -(-n_times // 8), 256) and encoder.pool(e).shape == (2, 768)
    assert [s.shape[2] for s in encoder.streams(x)] == [128, 128]


def test_streams_see_their_own_leads_only():
    encoder = build()
    x = torch.randn(1, 400, 12)
    changed = x.clone()
    changed[:, :, 6:] *= -2
    before, after = encoder(x), encoder(changed)
    assert torch.equal(before[..., :128], after[..., :128]) and not torch.equal(before[..., 128:], after[..., 128:])


def test_an_absent_group_is_a_trained_vector():
    encoder = build()
    x = torch.randn(2, 400, 12)
    x[0, :, 6:] = 0
    with torch.no_grad():
        encoder.absent.weight[:, 1] = torch.arange(128.0)
    e = encoder(x)
    assert torch.equal(e[0, :, 128:], torch.arange(128.0).expand(50, 128))
    assert torch.equal(e[1], build()(x)[1])
    assert torch.equal(encoder.absent_vectors(), torch.stack([torch.zeros(128), torch.arange(128.0)]))


def test_any_partition():
    encoder = build(lead_groups=[["II"], ["V1", "V5"], ["I", "aVF"]])
    x = torch.randn(1, 400, 12)
    changed = x.clone()
    changed[:, :, LEADS.index("V3")] += 1
    assert encoder.n_dims == 384 and torch.equal(encoder(x), encoder(changed))


def test_the_case_of_leads_does_not_matter():
    groups = [["avr", "AVL", "i"], ("v1", "V6")]
    assert LeadGroupEncoder(100.0, lead_groups=groups).groups == [[3, 4, 0], [6, 11]]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"lead_groups": [["I"], ["I", "II"]]}, "each lead in one group"),
        ({"lead_groups": [["I"], []]}, "lead_groups"),
        ({"lead_groups": []}, "lead_groups"),
        ({"lead_groups": "I"}, "lead_groups"),
        ({"lead_groups": ["I", "II"]}, "lead_groups"),
        ({"lead_groups": 5}, "lead_groups must be a list of lists .* of some of I, II.*, got 5"),
        ({"lead_groups": {"limb": ["I"], "chest": ["V1"]}}, "lead_groups must be a list of lists .*, got {'limb'"),
        ({"lead_groups": [5]}, r"lead_groups .* got \[5\]"),
        ({"lead_groups": [["I", 5]]}, "lead_groups"),
        ({"lead_groups": [["aVR"], ["avr"]]}, "each lead in one group"),
        ({"lead_groups": [["X"]]}, "lead_groups"),
        ({"widths": (32, 64)}, "widths must be four"),
        ({"strides": (1, 2, 3, 1)}, "strides must be four of 1 and 2"),
        ({"kernel_size": 4}, "kernel_size must be odd"),
    ],
)
def test_bad_parameters_are_named(params, message):
    with pytest.raises(ValueError, match=message):
        LeadGroupEncoder(100.0, **params)
