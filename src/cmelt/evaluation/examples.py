"""Which records the report shows: the clearest hit of the best class, the worst miss and false alarm of the worst one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmelt.evaluation.embedder import Rows
from cmelt.evaluation.results import Comparison, Example

#: A class with fewer positives has an AUROC too unsteady to be called the best or the worst.
ENOUGH = 5


def choose(comparison: Comparison, scores: NDArray[np.float64], truth: NDArray[np.bool_], rows: Rows) -> tuple[Example, ...]:
    """scores, truth [n, C], rows [n] of the store → up to three examples."""
    names = list(comparison.model.classes)
    areas = np.array([comparison.model.classes[name].auroc.value for name in names])
    frequent = np.minimum(truth.sum(axis=0), (~truth).sum(axis=0)) >= ENOUGH
    candidates = np.flatnonzero(frequent) if frequent.any() else np.arange(len(names))
    best, worst = candidates[np.argmax(areas[candidates])], candidates[np.argmin(areas[candidates])]

    def example(kind: str, c: int, wanted: bool, highest: bool) -> Example:
        members = np.flatnonzero(truth[:, c] == wanted)
        place = members[np.argmax(scores[members, c] if highest else -scores[members, c])]
        score = float(scores[place, c])
        return Example(kind, names[c], float(areas[c]), int(rows[place]), score, 1 + int((scores[:, c] > score).sum()))

    chosen = [example("best class, highest-scoring positive", best, True, True)]
    if worst != best:
        chosen.append(example("worst class, lowest-scoring positive", worst, True, False))
        chosen.append(example("worst class, highest-scoring negative", worst, False, True))
    return tuple(chosen)
