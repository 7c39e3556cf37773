"""Between twelve leads and the vectorcardiogram: published matrices, and one matrix per augmented view."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

__all__ = ["DOWER", "INVERSE_DOWER", "KORS", "from_vcg", "rotation_matrix", "to_vcg", "view_matrix"]

# Lead order of the package: I, II, III, aVR, aVL, aVF, V1 ... V6.
_LIMB = slice(0, 6)
_DEPENDENT = slice(2, 6)
# The limb leads from I and II (Einthoven, Goldberger).
_LIMB_FROM_I_II = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 1.0], [-0.5, -0.5], [1.0, -0.5], [-0.5, 1.0]])
# Above this condition number (of Frobenius norms) the leads lie nearly in a plane, and turning what they hardly see
# multiplies a record's amplitude: on LUDB, 45 degrees give a median factor of 1.0 with twelve leads (condition 1.5),
# 1.1 with I, II, V1 (2.4), but 4 with I, II, V5 (23).
_MAX_CONDITION = 10.0


def _read_only(matrix: np.ndarray) -> np.ndarray:
    matrix.setflags(write=False)
    return matrix


def _with_derived_rows(independent: np.ndarray) -> np.ndarray:
    """(8, 3) rows of I, II, V1 ... V6 -> (12, 3)."""
    return np.vstack([_LIMB_FROM_I_II @ independent[:2], independent[2:]])


def _with_dependent_columns(independent: np.ndarray) -> np.ndarray:
    """(3, 8) columns of I, II, V1 ... V6 -> (3, 12), zeros for the derived leads."""
    return np.hstack([independent[:, :2], np.zeros((3, 4)), independent[:, 2:]])


#: Leads from the VCG, (12, 3): rows in the package's lead order, columns X, Y, Z (Dower et al. 1980); III, aVR, aVL and
#: aVF follow from I and II.
DOWER = _read_only(
    _with_derived_rows(
        np.array(
            [
                [0.632, -0.235, 0.059],
                [0.235, 1.066, -0.132],
                [-0.515, 0.157, -0.917],
                [0.044, 0.164, -1.387],
                [0.882, 0.098, -1.277],
                [1.213, 0.127, -0.601],
                [1.125, 0.127, -0.086],
                [0.831, 0.076, 0.230],
            ]
        )
    )
)
#: The VCG from the leads, (3, 12), zeros for the derived leads (Edenbrandt & Pahlm 1988).
INVERSE_DOWER = _read_only(
    _with_dependent_columns(
        np.array(
            [
                [0.156, -0.010, -0.172, -0.074, 0.122, 0.231, 0.239, 0.194],
                [-0.227, 0.887, 0.057, -0.019, -0.106, -0.022, 0.041, 0.048],
                [0.022, 0.102, -0.229, -0.310, -0.246, -0.063, 0.055, 0.108],
            ]
        )
    )
)
#: The VCG from the leads by regression, (3, 12), zeros for the derived leads (Kors et al. 1990). Not an inverse of
#: `DOWER`.
KORS = _read_only(
    _with_dependent_columns(
        np.array(
            [
                [0.38, -0.07, -0.13, 0.05, -0.01, 0.14, 0.06, 0.54],
                [-0.07, 0.93, 0.06, -0.02, -0.05, 0.06, -0.17, 0.13],
                [0.11, -0.23, -0.43, -0.06, -0.14, -0.20, -0.11, 0.31],
            ]
        )
    )
)
_TO_VCG = {"dower": INVERSE_DOWER, "kors": KORS}
_INDEPENDENT = [0, 1, 6, 7, 8, 9, 10, 11]
_FROM_VCG = {"dower": DOWER, "kors": _with_derived_rows(np.linalg.pinv(KORS[:, _INDEPENDENT]))}


@functools.cache
def _dower(device: torch.device, dtype: torch.dtype) -> Tensor:
    # Kept per device: a copy from the host in every step would make the host wait for the GPU.
    with torch.inference_mode(False):
        return torch.tensor(DOWER, dtype=dtype, device=device)


def _matrix(table: dict[str, np.ndarray], transform: str) -> np.ndarray:
    if transform not in table:
        raise ValueError(f"transform must be one of {sorted(table)}, got {transform!r}")
    return table[transform]


def to_vcg(x: Tensor, transform: str = "dower") -> Tensor:
    """Vectorcardiogram of twelve-lead signals.

    Parameters
    ----------
    x : Tensor of shape (..., 12)
        Leads last, in the package's order; III, aVR, aVL and aVF are not used.
    transform : {"dower", "kors"}
        Inverse Dower matrix, or Kors regression matrix.

    Returns
    -------
    Tensor of shape (..., 3)
        X (to the left), Y (to the feet), Z (to the back), in the unit of `x`.

    Raises
    ------
    ValueError
        If `transform` is unknown.

    References
    ----------
    Edenbrandt L, Pahlm O. J Electrocardiol 1988;21:361-367. Kors JA et al. Eur Heart J 1990;11:1083-1092.
    """
    return x @ torch.tensor(_matrix(_TO_VCG, transform), dtype=x.dtype, device=x.device).T


def from_vcg(vcg: Tensor, transform: str = "dower") -> Tensor:
    """Twelve leads from the vectorcardiogram.

    Use the same `transform` in both directions: Kors' matrix and Dower's are not inverses of each other (their product
    is off the identity by up to .38).

    Parameters
    ----------
    vcg : Tensor of shape (..., 3)
        X, Y, Z.
    transform : {"dower", "kors"}
        The Dower matrix, or the pseudo-inverse of the Kors matrix.

    Returns
    -------
    Tensor of shape (..., 12)
        Leads last, in the package's order; Einthoven's and Goldberger's relations hold.

    Raises
    ------
    ValueError
        If `transform` is unknown.

    References
    ----------
    Dower GE, Machado HB, Osborne JA. Clin Cardiol 1980;3:87-95.
    """
    return vcg @ torch.tensor(_matrix(_FROM_VCG, transform), dtype=vcg.dtype, device=vcg.device).T


def rotation_matrix(angles: Tensor) -> Tensor:
    """Rotation matrices from Euler angles about the fixed axes z, then y, then x.

    Parameters
    ----------
    angles : Tensor of shape (n, 3)
        Angles about z, y and x [rad] (``scipy.spatial.transform.Rotation.from_euler("zyx", angles)``).

    Returns
    -------
    Tensor of shape (n, 3, 3)
        R = Rx Ry Rz; the identity, bit for bit, where all angles are 0.
    """
    (cz, cy, cx), (sz, sy, sx) = torch.cos(angles).unbind(-1), torch.sin(angles).unbind(-1)
    rows = [
        torch.stack([cy * cz, -cy * sz, sy], -1),
        torch.stack([sx * sy * cz + cx * sz, cx * cz - sx * sy * sz, -sx * cy], -1),
        torch.stack([sx * sz - cx * sy * cz, cx * sy * sz + sx * cz, cx * cy], -1),
    ]
    return torch.stack(rows, -2)


def _invert_3x3(matrix: Tensor) -> Tensor:
    """Inverse of (n, 3, 3) by cofactors, finite also where singular; no check that would make the host wait."""
    a, b, c = matrix.unbind(-2)
    cofactors = torch.stack([torch.linalg.cross(b, c), torch.linalg.cross(c, a), torch.linalg.cross(a, b)], -1)
    determinant = (a * cofactors[..., 0]).sum(-1)
    tiny = torch.finfo(matrix.dtype).tiny
    return cofactors / torch.where(determinant > tiny, determinant, torch.ones_like(determinant))[:, None, None]


def _lead_solver(present: Tensor, dower: Tensor) -> tuple[Tensor, Tensor]:
    """Least squares from the present leads to the VCG: (n, 3, 12), and where it can be trusted: (n,) bool."""
    # With I and II at hand the other limb leads add nothing but weight, and the VCG would no longer be 3KG's.
    counted = present.clone()
    counted[:, _DEPENDENT] &= ~(present[:, :1] & present[:, 1:2])
    rows = dower * counted[:, :, None]
    gram = rows.mT @ rows
    inverse = _invert_3x3(gram)
    condition = (gram.flatten(1).norm(dim=1) * inverse.flatten(1).norm(dim=1)).sqrt()
    independent = counted[:, _LIMB].sum(1).clamp(max=2) + counted[:, _LIMB.stop :].sum(1)
    return inverse @ rows.mT, (independent >= 3) & (condition <= _MAX_CONDITION)


def view_matrix(rotation_angles: Tensor, scale: Tensor, present: Tensor, residual: bool = True) -> Tensor:
    """One 12 x 12 matrix per record that rotates and scales its vectorcardiogram.

    With F the Dower matrix (12 x 3, rows of absent leads 0), G its pseudo-inverse over the present leads and M =
    diag(scale) R, the matrix is A = I + F (M - I) G. The view x' = A x has the VCG G x' = M G x that 3KG gives it,
    keeps the part of the signal that three dipole components cannot explain, and is x itself, bit for bit, when M = I.
    Einthoven's and Goldberger's relations survive. `residual=False` is 3KG as published, A = F M G, a projection to
    rank 3 that is not the identity when M = I.

    The derived limb leads enter the least squares only where I or II is absent. Where the present leads cannot
    determine a VCG (fewer than three independent ones, or so close to one plane that the condition number exceeds 10,
    such as the six chest leads alone), nothing is rotated: A = s I, with s the geometric mean of the three scales, in
    both forms.

    Parameters
    ----------
    rotation_angles : Tensor of shape (n, 3)
        Euler angles about z, y, x [rad], as in `rotation_matrix`.
    scale : Tensor of shape (n, 3)
        Positive factors of X, Y, Z, applied after the rotation.
    present : bool Tensor of shape (n, 12)
        Which leads each record has; absent leads are 0 and stay so.
    residual : bool
        Keep what the VCG does not explain (this package) or delete it (3KG).

    Returns
    -------
    Tensor of shape (n, 12, 12)
        To be applied as ``x @ A.mT`` to `x` of shape (n, n_times, 12).

    References
    ----------
    Gopal B et al. 3KG: Contrastive learning of 12-lead electrocardiograms using physiologically-inspired augmentations.
    ML4H 2021 (angles, scales, order). The residual form is this package's own.
    """
    dtype, device = rotation_angles.dtype, rotation_angles.device
    # Under autocast these small products would drop to half precision.
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
