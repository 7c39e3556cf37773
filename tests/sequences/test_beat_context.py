"""BeatContext: columns by hand, and what they do not depend on."""

from functools import partial

import numpy as np
import pytest
from sklearn.base import clone

from beatssl_sklearn import load, save
from beatssl_sklearn.ecg import MORPHOLOGY_NAMES, TIMING_NAMES
from beatssl_sklearn.sequences import BeatContext

# Five beats of two phases of two columns. Four are alike, and the third one differs in its second phase.
USUAL = np.array([3.0, 0.0, -1.0, 0.0])
ODD = np.array([3.0, 0.0, -1.0, 4.0])
RECORD = np.array([USUAL, USUAL, ODD, USUAL, USUAL])


def described(context, record):
    table = context.transform([record])[0]
    return dict(zip(context.get_feature_names_out(), table.T, strict=True))


def some(n, seed=0, width=14):
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


def test_columns_by_hand():
    context = BeatContext(phases=2, timing=False, neighbours=1, n_components=1).fit([RECORD])
    found = described(context, RECORD)
    # The typical beat is the usual one. Less its mean (1, 0), it is (2, 0) and (-2, 0): its size is 2.
    np.testing.assert_allclose(found["rarity1"], [0.0] * 5, atol=1e-5)
    zero, floor = np.log(0.04 / 2), 0.04
    np.testing.assert_allclose(found["distance1"], [zero] * 5, rtol=1e-5)
    np.testing.assert_allclose(found["distance2"], [zero, zero, np.log((4 + floor) / 2), zero, zero], rtol=1e-5)
    assert found["rarity2"][2] > 5 and found["rarity"][2] == pytest.approx(np.log((4 + floor) / floor), rel=1e-5)
    # The odd beat less its mean (1, 2) is (2, -2) and (-2, 2): phases at 45 degrees to the typical ones.
    for phase in ("1", "2"):
        likeness, size = [1, 1, np.sqrt(0.5), 1, 1], [0, 0, 0.5 * np.log(2), 0, 0]
        np.testing.assert_allclose(found[f"likeness{phase}"], likeness, atol=1e-5)
        np.testing.assert_allclose(found[f"size{phase}"], size, atol=1e-5)
    high = np.log((4 + floor) / 2)
    np.testing.assert_allclose(found["change_before2"], [zero, zero, high, high, zero], rtol=1e-5)
    np.testing.assert_allclose(found["change_after2"], [zero, high, high, zero, zero], rtol=1e-5)
    # One beat of five differs: the component is scaled to a standard deviation of 1 (of n - 1).
    step = abs(found["component1"][2] - found["component1"][0])
    assert step == pytest.approx(1 / np.std([0, 0, 1, 0, 0], ddof=1), rel=1e-5)
    # Neighbours are the beats before and after; at the ends, the last beat itself.
    np.testing.assert_array_equal(found["-1_distance2"], found["distance2"][[0, 0, 1, 2, 3]])
    np.testing.assert_array_equal(found["+1_distance2"], found["distance2"][[1, 2, 3, 4, 4]])


def test_timing_stands_beside_the_context_with_that_of_neighbours():
    record = np.concatenate([some(6), np.arange(6 * 42.0, dtype=np.float32).reshape(6, 42)], axis=1)
    context = BeatContext(neighbours=2, n_components=3).fit([record])
    found, names = described(context, record), context.get_feature_names_out().tolist()
    assert len(set(names)) == len(names)
    for k, name in enumerate(TIMING_NAMES):
        np.testing.assert_array_equal(found[name], record[:, 14 + k])
        np.testing.assert_array_equal(found[f"-2_{name}"], record[[0, 0, 0, 1, 2, 3], 14 + k])
        np.testing.assert_array_equal(found[f"+2_{name}"], record[[2, 3, 4, 5, 5, 5], 14 + k])
    own = 4 * 7 + 1 + 42
    assert len(names) == 5 * own + 2 * 7 + 3 and context.n_features_in_ == 56
    assert names[own : own + 2] == ["change_before1", "change_before2"]


def test_morphology_is_kept_and_is_not_the_neighbours():
    blocks = [some(6), some(6, 1, 40), some(6, 2, 42)]
    record = np.concatenate(blocks, axis=1)
    context = BeatContext(neighbours=2, n_components=3, morphology=True).fit([record])
    found, names = described(context, record), context.get_feature_names_out().tolist()
    without = BeatContext(neighbours=2, n_components=3).fit([np.concatenate(blocks[::2], axis=1)])
    assert len(set(names)) == len(names) and set(names) - set(without.get_feature_names_out()) == set(MORPHOLOGY_NAMES)
    for k, name in enumerate(MORPHOLOGY_NAMES):
        np.testing.assert_array_equal(found[name], blocks[1][:, k])
    for name, column in described(without, np.concatenate(blocks[::2], axis=1)).items():
        np.testing.assert_array_equal(found[name], column)
    read = context.transform_stretches(lambda start, stop: record[start:stop], len(record))
    np.testing.assert_array_equal(read, context.transform([record])[0])
    with pytest.raises(ValueError, match="timing=True, morphology=True: X has 82 columns, and none of the timing and"):
        BeatContext(morphology=True).fit([record[:, 14:]])


def test_voltage_does_not_matter_beyond_the_typical_beat():
    """All but components are ratios: a record that is twice as large looks the same."""
    record = some(40)
    context = BeatContext(timing=False, n_components=0).fit([record])
    np.testing.assert_allclose(context.transform([2 * record])[0], context.transform([record])[0], atol=1e-4)


