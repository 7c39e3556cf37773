"""Pictures of waves on ECG paper."""

from __future__ import annotations

import numpy as np
import pytest

from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.ecg.waves.table import make_table, table_of_marks
from beatssl_sklearn.ecg.wfdb import ECGRecord
from beatssl_sklearn.plotting import plot_delineation, plot_ecg

collections = pytest.importorskip("matplotlib.collections", reason="matplotlib is not installed")
LineCollection, PathCollection = collections.LineCollection, collections.PathCollection
PolyCollection = collections.PolyCollection

FS = 100.0
WAVES = {"P": [[80.0, 85, 90]], "QRS": [[95.0, 100, 105], [195, 200, 205]], "T": [[120.0, 130, 145]]}
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"


@pytest.fixture(scope="module")
def signal() -> np.ndarray:
    x = 0.1 * np.sin(np.arange(1000) / 9)[None] * np.ones((12, 1))
    x[:, 100::100] = 1.0
    return x


def drawn(ax: object, kind: type) -> dict[str, list[np.ndarray]]:
    """Vertices of the shapes in each of the three colours [mm]."""
    from matplotlib.colors import to_hex

    found: dict[str, list[np.ndarray]] = {BLUE: [], ORANGE: [], GREEN: []}
    for shapes in ax.collections:
        colors = shapes.get_edgecolor() if kind is LineCollection else shapes.get_facecolor()
        color = to_hex(colors[0]).upper() if type(shapes) is kind and len(colors) else ""
        if color in found:
            dots = kind is PathCollection
            found[color] += list(shapes.get_offsets()) if dots else [path.vertices for path in shapes.get_paths()]
    return found


def test_waves_of_one_lead(signal) -> None:
    figure = plot_delineation(signal[1], FS, table_of_marks([{"II": WAVES}], FS))
    (ax,) = figure.axes
    assert [t.get_text() for t in ax.texts][0] == "II"
    boxes, ticks, dots = (drawn(ax, kind) for kind in (PolyCollection, LineCollection, PathCollection))
    assert [len(boxes[c]) for c in (BLUE, ORANGE, GREEN)] == [1, 2, 1]
    mm = 25 / FS
    np.testing.assert_allclose(np.ptp(boxes[GREEN][0][:, 0]), 25 * mm)
    np.testing.assert_allclose([tick[0, 0] for tick in ticks[ORANGE]], np.array([95, 105, 195, 205]) * mm)
    np.testing.assert_allclose([dot[0] for dot in dots[ORANGE]], np.array([100, 200]) * mm)
    trace = next(line for line in ax.lines if len(line.get_xdata()) == 1000)
    np.testing.assert_allclose([dot[1] for dot in dots[ORANGE]], trace.get_ydata()[[100, 200]])
    assert all(box[:, 1].max() > dot[1] > box[:, 1].min() for box, dot in zip(boxes[ORANGE], dots[ORANGE], strict=True))
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["P", "QRS", "T"]


def test_waves_are_in_their_own_panels(signal) -> None:
    table = table_of_marks([{"V1": {"QRS": [[595, 600, 605]]}, "II": {"QRS": [[95, 100, 105], [895, 900, 905]]}}], FS)
    (ax,) = plot_delineation(signal, FS, table, leads=LEADS, title="a title").axes
    assert ax.get_title(loc="left") == "a title"
    # V1 once; of lead II the first beat in its panel and both in the rhythm strip
    dots = sorted(drawn(ax, PathCollection)[ORANGE], key=lambda dot: tuple(dot))
    np.testing.assert_allclose([dot[0] for dot in dots], [25, 25, 150, 225])
    assert dots[1][1] - dots[0][1] > 20
    other = plot_delineation(signal, FS, table.assign(record=5), record=4).axes[0]
    assert not any(drawn(other, PathCollection).values())


