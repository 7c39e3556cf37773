"""What `check_leads` says of noisy records, right ones and with mistakes, for `study_leads`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from beatssl_sklearn import check_leads
from beatssl_sklearn.quality import least_certainty

from .quality_sets import N_PARTS, Spoiler

if TYPE_CHECKING:
    from pandas import DataFrame

NOISES = (
    ("none", 0.0), ("white", 0.05), ("white", 0.1), ("white", 0.2), ("ma", 0.1), ("ma", 0.2), ("em", 0.1),
    ("em", 0.2), ("em", 0.4), ("bw", 0.2), ("bw", 0.5),
)  # fmt: skip
"""Kinds of noise and their sizes (root mean square) [mV]: white in each lead, or of the Noise Stress Test at each
electrode: ma muscle, em electrodes that move, bw baseline wander."""
_CERTAINTY = 0.95
_TOO_NOISY = "too noisy to tell ("


class NoiseRow(NamedTuple):
    """Shares of records with one kind of noise.

    Attributes
    ----------
    kind : str
    size : float
        [mV].
    accused : tuple of float
        Share of right records of which a mistake is the most likely: if noise did not count, and as it is.
    changed : float
        Share of right records that `fix_leads` changes.
    found : tuple of float
        Share of mistakes that are called by their name, mean over the mistakes: if noise did not count, and as it is.
    """

    kind: str
    size: float
    accused: tuple[float, float]
    changed: float
    found: tuple[float, float]


class Noise:
    """Adds noise to records of twelve leads.

    Parameters
    ----------
    data : Path
        Folder with `nstdb`.
    fs : float
        [Hz].
    seed : int, default=0
    """

    def __init__(self, data: Path, fs: float, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._spoiler = Spoiler(data, fs, np.random.default_rng([seed, 1]))

    def __call__(self, x: NDArray[np.float32], kind: str, size: float) -> NDArray[np.float32]:
        """Return records (n_records, 12, n_times) with noise."""
        if kind == "none":
            return x
        if kind == "white":
            return np.asarray(x + self._rng.normal(0, size, x.shape), dtype=np.float32)
        n_times = x.shape[-1]
        out = x.copy()
        for one in out:
            part = int(self._rng.integers(N_PARTS))
            noise = {electrode: self._spoiler.stretch(kind, n_times, part) * size for electrode in range(9)}
            one += self._spoiler.at_electrodes(noise, n_times)
        return out


def score_noise(
    data: Path,
    x: NDArray[np.float32],
    fs: float,
    n_mistaken: int,
    names: Sequence[str],
    with_mistake: Callable[[NDArray[np.float32], str], NDArray[np.float32]],
) -> list[NoiseRow]:
    """Score right records, and the first `n_mistaken` of them with each mistake of `names`, with each noise."""
    noise = Noise(data, fs)
    rows = []
    for kind, size in NOISES:
        noisy = noise(x, kind, size)
        right = check_leads(noisy, fs=fs)
        likely, before = named(right)
        asked = np.array([least_certainty(own, _CERTAINTY) for own in likely])
        changed = float(((likely != "") & (right["certainty"].to_numpy() >= asked)).mean())
        found = []
        for name in names:
            own = named(check_leads(with_mistake(noisy[:n_mistaken], name), fs=fs))
            found.append([float((called == name).mean()) for called in own])
        after_found, before_found = np.mean(found, axis=0)
        accused = (float((before != "").mean()), float((likely != "").mean()))
        rows.append(NoiseRow(kind, size, accused, changed, (float(before_found), float(after_found))))
    return rows


def named(table: DataFrame) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Return the likely mistake of each record, and what it would be if noise did not count."""
    likely = table["likely"].to_numpy().astype(object)
    doubted = [text.partition(_TOO_NOISY)[2].partition(")")[0] for text in table["findings"]]
    return likely, np.where(likely == "", np.array(doubted, dtype=object), likely)


def told_of_noise(sets: dict[str, list[NoiseRow]]) -> list[str]:
    """Return the table, with a group of columns for each set of records."""
    lines = ["", "Noise, in percent: right records that are accused of a mistake, and mistakes of electrodes that are"]
    lines += ["found. Before the arrow, as if noise did not count; behind it, as `check_leads` says it. White noise in"]
    lines += ["each lead, or of the Noise Stress Test at each electrode (ma muscle, em electrodes, bw wander).", ""]
    heads = [f"{name}: accused | changed | found" for name in sets]
    lines += [f"| noise | mV | {' | '.join(heads)} |", "|---" * (2 + 3 * len(heads)) + "|"]
    for rows in zip(*sets.values(), strict=True):
        cells = [f"{arrow(row.accused)} | {100 * row.changed:.2f} | {arrow(row.found, 0)}" for row in rows]
        lines.append(f"| {rows[0].kind} | {rows[0].size:g} | {' | '.join(cells)} |")
    return lines


def arrow(shares: tuple[float, float], digits: int = 1) -> str:
    """Return two shares in percent."""
    return " → ".join(f"{100 * share:.{digits}f}" for share in shares)
