"""Sum: several objectives that train one encoder together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from numbers import Real
from typing import Any, NamedTuple, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..components import check_number, component_named, register
from ..inputs.front_end import FrontEnd
from ..inputs.source import Block
from ..nn.encoders import ENCODERS, encoder_outline
from .batches import Batch
from .beat_ssl import BeatSSL
from .identity import digest_of
from .lead_agnostic import LeadAgnostic
from .objective import Criterion, FitContext, Objective, PretrainedModule

_MAX_WEIGHT = 1e6


class _Part(NamedTuple):
    """An objective of a sum: its name among the others, itself, and its weight."""

    name: str
    objective: Objective
    weight: float


class SumHeads(nn.Module):
    """The heads of each objective of a `Sum`, side by side on one encoder.

    Parameters
    ----------
    heads : dict of torch.nn.Module
        The heads, by the name of the objective.
    """

    def __init__(self, heads: dict[str, nn.Module]) -> None:
        super().__init__()
        self.names = tuple(heads)
        # By number: the optimiser tells biases and normalisations by their names, which a class may have, too.
        self.parts = nn.ModuleList(heads.values())

    def __getattr__(self, name: str) -> Any:
        # "beat_ssl.rhythm_projector" is what `Sum.keeps` calls a head of a part.
        part, dot, head = name.partition(".")
        if dot and part in self.names:
            return getattr(self.parts[self.names.index(part)], head)
        return super().__getattr__(name)

    def forward(self, encoder: nn.Module, **inputs: Tensor) -> list[Any]:
        """Call the heads of each objective with its own inputs.

        Parameters
        ----------
        encoder : torch.nn.Module
            As `nn.encoders` describes it.
        **inputs
            Inputs of all objectives; ``beat_ssl.signal`` is the input `signal` of the objective `beat_ssl`.

        Returns
        -------
        list
            Outputs of each objective's heads.
        """
        return [heads(encoder, **_inputs_of(name, inputs)) for name, heads in zip(self.names, self.parts, strict=True)]


def _inputs_of(name: str, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in inputs.items() if key.startswith(f"{name}.")}


@register
class Sum(Objective):
    """Several objectives that train one encoder together: the loss is the weighted sum of their losses.

    Each objective draws its own views of the records of a step, and has its own heads and loss. The encoder reads what
    each of them draws, so that a step costs as much as the steps of all of them.

    The name of an objective among the others is the name of its class in lower case, ``lead_agnostic``; the second one
    of a class is ``lead_agnostic_2``. `history_` has ``lead_agnostic.loss`` (before the weight) and the objective's own
    columns, such as ``lead_agnostic.global_loss``. ``lead_agnostic__views`` reaches a parameter, and ``lead_agnostic``
    replaces the objective, in `set_params` and in a search.

    Parameters
    ----------
    objectives : sequence of Objective or str, default=None
        What is learnt: objectives, or names of registered ones with their default parameters; at least one. None is
        ``[BeatSSL.shipped(), LeadAgnostic(local_weight=0)]``, which train any encoder.
    weights : sequence of float, default=None
        Weight of each loss, not negative, at most a million; None is 1 for all. With a weight of 0, an objective is
        left out, as if it was not in the list.

    Notes
    -----
    Batches are those of the first objective with a rule of its own, such as ``DualStream()``, which brings records of
    a patient together: if two have different rules, the first one wins. Batches are random if none has a rule.
    ``Pretrainer(encoder=None)`` takes the encoder of the first objective. All objectives must be able to train it. An
    encoder with batch normalisation keeps the statistics of what all objectives draw.

    Examples
    --------
    >>> from beatssl_sklearn import BeatSSL, LeadAgnostic, Pretrainer, Sum
    >>> both = Sum([BeatSSL.shipped(), LeadAgnostic(local_weight=0)], weights=[1, .5])
    >>> Pretrainer(both, fs=100).get_params()["objective__lead_agnostic__temperature_global"]
    0.1
    """

    def __init__(
        self, objectives: Sequence[Objective | str] | None = None, weights: Sequence[float] | None = None
    ) -> None:
        self.objectives = objectives
        self.weights = weights

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters.

        Parameters
        ----------
        deep : bool
            Whether to add the objectives by their names, and their parameters.

        Returns
        -------
        dict
            Values by name.
        """
        found: dict[str, Any] = super().get_params(deep)
        if deep:
            for name, objective in self._by_name().items():
                found |= {name: objective, **{f"{name}__{key}": v for key, v in objective.get_params().items()}}
        return found

    def set_params(self, **params: Any) -> Self:
        """Set parameters, replace objectives by their names, and set their parameters.

        Parameters
        ----------
        **params
            Values by name: ``weights``, ``lead_agnostic``, ``lead_agnostic__views``.

        Returns
        -------
        Sum
            The objective itself.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        if "objectives" in params:
            self.objectives = params.pop("objectives")
        named = self._by_name()
        if named.keys() & {key.partition("__")[0] for key in params}:
            # None and names become objectives, which keep what is set.
            self.objectives = [params.pop(name, objective) for name, objective in named.items()]
        super().set_params(**params)
        return self

    def _by_name(self) -> dict[str, Objective]:
        """Return the objectives by their names; none where `check` would refuse them."""
        try:
            objectives = self._objectives()
        except (TypeError, ValueError):
            return {}
        return dict(zip(_names_of(objectives), objectives, strict=True))

    def _objectives(self) -> list[Objective]:
        if self.objectives is None:
            return [BeatSSL.shipped(), LeadAgnostic(local_weight=0)]
        if not isinstance(self.objectives, list | tuple):
            raise TypeError(f"objectives must be a list of objectives or None, got {self.objectives!r}")
        if not self.objectives:
            raise ValueError(f"objectives must hold at least one objective, got {self.objectives!r}")
        return [_objective(i, given) for i, given in enumerate(self.objectives)]

    def _parts(self) -> list[_Part]:
        """Return the objectives that are trained."""
        objectives = self._objectives()
        weights = np.ones(len(objectives)) if self.weights is None else self.weights
        parts = map(_Part, _names_of(objectives), objectives, (float(weight) for weight in weights))
        return [part for part in parts if part.weight > 0]

    def check(self) -> None:
        """Check the weights, and the parameters of each objective.

        Raises
        ------
        TypeError, ValueError
            If one cannot be used; the message names the objective, the parameter and its value.
        """
        super().check()
        objectives = self._objectives()
        self._check_weights(len(objectives))
        for name, objective in zip(_names_of(objectives), objectives, strict=True):
            try:
                objective.check()
            except (TypeError, ValueError) as error:
                kind = TypeError if isinstance(error, TypeError) else ValueError
                raise kind(f"{name} (of the objectives of Sum): {error}") from error

    def _check_weights(self, n: int) -> None:
        if self.weights is None:
            return
        if not isinstance(self.weights, list | tuple | np.ndarray) or np.ndim(np.asarray(self.weights, object)) != 1:
            raise TypeError(f"weights must be a list of numbers or None, got {self.weights!r}")
        if len(self.weights) != n:
            raise ValueError(f"weights must have one number per objective: {len(self.weights)} for {n} objectives")
        for i, weight in enumerate(self.weights):
            check_number(f"weights[{i}]", weight, Real, 0, _MAX_WEIGHT)
        if not any(self.weights):
            raise ValueError(f"weights are all 0, got {self.weights!r}: there is nothing to learn")

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]
        """Arguments of `Pretrainer.fit` that an objective needs."""
        return tuple(dict.fromkeys(name for part in self._parts() for name in part.objective.needs))

    def _who_needs(self, name: str) -> str:
        found = dict.fromkeys(p.objective._who_needs(name) for p in self._parts() if name in p.objective.needs)
        return f"{' and '.join(found)} of {type(self).__name__}"

    @property
    def keeps(self) -> tuple[str, ...]:  # type: ignore[override]
        """Heads that the objectives keep: ``beat_ssl.rhythm_projector``."""
        return tuple(f"{part.name}.{head}" for part in self._parts() for head in part.objective.keeps)

    @property
    def default_encoder(self) -> str:  # type: ignore[override]
        """The encoder of the first objective."""
        return self._parts()[0].objective.default_encoder

    def check_encoder(self, encoder: nn.Module) -> None:
        """Refuse an encoder that one of the objectives cannot train.

        Parameters
        ----------
        encoder : torch.nn.Module
            With random weights.

        Raises
        ------
        TypeError
            The message is the objective's, and says which encoders of the package suit all objectives.
        """
        for part in self._parts():
            try:
                part.objective.check_encoder(encoder)
            except TypeError as error:
                raise TypeError(f"{part.name} (of the objectives of Sum): {error}. {self._suiting()}") from error

    def _suiting(self) -> str:
        """Say which encoders suit all objectives: each objective's own remedy may be what another refuses."""
        suiting = []
        for name in ENCODERS:
            try:
                for part in self._parts():
                    part.objective.check_encoder(encoder_outline(name, 100.0, None))
            except TypeError:
                continue
            suiting.append(repr(name))
        if not suiting:
            return "No encoder of the package suits all these objectives as they are set"
        return f"All of them accept encoder={' or '.join(suiting)}"

    def measurements(self) -> Any:
        """Return what decides the result of `measure`: of each objective, how and what it measures."""
        own = (part.objective for part in self._parts())
        return [(digest_of(type(objective).measure), objective.measurements()) for objective in own]

    def measure(self, block: Block, rpeaks: list[NDArray[np.int64]], front_end: FrontEnd) -> list[Any]:
        """Measure what each objective measures."""
        return [part.objective.measure(block, rpeaks, front_end) for part in self._parts()]

    def prepare(self, measured: list[Any], fit: FitContext) -> list[Any]:
        """Return what each objective prepares from its own measurements and arguments."""
        known = []
        for i, part in enumerate(self._parts()):
            needed = {name: value for name, value in fit.arguments.items() if name in part.objective.needs}
            known.append(part.objective.prepare([found[i] for found in measured], replace(fit, arguments=needed)))
        return known

    def batches(
        self,
        rows: NDArray[np.int64],
        groups: NDArray[np.int64] | None,
        batch_size: int,
        rng: np.random.Generator,
        *,
        times: NDArray[np.float64] | None = None,
    ) -> list[NDArray[np.int64]]:
        """Choose the records of each step by the first objective that does not choose them as all do."""

        def chosen(objective: Objective, rng: np.random.Generator) -> list[NDArray[np.int64]]:
            asked = {"times": times} if "times" in objective.needs else {}
            return objective.batches(rows, groups, batch_size, rng, **asked)

        objectives = [part.objective for part in self._parts()]
        usual = super().batches(rows, groups, batch_size, deepcopy(rng))
        for objective in objectives:
            # A method may be the usual one for some parameters, and for records without patients.
            own = chosen(objective, deepcopy(rng))
            if len(own) != len(usual) or not all(map(np.array_equal, own, usual)):
                return chosen(objective, rng)
        return chosen(objectives[0], rng)

    def draw(self, batch: Batch) -> tuple[dict[str, Tensor], list[Any]]:
        """Draw what each objective needs of the records."""
        inputs: dict[str, Tensor] = {}
        targets = []
        for part, known in zip(self._parts(), batch.known, strict=True):
            drawn = part.objective.draw(replace(batch, known=known))
            if not isinstance(drawn, tuple) or len(drawn) != 2 or not isinstance(drawn[0], dict):
                name = type(part.objective).__name__
                raise TypeError(f"{name}.draw must return (dict of inputs, targets), got {type(drawn).__name__}")
            inputs |= {f"{part.name}.{key}": value for key, value in drawn[0].items()}
            targets.append(drawn[1])
        return inputs, targets

    def heads(self, encoder: nn.Module, known: list[Any], generator: torch.Generator) -> SumHeads:
        """Return the heads of all objectives."""
        pairs = zip(self._parts(), known, strict=True)
        return SumHeads({part.name: part.objective.heads(encoder, own, generator) for part, own in pairs})

    def loss(self, outputs: list[Any], targets: list[Any]) -> dict[str, Tensor]:
        """Return the weighted sum of the losses, and each objective's loss and parts."""
        losses: dict[str, Tensor] = {}
        weighted = []
        for part, found, wanted in zip(self._parts(), outputs, targets, strict=True):
            criterion = Criterion(part.objective)
            own = criterion(found, wanted)
            weighted.append(part.weight * own)
            losses |= {f"{part.name}.{key}": value for key, value in {"loss": own, **criterion.parts}.items()}
        return {"loss": sum(weighted[1:], start=weighted[0]), **losses}

    def after_step(self, module: PretrainedModule, progress: float) -> None:
        """Let each objective change the encoder and its own heads."""
        for part, heads in zip(self._parts(), cast(SumHeads, module.heads).parts, strict=True):
            part.objective.after_step(PretrainedModule(module.encoder, heads), progress)

    def diagnose(self, outputs: list[Any]) -> dict[str, float]:
        """Describe the outputs of each objective."""
        pairs = zip(self._parts(), outputs, strict=True)
        found = ((part.name, part.objective.diagnose(own)) for part, own in pairs)
        return {f"{name}.{key}": value for name, own in found for key, value in own.items()}


def _objective(i: int, given: Any) -> Objective:
    if isinstance(given, str):
        try:
            found: Objective = component_named(given, Objective)
        except ValueError as error:
            raise ValueError(f"objectives[{i}]={given!r}: {error}") from None
        return found
    if not isinstance(given, Objective):
        raise TypeError(f"objectives[{i}] must be an Objective or the name of a registered one, got {given!r}")
    return given


def _names_of(objectives: Sequence[Objective]) -> Iterator[str]:
    """Yield different names of objectives: of their classes, in lower case with underscores."""
    # `get_params` has these besides.
    used = {"objectives", "weights"}
    for objective in objectives:
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type(objective).__name__)
        # Two underscores end a name in `set_params`.
        plain = re.sub("_+", "_", words).strip("_").lower()
        name, number = plain, 1
        while name in used:
            number += 1
            name = f"{plain}_{number}"
        used.add(name)
        yield name
