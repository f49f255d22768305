"""The score that is explained, as a differentiable function of the ECG, and the ECG that says nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from cmelt.evaluation.tasks.loading import Scoring
    from cmelt.evaluation.zero_shot import PromptVectors


def direction_of(prompts: PromptVectors, scoring: Scoring) -> NDArray[np.float64]:
    """What an ECG's unit vector is multiplied with, [D], to have its score for the one class in `prompts`.

    All three scorings are linear in that vector (`cmelt.evaluation.zero_shot`).
    """
    positive, negative, absent = (vectors[0] for vectors in (prompts.positive, prompts.negative, prompts.absent))
    if scoring == "contrast":
        return np.asarray(positive - prompts.negative_weight * negative)
    return np.asarray(positive - absent if scoring == "pairs" else positive)


def flat_lines(ecg: NDArray[np.float32], measured: NDArray[np.int64]) -> NDArray[np.float32]:
    """Windows [w, L, T] with every lead at its own median, over the `measured` [w] first samples; padding as it is.

    A lead that is missing, and so zero, stays zero: what the model was not shown is no evidence.
    """
    flat = ecg.copy()
    for window, samples in zip(flat, measured, strict=True):
        window[:, :samples] = np.median(window[:, :samples], axis=1, keepdims=True)
    return flat


@dataclass(frozen=True)
class RecordScore:
    """The zero-shot score of a record as `cmelt.classify` has it: of the mean direction of its windows.

    Attributes:
        embed_ecg: the model's, [n, L, T] millivolts, leads in the order of its channels → [n, D].
        direction: [D], of `direction_of`.
    """

    embed_ecg: Callable[[Tensor], Tensor]
    direction: Tensor

    def vectors(self, windows: Tensor) -> Tensor:
        """[n, L, T] → unit vectors [n, D]."""
        return F.normalize(self.embed_ecg(windows), dim=1)

    def __call__(self, ecg: Tensor) -> Tensor:
        """n variants of a record of w windows, [n, w, L, T] → [n]."""
        vectors = self.vectors(ecg.flatten(0, 1)).unflatten(0, ecg.shape[:2])  # [n, w, D]
        return F.normalize(vectors.sum(1), dim=1) @ self.direction

    def beside(self, others: Tensor) -> Callable[[Tensor], Tensor]:
        """The score by one window, [n, L, T] → [n], where the other windows' vectors add up to `others` [D]."""
        return lambda window: F.normalize(self.vectors(window) + others, dim=1) @ self.direction
