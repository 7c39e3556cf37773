"""Fitted encoders as transformers: an embedding per record, per heartbeat, or per token."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, check_memory

from ..components import check_number
from ..ecg.beats import as_objects
from ..inputs.front_end import check_given_rpeaks
from ..inputs.reading import SignalTransformer
from ..inputs.source import Source
from ..pretraining.pretrainer import BeatSSLPretrainer
from .fitted_encoder import ready_model
from .pretrained import KeepsPretrainer, is_fitted
from .stream import BlockEmbedding, embed


class _Embedder(KeepsPretrainer, SignalTransformer):
    """What the embedders share: where the encoder comes from, and how X is described."""

    def __init__(
        self,
        pretrainer: Any = "ptbxl",
        *,
        fs: float | None = None,
        leads: Sequence[str] | None = None,
        batch_size: int = 32,
        device: Any = None,
        precision: str = "auto",
        memory: Any = None,
    ) -> None:
        self.pretrainer = pretrainer
        self.fs = fs
        self.leads = leads
        self.batch_size = batch_size
        self.device = device
        self.precision = precision
        self.memory = memory

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = not is_fitted(self.pretrainer)
        tags.input_tags.allow_nan = bool(getattr(self.pretrainer, "allow_nan", False))
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return is_fitted(self.pretrainer) or hasattr(self, "pretrainer_")

    def fit(self, X: Any, y: Any = None, *, groups: Any = None, rpeaks: Any = None) -> Any:
        """Train the encoder where `pretrainer` is an unfitted pretrainer; otherwise only check X.

        Parameters
        ----------
        X : as for `BeatSSLPretrainer.fit`
        y : ignored
        groups, rpeaks : optional
            As for `BeatSSLPretrainer.fit`.

        Returns
        -------
        estimator
            The estimator itself.
        """
        if not is_fitted(self.pretrainer):
            if not isinstance(self.pretrainer, BeatSSLPretrainer):
                raise TypeError(
                    f"pretrainer must be a BeatSSLPretrainer, a path or a shipped model's name, got {self.pretrainer!r}"
                )
            given = {name: value for name in ("fs", "leads") if (value := getattr(self, name)) is not None}
            fitted = clone(self.pretrainer).set_params(**given).fit(X, groups=groups, rpeaks=rpeaks)
            self.pretrainer_ = fitted
            self.n_features_in_ = fitted.n_features_in_
            if hasattr(fitted, "feature_names_in_"):
                self.feature_names_in_ = fitted.feature_names_in_
        else:
            self.__dict__.pop("pretrainer_", None)  # of an earlier fit, when `pretrainer` was not fitted
            self._check(reset=True, X=X)
        return self

    def _fitted(self) -> BeatSSLPretrainer:
        """Return the fitted pretrainer, loading it where a path or name was given."""
        if hasattr(self, "pretrainer_"):
            return self.pretrainer_
        if not is_fitted(self.pretrainer):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit', or give it a fitted pretrainer."
            )
        if isinstance(self.pretrainer, (str, os.PathLike)):
            from ..persistence import load_shared

            return load_shared(self.pretrainer)
        return self.pretrainer

    def _check(self, X: Any, reset: bool) -> Source:
        """Return X as a source, checked against what this embedder was told of it."""
        fitted = self._fitted()
        own = self.leads is not None
        leads = self.leads if own else fitted.leads
        # Without `fit` there is nothing to compare X with, and `transform` leaves the embedder as it was.
        described = reset or hasattr(self, "n_features_in_")
        return (self if described else copy(self))._source(
            X,
            fs=fitted.fs if self.fs is None else self.fs,
            leads=leads,
            allow_nan=fitted.allow_nan,
            reset=reset or not described,
            n_leads=None if own else fitted.n_leads_,
        )

    def _blocks(self, X: Any, level: str, rpeaks: Any = None) -> Iterator[BlockEmbedding]:
        check_number("batch_size", self.batch_size, int, 1)
        fitted = self._fitted()
        model = ready_model(fitted, device=self.device, precision=self.precision, detector=fitted.rpeak_detector)
        source = self._check(X, reset=False)
        check_given_rpeaks(rpeaks, source.n_records)
        # Warnings point at the caller of `transform`, which scikit-learn wraps where its output is a table.
        depth = 6 if level == "rhythm" else 5
        return embed(source, model, batch_size=self.batch_size, levels=(level,), rpeaks=rpeaks, stacklevel=depth)

    def _remembered(self, function: Any, X: Any, *args: Any) -> Any:
        """Call ``function(settings, X, *args)``, from the cache where `memory` holds one."""
        if self.memory is None:
            return function(self, X, *args)
        return check_memory(self.memory).cache(function)(self._without_memory(), X, *args)

    def _without_memory(self) -> Any:
        """Return this embedder as the cache's key: fitted, and without the cache itself."""
        parameters = self.get_params(deep=False) | {"pretrainer": self._fitted(), "memory": None}
        key = type(self)(**parameters)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self, name):
                setattr(key, name, getattr(self, name))
        return key

    def rpeaks(self, X: Any) -> list[NDArray[np.int64]]:
        """Return the R peaks [samples] of the beats that are embedded, one array per record."""
        check_is_fitted(self)
        from ..inputs.front_end import find_rpeaks

        fitted, source = self._fitted(), self._check(X, reset=False)
        before, after = (float(s) for s in fitted.beat_window)
        blocks = source.read(np.arange(source.n_records), self.batch_size)
        return [r for b in blocks for r in find_rpeaks(b, fitted.rpeak_detector, (before, after))]


