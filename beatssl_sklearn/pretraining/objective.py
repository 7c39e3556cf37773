"""The contract of an objective: what a pretraining run learns.

A subclass of `Objective` says what is measured on the records, which views a step draws, which heads it puts on the
encoder, and its loss. Everything else is the same for all: reading X, windows, heartbeats, hold-out, epochs,
checkpoints, files, the command line, embedders.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..components import Component
from ..inputs.front_end import FrontEnd
from ..inputs.source import Block
from ..training.sharded import ShardedEncoder

if TYPE_CHECKING:
    from .batches import Batch


# Columns of `history_` that are not the objective's.
RESERVED = {"epoch", "train_loss", "lr", "records_per_second", "seconds"}


@dataclass(frozen=True)
class FitContext:
    """What `Objective.prepare` may use beside the measurements.

    Parameters
    ----------
    n_records, batch_size, seed : int
        Of the fit.
    front_end : FrontEnd
        How signals are prepared.
    beat_offset : ndarray of int64 (n_records + 1,)
        Where the beats of record i begin among all beats.
    groups : ndarray of int64 (n_records,) or None
        Patient of each record, as a number.
    arguments : mapping
        Arguments of `fit` that `needs` names, such as ``y`` and ``reports``, with one entry per record. ``times`` are
        numbers of days, NaN where one is missing.
    usable : ndarray of int64 or None
        Records with at least one known sample, as rows of X; no others are trained on. None is all records.
    held_out : ndarray of int64 or None
        Those of them that `validation_fraction` holds out; None without it.
    """

    n_records: int
    batch_size: int
    seed: int
    front_end: FrontEnd
    beat_offset: NDArray[np.int64]
    groups: NDArray[np.int64] | None
    arguments: Mapping[str, Any]
    usable: NDArray[np.int64] | None = None
    held_out: NDArray[np.int64] | None = None


class Objective(Component, ABC):
    """What a pretraining run learns.

    A subclass must write `draw`, `heads` and `loss`. It may write the others. Its parameters are those of its
    constructor, as for every scikit-learn estimator. ``@register`` lets files and the command line find it.

    Attributes
    ----------
    needs : tuple of str
        Arguments of `Pretrainer.fit` that must be given: ``("reports",)``.
    keeps : tuple of str
        Modules of its heads that the fitted estimator keeps, for `warm_start` and for use: names of attributes.
    default_encoder : str
        What ``Pretrainer(encoder=None)`` means.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    keeps: ClassVar[tuple[str, ...]] = ()
    default_encoder: ClassVar[str] = "beatnet"

    def _who_needs(self, name: str) -> str:
        """Return the class that needs an argument of `fit`, for messages."""
        return type(self).__name__

    def check_encoder(self, encoder: nn.Module) -> None:
        """Raise an error if the encoder lacks a method that this objective needs; nothing by default.

        Parameters
        ----------
        encoder : torch.nn.Module
            With random weights.

        Raises
        ------
        TypeError
            The message names the objective, what is missing, and an encoder that has it.
        """

    def measurements(self) -> Any:
        """Return what decides the result of `measure` beside the records.

        Returns
        -------
        object
            A part of the key of the cache; all parameters by default.
        """
        return self.get_params()

    def measure(self, block: Block, rpeaks: list[NDArray[np.int64]], front_end: FrontEnd) -> Any:
        """Measure the records of a block, in threads.

        Parameters
        ----------
        block : Block
            Consecutive records of one length, rate and lead set; no sample is NaN.
        rpeaks : list of ndarray
            R peaks of each record [samples] whose beat window lies inside the record.
        front_end : FrontEnd
            How signals are prepared.

        Returns
        -------
        object
            What `prepare` gets; None by default.
        """
        return None

    def prepare(self, measured: list[Any], fit: FitContext) -> Any:
        """Put the measurements of all blocks together, once.

        Parameters
        ----------
        measured : list
            What `measure` returned for each block, in the order of the records.
        fit : FitContext
            What else is known.

        Returns
        -------
        object
            `Batch.known`; None by default.
        """
        return None

    def batches(
        self,
        rows: NDArray[np.int64],
        groups: NDArray[np.int64] | None,
        batch_size: int,
        rng: np.random.Generator,
        *,
        times: NDArray[np.float64] | None = None,
    ) -> list[NDArray[np.int64]]:
        """Choose the records of each step of an epoch.

        Parameters
        ----------
        rows : ndarray of int64 (n,)
            Records to train on.
        groups : ndarray of int64 (n,) or None
            Their patients.
        batch_size : int
            Records per step.
        rng : numpy.random.Generator
            Source of all draws.
        times : ndarray of float64 (n,), optional
            Their times [days]; given only where `needs` names ``times``.

        Returns
        -------
        list of ceil(n / batch_size) ndarray of int64
            By default a permutation of the records.
        """
        return np.array_split(rng.permutation(rows), n_batches(rows, batch_size))

    @abstractmethod
    def draw(self, batch: Batch) -> tuple[dict[str, Tensor], Any]:
        """Draw what one step needs.

        Parameters
        ----------
        batch : Batch
            Records of the step.

        Returns
        -------
        inputs : dict of Tensor
            Arguments of the heads, by name.
        targets : object
            What the loss compares the outputs with.
        """

    @abstractmethod
    def heads(self, encoder: nn.Module, known: Any, generator: torch.Generator) -> nn.Module:
        """Make the module on top of the encoder.

        Parameters
        ----------
        encoder : torch.nn.Module
            As `nn.encoders` describes it.
        known : object
            What `prepare` returned.
        generator : torch.Generator
            Source of all random weights.

        Returns
        -------
        torch.nn.Module
            It is called as ``heads(encoder, **inputs)`` and returns the outputs.
        """

    @abstractmethod
    def loss(self, outputs: Any, targets: Any) -> dict[str, Tensor]:
        """Compare outputs with targets.

        Parameters
        ----------
        outputs : object
            What the heads returned.
        targets : object
            What `draw` returned.

        Returns
        -------
        dict of Tensor
            "loss", and named parts of it, which become columns of `history_`.
        """

    def after_step(self, module: PretrainedModule, progress: float) -> None:
        """Change the network after a step (moving averages, teachers); nothing by default.

        Parameters
        ----------
        module : PretrainedModule
            With `encoder` and `heads`.
        progress : float
            Share of all steps that are done; 1 after the last.
        """

    def diagnose(self, outputs: Any) -> dict[str, float]:
        """Describe the outputs of an epoch's last batch.

        Parameters
        ----------
        outputs : object
            What the heads returned.

        Returns
        -------
        dict of float
            Columns of `history_`; none by default.
        """
        return {}


