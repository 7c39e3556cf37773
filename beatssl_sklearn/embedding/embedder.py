"""Base of the embedders: where the encoder comes from, how X is described, and the cache."""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import copy
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, check_memory

from ..components import check_number
from ..inputs.plausibility import RecordCheck
from ..inputs.reading import SignalTransformer
from ..inputs.source import Source
from ..quality.reliable import check_reliable
from .file_checks import check_embedder
from .fitted_encoder import FittedEncoder, fitted_encoder, is_fitted
from .starting_encoder import KeepsPretrainer

__all__ = ["Embedder"]

# What does not change an embedding beyond rounding is no part of the cache's key.
_NOT_IN_THE_KEY = ["batch_size"]


class Embedder(KeepsPretrainer, SignalTransformer):
    """Base of the embedders: where the encoder comes from, and how X is described."""

    _in_file: ClassVar[tuple[str, ...]] = ("n_features_in_",)
    _check_file = check_embedder

    def __init__(
        self,
        pretrainer: Any = "ptbxl",
        *,
        fs: float | None = None,
        leads: Sequence[str] | None = None,
        allow_nan: bool | None = None,
        check: str = "warn",
        reliable: str = "keep",
        batch_size: int = 32,
        device: Any = None,
        precision: str = "auto",
        memory: Any = None,
    ) -> None:
        self.pretrainer = pretrainer
        self.fs = fs
        self.leads = leads
        self.allow_nan = allow_nan
        self.check = check
        self.reliable = reliable
        self.batch_size = batch_size
        self.device = device
        self.precision = precision
        self.memory = memory

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = not is_fitted(self.pretrainer)
        own = self.allow_nan
        tags.input_tags.allow_nan = bool(getattr(self.pretrainer, "allow_nan", False) if own is None else own)
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return is_fitted(self.pretrainer) or hasattr(self, "pretrainer_")

    def set_params(self, **params: Any) -> Any:
        """Set parameters; see scikit-learn. Another pretrainer, or other parameters of it, undo an earlier `fit`.

        Parameters
        ----------
        **params
            Parameters by their names, nested ones as ``pretrainer__fs``.

        Returns
        -------
        estimator
            The estimator itself.
        """
        if any(key.partition("__")[0] == "pretrainer" for key in params):
            self.__dict__.pop("pretrainer_", None)
        return super().set_params(**params)

    @property
    def encoder_(self) -> FittedEncoder:
        """The fitted encoder, loaded where a path or name was given.

        Raises
        ------
        NotFittedError
            If the pretrainer is not fitted, nor this estimator.
        """
        if hasattr(self, "pretrainer_"):
            return fitted_encoder(self.pretrainer_)
        if (kept := self._kept()) is not None:
            return kept
        if not is_fitted(self.pretrainer):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit', or give it a fitted pretrainer."
            )
        return fitted_encoder(self.pretrainer)

    def fit(
        self, X: Any, y: Any = None, *, groups: Any = None, rpeaks: Any = None, reports: Any = None, times: Any = None
    ) -> Any:
        """Train the encoder if `pretrainer` is not fitted; otherwise only check X.

        Parameters
        ----------
        X : as for `Pretrainer.fit`
        y, groups, rpeaks, reports, times : optional
            As for `Pretrainer.fit`.

        Returns
        -------
        estimator
            The estimator itself.
        """
        check_reliable(self.reliable)
        if not is_fitted(own := self.pretrainer):
            if isinstance(own, type) or not hasattr(own, "untrained_encoder"):
                raise TypeError(f"pretrainer must be a pretrainer, a path or a shipped model's name, got {own!r}")
            given = {name: value for name in ("fs", "leads", "allow_nan") if (value := getattr(self, name)) is not None}
            of_fit = {"groups": groups, "rpeaks": rpeaks, "reports": reports, "times": times}
            self.pretrainer_ = fitted = clone(own).set_params(**given).fit(X, y, **of_fit)
            self.n_features_in_ = fitted.n_features_in_
            if hasattr(fitted, "feature_names_in_"):
                self.feature_names_in_ = fitted.feature_names_in_
        else:
            # Left by an earlier fit, when `pretrainer` was not fitted.
            self.__dict__.pop("pretrainer_", None)
            self._read(X, self.encoder_, reset=True)
        return self

    def rpeaks(self, X: Any) -> list[NDArray[np.int64]]:
        """Return the R peaks of the beats that are embedded.

        Parameters
        ----------
        X : as for `transform`

        Returns
        -------
        list of n_records int64 arrays (n_beats,)
            In samples of X.
        """
        check_is_fitted(self)
        encoder = self.encoder_
        source = self._read(X, encoder, reset=False)
        odd, found = RecordCheck(source, self.check), []
        for block in source.read(np.arange(source.n_records), self.batch_size):
            rpeaks = encoder.front_end.find_rpeaks(block)
            odd.look(block, rpeaks)
            found += rpeaks
        odd.tell()
        return found

    def _for_file(self) -> Any:
        """Return this embedder as a file holds it: with the encoder, or the fitted pretrainer, in place of a path."""
        check_is_fitted(self)
        fitted = getattr(self, "pretrainer_", self.pretrainer)
        stored = copy(self)
        stored.pretrainer = self.encoder_ if isinstance(fitted, (str, os.PathLike)) else fitted
        return stored

    def _read(self, X: Any, encoder: FittedEncoder, reset: bool) -> Source:
        """Return X as a source, described by this embedder's parameters where given, else by the encoder."""
        changes: dict[str, Any] = {} if self.fs is None else {"fs": self.fs}
        if self.leads is not None:
            changes |= {"leads": self.leads, "n_leads": None}
        if self.allow_nan is not None:
            changes["allow_nan"] = self.allow_nan
        # Without `fit` there is nothing to compare X with, and `transform` leaves the embedder as it was.
        known = reset or hasattr(self, "n_features_in_")
        return (self if known else copy(self))._source_for(encoder, X, reset=reset or not known, **changes)

    def _embedded(self, function: Any, source: Source, *args: Any) -> Any:
        """Call ``function(encoder, source, *args)``, from the cache where `memory` holds the result."""
        check_number("batch_size", self.batch_size, Integral, 1)
        check_reliable(self.reliable)
        encoder = self.encoder_
        run = {name: getattr(self, name) for name in ("batch_size", "device", "precision", "check", "reliable")}
        if self.memory is None:
            return function(encoder, source, *args, **run)
        cached = check_memory(self.memory).cache(function, ignore=_NOT_IN_THE_KEY)
        return cached(encoder, source, *args, **run)
