"""The commands on folders of files in other formats than WFDB, long and damaged ones among them."""

from __future__ import annotations

import argparse
from pathlib import Path

import ecg_files
import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn import make_ecg, read_ecg
from beatssl_sklearn.cli import folder as cli_folder
from beatssl_sklearn.cli.main import main
from beatssl_sklearn.cli.progress import Progress
from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.formats.whole_record import WholeRecord


def counts(seconds: int, seed: int = 0) -> np.ndarray:
    """Return a simulated ECG in steps of 2.5 microvolts."""
    signal = make_ecg(1, fs=500, duration=seconds, random_state=seed).data[0]
    return np.rint(400 * signal).astype(np.int16)


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files of three formats, one of them damaged."""
    place = tmp_path_factory.mktemp("ward")
    (place / "1.edf").write_bytes(ecg_files.edf(counts(6)))
    (place / "2.xml").write_bytes(ecg_files.aecg(counts(6)))
    (place / "3.scp").write_bytes(ecg_files.scp(counts(6)[[0, 1, 6, 7, 8, 9, 10, 11]])[:-5000])
    (place / "labels.csv").write_text("record,label\n1,0\n")
    return place


def test_embed_and_delineate_read_other_formats(
    ward: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["embed", str(ward), "--out", str(tmp_path / "e.csv"), "--quiet"]) == 0
    error = capsys.readouterr().err
    assert "skipped 3.scp" in error and "1 of 3 records were skipped" in error
    table = pd.read_csv(tmp_path / "e.csv")
    assert table["record"].tolist() == ["1.edf", "2.xml"]
    # The same samples in two formats.
    np.testing.assert_allclose(table.iloc[0, 1:].astype(float), table.iloc[1, 1:].astype(float), rtol=1e-3, atol=1e-4)


def test_long_files_are_read_as_a_whole_and_used_by_ranges(ward: Path) -> None:
    options = {"leads": None, "positional": False, "fs": None, "records": "*.edf", "device": "cpu", "strict": False}
    arguments = argparse.Namespace(folder=ward, batch_size=4, **options)
    folder, refused = cli_folder.open_folder(arguments)
    with Progress(1, "", quiet=True) as bar:
        (long,) = cli_folder.batches(folder, arguments, False, refused, bar, most=1000)
    assert isinstance(long, cli_folder.LongRecord) and isinstance(long.reader, WholeRecord)
    record = read_ecg(ward / "1.edf")
    for reader in (long.reader, cli_folder.record_reader("1.edf", arguments)):
        assert (reader.fs, reader.leads, reader.n_times) == (500, LEADS, record.signal.shape[1])
        np.testing.assert_array_equal(reader.read(100, 900), record.signal[:, 100:900])
        reader.check()
        with pytest.raises(ValueError, match=r"'1\.edf': there are no samples"):
            reader.read(5, 10**9)


def test_the_rate_of_arrays_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same ECG as an array, which states no rate, and as a table, which does; and one file that is no ECG."""
    place = tmp_path / "arrays"
    place.mkdir()
    signal = make_ecg(1, fs=250, duration=4, random_state=0).data[0].astype(np.float32)
    np.save(place / "1.npy", signal)
    times = np.arange(signal.shape[1]) * 4
    rows = [",".join(map(str, (t, *x))) for t, x in zip(times, signal.T.tolist(), strict=True)]
    (place / "2.csv").write_text("\n".join([",".join(["time_ms", *LEADS]), *rows]))
    np.save(place / "3.npy", np.array(["no", "numbers"]))
    command = ["embed", "ptbxl-s", str(place), "--quiet", "--device", "cpu", "--out", str(tmp_path / "e.csv")]
    assert main([*command, "--fs", "250"]) == 0
    assert "skipped 3.npy" in capsys.readouterr().err
    table = pd.read_csv(tmp_path / "e.csv")
    assert table["record"].tolist() == ["1.npy", "2.csv"]
    np.testing.assert_allclose(table.iloc[0, 1:].astype(float), table.iloc[1, 1:].astype(float), rtol=1e-4, atol=1e-5)
    assert main(command) == 0
    assert "skipped 1.npy: record '1.npy': it does not state its sampling rate; --fs=... says it" in (
        capsys.readouterr().err
    )
    assert main([*command, "--fs", "nan"]) == 2
    assert "--fs must lie between 50 and 2000 Hz, got nan" in capsys.readouterr().err
