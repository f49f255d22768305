"""Embedding in batches, and whether store and model belong together."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.errors import StoreError
from cmelt.evaluation.embedder import check_fit, embed_rows

from .conftest import PlantedEmbedder


@pytest.mark.parametrize("batch", [1, 7, 64, 1000])
def test_batches_do_not_change_embeddings_nor_their_order(store, batch):
    rows = np.array([5, 3, 599, 0, 42, 41, 40, 7, 8, 9])
    whole = PlantedEmbedder().embed_ecgs(store.millivolts(rows))
    np.testing.assert_array_equal(embed_rows(PlantedEmbedder(), store, rows, batch), whole)


def test_no_more_than_a_batch_is_read_at_once(store, embedder):
    embed_rows(embedder, store, np.arange(130), batch=50)
    assert embedder.calls == [50, 50, 30]


def test_progress_counts_records(store, embedder):
    told = []
    embed_rows(embedder, store, np.arange(5), 2, lambda done, total: told.append((done, total)))
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_nothing_to_embed_is_an_error(store, embedder):
    with pytest.raises(StoreError, match="no record"):
        embed_rows(embedder, store, np.zeros(0, np.int64))


def test_a_fitting_store_passes_whatever_the_type_of_its_leads(store):
    check_fit(PlantedEmbedder(leads=list(store.leads), rate=100), store)


def test_the_remedy_names_the_form_to_prepare(store):
    with pytest.raises(StoreError) as caught:
        check_fit(PlantedEmbedder(rate=500.0, samples=5000), store)
    assert "500 Hz and 5000 samples" in caught.value.remedy
