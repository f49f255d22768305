"""N3S, nearest-neighbour negative sampling: which reports may stand in for a row's own, worked out once before training."""

from __future__ import annotations

from cmelt.negatives.coverage import Coverage, TextOnly, coverage, text_only_accuracy
from cmelt.negatives.embedding import embed_distinct, hf_encoder, lsa_encoder
from cmelt.negatives.table import NegativeTable, build_table, draw, load_table, save_table

__all__ = [
    "Coverage",
    "NegativeTable",
    "TextOnly",
    "build_table",
    "coverage",
    "draw",
    "embed_distinct",
    "hf_encoder",
    "load_table",
    "lsa_encoder",
    "save_table",
    "text_only_accuracy",
]
