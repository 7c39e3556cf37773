"""The examples of the gallery: short, on public names, and each one runs and draws."""

from __future__ import annotations

import ast
import importlib
import re
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import sklearn

GALLERY = Path(__file__).parents[1] / "docs" / "gallery"
EXAMPLES = sorted(GALLERY.glob("*.py"))
PACKAGE = "beatssl_sklearn"
# A second or two each.
QUICK = ("plot_01_embeddings.py", "plot_13_quality.py")
# What real records would be used for; without them every example takes simulated ones.
DATA = "BEATSSL_DATA"

each = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)


def run(example: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run an example in an empty folder, with its temporary files there, and expect a picture with something in it."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    plt.close("all")
    with sklearn.config_context():
        exec(compile(example.read_text(encoding="utf-8"), example.name, "exec"), {"__name__": "__main__"})
    try:
        assert plt.get_fignums(), "there is no picture"
        assert any(ax.has_data() for number in plt.get_fignums() for ax in plt.figure(number).axes)
    finally:
        plt.close("all")


def test_there_are_enough_and_all_are_run() -> None:
    # sphinx-gallery runs files whose names begin with plot.
    assert len(EXAMPLES) >= 12 and all(example.name.startswith("plot_") for example in EXAMPLES)
    assert (GALLERY / "GALLERY_HEADER.rst").exists()


@each
def test_an_example_fits_on_a_screen(example: Path) -> None:
    lines = example.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 60 and max(map(len, lines)) <= 120


@each
def test_an_example_takes_public_names_and_says_whose_ecgs_it_has(example: Path) -> None:
    tree = ast.parse(example.read_text(encoding="utf-8"))
    title, line, *text = (ast.get_docstring(tree) or "").splitlines()
    assert set(line) == {"="} and len(line) == len(title)
    assert re.search("[Ss]imulated", "\n".join(text))
    for node in ast.walk(tree):
        module = node.module if isinstance(node, ast.ImportFrom) else None
        if module is not None and module.split(".")[0] == PACKAGE:
            public = set(importlib.import_module(module).__all__)
            assert {alias.name for alias in node.names} <= public, module
        assert not (isinstance(node, ast.Import) and node.names[0].name.startswith(PACKAGE))


@each
def test_an_example_ends_in_a_picture(example: Path) -> None:
    """The last block draws: sphinx-gallery shows its picture at the end of the page."""
    last = example.read_text(encoding="utf-8").rpartition("\n# %%\n")[2]
    called = {ast.unparse(node.func) for node in ast.walk(ast.parse(last)) if isinstance(node, ast.Call)}
    assert any(name.startswith("plot_") or name == "plt.subplots" for name in called)


@each
def test_links_to_pages_exist(example: Path) -> None:
    for target in re.findall(r":doc:`/([^`]+)`", example.read_text(encoding="utf-8")):
        assert (GALLERY.parent / f"{target}.md").exists(), target


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_example_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATA, raising=False)
    run(GALLERY / name, tmp_path, monkeypatch)


@pytest.mark.slow
@each
def test_an_example_runs_on_simulated_records(example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATA, raising=False)
    run(example, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize(
    "example", [example for example in EXAMPLES if DATA in example.read_text()], ids=lambda example: example.stem
)
def test_an_example_runs_on_real_records(
    example: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATA, str(data_dir))
    run(example, tmp_path, monkeypatch)
