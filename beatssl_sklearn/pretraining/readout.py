"""Learn a `Readout`: a perceptron that tells measures of records from their embeddings."""

from __future__ import annotations

from copy import copy
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.utils import check_array
from torch import Tensor, nn
from torch.nn.utils import skip_init
from tqdm import tqdm

from ..components import check_number
from ..embedding.readout import Readout
from .pretrainer import Pretrainer

# Standard deviations beyond which a column of an embedding, or a measure, tells no more.
_FAR, _FAR_TARGET = 8.0, 5.0
# Shares of records that must have, and must lack, a measure for its absence to be told, too.
_RARE = 0.01
# From the range of the middle eight tenths to a standard deviation, for normal values.
_SPREAD = 2.563
_BATCH_SIZE, _LR, _WEIGHT_DECAY, _DROPOUT = 128, 2e-3, 0.02, 0.1


class _Targets(NamedTuple):
    """Standardised measures (n_records, n_targets), and which are known."""

    values: Tensor
    known: Tensor


class _Teller(nn.Module):
    """A hidden layer beside a linear path: the layer needs to learn only what is not linear."""

    def __init__(self, n_dims: int, n_hidden: int, n_targets: int, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator
        self.hidden = skip_init(nn.Linear, n_dims, n_hidden)
        self.out = skip_init(nn.Linear, n_hidden, n_targets)
        self.linear = skip_init(nn.Linear, n_dims, n_targets)
        # The layers' own initialisation draws from the global generator.
        for layer in (self.hidden, self.out, self.linear):
            bound = layer.in_features**-0.5
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            nn.init.uniform_(layer.bias, -bound, bound, generator=generator)

    def forward(self, z: Tensor) -> Tensor:
        hidden = F.gelu(self.hidden(self._dropped(z)))
        out: Tensor = self.out(self._dropped(hidden)) + self.linear(z)
        return out

    def _dropped(self, x: Tensor) -> Tensor:
        """Dropout from the layer's own generator."""
        kept = torch.rand(x.shape, generator=self.generator) >= _DROPOUT
        return x * kept / (1 - _DROPOUT)


def fit_readout(
    pretrainer: Pretrainer,
    X: Any,
    targets: Any,
    *,
    n_hidden: int = 512,
    max_epochs: int = 15,
    random_state: int = 0,
) -> Pretrainer:
    """Teach a fitted pretrainer's embedding to tell measures of records, and put what it needs for it into columns.

    A small perceptron tells the measures from the embedding of whole records. Its hidden layer becomes the columns
    ``readout_0`` ... of `transform` and `RhythmEmbedder`, beside those that there are. The encoder does not change:
    heartbeats, tokens and windows stay what they are. An earlier readout is replaced.

    Parameters
    ----------
    pretrainer : Pretrainer
        Fitted. It is not changed.
    X : as for `Pretrainer.transform`
    targets : array (n_records, n_targets)
        What is known of the records, NaN where it is not: ``WaveMeasures(missing="nan").transform(X)``.
    n_hidden : int, default=512
        Columns that are added.
    max_epochs : int, default=15
    random_state : int, default=0

    Returns
    -------
    Pretrainer
        A copy, with the readout.

    Raises
    ------
    NotFittedError, TypeError
        If `pretrainer` is not fitted, or no pretrainer.
    ValueError, TypeError
        If `targets` are no numbers, or not of these records, or a parameter or record cannot be used.
    """
    if not isinstance(pretrainer, Pretrainer):
        raise TypeError(f"pretrainer must be a fitted Pretrainer, got {type(pretrainer).__name__}")
    for name, value in {"n_hidden": n_hidden, "max_epochs": max_epochs}.items():
        check_number(name, value, Integral, 1)
    taught = copy(pretrainer)
    taught.encoder_ = pretrainer.encoder_.with_readout(None)
    measures = check_array(targets, dtype=np.float64, ensure_all_finite="allow-nan", input_name="targets")
    embedding = taught.transform(X)
    if len(measures) != len(embedding):
        raise ValueError(f"targets must have a row per record: {len(measures)} for {len(embedding)} records")
    how: dict[str, Any] = {"n_hidden": n_hidden, "max_epochs": max_epochs, "seed": random_state}
    readout = learn_readout(np.asarray(embedding), measures, verbose=pretrainer.verbose, **how)
    taught.encoder_ = taught.encoder_.with_readout(readout)
    return taught


def learn_readout(
    embedding: NDArray[np.float32],
    targets: NDArray[Any],
    *,
    n_hidden: int = 512,
    max_epochs: int = 15,
    seed: int = 0,
    verbose: int = 0,
) -> Readout:
    """Train a perceptron to tell measures from embeddings, and return its hidden layer.

    Parameters
    ----------
    embedding : ndarray (n_records, n_dims) float32
        Without a readout. Records whose embedding is NaN are left out.
    targets : ndarray (n_records, n_targets)
        Measures of the same records; NaN where one is unknown. Each is standardised, robustly. Columns that hardly
        vary, or that hardly any record has, are left out. That a measure is absent is told, too.
    n_hidden : int, default=512
    max_epochs : int, default=15
    seed : int, default=0
    verbose : int, default=0
        1 shows a bar.

    Returns
    -------
    Readout

    Raises
    ------
    ValueError
        If fewer than two records, or no target, can be used.

    Notes
    -----
    Smooth L1 loss over the targets that are known, AdamW with a rate that rises and falls once.
    """
    usable = np.isfinite(embedding).all(axis=1)
    if usable.sum() < 2:
        raise ValueError(f"a readout needs two records with an embedding, got {int(usable.sum())}")
    z = embedding[usable].astype(np.float64)
    mean, sd = z.mean(axis=0), z.std(axis=0)
    # A column that never changes tells nothing.
    scale = np.where(sd > 1e-6 * np.abs(mean) + 1e-12, sd, np.inf)
    wanted = _standardised(np.asarray(targets, dtype=np.float64)[usable])
    standard = torch.from_numpy(np.clip((z - mean) / scale, -_FAR, _FAR).astype(np.float32))
    teller = _trained(standard, wanted, n_hidden, max_epochs, seed, verbose)
    weight = teller.hidden.weight.detach().numpy().T.astype(np.float64) / scale[:, None]
    bias = teller.hidden.bias.detach().numpy() - mean @ weight
    reach = np.where(np.isfinite(scale), _FAR * scale, 0)
    return Readout(*(part.astype(np.float32) for part in (mean - reach, mean + reach, weight, bias)))


def _standardised(targets: NDArray[np.float64]) -> _Targets:
    known = np.isfinite(targets)
    share = known.mean(axis=0)
    targets = targets[:, share > _RARE]
    known, share = known[:, share > _RARE], share[share > _RARE]
    if not targets.shape[1]:
        raise ValueError("targets hold no column that more than one record in a hundred has")
    low, middle, high = np.nanpercentile(targets, [10, 50, 90], axis=0)
    spread = np.where(high > low, (high - low) / _SPREAD, np.nanstd(targets, axis=0))
    varied = spread > 0
    values = np.clip((targets - middle)[:, varied] / spread[varied], -_FAR_TARGET, _FAR_TARGET)
    absent = np.unique(~known[:, share < 1 - _RARE], axis=1).astype(np.float64)
    absent = (absent - absent.mean(axis=0)) / absent.std(axis=0)
    if not varied.any() and not absent.shape[1]:
        raise ValueError("targets hold no column that varies")
    values = np.concatenate([values, np.clip(absent, -_FAR_TARGET, _FAR_TARGET)], axis=1)
    put = (np.nan_to_num(values).astype(np.float32), np.isfinite(values).astype(np.float32))
    return _Targets(*map(torch.from_numpy, put))


def _trained(z: Tensor, wanted: _Targets, n_hidden: int, max_epochs: int, seed: int, verbose: int) -> _Teller:
    generator = torch.Generator().manual_seed(seed)
    teller = _Teller(z.shape[1], n_hidden, wanted.values.shape[1], generator)
    optimizer = torch.optim.AdamW(teller.parameters(), lr=_LR, weight_decay=_WEIGHT_DECAY)
    per_epoch = max(1, len(z) // _BATCH_SIZE)
    # The schedule needs three steps to rise and to fall.
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LR, total_steps=max(3, max_epochs * per_epoch))
    for _ in tqdm(range(max_epochs), desc="readout", unit="epoch", disable=verbose < 1):
        order = torch.randperm(len(z), generator=generator)
        for rows in order[: per_epoch * _BATCH_SIZE].tensor_split(per_epoch):
            distance = F.smooth_l1_loss(teller(z[rows]), wanted.values[rows], reduction="none")
            known = wanted.known[rows]
            optimizer.zero_grad()
            ((distance * known).sum() / known.sum().clamp_min(1)).backward()
            optimizer.step()
            rate.step()
    return teller
