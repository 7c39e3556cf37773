"""What the segmenter "waves" is trained on: LUDB, QT Database, simulated rhythms, and PTB-XL with a teacher's labels.

A teacher learns from the annotated and the simulated records. It labels records of PTB-XL three times: from all twelve
leads, from the limb leads and the chest leads apart, and from each lead alone. What the three agree on is kept, what
they do not agree on is left out (-1), and the rhythm that PTB-XL states decides the rest: in fibrillation and flutter
there is no P; in sinus rhythm a P that any of the three sights see in two leads of five is one, and the time before a
complex without a P is left out. The student learns from all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from beatssl_sklearn import ECGRecord, WaveAugment, WaveSegmenter, fetch_ptbxl, fetch_qtdb, make_ecg
from beatssl_sklearn.ecg import LEADS, resample

from .common import Annotated

FS = 250.0
WIDTHS = (32, 48, 64, 96, 96)
AUGMENT = {"p_exchange": 0.3, "inverted": 0.08, "high_pass": 0.3}
SOURCES = (
    ("European ST-T",), ("sudden death",), ("normal", "long-term"), ("arrhythmia", "ST change"), ("supraventricular",),
)  # fmt: skip
"""Sources of the QT Database that a fold leaves out."""
SIMULATED = (
    "lbbb", "rbbb", "ivcd", "av_block_1", "av_block_2", "av_block_3", "flutter", "paced_atrial", "p_on_t", "pvc", "pac",
    "af", "sinus",
)  # fmt: skip
# Rhythms in which a P need not precede a complex.
_OTHER = frozenset({"AFIB", "AFLT", "PACE", "SVTAC", "PSVT", "SVARR"})
# Statements and the most records that are taken of each, in this order; a record counts once.
KINDS: tuple[tuple[str, frozenset[str], int], ...] = (
    ("left bundle branch block", frozenset({"CLBBB"}), 260),
    ("right bundle branch block", frozenset({"CRBBB"}), 220),
    ("unspecific conduction delay", frozenset({"IVCD"}), 150),
    ("incomplete block, pre-excitation", frozenset({"ILBBB", "WPW"}), 100),
    ("AV block", frozenset({"AVB", "1AVB"}), 220),
    ("ventricular extrasystoles", frozenset({"PVC", "BIGU", "TRIGU"}), 220),
    ("atrial extrasystoles", frozenset({"PAC"}), 80),
    ("sinus tachycardia", frozenset({"STACH"}), 180),
    ("fibrillation", frozenset({"AFIB"}), 420),
    ("flutter", frozenset({"AFLT"}), 60),
    ("paced", frozenset({"PACE"}), 120),
    ("flat T", frozenset({"LOWT", "NT", "LVOLT", "INVT", "STD"}), 200),
    ("hypertrophy, infarction", frozenset({"LVH", "RVH", "AMI", "IMI"}), 200),
    ("atrial enlargement", frozenset({"LAO/LAE", "RAO/RAE"}), 120),
    ("normal", frozenset({"NORM"}), 160),
)
_NO_P = frozenset({"fibrillation", "flutter"})
_FREE = _NO_P | {"paced"}
# Shares of the windows, relative to one another.
_SHARES = {"ludb": 1.0, "qtdb": 1.0, "simulated": 0.25, "ptbxl": 0.8}
_BEFORE_S = 0.32


class Records(NamedTuple):
    """Records and their masks."""

    X: list[ECGRecord]
    masks: list[NDArray[np.int8]]

    @property
    def seconds(self) -> float:
        """Length of all."""
        return sum(x.signal.shape[1] / x.fs for x in self.X)


def of_ludb(ludb: Annotated, index: NDArray[np.int64]) -> Records:
    """Return some records of LUDB."""
    return Records([ECGRecord(ludb.X[i], ludb.fs, ludb.leads) for i in index], [ludb.masks[i] for i in index])


def of_qtdb(folder: Any, without: Sequence[str]) -> Records:
    """Return the annotated stretches of the QT Database but for some sources."""
    qtdb = fetch_qtdb(folder, download_if_missing=False)
    X, masks = [], []
    for i in np.flatnonzero(~np.isin(qtdb.source, without)):
        record, mask = qtdb.data[int(i)], np.asarray(qtdb.masks[int(i)])
        for start, stop in _stretches(np.flatnonzero(mask >= 0), round(4 * record.fs), mask.size):
            X.append(ECGRecord(record.signal[:, start:stop], record.fs, record.leads))
            masks.append(mask[start:stop])
    return Records(X, masks)


def _stretches(known: NDArray[np.int64], gap: int, n_times: int) -> Iterator[tuple[int, int]]:
    """Yield first samples and ends of stretches with labels, with as much as `gap` around each."""
    for part in np.split(known, np.flatnonzero(np.diff(known) > gap) + 1):
        yield max(0, int(part[0]) - gap), min(n_times, int(part[-1]) + gap)


def simulated(n_patients: int = 52, seed: int = 5) -> Records:
    """Return patients of every simulated rhythm, with P waves of any size and shape."""
    n_records = n_patients * len(SIMULATED)
    ecg = make_ecg(n_records, rhythm=SIMULATED, fs=FS, noise=0.03, p_waves="any", random_state=seed)
    return Records([ECGRecord(x, FS, LEADS) for x in ecg.data], list(ecg.masks))


def chosen_ptbxl(folder: Any, folds: Sequence[int], quick: bool = False) -> list[tuple[str, ECGRecord]]:
    """Return records of PTB-XL with the kind that each stands for, at the rate of the network."""
    ptbxl = fetch_ptbxl(folder, folds=folds, download_if_missing=False)
    stated = [set(a) | set(b) | set(c) for a, b, c in zip(ptbxl.subclass, ptbxl.rhythm, ptbxl.form, strict=True)]
    rng, taken, chosen = np.random.default_rng(0), set(), []
    for kind, statements, most in KINDS:
        allowed = statements if kind in _FREE else frozenset()
        able = [i for i, s in enumerate(stated) if i not in taken and s & statements and not s & _OTHER - allowed]
        drawn = rng.permutation(able)[: 3 if quick else most].tolist()
        taken |= set(drawn)
        for i in drawn:
            record = ptbxl.data[int(i)]
            chosen.append((kind, ECGRecord(resample(record.signal, record.fs, FS), FS, record.leads)))
    return chosen


def labelled_by(teacher: WaveSegmenter, chosen: Sequence[tuple[str, ECGRecord]]) -> Records:
    """Return records with the labels that a teacher's three sights and the stated rhythm allow."""
    X, masks = [], []
    for first in range(0, len(chosen), 32):
        part = chosen[first : first + 32]
        for (kind, record), sights in zip(part, _sights(teacher, [r for _, r in part]), strict=True):
            X.append(record)
            masks.append(agreed(sights, kind in _NO_P, kind == "paced"))
    return Records(X, masks)


