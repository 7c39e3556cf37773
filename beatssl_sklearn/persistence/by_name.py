"""Shipped encoders in files by their name: a head is small, and needs the encoder that it was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .description import describe

__all__ = ["digest_of", "named_encoders", "with_encoders"]

_ENCODER = "FittedEncoder"


def named_encoders(described: Any, arrays: dict[str, NDArray], shipped: Mapping[str, Any]) -> Any:
    """Put the names of shipped models in place of their encoders.

    Parameters
    ----------
    described : object
        As `describe` returns it.
    arrays : dict of ndarray
        Arrays of the file; those of named encoders are taken out.
    shipped : mapping of str to encoder
        Encoders by the names of the shipped models.

    Returns
    -------
    object
        The description; each named encoder is ``{"shipped": {"name": ..., "digest": ...}}``.
    """
    named = _named(described, arrays, shipped)
    # Parts may share arrays: what is left names those that stay.
    kept = _array_names(named)
    for name in set(arrays) - kept:
        del arrays[name]
    return named


def _named(described: Any, arrays: Mapping[str, NDArray], shipped: Mapping[str, Any]) -> Any:
    if isinstance(described, list):
        return [_named(part, arrays, shipped) for part in described]
    if not isinstance(described, dict):
        return described
    if described.get("class") == _ENCODER:
        own = {key: arrays[part["array"]] for key, part in described["fields"]["weights"]["dict"].items()}
        for name, encoder in shipped.items():
            # Equal weights behind another front end are another encoder.
            same = _outline(described) == _outline(describe(encoder, {}))
            if same and digest_of(own) == digest_of(encoder.weights):
                value = {"name": name, "digest": digest_of(own)}
                readout = described["fields"].get("readout")
                if readout is None:
                    return {"shipped": value}
                theirs = {key: arrays[part["array"]] for key, part in readout["fields"].items()}
                if encoder.readout is not None and digest_of(theirs) == digest_of(vars(encoder.readout)):
                    return {"shipped": value | {"readout": digest_of(theirs)}}
    return {key: _named(part, arrays, shipped) for key, part in described.items()}


def _outline(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return all fields of a described encoder but its arrays."""
    return {name: value for name, value in described["fields"].items() if name not in ("weights", "readout")}


def _array_names(described: Any) -> set[str]:
    """Return the names of the arrays that a description has."""
    if isinstance(described, dict) and isinstance(described.get("array"), str):
        return {described["array"]}
    parts = described.values() if isinstance(described, dict) else described if isinstance(described, list) else ()
    return set().union(*(_array_names(part) for part in parts))


def with_encoders(described: Any, load: Callable[[str], Any], known: list[str]) -> Any:
    """Put the encoders of shipped models in place of their names; the inverse of `named_encoders`.

    Parameters
    ----------
    described : object
        What JSON read.
    load : callable
        Returns a shipped model by its name.
    known : list of str
        Names of the shipped models.

    Returns
    -------
    object
        The description, with encoders in it.

    Raises
    ------
    ValueError
        If there is no such model, or its encoder is another one by now.
    """
    if isinstance(described, list):
        return [with_encoders(part, load, known) for part in described]
    if not isinstance(described, dict):
        return described
    if set(described) == {"shipped"} and isinstance(described["shipped"], dict):
        return _encoder_named(described["shipped"], load, known)
    return {key: with_encoders(part, load, known) for key, part in described.items()}


def _encoder_named(value: Any, load: Callable[[str], Any], known: list[str]) -> Any:
    name = value.get("name") if isinstance(value, dict) else None
    if name not in known:
        raise ValueError(f"the file needs the shipped model {name!r:.80}, which this version does not have")
    encoder = getattr(load(name), "encoder_", None)
    # A head on heartbeats or windows rests on no readout, and says nothing of one.
    readout = getattr(encoder, "readout", None) if "readout" in value else None
    found = None if readout is None else digest_of(vars(readout))
    if encoder is None or digest_of(encoder.weights) != value.get("digest") or found != value.get("readout"):
        raise ValueError(
            f"the file was written with another {name!r} than the one of this version; load it with the version "
            f"that wrote it, or fit it again"
        )
    return encoder.with_readout(readout)


def digest_of(weights: Mapping[str, NDArray]) -> str:
    """Return the SHA-256 digest of the weights of an encoder."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
