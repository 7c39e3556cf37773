"""What users pass as X: reading in blocks, and refusals that say which record and lead."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse
import torch

from beatssl_sklearn import BeatSSLPretrainer, ECGRecord, RhythmEmbedder, make_ecg
from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.inputs import source as inputs
from beatssl_sklearn.inputs.checks import (
    as_array,
    check_duration,
    is_record_collection,
    name_leads,
    refuse_swapped_axes,
)
from beatssl_sklearn.inputs.plausibility import warn_about_scale
from beatssl_sklearn.inputs.source import ArraySource, RecordSource

X = make_ecg(7, fs=100, duration=2, random_state=0).data
X.setflags(write=False)


@pytest.fixture(scope="module")
def pre():
    params = {"widths": (8, 16, 24), "n_dims": 12}
    return BeatSSLPretrainer(fs=100, encoder_params=params, max_epochs=0, random_state=0, device="cpu").fit(X)


def array_source(array=X, allow_nan=False):
    return ArraySource(array, 100.0, LEADS, allow_nan)


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
        (SimpleNamespace(signal=X[0], fs=100.0), TypeError, "record 1 is a SimpleNamespace"),
        (ECGRecord(X[0], 100.0, LEADS[:5]), ValueError, r"record 1: a signal of shape \(12, 200\)"),
        (ECGRecord(X[0][0], 100.0, ("I",)), ValueError, "record 1: a signal of shape"),
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
    with pytest.warns(UserWarning) as caught:
        z = pre.transform(counts)
    first, second = (str(warning.message) for warning in caught)
    assert f"integers ({np.dtype(dtype)})" in first and "ADC counts" in first and "above 5 mV" in second
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


def test_what_counts_as_records():
    record = ECGRecord(X[0], 100.0, LEADS)
    assert is_record_collection([record, record]) and is_record_collection((record,))
    assert is_record_collection(Counting([record]))
    for other in (X, list(X), [], [record, X[0]], "ab", {"signal": X}, None, 3):
        assert not is_record_collection(other)


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


# Warnings about amplitudes


def test_warnings_name_the_records():
    scale = np.array([1.0, 0.0, 6.0, 5.0, 0.0], dtype=np.float32)
    with pytest.warns(UserWarning) as caught:
        warn_about_scale(np.arange(10, 15), scale)
    assert [str(w.message).split(":")[0] for w in caught] == ["records 11, 14", "record 12"]
    with pytest.warns(UserWarning, match="^records 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and others: no lead varies"):
        warn_about_scale(np.arange(50), np.zeros(50))
    warn_about_scale(np.arange(3), np.ones(3))


@pytest.mark.parametrize("signal", [[[0.0] * 500] * 12, np.zeros((12, 500), dtype=bool), np.full((12, 500), "x")])
def test_records_hold_arrays_of_real_numbers(signal):
    source = RecordSource([ECGRecord(signal, 100.0, LEADS)], False)
    with pytest.raises(TypeError, match="record 0: its signal must be an array of real numbers in mV, got a"):
        list(source.read(np.arange(1), 1))
