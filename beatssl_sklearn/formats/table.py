"""The formats: how each is recognized, by its first bytes, or else by the extension of the file's name."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import NamedTuple

from ..ecg.wfdb.paths import refuse
from .aecg import read_aecg
from .contents import Contents, Options, Place
from .csv_table import read_csv
from .dicom import read_dicom
from .edf import read_bdf, read_edf
from .hdf5 import read_hdf5
from .ishne import read_ishne
from .matlab import read_mat
from .muse import read_muse
from .npy import read_npy
from .scp import read_scp
from .sierra import read_sierra
from .xml_guard import root_element

HEAD_BYTES = 2**14
"""Bytes from the beginning of a file that tell its format."""


class Format(NamedTuple):
    """One format.

    Attributes
    ----------
    name : str
        What `info` calls it.
    read : callable
        Its reader.
    extensions : tuple of str
        Extensions of names that such files have.
    states_all : bool
        Whether files say what they are, their rate and their leads. Arrays and tables do not.
    """

    name: str
    read: Callable[[Place, Options], Contents]
    extensions: tuple[str, ...]
    states_all: bool = True


_EDF = Format("EDF", read_edf, (".edf", ".rec"))
_BDF = Format("BDF", read_bdf, (".bdf",))
_DICOM = Format("DICOM", read_dicom, (".dcm", ".dicom"))
_AECG = Format("HL7 aECG", read_aecg, (".xml",))
_MUSE = Format("GE MUSE", read_muse, (".xml",))
_SIERRA = Format("Philips Sierra", read_sierra, (".xml",))
_SCP = Format("SCP-ECG", read_scp, (".scp",))
_ISHNE = Format("ISHNE", read_ishne, (".ecg", ".ishne"))
_CSV = Format("CSV", read_csv, (".csv", ".tsv", ".txt"), states_all=False)
_NPY = Format("NumPy", read_npy, (".npy",), states_all=False)
_MAT = Format("MATLAB", read_mat, (".mat",), states_all=False)
_HDF5 = Format("HDF5", read_hdf5, (".h5", ".hdf5", ".hdf"), states_all=False)

FORMATS: tuple[Format, ...] = (
    *(_EDF, _BDF, _DICOM, _AECG, _MUSE, _SIERRA, _SCP, _ISHNE, _CSV, _NPY, _MAT, _HDF5),
)
"""All formats but WFDB, whose records are several files."""

_BEGINNINGS: tuple[tuple[int, bytes, Format], ...] = (
    (0, b"0       ", _EDF),
    (0, b"\xffBIOSEMI", _BDF),
    (128, b"DICM", _DICOM),
    (0, b"ISHNE1.0", _ISHNE),
    (0, b"\x93NUMPY", _NPY),
    (0, b"\x89HDF\r\n\x1a\n", _HDF5),
    # MATLAB writes a text before what is HDF5.
    (512, b"\x89HDF\r\n\x1a\n", _HDF5),
    (0, b"MATLAB 5.0 MAT-file", _MAT),
)
_ROOTS = {"annotatedecg": _AECG, "restingecg": _MUSE, "restingecgdata": _SIERRA}
# A file of MATLAB 4 has no mark, and a table is only text.
_BY_EXTENSION = {extension: one for one in (_MAT, _CSV) for extension in one.extensions}


def format_of(place: Place, head: bytes) -> Format:
    """Return the format of a file, by its content first.

    Parameters
    ----------
    place : Place
        The file; its name counts where the content does not tell.
    head : bytes
        Its first `HEAD_BYTES` bytes.

    Returns
    -------
    Format

    Raises
    ------
    ValueError
        If it is none that is known.
    """
    for offset, mark, one in _BEGINNINGS:
        if head[offset : offset + len(mark)] == mark:
            return one
    root = root_element(head)
    if root is not None:
        if root.lower() in _ROOTS:
            return _ROOTS[root.lower()]
        refuse(place.name, f"it is XML of an unknown kind: its root is {root!r:.60}, and known are AnnotatedECG (HL7), "
               "RestingECG (GE MUSE) and restingecgdata (Philips Sierra)")
    if _is_scp(head):
        return _SCP
    extension = os.path.splitext(place.name)[1].lower()
    if extension in _BY_EXTENSION:
        return _BY_EXTENSION[extension]
    named = [one.name for one in FORMATS if extension in one.extensions]
    what = f"its content is not that of {' or '.join(named)}" if named else "its content is of no known format"
    refuse(place.name, f"{what}; known are WFDB, {', '.join(one.name for one in FORMATS)}")


def _is_scp(head: bytes) -> bool:
    """Return whether a list of sections begins where SCP-ECG has it, and lists itself first."""
    if len(head) < 32:
        return False
    section, length = struct.unpack_from("<HI", head, 8)
    first, _, at = struct.unpack_from("<HII", head, 22)
    return section == 0 and 26 <= length < 2**16 and first == 0 and at == 7
