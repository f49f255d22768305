"""Copies among hundreds of thousands of fingerprints: near ones are looked up, never all pairs compared.

Two fingerprints are near if few of the bits that both have measured differ. Near ones nearly always agree in one of 32 groups
of 16 bits, so only records that share a group are compared (multi-index hashing). A group is the four hexadecimal digits of one
lead and stretch, which holds for records with fewer leads too; or two bits of each lead, which mends what one bad lead spoils.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cmelt.records.fingerprint import BITS_PER_WORD, FINGERPRINT_LEADS, STRETCHES, WORDS, measured_stretch
from cmelt.records.record import Signal
from cmelt.records.resemblance import resemblance

if TYPE_CHECKING:
    from cmelt.store.opened import Store

#: Bits in which two full fingerprints may differ to be near; fewer where less was measured in both (`most_differing`).
MOST_DIFFERING = 24
#: With this many bits in common or fewer nothing is near.
_TOO_FEW_BITS = 32
_DIGITS = WORDS * BITS_PER_WORD // 4
_PAIRS_AT_ONCE = 1 << 20

Words = NDArray[np.uint16]
Pairs = NDArray[np.int64]


def most_differing(bits: NDArray[np.int64]) -> NDArray[np.int64]:
    """In how many of `bits` measured in both records two near fingerprints may differ: 24 of 256, 10 of 128, 3 of 64."""
    allowed = MOST_DIFFERING * (bits - _TOO_FEW_BITS) // (WORDS * BITS_PER_WORD - _TOO_FEW_BITS)
    return np.where(bits > _TOO_FEW_BITS, allowed, -1)


def copy_groups(fingerprints: Sequence[str]) -> NDArray[np.int64]:
    """Which records are copies of one another: group numbers [n], 0 … in order of first appearance.

    Near fingerprints share a group, and so do the near ones of those. "" is alone. A text that is no fingerprint of
    `cmelt.records.fingerprint` is in a group with its equals only.
    """
    distinct, place = _distinct(fingerprints)
    roots = np.arange(len(distinct), dtype=np.int64)
    known = np.array([position for position, text in enumerate(distinct) if _is_fingerprint(text)], dtype=np.int64)
    words = _words([distinct[position] for position in known])
    for first, second in near_pairs(words):
        _join(roots, int(known[first]), int(known[second]))
    roots = np.array([_root(roots, position) for position in range(len(distinct))], dtype=np.int64)
    lone = np.array([not text for text in fingerprints], dtype=bool)
    labels = np.where(lone, len(distinct) + np.arange(len(fingerprints)), roots[place] if len(distinct) else 0)
    _, first_seen, inverse = np.unique(labels, return_index=True, return_inverse=True)
    order = np.empty(first_seen.size, dtype=np.int64)
    order[np.argsort(first_seen)] = np.arange(first_seen.size)
    return order[inverse].astype(np.int64)


def overlap(first: Sequence[str], second: Sequence[str]) -> Pairs:
    """Near fingerprints of two collections: positions [pairs, 2], (in `first`, in `second`), sorted; equal texts are near too."""
    ours, our_place = _distinct(first)
    theirs, their_place = _distinct(second)
    known_ours = [position for position, text in enumerate(ours) if _is_fingerprint(text)]
    known_theirs = [position for position, text in enumerate(theirs) if _is_fingerprint(text)]
    found = near_between(_words([ours[p] for p in known_ours]), _words([theirs[p] for p in known_theirs]))
    pairs = {(known_ours[a], known_theirs[b]) for a, b in found.tolist()}
    there = {text: position for position, text in enumerate(theirs)}
    pairs |= {(position, there[text]) for position, text in enumerate(ours) if text and text in there}
    our_rows, their_rows = _members(our_place, len(ours)), _members(their_place, len(theirs))
    rows = [(a, b) for one, other in pairs for a in our_rows[one].tolist() for b in their_rows[other].tolist()]
    return np.array(sorted(rows), dtype=np.int64).reshape(-1, 2)


def confirm(first: Store, second: Store, pairs: Pairs) -> NDArray[np.float64]:
    """How alike the stored signals of `pairs` [m, 2] (row of `first`, row of `second`) are; copies reach `LEAST_RESEMBLANCE`.

    Only what both have measured is compared. Stores that crop longer records at different places hold different stretches
    of them, which cannot be confirmed.
    """
    found = np.empty(len(pairs))
    for place, (one, other) in enumerate(pairs.tolist()):
        found[place] = resemblance(_measured(first, one), first.rate, _measured(second, other), second.rate)
    return found


def near_pairs(words: Words) -> Pairs:
    """Positions [pairs, 2] of the near ones among `words` [n, 16], the smaller first, sorted."""
    lanes = _Lanes(words)
    found = [np.zeros((0, 2), dtype=np.int64)]
    for keys, rows in _keys(words):
        order = np.argsort(keys, kind="stable")
        found += _near_within_runs(keys[order], rows[order], lanes)
    pairs = np.concatenate(found)
    pairs.sort(axis=1)
    return np.unique(pairs, axis=0)


def near_between(first: Words, second: Words) -> Pairs:
    """Positions [pairs, 2] (in `first`, in `second`) of near ones of two collections [n, 16] and [m, 16], sorted."""
    lanes = _Lanes(np.concatenate([first, second]))
    found = [np.zeros((0, 2), dtype=np.int64)]
    for (keys, rows), (other_keys, other_rows) in zip(_keys(first), _keys(second), strict=True):
        order = np.argsort(keys, kind="stable")
        begin = np.searchsorted(keys[order], other_keys, "left")
        counts = np.searchsorted(keys[order], other_keys, "right") - begin
        for part in _parts(counts):
            repeated = np.repeat(part, counts[part])
            ends = np.cumsum(counts[part])
            step = np.arange(repeated.size) - np.repeat(ends - counts[part], counts[part])
            ours = rows[order[begin[repeated] + step]]
            theirs = other_rows[repeated]
            near = lanes.near(ours, theirs + len(first))
            found.append(np.stack([ours[near], theirs[near]], axis=1))
    return np.unique(np.concatenate(found), axis=0)


class _Lanes:
    """Fingerprints as four 64-bit numbers each, with a mask of what was measured."""

    def __init__(self, words: Words) -> None:
        lanes = WORDS * BITS_PER_WORD // 64
        mask = np.where(words != 0, np.uint16(0xFFFF), np.uint16(0))
        # A lane is one array, since looking rows up in it is what takes the time.
        self.bits = np.ascontiguousarray(words.reshape(-1, lanes, 4)).view(np.uint64).reshape(-1, lanes).T.copy()
        self.mask = np.ascontiguousarray(mask.reshape(-1, lanes, 4)).view(np.uint64).reshape(-1, lanes).T.copy()

    def near(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which of the pairs of positions [m] and [m] are near: places among the m."""
        left = np.arange(first.size)
        differing, common = np.zeros(first.size, dtype=np.int64), np.zeros(first.size, dtype=np.int64)
        for bits, mask in zip(self.bits, self.mask, strict=True):
            both = mask[first] & mask[second]
            differing += np.bitwise_count((bits[first] ^ bits[second]) & both)
            common += np.bitwise_count(both)
            kept = np.flatnonzero(differing <= MOST_DIFFERING)  # most pairs are far apart in the first lanes already
            left, first, second, differing, common = left[kept], first[kept], second[kept], differing[kept], common[kept]
        return left[differing <= most_differing(common)]


