"""WaveMeasures: amplitudes, durations, intervals and criteria of records, as named columns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import copy, deepcopy
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, check_memory
from tqdm import tqdm

from .._file_values import check_described, check_type
from ..components import check_number, register
from ..ecg.leads import LEADS, place_leads
from ..ecg.waves.measures import WAVE_MEASURES, wave_measures
from ..ecg.waves.usual_measures import USUAL_MEASURES
from ..embedding.encoder_checks import check_reading
from ..embedding.output import RecordOutput
from ..inputs.plausibility import RecordCheck
from ..inputs.reading import SignalTransformer
from ..inputs.source import Block, Source
from ..nn.devices import check_precision, resolve_device
from ..nn.inference import bf16_supported
from ..persistence import load_shared, shipped_models
from .fitted_unet import FittedUNet, check_unchanged
from .segmenter import WaveSegmenter
from .tables import UnsureWaves, waves_table

_MISSING = ("nan", "fill")
# What does not change a measure beyond rounding is no part of the cache's key.
_NOT_IN_THE_KEY = ["batch_size", "verbose"]


@register
class WaveMeasures(RecordOutput, SignalTransformer):
    """Measures of records that a cardiologist can read: 262 named columns from the waves of a `WaveSegmenter`.

    Columns are the same whichever leads a record has. They need no labels and no training, and stand beside an
    embedding in a `FeatureUnion`.

    Parameters
    ----------
    segmenter : fitted WaveSegmenter, path or str, default="waves"
        What marks the waves: a shipped segmenter's name, or a file that `save` wrote. `clone` keeps it.
    fs : float, default=None
        Sampling rate of X [Hz]; None is the segmenter's.
    leads : sequence of str, default=None
        Names of the leads of X; None is the segmenter's. Any subset of the twelve.
    allow_nan : bool, default=None
        Whether NaN counts as missing samples instead of being an error; None is as the segmenter has it.
    missing : {"nan", "fill"}, default="nan"
        What stands for a measure that a record does not have: of a lead or a wave that is not there, or of a record
        without beats. "fill" puts the median of normal records there (`ecg.waves.USUAL_MEASURES`), for estimators that
        take no NaN; the columns ``lead_absent_...``, ``p_absent_...``, ``t_absent_...`` and ``n_beats`` tell.
    check : {"warn", "raise", "ignore"}, default="warn"
        What to do with records that look odd; see `Pretrainer`.
    batch_size : int, default=16
        Records that are read and measured at once. It changes the measures by rounding at most.
    device : str, default=None
        None is the best there is.
    precision : {"auto", "bf16", "fp32"}, default="auto"
        As for `WaveSegmenter`.
    memory : str or joblib.Memory, default=None
        Cache of measures: a grid search then measures each split once.
    verbose : int, default=0
        0 is silent; 1 shows a progress bar.

    Attributes
    ----------
    segmenter_ : WaveSegmenter
        What marks the waves.
    n_features_in_ : int
        Leads of X.

    Notes
    -----
    `ecg.waves.wave_measures` explains the columns, and names the sources of the criteria among them. Limb leads that
    follow from I and II are computed. Columns have different units, mV and ms: scale them before a linear model.

    The segmenter "waves" learnt from the ECGs of about 200 people that cardiologists had marked, and from 2,700 that
    nobody had. Measures are as good as its marks: see its card. They are for research, not for diagnosis.

    Examples
    --------
    >>> from beatssl_sklearn import WaveMeasures, make_ecg
    >>> ecg = make_ecg(2, random_state=0)
    >>> table = WaveMeasures().set_output(transform="pandas").fit_transform(ecg.data)
    >>> table.shape
    (2, 262)
    >>> table.loc[:, ["rr", "qrs", "r_amplitude_II", "st_j_V2"]].notna().all().all()
    True
    """

    _in_file: ClassVar[tuple[str, ...]] = ("n_features_in_",)

    def __init__(
        self,
        segmenter: Any = "waves",
        *,
        fs: float | None = None,
        leads: Sequence[str] | None = None,
        allow_nan: bool | None = None,
        missing: str = "nan",
        check: str = "warn",
        batch_size: int = 16,
        device: Any = None,
        precision: str = "auto",
        memory: Any = None,
        verbose: int = 0,
    ) -> None:
        self.segmenter = segmenter
        self.fs = fs
        self.leads = leads
        self.allow_nan = allow_nan
        self.missing = missing
        self.check = check
        self.batch_size = batch_size
        self.device = device
        self.precision = precision
        self.memory = memory
        self.verbose = verbose

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        own = self.allow_nan
        tags.input_tags.allow_nan = bool(getattr(self.segmenter, "allow_nan", False) if own is None else own)
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return isinstance(self.segmenter, (str, os.PathLike)) or hasattr(self.segmenter, "unet_")

    def __sklearn_clone__(self) -> Any:
        cloned = super().__sklearn_clone__()
        if isinstance(self.segmenter, WaveSegmenter):
            # A fitted one stays fitted, and parameters that are set on the clone do not reach the original.
            cloned.segmenter = deepcopy(self.segmenter)
        return cloned

    @property
    def segmenter_(self) -> WaveSegmenter:
        """The segmenter, loaded where a path or name was given.

        Raises
        ------
        NotFittedError
            If it is not fitted.
        TypeError, ValueError, OSError
            If it is no segmenter, or cannot be loaded.
        """
        found = self.segmenter
        if isinstance(found, (str, os.PathLike)):
            found = load_shared(found)
            if not isinstance(found, WaveSegmenter):
                raise ValueError(f"segmenter={self.segmenter!r} holds a {type(found).__name__}, not a WaveSegmenter")
        if not isinstance(found, WaveSegmenter):
            raise TypeError(
                f"segmenter must be a fitted WaveSegmenter, a path or a shipped model's name, got {found!r:.80}"
            )
        if not hasattr(found, "unet_"):
            raise NotFittedError("segmenter is a WaveSegmenter that is not fitted: fit it, or take 'waves'")
        check_unchanged(found)
        return found

    def fit(self, X: Any, y: Any = None) -> WaveMeasures:
        """Check the parameters and X; nothing is learnt.

        Parameters
        ----------
        X : array (n_records, n_leads, n_times), table (n_records, n_times), list of ECGRecord or WFDBFolder
            Signals in mV.
        y : ignored

        Returns
        -------
        WaveMeasures
            The estimator itself.

        Raises
        ------
        ValueError, TypeError, OSError
            If a parameter, the segmenter or a record cannot be used; the message names it.
        """
        self._check_parameters()
        self._read(X, reset=True)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Measure records.

        Parameters
        ----------
        X : as for `fit`

        Returns
        -------
        ndarray (n_records, 262) float32
            One row per record; see `get_feature_names_out`. With pandas output, the names of a folder's records are
            the index.

        Raises
        ------
        ValueError, TypeError, OSError
            As for `fit`.
        """
        check_is_fitted(self)
        self._check_parameters()
        segmenter, source = self.segmenter_, self._read(X, reset=False)
        run = {name: getattr(self, name) for name in ("batch_size", "device", "precision", "check", "verbose")}
        measure: Any = measure_source
        if self.memory is not None:
            measure = check_memory(self.memory).cache(measure_source, ignore=_NOT_IN_THE_KEY)
        measured = measure(segmenter.unet_, segmenter.wave_params, source, **run)
        if self.missing == "fill":
            measured = np.where(np.isnan(measured), USUAL_MEASURES, measured)
        return self._as_output(measured, source, X)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the columns, `ecg.waves.WAVE_MEASURES`: ``qrs``, ``r_amplitude_V5``.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray (262,) of str objects
            One name per column.
        """
        return np.array(WAVE_MEASURES, dtype=object)

    def _read(self, X: Any, reset: bool) -> Source:
        """Return X as a source, described by this estimator's parameters, else by the segmenter's."""
        segmenter = self.segmenter_
        changes: dict[str, Any] = {}
        for name in ("fs", "leads", "allow_nan"):
            own = getattr(self, name)
            value = getattr(segmenter, name) if own is None else own
            if value is not None:
                changes[name] = value
        if "leads" in changes:
            changes["n_leads"] = None
        # Without `fit` there is nothing to compare X with, and `transform` leaves the estimator as it was.
        known = reset or hasattr(self, "n_features_in_")
        return (self if known else copy(self))._source_for(
            segmenter.unet_.encoder, X, reset=reset or not known, **changes
        )

    def _check_parameters(self) -> None:
        check_reading(vars(self))
        check_number("batch_size", self.batch_size, Integral, 1)
        check_precision(self.precision)
        if self.missing not in _MISSING:
            raise ValueError(f"missing must be one of {', '.join(_MISSING)}, got {self.missing!r:.60}")

    def _for_file(self) -> Any:
        """Return this estimator as a file holds it: with the segmenter in place of a path."""
        if isinstance(self.segmenter, str) and self.segmenter in shipped_models():
            return self
        stored = copy(self)
        stored.segmenter = self.segmenter_
        return stored

    def _check_file(self) -> None:
        check_described(self)
        self._check_parameters()
        if isinstance(self.segmenter, str):
            if self.segmenter not in shipped_models():
                raise ValueError(f"segmenter={self.segmenter!r:.120} is the name of no shipped model")
        else:
            check_type("segmenter", self.segmenter, WaveSegmenter)


def measure_source(
    unet: FittedUNet,
    wave_params: dict[str, Any] | None,
    source: Source,
    *,
    batch_size: int,
    device: Any,
    precision: str,
    check: str,
    verbose: int,
) -> NDArray[np.float32]:
    """Measure the records of a source.

    Parameters
    ----------
    unet, wave_params : FittedUNet, dict or None
        What marks waves, and how; as in `WaveSegmenter`.
    source : Source
        The records.
    batch_size, device, precision, check, verbose : as for `WaveMeasures`

    Returns
    -------
    ndarray (n_records, n_measures) float32
        NaN where something is missing.
    """
    place = resolve_device(device)
    low = precision == "bf16" or (precision == "auto" and bf16_supported(place))
    model = unet.model(place, torch.bfloat16 if low else torch.float32)
    out = np.full((source.n_records, len(WAVE_MEASURES)), np.nan, dtype=np.float32)
    odd, unsure = RecordCheck(source, check), UnsureWaves(wave_params, unet.calibration)
    with tqdm(total=source.n_records, desc="WaveMeasures", unit="rec", disable=not verbose) as bar:
        for block in source.read(np.arange(source.n_records), batch_size):
            if odd.wanted:
                odd.look(block, unet.encoder.front_end.find_rpeaks(block))
            whole = _with_limb_leads(block)
            waves = unsure.find(whole, model)
            # Records count from 0 in the block.
            table = waves_table(waves, whole._replace(rows=np.arange(len(block.rows))))
            out[block.rows] = wave_measures(whole.signal, whole.fs, table, whole.leads)
            bar.update(len(block.rows))
    odd.tell()
    unsure.tell()
    return out


def _with_limb_leads(block: Block) -> Block:
    """Return a block with the limb leads that follow from I and II."""
    placed, present = place_leads(block.signal, block.leads)
    if present.sum() == len(block.leads):
        return block
    names = tuple(name for name, there in zip(LEADS, present, strict=True) if there)
    return block._replace(signal=np.ascontiguousarray(placed[:, present]), leads=names, limits=None)
