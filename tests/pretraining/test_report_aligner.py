"""ReportAligner: zero-shot across languages, retrieval, attribution, scikit-learn's tools, files, and odd records."""

import os
import pickle
from contextlib import nullcontext
from functools import partial

import numpy as np
import pandas as pd
import pytest
import sklearn
from closeness import assert_close_to_rounding
from reported_ecgs import make, reported
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from beatssl_sklearn import (
    BeatSSL,
    BeatSSLPretrainer,
    CallableText,
    ECGRecord,
    LeadMasking,
    ReportAligner,
    ReportAlignment,
    RhythmEmbedder,
    TfidfText,
    make_ecg,
)
from beatssl_sklearn.persistence import load, save

ECG, REPORTS = reported(64, 1)
NEW, _ = reported(60, 2)
X, IS_AF = NEW.data[:6], np.array(NEW.rhythm) == "af"
ENGLISH = {"AF": ["atrial fibrillation"], "SR": ["sinus rhythm"]}
# For fits of which nothing is expected but that they end.
FEW, FEW_REPORTS = ECG.data[:12], REPORTS[:12]
SMALL = partial(ReportAlignment, text=TfidfText(n_dims=16, n_buckets=64), projection_dim=16)


@pytest.fixture(scope="module")
def fitted():
    return make(max_epochs=15, lr=3e-3, batch_size=32).fit(ECG.data, reports=REPORTS)


@pytest.fixture(scope="module")
def trained():
    return make(objective=SMALL(token_loss="caption"), encoder_lr=1e-3).fit(FEW, reports=FEW_REPORTS)


# Answers


def test_prompts_in_english_meet_reports_in_german(fitted):
    p = fitted.predict_proba(NEW.data, ENGLISH)
    assert roc_auc_score(IS_AF, p[:, 0]) > 0.9 and roc_auc_score(~IS_AF, p[:, 1]) > 0.9
    exclusive = fitted.predict_proba(NEW.data, ENGLISH, mode="exclusive")
    np.testing.assert_allclose(exclusive.sum(axis=1), 1)
    assert ((exclusive[:, 0] > 0.5) == IS_AF).mean() > 0.8
    # The glossary's prompts of a code, and one class only.
    assert roc_auc_score(IS_AF, fitted.predict_proba(NEW.data, "AFIB")) > 0.9
    z = fitted.transform(NEW.data) @ fitted.encode_text(ENGLISH["AF"]).T
    assert np.array_equal(np.argsort(z[:, 0]), np.argsort(p[:, 0]))


def test_shuffled_reports_tell_nothing():
    # What is learnt points anywhere: single scores have a standard deviation of .2, so that the mean of 16 has .05.
    found = []
    for seed in range(16):
        shuffled = np.random.default_rng(seed).permutation(REPORTS)
        aligner = make(objective=SMALL(), max_epochs=4, lr=3e-3, random_state=seed).fit(ECG.data, reports=shuffled)
        found.append(roc_auc_score(IS_AF, aligner.predict_proba(NEW.data, ENGLISH)[:, 0]))
    assert abs(np.mean(found) - 0.5) < 0.15


def test_texts_find_records(fitted):
    found = fitted.retrieve("atrial fibrillation", 10)
    assert np.mean([ECG.rhythm[row] == "af" for row in found.rows]) >= 0.9
    assert (np.diff(found.similarity) <= 0).all() and len(fitted.retrieve("AF", 500).rows) == 64
    new = fitted.retrieve("Vorhofflimmern", 3, X=NEW.data)
    assert len(new.rows) == 3 and IS_AF[new.rows].mean() > 0.5


def test_captions_are_reports(fitted):
    captions = fitted.caption(NEW.data, 2)
    assert {caption for both in captions for caption in both} <= set(fitted.captions_)
    assert np.mean([("flimmern" in best) == af for (best, _), af in zip(captions, IS_AF, strict=True)]) > 0.85
    own = fitted.caption(X, candidates=["Something else", "Atrial fibrillation"])
    assert all(len(best) == 1 for best in own)


def test_a_network_writes_captions(trained):
    written = trained.caption(X, source="written")
    assert len(written) == 6 and all(set(report.split()) <= set(trained.objective_.words_) for (report,) in written)


