"""What users pass as X: reading in blocks, and refusals that say which record and lead."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

from beatssl_sklearn import (
    BeatEmbedder,
    BeatSSLPretrainer,
    ECGRecord,
    FineTunedClassifier,
    ReportAligner,
    RhythmEmbedder,
    SampleEmbedder,
    WaveSegmenter,
    make_ecg,
)
from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.inputs import source as inputs
from beatssl_sklearn.inputs.checks import as_array, check_duration, name_leads, refuse_swapped_axes
from beatssl_sklearn.inputs.source import ArraySource, RecordSource

X = make_ecg(7, fs=100, duration=2, random_state=0).data
X.setflags(write=False)


@pytest.fixture(scope="module")
def pre():
    params = {"widths": (8, 16, 24), "n_dims": 12}
    return BeatSSLPretrainer(fs=100, encoder_params=params, max_epochs=0, random_state=0, device="cpu").fit(X)


def array_source(array=X, allow_nan=False):
    return ArraySource(array, 100.0, LEADS, allow_nan)


class Stacks:
    """A collection that reads many records at once: those at even positions have 100 Hz, the others 200 Hz."""

    names, shape = tuple("abcdefg"), (7,)

    def __len__(self):
        return 7

    def __getitem__(self, i):
        raise AssertionError("records were read one by one")

    def read_stacks(self, positions, n_records, n_samples):
        self.most = n_records, n_samples
        for i in positions:
            yield X[i : i + 1], 100.0 + 100.0 * (i % 2), LEADS


def test_a_collection_that_reads_many_records_at_once():
    records = Stacks()
    blocks = list(RecordSource(records, False, record_names=records.names).read(np.array([4, 1, 6]), 2))
    assert [(b.rows.tolist(), b.fs) for b in blocks] == [([4], 100.0), ([1], 200.0), ([6], 100.0)]
    np.testing.assert_array_equal(np.concatenate([b.signal for b in blocks]), X[[4, 1, 6]])
    assert records.most == (2, inputs._BLOCK_SAMPLES)


# Blocks of an array


@pytest.mark.parametrize("block_size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("index", [range(7), [6, 0, 3, 3, 1], [2], [4, 5, 6, 0]])
def test_blocks_hold_the_records_in_the_order_asked_for(block_size, index):
    index = np.array(index)
    blocks = list(array_source().read(index, block_size))
    np.testing.assert_array_equal(np.concatenate([b.rows for b in blocks]), index)
    np.testing.assert_array_equal(np.concatenate([b.signal for b in blocks]), X[index])
    assert all(len(b.rows) <= block_size and b.fs == 100.0 and b.leads == LEADS for b in blocks)


def test_neighbours_are_not_copied():
    (block,) = array_source().read(np.arange(2, 5), 10)
    assert np.shares_memory(block.signal, X)


@pytest.mark.parametrize("dtype", [np.float64, ">f4", np.float16])
def test_blocks_are_native_float32(dtype):
    (block,) = array_source(X.astype(dtype)).read(np.arange(2), 10)
    assert block.signal.dtype == np.float32 and block.signal.dtype.isnative
    np.testing.assert_allclose(block.signal, X[:2], rtol=2e-3, atol=2e-3)


def test_long_records_come_in_smaller_blocks(monkeypatch):
    monkeypatch.setattr(inputs, "_BLOCK_SAMPLES", 2 * X[0].size + 1)
    assert [len(b.rows) for b in array_source().read(np.arange(7), 100)] == [2, 2, 2, 1]
    records = RecordSource([ECGRecord(x, 100.0, LEADS) for x in X], False)
    assert [len(b.rows) for b in records.read(np.arange(7), 100)] == [2, 2, 2, 1]
    monkeypatch.setattr(inputs, "_BLOCK_SAMPLES", 5)
    assert [len(b.rows) for b in array_source().read(np.arange(3), 100)] == [1, 1, 1]


# Blocks of records


class Counting:
    """A lazy collection: nothing is read before it is asked for, and then once."""

    def __init__(self, records):
        self.records, self.read = records, []
        self.names, self.shape = tuple(map(str, range(len(records)))), (len(records),)

    def __len__(self):
        return len(self.records)

    def __getitem__(self, i):
        self.read.append(i)
        return self.records[i]


def mixed_records():
    return [
        ECGRecord(X[0], 100.0, LEADS),
        ECGRecord(X[1], 100.0, LEADS),
        ECGRecord(X[2], 200.0, LEADS),
        ECGRecord(X[3][:, :150], 200.0, LEADS),
        ECGRecord(X[4][:2, :150], 200.0, ("I", "II")),
        ECGRecord(X[5][:2, :150], 200.0, ("I", "V1")),
    ]


def test_a_block_holds_records_of_one_kind():
    records = Counting(mixed_records())
    order = np.array([0, 1, 5, 2, 3, 4])
    blocks = list(RecordSource(records, False).read(order, 10))
    assert [b.rows.tolist() for b in blocks] == [[0, 1], [5], [2], [3], [4]]
    assert records.read == order.tolist()
    for block in blocks:
        for row, signal in zip(block.rows, block.signal, strict=True):
            np.testing.assert_array_equal(signal, records.records[row].signal)
            assert (block.fs, block.leads) == (records.records[row].fs, records.records[row].leads)


def test_records_are_read_when_they_are_needed():
    records = Counting(mixed_records())
    blocks = RecordSource(records, False).read(np.arange(6), 10)
    next(blocks)
    assert records.read == [0, 1, 2]


@pytest.mark.parametrize(
    ("record", "error", "message"),
    [
        (SimpleNamespace(fs=100.0), TypeError, "record 1 is a SimpleNamespace, not an ECGRecord"),
        (SimpleNamespace(signal=X[0], fs=100.0), TypeError, "record 1: its leads must be a sequence of names"),
        (ECGRecord(X[0], 100.0, LEADS[:5]), ValueError, r"record 1: a signal of shape \(12, 200\)"),
        (ECGRecord(X[0][0], 100.0, ("I",)), ValueError, r"record 1: its signal must be .* got the shape \(200,\)"),
        (ECGRecord(X[0][:, :0], 100.0, LEADS), ValueError, r"record 1: its signal must be .* got the shape \(12, 0\)"),
        (ECGRecord(X[:1], 100.0, LEADS), ValueError, r"record 1: its signal must be .* got the shape \(1, 12, 200\)"),
        (ECGRecord(X[0], 100.0, "II"), TypeError, "record 1: its leads must be a sequence of names, got 'II'"),
        (ECGRecord(X[0], 100.0, ("x",) * 12), ValueError, "record 1: unknown lead names 'x'"),
        (ECGRecord(X[0], 100.0, ("I",) * 12), ValueError, "record 1: duplicate lead names 'I'"),
        (ECGRecord(X[0], 100.0, (1,) * 12), ValueError, "record 1: a lead's name must be a str, got int"),
        (ECGRecord(X[0], None, LEADS), TypeError, "fs of record 1 must be a sampling rate"),
        (ECGRecord(X[0], np.nan, LEADS), ValueError, "fs of record 1 must lie between"),
        (ECGRecord(X[0], True, LEADS), TypeError, "fs of record 1 must be a sampling rate"),
        (ECGRecord(X[0], 5.0, LEADS), ValueError, "fs of record 1"),
        (ECGRecord(X[0], "fast", LEADS), TypeError, "fs of record 1"),
        (ECGRecord(X[0][:, :20], 100.0, LEADS), ValueError, "record 1 has 20 samples at 100 Hz"),
    ],
)
def test_bad_records_are_named(record, error, message):
    source = RecordSource([ECGRecord(X[0], 100.0, LEADS), record], False)
    with pytest.raises(error, match=message):
        list(source.read(np.arange(2), 10))


# Samples that are no numbers


def test_infinite_and_missing_samples_are_named():
    for value, what in ((np.inf, "infinity"), (-np.inf, "infinity"), (np.nan, "NaN")):
        x = X.copy()
        x[5, 8, 10:13] = value
        with pytest.raises(ValueError, match=f"{what}: record 5, lead V3 has 3 such samples, and 1 record"):
            list(array_source(x).read(np.arange(7), 100))
        names = ("aVR", "V6")
        records = [ECGRecord(x[i][[3, 8]], 100.0, names) for i in range(7)]
        with pytest.raises(ValueError, match=f"{what}: record 5, lead V6"):
            list(RecordSource(records, False).read(np.arange(7)[::-1], 3))


def test_missing_samples_where_allowed():
    x = X.copy()
    x[1, 2], x[3] = np.nan, np.nan
    (block,) = array_source(x, allow_nan=True).read(np.arange(7), 100)
    np.testing.assert_array_equal(block.blank, np.arange(7) == 3)
    x[1, 0, 0] = np.inf
    with pytest.raises(ValueError, match="infinity: record 1, lead I"):
        list(array_source(x, allow_nan=True).read(np.arange(7), 100))


def test_sums_that_overflow_are_no_infinite_samples():
    x = X.copy()
    x[2] = 3e38
    (block,) = array_source(x).read(np.arange(7), 100)
    assert not block.blank.any()


def test_numbers_beyond_float32_are_refused():
    x = X.astype(np.float64)
    x[2, 1, 5] = 1e300
    with pytest.raises(ValueError, match="infinity: record 2, lead II"):
        list(array_source(x).read(np.arange(7), 100))


# Arrays and what is none


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (None, TypeError, "NoneType"),
        ("ecg.dat", TypeError, "str"),
        ({"ecg": X}, TypeError, "dict"),
        (scipy.sparse.csr_matrix(np.eye(3)), TypeError, "sparse"),
        (X > 0, TypeError, "True and False"),
        ([X[0], X[1][:, :50]], ValueError, "unequal shapes.*ECGRecord"),
        (np.array([X[0], None], dtype=object), ValueError, "array of objects"),
    ],
)
def test_what_is_no_array(x, error, message):
    with pytest.raises(error, match=message):
        as_array(x)


@pytest.mark.parametrize(
    "x",
    [X, list(X), X.tolist(), torch.from_numpy(X.copy()), X.astype(object)],
    ids=["array", "list", "nested", "torch", "object"],
)
def test_what_is_an_array(x, pre):
    assert as_array(x).shape == X.shape
    np.testing.assert_allclose(pre.transform(x), pre.transform(X), rtol=1e-5, atol=1e-6)


def test_an_array_is_not_copied():
    assert as_array(X) is X


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.int64])
def test_integers_look_like_adc_counts(dtype, pre):
    counts = np.round(np.clip(X, 0, 2) * 100).astype(dtype)
    with pytest.warns(UserWarning, match="integers, taken as mV; are these ADC counts") as caught:
        z = pre.transform(counts)
    assert len(caught) == 1 and "above 2.5 mV" in str(caught[0].message)
    assert np.isfinite(z).all()


@pytest.mark.parametrize(
    "x",
    [
        np.zeros(5),
        np.zeros((2, 2, 12, 200)),
        X[:0],
        X[:, :0],
        X[:, :, :0],
        X[:, :, :29],
        X.astype(complex),
        np.array([[["a", "b"]]]),
        3.0,
        [],
        np.zeros((2, 13, 200)),
    ],
    ids=[
        "1d",
        "4d",
        "no record",
        "no lead",
        "no sample",
        "too short",
        "complex",
        "text",
        "scalar",
        "empty",
        "13 leads",
    ],
)
@pytest.mark.parametrize("method", ["fit", "transform"])
def test_shapes_that_are_refused(x, method, pre):
    estimator = pre if method == "transform" else BeatSSLPretrainer(fs=100, max_epochs=0, device="cpu")
    with pytest.raises(ValueError) as error:
        getattr(estimator, method)(x)
    assert 15 < len(str(error.value)) < 1000
    if method == "transform":
        with pytest.raises(ValueError):
            RhythmEmbedder(pre).transform(x)


@pytest.mark.parametrize(
    ("shape", "n_leads", "refused"),
    [
        ((5, 1000, 12), None, True),
        ((5, 1000, 1), None, True),
        ((5, 12, 1000), None, False),
        ((5, 1, 1000), None, False),
        ((5, 12, 12), None, False),
        ((5, 12, 3), None, False),
        ((5, 12, 3), 3, True),
        ((5, 13, 12), None, True),
        ((1000, 12), None, False),
    ],
)
def test_swapped_axes(shape, n_leads, refused):
    if not refused:
        return refuse_swapped_axes(shape, n_leads)
    with pytest.raises(ValueError, match=r"axes seem swapped.*transpose\(0, 2, 1\)"):
        refuse_swapped_axes(shape, n_leads)


@pytest.mark.parametrize(
    ("n_times", "fs", "enough"), [(30, 100, True), (29, 100, False), (150, 500, True), (149, 500, False)]
)
def test_shortest_signal(n_times, fs, enough):
    if enough:
        return check_duration(n_times, fs)
    with pytest.raises(ValueError, match=f"Y has {n_times} samples at {fs} Hz"):
        check_duration(n_times, fs, "Y")


# Names of leads


def test_leads_without_names():
    assert name_leads(None, 12) == LEADS
    assert name_leads(None, 8) == ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
    assert name_leads(None, 1) == ("II",)
    for n in (2, 3, 5, 11):
        with pytest.warns(UserWarning, match=f"the {n} leads of X are taken as I, II"):
            assert name_leads(None, n) == LEADS[:n]
    with pytest.raises(ValueError, match="13 leads"):
        name_leads(None, 13)


def test_named_leads():
    assert name_leads("V2", 1) == ("V2",)
    assert name_leads(["mlii", "-aVR"], 2) == ("mlii", "-aVR")
    for leads, n, message in (
        (["I", "II"], 3, r"X has 3 leads but leads=\['I', 'II'\] names 2"),
        (["I", "Z"], 2, "leads=.*'Z'"),
        (["II", "MLII"], 2, "leads=.*duplicate"),
        ([], 1, "leads=.*at least one"),
    ):
        with pytest.raises(ValueError, match=message):
            name_leads(leads, n)


REPORTS = np.array(["Sinusrhythmus.", "Vorhofflimmern."])[np.arange(7) % 2]


@pytest.mark.parametrize("cls", [RhythmEmbedder, BeatEmbedder, FineTunedClassifier, ReportAligner])
def test_a_table_after_a_fit_on_twelve_leads(cls, pre):
    of_fit = {FineTunedClassifier: {"y": REPORTS}, ReportAligner: {"reports": REPORTS}}.get(cls)
    fitted = cls(pre, **({} if of_fit is None else {"max_epochs": 1, "random_state": 0})).fit(X, **(of_fit or {}))
    answer = fitted.predict_proba if cls is FineTunedClassifier else fitted.transform
    with pytest.raises(ValueError, match=r"no lead axis, but 12 leads are expected.*such as leads='II'"):
        answer(X[:, 7])
    fitted.set_params(leads=["V2"])
    expected = np.concatenate(answer(X[:, 7:8]))
    for table in (X[:, 7], pd.DataFrame(X[:, 7]), X[:, 7].tolist()):
        np.testing.assert_array_equal(np.concatenate(answer(table)), expected)
    with pytest.raises(ValueError, match="X has 20 features, but .* is expecting 12 features"):
        answer(X[:, 7, :20])
    with pytest.raises(ValueError, match=r"X has 1 leads but leads=\['V2', 'V3'\] names 2"):
        fitted.set_params(leads=["V2", "V3"])
        answer(X[:, 7])
    # Integers are checked in another way.
    fitted.set_params(leads=["V2"], check="ignore")
    answer((100 * X[:, [7]]).astype(np.int16)), answer((100 * X[:, 7]).astype(np.int16))
    assert fitted.n_features_in_ == 12 and not hasattr(fitted, "feature_names_in_")


def test_a_table_after_a_fit_on_one_lead(pre):
    one = BeatSSLPretrainer(**{**pre.get_params(deep=False), "leads": "II"})
    np.testing.assert_array_equal(one.fit(X[:, [1]]).transform(X[:, 1]), one.transform(X[:, [1]]))
    # After a table, the number of samples is that of the table.
    with pytest.raises(ValueError, match="X has 150 features, but .* is expecting 200 features"):
        one.fit(X[:, 1]).transform(X[:, 1, :150])


# Signals of records: the rules of arrays


@pytest.mark.parametrize("kind", ["list", "tensor", "bfloat16", "object", "float64", "fortran", "masked nowhere"])
def test_signals_of_records_may_be_what_arrays_may_be(kind):
    signal = X[0]
    same = {
        "list": signal.tolist(),
        "tensor": torch.tensor(signal, requires_grad=True),
        "bfloat16": torch.tensor(signal).bfloat16(),
        "object": signal.astype(object),
        "float64": signal.astype(np.float64),
        "fortran": np.asfortranarray(signal),
        "masked nowhere": np.ma.masked_invalid(signal),
    }[kind]
    (block,) = RecordSource([ECGRecord(same, 100.0, LEADS)], False).read(np.arange(1), 1)
    np.testing.assert_allclose(block.signal[0], signal, rtol=1e-2 if kind == "bfloat16" else 1e-6)


NO_SIGNALS = {
    "none": (None, TypeError, "got a NoneType"),
    "text": ("ecg.dat", TypeError, "got a str"),
    "bool": (X[0] > 0, TypeError, "True and False"),
    "complex": (X[0].astype(complex), ValueError, "Complex data not supported"),
    "letters": (np.full((12, 500), "x"), ValueError, "could not convert"),
    "ragged": ([[0.0] * 500, [0.0] * 400], ValueError, "inhomogeneous"),
    "sparse": (scipy.sparse.csr_matrix(np.eye(12)), TypeError, "sparse"),
    "sparse tensor": (torch.eye(12).to_sparse(), TypeError, "no dense array of numbers"),
}


@pytest.mark.parametrize("kind", NO_SIGNALS)
def test_signals_of_records_are_refused_where_arrays_are(kind):
    signal, error, message = NO_SIGNALS[kind]
    source = RecordSource([ECGRecord(signal, 100.0, LEADS)], False)
    wanted = r"record 0: its signal must be an array \(n_leads, n_times\) of real numbers in mV"
    with pytest.raises(error, match=f"{wanted}.*{message}"):
        list(source.read(np.arange(1), 1))


@pytest.mark.parametrize("how", ["array", "list", "record"])
def test_masked_samples_are_missing_ones(how, pre):
    masked = np.ma.masked_array(X, mask=np.zeros_like(X, dtype=bool), fill_value=1e20)
    masked[5, 8, 10:13] = np.ma.masked
    x = {"array": masked, "list": list(masked), "record": [ECGRecord(m, 100.0, LEADS) for m in masked]}[how]
    with pytest.raises(ValueError, match="NaN: record 5, lead V3 has 3 such samples.*allow_nan=True"):
        pre.transform(x)
    missing = masked.filled(np.nan)
    expected = RhythmEmbedder(pre, allow_nan=True).transform(missing)
    np.testing.assert_array_equal(RhythmEmbedder(pre, allow_nan=True).transform(x), expected)


def test_masked_integers_do_not_show_what_is_below_the_mask(pre):
    counts = np.ma.masked_array(np.round(X * 10).astype(np.int16), mask=np.zeros_like(X, dtype=bool))
    counts[0, 0, :5] = np.ma.masked
    with pytest.raises(ValueError, match="NaN: record 0, lead I has 5 such samples"):
        pre.transform(counts)


# The advice of messages


@pytest.mark.parametrize("cls", [RhythmEmbedder, BeatEmbedder, SampleEmbedder, FineTunedClassifier, WaveSegmenter])
def test_allow_nan_can_be_followed_wherever_it_is_advised(cls):
    signal = make_ecg(4, fs=100, duration=6, random_state=0)
    x, labels = signal.data.copy(), {FineTunedClassifier: np.arange(4) % 2, WaveSegmenter: signal.masks}.get(cls)
    x[1, 3, 100:110] = np.nan
    options = {"fs": 100} if labels is None else {"fs": 100, "max_epochs": 0, "random_state": 0}
    for allow_nan in (None, False):
        given = {} if allow_nan is None else {"allow_nan": allow_nan}
        with pytest.raises(ValueError, match="record 1, lead aVR has 10 such samples.*; allow_nan=True takes NaN"):
            cls("ptbxl-s", **options, **given).fit(x, labels)
            cls("ptbxl-s", **options, **given).transform(x)
    fitted = cls("ptbxl-s", **options, allow_nan=True).fit(x, labels)
    found = fitted.transform(x) if labels is None else fitted.predict_proba(x)
    assert all(np.isfinite(record).all() for record in found)
    assert fitted.__sklearn_tags__().input_tags.allow_nan


def test_an_embedder_without_allow_nan_is_as_its_pretrainer(pre):
    x = X.copy()
    x[1, 3, 100:110] = np.nan
    tolerant = BeatSSLPretrainer(**{**pre.get_params(deep=False), "allow_nan": True}).fit(x)
    assert np.isfinite(RhythmEmbedder(tolerant).transform(x)).all()
    assert RhythmEmbedder(tolerant).__sklearn_tags__().input_tags.allow_nan
    with pytest.raises(ValueError, match="allow_nan=True"):
        RhythmEmbedder(tolerant, allow_nan=False).transform(x)


def test_one_record_and_missing_samples_are_told_by_name():
    one = ECGRecord(make_ecg(1, fs=100, random_state=0).data[0], 100.0, LEADS)
    with pytest.raises(TypeError, match=r"X is one ECGRecord; pass a list of records: \[record\]"):
        RhythmEmbedder("ptbxl-s").transform(one)
    signal = np.array(one.signal, dtype=np.float32)
    signal[1, 5:8] = np.nan
    column = pd.Series([one, ECGRecord(signal, 100.0, LEADS)], index=["first", "second"])
    with pytest.raises(ValueError, match=r"record 1 \(second\), lead II has 3 such samples"):
        RhythmEmbedder("ptbxl-s").transform(column)
