"""What all estimators that read ECGs share: X as records that are read block by block, tags, version stamps."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_array, validate_data

from .._optional import find_stack_level
from .._version import __version__
from ..components import Nested
from ..ecg.leads import LEADS
from ..ecg.preprocess import check_fs
from ..ecg.rpeaks import MIN_DURATION
from .cells import Cells, cells_of, is_record
from .checks import as_array, as_signal, check_duration, checked_leads, name_leads, refuse_swapped_axes
from .source import ArraySource, RecordSource, Source

VERSION_KEY = "_beatssl_version"
# The rate of arrays where nobody gives one [Hz]. Shorter records [s] than this make it doubtful.
_DEFAULT_FS, _DOUBTFUL_S = 500.0, 5.0


class SignalEstimator(Nested):
    """Base of the estimators that read ECGs: tags, the version stamp, and X as a `Source`."""

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = bool(getattr(self, "allow_nan", False))
        return tags

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), VERSION_KEY: __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        version = state.pop(VERSION_KEY, "unknown")
        if version != __version__:
            warnings.warn(
                f"{type(self).__name__} was pickled by version {version} of beatssl_sklearn and is loaded by version "
                f"{__version__}: its embeddings may differ",
                UserWarning,
                stacklevel=find_stack_level(),
            )
        super().__setstate__(state)

    def _source(
        self,
        X: Any,
        *,
        fs: float,
        leads: Sequence[str] | None,
        allow_nan: bool,
        reset: bool,
        n_leads: int | None = None,
        lead_axis: bool = False,
    ) -> Source:
        """Return X as records that can be read block by block.

        Parameters
        ----------
        X : array, list of ECGRecord or of paths, column of a table, or lazily read collection
        fs, leads : float, sequence of str or None
            Rate and lead names of an array.
        allow_nan : bool
        reset : bool
            Whether to set `n_features_in_` (in `fit`) or to compare with it.
        n_leads : int or None
            Leads that an array must have; None takes any number.
        lead_axis : bool
            Whether `fit` read records with a lead axis, so that a table is records of one lead, like any other number.
        """
        cells = cells_of(X)
        if cells is not None:
            return self._source_of_cells(cells, fs, leads, allow_nan, reset, n_leads)
        fs = check_fs(fs)
        array = as_array(X)
        if array.ndim < 2:
            raise ValueError(
                f"X must have the shape (n_records, n_leads, n_times), got {array.shape}. Reshape your data: one "
                f"record of one lead is X[None, None], and the parameter leads names its lead, such as leads='II'"
            )
        if array.ndim == 2 or hasattr(X, "columns"):
            if n_leads is not None and n_leads > 1 and hasattr(X, "columns"):
                raise ValueError(
                    f"X is a table of {_columns_of(X)}: choose the column of records, as X['name of the column']; a "
                    f"table of samples has one record of one lead in each row, and {n_leads} leads are expected: give "
                    f"samples as an array with the axes (n_records, n_leads, n_times)"
                )
            if n_leads is not None and n_leads > 1:
                raise ValueError(
                    f"X has shape {array.shape} and no lead axis, but {n_leads} leads are expected: X must have the "
                    f"axes (n_records, n_leads, n_times). One record is X[None]; records of one lead, one in each row, "
                    f"are named by the parameter leads, such as leads='II'"
                )
            # Tables too short for records are left to scikit-learn, which compares their columns with those of `fit`.
            if reset or not lead_axis or array.shape[1] < MIN_DURATION * fs:
                return self._source_of_one_lead(X if hasattr(X, "columns") else array, fs, leads, allow_nan, reset)
            array = array[:, None]
        refuse_swapped_axes(array.shape, n_leads)
        integers = array.dtype.kind in "iu"
        if array.dtype.kind != "f" or array.ndim != 3 or 0 in array.shape:
            array = check_array(
                array,
                dtype=np.float32,
                allow_nd=True,
                ensure_all_finite="allow-nan" if allow_nan else True,
                estimator=self,
                input_name="X",
            )
        if array.ndim != 3 or 0 in array.shape:
            raise ValueError(f"X must have the shape (n_records, n_leads, n_times), got {array.shape}")
        check_duration(array.shape[2], fs)
        self._check_n_leads(array.shape[1], n_leads)
        if reset:
            self.n_features_in_ = array.shape[1]
        notes = self._doubts(array.shape[2], fs)
        return ArraySource(array, fs, name_leads(leads, array.shape[1]), allow_nan, integers, notes)

    def _check_n_leads(self, n_leads: int, expected: int | None) -> None:
        if expected is not None and n_leads != expected:
            raise ValueError(
                f"X has {n_leads} leads, but {type(self).__name__} was fitted on {expected}; leads of other "
                f"recordings are named by the parameter leads"
            )

    def _doubts(self, n_times: int, fs: float) -> list[str]:
        """Return a note if the rate is the default of a parameter that was not given, and records would be short."""
        if getattr(self, "fs", fs) is not None or fs != _DEFAULT_FS or n_times >= _DOUBTFUL_S * fs:
            return []
        taken = f"{n_times} samples are taken as {n_times / fs:g} s at {fs:g} Hz"
        return [f"fs was not given: {taken}; is this the rate of X?"]

    def _source_of_cells(
        self, cells: Cells, fs: float, leads: Sequence[str] | None, allow_nan: bool, reset: bool, n_leads: int | None
    ) -> RecordSource:
        """Read records one by one; arrays among them have the rate and the leads of arrays."""
        if len(cells.records) == 0:
            raise ValueError("Found array with 0 sample(s): X holds no record")
        source = RecordSource(cells.records, allow_nan, record_names=cells.names)
        arrays = (i for i, x in enumerate(cells.records) if not is_record(x)) if isinstance(cells.records, list) else ()
        first = next((i for i in arrays if hasattr(cells.records[i], "__len__")), None)
        named = getattr(self, "leads", None)
        if first is None and named is not None:
            source.unused_leads = checked_leads(named)
        if first is not None:
            values = cells.records[first]
            shape = (1,) if np.ndim(values) == 1 else as_signal(values, f"record {first}").shape
            self._check_n_leads(shape[0], n_leads)
            source.fs, source.leads = check_fs(fs), name_leads(leads, shape[0])
            source.notes = self._doubts(max(np.shape(x)[-1] for x in cells.records if np.ndim(x)), source.fs)
        if reset:
            self.n_features_in_ = source.n_leads
        return source

    def _source_for(self, encoder: Any, X: Any, reset: bool, **changes: Any) -> Source:
        """Return X as a source that is described by a `FittedEncoder`, but for some changes."""
        described = {name: getattr(encoder, name) for name in ("fs", "leads", "allow_nan", "n_leads")}
        # After `fit` on a table, the features are samples, and an encoder that was trained there has one lead.
        lead_axis = not reset and self.n_features_in_ <= (1 if encoder.n_leads == 1 else len(LEADS))
        return self._source(X, **{**described, **changes}, reset=reset, lead_axis=lead_axis)

    def _source_of_one_lead(
        self, X: Any, fs: float, leads: Sequence[str] | None, allow_nan: bool, reset: bool
    ) -> ArraySource:
        """Read a table (n_records, n_times) as records of one lead; a few samples are continued by the last one."""
        table = validate_data(
            self, X, dtype=np.float32, ensure_all_finite="allow-nan" if allow_nan else True, reset=reset
        )
        short = int(np.ceil(2 * MIN_DURATION * fs)) - table.shape[1]
        # So few samples are no ECG, but what scikit-learn's tools try an estimator with.
        notes = [] if short > 0 else self._doubts(table.shape[1], fs)
        if short > 0:
            table = np.pad(table, ((0, 0), (0, short)), mode="edge")
        return ArraySource(table[:, None, :], fs, name_leads(leads, 1), allow_nan, notes=notes)


def _columns_of(table: Any) -> str:
    names = [str(name) for name in table.columns]
    if len(names) == 1:
        return f"one column ({names[0]:.40})"
    return f"{len(names)} columns ({', '.join(name[:40] for name in names[:4])}{', ...' if len(names) > 4 else ''})"


class SignalTransformer(TransformerMixin, SignalEstimator):
    """Base of the transformers that read ECGs."""

    def __init_subclass__(cls, auto_wrap_output_keys: tuple[str, ...] | None = ("transform",), **kwargs: Any) -> None:
        # Declares scikit-learn's argument. None: the output is not a table.
        super().__init_subclass__(auto_wrap_output_keys=auto_wrap_output_keys, **kwargs)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        assert tags.transformer_tags is not None
        tags.transformer_tags.preserves_dtype = []
        return tags
