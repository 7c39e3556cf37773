"""FittedEncoder: what a training leaves behind, and all that is needed to embed records with it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from torch import Tensor, nn

from ..components import register
from ..inputs.front_end import FrontEnd
from ..nn.blocks import Encoder
from ..nn.devices import inference_precision, resolve_device
from ..nn.encoders import build_encoder
from ..nn.inference import inference_module
from ..nn.ready import ReadyNetworks
from ..nn.weights import load_module_arrays, module_arrays
from ..persistence import load_shared
from .encoder_checks import check_encoder
from .readout import Readout


@dataclass(frozen=True)
class InferenceModel:
    """An encoder that is ready to run on a device."""

    encoder: Encoder
    front_end: FrontEnd
    device: torch.device
    precision: str
    readout: Readout | None = None

    @property
    def n_dims_beat(self) -> int:
        """Width of a beat's embedding."""
        return self.front_end.beat_phases * self.encoder.n_dims

    @property
    def n_dims_pooled(self) -> int:
        """Width of what tokens and heartbeats of a record, or of a window of it, are pooled to."""
        return self.encoder.n_dims_record + self.n_dims_beat

    @property
    def n_dims_record(self) -> int:
        """Width of a record's embedding: what is pooled, and the readout."""
        return self.n_dims_pooled + (0 if self.readout is None else self.readout.n_dims)

    def read_out(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the embeddings (n, n_dims_record) of records from what they are pooled to (n, n_dims_pooled)."""
        return pooled if self.readout is None else np.concatenate([pooled, self.readout(pooled)], axis=1)

    def encode(self, signal: NDArray[np.float32]) -> Tensor:
        """Return the feature map (n_records, n_tokens, n_dims) of preprocessed signals."""
        x = torch.from_numpy(signal).to(self.device, non_blocking=True)
        if self.device.type != "cuda" or self.precision != "fp32":
            return self.encoder(x)
        # TensorFloat-32, cuDNN's default for convolutions, has ten bits: embeddings would differ from a CPU's.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return self.encoder(x)


@register
@dataclass(frozen=True, eq=False, repr=False)
class FittedEncoder:
    """What a training leaves behind: an encoder with its weights, its front end, and how X was described.

    It never changes. Estimators that train an encoder have one as `encoder_`; embedders, `FineTunedClassifier` and
    `WaveSegmenter` take one wherever they take a fitted pretrainer.

    Parameters
    ----------
    encoder : str, class or callable
        As for `Pretrainer`.
    encoder_params : dict or None
        As for `Pretrainer`.
    weights : dict of ndarray
        State of the encoder.
    front_end : FrontEnd
        How signals are prepared, and where heartbeats are.
    fs : float
        Sampling rate of arrays [Hz].
    leads : tuple of str or None
        Names of the leads of arrays.
    allow_nan : bool
        Whether NaN counts as missing samples.
    n_leads : int or None
        Leads that arrays must have; None takes any number.
    readout : Readout or None
        More columns of a record's embedding, as `Pretrainer.fit_readout` learns them.
    """

    encoder: Any
    encoder_params: dict[str, Any] | None
    weights: dict[str, NDArray]
    front_end: FrontEnd
    fs: float = 500.0
    leads: tuple[str, ...] | None = None
    allow_nan: bool = False
    n_leads: int | None = None
    readout: Readout | None = None
    _ready: ReadyNetworks[InferenceModel] = field(default_factory=ReadyNetworks, repr=False)

    def _check_file(self) -> None:
        check_encoder(self)

    @classmethod
    def untrained(
        cls, encoder: Any, encoder_params: dict[str, Any] | None, front_end: FrontEnd, seed: int, **described: Any
    ) -> FittedEncoder:
        """Return an encoder with random weights that are drawn from a seed.

        Parameters
        ----------
        encoder, encoder_params, front_end : as for `FittedEncoder`
        seed : int
            Key of the weights.
        **described
            `fs`, `leads`, `allow_nan`, `n_leads`.

        Returns
        -------
        FittedEncoder
            With random weights.

        Raises
        ------
        ValueError, TypeError
            If the encoder or one of its parameters is unknown or out of range.
        """
        module = build_encoder(encoder, front_end.fs_model, encoder_params, torch.Generator().manual_seed(seed))
        return cls(encoder, encoder_params, module_arrays(module), front_end, **described)

    def with_random_weights(self, seed: int) -> FittedEncoder:
        """Return the same encoder with the random weights that a `fit` with this seed starts from.

        Parameters
        ----------
        seed : int
            As `random_state` of a pretrainer.

        Returns
        -------
        FittedEncoder
            Untrained.
        """
        described = {name: getattr(self, name) for name in ("fs", "leads", "allow_nan", "n_leads")}
        return self.untrained(self.encoder, self.encoder_params, self.front_end, seed, **described)

    def fitted_with(self, weights: dict[str, NDArray]) -> FittedEncoder:
        """Return the same encoder with other weights, and without the readout, which belongs to the former ones.

        Parameters
        ----------
        weights : dict of ndarray
            State of the encoder.

        Returns
        -------
        FittedEncoder
            A new one.
        """
        return replace(self, weights=weights, readout=None, _ready=ReadyNetworks())

    def with_readout(self, readout: Readout | None) -> FittedEncoder:
        """Return the same encoder with a readout, or without one.

        Parameters
        ----------
        readout : Readout or None
            Of embeddings of this encoder.

        Returns
        -------
        FittedEncoder
            With the same network.
        """
        return self if readout is self.readout else replace(self, readout=readout)

    def described(self, **changes: Any) -> FittedEncoder:
        """Return the same network for an X that is described in another way.

        Parameters
        ----------
        **changes
            `fs`, `leads`, `allow_nan`, `n_leads`.

        Returns
        -------
        FittedEncoder
            Itself if nothing changes.
        """
        if all(getattr(self, name) == value for name, value in changes.items()):
            return self
        return replace(self, **changes)

    def module(self) -> nn.Module:
        """Return the encoder as a module that can be trained.

        Returns
        -------
        torch.nn.Module
            A new one, on the CPU.
        """
        module = build_encoder(
            self.encoder, self.front_end.fs_model, self.encoder_params, torch.Generator().manual_seed(0)
        )
        load_module_arrays(module, self.weights)
        return module

    def model(self, device: str | torch.device | None = None, precision: str = "auto") -> InferenceModel:
        """Return the encoder ready to run; made once per device and precision.

        Parameters
        ----------
        device : str or torch.device, default=None
            None is the best there is.
        precision : {"auto", "bf16", "fp32"}, default="auto"
            "auto" is fp32.

        Returns
        -------
        InferenceModel
            Its method `encode` maps prepared signals to tokens.

        Raises
        ------
        ValueError, TypeError
            If the device or the precision is unknown or not available here.
        """
        where, kind = resolve_device(device), inference_precision(precision)

        def make() -> InferenceModel:
            network = cast(Encoder, inference_module(self.module(), kind).to(where))
            return InferenceModel(network, self.front_end, where, kind)

        # Encoders that differ in their readout share the network.
        ready = self._ready.get((str(where), kind), make)
        return ready if self.readout is None else replace(ready, readout=self.readout)

    def __repr__(self) -> str:
        n_weights = sum(array.size for array in self.weights.values())
        return f"FittedEncoder({self.encoder!r}, {self.encoder_params!r}, {n_weights:,} weights, {self.front_end})"

    def __copy__(self) -> FittedEncoder:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> FittedEncoder:
        # It never changes, so that a clone's parameter may be the same object.
        return self


def is_fitted(pretrainer: Any) -> bool:
    """Whether a pretrainer is fitted, or is the path or name of one."""
    if isinstance(pretrainer, (str, os.PathLike, FittedEncoder)):
        return True
    if isinstance(pretrainer, type):
        return False
    own = getattr(pretrainer, "__sklearn_is_fitted__", None)
    return hasattr(pretrainer, "encoder_") if own is None else bool(own())


def fitted_encoder(pretrainer: Any) -> FittedEncoder:
    """Return the encoder of a fitted estimator, of a file, or of a shipped model.

    Parameters
    ----------
    pretrainer : FittedEncoder, fitted estimator, path or str
        Anything that has an `encoder_`, a file written by `save`, or the name of a shipped model.

    Returns
    -------
    FittedEncoder
        What embeds.

    Raises
    ------
    TypeError
        If it cannot have an encoder.
    NotFittedError, ValueError
        If it is not fitted, or parameters that describe its network were changed after `fit`.
    OSError, ValueError
        If a file cannot be read.
    """
    if isinstance(pretrainer, FittedEncoder):
        return pretrainer
    if isinstance(pretrainer, (str, os.PathLike)):
        loaded = load_shared(pretrainer)
        if not is_fitted(loaded):
            raise ValueError(f"{os.fspath(pretrainer)!r} holds a {type(loaded).__name__}, which has no encoder")
        return fitted_encoder(loaded)
    if isinstance(pretrainer, type) or not hasattr(type(pretrainer), "fit"):
        raise TypeError(f"pretrainer must be a fitted estimator, a path or a shipped model's name, got {pretrainer!r}")
    try:
        found = pretrainer.encoder_
    except NotFittedError:
        raise
    except AttributeError:
        found = None
    if not isinstance(found, FittedEncoder):
        steps = "; embed with its first step" if hasattr(pretrainer, "steps") else ""
        raise TypeError(f"pretrainer must have an encoder_, which {type(pretrainer).__name__} does not{steps}")
    return found
