"""Speed of plain matrix products in this process: the roof under which every network works.

Command: ``OMP_NUM_THREADS=1 python -m benchmarks.roof``.
Measures: GFLOP/s of ``torch.matmul``, one thread, CPU time, the best repetition of the best of several sizes.
Cannot show: memory bandwidth, which limits thin layers and everything elementwise, or the roof of a machine whose
other core is busy at the same time (shared cache and clock).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

import torch

# Square, and tall and thin as the products inside a convolution are.
SIZES = ((512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048), (4096, 576, 192), (10000, 1728, 192))


def cpu_seconds(call: Callable[[], object]) -> float:
    """CPU time of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def best_cpu_seconds(call: Callable[[], object], seconds: float = 0.3) -> float:
    """Shortest CPU time of one `call` within about `seconds` of repetitions, after one to warm up."""
    call()
    best, until = float("inf"), time.process_time() + seconds
    while time.process_time() < until:
        start = time.process_time()
        call()
        best = min(best, time.process_time() - start)
    return best


@torch.inference_mode()
def gemm_gflops(dtype: torch.dtype, seconds: float = 0.3) -> float:
    """Fastest matrix product of `dtype` [GFLOP/s]; `seconds` of CPU time are spent in all."""
    rates = []
    for m, k, n in SIZES:
        a, b = torch.ones((m, k), dtype=dtype), torch.ones((k, n), dtype=dtype)
        rates.append(2e-9 * m * k * n / best_cpu_seconds(partial(torch.matmul, a, b), seconds / len(SIZES)))
    return max(rates)


def main() -> None:
    """Write one line per number format."""
    for dtype in (torch.float32, torch.bfloat16):
        sys.stdout.write(
            f"{str(dtype):15s} {gemm_gflops(dtype, 2.0):8.0f} GFLOP/s, {torch.get_num_threads()} thread(s)\n"
        )


if __name__ == "__main__":
    main()
