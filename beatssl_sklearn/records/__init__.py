"""Records at scale: stores that are read when records are needed, and packing into them.

`collection` is what all of them share. `zarr_records` reads the stores that `pack` writes with `writer`;
`store_format` says how records lie there, `quantize` how samples become integers, and `signal_chunks` reads chunks.
`hdf5_records` and `parquet_records` read files of others where they lie; `files` is what they share.
"""

from __future__ import annotations

from .hdf5_records import HDF5Records
from .pack import pack_records
from .parquet_records import ParquetRecords
from .zarr_records import ZarrRecords

__all__ = ["HDF5Records", "ParquetRecords", "ZarrRecords", "pack_records"]
