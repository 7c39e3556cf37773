"""Masks of `WaveSegmenter`: brought to the rate and the leads of the network, and refused where they do not fit."""

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn import ECGRecord
from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.inputs.front_end import FrontEnd
from beatssl_sklearn.inputs.source import ArraySource, Block, RecordSource
from beatssl_sklearn.segmentation.masks import checked_mask, read_annotated, record_masks

FS, N_TIMES = 100.0, 200
THREE = ("V2", "aVL", "II")
X = np.random.default_rng(0).normal(size=(3, 3, N_TIMES)).astype(np.float32)
SHARED = np.repeat(np.tile([0, 1, 0, 2, 3], 8), 5)


def source(signal=X, leads=THREE, fs=FS):
    return ArraySource(signal, fs, leads, allow_nan=False)


def block(n_leads=3):
    return Block(np.arange(1), X[:1, :n_leads], FS, THREE[:n_leads], np.zeros(1, bool))


def read(masks, signal=X, leads=THREE, fs=FS, fs_model=FS):
    return read_annotated(source(signal, leads, fs), masks, FrontEnd(fs_model=fs_model))


def changed(value, record=1, lead=2, time=7, dtype=np.int64):
    masks = np.tile(SHARED, (3, 3, 1)).astype(dtype)
    masks[record, lead, time] = value
    return masks


# Masks that fit


def test_a_shared_mask_holds_for_every_lead_given():
    records = read(np.tile(SHARED, (3, 1)))
    assert len(records) == 3
    for record in records:
        assert record.signal.shape == record.mask.shape == (N_TIMES, 12)
        assert record.signal.dtype == np.float32 and record.mask.dtype == np.int8
        given = [LEADS.index(name) for name in THREE]
        assert (record.mask[:, given] == SHARED[:, None]).all()
        assert (np.delete(record.mask, given, axis=1) == -1).all() and not np.delete(record.signal, given, axis=1).any()


def test_masks_go_to_the_places_of_their_leads():
    masks = np.stack([np.roll(SHARED, k) for k in range(3)])
    (record,) = read(masks[None], X[:1], ("MLII", "-aVR", "V6"))
    for lead, mask in zip(("II", "aVR", "V6"), masks, strict=True):
        assert np.array_equal(record.mask[:, LEADS.index(lead)], mask)
    signal = record.signal[:, LEADS.index("aVR")]
    assert np.corrcoef(signal, X[0, 1])[0, 1] < -0.99


def test_derived_leads_have_no_labels():
    (record,) = read(SHARED[None], X[:1, :2], ("I", "II"))
    assert record.signal[:, LEADS.index("aVF")].any()
    assert (record.mask[:, 2:] == -1).all() and (record.mask[:, :2] == SHARED[:, None]).all()


def test_a_flat_lead_teaches_nothing():
    flat = X[:2].copy()
    flat[1, 2] = 0.3
    first, second = read([SHARED, SHARED], flat)
    assert (second.mask[:, LEADS.index("II")] == -1).all()
    assert (second.mask[:, LEADS.index("V2")] == SHARED).all() and (first.mask[:, LEADS.index("II")] == SHARED).all()


@pytest.mark.parametrize(("fs", "fs_model"), [(100, 500), (500, 250), (360, 250), (1000, 250), (250, 500), (128, 100)])
def test_labels_keep_their_time(fs, fs_model):
    n_times = 4 * fs
    times = np.arange(n_times) / fs
    mask = np.searchsorted([1.0, 1.7, 2.9], times, side="right").astype(np.int8)
    signal = np.random.default_rng(0).normal(size=(1, 1, n_times)).astype(np.float32)
    (record,) = read([mask], signal, ("V1",), fs=float(fs), fs_model=float(fs_model))
    labels = record.mask[:, LEADS.index("V1")]
    assert len(labels) == len(record.signal) == 4 * fs_model
    for label, edge in ((1, 1.0), (2, 1.7), (3, 2.9)):
        assert abs(np.flatnonzero(labels == label)[0] / fs_model - edge) <= 0.51 / fs + 1 / fs_model
    assert (np.diff(labels) >= 0).all()


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64, np.float32, np.float64])
def test_whole_numbers_of_any_type(dtype):
    labels = checked_mask(SHARED.astype(dtype), block(), 0)
    assert labels.dtype == np.int8 and np.array_equal(labels, np.tile(SHARED, (3, 1)))


def test_masks_in_any_container():
    masks = np.tile(SHARED, (3, 1))
    expected = [record.mask for record in read(masks)]
    objects = np.empty(3, dtype=object)
    objects[:] = list(masks)
    frame, series = pd.DataFrame(masks, index=[7, 1, 0]), pd.Series(list(masks), index=[2, 1, 5])
    for given in (list(masks), masks.tolist(), tuple(masks), objects, frame, series, masks[:, None], masks[:, None, :]):
        assert all(np.array_equal(r.mask, e) for r, e in zip(read(given), expected, strict=True))


def test_neither_signal_nor_masks_are_changed():
    masks = np.tile(SHARED, (3, 3, 1))
    signal = X.copy()
    for array in (masks, signal):
        array.setflags(write=False)
    read(masks, signal)
    assert np.array_equal(signal, X) and np.array_equal(masks, np.tile(SHARED, (3, 3, 1)))


