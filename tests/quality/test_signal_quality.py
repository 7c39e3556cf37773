"""Quality of leads and records: each measure on signals that show it alone, and scores of spoilt records."""

from __future__ import annotations

import numpy as np
import pytest

from beatssl_sklearn import ECGRecord, make_ecg, signal_quality
from beatssl_sklearn.quality import measure_quality
from beatssl_sklearn.quality.score import _coefficients

FS = 500.0


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    return make_ecg(6, fs=FS, random_state=0).data


def test_clean_records_are_good_and_flat_ones_and_noise_are_not(clean: np.ndarray) -> None:
    noise = np.random.default_rng(0).normal(0, 0.5, clean.shape[1:])
    x = np.concatenate([clean, np.zeros((1, 12, 5000)), noise[None]])
    table = signal_quality(x, fs=FS)
    assert (table["score"][:6] > 0.8).all() and (table["score"][6:] < 0.1).all()
    assert table["reasons"][:6].eq("").all()
    assert "flat (all leads)" in table["reasons"][6] and "no heartbeat" in table["reasons"][6]


def test_more_noise_is_a_lower_score(clean: np.ndarray) -> None:
    noise = np.random.default_rng(1).normal(0, 1, clean.shape[1:])
    x = np.stack([clean[0] + size * noise for size in (0.01, 0.05, 0.2, 0.8)])
    scores = signal_quality(x, fs=FS)["score"].to_numpy()
    assert (np.diff(scores) < 0).all()


def test_one_bad_lead_of_twelve_pulls_the_score(clean: np.ndarray) -> None:
    """Each fault is put into one lead, as at a telephone or a bed; noise as of a loose electrode is slow and large."""
    x = np.repeat(clean[:1], 6, axis=0)
    t = np.arange(5000) / FS
    x[0, 8] = 0
    x[1, 8] = -3.2
    x[2, 8] = np.nan
    x[3, 8, 2500:] = 0
    x[4, 8] = 4 * np.sign(np.sin(2 * np.pi * 0.7 * t))
    x[5, 8] = np.random.default_rng(3).normal(0, 1, 5000)
    table = signal_quality(x, fs=FS)
    assert (table["score"] < 0.5).all() and table["worst_lead"].eq("V3").all()
    x[:, 10] = 0
    assert (signal_quality(x, fs=FS)["score"] < table["score"]).all()


def test_measures_are_what_they_are_called(clean: np.ndarray) -> None:
    """Each is put into lead V1 alone, and V2 beside it keeps what it had."""
    t = np.arange(5000) / FS
    x = np.repeat(clean[:1], 4, axis=0)
    x[0, 6, 1000:3000] = x[0, 6, 1000]  # 4 of 10 s
    x[1, 6] = np.clip(x[1, 6], -0.2, 0.1)
    x[2, 6] += 0.5 * np.sin(2 * np.pi * 50 * t)
    x[3, 6] += np.sin(2 * np.pi * 0.2 * t)  # 2 mV from top to bottom
    m, plain = measure_quality(x, FS).leads, measure_quality(clean[:1], FS).leads
    assert m.flat[0, 6] == pytest.approx(0.4, abs=0.03) and m.flat[0, 7] == 0
    assert m.clipped[1, 6] > 0.02 and plain.clipped[0, 6] < 0.01
    share = 0.125 / (0.125 + clean[0, 6].var())
    assert m.powerline[2, 6] == pytest.approx(share, abs=0.05) and plain.powerline[0, 6] < 0.01
    # A mean over 1 s of a sine of 0.2 Hz keeps sin(0.2 pi) / (0.2 pi) = .935 of it.
    assert m.baseline[3, 6] - plain.baseline[0, 6] == pytest.approx(2 * 0.935, abs=0.25)
    assert np.array_equal(m.noise[:, 7], np.repeat(plain.noise[:, 7], 4))


