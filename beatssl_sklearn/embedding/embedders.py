"""Fitted encoders as transformers: an embedding per record, per heartbeat, or per token."""

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

from ..components import check_number, register
from ..inputs.plausibility import RecordCheck
from ..inputs.reading import SignalTransformer
from ..inputs.source import Source
from .file_checks import check_embedder
from .fitted_encoder import FittedEncoder, fitted_encoder, is_fitted
from .output import RecordOutput
from .parts import Parts, beat_names, chosen_columns, token_names
from .starting_encoder import KeepsPretrainer
from .stream import embed_beats, embed_rhythm, embed_tokens, token_times

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

    def fit(self, X: Any, y: Any = None, *, groups: Any = None, rpeaks: Any = None, reports: Any = None) -> Any:
        """Train the encoder if `pretrainer` is not fitted; otherwise only check X.

        Parameters
        ----------
        X : as for `Pretrainer.fit`
        y, groups, rpeaks, reports : optional
            As for `Pretrainer.fit`.

        Returns
        -------
        estimator
            The estimator itself.
        """
        if not is_fitted(self.pretrainer):
            if isinstance(self.pretrainer, type) or not hasattr(self.pretrainer, "untrained_encoder"):
                raise TypeError(
                    f"pretrainer must be a pretrainer, a path or a shipped model's name, got {self.pretrainer!r}"
                )
            given = {name: value for name in ("fs", "leads", "allow_nan") if (value := getattr(self, name)) is not None}
            fitted = clone(self.pretrainer).set_params(**given).fit(X, y, groups=groups, rpeaks=rpeaks, reports=reports)
            self.pretrainer_ = fitted
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
        encoder = self.encoder_
        run = {name: getattr(self, name) for name in ("batch_size", "device", "precision", "check")}
        if self.memory is None:
            return function(encoder, source, *args, **run)
        cached = check_memory(self.memory).cache(function, ignore=_NOT_IN_THE_KEY)
        return cached(encoder, source, *args, **run)


@register
class RhythmEmbedder(RecordOutput, Embedder):
    """One embedding per record.

    Parameters
    ----------
    pretrainer : fitted estimator, FittedEncoder, path or str, default="ptbxl"
        Anything that has an `encoder_`, a file written by `save`, or a shipped model's name. The embedder then needs no
        `fit`, and `clone` keeps the encoder. If the pretrainer is not fitted, `fit` trains it.
    fs : float, default=None
        Sampling rate of X [Hz]; None is the pretrainer's.
    leads : sequence of str, default=None
        Names of the leads of X; None is the pretrainer's. Any subset of the twelve.
    allow_nan : bool, default=None
        Whether NaN counts as missing samples instead of being an error; None is as the pretrainer has it.
    check : {"warn", "raise", "ignore"}, default="warn"
        What to do with records that look odd; see `Pretrainer`.
    batch_size : int, default=32
        Records that the network sees at once. It does not change the embeddings.
    device : str, default=None
        None is the best there is.
    precision : {"auto", "bf16", "fp32"}, default="auto"
    memory : str or joblib.Memory, default=None
        Cache of embeddings.
    parts : str or sequence of str, default=None
        Parts of the embedding to return; None is all of them. The encoder's statistics over tokens are ``"mean"``,
        ``"max"`` and ``"sd"``; the phases of the mean heartbeat are ``"beat1"``, ``"beat2"`` ..., together ``"beat"``.
        So pooling can be searched like any other parameter.

    Attributes
    ----------
    encoder_ : FittedEncoder
        What embeds.

    Notes
    -----
    Pickles hold the encoder's arrays. A shipped model's name is pickled as it is.

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

    def __init__(
        self,
        pretrainer: Any = "ptbxl",
        *,
        fs: float | None = None,
        leads: Sequence[str] | None = None,
        allow_nan: bool | None = None,
        check: str = "warn",
        batch_size: int = 32,
        device: Any = None,
        precision: str = "auto",
        memory: Any = None,
        parts: Parts = None,
    ) -> None:
        read: dict[str, Any] = {"fs": fs, "leads": leads, "allow_nan": allow_nan, "check": check}
        run: dict[str, Any] = {"batch_size": batch_size, "device": device, "precision": precision, "memory": memory}
        super().__init__(pretrainer, **read, **run)
        self.parts = parts

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Embed records.

        Parameters
        ----------
        X : as for `Pretrainer.transform`

        Returns
        -------
        ndarray (n_records, n_dims) float32
            One row per record. With pandas output, the names of a folder's records are the index.
        """
        check_is_fitted(self)
        encoder = self.encoder_
        columns = chosen_columns(encoder.model(self.device, self.precision), self.parts)
        source = self._read(X, encoder, reset=False)
        # All parts are cached together, whichever are asked for.
        embedded: NDArray[np.float32] = self._embedded(embed_rhythm, source)
        if len(columns) < embedded.shape[1]:
            embedded = embedded[:, columns]
        return self._as_output(embedded, source, X)


