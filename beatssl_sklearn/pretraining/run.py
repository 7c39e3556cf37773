"""A pretraining run, put together from a pretrainer's parameters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ..components import check_parameters, seed_of
from ..inputs.front_end import check_given_rpeaks
from ..inputs.groups import encode_groups
from ..inputs.source import Source
from ..nn.blocks import Encoder
from ..nn.devices import check_precision, resolve_device, training_precision
from ..nn.encoders import build_encoder
from ..nn.heads import build_predictor, build_projector
from ..nn.weights import load_module_arrays
from ..training.checkpoint import Checkpoint, resume
from ..training.net import optimizer_settings
from ..training.progress import ProgressBar
from ..views.augment import Augmentation, resolve_augment
from .batches import PretrainingBatches
from .beat_ssl import BeatSSLNet, ContrastSettings, DualContextLoss, DualContextModule
from .measured import TrainingSet, build_training_set

# Widest hidden layer of a projector.
MAX_HIDDEN = 512
# Parameters that change how a fit runs, but not what it computes.
_NOT_OF_THE_RUN = ("checkpoint_dir", "device", "max_epochs", "n_jobs", "verbose", "warm_start", "callbacks")


def pretrain(
    pretrainer: Any,
    X: Any,
    groups: Any,
    rpeaks: Any,
    max_epochs: int,
    start: Mapping[str, NDArray] | None,
    *,
    constant_lr: bool,
    reset: bool,
) -> tuple[BeatSSLNet, Source]:
    """Check the parameters of a pretrainer, read X, and train.

    Parameters
    ----------
    pretrainer : BeatSSLPretrainer
    X, groups, rpeaks : as for its `fit`
    max_epochs : int
        Epochs to train, including those of a checkpoint.
    start : dict of ndarray or None
        Weights to begin with; None is at random.
    constant_lr : bool
        Whether the rate stays what it is; checkpoints are then neither read nor written.
    reset : bool
        Whether X says how many leads there are; otherwise it must have as many as before.

    Returns
    -------
    net : BeatSSLNet
        With the trained network as `module_` and what was recorded as `history`.
    source : Source
        X as it was read.
    """
    check_parameters(pretrainer)
    seed = seed_of(pretrainer.random_state)
    device = resolve_device(pretrainer.device)
    check_precision(pretrainer.precision)
    augment = resolve_augment(pretrainer.augment, pretrainer.augment_params)
    module = build_module(pretrainer, seed, start)
    source = pretrainer._source(
        X,
        fs=pretrainer.fs,
        leads=pretrainer.leads,
        allow_nan=pretrainer.allow_nan,
        reset=reset,
        n_leads=None if reset else pretrainer.n_leads_,
    )
    if source.n_records < 2:
        raise ValueError(f"n_samples = {source.n_records}: contrast needs at least 2 records")
    data = measure_records(pretrainer, source, groups, rpeaks, seed)
    add_predictors(pretrainer, module, data, seed)
    train, valid = (
        build_batches(pretrainer, module, data, index, augment, device, seed)
        for index in split_records(pretrainer, data, seed)
    )
    precision = training_precision(pretrainer.precision, device, len(train.index) * max_epochs)
    fingerprint = None
    if pretrainer.checkpoint_dir is not None and not constant_lr:
        fingerprint = fingerprint_of(pretrainer, data, seed)
    net = build_net(pretrainer, module, data, device, precision, max_epochs, constant_lr, train, valid, fingerprint)
    net.first_epoch = 0 if reset else pretrainer.n_iter_
    done = 0 if fingerprint is None else resume(net, pretrainer.checkpoint_dir, fingerprint, max_epochs)
    net.notify("on_train_begin", X=train)
    net.fit_loop(train, epochs=max_epochs - done)
    net.notify("on_train_end", X=train)
    return net, source


def settings_of(pretrainer: Any) -> ContrastSettings:
    """Return the loss's settings, which have the names of the pretrainer's parameters."""
    return ContrastSettings(*(getattr(pretrainer, name) for name in ContrastSettings.__dataclass_fields__))


def build_module(pretrainer: Any, seed: int, start: Mapping[str, NDArray] | None) -> DualContextModule:
    """Build encoder and projectors from a seed, or from the weights of an earlier fit."""
    generator = torch.Generator().manual_seed(seed)
    encoder = build_encoder(pretrainer.encoder, float(pretrainer.fs_model), pretrainer.encoder_params, generator)
    protocol = cast(Encoder, encoder)
    settings, phases = settings_of(pretrainer), int(pretrainer.beat_phases)
    beat_width = phases * protocol.n_dims
    record_width = protocol.n_dims_record + beat_width
    wanted = (settings.contrasts_records, record_width), (settings.contrasts_beats, beat_width)
    width = int(pretrainer.projection_dim)
    rhythm, beat = (build_projector(n, min(n, MAX_HIDDEN), width, generator) if used else None for used, n in wanted)
    module = DualContextModule(encoder, phases, rhythm, beat)
    if start is not None:
        load_module_arrays(module, start)
    return module


def add_predictors(pretrainer: Any, module: DualContextModule, data: TrainingSet, seed: int) -> None:
    """Give the network its predictors of features.

    They start anew with every fit, since the features' principal components are those of its records.
    """
    generator = torch.Generator().manual_seed(seed)
    encoder = cast(Encoder, module.encoder)
    beat_width = module.phases * encoder.n_dims
    n_features, n_beat_features = data.records.values.shape[1], data.beats.values.shape[1]
    if pretrainer.feature_weight > 0 and n_features:
        module.feature_predictor = build_predictor(encoder.n_dims_record + beat_width, n_features, generator)
    if pretrainer.beat_feature_weight > 0 and n_beat_features:
        module.beat_feature_predictor = build_predictor(beat_width, n_beat_features, generator)


def measure_records(pretrainer: Any, source: Source, groups: Any, rpeaks: Any, seed: int) -> TrainingSet:
    """Read every record once and measure what the contrast must know of it."""
    check_given_rpeaks(rpeaks, source.n_records)
    data = build_training_set(
        source,
        fs_model=float(pretrainer.fs_model),
        amplitude=pretrainer.amplitude,
        detector=pretrainer.rpeak_detector,
        beat_window=pretrainer.beat_window,
        measure_beats=pretrainer.beat_targets == "soft" or pretrainer.beat_feature_weight > 0,
        perplexity=pretrainer.perplexity,
        batch_size=pretrainer.batch_size,
        rpeaks=rpeaks,
        groups=encode_groups(groups, source.n_records),
        seed=seed,
        n_jobs=pretrainer.n_jobs,
        progress=pretrainer.verbose > 0,
    )
    if len(data.usable) < 2:
        raise ValueError(f"X: {len(data.usable)} of {source.n_records} records hold a sample; 2 are needed")
    return data


def split_records(pretrainer: Any, data: TrainingSet, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold out whole groups; nothing by default."""
    if pretrainer.validation_fraction is None:
        return data.usable, data.usable[:0]
    label = data.usable if data.groups is None else data.groups[data.usable]
    names = np.random.default_rng([seed, 1]).permutation(np.unique(label))
    held_out = np.isin(label, names[: max(1, round(pretrainer.validation_fraction * len(names)))])
    if held_out.sum() < 2 or (~held_out).sum() < 2:
        raise ValueError(
            f"validation_fraction={pretrainer.validation_fraction!r} leaves {int((~held_out).sum())} records to train "
            f"on and {int(held_out.sum())} to validate; 2 of each are needed"
        )
    return data.usable[~held_out], data.usable[held_out]


