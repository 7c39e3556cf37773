"""Processes that train one network together: who takes part, what they tell each other, and how they end together."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

# What torchrun sets in the environment of each process.
_OF_TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
# torch has renamed it, and warns of the old name.
_gather_into: Any = getattr(dist, "all_gather_single", None) or getattr(dist, "all_gather_into_tensor", None)
# Processes on different machines round differently, in bf16 by less than this share.
_LOSSES_DIFFER = 0.02


class LostProcessError(RuntimeError):
    """Another process does not answer any more, because it has failed or was killed."""


def is_asked_for(distributed: object) -> bool:
    """Return whether several processes shall train together.

    Parameters
    ----------
    distributed : {"auto", None}
        "auto": if torchrun has started this process, or a process group has been initialised.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if distributed is None:
        return False
    if distributed != "auto":
        raise ValueError(f"distributed must be 'auto' or None, got {distributed!r}")
    if not dist.is_available():
        return False
    return dist.is_initialized() or all(name in os.environ for name in _OF_TORCHRUN)


def is_first_process() -> bool:
    """Return whether this process writes and speaks: of those that torchrun has started, the first one; else, each."""
    return not all(name in os.environ for name in _OF_TORCHRUN) or os.environ["RANK"] == "0"


def join(distributed: object, device: torch.device) -> tuple[Ranks | None, torch.device]:
    """Join the other processes, if `is_asked_for` says so.

    Parameters
    ----------
    distributed : {"auto", None}
    device : torch.device

    Returns
    -------
    ranks : Ranks or None
        None is this process alone.
    device : torch.device
        That of this process: of several GPUs, the one with its number on this machine.
    """
    if not is_asked_for(distributed):
        return None, device
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return Ranks(device), device


