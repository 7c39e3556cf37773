"""Objectives that the study tries beside the package's own: latent predictions at the level of tokens.

`LatentBeatSSL` hides blocks of time from the encoder, and a small transformer predicts there what a moving average of
the encoder makes of the whole signal (Assran et al. 2023, arXiv 2301.08243). `FutureBeatSSL` predicts the tokens of the
next second from those before, against other tokens of the same record (contrastive predictive coding, van den Oord et
al. 2018, arXiv 1807.03748). Both stand beside the losses of `BeatSSL`, whose weights may be 0.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from beatssl_sklearn import BeatSSL, register
from beatssl_sklearn.nn import Encoder
from beatssl_sklearn.pretraining import Batch, BeatSSLHeads, BeatSSLOutputs, BeatSSLTargets, PretrainedModule

from .trials import AveragedBeatSSL, AveragedHeads

POOLED = 4
"""Tokens of 20 ms that make one that is predicted."""


class TokenOutputs(NamedTuple):
    """Outputs of `BeatSSL`'s heads, and the loss of the tokens."""

    own: BeatSSLOutputs
    token_loss: Tensor

    @property
    def embedding(self) -> Tensor:
        """Embedding of each view, as `BeatSSLOutputs` has it."""
        return self.own.embedding


def pooled(tokens: Tensor) -> Tensor:
    """Return the mean of each `POOLED` tokens, ``(n, n_tokens // POOLED, n_dims)``."""
    n = tokens.shape[1] // POOLED
    return tokens[:, : n * POOLED].unflatten(1, (n, POOLED)).mean(dim=2)


