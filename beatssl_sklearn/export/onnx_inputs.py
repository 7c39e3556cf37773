"""onnx_inputs: from signals to what an exported graph takes."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..ecg.leads import resolve_leads
from ..ecg.preprocess import check_fs
from ..embedding.fitted_encoder import FittedEncoder
from ..inputs.checks import check_duration, name_leads
from ..inputs.front_end import FrontEnd, check_given_rpeaks
from ..inputs.source import Block
from ..inputs.windows import windows
from ..nn.roi import roi_align_1d, sample_to_token
from ..nn.wave_unet import FRAME_S
from ..segmentation.fitted_unet import FittedUNet
from .graphs import network_of

__all__ = ["onnx_inputs"]


def onnx_inputs(
    model: Any,
    signal: Any,
    *,
    fs: float | None = None,
    leads: Sequence[str] | str | None = None,
    rpeaks: Any = None,
) -> dict[str, NDArray[np.float32]]:
    """Prepare records for the file that `export_onnx` has written of a model.

    Parameters
    ----------
    model : as for `export_onnx`
    signal : array (n_records, n_leads, n_times)
        Records of up to 15 s [mV], without missing samples.
    fs : float, default=None
        Their sampling rate [Hz]; None is the model's.
    leads : sequence of str, default=None
        Names of their leads; None is the model's.
    rpeaks : sequence of n_records arrays, default=None
        R peaks [samples]; None detects them. A segmenter needs none.

    Returns
    -------
    dict of float32 arrays
        By the names of the graph's inputs, for ``session.run(None, inputs)``. A segmenter's are mirrored at the end to
        a multiple of 1.28 s: of its probabilities, the first ``ceil(n_times * fs_model / fs)`` samples count.

    Raises
    ------
    TypeError, ValueError
        If the model has no such file, or the records, their rate, leads or R peaks cannot be used.

    Notes
    -----
    Records over 15 s are cut into windows by embedders and segmenters. Here, they are refused: cut them yourself.
    """
    network = network_of(model)
    reading = network if isinstance(network, FittedEncoder) else network.encoder
    # An embedder may describe X in another way than its encoder.
    fs = next(value for value in (fs, getattr(model, "fs", None), reading.fs) if value is not None)
    leads = next((value for value in (leads, getattr(model, "leads", None)) if value is not None), reading.leads)
    block = _block(signal, check_fs(fs), leads)
    if isinstance(network, FittedEncoder):
        return _of_encoder(network, block, rpeaks)
    return _of_unet(network, block)


def _block(signal: Any, fs: float, leads: Any) -> Block:
    try:
        given = np.asarray(signal)
        array = given.real.astype(np.float32)
    except (TypeError, ValueError) as error:
        words = "signal must be an array of numbers (n_records, n_leads, n_times)"
        raise TypeError(f"{words}, got {signal!r:.60}") from error
    if given.dtype.kind == "c":
        raise TypeError(f"signal must hold real numbers, got {given.dtype}")
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(f"signal must have the shape (n_records, n_leads, n_times), got {array.shape}")
    missing = np.flatnonzero(~np.isfinite(array).all(axis=(1, 2)))
    if len(missing):
        raise ValueError(f"signal: record {missing[0]} holds NaN or infinity")
    check_duration(array.shape[2], fs)
    if len(windows(array.shape[2], fs)) > 1:
        raise ValueError(
            f"signal holds {array.shape[2] / fs:g} s at {fs:g} Hz, and a graph takes up to 15 s: cut it into windows"
        )
    names = name_leads(leads, array.shape[1])
    return Block(np.arange(len(array)), array, fs, names, np.zeros(len(array), dtype=bool))


def _of_encoder(encoder: FittedEncoder, block: Block, rpeaks: Any) -> dict[str, NDArray[np.float32]]:
    front_end = encoder.front_end
    stride = encoder.model("cpu").encoder.stride
    prepared = front_end(block).signal
    n_tokens = ceil(prepared.shape[1] / stride)
    # The network pads with zeros, too; a graph only takes whole tokens.
    missing = round(n_tokens * stride) - prepared.shape[1]
    signal = np.pad(prepared, ((0, 0), (0, missing), (0, 0))).transpose(0, 2, 1)
    given = check_given_rpeaks(rpeaks, len(block.rows))
    found = front_end.find_rpeaks(block, given)
    beats = np.stack([_shares(r / block.fs, front_end, stride, n_tokens) for r in found])
    return {"signal": np.ascontiguousarray(signal), "beats": beats}


def _shares(rpeaks: NDArray[np.float64], front_end: FrontEnd, stride: float, n_tokens: int) -> NDArray[np.float32]:
    """Return the share of each token in each part of the mean beat (beat_phases, n_tokens); R peaks in seconds."""
    if not len(rpeaks):
        # A record without a beat has its mean token in every part.
        return np.full((front_end.beat_phases, n_tokens), 1 / n_tokens, dtype=np.float32)
    before, after = front_end.beat_window
    borders = (torch.from_numpy((rpeaks + shift) * front_end.fs_model) for shift in (-before, after))
    start, end = (sample_to_token(border, stride) for border in borders)
    # The means over a map whose tokens are unit vectors are the weights of the tokens.
    units = torch.eye(n_tokens, dtype=torch.float32)[None]
    record = torch.zeros(len(rpeaks), dtype=torch.int64)
    return roi_align_1d(units, record, start, end, bins=front_end.beat_phases).mean(0).numpy()


def _of_unet(unet: FittedUNet, block: Block) -> dict[str, NDArray[np.float32]]:
    coarse = unet.encoder.front_end
    fine = FrontEnd(unet.fs_model, coarse.amplitude)
    prepared = fine(block).signal.transpose(0, 2, 1)[:, resolve_leads(block.leads)[0]]
    n_frames = ceil(prepared.shape[2] / (FRAME_S * unet.fs_model))
    inputs = {"leads": _mirrored(prepared, round(n_frames * FRAME_S * unet.fs_model))}
    if isinstance(unet.encoder, FittedEncoder):
        seen = coarse(block).signal.transpose(0, 2, 1)
        inputs["signal"] = _mirrored(seen, round(n_frames * FRAME_S * coarse.fs_model))
    return inputs


def _mirrored(signal: NDArray[np.float32], n_times: int) -> NDArray[np.float32]:
    missing = max(0, n_times - signal.shape[2])
    padded = np.pad(signal[:, :, :n_times], ((0, 0), (0, 0), (0, missing)), mode="reflect")
    return np.ascontiguousarray(padded)