def test_waves_over_the_edge_of_a_panel_are_cut(signal) -> None:
    """Lead I ends at 2.5 s of the picture, amid this wave."""
    (ax,) = plot_delineation(signal, FS, make_table(0, "I", 3, [240.0], [255.0], [270.0], FS)).axes
    (box,) = drawn(ax, PolyCollection)[GREEN]
    np.testing.assert_allclose([box[:, 0].min(), box[:, 0].max()], [60, 249 / 4])
    assert len(drawn(ax, LineCollection)[GREEN]) == 1 and not drawn(ax, PathCollection)[GREEN]


def test_consensus_is_drawn_in_all_leads(signal) -> None:
    table = table_of_marks([{"consensus": WAVES}], FS)
    (ax,) = plot_delineation(signal[:3], FS, table, leads=LEADS[:3]).axes
    assert len(drawn(ax, PolyCollection)[BLUE]) == 3
    both = table_of_marks([{"II": {"P": WAVES["P"]}, "consensus": WAVES}], FS)
    (ax,) = plot_delineation(signal[:3], FS, both, leads=LEADS[:3]).axes
    assert [len(v) for v in drawn(ax, PolyCollection).values()] == [1, 0, 0]


def test_a_long_strip_goes_on_in_the_next_row(pixels, check_layout) -> None:
    x = np.zeros(3000)
    x[[1000, 1500, 2900]] = 1.0
    table = make_table(0, "V5", 2, [994.0, 1495, 2895], [999.0, 1500, 2900], [1005.0, 1505, 2905], FS)
    figure = plot_delineation(x, FS, table)
    (ax,) = figure.axes
    assert [t.get_text() for t in ax.texts] == ["V5", "0 s", "10 s", "20 s"]
    dots = np.array(drawn(ax, PathCollection)[ORANGE])
    np.testing.assert_allclose(dots[:, 0], [249.75, 125, 225])
    assert (np.diff(dots[:, 1]) <= -10).all()
    # The wave over the end of a row is drawn in both rows, each with its part.
    widths = [np.ptp(box[:, 0]) for box in drawn(ax, PolyCollection)[ORANGE]]
    np.testing.assert_allclose(widths, [5 / 4, 5 / 4, 10 / 4, 10 / 4])
    assert figure.get_size_inches()[0] < 14 and pixels(figure).std() > 5
    check_layout(figure)


def test_seconds_can_be_chosen_and_are_told(signal) -> None:
    """`start` counts from the beginning of the recording, as the table does; of waves at the edge a part is drawn."""
    table = table_of_marks([{"II": {"QRS": [[95, 100, 105], [595, 600, 605], [895, 900, 905]]}}], FS)
    (ax,) = plot_delineation(signal[:2], FS, table, leads=["I", "II"], start=6, duration=2, title="p1").axes
    assert ax.get_title(loc="left") == "p1, 6 to 8 s of 10 s"
    np.testing.assert_allclose([dot[0] for dot in drawn(ax, PathCollection)[ORANGE]], [0])
    (box,) = drawn(ax, PolyCollection)[ORANGE]
    np.testing.assert_allclose([box[:, 0].min(), box[:, 0].max()], [0, 5 / 4])
    ticks = [(t.get_text(), x) for t, x in zip(ax.get_xticklabels(), ax.get_xticks(), strict=True)]
    assert ticks == [("6", 0), ("7", 25), ("8", 50)]


def test_a_piece_of_a_recording_keeps_its_time(signal) -> None:
    """What was read of a file from `t0` on is drawn as the same seconds of the whole recording."""
    table = table_of_marks([{"II": {"QRS": [[95, 100, 105], [695, 700, 705]]}}], FS)
    whole = plot_delineation(signal, FS, table, start=6, duration=4, title="p1").axes[0]
    piece = plot_delineation(signal[:, 600:], FS, table, t0=6, recorded=10, title="p1").axes[0]
    assert piece.get_title(loc="left") == whole.get_title(loc="left") == "p1, 6 to 10 s of 10 s"
    for kind in (PolyCollection, LineCollection, PathCollection):
        np.testing.assert_allclose(drawn(piece, kind)[ORANGE], drawn(whole, kind)[ORANGE])
    unknown = plot_delineation(signal[:, 600:], FS, table, t0=6).axes[0]
    assert unknown.get_title(loc="left") == "6 to 10 s"
    with pytest.raises(ValueError, match="recorded must not be shorter than the signal, which ends at 16 s, got 8"):
        plot_delineation(signal, FS, table, t0=6, recorded=8)
    with pytest.raises(ValueError, match="t0 must be a time of the recording"):
        plot_delineation(signal, FS, table, t0=-1)
    with pytest.raises(ValueError, match="start must lie in the recording, 6 to 16 s, got 17"):
        plot_delineation(signal, FS, table, t0=6, start=17)