def _keys(words: Words) -> Iterator[tuple[Words, NDArray[np.int64]]]:
    """For each of the 32 groups of 16 bits: its value [m] and the positions [m] of the records that have it measured."""
    for word in range(WORDS):
        rows = np.flatnonzero(words[:, word])
        yield words[rows, word], rows
    leads = len(FINGERPRINT_LEADS)
    share = BITS_PER_WORD // leads
    for stretch in range(STRETCHES):
        part = words[:, stretch * leads : (stretch + 1) * leads]
        rows = np.flatnonzero(part.all(axis=1))
        for shift in range(0, BITS_PER_WORD, share):
            mixed = np.zeros(rows.size, dtype=np.uint16)
            for lead in range(leads):
                mixed = (mixed << np.uint16(share)) | ((part[rows, lead] >> np.uint16(shift)) & np.uint16((1 << share) - 1))
            yield mixed, rows


def _near_within_runs(keys: Words, rows: NDArray[np.int64], lanes: _Lanes) -> Iterator[Pairs]:
    """Near pairs among records of equal keys; `keys` [m] are sorted. Neighbours first, then those two apart, and so on."""
    left = np.flatnonzero(keys[:-1] == keys[1:])
    step = 1
    while left.size:
        for start in range(0, left.size, _PAIRS_AT_ONCE):
            part = left[start : start + _PAIRS_AT_ONCE]
            first, second = rows[part], rows[part + step]
            near = lanes.near(first, second)
            yield np.stack([first[near], second[near]], axis=1)
        step += 1
        left = left[left + step < keys.size]
        left = left[keys[left] == keys[left + step]]


def _parts(counts: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Positions with a count, cut so that the counts of a part make about `_PAIRS_AT_ONCE`."""
    places = np.flatnonzero(counts)
    ends = np.cumsum(counts[places]) // _PAIRS_AT_ONCE
    yield from (part for part in np.split(places, np.flatnonzero(np.diff(ends)) + 1) if part.size)


def _measured(store: Store, row: int) -> Signal:
    """Row `row` of `store` without padding, [leads, samples] mV."""
    signal = store.millivolts([row])[0]
    begin, end = measured_stretch(signal, store.rate)
    return signal[:, begin : min(end, int(store.index["samples"].iloc[row]))]


def _is_fingerprint(text: str) -> bool:
    if len(text) != _DIGITS:
        return False
    try:
        return len(bytes.fromhex(text)) * 2 == _DIGITS
    except ValueError:
        return False


def _words(fingerprints: Sequence[str]) -> Words:
    raw = bytes.fromhex("".join(fingerprints))
    return np.frombuffer(raw, dtype=">u2").reshape(len(fingerprints), WORDS).astype(np.uint16)


def _distinct(texts: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """The distinct texts in order of first appearance, and the place among them of each."""
    seen: dict[str, int] = {}
    place = np.array([seen.setdefault(text, len(seen)) for text in texts], dtype=np.int64)
    return list(seen), place


def _members(place: NDArray[np.int64], count: int) -> list[NDArray[np.int64]]:
    """Positions of each value 0 … count − 1 of `place`."""
    order = np.argsort(place, kind="stable")
    return np.split(order, np.searchsorted(place[order], np.arange(1, count))) if count else []


def _root(roots: NDArray[np.int64], position: int) -> int:
    while roots[position] != position:
        roots[position] = roots[roots[position]]
        position = int(roots[position])
    return position


def _join(roots: NDArray[np.int64], first: int, second: int) -> None:
    """Put two groups together under the one that appeared first."""
    one, other = _root(roots, first), _root(roots, second)
    roots[max(one, other)] = min(one, other)
