"""Simulated 12-lead ECGs with all that is known about them, from a seed: for tests, examples and demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray

from ..leads import DERIVED, INDEPENDENT, LEADS, derive_lead, resolve_leads
from .annotate import annotate_beats, annotate_waves
from .beats import Patient
from .noise import electrode_noise
from .p_waves import add_p_waves, draw_p_waves
from .render import render, repolarise
from .rhythms import MIXED, RHYTHMS, describe

# Each purpose has its own random stream, so that the draws of one never move the draws of another.
_PURPOSES = ("schedule", "patient", "record", "noise", "P of patient", "P of record")
_RATES = (20.0, 320.0)  # [1/min]
_SHORTEST_QT = 0.4  # [s] RR interval below which the QT interval gets no shorter


@dataclass(frozen=True, eq=False)
class SimulatedECG:
    """Records as returned by `make_ecg`, and the truth about them.

    Attributes
    ----------
    data : ndarray of shape (n_records, n_leads, n_times), float32
        Signals [mV].
    fs : float
        Sampling rate [Hz].
    leads : tuple of n_leads str
        Names of the leads.
    rpeaks : list of n_records int64 arrays of shape (n_beats,)
        Samples at which the QRS complex is largest in all leads together.
    beat_types : list of n_records arrays of str of shape (n_beats,)
        MIT-BIH symbol of each beat: N normal, A atrial and V ventricular premature, L and R bundle branch block,
        / paced, j junctional and E ventricular escape.
    masks : ndarray of shape (n_records, n_times), int8
        0 background, 1 P, 2 QRS, 3 T.
    waves : list of n_records structured arrays
        Fields wave ("P", "QRS" or "T"), onset, peak and offset [samples] of the waves that lie completely inside the
        record.
    rhythm : ndarray of shape (n_records,), str
        Rhythm of each record.
    target : ndarray of shape (n_records,), int64
        Rhythm of each record as an index into `target_names`.
    target_names : tuple of str
        All rhythms of the simulator.
    patient_id : ndarray of shape (n_records,), int64
        Patient of each record, from 0.
    report : list of n_records str
        A short statement, such as "sinus rhythm 72/min. left bundle branch block."
    """

    data: NDArray[np.float32]
    fs: float
    leads: tuple[str, ...]
    rpeaks: list[NDArray[np.int64]]
    beat_types: list[NDArray[np.str_]]
    masks: NDArray[np.int8]
    waves: list[NDArray[np.void]]
    rhythm: NDArray[np.str_]
    target: NDArray[np.int64]
    target_names: tuple[str, ...]
    patient_id: NDArray[np.int64]
    report: list[str]


def make_ecg(
    n_records: int = 1,
    *,
    rhythm: str | Sequence[str] = "sinus",
    fs: float = 500.0,
    duration: float = 10.0,
    leads: Sequence[str] | None = None,
    noise: float = 0.02,
    records_per_patient: int = 1,
    random_state: int | np.random.Generator | None = None,
    rate: float | None = None,
    p_waves: str = "usual",
) -> SimulatedECG:
    """Simulate 12-lead ECGs with known beats, waves, rhythm and report.

    The P, QRS and T loops of a moving dipole are sums of Gaussians. Dower's matrix projects the dipole to the leads I,
    II and V1 to V6. V1 to V6 also have a small part that no dipole explains, and the other limb leads follow exactly
    from I and II. Each patient has an individual heart rate, axis, intervals and amplitudes.

    Parameters
    ----------
    n_records : int, default=1
        Number of records.
    rhythm : str or sequence of str, default="sinus"
        "sinus", "af" (atrial fibrillation), "pvc" and "pac" (ventricular and atrial premature beats in sinus rhythm),
        "lbbb" and "rbbb" (bundle branch block), "st_elevation" (anterior, inferior or lateral) or "paced"; "mixed"
        means these eight. Besides: "ivcd" (unspecific intraventricular conduction delay), "av_block_1" (PR interval
        from 0.2 to 0.4 s), "av_block_2" (Wenckebach, Mobitz II, 2:1 or 3:1), "av_block_3" (atria and ventricles
        independent; junctional or ventricular escape), "flutter" (atrial, without P waves), "paced_atrial" (a spike
        before the P wave alone) and "p_on_t" (sinus tachycardia of 130 to 175 a minute, with P waves on T waves). In
        the blocks, flutter and "paced_atrial", some patients have a bundle branch block. With k rhythms each patient
        has one of them, and each block of k patients has every rhythm once, in random order. Records shorter than 3 s
        can lack the premature beat of their rhythm.
    fs : float, default=500.0
        Sampling rate [Hz], at least 50.
    duration : float, default=10.0
        Length of the records [s].
    leads : sequence of str, default=None
        Leads to return, with a minus sign for inverted ones; None means the standard twelve.
    noise : float, default=0.02
        Typical rms [mV] of baseline wander, muscle, mains and electrode noise together; 0 means a clean signal.
    records_per_patient : int, default=1
        Number of records of each patient. They follow one another and share rhythm and shape of beats.
    random_state : int, numpy.random.Generator or None, default=None
        Seed. Record i depends only on the seed and on i, so that more records leave the first ones as they are. Beats
        do not depend on `fs`; beats and waves do not depend on `noise` or `leads`. A generator gives the seed.
    rate : float, default=None
        Mean heart rate of all records [1/min], 20 to 320, for rhythm "sinus" alone; None means that each patient has
        one between 46 and 112. Above 180 the record is a supraventricular tachycardia without P waves.
    p_waves : {"usual", "any"}, default="usual"
        "any" gives each patient P waves of another kind: usual, low (0.02 to 0.05 mV), tall (P pulmonale), wide and
        notched (P mitrale), biphasic or inverted, with PR intervals from 0.09 to 0.3 s. Ventricular beats of "pvc" then
        have a retrograde P wave or hide that of the sinus node, some atrial beats of "pac" are not conducted, and some
        "paced" ventricles have independent P waves. R peaks are those of "usual", but for beats not conducted.

    Returns
    -------
    SimulatedECG
        Signals, R peaks, beat types, masks, waves, rhythms, patients and reports.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or a rhythm or lead is unknown.

    Notes
    -----
    A wave begins and ends where its vector of eight leads passes 5 % (QRS), 8 % (T) or 10 % (P) of its greatest
    length. If waves overlap, the T wave ends at the next P wave or QRS complex, and a P wave that begins before the
    peak of a T wave is neither listed nor in the mask. The shapes are drawn by hand after textbooks. They are good for
    tests, teaching and demonstrations, but claims need real records.

    With `p_waves="any"`, and in the rhythms that "mixed" does not hold, P waves lie anywhere, and one is listed where a
    reader would see it. A P wave whose peak is in a QRS complex is not listed. One whose peak is on a T wave, or that
    begins in a complex, is listed if it turns the signal round by 0.012 mV in two of the leads I, II and V1 to V6.
    The T wave then ends where the P wave begins, or in the middle of both peaks if that is later. Before the peak of
    the T wave, it begins where the P wave ends, or in that middle if that is earlier. A P wave of which this leaves
    less than 65 % is not listed.

    References
    ----------
    .. [1] Dower, Machado, Osborne: On deriving the electrocardiogram from vectorcardiographic leads. Clin Cardiol 3,
       1980, 87-95 (the matrix).
    .. [2] McSharry, Clifford, Tarassenko, Smith: A dynamical model for generating synthetic electrocardiogram signals.
       IEEE Trans Biomed Eng 50, 2003, 289-294 (Gaussians as waves).
    .. [3] Sameni, Clifford, Jutten, Shamsollahi: Multichannel ECG and noise modeling. EURASIP J Adv Signal Process
       2007, 043407 (Gaussians as loops of a dipole).

    Examples
    --------
    >>> ecg = make_ecg(4, rhythm=["sinus", "pvc"], random_state=0)
    >>> ecg.data.shape, sorted(set(ecg.rhythm.tolist()))
    ((4, 12, 5000), ['pvc', 'sinus'])
    """
    n_records = _positive_int("n_records", n_records, least=0)
    per_patient = _positive_int("records_per_patient", records_per_patient)
    names = _rhythm_names(rhythm)
    fs = _number("fs", fs, 50.0)
    n_times = int(round(fs * _number("duration", duration, 0.0)))
    if n_times < 1:
        raise ValueError(f"duration must be at least one sample at fs={fs:g} Hz, got {duration!r} s")
    noise = _number("noise", noise, 0.0)
    index, sign = resolve_leads(LEADS if leads is None else leads)
    _check_rate(rate, names)
    if p_waves not in ("usual", "any"):
        raise ValueError(f"p_waves must be 'usual' or 'any', got {p_waves!r}")
    seed = _seed(random_state)
    data = np.empty((n_records, len(index), n_times), dtype=np.float32)
    masks = np.zeros((n_records, n_times), dtype=np.int8)
    rpeaks, beat_types, waves, rhythms, report = [], [], [], [], []
    for i in range(n_records):
        number = i // per_patient
        rhythms.append(_draw_rhythm(names, seed, number))
        patient = replace(Patient.draw(_generator(seed, "patient", number)), chosen_rate=rate)
        rng = _generator(seed, "record", i)
        if p_waves == "any":
            patient = draw_p_waves(patient, _generator(seed, "P of patient", number))
        course = RHYTHMS[rhythms[-1]](patient, rng, n_times / fs)
        if p_waves == "any":
            course = add_p_waves(course, rhythms[-1], patient, _generator(seed, "P of record", i))
        course, stretch = repolarise(course, n_times / fs, _SHORTEST_QT if rate is None else _SHORTEST_QT / 2)
        signal, p_signal = render(course, stretch, rng, fs, n_times)
        clean = signal.astype(np.float32)
        if noise:
            clean += noise * electrode_noise(_generator(seed, "noise", i), fs, n_times)
        data[i] = _all_leads(clean)[index] * sign[:, None]
        peaks, symbols = annotate_beats(course, fs, n_times)
        rpeaks.append(peaks)
        beat_types.append(symbols)
        waves.append(annotate_waves(course, stretch, signal, p_signal, fs, masks[i]))
        report.append(describe(course, n_times / fs))
    target_names = tuple(RHYTHMS)
    return SimulatedECG(
        data=data,
        fs=fs,
        leads=tuple(("" if s > 0 else "-") + LEADS[k] for k, s in zip(index, sign, strict=True)),
        rpeaks=rpeaks,
        beat_types=beat_types,
        masks=masks,
        waves=waves,
        rhythm=np.array(rhythms, dtype=f"<U{max(map(len, target_names))}"),
        target=np.array([target_names.index(name) for name in rhythms], dtype=np.int64),
        target_names=target_names,
        patient_id=np.arange(n_records, dtype=np.int64) // per_patient,
        report=report,
    )


def _positive_int(name: str, value: int, least: int = 1) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
    return int(value)


def _number(name: str, value: float, least: float) -> float:
    if not isinstance(value, Real) or isinstance(value, bool) or not np.isfinite(value) or value < least:
        raise ValueError(f"{name} must be a finite number of at least {least:g}, got {value!r}")
    return float(value)


def _check_rate(rate: float | None, rhythms: list[str]) -> None:
    if rate is None:
        return
    if _number("rate", rate, _RATES[0]) > _RATES[1]:
        raise ValueError(f"rate must be at most {_RATES[1]:g}, got {rate!r}")
    if set(rhythms) != {"sinus"}:
        raise ValueError(f"rate needs rhythm='sinus', got rate={rate!r} with {', '.join(map(repr, rhythms))}")


def _rhythm_names(rhythm: str | Sequence[str]) -> list[str]:
    names = [rhythm] if isinstance(rhythm, str) else list(rhythm)
    names = list(MIXED) if names == ["mixed"] else names
    unknown = [name for name in names if name not in RHYTHMS]
    if unknown or not names:
        known = ", ".join(map(repr, RHYTHMS))
        raise ValueError(f"rhythm must be one or more of {known}, or 'mixed', got {rhythm!r}")
    return names


def _seed(random_state: int | np.random.Generator | None) -> int:
    if random_state is None:
        return int(np.random.default_rng().integers(2**63))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63))
    return _positive_int("random_state", random_state, least=0)


def _generator(seed: int, purpose: str, number: int) -> np.random.Generator:
    return np.random.default_rng([seed, _PURPOSES.index(purpose), number])


def _draw_rhythm(names: list[str], seed: int, patient: int) -> str:
    if len(names) == 1:
        return names[0]
    block, place = divmod(patient, len(names))
    return names[_generator(seed, "schedule", block).permutation(len(names))[place]]


def _all_leads(independent: NDArray[np.float32]) -> NDArray[np.float32]:
    signal = np.empty((len(LEADS), independent.shape[1]), dtype=np.float32)
    signal[INDEPENDENT] = independent
    for name in DERIVED:
        signal[LEADS.index(name)] = derive_lead(name, independent[0], independent[1])
    return signal
