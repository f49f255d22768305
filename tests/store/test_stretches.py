"""Stretches of stored records, by hand: what lies outside a record is zero, wherever a stretch begins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cmelt.store import JoinedStore, Store
from cmelt.store.layout import shard_file

SAMPLES = 10


def store_of(folder: Path, shards: list[int], first: int = 0) -> Store:
    """Records without an index file: sample s of lead l of record n is 1000 n + 20 l + s + 1, which is never zero."""
    (folder / "shards").mkdir(parents=True)
    rows, files = sum(shards), {}
    values = 1000 * np.arange(first, first + rows)[:, None, None] + 20 * np.arange(12)[:, None] + np.arange(SAMPLES) + 1
    for number, part in enumerate(np.split(values.astype(np.int16), np.cumsum(shards)[:-1])):
        np.save(folder / shard_file(number), part)
        files[shard_file(number)] = {"records": len(part)}
    facts = {"records": rows, "samples": SAMPLES, "leads": list(range(12)), "microvolts_per_step": 5.0, "files": files, "rate": 7}
    store = Store(folder, facts | {"sha256": f"of {first}"})
    places = [np.repeat(np.arange(len(shards)), shards), np.concatenate([np.arange(count) for count in shards])]
    store.__dict__["_places"] = tuple(column.astype(np.int64) for column in places)  # what the index would say
    return store


@pytest.fixture
def store(tmp_path):
    return store_of(tmp_path / "store", [2, 3])


@pytest.fixture
def joined(store, tmp_path):
    """Rows 0 to 3 of it are rows 4, 0 of one store and 1, 0 of another."""
    other = store_of(tmp_path / "other", [2], first=10)
    return JoinedStore((store, other), (1.0, 2.0), np.array([0, 0, 1, 1]), np.array([4, 0, 1, 0]))


def of(record: int, *samples: int) -> list[int]:
    """Lead I of a record, by hand."""
    return [1000 * record + sample + 1 for sample in samples]


@pytest.mark.parametrize(
    ("begin", "samples", "found"),
    [
        (0, 10, of(3, *range(10))),
        (0, 4, of(3, 0, 1, 2, 3)),
        (6, 4, of(3, 6, 7, 8, 9)),
        (7, 4, [*of(3, 7, 8, 9), 0]),
        (9, 3, [*of(3, 9), 0, 0]),
        (10, 2, [0, 0]),
        (25, 2, [0, 0]),
        (-1, 3, [0, *of(3, 0, 1)]),
        (-2, 3, [0, 0, *of(3, 0)]),
        (-3, 3, [0, 0, 0]),
        (-8, 3, [0, 0, 0]),
        (-2, 14, [0, 0, *of(3, *range(10)), 0, 0]),
        (1, 10, [*of(3, *range(1, 10)), 0]),
        (4, 0, []),
    ],
)
def test_a_stretch_is_the_record_where_it_lies_in_it_and_zero_elsewhere(store, begin, samples, found):
    out = np.full((1, 12, samples), 77, np.int16)  # what lay there before must not show
    assert store.stretches([3], begin, samples, out) is out
    assert out[0, 0].tolist() == found
    assert out[0, 11].tolist() == [value and value + 220 for value in found]
    fresh = store.stretches([3], begin, samples)
    assert fresh.dtype == np.int16 and np.array_equal(fresh, out)


def test_each_record_may_begin_elsewhere_and_comes_where_it_was_asked_for(store):
    found = store.stretches([4, 0, 2, 0], [0, 8, -1, 3], 2)
    assert found[:, 0].tolist() == [of(4, 0, 1), of(0, 8, 9), [0, *of(2, 0)], of(0, 3, 4)]
    assert store.stretches(np.array([[1, 3]]), 5, 1)[:, 0, 0].tolist() == [*of(1, 5), *of(3, 5)]
    assert store.stretches([], 0, 4).shape == (0, 12, 4)
    assert store.stretches([1], np.int32(3), 1)[0, 0].tolist() == of(1, 3)


def test_of_several_stores_each_row_comes_from_its_own(joined):
    found = joined.stretches([3, 0, 2, 1, 0], [1, 2, 3, -1, 9], 2)
    assert found[:, 0].tolist() == [of(10, 1, 2), of(4, 2, 3), of(11, 3, 4), [0, *of(0, 0)], [*of(4, 9), 0]]
    assert joined.signals([2, 1])[:, 0].tolist() == [of(11, *range(10)), of(0, *range(10))]
    out = np.full((1, 12, 2), 77, np.int16)
    assert joined.stretches([1], 9, 2, out) is out and out[0, 0].tolist() == [*of(0, 9), 0]
    assert joined.signals([]).shape == (0, 12, 10)


def test_millivolts_are_steps_by_what_a_step_is_worth(store, joined):
    for one, row in ((store, 4), (joined, 0)):
        found = one.millivolts([row])
        assert found.dtype == np.float32 and found.shape == (1, 12, 10)
        assert np.allclose(found[0, 0], np.array(of(4, *range(10))) * 0.005)
        assert (one.rate, one.samples, one.microvolts_per_step, len(one.leads)) == (7.0, 10, 5.0, 12)


def test_a_shard_is_mapped_once_and_cannot_be_written_to(store):
    shard = store.shard(1)
    assert store.shard(1) is shard and shard.shape == (3, 12, 10) and type(shard) is np.ndarray
    assert not shard.flags.writeable
    assert store.shard(0).shape == (2, 12, 10)
