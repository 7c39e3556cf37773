"""From measures to scores between 0, of no use, and 1, good: one logistic model of leads, and one of records.

The coefficients lie in score.json. ``python -m benchmarks.study_quality`` fits them and says how well they do.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .lead_measures import LeadMeasures

LEAD_INPUTS: tuple[str, ...] = (
    "flat", "clipped", "powerline", "missing_beats", "log_noise", "log_noise_share", "log_burst_share",
    "log_baseline", "log_baseline_share", "log_unlike", "log_unlike_worst", "log_spikes", "too_small", "too_large",
    "no_beats",
)  # fmt: skip
"""What the score of a lead is computed from."""
RECORD_INPUTS: tuple[str, ...] = (
    "worst", "second_worst", "third_worst", "above_others", "bad_share", "flat_share", "flat_worst", "clipped_worst",
    "log_noise_worst", "log_burst_worst", "no_beats",
)  # fmt: skip
"""What the score of a record of several leads is computed from: logits of its leads' scores, and some measures."""

# Logarithms are kept within these values; amplitudes [mV] beyond the others count as too small or too large.
_LOG_MIN, _LOG_MAX = -9.0, 4.0
_SMALL_MV, _LARGE_MV = 0.15, 5.0
# Share of the time at a limit from which on a lead is as bad as with more.
_CLIPPED_ALL = 0.01
# Share of the time for which the flattest lead may be flat, and from which on it is as good as absent.
_FLAT_SOME, _FLAT_ALL = 0.1, 0.4
# Logits of leads are kept within +-this.
_LOGIT = 8.0


def lead_inputs(m: LeadMeasures) -> NDArray[np.float32]:
    """Return what the score of each lead is computed from.

    Parameters
    ----------
    m : LeadMeasures
        Of shape (n_records, n_leads).

    Returns
    -------
    ndarray of float32, shape (n_records, n_leads, n_inputs)
        In the order of `LEAD_INPUTS`.
    """
    without = np.isnan(m.missing_beats)
    size = np.maximum(m.amplitude, 1e-3)
    columns = [
        m.flat,
        _clipped(m),
        np.nan_to_num(m.powerline),
        np.where(without, 1, m.missing_beats),
        _log(m.noise),
        _log(m.noise / size),
        _log(m.burst / size),
        _log(m.baseline),
        _log(m.baseline / size),
        # Heartbeats that are not there are as unlike each other as can be.
        _log(np.where(np.isnan(m.unlike), 2, m.unlike)),
        _log(np.where(np.isnan(m.unlike_worst), 4, m.unlike_worst)),
        _log(m.spikes),
        np.maximum(np.log(_SMALL_MV) - _log(m.amplitude), 0),
        np.maximum(_log(m.range) - np.log(_LARGE_MV), 0),
        without,
    ]
    return np.stack(np.broadcast_arrays(*columns), axis=-1).astype(np.float32)


def _clipped(m: LeadMeasures) -> NDArray[np.float32]:
    return np.minimum(m.clipped / _CLIPPED_ALL, 1)


def _log(values: NDArray) -> NDArray:
    return np.clip(np.log(np.maximum(values, 1e-9)), _LOG_MIN, _LOG_MAX)


def record_inputs(logits: NDArray, m: LeadMeasures, n_beats: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return what the score of each record is computed from.

    Parameters
    ----------
    logits : ndarray of shape (n_records, n_leads)
        Of the leads' scores: large where a lead is bad.
    m : LeadMeasures
    n_beats : ndarray of shape (n_records,)

    Returns
    -------
    ndarray of float32, shape (n_records, n_inputs)
        In the order of `RECORD_INPUTS`.
    """
    ordered = -np.sort(-np.clip(logits, -_LOGIT, _LOGIT), axis=1)
    worst = ordered[:, 0]
    columns = [
        *(ordered[:, min(k, ordered.shape[1] - 1)] for k in range(3)),
        # One bad lead among good ones is no noise that all of them have a little of.
        (worst - np.median(ordered, axis=1)) / (1 + np.exp(-worst)),
        (ordered > 0).mean(axis=1),
        (m.flat > 0.5).mean(axis=1),
        np.clip((m.flat.max(axis=1) - _FLAT_SOME) / (_FLAT_ALL - _FLAT_SOME), 0, 1),
        _clipped(m).max(axis=1),
        _log(m.noise).max(axis=1),
        _log(m.burst).max(axis=1),
        n_beats < 3,
    ]
    return np.stack(columns, axis=-1).astype(np.float32)


def record_badness(logits: NDArray[np.float32], m: LeadMeasures, n_beats: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the logit of each record being unacceptable: of one lead, it is that of the lead.

    Parameters
    ----------
    logits, m, n_beats
        As for `record_inputs`.
    """
    return logits[:, 0] if logits.shape[1] == 1 else badness("record", record_inputs(logits, m, n_beats))


@cache
def _coefficients() -> dict[str, Any]:
    text = (files(__package__) / "score.json").read_text(encoding="utf-8")
    return {
        kind: (np.array([own["weights"][name] for name in names], np.float32), np.float32(own["intercept"]))
        for kind, names in (("lead", LEAD_INPUTS), ("record", RECORD_INPUTS))
        for own in [json.loads(text)[kind]]
    }


def badness(kind: str, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logit of a lead or record being unacceptable.

    Parameters
    ----------
    kind : {"lead", "record"}
    inputs : ndarray of shape (..., n_inputs)
    """
    weights, intercept = _coefficients()[kind]
    return np.asarray(inputs @ weights + intercept)
