"""Every report has pieces, the first is the class token, and what is padding is known to be padding."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cmelt.errors import ConfigError
from cmelt.text import encode, load_tokenizer, mask_token_id, maskable, train_tokenizer
from cmelt.text.tokenizers import SPECIALS, T5_MASK, without_own_words

REPORTS = [
    "sinus rhythm. normal ecg",
    "sinusrhythmus linkstyp linksschenkelblock",
    "sinusrhythmus rechtsschenkelblock t neg in v1-v4",
    "atrial fibrillation. right bundle branch block. st segments are depressed in i, avl, v4,5,6",
    "vorhofflimmern linkshypertrophie av block",
] * 5


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(REPORTS, 400)


def t5_like():
    """A tokenizer with T5's peculiarities: no class token, no mask token, sentinels instead."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "</s>", "<unk>", "sinus", "rhythm", T5_MASK]
    inner = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=inner, **names, additional_special_tokens=[T5_MASK])


def test_special_tokens_have_the_first_five_ids(tokenizer) -> None:
    assert [tokenizer.convert_tokens_to_ids(name) for name in SPECIALS] == [0, 1, 2, 3, 4]


def test_a_report_starts_with_the_class_token_and_ends_with_the_end_token(tokenizer) -> None:
    batch = encode(tokenizer, REPORTS[:3], 64)
    assert (batch.ids[:, 0] == 4).all()
    last = batch.mask.sum(axis=1) - 1
    assert (batch.ids[np.arange(3), last] == 1).all()


def test_a_word_of_one_patient_alone_is_no_piece() -> None:
    named = ["sinusrhythmus, befund frau quarkenbruecken"] * 5
    reports, patients = [*REPORTS, *named], [*map(str, range(len(REPORTS))), *["one"] * 5]
    assert "quarkenbruecken" in train_tokenizer(reports, 400).get_vocab()
    own = train_tokenizer(reports, 400, patients).get_vocab()
    assert max((len(piece) for piece in own if piece in "quarkenbruecken"), default=0) < 4
    assert "sinusrhythmus" in own
    assert "quarkenbruecken" in train_tokenizer(reports, 400, map(str, range(len(reports)))).get_vocab(), "of five, it is learned"


def test_without_words_of_one_patient_all_else_stays() -> None:
    said = ["Müller: av-block 2:1, t neg", "av-block; t pos"]
    assert list(without_own_words(said, ["a", "b"])) == [" : av-block 2:1, t  ", "av-block; t  "]
    assert "".join(without_own_words(said, ["a", "a"])).replace(" ", "") == ":-2:1,-;"


def test_nothing_is_ever_unknown(tokenizer) -> None:
    batch = encode(tokenizer, ["überdrehter högersidigt 心房颤动 ½ ĳ", "\x00\U0001f600"], 256)
    assert not (batch.ids == tokenizer.unk_token_id).any()


def test_a_compound_never_seen_falls_into_the_words_it_is_made_of() -> None:
    tokenizer = train_tokenizer(["schenkelblock rechts", "links schenkelblock"] * 5, 400)
    assert tokenizer.tokenize("linksschenkelblock") == ["links", "schenkelblock"]


def test_chest_leads_are_one_piece_and_commas_do_not_hide_them(tokenizer) -> None:
    assert tokenizer.tokenize("v4") == ["v4"]
    assert tokenizer.tokenize("i,avl, v4") == tokenizer.tokenize("i, avl,v4")


def test_offsets_lead_back_to_the_text(tokenizer) -> None:
    text = "vorhofflimmern, av block"
    spans = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)["offset_mapping"]
    assert "".join(text[start:end] for start, end in spans) == text.replace(" ", "")


def test_training_again_in_another_process_gives_the_same_tokenizer(tokenizer) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from tests.text.test_tokenizers import REPORTS, train_tokenizer;"
        "sys.stdout.write(train_tokenizer(REPORTS, 400).backend_tokenizer.to_str())"
    )
    root = Path(__file__).resolve().parents[2]
    env = {**os.environ, "PYTHONPATH": str(root / "src"), "PYTHONHASHSEED": "12345"}
    other = subprocess.run([sys.executable, "-c", script, str(root)], env=env, capture_output=True, text=True, check=True)
    assert other.stdout == tokenizer.backend_tokenizer.to_str()


def test_saving_and_loading_changes_nothing(tokenizer, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    again = load_tokenizer(tmp_path)
    one, other = encode(tokenizer, REPORTS, 32), encode(again, REPORTS, 32)
    np.testing.assert_array_equal(one.ids, other.ids)
    assert mask_token_id(again) == mask_token_id(tokenizer) == 3
    assert len(again) == len(tokenizer)


def test_the_mask_covers_the_report_and_nothing_else(tokenizer) -> None:
    batch = encode(tokenizer, ["av block", REPORTS[3]], 64)
    assert batch.ids.dtype == np.int64
    assert batch.mask.dtype == bool
    np.testing.assert_array_equal(batch.mask, batch.ids != tokenizer.pad_token_id)
    assert batch.mask[1].all()
    alone = encode(tokenizer, ["av block"], 64)
    np.testing.assert_array_equal(alone.ids[0], batch.ids[0, batch.mask[0]])


def test_long_reports_are_cut_and_keep_their_end_token(tokenizer) -> None:
    batch = encode(tokenizer, ["rhythm " * 300], 16)
    assert batch.ids.shape == (1, 16)
    assert batch.ids[0, -1] == tokenizer.eos_token_id


def test_only_pieces_of_words_can_be_masked(tokenizer) -> None:
    batch = encode(tokenizer, ["av block", REPORTS[3]], 64)
    can = maskable(tokenizer, batch.ids)
    assert can.sum(axis=1).tolist() == (batch.mask.sum(axis=1) - 2).tolist()  # all but <cls> and </s>
    assert not maskable(tokenizer, np.arange(5)).any()


def test_fault_2_t5_has_no_mask_token_and_its_sentinel_stands_in() -> None:
    tokenizer = t5_like()
    assert tokenizer.mask_token is None
    assert mask_token_id(tokenizer) == 5
    assert maskable(tokenizer, np.array([0, 1, 2, 3, 4, 5])).tolist() == [False, False, False, True, True, False]


def test_a_tokenizer_that_can_mask_nothing_is_refused() -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    bare = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))
    with pytest.raises(ConfigError, match="no mask token"):
        mask_token_id(bare)
    with pytest.raises(ConfigError, match="padding"):
        encode(bare, ["a"], 8)


def test_a_name_that_cannot_be_had_offline_says_what_to_do(tmp_path: Path) -> None:
    for name in ("nobody/no-such-tokenizer", str(tmp_path / "absent"), str(tmp_path)):
        with pytest.raises(ConfigError, match="local path"):
            load_tokenizer(name)


def test_too_small_a_vocabulary_and_no_reports_are_refused(tokenizer) -> None:
    with pytest.raises(ConfigError, match="261"):
        train_tokenizer(REPORTS, 200)
    with pytest.raises(ConfigError, match="no report"):
        train_tokenizer(["", ""], 400)
    with pytest.raises(ConfigError, match="nothing to encode"):
        encode(tokenizer, [], 8)
