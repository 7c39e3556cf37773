"""Save and load fitted estimators in one safe file; loading never executes anything that the file holds.

A file describes an estimator by the name of its registered class, its parameters, and those fitted attributes that the
class lists in `_in_file`. Descriptions nest: a parameter may be an estimator, a component or a registered dataclass.
Arrays lie beside the description, under the path of what holds them: ``encoder_.weights.stem.0.weight``.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
import warnings
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ._optional import find_stack_level
from ._version import __version__
from .components import Nested, fitted_attributes, is_registered, registered
from .files.tensor_file import read_tensor_file, write_tensor_file

__all__ = ["describe", "load", "load_shared", "save", "shipped_models"]

FORMAT = 3
# What belongs to the machine or the run and not to the model: paths, caches, callbacks.
_LEFT_OUT = ("checkpoint_dir", "callbacks", "memory")
_SHIPPED = Path(__file__).parent / "weights"


def save(estimator: Any, path: str | os.PathLike[str], *, half: bool = False) -> None:
    """Write a fitted estimator to one file.

    The file has the safetensors format, with the description as JSON and a SHA-256 digest over everything. It is there
    whole or not at all. `checkpoint_dir`, `callbacks` and `memory` belong to a machine and become None. So does a
    `device` other than the CPU.

    Parameters
    ----------
    estimator : estimator
        Fitted: a pretrainer, an embedder, `FineTunedClassifier`, `WaveSegmenter`, `BeatClassifier` on a registered
        classifier, or any other estimator whose class is registered with `register`.
    path : path
        Name of the file. An older file is replaced.
    half : bool
        Whether to keep the weights of convolutions and linear layers in half precision. The file has half the size.
        Embeddings of the loaded estimator differ by about a thousandth of their size.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    TypeError
        If its class is not registered, or it holds something that a file cannot hold (an encoder's class, a detector's
        function, another library's estimator). Keep such estimators with joblib.
    OSError
        If the file cannot be written. An older file stays as it was.
    """
    if not is_registered(type(estimator)) or not isinstance(estimator, BaseEstimator):
        raise TypeError(
            f"save takes estimators whose class is registered, got {type(estimator).__name__}; use joblib instead"
        )
    check_is_fitted(estimator)
    arrays: dict[str, NDArray] = {}
    config = {"format": FORMAT, "version": __version__, **describe(estimator, arrays)}
    if half:
        arrays = {name: a.astype(np.float16) if _may_be_halved(name, a) else a for name, a in arrays.items()}
        config["half"] = True
    write_tensor_file(path, arrays, config)


def _may_be_halved(name: str, array: NDArray) -> bool:
    """Whether an array holds weights of a network that are multiplied; norms and biases are small."""
    in_network = ".weights." in f".{name}" or "heads_." in name
    return in_network and array.dtype == np.float32 and array.ndim > 1 and bool(np.abs(array).max(initial=0) < 6e4)


def load(path: str | os.PathLike[str]) -> Any:
    """Read what `save` wrote.

    Parameters
    ----------
    path : path or str
        A file, or the name of a shipped model.

    Returns
    -------
    estimator
        As it was saved.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If the file is damaged, of another kind or of a newer format, or holds a class that this version does not know.
    """
    arrays, config = read_tensor_file(_resolve(path))
    name = Path(path).name
    try:
        restored, version = _estimator_of(config, arrays)
    except (AttributeError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise ValueError(f"{name} does not hold a model of this package: {type(error).__name__} {error}") from error
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if version != __version__:
        warnings.warn(
            f"{name} was saved by version {version} and is loaded by version {__version__}",
            UserWarning,
            stacklevel=find_stack_level(),
        )
    return restored


def _estimator_of(config: dict[str, Any], arrays: dict[str, NDArray]) -> tuple[Any, str]:
    """Return the fitted estimator that a file describes, and the version that wrote it."""
    if config["format"] not in (2, FORMAT):
        raise ValueError(f"the file has format {config['format']}, this version reads 2 and {FORMAT}")
    if config["format"] == 2:
        config = _upgraded(config, arrays)
    if config.get("half"):
        arrays = {k: a.astype(np.float32) if a.dtype == np.float16 else a for k, a in arrays.items()}
    restored = _restore(config, arrays)
    if not isinstance(restored, BaseEstimator):
        raise ValueError(f"the file holds a {type(restored).__name__}, which is no estimator")
    check_is_fitted(restored)
    return restored, str(config["version"])


def load_shared(path: str | os.PathLike[str]) -> Any:
    """Load an estimator once for all who name the same file; again after the file has changed.

    Parameters
    ----------
    path : path or str
        A file, or the name of a shipped model.

    Returns
    -------
    estimator
        Do not change it: others have the same one.
    """
    file = _resolve(path)
    status = file.stat()
    return _cached(str(file), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _cached(path: str, modified: int, size: int) -> Any:
    del modified, size
    return load(path)


def shipped_models() -> list[str]:
    """Return the names of the models that come with the package.

    Returns
    -------
    list of str
        In alphabetical order.
    """
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


def describe(value: Any, arrays: dict[str, NDArray], where: str = "") -> Any:
    """Return a value as JSON, and put the arrays that it holds into `arrays`.

    Parameters
    ----------
    value : estimator, component, registered dataclass, array or plain value
    arrays : dict
        Filled with arrays under the path of what holds them.
    where : str
        Path of the value itself, for arrays and messages.

    Returns
    -------
    object
        Nested dicts, lists and plain values. An array has the path of its entry in `arrays`.

    Raises
    ------
    TypeError
        If something in it cannot be described; the message names where it is.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and (value.dtype.kind in "biufU" or _holds_text(value)):
        return _describe_array(value, arrays, where)
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return {"tuple": [describe(v, arrays, f"{where}.{i}") for i, v in enumerate(value)]}
    if isinstance(value, list):
        return [describe(v, arrays, f"{where}.{i}") for i, v in enumerate(value)]
    if isinstance(value, Mapping) and not all(isinstance(key, str) for key in value):
        return {"pairs": [describe(list(pair), arrays, _path(where, str(pair[0]))) for pair in value.items()]}
    if isinstance(value, Mapping):
        return {"dict": {k: describe(v, arrays, _path(where, k)) for k, v in value.items()}}
    if is_registered(type(value)):
        return _describe_registered(value, arrays, where)
    raise TypeError(
        f"{where}={value!r:.80} cannot be saved: {type(value).__name__} is neither a plain value nor registered; keep "
        f"this estimator with joblib instead"
    )


def _holds_text(array: NDArray) -> bool:
    return array.dtype.kind == "O" and all(isinstance(v, str) for v in array.ravel())


def _describe_array(array: NDArray, arrays: dict[str, NDArray], where: str) -> Any:
    if array.dtype.kind in "UO":
        return {"text" if array.dtype.kind == "U" else "texts": array.tolist()}
    # An array that two parts share is written once.
    shared = next((path for path, known in arrays.items() if known is array), None)
    if shared is None:
        shared = where
        while shared in arrays:
            # Another part has the same path, since names may hold dots.
            shared += "'"
        arrays[shared] = array
    return {"array": shared}


def _describe_registered(value: Any, arrays: dict[str, NDArray], where: str) -> dict[str, Any]:
    name = type(value).__name__
    if dataclasses.is_dataclass(value):
        fields = [f.name for f in dataclasses.fields(value) if f.name[0] != "_"]
        return {"class": name, "fields": {f: describe(getattr(value, f), arrays, _path(where, f)) for f in fields}}
    stored = value._for_file() if isinstance(value, Nested) else value
    parameters = _portable(type(stored), stored.get_params(deep=False))
    fitted = {k: getattr(stored, k) for k in fitted_attributes(type(stored)) if hasattr(stored, k)}
    return {
        "class": name,
        "parameters": {k: describe(v, arrays, _path(where, k)) for k, v in parameters.items()},
        "fitted": {k: describe(v, arrays, _path(where, k)) for k, v in fitted.items()},
    }


def _portable(cls: type, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of an estimator as another machine can use them; those of a component stay as they are."""
    if not hasattr(cls, "fit"):
        return dict(parameters)
    others = {name: None if name in _LEFT_OUT else value for name, value in parameters.items()}
    if "device" in others:
        others["device"] = "cpu" if str(others["device"]) == "cpu" else None
    return others


def _path(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _restore(described: Any, arrays: Mapping[str, NDArray]) -> Any:
    """Undo `describe`."""
    if isinstance(described, list):
        return [_restore(v, arrays) for v in described]
    if not isinstance(described, dict):
        return described
    if "class" in described:
        return _restore_registered(described, arrays)
    ((kind, value),) = described.items()
    if kind == "tuple":
        return tuple(_restore(v, arrays) for v in value)
    if kind == "dict":
        return {str(k): _restore(v, arrays) for k, v in value.items()}
    if kind == "pairs":
        return {_restore(k, arrays): _restore(v, arrays) for k, v in value}
    if kind == "array":
        return arrays[value]
    if kind == "texts":
        return np.array(value, dtype=object)
    if kind == "text":
        return np.array(value, dtype=np.str_)
    raise KeyError(f"unknown kind of value {kind!r}")


def _restore_registered(described: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> Any:
    known = registered()
    name = described["class"]
    if name not in known:
        raise ValueError(
            f"the file holds a {name}, which this version does not know (known: {', '.join(known)}). If the class is "
            f"your own, import the module that registers it first (command line: --import FILE)"
        )
    cls = known[name]
    if dataclasses.is_dataclass(cls):
        allowed = {f.name for f in dataclasses.fields(cls) if f.name[0] != "_"}
        return cls(**_named(described["fields"], allowed, name, arrays))
    known_parameters = set(inspect.signature(cls).parameters)
    # What belongs to a machine is not read either, whoever wrote the file.
    given = _portable(cls, described["parameters"])
    parameters = _named(given, known_parameters, name, arrays)
    estimator = cls(**parameters)
    fitted = _named(described["fitted"], set(fitted_attributes(cls)), name, arrays)
    for attribute, value in fitted.items():
        setattr(estimator, attribute, value)
    return estimator


def _named(values: Mapping[str, Any], allowed: set[str], name: str, arrays: Mapping[str, NDArray]) -> dict[str, Any]:
    unknown = sorted(set(values) - allowed)
    if unknown:
        raise ValueError(f"the file holds a {name} with {unknown}, which this version does not know")
    return {key: _restore(value, arrays) for key, value in values.items()}


# Views of format 2 by their names, as changes of the defaults of `VCGViews`.
_VIEWS: dict[str, dict[str, Any]] = {
    "vcg": {},
    "3kg": {"angle": 45.0, "scale": {"tuple": [1.0, 1.5]}, "mask_ratio": 0.5, "residual": False},
    "none": {"angle": 0.0, "scale": {"tuple": [1.0, 1.0]}, "mask_ratio": 0.0},
}
_OBJECTIVE = (
    *("rhythm_targets", "beat_targets", "temperature", "projection_dim", "similarity", "exponent", "perplexity"),
    *("soft_fraction", "beat_weight", "same_group", "feature_weight", "beat_feature_weight"),
)


def _upgraded(config: dict[str, Any], arrays: Mapping[str, NDArray]) -> dict[str, Any]:
    """Return the description that format 3 has of a file of format 2.

    There, a file was a pretrainer of 37 parameters, perhaps with an embedder or a segmenter around it.
    """
    old, fitted = dict(config["parameters"]), config["fitted"]
    views = _VIEWS[old.pop("augment")] | (old.pop("augment_params") or {"dict": {}})["dict"]
    if isinstance(views.get("scale"), list):
        views["scale"] = {"tuple": views["scale"]}
    objective = {name: old.pop(name) for name in _OBJECTIVE}
    objective["views"] = {"class": "VCGViews", "parameters": views, "fitted": {}}
    front = {k: old[k] for k in ("fs_model", "amplitude", "rpeak_detector", "beat_window", "beat_phases")}
    prefix = "encoder."
    weights = {k.removeprefix(prefix): {"array": k} for k in arrays if k.startswith(prefix)}
    encoder: dict[str, Any] = {k: old[k] for k in ("encoder", "encoder_params", "fs", "leads", "allow_nan")}
    encoder |= {"weights": {"dict": weights}, "n_leads": fitted["n_leads_"]}
    encoder["front_end"] = {"class": "FrontEnd", "fields": front}
    encoder_ = {"class": "FittedEncoder", "fields": encoder}
    others = {k: {"array": k} for k in arrays if not k.startswith(prefix)}
    if "segmenter" in config:
        segmenter = config["segmenter"]
        unet = {k: segmenter["parameters"][k] for k in ("fs_model", "widths")}
        unet |= {"encoder": encoder_, "weights": {"dict": others}}
        own = dict(segmenter["parameters"])
        augment = own.pop("augment_params")
        if augment is not None:
            augment = {"class": "WaveAugment", "parameters": augment["dict"], "fitted": {}}
        whole = {
            "class": "WaveSegmenter",
            "parameters": {**own, "augment": augment, "pretrainer": encoder_},
            "fitted": {**_with_history(segmenter["fitted"]), "unet_": {"class": "FittedUNet", "fields": unet}},
        }
        return {**whole, "version": config["version"], "half": True}
    trained = {"class": "BeatSSL", "parameters": objective, "fitted": {}}
    found: dict[str, Any] = {
        "class": "BeatSSLPretrainer",
        "parameters": {**old, "objective": trained},
        "fitted": _with_history({k: fitted[k] for k in ("history_", "n_iter_", "device_", "n_features_in_")}),
    }
    found["fitted"] |= {"encoder_": encoder_, "objective_": trained, "heads_": {"dict": others}}
    if "embedder" in config:
        embedder = config["embedder"]
        own = {**embedder["parameters"], "pretrainer": found}
        kept = embedder.get("n_features_in")
        fitted = {} if kept is None else {"n_features_in_": kept}
        found = {"class": embedder["class"], "parameters": own, "fitted": fitted}
    return {**found, "version": config["version"], "half": True}


def _with_history(fitted: Mapping[str, Any]) -> dict[str, Any]:
    return {**fitted, "history_": [{"dict": row} for row in fitted["history_"]]}
