"""ReportAlignment: ECGs and their reports in one space, by record, heartbeat and token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from torch import Tensor, nn

from .._file_values import check_array, check_type
from ..components import Bounds, Limits, register
from ..contrast.text_contrast import LARGEST_LOG_SCALE, report_infonce, sentence_beat_infonce
from ..inputs.front_end import FrontEnd
from ..inputs.source import Block
from ..nn.blocks import Encoder
from ..text import TextEncoder, TfidfText, WordVocabulary
from ..views.augment import NoViews, checked_views
from .batches import Batch
from .objective import FitContext, Objective, PretrainedModule
from .report_heads import ReportHeads, ReportOutputs, TextSettings, build_report_heads
from .report_texts import (
    MAX_WORDS,
    MIN_DF,
    ReportTexts,
    checked_texts,
    drawn_texts,
    encode_reports,
    joined_text,
)

# Records of a step that are compared by their beats, as many as MELP's batches have: the cost is quadratic.
N_BEAT_BATCH = 64


@register
class ReportAlignment(Objective):
    """Bring ECGs and their reports together: records, heartbeats and tokens, in the manner of MELP.

    Three losses are added. Records are contrasted with reports. The beats of a record are contrasted with the
    sentences of reports, where each sentence looks at the beats that it fits. And the words of a report are told from
    the tokens of the record.

    Parameters
    ----------
    text : TextEncoder, default=None
        What turns texts into vectors: None is ``TfidfText()``. It is fitted to the reports first, and then stays as it
        is; a linear layer behind it is learnt.
    rhythm_weight, token_weight, beat_weight : float, default=1, 2, 0.2
        Weights of the losses (MELP, section 3); 0 leaves a loss out.
    token_loss : {"bag", "mlm", "caption"}, default="bag"
        What is told from the tokens: which words the report holds; words that are hidden in it; or, as in the
        publication, each word from those before it, which takes a network that writes.
    beat_source : {"rpeaks", "queries"}, default="rpeaks"
        What sentences look at: the heartbeats, or ten learned queries on the tokens, as in the publication. A record
        is the mean of them; with heartbeats, its rhythm is added.
    merge_equal : bool, default=True
        Whether a report is true of all records with the same report. False is the publication's: all others are
        negatives.
    phrase_share : float, default=0.5
        Probability that a record is not compared with its report, but with one phrase of the glossary for something
        that the report names: a phrase in English, German or Swedish. It is true of all records whose report names
        it. It makes prompts work: reports say many things at once, prompts one. 0 is the publication's.
    projection_dim : int, default=256
        Width of the space of ECGs and texts.
    views : component or callable, default=None
        Draws a view of each record: None is ``NoViews()``; ``LeadMasking()`` makes prompts work with few leads.

    Attributes
    ----------
    text_ : TextEncoder
        Fitted.
    words_ : ndarray of str
        Words that the token loss knows.
    n_reports_used_ : int
        Records with a report.

    Notes
    -----
    Each fit fits the text encoder anew. So `warm_start` and `partial_fit` of a `Pretrainer` begin with heads for other
    vectors of texts; use them with reports that say the same things.

    References
    ----------
    Wang F, Xu J, Yu L. From token to rhythm: a multi-scale approach for ECG-language pretraining. ICML 2025, arXiv
    2506.21803. Real heartbeats, merged reports, phrases, a fixed text encoder and the losses "bag" and "mlm" are ours.
    """

    needs: ClassVar[tuple[str, ...]] = ("reports",)
    keeps: ClassVar[tuple[str, ...]] = ("ecg", "text", "scale", "tokens")
    defaults: ClassVar[Mapping[str, Any]] = {"text": TfidfText, "views": NoViews}
    bounds: ClassVar[Mapping[str, Limits]] = {
        "rhythm_weight": Bounds(Real, 0),
        "token_weight": Bounds(Real, 0),
        "beat_weight": Bounds(Real, 0),
        "token_loss": ("bag", "mlm", "caption"),
        "beat_source": ("rpeaks", "queries"),
        "merge_equal": bool,
        "phrase_share": Bounds(Real, 0, 1),
        "projection_dim": Bounds(Integral, 4, 8192),
    }
    _in_file: ClassVar[tuple[str, ...]] = ("text_", "words_", "n_reports_used_")

    def __init__(
        self,
        *,
        text: Any = None,
        rhythm_weight: float = 1.0,
        token_weight: float = 2.0,
        beat_weight: float = 0.2,
        token_loss: str = "bag",
        beat_source: str = "rpeaks",
        merge_equal: bool = True,
        phrase_share: float = 0.5,
        projection_dim: int = 256,
        views: Any = None,
    ) -> None:
        self.text = text
        self.rhythm_weight = rhythm_weight
        self.token_weight = token_weight
        self.beat_weight = beat_weight
        self.token_loss = token_loss
        self.beat_source = beat_source
        self.merge_equal = merge_equal
        self.phrase_share = phrase_share
        self.projection_dim = projection_dim
        self.views = views

    def check(self) -> None:
        """Check the parameters, the text encoder and the views.

        Raises
        ------
        TypeError, ValueError
            If one cannot be used; the message names the parameter and its value.
        """
        super().check()
        checked_views(self.component("views"))
        text = self.component("text", TextEncoder)
        if isinstance(text, type) or not isinstance(text, TextEncoder):
            raise TypeError(f"text must be a TextEncoder or None, got {text!r}; CallableText takes any function")
        text.check()
        if not self.rhythm_weight + self.token_weight + self.beat_weight > 0:
            raise ValueError("rhythm_weight, token_weight and beat_weight are all 0")
        if self.projection_dim % 4:
            raise ValueError(f"projection_dim must be a multiple of 4, the heads of attention: {self.projection_dim!r}")

    def _check_file(self) -> None:
        self.check()
        if hasattr(self, "text_"):
            check_type("text_", self.text_, TextEncoder)
            check_array("words_", self.words_, "U", None)

    def measurements(self) -> Any:
        """Return what decides the result of `measure`: nothing."""
        return None

    def measure(self, block: Block, rpeaks: list[NDArray[np.int64]], front_end: FrontEnd) -> None:
        """Measure nothing."""

    def prepare(self, measured: list[Any], fit: FitContext) -> ReportTexts:
        """Fit the text encoder to the reports, and turn them into vectors."""
        report, texts = checked_texts(fit.arguments["reports"], fit.n_records)
        joined = [joined_text(found) for found in texts]
        # Each text as often as records have it.
        every = [joined[i] for i in report[report >= 0]]
        encoder = clone(self.component("text", TextEncoder))
        self.text_: TextEncoder = encoder.fit(every)
        vocabulary = WordVocabulary(n_buckets=1).fit(every, min_df=min(MIN_DF, len(every)), max_words=MAX_WORDS)
        self.words_ = vocabulary.to_array()
        known = encode_reports(report, texts, self.text_, vocabulary, fit.front_end.beat_phases)
        self.n_reports_used_ = known.n_used
        return known

    def settings(self) -> TextSettings:
        """Return what decides the shape of the heads, known after `prepare`."""
        loss = self.token_loss if self.token_weight > 0 else "none"
        n_words = WordVocabulary(self.words_, n_buckets=1).size
        return TextSettings(self.text_.n_dims_, n_words, int(self.projection_dim), loss, self.beat_source)

    def draw(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Draw a view of each record that has a report, and what it is compared with."""
        with_report = batch.rows[batch.known.report[batch.rows] >= 0]
        if len(with_report) > 1:
            batch = replace(batch, rows=with_report)
        start = batch.draw_start()
        views = checked_views(self.component("views"))
        signal = views(*batch.window(start), batch.generator)[0]
        beats = batch.beats_in(start)
        inputs, fits = self.draw_texts(batch.known, batch.rows, batch.rng)
        tensors = {name: batch.put(array) for name, array in inputs.items()}
        return {"signal": signal, **batch.regions(beats.record, beats.time), **tensors}, batch.put(fits)

    def draw_texts(
        self, known: ReportTexts, rows: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[dict[str, NDArray], NDArray[np.bool_]]:
        """Draw what some records are compared with.

        Parameters
        ----------
        known : ReportTexts
            What `prepare` returned.
        rows : ndarray of int64 (n,)
            The records.
        rng : numpy.random.Generator
            Source of draws.

        Returns
        -------
        inputs : dict of ndarray
            Arguments of `ReportHeads.align`.
        fits : ndarray of bool (n, 2 * n)
            Which drawn texts (columns) are true of which records (rows); then which reports.
        """
        text = known.report[rows]
        vectors, fits = drawn_texts(known, text, float(self.phrase_share), rng)
        own, equal = known.sentences_of[text], text[:, None] == text
        if not self.merge_equal:
            fits = equal = np.eye(len(rows), dtype=bool)
        # A record without a report is true of nothing, and nothing is true of it.
        there = text >= 0
        both = there[:, None] & there
        inputs = {
            "text": vectors,
            "sentences": known.sentence[own],
            "sentence_there": own >= 0,
            "words": np.where(there[:, None], known.words[text], 0),
            "draw": rng.integers(2**62, size=1),
        }
        return inputs, np.hstack([fits & both, equal & both])

    def heads(self, encoder: nn.Module, known: ReportTexts, generator: torch.Generator) -> nn.Module:
        """Return the heads of ECGs, texts and words."""
        return build_report_heads(cast(Encoder, encoder), known.phases, self.settings(), generator)

    def loss(self, outputs: ReportOutputs, targets: Tensor) -> dict[str, Tensor]:
        """Return the loss and its parts."""
        fits, equal = targets.chunk(2, dim=1)
        aligned = outputs.aligned
        rhythm = report_infonce(aligned.record, outputs.text, outputs.log_scale, fits)
        beat = rhythm * 0
        if self.beat_weight > 0:
            beat = _beat_loss(outputs, equal)
        total = self.rhythm_weight * rhythm + self.token_weight * outputs.token_loss + self.beat_weight * beat
        return {"loss": total, "rhythm_loss": rhythm, "token_loss": outputs.token_loss, "beat_loss": beat}

    def after_step(self, module: PretrainedModule, progress: float) -> None:
        """Keep the factor of the cosines in its range, outside of which it has no gradient."""
        heads = module.heads
        if isinstance(heads, ReportHeads):
            with torch.no_grad():
                heads.scale.log.clamp_(0, LARGEST_LOG_SCALE)


def _beat_loss(outputs: ReportOutputs, equal: Tensor) -> Tensor:
    """Return the contrast of beats and sentences among the first records of a step, which are random ones."""
    n, (_, beats, there) = N_BEAT_BATCH, outputs.aligned
    own = outputs.sentences[:n], outputs.sentence_there[:n]
    return sentence_beat_infonce(beats[:n], there[:n], *own, targets=equal[:n, :n])
