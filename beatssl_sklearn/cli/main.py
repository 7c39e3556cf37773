"""The command line: beatssl demo | pretrain | embed | delineate | info."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

from .embed import run_embed
from .folder import say
from .info import run_info
from .parser import build_parser
from .pretrain import run_pretrain


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status: 0 done, 1 bad records under --strict, 2 not done, 130 interrupted."""
    arguments = build_parser().parse_args(argv)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            return _COMMANDS[arguments.command](arguments)
        except (ValueError, TypeError, OSError, ImportError, FloatingPointError) as error:
            sys.stderr.write(f"beatssl: {error}\n")
            return 2
        except KeyboardInterrupt:
            sys.stderr.write("beatssl: interrupted\n")
            return 130




def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    from tqdm import tqdm

    tqdm.write(f"warning: {message}", file=sys.stderr)






def _demo(arguments: argparse.Namespace) -> int:
    from .demo import run_demo

    run_demo(arguments.out, arguments.data, arguments.seed, say=say)
    return 0






















def _delineate(arguments: argparse.Namespace) -> int:
    from .delineate import run_delineate

    return run_delineate(arguments)




_COMMANDS = {"demo": _demo, "pretrain": run_pretrain, "embed": run_embed, "delineate": _delineate, "info": run_info}


if __name__ == "__main__":
    sys.exit(main())
