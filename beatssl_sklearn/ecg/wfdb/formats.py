"""Sample formats of WFDB signal files: their sizes, and their bytes as integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

INVALID: dict[str, int | None] = {
    "8": None,
    "16": -(2**15),
    "24": -(2**23),
    "32": -(2**31),
    "61": -(2**15),
    "80": -(2**7),
    "160": -(2**15),
    "212": -(2**11),
    "310": -(2**9),
    "311": -(2**9),
    "508": -(2**7),
    "516": -(2**15),
    "524": -(2**23),
}
"""Formats that can be read, and the value that marks a missing sample in each."""

COMPRESSED = {"508": 8, "516": 16, "524": 24}
"""Formats in FLAC files, and their highest resolution [bit]."""

# (bytes, samples) of the smallest block of whole bytes.
_BLOCK = {"212": (3, 2), "310": (4, 3), "311": (4, 3), "24": (3, 1), "32": (4, 1), "8": (1, 1), "80": (1, 1)}
_PAIR = (2, 1)


def stored_bytes(fmt: str, n_samples: int) -> int:
    """Return how many bytes hold `n_samples`; an incomplete last block ends at the byte that its last sample needs."""
    n_bytes, per_block = _BLOCK.get(fmt, _PAIR)
    blocks, rest = divmod(n_samples, per_block)
    # The second sample of a block of format 310 ends in the fourth byte.
    if fmt == "310" and rest == 2:
        return blocks * n_bytes + 4
    return blocks * n_bytes + (-(-rest * n_bytes // per_block))


def stored_samples(fmt: str, n_bytes: int) -> int:
    """Return how many samples fit into `n_bytes`."""
    per_block, n_samples = _BLOCK.get(fmt, _PAIR)
    return n_bytes * n_samples // per_block


def block_bytes(fmt: str) -> int:
    """Return the bytes of the smallest block of whole samples; files may be padded to it."""
    return _BLOCK.get(fmt, _PAIR)[0]


def decode(raw: NDArray[np.uint8], fmt: str, n_samples: int) -> NDArray[Any]:
    """Turn the bytes of an uncompressed signal file into samples, in the order of the file.

    Parameters
    ----------
    raw : ndarray of shape (n_bytes,), uint8
        At least `stored_bytes(fmt, n_samples)` bytes.
    fmt : str
        A format of `INVALID` that is not compressed.
    n_samples : int
        Number of samples wanted.

    Returns
    -------
    samples : ndarray of shape (n_samples,), int16 or int32
        Values; format 8 gives differences.

    References
    ----------
    WFDB Applications Guide, signal(5).
    """
    return _DECODERS[fmt](raw)[:n_samples]


def _view(dtype: str) -> Callable[[NDArray[np.uint8]], NDArray[Any]]:
    def decoder(raw: NDArray[np.uint8]) -> NDArray[Any]:
        values = raw[: len(raw) - len(raw) % np.dtype(dtype).itemsize].view(dtype)
        return values.astype(values.dtype.newbyteorder("="), copy=False)

    return decoder


def _blocks(raw: NDArray[np.uint8], n_bytes: int) -> tuple[NDArray[np.int16], ...]:
    """Return the bytes of all blocks as int16, one array per place in the block; pad the last block with zeros."""
    padded = np.zeros(-(-len(raw) // n_bytes) * n_bytes, dtype=np.int16)
    padded[: len(raw)] = raw
    return tuple(padded.reshape(-1, n_bytes).T)


def _signed(columns: tuple[NDArray[np.int16], ...], bits: int) -> NDArray[np.int16]:
    """Interleave columns of unsigned samples, and read them as two's complement of `bits`."""
    samples = np.stack(columns, axis=1).reshape(-1)
    samples[samples >= 1 << (bits - 1)] -= 1 << bits
    return samples


def _decode_80(raw: NDArray[np.uint8]) -> NDArray[np.int16]:
    return raw.astype(np.int16) - np.int16(128)


def _decode_160(raw: NDArray[np.uint8]) -> NDArray[np.int16]:
    # Offset binary is two's complement with the highest bit flipped.
    return (_view("<u2")(raw) ^ np.uint16(0x8000)).view(np.int16)


def _decode_8(raw: NDArray[np.uint8]) -> NDArray[np.int16]:
    return raw.view(np.int8).astype(np.int16)


def _decode_24(raw: NDArray[np.uint8]) -> NDArray[np.int32]:
    # Three bytes, lowest first; the highest carries the sign.
    low, middle, high = raw[: len(raw) - len(raw) % 3].reshape(-1, 3).T.astype(np.int32)
    high[high > 127] -= 256
    return low + (middle << 8) + (high << 16)


def _decode_212(raw: NDArray[np.uint8]) -> NDArray[np.int16]:
    # Two samples in three bytes; the halves of the middle byte are the highest four bits of both.
    a, b, c = _blocks(raw, 3)
    return _signed((a + ((b & 0x0F) << 8), c + ((b >> 4) << 8)), 12)


def _decode_310(raw: NDArray[np.uint8]) -> NDArray[np.int16]:
    # Three samples in two words of 16 bits: bits 1 to 10 of each word, and the highest five bits of both.
    a, b, c, d = _blocks(raw, 4)
    return _signed(((a >> 1) + ((b & 7) << 7), (c >> 1) + ((d & 7) << 7), (b >> 3) + ((d >> 3) << 5)), 10)


def _decode_311(raw: NDArray[np.uint8]) -> NDArray[np.int16]:
    # Three samples in one word of 32 bits, from the lowest bit on; its two highest bits are unused.
    a, b, c, d = _blocks(raw, 4)
    return _signed((a + ((b & 3) << 8), (b >> 2) + ((c & 15) << 6), (c >> 4) + ((d & 63) << 4)), 10)


_DECODERS: dict[str, Callable[[NDArray[np.uint8]], NDArray[Any]]] = {
    "8": _decode_8,
    "16": _view("<i2"),
    "24": _decode_24,
    "32": _view("<i4"),
    "61": _view(">i2"),
    "80": _decode_80,
    "160": _decode_160,
    "212": _decode_212,
    "310": _decode_310,
    "311": _decode_311,
}
