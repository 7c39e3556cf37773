"""The vectorcardiogram (VCG): from and to twelve leads, and one matrix per augmented view."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from ..ecg.dower import DOWER, INVERSE_DOWER

__all__ = ["from_vcg", "rotation_matrix", "to_vcg", "view_matrix"]

# Lead order of the package: I, II, III, aVR, aVL, aVF, V1 ... V6.
_LIMB = slice(0, 6)
_DEPENDENT = slice(2, 6)
# Above this condition number (of Frobenius norms) the leads lie almost in a plane, and a rotation of what they hardly
# see multiplies the amplitude of a record: on LUDB, 45 degrees give a median factor of 1.0 with twelve leads (condition
# 1.5) and 1.1 with I, II, V1 (2.4), but 4 with I, II, V5 (23).
_MAX_CONDITION = 10.0


@functools.cache
def _dower(device: torch.device, dtype: torch.dtype) -> Tensor:
    # Kept per device, because a copy in every step would make the host wait for the GPU.
    with torch.inference_mode(False):
        return torch.tensor(DOWER, dtype=dtype, device=device)


def to_vcg(x: Tensor) -> Tensor:
    """Compute the vectorcardiogram of twelve-lead signals by the inverse Dower matrix.

    Parameters
    ----------
    x : Tensor of shape (..., 12)
        Leads last, in the package's order; III, aVR, aVL and aVF are not used.

    Returns
    -------
    Tensor of shape (..., 3)
        X (to the left), Y (to the feet), Z (to the back), in the unit of `x`.

    References
    ----------
    Edenbrandt L, Pahlm O. J Electrocardiol 1988;21:361-367.
    """
    return x @ torch.tensor(INVERSE_DOWER, dtype=x.dtype, device=x.device).T


def from_vcg(vcg: Tensor) -> Tensor:
    """Compute twelve leads from the vectorcardiogram by the Dower matrix.

    Parameters
    ----------
    vcg : Tensor of shape (..., 3)
        X, Y, Z.

    Returns
    -------
    Tensor of shape (..., 12)
        Leads last, in the package's order; Einthoven's and Goldberger's relations hold.

    References
    ----------
    Dower GE, Machado HB, Osborne JA. Clin Cardiol 1980;3:87-95.
    """
    return vcg @ torch.tensor(DOWER, dtype=vcg.dtype, device=vcg.device).T


def rotation_matrix(angles: Tensor) -> Tensor:
    """Make rotation matrices from Euler angles about the fixed axes z, then y, then x.

    Parameters
    ----------
    angles : Tensor of shape (n, 3)
        Angles about z, y and x [rad] (``scipy.spatial.transform.Rotation.from_euler("zyx", angles)``).

    Returns
    -------
    Tensor of shape (n, 3, 3)
        R = Rx Ry Rz; exactly the identity if all angles are 0.
    """
    (cz, cy, cx), (sz, sy, sx) = torch.cos(angles).unbind(-1), torch.sin(angles).unbind(-1)
    rows = [
        torch.stack([cy * cz, -cy * sz, sy], -1),
        torch.stack([sx * sy * cz + cx * sz, cx * cz - sx * sy * sz, -sx * cy], -1),
        torch.stack([sx * sz - cx * sy * cz, cx * sy * sz + sx * cz, cx * cy], -1),
    ]
    return torch.stack(rows, -2)


def _invert_3x3(matrix: Tensor) -> Tensor:
    """Invert (n, 3, 3) by cofactors, with finite values for singular matrices and no check that makes the host wait."""
    a, b, c = matrix.unbind(-2)
    cofactors = torch.stack([torch.linalg.cross(b, c), torch.linalg.cross(c, a), torch.linalg.cross(a, b)], -1)
    determinant = (a * cofactors[..., 0]).sum(-1)
    tiny = torch.finfo(matrix.dtype).tiny
    return cofactors / torch.where(determinant > tiny, determinant, torch.ones_like(determinant))[:, None, None]


def _lead_solver(present: Tensor, dower: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least-squares matrices from present leads to the VCG (n, 3, 12), and which are usable (n,)."""
    # With I and II the other limb leads add only weight, and the VCG would differ from the one of 3KG.
    counted = present.clone()
    counted[:, _DEPENDENT] &= ~(present[:, :1] & present[:, 1:2])
    rows = dower * counted[:, :, None]
    gram = rows.mT @ rows
    inverse = _invert_3x3(gram)
    condition = (gram.flatten(1).norm(dim=1) * inverse.flatten(1).norm(dim=1)).sqrt()
    independent = counted[:, _LIMB].sum(1).clamp(max=2) + counted[:, _LIMB.stop :].sum(1)
    return inverse @ rows.mT, (independent >= 3) & (condition <= _MAX_CONDITION)


def view_matrix(rotation_angles: Tensor, scale: Tensor, present: Tensor, residual: bool = True) -> Tensor:
    """Make one 12 x 12 matrix per record that rotates and scales its vectorcardiogram.

    The matrix is A = I + F (M - I) G. F is the Dower matrix (12 x 3, 0 in the rows of absent leads), G its
    pseudo-inverse over the present leads, and M = diag(scale) R. The view x' = A x has the VCG of 3KG, G x' = M G x. It
    keeps the part of the signal that a dipole does not explain, and is exactly x if M = I. Einthoven's and Goldberger's
    relations still hold. `residual=False` is 3KG as published: A = F M G, a projection to rank 3, which is not the
    identity if M = I.

    The derived limb leads are used in the least squares only if I or II is absent. Present leads do not determine a VCG
    if fewer than three are independent, or if they lie so close to a plane that the condition number exceeds 10, as the
    six chest leads alone. Then nothing is rotated, and both forms are A = s I, where s is the geometric mean of the
    three scales.

    Parameters
    ----------
    rotation_angles : Tensor of shape (n, 3)
        Euler angles about z, y, x [rad], as in `rotation_matrix`.
    scale : Tensor of shape (n, 3)
        Positive factors of X, Y, Z, applied after the rotation.
    present : bool Tensor of shape (n, 12)
        Leads of each record; absent leads are 0 and stay 0.
    residual : bool
        Keep the part that the VCG does not explain (this package) or remove it (3KG).

    Returns
    -------
    Tensor of shape (n, 12, 12)
        Apply it as ``x @ A.mT`` to `x` of shape (n, n_times, 12).

    References
    ----------
    Gopal B et al. 3KG: Contrastive learning of 12-lead electrocardiograms using physiologically-inspired augmentations.
    ML4H 2021 (angles, scales, order). The residual form is this package's own.
    """
    dtype, device = rotation_angles.dtype, rotation_angles.device
    # Autocast would compute these small products in half precision.
    with torch.autocast(device_type=device.type, enabled=False):
        dower = _dower(device, dtype)
        solver, usable = _lead_solver(present, dower)
        transform = scale[:, :, None] * rotation_matrix(rotation_angles)
        if residual:
            transform = transform - torch.eye(3, dtype=dtype, device=device)
        matrix = (dower * present[:, :, None]) @ transform @ solver
    identity = torch.eye(12, dtype=dtype, device=device)
    if residual:
        matrix = matrix + identity
    isotropic = scale.log().mean(1).exp()[:, None, None] * identity
    return torch.where(usable[:, None, None], matrix, isotropic)