class Ranks:
    """The processes of a training, each with a number, its rank.

    Parameters
    ----------
    device : torch.device
        Where tensors are: gloo connects CPUs, nccl connects GPUs.

    Raises
    ------
    ValueError
        If the device is neither.
    """

    def __init__(self, device: torch.device) -> None:
        if device.type not in ("cpu", "cuda"):
            raise ValueError(f"device={str(device)!r}: processes train together on 'cpu' or 'cuda' only")
        if not dist.is_initialized():
            # It stays until the program ends: torchrun's store knows the names of one.
            dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        # Groups of our own, which can be closed: that wakes the processes that wait for one that has failed.
        self._words: Any = dist.new_group(backend="gloo")
        self._tensors: Any = self._words if device.type == "cpu" else dist.new_group(backend="nccl")
        # Used once, at the end, where each process says whether it has failed.
        self._last_words = dist.new_group(backend="gloo")

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def counts(self, n: int) -> list[int]:
        """Return how many of n rows each process takes; they differ by one at most."""
        return [n * (rank + 1) // self.size - n * rank // self.size for rank in range(self.size)]

    def own_rows(self, n: int) -> slice:
        """Return which of n rows this process takes."""
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def collect(self, value: Any) -> list[Any]:
        """Return a value of each process."""
        found: list[Any] = [None] * self.size
        with _answering():
            dist.all_gather_object(found, value, group=self._words)
        return found

    def share(self, value: Any) -> Any:
        """Return the value of the first process."""
        found = [value if self.is_first else None]
        with _answering():
            dist.broadcast_object_list(found, src=0, group=self._words)
        return found[0]

    def gather(self, own: Tensor, counts: Sequence[int]) -> Tensor:
        """Join rows of all processes, in their order; without a gradient.

        Parameters
        ----------
        own : Tensor (n_own, ...)
            Rows of this process.
        counts : sequence of int
            How many rows each process has.

        Returns
        -------
        Tensor (sum of counts, ...)
        """
        own, most = own.detach(), max(counts)
        if most == 0:
            return own.clone()
        if len(own) < most:
            own = torch.cat([own, own.new_zeros((most - len(own), *own.shape[1:]))])
        every = own.new_empty((self.size * most, *own.shape[1:]))
        with _answering():
            _gather_into(every, own.contiguous(), group=self._tensors)
        if min(counts) == most:
            return every
        return torch.cat([part[:n] for part, n in zip(every.split(most), counts, strict=True)])

    def add_up(self, own: Tensor) -> Tensor:
        """Add tensors of one shape over all processes, in place."""
        with _answering():
            dist.all_reduce(own, group=self._tensors)
        return own

    def average_gradients(self, module: nn.Module) -> None:
        """Give each process the mean gradient of all, in one message."""
        grads = [p.grad for p in module.parameters() if p.grad is not None]
        if not grads:
            return
        flat = self.add_up(torch.cat([grad.flatten() for grad in grads])).div_(self.size)
        for grad, mean in zip(grads, flat.split([grad.numel() for grad in grads]), strict=True):
            grad.copy_(mean.view_as(grad))

    def share_state(self, module: nn.Module) -> None:
        """Give each process the weights of the first one."""
        module.load_state_dict(self.share({name: tensor.cpu() for name, tensor in module.state_dict().items()}))

    def check_same(self, digests: dict[str, str]) -> None:
        """Refuse processes that were told to do different things.

        Raises
        ------
        ValueError
            Naming what differs.
        """
        every = self.collect(digests)
        names = {name for one in every for name in one}
        other = sorted(name for name in names if len({one.get(name) for one in every}) > 1)
        if other:
            raise ValueError(f"the {self.size} processes train together, but these differ: {', '.join(other)}")

    def check_close(self, losses: Mapping[str, float]) -> None:
        """Refuse losses that are not those of the first process: the processes have drawn different things.

        Raises
        ------
        ValueError
            Naming the loss and its values.
        """
        first = self.share(losses)
        for name, value in losses.items():
            if abs(value - first[name]) > _LOSSES_DIFFER * max(1.0, abs(value)):
                raise ValueError(
                    f"the processes draw different batches: {name} is {value:.6g} in process {self.rank}, and "
                    f"{first[name]:.6g} in process 0; all that is random must come from batch.rng or batch.generator"
                )

    def end(self, error: BaseException | None) -> None:
        """End together: wait until each process has done its work, or has failed.

        Parameters
        ----------
        error : exception or None
            What ends the work of this process.

        Raises
        ------
        RuntimeError
            If another process has failed; the message has its.
        """
        own = None
        if error is not None:
            self._close()
            own = None if isinstance(error, LostProcessError) else f"{type(error).__name__}: {error}"
        said: list[str | None] = [None] * self.size
        try:
            dist.all_gather_object(said, own, group=self._last_words)
        except RuntimeError as lost:
            if own is None:
                text = f"another of {self.size} processes has ended without a message: it may have been killed"
                raise RuntimeError(text) from (error or lost)
        if error is None:
            self._close()
        failed = [(rank, text) for rank, text in enumerate(said) if text is not None]
        if own is None and failed:
            rank, text = failed[0]
            raise RuntimeError(f"process {rank} of {self.size} has failed: {text}") from error

    def _close(self) -> None:
        # `_last_words` stays: others may still read them.
        for group in {self._words, self._tensors}:
            dist.destroy_process_group(group)
        # A connection ends with the last reference to its group.
        self._words = self._tensors = None


def shared(ranks: Ranks | None, value: Any) -> Any:
    """Return the value of the first process; of a process alone, its own."""
    return value if ranks is None else ranks.share(value)


@contextmanager
def together(ranks: Ranks | None) -> Iterator[Ranks | None]:
    """Let all processes of a block end together, well or with the message of the one that has failed.

    Parameters
    ----------
    ranks : Ranks or None
        None is one process alone.

    Yields
    ------
    Ranks or None
    """
    try:
        yield ranks
    except BaseException as error:
        if ranks is not None:
            ranks.end(error)
        raise
    if ranks is not None:
        ranks.end(None)


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise LostProcessError(f"a process does not answer: {error}") from error
