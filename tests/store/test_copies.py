"""Copies among many fingerprints: all near ones found, nothing else, at any size."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmelt.store.copies import MOST_DIFFERING, confirm, copy_groups, most_differing, near_between, near_pairs, overlap


def fingerprints(count: int, seed: int = 0) -> np.ndarray:
    """Random fingerprints [n, 256] bool without an unmeasured word."""
    return np.random.default_rng(seed).random((count, 256)) < 0.5


def text(bits: np.ndarray) -> str:
    return np.packbits(bits).tobytes().hex()


def flipped(bits: np.ndarray, places: np.ndarray | list[int]) -> np.ndarray:
    other = bits.copy()
    other[places] = ~other[places]
    return other


def spread(count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(256, count, replace=False)


def test_groups_are_numbered_by_first_appearance_and_hold_near_ones():
    one, two = fingerprints(2)
    texts = [text(two), text(one), "", text(flipped(two, [0, 100, 255])), "", text(one)]
    assert copy_groups(texts).tolist() == [0, 1, 2, 0, 3, 1]


def test_nothing_makes_no_groups():
    assert copy_groups([]).tolist() == []
    assert copy_groups(["", ""]).tolist() == [0, 1]
    assert overlap([], ["x"]).shape == (0, 2)


def test_other_texts_are_in_a_group_with_their_equals():
    assert copy_groups(["record a", "record b", "record a", "z" * 64, "z" * 64]).tolist() == [0, 1, 0, 2, 2]
    assert overlap(["record a", "b"], ["c", "record a", "record a"]).tolist() == [[0, 1], [0, 2]]


def test_the_limit_is_where_it_is_said_to_be():
    one = fingerprints(1)[0]
    near, far = flipped(one, range(MOST_DIFFERING)), flipped(one, range(MOST_DIFFERING + 1))
    assert copy_groups([text(one), text(near)]).tolist() == [0, 0]
    assert copy_groups([text(one), text(far)]).tolist() == [0, 1]


def test_copies_of_copies_are_one_group():
    one = fingerprints(1)[0]
    chain = [one, flipped(one, range(20)), flipped(one, range(40))]
    assert copy_groups([text(bits) for bits in chain]).tolist() == [0, 0, 0]


@pytest.mark.parametrize("differing", [2, 8, 16, 24])
def test_near_ones_are_found_wherever_the_bits_differ(differing):
    rng = np.random.default_rng(differing)
    bits = fingerprints(2000, seed=1)
    copies = np.stack([flipped(row, spread(differing, rng)) for row in bits])
    groups = copy_groups([text(row) for row in (*bits, *copies)])
    assert np.mean(groups[:2000] == groups[2000:]) >= 0.995
    assert len(np.unique(groups[:2000])) == 2000


def test_two_records_are_compared_in_the_leads_that_both_have():
    one = fingerprints(1)[0]
    limb = one.copy()
    limb.reshape(2, 8, 16)[:, 2:] = False  # I and II only
    chest = one.copy()
    chest.reshape(2, 8, 16)[:, :2] = False
    assert copy_groups([text(one), text(limb)]).tolist() == [0, 0]
    assert copy_groups([text(limb), text(chest)]).tolist() == [0, 1]  # nothing in common: nothing known
    other = limb.copy()
    other[:4] = ~other[:4]
    assert copy_groups([text(one), text(other)]).tolist() == [0, 1]  # 4 of 64 are too many


def test_the_less_is_measured_the_fewer_bits_may_differ():
    assert most_differing(np.array([256, 128, 64, 48, 32, 16, 0])).tolist() == [24, 10, 3, 1, -1, -1, -1]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=30))
@settings(max_examples=100, deadline=None)
def test_groups_are_what_comparing_all_pairs_gives(archive):
    base = fingerprints(6, seed=2)
    bits = [flipped(base[number], range(7 * step)) for number, step in archive]
    slow = list(range(len(bits)))
    for a, b in combinations(range(len(bits)), 2):
        if np.count_nonzero(bits[a] ^ bits[b]) <= MOST_DIFFERING:
            low, high = sorted((slow[a], slow[b]))
            slow = [low if label == high else label for label in slow]
    groups = copy_groups([text(row) for row in bits]).tolist()
    assert [groups.index(group) for group in groups] == [slow.index(label) for label in slow]


def test_overlap_is_the_pairs_of_both_collections():
    bits = fingerprints(300, seed=3)
    rng = np.random.default_rng(1)
    theirs = [flipped(bits[row], spread(6, rng)) for row in range(100, 200)] + list(fingerprints(50, seed=9)) + [bits[3]]
    pairs = overlap([text(row) for row in (*bits, bits[3])], ["", *(text(row) for row in theirs)])
    assert pairs.tolist() == [[3, 151], *([row, row - 99] for row in range(100, 200)), [300, 151]]


def test_near_between_agrees_with_all_pairs_within_one_collection():
    bits = fingerprints(100, seed=4)
    words = np.packbits(np.concatenate([bits, bits[:10]]), axis=1).view(">u2").astype(np.uint16)
    assert near_between(words[:100], words[100:]).tolist() == [[row, row] for row in range(10)]


def test_near_pairs_are_all_pairs_of_copies_that_share_most_of_their_bits():
    base = fingerprints(3, seed=5)
    bits = np.stack([flipped(row, places) for row in base for places in ([], [], [], [], [33])])
    words = np.packbits(bits, axis=1).view(">u2").astype(np.uint16)
    slow = [[a, b] for a, b in combinations(range(len(bits)), 2) if np.count_nonzero(bits[a] ^ bits[b]) <= MOST_DIFFERING]
    assert near_pairs(words).tolist() == slow and len(slow) == 3 * 10


def test_many_identical_ones_are_no_work():
    texts = [text(fingerprints(1)[0])] * 200_000
    assert copy_groups(texts).max() == 0


@pytest.mark.slow
def test_a_hundred_thousand_take_seconds():
    import time

    bits = fingerprints(100_000, seed=5)
    rng = np.random.default_rng(5)
    copies = bits[:5000] ^ (rng.random((5000, 256)) < 0.03)
    texts = [text(row) for row in (*bits, *copies)]
    begin = time.process_time()
    groups = copy_groups(texts)
    assert time.process_time() - begin < 20
    assert np.mean(groups[:5000] == groups[100_000:]) > 0.999
    assert groups.max() + 1 <= 100_005


def test_confirming_tells_copies_from_others(tmp_path):
    from cmelt.sources.simulated import Simulated
    from cmelt.store import ShardSettings, open_store, prepare_store

    stores = []
    for rate in (100.0, 250.0):
        prepare_store(Simulated(4, seed=5, rate=rate), tmp_path / f"{rate:g}", ShardSettings(rate, 10.0, "first", "key"))
        stores.append(open_store(tmp_path / f"{rate:g}"))
    alike = confirm(*stores, np.array([[0, 0], [1, 1], [0, 1], [2, 3]]))
    assert (alike[:2] > 0.99).all()
    assert (alike[2:] < 0.9).all()
