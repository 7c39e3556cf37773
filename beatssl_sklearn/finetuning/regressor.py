"""FineTunedRegressor: encoder and linear head trained end to end on numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from ..components import check_bounds, register
from ..embedding.file_checks import check_labelled, check_linear_head
from ..inputs.labels import checked_weights
from .estimator import FineTunedEstimator
from .net import VALUE_LOSSES, ValueLoss
from .ridge import fit_ridge_probe
from .start import check_fine_tuning
from .values import ValueTargets, encode_values, hold_out_values, mean_r2, numbers_of


@register
class FineTunedRegressor(RegressorMixin, FineTunedEstimator):
    """Train encoder and linear head end to end on numbers, such as age, ejection fraction or potassium.

    It starts and trains as `FineTunedClassifier` does. The frozen probe is a ridge regression, each target with a
    penalty of its own by cross-validation. Targets are standardised inside: the losses of `history_` are in standard
    deviations, and predictions in the unit of `y`.

    Parameters
    ----------
    pretrainer : fitted estimator, FittedEncoder, path, str or None, default="ptbxl"
        As for `FineTunedClassifier`.
    fs : float, default=None
        Sampling rate of X [Hz]; None is the pretrainer's.
    leads : sequence of str, default=None
        Names of the leads of X; None is the pretrainer's. Any subset of the twelve.
    loss : {"squared_error", "huber", "absolute_error"}, default="squared_error"
        Huber's is quadratic up to an error of one standard deviation of the target, and linear beyond. It and the
        absolute error follow outliers less. The probe at the start has the squared error always.
    max_epochs : int, default=10
        0 keeps the frozen encoder and the head as it was initialised.
    batch_size : int, default=32
        Records per step, and per pass in prediction, where it does not change the result.
    lr : float, default=None
        Largest rate of the head. None is 1e-4 from a probe on, otherwise 1e-2.
    encoder_lr : float, default=None
        Largest rate of the encoder. 0 keeps a pretrained encoder as it is. None is a fifth of `lr` for a pretrained
        encoder whose head starts at zero, otherwise `lr`.
    window : float, default=None
        Seconds of a record that a training step sees. None is 5 s for a pretrained encoder whose head starts at zero,
        otherwise the whole record.
    weight_decay : float, default=0.05
        Of weights, not of biases and normalisations.
    head_init : {"auto", "probe", "zero"}, default="auto"
        "probe": the frozen probe, where the encoder is pretrained. "zero": the mean of the targets. "auto": "zero" from
        5000 training records on.
    dropout : float, default=0.0
        Share of the embedding's entries that are set to 0 in training.
    views : component or callable, default=None
        Draws the view of each record that an epoch trains on: None is ``VCGViews()``. Views change amplitudes; for a
        target that is an amplitude, take ``NoViews()``.
    early_stopping : bool or "auto", default="auto"
        Whether to hold out records, and to keep the weights of the epoch with the least validation loss. "auto" does so
        from 1000 records on.
    patience : int, default=None
        Epochs without a new least validation loss after which training stops. None trains all epochs.
    validation_fraction : float, default=0.1
        Share that is held out, in whole groups.
    allow_nan : bool, default=False
        Whether NaN in X counts as missing samples instead of being an error.
    check : {"warn", "raise", "ignore"}, default="warn"
        What to do with records that look odd; see `Pretrainer`.
    device : str, default=None
        None is the best there is.
    precision : {"auto", "bf16", "fp32"}, default="auto"
        As for `Pretrainer`.
    random_state : int, RandomState or None, default=None
    verbose : int, default=0
        0 is silent; 1 shows a progress bar.

    Attributes
    ----------
    target_mean_ : ndarray
        Mean of each target over the records of `fit`, of shape (n_targets,); () where `y` had one dimension.
    target_scale_ : ndarray
        Standard deviation of each target, of the same shape.
    history_ : list of dict
        One entry per epoch: `train_loss`, `lr`, `records_per_second`, `seconds`, and with early stopping
        `valid_loss` and `valid_r2`, the mean over the targets.
    n_iter_ : int
        Epochs trained.
    best_epoch_ : int
        Epoch whose weights were kept, counted from 1; 0 is the start.
    encoder_ : FittedEncoder
        The fine-tuned encoder; embedders take this regressor as their pretrainer.
    head_ : dict of ndarray
        Statistics and weights of the head.
    device_ : str
        Where the fit ran.
    n_features_in_ : int
        Leads of X, or samples where X was a table (n_records, n_times) of one lead.

    Notes
    -----
    The rules for few and many records are those that were found for labels. Pickles hold arrays and no training data.

    References
    ----------
    Kumar et al., "Fine-tuning can distort pretrained features and underperform out-of-distribution", ICLR 2022 (linear
    probing, then fine-tuning).

    Examples
    --------
    >>> from beatssl_sklearn import BeatSSLPretrainer, FineTunedRegressor, make_ecg
    >>> ecg = make_ecg(16, fs=100, random_state=0)
    >>> pre = BeatSSLPretrainer(fs=100, encoder_params={"size": "s"}, max_epochs=1, batch_size=8, random_state=0)
    >>> rate = [6.0 * len(rpeaks) for rpeaks in ecg.rpeaks]
    >>> reg = FineTunedRegressor(pre.fit(ecg.data), max_epochs=1, random_state=0).fit(ecg.data, rate)
    >>> reg.predict(ecg.data).shape
    (16,)
    """

    _in_file: ClassVar[tuple[str, ...]] = (
        *("encoder_", "head_", "target_mean_", "target_scale_"),
        *("history_", "n_iter_", "best_epoch_", "device_", "n_features_in_"),
    )

    def __init__(
        self,
        pretrainer: Any = "ptbxl",
        *,
        fs: float | None = None,
        leads: Sequence[str] | None = None,
        loss: str = "squared_error",
        max_epochs: int = 10,
        batch_size: int = 32,
        lr: float | None = None,
        encoder_lr: float | None = None,
        window: float | None = None,
        weight_decay: float = 0.05,
        head_init: str = "auto",
        dropout: float = 0.0,
        views: Any = None,
        early_stopping: bool | str = "auto",
        patience: int | None = None,
        validation_fraction: float = 0.1,
        allow_nan: bool = False,
        check: str = "warn",
        device: Any = None,
        precision: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.pretrainer = pretrainer
        self.fs = fs
        self.leads = leads
        self.loss = loss
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.encoder_lr = encoder_lr
        self.window = window
        self.weight_decay = weight_decay
        self.head_init = head_init
        self.dropout = dropout
        self.views = views
        self.early_stopping = early_stopping
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.allow_nan = allow_nan
        self.check = check
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        assert tags.regressor_tags is not None
        # On the two-sample "signals" that scikit-learn scores regressors with.
        tags.regressor_tags.poor_score = True
        return tags

    def _encode(self, y: Any, n_records: int, sample_weight: Any) -> ValueTargets:
        return encode_values(y, n_records, sample_weight)

    def _hold_out(
        self, index: NDArray[np.int64], targets: ValueTargets, patients: NDArray[np.int64] | None, seed: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return hold_out_values(index, targets, patients, float(self.validation_fraction), seed)

    def _probe(self) -> Callable[..., Any]:
        return fit_ridge_probe

    def _loss(self, targets: ValueTargets) -> ValueLoss:
        return ValueLoss(self.loss)

    def _check_file(self) -> None:
        self._check_parameters()
        check_labelled(self)
        if hasattr(self, "head_"):
            mean, scale = (np.asarray(a) for a in (self.target_mean_, self.target_scale_))
            fits = mean.shape == scale.shape and mean.ndim < 2 and mean.size > 0
            if not fits or mean.dtype.kind != "f" or scale.dtype.kind != "f" or not np.isfinite([mean, scale]).all():
                raise ValueError("target_mean_ and target_scale_ must hold one finite number per target")
            if not (scale > 0).all():
                raise ValueError("target_scale_ has a scale that is not positive")
            check_linear_head(self.encoder_, self.head_, mean.size)

    def _check_parameters(self) -> None:
        check_fine_tuning(self)
        check_bounds({"loss": self.loss}, {"loss": VALUE_LOSSES})

    def fit(self, X: Any, y: Any, *, groups: Any = None, sample_weight: Any = None) -> FineTunedRegressor:
        """Train on records of which numbers are known.

        Parameters
        ----------
        X : as for `BeatSSLPretrainer.fit`
        y : array (n_records,) or (n_records, n_targets)
            Numbers. A value that is missing (NaN, None) is left out of the loss; a record without any is as if it were
            absent.
        groups : array (n_records,), optional
            Patient of each record: validation, and the choice of the probe's penalties, keep patients together.
        sample_weight : array (n_records,), optional
            How many records each one counts as; as for `FineTunedClassifier.fit`.

        Returns
        -------
        FineTunedRegressor
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If a parameter, a record, a value, a group or a weight cannot be used, or a target has no value; the
            message names it.
        FloatingPointError
            If training diverges.
        """
        self._check_parameters()
        targets = cast(ValueTargets, self._fit_targets(X, y, groups, sample_weight))
        self.target_mean_, self.target_scale_ = targets.mean, targets.scale
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the values of records.

        Parameters
        ----------
        X : as for `fit`

        Returns
        -------
        ndarray (n_records,) or (n_records, n_targets) float64
            In the unit of `y`, and of its dimensions; NaN for a record that is NaN throughout.
        """
        check_is_fitted(self)
        outputs = self._outputs(X).reshape(-1, *self.target_mean_.shape)
        values: NDArray[np.float64] = outputs * self.target_scale_ + self.target_mean_
        return values

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the coefficient of determination R2, the mean over the targets.

        Parameters
        ----------
        X : as for `fit`
        y : array (n_records,) or (n_records, n_targets)
            Numbers; values that are missing are left out.
        sample_weight : array (n_records,), default=None
            Weights of the records.

        Returns
        -------
        float
            At most 1; 0 is the mean of `y`, and NaN that no target has two values.

        Raises
        ------
        ValueError
            If shapes differ, or a record is NaN throughout; the message names it.
        """
        check_is_fitted(self)
        given, predicted = numbers_of(y), self.predict(X)
        if given.shape != predicted.shape:
            raise ValueError(f"y must have the shape of the predictions {predicted.shape}, got {given.shape}")
        true, guess = (a.reshape(len(a), -1) for a in (given, predicted))
        counts = checked_weights(sample_weight, len(true))
        weights = ~np.isnan(true) * (np.ones(len(true)) if counts is None else counts)[:, None]
        unknown = np.flatnonzero(np.isnan(guess).any(axis=1) & weights.any(axis=1))
        if len(unknown):
            raise ValueError(f"X: record {unknown[0]} is NaN throughout, and has no prediction to score")
        return mean_r2(true, guess, weights)