def test_attribution_adds_up(fitted):
    found = fitted.attribution(X, ENGLISH["AF"])
    assert_close_to_rounding(found.score, (fitted.transform(X) @ fitted.encode_text(ENGLISH["AF"]).T)[:, 0])
    assert_close_to_rounding(found.rhythm + [beats.sum() for beats in found.beats], found.score)
    assert [len(b) for b in found.beats] == [len(r) for r in found.rpeaks] and min(map(len, found.beats)) > 2
    # What a lead is worth is the fall without it.
    without = X.copy()
    without[:, 7] = 0
    absent = fitted.attribution(without, ENGLISH["AF"], leads=False)
    # The detector sees the absent lead here, and not there.
    same = [np.array_equal(a, b) for a, b in zip(found.rpeaks, absent.rpeaks, strict=True)]
    fall = found.score - absent.score
    np.testing.assert_allclose(found.leads[same, 7], fall[same], atol=1e-5)
    assert found.leads.shape == (6, 12) and sum(same) > 2 and np.abs(fall[same]).max() > 0.02
    assert fitted.attribution(X, "AF", leads=False).leads is None
    queries = make(objective=SMALL(beat_source="queries"), max_epochs=1).fit(FEW, reports=FEW_REPORTS)
    parts = queries.attribution(X, "AF", leads=False)
    assert all(len(beats) == 0 for beats in parts.beats) and np.array_equal(parts.rhythm, parts.score)


def test_a_record_does_not_depend_on_its_neighbours(fitted, trained):
    for aligner in (fitted, trained):
        alone = np.concatenate([aligner.transform(X[i : i + 1]) for i in range(6)])
        assert_close_to_rounding(alone, aligner.transform(X), 2e-6)


# Fits


def test_two_fits_are_equal_bit_for_bit(trained):
    for aligner in (trained, make(objective=SMALL(views=LeadMasking()), max_epochs=2)):
        first, again = (clone(aligner).fit(FEW, reports=FEW_REPORTS) for _ in range(2))
        assert np.array_equal(first.predict_proba(X, ENGLISH), again.predict_proba(X, ENGLISH))
        assert all(np.array_equal(first.heads_[name], again.heads_[name]) for name in first.heads_)


def test_who_changes_the_encoder(fitted, trained):
    start = RhythmEmbedder(load("ptbxl-s").encoder_.with_readout(None), fs=100).fit_transform(X)
    assert fitted.trained_ is None and np.array_equal(RhythmEmbedder(fitted).fit_transform(X), start)
    assert trained.trained_ is not None and not np.allclose(RhythmEmbedder(trained).fit_transform(X), start, atol=1e-3)


def test_the_vectors_of_the_records_are_kept(fitted, trained):
    for aligner, records in ((fitted, ECG.data), (trained, FEW)):
        assert np.array_equal(aligner.gallery_rows_, np.arange(len(records)))
        np.testing.assert_allclose(aligner.gallery_.astype(np.float32), aligner.transform(records), atol=2e-3)
    given = make(keep_records=False).fit(FEW, reports=FEW_REPORTS)
    assert len(given.captions_) == 0 and given.predict_proba(X, ENGLISH).shape == (6, 2)
    for answer in (lambda: given.retrieve("AF"), lambda: given.caption(X)):
        with pytest.raises(ValueError, match="keep_records=False"):
            answer()


def test_from_scratch():
    pretrainer = BeatSSLPretrainer(fs=100, encoder_params={"widths": (8, 16, 24), "n_dims": 12})
    aligner = make(pretrainer, objective=SMALL()).fit(FEW, reports=FEW_REPORTS)
    assert aligner.trained_ is not None and "tokens.words.weight" in aligner.heads_
    assert np.isfinite(aligner.predict_proba(X, ENGLISH)).all()
    assert not hasattr(pretrainer, "heads_")


