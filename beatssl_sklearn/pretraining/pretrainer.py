"""BeatSSLPretrainer: dual-context contrastive pretraining of ECGs as a scikit-learn transformer."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from ..components import check_number
from ..embedding.fitted_encoder import ready_model
from ..embedding.stream import LEVELS, BlockEmbedding, embed, gather
from ..inputs.front_end import Detector, check_given_rpeaks
from ..inputs.reading import SignalTransformer
from ..inputs.source import ArraySource, Source
from ..nn.weights import trained_arrays
from ..training.net import history_rows
from .beat_ssl import BeatSSLNet
from .run import pretrain

PAPER_PRESET: dict[str, Any] = {
    "rhythm_targets": "paper",
    "beat_targets": "hard",
    "similarity": "cosine",
    "exponent": 50,
    "augment": "3kg",
    "feature_weight": 0.0,
    "beat_feature_weight": 0.0,
}
"""What the Beat-SSL publication states of its best setting; whatever it does not state stays this package's default."""


class BeatSSLPretrainer(ClassNamePrefixFeaturesOutMixin, SignalTransformer):
    """Pretrain an ECG encoder by contrast at rhythm level and at heartbeat level, and embed records with it.

    Two views of every record are drawn; their embeddings, and those of their heartbeats, are pulled towards each
    other and, by soft targets, towards those of records and beats with similar features.

    Parameters
    ----------
    fs : float, default=500
        Sampling rate of X [Hz], 50-2000. Records that know their own rate (`ECGRecord`) keep it.
    leads : sequence of str, default=None
        Names of the leads of X, in its order. None takes twelve leads as the standard twelve, eight as I, II, V1-V6
        and one as lead II.
    fs_model : float, default=100
        Rate that the network works at [Hz]; X is resampled inside.
    encoder : str, class or callable, default="beatnet"
        "beatnet", "resnet1d", or anything called as ``encoder(fs_model, **encoder_params)``; see `nn.encoders`.
    encoder_params : dict, default=None
        For example ``{"size": "s"}``.
    projection_dim : int, default=128
        Width of the projections that are compared; they are dropped after the fit's last epoch.
    temperature : float, default=0.1
        Divides the cosines.
    rhythm_targets : {"soft", "hard", "paper", "none"}, default="soft"
        "hard": only the other view of a record is its positive. "soft": ``1 - soft_fraction`` of the target goes
        there and the rest to similar records. "paper": the published matrix, row-normalised. "none": no contrast.
    beat_targets : {"hard", "soft", "none"}, default="hard"
        "hard": beats of one record and cluster are positives. "soft": by the similarity of their features.
    similarity : {"rbf", "cosine"}, default="rbf"
        "cosine" to the power `exponent` is the publication's; "rbf" has one bandwidth per record or beat such that
        about `perplexity` others of a batch are its neighbours.
    exponent : float, default=50
        Power of the cosine.
    perplexity : float, default=10
        Effective number of neighbours in a batch.
    soft_fraction : float, default=0.5
        Share of soft targets that goes to others; 0 gives hard targets.
    beat_weight : float, default=0.5
        Weight of the beat loss.
    same_group : {"mask", "positive"}, default="mask"
        What records of one group (patient) are to each other: left out, or positives; never negatives.
    feature_weight : float, default=4
        Weight of predicting a record's features (`ecg.features`) from the embedding of its view.
    beat_feature_weight : float, default=2
        Weight of predicting a beat's features from the beat's embedding.
    amplitude : {"absolute", "relative"}, default="absolute"
        What the network sees of the voltage: signals in units of .2 mV, or each record in units of its own root mean
        square, where gains or units are not to be trusted.
    augment : str or callable, default="vcg"
        "vcg", "3kg", "none", or ``f(x, present, generator) -> (x, present)``; see `views.augment`.
    augment_params : dict, default=None
        For example ``{"angle": 30, "mask_ratio": .3}``.
    rpeak_detector : str or callable, default="multilead"
        As for `detect_rpeaks`.
    beat_window : tuple of float, default=(0.25, 0.45)
        Seconds before and after the R peak; beats whose window leaves the record are dropped.
    beat_phases : int, default=7
        Equal parts of the beat window. A beat's embedding is the mean token of each, side by side; a record's is the
        mean, maximum and standard deviation of its tokens beside the mean embedding of its beats.
    allow_nan : bool, default=False
        Whether NaN counts as missing samples instead of being an error.
    max_epochs : int, default=20
        0 keeps the random initialisation, the baseline that every study should carry.
    batch_size : int, default=128
        Records per step.
    lr, weight_decay : float, default=1e-3, 0.05
        Of RAdam with decoupled weight decay; the rate rises over the first tenth of the steps and falls as a cosine.
    validation_fraction : float, default=None
        Share of the groups (or records) held out to record validation losses.
    callbacks : list of skorch callbacks, default=None
    checkpoint_dir : str or path, default=None
        Folder for checkpoints: an interrupted fit that is started again goes on where it was, bit for bit.
    warm_start : bool, default=False
        Whether `fit` begins with the weights of the previous fit.
    device : str, default=None
        None is the best there is.
    precision : {"auto", "bf16", "fp32"}, default="auto"
        "auto" embeds in fp32, so that embeddings are the same on every machine, and trains with bf16 autocast (weights
        stay in float32) where the hardware computes bf16 and the run is long: 10,000 records x epochs or more.
    n_jobs : int, default=None
        Threads that read and measure records before training.
    random_state : int, RandomState or None, default=None
    verbose : int, default=0
        0 is silent; 1 shows progress bars.

    Attributes
    ----------
    history_ : list of dict
        One entry per epoch: `train_loss`, `rhythm_loss`, `beat_loss`, their parts above the targets' entropy
        (`rhythm_kl`, `beat_kl`), `feature_loss`, `beat_feature_loss`, `effective_rank`, `uniformity`, `alignment` (of
        two views), `lr`, `records_per_second`, `seconds`.
    n_iter_ : int
        Epochs trained.
    n_leads_ : int
        Leads of X in `fit`.
    device_ : str
        Where the fit ran.
    n_features_in_ : int
        Leads of X, or samples where X was a table (n_records, n_times) of one lead.
    weights_ : dict of ndarray
        The network's state. Pickles hold these arrays and no training data.

    References
    ----------
    Rizqyawan, Macfarlane, Hadjidemetriou, Deligianni, "Beat-SSL", ISBI 2026, arXiv 2601.16147. What is the
    publication's and what is this package's is listed in the documentation's method notes.

    Examples
    --------
    >>> from beatssl_sklearn import BeatSSLPretrainer, make_ecg
    >>> ecg = make_ecg(16, rhythm="mixed", fs=100, random_state=0)
    >>> pre = BeatSSLPretrainer(fs=100, encoder_params={"size": "s"}, max_epochs=1, batch_size=8, random_state=0)
    >>> pre.fit_transform(ecg.data).shape
    (16, 960)
    """

    def __init__(
        self,
        fs: float = 500.0,
        *,
        leads: Sequence[str] | None = None,
        fs_model: float = 100.0,
        encoder: Any = "beatnet",
        encoder_params: dict[str, Any] | None = None,
        projection_dim: int = 128,
        temperature: float = 0.1,
        rhythm_targets: str = "soft",
        beat_targets: str = "hard",
        similarity: str = "rbf",
        exponent: float = 50,
        perplexity: float = 10,
        soft_fraction: float = 0.5,
        beat_weight: float = 0.5,
        same_group: str = "mask",
        feature_weight: float = 4.0,
        beat_feature_weight: float = 2.0,
        amplitude: str = "absolute",
        augment: Any = "vcg",
        augment_params: dict[str, Any] | None = None,
        rpeak_detector: Detector = "multilead",
        beat_window: tuple[float, float] = (0.25, 0.45),
        beat_phases: int = 7,
        allow_nan: bool = False,
        max_epochs: int = 20,
        batch_size: int = 128,
        lr: float = 1e-3,
        weight_decay: float = 0.05,
        validation_fraction: float | None = None,
        callbacks: list[Any] | None = None,
        checkpoint_dir: Any = None,
        warm_start: bool = False,
        device: Any = None,
        precision: str = "auto",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.fs = fs
        self.leads = leads
        self.fs_model = fs_model
        self.encoder = encoder
        self.encoder_params = encoder_params
        self.projection_dim = projection_dim
        self.temperature = temperature
        self.rhythm_targets = rhythm_targets
        self.beat_targets = beat_targets
        self.similarity = similarity
        self.exponent = exponent
        self.perplexity = perplexity
        self.soft_fraction = soft_fraction
        self.beat_weight = beat_weight
        self.same_group = same_group
        self.feature_weight = feature_weight
        self.beat_feature_weight = beat_feature_weight
        self.amplitude = amplitude
        self.augment = augment
        self.augment_params = augment_params
        self.rpeak_detector = rpeak_detector
        self.beat_window = beat_window
        self.beat_phases = beat_phases
        self.allow_nan = allow_nan
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.callbacks = callbacks
        self.checkpoint_dir = checkpoint_dir
        self.warm_start = warm_start
        self.device = device
        self.precision = precision
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, *, groups: Any = None, rpeaks: Any = None) -> BeatSSLPretrainer:
        """Pretrain on records without labels.

        Parameters
        ----------
        X : array (n_records, n_leads, n_times), table (n_records, n_times), list of ECGRecord or WFDBFolder
            Signals in mV. Arrays, memmaps included, are read batch by batch and never copied as a whole.
        y : ignored
        groups : array (n_records,), optional
            Patient of each record.
        rpeaks : sequence of n_records arrays, optional
            R peaks [samples], in place of the detector's.

        Returns
        -------
        BeatSSLPretrainer
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If a parameter or a record cannot be used; the message names it.
        FloatingPointError
            If training diverges.
        OSError
            If a checkpoint cannot be written.
        """
        start = self.weights_ if self.warm_start and hasattr(self, "weights_") else None
        net, source = pretrain(self, X, groups, rpeaks, self.max_epochs, start, constant_lr=False, reset=True)
        return self._keep(net, source, reset=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> BeatSSLPretrainer:
        """Read a fitted pretrainer from a file of `save`, or a shipped model by name.

        Parameters
        ----------
        path : path or str
            A file, or a name: "ptbxl" (size m), "ptbxl-s" (size s).

        Returns
        -------
        BeatSSLPretrainer

        Raises
        ------
        OSError, ValueError
            As `beatssl_sklearn.load`.
        """
        from ..persistence import load

        loaded = load(path)
        return loaded if isinstance(loaded, BeatSSLPretrainer) else cast(BeatSSLPretrainer, loaded.pretrainer)

    def partial_fit(self, X: Any, y: Any = None, *, groups: Any = None, rpeaks: Any = None) -> BeatSSLPretrainer:
        """Train one more epoch on records, with the constant rate `lr`; parameters as for `fit`.

        The optimiser starts anew with each call, and checkpoints are not written.
        """
        start = getattr(self, "weights_", None)
        reset = start is None
        net, source = pretrain(self, X, groups, rpeaks, 1, start, constant_lr=True, reset=reset)
        return self._keep(net, source, reset)

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Embed records.

        Parameters
        ----------
        X : as for `fit`
            Any length from 0.3 s; records over 15 s are embedded in windows of 10 s and averaged.

        Returns
        -------
        ndarray (n_records, n_dims) float32
            The embedding of a record does not depend on the others. Records that are NaN throughout give NaN.

        Raises
        ------
        NotFittedError, ValueError, TypeError
        """
        check_is_fitted(self)
        source = self._fitted_source(X)
        out = np.empty((source.n_records, self._n_features_out), dtype=np.float32)
        for block in self._embed(source, ("rhythm",), None):
            out[block.rows] = block.rhythm
        return out

    def embed(self, X: Any, *, levels: Sequence[str] = ("rhythm", "beat"), rpeaks: Any = None) -> Bunch:
        """Embed records at several levels in one pass.

        Parameters
        ----------
        X : as for `fit`
        levels : sequence of {"rhythm", "beat", "sample"}
        rpeaks : sequence of n_records arrays, optional
            R peaks of the beats to embed [samples], in place of the detector's. `rhythm` does not depend on them.

        Returns
        -------
        Bunch
            `rhythm` (n_records, n_dims); `beat`, a list of arrays (n_beats, n_dims), with `rpeaks`, the peaks that
            they belong to [samples]; `sample`, a list of arrays (n_tokens, n_dims), with `times` [s].
        """
        check_is_fitted(self)
        unknown = sorted(set(levels) - set(LEVELS))
        if unknown:
            raise ValueError(f"levels must be among {', '.join(LEVELS)}, got {unknown}")
        return gather(self._embed(self._fitted_source(X), levels, rpeaks), levels)

    @property
    def _n_features_out(self) -> int:
        return int(self._ready().n_dims_record)

    def _fitted_source(self, X: Any) -> Source:
        return self._source(
            X, fs=self.fs, leads=self.leads, allow_nan=self.allow_nan, reset=False, n_leads=self.n_leads_
        )

    def _ready(self) -> Any:
        return ready_model(self, device=self.device, precision=self.precision, detector=self.rpeak_detector)

    def _embed(self, source: Source, levels: Sequence[str], rpeaks: Any) -> Iterator[BlockEmbedding]:
        check_number("batch_size", self.batch_size, int, 1)
        check_given_rpeaks(rpeaks, source.n_records)
        return embed(source, self._ready(), batch_size=self.batch_size, levels=levels, rpeaks=rpeaks, stacklevel=4)

    def _keep(self, net: BeatSSLNet, source: Source, reset: bool) -> BeatSSLPretrainer:
        weights = {k: v for k, v in trained_arrays(net.module_, self.lr).items() if "_predictor." not in k}
        rows = history_rows(net)
        earlier: list[dict[str, Any]] = [] if reset else self.history_
        self.weights_ = weights
        numbered = [{**row, "epoch": i} for i, row in enumerate(rows, start=len(earlier) + 1)]
        self.history_: list[dict[str, Any]] = earlier + numbered
        self.n_iter_ = len(self.history_)
        self.device_ = str(net.device)
        if reset:
            self.n_leads_ = source.array.shape[1] if isinstance(source, ArraySource) else 12
        return self
