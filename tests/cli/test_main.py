"""The command line, from a folder of WFDB records to models and tables."""

from __future__ import annotations

import csv
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from beatssl_sklearn import BeatEmbedder, RhythmEmbedder, WFDBFolder, load, make_ecg
from beatssl_sklearn.cli.main import main
from beatssl_sklearn.ecg.leads import LEADS

# Any rate, any leads, one record longer than a window.
RECORDS = {
    "a1": (500, LEADS, 10),
    "a2": (500, LEADS, 10),
    "holter": (128, ("II", "V1"), 40),
    "one_lead": (250, ("I",), 10),
    "sub/eight": (100, ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6"), 8),
}


def write_record(path: Path, signal: np.ndarray, fs: int, leads: Sequence[str]) -> None:
    """Write a format 16 record of 1,000 adu/mV; NaN becomes the value that means missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digital = np.where(np.isnan(signal), -32768, np.rint(1000 * np.nan_to_num(signal))).astype("<i2")
    digital.T.tofile(path.with_suffix(".dat"))
    lines = [f"{path.name} {len(leads)} {fs} {signal.shape[1]}"]
    for lead, x in zip(leads, digital, strict=True):
        checksum = (int(x.astype(np.int64).sum()) + 32768) % 65536 - 32768
        lines.append(f"{path.name}.dat 16 1000(0)/mV 16 0 {x[0]} {checksum} 0 {lead}")
    path.with_suffix(".hea").write_text("\n".join(lines) + "\n")


def write_folder(folder: Path) -> Path:
    for i, (name, (fs, leads, duration)) in enumerate(RECORDS.items()):
        ecg = make_ecg(1, rhythm="pvc", fs=fs, duration=duration, leads=leads, random_state=i)
        write_record(folder / name, ecg.data[0], fs, leads)
    return folder


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same records among bad ones."""
    folder = write_folder(tmp_path_factory.mktemp("mixed"))
    signal = make_ecg(1, random_state=9).data[0]
    write_record(folder / "a0_short_file", signal, 500, LEADS)
    data = (folder / "a0_short_file.dat").read_bytes()
    (folder / "a0_short_file.dat").write_bytes(data[: len(data) // 2])
    (folder / "a3_header.hea").write_text("this is no header\n")
    signal[3, 100:120] = np.nan
    write_record(folder / "b_gap", signal, 500, LEADS)
    write_record(folder / "c_lead", np.zeros((1, 5000), np.float32), 500, ["respiration"])
    return folder


BAD = ("a0_short_file", "a3_header", "b_gap", "c_lead")


@pytest.fixture(scope="module")
def model(good: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.bssl"
    arguments = ["--out", str(path), "--size", "s", "--epochs", "1", "--batch-size", "3", "--seed", "3", "--quiet"]
    assert main(["pretrain", str(good), *arguments]) == 0
    return path


def embed(model: Path, folder: Path, out: Path, *more: str) -> int:
    return main(["embed", str(model), str(folder), "--out", str(out), "--quiet", *more])


def read_csv(path: Path) -> tuple[list[str], dict[str, list[str]], np.ndarray]:
    """Return the header, the describing columns, and the embeddings."""
    with open(path, newline="", encoding="utf-8") as stream:
        header, *rows = csv.reader(stream)
    n = next(i for i, name in enumerate(header) if name == "e0")
    described = {name: [row[i] for row in rows] for i, name in enumerate(header[:n])}
    return header, described, np.array([row[n:] for row in rows], dtype=np.float32)


def test_pretrain_skips_bad_records(mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "m.bssl"
    command = ["pretrain", str(mixed), "--out", str(out), "--size", "s", "--epochs", "0"]
    assert main(command) == 0
    stdout, stderr = capsys.readouterr()
    for name in BAD:
        assert stderr.count(f"skipped {name}: ") == 1
    assert "lead aVR lacks 20 samples" in stderr
    assert f"{len(BAD)} of {len(BAD) + len(RECORDS)} records were skipped" in stderr
    assert f"{len(RECORDS)} records, 0 epochs" in stdout
    assert load(out).n_iter_ == 0
    assert main([*command, "--strict", "--quiet"]) == 1
    assert "check:" not in capsys.readouterr().err


def test_pretrain_refuses_a_flat_record(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_record(tmp_path / "flat", np.zeros((12, 5000)), 500, LEADS)
    assert main(["pretrain", str(tmp_path), "--out", str(tmp_path / "m.bssl")]) == 2
    stderr = capsys.readouterr().err
    assert "skipped flat: no lead varies" in stderr and "0 of 1 records can be used" in stderr


def test_pretrain_takes_missing_samples_if_told_to(
    mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "m.bssl"
    command = ["pretrain", str(mixed), "--out", str(out), "--size", "s", "--epochs", "0", "--allow-nan", "--quiet"]
    assert main(command) == 0
    assert "skipped b_gap" not in capsys.readouterr().err
    assert embed(out, mixed, tmp_path / "t.csv") == 0
    _, described, Z = read_csv(tmp_path / "t.csv")
    assert "b_gap" in described["record"] and np.isfinite(Z).all()


def test_pretraining_is_the_estimators(good: Path, model: Path) -> None:
    from beatssl_sklearn import BeatSSLPretrainer

    expected = BeatSSLPretrainer(
        fs_model=100, encoder_params={"size": "s"}, max_epochs=1, batch_size=3, random_state=3
    ).fit(WFDBFolder(good))
    found = load(model)
    assert all(np.array_equal(found.weights_[name], array) for name, array in expected.weights_.items())


def test_patients(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "patients.csv"
    command = ["pretrain", str(good), "--out", str(tmp_path / "m.bssl"), "--size", "s", "--quiet", "--epochs", "1"]
    command += ["--patients", str(table)]
    table.write_text("record,patient\n" + "".join(f"{name},p{i // 2}\n" for i, name in enumerate(RECORDS)))
    assert main(command) == 0
    table.write_text("record,patient\na1,p\n")
    assert main(command) == 2
    assert "patients.csv: no patient for 4 records, for example a2" in capsys.readouterr().err
    table.write_text("name,person\na1,p\n")
    assert main(command) == 2
    assert "columns record and patient" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["csv", "parquet", "npz"])
def test_rows_per_record(
    ending: str, model: Path, mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"table.{ending}"
    assert embed(model, mixed, out) == 0
    stdout, stderr = capsys.readouterr()
    assert all(stderr.count(f"skipped {name}: ") == 1 for name in BAD)
    assert f"{len(RECORDS)} rows of {len(RECORDS)} records" in stdout
    folder = WFDBFolder(mixed, names=[n for n in WFDBFolder(mixed).names if n in RECORDS])
    if ending == "csv":
        header, described, Z = read_csv(out)
        names = described["record"]
        assert header == ["record", *(f"e{k}" for k in range(Z.shape[1]))]
    elif ending == "parquet":
        table = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed").read_table(out)
        names = table.column("record").to_pylist()
        Z = np.stack([table.column(name).to_numpy() for name in table.column_names[1:]], axis=1)
    else:
        with np.load(out) as arrays:
            names, Z = arrays["record"].tolist(), arrays["embedding"]
    assert names == list(folder.names)
    assert Z.dtype == np.float32
    assert np.array_equal(Z, RhythmEmbedder(model).transform(folder))
    assert [file.name for file in tmp_path.iterdir()] == [out.name]


def test_rows_per_beat(model: Path, good: Path, tmp_path: Path) -> None:
    assert embed(model, good, tmp_path / "beats.csv", "--level", "beat", "--batch-size", "2") == 0
    header, described, Z = read_csv(tmp_path / "beats.csv")
    folder, embedder = WFDBFolder(good), BeatEmbedder(model)
    beats, rpeaks = embedder.transform(folder), embedder.rpeaks(folder)
    assert header[:5] == ["record", "beat", "rpeak", "time_s", "e0"]
    assert np.array_equal(Z, np.concatenate(list(beats)))
    assert [int(r) for r in described["rpeak"]] == np.concatenate(rpeaks).tolist()
    assert described["record"] == [name for name, own in zip(folder.names, beats, strict=True) for _ in own]
    assert described["beat"] == [str(k) for own in beats for k in range(len(own))]
    times = np.concatenate([peaks / folder[i].fs for i, peaks in enumerate(rpeaks)])
    assert np.array_equal([float(t) for t in described["time_s"]], times)


def test_a_batch_does_not_change_the_rows(model: Path, good: Path, tmp_path: Path) -> None:
    for size in ("1", "64"):
        assert embed(model, good, tmp_path / f"{size}.csv", "--batch-size", size) == 0
    (_, one, Z), (_, many, Z_many) = read_csv(tmp_path / "1.csv"), read_csv(tmp_path / "64.csv")
    assert one == many
    np.testing.assert_allclose(Z, Z_many, rtol=1e-4, atol=1e-5)


def test_long_records_do_not_wait_for_each_other(
    model: Path, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transform, sizes = RhythmEmbedder.transform, []

    def counted(self: RhythmEmbedder, X: list[object]) -> np.ndarray:
        sizes.append(len(X))
        return transform(self, X)

    monkeypatch.setattr(RhythmEmbedder, "transform", counted)
    monkeypatch.setattr("beatssl_sklearn.cli.folder._BATCH_SAMPLES", 60_000)
    assert embed(model, good, tmp_path / "t.csv") == 0
    assert sizes == [1, 1, 3]


def test_strict(model: Path, mixed: Path, good: Path, tmp_path: Path) -> None:
    assert embed(model, mixed, tmp_path / "t.csv", "--strict") == 1
    assert (tmp_path / "t.csv").exists()
    assert embed(model, good, tmp_path / "t.csv", "--strict") == 0


def test_odd_records_are_named(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signal = make_ecg(1, random_state=9).data[0]
    write_record(tmp_path / "data" / "a_fine", signal, 500, LEADS)
    write_record(tmp_path / "data" / "b_flat", 0 * signal, 500, LEADS)
    write_record(tmp_path / "data" / "c_gain", signal, 500, LEADS)
    header = tmp_path / "data" / "c_gain.hea"
    header.write_text(header.read_text().replace("1000(0)/mV", "0"))
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert embed(model, tmp_path / "data", tmp_path / "t.csv") == 0
    stderr = capsys.readouterr().err
    assert "warning: b_flat: " in stderr and "no lead varies" in stderr
    assert "warning: record 'c_gain': " in stderr
    assert ".py" not in stderr
    assert read_csv(tmp_path / "t.csv")[1]["record"] == ["a_fine", "b_flat", "c_gain"]


def test_leads_by_name_and_by_position(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ecg = make_ecg(1, leads=("II", "V1"), random_state=1)
    write_record(tmp_path / "data" / "r", ecg.data[0], 500, ("ECG1", "ECG2"))
    out = tmp_path / "t.csv"
    assert embed(model, tmp_path / "data", out) == 2
    assert "none of 1 records could be embedded" in capsys.readouterr().err
    assert not out.exists()
    assert embed(model, tmp_path / "data", out, "--positional", "--leads", "II,V1") == 0
    record = WFDBFolder(tmp_path / "data", leads=("II", "V1"), positional=True)
    both = read_csv(out)[2]
    assert np.array_equal(both, RhythmEmbedder(model).transform(record))

    write_record(tmp_path / "named" / "r", ecg.data[0], 500, ("MLII", "V1"))
    assert embed(model, tmp_path / "named", out, "--leads", "II") == 0
    one = read_csv(out)[2]
    assert one.shape == both.shape and not np.array_equal(one, both)
    for wrong, text in ((["--leads", "II,V9"], "'V9'"), (["--positional"], "--positional needs --leads")):
        assert embed(model, tmp_path / "named", out, *wrong) == 2
        assert text in capsys.readouterr().err


def test_what_cannot_be_done(
    model: Path, good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*arguments: str) -> str:
        assert main(arguments) == 2
        stdout, stderr = capsys.readouterr()
        assert stderr.startswith("beatssl: ") and stdout == ""
        return stderr

    out = str(tmp_path / "t.csv")
    assert "'no.bssl' is neither a file nor a shipped model" in refused("embed", "no.bssl", str(good), "--out", out)
    assert "no.bssl" in refused("info", "no.bssl")
    assert ".csv, .parquet, .npz" in refused("embed", str(model), str(good), "--out", str(tmp_path / "t.xlsx"))
    assert "nowhere" in refused("embed", str(model), str(tmp_path / "nowhere"), "--out", out)
    assert "nowhere" in refused("embed", str(model), str(good), "--out", str(tmp_path / "nowhere" / "t.csv"), "--quiet")
    assert "device" in refused("embed", str(model), str(good), "--out", out, "--device", "abacus")
    pretrain = ("pretrain", str(good), "--quiet", "--out")
    assert "nowhere" in refused(*pretrain, str(tmp_path / "nowhere" / "m.bssl"))
    assert "max_epochs" in refused(*pretrain, str(tmp_path / "m.bssl"), "--epochs", "-1")
    (tmp_path / "damaged.bssl").write_bytes(model.read_bytes()[:-1])
    assert "damaged.bssl" in refused("info", str(tmp_path / "damaged.bssl"))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["damaged.bssl"]


def test_parquet_without_pyarrow(
    model: Path, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert embed(model, good, tmp_path / "t.parquet") == 2
    assert "beatssl-sklearn[parquet]" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["csv", "parquet", "npz"])
def test_an_interruption_leaves_the_older_table(
    ending: str,
    model: Path,
    good: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / f"t.{ending}"
    out.write_text("older")
    transform, calls = RhythmEmbedder.transform, []

    def interrupted(self: RhythmEmbedder, X: object) -> np.ndarray:
        calls.append(X)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return transform(self, X)

    monkeypatch.setattr(RhythmEmbedder, "transform", interrupted)
    assert embed(model, good, out, "--batch-size", "1") == 130
    assert "interrupted" in capsys.readouterr().err
    assert out.read_text() == "older"
    assert [file.name for file in tmp_path.iterdir()] == [out.name]


def test_info(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(model)]) == 0
    rows = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    rows = {name.strip(): value.strip() for name, value in rows.items()}
    assert rows["class"] == "BeatSSLPretrainer"
    assert rows["encoder"] == "beatnet size=s"
    assert rows["rate of the network"] == "100 Hz"
    assert rows["dimensions per record"] == str(load(model)._n_features_out)
    assert rows["epochs"] == "1"
    assert rows["beat window"].startswith("0.25 s before")


@pytest.mark.parametrize("command", [[], ["demo"], ["pretrain"], ["embed"], ["info"]])
def test_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "None" not in text and "==SUPPRESS==" not in text
    if not command:
        assert all(name in text for name in ("demo", "pretrain", "embed", "info", "not a medical device"))


def test_usage_errors(model: Path, good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["embed", str(model), str(good)]
    for arguments in ([], command, [*command, "--out", "t.csv", "--batch-size", "0"]):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2
    assert "must be a positive integer" in capsys.readouterr().err
