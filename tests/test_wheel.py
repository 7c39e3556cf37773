"""Wheel and source distribution as users get them: what they hold and ask for; the README block run with the wheel."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import tarfile
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
FOLDERS = ("beatssl_sklearn", "benchmarks", "docs", "tests")
FILES = (
    *("CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in", "Makefile", "README.md"),
    *("constraints-minimum.txt", "constraints.txt", "pyproject.toml", "setup.cfg"),
)


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
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy to build from, so that nothing is left in the checkout."""
    copy = tmp_path_factory.mktemp("source")
    for name in FILES:
        shutil.copy(ROOT / name, copy)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "_build", "generated"))
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    run(*pip, "--wheel-dir", out, source, cwd=out)
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def sdist(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the build backend itself, so that nothing is downloaded."""
    out = tmp_path_factory.mktemp("sdist")
    build = f"from setuptools.build_meta import build_sdist; build_sdist({str(out)!r})"
    run(sys.executable, "-c", build, cwd=source)
    (path,) = out.glob("*.tar.gz")
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
        *("filelock", "joblib", "numpy", "pandas", "safetensors", "scikit-learn", "scipy"),
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


def test_what_is_imported_late_is_named_in_its_extra(metadata: Message) -> None:
    """Not left to what some other package happens to require."""
    # Parts of a package, of which it asks for the very version.
    parts = {"dask": "distributed", "py4j": "pyspark"}
    every = requirements(metadata)
    always = {r.name for r in every if r.marker is None}
    calls = re.compile(r'import_optional\("([\w.]+)",[^)]*?"(\w+)"\)')
    found = set()
    for path in (ROOT / "beatssl_sklearn").rglob("*.py"):
        found |= {
            (module.partition(".")[0], extra) for module, extra in calls.findall(path.read_text(encoding="utf-8"))
        }
    assert len(found) > 10 and ("numcodecs", "zarr") in found
    for module, extra in sorted(found):
        named = always | {r.name for r in every if r.marker is not None and r.marker.evaluate({"extra": extra})}
        assert parts.get(module, module) in named, f"[{extra}] does not name {module}"


def pinned(name: str) -> dict[str, Version]:
    """Read a file of constraints: exact versions without a local part."""
    found = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            package, version = line.split("==")
            assert "+" not in version and "://" not in line
            found[canonicalize_name(package)] = Version(version)
    return found


def test_constraints_are_exact_and_suffice(metadata: Message) -> None:
    versions = pinned("constraints.txt")
    missing = []
    for requirement in requirements(metadata):
        name = canonicalize_name(requirement.name)
        if name == "beatssl-sklearn":
            continue
        if name not in versions:
            missing.append(name)
        else:
            assert requirement.specifier.contains(versions[name]), f"{requirement} excludes {versions[name]}"
    assert not missing
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert {"dev", "docs", "test", "plot"} <= set(setup["options.extras_require"])


def test_minimum_constraints_are_the_floors(metadata: Message) -> None:
    floors = {
        canonicalize_name(requirement.name): Version(bound.version)
        for requirement in requirements(metadata)
        for bound in requirement.specifier
        if bound.operator == ">="
    }
    pins = pinned("constraints-minimum.txt")
    others = {"pyparsing"}  # no requirement of ours: newer ones make matplotlib 3.8.0 warn
    assert len(floors) > 15 and not others & set(floors)
    assert pins.keys() == floors.keys() | others and {name: pins[name] for name in floors} == floors


def test_the_source_distribution_holds_what_the_suite_reads(source: Path, sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    expected = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    made = {name for name in expected | names if ".egg-info/" in name or name.startswith(("build/", "PKG-INFO"))}
    assert names - made == expected - made


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
