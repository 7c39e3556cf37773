"""Records one by one: lists, folders, and columns of tables."""

import os
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import StandardScaler

from beatssl_sklearn import (
    BeatEmbedder,
    BeatSSLPretrainer,
    ECGRecord,
    FineTunedClassifier,
    RhythmEmbedder,
    SampleEmbedder,
    WaveSegmenter,
    WFDBFolder,
    make_ecg,
)
from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.inputs.cells import Paths, cells_of

X = make_ecg(6, fs=100, duration=6, random_state=0).data
NAMES = list("abcdef")


@pytest.fixture(scope="module")
def pre():
    params = {"widths": (8, 16, 24), "n_dims": 12}
    return BeatSSLPretrainer(fs=100, encoder_params=params, max_epochs=0, random_state=0, device="cpu").fit(X)


def write_record(path, signal):
    digital = np.round(signal * 1000).astype("<i2")
    path.with_suffix(".dat").write_bytes(digital.T.tobytes())
    lines = [f"{path.name} 12 100 {digital.shape[1]}"]
    for lead, samples in zip(LEADS, digital, strict=True):
        lines.append(f"{path.name}.dat 16 1000/mV 16 0 {samples[0]} {int(samples.sum(dtype=int)) & 0xFFFF} 0 {lead}")
    path.with_suffix(".hea").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    for name, signal in zip(NAMES, X, strict=True):
        write_record(folder / name, signal)
    return [str(folder / name) for name in NAMES]


def objects(values):
    out = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        out[i] = value
    return out


def records():
    return [ECGRecord(x, 100.0, LEADS) for x in X]


