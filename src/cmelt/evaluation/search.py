"""Figures of a search: how often the first hit is among the first k, its median rank, and the controls beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmelt.evaluation import metrics
from cmelt.evaluation.metrics import Figure, Replicates
from cmelt.evaluation.ranks import Ranks


@dataclass(frozen=True)
class SearchFigures:
    """Shares of the queries whose first hit is among the first k, by k (R@k; of identification, top-k accuracy), and the median
    rank: the smallest k within which half of them have one."""

    within: dict[str, Figure]
    median_rank: Figure


@dataclass(frozen=True)
class SearchResult:
    """One direction of searching.

    Attributes:
        queries, candidates: how many.
        model, random: the model, and the same architecture with fresh weights, on the same queries and candidates.
        gain: by k, the model's share minus the random encoder's; the intervals are of the *paired* difference.
        chance: what a model reaches that finds all candidates equally alike: computed, without an interval.
        shuffled: after every record was given another patient's ECG: mean and range over permutations, where that is asked.
    """

    queries: int
    candidates: int
    model: SearchFigures
    random: SearchFigures
    gain: dict[str, Figure]
    chance: SearchFigures
    shuffled: SearchFigures | None = None


def compare_search(
    model: Ranks,
    random: Ranks,
    patients: NDArray[np.int64],
    depths: Sequence[int],
    replicates: int,
    seed: int,
    shuffled: Sequence[Ranks] = (),
) -> SearchResult:
    """Figures of one direction. Replicates draw the queries' patients ([Q] integers 0…P−1); the candidates stay as they are."""
    weights = metrics.patient_weights(patients, replicates, np.random.default_rng([seed, 11])).astype(np.float64)
    gain = {}
    for k in depths:
        difference = model.within(k) - random.within(k)
        gain[str(k)] = metrics.figure(float(difference.mean()), _mean(difference, weights))
    return SearchResult(
        queries=len(model.before),
        candidates=model.candidates,
        model=_figures(model, depths, weights),
        random=_figures(random, depths, weights),
        gain=gain,
        chance=_points(model.chance(), depths),
        shuffled=_spread([_points(ranks, depths) for ranks in shuffled]) if shuffled else None,
    )


def rank_arrays(ranks: Ranks, depths: Sequence[int], prefix: str = "") -> dict[str, NDArray[np.float64]]:
    """[Q] each, for paired comparisons: the expected rank and the probability of a hit within each k, names after `prefix`."""
    return {f"{prefix}rank": ranks.expected()} | {f"{prefix}within_{k}": ranks.within(k) for k in depths}


def _figures(ranks: Ranks, depths: Sequence[int], weights: NDArray[np.float64]) -> SearchFigures:
    points = _points(ranks, depths)
    within = {str(k): metrics.figure(points.within[str(k)].value, _mean(ranks.within(k), weights)) for k in depths}
    return SearchFigures(within, metrics.figure(points.median_rank.value, ranks.median(weights)))


def _points(ranks: Ranks, depths: Sequence[int]) -> SearchFigures:
    """Figures of all queries, without intervals."""
    median = float(ranks.median(np.ones((1, len(ranks.before))))[0])
    return SearchFigures({str(k): _bare(float(ranks.within(k).mean())) for k in depths}, _bare(median))


def _spread(trials: Sequence[SearchFigures]) -> SearchFigures:
    """Mean, and 2.5 % and 97.5 % points, of each figure over the permutations."""

    def figure(values: list[float]) -> Figure:
        low, high = np.percentile(values, [2.5, 97.5])
        return Figure(float(np.mean(values)), float(low), float(high))

    within = {k: figure([trial.within[k].value for trial in trials]) for k in trials[0].within}
    return SearchFigures(within, figure([trial.median_rank.value for trial in trials]))


def _bare(value: float) -> Figure:
    return Figure(value, float("nan"), float("nan"))


def _mean(values: NDArray[np.float64], weights: NDArray[np.float64]) -> Replicates:
    """Weighted means of [Q] under [R, Q] weightings; [R]."""
    return np.asarray(weights @ values / weights.sum(axis=1))
