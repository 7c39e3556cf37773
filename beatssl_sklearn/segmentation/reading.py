"""Reading: how a segmenter without an encoder reads records."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

from .._file_values import check_type
from ..components import check_number, register
from ..ecg.preprocess import check_fs
from ..embedding.encoder_checks import check_reading
from ..embedding.fitted_encoder import FittedEncoder
from ..inputs.front_end import FrontEnd


@register
@dataclass(frozen=True)
class Reading:
    """How records are read where there is no encoder that says so.

    Parameters
    ----------
    front_end : FrontEnd
        How signals are prepared, and where heartbeats are.
    fs : float
        Sampling rate of arrays [Hz].
    leads : tuple of str or None
        Names of the leads of arrays.
    allow_nan : bool
        Whether NaN counts as missing samples.
    n_leads : int or None
        Leads that arrays must have; None takes any number.
    """

    front_end: FrontEnd
    fs: float = 500.0
    leads: tuple[str, ...] | None = None
    allow_nan: bool = False
    n_leads: int | None = None

    def _check_file(self) -> None:
        check_type("front_end", self.front_end, FrontEnd)
        check_fs(self.fs)
        check_reading(vars(self))
        if self.n_leads is not None:
            check_number("n_leads", self.n_leads, Integral, 1)

    @classmethod
    def of(cls, encoder: FittedEncoder) -> Reading:
        """Return how an encoder reads."""
        return cls(**{name: getattr(encoder, name) for name in cls.__dataclass_fields__})

    def described(self, **changes: Any) -> Reading:
        """Return the same for an X that is described in another way."""
        return replace(self, **changes)
