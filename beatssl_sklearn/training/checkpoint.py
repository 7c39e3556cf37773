"""Checkpoints of a training run: after `kill -9` at any moment, fitting again gives the undisturbed run's bits.

One file, written after every epoch and never seen half-written, holds the network, the optimiser's moments, the history
and what the user's callbacks have learnt. Random states need not be stored, since every draw is keyed by (seed, epoch).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.history import History

from .._file_values import check_array, check_arrays, check_history, check_type
from .._optional import find_stack_level
from .._version import __version__
from ..files.tensor_file import read_tensor_file, write_tensor_file
from ..nn.weights import load_module_arrays, module_arrays, shapes_of
from .callback_state import checked_state, lost_attributes, restore_state, state_of
from .distributed import Ranks, shared
from .net import history_rows
from .progress import ProgressBar

FILE_NAME = "training.checkpoint"
_FORMAT = 3
# Name in a fingerprint of the weights that a run began with. A checkpoint that differs in these alone belongs to the
# fit before: with `warm_start`, every fit begins where the last one ended.
START = "start"
_MODULE, _OPTIMIZER = "module.", "optimizer."
# What RAdam keeps of a weight: the steps so far, and two moments of its shape.
_STEP, _MOMENTS = "step", ("exp_avg", "exp_avg_sq")


class Checkpoint(Callback):
    """Writes the state of the run after every epoch; a full disk is an OSError, and the last good file stays.

    It comes after all other callbacks: theirs is the state after the epoch, too. Of several processes that train
    together, the first one writes.
    """

    def __init__(self, folder: str, fingerprint: Mapping[str, str], max_epochs: int, writes: bool = True) -> None:
        self.folder, self.fingerprint, self.max_epochs, self.writes = folder, fingerprint, max_epochs, writes
        self.resumed_: tuple[Any, Mapping[str, NDArray]] | None = None

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        # The others have just begun anew.
        if self.resumed_ is not None:
            restore_state(_of_user(net), *self.resumed_)

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        if not self.writes:
            return
        arrays = {f"{_MODULE}{name}": array for name, array in module_arrays(net.module_).items()}
        for i, state in net.optimizer_.state_dict()["state"].items():
            for key, tensor in state.items():
                arrays[f"{_OPTIMIZER}{i}.{key}"] = tensor.detach().cpu().numpy()
        config = {
            "format": _FORMAT,
            "versions": _versions(),
            "fingerprint": dict(self.fingerprint),
            "max_epochs": self.max_epochs,
            "history": history_rows(net),
            "callbacks": state_of(_of_user(net), arrays),
        }
        write_tensor_file(Path(self.folder) / FILE_NAME, arrays, config)


def resume(
    net: NeuralNet,
    folder: str | Path,
    fingerprint: Mapping[str, str],
    max_epochs: int,
    ranks: Ranks | None = None,
) -> int:
    """Bring a freshly initialised net to the state of its last checkpoint.

    Of several processes that train together, the first one reads, and tells the others. It does not matter how many
    there were.

    A damaged file, and one of a run with another number of epochs (whose learning rates were other ones), is left
    aside with a warning, and training starts from the beginning.

    Returns
    -------
    int
        Epochs that are already done.

    Raises
    ------
    ValueError
        If the checkpoint belongs to other data or to other parameters, or an older version wrote it.
    OSError
        If the folder cannot be made or read.
    """
    found = shared(ranks, _read(Path(folder)) if ranks is None or ranks.is_first else None)
    if found is None:
        return 0
    arrays, config = found
    if not _belongs(config, fingerprint):
        return 0
    if config.get("max_epochs") != max_epochs:
        _warn(
            f"the checkpoint is of a run with max_epochs={config.get('max_epochs')!r:.40}, whose learning rates differ "
            f"from those of max_epochs={max_epochs}: training starts anew"
        )
        return 0
    try:
        state = _checked(net, arrays, config, max_epochs)
    except Exception as error:
        # Nothing has been changed yet, whatever a file that others wrote led to.
        _warn(f"checkpoint left aside, training starts anew: {FILE_NAME} is damaged: {error!s:.300}")
        return 0
    _restore(net, arrays, config, state)
    return len(config["history"])


def _read(folder: Path) -> tuple[dict[str, NDArray], dict[str, Any]] | None:
    """Return the arrays of the checkpoint in a folder, and what it says of them; None without one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    if not path.exists():
        return None
    try:
        arrays, config = read_tensor_file(path)
        if not isinstance(config, dict) or not isinstance(config["fingerprint"], dict):
            raise ValueError(f"{FILE_NAME} is no checkpoint")
    except (ValueError, KeyError) as error:
        _warn(f"checkpoint left aside, training starts anew: {error}")
        return None
    return arrays, config


