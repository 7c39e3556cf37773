"""The command `beatssl check`: a table of a folder, and a page with its pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn import make_ecg
from beatssl_sklearn.cli.main import main
from beatssl_sklearn.ecg import LEADS

WriteRecord = Callable[..., None]
Refusal = Callable[..., str]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory, write_record: WriteRecord) -> Path:
    """Two good records, a flat one, one in the wrong unit, and one that cannot be read."""
    folder = tmp_path_factory.mktemp("records")
    ecg = make_ecg(3, fs=500, random_state=0).data
    write_record(folder / "good", ecg[0], 500, LEADS)
    write_record(folder / "sub" / "two<b>", ecg[1][[1, 6], ::2], 250, ("II", "V1"))
    write_record(folder / "flat", np.zeros((12, 5000)), 500, LEADS)
    write_record(folder / "counts", np.clip(20 * ecg[2], -30, 30), 500, LEADS)
    (folder / "bad.hea").write_text("this is no header\n")
    return folder


def test_a_row_per_record_and_a_page(records: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, page = tmp_path / "table.csv", tmp_path / "page.html"
    options = ["--out", str(out), "--report", str(page), "--map", "none", "--pictures", "2", "--quiet"]
    assert main(["check", str(records), *options]) == 0
    table = pd.read_csv(out, keep_default_na=False).set_index("record")
    assert set(table.index) == {"good", "sub/two<b>", "flat", "counts"}
    assert (table.loc[["good", "sub/two<b>"], "score"] > 0.5).all() and table.loc["flat", "score"] < 0.1
    assert table["doubtful"].to_dict() == {"good": False, "sub/two<b>": False, "flat": True, "counts": True}
    stdout, stderr = capsys.readouterr()
    assert "4 records, 2 of them doubtful" in stdout and "skipped bad" in stderr
    text = page.read_text(encoding="utf-8")
    assert text.count("<figure>") == 2 and "data:image/png;base64," in text
    # Names of files are text, and nothing is fetched.
    assert "two<b>" not in text and "http:" not in text and "https:" not in text


def test_parquet_and_refusals(records: Path, tmp_path: Path, refusal: Refusal) -> None:
    assert main(["check", str(records), "--out", str(tmp_path / "t.parquet"), "--quiet"]) == 0
    assert len(pd.read_parquet(tmp_path / "t.parquet")) == 4
    assert "must end in one of" in refusal("check", records, "--out", tmp_path / "t.txt")
    same = tmp_path / "t.csv"
    assert "this is --out, too" in refusal("check", records, "--out", same, "--report", same)
    assert "--report" in refusal("check", records, "--out", same, "--report", tmp_path / "no" / "page.html")
