"""Embeddings of records that are read piece by piece."""

import numpy as np
import pytest

from beatssl_sklearn import BeatEmbedder, ECGRecord, RhythmEmbedder, SampleEmbedder, make_ecg
from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.embedding.long_records import embed_pieces, embed_record


class Recording:
    """A record in memory that is read in ranges, and that counts what was read at once."""

    def __init__(self, signal, fs, leads=LEADS):
        self.signal, self.fs, self.leads, self.n_times = signal, fs, tuple(leads), signal.shape[1]
        self.largest = 0

    def read(self, start, stop):
        self.largest = max(self.largest, stop - start)
        return self.signal[:, start:stop]


@pytest.fixture(scope="module", params=[(250, 12), (100, 12), (360, 2)], ids=str)
def record(request):
    fs, n_leads = request.param
    signal = make_ecg(1, rhythm="mixed", fs=fs, duration=400, random_state=4).data[0].astype(np.float32)
    # Rates, amplitudes and a gap that the levels of the detector must follow.
    signal[:, 150 * fs : 260 * fs] *= 0.3
    return Recording(signal[:n_leads], fs, LEADS[:n_leads])


@pytest.fixture(scope="module")
def encoder():
    return RhythmEmbedder("ptbxl-s").encoder_


def whole(record):
    return [ECGRecord(record.signal, record.fs, record.leads)]


def test_beats_and_their_embeddings_are_those_of_the_whole_record(record, encoder):
    parts = list(embed_pieces(record, encoder.model(), "beat", piece=60))
    assert len(parts) > 5 and record.largest < record.n_times
    embedder = BeatEmbedder(encoder)
    (expected,), (rpeaks,) = embedder.transform(whole(record)), embedder.rpeaks(whole(record))
    np.testing.assert_array_equal(np.concatenate([p.rpeaks for p in parts]), rpeaks)
    found = np.concatenate([p.beats for p in parts])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_tokens_are_those_of_the_whole_record(record, encoder):
    parts = list(embed_pieces(record, encoder.model(), "sample", piece=60))
    embedder = SampleEmbedder(encoder)
    expected = embedder.transform(whole(record))[0]
    found = np.concatenate([p.samples for p in parts])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(np.concatenate([p.times for p in parts]), embedder.token_times(whole(record)), atol=1e-9)


def test_the_rhythm_is_that_of_the_whole_record(record, encoder):
    (expected,) = RhythmEmbedder(encoder).transform(whole(record))
    found = embed_record(record, encoder.model(), piece=60)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert found.dtype == np.float32


def test_missing_samples(encoder):
    fs = 100
    signal = make_ecg(1, fs=fs, duration=200, random_state=1).data[0].astype(np.float32)
    signal[:, 60 * fs : 150 * fs] = np.nan
    gap = Recording(signal, fs)
    with pytest.raises(ValueError, match="NaN"):
        embed_record(gap, encoder.model(), piece=60)
    expected = RhythmEmbedder(encoder.described(allow_nan=True)).transform(whole(gap))[0]
    found = embed_record(gap, encoder.model(), allow_nan=True, piece=20)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    nothing = Recording(np.full_like(signal, np.nan), fs)
    assert np.isnan(embed_record(nothing, encoder.model(), allow_nan=True)).all()


def test_a_record_that_is_too_short(encoder):
    with pytest.raises(ValueError, match=r"0\.3 s"):
        embed_record(Recording(np.zeros((12, 20), np.float32), 100), encoder.model())
