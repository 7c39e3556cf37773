"""Views of a record: components that draw another version of it."""

from .augment import NoViews, VCGViews, Views, checked_views
from .leads import LeadMasking
from .vcg import from_vcg, rotation_matrix, to_vcg, view_matrix

__all__ = [
    "LeadMasking",
    "NoViews",
    "VCGViews",
    "Views",
    "checked_views",
    "from_vcg",
    "rotation_matrix",
    "to_vcg",
    "view_matrix",
]