def _belongs(config: Mapping[str, Any], fingerprint: Mapping[str, str]) -> bool:
    """Return whether a checkpoint is of this run; False if it is of the fit before."""
    if config.get("format") != _FORMAT:
        raise ValueError(
            f"the checkpoint in checkpoint_dir was written by another version of this package, which cannot go on from "
            f"it; use another folder, or remove {FILE_NAME} there"
        )
    found = config["fingerprint"]
    other = sorted(k for k in set(found) | set(fingerprint) if found.get(k) != fingerprint.get(k))
    if other and other != [START]:
        known = [name if name in fingerprint else repr(name)[:40] for name in other]
        raise ValueError(
            f"the checkpoint in checkpoint_dir belongs to another run: {', '.join(known)} differ; use another folder, "
            f"or remove {FILE_NAME} there"
        )
    return not other


def _checked(
    net: NeuralNet, arrays: Mapping[str, NDArray], config: Mapping[str, Any], max_epochs: int
) -> dict[int, dict[str, torch.Tensor]]:
    """Return the state of the optimiser, after everything in the file was compared with the net."""
    weights = {k.removeprefix(_MODULE): a for k, a in arrays.items() if k.startswith(_MODULE)}
    check_arrays("module", weights, shapes_of(net.module_))
    check_history("history", config["history"])
    if not 0 < len(config["history"]) <= max_epochs:
        raise ValueError(f"it has {len(config['history'])} epochs of {max_epochs}")
    if [row.get("epoch") for row in config["history"]] != list(range(1, len(config["history"]) + 1)):
        raise ValueError("its epochs are not numbered from 1 on")
    check_type("versions", config["versions"], dict)
    for values in checked_state(_of_user(net), config["callbacks"], arrays):
        # What skorch's EarlyStopping puts back into the network at the end.
        if (best := values.get("best_model_weights_")) is not None:
            check_arrays("best_model_weights_", {k: t.numpy() for k, t in best.items()}, shapes_of(net.module_))
    shapes = [tuple(p.shape) for group in net.optimizer_.param_groups for p in group["params"]]
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, array in arrays.items():
        if name.startswith(_OPTIMIZER):
            _, i, key = name.split(".", 2)
            shape = () if key == _STEP else shapes[int(i)]
            state.setdefault(int(i), {})[key] = torch.from_numpy(np.array(check_array(name, array, "f", *shape)))
    for weight, moments in state.items():
        complete = set(moments) == {_STEP, *_MOMENTS} and 0 <= weight < len(shapes)
        if not complete or moments[_STEP] < 1 or (moments[_MOMENTS[1]] < 0).any():
            raise ValueError(f"it holds no state of the optimiser for weight {weight}")
    return state


def _restore(
    net: NeuralNet, arrays: Mapping[str, NDArray], config: Mapping[str, Any], state: dict[int, dict[str, torch.Tensor]]
) -> None:
    load_module_arrays(net.module_, {k.removeprefix(_MODULE): v for k, v in arrays.items() if k.startswith(_MODULE)})
    net.optimizer_.load_state_dict({"state": state, "param_groups": net.optimizer_.state_dict()["param_groups"]})
    net.history = History()
    for row in config["history"]:
        net.history.new_epoch()
        for key, value in row.items():
            net.history.record(key, value)
    for _, callback in net.callbacks_:
        if isinstance(callback, Checkpoint):
            callback.resumed_ = (config["callbacks"], arrays)
    if config["versions"] != _versions():
        _warn(
            f"the checkpoint was written with {_listed(config['versions'])}, this is {_listed(_versions())}: the "
            f"result may differ from that of a run that was not interrupted"
        )
    lost = lost_attributes(_of_user(net), config["callbacks"])
    if lost:
        _warn(f"a checkpoint cannot hold {', '.join(lost)}: these callbacks begin anew with what is left of the run")


def _of_user(net: NeuralNet) -> list[tuple[str, Any]]:
    return [(name, c) for name, c in net.callbacks_ if not isinstance(c, (Checkpoint, ProgressBar))]


def _versions() -> dict[str, str]:
    return {"beatssl_sklearn": __version__, "numpy": np.__version__, "torch": str(torch.__version__)}


def _listed(versions: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {versions.get(name)!r:.40}" for name in _versions())


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=find_stack_level())
