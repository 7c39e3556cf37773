"""Tables that grow: the text to the byte, the types, whole records only, and no half of a table."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn.files import table_formats
from beatssl_sklearn.files.cell_text import escape_text, unescape_text
from beatssl_sklearn.files.growing_table import GrowingTable
from beatssl_sklearn.files.table_formats import CSVTable, NPZTable, ParquetTable, open_table

ENDINGS = ["csv", "parquet", "npz"]
KINDS = [CSVTable, ParquetTable, NPZTable]


def frame(*peaks: float) -> pd.DataFrame:
    marks = np.array(peaks)
    columns = {"lead": ["II"] * len(peaks), "peak": marks, "confidence": (marks / 4).astype(np.float32)}
    return pd.DataFrame({"record": np.zeros(len(peaks), np.int64), **columns})


def read(path: Path) -> pd.DataFrame:
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return pd.DataFrame({name: arrays[name] for name in arrays})
    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)


def table_of(kind: type[GrowingTable], folder: Path) -> GrowingTable:
    table = kind(folder / f"t.{dict(zip(KINDS, ENDINGS, strict=True))[kind]}")
    table.open()
    return table


class TestFrames:
    def test_text(self, tmp_path: Path) -> None:
        table = table_of(CSVTable, tmp_path)
        for name, one in (("a", frame()), ('b, "c"', frame(100.0, np.nan)), ("é", frame(1e-5, 1 / 3))):
            table.write(name, one)
            table.commit()
        table.close()
        assert table.part.read_bytes().decode() == (
            'record,lead,peak,confidence\n"b, ""c""",II,100.0,25.0\n"b, ""c""",II,,\n'
            "é,II,1e-05,2e-06\né,II,0.333333,0.083333\n"
        )

    @pytest.mark.parametrize("group_bytes", [1, 2**24])
    def test_parquet_types(self, group_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
        monkeypatch.setattr(table_formats, "_GROUP_BYTES", group_bytes)
        table = table_of(ParquetTable, tmp_path)
        for name, one in (("a", frame()), ("b", frame(1.0, np.nan)), ("c", frame(3.0))):
            table.write(name, one)
            table.commit()
        assert table.close()
        found = parquet.ParquetFile(table.part)
        assert [(f.name, str(f.type)) for f in found.schema_arrow] == [
            ("record", "string"), ("lead", "string"), ("peak", "double"), ("confidence", "float"),
        ]  # fmt: skip
        # The frame without rows has no bytes that count.
        assert found.metadata.num_row_groups == (2 if group_bytes == 1 else 1)
        assert found.read().column("peak").to_pylist() == [1.0, None, 3.0]

    @pytest.mark.parametrize("kind", KINDS)
    def test_tables_are_equal(self, kind: type[GrowingTable], tmp_path: Path) -> None:
        if kind is ParquetTable:
            pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        table = table_of(kind, tmp_path)
        frames = {"a": frame(1.0, 2.0), "long name": frame(3.0)}
        for name, one in frames.items():
            table.write(name, one)
        table.commit()
        assert table.opened and table.close() and table.close()
        whole = table.part.rename(table.path)
        named = [one.assign(record=name) for name, one in frames.items()]
        pd.testing.assert_frame_equal(read(whole), pd.concat(named, ignore_index=True), check_dtype=False)

    # Row groups of one row, of two and a half, and one.
    @pytest.mark.parametrize("group_bytes", [1, 90, 2**24])
    @pytest.mark.parametrize("kind", KINDS)
    def test_rows_after_the_last_commit(
        self, kind: type[GrowingTable], group_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if kind is ParquetTable:
            pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        monkeypatch.setattr(table_formats, "_GROUP_BYTES", group_bytes)
        table = table_of(kind, tmp_path)
        for i, n_rows in enumerate((1, 3, 1, 2)):
            for k in range(n_rows):
                table.write(f"r{i}", frame(float(k)))
            if i < 3:
                table.commit()
        assert table.close()
        found = read(table.part.rename(table.path))
        assert found["record"].tolist() == ["r0", "r1", "r1", "r1", "r2"] and found["peak"].tolist() == [0, 0, 1, 2, 0]

    @pytest.mark.parametrize("kind", KINDS)
    def test_nothing_is_committed(self, kind: type[GrowingTable], tmp_path: Path) -> None:
        if kind is ParquetTable:
            pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        table = table_of(kind, tmp_path)
        table.write("b", frame(2.0))
        assert table.close()
        assert (kind is not CSVTable or table.part.stat().st_size == 0) and not table.path.exists()

    def test_a_table_that_is_stopped_in_a_commit_is_not_whole(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        monkeypatch.setattr(table_formats, "_GROUP_BYTES", 1)
        table = table_of(ParquetTable, tmp_path)
        table.write("a", frame(1.0))
        table.commit()
        table.write("b", frame(2.0))
        table.write("b", frame(3.0))
        write = type(table._writer).write_table

        def stopped(self: object, *args: object) -> None:
            write(self, *args)
            raise KeyboardInterrupt

        monkeypatch.setattr(type(table._writer), "write_table", stopped)
        with pytest.raises(KeyboardInterrupt):
            table.commit()
        assert not table.close()


FEATURES = ["mean_0", "mean_1"]


def beats(fs: float, *rpeaks: int) -> dict[str, np.ndarray]:
    peaks = np.array(rpeaks, dtype=np.int64)
    return {"beat": np.arange(len(peaks)), "rpeak": peaks, "time_s": peaks / fs}


class TestEmbeddings:
    ROWS = np.array([[0.1, -2.5e-9], [np.float32(1) / 3, 1e20]], np.float32)

    def test_text(self, tmp_path: Path) -> None:
        with open_table(tmp_path / "t.csv", FEATURES) as table:
            table.add("a,b", self.ROWS, beats(360.0, 36, 100))
            table.add("none", self.ROWS[:0], beats(360.0))
            table.add("c", self.ROWS[:1], beats(500.0, 7))
            table.commit()
        assert (tmp_path / "t.csv").read_bytes() == (
            b'record,beat,rpeak,time_s,mean_0,mean_1\n"a,b",0,36,0.1,0.1,-2.5e-09\n'
            b'"a,b",1,100,0.277778,0.33333334,1e+20\nc,0,7,0.014,0.1,-2.5e-09\n'
        )

    def test_text_of_many_rows(self, tmp_path: Path) -> None:
        rows = np.random.default_rng(0).normal(size=(3 * table_formats._ROWS_AS_TEXT + 5, 3)).astype(np.float32)
        names = ["x", "y", "z"]
        with open_table(tmp_path / "t.csv", names) as table:
            table.add("a", rows, beats(100.0, *range(len(rows))))
            table.commit()
        found = pd.read_csv(tmp_path / "t.csv", dtype=dict.fromkeys(names, np.float32))
        assert found["beat"].tolist() == found["rpeak"].tolist() == list(range(len(rows))) and table.n_rows == len(rows)
        np.testing.assert_array_equal(found[names].to_numpy(), rows)

    @pytest.mark.parametrize("group_bytes", [1, 2**24])
    def test_parquet(self, group_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
        monkeypatch.setattr(table_formats, "_GROUP_BYTES", group_bytes)
        with open_table(tmp_path / "t.parquet", FEATURES) as table:
            for name in ("a", "longer"):
                table.add(name, self.ROWS, beats(100.0, 50, 150))
                table.commit()
        found = parquet.ParquetFile(tmp_path / "t.parquet")
        assert [(f.name, str(f.type)) for f in found.schema_arrow] == [
            ("record", "string"), ("beat", "int64"), ("rpeak", "int64"), ("time_s", "double"), ("mean_0", "float"),
            ("mean_1", "float"),
        ]  # fmt: skip
        assert found.metadata.num_row_groups == (2 if group_bytes == 1 else 1)
        columns = found.read().to_pydict()
        assert columns["record"] == ["a", "a", "longer", "longer"] and columns["time_s"] == [0.5, 1.5] * 2
        rows = np.array([columns[name] for name in FEATURES], np.float32).T
        np.testing.assert_array_equal(rows, np.tile(self.ROWS, (2, 1)))

    def test_npz(self, tmp_path: Path) -> None:
        with open_table(tmp_path / "t.NPZ", FEATURES) as table:
            table.add("a", self.ROWS[:1])
            table.add("longer", self.ROWS[1:])
            table.commit()
            table.add("not whole", self.ROWS)
        with np.load(tmp_path / "t.NPZ", allow_pickle=False) as arrays:
            assert arrays["record"].tolist() == ["a", "longer"] and set(arrays) == {"record", "feature", "embedding"}
            np.testing.assert_array_equal(arrays["embedding"], self.ROWS)
            assert arrays["embedding"].dtype == np.float32 and arrays["feature"].tolist() == FEATURES
        assert os.listdir(tmp_path) == ["t.NPZ"]

    @pytest.mark.parametrize("ending", ENDINGS)
    def test_no_beat_at_all(self, ending: str, tmp_path: Path) -> None:
        if ending == "parquet":
            pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        path = tmp_path / f"t.{ending}"
        with open_table(path, FEATURES) as table:
            table.add("a", self.ROWS[:0], beats(100.0))
            table.commit()
        if ending != "npz":
            found = read(path)
            assert len(found) == 0 and list(found.columns) == ["record", "beat", "rpeak", "time_s", *FEATURES]
        else:
            with np.load(path) as arrays:
                assert arrays["embedding"].shape == (0, 2)

    @pytest.mark.parametrize("ending", ENDINGS)
    def test_an_error_leaves_the_older_table(
        self, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if ending == "parquet":
            pytest.importorskip("pyarrow", reason="pyarrow is not installed")
            # Rows lie aside, too.
            monkeypatch.setattr(table_formats, "_GROUP_BYTES", 1)
        path = tmp_path / f"t.{ending}"
        path.write_text("older")
        with pytest.raises(KeyboardInterrupt), open_table(path, FEATURES) as table:
            table.add("a", self.ROWS)
            assert len(os.listdir(tmp_path)) == 2
            raise KeyboardInterrupt
        assert os.listdir(tmp_path) == [path.name] and path.read_text() == "older"

    @pytest.mark.parametrize("ending", ENDINGS)
    def test_a_table_that_cannot_be_completed(
        self, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if ending == "parquet":
            pytest.importorskip("pyarrow", reason="pyarrow is not installed")

        def full(*args: object) -> None:
            raise OSError("no space left")

        table = open_table(tmp_path / f"t.{ending}", FEATURES)
        monkeypatch.setattr(type(table), "_complete", full)
        with pytest.raises(OSError, match="no space left"), table:
            table.add("a", self.ROWS)
        assert not os.listdir(tmp_path)

    @pytest.mark.parametrize("ending", ENDINGS)
    def test_two_runs_into_one_table_do_not_meet(self, ending: str, tmp_path: Path) -> None:
        if ending == "parquet":
            pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        path = tmp_path / f"t.{ending}"
        with open_table(path, FEATURES[:1]) as narrow:
            with open_table(path, FEATURES) as wide:
                for _ in range(3):
                    narrow.add("a", self.ROWS[:, :1])
                    wide.add("b", self.ROWS)
                wide.commit()
            narrow.commit()
        assert os.listdir(tmp_path) == [path.name]
        if ending != "npz":
            found = read(path)
            assert list(found.columns) == ["record", "mean_0"] and set(found["record"]) == {"a"} and len(found) == 6

    def test_a_disk_that_is_full_to_the_end(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(OSError, match="no space left"), open_table(tmp_path / "t.csv", FEATURES) as table:
            stream = table._stream

            class Full:
                def close(self) -> None:
                    stream.close()
                    raise OSError("no space left")

            table._stream = Full()
            raise KeyboardInterrupt
        assert not os.listdir(tmp_path)

    def test_a_signal_while_the_table_is_opened(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        table, create = open_table(tmp_path / "t.csv"), CSVTable._create

        def stopped(self: CSVTable) -> None:
            create(self).close()
            raise KeyboardInterrupt

        monkeypatch.setattr(CSVTable, "_create", stopped)
        with pytest.raises(KeyboardInterrupt), table:
            pass
        assert not os.listdir(tmp_path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_text_that_no_table_can_hold_is_escaped(ending: str, tmp_path: Path) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    names = ["caf\udce9", "two\nlines", "=1+1", "plain"]
    with open_table(tmp_path / f"e.{ending}", FEATURES) as table:
        for name in names:
            table.add(name, TestEmbeddings.ROWS[:1])
        table.commit()
    frames = table_of({"csv": CSVTable, "parquet": ParquetTable, "npz": NPZTable}[ending], tmp_path)
    for name in names:
        frames.write(name, frame(1.0))
    frames.commit()
    frames.close()
    os.replace(frames.part, frames.path)
    if ending == "npz":
        with np.load(tmp_path / "e.npz") as arrays:
            written = arrays["record"].tolist()
    else:
        written = read(tmp_path / f"e.{ending}")["record"].tolist()
    assert written == read(frames.path)["record"].tolist() == [escape_text(name) for name in names]
    assert [unescape_text(text) for text in written] == names


def test_places_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(IsADirectoryError):
        CSVTable(tmp_path / "t.csv").open()
    with pytest.raises(OSError, match="File name too long"):
        CSVTable(tmp_path / f"{'n' * 300}.csv").open()
    with pytest.raises(FileNotFoundError), open_table(tmp_path / "nowhere" / "t.csv"):
        pass
    assert os.listdir(tmp_path) == ["t.csv"] and not CSVTable(tmp_path / "t.csv").opened


def test_endings(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"t\.xlsx: a table's name must end in one of \.csv, \.parquet, \.npz"):
        open_table(tmp_path / "t.xlsx")


@pytest.mark.parametrize("module", ["pyarrow", "pyarrow.parquet"])
def test_parquet_without_pyarrow(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"needs pyarrow: pip install 'beatssl-sklearn\[parquet\]'"):
        open_table(tmp_path / "t.parquet")
