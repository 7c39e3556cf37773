"""Read an ECG file of any format."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..ecg.preprocess import check_fs
from ..ecg.wfdb import ECGRecord, read_wfdb
from ..ecg.wfdb.paths import SMALL_FILE, check_large_file, is_inside, local_path, refuse, regular_size
from ..ecg.wfdb.selection import wanted_signals
from .assemble import record_of
from .contents import Options, Place
from .table import HEAD_BYTES, format_of
from .units import millivolts_in


def read_ecg(
    path: str | os.PathLike[str],
    *,
    leads: Sequence[str] | Mapping[str, str] | None = None,
    positional: bool = False,
    fs: float | None = None,
    unit: str | None = None,
    variable: str | None = None,
    keep_identity: bool = False,
    confine_to_root: str | os.PathLike[str] | None = None,
) -> ECGRecord:
    """Read an ECG file of any format in mV.

    Parameters
    ----------
    path : str or path-like
        A file of EDF, BDF, DICOM, HL7 aECG, GE MUSE XML, Philips Sierra XML, SCP-ECG, ISHNE, CSV, NumPy, MATLAB or
        HDF5. The content tells the format; the extension does where the content does not. Or a WFDB record, as for
        `read_wfdb`.
    leads : sequence of str, mapping of str to str, or None, default=None
        Wanted leads, in this order; all must be in the file. A mapping names single signals: ``{"ECG1": "II"}`` reads
        the signal ECG1 as lead II, and those with a standard name, too. None means all standard leads, in the order of
        `LEADS`. Of an array without lead names, a sequence names all leads in their order; None then means the standard
        twelve.
    positional : bool, default=False
        Take the signals of voltage in their order, whatever their names; `leads` then gives their names.
    fs : float, default=None
        Sampling rate [Hz] of a file that states none: an array, or a table without a column of times.
    unit : str, default=None
        Unit of signals whose unit the file does not state, or states wrongly: "mV", "uV", "nV" or "V". None means mV in
        arrays and tables, and is an error in other files.
    variable : str, default=None
        Name of the array of signals in a MATLAB or HDF5 file. None means the one called signal, ecg, val or data, or
        the only one that can be meant.
    keep_identity : bool, default=False
        Whether `info["identity"]` has what names people: names, the date of birth, serial numbers, free text such as
        comments and statements.
    confine_to_root : str or path-like, default=None
        Directory that the file may not leave, after symbolic links are resolved. None means that links may not leave
        the file's directory.

    Returns
    -------
    record : ECGRecord
        `signal` of shape (n_leads, n_times), float32 [mV], NaN where a sample is missing; `fs` [Hz]; `leads`. `info`
        has these keys, the last seven where the file says so:

        - "record": the file's name;
        - "format": the format's name;
        - "signal_names": what the file calls the leads, a tuple of str;
        - "other_signals": the signals that are not read, a tuple of str;
        - "patient_id", "age" (years), "sex": text;
        - "base_time", "base_date": when the record starts, as "10:30:00" and "1989-04-25";
        - "filters": the device's filters: "highpass", "lowpass", "notch" [Hz];
        - "device": "manufacturer", "model", "software_version".

        Of a WFDB record, `info` is that of `read_wfdb`, with "format".

    Raises
    ------
    ValueError
        If the content is of no known format, damaged or not an ECG; if a unit or a rate is unknown; if leads are
        missing, duplicate or of unequal rates; or if the file needs more memory than its size can justify. The message
        names the file, without its folder.
    TypeError
        If an argument has the wrong type.
    OSError
        If the file is missing or cannot be read.
    ImportError
        If the package that reads the format is missing. The message says how to install it.

    Warns
    -----
    UserWarning
        If the file is readable but odd: a wrong checksum, a truncated end, leads of unequal length.

    Notes
    -----
    Only regular files are opened. XML that declares a document type is refused. Nothing in a file is executed, and no
    other file is opened that it names.

    Examples
    --------
    >>> read_ecg("ward/17.xml")  # doctest: +SKIP
    ECGRecord(signal: 12 x 5000 float32 [mV], fs=500, leads=('I', 'II', ...))
    """
    text = local_path(path)
    root = None if confine_to_root is None else local_path(confine_to_root, "confine_to_root")
    options = options_of(leads, positional, fs, unit, variable, keep_identity)
    if is_wfdb(text):
        record = text.removesuffix(".dat") if text.endswith(".dat") else text
        return with_format(read_wfdb(record, leads=leads, positional=positional, confine_to_root=root), "WFDB")
    return read_file(text, os.path.basename(text), options, root)


def options_of(
    leads: Any, positional: bool, fs: float | None, unit: str | None, variable: str | None, keep_identity: bool
) -> Options:
    """Check the parameters of `read_ecg`.

    Raises
    ------
    ValueError, TypeError
        If one of them cannot be used.
    """
    if unit is not None and (not isinstance(unit, str) or millivolts_in(unit) is None):
        raise ValueError(f"unit must be 'mV', 'uV', 'nV' or 'V', got {unit!r:.60}")
    if variable is not None and not isinstance(variable, str):
        raise TypeError(f"variable must be a str, got {type(variable).__name__}: {variable!r:.60}")
    rate = None if fs is None else check_fs(fs)
    return Options(wanted_signals(leads, positional), rate, unit, variable, bool(keep_identity))


def is_wfdb(path: str) -> bool:
    """Return whether a path is that of a WFDB record: its header, its name without extension, or its signal file."""
    if path.endswith(".hea"):
        return True
    if path.endswith(".dat") and os.path.isfile(path.removesuffix(".dat") + ".hea"):
        return True
    return not os.path.lexists(path) and os.path.isfile(path + ".hea")


def read_file(path: str, title: str, options: Options, root: str | None) -> ECGRecord:
    """Read a file that is no WFDB record; see `read_ecg`. Its `info` calls it `title`."""
    folder, name = os.path.split(path)
    if root is not None and not is_inside(folder, root):
        refuse(title, "it lies outside confine_to_root")
    size = regular_size(folder, name, title, root)
    if size == 0:
        refuse(title, "the file is empty")
    if size > SMALL_FILE:
        check_large_file(folder, name, title, size)
    place = Place(os.path.realpath(path), title, size)
    try:
        with open(path, "rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as error:
        raise type(error)(f"record {title!r}: it cannot be read: {error.strerror}") from None
    try:
        found = format_of(place, head)
        contents = found.read(place, options)
        contents.info = {"format": found.name, **contents.info}
        return record_of(title, contents, options)
    except MemoryError:
        refuse(title, "there is not enough memory to read it")


def with_format(record: ECGRecord, name: str) -> ECGRecord:
    """Return a record whose `info` says its format."""
    return ECGRecord(record.signal, record.fs, record.leads, {**record.info, "format": name})
