"""BeatNet: a plain residual network for 12-lead ECGs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
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

# Channels of the three blocks, and width of a token.
SIZES: dict[str, tuple[tuple[int, int, int], int]] = {
    "s": ((32, 64, 128), 96),
    "m": ((64, 128, 192), 128),
    "l": ((96, 192, 320), 192),
}
# Channels beyond which a network costs gigabytes: what a file asks for is refused before it is built.
MAX_WIDTH = 4096
# Least tokens per second.
MIN_TOKEN_RATE = 50.0


def stem_stride(fs_model: float) -> int:
    """Return the samples per token: the largest power of two with at least 50 tokens per second at `fs_model` [Hz]."""
    stride = 1
    while fs_model / (2 * stride) >= MIN_TOKEN_RATE:
        stride *= 2
    return stride


class BeatNet(nn.Module):
    """Plain residual network for 12-lead ECGs with a receptive field of about one beat.

    The stem turns ``stride`` samples of 12 leads into one token (a view, without a copy) and convolves. Three residual
    blocks of two dense convolutions each follow, with strides 1, 2, 1. The neck brings the last map back to the token
    rate of the first: upsampling, the lateral of the first block added, and one convolution of 3 taps.

    Parameters
    ----------
    fs_model : float
        Sampling rate of the input [Hz]. Tokens come at 50 Hz or more.
    size : {"s", "m", "l"}
        Widths 32/64/128, 64/128/192 or 96/192/320, and `n_dims` 96, 128 or 192.
    widths : sequence of 3 ints, optional
        Channels of the three blocks; overrides `size`.
    n_dims : int, optional
        Width of a token; overrides `size`.
    kernel_size : int
        Taps of a convolution, odd.

    Notes
    -----
    The signal is padded with zeros on the right to a multiple of 32 tokens. Tokens that lie completely in the padding
    are removed.

    References
    ----------
    He et al., "Deep residual learning for image recognition", CVPR 2016, figure 2; Lin et al., "Feature pyramid
    networks for object detection", CVPR 2017, figure 3.
    """

    pool_parts = POOL_PARTS

    def __init__(
        self,
        fs_model: float,
        *,
        size: str = "m",
        widths: Sequence[int] | None = None,
        n_dims: int | None = None,
        kernel_size: int = 9,
    ) -> None:
        super().__init__()
        if not fs_model > 0:
            raise ValueError(f"fs_model must be a positive rate in Hz, got {fs_model!r}")
        if size not in SIZES:
            raise ValueError(f"size must be one of {sorted(SIZES)}, got {size!r}")
        if not isinstance(kernel_size, (int, np.integer)) or kernel_size not in range(1, 256, 2):
            raise ValueError(f"kernel_size must be odd, positive and below 256, got {kernel_size!r}")
        first, second, third = _check_widths(SIZES[size][0] if widths is None else widths)
        n_dims = SIZES[size][1] if n_dims is None else n_dims
        if not isinstance(n_dims, (int, np.integer)) or not 1 <= n_dims <= MAX_WIDTH:
            raise ValueError(f"n_dims must be a positive int up to {MAX_WIDTH}, got {n_dims!r}")
        self.n_dims = int(n_dims)
        self.n_dims_record = 3 * self.n_dims
        self.fs_model = float(fs_model)
        self.stride = stem_stride(fs_model)
        self.stem = ConvNorm(N_LEADS * self.stride, first, kernel_size)
        self.block1 = ResidualBlock(first, first, kernel_size, pair=False)
        self.block2 = ResidualBlock(first, second, kernel_size, pair=True)
        self.block3 = ResidualBlock(second, third, kernel_size, pair=False)
        self.top = ConvNorm(third, self.n_dims, norm=False, relu=False)
        self.lateral = ConvNorm(first, self.n_dims, norm=False, relu=False)
        self.out = ConvNorm(self.n_dims, self.n_dims, 3)

    @property
    def receptive_field(self) -> float:
        """Length of the signal that one token depends on [s]."""
        taps = self.stem.taps
        fine = taps + 2 * (taps - 1)
        coarse = 2 * (self.block2.conv1.taps - 1) + 1 + 2 * 3 * (taps - 1)
        return (fine + coarse + 2) * self.stride / self.fs_model

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x (n, n_times, 12)`` to ``e (n, ceil(n_times / stride), n_dims)``."""
        return self.stages(x)[-1]

    @property
    def stage_widths(self) -> tuple[int, int, int]:
        """Channels of the maps that `stages` returns."""
        return self.block1.conv2.conv.out_channels, self.block3.conv2.conv.out_channels, self.n_dims

    def stages(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the maps of the first block, of the last block (half as many tokens) and of the neck."""
        n_tokens = -(-x.shape[1] // self.stride)
        x = fold_tokens(to_image(pad_times(x, self.stride * 2 * TOKEN_MULTIPLE)), self.stride)
        fine = self.block1(self.stem(x))
        deep = self.block3(self.block2(fine))
        out = self.out(self.lateral(fine, _repeat_tokens(self.top(deep))))
        coarse = -(-n_tokens // 2)
        return to_tokens(fine)[:, :n_tokens], to_tokens(deep)[:, :coarse], to_tokens(out)[:, :n_tokens]

    def pool(self, e: Tensor) -> Tensor:
        """Compute mean, maximum and standard deviation over tokens, ``(n, 3 * n_dims)`` float32."""
        return pool_tokens(e)


def _check_widths(widths: Sequence[int]) -> tuple[int, int, int]:
    integers = isinstance(widths, (list, tuple)) and all(isinstance(w, (int, np.integer)) for w in widths)
    if not integers or len(widths) != 3 or not all(1 <= w <= MAX_WIDTH for w in widths):
        raise ValueError(f"widths must be three positive ints up to {MAX_WIDTH}, got {widths!r}")
    return int(widths[0]), int(widths[1]), int(widths[2])


def _repeat_tokens(image: Tensor) -> Tensor:
    tokens = to_tokens(image)
    n, n_tokens, d = tokens.shape
    return to_image(tokens.unsqueeze(2).expand(n, n_tokens, 2, d).reshape(n, 2 * n_tokens, d))
