"""Public ECG sets as scikit-learn Bunches: a local folder in the publisher's layout, or a download through wfdb."""

from ._aami import AAMI_CLASS
from ._cinc2017 import fetch_cinc2017
from ._ludb import fetch_ludb, ludb_masks, ludb_waves
from ._mitdb import DS1, DS2, fetch_mitdb
from ._ptbxl import fetch_ptbxl
from ._qtdb import fetch_qtdb
from ._svdb import fetch_svdb

__all__ = [
    "AAMI_CLASS",
    "DS1",
    "DS2",
    "fetch_cinc2017",
    "fetch_ludb",
    "fetch_mitdb",
    "fetch_ptbxl",
    "fetch_qtdb",
    "fetch_svdb",
    "ludb_masks",
    "ludb_waves",
]
