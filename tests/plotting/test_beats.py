"""Pictures of classified heartbeats on ECG paper."""

from __future__ import annotations

import numpy as np
import pytest

from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.ecg.wfdb import ECGRecord
from beatssl_sklearn.plotting import plot_beats

collections = pytest.importorskip("matplotlib.collections", reason="matplotlib is not installed")

FS = 100.0
GREY, BLUE, ORANGE = "#666666", "#0072B2", "#D55E00"
PEAKS = np.arange(100, 1000, 100)
PREDICTED = ["N", "N", "V", "S", "V", "N", "F", None, "N"]
REFERENCE = ["N", "N", "V", "N", "N", "V", None, "N", "N"]


@pytest.fixture(scope="module")
def signal() -> np.ndarray:
    x = 0.1 * np.sin(np.arange(1000) / 9)[None] * np.ones((12, 1))
    x[:, PEAKS] = 1.0
    return x


def labels(ax: object) -> list[tuple[str, str, float]]:
    """Word, colour and abscissa [mm] of each label of a beat."""
    colors = (GREY, BLUE, ORANGE)
    return [(t.get_text(), t.get_color(), t.get_position()[0]) for t in ax.texts if t.get_color() in colors]


def dots(ax: object) -> dict[str, list[float]]:
    """Abscissae [mm] of the dots of each colour."""
    from matplotlib.colors import to_hex

    found = [shapes for shapes in ax.collections if type(shapes) is collections.PathCollection]
    return {to_hex(s.get_facecolor()[0]).upper(): s.get_offsets()[:, 0].tolist() for s in found if len(s.get_offsets())}


def boxes(ax: object) -> list[np.ndarray]:
    """Vertices [mm] of what is shaded."""
    (shapes,) = (shapes for shapes in ax.collections if type(shapes) is collections.PolyCollection)
    return [path.vertices for path in shapes.get_paths()]


def test_labels_and_differences(signal, check_layout) -> None:
    figure = plot_beats(signal[:2], PEAKS, PREDICTED, reference=REFERENCE, fs=FS, leads=["II", "V1"])
    (ax,) = figure.axes
    words, colors, x = zip(*labels(ax), strict=True)
    assert words == ("N", "N", "V", "S(N)", "V(N)", "N(V)", "F", "?(N)", "N")
    assert colors == (GREY, GREY, BLUE, ORANGE, ORANGE, ORANGE, BLUE, ORANGE, GREY)
    np.testing.assert_allclose(x, PEAKS / FS * 25)
    # Each of the four that differ is shaded in both leads, from .25 s before to .45 s after, or half way to the next.
    shaded = boxes(ax)
    assert len(shaded) == 8
    np.testing.assert_allclose([shaded[0][:, 0].min(), shaded[0][:, 0].max()], [3.75 * 25, 4.45 * 25])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        "normal: 3", "other class: 2", "differs: predicted(reference): 4"
    ]  # fmt: skip
    check_layout(figure)


def test_a_beat_is_shaded_half_way_to_its_neighbours(signal) -> None:
    (ax,) = plot_beats(signal[0], [400, 430, 470], ["N", "V", "N"], reference=["N"] * 3, fs=FS, leads=["II"]).axes
    (box,) = boxes(ax)
    np.testing.assert_allclose([box[:, 0].min(), box[:, 0].max()], [4.15 * 25, 4.5 * 25])


def test_without_reference_nothing_differs(signal) -> None:
    """R peaks may be in any order, and only those of the seconds shown are drawn."""
    (ax,) = plot_beats(signal[0], PEAKS[::-1], PREDICTED[::-1], fs=FS, leads=["II"], start=2.5, duration=2).axes
    assert labels(ax) == [("V", BLUE, 12.5), ("S", BLUE, 37.5)] and not boxes(ax)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["normal: 0", "other class: 2"]
    (ax,) = plot_beats(signal[0], PEAKS, [1, 0] * 4 + [1], fs=FS, leads=["II"], normal=0).axes
    assert labels(ax)[:2] == [("1", BLUE, 25), ("0", GREY, 50)]