def n_batches(rows: NDArray[np.int64], batch_size: int) -> int:
    """Return the number of steps of an epoch."""
    return ceil(len(rows) / batch_size)


class PretrainedModule(nn.Module):
    """Encoder and heads, which are trained together.

    Parameters
    ----------
    encoder, heads : torch.nn.Module
        The parts.
    sharded : ShardedEncoder, optional
        The encoder on several processes, which the heads call in its place.
    """

    def __init__(self, encoder: nn.Module, heads: nn.Module, sharded: ShardedEncoder | None = None) -> None:
        super().__init__()
        self.encoder, self.heads, self.sharded = encoder, heads, sharded

    def forward(self, **inputs: Tensor) -> Any:
        """Call the heads with the encoder.

        Parameters
        ----------
        **inputs
            What `Objective.draw` returned.

        Returns
        -------
        object
            Outputs of the heads.
        """
        return self.heads(self.encoder if self.sharded is None else self.sharded, **inputs)


class Criterion(nn.Module):
    """The loss of an objective as a module, with its parts and the last outputs at hand."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.objective = objective
        self.parts: dict[str, Tensor] = {}
        self._outputs: Any = None

    def forward(self, outputs: Any, targets: Any) -> Tensor:
        """Return the loss."""
        losses = self.objective.loss(outputs, targets)
        if not isinstance(losses, dict) or not all(isinstance(part, Tensor) for part in losses.values()):
            name = type(self.objective).__name__
            raise TypeError(f"{name}.loss must return a dict of tensors, got {type(losses).__name__}")
        reserved = sorted(set(losses) & RESERVED)
        if reserved:
            raise ValueError(f"{type(self.objective).__name__}.loss: {reserved} are columns of history_; rename them")
        if "loss" not in losses:
            raise ValueError(f"{type(self.objective).__name__}.loss must return 'loss', got {sorted(losses)}")
        self.parts = {name: part.detach() for name, part in losses.items() if name != "loss"}
        self._outputs = outputs
        return losses["loss"]

    @torch.no_grad()
    def diagnose(self) -> dict[str, float]:
        """Return numbers about the last batch."""
        found = self.objective.diagnose(self._outputs)
        self._outputs = None
        return found
