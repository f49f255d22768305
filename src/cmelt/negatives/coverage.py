"""Are the negatives honest? How many different ones serve, how far they are, and whether they can be told without the ECG."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmelt.errors import ConfigError
from cmelt.negatives.table import NegativeTable, draw

QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class Coverage:
    """What a number of draws looked like.

    Attributes:
        draws: how many negatives were drawn.
        distinct: how many different reports were among them.
        ratio: distinct ÷ draws; at most N ÷ draws where there are N reports.
        reachable: share of the N distinct reports that are a candidate of any report in use.
        top_share: share of the draws that the most frequent negative took.
        similarity_mean: mean cosine of a negative to the true report.
        similarity_quantiles: its 5 %, 50 % and 95 % quantiles.
    """

    draws: int
    distinct: int
    ratio: float
    reachable: float
    top_share: float
    similarity_mean: float
    similarity_quantiles: tuple[float, float, float]


@dataclass(frozen=True)
class TextOnly:
    """How well "is this report the ECG's own?" is answered without an ECG: 0.5 is honest, 1.0 makes the objective void.

    Attributes:
        accuracy: cross-validated, own and drawn reports in equal numbers.
        low, high: its 95 % interval (Wilson).
        questions: how many answers it rests on.
    """

    accuracy: float
    low: float
    high: float
    questions: int


def coverage(table: NegativeTable, embeddings: np.ndarray, groups: np.ndarray, draws: int, rng: np.random.Generator) -> Coverage:
    """Draw negatives for records picked at random, as training does, and count.

    Args:
        embeddings: float32 [N, d], of the distinct reports.
        groups: int64 [n], the number of each record's distinct report.
        draws: how many to draw; take as many as there are records to read `ratio` as the share of an epoch's.
    """
    own = rng.choice(groups, size=draws)
    negatives = draw(table, own, rng)
    times = np.bincount(negatives)
    similarity = np.einsum("nd,nd->n", embeddings[own], embeddings[negatives])
    low, middle, high = (float(value) for value in np.quantile(similarity, QUANTILES))
    return Coverage(
        draws=draws,
        distinct=int((times > 0).sum()),
        ratio=float((times > 0).sum() / draws),
        reachable=len(np.unique(table.candidates[np.unique(groups)])) / len(embeddings),
        top_share=float(times.max() / draws),
        similarity_mean=float(similarity.mean()),
        similarity_quantiles=(low, middle, high),
    )


def text_only_accuracy(
    table: NegativeTable,
    embeddings: np.ndarray,
    groups: np.ndarray,
    rng: np.random.Generator,
    *,
    pairs: int = 2000,
    folds: int = 5,
) -> TextOnly:
    """How well ECG-text matching is solved by the report alone: a logistic regression tells own from drawn by the embedding.

    Records are picked at random, one half keeps its report, the other gets a negative. A report may occur in several folds, on
    purpose: training, too, sees the same reports again and again, and to remember which serve as negatives is the very shortcut.

    Args:
        embeddings: float32 [N, d], of the distinct reports.
        groups: int64 [n], the number of each record's distinct report.
        pairs: how many of each kind.
        folds: of the cross-validation.

    Raises:
        ConfigError: fewer pairs than folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    if pairs < folds:
        raise ConfigError("pairs", f"{pairs} pairs cannot be split into {folds} folds", "use more")
    shown = np.concatenate([rng.choice(groups, size=pairs), draw(table, rng.choice(groups, size=pairs), rng)])
    replaced = np.repeat([False, True], pairs)
    split = StratifiedKFold(folds, shuffle=True, random_state=int(rng.integers(2**31)))
    # Unit vectors have small coordinates: scaled to unit variance, the usual strength of the penalty fits.
    features = embeddings[shown] * np.sqrt(embeddings.shape[1])
    answers = cross_val_predict(LogisticRegression(max_iter=1000), features, replaced, cv=split)
    right = int((answers == replaced).sum())
    low, high = _wilson(right, 2 * pairs)
    return TextOnly(right / (2 * pairs), low, high, 2 * pairs)


def _wilson(right: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion."""
    share = right / total
    centre = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    return float(centre - half), float(centre + half)
