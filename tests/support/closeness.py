"""Whether two computations agree to rounding."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def values(x: Any) -> NDArray[np.float64]:
    return np.asarray(x.detach().double().cpu() if hasattr(x, "detach") else x, dtype=np.float64)


def assert_close_to_rounding(found: Any, expected: Any, share: float = 1e-6) -> None:
    """Compare with a share of the largest value: a sum rounds by the size of its terms, also where it ends near 0."""
    expected = values(expected)
    np.testing.assert_allclose(values(found), expected, rtol=0, atol=share * np.abs(expected).max())
