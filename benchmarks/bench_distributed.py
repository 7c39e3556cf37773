"""How much faster two processes pretrain than one.

    python -m benchmarks.bench_distributed [--size m] [--fs-model 100] [--batch-size 128] [--processes 2] [--rounds 3]

Measures: pretraining with `BeatSSL` on simulated 12-lead records of 10 s at 500 Hz, in one process and in several that
torchrun starts, in turn, one thread each. Prints records per second of the training steps, as `history_` has them (the
first epoch is left out), CPU seconds of the first process in training, and the ratios to one process. On a machine
whose cores are busy, the ratio of CPU seconds is what free cores would reach at best: it has the work that each process
repeats and the messages, but not the waiting for others.

Cannot show: reading from slow disks, several machines, GPUs. Features of the records are measured in each process, and
are not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from skorch.callbacks import Callback

from beatssl_sklearn import Pretrainer, make_ecg


class CpuSeconds(Callback):
    """CPU seconds of this process in each epoch."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.seconds: list[float] = []

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self.started = time.process_time()

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        self.seconds.append(time.process_time() - self.started)


def train(options: argparse.Namespace) -> None:
    """Fit in this process, and write rates of its epochs; the first process writes."""
    ecg = make_ecg(options.records, rhythm="mixed", fs=500, random_state=0)
    clock = CpuSeconds()
    pretrainer = Pretrainer(
        options.objective,
        encoder=options.encoder,
        encoder_params={"size": options.size} if options.encoder == "beatnet" else None,
        fs_model=options.fs_model,
        batch_size=options.batch_size,
        max_epochs=1 + options.epochs,
        precision=options.precision,
        callbacks=[clock],
        distributed="auto",
        device="cpu",
        random_state=0,
    ).fit(ecg.data)
    if os.environ.get("RANK", "0") == "0":
        rates = [row["records_per_second"] for row in pretrainer.history_[1:]]
        found = {"rate": statistics.median(rates), "cpu": statistics.median(clock.seconds[1:])}
        options.out.write_text(json.dumps(found))


def measure(n: int, arguments: list[str]) -> dict[str, float]:
    """Train in n processes, and return what the first one has written."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rates.json"
        launcher = [] if n == 1 else ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n}"]
        command = [sys.executable, *launcher, "-m", "benchmarks.bench_distributed", *arguments, "--out", str(out)]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        found: dict[str, float] = json.loads(out.read_text())
        return found


def main() -> None:
    """Run the benchmark, or one of its trainings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objective", default="BeatSSL")
    parser.add_argument("--encoder", default="beatnet")
    parser.add_argument("--size", default="m")
    parser.add_argument("--fs-model", type=float, default=100.0)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--records", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path, help="JSON file for the results")
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.out is not None:
        train(options)
        return
    load = os.getloadavg()[0]
    print(f"load of the machine: {load:.1f} on {os.cpu_count()} cores")
    rows, rates, seconds = [], [], []
    for _ in range(options.rounds):
        one, several = (measure(n, sys.argv[1:]) for n in (1, options.processes))
        rows.append({"1": one, str(options.processes): several})
        rates.append(several["rate"] / one["rate"])
        seconds.append(one["cpu"] / several["cpu"])
        print(f"records/s: {one['rate']:.0f} and {several['rate']:.0f}, x {rates[-1]:.2f}", end="; ")
        print(f"CPU seconds of an epoch: {one['cpu']:.2f} and {several['cpu']:.2f}, x {seconds[-1]:.2f}")
    medians = {"records_per_s": round(statistics.median(rates), 3), "cpu_s": round(statistics.median(seconds), 3)}
    print(f"median: x {medians['records_per_s']:.2f} in records/s, x {medians['cpu_s']:.2f} in CPU seconds")
    if options.results is not None:
        command = "python -m benchmarks.bench_distributed " + " ".join(sys.argv[1:])
        about = {"command": command, "date": time.strftime("%Y-%m-%d"), "cores": os.cpu_count(), "load": round(load, 1)}
        found = {"about": about, "rounds": rows, "faster": medians}
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
