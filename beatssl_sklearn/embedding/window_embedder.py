"""WindowEmbedder: an embedding per window of a record, for rhythms that change."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ..components import check_number, register
from ..ecg.beats import as_objects
from ..ecg.rr_measures import RR_MEASURES
from .embedders import Embedder
from .file_checks import check_embedder
from .fitted_encoder import FittedEncoder
from .parts import Parts, chosen_columns, record_names
from .window_stream import WindowPlan, embed_windows, window_spans

# The shortest window [s]: with less, there may be no heartbeat in it.
_SHORTEST_S, _SHORTEST_STEP_S = 2.0, 0.1


@register
class WindowEmbedder(Embedder, auto_wrap_output_keys=None):
    """One embedding per window: an object array of one array (n_windows, n_columns) per record.

    Each window is embedded as `RhythmEmbedder` would embed it if it were a record. So the windows of a record are a
    sequence whose rhythm may change.

    Parameters
    ----------
    pretrainer : fitted estimator, FittedEncoder, path or str, default="ptbxl"
        As for `RhythmEmbedder`.
    window : float, default=10
        Length of a window [s], at least 2. None takes each record as one window. A record that is shorter than a window
        is one window, too.
    step : float, default=5
        Time from the start of one window to the start of the next [s], from .1 to `window`. The last window ends with
        the record.
    timing : bool, default=False
        Whether the columns `ecg.RR_MEASURES` follow the embedding: measures of the RR intervals between all R peaks
        that the detector finds in the window. See `ecg.rr_measures`.
    timing_window : float, default=None
        Length of the stretch, around the middle of the window and inside the record, whose RR intervals are measured
        [s]. None is the window itself. Irregular rhythms show in 30 s what they do not show in 10 s.
    min_duration : float, default=0
        Length of a record below which it is not embedded [s]: its rows are NaN, and `check` tells of it.
    fs, leads, allow_nan, check : optional
        As for `RhythmEmbedder`.
    reliable : {"keep", "warn", "drop", "raise"}, default="keep"
        As for `RhythmEmbedder`, but each window is judged as if it were a record. So of a long recording, only the
        windows are NaN that are unreliable. Windows under 4 s are too short to be judged well.
    batch_size, device, precision, memory : optional
        As for `RhythmEmbedder`; `batch_size` counts windows.
    parts : str or sequence of str, default=None
        Parts of the embedding to return, as for `RhythmEmbedder`.

    Attributes
    ----------
    encoder_ : FittedEncoder
        What embeds.

    Notes
    -----
    R peaks are found in each window by itself, and so is what preprocessing measures, such as the baseline. So rows do
    not depend on the rest of the record, but for `timing_window`: it joins the R peaks of windows, each of which has
    its half of an overlap. Rows of a window without a known sample are NaN.

    Examples
    --------
    >>> from beatssl_sklearn import BeatSSLPretrainer, WindowEmbedder, make_ecg
    >>> ecg = make_ecg(2, fs=100, duration=30, random_state=0)
    >>> pre = BeatSSLPretrainer(fs=100, encoder_params={"size": "s"}, max_epochs=0, random_state=0).fit(ecg.data)
    >>> embedder = WindowEmbedder(pre, timing=True)
    >>> [rows.shape == (5, len(embedder.get_feature_names_out())) for rows in embedder.transform(ecg.data)]
    [True, True]
    >>> embedder.windows(ecg.data)[0].tolist()
    [[0, 1000], [500, 1500], [1000, 2000], [1500, 2500], [2000, 3000]]
    """

    def __init__(
        self,
        pretrainer: Any = "ptbxl",
        *,
        window: float | None = 10.0,
        step: float = 5.0,
        timing: bool = False,
        timing_window: float | None = None,
        min_duration: float = 0.0,
        fs: float | None = None,
        leads: Sequence[str] | None = None,
        allow_nan: bool | None = None,
        check: str = "warn",
        reliable: str = "keep",
        batch_size: int = 32,
        device: Any = None,
        precision: str = "auto",
        memory: Any = None,
        parts: Parts = None,
    ) -> None:
        read: dict[str, Any] = {"fs": fs, "leads": leads, "allow_nan": allow_nan, "check": check, "reliable": reliable}
        run: dict[str, Any] = {"batch_size": batch_size, "device": device, "precision": precision, "memory": memory}
        super().__init__(pretrainer, **read, **run)
        self.window = window
        self.step = step
        self.timing = timing
        self.timing_window = timing_window
        self.min_duration = min_duration
        self.parts = parts

    @property
    def encoder_(self) -> FittedEncoder:
        """The fitted encoder, without its readout, which was learned on whole records.

        Raises
        ------
        NotFittedError
            If the pretrainer is not fitted, nor this estimator.
        """
        return super().encoder_.with_readout(None)

    def transform(self, X: Any) -> NDArray[np.object_]:
        """Embed the windows of records.

        Parameters
        ----------
        X : as for `Pretrainer.transform`

        Returns
        -------
        ndarray (n_records,) of object
            Arrays (n_windows, n_columns) float32; the method `windows` returns where the windows are.

        Raises
        ------
        TypeError, ValueError
            If `window`, `step`, `timing`, `timing_window`, `min_duration` or `parts` is out of its range.
        """
        check_is_fitted(self)
        self._check_windows()
        columns = self._columns()
        source = self._read(X, self.encoder_, reset=False)
        plan = WindowPlan(self.window, self.step, bool(self.timing), self.timing_window, self.min_duration)
        # All parts are cached together, whichever are asked for.
        rows: NDArray[np.object_] = self._embedded(embed_windows, source, plan)
        return rows if self.parts is None else as_objects([own[:, columns] for own in rows])

    def windows(self, X: Any) -> list[NDArray[np.int64]]:
        """Return where the windows are that are embedded.

        Parameters
        ----------
        X : as for `transform`

        Returns
        -------
        list of n_records int64 arrays (n_windows, 2)
            First sample of each window, and the sample after its last one, in samples of X.

        Raises
        ------
        TypeError, ValueError
            If `window` or `step` is out of its range.
        """
        check_is_fitted(self)
        self._check_windows()
        source = self._read(X, self.encoder_, reset=False)
        spans = []
        for block in source.read(np.arange(source.n_records), self.batch_size):
            own = window_spans(block.signal.shape[2], block.fs, self.window, self.step)
            spans += [own.copy() for _ in block.rows]
        return spans

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the columns of each record's array: those of `RhythmEmbedder`, then `ecg.RR_MEASURES`.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray (n_columns,) of str objects
            One name per column.
        """
        check_is_fitted(self)
        names = record_names(self.encoder_.model(self.device, self.precision), self.parts)
        return np.concatenate([names, np.array(RR_MEASURES if self.timing else (), dtype=object)])

    def _columns(self) -> NDArray[np.int64]:
        """Return the columns of all parts that are wanted, and of the measures of RR intervals."""
        model = self.encoder_.model(self.device, self.precision)
        measures = model.n_dims_pooled + np.arange(len(RR_MEASURES) if self.timing else 0)
        return np.concatenate([chosen_columns(model, self.parts), measures])

    def _check_windows(self) -> None:
        if self.window is not None:
            check_number("window", self.window, Real, _SHORTEST_S)
            check_number("step", self.step, Real, _SHORTEST_STEP_S, self.window)
        if not isinstance(self.timing, (bool, np.bool_)):
            raise TypeError(f"timing must be True or False, got {self.timing!r:.60}")
        if self.timing_window is not None:
            check_number("timing_window", self.timing_window, Real, _SHORTEST_S)
        check_number("min_duration", self.min_duration, Real, 0)

    def _check_file(self) -> None:
        check_embedder(self)
        self._check_windows()
