"""Files that are mostly hole, and names that are not UTF-8."""

from __future__ import annotations

import os

import numpy as np
import pytest

from beatssl_sklearn.ecg.wfdb import WFDBFolder, read_wfdb
from beatssl_sklearn.ecg.wfdb.reader import WFDBReader


@pytest.mark.skipif(not hasattr(os, "SEEK_DATA"), reason="this system does not tell where a file has holes")
@pytest.mark.parametrize("read", [read_wfdb, WFDBReader])
def test_a_file_of_holes_is_refused_before_it_is_read(write_record, tmp_path, read):
    path = write_record(tmp_path, first="rec 3 500")
    with open(tmp_path / "rec.dat", "r+b") as stream:
        stream.truncate(2**36)
        if stream.seek(0, os.SEEK_HOLE) >= 2**36:
            pytest.skip("this file system stores holes")
    with pytest.raises(ValueError, match="file 'rec.dat' has 68719476736 bytes but only .* are stored"):
        read(path)


def test_a_large_file_with_a_hole_is_read(write_record, tmp_path, monkeypatch):
    path = write_record(tmp_path, first="rec 3 500")
    for module in ("paths", "samples", "reader"):
        monkeypatch.setattr(f"beatssl_sklearn.ecg.wfdb.{module}.SMALL_FILE", 2**10)
    with open(tmp_path / "rec.dat", "wb") as stream:
        stream.write(bytes(2**20))
        stream.truncate(6 * 2**20)
    assert read_wfdb(path).signal.shape == (3, 2**20)
    assert WFDBReader(path).n_times == 2**20
    os.truncate(tmp_path / "rec.dat", 2**27)
    with pytest.raises(ValueError, match="1048576 are stored"):
        read_wfdb(path)


def test_names_that_are_not_utf8(write_record, signal_line, samples, tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"f\xfcr")
    try:
        with open(path + b".hea", "wb") as stream:
            lines = [b"f\xfcr 3 500 300", *(signal_line(i).encode() for i in range(3))]
            stream.write(b"\n".join(lines).replace(b"rec.dat", b"x.dat"))
    except OSError:
        pytest.skip("this file system takes only names in UTF-8")
    (tmp_path / "x.dat").write_bytes(samples.tobytes())
    expected = samples.T / 1000
    np.testing.assert_allclose(read_wfdb(os.fsdecode(path)).signal, expected, atol=1e-6)
    folder = WFDBFolder(tmp_path)
    assert folder.names == (os.fsdecode(b"f\xfcr"),) == (folder[0].info["record"],)
    (tmp_path / "RECORDS").write_bytes(b"f\xfcr\n")
    np.testing.assert_allclose(WFDBFolder(tmp_path)[0].signal, expected, atol=1e-6)
    (tmp_path / "x.dat").unlink()
    with pytest.raises(FileNotFoundError, match=r"record 'f\\udcfcr'"):
        WFDBFolder(tmp_path)[0]
