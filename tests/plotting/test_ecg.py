"""Pictures of ECGs on paper."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.ecg.simulate.make_ecg import make_ecg
from beatssl_sklearn.plotting.ecg import plot_ecg

figure_module = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed")


def texts(ax: object) -> list[str]:
    return [t.get_text() for t in ax.texts]


@pytest.fixture(scope="module")
def ecg():
    return make_ecg(1, rhythm="pvc", random_state=1)


def test_twelve_leads_and_a_rhythm_strip(ecg, pixels) -> None:
    figure = plot_ecg(ecg.data[0], ecg.fs, title="a title")
    (ax,) = figure.axes
    assert [t for t in texts(ax) if t in LEADS] == [*LEADS, "II"]
    assert "a title" in texts(ax) and "25 mm/s   10 mm/mV" in texts(ax)
    assert pixels(figure).std() > 5
    traces = [line for line in ax.lines if len(line.get_xdata()) > 100]
    assert len(traces) == 13
    width = [line.get_xdata()[-1] - line.get_xdata()[0] for line in traces]
    np.testing.assert_allclose(width, [62.45] * 12 + [249.95], atol=0.06)


def test_paper_is_true_to_scale(ecg) -> None:
    signal = np.zeros((1, 1000))
    signal[0, 500] = 1.0
    (ax,) = plot_ecg(signal, 500.0, ["II"]).axes
    trace = next(line for line in ax.lines if len(line.get_xdata()) == 1000)
    assert np.ptp(trace.get_ydata()) == pytest.approx(10) and trace.get_xdata()[500] == pytest.approx(25)
    figure = plot_ecg(ecg.data[0], ecg.fs)
    span = np.ptp(figure.axes[0].get_xlim()), np.ptp(figure.axes[0].get_ylim())
    np.testing.assert_allclose(figure.get_size_inches() * 25.4, span, rtol=1e-6)


def test_beats_are_marked_by_type(ecg) -> None:
    figure = plot_ecg(ecg.data[0], ecg.fs, rpeaks=ecg.rpeaks[0], beat_types=ecg.beat_types[0])
    (ax,) = figure.axes
    n = {kind: int((ecg.beat_types[0] == kind).sum()) for kind in "NV"}
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [f"{k} ({v})" for k, v in n.items()]
    marks = {c.get_label(): c.get_offsets() for c in ax.collections if c.get_label().startswith(("N", "V"))}
    np.testing.assert_allclose(marks[f"V ({n['V']})"][:, 0], ecg.rpeaks[0][ecg.beat_types[0] == "V"] / 500 * 25)
    assert any(line.get_color() == "#D55E00" for line in ax.lines)
    plain = plot_ecg(ecg.data[0], ecg.fs, rpeaks=ecg.rpeaks[0]).axes[0]
    assert plain.get_legend() is None and all(line.get_color() == "black" for line in plain.lines)


def test_few_leads_are_rows_and_gaps_are_left_blank(ecg, pixels) -> None:
    signal = ecg.data[0, [1, 6]].copy()
    signal[0, 100:200] = np.nan
    signal[1] = np.nan
    signal[0, 300] = np.inf
    peaks = ecg.rpeaks[0][::-1]
    figure = plot_ecg(signal, ecg.fs, ["II", "V1"], rpeaks=peaks, beat_types=["?"] * len(peaks))
    assert [t for t in texts(figure.axes[0]) if t in LEADS] == ["II", "V1"]
    pixels(figure)
    assert [t for t in texts(plot_ecg(signal, ecg.fs).axes[0])[:2]] == ["1", "2"]
    assert pixels(plot_ecg(signal[0], ecg.fs)).std() > 5


def test_long_records_are_rows_no_wider_than_16_inches() -> None:
    long = make_ecg(1, duration=40, random_state=0)
    figure = plot_ecg(long.data[0], long.fs)
    assert texts(figure.axes[0])[:12] == list(LEADS) and figure.get_size_inches()[0] <= 16


def test_own_axes_are_used(ecg) -> None:
    figure = figure_module.Figure()
    left, right = figure.subplots(1, 2)
    assert plot_ecg(ecg.data[0], ecg.fs, ax=left) is figure
    assert len(figure.axes) == 2 and left.lines and not right.lines
    left.remove()
    with pytest.raises(ValueError, match="ax must belong to a figure"):
        plot_ecg(ecg.data[0], ecg.fs, ax=left)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"signal": np.zeros((2, 3, 4))}, "signal"),
        ({"signal": np.zeros((0, 10))}, "signal"),
        ({"signal": np.zeros((1000, 2))}, "transposed"),
        ({"fs": 0.0}, "fs"),
        ({"leads": ["I"]}, "leads"),
        ({"rpeaks": [[1, 2]]}, "rpeaks"),
        ({"rpeaks": [0.5]}, "rpeaks"),
        ({"rpeaks": [1, 500]}, "500"),
        ({"rpeaks": [1, 2], "beat_types": ["N"]}, "beat_types"),
        ({"beat_types": ["N"]}, "rpeaks"),
    ],
)
def test_plot_ecg_names_what_is_wrong(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plot_ecg(**{"signal": np.zeros((2, 500)), "fs": 500.0, **change})


def test_without_matplotlib(ecg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"plotting needs matplotlib: pip install 'beatssl-sklearn\[plot\]'"):
        plot_ecg(ecg.data[0], ecg.fs)
