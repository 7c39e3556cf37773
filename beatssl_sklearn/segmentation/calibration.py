"""WaveCalibration: the probability that a wave is right, from the confidence of the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from .._file_values import check_array
from ..components import register
from ..ecg.waves.find import WAVES

# Confidences are kept so far from 0 and 1 that their logits stay finite.
_LEAST = 1e-4
_MAX_STEPS, _CLOSE, _RIDGE = 100, 1e-9, 1e-9
# Of the slope and the intercept: more than any calibration needs, and far from an overflow.
_MOST = 1e3
# Logits that differ less tell nothing apart, and no slope of Platt's is steeper: a few alike marks would set it.
_LEAST_SPREAD, _STEEPEST = 0.1, 30.0
# How far slope and intercept may lie from the former ones without much evidence: standard deviations.
_PRIOR_SD = 1.0
# No mean probability reaches it.
_NEVER = 1.1


@register
@dataclass(frozen=True, eq=False)
class WaveCalibration:
    """A map per wave from confidence to the probability that a wave of this confidence is right.

    The logit of the probability is ``slope`` times the logit of the confidence, plus ``intercept``. The map never
    falls, so that it keeps the order of waves of one kind. Two numbers per wave are enough, and they are stable where
    few waves are wrong: 15 of 16,000 QRS were, in the trial in which an isotonic map lost against this one.

    Parameters
    ----------
    slope, intercept : array-like of shape (3,)
        Of P, QRS and T, float64 from then on. Slopes are 0 or larger.

    Raises
    ------
    TypeError, ValueError
        If there are not three finite numbers each, or a slope is negative; the message names the parameter.

    References
    ----------
    Platt J. Probabilistic outputs for support vector machines. Advances in Large Margin Classifiers, 1999. Guo C et al.
    On calibration of modern neural networks. ICML 2017.

    Examples
    --------
    >>> import numpy as np
    >>> same = WaveCalibration(np.ones(3), np.zeros(3))
    >>> same([0.5, 0.75], ["P", "T"]).tolist()
    [0.5, 0.75]
    """

    slope: NDArray[np.float64]
    intercept: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name in ("slope", "intercept"):
            try:
                values = np.array(getattr(self, name), np.float64)
            except (TypeError, ValueError) as error:
                raise TypeError(f"{name} must be three numbers, of P, QRS and T: {error}") from None
            object.__setattr__(self, name, values)
        self._check_file()

    def _check_file(self) -> None:
        for name in ("slope", "intercept"):
            values = check_array(name, getattr(self, name), "f", len(WAVES))
            if np.abs(values).max() > _MOST:
                raise ValueError(f"{name} must be from -{_MOST:g} to {_MOST:g}, got {values.tolist()}")
        if self.slope.min() < 0:
            raise ValueError(f"slope must be 0 or larger, got {self.slope.tolist()}")

    @classmethod
    def fit(
        cls, confidence: ArrayLike, right: ArrayLike, wave: ArrayLike, *, prior: WaveCalibration | None = None
    ) -> WaveCalibration:
        """Learn the maps from waves that were judged.

        Use records that the network was not trained on: it is surer of those that it knows. Keep waves of low
        confidence (`min_confidence` 0), or nothing is learnt about them.

        Parameters
        ----------
        confidence : array-like of shape (n_waves,)
            Of the network, from 0 to 1.
        right : array-like of shape (n_waves,)
            As returned by `ecg.judge_waves`: 1 right, 0 wrong, NaN not judged. Such waves are left out.
        wave : array-like of shape (n_waves,)
            "P", "QRS" or "T", or their labels 1, 2 and 3.
        prior : WaveCalibration, optional
            A former calibration. The new one stays near it as far as these waves say nothing else: slope and intercept
            have normal priors around the former ones, with a standard deviation of 1.

        Returns
        -------
        WaveCalibration
            Without a prior by Platt's targets, (n_right + 1) / (n_right + 2) and 1 / (n_wrong + 2), which keep it
            finite if no wave is wrong; then the slope of such waves is 0. It is 0, too, where more confident waves are
            less often right, and without a prior where confidences hardly differ.

        Raises
        ------
        ValueError
            If lengths differ, a value is out of its range, or a wave has none that was judged.
        """
        if prior is not None and not isinstance(prior, WaveCalibration):
            raise TypeError(f"prior must be a WaveCalibration or None, got {type(prior).__name__}")
        c, kind = _confidences(confidence, wave)
        r = np.asarray(right, np.float64)
        if r.shape != c.shape or not np.isin(r[~np.isnan(r)], (0, 1)).all():
            raise ValueError(f"right must hold 1, 0 or NaN for each of the {len(c)} waves, got shape {r.shape}")
        judged = ~np.isnan(r) & ~np.isnan(c)
        found = []
        for k, name in enumerate(WAVES):
            own = judged & (kind == k)
            if not own.any():
                raise ValueError(f"right judges no {name}: a calibration needs annotated records with {name} waves")
            if prior is None:
                found.append(_line(_logit(c[own]), r[own]))
            else:
                found.append(_line_near(_logit(c[own]), r[own], float(prior.slope[k]), float(prior.intercept[k])))
        slope, intercept = np.array(found).T
        return cls(slope.copy(), intercept.copy())

    def __call__(self, confidence: ArrayLike, wave: ArrayLike) -> NDArray[np.float32]:
        """Return the probability that each wave is right.

        Parameters
        ----------
        confidence : array-like of shape (n_waves,)
            Of the network, from 0 to 1; NaN stays NaN.
        wave : array-like of shape (n_waves,)
            "P", "QRS" or "T", or their labels 1, 2 and 3.

        Returns
        -------
        ndarray of shape (n_waves,), float32
            From 0 to 1.

        Raises
        ------
        ValueError
            If lengths differ, or a value is out of its range.
        """
        c, kind = _confidences(confidence, wave)
        return expit(self.slope[kind] * _logit(c) + self.intercept[kind]).astype(np.float32)

    def raw_thresholds(self, min_confidence: float | Sequence[float]) -> tuple[float, float, float]:
        """Return the confidences of the network from which on waves reach a calibrated one.

        Parameters
        ----------
        min_confidence : float or sequence of three floats
            Least probability that a wave is right, of all waves, or of P, QRS and T.

        Returns
        -------
        tuple of 3 float
            Of P, QRS and T, as the `min_confidence` of `ecg.waves.find_waves`. More than 1 if no wave reaches it.

        Raises
        ------
        ValueError
            If a value is not from 0 to 1, or there are not one or three of them.
        """
        least = np.asarray(min_confidence, np.float64)
        if least.shape not in ((), (len(WAVES),)) or not ((least >= 0) & (least <= 1)).all():
            raise ValueError(
                f"min_confidence must be from 0 to 1, one number or those of P, QRS and T, got {min_confidence!r}"
            )
        found = []
        for p, slope, intercept in zip(np.broadcast_to(least, len(WAVES)), self.slope, self.intercept, strict=True):
            if slope > 0:
                raw = float(expit((logit(p) - intercept) / slope))
            else:
                raw = 0.0 if p <= expit(intercept) else _NEVER
            found.append(raw)
        return found[0], found[1], found[2]


def _confidences(confidence: ArrayLike, wave: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return confidences, and the position of each wave in `WAVES`."""
    c, given = np.asarray(confidence, np.float64), np.asarray(wave)
    if c.ndim != 1 or given.shape != c.shape:
        raise ValueError(f"confidence and wave must have one entry per wave, got shapes {c.shape} and {given.shape}")
    if ((c < 0) | (c > 1)).any():
        raise ValueError(f"confidence must be from 0 to 1, got {c[(c < 0) | (c > 1)][0]:g}")
    known = {name: k for k, name in enumerate(WAVES)} | {k + 1: k for k in range(len(WAVES))}
    names, code = np.unique(given.astype(object) if given.dtype.kind in "OU" else given, return_inverse=True)
    unknown = [name for name in names.tolist() if name not in known]
    if unknown:
        raise ValueError(f"unknown wave {unknown[0]!r:.40}: expected one of {WAVES}, or their labels 1, 2 and 3")
    return c, np.array([known[name] for name in names.tolist()], np.int64)[code.reshape(c.shape)]


