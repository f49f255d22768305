"""C-MELT: an ECG encoder and a report encoder, pre-trained together. Research software, not a medical device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cmelt.checkpoints.finding import find_model as find_model
    from cmelt.drawing.plot import plot as plot
    from cmelt.explanation.explanation import Explanation as Explanation
    from cmelt.records.correction import correct_leads as correct_leads
    from cmelt.records.readers import ReadOptions as ReadOptions
    from cmelt.records.readers import read_ecg as read_ecg
    from cmelt.records.record import LEADS as LEADS
    from cmelt.records.record import Record as Record
    from cmelt.serving.engine import Scores as Scores
    from cmelt.serving.engine import classify as classify
    from cmelt.serving.engine import describe as describe
    from cmelt.serving.engine import embed as embed
    from cmelt.serving.engine import embed_texts as embed_texts
    from cmelt.serving.explaining import explain as explain
    from cmelt.serving.indexing import index_store as index_store
    from cmelt.serving.loading import load as load
    from cmelt.serving.processor import CMeltProcessor as CMeltProcessor
    from cmelt.serving.processor import record_of as record_of
    from cmelt.serving.search import Hits as Hits
    from cmelt.serving.search import search as search
    from cmelt.serving.search_index import open_index as open_index
    from cmelt.serving.sklearn import CMeltEmbedder as CMeltEmbedder
    from cmelt.serving.typed_lines import typed_lines as typed_lines

__version__ = "0.1.0"

#: Public name → the module that has it; imported when it is asked for, so that `import cmelt` stays light.
_PUBLIC = {
    "CMeltEmbedder": "cmelt.serving.sklearn",
    "CMeltProcessor": "cmelt.serving.processor",
    "Explanation": "cmelt.explanation.explanation",
    "Hits": "cmelt.serving.search",
    "LEADS": "cmelt.records.record",
    "ReadOptions": "cmelt.records.readers",
    "Record": "cmelt.records.record",
    "Scores": "cmelt.serving.engine",
    "classify": "cmelt.serving.engine",
    "correct_leads": "cmelt.records.correction",
    "describe": "cmelt.serving.engine",
    "embed": "cmelt.serving.engine",
    "embed_texts": "cmelt.serving.engine",
    "explain": "cmelt.serving.explaining",
    "find_model": "cmelt.checkpoints.finding",
    "index_store": "cmelt.serving.indexing",
    "load": "cmelt.serving.loading",
    "open_index": "cmelt.serving.search_index",
    "plot": "cmelt.drawing.plot",
    "read_ecg": "cmelt.records.readers",
    "record_of": "cmelt.serving.processor",
    "search": "cmelt.serving.search",
    "typed_lines": "cmelt.serving.typed_lines",
}

__all__ = [
    "LEADS",
    "CMeltEmbedder",
    "CMeltProcessor",
    "Explanation",
    "Hits",
    "ReadOptions",
    "Record",
    "Scores",
    "__version__",
    "classify",
    "correct_leads",
    "describe",
    "embed",
    "embed_texts",
    "explain",
    "find_model",
    "index_store",
    "load",
    "open_index",
    "plot",
    "read_ecg",
    "record_of",
    "search",
    "typed_lines",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        from importlib import import_module

        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'cmelt' has no attribute {name!r}")


def _make_known_to_transformers() -> None:
    from cmelt.serving.auto_classes import make_known

    make_known()


_make_known_to_transformers()
