"""Several processes ask the same phrases of a step's pairs, and each embeds its share of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cmelt.batches.assemble import Batches
from cmelt.batches.batch import AskedPhrases
from cmelt.batches.corpus import corpus_of
from cmelt.batches.phrases import phrase_book
from cmelt.store import open_store
from cmelt.text import train_tokenizer
from tiny_runs import tiny_recipe


def pieces(asked: AskedPhrases) -> list[list[int]]:
    """The word pieces of each phrase, without padding."""
    return [row[mask].tolist() for row, mask in zip(asked.tokens, asked.mask, strict=True)]


@pytest.mark.parametrize(("world", "drawn"), [(2, 7), (4, 7), (4, 8), (8, 3)])
def test_together_the_processes_embed_what_one_would(world, drawn, tiny_store):
    store = open_store(tiny_store)
    corpus = corpus_of(store)
    recipe = tiny_recipe(
        "objectives.phrases=1", "objectives.phrase.least=2", f"objectives.phrase.drawn={drawn}", "training.batch=16"
    )
    book, tokenizer = phrase_book(corpus, recipe.objectives.phrase), train_tokenizer(corpus.distinct, 400)
    alone = Batches(store, corpus, tokenizer, None, recipe, phrases=book).batch(3).phrases
    split = replace(recipe, training=replace(recipe.training, batch=16 // world))
    shares = [Batches(store, corpus, tokenizer, None, split, rank, world, book).batch(3).phrases for rank in range(world)]
    assert len(pieces(alone)) == drawn
    embedded = [phrase for share in shares for phrase in pieces(share)]
    assert embedded[:drawn] == pieces(alone)
    assert {len(share.tokens) for share in shares} == {-(-drawn // world)}  # the same number each, the surplus at the end
    for part in ("held", "counted"):
        assert torch.equal(torch.cat([getattr(share, part) for share in shares]), getattr(alone, part))
