"""Pictures of training runs."""

from __future__ import annotations

import numpy as np
import pytest

from beatssl_sklearn.plotting.history import plot_history

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

HISTORY = [
    {"epoch": 3, "train_loss": 4.0, "rhythm_loss": 3.0, "rhythm_kl": 1.0, "effective_rank": 20.0, "duration": 1.0},
    {"epoch": 4, "train_loss": 3.0, "rhythm_loss": 2.0, "rhythm_kl": 0.5, "effective_rank": 30.0, "valid_loss": 3.5},
]


def test_losses_and_rank(pixels) -> None:
    figure = plot_history(HISTORY)
    losses, rank = figure.axes
    assert [line.get_label() for line in losses.lines] == ["train loss", "rhythm loss", "rhythm kl", "valid loss"]
    np.testing.assert_array_equal(losses.lines[0].get_data(), [[3, 4], [4, 3]])
    np.testing.assert_array_equal(losses.lines[3].get_ydata(), [np.nan, 3.5])
    np.testing.assert_array_equal(rank.lines[0].get_ydata(), [20, 30])
    assert losses.get_xlabel() == rank.get_xlabel() == "epoch" and "rank" in rank.get_ylabel()
    assert pixels(figure).std() > 5
    (only,) = plot_history([{"train_loss": 1.0}, {"train_loss": None}]).axes
    np.testing.assert_array_equal(only.lines[0].get_data(), [[1, 2], [1, np.nan]])


@pytest.mark.parametrize("history", [[], [1.0], [{"epoch": 1}], [{"epoch": 1, "train_loss": 1.0}, None]])
def test_history_needs_something_to_draw(history: list[object]) -> None:
    with pytest.raises(ValueError, match="history"):
        plot_history(history)
