"""R peaks from two leads beside those from each lead alone: MIT-BIH DS1, SVDB, and noise in one lead.

Command
-------
``OMP_NUM_THREADS=1 python -m benchmarks.study_rpeaks_leads [--data FOLDER] [--out FOLDER] [--date DATE]``  (minutes)

What it measures
----------------
F1 within 150 ms, all records pooled, and the standard deviation of the matched errors, of `detect_rpeaks` on the
first lead, on the second, and on both; "better" is the lead with the higher F1, chosen per record. Ventricular flutter
is left out, as EC57 does. Records are as they come, and DS1 with noise in one lead while the other is clean: the NSTDB
records `em` and `ma`, from a random offset, channel 1 or 2 by record in turn, scaled as `nst` does (signal power is the
square of the QRS peak-to-peak amplitude / 8, noise power the median of the variances of 1 s segments).

What it cannot show
-------------------
How well the detector does elsewhere: the weights of leads were chosen on DS1 and on this noise, and checked on SVDB.
Annotations of MIT-BIH follow one lead, mostly the first, so the error of the other lead is larger by itself.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from beatssl_sklearn import detect_rpeaks, read_annotations, read_wfdb
from beatssl_sklearn.evaluation import beat_detection_scores

BEATS = list("NLRejAaJSVEF/fQ")
NOISE, SNR = ("em", "ma"), (6, 0)
Beats = NDArray[np.int64]


class Record(NamedTuple):
    """Two leads, annotated beats, and stretches of ventricular flutter [samples]."""

    signal: NDArray[np.float32]
    fs: float
    true: Beats
    flutter: list[tuple[int, int]]

    def without_flutter(self, beats: Beats) -> Beats:
        """Drop the beats in flutter."""
        inside = [(beats >= start) & (beats <= stop) for start, stop in self.flutter]
        return beats[~np.any(inside, axis=0)] if inside else beats


def read_records(folder: Path) -> Iterator[Record]:
    """Read the records of a folder."""
    for path in sorted(folder.rglob("*.hea")):
        with warnings.catch_warnings():
            # Some headers give no gain, which does not matter to R peaks.
            warnings.simplefilter("ignore", UserWarning)
            record = read_wfdb(path.with_suffix(""), positional=True)
        marks = read_annotations(path.with_suffix(""), "atr")
        symbol = np.array(marks.symbol)
        starts, stops = (marks.sample[symbol == bracket].tolist() for bracket in "[]")
        flutter = list(zip(starts, stops, strict=True))
        yield Record(record.signal, record.fs, marks.sample[np.isin(symbol, BEATS)], flutter)


def with_noise(record: Record, lead: int, noise: NDArray[np.float32], snr: float) -> Record:
    """Add noise (n_times,) to one lead at a signal-to-noise ratio [dB]."""
    half, second = round(0.05 * record.fs), round(record.fs)
    signal = record.signal.copy()
    height = np.median([np.ptp(signal[lead, max(0, r - half) : r + half]) for r in record.true])
    added = np.resize(noise, signal.shape[1])
    power = np.median(added[: len(added) // second * second].reshape(-1, second).var(axis=1))
    signal[lead] += added * np.float32(np.sqrt(height**2 / 8 / (power * 10 ** (snr / 10))))
    return Record(signal, record.fs, record.true, record.flutter)


def noisy_records(folder: Path, lead: int, noise: NDArray[np.float32], snr: float) -> Iterator[Record]:
    """Read records with noise (n_channels, n_times) in one lead."""
    rng = np.random.default_rng(0)
    for i, record in enumerate(read_records(folder)):
        yield with_noise(record, lead, np.roll(noise[i % len(noise)], rng.integers(noise.shape[1])), snr)


def conditions(data: Path, svdb: Path) -> Iterator[tuple[str, str, Iterator[Record]]]:
    """Yield a name, the noisy lead, and the records."""
    yield "MIT-BIH DS1", "-", read_records(data / "mitdb")
    yield "SVDB", "-", read_records(svdb)
    for kind in NOISE:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            noise = read_wfdb(data / "nstdb" / kind, positional=True).signal.astype(np.float32)
        noise -= noise.mean(axis=1, keepdims=True)
        for snr in SNR:
            for lead, name in enumerate(("first", "second")):
                yield f"DS1, {kind} at {snr} dB", name, noisy_records(data / "mitdb", lead, noise, snr)


def line(condition: str, noisy: str, records: Iterator[Record]) -> str:
    """Score the records of one condition."""
    true: list[Beats] = []
    found: dict[str, list[Beats]] = {"first": [], "second": [], "both": [], "better": []}
    fs = 0.0
    for record in records:
        fs, own = record.fs, record.without_flutter(record.true)
        true.append(own)
        for name, leads in (("first", slice(0, 1)), ("second", slice(1, 2)), ("both", slice(None))):
            found[name].append(record.without_flutter(detect_rpeaks(record.signal[leads], fs)[0]))
        alone = found["first"][-1], found["second"][-1]
        found["better"].append(max(alone, key=lambda beats: beat_detection_scores(own, beats, fs).f1))
    scores = [beat_detection_scores(true, beats, fs) for beats in found.values()]
    cells = [condition, noisy, *(f"{s.f1:.4f}" for s in scores), *(f"{s.sd_error_ms:.1f}" for s in scores)]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Run the study and write its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = os.environ.get("BEATSSL_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--date", default="2026-11-26")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as svdb:
        subprocess.run([sys.executable, str(args.data / "svdb" / "unpack.py"), svdb], check=True)
        table = [line(*condition) for condition in conditions(args.data, Path(svdb))]
    names = "first | second | both | better"
    lines = [
        "# R peaks: two leads beside each of them",
        "",
        f"`OMP_NUM_THREADS=1 python -m benchmarks.study_rpeaks_leads`, {args.date}. F1 within 150 ms and standard",
        "deviation of the error [ms], records pooled, without ventricular flutter; better: the better lead of each",
        "record. The weights of leads were chosen on DS1 and on this noise, and checked on SVDB.",
        "",
        f"| records | noise in | F1 {names} | SD {names} |",
        "|---|---|" + "---|" * 8,
        *table,
    ]
    (args.out / "rpeaks_leads.md").write_text("\n".join(lines) + "\n")
    sys.stdout.write((args.out / "rpeaks_leads.md").read_text())


if __name__ == "__main__":
    main()