@pytest.mark.parametrize("fs", [100.0, 500.0])
@pytest.mark.parametrize("n_leads", [1, 3, 12])
def test_clipped_leads_are_found_and_pull_the_score(clean: np.ndarray, fs: float, n_leads: int) -> None:
    """Cut at half of their height, on both sides: before, such a record scored as well as a whole one."""
    x = clean[:, :, :: round(FS / fs)].copy()
    leads = [8, 6, 10, *(k for k in range(12) if k not in (6, 8, 10))][:n_leads]
    centre = np.median(x[:, leads], axis=-1, keepdims=True)
    own = x[:, leads] - centre
    low, high = own.min(axis=-1, keepdims=True) / 2, own.max(axis=-1, keepdims=True) / 2
    whole = signal_quality(x, fs=fs)
    x[:, leads] = np.clip(own, low, high) + centre
    table = signal_quality(x, fs=fs)
    assert (whole["clipped"] == 0).all() and (whole["score"] > 0.8).all()
    assert (table["clipped"] > 0.005).all() and table["reasons"].str.contains("clipped").all()
    assert (table["score"] < 0.5).all()
    assert (measure_quality(x, fs).leads.clipped[:, leads] > 0).mean() > 0.9


def test_a_step_at_the_end_and_steps_of_the_converter_are_no_clipping(clean: np.ndarray) -> None:
    x = np.round(clean / 0.005) * 0.005
    x[0, 3, -60:] = x[0, 3].max() + 0.3
    x[1, :, -500:] = 0  # padded
    assert (measure_quality(x, FS).leads.clipped == 0).all()
    # Half a second at a limit counts.
    x[0, 3, -300:] = x[0, 3].max()
    assert measure_quality(x, FS).leads.clipped[0, 3] == pytest.approx(0.06)


def test_a_record_of_one_lead_has_the_score_of_that_lead(clean: np.ndarray) -> None:
    x = np.concatenate([clean[:, :1], np.random.default_rng(4).normal(0, 0.3, (1, 1, 5000))])
    options = {"fs": FS, "leads": ["I"]}
    records, leads = (signal_quality(x, **options, level=level) for level in ("record", "lead"))
    assert np.array_equal(records["score"], leads["score"]) and records["score"][6] < 0.1 < 0.8 < records["score"][0]


def test_a_lead_across_the_axis_of_the_heart_makes_no_record_unreliable(clean: np.ndarray) -> None:
    x = clean.copy()
    x[:, 0] *= 0.1
    assert (signal_quality(x, fs=FS)["score"] > 0.5).all()


def test_no_weight_of_a_record_makes_a_fault_a_merit() -> None:
    weights, _ = _coefficients()["record"]
    assert (weights >= 0).all()


def test_a_lead_without_the_heartbeats_of_the_record_misses_them(clean: np.ndarray) -> None:
    x = clean[:1].copy()
    x[0, 9] = np.random.default_rng(2).normal(0, 0.02, 5000)
    table = signal_quality(x, fs=FS, level="lead").set_index("lead")
    assert table.loc["V4", "missing_beats"] > 0.6 and table.loc["V3", "missing_beats"] == 0
    assert table.loc["V4", "score"] < 0.5 < table.loc["V3", "score"]
    assert "missing beats" in table.loc["V4", "reasons"]


def test_rates_and_lengths_change_little(clean: np.ndarray) -> None:
    again = signal_quality(clean[:, :, ::2], fs=FS / 2)["score"]
    assert np.allclose(signal_quality(clean, fs=FS)["score"], again, atol=0.1)


def test_records_of_any_kind_and_missing_samples(clean: np.ndarray) -> None:
    signal = clean[0, [1, 6]].copy()
    signal[1, :4000] = np.nan
    table = signal_quality([ECGRecord(signal, FS, ("II", "V1")), ECGRecord(clean[1, :1, ::5], 100.0, ("I",))])
    assert table["n_leads"].tolist() == [2, 1] and table["worst_lead"][0] == "V1"
    assert table["flat"][0] == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"fs": None}, "fs is needed"), ({"fs": FS, "level": "beat"}, "level must be one of record, lead, got 'beat'")],
)
def test_refusals(clean: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        signal_quality(clean, **options)
