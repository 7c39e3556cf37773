"""The wheel as users get it: what it holds and asks for, and the README's Python block run with it."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from beatssl_sklearn import __version__

ROOT = Path(__file__).parents[1]
SOURCES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command and return what it printed; its errors become this test's."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONWARNINGS")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={"OMP_NUM_THREADS": "1", **kept, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a copy, so that nothing is left in the checkout."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "beatssl_sklearn", source / "beatssl_sklearn", ignore=shutil.ignore_patterns("__pycache__"))
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    run(*pip, "--wheel-dir", out, source, cwd=out)
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install into a folder that, put on PYTHONPATH, comes before the checkout."""
    target = tmp_path_factory.mktemp("site")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile")
    run(*pip, "--target", target, wheel, cwd=target)
    return target


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def requirements(metadata: Message) -> list[Requirement]:
    return [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]


def test_metadata(metadata: Message) -> None:
    assert metadata["Name"] == "beatssl-sklearn" and metadata["Version"] == __version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert "License" in str(metadata.items()) and "BSD-3-Clause" in str(metadata.items())
    needed = {r.name: str(r.specifier) for r in requirements(metadata) if r.marker is None}
    assert needed["torch"] == ">=2.10"
    assert set(needed) == {
        *("joblib", "numpy", "pandas", "safetensors", "scikit-learn", "scipy"),
        *("skorch", "soundfile", "torch", "tqdm", "wfdb"),
    }
    assert "# beatssl_sklearn" in metadata.get_payload()


def test_files(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        scripts = archive.read(next(n for n in names if n.endswith("entry_points.txt"))).decode()
    inside = {n for n in names if ".dist-info/" not in n}
    expected = {p.relative_to(ROOT).as_posix() for p in (ROOT / "beatssl_sklearn").rglob("*.py")}
    assert {n for n in inside if n.endswith(".py")} == expected
    assert "beatssl_sklearn/py.typed" in inside
    assert all(n.startswith("beatssl_sklearn/") for n in inside)
    assert any(n.endswith("LICENSE") for n in names)
    assert "beatssl = beatssl_sklearn.cli:main" in scripts


def test_everything_that_is_imported_is_required(metadata: Message) -> None:
    """What a module imports at its top must be a dependency without an extra."""
    of_module = {"sklearn": "scikit-learn"}
    needed = {r.name for r in requirements(metadata) if r.marker is None}
    for path in (ROOT / "beatssl_sklearn").rglob("*.py"):
        for module in re.findall(r"^(?:import|from) (\w+)", path.read_text(encoding="utf-8"), flags=re.M):
            if module != "beatssl_sklearn" and module not in sys.stdlib_module_names:
                assert of_module.get(module, module) in needed, f"{path.name} imports {module}"


def test_constraints_are_exact_and_suffice(metadata: Message) -> None:
    pinned = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if not line.startswith("#"):
            name, version = line.split("==")
            assert "+" not in version and "://" not in line
            pinned[canonicalize_name(name)] = Version(version)
    missing = []
    for requirement in requirements(metadata):
        name = canonicalize_name(requirement.name)
        if name == "beatssl-sklearn":
            continue
        if name not in pinned:
            missing.append(name)
        else:
            assert requirement.specifier.contains(pinned[name]), f"{requirement} excludes {pinned[name]}"
    assert not missing
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert {"dev", "docs", "test", "plot"} <= set(setup["options.extras_require"])


def test_the_console_script(installed: Path, tmp_path: Path) -> None:
    (script,) = (installed / "bin").glob("beatssl*")
    assert run(script, "--version", cwd=tmp_path, PYTHONPATH=str(installed)) == f"beatssl {__version__}\n"


def test_the_readme_runs_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.S)
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "block.py").write_text(f"{block}\nimport beatssl_sklearn\nprint(beatssl_sklearn.__file__)\n")
    # -P: not even the script's own folder is looked at for modules
    printed = run(
        sys.executable, "-P", "-W", "error::UserWarning", tmp_path / "block.py", cwd=empty, PYTHONPATH=str(installed)
    )
    *lines, where = printed.splitlines()
    assert Path(where).is_relative_to(installed)
    begins = (
        "rhythms of other patients, accuracy:",
        "rhythms of other patients, macro F1:",
        "beats of other patients, accuracy: 0.",
    )
    assert all(line.startswith(begin) for line, begin in zip(lines, begins, strict=False))
    assert sorted(file.name for file in empty.iterdir()) == ["model.bssl", "pipeline.joblib"]
