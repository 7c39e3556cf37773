"""Contrasts between ECGs and reports: one vector of each, and beats with sentences; in float32."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .infonce import unit_rows
from .record_targets import normalize_rows

__all__ = ["LARGEST_LOG_SCALE", "report_infonce", "sentence_beat_infonce", "sentence_beat_scores"]

LARGEST_LOG_SCALE = math.log(100)
"""Cosines are multiplied by 100 at most."""

# Floats that a step may hold, and arrays of one float per pair of a beat and a sentence that autograd keeps of it.
_MOST_FLOATS = 2**24
_ARRAYS = 12
# Least squared length of a mean of beats, as a share of the longest beat: opposite beats have no direction.
_SMALLEST_SHARE = 1e-8
_SMALLEST_SQUARE = 1e-12


def report_infonce(ecg: Tensor, text: Tensor, log_scale: Tensor, targets: Tensor | None = None) -> Tensor:
    """Compute the symmetric cross-entropy between ECGs and reports.

    S_ij = cos(ecg_i, text_j) * exp(log_scale), with log_scale held between 0 and log 100. Each row of S, and of its
    transpose, is compared with its targets, and both directions are averaged.

    Parameters
    ----------
    ecg, text : Tensor (n, d)
        Embeddings of ECGs and of their reports, row i of each from record i, at any scale.
    log_scale : Tensor of one element
        Logarithm of the factor. It has no gradient outside its range.
    targets : bool or float Tensor (n, n), optional
        Which reports (columns) belong to an ECG (row), for example all reports of the same words. Not negative. Rows
        are scaled to sum 1, and so are those of the transpose for the other direction. A row of zeros does not count.
        None: its own report alone.

    Returns
    -------
    Tensor
        Scalar with a gradient; 0 for fewer than two records, or where all targets are equal.

    Raises
    ------
    ValueError
        If shapes do not fit, or targets are negative or not finite.

    References
    ----------
    Radford A et al. CLIP. ICML 2021, figure 3. Khosla P et al. Supervised contrastive learning. NeurIPS 2020, equation
    2 (several positives).
    """
    if ecg.ndim != 2 or ecg.shape != text.shape:
        raise ValueError(f"ecg and text must be of one shape (n, d), got {tuple(ecg.shape)} and {tuple(text.shape)}")
    if log_scale.numel() != 1:
        raise ValueError(f"log_scale must have one element, got shape {tuple(log_scale.shape)}")
    weights = _target_rows(targets, len(ecg), ecg.device)
    if weights is None:
        # The gradient, also 0, reaches every parameter.
        return (ecg.float().sum() + text.float().sum() + log_scale.float().sum()) * 0
    with torch.autocast(ecg.device.type, enabled=False):
        scale = log_scale.float().reshape(()).clamp(0, LARGEST_LOG_SCALE).exp()
        return _symmetric_cross_entropy(scale * (unit_rows(ecg) @ unit_rows(text).T), weights)


def sentence_beat_infonce(
    beats: Tensor,
    beat_there: Tensor,
    sentences: Tensor,
    sentence_there: Tensor,
    *,
    attention_scale: float = 4.0,
    sentence_scale: float = 5.0,
    temperature_scale: float = 10.0,
    targets: Tensor | None = None,
    chunk: int | None = None,
) -> Tensor:
    """Compute the symmetric cross-entropy between the beats of ECGs and the sentences of reports.

    L = (CE(temperature_scale * R, targets) + CE(temperature_scale * R^T, targets)) / 2, where R is from
    `sentence_beat_scores`.

    Parameters
    ----------
    beats : Tensor (n, K, d)
        Embeddings of beats, at their scale.
    beat_there : bool Tensor (n, K)
        Which of them exist.
    sentences : Tensor (n, L, d)
        Embeddings of sentences, at their scale. Report i belongs to ECG i.
    sentence_there : bool Tensor (n, L)
        Which of them exist.
    attention_scale, sentence_scale : float
        As for `sentence_beat_scores`.
    temperature_scale : float, default=10.0
        Factor of the scores.
    targets : bool or float Tensor (n, n), optional
        As for `report_infonce`.
    chunk : int, optional
        As for `sentence_beat_scores`.

    Returns
    -------
    Tensor
        Scalar with a gradient; 0 for fewer than two records, or where all targets are equal.

    Raises
    ------
    ValueError
        As for `sentence_beat_scores`, and if targets do not fit.

    References
    ----------
    Wang F et al. MELP. ICML 2025, arXiv 2506.21803 (beats and sentences). Huang SC et al. GLoRIA. ICCV 2021, equations
    3 to 8.
    """
    _check_scale("temperature_scale", temperature_scale)
    if len(beats) != len(sentences):
        raise ValueError(f"beats and sentences must be of equally many records, got {len(beats)} and {len(sentences)}")
    weights = _target_rows(targets, len(beats), beats.device)
    if weights is None:
        return (beats.float().sum() + sentences.float().sum()) * 0
    scores = sentence_beat_scores(
        beats,
        beat_there,
        sentences,
        sentence_there,
        attention_scale=attention_scale,
        sentence_scale=sentence_scale,
        chunk=chunk,
    )
    with torch.autocast(beats.device.type, enabled=False):
        return _symmetric_cross_entropy(temperature_scale * scores, weights)


def sentence_beat_scores(
    beats: Tensor,
    beat_there: Tensor,
    sentences: Tensor,
    sentence_there: Tensor,
    *,
    attention_scale: float = 4.0,
    sentence_scale: float = 5.0,
    chunk: int | None = None,
) -> Tensor:
    """Compute how well the beats of each ECG match the sentences of each report.

    For ECG i with beats b_k and report j with sentences s_l: a_kl is the softmax over l of <b_k, s_l>. alpha_lk is the
    softmax over k of attention_scale * a_kl. c_l = sum_k alpha_lk b_k is what sentence l attends to. R_ij is the
    logarithm of sum_l exp(sentence_scale * cos(s_l, c_l)).

    Parameters
    ----------
    beats : Tensor (n, K, d)
        Embeddings of beats, at their scale.
    beat_there : bool Tensor (n, K)
        Which of them exist.
    sentences : Tensor (m, L, d)
        Embeddings of sentences, at their scale.
    sentence_there : bool Tensor (m, L)
        Which of them exist.
    attention_scale : float, default=4.0
        Factor of a_kl.
    sentence_scale : float, default=5.0
        Factor of the cosines.
    chunk : int, optional
        ECGs per step. One step holds about ``12 * chunk * m * K * L`` floats; more steps compute twice, to forget in
        between. By default, a step holds 16 million floats.

    Returns
    -------
    Tensor (n, m)
        R, float32 (float64 if both are). The cosine of opposite beats, whose mean has no direction, is near 0.

    Raises
    ------
    ValueError
        If shapes do not fit, a scale is not positive, or a record has no beat or a report no sentence.

    References
    ----------
    Huang SC et al. GLoRIA. ICCV 2021, equations 3 to 6.
    """
    _check_scale("attention_scale", attention_scale)
    _check_scale("sentence_scale", sentence_scale)
    _check_slots("beats", beats, "beat_there", beat_there, "beat")
    _check_slots("sentences", sentences, "sentence_there", sentence_there, "sentence")
    if beats.shape[2] != sentences.shape[2]:
        raise ValueError(
            f"beats and sentences must be of one width, got {tuple(beats.shape)} and {tuple(sentences.shape)}"
        )
    n, n_pairs = len(beats), sentences.shape[0] * sentences.shape[1] * beats.shape[1]
    if chunk is None:
        chunk = max(1, _MOST_FLOATS // max(1, _ARRAYS * n_pairs))
    elif chunk < 1:
        raise ValueError(f"chunk must be at least 1, got {chunk!r}")
    exact = beats.dtype == sentences.dtype == torch.float64
    with torch.autocast(beats.device.type, enabled=False):
        beats, sentences = (x if exact else x.float() for x in (beats, sentences))
        # What an empty slot holds can be anything, even NaN.
        beats = beats.masked_fill(~beat_there[..., None], 0)
        # Reports are the last axis below, because sums over an outer axis are fast.
        words = sentences.masked_fill(~sentence_there[..., None], 0).transpose(0, 1)
        there = sentence_there.T
        scales = attention_scale, sentence_scale
        if chunk >= n:
            return _scores(beats, beat_there, words, there, *scales)
        rows = [
            checkpoint(_scores, part, exists, words, there, *scales, use_reentrant=False, preserve_rng_state=False)
            for part, exists in zip(beats.split(chunk), beat_there.split(chunk), strict=True)
        ]
        return torch.cat(rows)


def _scores(
    beats: Tensor, beat_there: Tensor, words: Tensor, there: Tensor, attention_scale: float, sentence_scale: float
) -> Tensor:
    """Compute R (n, m) from beats (n, K, d) and sentences (L, m, d)."""
    n, n_beats, _ = beats.shape
    no_beat, no_sentence = _minus_infinity(~beat_there, beats)[..., None, None], _minus_infinity(~there, beats)
    dots = (beats.flatten(0, 1) @ words.flatten(0, 1).T).view(n, n_beats, *words.shape[:2])
    a = (dots + no_sentence).softmax(2)
    alpha = torch.add(no_beat, a, alpha=attention_scale).softmax(1)
    # <s, c> = sum_k alpha_k <s, b_k> and |c|^2 = alpha' B B' alpha. So c itself, d numbers for each pair, is not made.
    products = (alpha * dots).sum(1)
    # In float64, because terms of both signs can cancel; MPS has none.
    wide = torch.float32 if beats.device.type == "mps" else torch.float64
    gram, shares = (beats.to(wide) @ beats.to(wide).transpose(1, 2)), alpha.flatten(2).to(wide)
    squares = (shares * (gram @ shares)).sum(1).to(beats.dtype).view_as(products)
    least = (_SMALLEST_SHARE * beats.square().sum(2).amax(1)).clamp(min=_SMALLEST_SQUARE)
    lengths = torch.maximum(squares, least[:, None, None]).sqrt()
    cosines = products / (lengths * words.square().sum(2).clamp(min=_SMALLEST_SQUARE).sqrt())
    return torch.add(no_sentence, cosines, alpha=sentence_scale).logsumexp(1)


def _minus_infinity(where: Tensor, like: Tensor) -> Tensor:
    """Return what is to be added to logits so that some do not count; cheaper than to fill them in."""
    return torch.zeros(where.shape, dtype=like.dtype, device=like.device).masked_fill_(where, -torch.inf)


def _target_rows(targets: Tensor | None, n: int, device: torch.device) -> tuple[Tensor, Tensor] | None:
    """Return the targets of ECGs and of reports (n, n) with rows of sum 1; None if there is nothing to tell apart."""
    if targets is None:
        own = torch.eye(n, device=device)
        return None if n < 2 else (own, own)
    if targets.shape != (n, n):
        raise ValueError(f"targets must have shape ({n}, {n}), got {tuple(targets.shape)}")
    weights = targets.float()
    if not bool((weights.isfinite() & (weights >= 0)).all()):
        raise ValueError("targets must be finite and not negative")
    if n < 2 or bool((weights == weights[0, 0]).all()):
        return None
    return normalize_rows(weights)[0], normalize_rows(weights.T)[0]


def _symmetric_cross_entropy(logits: Tensor, weights: tuple[Tensor, Tensor]) -> Tensor:
    sides = []
    for rows, of_rows in zip((logits, logits.T), weights, strict=True):
        cost = -(of_rows * F.log_softmax(rows, dim=1)).sum(1)
        sides.append(cost.sum() / of_rows.any(1).sum())
    return torch.stack(sides).mean()


def _check_scale(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be positive and finite, got {value!r}")


def _check_slots(name: str, vectors: Tensor, name_there: str, there: Tensor, what: str) -> None:
    if vectors.ndim != 3 or there.shape != vectors.shape[:2] or there.dtype != torch.bool:
        raise ValueError(
            f"{name} must be (n, {what}s, d) and {name_there} a bool Tensor (n, {what}s), got {tuple(vectors.shape)} "
            f"and {there.dtype} {tuple(there.shape)}"
        )
    empty = ~there.any(1)
    if bool(empty.any()):
        raise ValueError(f"{name_there}: row {int(empty.nonzero()[0])} has no {what}; leave this row out")