def test_records_of_unequal_length_rate_and_leads():
    records = [ECGRecord(X[0], 100.0, THREE), ECGRecord(X[1, :1, :150], 50.0, ("V6",))]
    masks = [np.tile(SHARED, (3, 1)), SHARED[:150]]
    found = read_annotated(RecordSource(records, False), masks, FrontEnd(fs_model=100.0))
    assert [len(r.mask) for r in found] == [200, 300]
    assert np.array_equal(found[1].mask[::2, LEADS.index("V6")], SHARED[:150])
    assert [(r.mask != -1).any(axis=0).sum() for r in found] == [3, 1]


def test_partly_ignored_masks():
    masks = changed(-1)
    masks[2, :2] = -1
    records = read(masks)
    assert records[1].mask[7, LEADS.index("II")] == -1 and (records[1].mask[8:, LEADS.index("II")] >= 0).all()
    assert (records[2].mask[:, LEADS.index("V2")] == -1).all() and (records[2].mask[:, 1] == SHARED).all()


# Masks that do not


@pytest.mark.parametrize(
    ("masks", "error", "message"),
    [
        (changed(4), ValueError, "record 1, lead II: label 4 at sample 7"),
        (changed(-2), ValueError, "record 1, lead II: label -2 at sample 7"),
        (changed(255, dtype=np.uint8), ValueError, "record 1, lead II: label 255 at sample 7"),
        (changed(9.0, dtype=np.float32), ValueError, "record 1, lead II: label 9 at sample 7"),
        (changed(0.5, dtype=np.float64), TypeError, "record 1: masks must hold integer labels, got float64"),
        (changed(np.nan, dtype=np.float32), TypeError, "record 1: masks must hold integer labels, got float32"),
        (changed(np.inf, dtype=np.float32), TypeError, "record 1: masks must hold integer labels"),
        (np.full((3, 3, N_TIMES), "P"), TypeError, "record 0: masks must hold integer labels"),
        (changed(1).astype(complex), TypeError, "record 0: masks must hold integer labels, got complex128"),
        ([SHARED, SHARED[1:], SHARED], ValueError, r"record 1: mask of shape \(199,\) for 3 leads of 200 samples"),
        ([SHARED, np.tile(SHARED, (2, 1)), SHARED], ValueError, r"record 1: mask of shape \(2, 200\) for 3 leads"),
        ([SHARED, SHARED, np.tile(SHARED, (3, 2))], ValueError, "record 2: mask of shape .*must have the rate of X"),
        ([SHARED, SHARED, np.tile(SHARED, (1, 3, 1))], ValueError, r"record 2: mask of shape \(1, 3, 200\)"),
        ([SHARED, 2, SHARED], ValueError, r"record 1: mask of shape \(\)"),
        ([SHARED, [[0, 1], [0]], SHARED], ValueError, "record 1: the rows of its mask are not of one length"),
        ([SHARED, np.full(N_TIMES, -1), SHARED], ValueError, "record 1 has no annotation: every sample of its mask is"),
        (np.where(changed(0) == 3, 0, changed(0)), ValueError, "no sample is labelled T;"),
        (np.where(changed(0) > 1, -1, changed(0)), ValueError, "no sample is labelled QRS, T;"),
        (np.where(changed(0) == 0, -1, changed(0)), ValueError, "no sample is labelled background;"),
        (np.tile(SHARED, (2, 1)), ValueError, "masks holds 2 records, X has 3"),
        ([], ValueError, "masks holds 0 records, X has 3"),
        (None, TypeError, "one mask per record, got NoneType"),
        (7, TypeError, "one mask per record, got int"),
        (np.array(7), TypeError, "one mask per record, got ndarray"),
        ({0: SHARED, 1: SHARED, 2: SHARED}, TypeError, "one mask per record, got dict"),
        ("PQT", TypeError, "one mask per record, got str"),
    ],
)
def test_masks_that_cannot_be_used(masks, error, message):
    with pytest.raises(error, match=message):
        read(masks)


def test_signals_are_prepared_as_the_front_end_prepares_them():
    given = FrontEnd(fs_model=250.0, amplitude="relative")
    records = read_annotated(source(), np.tile(SHARED, (3, 1)), given)
    (expected,) = (given(b) for b in source().read(np.arange(3), 3))
    assert all(np.array_equal(r.signal, e) for r, e in zip(records, expected.signal, strict=True))


def test_labels_of_an_absent_lead_do_not_count():
    """A class that is only marked where the lead is flat is not one that can be learnt."""
    masks = np.where(changed(0) == 3, 0, changed(0))
    masks[:, 0] = SHARED
    flat = X.copy()
    flat[:, 0] = 0
    assert len(read(masks)) == 3
    with pytest.raises(ValueError, match="no sample is labelled T;"):
        read(masks, flat)


def test_masks_are_read_record_by_record():
    class Lazy:
        asked: list[int] = []

        def __len__(self):
            return 3

        def __getitem__(self, i):
            self.asked.append(i)
            return SHARED

    assert len(read(Lazy())) == 3 and Lazy.asked == [0, 1, 2]
    assert isinstance(record_masks(Lazy(), 3), Lazy)
