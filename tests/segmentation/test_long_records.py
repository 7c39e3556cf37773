"""Records of any length: cut into pieces, delineated piece by piece, and surveyed before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn import ECGRecord, WaveSegmenter, fetch_mitdb, make_ecg, read_wfdb
from beatssl_sklearn.ecg.waves.table import CONSENSUS, make_table
from beatssl_sklearn.ecg.wfdb.reader import WFDBReader
from beatssl_sklearn.inputs.windows import windows
from beatssl_sklearn.segmentation.long_records import delineate_file, pieces, survey


def write_record(path: Path, signal: np.ndarray, fs: float, leads: Sequence[str]) -> None:
    """Write a record of format 16 with 1,000 adu/mV; NaN becomes the value that means missing."""
    digital = np.where(np.isnan(signal), -32768, np.rint(1000 * np.nan_to_num(signal))).astype("<i2")
    digital.T.tofile(path.with_name(path.name + ".dat"))
    lines = [f"{path.name} {len(leads)} {fs} {signal.shape[1]}"]
    for lead, x in zip(leads, digital, strict=True):
        checksum = (int(x.astype(np.int64).sum()) + 32768) % 65536 - 32768
        lines.append(f"{path.name}.dat 16 1000(0)/mV 16 0 {x[0]} {checksum} 0 {lead}")
    path.with_name(path.name + ".hea").write_text("\n".join(lines) + "\n")


def simulated(fs: float, leads: Sequence[str], duration: float) -> np.ndarray:
    return make_ecg(1, rhythm="pvc", fs=fs, duration=duration, leads=leads, random_state=0).data[0]


@pytest.mark.parametrize("fs", [100, 250, 257, 360, 1000])
def test_pieces_have_the_windows_of_the_whole(fs: int) -> None:
    for seconds in (0.5, 12.0, 15.0, 15.5, 24.99, 25.0, 25.01, 34.9, 65.0, 71.3, 120.0, 333.3, 3605.0):
        n_times = round(seconds * fs)
        whole = windows(n_times, fs)
        for length in (1, 10, 20, 40, 600):
            found = pieces(n_times, fs, length)
            assert found[0].core_start == 0 and found[-1].core_stop == found[-1].stop == n_times
            for before, after in zip(found, found[1:], strict=False):
                assert before.core_stop == after.core_start
            for piece in found:
                inner = [
                    (w.start + piece.start, w.stop + piece.start) for w in windows(piece.stop - piece.start, fs)
                ]
                # All windows of the core, and their neighbours, on whose sights it depends what is found there.
                mine = [i for i, w in enumerate(whole) if piece.core_start <= w.core_start < piece.core_stop]
                wanted = whole[max(0, mine[0] - 1) : mine[-1] + 2]
                assert {(w.start, w.stop) for w in wanted} <= set(inner)


@pytest.mark.parametrize("fs", [250, 128, 257.5])
def test_pieces_give_the_waves_of_the_whole(fs: float, segmenter: WaveSegmenter, tmp_path: Path) -> None:
    leads = ("I", "II", "V2")
    write_record(tmp_path / "r", simulated(fs, leads, 68), fs, leads)
    whole = segmenter.delineate([read_wfdb(tmp_path / "r")], consensus=True)
    tables = list(delineate_file(tmp_path / "r", segmenter, consensus=True, piece=10))
    assert len(tables) == 7 and all(len(table) for table in tables)
    found = pd.concat(tables)
    order = {lead: i for i, lead in enumerate([*leads, CONSENSUS])}
    found = found.sort_values("lead", key=lambda column: column.map(order), kind="stable")
    assert len(whole) > 300
    found, whole = found.reset_index(drop=True), whole.reset_index(drop=True)
    pd.testing.assert_frame_equal(found, whole, check_dtype=False, rtol=0, atol=1e-4)


def test_no_wave_is_left_twice_where_windows_are_shifted(tmp_path: Path) -> None:
    class Shifted:
        n_calls = 0

        def delineate(self, X: list[ECGRecord], *, consensus: bool = False) -> pd.DataFrame:
            (record,) = X
            # A wave over the border, which each piece sees on its own side.
            peak = 10.0 * record.fs + (-1 if self.n_calls == 0 else 1)
            self.n_calls += 1
            return make_table(0, "II", 2, peak - 9, [peak], peak + 9, record.fs, leads=["II"])

    write_record(tmp_path / "r", simulated(250, ("II",), 24), 250, ("II",))
    tables = list(delineate_file(tmp_path / "r", Shifted(), piece=10))
    assert len(tables) == 2 and pd.concat(tables)["peak"].tolist() == [2499.0]


def test_an_array_without_a_sample_is_a_gap(segmenter: WaveSegmenter, tmp_path: Path) -> None:
    signal = simulated(250, ("I", "II"), 60)
    signal[:, 250 * 15 : 250 * 45] = np.nan
    write_record(tmp_path / "r", signal, 250, ("I", "II"))
    segmenter.set_params(allow_nan=True)
    try:
        waves = pd.concat(delineate_file(tmp_path / "r", segmenter, piece=10))
    finally:
        segmenter.set_params(allow_nan=False)
    assert len(waves) and not waves["peak_s"].between(17.1, 42.9).any()
    with pytest.raises(ValueError, match="NaN"):
        list(delineate_file(tmp_path / "r", segmenter, piece=10))


def test_dead_stretches_in_pieces_and_in_the_whole(data_dir: Path, tmp_path: Path) -> None:
    """A lead that is lost for some seconds, also across the borders of windows, and for .4 s."""
    segmenter = WaveSegmenter.load("waves").set_params(precision="fp32")
    mitdb = fetch_mitdb(data_dir / "mitdb", records=[208], download_if_missing=False)
    signal = mitdb.data[0].signal[:, : 360 * 80].copy()
    for lead, first, last in ((0, 18.7, 21.3), (1, 30.2, 30.6), (1, 47.9, 62.1)):
        signal[lead, round(360 * first) : round(360 * last)] = 0.5
    write_record(tmp_path / "r", signal, 360, ("II", "V1"))
    whole = segmenter.delineate([read_wfdb(tmp_path / "r")])
    found = pd.concat(delineate_file(tmp_path / "r", segmenter, piece=20))
    found = found.sort_values("lead", kind="stable").reset_index(drop=True)
    pd.testing.assert_frame_equal(found, whole, check_dtype=False, rtol=0, atol=1e-3)
    # Most complexes of the other lead are found while one is lost.
    lost = whole[(whole.lead == "II") & (whole.wave == "QRS") & whole.peak_s.between(48, 62)]
    true = mitdb.rpeaks[0] / 360
    assert len(lost) >= 0.95 * ((true > 48) & (true < 62)).sum()


def test_what_cannot_be_read(segmenter: WaveSegmenter, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="'r.hea'"):
        delineate_file(tmp_path / "r", segmenter)
    write_record(tmp_path / "r", np.zeros((1, 50)), 250, ("II",))
    with pytest.raises(ValueError, match="at least 0.3 s"):
        list(delineate_file(tmp_path / "r", segmenter))


def test_survey(tmp_path: Path) -> None:
    signal = np.zeros((2, 5000), np.float32)
    write_record(tmp_path / "r", signal, 100, ("I", "II"))
    assert survey(WFDBReader(tmp_path / "r")) == ({}, True)
    signal[1, 4000:4010] = np.nan
    write_record(tmp_path / "r", signal, 100, ("I", "II"))
    assert survey(WFDBReader(tmp_path / "r")) == ({"II": 10}, True)
    signal[0, 4999] = 0.1
    write_record(tmp_path / "r", signal, 100, ("I", "II"))
    assert survey(WFDBReader(tmp_path / "r")) == ({"II": 10}, False)
