"""Pictures of training runs."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from beatssl_sklearn import BeatSSLPretrainer, FineTunedClassifier, WaveSegmenter, make_ecg
from beatssl_sklearn.plotting.history import plot_history

figure_module = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed")

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


def test_an_estimator_brings_its_history() -> None:
    for name in ("ptbxl-s", "ptbxl"):
        pretrainer = BeatSSLPretrainer.load(name)
        losses = plot_history(pretrainer).axes[0].lines
        assert losses[0].get_label() == "train loss"
        np.testing.assert_array_equal(losses[0].get_ydata(), [row["train_loss"] for row in pretrainer.history_])
    segmenter = WaveSegmenter.load("waves")
    assert len(plot_history(segmenter).axes[0].lines[0].get_xdata()) == segmenter.n_iter_


def test_a_fitted_pretrainer_and_classifier(check_layout) -> None:
    ecg = make_ecg(8, rhythm="mixed", fs=100, duration=3, random_state=0)
    small = {"fs": 100, "batch_size": 4, "max_epochs": 2, "random_state": 0}
    pretrainer = BeatSSLPretrainer(encoder_params={"size": "s"}, **small).fit(ecg.data)
    figure = plot_history(pretrainer)
    assert [ax.get_ylabel() for ax in figure.axes] == ["loss", "effective rank of the embeddings"]
    check_layout(figure)
    classifier = FineTunedClassifier(pretrainer, early_stopping=True, validation_fraction=0.5, **small)
    figure = plot_history(classifier.fit(np.tile(ecg.data, (2, 1, 1)), np.arange(16) % 2))
    assert [ax.get_ylabel() for ax in figure.axes] == ["loss", "score of held-out records"]
    assert [line.get_label() for line in figure.axes[0].lines] == ["train loss", "valid loss"]
    check_layout(figure)
    with pytest.raises(ValueError, match="this BeatSSLPretrainer was trained for none"):
        plot_history(BeatSSLPretrainer(encoder_params={"size": "s"}, **{**small, "max_epochs": 0}).fit(ecg.data))


def test_parts_that_play_no_role_are_left_out() -> None:
    rows = [{"train_loss": 2.0, "rhythm_loss": 0.0, "beat_loss": 1.0}, {"train_loss": 1.0, "rhythm_loss": 0.0}]
    (ax,) = plot_history(rows).axes
    assert [line.get_label() for line in ax.lines] == ["train loss", "beat loss"]
    zero = plot_history([{"train_loss": 0.0, "valid_loss": 0.0}]).axes[0]
    assert [line.get_label() for line in zero.lines] == ["train loss"]


def test_pyplot_knows_a_figure_unless_one_is_given() -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    own = figure_module.Figure()
    assert plot_history(HISTORY, figure=own) is own and len(own.axes) == 2 and not pyplot.get_fignums()
    assert plot_history(HISTORY).number in pyplot.get_fignums()


@pytest.mark.parametrize(
    ("history", "message"),
    [
        (BeatSSLPretrainer(), "this BeatSSLPretrainer is not fitted: call fit first"),
        (PCA(2).fit(np.eye(4)), "this PCA has no history_: it is not trained in epochs"),
    ],
)
def test_estimators_without_a_history(history: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plot_history(history)


@pytest.mark.parametrize("history", ["train_loss", 3, None, {"train_loss": [1.0, 2.0]}, BeatSSLPretrainer])
def test_other_things_are_refused(history: object) -> None:
    with pytest.raises(TypeError, match="history must be a fitted estimator .* or its history_, a list of one dict"):
        plot_history(history)


@pytest.mark.parametrize("history", [[], [1.0], [{"epoch": 1}], [{"epoch": 1, "train_loss": 1.0}, None]])
def test_history_needs_something_to_draw(history: list[object]) -> None:
    with pytest.raises(ValueError, match="history"):
        plot_history(history)


def test_held_out_losses_have_the_colour_of_what_they_measure():
    rows = [
        {"train_loss": 2 - k, "valid_loss": 2.2 - k, "rhythm_loss": 1 - k / 2, "valid_rhythm_loss": 1.1 - k / 2}
        | {f"part_{i}_loss": 0.1 * i for i in range(3)}
        for k in range(2)
    ]
    (ax,) = plot_history(rows).axes
    lines = {line.get_label(): line for line in ax.get_lines()}
    for held_out, same in (("valid loss", "train loss"), ("valid rhythm loss", "rhythm loss")):
        assert lines[held_out].get_color() == lines[same].get_color()
        assert lines[held_out].get_linestyle() != lines[same].get_linestyle()
    assert lines["train loss"].get_color() != lines["rhythm loss"].get_color()
    # A long legend stands beside the curves.
    ax.figure.canvas.draw()
    assert ax.get_legend().get_window_extent().x0 >= ax.get_window_extent().x1
