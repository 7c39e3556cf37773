"""Pictures of the confusion of beats."""

from __future__ import annotations

import numpy as np
import pytest

from beatssl_sklearn.evaluation import aami_scores
from beatssl_sklearn.plotting import plot_confusion

pytest.importorskip("matplotlib", reason="matplotlib is not installed")


def cells(ax: object) -> dict[tuple[int, int], str]:
    """Words of each cell by row and column."""
    return {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in ax.texts}


def names(ax: object) -> tuple[list[str], list[str]]:
    return [t.get_text() for t in ax.get_yticklabels()], [t.get_text() for t in ax.get_xticklabels()]


def test_counts_and_shares_of_rows(pixels) -> None:
    figure = plot_confusion(np.array([[2000, 1], [3, 1]]), ["N", "V"], title="DS1")
    (ax,) = figure.axes
    assert cells(ax) == {(0, 0): "2,000\n>99.9 %", (0, 1): "1\n<0.1 %", (1, 0): "3\n75.0 %", (1, 1): "1\n25.0 %"}
    assert names(ax) == (["N", "V"], ["N", "V"]) and ax.get_title() == "DS1"
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("reference", "predicted")
    np.testing.assert_allclose(ax.images[0].get_array(), [[2000 / 2001, 1 / 2001], [0.75, 0.25]])
    # Letters on dark cells are white.
    assert [t.get_color() for t in ax.texts] == ["white", "#222222", "white", "#222222"]
    assert pixels(figure).std() > 5


def test_scores_with_missed_and_extra_beats(check_layout) -> None:
    scores = aami_scores(
        [["N", "V", "V"]], [["N", "V", "S"]], rpeaks=[[100, 200, 300]], detected=[[100, 200, 250]], fs=100,
        tolerance=0.1,
    )  # fmt: skip
    figure = plot_confusion(scores)
    (ax,) = figure.axes
    # No beat is F or Q, and none was found as such.
    assert names(ax) == (["N", "S", "V", "extra"], ["N", "S", "V", "missed"])
    found = cells(ax)
    assert found[0, 0] == "1\n100.0 %" and found[2, 2] == found[2, 3] == "1\n50.0 %"
    # An extra detection is no share of anything.
    assert found[3, 1] == "1" and found[3, 0] == "0" and (3, 3) not in found
    assert ax.images[0].get_array()[3].tolist() == [0, 0, 0, 0]
    plain = plot_confusion(aami_scores([["N", "V"]], [["N", "N"]])).axes[0]
    assert names(plain) == (["N", "V"], ["N", "V"])


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"square table of counts, got shape \(2, 3\)"):
        plot_confusion(np.ones((2, 3), int))
    with pytest.raises(ValueError, match="counts, whole numbers of at least 0, got float64"):
        plot_confusion(np.ones((2, 2)))
    with pytest.raises(ValueError, match="classes must name the 2 rows of the counts, got 1"):
        plot_confusion(np.ones((2, 2), int), ["N"])
    with pytest.raises(ValueError, match="classes must not be given for scores"):
        plot_confusion(aami_scores([["N"]], [["N"]]), ["N"])
