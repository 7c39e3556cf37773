"""What is measured of records to see whether they can be ECGs as they are described.

The sums run over some samples of a record, evenly spread, so that they cost little beside an embedding.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..ecg.leads import DERIVED, LEADS, resolve_leads
from .source import Block

# Samples of each lead that are looked at.
_SAMPLES = 500
_HUM = (50.0, 60.0)  # [Hz]
# A lead that varies less than this share of its largest value is a constant with rounding noise.
_FLAT = 4e-6
# Limb leads whose sums agree to this share need no closer look: rounding, filters and unequal delays stay below.
_AGREES = 0.1
# Fewest samples by which leads are compared.
_FEWEST = 50
# A gain of a limb lead below this share of the largest one counts as none.
_NO_GAIN = 0.02
# Share of the samples looked at that must lie at a lead's limits before all its samples are counted.
_AT_LIMIT = 0.006
# Fewest samples at a limit beside another such one, and their least time [s], that count as clipping.
_FEWEST_CLIPPED = (20, 0.15)
# QRS complexes: beats looked at, and the times around an R peak [s].
_BEATS, _STEP, _REACH = 4, 0.01, 7
# Oscillations of fibrillation and flutter [Hz], and the share of the power that they have there; seconds looked at.
_WAVES, _WAVE_SHARE = (2.0, 10.0), 0.5
_LONGEST = 30.0


class Measures(NamedTuple):
    """Measures of some records, one entry per record.

    Attributes
    ----------
    rows : ndarray of int64
        Positions of the records in X.
    duration : ndarray
        Length [s].
    n_leads : ndarray of int64
        Leads that vary.
    rms : ndarray
        Root mean square over the leads that vary [mV].
    limb_error : ndarray
        Share of the limb leads that contradicts Einthoven's law whatever the gain of each lead; 0 with fewer than
        three limb leads.
    identical : bool ndarray
        Whether two leads or more vary, all in the same way.
    clipped : ndarray
        Share of the samples of a lead at its largest or smallest value, beside another such one; of the worst lead.
    silent : bool ndarray
        Whether no heartbeat was found, nor the waves of fibrillation or flutter.
    rr : ndarray
        Median RR interval [s]; NaN with fewer than three beats.
    sharpness : ndarray
        Root mean square of the changes of a QRS complex within 10 ms, relative to that of the complex; NaN without
        beats.
    blank : bool ndarray
        Whether no sample is known.
    integers : bool ndarray
        Whether the record held integers.
    """

    rows: NDArray[np.int64]
    duration: NDArray[np.float64]
    n_leads: NDArray[np.int64]
    rms: NDArray[np.float64]
    limb_error: NDArray[np.float64]
    identical: NDArray[np.bool_]
    clipped: NDArray[np.float64]
    silent: NDArray[np.bool_]
    rr: NDArray[np.float64]
    sharpness: NDArray[np.float64]
    blank: NDArray[np.bool_]
    integers: NDArray[np.bool_]


def measure_block(block: Block, rpeaks: list[NDArray[np.int64]]) -> Measures:
    """Measure the records of a block.

    Parameters
    ----------
    block : Block
        Signals of the records.
    rpeaks : list of int64 arrays (n_beats,)
        R peaks of each record [samples].

    Returns
    -------
    Measures
    """
    signal, n = block.signal, len(block.rows)
    with np.errstate(over="ignore", invalid="ignore"):
        if block.limits is not None:
            high, low = block.limits
        else:
            # These ignore missing samples, and are slower.
            high, low = np.fmax.reduce(signal, axis=-1), np.fmin.reduce(signal, axis=-1)
        varies = high - low > _FLAT * np.maximum(np.abs(high), np.abs(low))
        raw = np.ascontiguousarray(signal[:, :, :: _stride(signal.shape[2], block.fs)])
        sample, power = _centred(raw)
        power = np.where(varies, power, 0)
        rms = np.sqrt(power.sum(axis=1) / np.maximum(varies.sum(axis=1), 1))
        identical = _identical(sample, power, varies)
        limb_error = _limb_errors(raw, sample, varies, block.leads)
    counts = [len(r) for r in rpeaks]
    silent = np.array(counts) == 0
    for i in np.flatnonzero(silent & varies.any(axis=1)):
        silent[i] = not _fibrillates(signal[i], block.fs)
    return Measures(
        block.rows,
        np.full(n, signal.shape[2] / block.fs),
        varies.sum(axis=1),
        rms,
        limb_error,
        identical,
        _clipped(signal, raw, high, low, varies, block.fs),
        silent,
        np.array([_median_interval(r) / block.fs for r in rpeaks]),
        _sharpness(signal, block.fs, rpeaks),
        block.blank,
        np.full(n, block.integers),
    )


def _stride(n_times: int, fs: float) -> int:
    """Return the distance of the samples looked at, at which mains hum does not look like a constant."""
    stride = max(1, n_times // _SAMPLES)
    while any(abs(hum * stride / fs - round(hum * stride / fs)) < 0.05 for hum in _HUM) and stride < 2 * fs:
        stride += 1
    return stride


def _centred(raw: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return leads without their mean, 0 where a sample is missing, and the power of each."""
    centred = raw - raw.mean(axis=-1, keepdims=True)
    power = np.einsum("nlt,nlt->nl", centred, centred, dtype=np.float64) / raw.shape[-1]
    if not np.isfinite(power).all():
        missing = np.isnan(raw)
        known = np.maximum((~missing).sum(axis=-1, keepdims=True), 1)
        wide = np.where(missing, 0, raw).astype(np.float64)
        wide = np.where(missing, 0, wide - wide.sum(axis=-1, keepdims=True) / known)
        power = (wide**2).sum(axis=-1) / known[..., 0]
        # The squares of huge values overflow float32.
        centred = (wide / np.maximum(np.abs(wide).max(axis=(1, 2), keepdims=True), 1e-30)).astype(np.float32)
    return centred, power


