"""What a `ReportAligner` keeps of the records of `fit`: their vectors and frequent reports, or little of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Records that decide where a probability is .5.
N_REFERENCE = 512


def keeps_records(gallery: NDArray[np.floating], captions: NDArray[np.str_]) -> bool:
    """Whether the vectors are those of all records of `fit`.

    Parameters
    ----------
    gallery : ndarray (n, p)
        Vectors.
    captions : ndarray of str
        Reports, which are kept together with all vectors.
    """
    return len(captions) > 0 or len(gallery) > N_REFERENCE


def without_records(gallery: NDArray[np.float16], rows: NDArray[np.int64]) -> dict[str, Any]:
    """Return the attributes of an aligner that keeps no report, and no more vectors than probabilities need.

    Parameters
    ----------
    gallery : ndarray (n, p)
        Vectors of records.
    rows : ndarray of int64 (n,)
        Rows of X that they belong to.
    """
    n = len(gallery)
    chosen = np.linspace(0, n - 1, min(n, N_REFERENCE)).astype(np.int64)
    return {"gallery_": gallery[chosen], "gallery_rows_": rows[chosen], "captions_": np.array([], dtype=str)}
