"""Annotated records for `WaveSegmenter`: masks checked, and brought to the rate and the leads of the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ecg.leads import resolve_leads
from ..ecg.preprocess import resampling_ratio
from ..ecg.waves.find import WAVES
from ..inputs.front_end import FrontEnd
from ..inputs.source import Block, Source
from .batches import IGNORED, AnnotatedRecord

CLASSES = ("background", *WAVES)
N_CLASSES = len(CLASSES)
_CHUNK = 16


def read_annotated(
    source: Source, masks: Any, front_end: FrontEnd, weight: NDArray[np.float64] | None = None
) -> list[AnnotatedRecord]:
    """Read every record with its mask, checked and at the rate of the network.

    Parameters
    ----------
    source : Source
        The records.
    masks : array-like
        One mask per record: (n_leads, n_times), or (n_times,) shared by all leads.
    front_end : FrontEnd
        At the rate of the network.
    weight : ndarray (n_records,), optional
        Records of weight 0 are not trained on.

    Raises
    ------
    ValueError, TypeError
        If a mask does not belong to its record, has another label, or says nothing; the message names the record, and
        the lead where it matters.
    """
    masks = record_masks(masks, source.n_records)
    records: list[AnnotatedRecord] = []
    for block in source.read(np.arange(source.n_records), _CHUNK):
        ready = front_end(block)
        for k, row in enumerate(block.rows):
            mask = checked_mask(masks[int(row)], block, int(row))
            placed = _place_mask(mask, block.leads, block.fs, front_end.fs_model, ready.signal.shape[1])
            placed[:, ~ready.present[k]] = IGNORED
            records.append(AnnotatedRecord(ready.signal[k], placed))
    shown = np.ones(len(records), bool) if weight is None else weight > 0
    _check_classes([record for record, drawn in zip(records, shown, strict=True) if drawn])
    return records


def record_masks(masks: Any, n_records: int) -> Any:
    """Return masks as something that is indexed by the number of the record.

    Raises
    ------
    TypeError, ValueError
        If there is not one mask per record.
    """
    if hasattr(masks, "iloc"):
        masks = masks.to_numpy()
    try:
        n_masks = None if isinstance(masks, (str, bytes, Mapping, set)) else len(masks)
    except TypeError:
        n_masks = None
    if n_masks is None:
        raise TypeError(f"masks must hold one mask per record, got {type(masks).__name__}")
    if n_masks != n_records:
        raise ValueError(f"masks holds {n_masks} records, X has {n_records}")
    return masks


def checked_mask(mask: Any, block: Block, record: int) -> NDArray[np.int8]:
    """Return the mask of a record as labels (n_leads, n_times).

    Raises
    ------
    ValueError, TypeError
        If shape, type or labels are wrong, or every sample is ignored.
    """
    try:
        labels = np.asarray(mask)
    except ValueError as error:
        raise ValueError(f"record {record}: the rows of its mask are not of one length") from error
    shape = block.signal.shape[1:]
    if labels.ndim == 1 or labels.shape[:-1] == (1,):
        labels = np.broadcast_to(labels, (shape[0], labels.shape[-1]))
    if labels.shape != shape:
        hint = "; masks must have the rate of X" if labels.ndim == 2 and labels.shape[0] == shape[0] else ""
        raise ValueError(
            f"record {record}: mask of shape {np.shape(mask)} for {shape[0]} leads of {shape[1]} samples{hint}"
        )
    if labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels == np.round(labels)).all():
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "iub":
        raise TypeError(f"record {record}: masks must hold integer labels, got {labels.dtype}")
    wrong = (labels < IGNORED) | (labels >= N_CLASSES)
    if wrong.any():
        lead, time = (int(i[0]) for i in np.nonzero(wrong))
        raise ValueError(
            f"record {record}, lead {block.leads[lead]}: label {labels[lead, time]} at sample {time}; labels are 0 "
            f"background, 1 P, 2 QRS, 3 T, and -1 ignored"
        )
    if (labels == IGNORED).all():
        raise ValueError(f"record {record} has no annotation: every sample of its mask is -1")
    return labels.astype(np.int8)


def mean_dice(source: Source, masks: Any, n_block: int, label: Callable[[Block], NDArray[np.integer]]) -> float:
    """Return the mean over P, QRS and T of the Dice coefficient of all samples that are not ignored.

    Parameters
    ----------
    source : Source
        The records.
    masks : array-like
        One per record.
    n_block : int
        Records at once.
    label : callable
        From a block to its labels (n_records, n_leads, n_times).

    Raises
    ------
    ValueError, TypeError
        As `read_annotated`.
    """
    truths = record_masks(masks, source.n_records)
    overlap, size = np.zeros(N_CLASSES), np.zeros(N_CLASSES)
    for block in source.read(np.arange(source.n_records), n_block):
        for row, found in zip(block.rows, label(block), strict=True):
            truth = checked_mask(truths[int(row)], block, int(row))
            t, f = truth[truth >= 0], found[truth >= 0]
            overlap += 2 * np.bincount(t[t == f], minlength=N_CLASSES)
            size += np.bincount(t, minlength=N_CLASSES) + np.bincount(f, minlength=N_CLASSES)
    there = size[1:] > 0
    return float((overlap[1:][there] / size[1:][there]).mean()) if there.any() else 1.0


def _place_mask(
    mask: NDArray[np.int8], leads: tuple[str, ...], fs: float, fs_model: float, n_times: int
) -> NDArray[np.int8]:
    """Put the labels of the leads given in their places among the twelve, (n_times, 12) at the rate of the network."""
    up, down = resampling_ratio(fs, fs_model)
    nearest = np.minimum(np.round(np.arange(n_times) * (down / up)).astype(np.int64), mask.shape[1] - 1)
    placed = np.full((n_times, 12), IGNORED, dtype=np.int8)
    index, _ = resolve_leads(leads)
    placed[:, index] = mask[:, nearest].T
    return placed


def _check_classes(records: list[AnnotatedRecord]) -> None:
    seen = np.zeros(N_CLASSES, dtype=bool)
    for record in records:
        seen |= np.bincount(record.mask.ravel() + 1, minlength=N_CLASSES + 1)[1:] > 0
    if not seen.all():
        missing = ", ".join(name for name, there in zip(CLASSES, seen, strict=True) if not there)
        raise ValueError(f"masks: no sample is labelled {missing}; the network cannot learn what it is never shown")
