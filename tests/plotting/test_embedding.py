"""Maps of embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from beatssl_sklearn.plotting.embedding import plot_embedding

figure_module = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed")


def test_by_label(pixels) -> None:
    rng = np.random.default_rng(0)
    labels = np.array(["10", "9", None, float("nan"), "sinus", ""] * 10, dtype=object)
    z = rng.normal(size=(60, 5)) * [5, 2, 1, 1, 1]
    (ax,) = plot_embedding(z, labels).axes
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["9 (10)", "10 (10)", "sinus (10)", "missing (30)"]
    assert sum(len(c.get_offsets()) for c in ax.collections) == 60
    assert ax.get_xlabel().startswith("PC 1 (") and ax.get_ylabel().startswith("PC 2 (")
    assert pixels(ax.figure).std() > 5


def test_text_is_a_label_and_missing_values_are_not(z) -> None:
    pandas = pytest.importorskip("pandas")
    text = ["None", "nan", "NaN", "NaT", "<NA>", "a"]
    missing = [None, np.nan, np.float32("nan"), pandas.NaT, pandas.NA, "", np.datetime64("NaT", "s"), np.inf]
    labels = [*text, *missing] * 4 + ["a"] * 4
    words = [t.get_text() for t in plot_embedding(z, labels).axes[0].get_legend().get_texts()]
    assert sorted(words) == sorted([*(f"{name} (4)" for name in text[:-1]), "a (8)", "missing (32)"])
    hidden = np.ma.masked_array(np.arange(60) % 2, np.arange(60) < 10)
    words = [t.get_text() for t in plot_embedding(z, hidden).axes[0].get_legend().get_texts()]
    assert words == ["0 (25)", "1 (25)", "missing (10)"]


@pytest.fixture(scope="module")
def z() -> np.ndarray:
    return np.random.default_rng(5).normal(size=(60, 4)) * [5, 2, 1, 1]


def color_bar(figure: object) -> object | None:
    return next((ax for ax in figure.axes if ax.get_label() == "<colorbar>"), None)


NUMBERS = {
    "floats": np.linspace(20, 80, 60),
    "many whole numbers": np.arange(60),
    "whole numbers as objects": [*range(59), None],
    "whole numbers that became floats": [*map(float, range(59)), np.nan],
    "few fractions": np.arange(60) % 3 / 2,
}
CLASSES = {
    "few whole numbers": np.arange(60) % 5,
    "few whole numbers that became floats": np.where(np.arange(60) % 7, np.arange(60) % 5, np.nan),
    "booleans": np.arange(60) > 20,
    "many names": [str(k) for k in range(60)],
    "names and numbers": ["a", *range(59)],
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_have_a_colour_bar(z, kind: str, check_layout) -> None:
    figure = plot_embedding(z, NUMBERS[kind], name="age [years]")
    bar = color_bar(figure)
    assert bar is not None and bar.get_ylabel() == "age [years]"
    check_layout(figure)
    ax = figure.axes[0]
    (points,) = [c for c in ax.collections if c.get_array() is not None]
    known = np.array([np.nan if v is None else v for v in NUMBERS[kind]], float)
    assert sorted(points.get_array()) == sorted(known[np.isfinite(known)])
    legend = ax.get_legend()
    words = [t.get_text() for t in legend.get_texts()] if legend else []
    assert words == ([f"missing ({np.isnan(known).sum()})"] if np.isnan(known).any() else [])


@pytest.mark.parametrize("kind", CLASSES)
def test_classes_have_a_legend_that_can_be_read(z, kind: str, check_layout) -> None:
    figure = plot_embedding(z, CLASSES[kind])
    assert color_bar(figure) is None
    words = [t.get_text() for t in figure.axes[0].get_legend().get_texts()]
    assert len(words) <= 13
    assert sum(int(word.rpartition("(")[2].rstrip(")")) for word in words) == 60
    check_layout(figure)
    if kind.startswith("few whole"):
        assert [word.split(" ")[0] for word in words[:5]] == ["0", "1", "2", "3", "4"]
    if kind == "many names":
        assert words[-1] == "49 other classes (49)" and len(words) == 12


def test_the_most_frequent_classes_are_named(z) -> None:
    labels = ["rare a", "rare b", *(f"c{k % 13}" for k in range(58))]
    words = [t.get_text() for t in plot_embedding(z, labels).axes[0].get_legend().get_texts()]
    assert {f"c{k} (5)" for k in range(6)} < set(words)
    assert words[-1] == "4 other classes (10)" and len(words) == 12


def test_one_colour_bar_ignores_outliers(z) -> None:
    ages = np.r_[np.linspace(20, 80, 59), 300.0, np.linspace(20, 80, 240)]
    figure = plot_embedding(np.tile(z, (5, 1)), ages)
    (points,) = [c for c in figure.axes[0].collections if c.get_array() is not None]
    low, high = points.get_clim()
    assert 20 <= low < 22 and 78 < high <= 80 and points.colorbar.extend == "both"
    assert color_bar(plot_embedding(z, np.full(60, 1.5))) is not None


def test_rows_that_are_not_finite_are_left_out_and_told(z) -> None:
    broken = z.copy()
    broken[[3, 7], [0, 1]] = np.nan, np.inf
    (ax,) = plot_embedding(broken, np.arange(60) % 2).axes
    assert "2 of 60 rows are not finite: left out" in ax.get_xlabel()
    assert sum(len(c.get_offsets()) for c in ax.collections) == 58
    words = [t.get_text() for t in ax.get_legend().get_texts()]
    assert words == ["0 (30)", "1 (28)"]
    assert "finite" not in plot_embedding(z).axes[0].get_xlabel()


def test_a_series_names_its_labels(z) -> None:
    pandas = pytest.importorskip("pandas")
    ages = pandas.Series(np.linspace(20, 80, 60), name="age", index=np.arange(60) + 7)
    assert color_bar(plot_embedding(pandas.DataFrame(z), ages)).get_ylabel() == "age"
    sex = pandas.Series(["f", "m"] * 30, name="sex", dtype="category")
    assert plot_embedding(z, sex).axes[0].get_legend().get_title().get_text() == "sex"
    assert plot_embedding(z, sex, name="").axes[0].get_legend().get_title().get_text() == ""


def test_names_as_people_write_them(z, check_layout) -> None:
    figure = plot_embedding(z, ["_a", "$x$ and $y", "a name that is much too long to be read"] * 20)
    check_layout(figure)
    words = [t.get_text() for t in figure.axes[0].get_legend().get_texts()]
    assert len(words) == 3 and max(map(len, words)) < 36


def test_pyplot_knows_a_figure_unless_one_is_given(z) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    assert plot_embedding(z, figure=figure_module.Figure()).axes and not pyplot.get_fignums()
    assert plot_embedding(z).number in pyplot.get_fignums()


def test_is_pca() -> None:
    z = np.random.default_rng(1).normal(size=(30, 4)) * [1, 9, 3, 1]
    (ax,) = plot_embedding(z).axes
    xy = np.asarray(ax.collections[0].get_offsets())
    variance = np.sort(np.linalg.eigvalsh(np.cov(z.T)))[::-1][:2]
    np.testing.assert_allclose(np.var(xy, axis=0, ddof=1), variance)
    assert ax.get_legend() is None
    same = np.asarray(plot_embedding(z, random_state=0).axes[0].collections[0].get_offsets())
    np.testing.assert_array_equal(xy, same)


def test_pictures_of_one_space_do_not_flip() -> None:
    """The largest loading of a component is positive, whatever rows were drawn."""
    rng = np.random.default_rng(2)
    directions = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    for _ in range(10):
        z = rng.normal(size=(50, 6)) * [20, 9, 1, 1, 1, 1] @ directions + 3
        xy = np.asarray(plot_embedding(z).axes[0].collections[0].get_offsets())
        order = np.random.default_rng(0).permutation(50)
        loadings = (z - z.mean(axis=0))[order].T @ xy
        assert (loadings[np.abs(loadings).argmax(axis=0), [0, 1]] > 0).all()


def test_tsne_and_constant(pixels) -> None:
    z = np.random.default_rng(1).normal(size=(12, 4))
    (ax,) = plot_embedding(z, np.arange(12) % 3, method="tsne").axes
    assert ax.get_xlabel() == "t-SNE 1" and len(ax.get_legend().get_texts()) == 3
    pixels(plot_embedding(np.ones((5, 3)), [None] * 5))


@pytest.mark.parametrize(
    ("z", "kwargs", "message"),
    [
        (np.zeros(5), {}, "Z"),
        (np.zeros((5, 1)), {}, "Z"),
        (np.zeros((2, 4)), {}, "Z"),
        (np.full((5, 4), np.nan), {}, "Z must have 3 finite rows or more, got 0 of 5"),
        (np.zeros((5, 4)), {"labels": [1, 2]}, "labels"),
        (np.zeros((5, 4)), {"labels": np.zeros((5, 2))}, "labels must have one entry per row"),
        (np.zeros((5, 4)), {"method": "umap"}, "umap"),
    ],
)
def test_plot_embedding_names_what_is_wrong(z: np.ndarray, kwargs: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plot_embedding(z, **kwargs)


def test_own_axes_are_used() -> None:
    figure = figure_module.Figure()
    left, right = figure.subplots(1, 2)
    assert plot_embedding(np.eye(4), ax=right) is figure
    assert len(figure.axes) == 2 and right.collections and not left.collections
