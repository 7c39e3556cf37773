"""What a fine-tuned classifier and a fine-tuned regressor share: all but what the outputs of the head mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ..components import seed_of
from ..embedding.fitted_encoder import FittedEncoder
from ..embedding.starting_encoder import LabelledEstimator, read_by
from ..embedding.stream import embed, embed_rhythm
from ..inputs.groups import group_codes
from ..inputs.source import Source
from ..nn.blocks import Encoder
from ..nn.devices import resolve_device, training_precision
from ..nn.weights import trained_arrays
from ..training.net import make_net, optimizer_settings, run_epochs
from ..training.progress import ProgressBar
from ..views.augment import VCGViews, checked_views
from .batches import LabelledBatches, LabelledRecords, read_labelled
from .net import BestEpoch, HeadedEncoder
from .probe import NORM_EPS
from .start import MANY_RECORDS, FineTuningPlan, check_fine_tuning, plan_of, start_at_frozen
from .targets import Targets

__all__ = ["FineTunedEstimator"]

_ENCODER = "encoder."


class FineTunedEstimator(LabelledEstimator, ABC):
    """Encoder and linear head, trained end to end on what is known of records.

    A subclass says how targets are encoded, which records are held out, what the loss is, and how the probe of the
    frozen embedding is fitted.
    """

    defaults: ClassVar[Mapping[str, Any]] = {"views": VCGViews}

    max_epochs: int
    batch_size: int
    weight_decay: float
    dropout: float
    views: Any
    early_stopping: bool | str
    patience: int | None
    validation_fraction: float
    check: str
    device: Any
    precision: str
    random_state: Any
    verbose: int
    encoder_: FittedEncoder
    head_: dict[str, NDArray]

    @abstractmethod
    def _encode(self, y: Any, n_records: int, sample_weight: Any) -> Any:
        """Return the targets of all records."""

    @abstractmethod
    def _hold_out(
        self, index: NDArray[np.int64], targets: Any, patients: NDArray[np.int64] | None, seed: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the records at `index` to train on, and those to validate with."""

    @abstractmethod
    def _probe(self) -> Callable[..., Any]:
        """Return what fits the probe of the frozen embedding, as `probe.fit_probe`."""

    @abstractmethod
    def _loss(self, targets: Any) -> nn.Module:
        """Return the loss of the outputs of a batch."""

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "head_")

    def _fit_targets(self, X: Any, y: Any, groups: Any, sample_weight: Any) -> Targets:
        """Train encoder and head, set what is fitted of them, and return the targets."""
        check_fine_tuning(self)
        seed = seed_of(self.random_state)
        start, scratch = self._starting_encoder(seed)
        source = self._read_as(X, start, reset=True)
        targets: Targets = self._encode(y, source.n_records, sample_weight)
        patients = group_codes(groups, source.n_records)
        records = read_labelled(source, start.front_end, targets, self.check)
        train, valid = records.usable, records.usable[:0]
        if self._stops_early(len(train)):
            train, valid = self._hold_out(train, targets, patients, seed)
        module = HeadedEncoder(start.module(), start.front_end.beat_phases, targets.n_outputs, adapt_norm=scratch)
        plan = plan_of(self.get_params(deep=False), len(train), scratch)
        if not scratch:
            # `read_labelled` has told what looks odd.
            embedding = embed_rhythm(start, source, **{**self._run(), "check": "ignore"})
            fit_probe = self._probe() if plan.from_probe else None
            start_at_frozen(module, embedding, targets, train, patients, fit_probe, seed)
        weights = self._train(module, records, train, valid, plan, seed)
        encoder = {k.removeprefix(_ENCODER): a for k, a in weights.items() if k.startswith(_ENCODER)}
        self.encoder_ = replace(start.fitted_with(encoder), **read_by(start, source), allow_nan=self.allow_nan)
        self.head_ = {k: array for k, array in weights.items() if not k.startswith(_ENCODER)}
        self._raise_if_overflowed(source, train[: self.batch_size], plan.lr)
        return targets

    def _outputs(self, X: Any) -> NDArray[np.float64]:
        """Return what the head makes of records (n_records, n_outputs); NaN of those that are NaN throughout."""
        source = self._read_as(X, self.encoder_, reset=False)
        return self._headed(embed_rhythm(self.encoder_, source, **self._run()))

    def _headed(self, embedding: NDArray[np.float32]) -> NDArray[np.float64]:
        z, head = embedding.astype(np.float64), self.head_
        z = (z - head["norm.running_mean"]) / np.sqrt(head["norm.running_var"].astype(np.float64) + NORM_EPS)
        outputs: NDArray[np.float64] = z @ head["linear.weight"].T.astype(np.float64) + head["linear.bias"]
        return outputs

    def _raise_if_overflowed(self, source: Source, index: NDArray[np.int64], lr: float) -> None:
        """Refuse a model whose last step no loss has seen: its weights are finite, and what it makes of records is not.

        Raises
        ------
        FloatingPointError
            Naming the learning rate.
        """
        model = self.encoder_.model(self.device, self.precision)
        blocks = embed(source, model, batch_size=self.batch_size, index=index, check="ignore")
        with np.errstate(over="ignore", invalid="ignore"):
            finite = [np.isfinite(self._headed(block.rhythm)).all() for block in blocks if block.rhythm is not None]
        if not all(finite):
            raise FloatingPointError(f"training diverged: the model's outputs are not finite with lr={lr!r}; lower lr")

    def _run(self) -> dict[str, Any]:
        run = ("batch_size", "device", "precision", "check")
        return {name: getattr(self, name) for name in run}

    def _stops_early(self, n_records: int) -> bool:
        if self.early_stopping == "auto":
            return n_records >= MANY_RECORDS and self.max_epochs > 0
        return bool(self.early_stopping)

    def _train(
        self,
        module: HeadedEncoder,
        records: LabelledRecords,
        train: NDArray[np.int64],
        valid: NDArray[np.int64],
        plan: FineTuningPlan,
        seed: int,
    ) -> dict[str, NDArray]:
        device = resolve_device(self.device)
        pieces = replace(records, window=min(records.window, plan.window))
        batches, held_out = (
            LabelledBatches(
                seen,
                index,
                batch_size=self.batch_size,
                views=views,
                dropout=float(self.dropout),
                n_dims=module.norm.num_features,
                stride=cast(Encoder, module.encoder).stride,
                device=device,
                seed=seed,
            )
            for seen, index, views in ((pieces, train, checked_views(self.views)), (records, valid, None))
        )
        best = BestEpoch(self.patience) if len(valid) else None
        bar = [ProgressBar(len(batches) * self.max_epochs, "fine-tune")] if self.verbose > 0 else []
        net = make_net(
            module,
            self._loss(records.targets),
            max_epochs=self.max_epochs,
            device=device,
            precision=training_precision(self.precision, device, len(train) * self.max_epochs),
            held_out=held_out if len(valid) else None,
            callbacks=bar + ([best] if best else []),
            **optimizer_settings(plan.lr, self.weight_decay, plan.encoder_lr),
        )
        self.history_ = run_epochs(net, batches, self.max_epochs, best)
        self.best_epoch_ = len(net.history) if best is None else best.epoch_
        if best is not None:
            best.restore(net)
        self.n_iter_ = len(self.history_)
        self.device_ = str(device)
        return trained_arrays(net.module_, plan.lr)
