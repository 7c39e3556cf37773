"""`check_leads`: whose leads are these, in which unit, and at which rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..ecg.leads import DERIVED, EIGHT_LEADS, resolve_leads
from ..ecg.rpeaks import detect_rpeaks
from ..inputs.measures import Measures, measure_block
from ..inputs.plausibility import LIMB_ERROR
from ..inputs.source import Block
from .coarse import coarsen, without_gaps
from .lead_model import lead_model, swap_logits
from .lead_noise import are_too_noisy
from .lead_shapes import limb_errors, median_beats
from .reading import open_records, read_blocks, record_names
from .swaps import SWAPS
from .units import UNKNOWN, moderate, units_of

if TYPE_CHECKING:
    from pandas import DataFrame

# Probability, before a record is seen, that its leads are right.
_PRIOR = 0.9
# Share of the limb leads against Einthoven's law: it holds below, and is broken above.
_HOLDS, _BROKEN = 0.1, 0.3
# Weight of both logits of a mistake, with and without it, as evidence: chosen on patients that the models did not see.
_EVIDENCE = 0.75
# RR interval [s] and sharpness of QRS complexes of a usual record.
_USUAL_RR, _USUAL_SHARPNESS = 0.8, 0.85
# Probability from which a mistake is told.
_REPORTED, _RATE_REPORTED = 0.5, 0.97
# Share of a limb lead that may be missing where limb leads are compared.
_LACKING = 0.01
OWN_GAINS = "limb leads have gains of their own"
"""A finding that says nothing against the places of leads: only amplitudes of different leads cannot be compared."""
_RATES = {"fs_too_high": "fs may be too high", "fs_too_low": "fs may be too low"}


class Judged(NamedTuple):
    """What is judged of the records of a block.

    Attributes
    ----------
    scores : dict of str to ndarray of shape (n_records,)
        Probability of each mistake, if it were as frequent as none.
    unit : list of str
    limb_error : ndarray of shape (n_records,)
        Difference of limb leads from what follows from I and II, relative; NaN without such leads.
    own_gains : ndarray of bool, shape (n_records,)
        Whether limb leads differ from what follows from I and II by a factor of their own each, and by no more.
    likely : list of str
        The most likely mistake of the leads; "" if it is less likely than none.
    certainty : ndarray of shape (n_records,)
        Probability of that mistake, or of none, if nine of ten records are right; NaN where it is doubted.
    doubted : list of str
        A mistake that would be the most likely one, if the heartbeats were not too noisy to tell.
    """

    scores: dict[str, NDArray[np.float64]]
    unit: list[str]
    limb_error: NDArray[np.float64]
    own_gains: NDArray[np.bool_]
    likely: list[str]
    certainty: NDArray[np.float64]
    doubted: list[str]


def check_leads(X: Any, fs: float | None = None, leads: Sequence[str] | str | None = None) -> DataFrame:
    """Look for swapped electrodes, inverted leads, wrong units and wrong rates.

    Parameters
    ----------
    X : array of shape (n_records, n_leads, n_times), list of ECGRecord or of paths, column of a table, or a folder
        Signals. NaN is missing.
    fs : float, default=None
        Sampling rate of arrays [Hz]; records and files have their own.
    leads : sequence of str, default=None
        Names of the leads of arrays; None is as for embedders.

    Returns
    -------
    DataFrame
        A row per record:

        - record;
        - swap LA/RA, swap LA/LL, swap RA/LL: electrodes of arms and leg; swap V1/V2 to swap V5/V6: neighbours on the
          chest; inverted I, II, V1 to V6: probability of each, if it were as frequent as none. NaN unless leads I, II
          and V1 to V6 and three heartbeats are there;
        - inverted III, aVR, aVL, aVF: 1 where the given lead is the opposite of what follows from I and II, else 0;
          NaN where it cannot be compared;
        - limb_error: largest relative difference of these leads from what follows from I and II (III = II - I,
          aVR = -(I + II) / 2, aVL = I - II / 2, aVF = II - I / 2), 0 to about 2. NaN where none can be compared;
        - unit: "mV", "uV", "V" or "counts" (of 5 microvolt or so), by the height of the waves, or "unknown" where that
          is 100 times too large or too small for all of them, and wrong_unit: the probability that it is not mV;
        - fs_too_high, fs_too_low: probability that heartbeats and QRS complexes look too fast, or too slow, because
          `fs` is not the rate;
        - likely: the most likely mistake of the leads, and certainty: its probability, or that of none, if nine of ten
          records are right; both the leads as they are and without the mistake are evidence. NaN where a mistake is
          suspected and the heartbeats are too noisy to tell;
        - findings: all that is likely, in words. A limb_error above .3 is one: leads "have gains of their own" where a
          factor for each lead explains it, as in sets that scale each lead by itself. Waves are then in their places,
          but amplitudes of different leads, and axes, cannot be compared. Embedders do not warn of it. Else leads
          "contradict Einthoven's law": one is not what its name says, or was recorded at another time.

    Raises
    ------
    ValueError
        If `fs` is missing for an array, or X cannot be used.
    TypeError
        If X is of no such kind.

    Notes
    -----
    Each mistake has a logistic model of the median heartbeat of the eight independent leads: means of bins of P, QRS
    and T, products and correlations of leads, and heights. The models were fitted on PTB-XL, as recorded and with the
    leads swapped. ``benchmarks/results/leads.md`` has the AUROC of each. A swap of LA and LL, or of two neighbours on
    the left of the chest, changes little, and many of them cannot be seen. Patients with dextrocardia look swapped.

    Noise looks like swaps. So a mistake counts only if the median of every other heartbeat shows it, and the median of
    those between them, too. Half of the difference of the two is noise. It must be less than .3 of the QRS complexes,
    and for LA and LL, which P waves tell, less than .3 of these. Otherwise `findings` has "too noisy to tell", with the
    mistake in brackets.

    Examples
    --------
    >>> from beatssl_sklearn import check_leads, make_ecg
    >>> X = make_ecg(1, fs=500, random_state=0).data
    >>> check_leads(1000 * X, fs=500)["unit"][0]
    'uV'
    """
    import pandas

    source = open_records(X, fs, leads)
    names = record_names(source)
    parts = []
    for block in read_blocks(source):
        judged = judge(block)
        columns: dict[str, Any] = {"record": [names[i] for i in block.rows], **judged.scores}
        columns |= {"limb_error": judged.limb_error, "unit": judged.unit, "likely": judged.likely}
        parts.append(pandas.DataFrame({**columns, "certainty": judged.certainty, "findings": findings(judged)}))
    return pandas.concat(parts, ignore_index=True)


def judge(block: Block) -> Judged:
    """Judge the leads, the unit and the rate of the records of a block."""
    block, exponents = moderate(block)
    signal, missing = without_gaps(block.signal)
    rpeaks = detect_rpeaks(signal, block.fs)
    coarse = coarsen(signal, block.fs, missing, rpeaks)
    unit, right, factor = units_of(coarse.signal, exponents)
    beats = median_beats(coarse, block.leads) * factor[:, None, None]
    logits = swap_logits(beats)
    errors, scores = _limb_scores(coarse.signal, block.leads)
    # What is missing stands at the mean of its lead, where the law does not hold.
    limb = [i for i, name in enumerate(block.leads) if not name.startswith("V")]
    errors[(missing[:, limb] > _LACKING).any(axis=1)] = np.nan
    certain = _settle(logits, errors, coarse.signal, block.leads)
    measures = measure_block(block, rpeaks)
    fast, slow = _rate_scores(measures)
    likely, certainty = _likely(_explained(certain, beats))
    # Einthoven's law needs no heartbeats.
    by_law = np.isin(likely, ["inverted I", "inverted II"]) & (errors > _BROKEN)
    suspects = ["" if known else name for name, known in zip(likely, by_law, strict=True)]
    noisy = are_too_noisy(coarse, block.leads, factor, suspects)
    every = dict(zip(SWAPS, _sigmoid(certain).T, strict=True)) | scores
    every |= {"wrong_unit": 1 - right, "fs_too_high": fast, "fs_too_low": slow}
    doubted = [name if hidden else "" for name, hidden in zip(likely, noisy, strict=True)]
    likely = ["" if hidden else name for name, hidden in zip(likely, noisy, strict=True)]
    # Embedders draw the same line: with other gains, these leads agree.
    by_gains = (errors > _BROKEN) & (measures.limb_error <= LIMB_ERROR)
    return Judged(every, unit, errors, by_gains, likely, np.where(noisy, np.nan, certainty), doubted)


def _limb_scores(
    x: NDArray[np.float32], leads: tuple[str, ...]
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    error, likeness, names = limb_errors(x, leads)
    scores = {f"inverted {name}": np.full(len(x), np.nan) for name in DERIVED}
    for k, name in enumerate(names):
        scores[f"inverted {name}"] = (likeness[:, k] < -0.9).astype(np.float64)
    largest = error.max(axis=1).astype(np.float64) if names else np.full(len(x), np.nan)
    return largest, scores


def _settle(
    logits: NDArray[np.float64], errors: NDArray[np.float64], x: NDArray[np.float32], leads: tuple[str, ...]
) -> NDArray[np.float64]:
    """Decide by Einthoven's law, where leads are given that it speaks of, whether I or II alone is inverted."""
    logits = logits.copy()
    names = list(SWAPS)
    # If the law holds, a mistake was made at the electrodes, and no single lead is inverted.
    for lead in ("I", "II"):
        k = names.index(f"inverted {lead}")
        logits[:, k] = np.where(errors < _HOLDS, np.minimum(logits[:, k], -10), logits[:, k])
        broken = np.flatnonzero(errors > _BROKEN)
        if len(broken):
            index, sign = resolve_leads(leads)
            flipped = x[broken].copy()
            flipped[:, index == EIGHT_LEADS.index(lead)] *= -1
            explained = limb_errors(flipped, leads)[0].max(axis=1) < _HOLDS
            logits[broken[explained]] = -10
            logits[broken[explained], k] = 10
    return logits


