"""The card that lies beside a model: what it is, what it saw, what it is not for."""

from __future__ import annotations

from collections.abc import Mapping

from cmelt import __version__
from cmelt.batches.corpus import Corpus
from cmelt.config import Recipe
from cmelt.pages import markdown_table
from cmelt.store import AnyStore, JoinedStore

WARNING = "**Research use only, not a medical device.** No figure of this model has been validated for care."


def model_card(recipe: Recipe, store: AnyStore, corpus: Corpus, steps: int) -> str:
    """Markdown with the front matter that model hubs read."""
    return f"""---
library_name: cmelt
tags: [ecg, electrocardiogram, contrastive-learning]
---

# C-MELT model, recipe {recipe.name}

{WARNING}

An ECG encoder and a report encoder, pre-trained together with cmelt {__version__} (arXiv 2410.02131).

{facts_table(training_facts(recipe, store, corpus, steps))}

It was trained on the train split of that store alone; `cmelt evaluate` measures it on the others.
"""


def training_facts(recipe: Recipe, store: AnyStore, corpus: Corpus, steps: int) -> dict[str, str]:
    """What a model was made of and how, in the words of its card; it lies in the folder's manifest too."""
    objectives = ", ".join(f"{name} × {weight:g}" for name, weight in recipe.objectives.weights.items())
    return {
        "pairs": f"{len(corpus)}, from {', '.join(sources_of(store))}; {len(corpus.distinct)} distinct reports",
        "store": _stores(store),
        "input": f"{len(store.leads)} leads ({' '.join(store.leads)}), millivolts, {store.rate:g} Hz, {store.samples} samples",
        "steps": f"{steps} of {recipe.training.batch * recipe.training.accumulate} records a process",
        "objectives": objectives,
        "seed": str(recipe.seed),
    }


def sources_of(store: AnyStore) -> list[str]:
    """The datasets that a store's train split was made of, by name."""
    return sorted(set(store.index["source"].iloc[store.rows("train")]))


def facts_table(facts: Mapping[str, str]) -> str:
    """A table of two columns without a head."""
    return markdown_table(("", ""), facts.items())


def _stores(store: AnyStore) -> str:
    if not isinstance(store, JoinedStore):
        return f"SHA-256 {store.sha256}"
    parts = zip(store.parts, store.weights, strict=True)
    return "; ".join(f"SHA-256 {part.sha256}, weight {weight:g}" for part, weight in parts)