@pytest.mark.parametrize("token_loss", ["bag", "mlm", "caption"])
@pytest.mark.parametrize("beat_source", ["rpeaks", "queries"])
def test_losses_and_sources_of_a_frozen_encoder(token_loss, beat_source):
    objective = SMALL(token_loss=token_loss, beat_source=beat_source)
    asked_for_nothing = (token_loss, beat_source) == ("mlm", "rpeaks")
    # With heartbeats, "bag" and "mlm" could change the encoder only.
    told = pytest.warns(UserWarning, match="token_loss='mlm' is left out") if asked_for_nothing else nullcontext()
    with told:
        losses = make(objective=objective, max_epochs=2).fit(FEW, reports=FEW_REPORTS).history_[-1]
    assert (losses["token_loss"] == 0) == (token_loss != "caption" and beat_source == "rpeaks")
    assert np.isfinite(losses["train_loss"])


def test_masked_leads_help_few_leads():
    masked = make(objective=ReportAlignment(views=LeadMasking()), max_epochs=15, lr=3e-3, batch_size=32)
    masked.fit(ECG.data, reports=REPORTS)
    one = masked.set_params(leads=["II"]).predict_proba(NEW.data[:, 1:2], ENGLISH)
    assert roc_auc_score(IS_AF, one[:, 0]) > 0.65


# scikit-learn's tools


def zero_shot(estimator, X, y):
    return roc_auc_score(y, estimator.predict_proba(X, prompts=ENGLISH)[:, 0])


def test_a_grid_in_a_pipeline_routes_reports():
    with sklearn.config_context(enable_metadata_routing=True):
        aligner = make(objective=SMALL()).set_fit_request(reports=True).set_predict_proba_request(prompts=True)
        pipeline = make_pipeline(FunctionTransformer(), aligner)
        grid = {"reportaligner__objective__phrase_share": [0.0, 1.0]}
        search = GridSearchCV(pipeline, grid, scoring=zero_shot, cv=2, error_score="raise")
        search.fit(ECG.data[:24], np.array(ECG.rhythm[:24]) == "af", reports=REPORTS[:24])
    best = search.best_estimator_.named_steps["reportaligner"]
    assert best.objective_.phrase_share == search.best_params_["reportaligner__objective__phrase_share"]
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()


def test_tables_of_vectors(fitted):
    table = clone(fitted).set_params(max_epochs=1).set_output(transform="pandas").fit(FEW, reports=FEW_REPORTS)
    assert list(table.transform(X).columns[:2]) == ["reportaligner0", "reportaligner1"]
    assert type(table.predict_proba(X, ENGLISH)) is np.ndarray
    assert len(table.caption(X)) == 6 and len(table.retrieve("AF", 2, X=X).rows) == 2


def test_records_that_are_no_longer_to_be_kept_reach_no_file(fitted, tmp_path):
    changed = pickle.loads(pickle.dumps(fitted)).set_params(keep_records=False)
    many = {"gallery_": np.repeat(fitted.gallery_, 10, axis=0), "gallery_rows_": np.arange(640)}
    vars(changed).update(many)
    save(changed, tmp_path / "m.bssl")
    for found in (ReportAligner.load(tmp_path / "m.bssl"), pickle.loads(pickle.dumps(changed))):
        assert len(found.captions_) == 0 and len(found.gallery_) == len(found.gallery_rows_) == 512
        found.set_params(keep_records=True)
        for answer in (lambda f: f.retrieve("AF"), lambda f: f.caption(X)):
            with pytest.raises(ValueError, match="keep_records=False"):
                answer(found)
        assert len(found.retrieve("AF", 2, X=X).rows) == 2
    # Single words and pairs of them are what the text encoder knows.
    written = (tmp_path / "m.bssl").read_bytes()
    long = [report.encode() for report in fitted.captions_ if report.count(" ") > 1]
    assert long and not any(report in written for report in long)
    for answer in (lambda: changed.retrieve("AF"), lambda: changed.caption(X)):
        with pytest.raises(ValueError, match="keep_records=False"):
            answer()
    # The aligner itself still has them.
    assert len(changed.set_params(keep_records=True).caption(X)) == 6


@pytest.mark.parametrize("half", [False, True])
def test_files(fitted, trained, half, tmp_path):
    for aligner in (fitted, trained):
        save(aligner, tmp_path / "m.bssl", half=half)
        loaded, p = ReportAligner.load(tmp_path / "m.bssl"), aligner.predict_proba(X, ENGLISH)
        np.testing.assert_allclose(loaded.predict_proba(X, ENGLISH), p, rtol=0, atol=0.02 if half else 0)
        assert np.array_equal(loaded.captions_, aligner.captions_)
    assert os.path.getsize(tmp_path / "m.bssl") < 4e6