class RhythmEmbedder(ClassNamePrefixFeaturesOutMixin, _Embedder):
    """One embedding per record.

    Parameters
    ----------
    pretrainer : BeatSSLPretrainer, path or str, default="ptbxl"
        A fitted pretrainer, a file written by `save`, or a shipped model's name: the embedder then needs no `fit`,
        and `clone` keeps the encoder. An unfitted pretrainer is trained by `fit`.
    fs : float, default=None
        Sampling rate of X [Hz]; None is the pretrainer's.
    leads : sequence of str, default=None
        Names of the leads of X; None is the pretrainer's. Any subset of the twelve.
    batch_size : int, default=32
        Records that the network sees at once; it does not change the embeddings.
    device : str, default=None
        None is the best there is.
    precision : {"auto", "bf16", "fp32"}, default="auto"
    memory : str or joblib.Memory, default=None
        Cache of embeddings.

    Notes
    -----
    Pickles hold the fitted pretrainer's arrays; a path or name is pickled as it is.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from beatssl_sklearn import BeatSSLPretrainer, RhythmEmbedder, make_ecg
    >>> ecg = make_ecg(16, rhythm="mixed", fs=100, random_state=0)
    >>> pre = BeatSSLPretrainer(fs=100, encoder_params={"size": "s"}, max_epochs=1, batch_size=8, random_state=0)
    >>> pipe = make_pipeline(RhythmEmbedder(pre.fit(ecg.data)), LogisticRegression()).fit(ecg.data, ecg.target)
    >>> pipe.predict(ecg.data).shape
    (16,)
    """

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Embed records.

        Parameters
        ----------
        X : as for `BeatSSLPretrainer.transform`

        Returns
        -------
        ndarray (n_records, n_dims) float32
        """
        check_is_fitted(self)
        return self._remembered(_rhythm, X)

    @property
    def _n_features_out(self) -> int:
        return self._fitted()._n_features_out


class BeatEmbedder(_Embedder, auto_wrap_output_keys=None):
    """One embedding per heartbeat: an object array of one array (n_beats, n_dims) per record.

    Records without a beat become (0, n_dims). Parameters as for `RhythmEmbedder`.
    """

    def fit_transform(self, X: Any, y: Any = None, *, groups: Any = None, rpeaks: Any = None) -> NDArray[np.object_]:
        """Fit, and embed the heartbeats of the same records; `rpeaks` serve both."""
        return self.fit(X, y, groups=groups, rpeaks=rpeaks).transform(X, rpeaks=rpeaks)

    def transform(self, X: Any, *, rpeaks: Any = None) -> NDArray[np.object_]:
        """Embed the heartbeats of records.

        Parameters
        ----------
        X : as for `BeatSSLPretrainer.transform`
        rpeaks : sequence of n_records arrays, optional
            R peaks [samples] in place of the detector's; beats whose window leaves the record are dropped.

        Returns
        -------
        ndarray (n_records,) of object
            Arrays (n_beats, n_dims) float32; `rpeaks` tells where the beats are.
        """
        check_is_fitted(self)
        return self._remembered(_beats, X, rpeaks)


class SampleEmbedder(_Embedder, auto_wrap_output_keys=None):
    """One embedding per token, 50 a second or more: (n_records, n_tokens, n_dims).

    Records of unequal length become an object array of arrays (n_tokens, n_dims). Parameters as for
    `RhythmEmbedder`.

    Attributes
    ----------
    times_ : ndarray (n_tokens,)
        Centre of each token [s] of the longest record that was seen last.
    """

    def transform(self, X: Any) -> NDArray:
        """Embed records token by token.

        Parameters
        ----------
        X : as for `BeatSSLPretrainer.transform`

        Returns
        -------
        ndarray (n_records, n_tokens, n_dims) float32
        """
        check_is_fitted(self)
        tokens, times = self._remembered(_samples, X)
        if not hasattr(self, "times_") or not np.array_equal(self.times_, times):
            self.times_: NDArray[np.float64] = times
        return tokens


def _rhythm(embedder: RhythmEmbedder, X: Any) -> NDArray[np.float32]:
    parts: list[NDArray[np.float32]] = []
    for block in embedder._blocks(X, "rhythm"):
        assert block.rhythm is not None
        parts.append(block.rhythm)
    return np.concatenate(parts)


def _beats(embedder: BeatEmbedder, X: Any, rpeaks: Any) -> NDArray[np.object_]:
    beats: list[NDArray[np.float32]] = []
    for block in embedder._blocks(X, "beat", rpeaks):
        beats += block.beats or []
    return as_objects(beats)


def _samples(embedder: SampleEmbedder, X: Any) -> tuple[NDArray, NDArray]:
    tokens: list[NDArray] = []
    times = np.zeros(0)
    for block in embedder._blocks(X, "sample"):
        tokens += block.samples or []
        if block.times is not None and len(block.times) > len(times):
            times = block.times
    if len({t.shape for t in tokens}) == 1:
        return np.stack(tokens), times
    return as_objects(tokens), times


