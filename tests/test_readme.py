"""What README and documentation name must exist: commands, options, extras, files, public names. The guide runs."""

from __future__ import annotations

import ast
import configparser
import importlib
import re
from pathlib import Path

import pytest
import sklearn
from heart_rate import HeartRate
from public_names import doors, public_names

from beatssl_sklearn import _registry
from beatssl_sklearn.cli.main import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
CARDS = sorted((ROOT / "beatssl_sklearn" / "weights").glob("*.md"))
GUIDE = sorted((ROOT / "docs" / "user_guide").glob("*.md"))


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.S)


def code_of(text: str) -> list[str]:
    """Return the Python blocks, and those that are not run (`pycon`) without their prompts."""
    shown = (re.findall(r"^(?:>>>|\.\.\.) ?(.*)$", block, flags=re.M) for block in blocks(text, "pycon"))
    return [*blocks(text, "python"), *("\n".join(lines) for lines in shown)]


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
    with pytest.raises(SystemExit):
        main(["--help"])
    every = set(re.findall(r"^    (\w+)(?:  | *$)", capsys.readouterr().out.partition("COMMAND\n")[2], flags=re.M))
    assert len(every) > 10 and {line.split()[1] for line in lines} <= every
    # The list, or a sentence below it, has every command; so has the table of the guide.
    guide = (ROOT / "docs" / "user_guide" / "command_line.md").read_text(encoding="utf-8")
    named = re.findall(r"(?:^|`)beatssl ([a-z]+)", README, flags=re.M)
    table = guide.partition("| command |")[2].partition("\n\n")[0]
    assert set(named) == every and set(re.findall(r"^\| `(\w+)` \|", table, flags=re.M)) == every
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


@pytest.mark.parametrize("page", [*PAGES, *CARDS], ids=lambda page: page.name)
def test_python_names(page: Path) -> None:
    """Blocks parse, what they import from the package is public, and parameters that they set exist."""
    public = public_names()
    for block in code_of(page.read_text(encoding="utf-8")):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("beatssl_sklearn"):
                door = (node.module or "").removeprefix("beatssl_sklearn").removeprefix(".")
                assert door in doors()
                named = set(importlib.import_module(node.module or "").__all__)
                assert {alias.name for alias in node.names} <= named
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                estimator = public.get(node.func.id)
                if hasattr(estimator, "get_params"):
                    names = {keyword.arg for keyword in node.keywords if keyword.arg}
                    assert names <= set(estimator._get_param_names()), node.func.id


@pytest.mark.parametrize("page", GUIDE, ids=lambda page: page.name)
def test_the_guide_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python blocks of a page run in order, in one namespace and an empty folder, without a warning."""
    # A page may register classes; other tests must not see them, and `registered` imports all others before.
    own = {name: cls for name, cls in _registry.registered().items() if cls is not HeartRate}
    monkeypatch.setattr(_registry, "_CLASSES", own)
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "__main__"}
    with sklearn.config_context():
        for number, block in enumerate(blocks(page.read_text(encoding="utf-8"), "python")):
            exec(compile(block, f"{page.name}, block {number}", "exec"), namespace)


def test_the_page_on_objectives_shows_the_tested_file() -> None:
    page = (ROOT / "docs" / "user_guide" / "own_objective.md").read_text(encoding="utf-8")
    shown = (ROOT / "tests" / "support" / "heart_rate.py").read_text(encoding="utf-8")
    assert shown in blocks(page, "python")


def test_the_api_page_has_every_public_name() -> None:
    """Classes and functions in its tables, by any of their paths; constants in its text."""
    page = (ROOT / "docs" / "api.rst").read_text(encoding="utf-8")
    public = public_names()
    listed = re.findall(r"^   ([A-Za-z_][\w.]*)$", page, flags=re.M)
    assert sorted(set(listed) - set(public)) == [] and len(set(listed)) == len(listed)
    shown = {id(public[name]) for name in [*listed, *re.findall(r"``([\w.]+)``", page)] if name in public}
    assert sorted(name for name, value in public.items() if id(value) not in shown) == []


def test_contributing_lists_every_room_and_existing_files() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    package = ROOT / "beatssl_sklearn"
    (tree,) = blocks(text, "text")
    listed = set(re.findall(r"^  (\w+(?:\.py|/)) ", tree, flags=re.M))
    rooms = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")} | {"weights/"}
    assert listed == rooms | {path.name for path in package.glob("*.py")}
    table = text.partition("| I want to | file |")[2].partition("\n\n")[0]
    named = re.findall(r"`([\w/.]+(?:\.py|/|\.rst))`", table)
    assert len(named) > 15
    assert [name for name in named if not ((package / name).exists() or (ROOT / name).exists())] == []


def test_no_page_of_the_guide_is_orphaned() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix("").as_posix()
        if name.startswith("_build/"):
            # What `make docs` made.
            continue
        assert name == "index" or re.search(rf"^{re.escape(name)}$", index, flags=re.M), name
