"""What fine-tuning starts from: checked parameters, an encoder, and the head of a frozen probe."""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import copy
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone

from ..components import Bounds, check_numbers, check_parameters
from ..embedding.fitted_encoder import ready_model
from ..embedding.pretrained import is_fitted
from ..embedding.stream import embed
from ..inputs.source import Source
from ..nn.devices import check_precision, resolve_device
from ..nn.encoders import build_encoder
from ..nn.weights import load_module_arrays, module_arrays
from ..pretraining.pretrainer import BeatSSLPretrainer
from .batches import LabelledRecords
from .net import ClassifierModule
from .probe import fit_probe, standardisation

HEAD_INITS = ("auto", "probe", "zero")
# From so many records on, a tenth of them tells more about when to stop than it would teach.
MANY_RECORDS = 1000
# With so many, training from a head of zeros finds more than the probe knows: on PTB-XL's superclasses it loses .007 of
# AUROC to the probe with 1,700 records, and gains .007 with 17,000.
_FROM_ZERO_FROM = 5000
# Rates of the head, and of a pretrained encoder in units of the head's.
_LR_FROM_PROBE, _LR_FROM_ZERO, _ENCODER_SHARE = 1e-4, 1e-2, 0.2
# [s]. Not from a probe on, which knows the embeddings of whole records, nor from scratch, where BatchNorm learns the
# statistics of whatever it is shown.
_WINDOW_FROM_ZERO = 5.0
ENCODER_PREFIX = "encoder."
_INF = float("inf")
_NUMBERS = {
    "max_epochs": Bounds(Integral, 0),
    "batch_size": Bounds(Integral, 2),
    "lr": Bounds(Real, 0, or_none=True),
    "weight_decay": Bounds(Real, 0),
    "dropout": Bounds(Real, 0, 0.9),
    "validation_fraction": Bounds(Real, 0.01, 0.9),
    "patience": Bounds(Integral, 1, or_none=True),
    "encoder_lr": Bounds(Real, 0, or_none=True),
    "window": Bounds(Real, 1, or_none=True),
}


class Recipe(NamedTuple):
    """What a classifier's parameters come to for the records at hand."""

    from_probe: bool
    lr: float
    encoder_lr: float
    window: float
    """Longest piece of a record that a step sees [s]."""


def recipe_of(classifier: Any, n_train: int, scratch: bool) -> Recipe:
    """Decide what the parameters leave open: where the head starts, and the rates."""
    head = classifier.head_init
    if head == "auto":
        # A head of zeros has to learn from an encoder that learns with it.
        trains = classifier.max_epochs > 0 and classifier.encoder_lr != 0
        head = "zero" if trains and n_train >= _FROM_ZERO_FROM else "probe"
    from_probe = head == "probe" and not scratch
    lr = classifier.lr
    if lr is None:
        lr = _LR_FROM_PROBE if from_probe else _LR_FROM_ZERO
    encoder_lr = classifier.encoder_lr
    if encoder_lr is None:
        encoder_lr = lr if from_probe or scratch else _ENCODER_SHARE * lr
    window = classifier.window
    if window is None:
        window = _INF if from_probe or scratch else _WINDOW_FROM_ZERO
    return Recipe(from_probe, float(lr), float(encoder_lr), float(window))


def starting_pretrainer(pretrainer: Any, seed: int) -> tuple[BeatSSLPretrainer, bool]:
    """Return a pretrainer of one's own with the encoder that training begins with, and whether that is random.

    Raises
    ------
    TypeError
        If `pretrainer` is neither a pretrainer nor the path or name of one.
    OSError, ValueError
        If it cannot be loaded, or an unfitted one has a parameter that cannot be used.
    """
    given = pretrainer
    if isinstance(given, (str, os.PathLike)):
        from ..persistence import load_shared

        given = load_shared(given)
    if not isinstance(given, BeatSSLPretrainer):
        raise TypeError(f"pretrainer must be a BeatSSLPretrainer, a path or a shipped model's name, got {pretrainer!r}")
    if is_fitted(given):
        start = copy(given)
        start.weights_ = encoder_weights(given.weights_)
        return start, False
    check_parameters(given)
    start = clone(given)
    start.history_, start.n_iter_, start.device_ = [], 0, "cpu"
    generator = torch.Generator().manual_seed(seed)
    encoder = build_encoder(given.encoder, float(given.fs_model), given.encoder_params, generator)
    start.weights_ = {ENCODER_PREFIX + name: array for name, array in module_arrays(encoder).items()}
    return start, True


def encoder_weights(weights: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Return those arrays of a network that are its encoder's, under the same names."""
    return {name: array for name, array in weights.items() if name.startswith(ENCODER_PREFIX)}


def encoder_of(pretrainer: Any) -> torch.nn.Module:
    """Return the encoder of a fitted pretrainer, ready to be trained."""
    generator = torch.Generator().manual_seed(0)
    encoder = build_encoder(pretrainer.encoder, float(pretrainer.fs_model), pretrainer.encoder_params, generator)
    load_module_arrays(encoder, {name.removeprefix(ENCODER_PREFIX): a for name, a in pretrainer.weights_.items()})
    return encoder


def embed_records(pretrainer: Any, source: Source, classifier: Any, stacklevel: int) -> NDArray[np.float32]:
    """Return the embeddings (n_records, n_dims) of a source."""
    model = ready_model(
        pretrainer, device=classifier.device, precision=classifier.precision, detector=pretrainer.rpeak_detector
    )
    out = np.empty((source.n_records, model.n_dims_record), dtype=np.float32)
    for block in embed(source, model, batch_size=classifier.batch_size, stacklevel=stacklevel):
        out[block.rows] = block.rhythm
    return out


def start_at_frozen(
    module: ClassifierModule,
    records: LabelledRecords,
    train: NDArray[np.int64],
    patients: NDArray[np.int64] | None,
    classifier: Any,
    from_probe: bool,
    seed: int,
) -> None:
    """Standardise the frozen embedding in the network, and put the probe into its head where that is wanted."""
    embedding = embed_records(records.pretrainer, records.source, classifier, stacklevel=5)
    standard = standardisation(embedding[train])
    state = {"norm.running_mean": standard.mean, "norm.running_var": standard.variance}
    if from_probe:
        weight, bias = fit_probe(embedding, standard, records.targets, train, patients, seed)
        state |= {"linear.weight": weight, "linear.bias": bias}
    load_module_arrays(module, module_arrays(module) | state)


def check_fine_tuning(classifier: Any) -> None:
    """Check the parameters of a `FineTunedClassifier`.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter and the value.
    """
    check_numbers(classifier, _NUMBERS)
    if classifier.head_init not in HEAD_INITS:
        raise ValueError(f"head_init must be one of {', '.join(HEAD_INITS)}, got {classifier.head_init!r}")
    if not isinstance(classifier.early_stopping, (bool, np.bool_)) and classifier.early_stopping != "auto":
        raise ValueError(f"early_stopping must be True, False or 'auto', got {classifier.early_stopping!r}")
    check_precision(classifier.precision)
    resolve_device(classifier.device)
