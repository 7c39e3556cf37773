"""Fitted encoders as transformers: an embedding per record, per heartbeat, or per token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ..components import check_bounds, register
from ..ecg.beat_morphology import MORPHOLOGY_NAMES
from ..ecg.beat_timing import TIMING_NAMES
from .embedder import Embedder
from .output import RecordOutput
from .parts import Parts, beat_names, chosen_columns, token_names
from .stream import embed_beats, embed_rhythm, embed_tokens, token_times


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
    reliable : {"keep", "warn", "drop", "raise"}, default="keep"
        What to do with records that nobody can read in full: those whose score of `signal_quality` is below .5. "keep"
        does not look. "warn" names them, with the reasons. "drop" does so, too, and makes their rows NaN. "raise" is an
        error after the last record. See Notes.
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

    A transformer of scikit-learn returns a row per record, so that rows go with labels, groups and folds. So `reliable`
    cannot remove rows, as ``beatssl embed --reliable drop`` does: NaN marks them, as it marks records without a sample.
    ``np.isfinite(Z).all(axis=1)`` are the others; classifiers that do not take NaN refuse it instead of learning from
    noise. Both judge by the same rule. Of a longer record, the first 10 minutes are judged. Of good records that are
    cut to 2 s, 2.5 % are called unreliable, of 4 s as few as of 10 s (``benchmarks/results/quality.md``).

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
        reliable: str = "keep",
        batch_size: int = 32,
        device: Any = None,
        precision: str = "auto",
        memory: Any = None,
        parts: Parts = None,
    ) -> None:
        read: dict[str, Any] = {"fs": fs, "leads": leads, "allow_nan": allow_nan, "check": check, "reliable": reliable}
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

    Records without a beat become (0, n_dims). Parameters as for `RhythmEmbedder`, but for `timing`, `morphology` and
    `align`.

    Parameters
    ----------
    pretrainer, fs, leads, allow_nan, check : as for `RhythmEmbedder`
    reliable : {"keep", "warn", "drop", "raise"}, default="keep"
        As for `RhythmEmbedder`. With "drop", all beats of an unreliable record are NaN. They stay where the method
        `rpeaks` says, and where given R peaks, and their labels, are.
    batch_size, device, precision, memory : as for `RhythmEmbedder`
    timing : bool, default=False
        Whether the columns of `ecg.beat_timing` follow those of the embedding: RR intervals before and after the beat
        against what is usual. An embedding sees .7 s and no rhythm, so that premature beats need them. They follow
        from the R peaks of the beats that are embedded, whether detected or given.
    morphology : bool, default=False
        Whether the columns of `ecg.beat_morphology` stand between embedding and timing: QRS, T and P wave of each beat,
        measured in the signal beside the record's typical beat.
    align : bool, default=False
        Whether the window of a beat lies around the middle of its QRS, `ecg.qrs_middles`, instead of its R peak. A
        detector and an expert mark a wide beat at different places; its middle is the same. The beats, and where the
        method `rpeaks` says that they are, stay as they are.

    Attributes
    ----------
    encoder_ : FittedEncoder
        What embeds.
    """

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
        timing: bool = False,
        morphology: bool = False,
        align: bool = False,
    ) -> None:
        read: dict[str, Any] = {"fs": fs, "leads": leads, "allow_nan": allow_nan, "check": check, "reliable": reliable}
        run: dict[str, Any] = {"batch_size": batch_size, "device": device, "precision": precision, "memory": memory}
        super().__init__(pretrainer, **read, **run)
        self.timing = timing
        self.morphology = morphology
        self.align = align

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
            Arrays (n_beats, n_dims) float32; the method `rpeaks` returns where the beats are. With `timing`, its
            columns are the last ones; those of `morphology` stand before them.
        """
        check_is_fitted(self)
        given = {"timing": self.timing, "morphology": self.morphology, "align": self.align}
        check_bounds(given, dict.fromkeys(given, bool))
        source = self._read(X, self.encoder_, reset=False)
        embedded: NDArray[np.object_] = self._embedded(embed_beats, source, rpeaks, *given.values())
        return embedded

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the columns of each record's array.

        They tell the phase of the beat, as ``beat1_0``; those of morphology and timing are
        `ecg.MORPHOLOGY_NAMES` and `ecg.TIMING_NAMES`.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray (n_dims,) of str objects
            One name per column.
        """
        check_is_fitted(self)
        names = beat_names(self.encoder_.model(self.device, self.precision))
        more = (MORPHOLOGY_NAMES if self.morphology else ()) + (TIMING_NAMES if self.timing else ())
        return np.array([*names, *more], dtype=object)


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
