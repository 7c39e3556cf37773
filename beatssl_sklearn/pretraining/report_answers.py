"""What a fitted `ReportAligner` answers: prompts, texts that look for records, captions, what an answer rests on."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from ..components import check_number
from ..contrast.text_contrast import LARGEST_LOG_SCALE
from ..embedding.fitted_encoder import FittedEncoder, InferenceModel
from ..embedding.starting_encoder import StartedEstimator
from ..inputs.source import Source
from ..nn.word_decoder import END, WordDecoder
from ..text import WordVocabulary
from .report_alignment import ReportAlignment
from .report_attribution import attribution_of
from .report_fit import aligned_blocks, digest_of_weights, encoded_texts, restored_heads
from .report_heads import ReportHeads
from .report_kept import keeps_records, without_records
from .report_prompts import MODES, check_prompts, check_texts, class_vectors, probabilities, tell_denied, tell_unknown


class ReportAnswers(StartedEstimator):
    """Base of `ReportAligner`: the methods of a fitted one."""

    trained_: FittedEncoder | None
    reading_: dict[str, Any]
    encoder_digest_: str
    objective_: ReportAlignment
    heads_: dict[str, NDArray]
    gallery_: NDArray[np.float16]
    gallery_rows_: NDArray[np.int64]
    captions_: NDArray[np.str_]
    batch_size: int
    check: str
    keep_records: bool
    device: Any
    precision: str

    def _for_file(self) -> Any:
        """Return this aligner as a file holds it, without records that it is no longer to keep."""
        stored = super()._for_file()
        if not self._forgets:
            return stored
        stored = copy(self) if stored is self else stored
        stored.__dict__.update(without_records(self.gallery_, self.gallery_rows_))
        return stored

    def __getstate__(self) -> dict[str, Any]:
        """Leave the records out of pickles, too, if they are no longer to be kept."""
        state = super().__getstate__()
        return state | without_records(self.gallery_, self.gallery_rows_) if self._forgets else state

    @property
    def _forgets(self) -> bool:
        """Whether records of `fit` are still here that are not to be kept."""
        return hasattr(self, "heads_") and not self.keep_records and keeps_records(self.gallery_, self.captions_)

    def _aligned(self, source: Source, check: str) -> NDArray[np.float32]:
        """Return records as unit vectors (n_records, p) in the space that they share with texts."""
        model, heads = self._ready()
        out = np.empty((source.n_records, int(self.objective_.projection_dim)), dtype=np.float32)
        for block in aligned_blocks(source, model, heads, batch_size=self.batch_size, check=check):
            out[block.embedded.rows] = block.aligned.record.cpu().numpy()
        return out

    def _vectors(self, X: Any) -> NDArray[np.float32]:
        """Return what `transform` does, and never a table."""
        return self._aligned(self._read_as(X, self.encoder_, reset=False), check=self.check)

    @property
    def encoder_(self) -> FittedEncoder:
        """What reads the ECGs: the encoder that was trained here, or the pretrainer's.

        Raises
        ------
        ValueError
            If `pretrainer` was changed after `fit`.
        """
        check_is_fitted(self)
        found: FittedEncoder = self.trained_ or self._starting_encoder(0)[0]
        if digest_of_weights(found) != self.encoder_digest_:
            raise ValueError(
                f"pretrainer={self.pretrainer!r:.80} is another encoder than the one that this aligner was fitted "
                f"with; call fit again"
            )
        return found.described(**self.reading_)

    def _ready(self) -> tuple[InferenceModel, ReportHeads]:
        model = self.encoder_.model(self.device, self.precision)
        return model, restored_heads(self.objective_, model, self.heads_)

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return texts in the space that they share with records.

        Parameters
        ----------
        texts : sequence of str
            Reports, sentences or prompts.

        Returns
        -------
        ndarray (n_texts, p) float32
            Unit vectors.

        Raises
        ------
        TypeError, ValueError
            If an entry is no text, or has no word.
        """
        check_is_fitted(self)
        given = check_texts("texts", texts)
        tell_unknown(given, self.objective_.words_.tolist())
        tell_denied(given)
        return encoded_texts(self.objective_, self._ready()[1], given)

    def predict_proba(self, X: Any, prompts: Any, *, mode: str = "independent") -> NDArray[np.float64]:
        """Return how well each record fits each class, which texts describe.

        Parameters
        ----------
        X : as for `fit`
        prompts : dict of str to str or list of str, or list of str
            Texts by class. In a list, each entry is a class: a code of the glossary, such as "AFIB", has the
            glossary's prompts; any other text is its own.
        mode : {"independent", "exclusive"}, default="independent"
            A sigmoid for each class, at .5 for the median record of `fit`; or a softmax over all classes.

        Returns
        -------
        ndarray (n_records, n_classes) float64
            Columns in the order of `prompts`. They rank records; they are no calibrated probabilities.

        Raises
        ------
        TypeError, ValueError
            If a record, a prompt or the mode cannot be used; the message names it.
        """
        check_is_fitted(self)
        named = check_prompts(prompts)
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
        if mode == "exclusive" and len(named) < 2:
            raise ValueError(f"mode='exclusive' needs at least two classes, got {list(named)}")
        classes = class_vectors(named, self.encode_text)
        scale = float(np.exp(np.clip(self.heads_["scale.log"][0], 0, LARGEST_LOG_SCALE)))
        return probabilities(self._vectors(X), classes, self.gallery_, scale, mode)

    def retrieve(self, text: str, k: int = 5, *, X: Any = None) -> Bunch:
        """Find the records that fit a text best.

        Parameters
        ----------
        text : str
        k : int, default=5
            How many, at most.
        X : as for `fit`, optional
            Where to look; None is the records of `fit`.

        Returns
        -------
        Bunch
            `rows`, records by falling `similarity`, which is the cosine.

        Raises
        ------
        TypeError, ValueError
            If the text or `k` cannot be used.
        """
        check_is_fitted(self)
        check_number("k", k, Integral, 1)
        if not isinstance(text, str):
            raise TypeError(f"text must be one text, got {text!r:.80}")
        z = self.encode_text([text])[0]
        if X is None and not (self.keep_records and keeps_records(self.gallery_, self.captions_)):
            has = "has" if not self.keep_records else "was fitted with"
            raise ValueError(f"X must be given: this aligner {has} keep_records=False")
        records = self.gallery_.astype(np.float32) if X is None else self._vectors(X)
        rows = self.gallery_rows_ if X is None else np.arange(len(records))
        similarity = np.nan_to_num(records @ z, nan=-2.0)
        best = np.argsort(-similarity, kind="stable")[: min(k, int((similarity > -2).sum()))]
        return Bunch(rows=rows[best], similarity=similarity[best])

    def caption(
        self, X: Any, k: int = 1, *, source: str = "nearest", candidates: Sequence[str] | None = None
    ) -> list[list[str]]:
        """Return the reports that fit each record best, or write one.

        Parameters
        ----------
        X : as for `fit`
        k : int, default=1
            How many, at most; one if it is written.
        source : {"nearest", "written"}, default="nearest"
            "written": word by word, by the network that the token loss "caption" trains.
        candidates : sequence of str, optional
            Reports to choose from; None is the most frequent ones of `fit`.

        Returns
        -------
        list of lists of str
            For each record, the best first; none for a record that is NaN throughout.

        Raises
        ------
        TypeError, ValueError
            If a candidate or `k` cannot be used, or there is none.
        """
        check_is_fitted(self)
        check_number("k", k, Integral, 1)
        if source not in ("nearest", "written"):
            raise ValueError(f"source must be one of nearest, written, got {source!r}")
        if source == "written":
            return self._written(X)
        own = self.captions_.tolist() if self.keep_records else []
        texts = own if candidates is None else check_texts("candidates", candidates)
        if not texts:
            kept = "" if candidates is not None else "; this aligner keeps no reports (keep_records=False)"
            raise ValueError(f"candidates must hold at least one text{kept}")
        cosines = self._vectors(X) @ encoded_texts(self.objective_, self._ready()[1], texts).T
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
        return [[] if np.isnan(row).any() else [texts[i] for i in at] for row, at in zip(cosines, best, strict=True)]

    def attribution(self, X: Any, prompt: str | Sequence[str], *, leads: bool = True) -> Bunch:
        """Return which heartbeats and which leads the answer to a prompt rests on.

        Parameters
        ----------
        X : as for `fit`
        prompt : str or sequence of str
            One class: a code of the glossary, a text, or several texts.
        leads : bool, default=True
            Whether to ask for the leads, too: each record is read again without each of its leads.

        Returns
        -------
        Bunch
            `prompt`, the texts. `score` (n_records,), the cosine of record and prompt. `rhythm` (n_records,), the part
            of it that comes from the record as a whole. `beats`, for each record an array (n_beats,) of the parts that
            come from its beats, at `rpeaks` [samples]: rhythm and beats add up to the score; none where beats are
            learned queries. `leads` (n_records, 12), how much the score falls without a lead, NaN where there is none
            or no other; None if not asked for. Limb leads are made from one another, so that one of them alone is
            never missing in other records: read their falls together.
        """
        check_is_fitted(self)
        named = check_prompts([prompt] if isinstance(prompt, str) else {"prompt": prompt})
        z = class_vectors(named, self.encode_text)[0]
        source = self._read_as(X, self.encoder_, reset=False)
        run: dict[str, Any] = {"batch_size": self.batch_size, "check": self.check}
        return Bunch(prompt=next(iter(named.values())), **attribution_of(source, *self._ready(), z, leads=leads, **run))

    def _written(self, X: Any) -> list[list[str]]:
        model, heads = self._ready()
        if heads.tokens is None or not isinstance(heads.tokens.words, WordDecoder) or heads.tokens.kind != "caption":
            raise ValueError(
                "source='written' needs a network that writes: fit with "
                "objective=ReportAlignment(token_loss='caption')"
            )
        vocabulary = WordVocabulary(self.objective_.words_, n_buckets=1)
        out: list[list[str]] = []
        source = self._read_as(X, self.encoder_, reset=False)
        for block in aligned_blocks(source, model, heads, batch_size=self.batch_size, check=self.check):
            assert block.encoded.tokens is not None
            known = torch.isfinite(block.encoded.record).all(1).tolist()
            with torch.no_grad():
                ids = heads.tokens.words.generate(heads.tokens.pool(block.encoded.tokens), blocked_ids=[END + 1])
            out += [[" ".join(map(vocabulary.word_of, own))] if ok else [] for own, ok in zip(ids, known, strict=True)]
        return out
