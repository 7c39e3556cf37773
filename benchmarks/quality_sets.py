"""Records with people's judgement of their quality, and clean records that are spoilt: what `study_quality` reads."""

from __future__ import annotations

import csv
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from beatssl_sklearn import WFDBFolder, read_wfdb
from beatssl_sklearn.ecg import LEADS, resample

Signals = NDArray[np.float32]
N_PARTS = 5
MARKS = ("baseline_drift", "static_noise", "burst_noise", "electrodes_problems")


class QualitySet(NamedTuple):
    """Records of one length and rate.

    Attributes
    ----------
    name : str
    signal : ndarray of shape (n_records, n_leads, n_times)
    fs : float
    bad_leads : ndarray of shape (n_records, n_leads)
        1 bad, 0 not, NaN unknown.
    bad : bool ndarray of shape (n_records,)
    parts : ndarray of int64, shape (n_records,)
        Part of the patients that each record belongs to, for cross-validation.
    marks : bool ndarray of shape (n_records, n_kinds)
        Kinds of marks, those of `MARKS`; without a column where there are none.
    n_last_fold : int
        Records of the last fold, which are the last ones; 0 without folds.
    """

    name: str
    signal: Signals
    fs: float
    bad_leads: NDArray[np.float64]
    bad: NDArray[np.bool_]
    parts: NDArray[np.int64]
    marks: NDArray[np.bool_] = np.zeros((0, 0), bool)
    n_last_fold: int = 0


