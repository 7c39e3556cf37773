"""The heads of `LeadAgnostic`: what the network says of hidden tokens, and what they are."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nn.blocks import Encoder, MaskingEncoder, init_weights
from ..nn.quantizer import GumbelCodebooks


class LeadAgnosticOutputs(NamedTuple):
    """Outputs of the heads for two segments of each record, first all first segments, then all second ones.

    Attributes
    ----------
    records : Tensor (2 * n, n_dims)
        Mean token of each segment.
    context, targets : Tensor (2 * n, m, d) or None
        What the network says of the m hidden tokens of each segment, and what they are.
    diversity, penalty : Tensor
        How unevenly the codebooks are used, and mean square of the stem's tokens.
    there : bool Tensor (2 * n,)
        Which segments have a lead that is not 0 throughout.
    """

    records: Tensor
    context: Tensor | None
    targets: Tensor | None
    diversity: Tensor
    penalty: Tensor
    there: Tensor


class LeadAgnosticHeads(nn.Module):
    """Hide tokens of the stem, and say what they are.

    Parameters
    ----------
    n_dims, stem_width, target_dim : int
        Widths of the tokens, of the stem's tokens and of what is compared.
    quantizer : GumbelCodebooks or None
        None compares with the stem's tokens themselves, without a gradient.
    """

    def __init__(self, n_dims: int, stem_width: int, target_dim: int, quantizer: GumbelCodebooks | None) -> None:
        super().__init__()
        self.quantizer = quantizer
        self.out = nn.Linear(n_dims, target_dim if quantizer is not None else stem_width)
        self.filler = nn.Linear(1, n_dims, bias=False)

    def forward(self, encoder: MaskingEncoder, signal: Tensor, masked: Tensor, noise: Tensor) -> LeadAgnosticOutputs:
        """Encode segments with hidden tokens.

        Parameters
        ----------
        encoder : torch.nn.Module
            With `embed` and `contextualize`.
        signal : Tensor (2 * n, n_times, 12)
            The segments.
        masked : bool Tensor (2 * n, n_tokens)
            Tokens to hide, equally many in each segment.
        noise : Tensor (2 * n, m, n_groups, n_entries)
            Draws from (0, 1) for the quantizer.

        Returns
        -------
        LeadAgnosticOutputs
            Mean tokens, and what is said of the hidden ones.
        """
        stem = encoder.embed(signal)
        tokens = encoder.contextualize(stem, masked, self.filler.weight[:, 0], signal)
        n = len(signal)
        hidden = F.layer_norm(stem.float(), stem.shape[-1:])[masked].view(n, -1, stem.shape[-1])
        context = self.out(tokens[masked].view(n, -1, tokens.shape[-1]))
        penalty = stem.float().square().mean()
        records, there = tokens.mean(1, dtype=torch.float32), _with_leads(signal)
        if self.quantizer is None:
            return LeadAgnosticOutputs(records, context, hidden.detach(), penalty.new_zeros(()), penalty, there)
        codes, diversity = self.quantizer(hidden, noise)
        return LeadAgnosticOutputs(records, context, codes, diversity, penalty, there)


class SegmentHeads(nn.Module):
    """Segments only: for encoders that cannot hide tokens, and without the local loss."""

    def __init__(self) -> None:
        super().__init__()
        # What `LeadAgnostic.keeps` names, and what these heads do without.
        self.quantizer = self.out = self.filler = None

    def forward(self, encoder: Encoder, signal: Tensor) -> LeadAgnosticOutputs:
        """Encode segments.

        Parameters
        ----------
        encoder : torch.nn.Module
            Any encoder.
        signal : Tensor (2 * n, n_times, 12)
            The segments.

        Returns
        -------
        LeadAgnosticOutputs
            Mean tokens; no tokens are compared.
        """
        records = encoder(signal).mean(1, dtype=torch.float32)
        nothing = records.new_zeros(())
        return LeadAgnosticOutputs(records, None, None, nothing, nothing, _with_leads(signal))


def _with_leads(signal: Tensor) -> Tensor:
    """Return which segments have a lead that is not 0 throughout (2 * n,)."""
    return (signal != 0).flatten(1).any(1)


def build_heads(
    encoder: MaskingEncoder,
    target_dim: int,
    codebooks: tuple[int, int] | None,
    temperature: float,
    generator: torch.Generator,
) -> LeadAgnosticHeads:
    """Return heads with random weights.

    Parameters
    ----------
    encoder : torch.nn.Module
        With `stem_width`.
    target_dim : int
        Width of what is compared.
    codebooks : (int, int) or None
        Number of codebooks and of entries of each.
    temperature : float
        Of the codebooks in the first step.
    generator : torch.Generator
        Source of the weights.
    """
    width = encoder.stem_width
    with torch.device("meta"):
        quantizer = None if codebooks is None else GumbelCodebooks(width, target_dim, *codebooks)
        heads = LeadAgnosticHeads(encoder.n_dims, width, target_dim, quantizer)
    init_weights(heads.to_empty(device="cpu"), generator)
    if heads.quantizer is not None:
        heads.quantizer.set_temperature(temperature)
    return heads
