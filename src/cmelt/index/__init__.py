"""Vector search: an index of embeddings on disk, built once, opened by memory map. FAISS is imported where it is used."""

from __future__ import annotations

from cmelt.index.build import build_index
from cmelt.index.facts import IndexFacts
from cmelt.index.opened import Index, open_index

__all__ = ["Index", "IndexFacts", "build_index", "open_index"]