def _seeded(build: Any, generator: torch.Generator) -> Any:
    """Build a module with weights from a generator; torch's own source is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        return build()


class TokenPredictor(nn.Module):
    """A transformer of two layers that predicts hidden tokens from the others (n, m, n_dims)."""

    def __init__(self, n_dims: int, max_tokens: int = 1024) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(n_dims, 4, 2 * n_dims, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.position = nn.Parameter(torch.randn(max_tokens, n_dims) * 0.02)
        self.hidden = nn.Parameter(torch.zeros(n_dims))
        self.out = nn.Linear(n_dims, n_dims)

    def forward(self, tokens: Tensor, hidden: Tensor) -> Tensor:
        """Predict all tokens; those that `hidden (n, m)` names are not looked at."""
        seen = torch.where(hidden[..., None], self.hidden, tokens)
        predicted: Tensor = self.out(self.layers(seen + self.position[: tokens.shape[1]]))
        return predicted


class LatentHeads(AveragedHeads):
    """Heads, a moving average of the encoder, and the predictor of hidden tokens."""

    def __init__(self, heads: BeatSSLHeads, encoder: nn.Module, predictor: TokenPredictor) -> None:
        super().__init__(heads, encoder)
        self.token_predictor = predictor

    def forward(  # type: ignore[override]
        self, encoder: Encoder, hidden: Tensor, signal: Tensor, **regions: Tensor
    ) -> TokenOutputs:
        """Apply all heads, and compare what is predicted of the first view's hidden tokens with the average's."""
        own = super().forward(encoder, signal, **regions)
        first = signal[: len(hidden)]
        every = signal.shape[1] // hidden.shape[1]
        mask = hidden.repeat_interleave(every, dim=1)
        mask = F.pad(mask, (0, signal.shape[1] - mask.shape[1]))
        tokens = pooled(encoder(first.masked_fill(mask[..., None], 0.0)).float())
        with torch.no_grad():
            taught = pooled(cast(Encoder, self.average.encoder)(first).float())
            target = F.layer_norm(taught, taught.shape[-1:])
        hidden = hidden[:, : tokens.shape[1]]
        predicted = self.token_predictor(tokens, hidden)
        return TokenOutputs(own, F.smooth_l1_loss(predicted[hidden], target[hidden]))


@register
class LatentBeatSSL(AveragedBeatSSL):
    """`BeatSSL` with a prediction of hidden tokens; parameters as for `BeatSSL`.

    Attributes
    ----------
    token_weight : float
        Weight of the smooth L1 distance to the average's tokens, each normalised.
    n_blocks, block : int, float
        Blocks of time that are hidden, and their length [s].
    momentum : float
        Share of the old average in the new one, after each step.
    """

    token_weight: ClassVar[float] = 4.0
    n_blocks: ClassVar[int] = 4
    block: ClassVar[float] = 1.2
    momentum: ClassVar[float] = 0.996

    def draw(self, batch: Batch) -> tuple[dict[str, Tensor], BeatSSLTargets]:
        """Draw as `BeatSSL`, and the hidden tokens ``(n, m)``; blocks may overlap."""
        inputs, targets = super().draw(batch)
        n, n_times = len(batch.rows), inputs["signal"].shape[1]
        every = 2 * POOLED  # samples at 100 Hz of a pooled token
        m, width = n_times // every, max(1, round(self.block * 100 / every))
        start = batch.rng.integers(0, max(1, m - width + 1), (n, self.n_blocks, 1))
        at = torch.as_tensor(start) + torch.arange(width)
        hidden = torch.zeros(n, m, dtype=torch.bool).scatter_(1, at.flatten(1), True)
        return {"hidden": batch.put(hidden.numpy()), **inputs}, targets

    def heads(self, encoder: nn.Module, known: Any, generator: torch.Generator) -> LatentHeads:
        """Return the heads with the average and the predictor."""
        own = BeatSSL.heads(self, encoder, known, generator)
        n_dims = cast(Encoder, encoder).n_dims
        return LatentHeads(own, encoder, _seeded(lambda: TokenPredictor(n_dims), generator))

    def after_step(self, module: PretrainedModule, progress: float) -> None:
        """Move the average; the weights themselves stay, for the average is a teacher only."""
        super().after_step(module, min(progress, 0.999))

    def averaged(self, module: nn.Module) -> dict[str, Tensor]:
        """Return what is averaged: weights and running statistics."""
        return {name: t for name, t in module.state_dict().items() if t.is_floating_point()}

    def loss(self, outputs: Any, targets: BeatSSLTargets) -> dict[str, Tensor]:
        """Add the loss of the tokens."""
        return _with_tokens(super().loss(outputs.own, targets), outputs, self.token_weight)

    def diagnose(self, outputs: Any) -> dict[str, float]:
        """Diagnose as `BeatSSL`."""
        return super().diagnose(outputs.own)


class FutureHeads(BeatSSLHeads):
    """Heads, a recurrent summary of the tokens so far, and a linear prediction for each step ahead."""

    def __init__(self, heads: BeatSSLHeads, n_dims: int, n_ahead: int) -> None:
        super().__init__(heads.phases)
        for name, head in heads.named_children():
            setattr(self, name, head)
        self.so_far = nn.GRU(n_dims, n_dims, batch_first=True)
        self.ahead = nn.ModuleList(nn.Linear(n_dims, n_dims) for _ in range(n_ahead))

    def forward(  # type: ignore[override]
        self, encoder: Encoder, signal: Tensor, **regions: Tensor
    ) -> TokenOutputs:
        """Apply all heads, and tell each token ahead from the others of its record."""
        own = super().forward(encoder, signal, **regions)
        tokens = pooled(encoder(signal).float())
        context = self.so_far(tokens)[0]
        keys, losses = F.normalize(tokens, dim=2), []
        for k, ahead in enumerate(self.ahead, start=1):
            said = F.normalize(ahead(context[:, :-k]), dim=2)
            logits = said @ keys.transpose(1, 2) / 0.1
            truth = torch.arange(k, tokens.shape[1], device=tokens.device).expand(len(tokens), -1)
            losses.append(F.cross_entropy(logits.flatten(0, 1), truth.flatten()))
        return TokenOutputs(own, torch.stack(losses).mean())


@register
class FutureBeatSSL(BeatSSL):
    """`BeatSSL` with contrastive predictive coding of its tokens; parameters as for `BeatSSL`.

    Attributes
    ----------
    token_weight : float
        Weight of the cross entropy, mean over the steps ahead.
    n_ahead : int
        Steps of 80 ms.
    """

    token_weight: ClassVar[float] = 1.0
    n_ahead: ClassVar[int] = 12

    def heads(self, encoder: nn.Module, known: Any, generator: torch.Generator) -> FutureHeads:
        """Return the heads with the predictions of what comes."""
        own, n_dims = super().heads(encoder, known, generator), cast(Encoder, encoder).n_dims
        made: FutureHeads = _seeded(lambda: FutureHeads(own, n_dims, self.n_ahead), generator)
        return made

    def loss(self, outputs: Any, targets: BeatSSLTargets) -> dict[str, Tensor]:
        """Add the loss of the tokens."""
        return _with_tokens(super().loss(outputs.own, targets), outputs, self.token_weight)

    def diagnose(self, outputs: Any) -> dict[str, float]:
        """Diagnose as `BeatSSL`."""
        return super().diagnose(outputs.own)


def _with_tokens(losses: dict[str, Tensor], outputs: TokenOutputs, weight: float) -> dict[str, Tensor]:
    losses["token_loss"] = outputs.token_loss
    losses["loss"] = losses["loss"] + weight * outputs.token_loss
    return losses
