"""Parameters of a pretrainer: checked, compared with those of a fitted network, and digested for checkpoints."""

from __future__ import annotations

import os
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from sklearn.base import clone
from skorch.callbacks import EarlyStopping

from .._file_values import check_array, check_described, check_type
from ..components import Bounds, Limits, check_bounds
from ..ecg.preprocess import check_fs
from ..embedding.encoder_checks import check_encoder_name, check_reading
from ..embedding.fitted_encoder import FittedEncoder
from ..inputs.front_end import FrontEnd
from ..inputs.plausibility import check_choice
from ..nn.devices import check_precision
from ..training.distributed import is_asked_for
from .identity import digest_of, digest_of_callback
from .objective import Objective

_BOUNDS: dict[str, Limits] = {
    "allow_nan": bool,
    "warm_start": bool,
    "max_epochs": Bounds(Integral, 0),
    "batch_size": Bounds(Integral, 2),
    "lr": Bounds(Real, 0),
    "weight_decay": Bounds(Real, 0),
    "validation_fraction": Bounds(Real, 0.01, 0.9, or_none=True),
}
# Parameters that change how a fit runs, but not what it computes. The number of epochs has a rule of its own.
_NOT_OF_THE_RESULT = (
    *("checkpoint_dir", "device", "max_epochs", "n_jobs"),
    *("verbose", "warm_start", "memory", "check", "distributed"),
)


def check_parameters(parameters: Mapping[str, Any]) -> FrontEnd:
    """Check the parameters of a pretrainer but for its objective, and return its front end.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter and its value.
    """
    check_fs(parameters["fs"], "fs")
    front_end = FrontEnd.from_parameters(parameters)
    check_bounds(parameters, _BOUNDS)
    if parameters["encoder_params"] is not None and not isinstance(parameters["encoder_params"], Mapping):
        raise TypeError(f"encoder_params must be a dict or None, got {parameters['encoder_params']!r}")
    folder = parameters["checkpoint_dir"]
    if folder is not None and not isinstance(folder, (str, os.PathLike)):
        raise TypeError(f"checkpoint_dir must be a folder's path or None, got {folder!r}")
    if folder is not None and parameters["random_state"] is None:
        raise ValueError("checkpoint_dir needs a random_state other than None: a resumed run repeats its draws")
    check_precision(parameters["precision"])
    is_asked_for(parameters["distributed"])
    check_choice(parameters["check"])
    return front_end


def checked_objective(objective: Any) -> Objective:
    """Return a clone of an objective whose parameters are checked.

    Raises
    ------
    TypeError, ValueError
        If it is no objective, or a parameter cannot be used; the message names it.
    """
    if isinstance(objective, type) or not isinstance(objective, Objective):
        raise TypeError(f"objective must be an Objective, a registered name or None, got {objective!r}")
    found: Objective = clone(objective)
    found.check()
    return found


def check_pretrainer_file(pretrainer: Any) -> None:
    """Check a pretrainer that a file describes.

    Raises
    ------
    TypeError, ValueError
        The message names the parameter or attribute.
    """
    check_described(pretrainer)
    parameters = pretrainer.get_params(deep=False)
    check_reading(parameters)
    check_parameters(parameters)
    checked_objective(pretrainer.component("objective", Objective))
    if pretrainer.encoder is not None:
        check_encoder_name(pretrainer.encoder, pretrainer.encoder_params)
    if hasattr(pretrainer, "heads_"):
        check_type("encoder_", pretrainer.encoder_, FittedEncoder)
        checked_objective(pretrainer.objective_)
        check_type("heads_", pretrainer.heads_, dict)
        for name, array in pretrainer.heads_.items():
            check_array(f"heads_[{name!r}]", array, "fiub", *getattr(array, "shape", ()))


def needed_arguments(objective: Objective, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return those arguments of `fit` that the objective needs.

    Raises
    ------
    ValueError
        If one is missing.
    """
    for name in objective.needs:
        if given.get(name) is None:
            raise ValueError(f"{objective._who_needs(name)} needs {name}: fit(X, {name}=...)")
    return {name: given[name] for name in objective.needs if name != "groups"}


def described_by(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return how parameters describe X, as `FittedEncoder` keeps it."""
    leads = parameters["leads"]
    if leads is not None:
        leads = (leads,) if isinstance(leads, str) else tuple(leads)
    return {"fs": parameters["fs"], "leads": leads, "allow_nan": parameters["allow_nan"]}


def expected_leads(encoder: FittedEncoder) -> int | None:
    """Return how many leads X must have: those of `fit`; None where the parameter `leads` names another number."""
    changed = encoder.leads is not None and len(encoder.leads) != encoder.n_leads
    return None if changed else encoder.n_leads


def refuse_changes(parameters: Mapping[str, Any], fitted: FittedEncoder) -> None:
    """Refuse parameters that describe a network and are no longer those of the fitted one.

    Raises
    ------
    ValueError
        Naming the parameter and both values.
    """
    now = vars(FrontEnd.from_parameters(parameters)) | {"encoder_params": parameters["encoder_params"]}
    then = vars(fitted.front_end) | {"encoder_params": fitted.encoder_params}
    now, then = now | {"encoder": parameters["encoder"]}, then | {"encoder": fitted.encoder}
    for name, value in now.items():
        if value != then[name] and digest_of(value) != digest_of(then[name]):
            raise ValueError(
                f"{name}={value!r} was set after fit, which had {then[name]!r}: it describes the fitted network and "
                f"cannot be changed under it; call fit again"
            )


def _stops_early(callback: Any) -> bool:
    """Whether a callback decides how long a training lasts; others are taken to look on."""
    # With or without the name that skorch takes, too; a class or an instance of it.
    given = callback[-1] if isinstance(callback, tuple) else callback
    return issubclass(given if isinstance(given, type) else type(given), EarlyStopping)


def fingerprint_of(parameters: Mapping[str, Any], objective: Objective, encoder: Any, seed: int) -> dict[str, str]:
    """Return digests of what decides a fit's result beside the records: each parameter, those of the objective, too."""
    own = {name: value for name, value in parameters.items() if name not in (*_NOT_OF_THE_RESULT, "random_state")}
    own["callbacks"] = [digest_of_callback(c) for c in parameters["callbacks"] or () if _stops_early(c)]
    own |= {"encoder": encoder, "objective": type(objective)}
    own |= {f"objective__{name}": value for name, value in objective.get_params(deep=False).items()}
    return {name: digest_of(value) for name, value in own.items()} | {"random_state": str(seed)}
