"""How the pictures of the gallery look. sphinx-gallery calls `set_up` before each example."""

from typing import Any

import matplotlib


def set_up(gallery_conf: dict[str, Any], example: str | None) -> None:
    """Set what all pictures share; sphinx-gallery has set matplotlib back before."""
    matplotlib.rcParams.update({"savefig.dpi": 150, "font.size": 11})
