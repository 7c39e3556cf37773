"""Tokens as choices from small codebooks, trained with the network."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Quantized(NamedTuple):
    """Tokens as choices from codebooks.

    Attributes
    ----------
    codes : Tensor (..., n_dims)
        The chosen entries, side by side.
    diversity : Tensor
        (entries - perplexity) / entries of the batch's mean choice: 0 if all entries are used alike.
    """

    codes: Tensor
    diversity: Tensor


class GumbelCodebooks(nn.Module):
    """Choose an entry from each of some codebooks by Gumbel-softmax, with a straight-through gradient.

    Parameters
    ----------
    n_in, n_dims : int
        Widths of the tokens and of the codes.
    n_groups, n_entries : int
        Codebooks, and entries of each. `n_groups` divides `n_dims`.

    References
    ----------
    Baevski A et al. wav2vec 2.0. NeurIPS 2020, equations 1 and 4. Jang E et al. ICLR 2017 (Gumbel-softmax).
    """

    def __init__(self, n_in: int, n_dims: int, n_groups: int, n_entries: int) -> None:
        super().__init__()
        self.n_groups, self.n_entries = n_groups, n_entries
        self.score = nn.Linear(n_in, n_groups * n_entries)
        self.entries = nn.Linear(n_entries * n_groups, n_dims // n_groups, bias=False)
        self.temperature: Tensor
        self.register_buffer("temperature", torch.tensor(2.0))

    def set_temperature(self, value: float) -> None:
        """Set what divides the scores of the entries."""
        self.temperature.fill_(value)

    def forward(self, tokens: Tensor, noise: Tensor | None = None) -> Quantized:
        """Quantise tokens (..., n_in); `noise` (..., n_groups, n_entries) are draws from (0, 1)."""
        with torch.autocast(tokens.device.type, enabled=False):
            logits = self.score(tokens.float()).unflatten(-1, (self.n_groups, self.n_entries))
            soft = logits.softmax(-1)
            chosen = logits
            if noise is not None:
                gumbel = -torch.log(-torch.log(noise.clamp(1e-10, 1 - 1e-7)))
                chosen = (logits + gumbel) / self.temperature
            relaxed = chosen.softmax(-1)
            hard = F.one_hot(relaxed.argmax(-1), self.n_entries).to(relaxed.dtype)
            picked = hard + relaxed - relaxed.detach()
            # One table of entries for each codebook.
            table = self.entries.weight.T.unflatten(0, (self.n_groups, self.n_entries))
            codes = torch.einsum("...gv,gvd->...gd", picked, table).flatten(-2)
            mean = soft.flatten(0, -3).mean(0)
            perplexity = torch.exp(-torch.xlogy(mean, mean).sum(-1)).sum()
            total = self.n_groups * self.n_entries
            return Quantized(codes, (total - perplexity) / total)
