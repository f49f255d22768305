"""The card that lies beside a model: what it is, what it saw, what it is not for."""

from __future__ import annotations

from cmelt import __version__
from cmelt.batches.corpus import Corpus
from cmelt.config import Recipe
from cmelt.store import AnyStore, JoinedStore


def model_card(recipe: Recipe, store: AnyStore, corpus: Corpus, steps: int) -> str:
    """Markdown with the front matter that model hubs read."""
    objectives = ", ".join(f"{name} × {weight:g}" for name, weight in recipe.objectives.weights.items())
    sources = ", ".join(sorted(set(store.index["source"])))
    return f"""---
library_name: cmelt
tags: [ecg, electrocardiogram, contrastive-learning]
---

# C-MELT model, recipe {recipe.name}

**Research use only, not a medical device.** No figure of this model has been validated for care.

An ECG encoder and a report encoder, pre-trained together with cmelt {__version__} (arXiv 2410.02131).

| | |
|---|---|
| pairs | {len(corpus)}, from {sources}; {len(corpus.distinct)} distinct reports |
| store | {_stores(store)} |
| input | {len(store.leads)} leads ({" ".join(store.leads)}), millivolts, {store.rate:g} Hz, {store.samples} samples |
| steps | {steps} of {recipe.training.batch * recipe.training.accumulate} records a process |
| objectives | {objectives} |
| seed | {recipe.seed} |

It was trained on the train split of that store alone; `cmelt evaluate` measures it on the others.
"""


def _stores(store: AnyStore) -> str:
    if not isinstance(store, JoinedStore):
        return f"SHA-256 {store.sha256}"
    parts = zip(store.parts, store.weights, strict=True)
    return "; ".join(f"SHA-256 {part.sha256}, weight {weight:g}" for part, weight in parts)