@register
class BeatEmbedder(Embedder, auto_wrap_output_keys=None):
    """One embedding per heartbeat: an object array of one array (n_beats, n_dims) per record.

    Records without a beat become (0, n_dims). Parameters as for `RhythmEmbedder`.
    """

    def fit_transform(self, X: Any, y: Any = None, *, groups: Any = None, rpeaks: Any = None) -> NDArray[np.object_]:
        """Fit, and embed the heartbeats of the same records.

        Parameters
        ----------
        X, y, groups : as for `fit`
        rpeaks : sequence of n_records arrays, optional
            As for `fit` and `transform`.

        Returns
        -------
        ndarray (n_records,) of object
            As for `transform`.
        """
        return self.fit(X, y, groups=groups, rpeaks=rpeaks).transform(X, rpeaks=rpeaks)

    def transform(self, X: Any, *, rpeaks: Any = None) -> NDArray[np.object_]:
        """Embed the heartbeats of records.

        Parameters
        ----------
        X : as for `Pretrainer.transform`
        rpeaks : sequence of n_records arrays, optional
            R peaks [samples] in place of the detector's; beats whose window leaves the record are dropped.

        Returns
        -------
        ndarray (n_records,) of object
            Arrays (n_beats, n_dims) float32; the method `rpeaks` returns where the beats are.
        """
        check_is_fitted(self)
        source = self._read(X, self.encoder_, reset=False)
        embedded: NDArray[np.object_] = self._embedded(embed_beats, source, rpeaks)
        return embedded

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the columns of each record's array, by the phases of the beat: ``beat1_0``.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray (n_dims,) of str objects
            One name per column.
        """
        check_is_fitted(self)
        return beat_names(self.encoder_.model(self.device, self.precision))


@register
class SampleEmbedder(Embedder, auto_wrap_output_keys=None):
    """One embedding per token, 50 a second or more: (n_records, n_tokens, n_dims).

    Records of unequal length become an object array of arrays (n_tokens, n_dims). Parameters as for
    `RhythmEmbedder`.
    """

    def transform(self, X: Any) -> NDArray:
        """Embed records token by token.

        Parameters
        ----------
        X : as for `Pretrainer.transform`

        Returns
        -------
        ndarray (n_records, n_tokens, n_dims) float32
            Object array of arrays (n_tokens, n_dims) if lengths differ.
        """
        check_is_fitted(self)
        return np.asarray(self._embedded(embed_tokens, self._read(X, self.encoder_, reset=False)))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the last axis: ``token_0`` and so on.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray (n_dims,) of str objects
            One name per dimension.
        """
        check_is_fitted(self)
        return token_names(self.encoder_.model(self.device, self.precision))

    def token_times(self, X: Any) -> NDArray[np.float64]:
        """Return the times of the tokens of the longest record.

        Parameters
        ----------
        X : as for `transform`

        Returns
        -------
        ndarray (n_tokens,) float64
            Centre of each token [s].
        """
        check_is_fitted(self)
        encoder = self.encoder_
        model = encoder.model(self.device, self.precision)
        source = self._read(X, encoder, reset=False)
        longest = np.zeros(0)
        for block in source.read(np.arange(source.n_records), self.batch_size):
            times = token_times(block.signal.shape[2], block.fs, model)
            longest = times if len(times) > len(longest) else longest
        return longest