def unpacker(data: Path, name: str) -> Any:
    """Import the program that comes with a packed set."""
    spec = importlib.util.spec_from_file_location(f"unpack_{name}", data / name / "unpack.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(data / name / "unpack.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---- people's judgement ----------------------------------------------------------------------------------------------


def named_leads(text: str) -> set[int] | None:
    """Return the positions of the leads that a mark names, all for "alles"; None if it is not understood."""
    text = text.strip(" ,").upper().replace(" ", "")
    if not text:
        return set()
    names = [name.upper() for name in LEADS]
    if "ALLES" in text:
        return set(range(12))
    found: set[int] = set()
    for word in filter(None, re.split("[,;]", text)):
        ends = word.split("-")
        if not all(end in names for end in ends) or len(ends) > 2:
            return None
        found |= set(range(names.index(ends[0]), names.index(ends[-1]) + 1))
    return found


def ptbxl_rows(data: Path) -> dict[int, dict[str, str]]:
    """Rows of PTB-XL's tables by record; noise marks only for records of details.csv."""
    with open(data / "ptbxl" / "labels.csv", newline="") as f:
        rows = {int(row["ecg_id"]): row for row in csv.DictReader(f)}
    with open(data / "ptbxl" / "details.csv", newline="") as f:
        for row in csv.DictReader(f):
            rows[int(row["ecg_id"])] |= row
    return rows


def ptbxl_marked(data: Path) -> QualitySet:
    """PTB-XL, folds 1-9: records that somebody has looked at, some with marks of noise in leads."""
    module, rows = unpacker(data, "ptbxl"), ptbxl_rows(data)
    signals, leads, bad, parts, kinds, folds = [], [], [], [], [], []
    for fold in range(1, 10):
        for ecg_id, x in zip(*module.load_fold(fold), strict=True):
            row = rows[int(ecg_id)]
            if "device" not in row:
                continue
            marks = [row[mark] for mark in MARKS if row[mark].strip(" ,")]
            named = [named_leads(mark) for mark in marks]
            own = np.zeros(12)
            for leads_of_mark in named:
                if leads_of_mark is None:
                    own[own == 0] = np.nan
                else:
                    own[sorted(leads_of_mark)] = 1
            signals.append((x / 1000).astype(np.float32))
            leads.append(own)
            bad.append(bool(marks))
            kinds.append([bool(row[mark].strip(" ,")) for mark in MARKS])
            parts.append(fold % N_PARTS)
            folds.append(fold)
    columns = (np.array(column) for column in (leads, bad, parts, kinds))
    return QualitySet("PTB-XL marks", np.stack(signals), 100.0, *columns, n_last_fold=folds.count(9))


def cinc2017(data: Path) -> Iterator[QualitySet]:
    """The noisy class of CinC 2017, one lead; records of about one length together."""
    module = unpacker(data, "cinc2017")
    groups: dict[int, list[tuple[Signals, bool, int]]] = {}
    labels = {row["record"]: row["label"] for row in module.rows()}
    for number, (name, signal) in enumerate(sorted(module.load().items())):
        seconds = min(30, len(signal) // 300)
        x = signal[: seconds * 300].astype(np.float32) / 1000
        groups.setdefault(seconds, []).append((x, labels[name] == "~", number % N_PARTS))
    for own in groups.values():
        bad = np.array([is_bad for _, is_bad, _ in own])
        x = np.stack([signal for signal, _, _ in own])[:, None]
        yield QualitySet("CinC 2017 noisy", x, 300.0, bad[:, None].astype(float), bad, np.array([p for *_, p in own]))


def clean_sets(data: Path, marked: QualitySet) -> Iterator[tuple[str, Signals, float, NDArray[np.int64], int]]:
    """Yield name, records, rate, part of the patients, and number of copies of each set that is spoilt."""
    ludb = np.stack([r.signal for r in WFDBFolder(data / "ludb")])
    yield "LUDB spoilt", ludb, 500.0, np.arange(len(ludb)) % N_PARTS, 8
    folder, rows = WFDBFolder(data / "ptbxl500"), ptbxl_rows(data)
    folds = np.array([int(rows[int(name[:5])]["strat_fold"]) for name in folder.names])
    yield "PTB-XL 500 Hz spoilt", np.stack([r.signal for r in folder]), 500.0, folds % N_PARTS, 8
    good = np.flatnonzero(~marked.bad)[::3]
    yield "PTB-XL spoilt", marked.signal[good], 100.0, marked.parts[good], 2
    names, x = unpacker(data, "brugada").load()
    parts = np.array([int(name) % N_PARTS for name in names])
    yield "Brugada-HUCA spoilt", (x / 1000).astype(np.float32), 100.0, parts, 4


# ---- spoilt records --------------------------------------------------------------------------------------------------


FAULTS = (
    "off", "off", "noise_in", "noise_in", "noise_in", "noise_in", "one_noisy", "one_noisy", "drift", "spikes", "clip",
    "clip", "none",
)  # fmt: skip
"""What goes wrong with spoilt records; as often as they stand here."""


class Spoiler:
    """Spoils clean records of twelve leads at their electrodes.

    Parameters
    ----------
    data : Path
        Folder with `nstdb`.
    fs : float
        Rate of the records [Hz].
    rng : numpy.random.Generator
    """

    def __init__(self, data: Path, fs: float, rng: np.random.Generator) -> None:
        self.fs, self.rng = fs, rng
        self._noise: dict[str, Signals] = {}
        for kind in ("bw", "em", "ma"):
            x = resample(read_wfdb(data / "nstdb" / kind, positional=True, leads=["I", "II"]).signal, 360, fs)
            # Every kind of noise has the same power, over a minute.
            self._noise[kind] = (x - x.mean(axis=1, keepdims=True)) / x.std()

    def __call__(self, x: Signals, part: int) -> tuple[Signals, NDArray[np.float64], bool]:
        """Return a record (12, n_times) with more or less noise, which leads are bad, and whether the record is."""
        rng = self.rng
        x = x.copy()
        if rng.random() < 0.4:
            # A lead across the heart's axis is small, and no worse for it.
            x[rng.integers(12)] *= np.float32(np.exp(rng.uniform(np.log(0.02), np.log(0.3))))
        if rng.random() < 0.75:
            x = self._mildly(x, part)
        bad = np.zeros(12)
        if rng.random() < 0.5:
            return x, bad, False
        kind = rng.choice(FAULTS)
        spoilt, bad = getattr(self, f"_{kind}")(x, part)
        if rng.random() < 0.2:
            spoilt, more = self._noise_in(spoilt, part)
            bad = np.maximum(bad, more)
        return spoilt, bad, True

    def stretch(self, kind: str, n_times: int, part: int) -> Signals:
        """Return some noise of power 1 from the part of the recordings that belongs to patients of this part."""
        noise = self._noise[kind][self.rng.integers(2)]
        first = len(noise) * part // N_PARTS
        start = self.rng.integers(first, first + len(noise) // N_PARTS - n_times)
        x = noise[start : start + n_times]
        return np.asarray(x - x.mean(), dtype=np.float32)

    def at_electrodes(self, noise: dict[int, Signals], n_times: int) -> Signals:
        """Return what noise at electrodes (0 RA, 1 LA, 2 LL, 3-8 V1-V6) is in twelve leads."""
        e = np.zeros((9, n_times), np.float32)
        for electrode, own in noise.items():
            e[electrode] = own
        ra, la, ll = e[:3]
        limb = [la - ra, ll - ra, ll - la, ra - (la + ll) / 2, la - (ra + ll) / 2, ll - (ra + la) / 2]
        return np.concatenate([np.stack(limb), e[3:] - e[:3].mean(axis=0)])

    def _added(
        self, x: Signals, part: int, snr: tuple[float, float], kinds: list[str], electrodes: list[int]
    ) -> Signals:
        """Return noise in leads: power relative to the square of the QRS height / 8, as in the Noise Stress Test."""
        height = np.median(np.percentile(x, 99.5, axis=1) - np.percentile(x, 0.5, axis=1))
        noise = {}
        for electrode in electrodes:
            power = height**2 / 8 / 10 ** (self.rng.uniform(*snr) / 10)
            noise[electrode] = self.stretch(str(self.rng.choice(kinds)), x.shape[1], part) * np.sqrt(power)
        return self.at_electrodes(noise, x.shape[1])

    def _mildly(self, x: Signals, part: int) -> Signals:
        electrodes = np.flatnonzero(self.rng.random(9) < self.rng.uniform(0, 0.8)).tolist()
        x = x + self._added(x, part, (10, 28), ["bw", "em", "ma"], electrodes)
        if self.rng.random() < 0.4:
            wave = np.sin(2 * np.pi * self.rng.choice([50, 60]) * np.arange(x.shape[1]) / self.fs)
            x = x + self.rng.uniform(0, 0.05) * self.rng.random((12, 1)) * wave
        return np.asarray(x, dtype=np.float32)

    def _noise_in(self, x: Signals, part: int) -> tuple[Signals, NDArray[np.float64]]:
        n_electrodes = int(self.rng.integers(1, 9))
        electrodes = self.rng.choice(9, n_electrodes, replace=False).tolist()
        if n_electrodes == 1:
            electrodes = [int(self.rng.integers(3))]
        noise = self._added(x, part, (-14, -2), ["em", "em", "ma"], electrodes)
        if self.rng.random() < 0.3:
            # A burst, not all the time.
            start, stop = sorted(self.rng.uniform(0, x.shape[1], 2).astype(int))
            noise[:, :start] = 0
            noise[:, max(stop, start + x.shape[1] // 4) :] = 0
        height = np.percentile(x, 99.5, axis=1) - np.percentile(x, 0.5, axis=1)
        return x + noise, (noise.var(axis=1) > height**2 / 8 / 2).astype(float)

    def _one_noisy(self, x: Signals, part: int) -> tuple[Signals, NDArray[np.float64]]:
        """One to four leads of their own have .5 to 3 mV of noise, as where a cable or an input is broken."""
        leads = self.rng.choice(12, self.rng.choice([1, 1, 1, 2, 4]), replace=False)
        x, bad = x.copy(), np.zeros(12)
        for lead in leads:
            noise = self.stretch(str(self.rng.choice(["em", "ma"])), x.shape[1], part)
            x[lead] += noise * np.float32(np.exp(self.rng.uniform(np.log(0.5), np.log(3))) / noise.std())
        bad[leads] = 1
        return x, bad

    def _clip(self, x: Signals, part: int) -> tuple[Signals, NDArray[np.float64]]:
        """One, three or all leads are cut off at .2 to .75 of their height, on both sides or at the larger one."""
        rng = self.rng
        leads = rng.choice(12, rng.choice([1, 1, 3, 12]), replace=False)
        share, one_side = rng.uniform(0.2, 0.75), rng.random() < 0.3
        x, bad = x.copy(), np.zeros(12)
        for lead in leads:
            own = x[lead] - np.median(x[lead])
            low, high = own.min(), own.max()
            limits = (low * share, high * share)
            if one_side:
                limits = (low, limits[1]) if high > -low else (limits[0], high)
            x[lead] = np.clip(own, *limits)
        bad[leads] = 1
        return x, bad

    def _off(self, x: Signals, part: int) -> tuple[Signals, NDArray[np.float64]]:
        rng = self.rng
        sets = [[int(rng.integers(6, 12))], rng.choice(np.arange(6, 12), rng.integers(2, 6), replace=False).tolist()]
        sets += [list(range(6)), list(range(6, 12)), list(range(12)), [0, 1, 3, 4, 5], [1, 2, 3, 4, 5], [0, 2, 3, 4, 5]]
        off = sets[rng.integers(len(sets))]
        plain, x = x, x.copy()
        rail = rng.choice([0, 0, 0, rng.uniform(-5, 5)])
        x[off] = rail
        if rng.random() < 0.4:
            # An open input hums and drifts.
            n = x.shape[1]
            size = 10 ** rng.uniform(-2.5, 0.3)
            hum = np.sin(2 * np.pi * rng.choice([50, 60]) * np.arange(n) / self.fs) * rng.random((len(off), 1))
            drift = np.stack([self.stretch("bw", n, part) for _ in off]) * rng.random((len(off), 1))
            x[off] += (size * (hum + drift + 0.1 * rng.normal(size=(len(off), n)))).astype(np.float32)
        if rng.random() < 0.25:
            # Not all the time.
            length = int(rng.uniform(0.25, 0.9) * x.shape[1])
            start = int(rng.integers(x.shape[1] - length))
            x[:, :start], x[:, start + length :] = plain[:, :start], plain[:, start + length :]
        bad = np.zeros(12)
        bad[off] = 1
        return x, bad

    def _drift(self, x: Signals, part: int) -> tuple[Signals, NDArray[np.float64]]:
        electrodes = self.rng.choice(9, self.rng.integers(1, 9), replace=False).tolist()
        n = x.shape[1]
        kinds = ["bw", "em"]
        noise = {e: self.stretch(str(self.rng.choice(kinds)), n, part) * self.rng.uniform(1, 5) for e in electrodes}
        rail = self.rng.uniform(2, 6)
        drift = self.at_electrodes(noise, n)
        return np.clip(x + drift, -rail, rail).astype(np.float32), (np.ptp(drift, axis=1) > 2.5).astype(float)

    def _spikes(self, x: Signals, part: int) -> tuple[Signals, NDArray[np.float64]]:
        rng, n = self.rng, x.shape[1]
        noise = {}
        for electrode in rng.choice(9, rng.integers(1, 9), replace=False).tolist():
            level = np.zeros(n, np.float32)
            for at in rng.integers(0, n, rng.integers(5, 40)):
                # A contact opens for some time, and what it leaves decays.
                length = int(rng.uniform(0.01, 0.5) * self.fs)
                shape = np.exp(-np.arange(min(length, n - at)) / (0.3 * length + 1))
                level[at : at + length] += (rng.normal() * rng.uniform(0.5, 4) * shape).astype(np.float32)
            noise[electrode] = level
        added = self.at_electrodes(noise, n)
        return x + added, (added.std(axis=1) > 0.15).astype(float)

    def _none(self, x: Signals, part: int) -> tuple[Signals, NDArray[np.float64]]:
        n = x.shape[1]
        size = 10 ** self.rng.uniform(-1.5, 0.5)
        kinds = ["bw", "em", "ma"]
        noise = {e: self.stretch(str(self.rng.choice(kinds)), n, part) * size for e in range(9)}
        return self.at_electrodes(noise, n), np.ones(12)


def spoilt(data: Path, marked: QualitySet, seed: int = 0) -> Iterator[QualitySet]:
    """Yield clean records of four sets, half of them spoilt."""
    for k, (name, signal, fs, parts, copies) in enumerate(clean_sets(data, marked)):
        spoil = Spoiler(data, fs, np.random.default_rng([seed, k]))
        made = [spoil(x, int(part)) for _ in range(copies) for x, part in zip(signal, parts, strict=True)]
        x, leads, bad = (np.array(column) for column in zip(*made, strict=True))
        yield QualitySet(name, x.astype(np.float32), fs, leads, bad, np.tile(parts, copies))
