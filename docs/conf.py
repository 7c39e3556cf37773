"""Sphinx configuration: Markdown pages through MyST, numpydoc docstrings, no network."""

from typing import Any

from beatssl_sklearn._version import __version__

project = "beatssl_sklearn"
author = "The beatssl_sklearn developers"
copyright = author
release = __version__
version = ".".join(release.split(".")[:2])

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build"]
default_role = "code"
myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autosummary_imported_members = False
autodoc_typehints = "none"
# Inherited members (set_output, get_metadata_routing ...) are scikit-learn's to document.
numpydoc_show_inherited_class_members = False
numpydoc_class_members_toctree = False

html_theme = "alabaster"
html_theme_options = {"description": "ECG embeddings for scikit-learn", "page_width": "1080px"}


def skip_foreign(app: Any, what: str, name: str, member: Any, skip: bool, options: Any) -> bool | None:
    """Leave out methods that scikit-learn defines: it documents them, with references into its own pages."""
    return True if str(getattr(member, "__module__", "")).startswith("sklearn.") else None


def setup(app: Any) -> None:
    app.connect("autodoc-skip-member", skip_foreign)
