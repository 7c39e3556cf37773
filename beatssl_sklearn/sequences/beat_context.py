"""The context of beats: what is typical of the record, how far each phase of a beat is from it, and the neighbours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from ..components import Bounds, check_bounds, register
from ..ecg.beat_morphology import MORPHOLOGY_NAMES
from ..ecg.beat_timing import TIMING_NAMES, pieces
from ..ecg.beats import as_objects
from ..ecg.column_medians import column_medians
from .file_checks import check_beat_context
from .flat import check_finite, flatten_beats

__all__ = ["BeatContext"]

# Beats that the principal components are fitted to, at most.
_FOR_COMPONENTS = 20_000
_TINY = 1e-6
# Returns the beats of a record from one to before another.
Read = Callable[[int, int], NDArray[Any]]


@register
class BeatContext(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Describe each beat beside its record: the difference from the typical beat, phase by phase, and the neighbours.

    A beat's embedding alone says what the beat looks like; whether it is odd depends on the record. Readers compare
    each beat with the usual ones. Here, the typical beat is the median over the half of the beats that are nearest to
    the median of all; of long records, over each stretch of about 2,000 beats. Nothing is learnt but the principal
    components, which need no labels.

    Parameters
    ----------
    phases : int, default=7
        Equal parts of a beat's embedding, in time; as `beat_phases` of the encoder's front end.
    timing : bool, default=True
        Whether the last columns are the timing of `BeatEmbedder` ``(timing=True)``; they stand beside the context.
    neighbours : int, default=1
        Beats before and after, whose timing and differences stand beside each beat's own. At the ends of a record, the
        last beat is repeated.
    n_components : int, default=16
        Principal components of the differences from the typical beats, over all beats; 0 is none.
    morphology : bool, default=False
        Whether the columns before the timing are those of `BeatEmbedder` ``(morphology=True)``; they are kept.

    Attributes
    ----------
    components_ : ndarray (n_components, n_embedding)
        Principal axes of the differences, divided by their standard deviations.
    n_features_in_ : int
        Columns of a record, morphology and timing included.

    Notes
    -----
    The columns, by `get_feature_names_out`, with k a phase:

    - ``rarity{k}``: log of the distance from the typical beat over the record's median distance; ``rarity`` of all.
    - ``distance{k}``: log of the distance over the size of the typical beat.
    - ``likeness{k}``: cosine with the typical beat, of phases less their mean over the beat; ``size{k}``: log of the
      ratio of sizes. The phases before the R peak hold the P wave.
    - ``change_before{k}``, ``change_after{k}``: log of the distance from the neighbour over the typical beat's size.
    - ``component{j}``: principal components of the difference, over the size of the typical beat.
    - the timing, then rarities, distances, likenesses, sizes and timing of the neighbours: ``-1_rarity1``,
      ``+1_prev_causal8``. The morphology stands before the neighbours.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> beats = [rng.normal(size=(n, 14)) for n in (30, 0, 12)]
    >>> context = BeatContext(timing=False, n_components=2).fit_transform(beats)
    >>> [part.shape for part in context]
    [(30, 103), (0, 103), (12, 103)]
    """

    _in_file: ClassVar[tuple[str, ...]] = ("components_", "n_features_in_")
    _check_file = check_beat_context
    bounds: ClassVar[Mapping[str, Any]] = {
        "phases": Bounds(Integral, 1),
        "timing": bool,
        "neighbours": Bounds(Integral, 0, 100),
        "n_components": Bounds(Integral, 0),
        "morphology": bool,
    }

    def __init__(
        self,
        phases: int = 7,
        timing: bool = True,
        neighbours: int = 1,
        n_components: int = 16,
        morphology: bool = False,
    ) -> None:
        self.phases = phases
        self.timing = timing
        self.neighbours = neighbours
        self.n_components = n_components
        self.morphology = morphology

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # X holds one table per record; a single table has no records.
        tags.input_tags.two_d_array = False
        return tags

    def fit(self, X: Sequence[NDArray], y: Any = None) -> BeatContext:
        """Fit the principal components of the differences from the typical beats.

        Parameters
        ----------
        X : sequence of n_records arrays (n_beats, n_dims)
            Beats, as `BeatEmbedder.transform` returns them.
        y : ignored

        Returns
        -------
        BeatContext
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If a parameter is out of range, a record is no table, a value is missing, columns do not divide into the
            phases, or there are fewer beats than components; the message names parameter or record.
        """
        check_bounds(self.get_params(deep=False), self.bounds)
        rows, lengths = flatten_beats(X)
        if not len(rows):
            raise ValueError(f"X: none of the {len(lengths)} records has a beat")
        check_finite(rows, lengths)
        width = self._embedding_width(rows.shape[1])
        # Differences from their mean: n beats have n - 1 components.
        if self.n_components > min(len(rows) - 1, width):
            raise ValueError(
                f"n_components={self.n_components}: {len(rows)} beats of {width} dimensions do not have as many"
            )
        self.n_features_in_ = rows.shape[1]
        self.components_ = np.zeros((0, width), dtype=np.float32)
        if self.n_components:
            step = -(-len(rows) // _FOR_COMPONENTS)
            records = np.split(rows[:, :width], np.cumsum(lengths)[:-1])
            stretches = [(z, piece) for z in records if len(z) for piece in pieces(len(z))]
            some = np.concatenate([_Stretch(z, piece, self.phases).scaled[::step] for z, piece in stretches])
            pca = PCA(self.n_components, svd_solver="covariance_eigh").fit(some.astype(np.float64))
            deviation = np.sqrt(np.maximum(pca.explained_variance_, 1e-12))
            self.components_ = (pca.components_ / deviation[:, None]).astype(np.float32)
        return self

    def transform(self, X: Sequence[NDArray]) -> NDArray[np.object_]:
        """Describe the beats of each record.

        Parameters
        ----------
        X : sequence of n_records arrays (n_beats, n_dims)
            Beats, as for `fit`.

        Returns
        -------
        ndarray (n_records,) of object
            Arrays (n_beats, n_columns) float32.
        """
        check_is_fitted(self, "components_")
        rows, lengths = flatten_beats(X)
        if len(rows):
            self._check_width(rows)
        check_finite(rows, lengths)
        empty = np.zeros((0, len(self.get_feature_names_out())), dtype=np.float32)
        records = np.split(rows, np.cumsum(lengths)[:-1]) if len(lengths) else []
        return as_objects([self._described(_reader(own), len(own)) if len(own) else empty for own in records])

    def transform_stretches(self, read: Read, n_beats: int) -> NDArray[np.float32]:
        """Describe the beats of one record as `transform` does, when a day of beats must not be in memory together.

        Parameters
        ----------
        read : callable
            ``read(start, stop)`` returns the beats from `start` to before `stop`, an array (stop - start, n_dims).
        n_beats : int
            Beats of the record.

        Returns
        -------
        ndarray (n_beats, n_columns) float32
            As `transform` returns for the whole record.

        Raises
        ------
        ValueError
            If a value is missing, or there are as many columns as were not fitted.
        """
        check_is_fitted(self, "components_")
        if not n_beats:
            return np.zeros((0, len(self.get_feature_names_out())), dtype=np.float32)

        def checked(start: int, stop: int) -> NDArray:
            rows = read(start, stop)
            self._check_width(rows)
            check_finite(rows, np.array([len(rows)]))
            return rows

        return self._described(checked, n_beats)

    def _check_width(self, rows: NDArray) -> None:
        if rows.shape[1] != self.n_features_in_:
            raise ValueError(f"X has {rows.shape[1]} columns; BeatContext was fitted on {self.n_features_in_}")

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the columns.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray (n_columns,) of str objects
            One name per column.
        """
        check_is_fitted(self, "components_")
        ks = range(1, self.phases + 1)
        own = [f"{kind}{k}" for kind in ("rarity", "distance", "likeness", "size") for k in ks] + ["rarity"]
        own += TIMING_NAMES if self.timing else ()
        changes = [f"change_{side}{k}" for side in ("before", "after") for k in ks]
        components = [f"component{j}" for j in range(1, len(self.components_) + 1)]
        morphology = MORPHOLOGY_NAMES if self.morphology else ()
        shifted = [f"{shift:+d}_{name}" for shift in self._shifts() for name in own]
        return np.array([*own, *changes, *components, *morphology, *shifted], dtype=object)

    def _shifts(self) -> list[int]:
        return [side * k for k in range(1, self.neighbours + 1) for side in (-1, 1)]

    def _embedding_width(self, n_columns: int) -> int:
        blocks = {"timing": self.timing * len(TIMING_NAMES), "morphology": self.morphology * len(MORPHOLOGY_NAMES)}
        width = n_columns - sum(blocks.values())
        if width < 1:
            wanted = ", ".join(f"{name}=True" for name, n in blocks.items() if n)
            lacking = " and ".join(f"the {name}" for name, n in blocks.items() if n)
            raise ValueError(
                f"{wanted}: X has {n_columns} columns, and none of {lacking}; BeatEmbedder({wanted}) adds them"
            )
        if width % self.phases:
            left = width - len(MORPHOLOGY_NAMES)
            forgotten = not self.morphology and left > 0 and left % self.phases == 0
            hint = "; with BeatEmbedder(morphology=True), say BeatContext(morphology=True), too" if forgotten else ""
            text = f"phases={self.phases}: the {width} columns of the embedding do not divide into them"
            raise ValueError(text + hint)
        return width

    def _described(self, read: Read, n_beats: int) -> NDArray[np.float32]:
        """Return the columns of the beats of a record, of which ``read(start, stop)`` returns rows."""
        width, n_changes, n_components = self.components_.shape[1], 2 * self.phases, len(self.components_)
        described = np.empty((n_beats, len(self.get_feature_names_out())), dtype=np.float32)
        n_morphology = len(MORPHOLOGY_NAMES) if self.morphology else 0
        timing = width + n_morphology
        n_own = 4 * self.phases + 1 + self.n_features_in_ - timing
        n_single = n_own + n_changes + n_components + n_morphology
        for piece in pieces(n_beats):
            first = max(0, piece.start - 1)
            rows = read(first, min(n_beats, piece.stop + 1))
            within = slice(piece.start - first, piece.stop - first)
            found = _Stretch(rows[:, :width], within, self.phases).columns(self.components_)
            differences, changes, components = found
            own = (differences, rows[within, timing:], changes, components, rows[within, width:timing])
            np.concatenate(own, axis=1, out=described[piece, :n_single], casting="same_kind")
        places = np.split(np.arange(described.shape[1])[n_single:], len(self._shifts()) or 1)
        for shift, columns in zip(self._shifts(), places, strict=False):
            described[:, columns[0] : columns[-1] + 1] = described[_neighbours(n_beats, shift), :n_own]
        return described


class _Stretch:
    """Beats of a stretch of a record (n_beats, phases, n_dims), and what is typical of them (phases, n_dims).

    A stretch at a time: a day of beats needs no second copy of itself.
    """

    def __init__(self, record: NDArray, piece: slice, phases: int) -> None:
        beats = record[piece].astype(np.float32)
        distance = np.linalg.norm(beats - column_medians(beats), axis=1)
        typical = column_medians(beats[distance <= np.median(distance)])
        self.beats, self.typical = (x.reshape(*x.shape[:-1], phases, -1) for x in (beats, typical))
        self.size = float(np.linalg.norm(_shape(self.typical), axis=1).mean()) + _TINY
        every = np.arange(len(record))[piece]
        self._neighbours = [
            record[_neighbours(len(record), shift)[every]].astype(np.float32).reshape(self.beats.shape)
            for shift in (-1, 1)
        ]

    @property
    def scaled(self) -> NDArray[np.float32]:
        """Differences from the typical beat over its size (n_beats, n_embedding)."""
        found = (self.beats - self.typical) / self.size
        return found.reshape(len(found), -1).astype(np.float32, copy=False)

    def columns(self, components: NDArray[np.float32]) -> tuple[NDArray, NDArray, NDArray]:
        """Return differences, changes and principal components of each beat."""
        return self._differences(), self._changes(), self.scaled @ components.T

    def _differences(self) -> NDArray[np.float32]:
        """Return rarity, distance, likeness and size of each phase, and the rarity of the beat."""
        distance = np.linalg.norm(self.beats - self.typical, axis=2)
        whole = np.linalg.norm(distance, axis=1, keepdims=True)
        usual, floor = np.median(distance, axis=0), 0.02 * self.size
        shape, typical = _shape(self.beats), _shape(self.typical)
        norm, typical_norm = np.linalg.norm(shape, axis=2), np.linalg.norm(typical, axis=1)
        parts = [
            # A quarter of the usual distance keeps beats that are nearer than it from large numbers.
            np.log((distance + 0.25 * usual + _TINY) / (1.25 * usual + _TINY)),
            np.log((distance + floor) / self.size),
            (shape * typical).sum(axis=2) / (norm * typical_norm + _TINY),
            np.log((norm + _TINY) / (typical_norm + _TINY)),
            np.log((whole + floor) / (np.median(whole) + floor)),
        ]
        return np.concatenate(parts, axis=1).astype(np.float32, copy=False)

    def _changes(self) -> NDArray[np.float32]:
        """Return the distances from the beat before and the one after."""
        distances = [np.linalg.norm(self.beats - other, axis=2) for other in self._neighbours]
        return np.log((np.concatenate(distances, axis=1) + 0.02 * self.size) / self.size).astype(np.float32, copy=False)


def _reader(record: NDArray) -> Read:
    """Return what gives rows of a record."""
    return lambda start, stop: record[start:stop]


def _shape(beats: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return phases less their mean over the beat; a single phase is its own shape."""
    return beats if beats.shape[-2] == 1 else beats - beats.mean(axis=-2, keepdims=True)


def _neighbours(n: int, shift: int) -> NDArray[np.int64]:
    """Return the beat that is `shift` later, for each of `n`; at the ends, the last one."""
    return np.clip(np.arange(n) + shift, 0, n - 1)
