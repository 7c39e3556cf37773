"""ResNet1d: a plain ResNet-18 in one dimension, for comparison."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import (
    N_LEADS,
    POOL_PARTS,
    TOKEN_MULTIPLE,
    ConvNorm,
    ResidualBlock,
    fold_tokens,
    pad_times,
    pool_tokens,
    to_image,
    to_tokens,
)

_STEM_TAPS = 7


class ResNet1d(nn.Module):
    """ResNet-18 with one-dimensional convolutions.

    It has a stem of 14 taps and stride 2, maximum pooling of 2, and four stages of two residual blocks with strides 1,
    2, 2, 2. A token is 32 samples: at 250 Hz, 8 tokens per second are too coarse for the borders of waves.

    Parameters
    ----------
    fs_model : float
        Sampling rate of the input [Hz].
    width : int
        Channels of the first stage; the others have 2, 4 and 8 times as many.
    kernel_size : int
        Taps of a convolution, odd.

    References
    ----------
    He et al., "Deep residual learning for image recognition", CVPR 2016, table 1.
    """

    pool_parts = POOL_PARTS

    def __init__(self, fs_model: float, *, width: int = 64, kernel_size: int = 7) -> None:
        super().__init__()
        if not fs_model > 0:
            raise ValueError(f"fs_model must be a positive rate in Hz, got {fs_model!r}")
        if not isinstance(width, (int, np.integer)) or not 1 <= width <= 512:
            raise ValueError(f"width must be a positive int up to 512, got {width!r}")
        if not isinstance(kernel_size, (int, np.integer)) or kernel_size not in range(1, 256, 2):
            raise ValueError(f"kernel_size must be odd, positive and below 256, got {kernel_size!r}")
        self.fs_model = float(fs_model)
        self.stride = 32
        self.n_dims = 8 * width
        self.n_dims_record = 3 * self.n_dims
        self.stem = ConvNorm(2 * N_LEADS, width, _STEM_TAPS)
        widths = (width, width, 2 * width, 4 * width, 8 * width)
        blocks = []
        for n_in, n_out in zip(widths, widths[1:], strict=False):
            blocks += [ResidualBlock(n_in, n_out, kernel_size, pair=n_in != n_out)]
            blocks += [ResidualBlock(n_out, n_out, kernel_size, pair=False)]
        self.blocks = nn.Sequential(*blocks)

    @property
    def receptive_field(self) -> float:
        """Length of the signal that one token depends on [s]."""
        step = 4
        samples = 2 * _STEM_TAPS + 2
        for block in self.blocks:
            assert isinstance(block, ResidualBlock)
            if block.pair:
                samples += step
                step *= 2
            samples += step * (block.conv1.taps + block.conv2.taps - 2)
        return samples / self.fs_model

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x (n, n_times, 12)`` to ``e (n, ceil(n_times / 32), 8 * width)``."""
        n_tokens = -(-x.shape[1] // self.stride)
        image = self.stem(fold_tokens(to_image(pad_times(x, self.stride * TOKEN_MULTIPLE)), 2))
        return to_tokens(self.blocks(F.max_pool2d(image, (1, 2))))[:, :n_tokens]

    def pool(self, e: Tensor) -> Tensor:
        """Compute mean, maximum and standard deviation over tokens, ``(n, 3 * n_dims)`` float32."""
        return pool_tokens(e)
