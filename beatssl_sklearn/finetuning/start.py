"""What fine-tuning starts from: checked parameters, a plan for the records at hand, and the head of a frozen probe."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..components import Bounds, Limits, check_bounds
from ..nn.devices import check_precision, resolve_device
from ..nn.weights import load_module_arrays, module_arrays
from ..views.augment import checked_views
from .net import HeadedEncoder
from .probe import standardisation
from .targets import Targets

HEAD_INITS = ("auto", "probe", "zero")
# From so many records on, a tenth of them is worth more for deciding when to stop than for training.
MANY_RECORDS = 1000
# With so many, training from a head of zeros finds more than the probe knows: on PTB-XL's superclasses it loses .007 of
# AUROC to the probe with 1,700 records, and gains .007 with 17,000.
_FROM_ZERO_FROM = 5000
# Rates of the head, and of a pretrained encoder in units of the head's.
_LR_FROM_PROBE, _LR_FROM_ZERO, _ENCODER_SHARE = 1e-4, 1e-2, 0.2
# [s]. Not from a probe on, which knows the embeddings of whole records, nor from scratch, where BatchNorm learns the
# statistics of whatever it is shown.
_WINDOW_FROM_ZERO = 5.0
_INF = float("inf")
_BOUNDS: dict[str, Limits] = {
    "allow_nan": bool,
    "max_epochs": Bounds(Integral, 0),
    "batch_size": Bounds(Integral, 2),
    "lr": Bounds(Real, 0, or_none=True),
    "weight_decay": Bounds(Real, 0),
    "dropout": Bounds(Real, 0, 0.9),
    "validation_fraction": Bounds(Real, 0.01, 0.9),
    "patience": Bounds(Integral, 1, or_none=True),
    "encoder_lr": Bounds(Real, 0, or_none=True),
    "window": Bounds(Real, 1, or_none=True),
    "head_init": HEAD_INITS,
}


class FineTuningPlan(NamedTuple):
    """What an estimator's parameters come to for the records at hand."""

    from_probe: bool
    lr: float
    encoder_lr: float
    window: float
    """Longest piece of a record that a step sees [s]."""


def plan_of(parameters: dict[str, Any], n_train: int, scratch: bool) -> FineTuningPlan:
    """Decide what the parameters leave open: where the head starts, and the rates.

    Parameters
    ----------
    parameters : dict
        `head_init`, `max_epochs`, `lr`, `encoder_lr` and `window` of a `FineTunedClassifier` or `FineTunedRegressor`.
    n_train : int
        Records to train on.
    scratch : bool
        Whether the encoder begins at random weights.

    Returns
    -------
    FineTuningPlan
        Where the head starts, both rates, and the length of a training window [s].
    """
    head, lr, encoder_lr, window = (parameters[k] for k in ("head_init", "lr", "encoder_lr", "window"))
    if head == "auto":
        # A head of zeros has to learn from an encoder that learns with it.
        trains = parameters["max_epochs"] > 0 and encoder_lr != 0
        head = "zero" if trains and n_train >= _FROM_ZERO_FROM else "probe"
    from_probe = head == "probe" and not scratch
    if lr is None:
        lr = _LR_FROM_PROBE if from_probe else _LR_FROM_ZERO
    if encoder_lr is None:
        encoder_lr = lr if from_probe or scratch else _ENCODER_SHARE * lr
    if window is None:
        window = _INF if from_probe or scratch else _WINDOW_FROM_ZERO
    return FineTuningPlan(from_probe, float(lr), float(encoder_lr), float(window))


def start_at_frozen(
    module: HeadedEncoder,
    embedding: NDArray[np.float32],
    targets: Targets,
    train: NDArray[np.int64],
    patients: NDArray[np.int64] | None,
    fit_probe: Callable[..., Any] | None,
    seed: int,
) -> None:
    """Standardise the frozen embedding in the network, and put the probe into its head where that is wanted.

    Parameters
    ----------
    module : HeadedEncoder
    embedding : ndarray (n_records, n_dims)
        Of all records by the frozen encoder.
    targets : Targets
    train : ndarray of int64
        Records to fit on.
    patients : ndarray of int64 or None
    fit_probe : callable or None
        As `probe.fit_probe`; None leaves the head at zero.
    seed : int
    """
    standard = standardisation(embedding[train], targets.counts[train])
    state = {"norm.running_mean": standard.mean, "norm.running_var": standard.variance}
    if fit_probe is not None:
        weight, bias = fit_probe(embedding, standard, targets, train, patients, seed)
        state |= {"linear.weight": weight, "linear.bias": bias}
    load_module_arrays(module, module_arrays(module) | state)


def check_fine_tuning(estimator: Any) -> None:
    """Check the parameters that `FineTunedClassifier` and `FineTunedRegressor` share.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter and the value.
    """
    check_bounds(estimator.get_params(deep=False), _BOUNDS)
    if not isinstance(estimator.early_stopping, (bool, np.bool_)) and estimator.early_stopping != "auto":
        raise ValueError(f"early_stopping must be True, False or 'auto', got {estimator.early_stopping!r}")
    checked_views(estimator.views)
    check_precision(estimator.precision)
    resolve_device(estimator.device)