def test_pickles_and_clones(fitted):
    p = fitted.predict_proba(X, ENGLISH)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(X, ENGLISH), p)
    with pytest.raises(NotFittedError):
        clone(fitted).predict_proba(X, ENGLISH)


def test_what_no_file_can_hold(tmp_path):
    text = CallableText(lambda texts: np.array([[len(t), t.count("f") + 1] for t in texts]))
    aligner = make(objective=SMALL(text=text), max_epochs=1).fit(FEW, reports=FEW_REPORTS)
    with pytest.raises(TypeError, match="objective.text.model=.*joblib"):
        save(aligner, tmp_path / "m.bssl")
    with pytest.raises(ValueError, match="'ptbxl-s' holds a BeatSSLPretrainer, not a ReportAligner"):
        ReportAligner.load("ptbxl-s")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("objective", BeatSSL()),
        ("batch_size", 0),
        ("gallery_", np.zeros((0, 16), dtype=np.float16)),
        ("gallery_", np.full((3, 16), np.nan, dtype=np.float16)),
        ("gallery_rows_", np.zeros(3)),
        ("captions_", [1]),
        ("reading_", {}),
        ("encoder_digest_", "0"),
        ("heads_", {}),
        ("objective_", 3),
        ("history_", [3]),
    ],
)
def test_damaged_files(trained, name, value):
    damaged = pickle.loads(pickle.dumps(trained))
    setattr(damaged, name, value)
    with pytest.raises((TypeError, ValueError)):
        damaged._check_file()


def test_another_pretrainer_is_noticed(fitted):
    other = pickle.loads(pickle.dumps(fitted)).set_params(pretrainer="ptbxl")
    with pytest.raises(ValueError, match="another encoder .* call fit again"):
        other.transform(X)


# Records


def test_other_rates_and_records_of_unequal_length():
    faster = make_ecg(6, rhythm=["sinus", "af"], fs=250, duration=5, random_state=2)
    z = make(objective=SMALL(), max_epochs=1).fit(FEW, reports=FEW_REPORTS)
    cosines = (z.set_params(fs=250).transform(faster.data) * z.set_params(fs=100).transform(X)).sum(axis=1)
    assert cosines.min() > 0.95
    records = [
        ECGRecord(make_ecg(1, fs=fs, duration=s, random_state=i).data[0], fs, ECG.leads)
        for i, (fs, s) in enumerate([(100, 4), (250, 10), (100, 17), (500, 4)])
    ]
    for encoder_lr in (0, 1e-3):
        aligner = make(objective=SMALL(token_loss="caption"), encoder_lr=encoder_lr, max_epochs=1)
        found = aligner.fit(records, reports=["abc", "def", "Sinusrhythmus", None][:3] + ["x y"])
        parts = found.attribution(records, "AF", leads=False)
        assert_close_to_rounding(parts.rhythm + [beats.sum() for beats in parts.beats], parts.score)
        assert_close_to_rounding(np.concatenate([found.transform([r]) for r in records]), found.transform(records))


def test_few_leads():
    two = make(objective=SMALL(), leads=["I", "II"], max_epochs=1).fit(FEW[:, :2], reports=FEW_REPORTS)
    falls = two.attribution(FEW[:2, :2], "AF").leads
    # The other limb leads follow from I and II.
    assert np.isfinite(falls[:, :6]).all() and np.isnan(falls[:, 6:]).all()


