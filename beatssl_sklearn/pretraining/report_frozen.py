"""Alignment with an encoder that stays as it is: records are encoded once, and only the heads are trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_memory
from torch import Tensor, nn
from tqdm import tqdm

from ..embedding.fitted_encoder import InferenceModel
from ..nn.devices import training_precision
from ..training.net import make_net, optimizer_settings, run_epochs
from ..training.progress import ProgressBar
from ..views.augment import checked_views
from .batches import Batch, Batches
from .identity import digest_of
from .measured import Records
from .objective import Criterion, n_batches
from .report_alignment import ReportAlignment
from .report_heads import BeatHead, Encoded, ReportHeads, ReportOutputs
from .run import TrainingSettings

# Records that are encoded at once.
_AT_ONCE = 64


class EncodedView(NamedTuple):
    """What the encoder says of one view of each record; half precision, apart from the records' embeddings.

    Parameters
    ----------
    record : Tensor (n, D)
        Embeddings.
    beats : Tensor (n_beats, d)
        Of all beats, in the order of the records.
    offset : ndarray of int64 (n + 1,)
        Where the beats of a record begin.
    tokens : Tensor (n, n_tokens, d) or None
        If a head looks at them.
    """

    record: Tensor
    beats: Tensor
    offset: NDArray[np.int64]
    tokens: Tensor | None

    def take(self, at: NDArray[np.int64]) -> dict[str, Tensor]:
        """Return some of the records as arguments of `FrozenModule`.

        Parameters
        ----------
        at : ndarray of int64 (m,)
            Positions.

        Returns
        -------
        dict of Tensor
        """
        counts = self.offset[at + 1] - self.offset[at]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        chosen = torch.from_numpy(np.repeat(self.offset[at], counts) + within)
        rows = torch.from_numpy(at)
        found = {"record": self.record[rows], "beats": self.beats[chosen].float()}
        found["beat_record"] = torch.from_numpy(np.repeat(np.arange(len(at)), counts))
        return found if self.tokens is None else {**found, "tokens": self.tokens[rows].float()}


@torch.no_grad()
def encode_view(
    heads: ReportHeads, model: InferenceModel, batches: Batches, views: Any, seed: int, show: bool
) -> EncodedView:
    """Encode one view of each record.

    Parameters
    ----------
    heads : ReportHeads
        They say how.
    model : InferenceModel
        The encoder.
    batches : Batches
        Of the records.
    views : callable
        Draws the view.
    seed : int
        Key of the draws.
    show : bool
        Whether to show a bar.
    """
    rng = np.random.default_rng(seed)
    generator = torch.Generator(model.device).manual_seed(seed)
    parts, counts = [], []
    index = batches.index
    with tqdm(total=len(index), desc="encode", unit="rec", disable=not show) as bar:
        for rows in np.array_split(index, n_batches(index, _AT_ONCE)):
            batch = Batch(rows, batches.records.known, rng, generator, 0.0, batches)
            start = batch.draw_start()
            signal = views(*batch.window(start), generator)[0]
            beats = batch.beats_in(start)
            found = heads.encode(model.encoder, signal, **batch.regions(beats.record, beats.time))
            tokens = None if found.tokens is None else found.tokens.half().cpu()
            parts.append(Encoded(found.record.float().cpu(), found.beats.half().cpu(), found.beat_record, tokens))
            counts.append(np.bincount(beats.record, minlength=len(rows)))
            bar.update(len(rows))
    offset = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)
    kept = [part.tokens for part in parts if part.tokens is not None]
    record, beats_of_all = torch.cat([part.record for part in parts]), torch.cat([part.beats for part in parts])
    return EncodedView(record, beats_of_all, offset, torch.cat(kept) if kept else None)


class FrozenModule(nn.Module):
    """The heads on what an encoder has said.

    Parameters
    ----------
    heads : ReportHeads
    """

    def __init__(self, heads: ReportHeads) -> None:
        super().__init__()
        self.heads = heads

    def forward(
        self, record: Tensor, beats: Tensor, beat_record: Tensor, tokens: Tensor | None = None, **texts: Tensor
    ) -> ReportOutputs:
        """Map records and their reports.

        Parameters
        ----------
        record, beats, beat_record, tokens : Tensor
            As in `Encoded`.
        **texts
            As for `ReportHeads.align`.

        Returns
        -------
        ReportOutputs
        """
        return self.heads.align(Encoded(record, beats, beat_record, tokens), **texts)


    def train(self, mode: bool = True) -> FrozenModule:
        """Set the mode; what standardises stays as it was set.

        Parameters
        ----------
        mode : bool

        Returns
        -------
        FrozenModule
        """
        super().train(mode)
        if isinstance(self.heads.ecg, BeatHead):
            self.heads.ecg.record_norm.eval()
            self.heads.ecg.beat_norm.eval()
        return self


class FrozenBatches:
    """Batches of encoded records, keyed by seed and epoch; each epoch has the next view.

    Parameters
    ----------
    objective : ReportAlignment
    records : Records
    rows : ndarray of int64 (n,)
        Records, all with a report, in the order of the views.
    views : list of EncodedView
    batch_size, seed : int
    device : torch.device
    """

    def __init__(
        self,
        objective: ReportAlignment,
        records: Records,
        rows: NDArray[np.int64],
        views: list[EncodedView],
        batch_size: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.objective, self.known, self.rows, self.views = objective, records.known, rows, views
        self.batch_size, self.seed, self.device, self.epoch = batch_size, seed, device, 0
        self.kept = np.arange(len(rows))

    def __len__(self) -> int:
        return n_batches(self.kept, self.batch_size)

    def __iter__(self) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        view = self.views[self.epoch % len(self.views)]
        for at in np.array_split(rng.permutation(self.kept), len(self)):
            drawn, fits = self.objective.draw_texts(self.known, self.rows[at], rng)
            inputs = {**view.take(at), **{name: torch.from_numpy(array) for name, array in drawn.items()}}
            self._n_records = len(at)
            yield {name: x.to(self.device) for name, x in inputs.items()}, torch.from_numpy(fits).to(self.device)

    def size(self, batch: Any) -> int:
        """Return how many records the batch that was drawn last has."""
        return self._n_records


def standardise(heads: ReportHeads, view: EncodedView) -> None:
    """Let the heads know mean and variance of what the encoder says, once for all.

    Parameters
    ----------
    heads : ReportHeads
    view : EncodedView
        Of all records.
    """
    if not isinstance(heads.ecg, BeatHead):
        return
    norms = cast(Any, heads.ecg.record_norm), cast(Any, heads.ecg.beat_norm)
    for norm, x in zip(norms, (view.record, view.beats.float()), strict=True):
        if len(x) > 1:
            norm.running_mean.copy_(x.mean(0))
            norm.running_var.copy_(x.var(0))


def train_heads(
    objective: ReportAlignment,
    heads: ReportHeads,
    model: InferenceModel,
    batches: Batches,
    settings: TrainingSettings,
    n_views: int,
    encoder_key: str,
) -> tuple[list[dict[str, Any]], EncodedView]:
    """Encode records once, and train the heads on that.

    Parameters
    ----------
    objective : ReportAlignment
        Prepared.
    heads : ReportHeads
        With random weights; they are changed.
    model : InferenceModel
        The encoder.
    batches : Batches
        Of the records with a report.
    settings : TrainingSettings
    n_views : int
        Views of each record. The first is the record as it is.
    encoder_key : str
        What tells the encoder from others, for the cache of `settings.memory`.

    Returns
    -------
    history : list of dict
        One entry per epoch.
    view : EncodedView
        The first one.

    Raises
    ------
    FloatingPointError
        If training diverges.
    """
    views = [_view(k, objective, heads, model, batches, settings, encoder_key) for k in range(n_views)]
    standardise(heads, views[0])
    module = FrozenModule(heads)
    train = FrozenBatches(
        objective, batches.records, batches.index, views, settings.batch_size, settings.seed, settings.device
    )
    bar = [ProgressBar(len(train) * settings.max_epochs, "align")] if settings.verbose > 0 else []
    net = make_net(
        module,
        Criterion(objective),
        max_epochs=settings.max_epochs,
        device=settings.device,
        precision=training_precision(settings.precision, settings.device, 0),
        held_out=None,
        callbacks=[*settings.callbacks, *bar],
        after_step=objective.after_step,
        **optimizer_settings(settings.lr, settings.weight_decay),
    )
    history = run_epochs(net, train, settings.max_epochs)
    module.cpu()
    return history, views[0]


def _view(
    k: int,
    objective: ReportAlignment,
    heads: ReportHeads,
    model: InferenceModel,
    batches: Batches,
    settings: TrainingSettings,
    encoder_key: str,
) -> EncodedView:
    """Return view k of the records, from the cache if it is there."""
    views = checked_views(objective.component("views")) if k else _as_it_is
    records = batches.records
    # Nothing is drawn of whole records as they are.
    seed = settings.seed + k if k or not records.whole_records else 0
    key = digest_of([encoder_key, model.front_end, model.precision, records.signal_digest, batches.index, views])
    encode = _encode if settings.memory is None else check_memory(settings.memory).cache(_encode, ignore=["work"])
    found: EncodedView = encode(key, seed, heads.needs_tokens, (heads, model, batches, views, settings.verbose > 0))
    return found


def _encode(key: str, seed: int, tokens: bool, work: tuple[Any, ...]) -> EncodedView:
    """Encode a view; `key` and `tokens` are what the cache knows of `work`."""
    heads, model, batches, views, show = work
    return encode_view(heads, model, batches, views, seed, show)


def _as_it_is(x: Tensor, present: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    return x, present

