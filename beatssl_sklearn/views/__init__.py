"""Views of a record for contrastive learning."""

from .augment import AUGMENTATIONS, Augmentation, VCGAugment, resolve_augment
from .vcg import DOWER, INVERSE_DOWER, KORS, from_vcg, rotation_matrix, to_vcg, view_matrix

__all__ = [
    "AUGMENTATIONS",
    "DOWER",
    "INVERSE_DOWER",
    "KORS",
    "Augmentation",
    "VCGAugment",
    "from_vcg",
    "resolve_augment",
    "rotation_matrix",
    "to_vcg",
    "view_matrix",
]
