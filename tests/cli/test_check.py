"""The command `beatssl check`: a table of a folder, and a page with its pictures."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn import ECGRecord, WaveSegmenter, WFDBFolder, load, make_ecg
from beatssl_sklearn.cli import check_report
from beatssl_sklearn.cli.main import main
from beatssl_sklearn.ecg import LEADS
from beatssl_sklearn.ecg.waves import record_intervals

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
    assert text.count("<figure ") == 2 and "data:image/png;base64," in text
    # Two of the four records have intervals by the shipped segmenter, and the others none or wrong ones.
    assert "<h2>Intervals</h2>" in text and "Histogram: QTcF [ms]" in text and "by the model waves" in text
    n_with_qrs = int(re.search(r'<td>QRS</td><td class="n">(\d+)</td>', text)[1])
    assert 2 <= n_with_qrs <= 3
    # Each finding names its records, with links to those that are shown; the page says why these are.
    assert "the one with the lowest quality score" in text and "prefers-color-scheme: dark" in text
    (link,) = re.findall(r'<tr><td>flat</td><td>quality</td><td class="n">1</td><td><a href="#(.*?)">flat</a>', text)
    assert f'<figure id="{link}"><figcaption><b>flat</b>' in text
    # Names of files are text, and nothing is fetched.
    assert "two<b>" not in text and "http:" not in text and "https:" not in text


def test_leads_with_gains_of_their_own_are_found_but_not_doubtful(
    write_record: WriteRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in LUDB; embedders do not warn of them, either."""
    gains = np.array([1.3, 0.7, 1.6, 1.1, 1.5, 0.8, *[1] * 6])[:, None]
    right = make_ecg(1, fs=500, random_state=3).data[0]
    write_record(tmp_path / "in" / "scaled", gains * right, 500, LEADS)
    write_record(tmp_path / "in" / "strange", np.concatenate([right[:2], right[[8, 6, 10, 7]], right[6:]]), 500, LEADS)
    assert main(["check", str(tmp_path / "in"), "--out", str(tmp_path / "t.csv"), "--quiet"]) == 0
    table = pd.read_csv(tmp_path / "t.csv", keep_default_na=False).set_index("record")
    assert (table["limb_error"] > 0.3).all()
    assert table["findings"].to_dict() == {
        "scaled": "limb leads have gains of their own",
        "strange": "limb leads contradict Einthoven's law",
    }
    assert table["doubtful"].to_dict() == {"scaled": False, "strange": True}
    assert "gains of their own in 1 of 2 records" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--waves", "nonsense"], "--waves nonsense: this is of the page alone; give --report, too"),
        (["--map", "ptbxl"], "--map ptbxl: this is of the page alone"),
        (["--pictures", "3"], "--pictures 3: this is of the page alone"),
        (["--waves", "nonsense", "--report"], "--waves: 'nonsense' is neither a file nor a shipped model"),
        (["--waves", "ptbxl", "--report"], "--waves: 'ptbxl' holds a BeatSSLPretrainer, not a WaveSegmenter"),
        (["--map", "nonsense", "--report"], "--map: 'nonsense' is neither a file nor a shipped model"),
        (["--map", "waves", "--report"], "--map: .*must have an encoder_, which WaveSegmenter does not"),
    ],
)
def test_options_of_the_page_alone(
    options: list[str], message: str, records: Path, tmp_path: Path, refusal: Refusal
) -> None:
    """Refused before a record is read."""
    page = [str(tmp_path / "p.html")] if options[-1] == "--report" else []
    said = refusal("check", records, "--out", tmp_path / "t.csv", *options, *page)
    assert re.search(message, said) and not list(tmp_path.iterdir())


def test_intervals_are_those_of_the_segmenter(write_record: WriteRecord, tmp_path: Path) -> None:
    ecg = make_ecg(2, fs=500, random_state=1)
    for i, signal in enumerate(ecg.data):
        write_record(tmp_path / "in" / f"r{i}", signal, 500, LEADS)
    records = WFDBFolder(tmp_path / "in")
    model = load("waves").set_params(allow_nan=True, check="ignore")
    expected = record_intervals(model.delineate(records, consensus=True), 500, n_records=2)
    page = tmp_path / "page.html"
    command = ["check", str(tmp_path / "in"), "--out", str(tmp_path / "t.csv"), "--report", str(page), "--quiet"]
    assert main([*command, "--map", "none"]) == 0
    text = page.read_text(encoding="utf-8")
    for name in ("PR", "QRS", "QT", "QTcF"):
        low, median, high = np.percentile(expected[name], [5, 50, 95])
        cells = "".join(f'<td class="n">{v:.0f}</td>' for v in (2, low, median, high))
        assert f"<td>{name}</td>{cells}" in text
        assert text.count(f"{name} {expected[name][0]:.0f} ms") >= 1
    assert main([*command, "--map", "none", "--waves", "none"]) == 0
    assert "Intervals" not in page.read_text(encoding="utf-8")


def test_a_record_without_intervals_is_named(
    records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = WaveSegmenter.delineate

    def fails(self: WaveSegmenter, X: list[ECGRecord], **options: bool) -> pd.DataFrame:
        if X[0].fs == 250:
            raise RuntimeError("odd samples")
        return plain(self, X, **options)

    monkeypatch.setattr(WaveSegmenter, "delineate", fails)
    options = ["--out", str(tmp_path / "t.csv"), "--report", str(tmp_path / "p.html"), "--map", "none", "--quiet"]
    assert main(["check", str(records), *options]) == 0
    stdout, stderr = capsys.readouterr()
    assert "no intervals of sub/two<b>: odd samples" in stderr and "4 records" in stdout


def test_parquet_and_refusals(records: Path, tmp_path: Path, refusal: Refusal) -> None:
    assert main(["check", str(records), "--out", str(tmp_path / "t.parquet"), "--quiet"]) == 0
    assert len(pd.read_parquet(tmp_path / "t.parquet")) == 4
    assert "must end in one of" in refusal("check", records, "--out", tmp_path / "t.txt")
    same = tmp_path / "t.csv"
    assert "this is --out, too" in refusal("check", records, "--out", same, "--report", same)
    assert "--report" in refusal("check", records, "--out", same, "--report", tmp_path / "no" / "page.html")


def test_records_with_faults_are_shown_before_others():
    usual = {"score": 0.9, "reasons": "", "findings": "", "certainty": np.nan}
    rows = {
        "clean": {**usual, "score": 0.6},
        "clipped": {**usual, "score": 0.7, "reasons": "clipped"},
        "swapped": {**usual, "findings": "swap LA/LL", "certainty": 0.8},
        "surely swapped": {**usual, "findings": "swap LA/RA", "certainty": 0.99},
        "poor": {**usual, "score": 0.2},
    }
    found = check_report._look_first(SimpleNamespace(rows=rows), 10)
    assert found == ["poor", "surely swapped", "clipped", "swapped", "clean"]
