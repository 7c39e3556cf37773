"""What a training step costs, and how much of it is not the encoder.

    OMP_NUM_THREADS=1 python -m benchmarks.bench_pretrain_step

Measures: whole steps of the pretraining (preprocessing, two views, forward, both losses, backward, optimiser) on
simulated 12-lead records of 10 s at 500 Hz, size m with fs_model=250: views per second of CPU time on one thread, the
share of the encoder (its forward and backward alone, on the same views), of the heads and losses (all that follows the
feature map, forward and backward), and of drawing the views; the encoder's share of a GEMM of the same precision that
runs in between. An epoch is one step, and a callback times it; the parts are timed between the steps. Medians of steps.

Cannot show: several threads, a GPU, or how many steps a good model takes. The share of the roof depends on the
machine: where bf16 products are many times faster than memory (AMX), elementwise work weighs more.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor, nn

from beatssl_sklearn import BeatSSLPretrainer, VCGViews, make_ecg
from benchmarks.bench_transform import encoder_flops
from benchmarks.roof import cpu_seconds, gemm_gflops

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class StepTimes(Callback):
    """Times whole steps, and calls back with the batch of each; skorch reports a step's begin after its batch is drawn.

    Parameters
    ----------
    between : callable
        Called as ``between(net, inputs, targets)`` after each step, outside of its time.
    """

    def __init__(self, between: Callable[[Any, dict[str, Tensor], Any], None]) -> None:
        self.between = between
        self.seconds: list[float] = []

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self.started = time.process_time()

    def on_batch_end(self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        self.seconds.append(time.process_time() - self.started)
        self.between(net, *batch)


class GivenMap(nn.Module):
    """Stands for an encoder: returns a feature map that is known already."""

    def __init__(self, encoder: Any, feature_map: Tensor) -> None:
        super().__init__()
        self.feature_map, self.pool = feature_map, encoder.pool

    def forward(self, x: Tensor) -> Tensor:
        return self.feature_map


class Parts:
    """The parts of a step, timed on the batch of the step before."""

    def __init__(self, encoder: nn.Module, precision: str) -> None:
        self.encoder, self.precision = encoder, precision
        self.seconds: dict[str, list[float]] = {"encoder": [], "losses": [], "views": []}
        self.gemm: list[float] = []

    def __call__(self, net: Any, inputs: dict[str, Tensor], targets: Any) -> None:
        signal = inputs["signal"]
        self.gemm.append(gemm_gflops(_DTYPES[self.precision], 0.2))
        self._time("encoder", lambda: self._encode(signal))
        given = GivenMap(self.encoder, self._encoded(signal).detach().requires_grad_())
        self._time("losses", lambda: self._loss(net, given, inputs, targets).backward())
        self._time("views", lambda: draw_views(signal))

    def _time(self, name: str, part: Callable[[], object]) -> None:
        self.seconds[name].append(cpu_seconds(part))

    def _encode(self, signal: Tensor) -> None:
        feature_map = self._encoded(signal)
        feature_map.backward(torch.ones_like(feature_map))

    def _encoded(self, signal: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16"):
            feature_map: Tensor = self.encoder(signal)
        return feature_map

    def _loss(self, net: Any, given: nn.Module, inputs: dict[str, Tensor], targets: Any) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16"):
            outputs = net.module_.heads(given, **inputs)
        loss: Tensor = net.criterion_(outputs, targets)
        return loss


def draw_views(signal: Tensor) -> None:
    """Draw two views of the first half of a batch."""
    generator, half, views = torch.Generator().manual_seed(0), len(signal) // 2, VCGViews()
    for _ in range(2):
        views(signal[:half], torch.ones(half, 12, dtype=torch.bool), generator)


def measure(X: np.ndarray, precision: str, rounds: int) -> dict[str, float]:
    """Return median seconds of a step and of its parts, and GFLOP/s of a GEMM in between."""

    def pretrainer(max_epochs: int, **more: Any) -> BeatSSLPretrainer:
        run: dict[str, Any] = {"batch_size": len(X), "precision": precision, "random_state": 0, "device": "cpu"}
        return BeatSSLPretrainer(fs=500, fs_model=250, max_epochs=max_epochs, **run, **more)

    parts = Parts(pretrainer(0).fit(X).encoder_.module().train(), precision)
    steps = StepTimes(parts)
    pretrainer(rounds + 1, callbacks=[steps]).fit(X)
    # The first step warms up.
    seconds = {"whole": steps.seconds, **parts.seconds}
    median = {name: statistics.median(spent[1:]) for name, spent in seconds.items()}
    return median | {"gemm_gflops": statistics.median(parts.gemm[1:])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=64, help="records; a step has twice as many views")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=None, help="JSON file for the figures")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    X = make_ecg(arguments.batch_size, rhythm="mixed", random_state=0).data
    views = 2 * arguments.batch_size
    work = views * 3 * encoder_flops(2500) / 1e9
    results: dict[str, Any] = {}
    print("precision  views/s  encoder  losses  augmentation  encoder/GEMM  step/GEMM")
    for precision in ("fp32", "bf16"):
        median = measure(X, precision, arguments.rounds)
        row = {
            "views_per_second": views / median["whole"],
            "encoder_share": median["encoder"] / median["whole"],
            "losses_share": median["losses"] / median["whole"],
            "augmentation_share": median["views"] / median["whole"],
            "encoder_of_gemm": work / median["encoder"] / median["gemm_gflops"],
            "step_of_gemm": work / median["whole"] / median["gemm_gflops"],
            "gemm_gflops": median["gemm_gflops"],
        }
        results[precision] = row
        print(
            f"{precision:9s}{row['views_per_second']:9.0f}{row['encoder_share']:9.1%}{row['losses_share']:8.1%}"
            f"{row['augmentation_share']:14.1%}{row['encoder_of_gemm']:14.1%}{row['step_of_gemm']:11.1%}"
        )
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
