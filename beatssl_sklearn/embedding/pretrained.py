"""Estimators that hold a pretrainer: fitted, by path or name, or still to be fitted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils import Tags

from ..inputs.reading import SignalTransformer
from ..inputs.source import ArraySource, Source
from ..pretraining.pretrainer import BeatSSLPretrainer


def is_fitted(pretrainer: Any) -> bool:
    """Whether a pretrainer is fitted, or is the path or name of one."""
    return isinstance(pretrainer, (str, os.PathLike)) or hasattr(pretrainer, "weights_")


class KeepsPretrainer(BaseEstimator):
    """Estimator whose `clone` keeps a fitted pretrainer, as FrozenEstimator does; cloning it would unfit it."""

    pretrainer: Any

    def __sklearn_clone__(self) -> Any:
        cloned = super().__sklearn_clone__()
        if is_fitted(self.pretrainer):
            cloned.pretrainer = self.pretrainer
        return cloned


class TrainsEncoder(KeepsPretrainer):
    """Estimator that trains a pretrainer's encoder on labels: its tags, and how it and the trained copy read X."""

    fs: float | None
    leads: Sequence[str] | None
    allow_nan: bool

    # Reads X as the transformers do, without being one.
    _source: Any = SignalTransformer._source
    _source_of_one_lead: Any = SignalTransformer._source_of_one_lead

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = bool(self.allow_nan)
        tags.target_tags.required = True
        return tags

    def _read_as(self, X: Any, start: BeatSSLPretrainer, reset: bool) -> Source:
        """Return X as a source, described by this estimator's parameters where given, else by the pretrainer's."""
        own = self.leads is not None
        # An unfitted pretrainer has seen no leads; leads of one's own may be another number.
        n_leads = None if own else getattr(start, "n_leads_", None)
        return self._source(
            X,
            fs=start.fs if self.fs is None else self.fs,
            leads=self.leads if own else start.leads,
            allow_nan=self.allow_nan,
            reset=reset,
            n_leads=n_leads,
        )

    def _describe_input(self, trained: BeatSSLPretrainer, source: Source) -> None:
        """Let the trained copy of the pretrainer read X as this estimator did in `fit`."""
        trained.n_features_in_ = self.n_features_in_
        trained.n_leads_ = source.array.shape[1] if isinstance(source, ArraySource) else 12
        if isinstance(source, ArraySource):
            trained.fs, trained.leads = source.fs, source.leads
