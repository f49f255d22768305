"""Searching an archive: the ECGs most like an ECG, or most like what a text says, each with its report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import ConfigError, StoreError
from cmelt.records.readers import ReadOptions
from cmelt.records.readers.options import NOTHING_GIVEN
from cmelt.serving.engine import Source, embed_texts, embedder_of, vectors_of
from cmelt.serving.notice import NOTICE
from cmelt.serving.processor import CMeltProcessor, Facts
from cmelt.serving.search_index import Filters, SearchIndex

if TYPE_CHECKING:
    from cmelt.model.towers import Towers


@dataclass(frozen=True)
class Hit:
    """A record that was found.

    Attributes:
        record: its name in its source.
        similarity: cosine to what was searched for. It ranks; it is no probability.
        report, age, sex: None where they are not known; age in years.
        labels: as "vocabulary:name".
        split, source: the store's split and dataset.
        row: its row in the index; `SearchIndex.ecg(row)` reads the ECG.
    """

    record: str
    similarity: float
    report: str | None
    age: float | None
    sex: str | None
    labels: tuple[str, ...]
    split: str
    source: str
    row: int


@dataclass(frozen=True)
class Hits:
    """What a search found, most similar first.

    Attributes:
        hits: at most k; fewer where the filters let fewer through.
        query: what was searched with.
        among: how many records the filters let through.
        facts: what was done to the ECG that was searched with, and what is wrong with it; None for a text.
    """

    hits: tuple[Hit, ...]
    query: Literal["ecg", "text"]
    among: int
    facts: Facts | None = None

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __getitem__(self, place: int) -> Hit:
        return self.hits[place]

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers."""
        facts = None if self.facts is None else asdict(self.facts)
        hits = [{**asdict(hit), "labels": list(hit.labels)} for hit in self.hits]
        return {"notice": NOTICE, "query": self.query, "among": self.among, "facts": facts, "hits": hits}


def search(
    model: Towers,
    processor: CMeltProcessor,
    index: SearchIndex,
    *,
    ecg: Source | None = None,
    text: str | None = None,
    k: int = 10,
    filters: Filters | Mapping[str, Any] | None = None,
    options: ReadOptions = NOTHING_GIVEN,
) -> Hits:
    """The k records of an index that are most like an ECG, or like what a text says.

    Args:
        index: of `cmelt.open_index`, made with this very model.
        ecg: a record or the file of one; a long one is searched for by the mean direction of its windows. A record of the
            index itself finds itself first.
        text: as in a report ("atrial fibrillation with rapid ventricular response"). Give one of `ecg` and `text`.
        filters: {"age": (40, 60), "sex": "f", "label": "AFIB"}; see `Filters`.
        options: what an ECG's file leaves unsaid (rate, unit, leads).
    Raises:
        StoreError: the index was made with another model.
        ConfigError: both or neither of `ecg` and `text`, a filter that cannot be, or a text for a model that has never
            learned to compare ECGs with texts.
        RecordError: no ECG.

    Example:
        >>> index = cmelt.open_index("ptbxl-index")  # doctest: +SKIP
        >>> hits = cmelt.search(model, processor, index, text="left bundle branch block")  # doctest: +SKIP
        >>> hits[0].report  # doctest: +SKIP
    """
    if (ecg is None) == (text is None):
        raise ConfigError("search", "needs an ECG or a text, and not both", "give one of ecg=… and text=…")
    _check_model(processor, index)
    chosen = filters if isinstance(filters, Filters) else Filters.of(filters or {})
    among = index.rows(chosen) if chosen != Filters() else None
    count = len(index) if among is None else len(among)
    facts = None
    if ecg is not None:
        prepared = processor.record(ecg, options)
        windows = np.zeros(len(prepared.ecg), dtype=np.int64)
        facts, asked = prepared.facts, vectors_of(embedder_of(model, processor), prepared.ecg, windows, 1)
    else:
        asked = _vector_of_text(model, processor, str(text))
    hits = _hits(index, asked, k, among) if count else ()
    return Hits(hits, "text" if ecg is None else "ecg", count, facts)


def _check_model(processor: CMeltProcessor, index: SearchIndex) -> None:
    """Similarities to vectors of other weights mean nothing."""
    if not processor.identity:
        fault = "it is not known which weights this model has, so that it cannot be compared with the index"
        raise StoreError(index.folder, fault, "load it with cmelt.load")
    if processor.identity != index.facts.model:
        fault = f'was made with another model, which was called "{index.facts.model_name}"'
        raise StoreError(index.folder, fault, "search with that one, or index the store again with this one")


def _vector_of_text(model: Towers, processor: CMeltProcessor, text: str) -> NDArray[np.float32]:
    if not processor.aligned:
        raise ConfigError("model", "has never learned to compare ECGs with texts: hits would be chance", "search with an ECG")
    if not text.strip():
        raise ConfigError("text", "is empty", 'say what to look for, such as "atrial fibrillation"')
    return embed_texts(model, processor, [text])


def _hits(index: SearchIndex, asked: NDArray[np.float32], k: int, among: NDArray[np.int64] | None) -> tuple[Hit, ...]:
    rows, similarities = index.vectors.search(asked, k, among)
    told = index.records.take(rows[0]).to_pylist()
    return tuple(
        Hit(
            one["record"],
            float(similarity),
            one["report"],
            one["age"],
            one["sex"],
            tuple(one["labels"]),
            one["split"],
            one["source"],
            int(row),
        )
        for row, similarity, one in zip(rows[0], similarities[0], told, strict=True)
    )
