"""Texts that were tokenised once are what the tokenizer says of them each time."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.errors import ConfigError
from cmelt.text import encode, token_table, tokenizers, train_tokenizer

REPORTS = [
    "sinus rhythm. normal ecg",
    "atrial fibrillation with rapid ventricular response, left bundle branch block",
    "",
    "sinusrhythmus überdrehter linkstyp",
    "t wave inversion in v1, v2, v3 and v4",
]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(REPORTS * 5, 400)


@pytest.mark.parametrize("longest", [4, 12, 64])
@pytest.mark.parametrize("numbers", [[0, 1, 2, 3, 4], [3, 3, 0], [2], [4, 1, 1, 0, 2, 4]])
def test_rows_are_what_the_tokenizer_says_of_the_texts(tokenizer, numbers, longest):
    found = token_table(tokenizer, REPORTS, longest).rows(np.array(numbers))
    slow = tokenizer([REPORTS[n] for n in numbers], padding="longest", truncation=True, max_length=longest, return_tensors="np")
    assert found.ids.dtype == np.int64
    assert np.array_equal(found.ids, slow["input_ids"])
    assert np.array_equal(found.mask, slow["attention_mask"].astype(bool))
    again = encode(tokenizer, [REPORTS[n] for n in numbers], longest)
    assert np.array_equal(again.ids, found.ids) and np.array_equal(again.mask, found.mask)


def test_texts_are_handed_over_in_chunks_and_come_back_whole(tokenizer, monkeypatch):
    whole = token_table(tokenizer, REPORTS, 64)
    monkeypatch.setattr(tokenizers, "CHUNK", 2)
    parts = token_table(tokenizer, REPORTS, 64)
    assert np.array_equal(parts.ids, whole.ids) and np.array_equal(parts.begin, whole.begin)
    assert len(parts) == len(REPORTS)


def test_a_token_takes_two_bytes(tokenizer):
    assert token_table(tokenizer, REPORTS, 64).ids.itemsize == 2


def test_no_text_and_no_padding_token_are_refused(tokenizer):
    with pytest.raises(ConfigError, match="nothing to encode"):
        token_table(tokenizer, [], 64)
