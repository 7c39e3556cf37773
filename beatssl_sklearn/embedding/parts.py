"""Parts of an embedding: what its columns are, their names, and the choice of some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fitted_encoder import InferenceModel

Parts = str | Sequence[str] | None


def record_parts(model: InferenceModel) -> dict[str, slice]:
    """Return the parts of a record's embedding and their columns, in order.

    First come the encoder's statistics over tokens (``mean``, ``max`` and ``sd``; ``record`` for an encoder that does
    not name its own), then the mean over heartbeats of each phase of the beat window (``beat1``, ``beat2`` ...), then
    the readout, if there is one (``readout``).
    """
    pooled: Sequence[str] = getattr(model.encoder, "pool_parts", None) or ("record",)
    sizes = dict.fromkeys(pooled, model.encoder.n_dims_record // len(pooled))
    sizes |= dict.fromkeys(_phases(model), model.encoder.n_dims)
    if model.readout is not None:
        sizes["readout"] = model.readout.n_dims
    borders = np.cumsum([0, *sizes.values()]).tolist()
    return {name: slice(a, b) for name, a, b in zip(sizes, borders, borders[1:], strict=False)}


def chosen_columns(model: InferenceModel, parts: Parts) -> NDArray[np.int64]:
    """Return the columns of a record's embedding that belong to some parts, in the order of the embedding.

    Parameters
    ----------
    model : InferenceModel
        The fitted encoder.
    parts : str, sequence of str or None
        Names of parts, as of `record_parts`; ``beat`` stands for all phases, None for all parts.

    Returns
    -------
    ndarray (n_columns,) of int64
        Increasing.

    Raises
    ------
    TypeError, ValueError
        If `parts` is no name or sequence of names, is empty, or names what the encoder does not have.
    """
    known = record_parts(model)
    wanted = _names(parts, known)
    groups = {"beat": _phases(model)} | {name: [name] for name in known}
    unknown = sorted(set(wanted) - set(groups))
    if unknown or not wanted:
        raise ValueError(f"parts must be None or some of {', '.join(groups)}, got {parts!r}")
    taken = {name for group in wanted for name in groups[group]}
    every = np.arange(max(part.stop for part in known.values()))
    return np.concatenate([every[part] for name, part in known.items() if name in taken])


def record_names(model: InferenceModel, parts: Parts = None) -> NDArray[np.object_]:
    """Return the names of the columns of a record's embedding, such as ``mean_0`` and ``beat7_127``."""
    names = _numbered({name: part.stop - part.start for name, part in record_parts(model).items()})
    return names[chosen_columns(model, parts)]


def beat_names(model: InferenceModel) -> NDArray[np.object_]:
    """Return the names of the columns of a heartbeat's embedding: a part for each phase of the beat window."""
    return _numbered(dict.fromkeys(_phases(model), model.encoder.n_dims))


def token_names(model: InferenceModel) -> NDArray[np.object_]:
    """Return the names of the columns of a token's embedding."""
    return _numbered({"token": model.encoder.n_dims})


def _names(parts: Any, known: Mapping[str, slice]) -> list[str]:
    if parts is None:
        return list(known)
    names = [parts] if isinstance(parts, str) else parts
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"parts must be None, a name or a sequence of names, got {parts!r}")
    return list(names)


def _phases(model: InferenceModel) -> list[str]:
    return [f"beat{k}" for k in range(1, model.front_end.beat_phases + 1)]


def _numbered(sizes: Mapping[str, int]) -> NDArray[np.object_]:
    return np.array([f"{part}_{k}" for part, size in sizes.items() for k in range(size)], dtype=object)
