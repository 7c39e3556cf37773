"""Which device, and which precision: the one place that decides."""

from __future__ import annotations

import torch

from ..nn.inference import bf16_supported

PRECISIONS = ("auto", "bf16", "fp32")


def resolve_device(device: str | torch.device | None) -> torch.device:
    """Return the device meant; None is the best there is.

    Raises
    ------
    ValueError
        If torch does not know the device, or it is not available here.
    TypeError
        If it is no device at all.
    """
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
    return resolved


def resolve_precision(precision: str, device: torch.device) -> str:
    """Return "bf16" or "fp32"; "auto" is bf16 where the machine computes it in hardware.

    Raises
    ------
    ValueError
        If `precision` is not one of "auto", "bf16", "fp32".
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    if precision == "auto":
        return "bf16" if bf16_supported(device) else "fp32"
    return precision
