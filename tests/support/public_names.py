"""What users can import: the names of the top level, of the rooms' doors, and of modules with documented paths."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import beatssl_sklearn

PACKAGE = "beatssl_sklearn"
_ROOT = Path(beatssl_sklearn.__file__).parent
# Rooms that are files, and modules whose paths are documented.
_MODULES = ("components", "persistence", "evaluation.probing", "evaluation.metrics")


def doors() -> list[str]:
    """Return the paths below the package that users import from; "" is the package itself."""
    folders = sorted(path.parent.relative_to(_ROOT).parts for path in _ROOT.rglob("__init__.py"))
    return [*(".".join(parts) for parts in folders), *_MODULES]


def public_names() -> dict[str, Any]:
    """Return all public names below the package, such as "ecg.waves.find_waves", and what they are."""
    found = {}
    for door in doors():
        module = importlib.import_module(f"{PACKAGE}.{door}" if door else PACKAGE)
        prefix = f"{door}." if door else ""
        found |= {f"{prefix}{name}": getattr(module, name) for name in getattr(module, "__all__", ())}
    return {name: value for name, value in found.items() if name != "__version__"}
