"""The command `beatssl align`: reports by record, what reaches the fit, and what is refused before records are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beatssl_sklearn import LeadMasking, ReportAligner, ReportAlignment, WFDBFolder, load
from beatssl_sklearn.cli.main import main
from beatssl_sklearn.cli.record_column import RecordColumn

Refusal = Callable[..., str]


def align(folder: Path, reports: Path, out: Path, *more: Any) -> list[str]:
    words = ["align", folder, "--reports", reports, "--out", out, "--start", "ptbxl-s", "--epochs", 1, "--quiet"]
    return [str(word) for word in (*words, *more)]


def test_the_model_is_the_estimators(told: Path, reports: Path, aligner: Path, report_of: dict[str, str]) -> None:
    folder = WFDBFolder(told, names=[name for name in WFDBFolder(told).names if name in report_of])
    texts = [report_of[name] for name in folder.names]
    expected = ReportAligner("ptbxl-s", max_epochs=2, random_state=0).fit(folder, reports=texts)
    found = ReportAligner.load(aligner)
    for name, array in expected.heads_.items():
        assert np.allclose(found.heads_[name], array, rtol=1e-3, atol=1e-3), name
    assert found.objective_.n_reports_used_ == len(folder) and found.n_iter_ == 2
    assert found.captions_.tolist() == expected.captions_.tolist()


def test_records_without_a_report_and_bad_ones_are_left_out(
    told: Path, reports: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "m.bssl"
    rows = reports.read_text().splitlines()
    table = tmp_path / "some.csv"
    # One is missing and one has nothing but the version of a program. The bad record has a report.
    table.write_text("\n".join([*rows[:-2], "r11, 4.46 unbestätigter bericht", "bad,Vorhofflimmern."]))
    assert main(align(told, table, out, "--strict")) == 1
    stdout, stderr = capsys.readouterr()
    assert f"{out}: 10 records with reports, 1 epochs" in stdout and "holds 2 reports word by word" in stdout
    # These two, and two records of which the table never had a report.
    assert f"warning: {table}: 4 of 15 records have no report" in stderr
    assert "skipped bad: " in stderr and "1 of 11 records were skipped" in stderr


def test_columns_settings_and_what_is_kept(
    told: Path, reports: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = tmp_path / "hospital.csv", tmp_path / "m.bssl"
    table.write_text(reports.read_text().replace("record,report", "ecg_file,free text", 1))
    columns = ["--record-column", "ecg_file", "--report-column", "free text"]
    settings = ["--set", "token_loss=caption", "--set", "views=LeadMasking", "--set", "text.n_dims=8"]
    more = ["--forget-records", "--encoder-lr", "1e-5", "--batch-size", "6", "--seed", "3"]
    assert main(align(told, table, out, *columns, *settings, *more)) == 0
    assert "word by word" not in capsys.readouterr().out
    found = ReportAligner.load(out)
    objective = found.objective_
    assert (objective.token_loss, objective.views, objective.text_.n_dims_) == ("caption", LeadMasking(), 8)
    assert isinstance(objective, ReportAlignment) and found.trained_ is not None
    assert (found.encoder_lr, found.batch_size, found.random_state, found.keep_records) == (1e-5, 6, 3, False)
    assert len(found.captions_) == 0


def test_an_encoder_of_a_file(model: Path, told: Path, reports: Path, refusal: Refusal, tmp_path: Path) -> None:
    out = tmp_path / "m.bssl"
    start = tmp_path / "start.bssl"
    start.write_bytes(model.read_bytes())
    assert main([*align(told, reports, out), "--start", str(start)]) == 0
    # The model needs the file no more.
    assert "which is read" in refusal(*align(told, reports, start), "--start", start)
    start.unlink()
    found, expected = ReportAligner.load(out).encoder_, load(model).encoder_
    assert all(np.array_equal(found.weights[name], array) for name, array in expected.weights.items())


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """No record may be read."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        pytest.fail("a record was read")

    monkeypatch.setattr("beatssl_sklearn.ecg.wfdb.folder.load_record", refuse)


@pytest.mark.usefixtures("unread")
def test_what_is_refused_before_records_are_read(told: Path, reports: Path, refusal: Refusal, tmp_path: Path) -> None:
    def refused(*more: Any, table: Path = reports, out: Path = tmp_path / "m.bssl") -> str:
        return refusal(*align(told, table, out, *more))

    known = "bag, mlm, caption"
    assert f"--set token_loss must be one of {known}, got 'words'" in refused("--set", "token_loss=words")
    assert "Invalid parameter 'tokenloss'" in refused("--set", "tokenloss=bag")
    assert "--encoder-lr must be a number at least 0, got -1.0" in refused("--encoder-lr", "-1")
    assert "--batch-size must be an integer at least 2, got 1" in refused("--batch-size", "1")
    assert "--epochs must be an integer at least 0" in refused("--epochs", "-1")
    assert "--seed must be" in refused("--seed", "-1")
    assert "'no.bssl' is neither a file nor a shipped model" in refused("--start", "no.bssl")
    assert f"this is {reports}, which is read" in refused(out=reports)
    assert "cannot be written" in refused(out=tmp_path / "nowhere" / "m.bssl")
    advice = "(--record-column and --report-column name the columns, and --id says how the file names a record)"
    expected = f"{reports}: a table with the columns record and text was expected, got record, report {advice}"
    assert expected in refused("--report-column", "text")
    assert f"{reports}: a table with the columns ecg and report was" in refused("--record-column", "ecg")
    unknown = refused("--id", "path")
    assert f"{reports}: no report for 15 records, for example {told}/" in unknown and advice in unknown
    one = tmp_path / "one.csv"
    one.write_text("record,report\nr0,Sinusrhythmus\nr1,sinusrhythmus.\nr2,\n")
    alike = refused(table=one)
    assert f"{one}: 2 of 15 records have a report, with 1 different texts" in alike and advice in alike
    one.write_text("record,report\nr0,Sinusrhythmus\nr1,Sinusrhythmus, Vorhofflimmern\n")
    assert f"{one}, line 3: the row of record r1 has 3 cells, but the header has 2; quote" in refused(table=one)
    one.write_text("")
    assert f"the columns record and report was expected, got none {advice}" in refused(table=one)
    assert [path.name for path in tmp_path.iterdir()] == ["one.csv"]


def test_a_column_that_may_lack_records(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("ecg,report\nr1,a\nr2,\n")
    column, names = RecordColumn(path, ["report"], record_column="ecg"), ["r2", "r3", "r1"]
    ids = {name: name for name in names}
    assert column.values(names, ids, may_be_missing=True) == ["", "", "a"]
    with pytest.raises(ValueError, match="no report for 1 records, for example r3"):
        column.values(names, ids)
    # A file that knows none of them is another folder's, or has other names.
    with pytest.raises(ValueError, match="no report for 1 records, for example r3"):
        column.values(["r3"], ids, may_be_missing=True)