def test_a_record_and_a_table(signal) -> None:
    record = ECGRecord(signal[:2].astype(np.float32), FS, ("II", "V9"))
    (ax,) = plot_delineation(record, table=table_of_marks([{"V9": WAVES}], FS)).axes
    assert [t.get_text() for t in ax.texts] == ["II", "V9"] and len(drawn(ax, PathCollection)[ORANGE]) == 2
    # A single lead of a record has its own name, whatever the table calls its leads.
    (ax,) = plot_delineation(ECGRecord(signal[:1], FS, ("I",)), table=table_of_marks([{"V1": WAVES}], FS)).axes
    assert [t.get_text() for t in ax.texts] == ["I"] and not drawn(ax, PathCollection)[ORANGE]


def test_tables_with_names_of_records(signal) -> None:
    table = table_of_marks([{"II": WAVES}], FS).assign(record="p1")
    (ax,) = plot_delineation(signal, FS, table, record="p1").axes
    assert len(drawn(ax, PathCollection)[BLUE]) == 2
    for other in (0, "p2"):
        with pytest.raises(ValueError, match=f"record must be one of the table's, such as .'p1'., got {other!r}"):
            plot_delineation(signal, FS, table, record=other)


def test_on_slow_paper_the_trace_has_the_colours_of_its_waves(signal, check_layout) -> None:
    x = np.tile(signal[1], 60)
    at = np.arange(100.0, 60000, 100)
    figure = plot_delineation(x, FS, make_table(0, "II", 2, at - 4, at, at + 4, FS))
    (ax,) = figure.axes
    assert "15.6 mm/s" in ax.get_xlabel() and len(drawn(ax, PolyCollection)[ORANGE]) == at.size + 29
    figure = plot_delineation(np.tile(x, 2), FS, make_table(0, "II", 2, at - 4, at, at + 4, FS))
    (ax,) = figure.axes
    assert "5.21 mm/s" in ax.get_xlabel()
    assert not drawn(ax, PolyCollection)[ORANGE] and not drawn(ax, PathCollection)[ORANGE]
    stretches = drawn(ax, LineCollection)[ORANGE]
    assert len(stretches) == at.size + 9 and len(stretches[0]) == 9
    assert stretches[0][:, 1].max() - stretches[0][:, 1].min() == pytest.approx(5, rel=0.2)
    check_layout(figure)


def test_without_table_it_is_the_ecg(signal, pixels) -> None:
    np.testing.assert_array_equal(pixels(plot_delineation(signal, FS)), pixels(plot_ecg(signal, FS)))
    assert plot_delineation(signal, FS).axes[0].get_legend() is None


def test_marks_of_records_are_drawn_as_their_table(signal, pixels) -> None:
    marks = [{}, {"II": WAVES}, {"II": [[1]]}]
    # Only the record that is drawn is looked at.
    drawing = plot_delineation(signal, FS, marks, record=1)
    np.testing.assert_array_equal(
        pixels(drawing), pixels(plot_delineation(signal, FS, table_of_marks([{"II": WAVES}], FS)))
    )
    with pytest.raises(TypeError, match="table, record 2, lead II: expected a dict of P, QRS and T, got list"):
        plot_delineation(signal, FS, marks, record=2)


def test_missing_marks_and_samples(signal, pixels) -> None:
    x = signal[:1].copy()
    x[0, 90:200] = np.nan
    table = table_of_marks([{"II": {"QRS": [[-1, 100, 105], [195, 200, -1]], "T": [[-1, 130, -1]]}}], FS)
    figure = plot_delineation(x, FS, table)
    (ax,) = figure.axes
    assert len(drawn(ax, LineCollection)[ORANGE]) == 2 and len(drawn(ax, PathCollection)[GREEN]) == 1
    pixels(figure)
    pixels(plot_delineation(np.full((12, 1000), np.nan), FS, table))


