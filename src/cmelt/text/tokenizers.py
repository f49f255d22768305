"""Word pieces: a tokenizer trained on the reports at hand, or any of Hugging Face's, through one door.

The trained one is a byte-level BPE. Every string has pieces (bytes are the last resort), so nothing is ever unknown. Words
are cut at spaces, around punctuation and around each digit before pairs are merged, and the space itself leaves no trace:
"block" is the same piece in "av block" and at the end of a compound not seen before, "i,avl" is the same as "i, avl", and v1
to v6 are one piece each. A unigram model trained on the same 1,123 PTB-XL reports needed 2.5 pieces a word of reports not
seen, this needs 1.4, and neither let more be read out of them (bag-of-pieces AUROC over the five superclasses 0.911 and
0.909). The price: decoding gives the words without their spaces; the way back to the text is the offsets.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from cmelt.errors import ConfigError
from cmelt.text.token_table import TokenBatch, TokenTable

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

    from cmelt.text.pieces import AbsentTokenizer, PieceTokenizer

    Tokenizer: TypeAlias = PreTrainedTokenizerBase | PieceTokenizer | AbsentTokenizer

# In this order they get the ids 0 to 4.
SPECIALS = ("<pad>", "</s>", "<unk>", "<mask>", "<cls>")
BYTES = 256
T5_MASK = "<extra_id_0>"

# Texts that are handed to the tokenizer at once.
CHUNK = 4096

# Chest leads whole, words whole, digits and signs one by one.
_PIECES = r"[vV][1-6](?![0-9])|\p{L}[\p{L}\p{M}]*|\d|[^\s\p{L}\d]"

# A run of letters, which is what the pieces of words are cut from.
_WORD = re.compile(r"[^\W\d_]+")


def train_tokenizer(reports: Iterable[str], vocab_size: int, patients: Iterable[str] | None = None) -> PreTrainedTokenizerFast:
    """A tokenizer learned from cleaned reports: `<cls> pieces … </s>`, the same for the same reports on any machine.

    The class token in front is what the model's first-token pooling reads.

    Args:
        reports: cleaned reports; repeats count as often as they occur.
        vocab_size: at most so many pieces, specials (5) and bytes (256) included. A small corpus yields fewer:
            `len(tokenizer)` is the number.
        patients: whose report each of them is; words that the reports of one patient alone have are not learned from, since the
            vocabulary goes with every model and such a word may be the patient's name. Digits are single pieces in any case.

    Raises:
        ConfigError: the vocabulary has no room for the bytes, or there is no report.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    least = len(SPECIALS) + BYTES
    if vocab_size < least:
        raise ConfigError(
            "vocab_size", f"{vocab_size} leaves no room for {BYTES} bytes and {len(SPECIALS)} special tokens", f"at least {least}"
        )
    texts = [report for report in (reports if patients is None else without_own_words(reports, patients)) if report]
    if not texts:
        raise ConfigError("reports", "no report to train a tokenizer on", "prepare a source that has reports")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    cuts = [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex(_PIECES), "isolated")]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*cuts, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<cls> $A </s>", special_tokens=[(name, SPECIALS.index(name)) for name in ("<cls>", "</s>")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
        cls_token="<cls>",
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )


def without_own_words(reports: Iterable[str], patients: Iterable[str]) -> Iterator[str]:
    """The reports without the words that one patient alone has; the signs between them stay."""
    said = list(zip(map(_composed, reports), patients, strict=True))
    owner: dict[str, str | None] = {}  # None: of several
    for report, patient in said:
        for word in _WORD.findall(report):
            if owner.setdefault(word, patient) != patient:
                owner[word] = None
    for report, _ in said:
        yield _WORD.sub(lambda word: " " if owner[word[0]] is not None else word[0], report)


def _composed(report: str) -> str:
    return unicodedata.normalize("NFC", report)


def load_tokenizer(name_or_path: str | Path) -> PreTrainedTokenizerBase:
    """A tokenizer by its Hugging Face name, or from the folder it was saved into.

    Raises:
        ConfigError: it is neither on this machine nor to be had from the hub.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(str(name_or_path), trust_remote_code=False)  # unsaid, it would ask on a terminal
    except (OSError, ValueError, KeyError, ImportError) as error:
        fault = f"no tokenizer can be loaded from it ({type(error).__name__})"
        remedy = "give a local path that holds its files, or be online once so that the hub's copy is kept"
        raise ConfigError(str(name_or_path), fault, remedy) from error


def mask_token_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The id that stands in for a masked word piece: the mask token, or T5's first sentinel, which T5 has instead.

    Raises:
        ConfigError: the tokenizer has neither, so that masked language modelling could mask nothing.
    """
    if tokenizer.mask_token_id is not None:
        return int(tokenizer.mask_token_id)
    vocabulary = tokenizer.get_vocab()
    if T5_MASK in vocabulary:
        return int(vocabulary[T5_MASK])
    where = str(tokenizer.name_or_path or type(tokenizer).__name__)
    raise ConfigError(where, "the tokenizer has no mask token", "add one, or set the weight of masked language modelling to 0")


def maskable(tokenizer: PreTrainedTokenizerBase, ids: np.ndarray) -> np.ndarray:
    """Which ids masked language modelling may hide: pieces of words. Not padding, class, end or mask tokens.

    Args:
        ids: integers of any shape.

    Returns:
        bool of the same shape.
    """
    special = {*tokenizer.all_special_ids, mask_token_id(tokenizer)}
    return ~np.isin(ids, sorted(special))


def encode(tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int) -> TokenBatch:
    """The texts' ids, each cut to `max_tokens` (its end token kept), padded on the right to the longest of them.

    Raises:
        ConfigError: no text, or a tokenizer without padding token.
    """
    return token_table(tokenizer, texts, max_tokens).rows(np.arange(len(texts)))


def token_table(tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int) -> TokenTable:
    """The texts' ids, each cut to `max_tokens` (its end token kept), to be looked up again and again.

    Raises:
        ConfigError: as `encode`.
    """
    if len(texts) == 0:
        raise ConfigError("texts", "there is nothing to encode", "hand at least one text over")
    if tokenizer.pad_token_id is None:
        where = str(tokenizer.name_or_path or type(tokenizer).__name__)
        raise ConfigError(where, "the tokenizer has no padding token", "set its pad_token before training")
    parts: list[np.ndarray] = []
    lengths: list[int] = []
    for first in range(0, len(texts), CHUNK):  # lists of Python integers are 16 times as large as what is kept
        chunk = list(texts[first : first + CHUNK])
        rows = tokenizer(chunk, truncation=True, max_length=max_tokens, padding=False, return_attention_mask=False)["input_ids"]
        lengths += map(len, rows)
        ids = np.fromiter(chain.from_iterable(rows), dtype=np.int64)
        parts.append(ids.astype(np.min_scalar_type(int(ids.max(initial=0)))))
    return TokenTable(np.concatenate(parts), np.cumsum([0, *lengths], dtype=np.int64), int(tokenizer.pad_token_id))
