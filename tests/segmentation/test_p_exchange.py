"""P waves that are varied by themselves: what changes, and what must not."""

import numpy as np
import pytest

from beatssl_sklearn.segmentation.batches import AnnotatedRecord
from beatssl_sklearn.segmentation.p_exchange import P, vary_p

FS, N, QRS, T = 250.0, 1300, 2, 3
QRS_ONSETS = np.arange(150, 1200, 250)


def beats(height, n_leads=12, shape=np.hanning):
    """A P of 20 samples 35 before each complex, a complex of 25 and a T of 60 samples; P is `height` times the lead."""
    signal, mask = np.zeros((N, 12), np.float32), np.full((N, 12), -1, np.int8)
    for lead in range(n_leads):
        mask[:, lead] = 0
        for q in QRS_ONSETS:
            for label, start, n, size in ((P, q - 35, 20, height), (QRS, q, 25, 5), (T, q + 70, 60, 2)):
                signal[start : start + n, lead] += size * (lead + 1) * shape(n)
                mask[start : start + n, lead] = label
    return AnnotatedRecord(signal, mask)


def drawn(way, record, donors, seed=0):
    """Vary with a first draw that chooses the way."""

    class Way(np.random.Generator):
        first = True

        def random(self, *args, **kwargs):
            if self.first and not args:
                self.first = False
                return way
            return super().random(*args, **kwargs)

    return vary_p(record.signal, record.mask, FS, donors, Way(np.random.PCG64(seed)))


WAYS = {"resize": 0.1, "remove": 0.3, "exchange": 0.6, "out of step": 0.9}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seed", range(4))
def test_complexes_and_t_waves_stay(way, seed):
    record = beats(0.5)
    before = AnnotatedRecord(record.signal.copy(), record.mask.copy())
    signal, mask = drawn(WAYS[way], record, [beats(1.5)], seed)
    assert np.array_equal(record.signal, before.signal) and np.array_equal(record.mask, before.mask)
    assert np.array_equal(mask == QRS, record.mask == QRS)
    inside = record.mask == QRS
    assert np.array_equal(signal[inside], record.signal[inside])
    if way != "out of step":
        assert np.array_equal(mask == T, record.mask == T)
    changed = signal != record.signal
    assert changed.any() and ((mask[changed] == P) | (record.mask[changed] == P)).mean() > 0.9


def test_removed_waves_leave_the_line():
    signal, mask = drawn(WAYS["remove"], beats(0.5), [beats(0.5)], seed=1)
    assert not (mask == P).any()
    q = QRS_ONSETS[1]
    # What is left of a P of .5 times the lead; smoothing spares its steepest parts.
    assert np.abs(signal[q - 36 : q - 14]).max(axis=0) == pytest.approx(np.zeros(12), abs=0.06 * 12)


def test_a_p_of_another_record_is_put_before_every_complex():
    signal, mask = drawn(WAYS["exchange"], beats(0.5), [beats(2.0)], seed=3)
    starts = np.flatnonzero(np.diff((mask[:, 4] == P).astype(int)) == 1) + 1
    assert len(starts) == len(QRS_ONSETS)
    gaps = (QRS_ONSETS - starts) / FS
    assert 0.1 < gaps.min() and gaps.max() < 0.32 and np.ptp(gaps) < 0.03
    heights = [signal[s : s + 30, 4].max() for s in starts[1:]]
    assert min(heights) > 0.5 * 2.0 * 5 * 0.8


def test_a_donor_of_two_leads_serves_twelve():
    _, mask = drawn(WAYS["exchange"], beats(0.5), [beats(2.0, n_leads=2)], seed=3)
    assert ((mask == P).sum(axis=0) > 0).all()


def test_unknown_samples_stay_unknown():
    record = beats(0.5)
    record.mask[QRS_ONSETS[2] - 100 : QRS_ONSETS[2] - 5] = -1
    _, mask = drawn(WAYS["exchange"], record, [beats(2.0)], seed=3)
    assert (mask[QRS_ONSETS[2] - 100 : QRS_ONSETS[2] - 5] == -1).all()


def test_a_window_without_complexes_is_left_alone():
    record = beats(0.5)
    record.mask[record.mask == QRS] = 0
    signal, mask = drawn(WAYS["exchange"], record, [beats(2.0)])
    assert np.array_equal(signal, record.signal) and np.array_equal(mask, record.mask)
