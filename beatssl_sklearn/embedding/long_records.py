"""Embeddings of records of any length, which are read some minutes at a time.

A whole record is embedded in windows of about 10 s; here the same windows come from pieces that are read one after
the other, so that a day's recording needs the memory of a few minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..ecg.preprocess import check_fs
from ..ecg.rpeaks_multilead import level_step
from ..inputs.checks import check_duration
from ..inputs.source import ArraySource, Block
from ..inputs.windows import CORE_S, Window, windows
from .fitted_encoder import InferenceModel
from .stream import beat_middles, embed_block

PIECE_S = 600.0
# Context of the R-peak detector [s]: it looks 10 s to each side for its levels, and at the RR intervals around.
_CONTEXT_S = 60.0


class Readable(Protocol):
    """A record of which ranges can be read, such as a `WFDBReader`."""

    fs: float
    leads: tuple[str, ...]
    n_times: int

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return the samples (n_leads, stop - start) [mV]."""


class PieceEmbedding(NamedTuple):
    """What a piece of a record became; positions count from the record's first sample.

    Attributes
    ----------
    rhythm : ndarray (n_dims,) float32
        The piece's part of the sum that is the record's embedding; zeros if only beats or tokens were asked for.
        NaN if the record has no known sample.
    rpeaks : ndarray (n_beats,) int64
        R peaks in the piece [samples].
    beats : ndarray (n_beats, n_dims) float32
        Their embeddings.
    samples : ndarray (n_tokens, n_dims) float32
        Tokens of the piece. NaN if the record has no known sample.
    times : ndarray (n_tokens,) float64
        Their centres [s].
    blank : bool
        Whether the piece has no known sample.
    """

    rhythm: NDArray[np.float32]
    rpeaks: NDArray[np.int64]
    beats: NDArray[np.float32]
    samples: NDArray[np.float32]
    times: NDArray[np.float64]
    blank: bool


def embed_pieces(
    record: Readable,
    model: InferenceModel,
    level: str,
    *,
    batch_size: int = 32,
    allow_nan: bool = False,
    piece: float = PIECE_S,
    align: bool = False,
) -> Iterator[PieceEmbedding]:
    """Embed a record piece by piece.

    Parameters
    ----------
    record : Readable
        Of any length.
    model : InferenceModel
        The fitted encoder.
    level : {"rhythm", "beat", "sample"}
        What is wanted.
    batch_size : int, default=32
        Windows that the network sees at once.
    allow_nan : bool, default=False
        Whether NaN counts as missing.
    piece : float, default=600
        Length of the pieces [s]; brought to a multiple of 10 s.
    align : bool, default=False
        Whether beats are embedded around the middle of their QRS.

    Yields
    ------
    PieceEmbedding
        In the order of time. Joined, beats and tokens are those of the whole record to rounding: windows are the
        same, and the network sees other numbers of them at once. The rhythm parts sum up to the record's embedding,
        to which `InferenceModel.read_out` adds the readout.

    Raises
    ------
    ValueError, OSError
        If the record is too short, its rate is implausible, it lacks samples, or it cannot be read.
    """
    fs = check_fs(record.fs)
    check_duration(record.n_times, fs, "the record")
    cuts = windows(record.n_times, fs)
    step = max(1, round(piece / CORE_S))
    # Of a record that is there in part, its missing pieces are embedded, as they are in the whole record. So the first
    # piece must know of the last one. This stops at the first known sample: only what is missing is read twice.
    nothing = allow_nan and all(np.isnan(record.read(cut.core_start, cut.core_stop)).all() for cut in cuts)
    for i in range(0, len(cuts), step):
        yield _embed_piece(record, model, level, cuts[i : i + step], batch_size, allow_nan, nothing, align)


def _embed_piece(
    record: Readable,
    model: InferenceModel,
    level: str,
    cuts: list[Window],
    batch_size: int,
    allow_nan: bool,
    nothing: bool,
    align: bool,
) -> PieceEmbedding:
    """Embed a piece; `nothing` says that the whole record has no known sample."""
    fs, begin, end = record.fs, cuts[0].start, cuts[-1].stop
    core_start, core_stop = cuts[0].core_start, cuts[-1].core_stop
    # The detector's windows begin where they begin in the whole record, so that it finds the same beats.
    unit = level_step(fs)
    context = round(_CONTEXT_S * fs)
    first, last = max(0, core_start - context) // unit * unit, min(record.n_times, core_stop + context)
    first, last = min(first, begin), max(last, end)
    wide = _checked(record.read(first, last), record, allow_nan)
    rpeaks = np.zeros(0, dtype=np.int64)
    if level != "sample":
        (found,) = model.front_end.find_rpeaks(wide)
        rpeaks = found[(found + first >= core_start) & (found + first < core_stop)] + first
    block = wide._replace(signal=wide.signal[:, :, begin - first : end - first], blank=np.array([nothing]))
    shifted = [Window(*(edge - begin for edge in cut)) for cut in cuts]
    peaks = [rpeaks - begin]
    # Of a beat, half a second of the wider stretch is looked at.
    middles = [at + (first - begin) for at in beat_middles(wide, [rpeaks - first])] if align else None
    embedded = embed_block(
        block,
        model,
        batch_size,
        (level,),
        peaks if level == "beat" else None,
        peaks if level == "rhythm" else None,
        shifted,
        middles,
    )
    share = (end - begin) / record.n_times
    no_tokens = np.zeros((0, model.encoder.n_dims), dtype=np.float32)
    return PieceEmbedding(
        np.zeros(model.n_dims_pooled, np.float32) if embedded.rhythm is None else share * embedded.rhythm[0],
        rpeaks,
        np.zeros((0, model.n_dims_beat), np.float32) if embedded.beats is None else embedded.beats[0],
        no_tokens if embedded.samples is None else embedded.samples[0],
        np.zeros(0) if embedded.times is None else embedded.times + begin / fs,
        bool(wide.blank[0]),
    )


def _checked(signal: NDArray[np.float32], record: Readable, allow_nan: bool) -> Block:
    """Return a stretch as a block, by the rules of all arrays."""
    source = ArraySource(signal[None], record.fs, record.leads, allow_nan)
    (block,) = source.read(np.arange(1), 1)
    return block
