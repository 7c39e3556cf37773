"""FineTunedClassifier: encoder and linear head trained end to end on labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from ..classifiers.scored import ScoredClassifier
from ..components import register
from ..embedding.file_checks import check_head, check_labelled
from .estimator import FineTunedEstimator
from .labels import LabelTargets, encode_labels, hold_out
from .net import LabelLoss
from .probe import fit_probe
from .start import check_fine_tuning


@register
class FineTunedClassifier(ScoredClassifier, FineTunedEstimator):
    """Train encoder and linear head end to end on labels of records.

    With few records, a pretrained encoder starts exactly at its frozen linear probe: the head is first fitted to the
    frozen embedding (regularised logistic regression, penalty by cross-validation), then both are trained on views of
    the records, slowly. With many, the head starts at zero and both are trained with larger rates, from which more
    is learnt than near the probe.

    Parameters
    ----------
    pretrainer : fitted estimator, FittedEncoder, path, str or None, default="ptbxl"
        Anything that has an `encoder_`, a file written by `save`, or a shipped model's name; it is never changed, and
        `clone` keeps it. An unfitted pretrainer describes what to train from scratch: its encoder begins at random
        weights drawn with this classifier's `random_state`; nothing is pretrained. None is the default encoder from
        scratch.
    fs : float, default=None
        Sampling rate of X [Hz]; None is the pretrainer's.
    leads : sequence of str, default=None
        Names of the leads of X; None is the pretrainer's. Any subset of the twelve.
    max_epochs : int, default=10
        0 keeps the frozen encoder and the head as it was initialised.
    batch_size : int, default=32
        Records per step, and per pass in prediction, where it does not change the result.
    lr : float, default=None
        Largest rate of the head, with RAdam and decoupled weight decay; rates rise over the first tenth of the steps
        and fall as a cosine. None is 1e-4 from a probe on, otherwise 1e-2.
    encoder_lr : float, default=None
        Largest rate of the encoder. 0 keeps a pretrained encoder as it is. None is a fifth of `lr` for a pretrained
        encoder whose head starts at zero, otherwise `lr`.
    window : float, default=None
        Seconds of a record that a training step sees, another piece in each epoch; validation and prediction see all.
        None is 5 s for a pretrained encoder whose head starts at zero, otherwise the whole record.
    weight_decay : float, default=0.05
        Of weights, not of biases and normalisations.
    head_init : {"auto", "probe", "zero"}, default="auto"
        "probe": the frozen probe, where the encoder is pretrained. "zero": no knowledge, on an embedding that is
        standardised all the same. "auto": "zero" from 5000 training records on.
    dropout : float, default=0.0
        Share of the embedding's entries that are set to 0 in training.
    class_weight : None, "balanced" or dict, default=None
        As in scikit-learn; for labels that are several, a dict gives the weight of each column's positive records.
    views : component or callable, default=None
        Draws the view of each record that an epoch trains on: None is ``VCGViews()``; ``VCGViews(lead_drop=.5)`` makes
        a classifier of whatever leads there are.
    early_stopping : bool or "auto", default="auto"
        Whether to hold out records, and to keep the weights of the epoch with the least validation loss, which may be
        those of the start. "auto" does so from 1000 records on: with fewer, the records are worth more in training.
    patience : int, default=None
        Epochs without a new least validation loss after which training stops. None trains all epochs: the largest
        rates, at the beginning, raise the loss of a pretrained network above its probe's loss for a while.
    validation_fraction : float, default=0.1
        Share that is held out, in whole groups and with class shares as even as they can be.
    allow_nan : bool, default=False
        Whether NaN counts as missing samples instead of being an error.
    check : {"warn", "raise", "ignore"}, default="warn"
        What to do with records that look odd; see `Pretrainer`.
    device : str, default=None
        None is the best there is.
    precision : {"auto", "bf16", "fp32"}, default="auto"
        As for `Pretrainer`: "auto" predicts in fp32, and trains with bf16 autocast where the hardware computes
        bf16 and the run is long.
    random_state : int, RandomState or None, default=None
    verbose : int, default=0
        0 is silent; 1 shows a progress bar.

    Attributes
    ----------
    classes_ : ndarray
        Labels; the numbers of the columns where labels are several.
    multi_label_ : bool
        Whether `y` in `fit` had a column per class.
    history_ : list of dict
        One entry per epoch: `train_loss`, `lr`, `records_per_second`, `seconds`, and with early stopping
        `valid_loss` and `valid_auroc`, the macro average.
    n_iter_ : int
        Epochs trained.
    best_epoch_ : int
        Epoch whose weights were kept, counted from 1; 0 is the start.
    encoder_ : FittedEncoder
        The fine-tuned encoder; embedders take this classifier as their pretrainer.
    head_ : dict of ndarray
        Statistics and weights of the head.
    device_ : str
        Where the fit ran.
    n_features_in_ : int
        Leads of X, or samples where X was a table (n_records, n_times) of one lead.

    Notes
    -----
    BatchNorm keeps its pretrained statistics in fine-tuning, and follows the batches in training from scratch. Of
    records over 15 s, training sees 10 s at a time at most, and they are predicted from the average over their windows'
    embeddings.
    Pickles hold arrays and no training data.

    References
    ----------
    Kumar et al., "Fine-tuning can distort pretrained features and underperform out-of-distribution", ICLR 2022 (linear
    probing, then fine-tuning).

    Examples
    --------
    >>> from beatssl_sklearn import BeatSSLPretrainer, FineTunedClassifier, make_ecg
    >>> ecg = make_ecg(16, rhythm="mixed", fs=100, random_state=0)
    >>> pre = BeatSSLPretrainer(fs=100, encoder_params={"size": "s"}, max_epochs=1, batch_size=8, random_state=0)
    >>> clf = FineTunedClassifier(pre.fit(ecg.data), max_epochs=1, random_state=0).fit(ecg.data, ecg.target)
    >>> clf.predict(ecg.data).shape
    (16,)
    """

    _in_file: ClassVar[tuple[str, ...]] = (
        *("encoder_", "head_", "classes_", "multi_label_"),
        *("history_", "n_iter_", "best_epoch_", "device_", "n_features_in_"),
    )

    def __init__(
        self,
        pretrainer: Any = "ptbxl",
        *,
        fs: float | None = None,
        leads: Sequence[str] | None = None,
        max_epochs: int = 10,
        batch_size: int = 32,
        lr: float | None = None,
        encoder_lr: float | None = None,
        window: float | None = None,
        weight_decay: float = 0.05,
        head_init: str = "auto",
        dropout: float = 0.0,
        class_weight: Any = None,
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
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.encoder_lr = encoder_lr
        self.window = window
        self.weight_decay = weight_decay
        self.head_init = head_init
        self.dropout = dropout
        self.class_weight = class_weight
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
        assert tags.classifier_tags is not None
        tags.classifier_tags.multi_label = True
        # On the two-sample "signals" that scikit-learn scores classifiers with.
        tags.classifier_tags.poor_score = True
        return tags

    def _encode(self, y: Any, n_records: int, sample_weight: Any) -> LabelTargets:
        return encode_labels(y, n_records, self.class_weight, sample_weight)

    def _hold_out(
        self, index: NDArray[np.int64], targets: LabelTargets, patients: NDArray[np.int64] | None, seed: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return hold_out(index, targets, patients, float(self.validation_fraction), seed)

    def _probe(self) -> Callable[..., Any]:
        return fit_probe

    def _loss(self, targets: LabelTargets) -> LabelLoss:
        return LabelLoss(targets.softmax)

    def _check_file(self) -> None:
        check_fine_tuning(self)
        check_labelled(self)
        if hasattr(self, "head_"):
            check_head(self.encoder_, self.head_, self.classes_, self.multi_label_)

    def fit(self, X: Any, y: Any, *, groups: Any = None, sample_weight: Any = None) -> FineTunedClassifier:
        """Train on labelled records.

        Parameters
        ----------
        X : as for `BeatSSLPretrainer.fit`
        y : array (n_records,) or (n_records, n_classes)
            One label per record (softmax cross entropy), or 0 and 1 in one column per class (a sigmoid each).
        groups : array (n_records,), optional
            Patient of each record: validation, and the choice of the probe's penalty, keep patients together.
        sample_weight : array (n_records,), optional
            How many records each one counts as. To the frozen probe, a weight of 2 is the record twice, both in one
            group; in training it multiplies the loss. A record of weight 0 is as if it were absent: it is checked, and
            used for nothing.

        Returns
        -------
        FineTunedClassifier
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If a parameter, a record, a label, a group or a weight cannot be used, or a class has no record; the
            message names it.
        FloatingPointError
            If training diverges.
        """
        targets = cast(LabelTargets, self._fit_targets(X, y, groups, sample_weight))
        self.classes_ = targets.classes
        self.multi_label_ = targets.multi_label
        return self

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the logit of each class.

        Parameters
        ----------
        X : as for `fit`

        Returns
        -------
        ndarray (n_records, n_classes) float64, or (n_records,) of the second class if there are two
            Before sigmoid or softmax.
        """
        check_is_fitted(self)
        logits = self._outputs(X)
        return logits if logits.shape[1] > 1 or self.multi_label_ else logits[:, 0]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class.

        Parameters
        ----------
        X : as for `fit`

        Returns
        -------
        ndarray (n_records, n_classes) float64
            Rows sum to 1, unless records have several labels.
        """
        check_is_fitted(self)
        logits = self._outputs(X)
        if self.multi_label_:
            return expit(logits)
        if logits.shape[1] == 1:
            return np.hstack([expit(-logits), expit(logits)])
        return softmax(logits, axis=1)

    def predict(self, X: Any) -> NDArray:
        """Return the most probable class.

        Parameters
        ----------
        X : as for `fit`

        Returns
        -------
        ndarray (n_records,), or (n_records, n_classes) if records have several labels
            Classes, or 0 and 1.
        """
        check_is_fitted(self)
        logits = self._outputs(X)
        unknown = np.flatnonzero(np.isnan(logits).any(axis=1))
        if len(unknown):
            raise ValueError(f"X: record {unknown[0]} is NaN throughout, and has no class; predict_proba gives it NaN")
        if self.multi_label_:
            return (logits > 0).astype(np.int64)
        return self.classes_[logits.argmax(axis=1) if logits.shape[1] > 1 else (logits[:, 0] > 0).astype(np.int64)]
