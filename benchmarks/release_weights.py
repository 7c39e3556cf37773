r"""Make the files that ship from pretrained models: for any rate, without heads, in half precision.

    python -m benchmarks.release_weights ptbxl=M.bssl ptbxl-s=S.bssl waves=SEGMENTER.bssl ptbxl-reports=ALIGNER.bssl \
        --calibration benchmarks/results/delineation/confidence_calibration.csv --data ../shared/data

Writes `beatssl_sklearn/weights/NAME.bssl`, and embeddings, waves and answers of two LUDB records for tests to compare
with (`tests/shipped_embeddings.npz`, `tests/shipped_waves.npz`, `tests/shipped_answers.npz`). Measures, on LUDB: the
cosine between the embeddings by the file and by the model it was made from, or the share of samples that get the same
label; and the sizes.

Cannot show: what the embeddings are worth; `benchmarks/study` does that with the files that ship.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from beatssl_sklearn import BeatEmbedder, ReportAligner, RhythmEmbedder, WaveSegmenter, WFDBFolder, load, save
from beatssl_sklearn.ecg.waves import WAVES
from beatssl_sklearn.segmentation import WaveCalibration

ROOT = Path(__file__).parents[1]
# The rate is the package's default, not PTB-XL's 100 Hz: users have other recordings than the training data.
FS = 500.0
N_COMPARED = 30
ENCODERS, SEGMENTER, ALIGNER = ("ptbxl", "ptbxl-s"), "waves", "ptbxl-reports"
ASKED = ("AFIB", "NORM", "left bundle branch block")


def release(name: str, model: Path, records: WFDBFolder, calibration: Path | None) -> None:
    """Write one file, and print what it lost."""
    trained = load(model)
    if isinstance(trained, WaveSegmenter):
        if calibration is not None:
            trained.unet_ = replace(trained.unet_, calibration=read_calibration(calibration))
        release_segmenter(name, trained, records)
        return
    if isinstance(trained, ReportAligner):
        release_aligner(name, trained, records)
        return
    expected = RhythmEmbedder(trained).transform(records)
    trained.set_params(fs=FS, verbose=0, device=None, precision="auto")
    trained.heads_ = {}
    out = ROOT / "beatssl_sklearn" / "weights" / f"{name}.bssl"
    out.parent.mkdir(exist_ok=True)
    save(trained, out, half=True)
    found = RhythmEmbedder(load(out)).transform(records)
    cosine = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    sys.stdout.write(f"{out.name}: {out.stat().st_size / 1e6:.2f} MB, cosine at least {cosine.min():.6f}\n")


def read_calibration(file: Path) -> WaveCalibration:
    """Read the calibration that `benchmarks.delineation.confidence` has written."""
    with open(file, newline="") as stream:
        rows = {row["wave"]: row for row in csv.DictReader(stream)}
    slope, intercept = (np.array([float(rows[wave][name]) for wave in WAVES]) for name in ("slope", "intercept"))
    return WaveCalibration(slope, intercept)


def release_segmenter(name: str, trained: WaveSegmenter, records: WFDBFolder) -> None:
    """Write the file of a segmenter, and print what it lost."""
    trained.set_params(verbose=0, device=None, precision="fp32")
    expected = trained.predict(records)
    trained.set_params(precision="auto", fs=FS, check="warn")
    out = ROOT / "beatssl_sklearn" / "weights" / f"{name}.bssl"
    save(trained, out, half=True)
    found = load(out).set_params(precision="fp32").predict(records)
    sys.stdout.write(f"{out.name}: {out.stat().st_size / 1e6:.2f} MB, same label {(found == expected).mean():.6f}\n")


def release_aligner(name: str, trained: ReportAligner, records: WFDBFolder) -> None:
    """Write the file of an aligner, and print what it lost. It must not hold reports."""
    if trained.keep_records:
        raise SystemExit(f"{name}: it keeps reports; fit it with keep_records=False")
    trained.set_params(verbose=0, device=None, precision="auto", fs=FS, check="warn")
    trained.reading_ = {**trained.reading_, "fs": FS, "n_leads": None}
    trained.history_ = trained.history_[-1:]
    expected = trained.transform(records)
    out = ROOT / "beatssl_sklearn" / "weights" / f"{name}.bssl"
    save(trained, out, half=True)
    cosine = (load(out).transform(records) * expected).sum(1)
    sys.stdout.write(f"{out.name}: {out.stat().st_size / 1e6:.2f} MB, cosine at least {cosine.min():.6f}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="+", metavar="NAME=FILE")
    parser.add_argument("--calibration", type=Path, help="confidence_calibration.csv, for a segmenter")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("BEATSSL_DATA", ROOT.parent / "shared/data")))
    args = parser.parse_args()
    records = WFDBFolder(args.data / "ludb")[:N_COMPARED]
    for pair in args.model:
        name, _, file = pair.partition("=")
        release(name, Path(file), records, args.calibration)
    first = records[:2]
    stored = {}
    for name in ENCODERS:
        stored[f"{name} rhythm"] = RhythmEmbedder(name).transform(first)
        stored[f"{name} beat"] = np.stack([beats[0] for beats in BeatEmbedder(name).transform(first)])
    np.savez_compressed(ROOT / "tests" / "shipped_embeddings.npz", **stored)
    aligner = ReportAligner.load(ALIGNER)
    answers = {"aligned": aligner.transform(first), "answers": aligner.predict_proba(first, ASKED)}
    np.savez_compressed(ROOT / "tests" / "shipped_answers.npz", **answers)
    waves = WaveSegmenter.load(SEGMENTER).set_params(precision="fp32").delineate(first)
    columns = {name: waves[name].to_numpy() for name in ("record", "onset", "peak", "offset")}
    text = {name: waves[name].to_numpy().astype(str) for name in ("lead", "wave")}
    np.savez_compressed(ROOT / "tests" / "shipped_waves.npz", **columns, **text)


if __name__ == "__main__":
    main()
