"""WaveSegmenter: onset, peak and offset of P, QRS and T in every lead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ..components import register, seed_of
from ..embedding.fitted_encoder import FittedEncoder
from ..embedding.starting_encoder import LabelledEstimator, read_by
from ..inputs.groups import group_codes
from ..inputs.plausibility import RecordCheck
from ..inputs.source import Block, Source
from ..nn.devices import check_precision, resolve_device
from ..nn.inference import bf16_supported
from ..nn.weights import trained_arrays
from ..persistence import load
from ..training.net import history_rows
from .augment import WaveAugment
from .fitted_unet import FittedUNet, check_segmenter_file, check_unchanged
from .inference import SegmentationModel, all_waves, block_probabilities
from .masks import N_CLASSES, mean_dice, read_annotated
from .reading import Reading
from .run import check_segmenter, record_weights, split_records, train_unet
from .tables import calibration_of, delineated, marked_waves, stacked

if TYPE_CHECKING:
    from pandas import DataFrame

_BLOCK = 16


@register
class WaveSegmenter(LabelledEstimator):
    """Label every sample of every lead as background, P, QRS or T, and mark the boundaries of the waves.

    A U-Net runs over each lead at the full rate. The pretrained encoder, which sees all leads together, feeds it from
    all of its stages, or is left out. Any of the twelve leads, at any rate and of any length, will do.

    Parameters
    ----------
    pretrainer : fitted estimator, FittedEncoder, path, str or None, default="ptbxl"
        Anything that has an `encoder_`, a file written by `save`, or a shipped model's name; it is never changed, and
        `clone` keeps it. An unfitted pretrainer describes the encoder to train from scratch; None is the default one.
    context : {"encoder", "leads"}, default="encoder"
        What a lead learns of the others from: the encoder's maps, or only the mean over leads inside the U-Net. With
        few annotated records the encoder helps, but it knows leads by their names. With "leads" it is left out: the
        pretrainer only says how records are read.
    fs : float, default=None
        Sampling rate of X [Hz]; None is the pretrainer's.
    leads : sequence of str, default=None
        Names of the leads of X; None is the pretrainer's. Any subset of the twelve.
    fs_model : float, default=500
        Rate at which leads are labelled [Hz], a multiple of 25, or of 50 with five levels; resampled inside.
    widths : sequence of 4 or 5 ints, default=(32, 48, 64, 96)
        Channels of the U-Net's levels, from the finest on.
    max_epochs : int, default=100
    batch_size : int, default=8
        Windows per step.
    leads_per_window : int, default=6
        Leads of a window that are labelled in a step, drawn anew each time. With `context` "leads", a step has as many
        leads in all, but windows of one lead, two, some or all.
    window : float, default=5.12
        Length of a training window [s]; brought to a multiple of 1.28 s.
    lr : float, default=3e-3
        Largest rate, with RAdam and decoupled weight decay; rates rise over the first tenth of the steps and fall as
        a cosine.
    encoder_lr : float, default=None
        Largest rate of the encoder; None is a tenth of `lr`, or `lr` from scratch. 0 freezes it.
    weight_decay : float, default=0.02
        Of weights, not of biases and normalisations.
    dice_weight : float, default=1.0
        Weight of the Dice loss beside the cross entropy.
    augment : WaveAugment, default=None
        How training windows are varied; None is ``WaveAugment()``.
    validation_fraction : float, default=None
        Share of the groups that is held out and scored after every epoch (`valid_loss`, `valid_dice`).
    wave_params : dict, default=None
        Parameters of `ecg.waves.find_waves`, for `delineate`, in place of `qrs_peak` "r", `border_window`
        .08, `need_qrs` True and `min_confidence` .6; after `calibrate` (.1, .5, .5), `sure_p` (.5, .2), `steady_p` .25.
    allow_nan : bool, default=False
        Whether NaN counts as missing samples instead of being an error.
    check : {"warn", "raise", "ignore"}, default="warn"
        What to do with records that look odd; see `Pretrainer`.
    device : str, default=None
        None is the best there is.
    precision : {"auto", "bf16", "fp32"}, default="auto"
        "auto" is bf16 where the hardware computes it, three times as fast there; boundaries then differ from those of
        fp32 by a fraction of a sample.
    random_state : int, RandomState or None, default=None
    verbose : int, default=0
        0 is silent; 1 shows a progress bar.

    Attributes
    ----------
    classes_ : ndarray
        Labels 0 background, 1 P, 2 QRS, 3 T.
    history_ : list of dict
        One entry per epoch.
    n_iter_ : int
    unet_ : FittedUNet
        The whole network.
    encoder_ : FittedEncoder
        The encoder as it was trained here; embedders take this segmenter as their pretrainer. With `context` "leads"
        there is none.
    device_ : str
    n_features_in_ : int
        Leads of X.

    References
    ----------
    Ronneberger et al., MICCAI 2015 (U-Net); Beat-SSL, arXiv 2601.16147, task 2, whose decoder is not published.

    Examples
    --------
    >>> from beatssl_sklearn import WaveSegmenter, make_ecg
    >>> ecg = make_ecg(4, fs=250, random_state=0)
    >>> segmenter = WaveSegmenter("ptbxl-s", fs=250, max_epochs=1, random_state=0).fit(ecg.data, ecg.masks)
    >>> segmenter.predict(ecg.data).shape == ecg.data.shape
    True
    """

    defaults: ClassVar[Mapping[str, Any]] = {"augment": WaveAugment}
    _in_file: ClassVar[tuple[str, ...]] = ("unet_", "history_", "n_iter_", "device_", "n_features_in_")
    _check_file = check_segmenter_file

    def __init__(
        self,
        pretrainer: Any = "ptbxl",
        *,
        context: str = "encoder",
        fs: float | None = None,
        leads: Sequence[str] | None = None,
        fs_model: float = 500.0,
        widths: Sequence[int] = (32, 48, 64, 96),
        max_epochs: int = 100,
        batch_size: int = 8,
        leads_per_window: int = 6,
        window: float = 5.12,
        lr: float = 3e-3,
        encoder_lr: float | None = None,
        weight_decay: float = 0.02,
        dice_weight: float = 1.0,
        augment: WaveAugment | None = None,
        validation_fraction: float | None = None,
        wave_params: dict[str, Any] | None = None,
        allow_nan: bool = False,
        check: str = "warn",
        device: Any = None,
        precision: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.pretrainer = pretrainer
        self.context = context
        self.fs = fs
        self.leads = leads
        self.fs_model = fs_model
        self.widths = widths
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.leads_per_window = leads_per_window
        self.window = window
        self.lr = lr
        self.encoder_lr = encoder_lr
        self.weight_decay = weight_decay
        self.dice_weight = dice_weight
        self.augment = augment
        self.validation_fraction = validation_fraction
        self.wave_params = wave_params
        self.allow_nan = allow_nan
        self.check = check
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "unet_")

    @property
    def encoder_(self) -> FittedEncoder:
        """The encoder as it was trained here."""
        check_is_fitted(self)
        encoder = self.unet_.encoder
        if not isinstance(encoder, FittedEncoder):
            raise AttributeError("this segmenter has no encoder: it was trained with context='leads'")
        return encoder

    @property
    def classes_(self) -> NDArray[np.int64]:
        """Labels 0 background, 1 P, 2 QRS, 3 T."""
        check_is_fitted(self)
        return np.arange(N_CLASSES)

    def fit(self, X: Any, y: Any, *, groups: Any = None, sample_weight: Any = None) -> WaveSegmenter:
        """Train on annotated records.

        Parameters
        ----------
        X : array (n_records, n_leads, n_times), table (n_records, n_times), list of ECGRecord or WFDBFolder
            Signals in mV.
        y : array-like of n_records masks (n_leads, n_times) or (n_times,), integers
            Labels at the rate of X: 0 background, 1 P, 2 QRS, 3 T, -1 ignored. A mask of one row holds for all leads.
        groups : array (n_records,), optional
            Patient of each record: `validation_fraction` holds out whole patients.
        sample_weight : array (n_records,), optional
            How often windows of each record are drawn, relative to records of the same length: to mix databases.

        Returns
        -------
        WaveSegmenter
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If a parameter, a record or a mask cannot be used, or a class occurs in no record; the message names it.
        FloatingPointError
            If training diverges.
        """
        check_segmenter(self)
        seed = seed_of(self.random_state)
        encoder, scratch = self._starting_encoder(seed)
        start: Any = encoder if self.context == "encoder" else Reading.of(encoder)
        source = self._read_as(X, start, reset=True)
        weight = record_weights(sample_weight, source.n_records)
        records = read_annotated(source, y, replace(start.front_end, fs_model=float(self.fs_model)), weight)
        patients = group_codes(groups, source.n_records)
        train, valid = split_records(self.validation_fraction, patients, source.n_records, seed, weight)
        net = train_unet(self, start, scratch, records, weight, train, valid, seed)
        self.history_ = history_rows(net)
        self.n_iter_, self.device_ = len(self.history_), str(net.device)
        start = start.described(**read_by(start, source), allow_nan=self.allow_nan)
        widths = tuple(int(width) for width in self.widths)
        self.unet_ = FittedUNet.trained(start, trained_arrays(net.module_, self.lr), float(self.fs_model), widths)
        return self

    def predict_proba(self, X: Any) -> NDArray:
        """Return the probability of each label.

        Parameters
        ----------
        X : as for `fit`

        Returns
        -------
        ndarray (n_records, n_leads, n_times, 4) float32
            Object array of arrays (n_leads, n_times, 4) if records differ in length, rate or leads.
        """
        return stacked([block_probabilities(block, self._ready()) for block in self._blocks(X)])

    def predict(self, X: Any) -> NDArray:
        """Return the most probable label of each sample.

        Parameters
        ----------
        X : as for `fit`

        Returns
        -------
        ndarray (n_records, n_leads, n_times) int8
            Object array of arrays (n_leads, n_times) if records differ in length, rate or leads.
        """
        found = (block_probabilities(block, self._ready()) for block in self._blocks(X))
        return stacked([proba.argmax(axis=-1).astype(np.int8) for proba in found])

    def score(self, X: Any, y: Any) -> float:
        """Return the mean over P, QRS and T of the Dice coefficient of all samples that are not ignored.

        A wave that neither the masks nor the predictions have is left out.

        Parameters
        ----------
        X, y : as for `fit`

        Returns
        -------
        float
            0 to 1; 1 if no wave is left.
        """
        source = self._known_source(X)
        ready = self._ready()
        return mean_dice(source, y, _BLOCK, lambda block: block_probabilities(block, ready).argmax(axis=-1))

    def calibrate(self, X: Any, waves: Any) -> WaveSegmenter:
        """Learn what a confidence is worth: `delineate` then tells the probability that a wave is right.

        From then on `min_confidence` and `sure_p` of `wave_params` are such probabilities, too. It begins with a former
        calibration, or what the network says, and few mistakes move it little.

        Parameters
        ----------
        X : as for `fit`
            Annotated records that the network was not trained on: it is surer of those that it knows.
        waves : DataFrame, or sequence of n_records dict
            What is marked in them, as for `ecg.judge_waves`: in a lead, all waves from the first to the last one; marks
            that hold for all leads are ``dict.fromkeys(leads, marks)``. A table counts records from 0.

        Returns
        -------
        WaveSegmenter
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If records or marks cannot be used, do not belong together, or no P, QRS or T is found where marks are.

        Warns
        -----
        UserWarning
            If fewer than five of the P, QRS or T waves are right, or wrong.
        """
        marked = marked_waves(waves, self._known_source(X).n_records)
        found = ((block, all_waves(block, self._ready(), self.wave_params)) for block in self._blocks(X))
        self.unet_ = replace(self.unet_, calibration=calibration_of(found, marked, self.unet_.calibration))
        return self

    def delineate(self, X: Any, *, consensus: bool = False) -> DataFrame:
        """Mark the waves of records.

        Parameters
        ----------
        X : as for `fit`
        consensus : bool
            Whether to add rows with lead "consensus", in which the leads agree; see `ecg.waves.consensus`.

        Returns
        -------
        DataFrame
            One row per wave: record (row of X), lead, wave ("P", "QRS", "T"), onset, peak and offset in samples of X
            and in seconds, confidence: the mean probability of the wave's samples, or, after `calibrate`, that the wave
            is right. In each lead waves are in order and do not overlap, and a beat has one T. There are none where a
            lead has no signal (missing, constant for .6 s, or within .01 mV for 2 s). `sure_p` and `steady_p` look at
            windows of 10 to 19 s. A warning says if waves of an uncalibrated network are all below `min_confidence`.
        """
        return delineated(self._blocks(X), self._ready, self.wave_params, self.unet_.calibration, consensus)

    @classmethod
    def load(cls, path: Any) -> WaveSegmenter:
        """Read a segmenter that `save` wrote, or a shipped one by name.

        Parameters
        ----------
        path : path or str
            A file, or the name "waves".

        Returns
        -------
        WaveSegmenter
            Fitted.

        Raises
        ------
        OSError
            If there is no such file.
        ValueError
            If the file is damaged, or holds no segmenter.
        """
        found = load(path)
        if not isinstance(found, cls):
            raise ValueError(f"{path!r} holds a {type(found).__name__}, not a {cls.__name__}")
        return found

    def _known_source(self, X: Any) -> Source:
        check_is_fitted(
            self,
            msg="This %(name)s instance is not fitted yet. Its pretrainer is only the encoder that `fit` starts from; "
            "a trained segmenter is loaded by WaveSegmenter.load('waves').",
        )
        return self._read_as(X, self.unet_.encoder, reset=False)

    def _blocks(self, X: Any) -> Iterator[Block]:
        return self._checked_blocks(self._known_source(X))

    def _checked_blocks(self, source: Source) -> Iterator[Block]:
        odd, front_end = RecordCheck(source, self.check), self.unet_.encoder.front_end
        for block in source.read(np.arange(source.n_records), _BLOCK):
            if odd.wanted:
                odd.look(block, front_end.find_rpeaks(block))
            yield block
        odd.tell()

    def _ready(self) -> SegmentationModel:
        """Return the network, built for the device and the precision wanted."""
        device = resolve_device(self.device)
        low = check_precision(self.precision) == "bf16" or (self.precision == "auto" and bf16_supported(device))
        check_unchanged(self)
        return self.unet_.model(device, torch.bfloat16 if low else torch.float32)
