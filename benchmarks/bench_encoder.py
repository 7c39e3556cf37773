"""Speed of the encoders, beside the speed of plain matrix products.

Command: ``OMP_NUM_THREADS=1 python -m benchmarks.bench_encoder [--rounds 7] [--batch 32]``.
Measures: 10 s records per second and core, one thread, CPU time, medians over rounds that interleave all networks
with matrix products of the same number format; inference (BatchNorm folded, map and pooled embedding) and training
(forward and backward, bfloat16 by autocast with float32 weights, without the optimiser). "roof" is the share of the
matrix products' speed that the network reaches, counting the multiplications of its convolutions on the record as it
is, three times for training.
Cannot show: quality; the speed of the whole ``transform`` or training step; what other programs on the machine cost.
Training allocates and frees hundreds of MB in each step: where the C library hands that back to the system, page
faults add a quarter. The package's own trainings keep it; here, ``MALLOC_TOP_PAD_=1000000000`` in the environment does.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import cast

import torch
from torch import Tensor, nn

from beatssl_sklearn.nn import Encoder, build_encoder, inference_module
from benchmarks.roof import cpu_seconds, gemm_gflops

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
NETWORKS: tuple[tuple[str, str, float, dict[str, str]], ...] = (
    ("beatnet s, 250 Hz", "beatnet", 250.0, {"size": "s"}),
    ("beatnet m, 250 Hz", "beatnet", 250.0, {"size": "m"}),
    ("beatnet l, 250 Hz", "beatnet", 250.0, {"size": "l"}),
    ("beatnet m, 100 Hz", "beatnet", 100.0, {"size": "m"}),
    ("resnet1d, 250 Hz", "resnet1d", 250.0, {}),
)


def count_macs(encoder: nn.Module, n_times: int) -> float:
    """Return the multiplications of the convolutions for one record of `n_times` samples, without padding."""
    macs: list[float] = []

    def count(layer: nn.Module, _: object, y: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        macs.append(layer.weight.numel() * y.shape[-1])

    hooks = [layer.register_forward_hook(count) for layer in encoder.modules() if isinstance(layer, nn.Conv2d)]
    # A length that needs no padding with any of the encoders.
    unpadded = 4096
    with torch.inference_mode():
        encoder(torch.zeros(1, unpadded, 12))
    for hook in hooks:
        hook.remove()
    return sum(macs) * n_times / unpadded


def inference_step(encoder: nn.Module, x: Tensor, precision: str) -> Callable[[], object]:
    """One call that embeds the batch `x`."""
    module = cast(Encoder, inference_module(encoder, precision))
    return lambda: module.pool(module(x))


def training_step(encoder: nn.Module, x: Tensor, precision: str) -> Callable[[], object]:
    """One call that computes the gradients of all weights on the batch `x`."""
    encoder.train()
    protocol = cast(Encoder, encoder)

    def step() -> None:
        encoder.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext():
            h = protocol.pool(protocol(x))
        h.square().mean().backward()

    return step


def main() -> None:
    """Measure and write a table."""
    parser = argparse.ArgumentParser(description="Speed of the encoders")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--networks", default="", help="only those whose name contains this")
    args = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    calls: dict[tuple[str, str, str], Callable[[], object]] = {}
    sizes: dict[str, tuple[float, float]] = {}
    for name, encoder, fs, params in (net for net in NETWORKS if args.networks in net[0]):
        n_times = int(10 * fs)
        x = torch.randn(args.batch, n_times, 12, generator=generator)
        module = build_encoder(encoder, fs, params, generator)
        sizes[name] = sum(p.numel() for p in module.parameters()) / 1e6, count_macs(module, n_times) / 1e6
        for precision in DTYPES:
            calls[name, "inference", precision] = inference_step(module, x, precision)
        for precision in DTYPES:
            calls[name, "training", precision] = training_step(module, x, precision)
    for call in calls.values():
        call()
    seconds: dict[tuple[str, str, str], list[float]] = {key: [] for key in calls}
    roofs: dict[str, list[float]] = {precision: [] for precision in DTYPES}
    for _ in range(args.rounds):
        for key, call in calls.items():
            call()
            seconds[key].append(cpu_seconds(call))
        for precision, dtype in DTYPES.items():
            roofs[precision].append(gemm_gflops(dtype, 0.2))
    roof = {precision: statistics.median(rates) for precision, rates in roofs.items()}
    write = sys.stdout.write
    write(f"matrix products: fp32 {roof['fp32']:.0f}, bf16 {roof['bf16']:.0f} GFLOP/s; batch {args.batch}\n")
    for (name, kind, precision), times in seconds.items():
        rate = args.batch / statistics.median(times)
        gflops = 2e-3 * sizes[name][1] * (3 if kind == "training" else 1) * rate
        write(
            f"{name:18s} {sizes[name][0]:5.2f} M params {sizes[name][1]:5.0f} M MACs {kind:9s} {precision}"
            f" {rate:7.0f} rec/s/core {gflops / roof[precision]:4.0%} of the roof\n"
        )


if __name__ == "__main__":
    main()
