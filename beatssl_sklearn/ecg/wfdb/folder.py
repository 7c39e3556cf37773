"""A folder of WFDB records as a collection that is read lazily."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from .fingerprint import fingerprint
from .listing import Listing, list_records
from .record import ECGRecord, load_record
from .record_folder import RecordFolder
from .selection import wanted_signals


class WFDBFolder(RecordFolder):
    """Records below a folder; each is read when it is indexed.

    The collection has the length, shape and indexing that scikit-learn needs to split it. An integer reads a record;
    a slice or an array gives another `WFDBFolder`.

    Parameters
    ----------
    root : str or path-like
        The folder.
    leads, positional : as for `read_wfdb`
        Which signals to read, of every record. The `info` of a record calls it by its name here, with its subfolder.
    names : sequence of str, default=None
        Records to take, as paths relative to `root` without extension. None means the names in the file RECORDS; a name
        that ends in a slash means the records of that subfolder, which may have a file RECORDS of its own. Where that
        file is missing, it means all header files and all subfolders, in natural order ("2" before "10"); the segments
        of a record then count as records, too.
    pattern : str or sequence of str, default=None
        Keep only the records whose name matches this pattern, or one of these, as a shell would: ``"records100/*"``. An
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
    Symbolic links to files are followed within `root`, not out of it; links to folders are followed only where a name
    leads through them. Hidden folders are not searched.

    A pickle holds the path of the folder and the names, but no signals. It also holds a digest of the headers and of
    the size and time of change of the signal files, so that caches that compare by pickle, as joblib's do, notice a
    record that has changed. Making a pickle therefore takes as long as reading all headers.

    Examples
    --------
    >>> records = WFDBFolder("ludb")  # doctest: +SKIP
    >>> len(records), records[0].signal.shape  # doctest: +SKIP
    (200, (12, 5000))
    """

    _NONE_FOUND = "no RECORDS file with names and no *.hea file"

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        leads: Sequence[str] | Mapping[str, str] | None = None,
        positional: bool = False,
        names: Sequence[str] | None = None,
        pattern: str | Sequence[str] | None = None,
        skip_unreadable: bool = False,
    ) -> None:
        self._wanted = wanted_signals(leads, positional)
        super().__init__(root, names, pattern, skip_unreadable)

    def _find(self) -> Listing:
        return list_records(self._root, self._label)

    def _load(self, name: str) -> ECGRecord:
        directory, record = os.path.split(name)
        directory = os.path.join(self._root, directory) if directory else self._root
        return load_record(directory, record, self._wanted, self._root, name)

    def _state(self) -> str:
        return fingerprint(self._root, self._names)