def test_twelve_leads_have_labels_above_the_rhythm_strip(signal, check_layout) -> None:
    figure = plot_beats(signal, PEAKS, PREDICTED, reference=REFERENCE, fs=FS, leads=LEADS)
    (ax,) = figure.axes
    np.testing.assert_allclose([x for *_, x in labels(ax)], PEAKS / FS * 25)
    # In its own column a beat is shaded in three leads, and once below.
    assert len(boxes(ax)) >= 4 * 4
    check_layout(figure)


def test_longer_strips_go_on_in_lower_rows(signal, check_layout) -> None:
    x = np.tile(signal[:1], 3)
    record, peaks = ECGRecord(x, FS, ("II",)), [100, 1200, 2990]
    figure = plot_beats(record, peaks, ["N", "V", "N"], reference=["N"] * 3, duration=None)
    (ax,) = figure.axes
    np.testing.assert_allclose([at for *_, at in labels(ax)], [25, 50, 247.5])
    heights = [t.get_position()[1] for t in ax.texts if t.get_color() in (GREY, BLUE, ORANGE)]
    assert heights[0] - 10 > heights[1] > heights[2] + 10
    check_layout(figure)


def test_crowded_beats(signal, check_layout) -> None:
    """First labels get smaller, then normal beats are dots, then references go, and at last all beats are dots."""
    def draw(step: int, normal: int) -> tuple[set[str], set[float], dict[str, int], str]:
        near = np.arange(10, 490, step)
        words = np.where(np.arange(near.size) % 2, "V", "VN"[normal])
        figure = plot_beats(signal[0, :500], near, words, reference=["N"] * near.size, fs=FS, leads=["II"])
        check_layout(figure)
        (ax,) = figure.axes
        sizes = {t.get_fontsize() for t in ax.texts if t.get_color() == ORANGE}
        n_dots = {color: len(at) for color, at in dots(ax).items()}
        return {word for word, *_ in labels(ax)}, sizes, n_dots, ax.get_legend().get_texts()[2].get_text()

    bracket, other = "differs: predicted(reference)", "differs from the reference"
    assert draw(40, 0) == ({"V(N)"}, {9.0}, {}, f"{bracket}: 12")
    assert draw(30, 0) == ({"V(N)"}, {7.5}, {}, f"{bracket}: 16")
    assert draw(14, 1) == ({"V(N)"}, {6.0}, {GREY: 18}, f"{bracket}: 17")
    assert draw(14, 0) == ({"V"}, {9.0}, {}, f"{other}: 35")
    assert draw(2, 0) == (set(), set(), {ORANGE: 240}, f"{other}: 240")


def test_no_beats_and_own_axes(signal, pixels) -> None:
    from matplotlib.figure import Figure

    figure = Figure((12, 3))
    ax = figure.add_subplot()
    assert plot_beats(signal[0], [], [], reference=[], fs=FS, leads=["II"], ax=ax) is figure
    assert not labels(ax) and pixels(figure).std() > 5


def test_errors(signal) -> None:
    with pytest.raises(ValueError, match=r"predicted must have one label per R peak \(9\), got 1"):
        plot_beats(signal, PEAKS, ["N"], fs=FS)
    with pytest.raises(ValueError, match=r"reference must have one label per R peak \(9\), got 2"):
        plot_beats(signal, PEAKS, PREDICTED, reference=["N", "V"], fs=FS)
    with pytest.raises(ValueError, match=r"rpeaks must lie in \[0, 1000\), got 1000"):
        plot_beats(signal, [100, 1000], ["N", "V"], fs=FS)
    with pytest.raises(TypeError, match="rpeaks must hold integer"):
        plot_beats(signal, [100.5], ["N"], fs=FS)
    with pytest.raises(ValueError, match="fs must be given for an array"):
        plot_beats(signal, PEAKS, PREDICTED)