def _identical(sample: NDArray, power: NDArray, varies: NDArray[np.bool_]) -> NDArray[np.bool_]:
    first = varies.argmax(axis=1)
    reference = sample[np.arange(len(sample)), first]
    difference = sample - reference[:, None]
    size = np.einsum("nt,nt->n", reference, reference)
    off = np.einsum("nlt,nlt->nl", difference, difference)
    largest = np.where(varies, off, 0).max(axis=1)
    return np.asarray((largest <= 1e-4 * size) & (varies.sum(axis=1) > 1))


def _limb_errors(
    raw: NDArray[np.float32], sample: NDArray, varies: NDArray[np.bool_], leads: tuple[str, ...]
) -> NDArray[np.float64]:
    """Return the share of the limb leads that is not of one electrical axis in the frontal plane."""
    index, sign = resolve_leads(leads)
    limb = np.flatnonzero(index < 6)
    out = np.zeros(len(sample))
    if len(limb) < 3:
        return out
    weights = np.array([DERIVED.get(LEADS[i], (float(i == 0), float(i == 1))) for i in index[limb]])
    weights *= sign[limb][:, None]
    if varies[:, limb].all():
        out = _plane_errors(sample[:, limb], weights)
        doubtful = np.flatnonzero(out > _AGREES)
    else:
        doubtful = np.flatnonzero(varies[:, limb].sum(axis=1) >= 3)
    for i in doubtful:
        there = varies[i, limb]
        out[i] = _error_with_gains(raw[i, limb[there]], weights[there]) if there.sum() >= 3 else 0
    return out


def _off_plane(weights: NDArray) -> NDArray[np.float64]:
    """Return the matrix of what leads are beside sums of two, by their weights (n_leads, 2)."""
    return np.asarray(np.eye(len(weights)) - weights @ np.linalg.pinv(weights))


def _plane_errors(limb: NDArray, weights: NDArray) -> NDArray[np.float64]:
    products = limb @ limb.transpose(0, 2, 1)
    off = np.einsum("lm,nlm->n", _off_plane(weights), products)
    return np.asarray(np.sqrt(np.maximum(off, 0) / np.maximum(np.einsum("nll->n", products), 1e-30)))


