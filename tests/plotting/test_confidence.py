"""Pictures of what the confidence of waves is worth."""

from __future__ import annotations

import pandas as pd
import pytest

from beatssl_sklearn.plotting import plot_confidence_trade, plot_reliability

figure_module = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed")

BINS = pd.DataFrame(
    {
        "wave": ["P", "P", "P", "T"],
        "low": [0.5, 0.8, 0.9, 0.9],
        "high": [0.6, 0.9, 1.0, 1.0],
        "n": [5, 20, 100, 50],
        "confidence": [0.55, 0.85, 0.95, 0.97],
        "right": [0.2, 0.8, 0.96, 0.98],
    }
)
TRADE = pd.DataFrame(
    {
        "wave": ["P", "P", "P", "QRS"],
        "threshold": [0.2, 0.45, 0.8, 0.5],
        "sensitivity": [0.99, 0.98, 0.9, 1.0],
        "false_per_minute": [3.0, 2.0, 1.0, 0.1],
    }
)


def test_reliability(pixels, check_layout) -> None:
    figure = plot_reliability(BINS)
    above, below = figure.axes
    named = [text.get_text() for text in above.get_legend().get_texts()]
    assert named == ["as it should be", "P", "T"]
    curve = next(line for line in above.lines if line.get_label() == "P")
    assert curve.get_xdata().tolist() == [0.85, 0.95] and curve.get_ydata().tolist() == [0.8, 0.96]
    hollow = [line for line in above.lines if line.get_markerfacecolor() == "white" and len(line.get_xdata())]
    assert [line.get_xdata().tolist() for line in hollow] == [[0.55]]
    assert sorted(bar.get_height() for bar in below.patches) == [5, 20, 50, 100]
    check_layout(figure)
    assert pixels(figure).std() > 5


def test_trade(pixels, check_layout) -> None:
    figure = plot_confidence_trade(TRADE)
    (ax,) = figure.axes
    named = [text.get_text() for text in ax.get_legend().get_texts()]
    # The limits of calibrated segmenters: .1 for P, .5 for the others.
    assert named == ["P from 0.2: 99.0 % found, 3 false/min", "QRS from 0.5: 100.0 % found, 0.1 false/min"]
    large = [line for line in ax.lines if line.get_markersize() == 9]
    assert [line.get_xdata() for line in large] == [[3.0], [0.1]]
    curve = next(line for line in ax.lines if len(line.get_xdata()) == 3)
    assert curve.get_xdata().tolist() == [3, 2, 1] and curve.get_ydata().tolist() == [0.99, 0.98, 0.9]
    assert pixels(figure).std() > 5
    for mark, p in ((0.45, "P from 0.45: 98.0 % found, 2 false/min"), ((0.8, 0, 0), "P from 0.8: 90.0 % found")):
        (ax,) = plot_confidence_trade(TRADE, mark=mark, figure=figure_module.Figure()).axes
        assert ax.get_legend().get_texts()[0].get_text().startswith(p)
    for mark in ((0.1, 0.5), "a"):
        with pytest.raises(ValueError, match="mark must be one number, or those of P, QRS and T"):
            plot_confidence_trade(TRADE, mark=mark)


def test_own_axes() -> None:
    figure = figure_module.Figure()
    left, right = figure.subplots(1, 2)
    assert plot_reliability(BINS, ax=left) is figure and plot_confidence_trade(TRADE, ax=right) is figure
    assert left.get_xlabel() == "confidence" and right.get_ylabel() == "sensitivity" and len(figure.axes) == 2


@pytest.mark.parametrize(("plot", "table"), [(plot_reliability, TRADE), (plot_confidence_trade, BINS)])
def test_tables_need_their_columns(plot, table: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="table must be one of evaluation"):
        plot(table)
