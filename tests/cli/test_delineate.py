"""The command `beatssl delineate`: its tables, annotation files and pictures, and records that cannot be used."""

from __future__ import annotations

import errno
import os
import sys
import tracemalloc
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn import ECGRecord, WaveSegmenter, WFDBFolder, make_ecg, plotting, read_waves
from beatssl_sklearn.cli import delineate_results
from beatssl_sklearn.cli.main import main
from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.ecg.waves import beat_intervals, record_intervals
from beatssl_sklearn.ecg.waves.table import CONSENSUS, TABLE_COLUMNS, make_table
from beatssl_sklearn.files.table_formats import CSVTable
from beatssl_sklearn.segmentation.long_records import delineate_file
from beatssl_sklearn.segmentation.tables import NoSureWaves

# Any rate, any leads, one record longer than a window.
RECORDS = {
    "a1": (500, LEADS, 4),
    "long": (128, ("II", "V1"), 40),
    "one_lead": (250, ("I",), 5),
    "sub/four": (100, ("I", "II", "V1", "V5"), 8),
}
RNG = np.random.default_rng(0)
WriteRecord = Callable[[Path, np.ndarray, float, Sequence[str]], None]


def simulated(fs: float, leads: Sequence[str], duration: float, seed: int = 0) -> np.ndarray:
    return make_ecg(1, rhythm="pvc", fs=fs, duration=duration, leads=leads, random_state=seed).data[0]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, write_record: WriteRecord) -> Path:
    """Folder of good records, shorter ones than other commands have."""
    folder = tmp_path_factory.mktemp("good")
    for i, (name, (fs, leads, duration)) in enumerate(RECORDS.items()):
        write_record(folder / name, simulated(fs, leads, duration, i), fs, leads)
    return folder


