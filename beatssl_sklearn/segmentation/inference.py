"""From signals to waves: the streaming path of `WaveSegmenter`, window by window as for embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..ecg.leads import resolve_leads
from ..ecg.waves.find import Waves, find_waves
from ..ecg.waves.order import REACH_S
from ..ecg.waves.rules import USUAL_LIMITS
from ..inputs.front_end import FrontEnd
from ..inputs.source import Block
from ..inputs.windows import Window, windows
from ..nn.wave_unet import FRAME_S, WaveUNet
from .calibration import WaveCalibration
from .dead import dead_stretches, silence
from .joining import joined, take

WAVE_PARAMS: dict[str, Any] = {"qrs_peak": "r", "border_window": 0.08, "need_qrs": True, "min_confidence": 0.6}
"""How waves are found unless `wave_params` says otherwise: peaks as LUDB marks them, borders at their mean position."""
CALIBRATED_PARAMS: dict[str, Any] = {"min_confidence": USUAL_LIMITS, "sure_p": (0.5, 0.2), "steady_p": 0.25}
"""What is different where confidences are probabilities: what a network of a few epochs is sure of means nothing."""
_EVERY: dict[str, Any] = {"min_confidence": 0.0, "sure_p": None, "steady_p": None}
# How far beyond its core a window's waves are considered [s].
_SLACK_S = 0.05
# Least distance of a peak from the borders of its wave [samples].
_LEAST = 1e-3
# Lead-seconds that the network sees at once: 8 records of 12 leads and 10 s, whose maps stay near the processor.
_LEAD_SECONDS = 8 * 12 * 10.0


@dataclass(frozen=True)
class SegmentationModel:
    """A trained network, ready to run, with all that preprocessing must know."""

    net: WaveUNet
    fine: FrontEnd
    """How the leads are prepared that are labelled."""
    coarse: FrontEnd | None
    """How the record is prepared for the encoder; None where there is none."""
    device: torch.device
    dtype: torch.dtype

    @property
    def fs(self) -> float:
        """Rate at which leads are labelled [Hz]."""
        return self.net.fs


class Labelled(NamedTuple):
    """One window of the records of a block, at the rate of the network."""

    proba: NDArray[np.float32]
    """Probabilities (n_records, n_leads, n_times, n_classes)."""
    signal: NDArray[np.float32]
    """Leads as the network saw them (n_records, n_leads, n_times)."""
    dead: NDArray[np.bool_] | None = None
    """At the rate of the block, where leads have no signal (n_records, n_leads, n_times); None if nowhere."""


def checked_wave_params(params: Any) -> dict[str, Any]:
    """Return arguments of `find_waves`.

    Raises
    ------
    TypeError, ValueError
        If there are no such parameters, or a value is out of its range; the message names `wave_params`.
    """
    if params is None:
        return dict(WAVE_PARAMS)
    if not isinstance(params, Mapping):
        raise TypeError(f"wave_params must be a dict or None, got {params!r}")
    known = sorted(find_waves.__kwdefaults__ or {})
    unknown = sorted(str(name) for name in params if name not in known)
    if unknown:
        raise ValueError(f"wave_params may hold {known}, got {unknown}")
    try:
        find_waves(np.zeros((0, 1, 4)), np.zeros((0, 1)), 500.0, **params)
    except (TypeError, ValueError) as error:
        raise type(error)(f"wave_params={dict(params)!r}: {error}") from error
    return {**WAVE_PARAMS, **params}


def label_block(block: Block, model: SegmentationModel) -> Iterator[tuple[Window, Labelled]]:
    """Label the windows of a block of records, one after the other.

    Parameters
    ----------
    block : Block
        Records of one length, rate and lead set.
    model : SegmentationModel
        As returned by `FittedUNet.model`.

    Yields
    ------
    window : Window
        Which samples of the block the window has.
    labelled : Labelled
        Probabilities and signals of the window, at the rate of the network.
    """
    for window in windows(block.signal.shape[2], block.fs):
        yield window, _label(block.signal[:, :, window.start : window.stop], block, model)


@torch.inference_mode()
def _label(signal: NDArray[np.float32], block: Block, model: SegmentationModel) -> Labelled:
    seen = block._replace(signal=signal)
    fine, coarse = model.fine(seen), None if model.coarse is None else model.coarse(seen)
    index, _ = resolve_leads(block.leads)
    n, n_times, _ = fine.signal.shape
    n_frames = ceil(n_times / (FRAME_S * model.fs))
    leads = np.ascontiguousarray(fine.signal.transpose(0, 2, 1)[:, index])
    dead, present = dead_stretches(signal, block.fs), fine.present[:, index]
    nearest = np.minimum(np.round(np.arange(n_times) * (block.fs / model.fs)).astype(np.int64), signal.shape[2] - 1)
    votes = _votes(dead.mute, present, nearest)
    at_once = max(1, int(_LEAD_SECONDS / (len(index) * n_frames * FRAME_S)))
    # Plane by plane: a softmax over a last axis of 4 is twenty times as slow, and waves are looked for in planes.
    proba = np.empty((model.net.n_classes, n, len(index), n_times), dtype=np.float32)
    for i in range(0, n, at_once):
        n_padded = round(n_frames * FRAME_S * model.fs)
        arrays: list[NDArray[np.float32] | None] = [_padded(leads[i : i + at_once], -1, n_padded), None, None]
        if coarse is not None:
            n_coarse = round(n_frames * FRAME_S * model.net.fs_encoder)
            arrays[1] = _padded(coarse.signal[i : i + at_once], 1, n_coarse)
        if votes is not None and not votes[i : i + at_once].all():
            arrays[2] = _padded(votes[i : i + at_once], -1, n_padded)
        inputs = (None if a is None else torch.from_numpy(a).to(model.device, model.dtype) for a in arrays)
        # TensorFloat-32, cuDNN's default for convolutions, has ten bits: labels would differ from a CPU's.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=model.dtype != torch.float32):
            logits = model.net(*inputs)
        proba[:, i : i + at_once] = logits[:, :, :n_times].movedim(-1, 0).contiguous().softmax(0).cpu().numpy()
    # A lead without a signal has no waves, whatever the others show.
    proba[:, ~present] = np.eye(model.net.n_classes, dtype=np.float32)[0][:, None, None]
    if dead.silent is not None:
        for record, lead in zip(*np.nonzero(dead.silent.any(axis=2)), strict=True):
            silence(proba[:, record, lead], dead.silent[record, lead, nearest])
    return Labelled(np.moveaxis(proba, 0, -1), leads, dead.silent)


def _votes(
    mute: NDArray[np.bool_] | None, present: NDArray[np.bool_], nearest: NDArray[np.int64]
) -> NDArray[np.float32] | None:
    """Return where leads count among the others, at the rate of the network; None if they do everywhere."""
    if mute is None and present.all():
        return None
    votes = np.repeat(present.astype(np.float32)[..., None], len(nearest), axis=2)
    if mute is not None:
        votes[mute[..., nearest]] = 0
    return votes


def _padded(array: NDArray[np.float32], axis: int, length: int) -> NDArray[np.float32]:
    missing = length - array.shape[axis]
    if missing <= 0:
        return np.ascontiguousarray(array.take(range(length), axis=axis) if missing else array)
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, missing)
    # Mirrored: a step down to zero, or a hum that ends, would look like a QRS.
    return np.pad(array, widths, mode="reflect")


def block_probabilities(block: Block, model: SegmentationModel) -> NDArray[np.float32]:
    """Return the probabilities (n_records, n_leads, n_times, n_classes) of a block, at its own rate."""
    n, n_leads, n_times = block.signal.shape
    out = np.empty((n, n_leads, n_times, model.net.n_classes), dtype=np.float32)
    for window, labelled in label_block(block, model):
        inside = np.arange(window.core_start, window.core_stop) - window.start
        own = out[:, :, window.core_start : window.core_stop]
        own[:] = _at_rate(labelled.proba, inside * (model.fs / block.fs))
        if labelled.dead is not None:
            # Between two samples of the network, the one beyond the border may have a wave.
            own[labelled.dead[:, :, inside]] = np.eye(model.net.n_classes, dtype=np.float32)[0]
    return out


def _at_rate(proba: NDArray[np.float32], position: NDArray[np.floating]) -> NDArray[np.float32]:
    """Interpolate probabilities at fractional samples."""
    position = np.minimum(position, proba.shape[2] - 1)
    before = position.astype(np.int64)
    if np.array_equal(before, position):
        return proba[:, :, before]
    share = (position - before).astype(np.float32)[:, None]
    after = np.minimum(before + 1, proba.shape[2] - 1)
    return proba[:, :, before] * (1 - share) + proba[:, :, after] * share


def calibrated_waves(
    block: Block, model: SegmentationModel, params: Any, calibration: WaveCalibration | None
) -> Waves:
    """Find the waves of a block's records, with probabilities as confidences where there is a calibration.

    Raises
    ------
    TypeError, ValueError
        As `checked_wave_params`; with a calibration, `min_confidence` and `sure_p` have probabilities.
    """
    checked = checked_wave_params(params)
    if calibration is None:
        return block_waves(block, model, checked)
    own = {**CALIBRATED_PARAMS, **(params or {})}
    try:
        checked["min_confidence"] = calibration.raw_thresholds(own["min_confidence"])
    except ValueError as error:
        raise ValueError(f"wave_params={dict(params)!r}: {error}") from error
    checked["steady_p"] = own["steady_p"]
    if own["sure_p"] is not None:
        probability, share = own["sure_p"]
        checked["sure_p"] = min(calibration.raw_thresholds(probability)[0], 1.0), share
    waves = block_waves(block, model, checked)
    return waves._replace(confidence=calibration(waves.confidence, waves.wave))


def all_waves(block: Block, model: SegmentationModel, params: Any) -> Waves:
    """Find the waves of a block's records, whatever their confidence."""
    return block_waves(block, model, {**checked_wave_params(params), **_EVERY})


