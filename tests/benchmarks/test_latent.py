"""The study's predictions of tokens: what is hidden, what follows, what is learnt."""

import numpy as np
import pytest
import torch

from beatssl_sklearn import BeatSSL, BeatSSLPretrainer, make_ecg
from benchmarks.study import latent


@pytest.fixture(scope="module")
def X():
    return make_ecg(24, fs=100, duration=8, random_state=0).data


def small(objective, **changes):
    run = {"fs": 100, "max_epochs": 3, "batch_size": 12, "random_state": 0, **changes}
    return BeatSSLPretrainer(objective, encoder_params={"widths": [16, 16, 16], "n_dims": 16}, **run)


@pytest.mark.parametrize("kind", [latent.LatentBeatSSL, latent.FutureBeatSSL])
def test_the_loss_of_tokens_falls_and_trains_the_encoder(kind, X):
    fitted = small(kind("none", "none", feature_weight=0, beat_feature_weight=0), max_epochs=8, lr=1e-2).fit(X)
    found = [row["token_loss"] for row in fitted.history_]
    assert found[-1] < found[0]
    start = small(BeatSSL(), max_epochs=0).fit(X)
    assert not np.array_equal(fitted.encoder_.weights["stem.conv.weight"], start.encoder_.weights["stem.conv.weight"])


def test_the_average_of_the_encoder_is_a_teacher_only(X, monkeypatch):
    monkeypatch.setattr(latent.LatentBeatSSL, "momentum", 1.0)
    fitted = small(latent.LatentBeatSSL.shipped()).fit(X)
    start = small(BeatSSL(), max_epochs=0).fit(X)
    assert not np.array_equal(fitted.encoder_.weights["stem.conv.weight"], start.encoder_.weights["stem.conv.weight"])


def test_hidden_tokens_are_not_looked_at():
    torch.manual_seed(0)
    predictor = latent.TokenPredictor(16).eval()
    tokens, hidden = torch.randn(2, 10, 16), torch.zeros(2, 10, dtype=torch.bool)
    hidden[:, 3:6] = True
    other = torch.where(hidden[..., None], torch.randn(2, 10, 16), tokens)
    torch.testing.assert_close(predictor(tokens, hidden), predictor(other, hidden))


def test_chance_is_the_logarithm_of_the_number_of_tokens(monkeypatch):
    monkeypatch.setattr(latent.BeatSSLHeads, "forward", lambda *given, **named: None)
    heads = latent.FutureHeads(latent.BeatSSLHeads(phases=1), 8, 2)
    # Tokens that are all alike cannot be told apart.
    out = heads(lambda signal: torch.ones(3, 80, 8), torch.zeros(3, 160, 12))
    assert float(out.token_loss.detach()) == pytest.approx(np.log(20), rel=1e-5)
