"""Records that nobody can read in full: found, and named, left out or refused, for embedders and the command line."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._optional import find_stack_level
from ..inputs.source import Block, Source
from .measured import CHUNK
from .reading import open_records, read_blocks
from .signal_quality import quality_of, record_reasons

RELIABLE: tuple[str, ...] = ("keep", "warn", "drop", "raise")
"""Values of the parameter `reliable` of embedders; the command line has the first three."""
LEAST_SCORE = 0.5
"""Score of `signal_quality` below which a record is unreliable."""
LOOKED_AT_S = 600.0
"""Of a longer record, so much is looked at, from its beginning [s]."""

REFUSED = "X has unreliable records (reliable='raise'):\n"
"""How the error of ``reliable="raise"`` begins; the records follow line by line."""

# So many records are named in a warning or an error.
_NAMED = 10
# What follows each of them.
_LEFT_OUT = " (rows are NaN: reliable='drop')"


def check_reliable(reliable: object) -> str:
    """Return a value of the parameter `reliable`.

    Raises
    ------
    ValueError
        If it is not one of "keep", "warn", "drop", "raise".
    """
    if not isinstance(reliable, str) or reliable not in RELIABLE:
        raise ValueError(f"reliable must be one of {', '.join(RELIABLE)}, got {reliable!r:.80}")
    return reliable


def faults_of(X: Any) -> list[str]:
    """Return for each record why it is unreliable; "" for a reliable one.

    Parameters
    ----------
    X : list of ECGRecord or of paths, column of a table, or a folder
        Records that know their rates.
    """
    return [text for block in read_blocks(open_records(X, None, None)) for text in faults_of_block(block)]


def faults_of_block(block: Block) -> list[str]:
    """Return for each record of a block why it is unreliable; "" for a reliable one."""
    texts: list[str] = []
    stop = round(LOOKED_AT_S * block.fs)
    for i in range(0, len(block.signal), CHUNK):
        part = block._replace(signal=block.signal[i : i + CHUNK, :, :stop])
        measured, _, scores = quality_of(part)
        for score, reasons in zip(scores, record_reasons(part, measured), strict=True):
            text = f"quality {score:.2f} is below {LEAST_SCORE:g}" + (f": {reasons}" if reasons else "")
            texts.append("" if score >= LEAST_SCORE else text)
    return texts


class ReliabilityCheck:
    """What is unreliable among the records that one call of a method reads.

    Parameters
    ----------
    source : Source
        The records; names them.
    reliable : {"keep", "warn", "drop", "raise"}
        What to do with unreliable records.

    Raises
    ------
    ValueError
        If `reliable` is none of these.
    """

    def __init__(self, source: Source, reliable: str) -> None:
        self.reliable = check_reliable(reliable)
        self.source = source
        self._said: list[tuple[int, str]] = []

    @property
    def wanted(self) -> bool:
        """Whether there is anything to look at."""
        return self.reliable != "keep"

    @property
    def drops(self) -> bool:
        """Whether unreliable records are left out."""
        return self.reliable == "drop"

    def look(self, block: Block) -> Block:
        """Judge the records of a block; return it, with those that are left out called blank."""
        if not self.wanted:
            return block
        texts = faults_of_block(block)
        self._said += [(int(row), text) for row, text in zip(block.rows, texts, strict=True) if text]
        return block._replace(blank=block.blank | [bool(text) for text in texts]) if self.drops else block

    def look_at_windows(self, row: int, texts: Sequence[str], starts_s: NDArray[np.float64]) -> None:
        """Note which windows of a record are unreliable, by what `faults_of_block` says of them as records.

        Parameters
        ----------
        row : int
            Position of the record.
        texts : sequence of str
            One per window.
        starts_s : ndarray of shape (n_windows,)
            Where the windows begin [s].
        """
        bad = [k for k, text in enumerate(texts) if text]
        if bad:
            which = f"{len(bad)} of {len(texts)} windows, first that at {starts_s[bad[0]]:g} s"
            self._said.append((row, f"{which}: {texts[bad[0]]}"))

    def tell(self) -> None:
        """Warn of the unreliable records, in one warning, or raise.

        Raises
        ------
        ValueError
            If there are any and `reliable` is "raise".
        """
        if not self._said:
            return
        names = self.source.record_names
        lines = []
        for row, text in self._said[:_NAMED]:
            name = names[row] if names is not None and isinstance(names[row], str) else row
            lines.append(f"record {name!r}: {text}{_LEFT_OUT if self.drops else ''}")
        if len(self._said) > _NAMED:
            lines.append(f"and {len(self._said) - _NAMED} others")
        if self.reliable == "raise":
            raise ValueError(REFUSED + "\n".join(lines))
        warnings.warn("\n".join(lines), UserWarning, stacklevel=find_stack_level())
