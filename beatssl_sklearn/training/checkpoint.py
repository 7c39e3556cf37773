"""Checkpoints of a training run: after `kill -9` at any moment, fitting again gives the undisturbed run's bits.

One file, written after every epoch and never seen half-written, holds the network, the optimiser's moments and the
history. Random states need not be stored, since every draw is keyed by (seed, epoch).
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

from .._optional import find_stack_level
from ..files.tensor_file import read_tensor_file, write_tensor_file
from ..nn.weights import load_module_arrays, module_arrays
from .net import history_rows

FILE_NAME = "training.checkpoint"
_FORMAT = 2
# Name in a fingerprint of the weights that a run began with. A checkpoint that differs in these alone belongs to the
# fit before: with `warm_start`, every fit begins where the last one ended.
START = "start"


class Checkpoint(Callback):
    """Writes the state of the run after every epoch; a full disk is an OSError, and the last good file stays."""

    def __init__(self, folder: str, fingerprint: Mapping[str, str], max_epochs: int) -> None:
        self.folder, self.fingerprint, self.max_epochs = folder, fingerprint, max_epochs

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        arrays = {f"module.{name}": array for name, array in module_arrays(net.module_).items()}
        for i, state in net.optimizer_.state_dict()["state"].items():
            for key, tensor in state.items():
                arrays[f"optimizer.{i}.{key}"] = tensor.detach().cpu().numpy()
        config = {
            "format": _FORMAT,
            "fingerprint": dict(self.fingerprint),
            "max_epochs": self.max_epochs,
            "history": history_rows(net),
        }
        write_tensor_file(Path(self.folder) / FILE_NAME, arrays, config)


def resume(net: NeuralNet, folder: str | Path, fingerprint: Mapping[str, str], max_epochs: int) -> int:
    """Bring a freshly initialised net to the state of its last checkpoint.

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
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    if not path.exists():
        return 0
    try:
        arrays, config = read_tensor_file(path)
        found = config["fingerprint"]
    except (ValueError, KeyError) as error:
        warnings.warn(
            f"checkpoint left aside, training starts anew: {error}", UserWarning, stacklevel=find_stack_level()
        )
        return 0
    if config.get("format") != _FORMAT:
        raise ValueError(
            f"the checkpoint in checkpoint_dir was written by another version of this package, which cannot go on from "
            f"it; use another folder, or remove {FILE_NAME} there"
        )
    other = sorted(k for k in set(found) | set(fingerprint) if found.get(k) != fingerprint.get(k))
    if other == [START]:
        return 0
    if other:
        raise ValueError(
            f"the checkpoint in checkpoint_dir belongs to another run: {', '.join(other)} differ; use another folder, "
            f"or remove {FILE_NAME} there"
        )
    if config["max_epochs"] != max_epochs:
        warnings.warn(
            f"the checkpoint is of a run with max_epochs={config['max_epochs']}, whose learning rates differ from those"
            f" of max_epochs={max_epochs}: training starts anew",
            UserWarning,
            stacklevel=find_stack_level(),
        )
        return 0
    _restore(net, arrays, config["history"])
    return len(config["history"])


def _restore(net: NeuralNet, arrays: Mapping[str, NDArray], history: list[dict[str, Any]]) -> None:
    prefix = "module."
    load_module_arrays(net.module_, {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)})
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, array in arrays.items():
        if name.startswith("optimizer."):
            _, i, key = name.split(".", 2)
            state.setdefault(int(i), {})[key] = torch.from_numpy(np.array(array))
    net.optimizer_.load_state_dict({"state": state, "param_groups": net.optimizer_.state_dict()["param_groups"]})
    net.history = History()
    for row in history:
        net.history.new_epoch()
        for key, value in row.items():
            net.history.record(key, value)
