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
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["missing (30)", "9 (10)", "10 (10)", "sinus (10)"]
    assert sum(len(c.get_offsets()) for c in ax.collections) == 60
    assert ax.get_xlabel().startswith("PC 1 (") and ax.get_ylabel().startswith("PC 2 (")
    assert pixels(ax.figure).std() > 5


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
        (np.full((5, 4), np.nan), {}, "finite"),
        (np.zeros((5, 4)), {"labels": [1, 2]}, "labels"),
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
