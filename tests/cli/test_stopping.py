"""Commands that are stopped, whose streams are closed, or that run beside each other: nothing unfinished is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from beatssl_sklearn import RhythmEmbedder
from beatssl_sklearn.cli.main import main
from beatssl_sklearn.cli.stopping import Stopped, stoppable

SIGNALS = [name for name in ("SIGTERM", "SIGHUP", "SIGINT") if hasattr(signal, name)]
PROGRAM = "import sys; from beatssl_sklearn.cli import main; sys.exit(main())"


@pytest.fixture
def heard() -> Iterator[None]:
    """Let signals reach this process, as in a terminal: under nohup, or in the background, some are ignored."""
    usual = {"SIGINT": signal.default_int_handler}
    older = {one: signal.signal(getattr(signal, one), usual.get(one, signal.SIG_DFL)) for one in SIGNALS}
    yield
    for one, handler in older.items():
        signal.signal(getattr(signal, one), handler)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("ending", ["csv", "npz"])
def test_a_signal_leaves_nothing(
    name: str,
    ending: str,
    model: Path,
    good: Path,
    embed: Callable[..., int],
    tmp_path: Path,
    heard: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / f"t.{ending}"
    out.write_text("older")
    transform, calls = RhythmEmbedder.transform, []

    def signalled(self: RhythmEmbedder, X: object) -> Any:
        calls.append(X)
        if len(calls) == 3:
            assert len(os.listdir(tmp_path)) > 1
            os.kill(os.getpid(), getattr(signal, name))
        return transform(self, X)

    monkeypatch.setattr(RhythmEmbedder, "transform", signalled)
    before = [signal.getsignal(getattr(signal, one)) for one in SIGNALS]
    assert embed(model, good, out, "--batch-size", "1") == 128 + getattr(signal, name)
    text = "interrupted" if name == "SIGINT" else f"stopped by {name}"
    assert capsys.readouterr().err == f"beatssl: {text}\n"
    assert os.listdir(tmp_path) == [out.name] and out.read_text() == "older"
    assert [signal.getsignal(getattr(signal, one)) for one in SIGNALS] == before


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_signal_that_is_ignored_stays_so() -> None:
    older = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGHUP)
        with pytest.raises(Stopped, match="SIGTERM"), stoppable():
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGHUP, older)


def test_another_thread_is_not_asked() -> None:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(main(["info", "no.bssl"])))
    thread.start()
    thread.join()
    assert found == [2]


def run_in_shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command with $BEATSSL as the program."""
    code = f"BEATSSL() {{ {sys.executable} -c '{PROGRAM}' \"$@\"; }}; {command}"
    return subprocess.run(
        ["bash", "-c", code], capture_output=True, text=True, timeout=120, env={**os.environ, **environment}
    )


@pytest.mark.skipif(os.name != "posix", reason="a shell of POSIX")
@pytest.mark.parametrize(
    ("command", "status"),
    [
        # A reader that goes away at once, and streams that are closed from the beginning.
        ("BEATSSL --help | true; exit ${PIPESTATUS[0]}", 0),
        ("BEATSSL pretrain --objective help | true; exit ${PIPESTATUS[0]}", 0),
        ("BEATSSL pretrain --objective help >&-", 0),
        ("BEATSSL pretrain --objective help >/dev/full", 2),
        ("BEATSSL info no.bssl 2>&-", 2),
        ("{ BEATSSL info no.bssl 2>&1 >&3 | true; exit ${PIPESTATUS[0]}; } 3>/dev/null", 2),
    ],
)
def test_streams_that_cannot_be_written_to(command: str, status: int) -> None:
    done = run_in_shell(command)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    if "/dev/full" in command:
        assert done.stderr == "beatssl: standard output: No space left on device\n"


@pytest.mark.skipif(os.name != "posix", reason="a shell of POSIX")
def test_a_stream_that_lacks_a_letter() -> None:
    done = run_in_shell("BEATSSL info 'é心.bssl'", PYTHONIOENCODING="ascii")
    assert done.returncode == 2 and "\\xe9\\u5fc3.bssl" in done.stderr


TWO_RUNS = """
    import sys, threading
    from pathlib import Path
    from beatssl_sklearn.cli.main import main
    model, records, out = sys.argv[1:4]
    command = ["embed", model, records, "--out", out, "--batch-size", "1", "--quiet"]
    found = {}
    def run(name, *more):
        found[name] = main([*command, *more])
    runs = [threading.Thread(target=run, args=args) for args in (("rhythm",), ("beat", "--level", "beat"))]
    for thread in runs: thread.start()
    for thread in runs: thread.join()
    sys.exit(max(found.values()))
"""


def test_two_runs_into_one_table(model: Path, good: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.csv"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(TWO_RUNS), str(model), str(good), str(out)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len({line.count(",") for line in out.read_text().splitlines()}) == 1
    assert os.listdir(tmp_path) == ["t.csv"]
