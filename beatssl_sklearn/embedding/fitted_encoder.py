"""Fitted encoders, ready to run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast
from weakref import WeakKeyDictionary

import torch
from sklearn.utils.validation import check_is_fitted

from ..inputs.front_end import Detector
from ..nn.blocks import Encoder
from ..nn.devices import inference_precision, resolve_device
from ..nn.encoders import build_encoder
from ..nn.inference import inference_module
from ..nn.weights import load_module_arrays
from .stream import InferenceModel

# Networks ready to run, beside the estimators and not in them: an estimator's state stays what it was fitted to, so
# that hashing, pickling and copying see arrays only.
_READY: WeakKeyDictionary[Any, dict[tuple[Any, ...], tuple[Any, Any]]] = WeakKeyDictionary()
_READY_LOCK = threading.Lock()


def ready_model(
    fitted: Any, *, device: str | torch.device | None, precision: str, detector: Detector
) -> InferenceModel:
    """Return the encoder of a fitted pretrainer, built on the device that is wanted.

    Raises
    ------
    NotFittedError
        If the pretrainer is not fitted.
    """
    check_is_fitted(fitted, "weights_")
    where = resolve_device(device)
    kind = inference_precision(precision)
    key = (str(where), kind, tuple(fitted.beat_window), detector)
    model: InferenceModel = kept_ready(fitted, fitted.weights_, key, lambda: _build(fitted, where, kind, detector))
    return model


def kept_ready(fitted: Any, weights: Any, key: tuple[Any, ...], build: Callable[[], Any]) -> Any:
    """Return the network that `build` makes of a fitted estimator's weights, made once per key."""
    with _READY_LOCK:
        known = _READY.setdefault(fitted, {})
        # Another set of weights (a new fit) leaves the old networks behind. The weights are kept beside the network
        # and compared themselves: a new set may lie where a freed one lay, so that its id says nothing.
        for old in [k for k, (of, _) in known.items() if of is not weights]:
            del known[old]
        if key not in known:
            known[key] = weights, build()
        return known[key][1]


def _build(fitted: Any, device: torch.device, precision: str, detector: Detector) -> InferenceModel:
    encoder = build_encoder(
        fitted.encoder, float(fitted.fs_model), fitted.encoder_params, torch.Generator().manual_seed(0)
    )
    prefix = "encoder."
    load_module_arrays(
        encoder, {k.removeprefix(prefix): v for k, v in fitted.weights_.items() if k.startswith(prefix)}
    )
    before, after = fitted.beat_window
    return InferenceModel(
        cast(Encoder, inference_module(encoder, precision).to(device)),
        float(fitted.fs_model),
        fitted.amplitude,
        device,
        precision,
        (float(before), float(after)),
        int(fitted.beat_phases),
        detector,
    )
