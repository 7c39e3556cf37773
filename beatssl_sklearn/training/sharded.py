"""An encoder whose batch is divided among processes, with the results of one process that has the whole batch.

Each process encodes its rows and gets those of the others. What comes after the encoder, heads and loss, is computed
for the whole batch in each process, so that any objective works as it is. There, gradients are equal in all processes;
the encoder's rows get `size` times their gradient, so that the mean over the processes is the gradient of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from .distributed import Ranks


class ShardedEncoder:
    """Stands in the place of an encoder, for heads that call it; all else of the encoder is there as it was.

    Parameters
    ----------
    encoder : torch.nn.Module
        As `nn.encoders` describes it. Its batch normalisations become those of the whole batch.
    ranks : Ranks
        The processes.
    """

    def __init__(self, encoder: nn.Module, ranks: Ranks) -> None:
        self.encoder: Any = encoder
        self.ranks = ranks
        self._divided = False
        # Rows of this process, of what was encoded last: whoever goes on with it needs no other rows.
        self._last: tuple[Tensor, Tensor] | None = None
        _replace_norms(encoder, self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["encoder"], name)

    def __call__(self, x: Tensor) -> Tensor:
        """Encode ``x (n, n_times, 12)``, as the encoder does."""
        return self._joined(self.encoder, x)

    def embed(self, x: Tensor) -> Tensor:
        """Map ``x (n, n_times, 12)`` to the stem's tokens, as the encoder does."""
        return self._joined(self.encoder.embed, x)

    def contextualize(
        self,
        tokens: Tensor,
        masked: Tensor | None = None,
        filler: Tensor | None = None,
        signal: Tensor | None = None,
    ) -> Tensor:
        """Let the tokens of `embed` see each other, as the encoder does."""

        def see(own: Tensor, *rows: Tensor | None) -> Tensor:
            return self.encoder.contextualize(own, rows[0], filler, rows[1])

        return self._joined(see, tokens, masked, signal)

    def pool(self, e: Tensor) -> Tensor:
        """Return the embeddings of records from their tokens, as the encoder does."""
        return self._joined(self.encoder.pool, e)

    def streams(self, x: Tensor) -> list[Tensor]:
        """Encode each group of leads, as the encoder does."""
        own = self.own(x)
        if own is None:
            return self.encoder.streams(x)
        counts = self.ranks.counts(len(x))
        return [self.join(stream, counts) for stream in self.alone(self.encoder.streams, own)]

    def own(self, x: Tensor) -> Tensor | None:
        """Return the rows of this process; None where they cannot be told apart, or are too few for all processes."""
        if self._last is not None and x is self._last[0]:
            return self._last[1]
        # The gradient of rows that came here in another way would get lost.
        return None if x.requires_grad or len(x) < self.ranks.size else x[self.ranks.own_rows(len(x))]

    def alone(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function on rows of this process; batch normalisations know those of all."""
        self._divided = True
        try:
            return function(*arguments)
        finally:
            self._divided = False

    @property
    def is_divided(self) -> bool:
        """Whether the encoder reads rows of this process alone."""
        return self._divided

    def join(self, own: Tensor, counts: Sequence[int]) -> Tensor:
        """Return the rows of all processes, with a gradient.

        Parameters
        ----------
        own : Tensor (n_own, ...)
            Rows of this process.
        counts : sequence of int
            How many rows each process has.
        """
        joined: Tensor = _Joined.apply(own, self.ranks, counts)
        self._last = joined, own
        return joined

    def _joined(self, function: Callable[..., Tensor], x: Tensor, *others: Tensor | None) -> Tensor:
        """Return a function's rows: of this process's rows of x and others, joined."""
        own = self.own(x)
        if own is None:
            return function(x, *others)
        rows = self.ranks.own_rows(len(x))
        parts = [None if other is None else other[rows] for other in others]
        return self.join(self.alone(function, own, *parts), self.ranks.counts(len(x)))


def refuse_dropout(module: nn.Module) -> None:
    """Refuse a network that draws in each process for itself.

    Raises
    ------
    TypeError
        Naming the layer.
    """
    for name, layer in module.named_modules():
        if isinstance(layer, _DropoutNd) and layer.p > 0:
            raise TypeError(
                f"{name} is a {type(layer).__name__}, which would draw other numbers in each process: use "
                f"distributed=None, or draw in the objective from batch.generator"
            )


class _Joined(torch.autograd.Function):
    """Rows of all processes; the gradient, equal in all of them, goes to the rows of this one, `size` times."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, ranks: Ranks, counts: Sequence[int]) -> Tensor:
        ctx.size, first = ranks.size, sum(counts[: ranks.rank])
        ctx.rows = slice(first, first + counts[ranks.rank])
        return ranks.gather(own, counts)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return grad[ctx.rows] * ctx.size, None, None


class JoinedBatchNorm(_BatchNorm):
    """Batch normalisation by mean and variance of the rows of all processes; of any number of axes, on any device.

    Parameters
    ----------
    of : torch.nn.BatchNorm1d, BatchNorm2d or BatchNorm3d
        Whose parameters and buffers it has.
    sharded : ShardedEncoder
        Knows whether the rows are divided.
    """

    def __init__(self, of: _BatchNorm, sharded: ShardedEncoder) -> None:
        super().__init__(of.num_features, of.eps, of.momentum, affine=False, track_running_stats=False)
        self.affine, self.track_running_stats = of.affine, of.track_running_stats
        self._parameters, self._buffers, self.training = of._parameters, of._buffers, of.training
        self._sharded = sharded

    def _check_input_dim(self, input: Tensor) -> None:
        """Take any number of axes."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(n, n_channels, ...)``."""
        by_batch = self.training or self.running_mean is None
        if not (by_batch and self._sharded.is_divided):
            return super().forward(x)
        ranks = self._sharded.ranks
        mean, variance, n = _statistics(x.detach(), ranks)
        if self.training and self.running_mean is not None:
            self._follow(mean, variance * (n / (n - 1).clamp_min(1)))
        normalised: Tensor = _Normalised.apply(x, self.weight, self.bias, mean, variance, n, self.eps, ranks)
        return normalised

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


def _statistics(x: Tensor, ranks: Ranks) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean and variance (n_channels,) of the rows of all processes, and how many numbers (1,) a channel has."""
    n_channels = x.shape[1]
    like = x.new_zeros(n_channels, dtype=torch.float32)
    mean, variance = torch.batch_norm_update_stats(x, like, like.clone(), 0.0)
    mean, variance = mean.double(), variance.double()
    n = x.numel() // n_channels
    sums = torch.cat([mean.new_tensor([n]), n * mean, n * (variance + mean.square())])
    total, first, second = ranks.add_up(sums).split([1, n_channels, n_channels])
    mean = first / total
    return mean.float(), (second / total - mean.square()).clamp_min_(0).float(), total.float()


class _Normalised(torch.autograd.Function):
    """Normalisation by given statistics, of which the backward knows that they are those of all rows."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        n: Tensor,
        eps: float,
        ranks: Ranks,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, (variance + eps).rsqrt(), n)
        ctx.eps, ctx.ranks = eps, ranks
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, inverse, n = ctx.saved_tensors
        affine = torch.ones_like(mean) if weight is None else weight
        _, along, sums = torch.ops.aten.native_batch_norm_backward(
            grad, x, affine, None, None, mean, inverse, True, ctx.eps, [False, True, True]
        )
        of_all = ctx.ranks.add_up(torch.stack([along, sums])) / n
        # dx = scale * (g - mean of g - x^ * mean of g x^), with x^ = (x - mean) * inverse.
        scale = affine * inverse
        slope = -scale * inverse * of_all[0]
        level = -scale * of_all[1] - slope * mean
        per_channel = (1, -1, *[1] * (x.ndim - 2))
        dx = torch.addcmul(level.view(per_channel), x.float(), slope.view(per_channel))
        dx = dx.addcmul_(grad.float(), scale.view(per_channel)).to(x.dtype)
        own = (None, None) if weight is None else (along, sums)
        return dx, *own, None, None, None, None, None


def _replace_norms(module: nn.Module, sharded: ShardedEncoder) -> None:
    for name, layer in module.named_children():
        if isinstance(layer, _BatchNorm):
            setattr(module, name, JoinedBatchNorm(layer, sharded))
        else:
            _replace_norms(layer, sharded)
