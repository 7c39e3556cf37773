"""Beat types of hand-made records with premature, wide and broken beats."""

import numpy as np
import pytest

from beatssl_sklearn.ecg.features.beat_types import TYPE_NAMES, beat_types, early_beats

FS = 250.0
NARROW = np.array([0.3, 1.0, -0.5])
WIDE = np.array([1.2, -0.9, 0.8])


def add(x, centre, gain, width):
    t = np.arange(x.shape[1]) / FS
    s = (t - centre) / width
    # Main deflection and a smaller one of opposite sign after it, so that shape means more than polarity.
    x += np.outer(gain, np.exp(-0.5 * s**2) - 0.4 * np.exp(-0.5 * (s - 2.5) ** 2))


def make_record(beats, seconds=12.0, noise=0.005, seed=0):
    """Beats given as (time [s], kind): "N" narrow, "V" wide with other polarities, "T" tiny."""
    x = np.zeros((3, int(seconds * FS)))
    for centre, kind in beats:
        gain, width = {"N": (NARROW, 0.014), "V": (WIDE, 0.035), "T": (0.1 * NARROW, 0.014)}[kind]
        add(x, round(centre * FS) / FS, gain, width)
    x += np.random.default_rng(seed).normal(0, noise, x.shape)
    return x.astype(np.float32), np.array([round(centre * FS) for centre, _ in beats])


def types_of(x, r, **kwargs):
    found = beat_types(x[None], FS, [r], ("II", "V1", "V5"), **kwargs)[0]
    assert found.types.dtype == np.int8 and found.clusters.dtype == np.int64
    assert found.types.shape == found.clusters.shape == r.shape
    return found


def test_regular_record_is_all_normal():
    x, r = make_record([(0.5 + 0.8 * i, "N") for i in range(14)])
    found = types_of(x, r)
    assert (found.types == 0).all() and (found.clusters == 0).all()


def test_premature_wide_is_v_and_premature_narrow_is_s():
    beats = [(t, "N") for t in (0.5, 1.3, 2.1, 2.9)] + [(3.4, "V")]
    beats += [(t, "N") for t in (4.5, 5.3, 6.1)] + [(6.6, "N")] + [(t, "N") for t in (7.4, 8.2, 9.0, 9.8, 10.6)]
    x, r = make_record(beats)
    found = types_of(x, r)
    expected = np.zeros(len(r))
    expected[4], expected[8] = 2, 1
    np.testing.assert_array_equal(found.types, expected)
    assert found.clusters[4] != 0 and found.clusters[8] == 0


def test_wide_beats_on_time_are_v_too():
    x, r = make_record([(0.5 + 0.8 * i, "V" if i in (4, 9) else "N") for i in range(14)])
    np.testing.assert_array_equal(np.flatnonzero(types_of(x, r).types == 2), [4, 9])


def test_larger_cluster_of_wide_beats_is_not_called_normal():
    x, r = make_record([(0.5 + 0.8 * i, "N" if i % 5 in (0, 3) else "V") for i in range(14)])
    found = types_of(x, r)
    np.testing.assert_array_equal(found.types == 0, [i % 5 in (0, 3) for i in range(14)])
    assert (found.types[found.clusters == 0] == 2).all()


def test_broken_beats_are_ignored():
    x, r = make_record([(0.5 + 0.8 * i, "T" if i == 6 else "N") for i in range(14)], noise=0.001)
    x[:, r[9] - 40 : r[9] + 50] = np.random.default_rng(3).normal(0, 0.6, (3, 90))
    found = types_of(x, r)
    assert found.types[9] == -1 and found.clusters[9] > 0
    assert (np.delete(found.types, [6, 9]) == 0).all()


def test_beats_at_the_border_are_ignored():
    x, r = make_record([(0.06 + 0.8 * i, "N") for i in range(15)], seconds=11.4)
    found = types_of(x, r)
    assert found.types[0] == found.types[-1] == -1 and found.clusters[0] == found.clusters[-1] == -1
    assert (found.types[1:-1] == 0).all()


def test_peaks_need_not_be_exact():
    beats = [(0.5 + 0.8 * i, "V" if i == 7 else "N") for i in range(14)]
    x, r = make_record(beats)
    jitter = np.random.default_rng(0).integers(-7, 8, r.size)
    np.testing.assert_array_equal(types_of(x, r + jitter).types, types_of(x, r).types)


def test_scale_and_baseline_do_not_matter():
    x, r = make_record([(0.5 + 0.8 * i, "V" if i in (3, 8) else "N") for i in range(14)])
    expected = types_of(x, r)
    other = types_of(3 * x + np.float32(5), r)
    np.testing.assert_array_equal(other.types, expected.types)
    np.testing.assert_array_equal(other.clusters, expected.clusters)


