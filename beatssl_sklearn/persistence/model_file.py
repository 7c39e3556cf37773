"""Model files: written whole, read by name or path, checked before anything is built from them."""

from __future__ import annotations

import os
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .._optional import find_stack_level
from .._version import __version__
from ..components import is_registered, registered
from ..files.tensor_file import read_tensor_file, write_tensor_file
from .by_name import named_encoders, with_encoders
from .description import describe
from .restoring import restore

FORMAT = 3
_SHIPPED = Path(__file__).parents[1] / "weights"
# Models that came with earlier versions, and what took their place.
_FORMER = {"ludb": "waves"}


def save(estimator: Any, path: str | os.PathLike[str], *, half: bool = False, by_name: bool = False) -> None:
    """Write a fitted estimator to one file.

    The file has the safetensors format, with the description as JSON and a SHA-256 digest over everything. It is there
    whole or not at all. `checkpoint_dir`, `callbacks` and `memory` belong to a machine and become None. So does a
    `device` other than the CPU. What `set_output` chose, and names of columns seen in `fit`, are kept.

    Parameters
    ----------
    estimator : estimator
        Fitted: a pretrainer, an embedder, `FineTunedClassifier`, `WaveSegmenter`, `BeatClassifier` on a registered
        classifier, or any other estimator whose class is registered with `register`.
    path : path
        Name of the file. An older file is replaced, and its permissions are kept; a new one gets those that the umask
        leaves.
    half : bool
        Whether to keep the weights of convolutions and linear layers, and the words' and records' vectors of an
        aligner, in half precision. The file has half the size.
        Embeddings of the loaded estimator differ by about a thousandth of their size.
    by_name : bool
        Whether encoders of shipped models are named instead of written. The file of a head is then small; `load` needs
        a version of the package that ships the same encoder, and checks its digest.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    TypeError
        If its class is not registered, or it holds something that a file cannot hold (an encoder's class that is not
        registered, a detector's function, another library's estimator). Keep such estimators with joblib.
    ValueError
        If it holds a value that `load` would refuse, such as a parameter out of its range.
    OSError
        If the file cannot be written. An older file stays as it was.
    """
    # Parts may be of rooms that nobody has imported yet.
    registered()
    if not is_registered(type(estimator)) or not isinstance(estimator, BaseEstimator):
        raise TypeError(
            f"save takes estimators whose class is registered, got {type(estimator).__name__}; use joblib instead, or "
            f"save what it holds, such as the best_estimator_ of a search"
        )
    check_is_fitted(estimator)
    arrays: dict[str, NDArray] = {}
    described = describe(estimator, arrays)
    if by_name:
        described = named_encoders(described, arrays, _shipped_encoders())
    config = {"format": FORMAT, "version": __version__, **described}
    if half:
        arrays = {name: a.astype(np.float16) if _may_be_halved(name, a) else a for name, a in arrays.items()}
        config["half"] = True
    # What is saved can be loaded: the same checks, before an older file is replaced.
    try:
        _estimator_of(config, arrays)
    except ValueError as error:
        raise ValueError(f"{type(estimator).__name__} cannot be saved: {error}") from error
    write_tensor_file(path, arrays, config)


def _may_be_halved(name: str, array: NDArray) -> bool:
    """Whether an array holds weights that are multiplied, or embeddings; norms and biases are small."""
    multiplied = any(part in f".{name}" for part in (".weights.", "heads_.", ".readout.weight", ".text_.components_"))
    may_be = (multiplied or name == "gallery_") and array.dtype == np.float32 and array.ndim > 1
    return may_be and bool(np.abs(array).max(initial=0) < 6e4)


def load(path: str | os.PathLike[str]) -> Any:
    """Read what `save` wrote.

    The file may set the parameters and the fitted attributes of registered classes, each of its own type, size and
    range. All are checked before a network is built, and weights must have the sizes that the parameters describe. What
    belongs to a machine (`memory`, `checkpoint_dir`, `callbacks`, and a `device` other than the CPU) is not read.

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
        If the file is damaged, of another kind or of a newer format, or holds a class or a value that this version
        does not take.
    """
    arrays, config = read_tensor_file(_resolve(path))
    name = Path(path).name
    # Errors of the package's own imports are not the file's.
    registered()
    try:
        restored, version = _estimator_of(config, arrays)
    except ValueError as error:
        raise ValueError(_one_line(f"{name}: {error}")) from error
    if version != __version__:
        warnings.warn(
            f"{name} was saved by version {_one_line(version)} and is loaded by version {__version__}",
            UserWarning,
            stacklevel=find_stack_level(),
        )
    return restored


def _shipped_encoders() -> dict[str, Any]:
    """Return the encoders of the shipped models that have one."""
    models = {name: load_shared(name) for name in shipped_models()}
    return {name: model.encoder_ for name, model in models.items() if hasattr(model, "encoder_")}


def _one_line(text: str) -> str:
    """Return a text without what a terminal would obey: a file may hold any."""
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line[:1000])


def _estimator_of(config: Any, arrays: dict[str, NDArray]) -> tuple[Any, str]:
    """Return the fitted estimator that a file describes, and the version that wrote it.

    Raises
    ------
    ValueError
        If it describes none.
    """
    try:
        if config["format"] != FORMAT:
            raise ValueError(f"the file has format {config['format']!r:.40}, this version reads {FORMAT}")
        version = str(config["version"])
        if config.get("half"):
            arrays = {k: a.astype(np.float32) if a.dtype == np.float16 else a for k, a in arrays.items()}
        restored = restore(with_encoders(config, load_shared, shipped_models()), arrays)
        if not isinstance(restored, BaseEstimator):
            raise ValueError(f"the file holds a {type(restored).__name__}, which is no estimator")
        check_is_fitted(restored)
    except ValueError:
        raise
    except Exception as error:
        # Whatever a value that nobody expected leads to: the file is wrong, not the program.
        raise ValueError(f"this is no model of this package: {type(error).__name__} {error!s:.300}") from error
    return restored, version


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
    return _cached(str(file), status.st_mtime_ns, status.st_size, status.st_ino)


# No lock of its own: one that another thread holds at a fork would never be released in the child.
@lru_cache(maxsize=4)
def _cached(path: str, modified: int, size: int, inode: int) -> Any:
    del modified, size, inode
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
    if isinstance(path, str) and path in _FORMER and not Path(path).exists():
        successor = _FORMER[path]
        warnings.warn(
            f"the model {path!r} was replaced by {successor!r}, which is loaded in its place; name {successor!r}",
            FutureWarning,
            stacklevel=find_stack_level(),
        )
        return _SHIPPED / f"{successor}.bssl"
    if not Path(path).exists():
        known = ", ".join(shipped_models()) or "none"
        raise FileNotFoundError(f"{Path(path).name!r} is neither a file nor a shipped model (shipped: {known})")
    return Path(path)
