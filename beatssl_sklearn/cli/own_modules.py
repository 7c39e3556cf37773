"""The option --import: modules that register classes of the user's own."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path


def import_modules(names: Sequence[str]) -> None:
    """Execute Python files or modules, so that the classes that they register can be named.

    Parameters
    ----------
    names : sequence of str
        Paths of files, or names of modules that Python can find, those in the working directory included.

    Raises
    ------
    ImportError
        If one is not found, or fails; the message names it.
    """
    for name in names:
        try:
            _import(name)
        except (Exception, SystemExit) as error:
            # The file is the user's: it can fail in any way.
            raise ImportError(f"--import {name}: {type(error).__name__}: {error}") from error


def _import(name: str) -> None:
    spec = _spec_of(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError("there is no file or module of this name")
    known = sys.modules.get(spec.name)
    if known is not None:
        if getattr(known, "__file__", None) == spec.origin:
            return
        raise ValueError(f"another module is called {spec.name}; rename the file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise


def _spec_of(name: str) -> ModuleSpec | None:
    path = Path(name)
    if path.suffix == ".py" or path.is_file():
        path = path.resolve(strict=True)
        # Found as a script finds them: modules beside it.
        _find_in(path.parent)
        return importlib.util.spec_from_file_location(path.stem, path)
    _find_in(Path.cwd())
    return importlib.util.find_spec(name)


def _find_in(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
