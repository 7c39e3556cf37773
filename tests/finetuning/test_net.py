"""The network that is fine-tuned, its loss, and the epoch whose weights are kept."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from beatssl_sklearn.finetuning.net import BestEpoch, HeadedEncoder, LabelLoss, start_loss
from beatssl_sklearn.nn.encoders import build_encoder
from beatssl_sklearn.nn.weights import module_arrays

N_DIMS, PHASES = 12, 3
WIDTH = 3 * N_DIMS + PHASES * N_DIMS


def module_of(n_outputs=2, adapt_norm=False, seed=0):
    params = {"widths": (8, 16, 24), "n_dims": N_DIMS}
    encoder = build_encoder("beatnet", 100.0, params, torch.Generator().manual_seed(seed))
    return HeadedEncoder(encoder, PHASES, n_outputs, adapt_norm)


def inputs(n=4, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return {
        "signal": torch.randn(n, 400, 12, generator=draw),
        "roi_record": torch.tensor([0, 0, 1, 3]),
        "roi_start": torch.tensor([2.0, 5.5, 7.0, 1.0], dtype=torch.float64),
        "roi_end": torch.tensor([4.0, 9.0, 9.5, 6.0], dtype=torch.float64),
    }


# The network


def test_the_head_knows_nothing_at_first_and_draws_nothing():
    state = torch.get_rng_state()
    module = module_of(3)
    assert torch.equal(torch.get_rng_state(), state)
    logits = module.eval()(**inputs())
    assert logits.shape == (4, 3) and logits.dtype == torch.float32 and not logits.any()
    assert module.linear.weight.shape == (3, WIDTH) and module.norm.num_features == WIDTH


def test_logits_are_linear_in_the_standardised_embedding():
    module = module_of(2).eval()
    draw = torch.Generator().manual_seed(1)
    mean, variance = torch.randn(WIDTH, generator=draw), 1 + torch.rand(WIDTH, generator=draw)
    module.norm.running_mean, module.norm.running_var = mean, variance
    embedded = []
    module.norm.register_forward_hook(lambda layer, given, z: embedded.append((given[0], z)))
    module.linear.weight.data.normal_(generator=draw)
    module.linear.bias.data.normal_(generator=draw)
    logits = module(**inputs())
    embedding, z = embedded[0]
    torch.testing.assert_close(z, (embedding - mean) / (variance + module.norm.eps).sqrt())
    torch.testing.assert_close(logits, z @ module.linear.weight.T + module.linear.bias)
    # A record without a beat has its mean token in place of each phase of its mean beat.
    phases = embedding[:, 3 * N_DIMS :].reshape(4, PHASES, N_DIMS)
    mean_token = module.encoder(inputs()["signal"]).mean(dim=1)
    torch.testing.assert_close(phases[2], mean_token[2].expand(PHASES, N_DIMS))
    assert all(not torch.allclose(phases[i], mean_token[i].expand(PHASES, N_DIMS)) for i in (0, 1, 3))


def test_dropout_multiplies_the_standardised_embedding():
    module = module_of(2).eval()
    module.linear.weight.data.fill_(1.0)
    whole = module(**inputs())
    keep = torch.zeros(4, WIDTH)
    assert torch.equal(module(**inputs(), keep=keep), torch.zeros(4, 2))
    torch.testing.assert_close(module(**inputs(), keep=keep + 2), 2 * whole)


@pytest.mark.parametrize("adapt_norm", [True, False])
def test_statistics_follow_the_batches_only_where_they_shall(adapt_norm):
    module = module_of(adapt_norm=adapt_norm).train()
    before = module_arrays(module)
    module(**inputs())
    moved = {name for name, array in module_arrays(module).items() if not np.array_equal(array, before[name])}
    statistics = {name for name in before if "running" in name}
    assert len(statistics) > 4 and (statistics <= moved if adapt_norm else not moved)
    assert module.training and not module.eval().training


# The loss


def test_the_loss_is_the_weighted_cross_entropy():
    logits = torch.tensor([[0.0, 1.0, 2.0], [1.0, 0.0, 0.0]])
    labels, weights = torch.tensor([2, 0]), torch.tensor([0.5, 1.5])
    expected = -(weights * logits.log_softmax(1)[[0, 1], [2, 0]]).mean()
    assert LabelLoss(True)(logits, (labels, weights)) == pytest.approx(float(expected))


def test_the_loss_of_several_labels_is_a_sigmoid_each():
    logits = torch.tensor([[0.3, -1.0], [2.0, 0.5]])
    labels, weights = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 2.0], [0.5, 1.0]])
    p = logits.sigmoid()
    expected = -(weights * torch.where(labels == 1, p.log(), (1 - p).log())).mean()
    assert float(LabelLoss(False)(logits, (labels, weights))) == pytest.approx(float(expected))


# The best epoch


class HeldOut(list):
    epoch = None


def net_of(start):
    """Something that a callback can watch: a module, a history, and the loss of one held-out batch."""
    module = torch.nn.Linear(1, 1)
    module.weight.data.zero_()
    batch = ({"signal": torch.zeros(3, 2)}, None)
    return SimpleNamespace(
        module_=module, history=[], held_out=HeldOut([batch]), validation_step=lambda b: {"loss": torch.tensor(start)}
    )


def run(patience, start, losses):
    net, best = net_of(start), BestEpoch(patience)
    best.on_train_begin(net)
    for k, loss in enumerate(losses, start=1):
        net.module_.weight.data.fill_(k)
        net.history.append({"valid_loss": loss})
        best.on_epoch_end(net)
        if best.stop:
            break
    return net, best


@pytest.mark.parametrize(
    ("patience", "start", "losses", "epoch", "trained"),
    [
        (None, 1.0, [0.9, 0.5, 0.7, 0.6, 0.8], 2, 5),
        (2, 1.0, [0.9, 0.5, 0.7, 0.6, 0.1], 2, 4),
        (3, 0.2, [0.9, 0.5, 0.7, 0.1], 0, 3),
        (1, 1.0, [0.9, 0.8, 0.7], 3, 3),
        (1, 1.0, [1.0, 0.5], 0, 1),
    ],
)
def test_the_weights_of_the_least_loss_come_back(patience, start, losses, epoch, trained):
    net, best = run(patience, start, losses)
    assert best.epoch_ == epoch and len(net.history) == trained
    assert net.module_.weight.item() == trained
    best.restore(net)
    assert net.module_.weight.item() == epoch


def test_the_loss_of_the_start_counts_records_alike():
    losses = iter([1.0, 4.0])
    net = SimpleNamespace(
        held_out=HeldOut([({"signal": torch.zeros(3, 2)}, None), ({"signal": torch.zeros(1, 2)}, None)]),
        validation_step=lambda batch: {"loss": torch.tensor(next(losses))},
    )
    assert start_loss(net) == pytest.approx(7 / 4) and net.held_out.epoch == 0
