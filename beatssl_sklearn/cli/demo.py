"""The command `beatssl demo`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from .messages import say
from .parser import add_seed, new_command


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    text = "Use the shipped models, then pretrain one, score its embeddings and draw them; needs no data."
    command = new_command(commands, "demo", text, run)
    command.add_argument("--out", type=Path, default=Path("demo_output"), help="folder for the results [%(default)s]")
    command.add_argument("--data", type=Path, help="folder of WFDB records, for example PTB-XL; without it: simulated")
    add_seed(command)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    # For torch, which is imported next. The threads of so small a network wait for each other more than they compute;
    # on a busy machine they need ten times the processor time.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from ..components import seed_of
    from .demo_steps import FILES, run_demo
    from .outputs import check_folder, check_outputs

    # What cannot be done is noticed before the work.
    seed_of(arguments.seed)
    arguments.folder = arguments.data
    check_outputs([arguments.out / name for name in FILES], arguments)
    check_folder(arguments.out, "--out")
    run_demo(arguments.out, arguments.data, arguments.seed, say=say)
    return 0
