"""Estimators that hold a pretrainer: fitted, by path or name, or still to be fitted."""

from __future__ import annotations

import os
from typing import Any

from sklearn.base import BaseEstimator


def is_fitted(pretrainer: Any) -> bool:
    """Whether a pretrainer is fitted, or is the path or name of one."""
    return isinstance(pretrainer, (str, os.PathLike)) or hasattr(pretrainer, "weights_")


class KeepsPretrainer(BaseEstimator):
    """Estimator whose `clone` keeps a fitted pretrainer, as FrozenEstimator does; cloning it would unfit it."""

    pretrainer: Any

    def __sklearn_clone__(self) -> Any:
        cloned = super().__sklearn_clone__()
        if is_fitted(self.pretrainer):
            cloned.pretrainer = self.pretrainer
        return cloned
