"""Ways of pretraining that the package does not offer, put in its place while a row of the ablation is fitted.

"average": what is kept is a moving average of the weights. "teacher": so it is, and that average also embeds the second
view, without gradients, for the contrast (a momentum teacher, He et al. 2020, arXiv 1911.05722; Grill et al. 2020,
arXiv 2006.07733). "windows": every view is another window of `WINDOW` seconds of the record, in place of the whole
record twice; for rows without heads for beats, since the beats of two windows are not the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from beatssl_sklearn.nn.roi import sample_to_token
from beatssl_sklearn.pretraining import run as training
from beatssl_sklearn.pretraining.batches import Context, PretrainingBatches, Views
from beatssl_sklearn.pretraining.beat_ssl import BeatSSLNet, Outputs

MOMENTUM = 0.98
WINDOW = 5.0
TRIALS = ("average", "teacher", "windows")


class AveragingNet(BeatSSLNet):
    """Keeps a moving average of the weights, which replaces them at the end."""

    def initialize_module(self) -> AveragingNet:
        super().initialize_module()
        self.average_: nn.Module = deepcopy(self.module_).requires_grad_(False)
        return self

    def train_step(self, batch: Any, **fit_params: Any) -> Any:
        done = super().train_step(batch, **fit_params)
        with torch.no_grad():
            for own, new in zip(self._state(self.average_), self._state(self.module_), strict=True):
                own.lerp_(new, 1 - MOMENTUM)
        return done

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        super().on_train_end(net, **kwargs)
        self.module_.load_state_dict(self.average_.state_dict())

    def _state(self, module: nn.Module) -> list[Tensor]:
        return [tensor for tensor in module.state_dict().values() if tensor.is_floating_point()]


class TeacherNet(AveragingNet):
    """Lets the average embed the second view; what the heads predict comes from the first alone."""

    def infer(self, x: Any, **fit_params: Any) -> Outputs:
        first, second = _halves(x)
        student: Outputs = super().infer(first, **fit_params)
        with torch.no_grad(), torch.autocast(torch.device(self.device).type, torch.bfloat16, self.precision == "bf16"):
            taught = self.average_(**second)
        pairs = zip(student[:3], taught[:3], strict=True)
        embedding, rhythm, beats = (None if own is None else torch.cat([own, other]) for own, other in pairs)
        assert embedding is not None
        return Outputs(embedding, rhythm, beats, student.features, student.beat_features)

    def _state(self, module: nn.Module) -> list[Tensor]:
        # The teacher sees batches, so that it has running statistics of its own.
        return list(module.parameters())


def _halves(x: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Part the inputs of two views."""
    n, n_beats = len(x["signal"]) // 2, len(x["roi_record"]) // 2
    first = {k: v[: n if k == "signal" else n_beats] for k, v in x.items()}
    second = {k: v[n if k == "signal" else n_beats :] for k, v in x.items()}
    return first, {**second, "roi_record": second["roi_record"] - n}


class WindowBatches(PretrainingBatches):
    """Draws a window of each record for each view."""

    def __init__(self, data: Any, *args: Any, **kwargs: Any) -> None:
        n_times = round(WINDOW * data.fs_model)
        super().__init__(replace(data, window=WINDOW, n_times=n_times, whole_records=False), *args, **kwargs)

    def _batch(
        self, index: NDArray[np.int64], rng: np.random.Generator, generator: torch.Generator
    ) -> tuple[Views, Context]:
        signals, rows, times = [], [], []
        for k in range(self.n_views):
            start = self.data.draw_start(index, rng)
            signal, present = (self._to_device(a) for a in self._read(index, start))
            _, record, time = self.data.beats_of(index, start, self.beat_window)
            signals.append(self.augment(signal, present, generator)[0])
            rows.append(record + k * len(index))
            times.append(time)
        samples = torch.from_numpy(np.concatenate(times)) * self.data.fs_model
        first, last = (
            sample_to_token(samples + shift * self.data.fs_model, self.stride)
            for shift in (-self.beat_window[0], self.beat_window[1])
        )
        none = np.zeros(0, dtype=np.int64)
        views = Views(torch.cat(signals), torch.from_numpy(np.concatenate(rows)), first, last)
        return views, self._context(index, none, none)


@contextmanager
def in_place(trial: str | None) -> Iterator[None]:
    """Fit as a trial does inside the block; None changes nothing."""
    if trial not in (None, *TRIALS):
        raise ValueError(f"trial must be one of {', '.join(TRIALS)}, got {trial!r}")
    net: Any = {"average": AveragingNet, "teacher": TeacherNet}.get(trial or "", BeatSSLNet)
    batches: Any = WindowBatches if trial == "windows" else PretrainingBatches
    patched: Any = training
    patched.BeatSSLNet, patched.PretrainingBatches = net, batches
    try:
        yield
    finally:
        patched.BeatSSLNet, patched.PretrainingBatches = BeatSSLNet, PretrainingBatches
