"""Pictures of ECGs on paper."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.ecg.simulate.make_ecg import make_ecg
from beatssl_sklearn.ecg.wfdb import ECGRecord, read_wfdb
from beatssl_sklearn.plotting.ecg import plot_ecg

figure_module = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed")


def texts(ax: object) -> list[str]:
    return [t.get_text() for t in ax.texts]


def traces(ax: object) -> list[object]:
    return [line for line in ax.lines if len(line.get_xdata()) > 200]


@pytest.fixture(scope="module")
def ecg():
    return make_ecg(1, rhythm="pvc", random_state=1)


@pytest.fixture(scope="module")
def minute():
    return make_ecg(1, rhythm="pvc", duration=60, random_state=2)


def test_twelve_leads_and_a_rhythm_strip(ecg, pixels) -> None:
    figure = plot_ecg(ecg.data[0], ecg.fs, title="a title")
    (ax,) = figure.axes
    assert [t for t in texts(ax) if t in LEADS] == [*LEADS, "II"]
    assert ax.get_title(loc="left") == "a title" and ax.get_xlabel().split("  ")[0] == "time [s]"
    assert ax.get_xlabel().endswith("25 mm/s   10 mm/mV")
    assert [t.get_text() for t in ax.get_xticklabels()] == [str(k) for k in range(11)]
    np.testing.assert_allclose(ax.get_xticks(), 25.0 * np.arange(11))
    assert pixels(figure).std() > 5
    assert len(traces(ax)) == 13
    width = [line.get_xdata()[-1] - line.get_xdata()[0] for line in traces(ax)]
    np.testing.assert_allclose(width, [62.45] * 12 + [249.95], atol=0.06)


def test_paper_is_true_to_scale() -> None:
    signal = np.zeros((1, 1000))
    signal[0, 500:510] = 1.0
    figure = plot_ecg(signal, 500.0, ["II"])
    (ax,) = figure.axes
    (trace,) = traces(ax)
    assert np.ptp(trace.get_ydata()) == pytest.approx(10) and trace.get_xdata()[500] == pytest.approx(25)
    box = ax.get_window_extent()
    drawn = np.array([box.width, box.height]) / figure.dpi * 25.4
    np.testing.assert_allclose(drawn, [np.ptp(ax.get_xlim()), np.ptp(ax.get_ylim())], rtol=1e-3)


def test_an_ecg_record_brings_rate_and_leads(ecg) -> None:
    record = ECGRecord(ecg.data[0, [1, 6]], 500.0, ("II", "V1"))
    (ax,) = plot_ecg(record).axes
    assert texts(ax) == ["II", "V1"] and traces(ax)[0].get_xdata()[-1] == pytest.approx(25 * 9.998)
    same = plot_ecg(record, 500.0, ["II", "V1"]).axes[0]
    assert [list(line.get_ydata()) for line in traces(same)] == [list(line.get_ydata()) for line in traces(ax)]
    with pytest.raises(ValueError, match="fs must not be given for an ECGRecord, which has its own: 500 Hz, not 250"):
        plot_ecg(record, 250)
    with pytest.raises(ValueError, match="leads must not be given for an ECGRecord"):
        plot_ecg(record, leads=["I", "II"])


def test_pyplot_knows_a_figure_unless_one_is_given(ecg) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    backend = pyplot.get_backend()
    figure = plot_ecg(ecg.data[0], ecg.fs)
    assert pyplot.get_fignums() == [figure.number] and pyplot.gcf() is figure
    pyplot.close(figure)
    for _ in range(25):
        plot_ecg(ecg.data[0, :1, :500], ecg.fs, figure=figure_module.Figure())
    assert not pyplot.get_fignums() and pyplot.get_backend() == backend


def test_a_given_figure_gets_the_size_of_the_paper(ecg, check_layout) -> None:
    figure = figure_module.Figure((3, 3))
    assert plot_ecg(ecg.data[0], ecg.fs, figure=figure) is figure
    np.testing.assert_allclose(figure.get_size_inches(), plot_ecg(ecg.data[0], ecg.fs).get_size_inches())
    with pytest.raises(ValueError, match="figure must be empty, got one with 1 axes"):
        plot_ecg(ecg.data[0], ecg.fs, figure=figure)
    whole = figure_module.Figure((20, 6))
    left, _ = whole.subfigures(1, 2)
    assert plot_ecg(ecg.data[0], ecg.fs, figure=left) is whole and tuple(whole.get_size_inches()) == (20, 6)
    check_layout(whole)


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


def test_few_leads_are_rows_and_gaps_are_left_blank(ecg, check_layout) -> None:
    signal = ecg.data[0, [1, 6]].copy()
    signal[0, 100:200] = np.nan
    signal[1] = np.nan
    signal[0, 300] = np.inf
    peaks = ecg.rpeaks[0][::-1]
    figure = plot_ecg(signal, ecg.fs, ["II", "V1"], rpeaks=peaks, beat_types=["?"] * len(peaks))
    assert texts(figure.axes[0]) == ["II", "no samples", "V1"]
    assert np.flatnonzero(np.isnan(traces(figure.axes[0])[0].get_ydata())).tolist() == [*range(100, 200), 300]
    check_layout(figure)
    assert texts(plot_ecg(ecg.data[0, :2], ecg.fs).axes[0]) == ["1", "2"]
    check_layout(plot_ecg(signal[0], ecg.fs))


def test_long_records_go_on_in_lower_rows(minute) -> None:
    """A minute of one lead at 25 mm/s, and of twelve at a speed that the caption tells."""
    (one,) = plot_ecg(minute.data[0, 1], minute.fs, ["II"]).axes
    assert texts(one) == ["II", "0 s", "10 s", "20 s", "30 s", "40 s", "50 s"]
    assert [len(line.get_xdata()) for line in traces(one)] == [5000] * 6
    assert "25 mm/s   10 mm/mV" in one.get_xlabel() and one.get_xlabel().startswith("time from the start of a row [s]")
    (line,) = {tuple(line.get_xdata()[[0, -1]].round(2)) for line in traces(one)}
    assert line == (0, 249.95)
    figure = plot_ecg(minute.data[0], minute.fs)
    (twelve,) = figure.axes
    assert [t for t in texts(twelve) if t.endswith("s")] == ["0 s", "30 s"] and len(traces(twelve)) == 24
    assert "10.4 mm/s   5 mm/mV" in twelve.get_xlabel() and figure.get_size_inches()[0] < 16
    half = traces(twelve)[0].get_xdata()
    assert half[-1] - half[0] == pytest.approx(30 * 312.5 / 30, rel=1e-3)
    heights = [np.ptp(line.get_ydata()) for line in traces(twelve)]
    np.testing.assert_allclose(max(heights), 5 * np.ptp(minute.data[0], axis=1).max(), rtol=0.1)


def test_half_an_hour_is_thinned_but_keeps_its_peaks() -> None:
    fs = 250
    x = np.zeros((2, 1800 * fs))
    x[:, ::200] = x[:, 1::200] = 1.0
    figure = plot_ecg(x, fs)
    lines = traces(figure.axes[0])
    assert len(lines) == 30 and max(len(line.get_xdata()) for line in lines) < 120 * fs / 2
    peaks = [line.get_ydata().max() - np.median(line.get_ydata()) for line in lines]
    np.testing.assert_allclose(peaks, 5.0)
    assert "2.6 mm/s   5 mm/mV" in figure.axes[0].get_xlabel() and figure.get_size_inches()[1] < 30


def test_seconds_can_be_chosen_and_are_told(minute) -> None:
    (ax,) = plot_ecg(minute.data[0], minute.fs, start=20, duration=10, title="p1", rpeaks=minute.rpeaks[0]).axes
    assert ax.get_title(loc="left") == "p1, 20 to 30 s of 60 s"
    assert [t.get_text() for t in ax.get_xticklabels()] == [str(k) for k in range(20, 31)]
    strip = traces(ax)[-1].get_ydata()
    expected = minute.data[0, 1, 10000:15000] * 10
    np.testing.assert_allclose(strip - strip.mean(), expected - expected.mean(), atol=0.02)
    shown = [p for p in minute.rpeaks[0] if 10000 <= p < 15000]
    (marks,) = [c.get_offsets() for c in ax.collections if len(c.get_offsets()) > 1]
    np.testing.assert_allclose(marks[:, 0], (np.array(shown) - 10000) / 20)
    whole = plot_ecg(minute.data[0, :1], minute.fs, duration=100).axes[0]
    assert whole.get_title(loc="left") == ""
    assert plot_ecg(minute.data[0, :1], minute.fs, start=55).axes[0].get_title(loc="left") == "55 to 60 s of 60 s"


def with_a_spike_first(x: np.ndarray) -> np.ndarray:
    """Return twelve leads with a spike of pacing below each name: down in the first row, up in the others."""
    spikes = np.zeros(x.shape[1])
    spikes[[60, 1310, 2560, 3810]] = 8.0
    return np.where(np.arange(12)[:, None] % 3 == 0, -spikes, spikes)


SHAPES = {
    "twelve leads": lambda x: (x, 500),
    "100 Hz": lambda x: (x[:, ::5], 100),
    "tall": lambda x: (5 * x, 500),
    "upside down": lambda x: (-3 * x, 500),
    "microvolts": lambda x: (1000 * x, 500),
    "flat": lambda x: (0 * x, 500),
    "wandering": lambda x: (x + 2 * np.sin(np.arange(5000) / 400), 500),
    "spikes": lambda x: (x + 8.0 * (np.arange(5000) % 50 == 0), 500),
    "a spike below each name": lambda x: (with_a_spike_first(x), 500),
    "three leads": lambda x: (x[:3], 500),
    "one lead": lambda x: (x[1], 500),
    "one second": lambda x: (x[:, :500], 500),
    "one beat": lambda x: (x[1, 500:750], 500),
    "four seconds": lambda x: (x[:, :2000], 500),
    "13 s": lambda x: (np.concatenate([x, x[:, :1500]], axis=1), 500),
    "two leads, 25 s": lambda x: (np.tile(x[:2], 3)[:, :12500], 500),
    "one lead, 25 s": lambda x: (np.tile(x[1], 3)[:12500], 500),
    "twelve leads, 30 s": lambda x: (np.tile(x, 3), 500),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_words_cross_no_curve(ecg, check_layout, kind: str) -> None:
    x, fs = SHAPES[kind](ecg.data[0])
    check_layout(plot_ecg(x, fs, title="a title", rpeaks=[20, 150], beat_types=["N", "V"]))


@pytest.mark.parametrize("size", [(6, 4), (12, 7), (30, 20)])
def test_words_cross_no_curve_in_axes_of_any_size(ecg, check_layout, size: tuple[float, float]) -> None:
    figure = figure_module.Figure(size, layout="constrained")
    for ax, kind in zip(figure.subplots(2, 2).flat, ("twelve leads", "tall", "three leads", "one lead"), strict=True):
        x, fs = SHAPES[kind](ecg.data[0])
        plot_ecg(x, fs, ax=ax, title=kind)
        assert "mm/s" not in ax.get_xlabel() or size == (30, 20)
    check_layout(figure)


def test_names_as_people_write_them(ecg, check_layout) -> None:
    names = ["a very long name of a lead", "$V_1$", "_hidden"]
    figure = plot_ecg(ecg.data[0, :3], 500, names, title="record $1 of $2 " * 12, rpeaks=[900], beat_types=["_V$"])
    check_layout(figure)
    # For matplotlib, a dollar sign with a backslash is one, not the beginning of a formula.
    assert texts(figure.axes[0]) == ["a very long\N{HORIZONTAL ELLIPSIS}", r"\$V_1\$", " _hidden"]
    assert [t.get_text() for t in figure.axes[0].get_legend().get_texts()] == [r" _V\$ (1)"]


def test_rows_hold_their_traces(ecg) -> None:
    """A signal of any size stays in its row at a gain that the caption tells; a spike is cut off."""
    for factor, gain in ((1, "10 mm"), (5, "5 mm"), (1000, "0.02 mm")):
        (ax,) = plot_ecg(ecg.data[0] * factor, 500).axes
        assert f"   {gain}/mV" in ax.get_xlabel()
        low, high = ax.get_ylim()
        assert all(low < np.nanmin(line.get_ydata()) and np.nanmax(line.get_ydata()) < high for line in ax.lines)
        rows = [line.get_ydata() for line in traces(ax)]
        assert all(rows[k].min() > rows[k + 1].max() for k in (0, 1, 3, 4, 6, 7, 9, 10))
        strip = rows[-1] - np.median(rows[-1])
        expected = ecg.data[0, 1] * factor
        np.testing.assert_allclose(strip, (expected - np.median(expected)) * float(gain[:-3]), rtol=1e-6, atol=1e-6)
    spike = ecg.data[0].copy()
    spike[:, 1000] = 20.0
    (ax,) = plot_ecg(spike, 500).axes
    assert "10 mm/mV" in ax.get_xlabel() and np.ptp(traces(ax)[-1].get_ydata()) < 30


def test_values_that_are_no_millivolts_are_told(ecg) -> None:
    def title(x: np.ndarray) -> str:
        return plot_ecg(x, 500).axes[0].get_title(loc="left")

    assert title(ecg.data[0]) == "" and title(np.zeros((2, 1000))) == "" and title(5 * ecg.data[0]) == ""
    assert title(1000 * ecg.data[0]).endswith("mV: microvolts, or raw numbers?")
    assert title(ecg.data[0] / 1000).endswith("mV: volts?")


def test_the_grid_is_drawn_where_it_can_be_seen(ecg, minute) -> None:
    def steps(ax: object) -> list[float]:
        grids = [c for c in ax.collections if c.get_zorder() == 0]
        columns = [[v[0, 0] for v in (p.vertices for p in c.get_paths()) if v[0, 0] == v[1, 0]] for c in grids]
        return [float(np.diff(sorted(column))[0]) for column in columns if len(column) > 1]

    np.testing.assert_allclose(steps(plot_ecg(ecg.data[0], 500).axes[0]), [1, 5])
    np.testing.assert_allclose(steps(plot_ecg(minute.data[0], 500).axes[0]), [0.2 * 312.5 / 30, 312.5 / 30])
    figure = figure_module.Figure((5, 3))
    ax = figure.add_subplot()
    plot_ecg(ecg.data[0], 500, ax=ax)
    np.testing.assert_allclose(steps(ax), [5, 25])
    assert "lines every 0.2 s and 0.5 mV" in ax.get_xlabel()


def test_own_axes_are_used(ecg) -> None:
    figure = figure_module.Figure()
    left, right = figure.subplots(1, 2)
    assert plot_ecg(ecg.data[0], ecg.fs, ax=left) is figure
    assert len(figure.axes) == 2 and left.lines and not right.lines
    with pytest.raises(ValueError, match="ax and figure were both given"):
        plot_ecg(ecg.data[0], ecg.fs, ax=left, figure=figure)
    left.remove()
    with pytest.raises(ValueError, match="ax must belong to a figure"):
        plot_ecg(ecg.data[0], ecg.fs, ax=left)
    with pytest.raises(TypeError, match="ax must be matplotlib Axes, got Figure"):
        plot_ecg(ecg.data[0], ecg.fs, ax=figure)
    with pytest.raises(TypeError, match="figure must be a matplotlib Figure or SubFigure, got Axes"):
        plot_ecg(ecg.data[0], ecg.fs, figure=right)


def test_types_in_a_column_belong_to_beats_by_position() -> None:
    """Whatever the index of the column, and the order of the beats."""
    pandas = pytest.importorskip("pandas")
    peaks, types = [900, 300, 600], ["V", "N", "N"]
    for index in (None, [2, 1, 0], [5, 6, 7]):
        column = pandas.Series(types, index=index)
        (ax,) = plot_ecg(np.zeros((1, 1000)), 100.0, ["II"], rpeaks=peaks, beat_types=column).axes
        marks = {c.get_label(): np.asarray(c.get_offsets())[:, 0] for c in ax.collections if "(" in c.get_label()}
        np.testing.assert_allclose(marks["V (1)"], [225])
        np.testing.assert_allclose(marks["N (2)"], [75, 150])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"signal": np.zeros((2, 3, 4))}, "got 2 records of"),
        ({"signal": np.zeros((0, 10))}, "signal"),
        ({"signal": np.zeros((1000, 2))}, "transposed"),
        ({"signal": [[1.0, 2.0], [1.0]]}, "signal must be an ECGRecord, or an array"),
        ({"fs": None}, "fs must be given for an array"),
        ({"fs": 0.0}, "fs"),
        ({"fs": np.nan}, "fs"),
        ({"leads": ["I"]}, "leads"),
        ({"rpeaks": [[1, 2]]}, "rpeaks"),
        ({"rpeaks": [0.5]}, "rpeaks"),
        ({"rpeaks": [1, 500]}, "500"),
        ({"rpeaks": [1, 2], "beat_types": ["N"]}, "beat_types"),
        ({"beat_types": ["N"]}, "rpeaks"),
        ({"start": 1.0}, "start must lie in the recording, 0 to 1 s, got 1.0"),
        ({"start": -1}, "start"),
        ({"start": np.nan}, "start"),
        ({"duration": 0}, "duration must be a positive number of seconds"),
        ({"duration": np.nan}, "duration"),
    ],
)
def test_plot_ecg_names_what_is_wrong(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plot_ecg(**{"signal": np.zeros((2, 500)), "fs": 500.0, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"signal": "data/1"}, "got the name 'data/1': read it with read_wfdb"),
        ({"signal": [ECGRecord(np.zeros((1, 500)), 500.0, ("I",))] * 2}, "got 2 records: pass one of them"),
        ({"signal": {"I": [1.0]}}, "got dict of object"),
        ({"signal": None}, "got NoneType"),
        ({"signal": np.zeros((1, 9), complex)}, "got ndarray of complex128"),
        ({"signal": np.zeros((1, 9), bool)}, "got ndarray of bool"),
        ({"fs": "500"}, "fs must be a number"),
        ({"fs": ["I", "II"]}, "fs must be a number"),
        ({"leads": "II"}, "leads must be a sequence of names"),
    ],
)
def test_plot_ecg_refuses_other_things_in_words(change: dict[str, object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        plot_ecg(**{"signal": np.zeros((2, 500)), "fs": 500.0, **change})


def test_it_takes_what_holds_numbers(ecg) -> None:
    torch = pytest.importorskip("torch")
    expected = [line.get_ydata() for line in traces(plot_ecg(ecg.data[0, :2], 500).axes[0])]
    masked = np.ma.masked_array(ecg.data[0, :2], mask=np.zeros((2, 5000), bool))
    masked[0, 100:300] = np.ma.masked
    for same in (torch.tensor(ecg.data[0, :2], requires_grad=True), ecg.data[0, :2].tolist()):
        for line, y in zip(traces(plot_ecg(same, 500).axes[0]), expected, strict=True):
            np.testing.assert_array_equal(line.get_ydata(), y)
    gap = np.isnan(traces(plot_ecg(masked, 500).axes[0])[0].get_ydata())
    assert np.flatnonzero(gap).tolist() == list(range(100, 300))
    counts = plot_ecg(np.round(200 * ecg.data[0, :2]).astype(np.int16), 500).axes[0]
    assert "raw numbers?" in counts.get_title(loc="left")


def test_a_table_of_leads_is_told_how_to_become_one(ecg) -> None:
    pandas = pytest.importorskip("pandas")
    with pytest.raises(TypeError, match=r"got a table: pass table\[leads\].to_numpy\(\).T"):
        plot_ecg(pandas.DataFrame(ecg.data[0].T, columns=LEADS), 500)


@pytest.mark.parametrize("name", ["ludb/data/1", "ludb/data/34", "mitdb/101", "mitdb/208"])
def test_real_records(data_dir, check_layout, name: str) -> None:
    names = ("MLII", "V1") if name.startswith("mitdb") else None
    record = read_wfdb(data_dir / name, leads=names, positional=names is not None)
    figure = plot_ecg(record)
    check_layout(figure)
    assert figure.get_size_inches()[0] < 16 and figure.get_size_inches()[1] < 30


def test_without_matplotlib(ecg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"plotting needs matplotlib: pip install 'beatssl-sklearn\[plot\]'"):
        plot_ecg(ecg.data[0], ecg.fs)
