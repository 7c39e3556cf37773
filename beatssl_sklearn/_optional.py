"""Optional packages."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass

def require(module: str, option: str, extra: str) -> Any:
    """Import an optional package.

    Raises
    ------
    ImportError
        If it is missing; the message says what for it is needed, and how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise ImportError(f"{option} needs {name}: pip install 'beatssl-sklearn[{extra}]'") from error
