"""What README and documentation name must exist: commands, options, extras, files, public names."""

from __future__ import annotations

import ast
import configparser
import re
from pathlib import Path

import pytest

import beatssl_sklearn
from beatssl_sklearn.cli.main import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.S)


def test_the_two_commands_come_first() -> None:
    commands = [line for block in blocks(README, "console") for line in block.splitlines() if line.startswith("make")]
    assert [command.split()[1] for command in commands] == ["demo", "test"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets(page: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`make ([\w-]+)", text)
    named += [t for block in blocks(text, "console") for t in re.findall(r"^make ([\w-]+)", block, flags=re.M)]
    assert set(named) <= targets


def test_commands_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for b in blocks(README, "console") for line in b.splitlines() if line.startswith("beatssl ")]
    assert {line.split()[1] for line in lines} == {"pretrain", "embed", "delineate", "info"}
    for line in lines:
        _, command, *arguments = line.split()
        with pytest.raises(SystemExit):
            main([command, "--help"])
        text = capsys.readouterr().out
        assert all(option in text for option in arguments if option.startswith("--"))


def test_extras() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    named = set(re.findall(r"\[(\w+)\]`", README))
    assert named and named <= set(setup["options.extras_require"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_names(page: Path) -> None:
    """Blocks parse, what they import from the package is there, and parameters that they set exist."""
    for block in blocks(page.read_text(encoding="utf-8"), "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module == "beatssl_sklearn":
                assert {alias.name for alias in node.names} <= set(beatssl_sklearn.__all__)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                estimator = getattr(beatssl_sklearn, node.func.id, None)
                if hasattr(estimator, "get_params"):
                    names = {keyword.arg for keyword in node.keywords if keyword.arg}
                    assert names <= set(estimator._get_param_names()), node.func.id


def test_the_api_page_has_every_public_name() -> None:
    listed = set(re.findall(r"^   ([A-Za-z_]\w*)$", (ROOT / "docs" / "api.rst").read_text(), flags=re.M))
    assert listed == set(beatssl_sklearn.__all__) - {"__version__"}


def test_no_page_of_the_guide_is_orphaned() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix("").as_posix()
        assert name == "index" or re.search(rf"^{re.escape(name)}$", index, flags=re.M), name
