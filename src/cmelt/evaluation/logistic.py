"""L2-regularised logistic regression for many labels at once, along a path of regularisations.

The objective is scikit-learn's, class by class: C · Σ log-loss + ½‖w‖², intercept free. The features are rotated to their
principal axes and rescaled so that the Hessian is close to the identity: L-BFGS then needs a dozen steps instead of hundreds,
and where there are fewer records than features the problem shrinks to the number of records without changing its solution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class LogisticModel:
    """weights [D, C] and intercepts [C], in the units of the features they were fitted on."""

    weights: Matrix
    intercepts: Matrix

    def decision(self, features: Matrix) -> Matrix:
        """[n, D] → [n, C] log-odds."""
        return features @ self.weights + self.intercepts


def fit_path(
    features: Matrix, truth: NDArray[np.bool_], strengths: Sequence[float], tolerance: float = 1e-4
) -> list[LogisticModel]:
    """One model for each C of `strengths`, each started from the one before (give them in ascending order).

    features [n, D], truth [n, C]. A class that is all positive or all negative here gets no weights and a smoothed prior as
    intercept: without that its intercept would run to infinity.
    """
    count = len(features)
    left, scale, axes = np.linalg.svd(features, full_matrices=False)
    kept = scale > scale[0] * 1e-10 if scale[0] > 0 else np.zeros(len(scale), dtype=bool)
    left, scale, axes = left[:, kept], scale[kept], axes[kept]
    positives = truth.sum(axis=0)
    learnable = (positives > 0) & (positives < count)
    prior = np.log((positives + 0.5) / (count - positives + 0.5))
    targets = truth[:, learnable].astype(np.float64)
    # Curvature of the log-loss at the prior, the quantity that the preconditioner divides by.
    curvature = (targets.mean(0) * (1 - targets.mean(0)))[None, :]
    free, bias = np.zeros((len(scale), targets.shape[1])), prior[learnable].copy()
    models = []
    for strength in strengths:
        if targets.shape[1]:
            free, bias = _minimise(left * scale, targets, strength, scale, curvature, free, bias, tolerance)
        weights = np.zeros((features.shape[1], truth.shape[1]))
        weights[:, learnable] = axes.T @ free
        intercepts = prior.copy()
        intercepts[learnable] = bias
        models.append(LogisticModel(weights, intercepts))
    return models


def _minimise(
    rotated: Matrix,
    targets: Matrix,
    strength: float,
    scale: Matrix,
    curvature: Matrix,
    start: Matrix,
    bias: Matrix,
    tolerance: float,
) -> tuple[Matrix, Matrix]:
    """rotated [n, r], targets [n, C] → weights [r, C] on the rotated features, intercepts [C]."""
    from scipy.optimize import minimize

    count, classes = targets.shape
    # Variables are z = w · √(Hessian diagonal): the objective's Hessian in z is near the identity.
    stretch = np.sqrt(strength * curvature * (scale**2)[:, None] + 1.0)
    stretch_bias = np.sqrt(strength * curvature[0] * count)

    def objective(z: Matrix) -> tuple[float, Matrix]:
        w = z[:-classes].reshape(-1, classes) / stretch
        logits = rotated @ w + z[-classes:] / stretch_bias
        loss = strength * (np.logaddexp(0.0, logits) - targets * logits).sum() + 0.5 * (w * w).sum()
        slope = strength * (sigmoid(logits) - targets)
        gradient = np.concatenate([((rotated.T @ slope + w) / stretch).ravel(), slope.sum(0) / stretch_bias])
        return float(loss), gradient

    first = np.concatenate([(start * stretch).ravel(), bias * stretch_bias])
    options = {"maxiter": 1000, "maxfun": 2000, "ftol": 1e-14, "gtol": tolerance * np.sqrt(strength)}
    z = minimize(objective, first, jac=True, method="L-BFGS-B", options=options).x
    return z[:-classes].reshape(-1, classes) / stretch, z[-classes:] / stretch_bias


def sigmoid(logits: Matrix) -> Matrix:
    """1 / (1 + e^−x) without overflow."""
    return np.exp(-np.logaddexp(0.0, -logits))


def log_loss(logits: Matrix, truth: NDArray[np.bool_]) -> float:
    """Summed binary cross-entropy, probabilities kept within 1e-6 of 0 and 1 so that one surprise is not infinite."""
    bounded = np.clip(logits, -13.8, 13.8)
    return float((np.logaddexp(0.0, bounded) - truth * bounded).sum())
