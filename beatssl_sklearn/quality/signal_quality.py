"""`signal_quality`: how good each lead and each record is, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..ecg.rpeaks import MIN_DURATION
from ..inputs.source import Block
from .measured import Measured, measure_chunk
from .reading import open_records, read_blocks, record_names
from .score import badness, lead_inputs, record_badness

if TYPE_CHECKING:
    from pandas import DataFrame

LEVELS = ("record", "lead")
# Above these, or below the last two, a measure is named as a reason; amplitudes in mV.
_FLAT, _CLIPPED, _POWERLINE, _BASELINE, _NOISE_SHARE, _MISSING = 0.3, 0.005, 0.1, 1.5, 0.06, 0.5
_SMALL, _LARGE = 0.05, 10.0
_HEART_RATES = (25.0, 240.0)
_MEASURES = (
    *("flat", "clipped", "powerline", "baseline", "noise", "burst", "spikes", "missing_beats"),
    *("unlike", "unlike_worst", "amplitude", "range"),
)


def signal_quality(
    X: Any, fs: float | None = None, leads: Sequence[str] | str | None = None, *, level: str = "record"
) -> DataFrame:
    """Measure how good ECGs are, and score them between 0 and 1.

    Parameters
    ----------
    X : array of shape (n_records, n_leads, n_times), list of ECGRecord or of paths, column of a table, or a folder
        Signals [mV]. NaN is missing.
    fs : float, default=None
        Sampling rate of arrays [Hz]; records and files have their own.
    leads : sequence of str, default=None
        Names of the leads of arrays; None is as for embedders.
    level : {"record", "lead"}, default="record"
        A row per record, or a row per lead of each record.

    Returns
    -------
    DataFrame
        With ``level="lead"``, the columns are:

        - record, lead;
        - flat: share of the time in which the lead keeps one value or is missing;
        - clipped: share of the time at its largest or smallest value, where that is a limit;
        - powerline: share of its power at 50 or 60 Hz (NaN below 126 Hz);
        - baseline: range of its mean over 1 s [mV];
        - noise, burst: size of fast changes between waves, all the time and in the worst second [mV];
        - spikes: largest fast change relative to that of the heartbeats;
        - missing_beats: share of the record's R peaks at which the lead shows nothing;
        - unlike, unlike_worst: power in which heartbeats differ from the median one, relative to it;
        - amplitude: height of the median QRS complex, and range: of the lead [mV];
        - score: between 0, of no use, and 1; below .5, the lead is rather unacceptable;
        - reasons: what is wrong, in words.

        With ``level="record"``: record, n_leads, heart_rate [1/min], n_beats, flat_leads, bad_leads (score below .5),
        worst_lead, the worst of flat, clipped, powerline, baseline, noise and missing_beats, score and reasons.

    Raises
    ------
    ValueError
        If `level` is unknown, `fs` is missing for an array, or X cannot be used.
    TypeError
        If X is of no such kind.

    Notes
    -----
    The scores come from two logistic models. That of a lead takes the measures. That of a record takes the scores of
    its three worst leads, how far the worst is from the others, the flattest, most clipped and noisiest lead, and
    whether heartbeats were found; a record of one lead has that lead's score. They were fitted on PTB-XL's marks of
    noise, the noisy class of CinC 2017, and clean records that were spoilt.
    ``benchmarks/results/quality.md`` has how well they agree with them. The line at .5 is that of the spoilt records:
    moderate noise that people mark, but can read through, scores above it.

    References
    ----------
    Silva, Moody and Celi, Improving the quality of ECGs collected using mobile phones: the PhysioNet/Computing in
    Cardiology Challenge 2011, Comput Cardiol 38, 2011.
    Moody, Muldrow and Mark, A noise stress test for arrhythmia detectors, Comput Cardiol 11, 1984.

    Examples
    --------
    >>> from beatssl_sklearn import make_ecg, signal_quality
    >>> X = make_ecg(2, fs=500, random_state=0).data
    >>> X[1] = 0
    >>> table = signal_quality(X, fs=500)
    >>> table["score"][0] > 0.5, table["score"][1] < 0.5
    (True, True)
    """
    if level not in LEVELS:
        raise ValueError(f"level must be one of {', '.join(LEVELS)}, got {level!r}")
    import pandas

    source = open_records(X, fs, leads)
    names = record_names(source)
    build = _record_columns if level == "record" else _lead_columns
    parts = [pandas.DataFrame(build(block, [names[i] for i in block.rows])) for block in read_blocks(source)]
    return pandas.concat(parts, ignore_index=True)


def quality_of(block: Block) -> tuple[Measured, NDArray[np.float64], NDArray[np.float64]]:
    """Return measures, and scores of leads (n_records, n_leads) and of records (n_records,)."""
    measured, _ = measure_chunk(block.signal, block.fs)
    logits = badness("lead", lead_inputs(measured.leads))
    of_records = record_badness(logits, measured.leads, measured.n_beats)
    return measured, _score(logits), _score(of_records)


def _score(badness: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(np.clip(badness.astype(np.float64), -50, 50))))


def _lead_columns(block: Block, names: list[Any]) -> dict[str, Any]:
    measured, scores, _ = quality_of(block)
    n_leads = len(block.leads)
    columns: dict[str, Any] = {
        "record": [name for name in names for _ in range(n_leads)],
        "lead": list(block.leads) * len(names),
    }
    columns |= {name: getattr(measured.leads, name).ravel().astype(np.float64) for name in _MEASURES}
    reasons = _reasons(measured)
    columns["score"] = scores.ravel()
    columns["reasons"] = ["; ".join(text for text, odd in reasons.items() if odd.flat[i]) for i in range(scores.size)]
    return columns


def _reasons(measured: Measured) -> dict[str, NDArray[np.bool_]]:
    """Return which leads have which fault, by what is said of it."""
    m = measured.leads
    flat = m.flat > _FLAT
    with np.errstate(invalid="ignore"):
        return {
            "flat": flat,
            "clipped": m.clipped > _CLIPPED,
            "powerline": m.powerline > _POWERLINE,
            "baseline wander": m.baseline > _BASELINE,
            "noise": ~flat & (np.maximum(m.noise, 0.5 * m.burst) > _NOISE_SHARE * m.amplitude),
            "missing beats": ~flat & (m.missing_beats > _MISSING),
            "implausible amplitude": ~flat & ((m.amplitude < _SMALL) | (m.range > _LARGE)),
        }


def _record_columns(block: Block, names: list[Any]) -> dict[str, Any]:
    measured, scores, of_records = quality_of(block)
    m = measured.leads
    worst = scores.argmin(axis=1)
    columns: dict[str, Any] = {
        "record": names,
        "n_leads": len(block.leads),
        "heart_rate": measured.heart_rate,
        "n_beats": measured.n_beats,
        "flat_leads": (m.flat > _FLAT).sum(axis=1),
        "bad_leads": (scores < 0.5).sum(axis=1),
        "worst_lead": [block.leads[i] for i in worst],
    }
    for name in ("flat", "clipped", "powerline", "baseline", "noise", "missing_beats"):
        columns[name] = getattr(m, name).max(axis=1).astype(np.float64)
    columns["score"] = of_records
    columns["reasons"] = record_reasons(block, measured)
    return columns


def record_reasons(block: Block, measured: Measured) -> list[str]:
    """Return what is wrong with each record, in words; "" for nothing."""
    reasons, rate = _reasons(measured), measured.heart_rate
    seconds = block.signal.shape[-1] / block.fs
    texts = []
    for i in range(len(rate)):
        parts = []
        for text, odd in reasons.items():
            if odd[i].any():
                where = "all leads" if odd[i].all() else ", ".join(np.array(block.leads)[odd[i]])
                parts.append(f"{text} ({where})")
        if measured.n_beats[i] == 0 and seconds > 10 * MIN_DURATION:
            parts.append("no heartbeat")
        elif not _HEART_RATES[0] <= np.nan_to_num(rate[i], nan=60) <= _HEART_RATES[1]:
            parts.append(f"implausible heart rate ({rate[i]:.0f}/min)")
        texts.append("; ".join(parts))
    return texts
