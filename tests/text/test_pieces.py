"""A saved tokenizer gives the same ids without transformers."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.errors import ConfigError
from cmelt.text import encode, load_tokenizer, train_tokenizer
from cmelt.text.pieces import read_pieces

REPORTS = ["sinusrhythmus. normales ecg.", "atrial fibrillation, st depression in v4-v6.", "left bundle branch block. lvh."] * 5
TEXTS = [*REPORTS[:3], "", "x", "vorhofflimmern 120/min ünd ärger " * 30, "🫀 ∑"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(REPORTS, 400).save_pretrained(place)
    return place


@pytest.mark.parametrize("longest", [8, 24, 500])
def test_ids_and_masks_are_those_of_transformers_tokenizer(folder, longest):
    light, heavy = encode(read_pieces(folder), TEXTS, longest), encode(load_tokenizer(folder), TEXTS, longest)
    np.testing.assert_array_equal(light.ids, heavy.ids)
    np.testing.assert_array_equal(light.mask, heavy.mask)
    assert light.ids.shape[1] <= longest


def test_a_long_call_leaves_nothing_behind_for_the_next(folder):
    pieces = read_pieces(folder)
    before = encode(pieces, TEXTS, 500).ids
    encode(pieces, TEXTS, 5)
    np.testing.assert_array_equal(encode(pieces, TEXTS, 500).ids, before)


def test_what_is_no_tokenizer_json_is_refused(tmp_path, folder):
    (tmp_path / "tokenizer_config.json").write_text((folder / "tokenizer_config.json").read_text())
    with pytest.raises(ConfigError, match=r"tokenizer\.json"):
        read_pieces(tmp_path)


def test_a_damaged_one_is_refused_with_the_first_text(tmp_path, folder):
    (tmp_path / "tokenizer_config.json").write_text((folder / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer.json").write_text("{}")
    pieces = read_pieces(tmp_path)
    with pytest.raises(ConfigError, match=r"tokenizer\.json"):
        encode(pieces, TEXTS, 8)