def _sights(teacher: WaveSegmenter, records: list[ECGRecord]) -> NDArray[np.float32]:
    """Return probabilities (n_records, 3, n_leads, n_times, 4) from all leads, from groups of leads, and from each."""
    signals, leads = [r.signal for r in records], records[0].leads
    every = teacher.predict_proba(records)
    groups = [list(range(6)), list(range(6, 12))]
    apart = np.concatenate([_proba_of(teacher, signals, leads, group) for group in groups], axis=1)
    alone = np.concatenate([_proba_of(teacher, signals, leads, [k]) for k in range(len(leads))], axis=1)
    return np.stack([every, apart, alone], axis=1)


def _proba_of(
    teacher: WaveSegmenter, signals: Sequence[NDArray[np.float32]], leads: Sequence[str], group: list[int]
) -> NDArray[np.float32]:
    names = tuple(leads[k] for k in group)
    return np.asarray(teacher.predict_proba([ECGRecord(s[group], FS, names) for s in signals]))


def agreed(sights: NDArray[np.float32], no_p: bool, any_rhythm: bool) -> NDArray[np.int8]:
    """Return the labels (n_leads, n_times) that the sights (n_sights, n_leads, n_times, 4) of a record agree on.

    Parameters
    ----------
    sights : ndarray of float32
        Probabilities of background, P, QRS and T.
    no_p : bool
        Whether there is no P in the rhythm.
    any_rhythm : bool
        Whether complexes without a P before them are nothing strange.
    """
    mean, views = sights.mean(axis=0), sights.argmax(axis=-1)
    label = mean.argmax(axis=-1)
    mask = np.where((views == label).all(axis=0), label, -1).astype(np.int8)
    seen = (views == 1).any(axis=0)
    if no_p:
        mask[seen | (label == 1)] = 0
        return mask
    most = sights[..., 1].max(axis=0)
    share = (most > 0.5).mean(axis=0)
    sure = (share > 0.4) & (most > 0.5) & (label < 2)
    mask[sure] = 1
    mask[(share > 0.15) & ~sure & ((label < 2) | ((label == 3) & (most > 0.5)))] = -1
    _leave_out_bare(mask, label, (label == 1).mean(axis=0) > 0.3, any_rhythm)
    return mask


def _leave_out_bare(mask: NDArray[np.int8], label: NDArray[Any], p: NDArray[np.bool_], any_rhythm: bool) -> None:
    """Leave out the time before complexes that have no P; in other rhythms only where most have none."""
    reach = round(_BEFORE_S * FS)
    qrs = (label == 2).mean(axis=0) > 0.5
    onsets = np.flatnonzero(qrs[1:] & ~qrs[:-1]) + 1
    bare = [t for t in onsets.tolist() if t > reach and not p[t - reach : t].any()]
    if any_rhythm and len(bare) < len(onsets) / 2:
        return
    for t in bare:
        before = mask[:, t - reach : t - 1]
        before[before == 0] = -1


def new_segmenter(n_steps: int, n_windows: int, seed: int, **params: Any) -> WaveSegmenter:
    """Return the unfitted network, to be trained for about so many steps."""
    batch_size = params.pop("batch_size", 6)
    epochs = max(1, round(n_steps / max(1, n_windows / batch_size)))
    own: dict[str, Any] = {
        "pretrainer": "ptbxl-s", "context": "leads", "fs": FS, "fs_model": FS, "widths": WIDTHS,
        "augment": WaveAugment(**AUGMENT), "batch_size": batch_size, "leads_per_window": 6, "max_epochs": epochs,
        "random_state": seed, "check": "ignore",
    }  # fmt: skip
    return WaveSegmenter(**{**own, **params})


def fitted_on(parts: dict[str, Records], n_steps: int, seed: int, **params: Any) -> WaveSegmenter:
    """Train on databases, each with its share of the windows."""
    X = [x for part in parts.values() for x in part.X]
    masks = [mask for part in parts.values() for mask in part.masks]
    weight = np.concatenate([np.full(len(p.X), _SHARES[name] / p.seconds) for name, p in parts.items()])
    n_windows = sum(max(1, round(x.signal.shape[1] / x.fs / 10)) for x in X)
    return new_segmenter(n_steps, n_windows, seed, **params).fit(X, masks, sample_weight=weight / weight.mean())