def waves_or_unsure(block: Block, model: SegmentationModel, params: Any) -> tuple[Waves, int]:
    """Find the waves of a block's records, and count those of too low a confidence where there are no others.

    Raises
    ------
    TypeError, ValueError
        As `checked_wave_params`.
    """
    checked = checked_wave_params(params)
    sure, *unsure = _waves_by([checked, {**checked, **_EVERY}], block, model)
    return sure, sum(len(waves.wave) for waves in unsure)


def block_waves(block: Block, model: SegmentationModel, params: Mapping[str, Any]) -> Waves:
    """Find the waves of a block's records; strips are counted record by record, lead by lead, positions in samples."""
    return _waves_by([params], block, model)[0]


def _waves_by(rules: Sequence[Mapping[str, Any]], block: Block, model: SegmentationModel) -> list[Waves]:
    """Find waves by some parameters, and by the next ones unless those before find any."""
    parts: list[list[Waves]] = [[] for _ in rules]
    n_tried = len(rules)
    for window, labelled in label_block(block, model):
        for k in range(n_tried):
            parts[k].append(_window_waves(window, labelled, block, model, rules[k]))
            if len(parts[k][-1].wave):
                n_tried = k + 1
                break
    usual = find_waves.__kwdefaults__ or {}
    times = {k: {**usual, **rules[0]}[k] * block.fs for k in ("refractory", "p_blanking")}
    return [joined(own, **times, reach=REACH_S * block.fs) for own in parts[:n_tried]]


