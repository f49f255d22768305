"""Near fingerprints are found by any one of the 32 groups of bits that they still agree in, and however the work is cut."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cmelt.store import Store, copies
from cmelt.store.copies import MOST_DIFFERING, confirm, copy_groups, near_between, near_pairs, overlap
from ecg_files import heart

#: Words of a fingerprint: those of eight leads in the first five seconds, then in the second.
LEADS, STRETCHES, BITS = 8, 2, 16


def fingerprints(count: int, seed: int = 0) -> np.ndarray:
    """Words [n, 16] uint16, none of them 0."""
    return np.random.default_rng(seed).integers(1, 1 << BITS, (count, STRETCHES * LEADS), dtype=np.uint16)


def text(words: np.ndarray) -> str:
    return words.astype(">u2").tobytes().hex()


def agreeing_only_in(word: int | None = None, pair: tuple[int, int] | None = None) -> np.ndarray:
    """Bits to turn [16] so that two fingerprints agree in one word alone, or in one (stretch, two bits of every lead)."""
    turned = np.zeros(STRETCHES * LEADS, dtype=np.uint16)
    for place in range(STRETCHES * LEADS):
        stretch, lead = divmod(place, LEADS)
        bits = 2 * lead + 1
        if pair == (stretch, lead):
            bits = 2 * ((lead + 1) % LEADS)
        if place != word:
            turned[place] = 1 << bits
    if word is not None:  # the two bits that the spared word would have told apart
        stretch, lead = divmod(word, LEADS)
        turned[stretch * LEADS + (lead + 1) % LEADS] |= 1 << 2 * lead
    return turned


WAYS = [{"word": word} for word in range(16)] + [{"pair": (s, p)} for s in range(STRETCHES) for p in range(LEADS)]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_one_group_of_bits_that_two_agree_in_is_enough_to_find_them(way):
    one = fingerprints(1)[0] | np.uint16(0x8000)
    turned = agreeing_only_in(**way)
    assert 15 <= sum(int(bits).bit_count() for bits in turned.tolist()) <= MOST_DIFFERING
    other = one ^ turned
    assert other.all()
    rows = np.stack([fingerprints(1, seed=1)[0], one, other])
    assert near_pairs(rows).tolist() == [[1, 2]]
    assert near_between(rows[:2], rows[2:]).tolist() == [[1, 0]]


def slow(first: np.ndarray, second: np.ndarray) -> list[list[int]]:
    """Near ones by comparing all with all."""
    apart = np.bitwise_count(first[:, None] ^ second[None]).sum(axis=2)
    return np.argwhere(apart <= MOST_DIFFERING).tolist()


@pytest.mark.parametrize("at_once", [1, 2, 7, 1 << 20])
def test_the_pairs_are_the_same_however_many_are_compared_at_once(monkeypatch, at_once):
    monkeypatch.setattr(copies, "_PAIRS_AT_ONCE", at_once)
    base = fingerprints(6, seed=2)
    rows = base[[0, 0, 1, 2, 1, 1, 3, 1, 4, 0, 5, 1]].copy()
    rows[4, 3] ^= 1 << 5
    rows[7, 9] ^= 3 << 7
    pairs = [pair for pair in slow(rows, rows) if pair[0] < pair[1]]
    assert near_pairs(rows).tolist() == pairs and len(pairs) == 13
    assert near_between(rows[:7], rows[5:]).tolist() == slow(rows[:7], rows[5:])
    assert near_between(rows[:0], rows).shape == near_between(rows, rows[:0]).shape == near_pairs(rows[:1]).shape == (0, 2)
    assert near_pairs(rows[:0]).dtype == near_between(rows[:0], rows).dtype == np.int64


def test_the_limit_of_differing_bits_counts_wherever_they_lie():
    one = np.full(16, 0xFFFF, dtype=np.uint16)
    for words in combinations((1, 4, 7, 10, 15), 3):
        near, far = one.copy(), one.copy()
        near[list(words)] ^= 0x00FF
        far[list(words)] ^= 0x00FF
        far[0] ^= 0x0001
        assert near_pairs(np.stack([one, near])).tolist() == [[0, 1]]
        assert near_pairs(np.stack([one, far])).shape == (0, 2)


def test_what_one_of_two_has_not_measured_takes_no_part():
    """With half of the bits in common ten may differ: those of what only one has measured are no difference."""
    one = np.full(16, 0xFFFF, dtype=np.uint16)
    half = one.copy()
    half[1::2] = 0
    for differing, found in ((10, [[0, 1]]), (11, [])):
        other = half.copy()
        other[0] ^= (1 << differing) - 1
        assert near_pairs(np.stack([one, other])).tolist() == found
        assert near_between(one[None], other[None]).tolist() == [[0, 0]] * len(found)


def test_groups_count_from_the_first_and_everyone_without_a_fingerprint_is_alone():
    a, b, c = (text(words) for words in fingerprints(3, seed=3))
    near_b = text(fingerprints(3, seed=3)[1] ^ np.uint16(1))
    groups = copy_groups(["", c, b, "", a, near_b, c, "exactly x", "", "exactly x"])
    assert groups.tolist() == [0, 1, 2, 3, 4, 2, 1, 5, 6, 5] and groups.dtype == np.int64
    assert copy_groups([b]).tolist() == copy_groups([""]).tolist() == copy_groups(["x"]).tolist() == [0]


def test_a_chain_of_near_ones_is_one_group_in_whatever_order_it_comes():
    base = np.full(16, 0xFFFF, dtype=np.uint16)
    chain = [base]
    for place in range(5):
        chain.append(chain[-1].copy())
        chain[-1][3 * place : 3 * place + 3] ^= 0x003F  # 18 bits a step: those two apart are not near
    for order in ([0, 1, 2, 3, 4, 5], [5, 3, 1, 0, 2, 4], [0, 5, 2, 4, 1, 3], [1, 4, 0, 5, 3, 2]):
        assert copy_groups([text(chain[place]) for place in order]).tolist() == [0] * 6
    assert copy_groups([text(chain[place]) for place in (0, 2, 4, 5)]).tolist() == [0, 1, 2, 2]


@pytest.mark.parametrize("no_fingerprint", ["0" * 63, "0" * 65, "g" * 64, "ab " * 21 + "c", "é" * 64])
def test_what_is_no_fingerprint_is_compared_as_a_text(no_fingerprint):
    one = text(fingerprints(1)[0])
    assert copy_groups([no_fingerprint, one, no_fingerprint]).tolist() == [0, 1, 0]
    assert overlap([one, no_fingerprint], [no_fingerprint, one]).tolist() == [[0, 1], [1, 0]]


def test_overlap_tells_every_row_of_both_that_has_a_near_one_there():
    a, b, c = fingerprints(3, seed=4)
    near = text(a ^ np.uint16(1))
    first = [text(b), text(a), "", text(a), "exactly x", text(c)]
    second = ["", near, "exactly x", text(c), near, text(a), "exactly x"]
    pairs = overlap(first, second)
    assert pairs.tolist() == [[1, 1], [1, 4], [1, 5], [3, 1], [3, 4], [3, 5], [4, 2], [4, 6], [5, 3]]
    assert pairs.dtype == np.int64
    for nothing in (overlap([], []), overlap([""], [""]), overlap([text(b)], [near]), overlap([], ["x"])):
        assert nothing.shape == (0, 2) and nothing.dtype == np.int64


def store_of(signals: list[np.ndarray], rate: float, samples: list[int]) -> Store:
    """A store that lies nowhere, of signals in mV."""
    shape = signals[0].shape
    facts = {"records": len(signals), "rate": rate, "samples": shape[1], "leads": [""] * 12, "microvolts_per_step": 2.0}
    store = Store(Path("nowhere"), json.loads(json.dumps(facts)))
    store.__dict__["index"] = pd.DataFrame({"samples": samples})
    store.__dict__["_places"] = (np.zeros(len(signals), np.int64), np.arange(len(signals)))
    store._shards[0] = np.rint(np.stack(signals) * 500).astype(np.int16)
    return store


def test_signals_are_confirmed_in_what_both_have_measured_and_in_the_order_of_the_pairs():
    whole, other = heart(0, 100.0), heart(6, 100.0)
    padded = heart(0, 200.0)
    padded[:, 1000:] = 0
    odd = heart(0, 200.0)
    odd[:, 1000:] = heart(12, 200.0)[:, 1000:]
    first, second = store_of([whole, other], 100.0, [1000, 1000]), store_of([padded, odd, odd], 200.0, [2000, 1000, 2000])
    alike = confirm(first, second, np.array([[0, 0], [1, 0], [0, 1], [0, 2]]))
    assert alike.shape == (4,) and alike.dtype == np.float64
    assert (alike[[0, 2]] > 0.97).all() and (alike[[1, 3]] < 0.9).all()
    assert confirm(first, second, np.zeros((0, 2), np.int64)).shape == (0,)
