"""One path for every pretraining: from parameters and X to a trained network.

The steps of `pretrain` follow each other, and each has one owner: the objective measures and draws, `measured` knows
the records, `batches` iterates, `training.net` runs the epochs. Nothing here calls back to the estimator.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .._optional import find_stack_level
from ..inputs.front_end import FrontEnd
from ..inputs.source import Source
from ..nn.blocks import Encoder
from ..nn.devices import training_precision
from ..nn.encoders import build_encoder
from ..nn.weights import load_module_arrays, module_arrays, trained_arrays
from ..training.checkpoint import START, Checkpoint, resume
from ..training.distributed import Ranks, shared
from ..training.net import EpochNet, make_net, optimizer_settings, run_epochs
from ..training.progress import ProgressBar
from ..training.sharded import ShardedEncoder, refuse_dropout
from .batches import Batches
from .measured import Records, measure_records
from .objective import Criterion, Objective, PretrainedModule


@dataclass(frozen=True)
class TrainingSettings:
    """How a pretraining runs; the names are those of `Pretrainer`'s parameters."""

    max_epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    validation_fraction: float | None
    callbacks: list[Any]
    checkpoint_dir: Any
    memory: Any
    device: torch.device
    precision: str
    n_jobs: int | None
    seed: int
    verbose: int
    check: str = "warn"
    encoder_lr: float | None = None
    """Largest rate of the encoder; None is `lr`."""
    constant_lr: bool = False
    """Whether the rate stays what it is."""
    first_epoch: int = 0
    """Epochs trained before."""
    fingerprint: Mapping[str, str] = field(default_factory=dict)
    """Digests of what decides the result, beside the records."""
    ranks: Ranks | None = None
    """Processes that train together."""

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any], **others: Any) -> TrainingSettings:
        """Return the settings that parameters of the same names describe; `others` replace them and add the rest."""
        named = {name: parameters[name] for name in cls.__dataclass_fields__ if name in parameters}
        found = cls(**{**named, "callbacks": list(parameters["callbacks"] or []), **others})
        # One of several processes shows progress.
        return found if found.ranks is None or found.ranks.is_first else replace(found, verbose=0)


@dataclass(frozen=True)
class Start:
    """Weights of an earlier fit that training begins with."""

    encoder: Mapping[str, NDArray]
    heads: Mapping[str, NDArray]

    def digest(self) -> str:
        """Return a digest of all weights."""
        found = hashlib.sha256()
        for name, array in sorted({**self.encoder, **self.heads}.items()):
            found.update(name.encode() + np.ascontiguousarray(array).tobytes())
        return found.hexdigest()[:16]


@dataclass(frozen=True)
class Trained:
    """What a pretraining leaves behind."""

    weights: dict[str, NDArray]
    """State of the encoder."""
    heads: dict[str, NDArray]
    """State of the heads that the objective keeps."""
    history: list[dict[str, Any]]
    device: str


def build_module(encoder: Any, encoder_params: Any, fs_model: float, seed: int) -> tuple[nn.Module, torch.Generator]:
    """Return the encoder with random weights, and the generator that its heads' weights come from."""
    generator = torch.Generator().manual_seed(seed)
    return build_encoder(encoder, fs_model, encoder_params, generator), generator


def pretrain(
    objective: Objective,
    encoder: nn.Module,
    generator: torch.Generator,
    source: Source,
    front_end: FrontEnd,
    settings: TrainingSettings,
    *,
    start: Start | None = None,
    groups: Any = None,
    rpeaks: Any = None,
    arguments: dict[str, Any] | None = None,
) -> Trained:
    """Train an encoder with an objective.

    Parameters
    ----------
    objective : Objective
        Checked.
    encoder : torch.nn.Module
        With random weights.
    generator : torch.Generator
        Source of the heads' random weights.
    source : Source
        The records.
    front_end : FrontEnd
    settings : TrainingSettings
    start : Start, optional
        Weights of an earlier fit; by default all are random.
    groups, rpeaks : as for `Pretrainer.fit`
    arguments : dict, optional
        Arguments of `fit` with one entry per record.

    Raises
    ------
    ValueError, TypeError
        If a record or an argument cannot be used; the message names it.
    FloatingPointError
        If training diverges.
    OSError
        If a checkpoint cannot be written.
    """
    records = measure_records(
        source,
        front_end,
        objective,
        batch_size=settings.batch_size,
        seed=settings.seed,
        rpeaks=rpeaks,
        groups=groups,
        arguments=arguments,
        memory=settings.memory,
        n_jobs=settings.n_jobs,
        progress=settings.verbose > 0,
        check=settings.check,
        validation_fraction=settings.validation_fraction,
    )
    heads = objective.heads(encoder, records.known, generator)
    ranks = settings.ranks
    module = PretrainedModule(encoder, heads, None if ranks is None else ShardedEncoder(encoder, ranks)).float()
    check_kept(module, objective)
    if start is not None:
        load_start(module, objective, start)
    if ranks is not None:
        refuse_dropout(module)
        ranks.check_same({**settings.fingerprint, "max_epochs": str(settings.max_epochs), "X": records.digest()})
        ranks.share_state(module)
    train, held_out = build_batches(objective, module, records, settings)
    net = build_net(objective, module, settings, train, held_out)
    done = 0 if settings.checkpoint_dir is None else _go_on(net, settings, records, start)
    rows = run_epochs(net, train, settings.max_epochs - done)
    _warn_if_nothing_was_compared(objective, rows)
    history = [{**row, "epoch": i} for i, row in enumerate(rows, start=settings.first_epoch + 1)]
    return Trained(
        trained_arrays(module.encoder, settings.lr), kept_heads(module, objective), history, str(settings.device)
    )