def _window_waves(
    window: Window, labelled: Labelled, block: Block, model: SegmentationModel, params: Mapping[str, Any]
) -> Waves:
    n, n_leads, n_times, n_classes = labelled.proba.shape
    proba = labelled.proba.reshape(n * n_leads, n_times, n_classes)
    found = find_waves(proba, labelled.signal.reshape(n * n_leads, n_times), model.fs, **params)
    marks = {k: getattr(found, k) * (block.fs / model.fs) + window.start for k in ("onset", "peak", "offset")}
    shifted = _inside(found._replace(**marks), block.signal.shape[2])
    # A wave belongs to the window whose core holds its peak; two windows may disagree on where that is.
    first, last = window.core_start - _SLACK_S * block.fs, window.core_stop + _SLACK_S * block.fs
    return take(shifted, (shifted.peak >= first) & (shifted.peak < last))


def _inside(waves: Waves, n_times: int) -> Waves:
    """Let marks end with the record: the last sample of the network can lie behind that of X."""
    if not len(waves.offset) or waves.offset.max() <= n_times - 1:
        return waves
    waves = take(waves, waves.onset < n_times - 1 - 2 * _LEAST)
    offset = np.minimum(waves.offset, n_times - 1)
    return waves._replace(offset=offset, peak=np.minimum(waves.peak, offset - _LEAST))
