"""FineTunedClassifier: encoder and linear head trained end to end on labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from ..classifiers.scored import ScoredClassifier
from ..components import register, seed_of
from ..embedding.file_checks import check_head, check_labelled
from ..embedding.starting_encoder import LabelledEstimator, read_by
from ..embedding.stream import embed_rhythm
from ..inputs.groups import group_codes
from ..nn.blocks import Encoder
from ..nn.devices import resolve_device, training_precision
from ..nn.weights import trained_arrays
from ..training.net import make_net, optimizer_settings, run_epochs
from ..training.progress import ProgressBar
from ..views.augment import VCGViews, checked_views
from .batches import LabelledBatches, LabelledRecords, read_labelled
from .labels import encode_labels, hold_out
from .net import BestEpoch, ClassifierModule, LabelLoss
from .probe import NORM_EPS
from .start import MANY_RECORDS, FineTuningPlan, check_fine_tuning, plan_of, start_at_frozen

_ENCODER = "encoder."


@register
class FineTunedClassifier(ScoredClassifier, LabelledEstimator):
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

    defaults: ClassVar[Mapping[str, Any]] = {"views": VCGViews}
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

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "head_")

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
        check_fine_tuning(self)
        seed = seed_of(self.random_state)
        start, scratch = self._starting_encoder(seed)
        source = self._read_as(X, start, reset=True)
        targets = encode_labels(y, source.n_records, self.class_weight, sample_weight)
        patients = group_codes(groups, source.n_records)
        records = read_labelled(source, start.front_end, targets, self.check)
        train, valid = records.usable, records.usable[:0]
        if self._stops_early(len(train)):
            train, valid = hold_out(train, targets, patients, float(self.validation_fraction), seed)
        module = ClassifierModule(start.module(), start.front_end.beat_phases, targets.n_outputs, adapt_norm=scratch)
        plan = plan_of(self.get_params(deep=False), len(train), scratch)
        if not scratch:
            # `read_labelled` has told what looks odd.
            embedding = embed_rhythm(start, source, **{**self._run(), "check": "ignore"})
            start_at_frozen(module, embedding, targets, train, patients, plan.from_probe, seed)
        weights = self._train(module, records, train, valid, plan, seed)
        encoder = {k.removeprefix(_ENCODER): a for k, a in weights.items() if k.startswith(_ENCODER)}
        self.encoder_ = replace(start.fitted_with(encoder), **read_by(start, source), allow_nan=self.allow_nan)
        self.head_ = {k: array for k, array in weights.items() if not k.startswith(_ENCODER)}
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
        logits = self._logits(X)
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
        logits = self._logits(X)
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
        logits = self._logits(X)
        unknown = np.flatnonzero(np.isnan(logits).any(axis=1))
        if len(unknown):
            raise ValueError(f"X: record {unknown[0]} is NaN throughout, and has no class; predict_proba gives it NaN")
        if self.multi_label_:
            return (logits > 0).astype(np.int64)
        return self.classes_[logits.argmax(axis=1) if logits.shape[1] > 1 else (logits[:, 0] > 0).astype(np.int64)]

    def _logits(self, X: Any) -> NDArray[np.float64]:
        source = self._read_as(X, self.encoder_, reset=False)
        z = embed_rhythm(self.encoder_, source, **self._run()).astype(np.float64)
        head = self.head_
        z = (z - head["norm.running_mean"]) / np.sqrt(head["norm.running_var"].astype(np.float64) + NORM_EPS)
        return z @ head["linear.weight"].T.astype(np.float64) + head["linear.bias"]

    def _run(self) -> dict[str, Any]:
        run = ("batch_size", "device", "precision", "check")
        return {name: getattr(self, name) for name in run}

    def _stops_early(self, n_records: int) -> bool:
        if self.early_stopping == "auto":
            return n_records >= MANY_RECORDS and self.max_epochs > 0
        return bool(self.early_stopping)

    def _train(
        self,
        module: ClassifierModule,
        records: LabelledRecords,
        train: NDArray[np.int64],
        valid: NDArray[np.int64],
        plan: FineTuningPlan,
        seed: int,
    ) -> dict[str, NDArray]:
        device = resolve_device(self.device)
        pieces = replace(records, window=min(records.window, plan.window))
        batches, held_out = (
            LabelledBatches(
                seen,
                index,
                batch_size=self.batch_size,
                views=views,
                dropout=float(self.dropout),
                n_dims=module.norm.num_features,
                stride=cast(Encoder, module.encoder).stride,
                device=device,
                seed=seed,
            )
            for seen, index, views in ((pieces, train, checked_views(self.views)), (records, valid, None))
        )
        best = BestEpoch(self.patience) if len(valid) else None
        bar = [ProgressBar(len(batches) * self.max_epochs, "fine-tune")] if self.verbose > 0 else []
        net = make_net(
            module,
            LabelLoss(records.targets.softmax),
            max_epochs=self.max_epochs,
            device=device,
            precision=training_precision(self.precision, device, len(train) * self.max_epochs),
            held_out=held_out if len(valid) else None,
            callbacks=bar + ([best] if best else []),
            **optimizer_settings(plan.lr, self.weight_decay, plan.encoder_lr),
        )
        self.history_ = run_epochs(net, batches, self.max_epochs, best)
        self.best_epoch_ = len(net.history) if best is None else best.epoch_
        if best is not None:
            best.restore(net)
        self.n_iter_ = len(self.history_)
        self.device_ = str(device)
        return trained_arrays(net.module_, plan.lr)
