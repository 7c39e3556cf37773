"""Train the segmenter that ships on all records of LUDB that are there.

    python -m benchmarks.delineation.train --epochs 200 --model LUDB.bssl

Writes a file of `beatssl_sklearn.save`; `benchmarks.release_weights` makes the shipped one of it. The scores are those
of `benchmarks.delineation.cross_validate`, whose networks have not seen the records of their scores.

Cannot show: anything about quality; it has seen all records.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from .common import fitted, make_parser, network_file, read_ludb


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.set_defaults(epochs=200)
    parser.add_argument("--model", type=Path, required=True)
    args = parser.parse_args(argv)
    if args.quick:
        args.epochs = 2
    ludb = read_ludb(args.data, args.quick)
    fitted("ours", ludb, np.arange(len(ludb.X)), args, "all")
    shutil.copyfile(network_file("ours", args, "all"), args.model)


if __name__ == "__main__":
    main()
