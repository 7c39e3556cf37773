"""The command `beatssl delineate`, the streaming below it, and the reader of ranges below that."""

from __future__ import annotations

import errno
import os
import sys
import tracemalloc
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn import ECGRecord, WaveSegmenter, WFDBFolder, make_ecg, read_wfdb, save
from beatssl_sklearn.cli.main import main
from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.ecg.waves.annotations import read_waves
from beatssl_sklearn.ecg.waves.intervals import record_intervals
from beatssl_sklearn.ecg.waves.table import CONSENSUS, TABLE_COLUMNS, make_table
from beatssl_sklearn.ecg.wfdb.reader import WFDBReader
from beatssl_sklearn.files.growing_table import CSVTable
from beatssl_sklearn.inputs.windows import windows
from beatssl_sklearn.segmentation.long_records import delineate_file, pieces, survey

# Any rate, any leads, one record longer than a window.
RECORDS = {
    "a1": (500, LEADS, 4),
    "long": (128, ("II", "V1"), 40),
    "one_lead": (250, ("I",), 5),
    "sub/four": (100, ("I", "II", "V1", "V5"), 8),
}
RNG = np.random.default_rng(0)


def write_record(path: Path, signal: np.ndarray, fs: float, leads: Sequence[str]) -> None:
    """Write a format 16 record of 1,000 adu/mV; NaN becomes the value that means missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digital = np.where(np.isnan(signal), -32768, np.rint(1000 * np.nan_to_num(signal))).astype("<i2")
    digital.T.tofile(path.with_name(path.name + ".dat"))
    lines = [f"{path.name} {len(leads)} {fs} {signal.shape[1]}"]
    for lead, x in zip(leads, digital, strict=True):
        checksum = (int(x.astype(np.int64).sum()) + 32768) % 65536 - 32768
        lines.append(f"{path.name}.dat 16 1000(0)/mV 16 0 {x[0]} {checksum} 0 {lead}")
    path.with_name(path.name + ".hea").write_text("\n".join(lines) + "\n")


def simulated(fs: float, leads: Sequence[str], duration: float, seed: int = 0) -> np.ndarray:
    return make_ecg(1, rhythm="pvc", fs=fs, duration=duration, leads=leads, random_state=seed).data[0]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    for i, (name, (fs, leads, duration)) in enumerate(RECORDS.items()):
        write_record(folder / name, simulated(fs, leads, duration, i), fs, leads)
    return folder


@pytest.fixture(scope="module")
def segmenter() -> WaveSegmenter:
    ecg = make_ecg(4, fs=250, random_state=0)
    # Trained so little, the network sees many waves that are not there: the more to compare.
    return WaveSegmenter(
        "ptbxl-s",
        fs=250,
        fs_model=250,
        max_epochs=4,
        widths=(8, 8, 8, 8),
        wave_params={"min_confidence": 0.3, "need_qrs": False},
        device="cpu",
        precision="fp32",
        random_state=0,
    ).fit(ecg.data, ecg.masks)


@pytest.fixture(scope="module")
def model(segmenter: WaveSegmenter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "waves.bssl"
    save(segmenter, path)
    return path


class CheapSegmenter:
    """Finds a QRS every second and a T behind it, in all leads, without looking; knows what it was shown."""

    allow_nan = False
    every = 1.0

    def __init__(self) -> None:
        self.seen: list[ECGRecord] = []

    def set_params(self, **params: Any) -> CheapSegmenter:
        vars(self).update(params)
        return self

    def delineate(self, X: list[ECGRecord], *, consensus: bool = False) -> pd.DataFrame:
        (record,) = X
        self.seen.append(record)
        at = np.arange(0.5, record.signal.shape[1] / record.fs - 0.5, self.every) * record.fs
        names = [*record.leads, CONSENSUS] if consensus else list(record.leads)
        peak = np.concatenate([at, at + 0.25 * record.fs] * len(names))
        wave = np.tile(np.repeat([2, 3], len(at)), len(names))
        lead = np.repeat(np.arange(len(names)), 2 * len(at))
        width = 0.05 * record.fs
        return make_table(0, lead, wave, peak - width, peak, peak + width, record.fs, 0.9, leads=names)


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> CheapSegmenter:
    """Stands for the model file, whatever its name."""
    found = CheapSegmenter()
    monkeypatch.setattr(WaveSegmenter, "load", lambda path: found)
    return found


def delineate(folder: Path, out: Path, *more: str) -> int:
    return main(["delineate", str(folder), "--out", str(out), "--device", "cpu", "--quiet", *more])


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def named(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    return table.assign(record=np.array(names, dtype=object)[table["record"]])


def assert_same(found: pd.DataFrame, expected: pd.DataFrame, **tolerance: float) -> None:
    pd.testing.assert_frame_equal(
        found.reset_index(drop=True), expected.reset_index(drop=True), check_dtype=False, **tolerance
    )


class TestTables:
    @pytest.mark.parametrize("ending", ["csv", "parquet"])
    def test_waves_and_intervals_are_the_estimators(
        self, ending: str, good: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        if ending == "parquet":
            pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        out = tmp_path / "deep" / "out"
        assert delineate(good, out, "--model", str(model), "--consensus", "--format", ending, "--strict") == 0
        stdout, stderr = capsys.readouterr()
        assert files_in(out) == [f"intervals.{ending}", f"waves.{ending}"]
        read = pd.read_csv if ending == "csv" else pd.read_parquet
        waves, intervals = read(out / f"waves.{ending}"), read(out / f"intervals.{ending}")

        records = WFDBFolder(good)
        expected = WaveSegmenter.load(model).delineate(records, consensus=True)
        assert len(expected) > 100 and set(expected["lead"]) == {*LEADS, CONSENSUS}
        assert tuple(waves.columns) == TABLE_COLUMNS
        assert_same(waves, named(expected, records.names), rtol=1e-6, atol=1e-6)
        assert f"{len(expected)} waves of {len(records)} records" in stdout and stderr == ""

        assert intervals["record"].tolist() == list(records.names)
        for i, name in enumerate(records.names):
            own = expected[(expected["record"] == i) & (expected["lead"] == CONSENSUS)].assign(record=0)
            one = record_intervals(own, records[i].fs, n_records=1).assign(record=name)
            assert_same(intervals.iloc[[i]], one, rtol=1e-6)

    def test_the_consensus_is_left_out(self, good: Path, cheap: CheapSegmenter, tmp_path: Path) -> None:
        assert delineate(good, tmp_path) == 0
        waves, intervals = pd.read_csv(tmp_path / "waves.csv"), pd.read_csv(tmp_path / "intervals.csv")
        assert CONSENSUS not in set(waves["lead"])
        np.testing.assert_allclose(intervals["RR"], 1000)
        np.testing.assert_allclose(intervals["QRS"], 100)
        np.testing.assert_allclose(intervals["QT"], 350)
        assert intervals["PR"].isna().all() and (intervals["p_share"] == 0).all()

    def test_leads_by_name_and_by_position(
        self, good: Path, cheap: CheapSegmenter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert delineate(good, tmp_path / "out", "--leads", "V1, II") == 0
        waves = pd.read_csv(tmp_path / "out" / "waves.csv")
        assert waves["lead"].unique().tolist() == ["V1", "II"]
        assert "skipped one_lead: record 'one_lead': leads not found: V1, II" in capsys.readouterr().err
        write_record(tmp_path / "data" / "r", simulated(250, ("II", "V1"), 5), 250, ("ECG1", "ECG2"))
        assert delineate(tmp_path / "data", tmp_path / "out", "--positional", "--leads", "II,V1") == 0
        assert pd.read_csv(tmp_path / "out" / "waves.csv")["lead"].unique().tolist() == ["II", "V1"]
        for wrong, text in ((["--leads", "II,V9"], "'V9'"), (["--positional"], "--positional needs --leads")):
            assert delineate(good, tmp_path / "other", *wrong) == 2
            assert text in capsys.readouterr().err and not (tmp_path / "other").exists()


class TestRefusedRecords:
    @pytest.fixture
    def mixed(self, good: Path, tmp_path: Path) -> Path:
        """Good records among bad ones and odd ones."""
        folder = tmp_path / "mixed"
        signal = simulated(250, ("I", "II"), 10)
        write_record(folder / "b_fine", signal, 250, ("I", "II"))
        write_record(folder / "a0_short_file", signal, 250, ("I", "II"))
        data = (folder / "a0_short_file.dat").read_bytes()
        (folder / "a0_short_file.dat").write_bytes(data[: len(data) // 2])
        (folder / "a3_header.hea").write_text("this is no header\n")
        write_record(folder / "c_lead", np.zeros((1, 2500)), 250, ["respiration"])
        write_record(folder / "d_brief", signal[:, :50], 250, ("I", "II"))
        write_record(folder / "e_flat", 0 * signal, 250, ("I", "II"))
        gap = signal.copy()
        gap[1, 300:320] = np.nan
        write_record(folder / "f_gap", gap, 250, ("I", "II"))
        write_record(folder / "g_sum", signal, 250, ("I", "II"))
        header = folder / "g_sum.hea"
        header.write_text(header.read_text().replace(" 0 II", "7 0 II"))
        return folder

    def test_they_are_named_and_skipped(
        self, mixed: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ("--model", str(model))
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            assert delineate(mixed, tmp_path / "out", *command) == 0
        stdout, stderr = capsys.readouterr()
        for name in ("a0_short_file", "a3_header", "c_lead", "d_brief", "f_gap"):
            assert stderr.count(f"skipped {name}: ") == 1
        assert "holds 1250 samples of each signal, 2500 are needed" in stderr
        assert "lead II lacks 20 samples" in stderr and "--allow-nan" in stderr
        assert "5 of 8 records were skipped" in stderr and "of 3 records" in stdout
        assert "warning: e_flat: no lead varies (flat signal)" in stderr
        assert "warning: record 'g_sum': checksum mismatch in II" in stderr
        assert ".py" not in stderr
        intervals = pd.read_csv(tmp_path / "out" / "intervals.csv").set_index("record")
        assert intervals.index.tolist() == ["b_fine", "e_flat", "g_sum"]
        assert intervals.loc["e_flat", "n_beats"] == 0 and np.isnan(intervals.loc["e_flat", "QRS"])
        assert "e_flat" not in set(pd.read_csv(tmp_path / "out" / "waves.csv")["record"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert delineate(mixed, tmp_path / "out", *command, "--strict", "--allow-nan") == 1
        assert "skipped f_gap" not in capsys.readouterr().err
        assert "f_gap" in set(pd.read_csv(tmp_path / "out" / "intervals.csv")["record"])

    def test_none_is_left(self, cheap: CheapSegmenter, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "bad.hea").write_text("this is no header\n")
        assert delineate(tmp_path / "data", tmp_path / "out") == 2
        assert "none of 1 records could be delineated" in capsys.readouterr().err
        assert os.listdir(tmp_path) == ["data"]

    def test_half_a_record_is_not_written(
        self,
        good: Path,
        cheap: CheapSegmenter,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr("beatssl_sklearn.cli.delineate.PIECE_S", 10.0)
        plain = cheap.delineate

        def fails(X: list[ECGRecord], *, consensus: bool = False) -> pd.DataFrame:
            if X[0].fs == 128 and len(cheap.seen) == 3:
                raise ValueError("odd samples")
            return plain(X, consensus=consensus)

        monkeypatch.setattr(cheap, "delineate", fails)
        assert delineate(good, tmp_path / "out", "--annotations") == 0
        assert len(cheap.seen) > 3 and "skipped long: odd samples" in capsys.readouterr().err
        waves = pd.read_csv(tmp_path / "out" / "waves.csv")
        assert waves["record"].unique().tolist() == [name for name in WFDBFolder(good).names if name != "long"]
        assert not any("long" in name for name in files_in(tmp_path / "out"))


class TestWhatCannotBeDone:
    def test_models(self, good: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "damaged.bssl").write_bytes(model.read_bytes()[:-1])
        for name, text in (
            ("no.bssl", "'no.bssl' is neither a file nor a shipped model"),
            ("ptbxl-s", "BeatSSLPretrainer"),
            (str(tmp_path / "damaged.bssl"), "damaged.bssl"),
        ):
            assert delineate(good, tmp_path / "out", "--model", name) == 2
            stdout, stderr = capsys.readouterr()
            assert stderr.startswith("beatssl: ") and text in stderr and stdout == ""
            assert not (tmp_path / "out").exists()

    def test_places(
        self, good: Path, cheap: CheapSegmenter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "file").write_text("older")
        (tmp_path / "out" / "intervals.csv").mkdir(parents=True)
        cases = [(tmp_path / "file", "this is a file"), (tmp_path / "file" / "out", "cannot be written")]
        cases += [(tmp_path / "out", "intervals.csv is a folder")]
        for out, text in cases:
            assert delineate(good, out) == 2
            stderr = capsys.readouterr().err
            assert "--out" in stderr and text in stderr
        assert not cheap.seen and files_in(tmp_path) == ["file"]
        assert delineate(tmp_path / "nowhere", tmp_path / "out") == 2
        assert "nowhere" in capsys.readouterr().err

    def test_a_folder_without_permission(
        self,
        good: Path,
        cheap: CheapSegmenter,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def refuse(table: CSVTable) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        # Permissions of files do not hold back every user who runs this.
        monkeypatch.setattr(CSVTable, "open", refuse)
        assert delineate(good, tmp_path / "out") == 2
        assert "cannot be written to: Permission denied" in capsys.readouterr().err

    def test_annotations_beside_the_records(
        self, good: Path, cheap: CheapSegmenter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = files_in(good)
        records = tmp_path / "x" / "annotations"
        write_record(records / "r", simulated(250, ("II",), 5), 250, ("II",))
        for folder, out in ((good, good), (good, good / "out"), (records, records.parent)):
            assert delineate(folder, out, "--annotations") == 2
            assert "own folder" in capsys.readouterr().err
        assert files_in(good) == before and files_in(records) == ["r.dat", "r.hea"]

    def test_packages(
        self, good: Path, cheap: CheapSegmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        for module, option, extra in (
            ("matplotlib", ["--plot", "1"], "plot"),
            ("pyarrow.parquet", ["--format", "parquet"], "parquet"),
            ("pandas", [], "pandas"),
        ):
            with monkeypatch.context() as without:
                without.setitem(sys.modules, module, None)
                assert delineate(good, tmp_path / "out", *option) == 2
            assert f"beatssl-sklearn[{extra}]" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_usage(self, good: Path, capsys: pytest.CaptureFixture[str]) -> None:
        for arguments in ([], ["--out", "o", "--plot", "0"], ["--out", "o", "--format", "xlsx"]):
            with pytest.raises(SystemExit) as stop:
                main(["delineate", str(good), *arguments])
            assert stop.value.code == 2
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main(["delineate", "--help"])
        text = capsys.readouterr().out
        assert stop.value.code == 0 and "None" not in text and "ludb" in text


class TestFiles:
    def test_annotations(self, good: Path, model: Path, tmp_path: Path) -> None:
        assert delineate(good, tmp_path, "--model", str(model), "--annotations", "--consensus") == 0
        records = WFDBFolder(good)
        expected = named(WaveSegmenter.load(model).delineate(records, consensus=True), records.names)
        for i, name in enumerate(records.names):
            record = records[i]
            path, leads = tmp_path / "annotations" / name, [*record.leads, CONSENSUS]
            found = read_waves(path, leads, fs=record.fs, strict=True)
            own = expected[expected["record"] == name]
            assert found["lead"].tolist() == own["lead"].tolist() and found["wave"].tolist() == own["wave"].tolist()
            np.testing.assert_allclose(found["onset"], np.floor(own["onset"] + 0.5))
            np.testing.assert_allclose(found["offset"], np.floor(own["offset"] + 0.5))
        n_files = sum(1 + len(record.leads) for record in records)
        assert len(files_in(tmp_path / "annotations")) == n_files

    def test_pictures(self, good: Path, cheap: CheapSegmenter, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib", reason="matplotlib is not installed")
        write_record(tmp_path / "data" / "sub" / "a", simulated(250, ("I", "II"), 5), 250, ("I", "II"))
        write_record(tmp_path / "data" / "sub" / "b", simulated(100, ("V5",), 40), 100, ("V5",))
        write_record(tmp_path / "data" / "sub" / "c", simulated(100, ("V5",), 5), 100, ("V5",))
        assert delineate(tmp_path / "data", tmp_path / "out", "--plot", "2") == 0
        pictures = [name for name in files_in(tmp_path / "out") if name.endswith(".png")]
        assert pictures == [os.path.join("plots", "sub", "a.png"), os.path.join("plots", "sub", "b.png")]
        for name in pictures:
            raw = (tmp_path / "out" / name).read_bytes()
            assert raw.startswith(b"\x89PNG") and len(raw) > 5000

    @pytest.mark.parametrize("ending", ["csv", "parquet"])
    def test_an_interruption_keeps_older_tables_and_what_was_done(
        self,
        ending: str,
        good: Path,
        cheap: CheapSegmenter,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        plain, after = cheap.delineate, [0]

        def interrupted(X: list[ECGRecord], *, consensus: bool = False) -> pd.DataFrame:
            if len(cheap.seen) == after[0]:
                raise KeyboardInterrupt
            return plain(X, consensus=consensus)

        monkeypatch.setattr(cheap, "delineate", interrupted)
        older = tmp_path / f"waves.{ending}"
        older.write_text("older")
        assert delineate(good, tmp_path, "--format", ending) == 130
        assert capsys.readouterr().err.strip() == "beatssl: interrupted"
        assert files_in(tmp_path) == [older.name] and older.read_text() == "older"

        after[0] = 2
        assert delineate(good, tmp_path, "--format", ending) == 130
        stderr = capsys.readouterr().err
        assert "2 records were complete" in stderr and "interrupted" in stderr
        assert files_in(tmp_path) == sorted([f"intervals.part.{ending}", f"waves.part.{ending}", older.name])
        assert older.read_text() == "older"
        read = pd.read_csv if ending == "csv" else pd.read_parquet
        first_two = list(WFDBFolder(good).names[:2])
        for name in ("waves", "intervals"):
            assert read(tmp_path / f"{name}.part.{ending}")["record"].unique().tolist() == first_two

        monkeypatch.setattr(cheap, "delineate", plain)
        assert delineate(good, tmp_path, "--format", ending) == 0
        assert files_in(tmp_path) == [f"intervals.{ending}", f"waves.{ending}"]
        assert read(older)["record"].nunique() == len(RECORDS)

    def test_progress_goes_to_stderr(
        self, good: Path, cheap: CheapSegmenter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ["delineate", str(good), "--out", str(tmp_path)]
        assert main(command) == 0
        stdout, stderr = capsys.readouterr()
        assert "delineate:" in stderr and stdout.count("\n") == 1
        assert delineate(good, tmp_path) == 0
        assert capsys.readouterr().err == ""


def test_info(model: Path, segmenter: WaveSegmenter, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(model)]) == 0
    rows = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    rows = {name.strip(): value.strip() for name, value in rows.items()}
    assert rows["class"] == "WaveSegmenter" and rows["epochs"] == "4"
    assert rows["last training loss"] == f"{segmenter.history_[-1]['train_loss']:.4f}"


class TestStreaming:
    @pytest.mark.parametrize("fs", [100, 250, 257, 360, 1000])
    def test_pieces_have_the_windows_of_the_whole(self, fs: int) -> None:
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
    def test_pieces_give_the_waves_of_the_whole(self, fs: float, segmenter: WaveSegmenter, tmp_path: Path) -> None:
        leads = ("I", "II", "V2")
        write_record(tmp_path / "r", simulated(fs, leads, 68), fs, leads)
        whole = segmenter.delineate([read_wfdb(tmp_path / "r")], consensus=True)
        tables = list(delineate_file(tmp_path / "r", segmenter, consensus=True, piece=10))
        assert len(tables) == 7 and all(len(table) for table in tables)
        found = pd.concat(tables)
        order = {lead: i for i, lead in enumerate([*leads, CONSENSUS])}
        found = found.sort_values("lead", key=lambda column: column.map(order), kind="stable")
        assert len(whole) > 300
        assert_same(found, whole, rtol=0, atol=1e-4)

    def test_no_wave_is_left_twice_where_windows_are_shifted(self, tmp_path: Path) -> None:
        class Shifted(CheapSegmenter):
            def delineate(self, X: list[ECGRecord], *, consensus: bool = False) -> pd.DataFrame:
                (record,) = X
                # A wave over the border, which each piece sees on its own side.
                peak = 10.0 * record.fs + (-1 if len(self.seen) == 0 else 1)
                self.seen.append(record)
                return make_table(0, "II", 2, peak - 9, [peak], peak + 9, record.fs, leads=["II"])

        write_record(tmp_path / "r", simulated(250, ("II",), 24), 250, ("II",))
        tables = list(delineate_file(tmp_path / "r", Shifted(), piece=10))
        assert len(tables) == 2 and pd.concat(tables)["peak"].tolist() == [2499.0]

    def test_short_pieces_only_are_in_memory(
        self, cheap: CheapSegmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        n_times = 2 * 3600 * 100
        signal = np.tile(RNG.normal(size=(3, 1000)).astype(np.float32), n_times // 1000)
        write_record(tmp_path / "data" / "long", signal, 100, LEADS[:3])
        del signal
        cheap.every = 10.0
        # The first call imports and fills caches.
        list(delineate_file(tmp_path / "data" / "long", cheap, piece=3600))
        cheap.seen.clear()
        monkeypatch.setattr(cheap, "seen", _Forgetful())
        tracemalloc.start()
        try:
            assert delineate(tmp_path / "data", tmp_path / "out", "--annotations") == 0
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert max(cheap.seen.lengths) <= 100 * (600 + 32) and len(cheap.seen.lengths) == 12
        assert peak < 4 * n_times * 3, f"{peak / 1e6:.0f} MB: not less than the signal itself"
        waves = pd.read_csv(tmp_path / "out" / "waves.csv")
        qrs = waves[(waves["lead"] == "I") & (waves["wave"] == "QRS")]
        np.testing.assert_allclose(np.diff(qrs["peak"]), 1000)
        assert len(qrs) == 720

    def test_an_array_without_a_sample_is_a_gap(self, segmenter: WaveSegmenter, tmp_path: Path) -> None:
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

    def test_what_cannot_be_read(self, cheap: CheapSegmenter, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="'r.hea'"):
            delineate_file(tmp_path / "r", cheap)
        write_record(tmp_path / "r", np.zeros((1, 50)), 250, ("II",))
        with pytest.raises(ValueError, match="at least 0.3 s"):
            list(delineate_file(tmp_path / "r", cheap))

    def test_survey(self, tmp_path: Path) -> None:
        signal = np.zeros((2, 5000), np.float32)
        write_record(tmp_path / "r", signal, 100, ("I", "II"))
        assert survey(WFDBReader(tmp_path / "r")) == ({}, True)
        signal[1, 4000:4010] = np.nan
        write_record(tmp_path / "r", signal, 100, ("I", "II"))
        assert survey(WFDBReader(tmp_path / "r")) == ({"II": 10}, True)
        signal[0, 4999] = 0.1
        write_record(tmp_path / "r", signal, 100, ("I", "II"))
        assert survey(WFDBReader(tmp_path / "r")) == ({"II": 10}, False)


class _Forgetful:
    """A list that keeps the lengths of records only."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def append(self, record: ECGRecord) -> None:
        self.lengths.append(record.signal.shape[1])


