"""Tables that grow: the text to the byte, the types, whole records only, and no half of a table."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn.files import growing_table
from beatssl_sklearn.files.growing_table import CSVTable, GrowingTable, NPZTable, ParquetTable, open_table

ENDINGS = ["csv", "parquet", "npz"]
KINDS = [CSVTable, ParquetTable, NPZTable]


def frame(record: str, *peaks: float) -> pd.DataFrame:
    marks = np.array(peaks)
    columns = {"lead": ["II"] * len(peaks), "peak": marks, "confidence": (marks / 300).astype(np.float32)}
    return pd.DataFrame({"record": [record] * len(peaks), **columns})


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
        for one in (frame("a"), frame('b, "c"', 100.0, np.nan), frame("é", 1e-5, 1 / 3)):
            table.write(one)
            table.commit()
        table.close()
        assert table.part.read_bytes().decode() == (
            'record,lead,peak,confidence\n"b, ""c""",II,100.0,0.33333334\n"b, ""c""",II,,\n'
            "é,II,1e-05,3.3333333e-08\né,II,0.3333333333333333,0.0011111111\n"
        )

    @pytest.mark.parametrize("group_bytes", [1, 2**24])
    def test_parquet_types(self, group_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
        monkeypatch.setattr(growing_table, "_GROUP_BYTES", group_bytes)
        table = table_of(ParquetTable, tmp_path)
        for one in (frame("a"), frame("b", 1.0, np.nan), frame("c", 3.0)):
            table.write(one)
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
        frames = [frame("a", 1.0, 2.0), frame("long name", 3.0)]
        for one in frames:
            table.write(one)
        table.commit()
        assert table.opened and table.close() and table.close()
        whole = table.part.rename(table.path)
        pd.testing.assert_frame_equal(read(whole), pd.concat(frames, ignore_index=True), check_dtype=False)

    def test_rows_after_the_last_commit(self, tmp_path: Path) -> None:
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        for kind, cut in ((CSVTable, True), (NPZTable, True), (ParquetTable, False)):
            table = table_of(kind, tmp_path)
            table.write(frame("a", 1.0))
            table.commit()
            table.write(frame("b", 2.0))
            assert table.close() is cut
            if cut:
                assert read(table.part)["record"].tolist() == ["a"]

    @pytest.mark.parametrize("kind", [CSVTable, NPZTable])
    def test_nothing_is_committed(self, kind: type[GrowingTable], tmp_path: Path) -> None:
        table = table_of(kind, tmp_path)
        table.write(frame("b", 2.0))
        assert table.close()
        assert (kind is NPZTable or table.part.stat().st_size == 0) and not table.path.exists()


class TestEmbeddings:
    ROWS = np.array([[0.1, -2.5e-9], [np.float32(1) / 3, 1e20]], np.float32)

    def test_text(self, tmp_path: Path) -> None:
        with open_table(tmp_path / "t.csv") as table:
            table.add("a,b", 360.0, self.ROWS, np.array([36, 100]))
            table.add("none", 360.0, self.ROWS[:0], np.array([], int))
            table.add("c", 500.0, self.ROWS[:1], np.array([7]))
        assert (tmp_path / "t.csv").read_bytes() == (
            b'record,beat,rpeak,time_s,e0,e1\r\n"a,b",0,36,0.1,0.1,-2.5e-09\r\n'
            b'"a,b",1,100,0.2777777777777778,0.33333334,1e+20\r\nc,0,7,0.014,0.1,-2.5e-09\r\n'
        )

    def test_text_of_many_rows(self, tmp_path: Path) -> None:
        rows = np.random.default_rng(0).normal(size=(3 * growing_table._ROWS_AS_TEXT + 5, 3)).astype(np.float32)
        with open_table(tmp_path / "t.csv") as table:
            table.add("a", 100.0, rows, np.arange(len(rows)))
        found = pd.read_csv(tmp_path / "t.csv", dtype={f"e{k}": np.float32 for k in range(3)})
        assert found["beat"].tolist() == found["rpeak"].tolist() == list(range(len(rows))) and table.n_rows == len(rows)
        np.testing.assert_array_equal(found[["e0", "e1", "e2"]].to_numpy(), rows)

    @pytest.mark.parametrize("group_bytes", [1, 2**24])
    def test_parquet(self, group_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
        monkeypatch.setattr(growing_table, "_GROUP_BYTES", group_bytes)
        with open_table(tmp_path / "t.parquet") as table:
            for name in ("a", "longer"):
                table.add(name, 100.0, self.ROWS, np.array([50, 150]))
        found = parquet.ParquetFile(tmp_path / "t.parquet")
        assert [(f.name, str(f.type)) for f in found.schema_arrow] == [
            ("record", "string"), ("beat", "int64"), ("rpeak", "int64"), ("time_s", "double"), ("e0", "float"),
            ("e1", "float"),
        ]  # fmt: skip
        assert found.metadata.num_row_groups == (2 if group_bytes == 1 else 1)
        columns = found.read().to_pydict()
        assert columns["record"] == ["a", "a", "longer", "longer"] and columns["time_s"] == [0.5, 1.5] * 2
        rows = np.array([columns["e0"], columns["e1"]], np.float32).T
        np.testing.assert_array_equal(rows, np.tile(self.ROWS, (2, 1)))

    def test_npz(self, tmp_path: Path) -> None:
        with open_table(tmp_path / "t.NPZ") as table:
            table.add("a", 100.0, self.ROWS[:1])
            table.add("longer", 100.0, self.ROWS[1:])
        with np.load(tmp_path / "t.NPZ", allow_pickle=False) as arrays:
            assert arrays["record"].tolist() == ["a", "longer"] and set(arrays) == {"record", "embedding"}
            np.testing.assert_array_equal(arrays["embedding"], self.ROWS)

    @pytest.mark.parametrize("ending", ENDINGS)
    def test_no_beat_at_all(self, ending: str, tmp_path: Path) -> None:
        if ending == "parquet":
            pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        path = tmp_path / f"t.{ending}"
        with open_table(path) as table:
            table.add("a", 100.0, self.ROWS[:0], np.array([], int))
        if ending != "npz":
            found = read(path)
            assert len(found) == 0 and list(found.columns) == ["record", "beat", "rpeak", "time_s", "e0", "e1"]
        else:
            with np.load(path) as arrays:
                assert arrays["embedding"].shape == (0, 2)

    @pytest.mark.parametrize("ending", ENDINGS)
    def test_an_error_leaves_the_older_table(self, ending: str, tmp_path: Path) -> None:
        if ending == "parquet":
            pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        path = tmp_path / f"t.{ending}"
        path.write_text("older")
        with pytest.raises(KeyboardInterrupt), open_table(path) as table:
            table.add("a", 100.0, self.ROWS)
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

        table = open_table(tmp_path / f"t.{ending}")
        monkeypatch.setattr(type(table), "_complete", full)
        with pytest.raises(OSError, match="no space left"), table:
            table.add("a", 100.0, self.ROWS)
        assert not os.listdir(tmp_path)


def test_places_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(IsADirectoryError, match="t.csv is a folder"):
        CSVTable(tmp_path / "t.csv").open()
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
