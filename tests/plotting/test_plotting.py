"""The room of pictures as a whole."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

from beatssl_sklearn import plotting

pytest.importorskip("matplotlib", reason="matplotlib is not installed")


def test_matplotlib_is_imported_by_the_first_picture_and_pyplot_by_the_first_shown() -> None:
    code = (
        "import sys, numpy as np, beatssl_sklearn.plotting as p\n"
        "assert 'matplotlib' not in sys.modules\n"
        "from matplotlib.figure import Figure\n"
        "p.plot_ecg(np.zeros((1, 500)), 500.0, figure=Figure())\n"
        "p.plot_history([{'train_loss': 1.0}], figure=Figure())\n"
        "p.plot_embedding(np.eye(30), np.arange(30.0), figure=Figure())\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "p.plot_ecg(np.zeros((1, 500)), 500.0)\n"
        "assert sys.modules['matplotlib.pyplot'].get_fignums() == [1]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_notebook_displays_a_figure_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the last value of a cell it is displayed by the notebook, and must not be by pyplot at the end of the cell."""
    import matplotlib
    from matplotlib import pyplot

    figure = plotting.plot_ecg(np.zeros((1, 500)), 500.0)
    with pytest.raises(NotImplementedError):
        figure._ipython_display_()
    assert pyplot.fignum_exists(figure.number)
    monkeypatch.setattr(matplotlib, "get_backend", lambda: "module://matplotlib_inline.backend_inline")
    with pytest.raises(NotImplementedError):
        figure._ipython_display_()
    assert not pyplot.get_fignums()


def test_figures_can_be_pickled(pixels) -> None:
    figure = plotting.plot_ecg(np.zeros((1, 500)), 500.0)
    again = pickle.loads(pickle.dumps(figure))
    np.testing.assert_array_equal(pixels(again), pixels(figure))


def test_paper_is_white_and_ink_is_dark_in_any_style(pixels) -> None:
    from matplotlib import style

    expected = pixels(plotting.plot_ecg(np.zeros((1, 500)), 500.0, title="a title"))
    with style.context("dark_background"):
        np.testing.assert_array_equal(pixels(plotting.plot_ecg(np.zeros((1, 500)), 500.0, title="a title")), expected)
    assert (expected[0, 0, :3] == 255).all()


@pytest.mark.parametrize("setting", ["figure.autolayout", "figure.constrained_layout.use"])
def test_a_style_does_not_move_the_paper(setting: str) -> None:
    from matplotlib import rc_context

    with rc_context({setting: True}):
        figure = plotting.plot_ecg(np.zeros((1, 5000)), 500.0, title="a title")
        figure.draw_without_rendering()
        (ax,) = figure.axes
        assert ax.get_window_extent().width / figure.dpi * 25.4 == pytest.approx(np.ptp(ax.get_xlim()), rel=1e-3)
