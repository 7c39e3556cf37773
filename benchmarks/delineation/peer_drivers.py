"""Delineation by other packages, each in its own environment, for `benchmarks.delineation.peers`.

    PYTHON benchmarks/delineation/peer_drivers.py PEER about
    PYTHON benchmarks/delineation/peer_drivers.py PEER mark IN OUT

The first prints the peer's version. The second reads each ``IN/NAME.npz`` with ``signal`` (n_leads, n_times) [mV] and
``fs`` [Hz], and writes ``OUT/NAME.npz`` with ``marks`` (n_waves, 5): lead, wave (0 P, 1 QRS, 2 T), onset, peak and
offset [samples], NaN where one is missing; ``seconds`` of CPU time; and ``errors``, one text per lead without marks.

It imports numpy and one peer, nothing of this package: some peers may not be among its dependencies (GPL), and some
need other versions of them. Peers run with their defaults, as their documentation shows.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]
Lead = dict[int, NDArray[np.float64]]
"""Marks (n_waves, 3) of a lead by wave; NaN is a missing mark."""

P, QRS, T = range(3)
OPENECG_WINDOW, OPENECG_MARGIN = 10, 2  # [s], what openecg was trained on, and its guard at either end


def each_lead(one: Callable[[Signal, float], Lead]) -> Callable[[Signal, float, list[str]], list[Lead]]:
    """Let a function of one lead run over all leads of a record; one that raises leaves its lead without marks."""

    def run(signal: Signal, fs: float, errors: list[str]) -> list[Lead]:
        leads: list[Lead] = []
        for row in signal:
            try:
                leads.append(one(row, fs))
            # Peers raise whatever numpy, scipy and pandas raise when a lead defies their assumptions.
            except Exception as error:
                leads.append({})
                errors.append(f"{type(error).__name__}: {error}")
        return leads

    return run


def as_marks(*columns: Sequence[Any]) -> NDArray[np.float64]:
    """Stack onsets, peaks and offsets of the same beats; None is a missing mark."""
    return np.array([[np.nan if v is None else v for v in column] for column in columns], np.float64).T


# ---- NeuroKit2 -------------------------------------------------------------------------------------------------------


def neurokit(method: str) -> Any:
    """NeuroKit2: `ecg_clean`, R peaks by `ecg_peaks`, waves by `ecg_delineate`."""
    import neurokit2 as nk

    def one(signal: Signal, fs: float) -> Lead:
        clean = nk.ecg_clean(signal, sampling_rate=int(fs))
        rpeaks = np.asarray(nk.ecg_peaks(clean, sampling_rate=int(fs))[1]["ECG_R_Peaks"])
        found = nk.ecg_delineate(clean, rpeaks, sampling_rate=int(fs), method=method)[1]
        marks: Lead = {}
        for wave, letter in ((P, "P"), (QRS, "R"), (T, "T")):
            columns = [found.get(f"ECG_{letter}_{kind}s", []) for kind in ("Onset", "Peak", "Offset")]
            # It drops marks before the first sample from its lists, which only those of the first beats can be.
            columns = [[np.nan] * (len(rpeaks) - len(column)) + list(column) for column in columns]
            if wave == QRS:
                columns[1] = list(rpeaks)
            marks[wave] = as_marks(*columns)
        return marks

    return each_lead(one)


# ---- prominence-delineator -------------------------------------------------------------------------------------------


def prominence(_: str) -> Any:
    """The author's pipeline: R peaks by FastNVG, cleaning by NeuroKit2; the complex from R_on to R_off."""
    from prominence_delineator import ProminenceDelineator

    def one(signal: Signal, fs: float) -> Lead:
        delineator = ProminenceDelineator(sampling_frequency=int(fs))
        rpeaks = delineator.find_rpeaks(signal)
        found = delineator.find_waves(delineator.clean_ecg(signal), rpeaks=rpeaks, include_nodetections=True)
        letters = ((P, "P"), (QRS, "R"), (T, "T"))
        return {wave: as_marks(found[f"{x}_on"], found[x], found[f"{x}_off"]) for wave, x in letters}

    return each_lead(one)


# ---- ecgdeli ---------------------------------------------------------------------------------------------------------


def ecgdeli(_: str) -> Any:
    """Filtering and annotation of all leads together, as in its example; marks of each lead."""
    import ecgdeli as package

    # Columns of its table of twelve marks.
    columns = {P: (0, 1, 2), QRS: (3, 5, 7), T: (9, 10, 11)}

    def run(signal: Signal, fs: float, errors: list[str]) -> list[Lead]:
        try:
            found = package.annotate(package.filter_ecg(signal.T, fs), fs)
        except Exception as error:
            errors.extend([f"{type(error).__name__}: {error}"] * len(signal))
            return [{} for _ in signal]
        # T of the last beat can lie behind the end.
        tables = [np.where(t.samples < signal.shape[1], t.samples, np.nan) for t in found.leads]
        return [{wave: table[:, list(three)] for wave, three in columns.items()} for table in tables]

    return run


# ---- openecg ---------------------------------------------------------------------------------------------------------


