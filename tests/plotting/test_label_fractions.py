"""Pictures of scores over the share of labels."""

from __future__ import annotations

import numpy as np
import pytest

from beatssl_sklearn.plotting.label_fractions import plot_label_fractions

figure_module = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed")

SUMMARY = [
    {"mode": "frozen", "fraction": 1.0, "auroc": 0.9, "auroc_low": 0.88, "auroc_high": 0.93, "f1": 0.5},
    {"mode": "frozen", "fraction": 0.01, "auroc": 0.7, "auroc_low": np.nan, "auroc_high": np.nan, "f1": 0.2},
    {"mode": "random_init_frozen", "fraction": 0.01, "auroc": 0.6, "f1": 0.1},
]


def test_lines_and_intervals(pixels) -> None:
    figure = plot_label_fractions(SUMMARY)
    (ax,) = figure.axes
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["frozen", "random init frozen"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["1 %", "100 %"]
    assert [line.get_ydata().tolist() for line in ax.lines] == [[0.7, 0.9], [0.6]]
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--"]
    # Both modes at 1 %, a little apart.
    left, right = ax.lines[0].get_xdata()[0], ax.lines[1].get_xdata()[0]
    assert left < 0.01 < right and right / left == pytest.approx(1.04)
    spans = [path.vertices[:, 1].tolist() for shapes in ax.collections for path in shapes.get_paths()]
    assert [0.88, 0.93] in spans
    assert ax.get_ylabel() == "macro AUROC" and pixels(figure).std() > 5


def test_other_statistics_and_own_axes() -> None:
    figure = figure_module.Figure()
    left, right = figure.subplots(1, 2)
    assert plot_label_fractions(SUMMARY, ax=right, statistic="f1") is figure
    assert right.get_ylabel() == "macro F1" and right.lines[0].get_ydata().tolist() == [0.2, 0.5] and not left.lines


def test_names_do_not_overlap(check_layout) -> None:
    """Neither those of many shares, nor those of many modes with what they name."""
    shares = (0.001, 0.01, 0.02, 0.025, 0.03, 0.05, 0.1, 0.5, 1.0)
    modes = [f"mode_{k}" for k in range(9)] + ["a_name_that_is_much_too_long_to_be_read"]
    rows = [{"mode": modes[k], "fraction": share, "auroc": 0.5 + 0.04 * k} for k in range(10) for share in shares]
    figure = plot_label_fractions(rows)
    check_layout(figure)
    (ax,) = figure.axes
    named = [t.get_text() for t in ax.get_xticklabels()]
    assert len(named) == 9 and named[0] == "0.1 %" and named[-1] == "100 %" and "" in named
    styles = {(line.get_color(), line.get_marker()) for line in ax.lines}
    assert len(styles) == 10


def test_pyplot_knows_a_figure_unless_one_is_given() -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    own = figure_module.Figure()
    assert plot_label_fractions(SUMMARY, figure=own) is own and not pyplot.get_fignums()
    assert plot_label_fractions(SUMMARY).number in pyplot.get_fignums()


@pytest.mark.parametrize("fraction", [0.0, -1.0, 2.0, np.nan])
def test_fractions_are_shares(fraction: float) -> None:
    with pytest.raises(ValueError, match="summary must have fractions above 0 and up to 1"):
        plot_label_fractions([{"mode": "frozen", "fraction": fraction, "auroc": 0.5}])


@pytest.mark.parametrize("summary", [[], [{"mode": "frozen", "fraction": 1.0}]])
def test_a_summary_needs_something_to_draw(summary: list[dict[str, object]]) -> None:
    with pytest.raises(ValueError, match="summary must be a non-empty list of dicts with mode, fraction and 'auroc'"):
        plot_label_fractions(summary)