FORMS = {
    "list": list,
    "tuple": tuple,
    "object array": objects,
    "column of an object array": lambda values: objects(values)[:, None],
    "Series": lambda values: pd.Series(list(values), index=NAMES),
    "table of one column": lambda values: pd.DataFrame({"ecg": list(values)}, index=NAMES),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_a_column_of_records(form, pre):
    np.testing.assert_array_equal(pre.transform(FORMS[form](records())), pre.transform(X))


@pytest.mark.parametrize("form", [f for f in FORMS if f not in ("list", "tuple")])
def test_forms_of_a_column_of_arrays(form, pre):
    unequal = [x[:, : 400 + 20 * i] for i, x in enumerate(X)]
    expected = pre.transform([ECGRecord(x, 100.0, LEADS) for x in unequal])
    np.testing.assert_array_equal(pre.transform(FORMS[form](unequal)), expected)
    np.testing.assert_array_equal(pre.transform(FORMS[form]([torch.tensor(x) for x in unequal])), expected)


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_a_column_of_paths(form, pre, paths):
    expected = pre.transform(WFDBFolder(paths[0][:-2]))
    np.testing.assert_array_equal(pre.transform(FORMS[form](paths)), expected)


def test_paths_as_texts_of_numpy_and_pandas(pre, paths):
    expected = pre.transform(paths)
    for column in (np.array(paths), np.array(paths)[:, None], pd.Series(paths, dtype="string")):
        np.testing.assert_array_equal(pre.transform(column), expected)


def test_every_estimator_takes_a_column(pre, paths):
    for column in (pd.Series(records()), pd.Series(list(X)), pd.Series(paths)):
        y = np.arange(6) % 2
        assert len(RhythmEmbedder(pre).transform(column)) == 6
        assert [len(b) for b in BeatEmbedder(pre).transform(column)] == [len(b) for b in BeatEmbedder(pre).transform(X)]
        assert len(SampleEmbedder(pre).transform(column)) == 6
        assert BeatSSLPretrainer(**pre.get_params(deep=False)).fit(column).n_features_in_ == 12
        fitted = FineTunedClassifier(pre, max_epochs=0, random_state=0).fit(column, y)
        assert fitted.predict(column).shape == (6,) and fitted.encoder_.fs == 100
        table = WaveSegmenter.load("waves").set_params(fs=100).delineate(column)
        assert set(table["record"]) == set(range(6))


def test_arrays_have_the_rate_and_the_leads_of_the_estimator(pre):
    two = pd.Series([x[[1, 6]] for x in X])
    embedder = RhythmEmbedder(pre, leads=["II", "V1"])
    expected = embedder.transform([ECGRecord(x[[1, 6]], 100.0, ("II", "V1")) for x in X])
    np.testing.assert_array_equal(embedder.transform(two), expected)
    one = RhythmEmbedder(pre, leads="II")
    np.testing.assert_array_equal(one.transform(pd.Series([x[1] for x in X])), one.transform(X[:, [1]]))
    with pytest.raises(ValueError, match="X has 2 leads, but RhythmEmbedder was fitted on 12"):
        RhythmEmbedder(pre).transform(two)
    with pytest.raises(ValueError, match="record 1 has 2 leads, but 12 are expected"):
        RhythmEmbedder(pre).transform(pd.Series([X[0], X[1, :2]]))


def test_names_of_records(pre, paths):
    assert cells_of(pd.Series(records(), index=NAMES)).names == NAMES
    assert cells_of(pd.DataFrame({"ecg": paths}, index=NAMES)).names == NAMES
    assert list(cells_of(WFDBFolder(paths[0][:-2])).names) == NAMES
    assert cells_of(records()).names is None and cells_of(objects(records())).names is None
    source = pre._source_for(pre.encoder_, pd.Series(records(), index=NAMES), reset=False)
    assert source.record_names == NAMES
    with pytest.warns(UserWarning, match="^record 'c': no lead varies"):
        pre.transform(pd.Series([*X[:2], 0 * X[2], *X[3:]], index=NAMES))


def test_a_table_in_a_column_transformer(pre, paths):
    table = pd.DataFrame({"ecg": paths, "age": np.arange(50.0, 56)})
    for selector in ("ecg", ["ecg"]):
        both = ColumnTransformer([("ecg", RhythmEmbedder(pre), selector), ("age", StandardScaler(), ["age"])])
        found = both.fit_transform(table)
        np.testing.assert_array_equal(found[:, :-1], pre.transform(paths))
        assert len(both.get_feature_names_out()) == found.shape[1]


def test_a_table_of_several_columns_is_refused_with_the_column_to_take(pre):
    with pytest.raises(ValueError, match=r"table of the columns age, ecg; pass .* X\['ecg'\]"):
        pre.transform(pd.DataFrame({"age": range(6), "ecg": records()}))


def test_what_is_no_column():
    for other in (X, list(X), X[0], [], "ab", b"ab", {"signal": X}, None, 3, torch.tensor(X), X.tolist()):
        assert cells_of(other) is None
    for table in (pd.DataFrame(X[0]), pd.DataFrame({"x": X[0, 0]}), pd.Series(X[0, 0]), X[0].astype(object)):
        assert cells_of(table) is None


@pytest.mark.parametrize(
    ("cells", "error", "message"),
    [
        ([X[0], None], TypeError, "record 1 is a NoneType, not an ECGRecord"),
        ([X[0], np.nan], TypeError, "record 1 is a float"),
        ([X[0], "p"], TypeError, "record 1"),
        ([X[0], X[1] > 0], TypeError, "record 1: its signal must be .*True and False"),
        ([X[0], X[1][:, :20]], ValueError, "record 1 has 20 samples at 100 Hz"),
        ([X[0], X[1:3]], ValueError, r"record 1: its signal must be .* got the shape \(2, 12, 600\)"),
        (["/nowhere/p", "/nowhere/q"], OSError, r"record 0 \(/nowhere/p\): .*no file"),
        (["/nowhere/p", 3], OSError, "record 0"),
    ],
)
def test_cells_that_are_no_record_are_named(cells, error, message, pre):
    with pytest.raises(error, match=message):
        pre.transform(pd.Series(cells))


def test_a_path_that_is_none_is_named(paths):
    with pytest.raises(TypeError, match="record 1 must be a path, as the others are, got None"):
        Paths([paths[0], None])[1]


def test_paths_are_read_when_they_are_needed(pre, paths, monkeypatch):
    read = []
    monkeypatch.setattr("beatssl_sklearn.inputs.cells.read_wfdb", lambda path: read.append(path) or records()[0])
    blocks = pre._source_for(pre.encoder_, pd.Series(paths), reset=False).read(np.arange(6), 2)
    assert not read
    next(blocks)
    assert read == paths[:3]


def test_a_cache_sees_that_a_file_was_written_anew(pre, paths, tmp_path):
    write_record(tmp_path / "a", X[0])
    column = pd.Series([str(tmp_path / "a")])
    embedder = RhythmEmbedder(pre, memory=str(tmp_path / "cache"))
    old = embedder.transform(column)
    np.testing.assert_array_equal(embedder.transform(column), old)
    write_record(tmp_path / "a", X[1, :, :500])
    new = embedder.transform(column)
    assert np.abs(new - old).max() > 1e-3
    np.testing.assert_array_equal(new, RhythmEmbedder(pre).transform(column))
    assert pickle.loads(pickle.dumps(Paths(paths))).paths == paths


def test_a_cache_sees_files_that_have_other_names(paths, tmp_path):
    """A header names its signal files, or the segments of the record."""
    write_record(tmp_path / "own", X[0])
    (tmp_path / "own.dat").rename(tmp_path / "signals.bin")
    header = (tmp_path / "own.hea").read_text().replace("own.dat", "signals.bin")
    (tmp_path / "one.hea").write_text(header.replace("own ", "one ", 1))
    (tmp_path / "segment.hea").write_text(header.replace("own ", "segment ", 1))
    (tmp_path / "two.hea").write_text(f"two/1 12 100 {X.shape[2]}\nsegment {X.shape[2]}\n")
    for second, name in enumerate(("one", "two", "one.hea")):
        column = Paths([tmp_path / name])
        np.testing.assert_allclose(column[0].signal, X[0], atol=6e-4)
        before = joblib.hash(column)
        assert joblib.hash(Paths([tmp_path / name])) == before != joblib.hash(Paths(paths))
        os.utime(tmp_path / "signals.bin", times=(0, second))
        assert joblib.hash(column) != before, name


def test_what_is_no_path_is_told_when_it_is_read_and_not_before():
    for path in ("", "a\0b", "http://a/b", None, 3, "/nowhere/p", "a\ud800"):
        joblib.hash(Paths([path]))
        with pytest.raises((ValueError, OSError, TypeError)):
            Paths([path])[0]


def test_of_a_whole_table_the_column_is_asked_for(pre):
    embedder = RhythmEmbedder(pre, fs=100)
    mixed = pd.DataFrame({"id": ["a", "b"], "age": [60, 70], "path": ["x/1", "x/2"]})
    with pytest.raises(ValueError, match="X is a table of the columns id, age, path; pass the one that holds"):
        embedder.transform(mixed)
    with pytest.raises(ValueError, match=r"X is a table of 3 columns \(a, b, c\): choose the column of records"):
        WaveSegmenter.load("waves").delineate(pd.DataFrame(np.zeros((4, 3)), columns=list("abc")))
