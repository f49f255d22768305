"""Two ways to attribute a score to samples of an ECG: along a path of gradients, and by taking stretches away."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor

from cmelt.errors import ConfigError
from cmelt.explanation.score import RecordScore

Method = Literal["integrated-gradients", "occlusion"]
METHODS: tuple[Method, ...] = get_args(Method)

#: Where the path from flat lines to the ECG is cut to begin with. Front ends norm each record, so that the score turns within
#: the first tenth of the path, where the ECG rises out of the norms' epsilon; evenly spread points would step over it.
PIECES = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)
#: Gauss-Legendre points in each piece. What a piece has to add up to is known; one that misses is halved, so many in all at most.
POINTS, MOST_PIECES = 4, 64
#: How far a piece may miss: this share of all that the score gains, and of this much at least (cosines).
MISS, LEAST = 0.002, 0.02
#: Windows that go through the model together.
TOGETHER = 16


def integrated_gradients(score: RecordScore, ecg: Tensor, baseline: Tensor) -> tuple[Tensor, float]:
    """Attributions [w, L, T] of score(ecg) − score(baseline) to the samples of windows `ecg` [w, L, T], and their sum's error.

    (x − x₀) ∫₀¹ ∂score/∂x (x₀ + α (x − x₀)) dα, by captum, piece by piece; the sum is what the score gains from the baseline
    (completeness). Source: Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks" (arXiv 1703.01365).

    Raises:
        ConfigError: captum is not installed.
    """
    path = _captum("IntegratedGradients")(score)
    start, way = baseline[None], (ecg - baseline)[None]
    together = max(TOGETHER // len(ecg), 1)

    def at(share: float) -> float:
        with torch.no_grad():
            return float(score(start + share * way))

    gained = at(1.0) - at(0.0)
    allowed = MISS * max(abs(gained), LEAST)
    values, waiting, pieces = torch.zeros_like(ecg), list(pairwise(PIECES)), len(PIECES) - 1
    while waiting:
        low, high = waiting.pop()
        ends = (start + high * way, start + low * way)
        part = path.attribute(*ends, n_steps=POINTS, method="gausslegendre", internal_batch_size=together)[0].detach()
        if abs(float(part.double().sum()) - (at(high) - at(low))) > allowed and pieces < MOST_PIECES:
            middle = (low + high) / 2
            waiting += [(low, middle), (middle, high)]
            pieces += 1
        else:
            values += part
    return values, float(values.double().sum()) - gained


def occlusion(score: RecordScore, ecg: Tensor, baseline: Tensor, stretch: int) -> Tensor:
    """What the score loses, [w, L, T], where `stretch` samples of one lead are put to `baseline`, by captum.

    Each sample of a stretch has an equal share of what it lost, so that sums over stretches are differences of scores. Windows
    are taken one by one, the others' vectors staying as they are; so are leads. The last stretch of a window may be shorter.

    Raises:
        ConfigError: captum is not installed.
    """
    taken = _captum("Occlusion")
    samples = ecg.shape[2]
    stretch = min(stretch, samples)
    with torch.no_grad():
        vectors = score.vectors(ecg)
        lost = [
            taken(score.beside(vectors.sum(0) - vectors[number])).attribute(
                ecg[number : number + 1],
                sliding_window_shapes=(1, stretch),
                strides=(1, stretch),
                baselines=baseline[number : number + 1],
                perturbations_per_eval=TOGETHER,
            )
            for number in range(len(ecg))
        ]
    sizes = torch.full((samples,), float(stretch))
    if rest := samples % stretch:
        sizes[-rest:] = rest
    return torch.cat(lost).to(ecg) / sizes.to(ecg)


def _captum(name: str) -> type:
    try:
        from captum import attr
    except ImportError as error:
        raise ConfigError("cmelt.explain", "captum is not installed", 'pip install "cmelt[explain]"') from error
    found: type = getattr(attr, name)
    return found
