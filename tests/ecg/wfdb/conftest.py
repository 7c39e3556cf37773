"""Small records to read: three leads of 300 samples, well-formed unless a test asks for something else."""

from __future__ import annotations

import os
import warnings

import numpy as np
import pytest

from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.ecg.wfdb import read_wfdb


@pytest.fixture(scope="session")
def wfdb():
    """The package wfdb, to compare with."""
    with warnings.catch_warnings():
        # On import and in use wfdb calls what newer versions of pandas deprecate.
        warnings.simplefilter("ignore", DeprecationWarning)
        import wfdb
    return wfdb


@pytest.fixture(scope="session")
def samples():
    """Samples (300, 3) of the records that `write_record` writes [adu]; 1,000 adu are 1 mV."""
    found = np.random.default_rng(0).integers(-2000, 2000, size=(300, 3)).astype("<i2")
    found.setflags(write=False)
    return found


@pytest.fixture(scope="session")
def signal_line(samples):
    """Makes the header's line of signal i, with a right checksum unless another is given."""

    def make(i, *, file="rec.dat", fmt="16", gain="1000(0)/mV", name=None, checksum=None):
        checksum = int(samples[:, i].sum()) & 0xFFFF if checksum is None else checksum
        return f"{file} {fmt} {gain} 16 0 {samples[0, i]} {checksum} 0 {LEADS[i] if name is None else name}"

    return make


@pytest.fixture(scope="session")
def write_record(samples, signal_line):
    """Writes the record "rec" into a folder and returns its path; further options go to each signal line."""

    def write(
        folder, *, first="rec 3 500 300", lines=None, data=None, n_bytes=1800, extra=(), newline="\n", **options
    ):
        folder.mkdir(parents=True, exist_ok=True)
        lines = [signal_line(i, **options) for i in range(3)] if lines is None else lines
        data = samples.tobytes()[:n_bytes].ljust(n_bytes, b"\0") if data is None else data
        (folder / "rec.dat").write_bytes(data)
        (folder / "rec.hea").write_text(newline.join([first, *lines, *extra]) + newline, encoding="utf-8", newline="")
        return folder / "rec"

    return write


@pytest.fixture
def refusal(write_record, tmp_path):
    """Writes a record that cannot be read; returns the message, which names the record and not its folder."""

    def read(**options):
        path = write_record(tmp_path / "SECRET", **options)
        with pytest.raises(ValueError, match=r"record 'rec'") as error:
            read_wfdb(path)
        assert "SECRET" not in str(error.value) and len(str(error.value)) < 600
        return str(error.value)

    return read


@pytest.fixture
def only_warning(write_record, tmp_path):
    """Writes a record that is odd in one way; returns the warning, which names neither its folder nor its comments."""

    def read(**options):
        path = write_record(tmp_path / "JANE_DOE", extra=("# Name: JANE DOE",), **options)
        with pytest.warns(UserWarning, match="record 'rec': ") as caught:
            record = read_wfdb(path)
        assert len(caught) == 1 and "JANE" not in str(caught[0].message) + repr(record)
        assert os.path.basename(caught[0].filename) == os.path.basename(__file__)
        assert np.isfinite(record.signal).all()
        return str(caught[0].message)

    return read
