"""A folder of ECG files of any format as a collection that is read lazily."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence

from ..ecg.wfdb import ECGRecord
from ..ecg.wfdb.fingerprint import fingerprint
from ..ecg.wfdb.listing import Listing
from ..ecg.wfdb.record import load_record
from ..ecg.wfdb.record_folder import RecordFolder
from .listing import list_ecgs
from .read import options_of, read_file, with_format


class ECGFolder(RecordFolder):
    """ECG files of any format below a folder; each is read when it is indexed.

    It is a `WFDBFolder` for all formats of `read_ecg`: it has the length, shape and indexing that scikit-learn needs.
    An integer reads a record; a slice or an array gives another `ECGFolder`.

    Parameters
    ----------
    root : str or path-like
        The folder.
    leads, positional, fs, unit, variable, keep_identity : as for `read_ecg`
        How to read every record.
    names : sequence of str, default=None
        Records to take, as paths relative to `root`: files with their extension, WFDB records without. None means all
        records of the folder and its subfolders: those of WFDB first, in the order of `WFDBFolder`, then the files of
        all formats that say what they are. Arrays and tables (CSV, NumPy, MATLAB, HDF5) say less, and many such files
        are no ECG: they are taken if there is nothing else.
    pattern : str or sequence of str, default=None
        Keep only the records whose name matches this pattern, or one of these, as a shell would: ``"*.xml"``. An
        asterisk stands for slashes, too.
    skip_unreadable : bool, default=False
        What happens if a subfolder cannot be searched: False raises an error, True warns and goes on with the others.

    Attributes
    ----------
    names : tuple of str
        Names of the records.
    unreadable : tuple of str
        Subfolders that could not be searched, each with the reason; their records are not among `names`.
    shape : tuple of one int
        (n_records,).

    Raises
    ------
    ValueError
        If there are no records, if none matches `pattern`, or if a name leaves the folder.
    OSError
        If the folder is missing or cannot be read, or if a subfolder cannot be searched. A record whose file is gone
        raises when it is indexed.

    Warns
    -----
    UserWarning
        If links to folders outside are not followed, or, with `skip_unreadable`, if a subfolder cannot be searched.

    Notes
    -----
    A folder is searched by the names of its files; their content counts when they are read. Of a file without
    extension, the first bytes tell whether it is DICOM. Files that have the name of a WFDB record, but for the
    extension, are files of that record. Links to files are followed within `root`, not out of it. Hidden files and
    folders are skipped.

    A pickle holds the path of the folder and the names, but no signals, and a digest of the state of the files, so that
    caches notice a record that has changed.

    Examples
    --------
    >>> records = ECGFolder("ward")  # doctest: +SKIP
    >>> records.names, records[0].signal.shape  # doctest: +SKIP
    (('1.xml', '2.scp'), (12, 5000))
    """

    _NONE_FOUND = "no RECORDS file with names, no *.hea file, and no file of another format that `read_ecg` knows"

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        leads: Sequence[str] | Mapping[str, str] | None = None,
        positional: bool = False,
        fs: float | None = None,
        unit: str | None = None,
        variable: str | None = None,
        keep_identity: bool = False,
        names: Sequence[str] | None = None,
        pattern: str | Sequence[str] | None = None,
        skip_unreadable: bool = False,
    ) -> None:
        self._options = options_of(leads, positional, fs, unit, variable, keep_identity)
        super().__init__(root, names, pattern, skip_unreadable)

    def _find(self) -> Listing:
        return list_ecgs(self._root, self._label)

    def _load(self, name: str) -> ECGRecord:
        path = os.path.join(self._root, name)
        if self.is_wfdb(name):
            folder, record = os.path.split(path)
            return with_format(load_record(folder, record, self._options.wanted, self._root, name), "WFDB")
        return read_file(path, name, self._options, self._root)

    def is_wfdb(self, name: str) -> bool:
        """Return whether a record is one of WFDB, whose files can be read by ranges.

        Parameters
        ----------
        name : str
            One of `names`.

        Returns
        -------
        bool
            False for a file of another format.
        """
        return os.path.isfile(os.path.join(self._root, name) + ".hea")

    def _state(self) -> str:
        digest = hashlib.sha256()
        for name in self._names:
            path = os.path.join(self._root, name)
            state = fingerprint(self._root, [name]) if self.is_wfdb(name) else _state_of(path)
            digest.update(os.fsencode(f"{name}\0{state}\0"))
        return digest.hexdigest()


def _state_of(path: str) -> str:
    try:
        status = os.stat(path)
    except OSError as error:
        return str(error.errno)
    return f"{status.st_size} {status.st_mtime_ns}"
