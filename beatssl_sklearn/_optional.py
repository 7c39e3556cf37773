"""Optional packages, and the line of the user's code that a warning points at."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

# Frames of these packages are not the user's: they call this package back, as in `Pipeline.fit` or `Parallel`.
_CALLERS = ("sklearn", "joblib", "skorch", "torch")
_OWN_FOLDER = os.path.dirname(os.path.abspath(__file__))


def import_optional(module: str, purpose: str, extra: str) -> Any:
    """Import a module of an optional package.

    Parameters
    ----------
    module : str
        Name of the module, such as "matplotlib.figure".
    purpose : str
        What needs the package: the subject of the error message.
    extra : str
        The extra of this package that installs it.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        If the package is missing. The message names the purpose and the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise ImportError(f"{purpose} needs {name}: pip install 'beatssl-sklearn[{extra}]'") from error


def find_stack_level() -> int:
    """Find the `stacklevel` at which ``warnings.warn`` points at the user's code.

    Returns
    -------
    int
        Level of the first frame whose file lies outside of this package, scikit-learn, joblib and skorch. It holds
        for a call of ``warnings.warn`` in the function that calls this one.

    Notes
    -----
    Modelled on the function of the same name in pandas.
    """
    # A package that was never imported has no frame.
    files = [getattr(sys.modules.get(name), "__file__", None) for name in _CALLERS]
    # With the separator, so that `sklearn_extra` is not taken for `sklearn`.
    skipped = tuple(os.path.join(folder, "") for folder in (_OWN_FOLDER, *(os.path.dirname(f) for f in files if f)))
    level = 1
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(skipped):
        frame = frame.f_back
        level += 1
    return level