def _logit(confidence: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(logit(np.clip(confidence, _LEAST, 1 - _LEAST)))


def _line(x: NDArray[np.float64], right: NDArray[np.float64]) -> tuple[float, float]:
    """Return slope and intercept of the logistic regression of smoothed targets, with a slope of 0 or more."""
    target, start = _smoothed(right)
    centre, spread = x.mean(), x.std()
    if not spread > _LEAST_SPREAD:
        return 0.0, start
    a, b = _newton((x - centre) / spread, target, (0.0, start), np.zeros(2), 0.0)
    if a <= 0:
        return 0.0, start
    a = min(a, _STEEPEST * spread)
    return float(a / spread), float(np.clip(b - a * centre / spread, -_MOST, _MOST))


def _line_near(
    x: NDArray[np.float64], right: NDArray[np.float64], slope: float, intercept: float
) -> tuple[float, float]:
    """Return the most probable slope and intercept if normal ones around former ones were expected."""
    found = _newton(x, right, (slope, intercept), np.array([slope, intercept]), _PRIOR_SD**-2)
    if found[0] <= 0:
        return 0.0, _smoothed(right)[1]
    return min(found[0], _MOST), float(np.clip(found[1], -_MOST, _MOST))


def _smoothed(right: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return Platt's targets, and the logit of their mean."""
    n_right, n_wrong = right.sum(), (1 - right).sum()
    target = np.where(right == 1, (n_right + 1) / (n_right + 2), 1 / (n_wrong + 2))
    return target, float(logit(target.mean()))


def _newton(
    z: NDArray[np.float64],
    target: NDArray[np.float64],
    start: tuple[float, float],
    expected: NDArray[np.float64],
    weight: float,
) -> tuple[float, float]:
    """Fit slope and intercept by Newton's method, with `weight` times half their squared distance from `expected`."""

    def loss(line: NDArray[np.float64]) -> float:
        f = line[0] * z + line[1]
        return float((np.logaddexp(0, f) - target * f).sum() + weight / 2 * ((line - expected) ** 2).sum())

    line = np.array(start)
    least = loss(line)
    # A step that does not help is halved.
    for _ in range(_MAX_STEPS):
        p = expit(line[0] * z + line[1])
        w, error = p * (1 - p), target - p
        hessian = np.array([[(w * z * z).sum(), (w * z).sum()], [(w * z).sum(), w.sum()]])
        hessian += (_RIDGE + weight) * np.eye(2)
        step = np.linalg.solve(hessian, np.array([(error * z).sum(), error.sum()]) - weight * (line - expected))
        while (new := loss(line + step)) > least and np.abs(step).max() > _CLOSE:
            step = step / 2
        if np.abs(step).max() <= _CLOSE:
            break
        line, least = line + step, new
    return float(line[0]), float(line[1])
