"""The head that ships as "af": small, for any rate, and right on simulated rhythms that training has not seen."""

from pathlib import Path

import numpy as np
import pytest

from beatssl_sklearn import ECGRecord, load, make_ecg
from beatssl_sklearn.cli.main import main
from beatssl_sklearn.persistence import model_file


@pytest.fixture(scope="module")
def model():
    return load("af")


def labels(model, rhythm, fs=300, sign=1.0):
    ecg = make_ecg(8, rhythm=rhythm, fs=fs, duration=30, noise=0.02, random_state=0)
    model[0].set_params(fs=fs, leads=("I",))
    return [own[0] for own in model.predict(sign * ecg.data[:, :1])]


def test_file_and_classes(model):
    assert list(model.classes_) == ["A", "N", "O", "~"]
    assert (Path(model_file.__file__).parents[1] / "weights" / "af.bssl").stat().st_size < 100_000


@pytest.mark.parametrize("fs", [128, 300, 500])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_fibrillation_is_told_from_sinus_rhythm(model, fs, sign):
    """At any rate, and whichever hand holds the electrode."""
    assert labels(model, "af", fs, sign).count("A") >= 6
    assert "A" not in labels(model, "sinus", fs, sign)


def test_a_record_without_a_signal_has_no_label(model):
    X = make_ecg(2, fs=300, duration=30, random_state=0).data[:, :1].copy()
    X[0] = np.nan
    model[0].set_params(fs=300, leads=("I",), allow_nan=True, check="ignore")
    first, second = model.predict(X)
    assert first[0] is None and second[0] in model.classes_
    model[0].set_params(allow_nan=None, check="warn")


def test_a_record_of_less_than_five_seconds_has_no_label(model, tmp_path, capsys):
    """In Python and on the command line, which give the reason."""
    signal = make_ecg(1, fs=300, duration=30, random_state=0).data[0, :1]
    lengths = {"a": 30.0, "b": 0.3, "c": 5.0}
    X = [ECGRecord(signal[:, : round(300 * seconds)], 300.0, ("I",)) for seconds in lengths.values()]
    with pytest.warns(UserWarning, match=r"^record 1: shorter than 5 s \(min_duration\): not embedded$"):
        found = [own[0] for own in model.predict(X)]
    assert found[1] is None and found[0] in model.classes_ and found[2] in model.classes_
    (tmp_path / "data").mkdir()
    for name, record in zip(lengths, X, strict=True):
        np.rint(1000 * record.signal[0]).astype("<i2").tofile(tmp_path / "data" / f"{name}.dat")
        header = f"{name} 1 300 {record.signal.shape[1]}\n{name}.dat 16 1000(0)/mV 16 0 0 0 0 I\n"
        (tmp_path / "data" / f"{name}.hea").write_text(header)
    assert main(["rhythms", "af", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--device", "cpu"]) == 0
    assert "warning: record 'b': shorter than 5 s" in capsys.readouterr().err
    rows = (tmp_path / "out" / "records.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows[1:]] == [["a", found[0]], ["b", ""], ["c", found[2]]]
