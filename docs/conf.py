"""Sphinx configuration: Markdown pages through MyST, numpydoc docstrings, a gallery that is run, no network."""

import os
import re
import sys
from pathlib import Path
from typing import Any

from beatssl_sklearn._version import __version__

HERE = Path(__file__).parent
# Our own small extensions.
sys.path.insert(0, str(HERE / "_ext"))
# Examples read real ECGs where this variable names a folder. The one beside the checkout needs no variable.
if (HERE.parents[1] / "shared" / "data").is_dir():
    os.environ.setdefault("BEATSSL_DATA", str(HERE.parents[1] / "shared" / "data"))

project = "beatssl_sklearn"
author = "The beatssl_sklearn developers"
copyright = author
release = __version__
version = ".".join(release.split(".")[:2])

extensions = [
    *("myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"),
    *("sphinx_gallery.gen_gallery", "mathml"),
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
# `gallery` has the sources of `generated/gallery`.
exclude_patterns = ["_build", "gallery"]
templates_path = ["_templates"]
default_role = "code"
myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autosummary_imported_members = False
autodoc_typehints = "none"
# The list at the right is narrow: fit(), not RhythmEmbedder.fit().
toc_object_entries_show_parents = "hide"
# The template of classes lists the methods.
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "generated/gallery",
    "backreferences_dir": "generated/examples",
    "doc_module": ("beatssl_sklearn",),
    "within_subsection_order": "FileNameSortKey",
    "reset_modules": ("matplotlib", "pictures.set_up"),
    "capture_repr": (),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "remove_config_comments": True,
    "write_computation_times": False,
    "min_reported_time": 10_000,
    "show_signature": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "beatssl_sklearn"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
# MathJax would come from the network, each time a page is read.
html_math_renderer = "mathml"
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"**": ["all-pages"]}
html_theme_options = {
    "logo": {"text": "beatssl_sklearn"},
    "navbar_align": "left",
    "navbar_center": [],
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button-field"],
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}

# Others document what estimators, networks and named tuples inherit from them.
FOREIGN = ("sklearn.", "torch.", "builtins", "collections", "typing")


def skip_foreign(app: Any, what: str, name: str, member: Any, skip: bool, options: Any) -> bool | None:
    """Leave out methods that other packages define: they document them, with references into their own pages."""
    # Methods of built-in types, such as those of a named tuple, name their class and not its module.
    owner = getattr(member, "__objclass__", member)
    return True if str(getattr(owner, "__module__", "")).startswith(FOREIGN) else None


def escape_underscores(app: Any, what: str, name: str, member: Any, options: Any, lines: list[str]) -> None:
    """Keep a shape such as (n_texts, n_dims_) from being a link: in reStructuredText a last underscore makes one."""
    lines[:] = [line if "`" in line else re.sub(r"(\w)_(?=[,)])", r"\1\_", line) for line in lines]


def setup(app: Any) -> None:
    app.connect("autodoc-skip-member", skip_foreign)
    app.connect("autodoc-process-docstring", escape_underscores)