def test_records_are_independent():
    a, r = make_record([(0.5 + 0.8 * i, "N") for i in range(14)])
    b, s = make_record([(0.6 + 0.7 * i, "V" if i == 5 else "N") for i in range(15)])
    both = beat_types(np.stack([a, b]), FS, [r, s])
    np.testing.assert_array_equal(both[0].types, types_of(a, r).types)
    np.testing.assert_array_equal(both[1].types, types_of(b, s).types)


def test_no_beat_one_beat_and_flat_records():
    x, r = make_record([(0.5 + 0.8 * i, "N") for i in range(14)])
    none = np.array([], dtype=np.int64)
    flat = np.zeros_like(x)
    empty, one, still, broken = beat_types(np.stack([x, x, flat, flat * np.nan]), FS, [none, r[3:4], r, r])
    assert empty.types.shape == (0,) and empty.clusters.shape == (0,)
    assert one.types.tolist() == [0]
    assert (still.types == -1).all() and (broken.types == -1).all()


def test_derived_leads_do_not_change_the_result():
    x, r = make_record([(0.5 + 0.8 * i, "V" if i == 6 else "N") for i in range(14)])
    i, ii, v1 = x
    more = np.stack([i, ii, ii - i, -(i + ii) / 2, v1])
    few = beat_types(x[None], FS, [r], ("I", "II", "V1"))[0]
    many = beat_types(more[None], FS, [r], ("I", "II", "III", "aVR", "V1"))[0]
    np.testing.assert_array_equal(few.types, many.types)


def test_early_is_relative_to_the_rhythm():
    rr = np.full(40, 250)
    rr[20] = 200
    r = np.concatenate([[100], 100 + np.cumsum(rr)])
    np.testing.assert_array_equal(np.flatnonzero(early_beats(r, FS)), [21])
    slowing = np.concatenate([[0], np.cumsum(np.linspace(150, 300, 600).astype(int))])
    assert not early_beats(slowing, FS).any()


def test_irregular_rhythm_is_not_a_series_of_early_beats():
    rr = np.random.default_rng(0).uniform(120, 300, 300).astype(int)
    assert early_beats(np.concatenate([[0], np.cumsum(rr)]), FS).mean() < 0.02


@pytest.mark.parametrize("rpeaks", [[], [5], [5, 200], [5, 200, 300]])
def test_early_beats_of_very_short_series(rpeaks):
    early = early_beats(np.array(rpeaks, dtype=np.int64), FS)
    assert early.shape == (len(rpeaks),) and not early[:1].any()


def test_threshold_decides_what_is_one_shape():
    x, r = make_record([(0.5 + 0.8 * i, "N") for i in range(14)], noise=0.12)
    assert types_of(x, r, threshold=0.5).clusters.max() == 0
    assert types_of(x, r, threshold=0.995).clusters.max() > 3


def test_errors_name_what_is_wrong():
    x, r = make_record([(0.5 + 0.8 * i, "N") for i in range(14)])
    with pytest.raises(ValueError, match="n_records, n_leads, n_times"):
        beat_types(x, FS, [r])
    with pytest.raises(ValueError, match="threshold"):
        beat_types(x[None], FS, [r], threshold=1.0)
    with pytest.raises(ValueError, match="record 0 must increase"):
        beat_types(x[None], FS, [r[::-1]])
    with pytest.raises(ValueError, match="leads must name the 3"):
        beat_types(x[None], FS, [r], ("I", "II"))
    with pytest.raises(ValueError, match="one array per record"):
        beat_types(x[None], FS, [])


def test_ventricular_beats_of_real_records(data_dir):
    wfdb_io = pytest.importorskip("beatssl_sklearn.ecg.wfdb")
    if not (data_dir / "mitdb" / "119.hea").exists():
        pytest.skip("no MIT-BIH record 119")
    record = wfdb_io.read_wfdb(data_dir / "mitdb" / "119")
    notes = wfdb_io.read_annotations(data_dir / "mitdb" / "119", "atr")
    keep = np.isin(notes.symbol, ["N", "V"])
    r, truth = np.asarray(notes.sample)[keep], np.asarray(notes.symbol)[keep]
    types = beat_types(record.signal[None], record.fs, [r], record.leads)[0].types
    named = np.array([TYPE_NAMES[int(code)] for code in types])
    assert (named[truth == "V"] == "V").mean() > 0.98
    assert (named[truth == "N"] == "N").mean() > 0.98