@pytest.mark.filterwarnings("ignore:(.|\n)*(no lead varies|heartbeat|Einthoven):UserWarning")
@pytest.mark.parametrize("encoder_lr", [0, 1e-3])
def test_flat_noisy_and_missing_records(encoder_lr):
    odd = FEW.copy()
    odd[0], odd[1], odd[2, 3:] = 0, np.random.default_rng(0).normal(0, 0.01, odd[1].shape), np.nan
    odd[3] = np.nan
    aligner = make(objective=SMALL(), encoder_lr=encoder_lr, allow_nan=True, max_epochs=1)
    aligner.fit(odd, reports=FEW_REPORTS)
    assert 3 not in aligner.gallery_rows_ and {0, 1, 2} <= set(aligner.gallery_rows_)
    p = aligner.predict_proba(odd, ENGLISH)
    assert np.isnan(p[3]).all() and np.isfinite(np.delete(p, 3, axis=0)).all()
    assert aligner.caption(odd)[3] == [] and 3 not in aligner.retrieve("AF", 12, X=odd).rows
    flat = aligner.attribution(odd[:1], "AF", leads=False)
    assert len(flat.beats[0]) == 0 and flat.rhythm[0] == flat.score[0]


@pytest.mark.filterwarnings("ignore:(.|\n)*no lead varies:UserWarning")
@pytest.mark.parametrize("encoder_lr", [0, 1e-3])
def test_no_record_has_a_beat(encoder_lr):
    aligner = make(objective=SMALL(), encoder_lr=encoder_lr, max_epochs=1).fit(FEW * 0, reports=FEW_REPORTS)
    assert np.isfinite(aligner.transform(X)).all()


# Reports


@pytest.mark.parametrize(
    "reports",
    [
        ["Vorhofflimmern", "Sinusrhythmus"] * 6,
        tuple(["Vorhofflimmern", "Sinus rhythm", "Sinusrytm", "心房颤动"] * 3),
        np.array(["Vorhofflimmern", "Sinusrhythmus"] * 6),
        pd.Series(["Vorhofflimmern", "Sinusrhythmus"] * 6, index=range(7, 19)),
        pd.Series(["Vorhofflimmern", "Sinusrhythmus"] * 6).astype("category"),
        ["Wort " * 5_000, "Sinusrhythmus"] * 6,
        ["x" * 5_000, "Sinusrhythmus"] * 6,
        ["abc" + " " * 100_000 + "x", "a" + " 4.46" * 2_000] * 6,
        ["SR\n\n*** unbestätigter Bericht", "AF"] * 6,
    ],
    ids=["list", "languages", "array", "column", "categories", "long", "long word", "blanks", "boilerplate"],
)
def test_reports_of_any_kind(reports):
    aligner = make(objective=SMALL(), max_epochs=1).fit(FEW, reports=reports)
    assert aligner.objective_.n_reports_used_ == 12 and np.isfinite(aligner.transform(X)).all()
    assert aligner.captions_.nbytes < 1e6


def test_missing_reports_are_left_out():
    some = pd.Series([*FEW_REPORTS[:8], None, np.nan, pd.NA, ""], dtype=object)
    with pytest.warns(UserWarning, match="4 of 12 records have none; these records are not trained on"):
        aligner = make(objective=SMALL(), max_epochs=1).fit(FEW, reports=some)
    assert np.array_equal(aligner.gallery_rows_, np.arange(8))


@pytest.mark.parametrize("batch_size", [2, 256])
def test_two_records(batch_size):
    for encoder_lr in (0, 1e-3):
        aligner = make(objective=SMALL(), batch_size=batch_size, encoder_lr=encoder_lr, max_epochs=1)
        z = aligner.fit(FEW[:2], reports=["Vorhofflimmern", "Sinusrhythmus"]).transform(X)
        assert np.isfinite(z).all()


@pytest.mark.parametrize(
    ("reports", "error", "message"),
    [
        (None, ValueError, r"needs reports: fit\(X, reports=\.\.\.\)"),
        (FEW_REPORTS[:5], ValueError, "5 for 12 records"),
        ([*FEW_REPORTS[:11], 3], TypeError, "the report of record 11 must be a text or None, got 3"),
        ("a text of 12", TypeError, "got str"),
        ((report for report in FEW_REPORTS), TypeError, "got generator"),
        (dict(enumerate(FEW_REPORTS)), TypeError, "got dict"),
        (pd.DataFrame({"report": FEW_REPORTS}), TypeError, r"table of shape \(12, 1\)"),
        ([""] * 12, ValueError, "got 0; 12 of 12 records have none"),
        ([*[None] * 11, "abc"], ValueError, "got 1; 11 of 12"),
    ],
)
def test_reports_that_cannot_be(reports, error, message):
    with pytest.raises(error, match=message):
        make().fit(FEW, reports=reports)