def test_a_record_does_not_depend_on_the_others():
    records = [some(n, n) for n in (30, 12, 1, 5)] + [np.zeros((0, 14), np.float32)]
    context = BeatContext(timing=False, n_components=4).fit(records)
    every = context.transform(records)
    for i in (3, 0, 4, 2, 1):
        np.testing.assert_array_equal(context.transform([records[i]])[0], every[i])
    assert every[4].shape == (0, every[0].shape[1]) and every[2].shape == (1, every[0].shape[1])
    assert all(part.dtype == np.float32 and np.isfinite(part).all() for part in every)
    other = BeatContext(timing=False, n_components=4).fit(records[::-1])
    np.testing.assert_allclose(np.abs(other.components_), np.abs(context.components_), rtol=1e-3, atol=1e-5)


def test_long_records_have_a_typical_beat_per_stretch():
    """4,100 beats are two stretches of 2,050: half-way, the lead is moved, and both halves are usual."""
    rng = np.random.default_rng(0)
    halves = np.repeat([USUAL, [0.0, 3.0, 0.0, -1.0]], 2050, axis=0)
    record = halves + 0.01 * rng.normal(size=halves.shape)
    context = BeatContext(phases=2, timing=False, n_components=0).fit([record])
    found = described(context, record)
    assert found["distance1"].max() < np.log(0.1)
    # The neighbour is that of the record, over the border of the stretches.
    assert np.argmax(found["change_before1"]) == 2050 and np.argmax(found["change_after1"]) == 2049
    shuffled = described(context, record[rng.permutation(4100)])
    assert shuffled["distance1"].max() > 0


def test_one_phase_is_a_whole_token():
    record = some(30)
    found = described(BeatContext(phases=1, timing=False, n_components=0).fit([record]), record)
    assert np.abs(found["distance1"]).max() < 5 and np.ptp(found["likeness1"]) > 0.1


def test_it_survives_clones_and_files(tmp_path):
    records = [some(30), some(12, 1)]
    context = BeatContext(timing=False, neighbours=2, n_components=4)
    assert clone(context).get_params() == context.get_params()
    context.fit(records)
    save(context, tmp_path / "m.bssl")
    for found, expected in zip(load(tmp_path / "m.bssl").transform(records), context.transform(records), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("params", "X", "error", "message"),
    [
        ({"phases": 5}, [some(30)], ValueError, "phases=5: the 14 columns of the embedding do not divide"),
        ({}, [np.ones((30, 54))], ValueError, r"54 columns .* with BeatEmbedder\(morphology=True\), say BeatContext"),
        ({"phases": 0}, [some(30)], ValueError, "phases must be .* at least 1, got 0"),
        ({"timing": True}, [some(30)], ValueError, "timing=True: X has 14 columns, and none of the timing"),
        ({"timing": 1}, [some(30)], TypeError, "timing must be True or False"),
        ({"neighbours": 1.5}, [some(30)], TypeError, "neighbours must be"),
        ({"n_components": 16}, [some(30)], ValueError, "n_components=16: 30 beats of 14 dimensions"),
        ({"n_components": 1}, [some(1)], ValueError, "n_components=1: 1 beats of 14 dimensions"),
        ({}, [some(0), some(0)], ValueError, "X: none of the 2 records has a beat"),
        ({}, [some(3), some(3)[:, :7]], ValueError, r"record 1 has shape \(3, 7\); \(n_beats, 14\) was expected"),
        ({}, [some(3), np.full((2, 14), np.nan)], ValueError, "X: record 1, beat 0 has nan in column 0"),
        ({}, some(3), ValueError, r"record 0 has shape \(14,\)"),
    ],
)
def test_what_cannot_be_described_is_named(params, X, error, message):
    with pytest.raises(error, match=message):
        BeatContext(**{"timing": False, "n_components": 0} | params).fit(X)


def test_another_number_of_columns_is_told():
    context = BeatContext(timing=False, n_components=0).fit([some(5)])
    with pytest.raises(ValueError, match="X has 21 columns; BeatContext was fitted on 14"):
        context.transform([some(5, width=21)])
    with pytest.raises(ValueError, match="X: record 0, beat 1 has inf in column 3"):
        bad = some(5)
        bad[1, 3] = np.inf
        context.transform([bad])


@pytest.mark.parametrize("neighbours", [0, 2])
def test_a_record_that_is_read_in_stretches_has_the_same_columns(neighbours: int) -> None:
    rng = np.random.default_rng(0)
    records = [rng.normal(size=(n, 14 + len(TIMING_NAMES))).astype(np.float32) for n in (7001, 1, 2)]
    context = BeatContext(neighbours=neighbours, n_components=2).fit(records)
    read: list[int] = []

    def reader(rows: np.ndarray, start: int, stop: int) -> np.ndarray:
        read.append(stop - start)
        return rows[start:stop]

    for rows, whole in zip(records, context.transform(records), strict=True):
        np.testing.assert_array_equal(context.transform_stretches(partial(reader, rows), len(rows)), whole)
    # About half an hour, and a beat on either side.
    assert max(read) < 2100
    assert context.transform_stretches(partial(reader, records[0]), 0).shape == (0, whole.shape[1])
    with pytest.raises(ValueError, match="57 columns"):
        context.transform_stretches(lambda start, stop: np.zeros((stop - start, 57), np.float32), 10)
    gap = np.where(np.arange(10)[:, None] == 3, np.nan, records[0][:10])
    with pytest.raises(ValueError, match="beat 3 has nan"):
        context.transform_stretches(partial(reader, gap), 10)
