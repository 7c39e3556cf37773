"""The command line as a whole: help without heavy imports, exit statuses, and messages in the words of its options."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from beatssl_sklearn import __version__
from beatssl_sklearn.cli.main import main
from beatssl_sklearn.cli.messages import in_options, printable
from beatssl_sklearn.cli.parser import lead_names, seconds, setting, value_of

COMMANDS = (
    *("demo", "pretrain", "embed", "classify", "align", "ask", "retrieve", "delineate", "beats", "rhythms"),
    *("pack", "info"),
)


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "None" not in text and "==SUPPRESS==" not in text
    if not command:
        assert all(name in text for name in COMMANDS)
    if not command or command[0] in ("align", "ask", "retrieve"):
        assert "not a medical device" in text and "\n  beatssl " in text.partition("\nexample")[2]


ANSWER = """
    import json, sys, time
    from beatssl_sklearn.cli import main

    for arguments in {arguments}:
        try:
            main(arguments)
        except SystemExit as stop:
            assert stop.code == 0
    heavy = {{"torch", "sklearn", "numpy", "pandas", "scipy", "skorch", "joblib", "matplotlib", "tqdm"}}
    print(json.dumps({{"heavy": sorted(heavy & set(sys.modules)), "seconds": time.process_time()}}))
"""


def test_help_needs_no_heavy_package() -> None:
    arguments = [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)]
    code = textwrap.dedent(ANSWER).format(arguments=arguments)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    found = json.loads(run.stdout.splitlines()[-1])
    assert found["heavy"] == []
    # All answers together; one takes less than a tenth of a second.
    assert found["seconds"] < 0.4


def test_as_a_module() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "beatssl_sklearn", "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout == f"beatssl {__version__}\n" and run.stderr == ""


def test_usage_errors(model: Path, good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    embed = ["embed", str(model), str(good)]
    pretrain = ["pretrain", str(good), "--out", "m.bssl", "--set"]
    wrong = ([], embed, [*embed, "--out", "t.csv", "--batch-size", "0"], [*pretrain, "temperature"], [*pretrain, "=1"])
    for arguments in (*wrong, [*pretrain, "views..p=1"], ["pretrain"], ["pretrain", "--objective", "BeatSSL"]):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2
    stderr = capsys.readouterr().err
    assert "must be a positive integer" in stderr and "must be NAME=VALUE, got 'temperature'" in stderr


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((".2", 0.2), ("1e-3", 0.001), ("20", 20), ("true", True), ("False", False), ("null", None), ("None", None)),
        *(("(.9,1.1)", (0.9, 1.1)), (" (.9, 1.1)", (0.9, 1.1)), ("[1, 2]", [1, 2]), ('{"a": 1}', {"a": 1})),
        *(("soft", "soft"), ('"20"', "20"), ("'20'", "20"), ("", ""), ("LeadMasking", "LeadMasking"), ("a=b", "a=b")),
        *(("__import__('os')", "__import__('os')"), ("(" * 300, "(" * 300)),
    ],
)
def test_values(text: str, value: Any) -> None:
    assert value_of(text) == value and type(value_of(text)) is type(value)


@pytest.mark.parametrize("command", ["embed", "delineate", "beats", "rhythms"])
def test_the_model_comes_before_the_folder_or_by_its_option(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[tuple[str, Path]] = []

    def run(arguments: argparse.Namespace) -> int:
        found.append((arguments.model, arguments.folder))
        return 0

    monkeypatch.setattr(f"beatssl_sklearn.cli.{command}.run", run)
    defaults = {"embed": "ptbxl", "delineate": "waves", "beats": "beats", "rhythms": "af"}
    out, default = ["--out", "t.csv"], defaults[command]
    for words, model in (
        (["m", "d", *out], "m"),
        ([*out, "m", "d"], "m"),
        (["m", *out, "d"], "m"),
        (["m", "--strict", "d", *out], "m"),
        (["d", *out, "--model", "m"], "m"),
        (["--model", "m", *out, "d"], "m"),
        (["d", *out], default),
    ):
        assert main([command, *words]) == 0
        assert found.pop() == (model, Path("d"))
    for words, text in (
        (["m", "d", "--model", "m2"], "two models are given: m2 and m"),
        (["--model", "m2", "m", "d"], "two models are given: m2 and m"),
        (["m", "d", "e"], "a model and a folder are expected, got m d e"),
        (["m", "--colour", "red", "d"], "unrecognized arguments: --colour"),
        ([], "the following arguments are required: [MODEL] DIR"),
    ):
        with pytest.raises(SystemExit) as stop:
            main([command, *words, *out])
        assert stop.value.code == 2 and text in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert f"usage: beatssl {command} [MODEL] DIR --out OUT" in capsys.readouterr().out


def test_leads() -> None:
    assert lead_names("I, II,V2") == ["I", "II", "V2"]
    assert lead_names("ECG1=II, ECG2=V1") == {"ECG1": "II", "ECG2": "V1"}
    assert lead_names("a=b=V1") == {"a=b": "V1"}
    with pytest.raises(argparse.ArgumentTypeError, match="twice"):
        lead_names("ECG1=II,ECG1=V1")
    # A mapping reads every standard lead: it would not choose V1.
    with pytest.raises(argparse.ArgumentTypeError, match="either chooses leads .* or names signals"):
        lead_names("ECG1=II,V1")


def test_times() -> None:
    assert seconds("0") == 0 and seconds("1.5") == 1.5
    for text in ("-1", "inf", "nan", "soon"):
        with pytest.raises(argparse.ArgumentTypeError, match="time in seconds"):
            seconds(text)


def test_settings() -> None:
    assert setting("views.angle=20") == setting("views__angle=20") == ("views.angle", 20)
    assert setting("x=a=b") == ("x", "a=b")
    for text in ("x", "=1", "a.=1", "1a=1", "a b=1"):
        with pytest.raises(argparse.ArgumentTypeError, match="NAME=VALUE"):
            setting(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max_epochs must be an integer", "--epochs must be an integer"),
        ("a run with max_epochs=3 of max_epochs=4", "a run with --epochs=3 of --epochs=4"),
        ("the checkpoint in checkpoint_dir belongs", "the checkpoint in --checkpoint-dir belongs"),
        ("random_state must be None", "--seed must be None"),
        ("; allow_nan=True takes NaN", "; --allow-nan takes NaN"),
        ("positional=True takes them, leads=[...] some", "--positional takes them, --leads some"),
        ("device='x' is no device of the device", "--device='x' is no device of the device"),
        ("encoder_params: encoder 'x' has no", "--encoder-set: encoder 'x' has no"),
        ("angle must be a number", "--set views.angle must be a number"),
        ("rectangle must be a number", "rectangle must be a number"),
        ("leads={NAME: LEAD} names some", "--leads NAME=LEAD names some"),
        ("leads not found: V1", "leads not found: V1"),
        ("--batch-size must be", "--batch-size must be"),
    ],
)
def test_parameters_become_options(text: str, expected: str) -> None:
    names = ("epochs", "checkpoint_dir", "seed", "allow_nan", "positional", "leads", "device", "batch_size")
    arguments = argparse.Namespace(**dict.fromkeys(names), encoder_set=[], set=[("views.angle", 20)])
    assert in_options(text, arguments) == expected


def test_parameters_that_are_no_options_stay() -> None:
    assert in_options("max_epochs must be", argparse.Namespace(device=None)) == "max_epochs must be"


def test_printable() -> None:
    assert printable("a\n  b\x1b[31m\ttab\u202e") == "a b\\x1b[31m\\ttab\\u202e"
    assert printable("Größe é 心") == "Größe é 心"


def test_warnings_speak_of_options(
    model: Path, good: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def warn(*args: Any, **kwargs: Any) -> None:
        warnings.warn("device='x' is\x07 slow", UserWarning, stacklevel=2)
        raise KeyboardInterrupt

    monkeypatch.setattr("beatssl_sklearn.cli.folder.open_folder", warn)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["embed", str(model), str(good), "--out", "t.csv"]) == 130
    assert capsys.readouterr().err == "warning: --device='x' is\\x07 slow\nbeatssl: interrupted\n"


def test_names_of_records_cannot_command_a_terminal(
    model: Path, write_record: Callable[..., None], embed: Callable[..., int], tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a\x1b[2J.hea").write_text("no header\n")
    assert embed(model, tmp_path / "data", tmp_path / "t.csv") == 2
    stderr = capsys.readouterr().err
    assert "\\x1b[2J" in stderr and "\x1b" not in stderr
