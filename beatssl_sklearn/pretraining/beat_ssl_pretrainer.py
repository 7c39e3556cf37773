"""BeatSSLPretrainer: the pretrainer of the published method, by its name."""

from __future__ import annotations

from typing import Any

from ..components import register
from .beat_ssl import BeatSSL
from .pretrainer import Pretrainer

PAPER_PRESET: dict[str, Any] = {"objective": BeatSSL.paper()}
"""What the Beat-SSL publication states of its best setting; whatever it does not state stays this package's default."""


@register
class BeatSSLPretrainer(Pretrainer):
    """Pretrain an ECG encoder by Beat-SSL's contrast of records and of heartbeats, and embed records with it.

    A `Pretrainer` whose objective is `BeatSSL` unless another one is given; all parameters, attributes and methods are
    those of `Pretrainer`.

    Examples
    --------
    >>> from beatssl_sklearn import BeatSSLPretrainer, make_ecg
    >>> ecg = make_ecg(16, rhythm="mixed", fs=100, random_state=0)
    >>> pre = BeatSSLPretrainer(fs=100, encoder_params={"size": "s"}, max_epochs=1, batch_size=8, random_state=0)
    >>> pre.fit_transform(ecg.data).shape
    (16, 960)
    """

