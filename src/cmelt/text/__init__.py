"""Reports as text and as token ids. Nothing heavier than numpy is imported before a tokenizer is asked for."""

from __future__ import annotations

from cmelt.text.augment import shuffle_sentences, statements
from cmelt.text.cleaning import clean_report, usable
from cmelt.text.groups import report_groups
from cmelt.text.tokenizers import TokenBatch, encode, load_tokenizer, mask_token_id, maskable, train_tokenizer

__all__ = [
    "TokenBatch",
    "clean_report",
    "encode",
    "load_tokenizer",
    "mask_token_id",
    "maskable",
    "report_groups",
    "shuffle_sentences",
    "statements",
    "train_tokenizer",
    "usable",
]
