"""Zero-shot: how like the description of a class is an ECG, without a single label."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cmelt.evaluation.embedder import Embedder, Vectors

if TYPE_CHECKING:
    from cmelt.evaluation.tasks import Task
    from cmelt.evaluation.tasks.loading import Scoring


@dataclass(frozen=True)
class PromptVectors:
    """A task's prompts as the text encoder sees them: the mean unit embedding of each class, [C, D]; zero where none.

    `negative_weight` is the model's: how much of the similarity to negative prompts is taken off.
    """

    positive: NDArray[np.float64]
    negative: NDArray[np.float64]
    absent: NDArray[np.float64]
    negative_weight: float = 1.0

    @property
    def has_negatives(self) -> NDArray[np.bool_]:
        """[C]: which classes have negative prompts."""
        return np.asarray(self.negative.any(axis=1))

    @property
    def has_opposites(self) -> NDArray[np.bool_]:
        """[C]: which classes have prompts that say they are absent."""
        return np.asarray(self.absent.any(axis=1))


def embed_prompts(embedder: Embedder, task: Task) -> PromptVectors:
    """Embed every distinct prompt of a task once and average class by class."""
    classes = list(task.classes.values())
    texts = sorted({text for c in classes for text in (*c.prompts, *c.negative_prompts, *c.absent_prompts)})
    vectors = dict(zip(texts, unit(embedder.embed_texts(texts)), strict=True))
    width = len(next(iter(vectors.values())))

    def mean(prompts: tuple[str, ...]) -> NDArray[np.float64]:
        return np.mean([vectors[text] for text in prompts], axis=0) if prompts else np.zeros(width)

    return PromptVectors(
        np.stack([mean(c.prompts) for c in classes]),
        np.stack([mean(c.negative_prompts) for c in classes]),
        np.stack([mean(c.absent_prompts) for c in classes]),
        embedder.negative_weight,
    )


def similarity(ecg: Vectors, prompts: PromptVectors) -> NDArray[np.float64]:
    """[n, D] unit vectors → [n, C]: mean cosine to the prompts of each class."""
    return unit(ecg) @ prompts.positive.T


def contrast(ecg: Vectors, prompts: PromptVectors) -> NDArray[np.float64]:
    """[n, D] → [n, C]: mean cosine to the class's prompts minus `negative_weight` times that to its negative prompts.

    A class without negative prompts keeps its similarity.
    """
    return unit(ecg) @ (prompts.positive - prompts.negative_weight * prompts.negative).T


def pairs(ecg: Vectors, prompts: PromptVectors) -> NDArray[np.float64]:
    """[n, D] → [n, C]: mean cosine to "it is there" minus mean cosine to "it is not", both of the same class.

    Ranks as the probability of the positive prompts in a softmax over the two does, whatever its temperature. A class without
    absent prompts keeps its similarity.
    """
    return unit(ecg) @ (prompts.positive - prompts.absent).T


def scores(ecg: Vectors, prompts: PromptVectors) -> dict[str, NDArray[np.float64]]:
    """Every scoring the task allows, [n, C] each: `similarity`, and `contrast` and `pairs` where any class has prompts for it."""
    result = {"similarity": similarity(ecg, prompts)}
    if prompts.has_negatives.any():
        result["contrast"] = contrast(ecg, prompts)
    if prompts.has_opposites.any():
        result["pairs"] = pairs(ecg, prompts)
    return result


def headline_of(task: Task, found: Container[str]) -> Scoring:
    """The scoring to quote of those found: the task's own choice, raw similarity where its prompts are missing."""
    return task.headline if task.headline in found else "similarity"


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rows scaled to length one in double precision; a zero row stays zero."""
    wide = np.asarray(vectors, np.float64)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    return wide / np.where(length > 0, length, 1.0)
