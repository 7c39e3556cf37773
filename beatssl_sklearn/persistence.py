"""Save and load fitted estimators in one safe file; loading never executes anything that the file holds."""

from __future__ import annotations

import json
import os
import threading
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ._version import __version__
from .embedding.embedders import BeatEmbedder, RhythmEmbedder, SampleEmbedder
from .files.tensor_file import read_tensor_file, write_tensor_file
from .pretraining.pretrainer import BeatSSLPretrainer
from .segmentation.segmenter import WaveSegmenter

_FORMAT = 2
_EMBEDDERS = {cls.__name__: cls for cls in (RhythmEmbedder, BeatEmbedder, SampleEmbedder)}
_FITTED = ("history_", "n_iter_", "n_leads_", "device_", "n_features_in_")
_FITTED_SEGMENTER = ("history_", "n_iter_", "device_", "n_features_in_")
# What belongs to the machine or the run and not to the model: paths, caches, callbacks.
_LEFT_OUT = ("checkpoint_dir", "callbacks", "memory")
_SHIPPED = Path(__file__).parent / "weights"
_SHARED_LOCK = threading.Lock()


def save(estimator: Any, path: str | os.PathLike[str], *, half: bool = False) -> None:
    """Write a fitted pretrainer, embedder or segmenter to one file.

    The file is in the safetensors format with the parameters as JSON and a SHA-256 digest over everything. It is
    there whole or not at all. `checkpoint_dir`, `callbacks` and `memory`, which belong to a machine, become None.

    Parameters
    ----------
    estimator : BeatSSLPretrainer, RhythmEmbedder, BeatEmbedder, SampleEmbedder or WaveSegmenter
        Fitted.
    path : path
        Of the file; an older one is replaced.
    half : bool
        Whether to keep the weights of convolutions and linear layers in half precision: a file of half the size, whose
        embeddings differ from the estimator's own by about a thousandth of their size.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    TypeError
        If it is another kind of estimator, or has a parameter that JSON cannot hold (an encoder's class, a detector's
        function): keep such estimators with joblib.
    OSError
        If the file cannot be written; an older one stays as it was.
    """
    embedder, segmenter = None, None
    if isinstance(estimator, WaveSegmenter):
        check_is_fitted(estimator)
        segmenter, estimator = estimator, estimator.pretrainer_
    if type(estimator).__name__ in _EMBEDDERS and isinstance(estimator, _EMBEDDERS[type(estimator).__name__]):
        embedder, estimator = estimator, estimator._fitted()
    if not isinstance(estimator, BeatSSLPretrainer):
        raise TypeError(
            f"save takes a pretrainer, an embedder or a segmenter, got {type(estimator).__name__}; use joblib"
        )
    check_is_fitted(estimator, "weights_")
    config = {
        "format": _FORMAT,
        "version": __version__,
        "parameters": _as_json(estimator),
        "fitted": {name: getattr(estimator, name) for name in _FITTED},
    }
    if embedder is not None:
        config["embedder"] = {
            "class": type(embedder).__name__,
            "parameters": _as_json(embedder),
            "n_features_in": getattr(embedder, "n_features_in_", None),
        }
    weights = estimator.weights_
    if segmenter is not None:
        config["segmenter"] = {
            "parameters": _as_json(segmenter),
            "fitted": {name: getattr(segmenter, name) for name in _FITTED_SEGMENTER},
        }
        weights = segmenter.weights_
    if half:
        weights = {name: a.astype(np.float16) if _may_be_halved(a) else a for name, a in weights.items()}
    write_tensor_file(path, weights, config)


def _may_be_halved(array: NDArray) -> bool:
    """Whether an array holds weights that are multiplied; norms and biases are small, and variances underflow."""
    return array.dtype == np.float32 and array.ndim > 1