def build_batches(
    pretrainer: Any,
    module: DualContextModule,
    data: TrainingSet,
    index: NDArray[np.int64],
    augment: Augmentation,
    device: torch.device,
    seed: int,
) -> PretrainingBatches:
    """Return the batches of the records at `index`."""
    return PretrainingBatches(
        data,
        index,
        batch_size=pretrainer.batch_size,
        augment=augment,
        stride=cast(Encoder, module.encoder).stride,
        beat_window=pretrainer.beat_window,
        device=device,
        seed=seed,
        n_views=settings_of(pretrainer).n_views,
    )


def build_net(
    pretrainer: Any,
    module: DualContextModule,
    data: TrainingSet,
    device: torch.device,
    precision: str,
    max_epochs: int,
    constant_lr: bool,
    batches: PretrainingBatches,
    held_out: PretrainingBatches,
    fingerprint: dict[str, str] | None,
) -> BeatSSLNet:
    """Put network, loss, optimiser and callbacks together, initialised."""
    callbacks = list(pretrainer.callbacks or [])
    if pretrainer.verbose > 0:
        callbacks.append(ProgressBar(len(batches) * max_epochs))
    if fingerprint is not None:
        callbacks.append(Checkpoint(str(pretrainer.checkpoint_dir), fingerprint, max_epochs))
    net = BeatSSLNet(
        module,
        DualContextLoss(settings_of(pretrainer), data.records.weights, data.beats.weights),
        **optimizer_settings(pretrainer.lr, pretrainer.weight_decay),
        max_epochs=max_epochs,
        train_split=None,
        callbacks=callbacks,
        device=str(device),
        verbose=0,
        precision=precision,
        constant_lr=constant_lr,
        held_out=held_out if len(held_out.index) else None,
    )
    return net.initialize()


def fingerprint_of(pretrainer: Any, data: TrainingSet, seed: int) -> dict[str, str]:
    """Return digests of what decides the result: each parameter, and the data."""
    found = {"data": data.digest(), "random_state": str(seed)}
    for name, value in pretrainer.get_params(deep=False).items():
        if name not in _NOT_OF_THE_RUN and name != "random_state":
            text = json.dumps(value, sort_keys=True, default=lambda v: getattr(v, "__qualname__", type(v).__name__))
            found[name] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return found
