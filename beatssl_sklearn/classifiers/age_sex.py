"""AgeSexRegressor: age and sex from embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge
from sklearn.utils.validation import check_is_fitted, validate_data

from .._file_values import check_array, check_described
from ..components import Bounds, check_bounds, register
from ..inputs.groups import group_codes, group_folds
from .calibrated import C_GRID, check_grid, column_scales, fit_calibrated, standardized

ALPHA_GRID = (1e2, 3e2, 1e3, 3e3, 1e4, 3e4)
_OLDEST = 120.0


@register
class AgeSexRegressor(BaseEstimator):
    """Ridge regression of age, and logistic regression of sex, on standardised and clipped embeddings.

    Strengths of regularisation, and the line that calibrates the logit of sex, come from groups that were held out.

    Parameters
    ----------
    alpha_grid : sequence of float, default=(1e2, 3e2, 1e3, 3e3, 1e4, 3e4)
        Candidates of the penalty of `Ridge`; the least mean square error on held-out groups decides.
    C_grid : sequence of float, default=(1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
        Candidates of the inverse strength of the logistic regression; the least log loss decides.
    n_folds : int, default=5
        Folds of the groups.
    clip : float, default=8
        Standardised columns are clipped to this range, plus and minus.
    random_state : int, default=0
        Seed of the folds.

    Attributes
    ----------
    answers_ : ndarray (2,) of str
        Names of the columns of `predict`: "age" and "p_male".
    alpha_, C_ : float
        Strengths in use.
    coef_, intercept_ : ndarray (n_features, 2), (2,)
        For the clipped standardised columns.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from beatssl_sklearn.classifiers import AgeSexRegressor
    >>> rng = np.random.default_rng(0)
    >>> Z = rng.normal(size=(300, 8))
    >>> y = np.column_stack([50 + 10 * Z[:, 0], Z[:, 1] > 0])
    >>> AgeSexRegressor(alpha_grid=[1.0]).fit(Z, y).predict(Z).shape
    (300, 2)
    """

    bounds: ClassVar[dict[str, Bounds]] = {"n_folds": Bounds(Integral, 2), "clip": Bounds(Real, 1e-3)}
    _in_file: ClassVar[tuple[str, ...]] = (
        *("answers_", "alpha_", "C_", "coef_", "intercept_", "mean_", "scale_", "n_features_in_"),
    )

    def __init__(
        self,
        *,
        alpha_grid: Sequence[float] = ALPHA_GRID,
        C_grid: Sequence[float] = C_GRID,
        n_folds: int = 5,
        clip: float = 8.0,
        random_state: int = 0,
    ) -> None:
        self.alpha_grid = alpha_grid
        self.C_grid = C_grid
        self.n_folds = n_folds
        self.clip = clip
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, *, groups: ArrayLike | None = None) -> AgeSexRegressor:
        """Fit both.

        Parameters
        ----------
        X : array-like (n_records, n_features)
            Embeddings, finite.
        y : array-like (n_records, 2)
            Age [years], and sex: 0 female, 1 male. NaN is unknown.
        groups : array-like (n_records,), default=None
            Patient of each record. Records of one patient stay on one side of a split.

        Returns
        -------
        AgeSexRegressor
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If a parameter is out of range, X is not finite, y is no table of ages and sexes, or too few are known.
        """
        self._check_parameters()
        table = np.asarray(y, dtype=np.float64)
        if table.ndim != 2 or table.shape[1] != 2:
            raise ValueError(f"y must be a table (n_records, 2) of age and sex, got shape {table.shape}")
        known = np.isfinite(table)
        age, sex = table.T
        if not np.isin(sex[known[:, 1]], (0, 1)).all():
            raise ValueError("y: the second column must be 0 for female, 1 for male or NaN for unknown")
        if ((age[known[:, 0]] < 0) | (age[known[:, 0]] > _OLDEST)).any():
            raise ValueError(f"y: ages must be from 0 to {_OLDEST:g} years")
        Z = validate_data(self, X, dtype=np.float32)
        code = group_codes(groups, len(Z))
        if len(table) != len(Z):
            raise ValueError(f"y has {len(table)} rows and X has {len(Z)} records")
        for k, what in enumerate(("age", "sex")):
            if len(np.unique(code[known[:, k]])) < 2 or len(np.unique(table[known[:, k], k])) < 2:
                raise ValueError(f"y: at least two groups, and two different values, of {what} must be known")
        self.mean_, self.scale_ = column_scales(Z)
        z = standardized(Z, self.mean_, self.scale_, self.clip)
        ridge = self._fit_age(z[known[:, 0]], age[known[:, 0]], code[known[:, 0]])
        rows = known[:, 1]
        _, own = np.unique(code[rows], return_inverse=True)
        target = sex[rows, None].astype(np.float32)
        found = fit_calibrated(z[rows], target, own, self.C_grid, self.n_folds, self.random_state)
        self.C_ = float(found.C[0])
        self.coef_ = np.column_stack([ridge.coef_, found.coef[:, 0]]).astype(np.float32)
        self.intercept_ = np.array([ridge.intercept_, found.intercept[0]], dtype=np.float32)
        self.answers_ = np.array(["age", "p_male"])
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return age and sex.

        Parameters
        ----------
        X : array-like (n_records, n_features)
            Embeddings.

        Returns
        -------
        ndarray (n_records, 2)
            Age [years], and the probability that the record is a man's.
        """
        check_is_fitted(self)
        Z = validate_data(self, X, dtype=np.float32, reset=False)
        found = (standardized(Z, self.mean_, self.scale_, self.clip) @ self.coef_ + self.intercept_).astype(np.float64)
        found[:, 0] = np.clip(found[:, 0], 0, _OLDEST)
        found[:, 1] = expit(found[:, 1])
        return np.asarray(found)

    def _fit_age(self, z: NDArray[np.float32], age: NDArray[np.float64], code: NDArray[np.int64]) -> Ridge:
        """Set `alpha_` and return the regression of age."""
        _, own = np.unique(code, return_inverse=True)
        folds = group_folds(own, min(self.n_folds, int(own.max()) + 1), self.random_state)
        alphas = sorted({float(alpha) for alpha in self.alpha_grid})
        errors = [
            np.mean([((Ridge(alpha).fit(z[~out], age[~out]).predict(z[out]) - age[out]) ** 2).sum() for out in folds])
            for alpha in (alphas if len(alphas) > 1 else ())
        ]
        self.alpha_ = alphas[int(np.argmin(errors))] if errors else alphas[0]
        return Ridge(self.alpha_).fit(z, age)

    def _check_parameters(self) -> None:
        check_bounds(self.get_params(deep=False), self.bounds)
        check_grid("alpha_grid", self.alpha_grid)
        check_grid("C_grid", self.C_grid)

    def _check_file(self) -> None:
        self._check_parameters()
        check_described(self)
        if not hasattr(self, "coef_"):
            return
        if check_array("answers_", self.answers_, "U", 2).tolist() != ["age", "p_male"]:
            raise ValueError(f"answers_ must be age and p_male, got {self.answers_!r:.80}")
        check_array("coef_", self.coef_, "f", self.n_features_in_, 2)
        check_array("intercept_", self.intercept_, "f", 2)
        for name in ("mean_", "scale_"):
            check_array(name, getattr(self, name), "f", self.n_features_in_)
        check_grid("alpha_", [self.alpha_])
        check_grid("C_", [self.C_])
