"""Estimators that train on from an encoder: which one they start from, and how they read X."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from copy import copy, deepcopy
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils import Tags

from .._optional import find_stack_level
from ..ecg.preprocess import check_fs
from ..inputs.front_end import FrontEnd
from ..inputs.reading import SignalEstimator
from ..inputs.source import Source
from ..persistence import shipped_models
from .fitted_encoder import FittedEncoder, fitted_encoder, is_fitted

# Attribute for the encoder of a file, in a pickle.
_KEPT = "_kept_encoder"
# Parameters of a pretrainer that nothing reads after `fit`.
_OF_TRAINING = ("objective", "max_epochs", "lr", "weight_decay", "validation_fraction")


class KeepsPretrainer(BaseEstimator):
    """Estimator whose `clone` keeps a fitted pretrainer, as FrozenEstimator does; cloning it would unfit it.

    The clone gets a copy that shares the encoder's arrays: parameters that are set on it do not reach the original.
    """

    pretrainer: Any

    def set_params(self, **params: Any) -> Any:
        """Set parameters; a fitted pretrainer is not trained again, so that its training's parameters do nothing.

        Parameters
        ----------
        **params
            Parameters by their names, nested ones as ``pretrainer__fs``.

        Returns
        -------
        estimator
            The estimator itself.
        """
        names = [key.removeprefix("pretrainer__") for key in params if key.startswith("pretrainer__")]
        idle = [name for name in names if name.partition("__")[0] in _OF_TRAINING]
        if idle and is_fitted(params.get("pretrainer", self.pretrainer)):
            warnings.warn(
                f"pretrainer__{idle[0]} is set, but the pretrainer is fitted and is not trained again; pass an "
                f"unfitted one to search its parameters",
                UserWarning,
                stacklevel=find_stack_level(),
            )
        return super().set_params(**params)

    def __sklearn_clone__(self) -> Any:
        cloned = super().__sklearn_clone__()
        if is_fitted(self.pretrainer):
            cloned.pretrainer = deepcopy(self.pretrainer)
        # A clone begins with the file, which may be another one by now, unless it is not here.
        if self._kept() is not None and not os.path.exists(self.pretrainer):
            setattr(cloned, _KEPT, getattr(self, _KEPT))
        return cloned

    def __getstate__(self) -> dict[str, Any]:
        """Add the encoder of a file, so that a pickle needs no file, and a cache notices that it was replaced."""
        state: dict[str, Any] = super().__getstate__()
        if _is_file(self.pretrainer) and self._kept() is None:
            try:
                state[_KEPT] = (self.pretrainer, fitted_encoder(self.pretrainer))
            except (OSError, ValueError):
                # The file is missing or damaged: whoever needs the encoder will say so.
                pass
        return state

    def _kept(self) -> FittedEncoder | None:
        """Return the encoder that a pickle brought along for the present `pretrainer`."""
        pretrainer, encoder = getattr(self, _KEPT, (None, None))
        return encoder if encoder is not None and pretrainer == self.pretrainer else None


def _is_file(pretrainer: Any) -> bool:
    """Whether a pretrainer is a path, and not the name of a model that every installation has."""
    return isinstance(pretrainer, os.PathLike) or (isinstance(pretrainer, str) and pretrainer not in shipped_models())


def starting_encoder(pretrainer: Any, seed: int) -> tuple[FittedEncoder, bool]:
    """Return the encoder that a training on labels begins with, and whether its weights are random.

    Parameters
    ----------
    pretrainer : estimator, path, str or None
        What is fitted, or the path or name of it; an unfitted pretrainer, whose encoder begins at random weights; None
        is the default encoder at random weights.
    seed : int
        Of random weights.

    Raises
    ------
    TypeError
        If `pretrainer` is nothing of this kind.
    OSError, ValueError
        If it cannot be loaded, or an unfitted one has a parameter that cannot be used.
    """
    if pretrainer is None:
        return FittedEncoder.untrained("beatnet", None, FrontEnd(), seed), True
    if is_fitted(pretrainer):
        # A readout belongs to the weights that are about to change.
        return fitted_encoder(pretrainer).with_readout(None), False
    if isinstance(pretrainer, type) or not hasattr(pretrainer, "untrained_encoder"):
        raise TypeError(f"pretrainer must be a pretrainer, a path or a shipped model's name, got {pretrainer!r}")
    untrained: FittedEncoder = pretrainer.untrained_encoder(seed)
    return untrained, True


class StartedEstimator(KeepsPretrainer, SignalEstimator):
    """Estimator that trains on from an encoder: where it starts, and how it reads X."""

    fs: float | None
    leads: Sequence[str] | None
    allow_nan: bool

    def _for_file(self) -> Any:
        """Return this estimator as a file holds it: with the encoder that it began with in place of a path."""
        by_name = isinstance(self.pretrainer, str) and self.pretrainer in shipped_models()
        if self.pretrainer is None or by_name or not is_fitted(self.pretrainer):
            return self
        stored = copy(self)
        stored.pretrainer = self._kept() or fitted_encoder(self.pretrainer)
        return stored

    def _starting_encoder(self, seed: int) -> tuple[FittedEncoder, bool]:
        """Return what `starting_encoder` returns for the pretrainer, or for what a pickle brought along of it."""
        return starting_encoder(self._kept() or self.pretrainer, seed)

    def _read_as(self, X: Any, start: Any, reset: bool) -> Source:
        """Return X as a source, described by this estimator's parameters where given, else by the encoder."""
        changes: dict[str, Any] = {"allow_nan": self.allow_nan}
        if self.fs is not None:
            # Also where records have their own rate.
            changes["fs"] = check_fs(self.fs)
        if self.leads is not None:
            changes |= {"leads": self.leads, "n_leads": None}
        return self._source_for(start, X, reset, **changes)


class LabelledEstimator(StartedEstimator):
    """Estimator that trains an encoder on labels."""

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def read_by(start: FittedEncoder, source: Source) -> dict[str, Any]:
    """Return how a trained encoder describes X: as the estimator that trained it read X in `fit`."""
    fs, leads = source.described or (start.fs, start.leads)
    return {"fs": fs, "leads": leads, "n_leads": source.n_leads}
