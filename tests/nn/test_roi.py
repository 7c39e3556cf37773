"""Means over windows of a map, against a literal loop."""

import numpy as np
import pytest
import torch

from beatssl_sklearn.nn.roi import beat_embeddings, mean_beats, roi_align_1d, sample_to_token


def make_map(n=3, n_tokens=20, d=4, seed=0):
    return torch.randn(n, n_tokens, d, generator=torch.Generator().manual_seed(seed))


def interpolate(row, u):
    u = min(max(u, 0.0), len(row) - 1.0)
    low = min(int(np.floor(u)), len(row) - 1)
    high = min(low + 1, len(row) - 1)
    return row[low] * (1 - (u - low)) + row[high] * (u - low)


def literal(e, record, start, end, bins, n_points):
    """RoIAlign point by point in float64."""
    out = np.zeros((len(record), bins, e.shape[2]))
    for i, (r, a, b) in enumerate(zip(record, start, end, strict=True)):
        for j in range(bins):
            left, right = a + (b - a) * j / bins, a + (b - a) * (j + 1) / bins
            points = left + (right - left) * (np.arange(n_points) + 0.5) / n_points
            out[i, j] = np.mean([interpolate(e[r], u) for u in points], axis=0)
    return out


RECORD = torch.tensor([0, 2, 2, 1, 0, 1, 2])
START = torch.tensor([3.0, 4.3, 4.3, -3.7, 15.2, -9.0, 7.25])
END = torch.tensor([9.0, 11.9, 11.9, 4.1, 27.0, -2.0, 7.75])


@pytest.mark.parametrize("bins", [1, 4])
def test_it_is_the_limit_of_many_points(bins):
    e = make_map()
    pooled = roi_align_1d(e, RECORD, START, END, bins=bins)
    expected = literal(e.double().numpy(), RECORD, START.double().numpy(), END.double().numpy(), bins, 4000)
    assert pooled.shape == (7, bins, 4) and pooled.dtype == torch.float32
    np.testing.assert_allclose(pooled, expected, atol=2e-5)


@pytest.mark.parametrize("bins", [1, 4])
def test_gradient(bins):
    e = make_map().requires_grad_()
    up = torch.randn(7, bins, 4, generator=torch.Generator().manual_seed(1))
    (grad,) = torch.autograd.grad(roi_align_1d(e, RECORD, START, END, bins), e, up)
    # The operation is linear: the loop gives its matrix when the map's columns are the unit vectors.
    unit = np.broadcast_to(np.eye(20), (3, 20, 20))
    matrix = literal(unit, RECORD, START.double().numpy(), END.double().numpy(), bins, 1000)
    expected = np.zeros(e.shape)
    for i, record in enumerate(RECORD):
        expected[record] += matrix[i].T @ up[i].double().numpy()
    np.testing.assert_allclose(grad, expected, atol=1e-4)


def test_window_beyond_the_border_repeats_the_border():
    e = make_map()
    pooled = roi_align_1d(e, torch.tensor([0, 1]), torch.tensor([-9.0, 25.0]), torch.tensor([-2.0, 30.0]), 2)
    torch.testing.assert_close(pooled[0], e[0, :1].expand(2, -1))
    torch.testing.assert_close(pooled[1], e[1, -1:].expand(2, -1))


def test_linear_map_is_read_at_the_middle():
    e = torch.arange(30.0)[None, :, None]
    pooled = roi_align_1d(e, torch.zeros(2, dtype=torch.int64), torch.tensor([3.3, 8.0]), torch.tensor([9.1, 8.0]))
    torch.testing.assert_close(pooled.flatten(), torch.tensor([6.2, 8.0]), rtol=1e-4, atol=1e-4)


def test_no_windows():
    e = make_map().requires_grad_()
    empty = torch.zeros(0)
    pooled = roi_align_1d(e, empty.long(), empty, empty, bins=3)
    assert pooled.shape == (0, 3, 4)
    pooled.sum().backward()
    assert e.grad is not None and not e.grad.any()


def test_bfloat16_map_under_autocast():
    e = make_map(d=8)
    expected = roi_align_1d(e.bfloat16().float(), RECORD, START, END, 2)
    low = e.bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        pooled = roi_align_1d(low, RECORD, START, END, 2)
    assert pooled.dtype == torch.float32
    torch.testing.assert_close(pooled, expected, rtol=2e-2, atol=1e-2)
    pooled.sum().backward()
    full = e.clone().requires_grad_()
    roi_align_1d(full, RECORD, START, END, 2).sum().backward()
    assert low.grad.dtype == torch.bfloat16
    torch.testing.assert_close(low.grad.float(), full.grad, rtol=2e-2, atol=1e-2)


def test_map_that_is_a_cut_view():
    e = make_map(n_tokens=32)
    pooled = roi_align_1d(e[:, :20], RECORD, START, END)
    torch.testing.assert_close(pooled, roi_align_1d(e[:, :20].clone(), RECORD, START, END))


def test_one_token():
    e = make_map(n_tokens=1)
    torch.testing.assert_close(roi_align_1d(e, RECORD, START, END)[:, 0], e[RECORD, 0])


def test_sample_to_token():
    u = sample_to_token(torch.tensor([0, 3, 4, 1000]), 4)
    assert u.dtype == torch.float64
    assert u.tolist() == [-0.375, 0.375, 0.625, 249.625]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bins": 0}, "bins"),
        ({"e": torch.zeros(3, 4)}, "n_tokens, d"),
        ({"start": torch.zeros(2)}, "one shape"),
        ({"start": END + 1}, "start"),
        ({"record": torch.full((7,), 3)}, "record"),
        ({"record": torch.full((7,), -1)}, "record"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    arguments = {"e": make_map(), "record": RECORD, "start": START, "end": END, **change}
    with pytest.raises(ValueError, match=message):
        roi_align_1d(**arguments)


def test_phases_of_a_beat_lie_side_by_side():
    e = make_map()
    expected = roi_align_1d(e, RECORD, START, END, bins=3).reshape(7, 12)
    assert torch.equal(beat_embeddings(e, RECORD, START, END, 3), expected)


def test_mean_of_the_beats_of_each_record():
    e, record = make_map(), torch.tensor([0, 2, 2, 0, 2])
    beats = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    found = mean_beats(beats, record, e)
    torch.testing.assert_close(found[0], beats[[0, 3]].mean(0))
    torch.testing.assert_close(found[2], beats[[1, 2, 4]].mean(0))
    # Record 1 has no beat: its mean token stands in both phases.
    torch.testing.assert_close(found[1], e[1].mean(0).repeat(2))
