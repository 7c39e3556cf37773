"""Embeddings of records that are read piece by piece."""

import numpy as np
import pytest

from beatssl_sklearn import BeatEmbedder, ECGRecord, RhythmEmbedder, SampleEmbedder, make_ecg
from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.embedding.long_records import embed_pieces


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
    # Amplitudes that the levels of the detector must follow.
    signal[:, 150 * fs : 260 * fs] *= 0.3
    return Recording(signal[:n_leads], fs, LEADS[:n_leads])


@pytest.fixture(scope="module")
def encoder():
    return RhythmEmbedder("ptbxl-s").encoder_


def rhythm(record, encoder, **params):
    """The sum over pieces."""
    parts = embed_pieces(record, encoder.model(), "rhythm", **params)
    pooled = np.sum([part.rhythm for part in parts], axis=0, dtype=np.float64).astype(np.float32)
    return encoder.model().read_out(pooled[None])[0]


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


def test_aligned_beats_are_those_of_the_whole_record(record, encoder):
    parts = list(embed_pieces(record, encoder.model(), "beat", piece=60, align=True))
    (expected,) = BeatEmbedder(encoder, align=True).transform(whole(record))
    found = np.concatenate([p.beats for p in parts])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_tokens_are_those_of_the_whole_record(record, encoder):
    parts = list(embed_pieces(record, encoder.model(), "sample", piece=60))
    embedder = SampleEmbedder(encoder)
    expected = embedder.transform(whole(record))[0]
    found = np.concatenate([p.samples for p in parts])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(np.concatenate([p.times for p in parts]), embedder.token_times(whole(record)), atol=1e-9)


def test_the_rhythm_is_that_of_the_whole_record(record, encoder):
    (expected,) = RhythmEmbedder(encoder).transform(whole(record))
    found = rhythm(record, encoder, piece=60)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_missing_samples(encoder):
    fs = 100
    signal = make_ecg(1, fs=fs, duration=200, random_state=1).data[0].astype(np.float32)
    signal[:, 60 * fs : 150 * fs] = np.nan
    gap = Recording(signal, fs)
    with pytest.raises(ValueError, match="NaN"):
        rhythm(gap, encoder, piece=60)
    expected = RhythmEmbedder(encoder.described(allow_nan=True)).transform(whole(gap))[0]
    found = rhythm(gap, encoder, allow_nan=True, piece=20)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_a_record_without_a_sample_is_nan_at_every_level(encoder):
    nothing = Recording(np.full((12, 6000), np.nan, np.float32), 100)
    described = encoder.described(allow_nan=True)
    assert np.isnan(rhythm(nothing, encoder, allow_nan=True, piece=20)).all()
    parts = list(embed_pieces(nothing, encoder.model(), "sample", allow_nan=True, piece=20))
    expected = SampleEmbedder(described).transform(whole(nothing))[0]
    assert len(parts) == 3 and all(part.blank for part in parts)
    np.testing.assert_array_equal(np.concatenate([part.samples for part in parts]), expected)
    assert np.isnan(expected).all()
    beats = np.concatenate([p.beats for p in embed_pieces(nothing, encoder.model(), "beat", allow_nan=True, piece=20)])
    assert beats.shape == BeatEmbedder(described).transform(whole(nothing))[0].shape == (0, encoder.model().n_dims_beat)


def test_a_missing_piece_of_a_record_is_as_in_the_whole_record(encoder):
    """Also where the only samples come last."""
    signal = np.full((12, 15000), np.nan, np.float32)
    signal[:, 14500:] = make_ecg(1, fs=100, duration=5, random_state=1).data[0]
    late = Recording(signal, 100)
    parts = list(embed_pieces(late, encoder.model(), "sample", allow_nan=True, piece=20))
    assert parts[0].blank and not parts[-1].blank
    expected = SampleEmbedder(encoder.described(allow_nan=True)).transform(whole(late))[0]
    found = np.concatenate([part.samples for part in parts])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_a_record_that_is_too_short(encoder):
    with pytest.raises(ValueError, match=r"0\.3 s"):
        rhythm(Recording(np.zeros((12, 20), np.float32), 100), encoder)