def told(call: Callable[[], Any]) -> tuple[Any, set[str]]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        result = call()
    return result, {str(warning.message) for warning in found}


def read_and_check(path: Path, **options: Any) -> WFDBReader:
    reader = WFDBReader(path, **options)
    reader.check()
    return reader


def assert_ranges_are_parts(path: Path, **options: Any) -> None:
    whole, expected = told(lambda: read_wfdb(path, **options))
    reader, found = told(lambda: read_and_check(path, **options))
    assert found == expected
    assert (reader.fs, reader.leads, reader.n_times) == (whole.fs, whole.leads, whole.signal.shape[1])
    for start, stop in ranges(reader.n_times):
        part = reader.read(start, stop)
        assert part.dtype == np.float32
        np.testing.assert_array_equal(part, whole.signal[:, start:stop], err_msg=f"{start} to {stop}")


def ranges(n_times: int) -> Iterator[tuple[int, int]]:
    yield 0, n_times
    for start in (*range(8), n_times - 5, n_times - 1):
        for length in (1, 2, 13, n_times):
            yield start, min(start + length, n_times)


class TestReader:
    @pytest.mark.parametrize("n_times", [96, 101])
    @pytest.mark.parametrize("fmt", ["8", "16", "24", "32", "61", "80", "160", "212", "310", "311"])
    def test_formats(self, fmt: str, n_times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("beatssl_sklearn.ecg.wfdb.reader._CHUNK_SAMPLES", 50)
        raw = RNG.integers(0, 256, size=n_times * 12, dtype=np.uint8)
        (tmp_path / "r.dat").write_bytes(raw.tobytes())
        lines = [f"r.dat {fmt} 100({i})/mV 16 0 {i} 0 0 {LEADS[i]}" for i in range(3)]
        (tmp_path / "r.hea").write_text("\n".join([f"r 3 500 {n_times}", *lines]) + "\n")
        assert_ranges_are_parts(tmp_path / "r")
        assert_ranges_are_parts(tmp_path / "r", leads=("III", "I"))

    @pytest.mark.parametrize("fmt", ["16", "212"])
    def test_an_unknown_length(self, fmt: str, tmp_path: Path) -> None:
        (tmp_path / "r.dat").write_bytes(RNG.integers(0, 256, size=602, dtype=np.uint8).tobytes())
        lines = [f"r.dat {fmt} 100/mV 16 0 0 0 0 {LEADS[i]}" for i in range(3)]
        (tmp_path / "r.hea").write_text("\n".join(["r 3 500", *lines]) + "\n")
        assert_ranges_are_parts(tmp_path / "r")

    def test_frames_skews_offsets_and_several_files(self, tmp_path: Path) -> None:
        (tmp_path / "a.dat").write_bytes(RNG.integers(0, 256, size=24 + 60 * 3 * 2, dtype=np.uint8).tobytes())
        (tmp_path / "b.dat").write_bytes(RNG.integers(0, 256, size=90, dtype=np.uint8).tobytes())
        lines = [
            "a.dat 16x2:3+24 100(5)/mV 16 0 0 0 0 -I",
            "a.dat 16+24 200/mV 16 0 0 0 0 V1",
            "b.dat 212:1 100/uV 12 0 0 0 0 II",
        ]
        (tmp_path / "r.hea").write_text("\n".join(["r 3 360 60", *lines]) + "\n")
        assert_ranges_are_parts(tmp_path / "r")
        assert_ranges_are_parts(tmp_path / "r", leads=("II",))
        assert_ranges_are_parts(tmp_path / "r", leads=("V2", "V3", "V4"), positional=True)

    def test_flac(self, tmp_path: Path) -> None:
        soundfile = pytest.importorskip("soundfile", exc_type=ImportError)
        samples = RNG.integers(-2000, 2000, size=(9000, 2)).astype("<i2")
        soundfile.write(tmp_path / "r.dat", samples, 96000, subtype="PCM_16", format="FLAC")
        for length in (" 8000", ""):
            lines = [f"r.dat 516+500 1000(3)/mV 16 0 0 0 0 {lead}" for lead in ("I", "II")]
            (tmp_path / "r.hea").write_text("\n".join([f"r 2 500{length}", *lines]) + "\n")
            assert_ranges_are_parts(tmp_path / "r")

    @pytest.mark.parametrize("layout", [False, True])
    def test_segments(self, layout: bool, tmp_path: Path) -> None:
        for name, n_times, leads in (("s1", 40, ("I", "II")), ("s2", 30, ("II",) if layout else ("I", "II"))):
            write_record(tmp_path / name, RNG.normal(size=(len(leads), n_times)), 250, leads)
        segments = ["s1 40", "~ 10", "s2 30", "s1 40"]
        if layout:
            (tmp_path / "lay.hea").write_text("lay 2 250 0\n~ 0 200/mV 0 0 0 0 0 I\n~ 0 200/mV 0 0 0 0 0 II\n")
            segments.insert(0, "lay 0")
        (tmp_path / "r.hea").write_text("\n".join([f"r/{len(segments)} 2 250 120", *segments]) + "\n")
        assert_ranges_are_parts(tmp_path / "r")
        assert_ranges_are_parts(tmp_path / "r", leads=("II", "I"))

    def test_headers_warn_as_ever(self, tmp_path: Path) -> None:
        write_record(tmp_path / "r", RNG.normal(size=(1, 100)), 250, ("II",))
        header = tmp_path / "r.hea"
        header.write_text(header.read_text().replace("1000(0)/mV", "0").replace("r 1", "q 1"))
        assert_ranges_are_parts(tmp_path / "r")
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            WFDBReader(tmp_path / "r")
        assert len(found) == 2 and "no gain for II" in str(found[1].message) + str(found[0].message)
        assert {warning.filename for warning in found} == {__file__}

    def test_refused(self, tmp_path: Path) -> None:
        write_record(tmp_path / "data" / "r", RNG.normal(size=(2, 100)), 250, ("I", "II"))
        path = tmp_path / "data" / "r"
        reader = WFDBReader(path)
        for start, stop in ((-1, 5), (5, 5), (90, 101)):
            with pytest.raises(ValueError, match="it has 100"):
                reader.read(start, stop)
        with pytest.raises(ValueError, match="leads not found: V1"):
            WFDBReader(path, leads=["V1"])
        (tmp_path / "other").mkdir()
        with pytest.raises(ValueError, match="outside confine_to_root"):
            WFDBReader(path, confine_to_root=tmp_path / "other")
        header = path.with_name("r.hea")
        text = header.read_text()
        header.write_text(text.replace("/mV", "/bpm"))
        with pytest.raises(ValueError, match="'bpm', which is not one of voltage"):
            WFDBReader(path)
        header.write_text(text)
        path.with_name("r.dat").unlink()
        with pytest.raises(FileNotFoundError, match="'r.dat'"):
            WFDBReader(path)
        with pytest.raises(OSError, match="'r.dat'"):
            reader.read(0, 10)
