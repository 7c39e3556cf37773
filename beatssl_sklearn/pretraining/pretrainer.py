"""Pretrainer: an encoder trained without labels, as a scikit-learn transformer."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from copy import deepcopy
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from ..components import check_number, register, seed_of
from ..ecg.rpeaks import Detector
from ..embedding.fitted_encoder import FittedEncoder
from ..embedding.output import RecordOutput
from ..embedding.stream import LEVELS, embed, embed_rhythm, gather
from ..inputs.front_end import FrontEnd
from ..inputs.reading import SignalTransformer
from ..nn.devices import resolve_device
from ..persistence import load
from ..training.distributed import Ranks, join, shared, together
from . import parameters as rules
from .beat_ssl import BeatSSL
from .objective import Objective
from .run import Start, TrainingSettings, build_module, pretrain


@register
class Pretrainer(RecordOutput, SignalTransformer):
    """Pretrain an ECG encoder without labels, and embed records with it.

    Parameters
    ----------
    objective : Objective or str, default=None
        What is learnt: an objective, or the name of a registered one with its default parameters; None is
        ``BeatSSL()``. ``objective__temperature`` reaches its parameters.
    fs : float, default=500
        Sampling rate of X [Hz], 50-2000. Records that know their own rate (`ECGRecord`) keep it.
    leads : sequence of str, default=None
        Names of the leads of X, in its order. None takes twelve leads as the standard twelve, eight as I, II, V1-V6
        and one as lead II.
    allow_nan : bool, default=False
        Whether NaN counts as missing samples instead of being an error.
    check : {"warn", "raise", "ignore"}, default="warn"
        What to do with odd records (unit, rate, leads, noise): one warning by kind, a ValueError first, or nothing.
    fs_model : float, default=100
        Rate that the network works at [Hz]; X is resampled inside.
    amplitude : {"absolute", "relative"}, default="absolute"
        What the network sees of the voltage: signals in units of .2 mV, or each record in units of its own root mean
        square, for gains or units that you do not trust.
    rpeak_detector : str or callable, default="multilead"
        As for `detect_rpeaks`.
    beat_window : tuple of float, default=(0.25, 0.45)
        Seconds before and after the R peak; beats whose window leaves the record are dropped.
    beat_phases : int, default=7
        Equal parts of the beat window. A beat's embedding is the mean token of each part, side by side. A record's is
        the mean, maximum and standard deviation of its tokens, then the mean embedding of its beats.
    encoder : str, class or callable, default=None
        "beatnet", "dual_stream", "resnet1d", "transformer", or anything called as ``encoder(fs_model,
        **encoder_params)``; see `nn.encoders`. None is the objective's own.
    encoder_params : dict, default=None
        For example ``{"size": "s"}``.
    max_epochs : int, default=20
        0 keeps the random initialisation, the baseline of every study.
    batch_size : int, default=128
        Records per step.
    lr, weight_decay : float, default=1e-3, 0.05
        For RAdam with decoupled weight decay. The rate rises over the first tenth of the steps and falls as a cosine.
    validation_fraction : float, default=None
        Share of the groups (or records) held out to record validation losses.
    callbacks : list of skorch callbacks, default=None
    checkpoint_dir : str or path, default=None
        Folder for checkpoints. An interrupted fit that is started again goes on, bit for bit on the same machine.
    warm_start : bool, default=False
        Whether `fit` begins with the weights of the previous fit.
    memory : str or joblib.Memory, default=None
        Cache of what the objective measures on the records, for other fits on the same records.
    device : str, default=None
        None is the best there is.
    precision : {"auto", "bf16", "fp32"}, default="auto"
        "auto" embeds in fp32, the same on every machine. It trains with bf16 autocast (weights stay in float32) if the
        hardware computes bf16 and the run has 10,000 records x epochs or more.
    n_jobs : int, default=None
        Threads that read and measure records before training.
    distributed : {None, "auto"}, default=None
        "auto": processes of torchrun, or of an initialised process group, train one network together, each on a part
        of every batch, with the result of one process, to rounding. None: each trains for itself.
    random_state : int, RandomState or None, default=None
    verbose : int, default=0
        0 is silent; 1 shows progress bars.

    Attributes
    ----------
    encoder_ : FittedEncoder
        What embeds: the encoder's arrays and its front end. Pickles hold these arrays and no training data.
    objective_ : Objective
        The objective as it was used.
    heads_ : dict of ndarray
        State of the heads that the objective keeps.
    history_ : list of dict
        One entry per epoch: `train_loss`, the parts of the loss that the objective names, `lr`, `records_per_second`,
        `seconds`; with `validation_fraction` also `valid_loss` and its parts.
    n_iter_ : int
        Epochs trained.
    n_leads_ : int
        Leads of X in `fit`.
    device_ : str
        Where the fit ran.
    n_features_in_ : int
        Leads of X, or samples where X was a table (n_records, n_times) of one lead.

    Notes
    -----
    `transform` refuses parameters that describe the network (`fs_model`, `amplitude`, `beat_window`, ...) if they were
    changed after `fit`. `fs`, `leads` and `allow_nan` describe X and can change at any time.

    Examples
    --------
    >>> from beatssl_sklearn import BeatSSL, Pretrainer, make_ecg
    >>> ecg = make_ecg(16, rhythm="mixed", fs=100, random_state=0)
    >>> pre = Pretrainer(BeatSSL(), fs=100, encoder_params={"size": "s"}, max_epochs=1, batch_size=8, random_state=0)
    >>> pre.fit_transform(ecg.data).shape
    (16, 960)
    """

    defaults: ClassVar[Mapping[str, Any]] = {"objective": BeatSSL}
    _in_file = ("encoder_", "objective_", "heads_", "history_", "n_iter_", "device_", "n_features_in_")
    _check_file = rules.check_pretrainer_file

    def __init__(
        self,
        objective: Objective | str | None = None,
        *,
        fs: float = 500.0,
        leads: Sequence[str] | None = None,
        allow_nan: bool = False,
        check: str = "warn",
        fs_model: float = 100.0,
        amplitude: str = "absolute",
        rpeak_detector: Detector = "multilead",
        beat_window: tuple[float, float] = (0.25, 0.45),
        beat_phases: int = 7,
        encoder: Any = None,
        encoder_params: dict[str, Any] | None = None,
        max_epochs: int = 20,
        batch_size: int = 128,
        lr: float = 1e-3,
        weight_decay: float = 0.05,
        validation_fraction: float | None = None,
        callbacks: list[Any] | None = None,
        checkpoint_dir: Any = None,
        warm_start: bool = False,
        memory: Any = None,
        device: Any = None,
        precision: str = "auto",
        n_jobs: int | None = None,
        distributed: str | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.objective = objective
        self.fs = fs
        self.leads = leads
        self.allow_nan = allow_nan
        self.check = check
        self.fs_model = fs_model
        self.amplitude = amplitude
        self.rpeak_detector = rpeak_detector
        self.beat_window = beat_window
        self.beat_phases = beat_phases
        self.encoder = encoder
        self.encoder_params = encoder_params
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.callbacks = callbacks
        self.checkpoint_dir = checkpoint_dir
        self.warm_start = warm_start
        self.memory = memory
        self.device = device
        self.precision = precision
        self.n_jobs = n_jobs
        self.distributed = distributed
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_encoder")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a fitted pretrainer from a file of `save`, or a shipped model by name.

        Parameters
        ----------
        path : path or str
            A file, or a name: "ptbxl" (size m), "ptbxl-s" (size s).

        Raises
        ------
        OSError, ValueError
            If there is no such file, it is damaged, or it holds no pretrainer.
        """
        found = load(path)
        # The file of an embedder holds its pretrainer.
        pretrainer = found if isinstance(found, cls) else getattr(found, "pretrainer", None)
        if not isinstance(pretrainer, cls):
            raise ValueError(f"{os.fspath(path)!r} holds a {type(found).__name__}, not a {cls.__name__}")
        return pretrainer

    def fit(
        self, X: Any, y: Any = None, *, groups: Any = None, rpeaks: Any = None, reports: Any = None, times: Any = None
    ) -> Self:
        """Pretrain on records.

        Parameters
        ----------
        X : array (n_records, n_leads, n_times), table (n_records, n_times), list of ECGRecord or WFDBFolder
            Signals in mV. Arrays, memmaps included, are read batch by batch and never copied as a whole.
        y : array (n_records, ...), optional
            For objectives that need labels; the others ignore it.
        groups : array (n_records,), optional
            Patient of each record.
        rpeaks : sequence of n_records arrays, optional
            R peaks [samples], in place of the detector's.
        reports : sequence of n_records str, optional
            For objectives that need texts; the others ignore them.
        times : array (n_records,), optional
            When records were taken, as dates or days, for objectives with `max_gap_days`; the others ignore them.

        Returns
        -------
        Pretrainer
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If a parameter or a record cannot be used, or an argument is missing that the objective needs: it is named.
        FloatingPointError
            If training diverges.
        OSError
            If a checkpoint cannot be written.
        """
        given = {"y": y, "groups": groups, "reports": reports, "times": times}
        return self._train(X, given, rpeaks, max_epochs=self.max_epochs, constant_lr=False, reset=True)

    def partial_fit(
        self, X: Any, y: Any = None, *, groups: Any = None, rpeaks: Any = None, reports: Any = None, times: Any = None
    ) -> Self:
        """Train one more epoch on records, with the constant rate `lr`; parameters as for `fit`.

        The optimiser starts anew with each call, and checkpoints are not written.
        """
        given = {"y": y, "groups": groups, "reports": reports, "times": times}
        return self._train(X, given, rpeaks, max_epochs=1, constant_lr=True, reset=not self.__sklearn_is_fitted__())

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Embed records.

        Parameters
        ----------
        X : as for `fit`
            Any length from 0.3 s; records over 15 s are embedded in windows of 10 s and averaged.

        Returns
        -------
        ndarray (n_records, n_dims) float32
            To rounding, the embedding of a record does not depend on the others. One that is NaN throughout gives NaN.
        """
        check_is_fitted(self)
        check_number("batch_size", self.batch_size, Integral, 1)
        encoder = self.encoder_
        source = self._source_for(encoder, X, reset=False, n_leads=rules.expected_leads(encoder))
        run = {name: getattr(self, name) for name in ("batch_size", "device", "precision", "check")}
        return self._as_output(embed_rhythm(encoder, source, **run), source, X)

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
        check_number("batch_size", self.batch_size, Integral, 1)
        encoder = self.encoder_
        source = self._source_for(encoder, X, reset=False, n_leads=rules.expected_leads(encoder))
        model = encoder.model(self.device, self.precision)
        blocks = embed(source, model, batch_size=self.batch_size, levels=levels, rpeaks=rpeaks, check=self.check)
        return gather(blocks, levels)

    def untrained_encoder(self, seed: int) -> FittedEncoder:
        """Return the encoder that this pretrainer's parameters describe, with random weights from a seed.

        Parameters
        ----------
        seed : int

        Raises
        ------
        TypeError, ValueError
            If a parameter cannot be used; the message names it and its value.
        """
        objective, front_end = self._checked()
        encoder = self._encoder_name(objective)
        return FittedEncoder.untrained(encoder, self.encoder_params, front_end, seed, **self._described())

    @property
    def encoder_(self) -> FittedEncoder:
        """The trained encoder; `fs`, `leads` and `allow_nan` are the estimator's present ones.

        Raises
        ------
        NotFittedError
            If it is not fitted.
        ValueError
            If a parameter that describes the network was changed after `fit`.
        """
        if not hasattr(self, "_encoder"):
            raise NotFittedError(f"This {type(self).__name__} instance is not fitted yet. Call 'fit' first.")
        found: FittedEncoder = self._encoder
        rules.refuse_changes(self.get_params(deep=False) | {"encoder": self._encoder_name(self.objective_)}, found)
        return found.described(**self._described())

    @encoder_.setter
    def encoder_(self, encoder: FittedEncoder) -> None:
        self._encoder = encoder

    @property
    def n_leads_(self) -> int | None:
        """Leads of X in `fit`."""
        return self.encoder_.n_leads

    def _described(self) -> dict[str, Any]:
        return rules.described_by(self.get_params(deep=False))

    def _encoder_name(self, objective: Objective) -> Any:
        return objective.default_encoder if self.encoder is None else self.encoder

    def _checked(self) -> tuple[Objective, FrontEnd]:
        front_end = rules.check_parameters(self.get_params(deep=False))
        return rules.checked_objective(self.component("objective", Objective)), front_end

    def _train(self, X: Any, given: dict[str, Any], rpeaks: Any, **how: Any) -> Self:
        ranks, device = join(self.distributed, resolve_device(self.device))
        with together(ranks):
            return self._trained(X, given, rpeaks, ranks, device, **how)

    def _trained(
        self, X: Any, given: dict[str, Any], rpeaks: Any, ranks: Ranks | None, device: torch.device, *,
        max_epochs: int, constant_lr: bool, reset: bool,
    ) -> Self:
        objective, front_end = self._checked()
        needed = rules.needed_arguments(objective, given)
        n_leads = None if reset else self.encoder_.n_leads
        expected = None if reset else rules.expected_leads(self.encoder_)
        seed, encoder = shared(ranks, seed_of(self.random_state)), self._encoder_name(objective)
        module, generator = build_module(encoder, self.encoder_params, front_end.fs_model, seed)
        objective.check_encoder(module)
        again = not reset or (self.warm_start and self.__sklearn_is_fitted__())
        start = Start(self._encoder.weights, self.heads_) if again else None
        source = self._source(X, fs=self.fs, leads=self.leads, allow_nan=self.allow_nan, reset=reset, n_leads=expected)
        if source.n_records < 2:
            raise ValueError(f"n_samples = {source.n_records}: pretraining needs at least 2 records")
        parameters = self.get_params(deep=False)
        settings = TrainingSettings.from_parameters(
            parameters, max_epochs=max_epochs, seed=seed, constant_lr=constant_lr, device=device, ranks=ranks,
            checkpoint_dir=None if constant_lr else self.checkpoint_dir, first_epoch=0 if reset else self.n_iter_,
            fingerprint=rules.fingerprint_of(parameters, objective, encoder, seed),
        )
        of_fit = {"groups": given["groups"], "rpeaks": rpeaks, "arguments": needed}
        trained = pretrain(objective, module, generator, source, front_end, settings, start=start, **of_fit)
        described = {**self._described(), "n_leads": source.n_leads if reset else n_leads}
        self.encoder_ = FittedEncoder(encoder, deepcopy(self.encoder_params), trained.weights, front_end, **described)
        self.objective_, self.device_ = objective, trained.device
        self.heads_: dict[str, NDArray] = trained.heads
        self.history_: list[dict[str, Any]] = trained.history if reset else self.history_ + trained.history
        self.n_iter_: int = len(self.history_)
        return self