def _rate_scores(measures: Measures) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the probabilities that `fs` is too high and too low; NaN without three heartbeats."""
    model = lead_model()
    fast, slow = _sigmoid(_rate_inputs(measures) @ model.rate_weights.T + model.rate_intercepts).T
    return fast, slow


def rate_inputs(block: Block, rpeaks: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Return by how much heartbeats, and QRS complexes, are faster than usual.

    Parameters
    ----------
    block : Block
        Records of one length, rate and lead set.
    rpeaks : list of int64 arrays
        R peaks of each record [samples].

    Returns
    -------
    ndarray of shape (n_records, 2)
        As logarithms; NaN without three heartbeats.
    """
    return _rate_inputs(measure_block(block, rpeaks))


def _rate_inputs(measures: Measures) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        beats = np.log(_USUAL_RR / measures.rr)
        complexes = np.log(measures.sharpness / _USUAL_SHARPNESS)
    return np.where(np.isfinite(beats + complexes)[:, None], np.stack([beats, complexes], axis=1), np.nan)


def _explained(logits: NDArray[np.float64], beats: NDArray[np.float32]) -> NDArray[np.float64]:
    """Keep, of the suspected mistakes of each record, the one without which its leads look best, and how much better.

    Each model knows its own mistake and none, and can take another mistake for its own. So what counts is by how much a
    mistake is less suspected after it is undone, when all that is suspected then counts.
    """
    kept = np.where(np.isnan(logits), np.nan, np.minimum(logits, -10.0))
    rows, suspects = np.nonzero(logits > 0)
    if not len(rows):
        return kept
    matrices = np.stack(list(SWAPS.values()))
    left = swap_logits(matrices[suspects] @ beats[rows]).max(axis=1)
    for i in np.unique(rows):
        own = rows == i
        best = np.flatnonzero(own)[left[own].argmin()]
        kept[i, suspects[best]] = _EVIDENCE * (logits[i, suspects[best]] - left[best])
    return kept