def load(path: str | os.PathLike[str]) -> Any:
    """Read what `save` wrote.

    Parameters
    ----------
    path : path or str
        A file, or the name of a shipped model.

    Returns
    -------
    BeatSSLPretrainer, RhythmEmbedder, BeatEmbedder, SampleEmbedder or WaveSegmenter
        As it was saved.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If the file is damaged, or of another kind or of a newer format.
    """
    arrays, config = read_tensor_file(_resolve(path))
    try:
        if config["format"] != _FORMAT:
            raise ValueError(f"{Path(path).name} has format {config['format']}, this version reads {_FORMAT}")
        pretrainer = BeatSSLPretrainer(**_from_json(config["parameters"]))
        for name in _FITTED:
            setattr(pretrainer, name, config["fitted"][name])
        restored: Any = pretrainer
        if embedder := config.get("embedder"):
            restored = _EMBEDDERS[embedder["class"]](pretrainer, **_from_json(embedder["parameters"]))
            if embedder.get("n_features_in") is not None:
                restored.n_features_in_ = embedder["n_features_in"]
        if segmenter := config.get("segmenter"):
            restored = WaveSegmenter(pretrainer, **_from_json(segmenter["parameters"]))
            for name in _FITTED_SEGMENTER:
                setattr(restored, name, segmenter["fitted"][name])
        version = str(config["version"])
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{Path(path).name} does not hold a model of this package: {error}") from error
    weights = {k: a.astype(np.float32) if a.dtype == np.float16 else a for k, a in arrays.items()}
    if isinstance(restored, WaveSegmenter):
        restored.restore(pretrainer, weights)
    else:
        pretrainer.weights_ = weights
    if version != __version__:
        warnings.warn(
            f"{Path(path).name} was saved by version {version} and is loaded by version {__version__}",
            UserWarning,
            stacklevel=2,
        )
    return restored


def load_shared(path: str | os.PathLike[str]) -> BeatSSLPretrainer:
    """Load a pretrainer once per file version, for the embedders that name the same file."""
    file = _resolve(path)
    status = file.stat()
    with _SHARED_LOCK:
        loaded = _cached(str(file), status.st_mtime_ns, status.st_size)
    if isinstance(loaded, WaveSegmenter):
        return loaded.pretrainer_
    return loaded if isinstance(loaded, BeatSSLPretrainer) else loaded.pretrainer


@lru_cache(maxsize=4)
def _cached(path: str, modified: int, size: int) -> Any:
    del modified, size
    return load(path)


def shipped_models() -> list[str]:
    """Return the names of the models that come with the package."""
    return sorted(file.stem for file in _SHIPPED.glob("*.bssl"))


def _resolve(path: str | os.PathLike[str]) -> Path:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path must be a file's path or a shipped model's name, got {type(path).__name__}")
    if isinstance(path, str) and path in shipped_models():
        return _SHIPPED / f"{path}.bssl"
    if not Path(path).exists():
        known = ", ".join(shipped_models()) or "none"
        raise FileNotFoundError(f"{Path(path).name!r} is neither a file nor a shipped model (shipped: {known})")
    return Path(path)


def _as_json(estimator: Any) -> dict[str, Any]:
    """Return parameters as JSON values; tuples are marked, so that they come back as tuples."""
    out = {}
    for name, value in estimator.get_params(deep=False).items():
        if name == "pretrainer":
            continue
        value = None if name in _LEFT_OUT else _plain(value)
        try:
            json.dumps(value)
        except TypeError:
            raise TypeError(
                f"{name}={value!r:.80} cannot be saved as text; keep this estimator with joblib instead"
            ) from None
        out[name] = value
    return out


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return {"tuple": [_plain(v) for v in value]}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {"dict": {str(k): _plain(v) for k, v in value.items()}}
    return value.item() if isinstance(value, np.generic) else value


def _from_json(value: Any) -> Any:
    """Undo `_plain` on a parameter dictionary."""
    return {name: _revive(v) for name, v in value.items()}


def _revive(value: Any) -> Any:
    if isinstance(value, list):
        return [_revive(v) for v in value]
    if isinstance(value, dict):
        if set(value) == {"tuple"}:
            return tuple(_revive(v) for v in value["tuple"])
        return {k: _revive(v) for k, v in value["dict"].items()}
    return value
