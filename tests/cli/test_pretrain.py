"""The command `beatssl pretrain`: records, objectives by name and from files, settings, and columns of CSV files."""

from __future__ import annotations

import itertools
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beatssl_sklearn import (
    BeatSSL,
    BeatSSLPretrainer,
    DualStream,
    LeadAgnostic,
    LeadMasking,
    RhythmEmbedder,
    VCGViews,
    WFDBFolder,
    load,
    make_ecg,
)
from beatssl_sklearn.cli.main import main
from beatssl_sklearn.cli.objective import build_objective
from beatssl_sklearn.cli.parser import setting
from beatssl_sklearn.cli.record_column import RecordColumn
from beatssl_sklearn.ecg.leads import LEADS

NUMBER = itertools.count()
Refusal = Callable[..., str]


def options(out: Path, *more: Any) -> list[str]:
    return [str(m) for m in ("--out", out, "--size", "s", "--epochs", "0", "--quiet", *more)]


class TestRecords:
    def test_bad_ones_are_skipped(
        self,
        mixed: Path,
        record_names: list[str],
        bad_names: tuple[str, ...],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        out = tmp_path / "m.bssl"
        command = ["pretrain", str(mixed), "--out", str(out), "--size", "s", "--epochs", "0"]
        assert main(command) == 0
        stdout, stderr = capsys.readouterr()
        for name in bad_names:
            assert stderr.count(f"skipped {name}: ") == 1
        assert "lead aVR lacks 20 samples; --allow-nan uses it all the same" in stderr
        assert f"{len(bad_names)} of {len(bad_names) + len(record_names)} records were skipped" in stderr
        assert f"{len(record_names)} records, 0 epochs" in stdout
        assert load(out).n_iter_ == 0
        assert main([*command, "--strict", "--quiet"]) == 1
        assert "check:" not in capsys.readouterr().err

    def test_flat_ones_are_skipped(
        self, write_record: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write_record(tmp_path / "flat", np.zeros((12, 5000)), 500, LEADS)
        assert main(["pretrain", str(tmp_path), "--out", str(tmp_path / "m.bssl")]) == 2
        stderr = capsys.readouterr().err
        assert "skipped flat: no lead varies" in stderr and "0 of 1 records can be used" in stderr

    def test_missing_samples(
        self,
        mixed: Path,
        embed: Callable[..., int],
        read_embeddings: Callable[..., Any],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        out = tmp_path / "m.bssl"
        assert main(["pretrain", str(mixed), *options(out, "--allow-nan")]) == 0
        assert "skipped b_gap" not in capsys.readouterr().err
        assert embed(out, mixed, tmp_path / "t.csv") == 0
        _, described, Z = read_embeddings(tmp_path / "t.csv")
        assert "b_gap" in described["record"] and np.isfinite(Z).all()


def test_the_model_is_the_estimators(good: Path, model: Path) -> None:
    expected = BeatSSLPretrainer(
        fs_model=100, encoder_params={"size": "s"}, max_epochs=1, batch_size=3, random_state=3
    ).fit(WFDBFolder(good))
    found = BeatSSLPretrainer.load(model).encoder_.weights
    assert all(np.array_equal(found[name], array) for name, array in expected.encoder_.weights.items())


class TestObjectives:
    @pytest.mark.parametrize("folder", [[], ["anywhere"]])
    def test_help(self, folder: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["pretrain", *folder, "--objective", "help"]) == 0
        stdout, stderr = capsys.readouterr()
        assert f"BeatSSL: {(BeatSSL.__doc__ or '').splitlines()[0]}" in stdout.splitlines()
        assert "presets: BeatSSL.paper, BeatSSL.shipped" in stdout and "temperature" in stdout
        assert stderr == ""

    def test_settings_and_encoder(self, good: Path, tmp_path: Path) -> None:
        settings = ["--set", "temperature=.2", "--set", "views.angle=20", "--set", "beat_targets=soft"]
        encoder = ["--encoder", "resnet1d", "--encoder-set", "width=8"]
        out = tmp_path / "m.bssl"
        command = ["--out", str(out), "--epochs", "0", "--quiet", "--objective", "beat_ssl", *settings, *encoder]
        assert main(["pretrain", str(good), *command]) == 0
        found = load(out)
        assert found.objective == BeatSSL(temperature=0.2, beat_targets="soft", views=VCGViews(angle=20))
        assert (found.encoder_.encoder, found.encoder_.encoder_params) == ("resnet1d", {"width": 8})

    @pytest.mark.parametrize("name", ["lead_agnostic", "dual_stream"])
    def test_each_brings_its_encoder(self, name: str, good: Path, tmp_path: Path) -> None:
        small = {"lead_agnostic": "n_dims=16 n_heads=2 n_layers=1", "dual_stream": "widths=[4,4,4,4]"}[name]
        encoder = [word for text in small.split() for word in ("--encoder-set", text)]
        out = tmp_path / "m.bssl"
        command = ["--out", str(out), "--epochs", "1", "--quiet", "--objective", name, *encoder]
        assert main(["pretrain", str(good), *command]) == 0
        found = load(out)
        assert found.objective_ == {"lead_agnostic": LeadAgnostic(), "dual_stream": DualStream()}[name]
        assert found.encoder_.encoder == found.objective_.default_encoder != "beatnet"

    def test_presets(self) -> None:
        assert build_objective("beat_ssl.paper", []) == BeatSSL.paper()
        assert build_objective("BeatSSL.shipped", [("beat_weight", 1)]) == BeatSSL.shipped(beat_weight=1)
        with pytest.raises(ValueError, match="no preset 'papper' .known: paper, shipped."):
            build_objective("beat_ssl.papper", [])

    def test_components_by_name(self) -> None:
        settings = [setting(text) for text in ("views=LeadMasking", "views.p=.3")]
        assert build_objective("BeatSSL", settings) == BeatSSL(views=LeadMasking(p=0.3))
        settings = [setting(text) for text in ("views=VCGViews.three_kg", "views.scale=(.9, 1.1)")]
        assert build_objective("BeatSSL", settings) == BeatSSL(views=VCGViews.three_kg(scale=(0.9, 1.1)))
        assert build_objective("BeatSSL", [setting("views=null")]).views is None

    def test_what_is_refused(self, good: Path, refusal: Refusal, tmp_path: Path) -> None:
        def refused(*more: str) -> str:
            return refusal("pretrain", good, *options(tmp_path / "m.bssl"), *more)

        text = refused("--objective", "SimCLR")
        assert "--objective: 'SimCLR' is " in text and "(known: " in text and "BeatSSL" in text
        # The class of a component that is no objective.
        assert "--objective: 'VCGViews' is " in refused("--objective", "VCGViews")
        text = refused("--set", "temprature=.2")
        assert "Invalid parameter 'temprature' for estimator BeatSSL()" in text and "'temperature'" in text
        text = refused("--set", "views.tilt=.2")
        assert "Invalid parameter 'tilt' for estimator VCGViews()" in text and "'angle'" in text
        assert "Invalid parameter 'no'" in refused("--set", "no.tilt=.2")
        assert "temperature is 0.1, which has no parameters" in refused("--set", "temperature.x=1")
        text = refused("--set", "views=Mirror")
        assert "--set views: 'Mirror' is " in text and "LeadMasking" in text
        assert "--set temperature must be a number at least 1e-06, got 0" in refused("--set", "temperature=0")
        assert "--set views.angle must be a number, got 'wide'" in refused("--set", "views.angle=wide")
        known = "['beatnet', 'dual_stream', 'resnet1d', 'transformer']"
        assert f"--encoder must be one of {known}" in refused("--encoder", "vgg")
        assert "no parameters ['depth']" in refused("--encoder-set", "depth=3")
        assert "--encoder-set kernel_size must be odd" in refused("--encoder-set", "kernel_size=4")
        assert not list(tmp_path.iterdir())


OBJECTIVE = '''
    """An objective of a user's own."""

    import torch
    from torch import nn

    from beatssl_sklearn import Objective, register


    class Head(nn.Module):
        def __init__(self, width, generator):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(width, generator=generator))

        def forward(self, encoder, signal):
            return encoder.pool(encoder(signal)) @ self.weight


    @register
    class {name}(Objective):
        """Predict the power of the signal.

        More of it.
        """

        needs = {needs}

        def __init__(self, scale=1.0, views=None, title=None):
            self.scale = scale
            self.views = views
            self.title = title

        def draw(self, batch):
            signal, _ = batch.window(batch.draw_start())
            return {{"signal": signal}}, self.scale * signal.square().mean(dim=(1, 2))

        def heads(self, encoder, known, generator):
            return Head(encoder.n_dims_record, generator)

        def loss(self, outputs, targets):
            return {{"loss": (outputs - targets).square().mean()}}
'''


class TestOwnObjective:
    @pytest.fixture
    def own(self, tmp_path: Path) -> Iterator[Callable[..., tuple[Path, str]]]:
        """Writes a file with an objective whose name no other test has; returns both."""

        def write(needs: tuple[str, ...] = ()) -> tuple[Path, str]:
            name = f"SignalPower{next(NUMBER)}"
            file = tmp_path / f"my_{name.lower()}.py"
            file.write_text(textwrap.dedent(OBJECTIVE).format(name=name, needs=repr(needs)))
            return file, name

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.path", list(sys.path))
            yield write

    def test_it_trains_loads_and_embeds(
        self,
        own: Callable[..., tuple[Path, str]],
        good: Path,
        embed: Callable[..., int],
        read_embeddings: Callable[..., Any],
        info: Callable[..., dict[str, str]],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        file, name = own()
        out = tmp_path / "m.bssl"
        chosen = ["--import", str(file), "--objective", name]
        # None may stand for a component or for a text.
        settings = ["--set", "scale=.5", "--set", "views=LeadMasking", "--set", "views.p=.3", "--set", "title=power"]
        trained = ["--epochs", "2", "--batch-size", "3", "--encoder-set", "size=s", "--quiet", *settings]
        assert main(["pretrain", str(good), "--out", str(out), *chosen, *trained]) == 0
        found = load(out)
        assert (type(found).__name__, type(found.objective).__name__) == ("Pretrainer", name)
        assert (found.objective.scale, found.objective.title, found.n_iter_) == (0.5, "power", 2)
        assert found.objective.views == LeadMasking(p=0.3)
        assert embed(out, good, tmp_path / "t.csv", "--import", str(file)) == 0
        Z = read_embeddings(tmp_path / "t.csv")[2]
        assert np.array_equal(Z, RhythmEmbedder(out).transform(WFDBFolder(good))) and np.isfinite(Z).all()
        rows = info(out, "--import", str(file))
        assert rows["objective"] == f"{name}(scale=0.5, title='power', views=LeadMasking(p=0.3))"
        assert rows["epochs"] == "2"
        # In any order, a list includes it.
        assert main(["pretrain", "--objective", "help", "--import", str(file)]) == 0
        assert f"{name}: Predict the power of the signal." in capsys.readouterr().out.splitlines()

    def test_by_the_name_of_a_module_in_the_working_directory(
        self,
        own: Callable[..., tuple[Path, str]],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        file, name = own()
        monkeypatch.chdir(tmp_path)
        assert main(["pretrain", "--objective", "help", "--import", file.stem]) == 0
        assert f"{name}: " in capsys.readouterr().out

    def test_what_it_needs(
        self, own: Callable[..., tuple[Path, str]], good: Path, refusal: Refusal, tmp_path: Path
    ) -> None:
        file, name = own(needs=("reports",))
        command = ["pretrain", good, *options(tmp_path / "m.bssl"), "--objective", name, "--import", file]
        assert f"{name} needs --reports, a CSV file with the columns record,report" in refusal(*command)
        reports = tmp_path / "reports.csv"
        reports.write_text("record,text\n")
        assert "the columns record and report was expected" in refusal(*command, "--reports", reports)
        names = WFDBFolder(good).names
        reports.write_text("record,report\n" + "".join(f'{n},"normal, {i}"\n' for i, n in enumerate(names)))
        assert main([str(c) for c in (*command, "--reports", reports)]) == 0
        file, name = own(needs=("y",))
        command = ["pretrain", good, *options(tmp_path / "m.bssl"), "--objective", name, "--import", file]
        assert f"{name} needs y, which only Pretrainer.fit in Python takes" in refusal(*command)

    def test_files_that_cannot_be_imported(self, good: Path, refusal: Refusal, tmp_path: Path) -> None:
        command = ["pretrain", good, *options(tmp_path / "m.bssl"), "--import"]
        broken = tmp_path / "broken_objective.py"
        broken.write_text("this is no Python")
        assert f"--import {broken}: SyntaxError" in refusal(*command, broken)
        broken.write_text("1 / 0")
        assert f"--import {broken}: ZeroDivisionError: division by zero" in refusal(*command, broken)
        assert "FileNotFoundError" in refusal(*command, tmp_path / "nowhere.py")
        assert "there is no file or module of this name" in refusal(*command, "no_such_module_anywhere")
        taken = tmp_path / "textwrap.py"
        taken.write_text("")
        assert "another module is called textwrap; rename the file" in refusal(*command, taken)


class TestColumns:
    def test_groups(self, good: Path, refusal: Refusal, record_names: list[str], tmp_path: Path) -> None:
        table = tmp_path / "who.csv"
        command = ["pretrain", good, *options(tmp_path / "m.bssl", "--groups", table)]
        for column in ("group", "patient"):
            table.write_text(f"record,{column}\n" + "".join(f"{n},p{i // 2}\n" for i, n in enumerate(record_names)))
            assert main([str(c) for c in command]) == 0
        table.write_text("record,patient\na1,p\n")
        assert "who.csv: no patient for 4 records, for example a2" in refusal(*command)
        for blank in ("", "  "):
            rows = "".join(f"{n},{'p1' if i % 2 else blank}\n" for i, n in enumerate(record_names))
            table.write_text(f"record,patient\n{rows}")
            assert "who.csv: the patient of record a1 is empty (3 records in all)" in refusal(*command)
        table.write_text("name,person\na1,p\n")
        assert "columns record and group or patient was expected" in refusal(*command)
        assert "nowhere.csv" in refusal(*command[:-1], tmp_path / "nowhere.csv")

    def test_groups_reach_the_training(self, good: Path, record_names: list[str], tmp_path: Path) -> None:
        table = tmp_path / "who.csv"
        table.write_text("record,group\n" + "".join(f"{n},one person\n" for n in record_names))
        weights = []
        out = tmp_path / "m.bssl"
        for more in ([], ["--groups", table]):
            command = ("pretrain", good, *options(out, "--batch-size", 5), "--epochs", 1, *more)
            assert main([str(c) for c in command]) == 0
            weights.append(load(out).encoder_.weights)
        assert not all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])

    def test_times(self, good: Path, refusal: Refusal, record_names: list[str], tmp_path: Path) -> None:
        out, who, when = tmp_path / "m.bssl", tmp_path / "who.csv", tmp_path / "when.csv"
        who.write_text("record,group\n" + "".join(f"{n},p{i // 2}\n" for i, n in enumerate(record_names)))
        objective = ["--objective", "dual_stream", "--set", "max_gap_days=30", "--encoder-set", "widths=[4,4,4,4]"]
        command = ["pretrain", good, "--out", out, "--epochs", "0", "--quiet", *objective, "--groups", who]
        wanted = "DualStream needs --times, a CSV file with the columns record,time"
        assert wanted in refusal(*command) and not out.exists()
        days = ["2024-01-05", "2024-01-20 08:00", "", "soon", "2024-02-01"]
        for column, last in (("recording_date", "2024-01-01"), ("time", "soon")):
            rows = zip(record_names, [*days[:3], last, *days[4:]], strict=True)
            when.write_text(f"record,{column}\n" + "".join(f"{n},{day}\n" for n, day in rows))
            if last == "soon":
                assert "times: the time of record 3 is 'soon'; give a date" in refusal(*command, "--times", when)
            else:
                assert main([str(c) for c in (*command, "--times", when)]) == 0
                assert load(out).objective_.max_gap_days == 30

    def test_a_table(self, tmp_path: Path) -> None:
        path = tmp_path / "t.csv"
        path.write_bytes('\ufeffreport,record\n"a, ""b""\nc",r1\n,r2\nx,r3\nx,r3\n'.encode())
        names = ["r3", "r1", "r2"]
        assert RecordColumn(path, ["report"]).values(names, {n: n for n in names}) == ["x", 'a, "b"\nc', ""]
        path.write_text("record,report\nr1,a\nr1,b\n")
        with pytest.raises(ValueError, match="t.csv: record r1 has two different entries of report"):
            RecordColumn(path, ["report"])
        path.write_bytes(b"record,report\nr1,\xff\n")
        with pytest.raises(ValueError, match="t.csv: a table with the columns record and report was expected"):
            RecordColumn(path, ["report"])

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("record,report\nr0,a\nr1,sinus, normal\n", "line 3: the row of record r1 has 3 cells, but the header"),
            ('record,report\nr0,"a\nb"\nr1,x, y\n', "line 4: the row of record r1 has 3 cells"),
            ("record,report\nr1,x, y\n", "quote texts that hold commas"),
            ("report,record\nsinus, normal,r1\n", "has 3 cells"),
            ("record,report\nr0,a\nr1\n", "line 3: the row of record r1 has 1 cells, but the header has 2"),
            ('record,report\nr0,"a\nr1,b\n', "was expected: unexpected end of data"),
            ("record,report,report\nr0,a,b\n", "2 columns have the name report"),
        ],
    )
    def test_rows_that_do_not_fit_the_header(self, text: str, message: str, tmp_path: Path) -> None:
        path = tmp_path / "t.csv"
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            RecordColumn(path, ["report"])

    def test_empty_rows_and_cells_do_no_harm(self, tmp_path: Path) -> None:
        path = tmp_path / "t.csv"
        path.write_text("record,report\n\nr1,a,, \nr2,\n\n")
        assert RecordColumn(path, ["report"]).values(["r1", "r2"], {"r1": "r1", "r2": "r2"}) == ["a", ""]


def test_odd_records_are_named_once(
    write_record: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the reader says, each time that it reads, and what training says of a record."""
    signal = make_ecg(3, fs=100, duration=4, random_state=0).data
    for i, x in enumerate(signal):
        write_record(tmp_path / "data" / f"r{i}", (20 if i == 1 else 1) * x, 100, LEADS)
    header = tmp_path / "data" / "r0.hea"
    header.write_text(header.read_text().replace("1000(0)/mV", "0"))
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        command = ["pretrain", tmp_path / "data", *options(tmp_path / "m.bssl"), "--epochs", 1, "--batch-size", 2]
        assert main([str(c) for c in command]) == 0
    stderr = capsys.readouterr().err
    assert stderr.count("record 'r0': no gain") == 1 and stderr.count("'r1': root mean square above") == 1


def test_an_encoder_is_refused_before_records_are_read(
    refusal: Refusal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(objective: BeatSSL, encoder: Any) -> None:
        raise TypeError(f"BeatSSL does not take a {type(encoder).__name__}")

    monkeypatch.setattr(BeatSSL, "check_encoder", refuse)
    text = refusal("pretrain", tmp_path / "nowhere", *options(tmp_path / "m.bssl"))
    assert "BeatSSL does not take a BeatNet" in text


def test_what_cannot_be_done(good: Path, refusal: Refusal, tmp_path: Path) -> None:
    pretrain = ("pretrain", good, "--quiet", "--out")
    assert "nowhere" in refusal(*pretrain, tmp_path / "nowhere" / "m.bssl")
    out = tmp_path / "m.bssl"
    assert "--epochs must be an integer at least 0, got -1" in refusal(*pretrain, out, "--epochs", "-1")
    assert "--fs-model must lie between 50 and 2000 Hz" in refusal(*pretrain, out, "--fs-model", "1")
    assert "--batch-size must be an integer at least 2, got 1" in refusal(*pretrain, out, "--batch-size", "1")
    assert "--lr must be" in refusal(*pretrain, out, "--lr", "-1")
    assert "--device='abacus' is not a torch device" in refusal(*pretrain, out, "--device", "abacus")
    assert "--seed must be" in refusal(*pretrain, out, "--seed", "-1", "--epochs", "0")
    assert not list(tmp_path.iterdir())
