"""ReportAlignment: what it learns with a trained encoder, all its losses and sources, and what it refuses."""

from functools import partial

import numpy as np
import pytest
import torch
from reported_ecgs import reported
from sklearn.base import clone

from beatssl_sklearn import (
    BeatSSL,
    CallableText,
    LeadMasking,
    Pretrainer,
    ReportAlignment,
    ReportTextEncoder,
    RhythmEmbedder,
    Sum,
    TfidfText,
)
from beatssl_sklearn.persistence import save
from beatssl_sklearn.pretraining.report_texts import checked_texts, drawn_texts, encode_reports, split_reports
from beatssl_sklearn.pretraining.report_words import NO_WORDS, build_token_head
from beatssl_sklearn.text import Glossary, WordVocabulary

ECG, REPORTS = reported(16, 0, duration=3)
X = ECG.data
SMALL = partial(ReportAlignment, text=TfidfText(n_dims=16, n_buckets=64), projection_dim=16)
TINY = {
    **{"fs": 100, "encoder_params": {"widths": (8, 16, 24), "n_dims": 12}, "max_epochs": 1, "batch_size": 8},
    **{"random_state": 0, "device": "cpu"},
}


def make(objective=None, **changes):
    return Pretrainer(SMALL() if objective is None else objective, **{**TINY, **changes})


@pytest.fixture(scope="module")
def known():
    report, texts = checked_texts(["Vorhofflimmern.", "Sinusrhythmus. Linkstyp.", "Vorhofflimmern", "abc"], 4)
    text = TfidfText(n_dims=8).fit(["Vorhofflimmern", "Sinusrhythmus"])
    return encode_reports(report, texts, text, WordVocabulary(n_buckets=1).fit(["abc"], min_df=1), 7)


# A fit


@pytest.fixture(scope="module")
def fitted():
    return make(max_epochs=12, lr=3e-3).fit(X, reports=REPORTS)


def test_a_pretrainer_learns_from_reports(fitted, tmp_path):
    first, last = fitted.history_[0], fitted.history_[-1]
    assert last["rhythm_loss"] < first["rhythm_loss"] and last["token_loss"] < first["token_loss"] - 0.05
    objective = fitted.objective_
    assert objective.n_reports_used_ == 16 and "vorhofflimmern" in objective.words_
    assert {name.partition(".")[0] for name in fitted.heads_} == {"ecg", "text", "scale", "tokens"}
    z = fitted.transform(X)
    save(fitted, tmp_path / "m.bssl")
    loaded = Pretrainer.load(tmp_path / "m.bssl")
    assert np.array_equal(loaded.transform(X), z)
    assert np.array_equal(loaded.objective_.text_.encode(["AF"]), objective.text_.encode(["AF"]))
    assert np.array_equal(RhythmEmbedder(fitted).fit_transform(X), z)


def test_two_fits_are_equal_bit_for_bit():
    first = make().fit(X, reports=REPORTS)
    again = clone(first).fit(X, reports=tuple(REPORTS))
    assert np.array_equal(first.transform(X), again.transform(X))
    assert all(np.array_equal(first.heads_[name], again.heads_[name]) for name in first.heads_)


@pytest.mark.parametrize("token_loss", ["bag", "mlm", "caption"])
@pytest.mark.parametrize("beat_source", ["rpeaks", "queries"])
def test_all_losses_and_sources(token_loss, beat_source):
    objective = SMALL(token_loss=token_loss, beat_source=beat_source)
    state = torch.get_rng_state()
    found = make(objective).fit(X, reports=REPORTS)
    losses = found.history_[-1]
    assert all(0 < losses[f"{name}_loss"] < 100 for name in ("rhythm", "beat", "token"))
    total = losses["rhythm_loss"] + 2 * losses["token_loss"] + 0.2 * losses["beat_loss"]
    assert losses["train_loss"] == pytest.approx(total, rel=1e-5)
    assert ("ecg.record.weight" in found.heads_) == (beat_source == "rpeaks")
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("parameters", "zero"),
    [({"token_weight": 0}, "token_loss"), ({"beat_weight": 0}, "beat_loss"), ({"rhythm_weight": 0}, None)],
)
def test_a_weight_of_0_leaves_a_loss_out(parameters, zero):
    losses = make(SMALL(**parameters)).fit(X, reports=REPORTS).history_[-1]
    assert zero is None or losses[zero] == 0
    assert np.isfinite(losses["train_loss"])


@pytest.mark.parametrize(
    "objective",
    [
        SMALL(views=LeadMasking()),
        SMALL(merge_equal=False, phrase_share=0),
        ReportAlignment(projection_dim=16, text=ReportTextEncoder(n_dims=8, n_layers=1, n_heads=1, max_epochs=1)),
        ReportAlignment(projection_dim=16, text=CallableText(lambda texts: [[len(t), t.count("a")] for t in texts])),
        Sum([SMALL(), BeatSSL("none", "none")]),
    ],
    ids=["masked leads", "the publication's", "trained text", "callable text", "sum"],
)
def test_variants(objective):
    fitted = make(objective).fit(X, reports=REPORTS)
    assert np.isfinite(fitted.history_[-1]["train_loss"]) and np.isfinite(fitted.transform(X)).all()


