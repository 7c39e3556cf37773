"""ReportAligner: records and reports in one space, as a scikit-learn transformer that answers questions in words."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from .._optional import find_stack_level
from ..components import component_named, register, seed_of
from ..embedding.starting_encoder import read_by
from ..inputs.source import Source
from ..nn.devices import resolve_device
from ..persistence import load
from ..text import normalised
from ..views.augment import NoViews
from .objective import Objective
from .parameters import checked_objective, fingerprint_of
from .report_alignment import ReportAlignment
from .report_answers import ReportAnswers
from .report_checks import check_aligner, check_aligner_file
from .report_fit import digest_of_weights, fit_heads, fit_network, frequent_reports
from .report_kept import without_records
from .report_texts import read_reports
from .run import TrainingSettings

# Frequent reports that are kept for captions.
N_CAPTIONS = 1000
_N_VIEWS = 4
# Steps that a fit takes, and its fewest and most epochs.
N_STEPS, _N_EPOCHS = 400, (10, 100)


@register
class ReportAligner(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ReportAnswers):
    """Bring records and their reports together: then ECGs answer prompts, and texts find ECGs.

    Parameters
    ----------
    pretrainer : fitted estimator, FittedEncoder, path, str or None, default="ptbxl"
        What reads the ECGs: anything that has an `encoder_`, a file written by `save`, or a shipped model's name; it is
        never changed. An unfitted pretrainer describes an encoder that is trained from scratch, and None is the default
        one.
    objective : ReportAlignment, default=None
        What is learnt; None is ``ReportAlignment()``. ``objective__token_loss`` reaches its parameters.
    fs : float, default=None
        Sampling rate of X [Hz]; None is the pretrainer's.
    leads : sequence of str, default=None
        Names of the leads of X; None is the pretrainer's. Any subset of the twelve.
    allow_nan : bool, default=False
        Whether NaN counts as missing samples instead of being an error.
    check : {"warn", "raise", "ignore"}, default="warn"
        What to do with records that look odd; see `Pretrainer`.
    max_epochs : int, default=None
        None is what makes about 400 steps, at least 10 and at most 100.
    batch_size : int, default=256
        Records per step.
    lr : float, default=1e-3
        Largest rate of the heads, with RAdam and decoupled weight decay.
    encoder_lr : float, default=None
        Largest rate of the encoder. 0 keeps it as it is: records are then read once, which is fast, and the token
        losses "bag" and "mlm" are left out, which could only change the encoder. None is 0 for a pretrained encoder,
        and `lr` from scratch.
    weight_decay : float, default=0.05
    n_views : int, default=None
        Views of each record that an encoder reads that stays as it is; the first is the record itself. None is 1, or 4
        if the objective has views such as ``LeadMasking()``. A view of a record takes about 25 kB of memory, and
        150 kB if tokens are looked at.
    keep_records : bool, default=True
        Whether the vector of each record, and the most frequent reports, are kept for `retrieve` and `caption`. False
        keeps 512 vectors, for probabilities, and no text: for a model that is given away. If it is set to False after
        `fit`, `save` and pickles leave the rest out; True brings nothing back.
    checkpoint_dir : str or path, default=None
        Folder for checkpoints of a run that trains the encoder, too; see `Pretrainer`.
    callbacks : list of skorch callbacks, default=None
    memory : str or joblib.Memory, default=None
        Cache of what an encoder that stays as it is says of the records, for other fits on the same records, as in a
        search over the objective's parameters.
    device : str, default=None
        None is the best there is.
    precision : {"auto", "bf16", "fp32"}, default="auto"
        As for `Pretrainer`.
    n_jobs : int, default=None
        Threads that read records before training.
    random_state : int, RandomState or None, default=None
    verbose : int, default=0
        0 is silent; 1 shows progress bars.

    Attributes
    ----------
    encoder_ : FittedEncoder
        What reads the ECGs. Embedders take this estimator as their pretrainer.
    objective_ : ReportAlignment
        The objective as it was used, with its text encoder `text_`.
    heads_ : dict of ndarray
        What maps ECGs and texts into one space.
    gallery_ : ndarray (n, p) float16
        Vectors of the records of `fit` that have a report, or of 512 of them.
    gallery_rows_ : ndarray of int64 (n,)
        Rows of X that they belong to.
    captions_ : ndarray of str
        The most frequent reports of `fit`, normalised; at most 1000.
    history_ : list of dict
        One entry per epoch: `train_loss`, `rhythm_loss`, `token_loss`, `beat_loss`, ...
    n_iter_ : int
    device_ : str
    n_features_in_ : int
        Leads of X.

    Notes
    -----
    Answers are no diagnoses. A report is to a large part the label in other words; what this learns is what the
    reports of `fit` say, in their languages, with their errors.

    References
    ----------
    Wang et al. MELP. ICML 2025, arXiv 2506.21803. Radford et al. CLIP. ICML 2021.

    Examples
    --------
    >>> from beatssl_sklearn import ReportAligner, make_ecg
    >>> ecg = make_ecg(16, rhythm=["sinus", "af"], fs=100, random_state=0)
    >>> reports = ["Vorhofflimmern." if name == "af" else "Sinusrhythmus. Normales EKG." for name in ecg.rhythm]
    >>> aligner = ReportAligner("ptbxl-s", fs=100, max_epochs=2, random_state=0).fit(ecg.data, reports=reports)
    >>> aligner.predict_proba(ecg.data, prompts={"AF": ["atrial fibrillation"], "SR": ["sinus rhythm"]}).shape
    (16, 2)
    """

    defaults: ClassVar[Mapping[str, Any]] = {"objective": ReportAlignment}
    _in_file: ClassVar[tuple[str, ...]] = (
        *("trained_", "reading_", "encoder_digest_"),
        *("objective_", "heads_", "gallery_", "gallery_rows_", "captions_"),
        *("history_", "n_iter_", "device_", "n_features_in_"),
    )
    _check_file = check_aligner_file

    def __init__(
        self,
        pretrainer: Any = "ptbxl",
        *,
        objective: ReportAlignment | None = None,
        fs: float | None = None,
        leads: Sequence[str] | None = None,
        allow_nan: bool = False,
        check: str = "warn",
        max_epochs: int | None = None,
        batch_size: int = 256,
        lr: float = 1e-3,
        encoder_lr: float | None = None,
        weight_decay: float = 0.05,
        n_views: int | None = None,
        keep_records: bool = True,
        checkpoint_dir: Any = None,
        callbacks: list[Any] | None = None,
        memory: Any = None,
        device: Any = None,
        precision: str = "auto",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.pretrainer = pretrainer
        self.objective = objective
        self.fs = fs
        self.leads = leads
        self.allow_nan = allow_nan
        self.check = check
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.encoder_lr = encoder_lr
        self.weight_decay = weight_decay
        self.n_views = n_views
        self.keep_records = keep_records
        self.checkpoint_dir = checkpoint_dir
        self.callbacks = callbacks
        self.memory = memory
        self.device = device
        self.precision = precision
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "heads_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        assert tags.transformer_tags is not None
        tags.transformer_tags.preserves_dtype = []
        return tags

    @property
    def _n_features_out(self) -> int:
        return int(self.objective_.projection_dim)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a fitted aligner from a file of `save`, or a shipped one by name.

        Parameters
        ----------
        path : path or str
            A file, or a name: "ptbxl-reports".

        Raises
        ------
        OSError
            If there is no such file.
        ValueError
            If the file is damaged, or holds no aligner.
        """
        found = load(path)
        if not isinstance(found, cls):
            held = f"{os.fspath(path)!r} holds a {type(found).__name__}, not a {cls.__name__}"
            raise ValueError(f"{held}; 'ptbxl-reports' comes with the package")
        return found

    def fit(self, X: Any, y: Any = None, *, reports: Any = None) -> Self:
        """Align records with their reports.

        Parameters
        ----------
        X : as for `BeatSSLPretrainer.fit`
        y : ignored
        reports : sequence of n_records (str or None)
            Reports in any language; None, NaN or "" where a record has none. These records are left out.

        Returns
        -------
        ReportAligner
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If a parameter, a record or a report cannot be used, or `reports` is missing; the message names it.
        FloatingPointError
            If training diverges.
        """
        check_aligner(self.get_params(deep=False))
        objective = self._checked_alignment()
        if reports is None:
            raise ValueError("ReportAligner needs reports: fit(X, reports=...)")
        seed = seed_of(self.random_state)
        start, scratch = self._starting_encoder(seed)
        source = self._read_as(X, start, reset=True)
        n_known = sum(bool(normalised(text)) for text in read_reports(reports, source.n_records))
        encoder_lr = (self.lr if scratch else 0.0) if self.encoder_lr is None else self.encoder_lr
        settings = TrainingSettings.from_parameters(
            {**self.get_params(deep=False), "validation_fraction": None},
            max_epochs=self._n_epochs(n_known),
            seed=seed,
            device=resolve_device(self.device),
            encoder_lr=encoder_lr,
            fingerprint=fingerprint_of(self.get_params(deep=False), objective, start.encoder, seed),
        )
        if encoder_lr == 0:
            self._leave_out_tokens(objective)
            several = not isinstance(objective.component("views"), NoViews)
            n_views = (_N_VIEWS if several else 1) if self.n_views is None else self.n_views
            fitted = fit_heads(objective, start, source, reports, settings, n_views)
        else:
            fitted = fit_network(objective, start, source, reports, settings)
        kept = start if scratch else None
        self.trained_ = kept if fitted.encoder is None else start.fitted_with(fitted.encoder)
        self.reading_ = {**read_by(start, source), "allow_nan": self.allow_nan}
        self.encoder_digest_ = digest_of_weights(self.trained_ or start)
        self.objective_, self.heads_, self.history_ = objective, fitted.heads, fitted.history
        self.n_iter_, self.device_ = len(fitted.history), str(settings.device)
        self._keep(source, reports, fitted.rows, fitted.gallery)
        return self

    def _checked_alignment(self) -> ReportAlignment:
        """Return a clone of the objective, which must bring ECGs and texts together."""
        given: Any = self.objective
        if isinstance(given, str):
            try:
                given = component_named(given, Objective)
            except ValueError as error:
                raise ValueError(f"objective must be a ReportAlignment or None: {error}") from None
        if given is not None and not isinstance(given, ReportAlignment):
            raise TypeError(f"objective must be a ReportAlignment or None, got {self.objective!r:.120}")
        objective = cast(ReportAlignment, checked_objective(ReportAlignment() if given is None else given))
        # The words that a network writes come from the tokens; everything else needs ECGs and texts in one space.
        if not objective.rhythm_weight + objective.beat_weight > 0 and objective.token_loss != "caption":
            raise ValueError(
                f"objective has rhythm_weight=0 and beat_weight=0: there is nothing to learn that brings ECGs and "
                f"texts together, and token_weight={objective.token_weight!r} alone does not; set one of the two"
            )
        return objective

    def _leave_out_tokens(self, objective: ReportAlignment) -> None:
        """Leave out a token loss that would only train a head that nothing uses, and say so where it was asked for."""
        if objective.token_loss == "caption" or objective.beat_source == "queries":
            return
        default = ReportAlignment()
        if (objective.token_loss, objective.token_weight) != (default.token_loss, default.token_weight):
            warnings.warn(
                f"token_loss={objective.token_loss!r} is left out: it can only change an encoder, and this one stays "
                f"as it is; set encoder_lr above 0, or token_loss='caption'",
                UserWarning,
                stacklevel=find_stack_level(),
            )
        objective.token_weight = 0.0

    def _n_epochs(self, n_records: int) -> int:
        if self.max_epochs is not None:
            return int(self.max_epochs)
        return int(np.clip(N_STEPS * self.batch_size // max(1, n_records), *_N_EPOCHS))

    def _keep(self, source: Source, reports: Any, rows: NDArray[np.int64], z: NDArray[np.float32] | None) -> None:
        """Keep what probabilities, `retrieve` and `caption` need of the records of `fit`."""
        z = self._aligned(source, check="ignore")[rows] if z is None else z
        known = np.isfinite(z).all(axis=1)
        rows, z = rows[known], z[known]
        self.captions_: NDArray[np.str_] = frequent_reports(reports, rows, N_CAPTIONS if self.keep_records else 0)
        self.gallery_: NDArray[np.float16] = z.astype(np.float16)
        self.gallery_rows_: NDArray[np.int64] = rows
        if not self.keep_records:
            self.__dict__.update(without_records(self.gallery_, self.gallery_rows_))

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return records in the space that they share with texts.

        Parameters
        ----------
        X : as for `fit`

        Returns
        -------
        ndarray (n_records, p) float32
            Unit vectors: products with those of `encode_text` are cosines. A record that is NaN throughout gives NaN.
        """
        check_is_fitted(self)
        return self._aligned(self._read_as(X, self.encoder_, reset=False), check=self.check)
