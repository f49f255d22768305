"""Does a model serve women and men, the young and the old alike? Macro AUROC by group, over the same classes for all groups.

An AUROC is of a group's own records: a group in which a class is common is not favoured, but one whose negatives are harder (the
old have few normal ECGs) is. So a difference says where to look, not why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cmelt.evaluation import metrics
from cmelt.evaluation.metrics import Figure, Replicates

if TYPE_CHECKING:
    import pandas as pd

    from cmelt.evaluation.comparison import Bench, Scores

#: Thirds of PTB-XL, about: at a lower first bound hardly an infarction is left in the first.
AGES: tuple[tuple[str, float, float], ...] = (("under 50", 0, 50), ("50 to 69", 50, 70), ("70 and over", 70, np.inf))
SEXES: tuple[str, ...] = ("female", "male")
#: The groups of an attribute in the order of the tables; others are compared with the first.
GROUPS: Mapping[str, tuple[str, ...]] = {"sex": SEXES, "age": tuple(name for name, _, _ in AGES)}
#: A class is counted where every group has as many positives and negatives; a figure on fewer says nothing.
LEAST_RECORDS = 5

#: Group of each record by attribute, [n] names; "" where it is not known.
Grouping = Mapping[str, NDArray[np.object_]]


@dataclass(frozen=True)
class GroupFigures:
    """One group: its records, its macro AUROC, and that minus the first group's (the first has none)."""

    records: int
    patients: int
    macro_auroc: Figure
    difference: Figure | None


@dataclass(frozen=True)
class Subgroups:
    """Groups by one attribute.

    Attributes:
        attribute: "sex" or "age".
        classes: those that count, the same in every group; others have too few positives or negatives in one of them.
        unknown: records whose group is not known; they are in none.
    """

    attribute: str
    classes: tuple[str, ...]
    groups: dict[str, GroupFigures]
    unknown: int


def groups_of(index: pd.DataFrame, rows: NDArray[np.int64]) -> Grouping:
    """The groups of a store's rows, from the columns `sex` and `age` (years)."""
    sex = np.array([name if name in SEXES else "" for name in index["sex"].to_numpy(dtype=object)[rows]], dtype=object)
    years = index["age"].to_numpy(dtype=np.float64)[rows]
    age = np.full(len(rows), "", dtype=object)
    for name, low, high in AGES:
        age[(years >= low) & (years < high)] = name
    return {"sex": sex, "age": age}


def compare_groups(bench: Bench, score_sets: Sequence[Scores], grouping: Grouping) -> tuple[Subgroups, ...]:
    """Figures by group of K score sets [n, C], averaged over them as `Bench.compare` averages; none for an attribute that is not
    known, or of whose groups fewer than two have a class in common."""
    found = (_compare(bench, score_sets, attribute, names) for attribute, names in grouping.items())
    return tuple(one for one in found if one is not None)


def _compare(bench: Bench, score_sets: Sequence[Scores], attribute: str, names: NDArray[np.object_]) -> Subgroups | None:
    members = {group: names == group for group in GROUPS[attribute] if (names == group).any()}
    if len(members) < 2:
        return None
    enough = [
        (bench.truth[inside].sum(axis=0) >= LEAST_RECORDS) & ((~bench.truth[inside]).sum(axis=0) >= LEAST_RECORDS)
        for inside in members.values()
    ]
    kept = np.all(enough, axis=0)
    if not kept.any():
        return None
    groups: dict[str, GroupFigures] = {}
    first: tuple[float, Replicates] | None = None
    for group, inside in members.items():
        value, replicates = _macro_auroc(bench, score_sets, inside, kept)
        difference = None if first is None else metrics.figure(value - first[0], replicates - first[1])
        first = first or (value, replicates)
        patients = len(np.unique(bench.patients[inside]))
        groups[group] = GroupFigures(int(inside.sum()), patients, metrics.figure(value, replicates), difference)
    classes = tuple(name for name, counts in zip(bench.names, kept, strict=True) if counts)
    return Subgroups(attribute, classes, groups, int((names == "").sum()))


def _macro_auroc(
    bench: Bench, score_sets: Sequence[Scores], inside: NDArray[np.bool_], kept: NDArray[np.bool_]
) -> tuple[float, Replicates]:
    """Macro AUROC of some records [n] over some classes [C], and its replicates [R], in which all groups share the patients
    that are drawn."""
    truth, weights, shares = bench.truth[np.ix_(inside, kept)], bench.weights[:, inside], bench.draw_shares(len(score_sets))
    own = [scores[np.ix_(inside, kept)] for scores in score_sets]
    points = metrics.mean_points(own, truth, metrics.auroc)
    replicates = metrics.mean_replicates(own, truth, weights, shares, metrics.weighted_auroc)
    return float(points.mean()), metrics.macro(replicates, points)
