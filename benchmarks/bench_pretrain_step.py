"""What a training step costs, and how much of it is not the encoder.

    OMP_NUM_THREADS=1 python -m benchmarks.bench_pretrain_step

Measures: whole steps of the pretraining (preprocessing, two views, forward, both losses, backward, optimiser) on
simulated 12-lead records of 10 s at 500 Hz, size m with fs_model=250: views per second of CPU time on one thread, the
share of the encoder (its forward and backward alone, on the same views), of the losses and projectors, and of the
augmentation; the encoder's share of a GEMM of the same precision that runs in between. Medians of interleaved rounds.

Cannot show: several threads, a GPU, or how many steps a good model takes. The share of the roof depends on the
machine: where bf16 products are many times faster than memory (AMX), elementwise work weighs more.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from beatssl_sklearn import BeatSSLPretrainer, make_ecg
from beatssl_sklearn.nn.blocks import Encoder
from beatssl_sklearn.pretraining.batches import PretrainingBatches
from beatssl_sklearn.pretraining.run import build_module, build_net, measure_records
from beatssl_sklearn.views.augment import resolve_augment
from benchmarks.bench_transform import encoder_flops
from benchmarks.roof import cpu_seconds, gemm_gflops

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Step:
    """One net and its batches, taken apart so that the parts can be timed."""

    def __init__(self, X: np.ndarray, batch_size: int, precision: str) -> None:
        self.pre = BeatSSLPretrainer(
            fs=500, fs_model=250, batch_size=batch_size, max_epochs=1, precision=precision, random_state=0, device="cpu"
        )
        module = build_module(self.pre, 0, None)
        source = self.pre._source(X, fs=500.0, leads=None, allow_nan=False, reset=True)
        data = measure_records(self.pre, source, None, None, 0)
        device = torch.device("cpu")
        self.batches, none_held_out = (
            PretrainingBatches(
                data,
                index,
                batch_size=batch_size,
                augment=resolve_augment("vcg", None),
                stride=cast(Encoder, module.encoder).stride,
                beat_window=(0.25, 0.45),
                device=device,
                seed=0,
            )
            for index in (data.usable, data.usable[:0])
        )
        self.net = build_net(self.pre, module, data, device, precision, 1, False, self.batches, none_held_out, None)
        self.net.history.new_epoch()
        self.batch = next(iter(self.batches))
        self.signal = self.batch[0]["signal"]
        self.augment = resolve_augment("vcg", None)
        self.precision = precision

    def whole(self) -> None:
        self.net.train_step(next(iter(self.batches)))

    def encoder(self) -> None:
        encoder = self.net.module_.encoder
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16"):
            feature_map = encoder(self.signal)
        feature_map.backward(torch.ones_like(feature_map))

    def losses(self) -> None:
        net = self.net
        n_views, n_regions = len(self.signal), len(self.batch[0]["roi_record"])
        widths = net.module_.encoder.n_dims_record, net.module_.encoder.n_dims
        pooled = torch.randn(n_views, widths[0], requires_grad=True)
        beats = torch.randn(n_regions, widths[1], requires_grad=True)
        projections = net.module_.rhythm_projector(pooled), net.module_.beat_projector(beats)
        net.criterion_(projections, self.batch[1]).backward()

    def augmentation(self) -> None:
        generator = torch.Generator().manual_seed(0)
        half = len(self.signal) // 2
        for _ in range(2):
            self.augment(self.signal[:half], torch.ones(half, 12, dtype=torch.bool), generator)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=64, help="records; a step has twice as many views")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=None, help="JSON file for the figures")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    X = make_ecg(arguments.batch_size, rhythm="mixed", random_state=0).data
    flops = 3 * encoder_flops(2500)
    results: dict[str, Any] = {}
    print("precision  views/s  encoder  losses  augmentation  encoder/GEMM  step/GEMM")
    for precision in ("fp32", "bf16"):
        step = Step(X, arguments.batch_size, precision)
        names = ("whole", "encoder", "losses", "augmentation")
        seconds: dict[str, list[float]] = {name: [] for name in names}
        gemm = []
        for round_number in range(arguments.rounds + 1):
            gemm.append(gemm_gflops(_DTYPES[precision], 0.2))
            for name in names:
                spent = cpu_seconds(getattr(step, name))
                if round_number:
                    seconds[name].append(spent)
        median = {name: statistics.median(s) for name, s in seconds.items()}
        views = 2 * arguments.batch_size
        roof = statistics.median(gemm)
        row = {
            "views_per_second": views / median["whole"],
            "encoder_share": median["encoder"] / median["whole"],
            "losses_share": median["losses"] / median["whole"],
            "augmentation_share": median["augmentation"] / median["whole"],
            "encoder_of_gemm": views * flops / median["encoder"] / 1e9 / roof,
            "step_of_gemm": views * flops / median["whole"] / 1e9 / roof,
            "gemm_gflops": roof,
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