def openecg(which: str) -> Any:
    """The layered codec (v6, torch, 500 Hz) or the boundary model (v56c, int8, 250 Hz), in windows of 10 s.

    Both see a window; those of a longer record overlap, and 2 s at either end of each give way to its neighbours, as
    its authors advise. Their own stitching misplaces the last window, hence not `encode_stream`.
    """
    from scipy.signal import resample_poly

    if which == "codec":
        import openecg as package
        import torch

        torch.set_num_threads(1)
        model, fs_model, step, shortest = package.load_codec(), 500, 1, 1

        def label(window: Signal) -> NDArray[np.int64]:
            return np.asarray(package.encode(window, fs=500, model=model).frame, np.int64)
    else:
        from openecg.deploy import Inference

        # Runs below two frames do not count, as in `logits_to_boundaries`.
        detector, fs_model, step, shortest = Inference(num_threads=1), 250, 5, 2

        def label(window: Signal) -> NDArray[np.int64]:
            return detector.forward_window(window).argmax(axis=-1)

    def one(signal: Signal, fs: float) -> Lead:
        up, down = (fs_model, int(fs)) if fs != fs_model else (1, 1)
        x = resample_poly(signal, up, down)
        frames = stitched(x, fs_model, step, label)
        edges = np.flatnonzero(np.diff(frames)) + 1
        begins, ends = np.append(0, edges), np.append(edges, len(frames))
        marks: dict[int, list[tuple[float, float, float]]] = {P: [], QRS: [], T: []}
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            if frames[begin] in (1, 2, 3) and end - begin >= shortest:
                first, last = begin * step, min(end * step, len(x)) - 1
                times = np.array([first, highest(x, first, last), last]) * (fs / fs_model)
                marks[int(frames[begin]) - 1].append(tuple(times.tolist()))
        return {wave: np.array(rows, np.float64).reshape(-1, 3) for wave, rows in marks.items()}

    return each_lead(one)


def stitched(x: Signal, fs: int, step: int, label: Callable[[Signal], NDArray[np.int64]]) -> NDArray[np.int64]:
    """Label a lead window by window, frames of `step` samples."""
    size, margin = OPENECG_WINDOW * fs, OPENECG_MARGIN * fs
    last = max(0, -(-(len(x) - size) // step) * step)
    starts = [*range(0, last, size - 2 * margin), last]
    out = np.zeros(-(-len(x) // step), np.int64)
    # A window writes over the end of the one before it, but keeps off with its own beginning.
    for start in starts:
        piece = x[start : start + size]
        frames = label(np.pad(piece, (0, size - len(piece))))
        skipped = margin // step if start else 0
        room = out[start // step + skipped : (start + size) // step]
        room[:] = frames[skipped:][: len(room)]
    return out


def highest(x: Signal, first: int, last: int) -> int:
    """Return the sample farthest from the line between both ends: openecg gives no peaks."""
    piece = x[first : last + 1]
    return first + int(np.abs(piece - np.linspace(piece[0], piece[-1], len(piece))).argmax())


# ---- running ---------------------------------------------------------------------------------------------------------

PEERS: dict[str, tuple[Callable[[str], Any], str, str]] = {
    "neurokit2-dwt": (neurokit, "dwt", "neurokit2"),
    "neurokit2-prominence": (neurokit, "prominence", "neurokit2"),
    "prominence-delineator": (prominence, "", "prominence-delineator"),
    "ecgdeli": (ecgdeli, "", "ecgdeli"),
    "openecg-codec": (openecg, "codec", "openecg"),
    "openecg-v56c": (openecg, "v56c", "openecg"),
}


def mark_folder(peer: str, source: Path, target: Path) -> Iterator[str]:
    """Delineate the records of a folder that have no file in the other."""
    make, option, _ = PEERS[peer]
    run: Any = None
    for file in sorted(source.glob("*.npz")):
        out = target / file.name
        if out.exists():
            continue
        with np.load(file) as given:
            signal, fs = given["signal"].astype(np.float64), float(given["fs"])
        if run is None:
            run = make(option)
            # What runs for the first time loads and compiles.
            run(signal, fs, [])
        errors: list[str] = []
        start = time.process_time()
        leads = run(signal, fs, errors)
        seconds = time.process_time() - start
        rows = [np.c_[np.full((len(m), 2), (k, w)), m] for k, marks in enumerate(leads) for w, m in marks.items()]
        marks = np.concatenate([np.zeros((0, 5)), *rows])
        marks = marks[~np.isnan(marks[:, 2:]).all(axis=1)]
        part = target / f"{file.stem}.part"
        with open(part, "wb") as stream:
            np.savez_compressed(stream, marks=marks, seconds=seconds, errors=np.array(errors, dtype=str))
        os.replace(part, out)
        yield f"{peer} {file.stem}: {len(marks)} waves, {seconds:.2f} s, {len(errors)} errors"


def main() -> None:
    peer, step, *folders = sys.argv[1:]
    if step == "about":
        sys.stdout.write(version(PEERS[peer][2]) + "\n")
        return
    warnings.simplefilter("ignore")
    for line in mark_folder(peer, *map(Path, folders)):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
