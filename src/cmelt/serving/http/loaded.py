"""What the model's thread has loaded, and what it does with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cmelt.checkpoints.finding import find_model
from cmelt.checkpoints.model_embedder import ModelEmbedder
from cmelt.errors import CheckpointError, StoreError
from cmelt.evaluation.prompts import statements
from cmelt.model.reduced_precision import Precision
from cmelt.model.towers import Towers
from cmelt.publishing import verify
from cmelt.serving.engine import Described, describe, embedder_of, scored, vectors_of
from cmelt.serving.http.examples import EXAMPLES, example_record
from cmelt.serving.http.question import Question
from cmelt.serving.loading import load_identified
from cmelt.serving.processor import CMeltProcessor

if TYPE_CHECKING:
    from cmelt.records.record import Record
    from cmelt.serving.search import Hits
    from cmelt.serving.search_index import SearchIndex


@dataclass(frozen=True)
class Sources:
    """What to load.

    Attributes:
        model: as `cmelt.load` takes it.
        index: a folder that `cmelt index` made with this model; None for no search.
        device, precision: as `cmelt.load` takes them.
        threads: of the processor's, for one batch; None for torch's own choice.
    """

    model: str = "small"
    index: Path | None = None
    device: str | None = None
    precision: Precision | Literal["auto"] = "float32"
    threads: int | None = None

    @property
    def name(self) -> str:
        """What callers are told: no path of this machine."""
        return Path(self.model).name or "model"


@dataclass(frozen=True)
class Loaded:
    """A model and its belongings; `identity` is the SHA-256 of its weights, `threads` as `Sources` has it."""

    model: Towers
    processor: CMeltProcessor
    embedder: ModelEmbedder[Towers]
    identity: str
    index: SearchIndex | None
    threads: int | None = None

    def described(self, question: Question) -> Described:
        """The question's classes as the text encoder sees them. Raises ConfigError."""
        return describe(self.model, self.processor, question.task())

    def found(self, ecg: Record | None, text: str | None, k: int, filters: Mapping[str, Any]) -> Hits:
        """What of the index is most like an ECG or a text. Raises CMeltError."""
        from cmelt.serving.search import search

        if self.index is None:
            raise StoreError("index", "this service has none", "start it with --index")
        return search(self.model, self.processor, self.index, ecg=ecg, text=text, k=k, filters=filters)


def load(sources: Sources, warm: Question, windows: int = 1) -> Loaded:
    """Everything loaded, and used once, so that the first caller waits no longer than others.

    `windows` go through the model together, too: what memory a full batch takes is taken now. Raises CMeltError.
    """
    use_threads(sources.threads)
    # All of it, parts that only training uses too: what is not as it was written is not served.
    verify(find_model(sources.model), CheckpointError)
    model, processor, identity = load_identified(sources.model, device=sources.device, precision=sources.precision)
    embedder = embedder_of(model, processor)
    loaded = Loaded(model, processor, embedder, identity, _opened(sources, identity), sources.threads)
    prepared = processor.record(example_record(next(iter(EXAMPLES))))
    embed(loaded, np.repeat(prepared.ecg[:1], windows, axis=0), np.arange(windows), windows)
    vector = embed(loaded, prepared.ecg, np.zeros(len(prepared.ecg), np.int64), 1)
    if processor.aligned:
        scored(vector, loaded.described(warm), None)
    statements()
    return loaded


def use_threads(count: int | None) -> None:
    """So many threads of the processor's for what the calling thread computes; None for torch's own choice."""
    import torch

    if count is not None:
        torch.set_num_threads(count)


def embed(loaded: Loaded, ecg: NDArray[np.float32], owner: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """Windows [w, L, T] and whose they are [w] → unit vectors of `count` records [count, D]."""
    return vectors_of(loaded.embedder, ecg, owner, count)


def _opened(sources: Sources, identity: str) -> SearchIndex | None:
    if sources.index is None:
        return None
    from cmelt.serving.search_index import open_index

    index = open_index(sources.index)
    if index.facts.model != identity:
        fault = "was made with another model: similarities would mean nothing"
        raise StoreError(sources.index, fault, "index the store again with this model, or serve the one that made it")
    return index
