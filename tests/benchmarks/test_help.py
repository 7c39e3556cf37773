"""Every command of the benchmarks shows its help."""

import importlib
import pkgutil
import sys

import pytest

import benchmarks

COMMANDS = sorted(
    found.name
    for found in pkgutil.walk_packages(benchmarks.__path__, "benchmarks.")
    # The first is run by interpreters of other packages, the second measures the machine and has no options.
    if found.name not in ("benchmarks.delineation.peer_drivers", "benchmarks.roof")
)


@pytest.mark.parametrize("name", COMMANDS)
def test_help(name, monkeypatch, capsys):
    try:
        module = importlib.import_module(name)
    except ImportError as error:  # an optional package
        pytest.skip(str(error))
    if not hasattr(module, "main"):
        return
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as stopped:
        module.main()
    assert stopped.value.code == 0
    assert "usage" in capsys.readouterr().out
