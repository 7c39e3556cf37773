"""The vectorcardiogram, and the matrices of augmented views."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from beatssl_sklearn.ecg.dower import DOWER_EIGHT
from beatssl_sklearn.ecg.leads import EIGHT_LEADS, INDEPENDENT, LEADS
from beatssl_sklearn.views.vcg import from_vcg, rotation_matrix, to_vcg, view_matrix

EIGHT = INDEPENDENT.tolist()


def leads(*names):
    return torch.tensor([[name in names for name in LEADS]])


def einthoven_error(x):
    lead_i, lead_ii = x[..., 0], x[..., 1]
    derived = torch.stack(
        [lead_ii - lead_i, -(lead_i + lead_ii) / 2, lead_i - lead_ii / 2, lead_ii - lead_i / 2], dim=-1
    )
    return (x[..., 2:6] - derived).abs().max().item()


def twelve_leads(n, n_times, generator):
    x = torch.randn(n, n_times, 12, generator=generator, dtype=torch.float64)
    lead_i, lead_ii = x[..., 0], x[..., 1]
    x[..., 2:6] = torch.stack(
        [lead_ii - lead_i, -(lead_i + lead_ii) / 2, lead_i - lead_ii / 2, lead_ii - lead_i / 2], dim=-1
    )
    return x


def draw(n, seed=0, degrees=45.0):
    generator = torch.Generator().manual_seed(seed)
    angles = (2 * torch.rand(n, 3, generator=generator, dtype=torch.float64) - 1) * np.radians(degrees)
    return angles, 1 + 0.5 * torch.rand(n, 3, generator=generator, dtype=torch.float64), generator


def test_to_vcg_undoes_from_vcg():
    vcg = torch.randn(5, 40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = from_vcg(vcg)
    assert x.shape == (5, 40, 12) and einthoven_error(x) < 1e-12
    torch.testing.assert_close(to_vcg(x), vcg, rtol=0, atol=4e-3 * vcg.abs().max().item())


def test_derived_leads_do_not_matter_to_the_vcg():
    x = torch.randn(5, 40, 12, generator=torch.Generator().manual_seed(0))
    without = x.clone()
    without[..., 2:6] = 0
    assert torch.equal(to_vcg(x), to_vcg(without)) and to_vcg(x).dtype == torch.float32


def test_rotation_agrees_with_scipy():
    angles, _, _ = draw(20)
    expected = Rotation.from_euler("zyx", angles.numpy()).as_matrix()
    np.testing.assert_allclose(rotation_matrix(angles).numpy(), expected, atol=1e-14)


@pytest.mark.parametrize("present", [(), ("I",), ("II", "V1"), LEADS[:6], ("I", "II", "V1"), LEADS])
def test_identity_bit_for_bit(present):
    matrix = view_matrix(torch.zeros(1, 3), torch.ones(1, 3), leads(*present))
    assert torch.equal(matrix, torch.eye(12)[None])


def test_view_has_the_rotated_and_scaled_vcg():
    angles, scale, generator = draw(6)
    x = twelve_leads(6, 50, generator)
    present = torch.ones(6, 12, dtype=torch.bool)
    solver = torch.tensor(np.linalg.pinv(DOWER_EIGHT)).T
    expected = torch.einsum("nij,ntj->nti", scale[:, :, None] * rotation_matrix(angles), x[..., EIGHT] @ solver)
    for residual in (True, False):
        view = x @ view_matrix(angles, scale, present, residual).mT
        torch.testing.assert_close(view[..., EIGHT] @ solver, expected)
        assert einthoven_error(view) < 1e-12


def test_published_form_is_a_projection_and_ours_keeps_the_rest():
    angles, scale, generator = draw(3)
    x = twelve_leads(3, 50, generator)
    present = torch.ones(3, 12, dtype=torch.bool)
    published = x @ view_matrix(angles, scale, present, residual=False).mT
    assert torch.linalg.matrix_rank(published, rtol=1e-9).tolist() == [3, 3, 3]
    unmoved = x - x @ view_matrix(torch.zeros_like(angles), torch.ones_like(scale), present, residual=False).mT
    ours = x @ view_matrix(angles, scale, present).mT
    torch.testing.assert_close(ours - published, unmoved)


def test_absent_leads_stay_zero_and_do_not_matter():
    angles, scale, generator = draw(1)
    present = leads("I", "II", "V1", "V4")
    x = torch.randn(1, 30, 12, generator=generator, dtype=torch.float64) * present
    matrix = view_matrix(angles, scale, present)
    view = x @ matrix.mT
    assert not view[..., ~present[0]].any()
    assert view[..., present[0]].ne(x[..., present[0]]).all()
    noise = torch.randn(1, 30, 12, generator=generator, dtype=torch.float64) * ~present
    torch.testing.assert_close(((x + noise) @ matrix.mT)[..., present[0]], view[..., present[0]])


@pytest.mark.parametrize("present", [("II", "V1"), LEADS[:6], ("V4", "V5", "V6"), ("I", "II", "V6"), LEADS[6:]])
def test_leads_that_cannot_tell_the_vcg_are_only_scaled(present):
    angles, scale, _ = draw(1)
    for residual in (True, False):
        expected = scale.prod() ** (1 / 3) * torch.eye(12, dtype=torch.float64)[None]
        torch.testing.assert_close(view_matrix(angles, scale, leads(*present), residual), expected)


@pytest.mark.parametrize("present", [("I", "II", "V1"), ("II", "V1", "V5"), ("aVL", "aVF", "V1", "V2"), LEADS])
def test_leads_that_tell_the_vcg_are_rotated(present):
    angles, _, _ = draw(1)
    matrix = view_matrix(angles, torch.ones(1, 3, dtype=torch.float64), leads(*present))
    assert (matrix - torch.eye(12)).abs().max() > 0.1


def test_derived_limb_leads_do_not_change_the_view():
    angles, scale, _ = draw(1)
    with_derived = view_matrix(angles, scale, leads(*LEADS))
    without = view_matrix(angles, scale, leads(*EIGHT_LEADS))
    torch.testing.assert_close(with_derived[:, EIGHT], without[:, EIGHT])


def test_float32_is_accurate():
    angles, scale, _ = draw(50)
    present = torch.ones(50, 12, dtype=torch.bool)
    exact = view_matrix(angles, scale, present)
    torch.testing.assert_close(view_matrix(angles.float(), scale.float(), present).double(), exact, rtol=0, atol=2e-6)


def test_autocast_does_not_lower_precision():
    angles, scale, _ = draw(5)
    present = torch.ones(5, 12, dtype=torch.bool)
    expected = view_matrix(angles.float(), scale.float(), present)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(view_matrix(angles.float(), scale.float(), present), expected)
