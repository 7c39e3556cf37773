"""The training of a `WaveSegmenter`: parameters checked, patients held out, network and batches put together."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..components import Bounds, Limits, check_bounds
from ..ecg.preprocess import check_fs
from ..embedding.fitted_encoder import FittedEncoder
from ..inputs.groups import hold_out_groups
from ..inputs.labels import checked_weights
from ..inputs.plausibility import check_choice
from ..nn.devices import check_precision, resolve_device, training_precision
from ..nn.wave_unet import FRAME_S, LEVELS, rate_step
from ..training.net import EpochNet, make_net, optimizer_settings, run_epochs
from ..training.progress import ProgressBar
from .augment import checked_augment
from .batches import AnnotatedRecord, WaveBatches
from .inference import checked_wave_params
from .lead_batches import LeadBatches
from .net import WaveLoss, build_unet
from .reading import Reading

_BOUNDS: dict[str, Limits] = {
    "allow_nan": bool,
    "max_epochs": Bounds(Integral, 0),
    "batch_size": Bounds(Integral, 1),
    "leads_per_window": Bounds(Integral, 1, 12),
    "window": Bounds(Real, FRAME_S, 60),
    "lr": Bounds(Real, 0),
    "weight_decay": Bounds(Real, 0),
    "dice_weight": Bounds(Real, 0),
    "encoder_lr": Bounds(Real, 0, or_none=True),
    "validation_fraction": Bounds(Real, 0.01, 0.9, or_none=True),
}
_MAX_WIDTH = 4096
CONTEXTS = ("encoder", "leads")
# The share of `lr` that a pretrained encoder learns with.
_SLOW = 0.1


def check_segmenter(segmenter: Any) -> None:
    """Check the parameters of a `WaveSegmenter`.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter and the value.
    """
    check_bounds(segmenter.get_params(deep=False), _BOUNDS)
    if segmenter.context not in CONTEXTS:
        raise ValueError(f"context must be one of {', '.join(CONTEXTS)}, got {segmenter.context!r}")
    check_network(segmenter.fs_model, segmenter.widths)
    check_precision(segmenter.precision)
    check_choice(segmenter.check)
    resolve_device(segmenter.device)
    checked_augment(segmenter.augment)
    checked_wave_params(segmenter.wave_params)


def check_network(fs_model: Any, widths: Any) -> None:
    """Check the parameters that describe the U-Net.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter and the value.
    """
    check_fs(fs_model, "fs_model")
    good = isinstance(widths, (Sequence, np.ndarray)) and len(widths) in LEVELS
    if not good or not all(isinstance(w, Integral) and 0 < int(w) <= _MAX_WIDTH for w in widths):
        levels = " or ".join(map(str, LEVELS))
        raise ValueError(f"widths must be {levels} positive integers up to {_MAX_WIDTH}, got {widths!r}")
    step = rate_step(len(widths))
    if fs_model % step:
        raise ValueError(f"fs_model must be a multiple of {step:g} Hz with {len(widths)} widths, got {fs_model!r}")


def record_weights(sample_weight: Any, n_records: int) -> NDArray[np.float64]:
    """Return how often records are drawn, relative to each other.

    Raises
    ------
    TypeError, ValueError
        If there is not one weight per record, a weight is no finite number of at least 0, or all are 0.
    """
    weight = checked_weights(sample_weight, n_records)
    if weight is None:
        return np.ones(n_records)
    if not weight.any():
        raise ValueError(f"sample_weight is 0 for each of the {n_records} records: there is nothing to train on")
    # A power of two: only the ratios count, and these stay as they are to the last bit.
    return np.asarray(np.ldexp(weight, -np.frexp(weight.max())[1]))


def split_records(
    fraction: float | None,
    groups: NDArray[np.int64] | None,
    n_records: int,
    seed: int,
    weight: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold out whole groups; nothing where `fraction` is None.

    Raises
    ------
    ValueError
        If that would leave nothing to train on.
    """
    every = np.arange(n_records)
    if fraction is None:
        return every, every[:0]
    held_out = hold_out_groups(every if groups is None else groups, fraction, seed)
    if held_out.all():
        raise ValueError(f"validation_fraction={fraction!r} leaves no record of {n_records} to train on")
    if weight is not None and not weight[~held_out].any():
        raise ValueError(
            f"validation_fraction={fraction!r} holds out all records whose sample_weight is above 0: none is left to "
            f"train on; give weights to records of more groups, or take another random_state"
        )
    return every[~held_out], every[held_out]


def train_unet(
    segmenter: Any,
    start: FittedEncoder | Reading,
    scratch: bool,
    records: list[AnnotatedRecord],
    weight: NDArray[np.float64],
    train: NDArray[np.int64],
    valid: NDArray[np.int64],
    seed: int,
) -> EpochNet:
    """Train the network of a segmenter on annotated records.

    Parameters
    ----------
    segmenter : WaveSegmenter
    start : FittedEncoder or Reading
        The encoder that training begins with; without one, how records are read.
    scratch : bool
        Whether that encoder is random.
    records : list of AnnotatedRecord
    weight : ndarray of float64
        How often windows of a record are drawn, relative to others of its length.
    train, valid : ndarray of int64
        Records to train on and to score.
    seed : int

    Returns
    -------
    EpochNet
        With the trained network as `module_` and what was recorded as `history`.
    """
    device = resolve_device(segmenter.device)
    encoder_lr = segmenter.encoder_lr
    if encoder_lr is None:
        encoder_lr = segmenter.lr if scratch else _SLOW * segmenter.lr
    module = build_unet(
        start.module() if isinstance(start, FittedEncoder) else None,
        fs=float(segmenter.fs_model),
        fs_encoder=start.front_end.fs_model,
        widths=tuple(segmenter.widths),
        seed=seed,
    )
    module.adapt_norm = scratch and encoder_lr > 0
    if module.encoder is not None:
        module.encoder.requires_grad_(encoder_lr > 0)
    batches, held_out = (
        (WaveBatches if module.encoder is not None else LeadBatches)(
            records,
            index,
            weight=weight[index],
            batch_size=segmenter.batch_size,
            fs=float(segmenter.fs_model),
            fs_encoder=start.front_end.fs_model,
            window=max(1, round(segmenter.window / FRAME_S)) * FRAME_S,
            n_leads=segmenter.leads_per_window if augment else 12,
            augment=augment,
            device=device,
            seed=seed,
        )
        for index, augment in ((train, checked_augment(segmenter.augment)), (valid, None))
    )
    net = make_net(
        module,
        WaveLoss(float(segmenter.dice_weight)),
        max_epochs=segmenter.max_epochs,
        device=device,
        precision=training_precision(segmenter.precision, device, 12 * len(batches.index) * segmenter.max_epochs),
        held_out=held_out if len(valid) else None,
        callbacks=[ProgressBar(len(batches) * segmenter.max_epochs, "segment")] if segmenter.verbose > 0 else [],
        **optimizer_settings(float(segmenter.lr), float(segmenter.weight_decay), float(encoder_lr)),
    )
    run_epochs(net, batches, segmenter.max_epochs)
    return net
