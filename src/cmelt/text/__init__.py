"""Reports as text and as token ids. Nothing heavier than numpy is imported before a tokenizer is asked for."""

from __future__ import annotations

from cmelt.text.augment import shuffle_sentences, statements
from cmelt.text.cleaning import clean_report, usable
from cmelt.text.groups import report_groups
from cmelt.text.token_table import TokenBatch, TokenTable
from cmelt.text.tokenizers import encode, load_tokenizer, mask_token_id, maskable, token_table, train_tokenizer

__all__ = [
    "TokenBatch",
    "TokenTable",
    "clean_report",
    "encode",
    "load_tokenizer",
    "mask_token_id",
    "maskable",
    "report_groups",
    "shuffle_sentences",
    "statements",
    "token_table",
    "train_tokenizer",
    "usable",
]