def _warn_if_nothing_was_compared(objective: Objective, rows: list[dict[str, Any]]) -> None:
    """Warn of a loss that was 0 in every batch, as where no record has anything to be compared with."""
    if rows and not any(row["train_loss"] for row in rows):
        names = [name for name in rows[-1] if name.endswith("_loss") and name != "train_loss"]
        parts = [name for name in names if not any(row.get(name) for row in rows)]
        warnings.warn(
            f"{type(objective).__name__}: the loss was 0 in every epoch ({', '.join(parts)}), and nothing was learnt; "
            f"no batch held anything that is compared or predicted, as where no record has the leads of two groups, or "
            f"none has features that can be measured",
            UserWarning,
            stacklevel=find_stack_level(),
        )


def _go_on(net: EpochNet, settings: TrainingSettings, records: Records, start: Start | None) -> int:
    """Let a net write checkpoints, bring it to the state of the last one, and return how many epochs are done."""
    fingerprint = {**settings.fingerprint, "data": records.digest(), START: "" if start is None else start.digest()}
    ranks, folder, n = settings.ranks, settings.checkpoint_dir, settings.max_epochs
    writes = ranks is None or ranks.is_first
    net.callbacks_.append(("checkpoint", Checkpoint(str(folder), fingerprint, n, writes)))
    return resume(net, folder, fingerprint, n, ranks)


def check_kept(module: PretrainedModule, objective: Objective) -> None:
    """Refuse names in `keeps` that the heads do not have; None is a head that these parameters leave out.

    Raises
    ------
    TypeError
        Naming the objective and the head.
    """
    for name in objective.keeps:
        if not hasattr(module.heads, name) or not isinstance(getattr(module.heads, name), (nn.Module, type(None))):
            heads = sorted(key for key, _ in module.heads.named_children())
            raise TypeError(
                f"{type(objective).__name__}.keeps names {name!r}, which is no module of its heads (modules: "
                f"{', '.join(heads) or 'none'}); a head that is left out must be None"
            )


def load_start(module: PretrainedModule, objective: Objective, start: Start) -> None:
    """Put the weights of an earlier fit into the encoder, and into those heads that both fits have.

    Raises
    ------
    ValueError
        If names or shapes of the encoder or of a head differ; the message names it, and the objective.
    """
    _go_on_with(module.encoder, start.encoder, "encoder", objective)
    for name in objective.keeps:
        head = getattr(module.heads, name, None)
        prefix = f"{name}."
        arrays = {k.removeprefix(prefix): a for k, a in start.heads.items() if k.startswith(prefix)}
        if isinstance(head, nn.Module) and arrays:
            _go_on_with(head, arrays, f"head {name!r}", objective)


def _go_on_with(module: nn.Module, arrays: Mapping[str, NDArray], what: str, objective: Objective) -> None:
    try:
        load_module_arrays(module, arrays)
    except ValueError as error:
        raise ValueError(
            f"warm_start (or partial_fit) goes on with the weights of the previous fit, and those of its {what} do not "
            f"fit objective={objective!r}; set warm_start=False, or go back to the parameters of that fit: {error}"
        ) from error


def kept_heads(module: PretrainedModule, objective: Objective) -> dict[str, NDArray]:
    """Return the state of the heads that the objective keeps."""
    heads = ((name, getattr(module.heads, name, None)) for name in objective.keeps)
    return {
        f"{name}.{key}": array
        for name, head in heads
        if isinstance(head, nn.Module)
        for key, array in module_arrays(head).items()
    }


def build_batches(
    objective: Objective, module: PretrainedModule, records: Records, settings: TrainingSettings
) -> tuple[Batches, Batches]:
    """Return the batches of the records to train on, and of those that are held out."""
    valid = records.usable[:0] if records.held_out is None else records.held_out
    train = np.setdiff1d(records.usable, valid)

    def batches_of(index: NDArray[np.int64]) -> Batches:
        return Batches(
            objective,
            records,
            index,
            batch_size=settings.batch_size,
            stride=cast(Encoder, module.encoder).stride,
            device=settings.device,
            seed=settings.seed,
            n_epochs=settings.first_epoch + settings.max_epochs,
            ranks=settings.ranks,
        )

    return batches_of(train), batches_of(valid)


def build_net(
    objective: Objective, module: PretrainedModule, settings: TrainingSettings, train: Batches, held_out: Batches
) -> EpochNet:
    """Return the net that runs the epochs, initialised."""
    bar = [ProgressBar(len(train) * settings.max_epochs, "pretrain")] if settings.verbose > 0 else []
    precision = training_precision(settings.precision, settings.device, len(train.index) * settings.max_epochs)
    return make_net(
        module,
        Criterion(objective),
        max_epochs=settings.max_epochs,
        device=settings.device,
        precision=shared(settings.ranks, precision),
        held_out=held_out if len(held_out.index) else None,
        callbacks=[*settings.callbacks, *bar],
        constant_lr=settings.constant_lr,
        first_epoch=settings.first_epoch,
        after_step=objective.after_step,
        ranks=settings.ranks,
        **optimizer_settings(settings.lr, settings.weight_decay, settings.encoder_lr),
    )
