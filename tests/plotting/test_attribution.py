"""Pictures of what the answer to a prompt rests on."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils import Bunch

from beatssl_sklearn.ecg import ECGRecord
from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.ecg.simulate.make_ecg import make_ecg
from beatssl_sklearn.plotting.attribution import plot_attribution

figure_module = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed")


@pytest.fixture(scope="module")
def ecg():
    return make_ecg(2, rhythm="pvc", fs=100, random_state=1)


@pytest.fixture(scope="module")
def found(ecg) -> Bunch:
    """The first record's beats add .01, 0 and -.02 in turn; lead I is absent."""
    rpeaks = [np.asarray(own)[1:-1] for own in ecg.rpeaks]
    beats = [np.resize([0.01, 0.0, -0.02], len(own)) for own in rpeaks]
    leads = np.tile(np.linspace(-0.1, 0.2, 12), (2, 1))
    leads[:, 0] = np.nan
    rhythm = np.array([0.3, 0.1])
    score = rhythm + [own.sum() for own in beats]
    return Bunch(score=score, rhythm=rhythm, beats=beats, rpeaks=rpeaks, leads=leads)


def shades(ax) -> tuple[np.ndarray, np.ndarray]:
    """Left edges [mm] and colours of the shaded beats."""
    (drawn,) = [c for c in ax.collections if type(c).__name__ == "PolyCollection"]
    return np.array([path.vertices[:, 0].min() for path in drawn.get_paths()]), drawn.get_facecolors()


def test_beats_have_the_colour_of_their_part(ecg, found, pixels, check_layout) -> None:
    figure = plot_attribution(ecg.data, 100, found, record=0, prompt="an extrasystole")
    paper, bar, chart = figure.axes
    n = len(found.beats[0])
    left, colours = shades(paper)
    # The last strip is lead II as a whole, with a box for each beat, from .25 s before the R peak at 25 mm/s.
    strip = left[-n:]
    expected = np.maximum(found.rpeaks[0] - 25, 0)
    gaps = np.diff(found.rpeaks[0])
    expected[1:] = np.maximum(expected[1:], found.rpeaks[0][1:] - gaps / 2)
    np.testing.assert_allclose(strip, expected / 100 * 25)
    adds, nothing, takes = colours[-n:][:3]
    np.testing.assert_allclose(nothing[:3], 1)
    # The largest part, -.02, has the full blue; .01 is half of the way from white to orange.
    np.testing.assert_allclose(takes[:3], np.array([0, 0x72, 0xB2]) / 255, atol=0.01)
    np.testing.assert_allclose(adds[:3], (1 + np.array([0xD5, 0x5E, 0]) / 255) / 2, atol=0.01)
    assert [t.get_text() for t in bar.get_yticklabels()] == ["\N{MINUS SIGN}0.02", "0", "+0.02"]
    assert chart.get_xlabel().startswith("fall of the score")
    total = f"{found.score[0]:+.3f}".replace("-", "\N{MINUS SIGN}")
    assert "\N{LEFT DOUBLE QUOTATION MARK}an extrasystole" in paper.get_title(loc="left")
    assert f"score {total} (whole record +0.300, {n} beats" in paper.get_title(loc="left")
    assert pixels(figure).std() > 5
    check_layout(figure)
    box, inches = paper.get_window_extent(), figure.dpi / 25.4
    assert box.width / inches == pytest.approx(np.ptp(paper.get_xlim()), rel=1e-3)


def test_the_chart_has_the_leads_that_are_there(ecg, found) -> None:
    chart = plot_attribution(ecg.data[0], 100, found).axes[2]
    assert [t.get_text() for t in chart.get_yticklabels()] == list(LEADS[1:])
    np.testing.assert_allclose([bar.get_width() for bar in chart.patches], found.leads[0, 1:])
    assert chart.yaxis_inverted()


def test_limit_and_excerpt(ecg, found) -> None:
    figure = plot_attribution(ecg.data[1], 100, found, record=1, start=3, duration=4, limit=0.04)
    paper = figure.axes[0]
    _, colours = shades(paper)
    assert colours[:, 0].min() == pytest.approx(0.5, abs=0.01)
    assert paper.get_title(loc="left").replace("\n", " ").endswith("3 to 7 s of 10 s")
    shown = (found.rpeaks[1] >= 300) & (found.rpeaks[1] < 700)
    (marks,) = [c for c in paper.collections if type(c).__name__ == "PathCollection"]
    assert len(marks.get_offsets()) == shown.sum()


def test_own_axes_and_a_part_of_a_figure(ecg, found) -> None:
    figure = figure_module.Figure(figsize=(12, 8))
    upper, lower = figure.subfigures(2, 1)
    assert plot_attribution(ecg.data, 100, found, figure=upper) is figure
    assert len(figure.axes) == 3
    ax, lead_ax = lower.subplots(1, 2)
    plot_attribution(ecg.data, 100, found, ax=ax, lead_ax=lead_ax)
    assert len(figure.axes) == 5 and len(lead_ax.patches) == 11
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["\N{MINUS SIGN}0.02", "+0.02"]


def test_all_records_or_one_of_them(ecg, found) -> None:
    def first_samples(signal, record=1, of=found):
        (paper, *_) = plot_attribution(signal, 100, of, record=record, title="x").axes
        return paper.lines[-1].get_ydata()[:50]

    expected = first_samples(ecg.data[1])
    records = [ECGRecord(x, 100, LEADS) for x in ecg.data]
    for signal in (ecg.data, records, records[1]):
        found_lines = plot_attribution(signal, None if signal is not ecg.data else 100, found, record=1, title="x")
        np.testing.assert_array_equal(found_lines.axes[0].lines[-1].get_ydata()[:50], expected)
    # Rows of an array are leads, unless the records of the attribution have one lead only.
    single = Bunch(**{**found, "leads": np.full((2, 12), np.nan)})
    own = first_samples(ecg.data[:, 1], of=single)
    np.testing.assert_array_equal(own, first_samples(ecg.data[1, 1]))


def test_without_leads_or_beats(ecg, found) -> None:
    bare = Bunch(**{**found, "leads": None, "beats": [np.zeros(0)] * 2, "score": np.array([np.nan, 0.1])})
    figure = plot_attribution(ecg.data, 100, bare, prompt="x")
    assert len(figure.axes) == 2 and figure.axes[0].get_title(loc="left").endswith("no score")
    assert not len(shades(figure.axes[0])[0])


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"attribution": None}, TypeError, "attribution must be what ReportAligner.attribution returns"),
        ({"record": 2}, ValueError, "record must be from 0 to 1, got 2"),
        ({"signal": np.zeros((1, 12, 1000)), "record": 1}, ValueError, "signal has 1 records, but attribution is of 2"),
        ({"signal": [ECGRecord(np.zeros((1, 1000)), 100, ["I"])]}, ValueError, r"alone as signal\[0\]"),
        ({"limit": 0}, ValueError, "limit must be a positive number, got 0"),
        ({"signal": np.zeros((12, 300))}, ValueError, "but the record has 300 samples: is it another record"),
    ],
)
def test_bad_input(ecg, found, changed, error, message) -> None:
    given = {"signal": ecg.data[0], "fs": 100, "attribution": found} | changed
    with pytest.raises(error, match=message):
        plot_attribution(**given)