def _likely(logits: NDArray[np.float64]) -> tuple[list[str], NDArray[np.float64]]:
    prior = np.log((1 - _PRIOR) / len(SWAPS) / _PRIOR)
    shifted = np.concatenate([np.zeros((len(logits), 1)), logits + prior], axis=1)
    p = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    names = ["", *SWAPS]
    best = np.where(np.isnan(p).any(axis=1), 0, p.argmax(axis=1))
    return [names[i] for i in best], p[np.arange(len(p)), best]


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -50, 50))))


def findings(judged: Judged) -> list[str]:
    """Say what is likely of each record."""
    texts = []
    for i, likely in enumerate(judged.likely):
        parts = [likely] if likely else []
        parts += [f"too noisy to tell ({judged.doubted[i]})"] if judged.doubted[i] else []
        parts += [f"inverted {name}" for name in DERIVED if judged.scores[f"inverted {name}"][i] > _REPORTED]
        if judged.limb_error[i] > _BROKEN and not parts:
            parts.append(OWN_GAINS if judged.own_gains[i] else "limb leads contradict Einthoven's law")
        if judged.unit[i] != "mV":
            known = judged.unit[i] != UNKNOWN
            parts.append(f"unit looks like {judged.unit[i]}" if known else "amplitudes fit no unit")
        parts += [text for name, text in _RATES.items() if judged.scores[name][i] > _RATE_REPORTED]
        texts.append("; ".join(parts))
    return texts
