"""Which device, and which precision: the one place that decides."""

from __future__ import annotations

import os

import torch

from .inference import bf16_supported

PRECISIONS = ("auto", "bf16", "fp32")
# From about a minute of training on, bf16 saves time that somebody notices.
BF16_FROM_PASSES = 10_000
_IMPORTED_BY = os.getpid()


def resolve_device(device: str | torch.device | None) -> torch.device:
    """Return the device meant; None is the best there is.

    Raises
    ------
    ValueError
        If torch does not know the device, or it is not available here.
    TypeError
        If it is no device at all.
    """
    _stay_alone_after_fork()
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not isinstance(device, (str, torch.device)):
        raise TypeError(f"device must be a name such as 'cpu' or 'cuda', or None, got {device!r}")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device={device!r} is not a torch device") from error
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device={device!r}: CUDA is not available here")
    if resolved.type not in ("cpu", "cuda", "mps"):
        raise ValueError(f"device={device!r} is not supported; use 'cpu', 'cuda' or 'mps'")
    if resolved.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError(f"device={device!r}: Apple's graphics processor is not available here")
    if resolved.type == "cuda" and resolved.index is not None and resolved.index >= torch.cuda.device_count():
        raise ValueError(f"device={device!r}: there are {torch.cuda.device_count()} CUDA devices here")
    return resolved


def _stay_alone_after_fork() -> None:
    """Compute with one thread in a process that was forked from the one that imported the package.

    The other threads of the parent are not there, and OpenMP waits for them for ever (joblib's "multiprocessing").
    """
    if os.getpid() != _IMPORTED_BY and torch.get_num_threads() > 1:
        torch.set_num_threads(1)


def check_precision(precision: object) -> str:
    """Return a precision that is known.

    Raises
    ------
    ValueError
        If it is not one of "auto", "bf16", "fp32".
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    return str(precision)


def inference_precision(precision: str) -> str:
    """Return "bf16" or "fp32"; "auto" is fp32, so that embeddings are the same on every machine, to rounding."""
    return "bf16" if check_precision(precision) == "bf16" else "fp32"


def training_precision(precision: str, device: torch.device, n_passes: int) -> str:
    """Return "bf16" or "fp32"; "auto" is bf16 where the hardware computes it and the run is long enough to gain.

    Parameters
    ----------
    precision : {"auto", "bf16", "fp32"}
    device : torch.device
    n_passes : int
        Records times epochs. A short run keeps fp32, whose result hardly depends on the number of threads.

    Raises
    ------
    ValueError
        If `precision` is not one of the three.
    """
    if check_precision(precision) != "auto":
        return precision
    return "bf16" if n_passes >= BF16_FROM_PASSES and bf16_supported(device) else "fp32"