def test_records_without_a_report_are_left_out():
    few = [*REPORTS[:3], *[None, float("nan"), "", "4.46"] * 3, REPORTS[3]]
    with pytest.warns(UserWarning, match="12 of 16 records have none"):
        found = make(batch_size=2).fit(X, reports=few)
    assert found.objective_.n_reports_used_ == 4 and np.isfinite(found.history_[-1]["train_loss"])


# What is drawn


def test_equal_reports_are_one_text(known):
    # Punctuation is no difference.
    assert known.report.tolist() == [0, 1, 0, 2] and known.n_used == 4
    assert split_reports(["", "a. b", "b"])[0].tolist() == [-1, 0, 1]
    assert known.sentences_of.tolist() == [[0, -1], [1, 2], [3, -1]]


def test_drawn_texts_are_true_of_those_whose_report_names_them(known):
    codes = Glossary.load().codes
    vectors, fits = drawn_texts(known, known.report, 1.0, np.random.default_rng(0))
    assert known.concepts[0, codes.index("AFIB")] and not known.concepts[1, codes.index("AFIB")]
    assert fits[:, 0].tolist() == fits[:, 2].tolist() == [True, False, True, False]
    # A report that names nothing is compared as a whole, also where phrases are always drawn.
    assert np.array_equal(vectors[3], known.whole[2]) and fits[:, 3].tolist() == [False, False, False, True]
    of_afib = known.phrase[known.phrase_offset[codes.index("AFIB")] : known.phrase_offset[codes.index("AFIB") + 1]]
    assert any(np.array_equal(vectors[i], phrase) for i in (0, 2) for phrase in of_afib) or known.concepts[0].sum() > 1
    whole, equal = drawn_texts(known, known.report, 0.0, np.random.default_rng(0))
    assert np.array_equal(whole, known.whole[known.report])
    assert np.array_equal(equal, known.report[:, None] == known.report)


@pytest.mark.parametrize("merge", [True, False])
def test_a_record_without_a_report_fits_nothing(known, merge):
    known = type(known)(**{**vars(known), "report": np.array([0, -1, 0, 2])})
    objective = ReportAlignment(merge_equal=merge)
    inputs, fits = objective.draw_texts(known, np.arange(4), np.random.default_rng(0))
    assert not fits[1].any() and not fits[:, [1, 5]].any() and not inputs["words"][1].any()
    assert fits[0, 6] == fits[2, 4] == merge and fits[0, 4]


def test_words_of_a_record_without_a_report_are_not_lacking():
    head = build_token_head(8, NO_WORDS + 3, "bag", torch.Generator().manual_seed(0))
    tokens = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(1))
    ids = torch.tensor([[2, NO_WORDS, NO_WORDS + 2, 3], [0, 0, 0, 0]])
    draw = torch.zeros(1, dtype=torch.int64)
    both, first, second = (head(tokens[i], ids[i], draw).item() for i in (slice(2), slice(1), slice(1, 2)))
    assert both == pytest.approx(first, rel=1e-6) and second == 0


# What cannot be learnt


@pytest.mark.parametrize(
    ("reports", "error", "message"),
    [
        (None, ValueError, "ReportAlignment needs reports"),
        ([None] * 16, ValueError, "2 different ones are needed .* got 0; 16 of 16 records have none"),
        (["Sinusrhythmus."] * 16, ValueError, "got 1; 0 of 16 records have none"),
        ([*[None] * 15, "abc"], ValueError, "got 1; 15 of 16"),
        (REPORTS[:5], ValueError, "5 for 16 records"),
        ([*REPORTS[:15], 3], TypeError, "the report of record 15 must be a text or None, got 3"),
        (np.array(REPORTS)[:, None], TypeError, r"of shape \(16, 1\)"),
    ],
)
def test_reports_that_cannot_be(reports, error, message):
    with pytest.raises(error, match=message):
        make().fit(X, reports=reports)


class Rubbish(TfidfText):
    def encode(self, texts):
        return super().encode(texts) * np.nan


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"text": len}, TypeError, "text must be a TextEncoder or None.*CallableText"),
        ({"text": TfidfText}, TypeError, "text must be a TextEncoder or None"),
        ({"text": CallableText("a name")}, TypeError, "not its name"),
        ({"text": Rubbish()}, ValueError, "Rubbish.encode must return a finite array"),
        ({"projection_dim": 10}, ValueError, "multiple of 4.*10"),
        ({"rhythm_weight": 0, "token_weight": 0, "beat_weight": 0}, ValueError, "all 0"),
        ({"token_loss": "none"}, ValueError, "token_loss must be one of bag, mlm, caption"),
        ({"phrase_share": 1.5}, ValueError, "phrase_share"),
        ({"views": 3}, TypeError, "views"),
    ],
)
def test_parameters_that_cannot_be(params, error, message):
    with pytest.raises(error, match=message):
        make(ReportAlignment(**params)).fit(X, reports=REPORTS)