@pytest.mark.filterwarnings("ignore:(.|\n)*have none:UserWarning")
def test_the_records_that_have_a_report_hold_no_sample():
    blank = FEW.copy()
    blank[1:] = np.nan
    blank[11] = FEW[11]
    with pytest.raises(ValueError, match="got 1: of the records that have one, only 1 hold a sample"):
        make(allow_nan=True).fit(blank, reports=[*FEW_REPORTS[:11], None])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"batch_size": 1}, ValueError, "batch_size"),
        ({"n_views": 0}, ValueError, "n_views"),
        ({"encoder_lr": -1}, ValueError, "encoder_lr"),
        ({"keep_records": 1}, TypeError, "keep_records"),
        ({"objective": "BeatSSL"}, TypeError, "objective must be a ReportAlignment or None, got 'BeatSSL'"),
        ({"objective": "nothing"}, ValueError, "objective must be a ReportAlignment or None: 'nothing' is not reg"),
        ({"objective": 5}, TypeError, "objective must be a ReportAlignment or None, got 5"),
        ({"objective": ReportAlignment}, TypeError, "objective must be a ReportAlignment"),
        ({"objective": SMALL(rhythm_weight=0, beat_weight=0)}, ValueError, "beat_weight=0: there is nothing to"),
        ({"checkpoint_dir": "x", "random_state": None}, ValueError, "checkpoint_dir needs a random_state"),
    ],
)
def test_parameters_that_cannot_be(changes, error, message):
    with pytest.raises(error, match=message):
        make(**changes).fit(FEW, reports=FEW_REPORTS)


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda a: a.predict_proba(X, {"AF": ""}), ValueError, r"prompts\['AF'\]"),
        (lambda a: a.predict_proba(X, ["AFIB"], mode="exclusive"), ValueError, "at least two classes"),
        (lambda a: a.predict_proba(X, ENGLISH, mode="x"), ValueError, "mode must be one of"),
        (lambda a: a.encode_text("abc"), TypeError, "a list of texts"),
        (lambda a: a.encode_text([3]), TypeError, "got 3"),
        (lambda a: a.retrieve(["AF"]), TypeError, "one text"),
        (lambda a: a.retrieve(""), ValueError, "without a word"),
        (lambda a: a.retrieve("AF", 0), ValueError, "k must be"),
        (lambda a: a.caption(X, source="x"), ValueError, "source must be one of"),
        (lambda a: a.caption(X, source="written"), ValueError, "token_loss='caption'"),
        (lambda a: a.caption(X, candidates=[]), ValueError, "candidates must hold"),
        (lambda a: a.attribution(X, {"AF": "af"}), TypeError, "a list of texts"),
        (lambda a: pickle.loads(pickle.dumps(a)).set_params(batch_size=0).transform(X), ValueError, "batch_size"),
    ],
)
def test_questions_that_cannot_be(fitted, ask, error, message):
    with pytest.raises(error, match=message):
        ask(fitted)


def test_reports_of_another_encoding(fitted):
    reports = ["\udcff " + FEW_REPORTS[0], *FEW_REPORTS[1:]]
    found = make(max_epochs=1).fit(FEW, reports=reports)
    assert any("\ufffd" in report for report in found.captions_)
    with pytest.raises(ValueError, match="no Unicode"):
        fitted.encode_text(["\udcff sinus"])


def test_a_prompt_that_only_denies_is_told(fitted):
    for ask in (
        lambda: fitted.predict_proba(X, ["no atrial fibrillation"]),
        lambda: fitted.retrieve("kein Vorhofflimmern"),
        lambda: fitted.attribution(X[:1], "kein Vorhofflimmern", leads=False),
    ):
        with pytest.warns(UserWarning, match="negation is not understood"):
            ask()


def test_unknown_words_are_told_and_never_map_to_nothing(fitted):
    with pytest.warns(UserWarning, match="1 of 1 texts have no word"):
        z = fitted.encode_text(["qwxz blubb"])
    assert np.linalg.norm(z) == pytest.approx(1, rel=1e-5)
    assert fitted.encode_text([]).shape == (0, 256)