def test_it_draws_into_axes_and_of_several_records(signal) -> None:
    from matplotlib.figure import Figure

    figure = Figure((16, 6))
    figure.add_subplot(1, 2, 1)
    ax = figure.add_subplot(1, 2, 2)
    table = table_of_marks([{}, {"I": WAVES}], FS)
    assert plot_delineation(np.stack([signal, signal]), FS, table, record=1, ax=ax) is figure
    assert len(drawn(ax, PathCollection)[BLUE]) == 1 and not figure.axes[0].collections


def test_errors(signal) -> None:
    table = table_of_marks([{"II": WAVES}], FS)
    with pytest.raises(ValueError, match="mark at sample 80, but the record has 50"):
        plot_delineation(signal[:, :50], FS, table)
    with pytest.raises(ValueError, match="record must be from 0 to 0, got 1"):
        plot_delineation(signal[None], FS, table, record=1)
    with pytest.raises(ValueError, match="fs must be a positive number"):
        plot_delineation(signal, 0.0, table)
    with pytest.raises(TypeError, match=r"fs must be a number \[Hz\], got DataFrame: the order is \(signal, fs, ...\)"):
        plot_delineation(signal, table, record=5)
    with pytest.raises(ValueError, match="leads must name the 12 rows"):
        plot_delineation(signal, FS, table, leads=["I"])
    with pytest.raises(TypeError, match=r"table, record 0: expected a dict of leads, got int"):
        plot_delineation(signal, FS, [1])
    with pytest.raises(TypeError, match="table must be a DataFrame"):
        plot_delineation(signal, FS, 1)


def test_waves_of_a_record_that_the_table_does_not_have():
    signal = np.zeros((1, 500), np.float32)
    table = table_of_marks([{"II": {"QRS": [[80, 100, 120]]}}, {"II": {"QRS": [[80, 100, 120]]}}], 100.0)
    for record in (-1, "a"):
        with pytest.raises(ValueError, match="record must be one of the table's"):
            plot_delineation(signal, 100, table, leads=["II"], record=record)
    # It may be one without a wave.
    with pytest.warns(UserWarning, match="table has no wave of record 5, its last record with waves is 1") as caught:
        (ax,) = plot_delineation(signal, 100, table, leads=["II"], record=5).axes
    assert not any(drawn(ax, PolyCollection).values()) and caught[0].filename == __file__


def test_the_last_of_several_records_may_have_no_wave(signal) -> None:
    table = table_of_marks([{"II": WAVES}, {"II": WAVES}], FS)
    # In lead II's panel, and in the rhythm strip.
    for record, n_waves in ((1, 2), (2, 0)):
        (ax,) = plot_delineation(np.stack([signal] * 3), FS, table, record=record).axes
        assert len(drawn(ax, PolyCollection)[GREEN]) == n_waves
    with pytest.raises(ValueError, match="record must be from 0 to 2, got 3"):
        plot_delineation(np.stack([signal] * 3), FS, table, record=3)


def test_marks_out_of_order(signal) -> None:
    """A wave reaches from its least to its greatest mark, on paper of any speed."""
    table = make_table(0, "II", 2, [205.0], [200.0], [195.0], FS)
    (ax,) = plot_delineation(signal[1], FS, table, leads=["II"]).axes
    (box,), (dot,) = drawn(ax, PolyCollection)[ORANGE], drawn(ax, PathCollection)[ORANGE]
    mm = 25 / FS
    np.testing.assert_allclose([box[:, 0].min(), box[:, 0].max(), dot[0]], np.array([195, 205, 200]) * mm)
    assert box[:, 1].max() - box[:, 1].min() > 10, "the peak of 1 mV is inside"
    (ax,) = plot_delineation(np.tile(signal[1], 120), FS, table, leads=["II"]).axes
    (stretch,) = drawn(ax, LineCollection)[ORANGE]
    assert len(stretch) == 11