class CheapSegmenter:
    """Finds a QRS every second and a T behind it, in all leads, without looking; knows what it was shown."""

    check = "warn"

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
        self, ending: str, good: Path, wave_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        if ending == "parquet":
            pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        out = tmp_path / "deep" / "out"
        assert delineate(good, out, "--model", str(wave_model), "--consensus", "--format", ending, "--strict") == 0
        stdout, stderr = capsys.readouterr()
        assert files_in(out) == [f"intervals.{ending}", f"waves.{ending}"]
        read = pd.read_csv if ending == "csv" else pd.read_parquet
        waves, intervals = read(out / f"waves.{ending}"), read(out / f"intervals.{ending}")

        records = WFDBFolder(good)
        expected = WaveSegmenter.load(wave_model).delineate(records, consensus=True)
        assert len(expected) > 100 and set(expected["lead"]) == {*LEADS, CONSENSUS}
        assert tuple(waves.columns) == TABLE_COLUMNS
        assert_same(waves, named(expected, records.names), rtol=1e-6, atol=1e-6)
        assert f"{len(expected)} waves of {len(records)} records" in stdout and stderr == ""

        assert intervals["record"].tolist() == list(records.names)
        for i, name in enumerate(records.names):
            own = expected[(expected["record"] == i) & (expected["lead"] == CONSENSUS)].assign(record=0)
            one = record_intervals(own, records[i].fs, n_records=1).assign(record=name)
            assert_same(intervals.iloc[[i]], one, rtol=1e-6, atol=1e-6)  # text has six decimals

    def test_the_consensus_is_left_out(self, good: Path, cheap: CheapSegmenter, tmp_path: Path) -> None:
        assert delineate(good, tmp_path) == 0
        waves, intervals = pd.read_csv(tmp_path / "waves.csv"), pd.read_csv(tmp_path / "intervals.csv")
        assert CONSENSUS not in set(waves["lead"])
        np.testing.assert_allclose(intervals["RR"], 1000)
        np.testing.assert_allclose(intervals["QRS"], 100)
        np.testing.assert_allclose(intervals["QT"], 350)
        assert intervals["PR"].isna().all() and (intervals["p_share"] == 0).all()

    def test_leads_by_name_and_by_position(
        self,
        write_record: WriteRecord,
        good: Path,
        cheap: CheapSegmenter,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
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
    def mixed(self, write_record: WriteRecord, tmp_path: Path) -> Path:
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
        self, mixed: Path, wave_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ("--model", str(wave_model))
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            assert delineate(mixed, tmp_path / "out", *command) == 0
        stdout, stderr = capsys.readouterr()
        for name in ("a0_short_file", "a3_header", "c_lead", "d_brief", "f_gap"):
            assert stderr.count(f"skipped {name}: ") == 1
        assert "holds 1250 samples of each signal, 2500 are needed" in stderr
        assert "lead II lacks 20 samples; --allow-nan uses it all the same" in stderr
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

    def test_a_model_that_is_sure_of_nothing_is_told_once(
        self,
        good: Path,
        cheap: CheapSegmenter,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr("beatssl_sklearn.cli.delineate_record.PIECE_S", 10.0)
        plain = cheap.delineate

        def unsure(X: list[ECGRecord], *, consensus: bool = False) -> pd.DataFrame:
            # Of the four leads it is sure, and in one piece of the long record.
            if X[0].fs == 100 or (X[0].fs == 128 and len(cheap.seen) == 2):
                return plain(X, consensus=consensus)
            cheap.seen.append(X[0])
            warnings.warn(NoSureWaves(3, 0.5), stacklevel=1)
            return plain(X, consensus=consensus).iloc[:0]

        monkeypatch.setattr(cheap, "delineate", unsure)
        assert delineate(good, tmp_path / "out") == 0
        stderr = capsys.readouterr().err
        assert stderr.count("warning: ") == 1
        assert "2 of 4 records have no wave, a1 the first: 6 waves were found and none reaches min_conf" in stderr

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
        monkeypatch.setattr("beatssl_sklearn.cli.delineate_record.PIECE_S", 10.0)
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
    def test_models(self, good: Path, wave_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "damaged.bssl").write_bytes(wave_model.read_bytes()[:-1])
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
        cases += [(tmp_path / "out", "intervals.csv: cannot be written: Is a directory")]
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
        assert "cannot be written: Permission denied" in capsys.readouterr().err

    def test_annotations_beside_the_records(
        self,
        write_record: WriteRecord,
        good: Path,
        cheap: CheapSegmenter,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
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
        assert stop.value.code == 0 and "None" not in text and "waves" in text


class TestFiles:
    def test_annotations(self, good: Path, wave_model: Path, tmp_path: Path) -> None:
        assert delineate(good, tmp_path, "--model", str(wave_model), "--annotations", "--consensus") == 0
        records = WFDBFolder(good)
        expected = named(WaveSegmenter.load(wave_model).delineate(records, consensus=True), records.names)
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

    def test_pictures(self, write_record: WriteRecord, cheap: CheapSegmenter, tmp_path: Path) -> None:
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
        # No figure stays open, and none could have come up in a window.
        assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()

    def test_pictures_of_a_stretch(
        self, write_record: WriteRecord, cheap: CheapSegmenter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        pytest.importorskip("matplotlib", reason="matplotlib is not installed")
        for name, duration in (("brief", 4), ("long", 40)):
            write_record(tmp_path / "data" / name, simulated(100, ("II",), duration), 100, ("II",))
        titles: list[Any] = []
        with pytest.MonkeyPatch.context() as patch:
            plot = plotting.plot_delineation

            def watched(x: np.ndarray, fs: float, table: pd.DataFrame, **more: Any) -> Any:
                titles.append((more["title"], more["t0"], more["recorded"], x.shape[1], table))
                return plot(x, fs, table, **more)

            patch.setattr(plotting, "plot_delineation", watched)
            more = ["--plot", "1", "--plot-start", "12.5", "--plot-length", "5", "--plot-format", "pdf"]
            assert delineate(tmp_path / "data", tmp_path / "out", *more) == 0
        # The first record that has the stretch.
        assert files_in(tmp_path / "out" / "plots") == ["long.pdf"]
        assert (tmp_path / "out" / "plots" / "long.pdf").read_bytes().startswith(b"%PDF")
        stdout, stderr = capsys.readouterr()
        assert "plots: 1 pictures, of 12.5 to 17.5 s" in stdout
        assert "warning: brief: no picture: it lasts 4 s, --plot-start is 12.5" in stderr
        ((*shown, table),) = titles
        # From these, the title says which seconds are shown.
        assert shown == ["long", 12.5, 40.0, 500]
        # A QRS lies across either edge.
        qrs, t = table[table["wave"] == "QRS"], table[table["wave"] == "T"]
        np.testing.assert_allclose(qrs[["onset", "offset"]].iloc[[0, -1]], [[1245, 1255], [1745, 1755]])
        np.testing.assert_allclose(qrs["peak"], np.arange(1250, 1751, 100))
        np.testing.assert_allclose(t["peak"], np.arange(1275, 1750, 100))

    @pytest.mark.parametrize("kind", ["record", "beat", "both"])
    def test_intervals_of_beats(self, kind: str, good: Path, cheap: CheapSegmenter, tmp_path: Path) -> None:
        assert delineate(good, tmp_path, "--intervals", kind) == 0
        names = {"record": ["intervals"], "beat": ["beat_intervals"], "both": ["beat_intervals", "intervals"]}[kind]
        assert files_in(tmp_path) == [f"{name}.csv" for name in (*names, "waves")]
        if kind == "record":
            return
        beats = pd.read_csv(tmp_path / "beat_intervals.csv")
        for name, record in zip(WFDBFolder(good).names, WFDBFolder(good), strict=True):
            table = CheapSegmenter().delineate([record], consensus=True)
            expected = beat_intervals(table, record.fs).drop(columns="record")
            own = beats[beats["record"] == name].drop(columns="record").reset_index(drop=True)
            np.testing.assert_allclose(own.pop("time_s"), expected["rpeak"] / record.fs, atol=1e-6)
            assert_same(own, expected.astype(float), rtol=1e-6, atol=1e-6)

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
        kept = [f"{name}.incomplete.{ending}" for name in ("intervals", "waves")]
        assert files_in(tmp_path) == sorted([*kept, older.name])
        assert older.read_text() == "older"
        read = pd.read_csv if ending == "csv" else pd.read_parquet
        first_two = list(WFDBFolder(good).names[:2])
        for name in ("waves", "intervals"):
            assert read(tmp_path / f"{name}.incomplete.{ending}")["record"].unique().tolist() == first_two

        monkeypatch.setattr(cheap, "delineate", plain)
        assert delineate(good, tmp_path, "--format", ending) == 0
        assert {f"intervals.{ending}", f"waves.{ending}"} < set(files_in(tmp_path))
        assert read(older)["record"].nunique() == len(RECORDS)

    @pytest.mark.parametrize("ending", ["csv", "parquet"])
    def test_half_a_record_is_not_kept(
        self, ending: str, good: Path, cheap: CheapSegmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        if ending == "parquet":
            pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        plain = delineate_results.record_intervals

        def stopped(*args: Any, **more: Any) -> pd.DataFrame:
            if len(cheap.seen) == 3:
                raise KeyboardInterrupt
            return plain(*args, **more)

        # The waves of the record are in the table then, and its intervals are not.
        monkeypatch.setattr(delineate_results, "record_intervals", stopped)
        assert delineate(good, tmp_path, "--format", ending) == 130
        assert "2 records were complete" in capsys.readouterr().err
        read = pd.read_csv if ending == "csv" else pd.read_parquet
        for name in ("waves", "intervals"):
            found = read(tmp_path / f"{name}.incomplete.{ending}")
            assert found["record"].unique().tolist() == list(WFDBFolder(good).names[:2])


def test_short_pieces_only_are_in_memory(
    write_record: WriteRecord, cheap: CheapSegmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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


class _Forgetful:
    """A list that keeps the lengths of records only."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def append(self, record: ECGRecord) -> None:
        self.lengths.append(record.signal.shape[1])