def _error_with_gains(limb: NDArray[np.float32], weights: NDArray) -> float:
    """Return the error of one record's limb leads (n_leads, n_times), with the positive gains that make it smallest.

    Some sets have a gain for each lead, and their leads are in the right order all the same. Samples that are missing
    in a lead, and zeros that fill up a record, say nothing.
    """
    known = limb[:, np.isfinite(limb).all(axis=0) & (limb != 0).any(axis=0)].astype(np.float64)
    if known.shape[1] < _FEWEST:
        return 0.0
    known -= known.mean(axis=1, keepdims=True)
    known /= max(np.abs(known).max(), 1e-30)
    size = np.sqrt(np.maximum((known**2).sum(axis=1), 1e-30))
    off = _off_plane(weights) * (known @ known.T)
    error = np.sqrt(max(off.sum(), 0) / (size**2).sum())
    if error <= _AGREES:
        return float(error)
    values, vectors = np.linalg.eigh(off / size[:, None] / size)
    gains = vectors[:, 0] * np.sign(vectors[:, 0].sum())
    return float(np.sqrt(max(values[0], 0)) if gains.min() > _NO_GAIN * gains.max() else error)


def _clipped(
    signal: NDArray[np.float32],
    raw: NDArray[np.float32],
    high: NDArray,
    low: NDArray,
    varies: NDArray[np.bool_],
    fs: float,
) -> NDArray[np.float64]:
    out = np.zeros(len(signal))
    for limit in (high, low):
        # Zeros fill up records, and are no limit.
        at_limit = (raw == limit[..., None]).mean(axis=-1) * (varies & (limit != 0))
        for record, lead in zip(*np.nonzero(at_limit > _AT_LIMIT), strict=True):
            at = signal[record, lead] == limit[record, lead]
            beside = at[1:] & at[:-1]
            # In a short record, some equal values at the top of a wave are no clipping.
            if np.count_nonzero(beside) >= max(_FEWEST_CLIPPED[0], _FEWEST_CLIPPED[1] * fs):
                out[record] = max(out[record], float(beside.mean()))
    return out


def _fibrillates(signal: NDArray[np.float32], fs: float) -> bool:
    """Whether most of the power of a record lies where fibrillation and flutter have theirs."""
    # Some seconds from the middle are enough, however long the record is.
    half, reach = signal.shape[-1] // 2, round(_LONGEST * fs / 2)
    signal = signal[:, max(0, half - reach) : half + reach]
    known = np.maximum(np.isfinite(signal).sum(axis=-1, keepdims=True), 1)
    filled = np.nan_to_num(signal - np.nansum(signal, axis=-1, keepdims=True) / known)
    power = (np.abs(np.fft.rfft(filled)) ** 2).sum(axis=0)
    frequency = np.fft.rfftfreq(filled.shape[-1], 1 / fs)
    inside = (frequency >= _WAVES[0]) & (frequency <= _WAVES[1])
    return bool(power[inside].sum() > _WAVE_SHARE * power[frequency > 0.5].sum())


def _median_interval(rpeaks: NDArray[np.int64]) -> float:
    # Faster than `np.median` for so few numbers.
    intervals = sorted(np.diff(rpeaks).tolist())
    n = len(intervals)
    return (intervals[n // 2] + intervals[(n - 1) // 2]) / 2 if n > 1 else np.nan


def _sharpness(signal: NDArray[np.float32], fs: float, rpeaks: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    out = np.full(len(signal), np.nan)
    offsets = np.rint(np.arange(-_REACH, _REACH + 1) * _STEP * fs).astype(np.int64)
    record, centre = [], []
    for i, peaks in enumerate(rpeaks):
        inside = peaks[(peaks + offsets[0] >= 0) & (peaks + offsets[-1] < signal.shape[2])]
        chosen = inside[:: max(1, len(inside) // _BEATS)][:_BEATS]
        record += [i] * len(chosen)
        centre += chosen.tolist()
    if not record:
        return out
    at = np.array(centre)[:, None] + offsets
    # (n_beats, n_offsets, n_leads)
    complexes = signal[np.array(record)[:, None], :, at]
    with np.errstate(over="ignore", invalid="ignore"):
        complexes = np.nan_to_num(complexes - complexes.mean(axis=1, keepdims=True), posinf=0, neginf=0)
        change = np.diff(complexes, axis=1)
        changes = np.einsum("btl,btl->b", change, change, dtype=np.float64) / change.shape[1]
        size = np.einsum("btl,btl->b", complexes, complexes, dtype=np.float64) / complexes.shape[1]
    rows = np.array(record)
    total, over = (np.bincount(rows, values, minlength=len(signal)) for values in (changes, size))
    there = over > 0
    out[there] = np.sqrt(total[there] / over[there])
    return out
