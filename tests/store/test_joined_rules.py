"""Which records of several stores are left out, and what is said of them, over stores whose index is written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cmelt.store import Store, joined, open_stores
from cmelt.store.joined import JoinedStore
from ecg_files import heart
from refusals import refused

#: (patient, split, fingerprint, seed of the signal, second of the recording that the stored 10 begin with)
Row = tuple[str, str, str, int, float]

STEPS = {seed: np.rint(1000 * heart(seed, seconds=30.0)).astype(np.int16) for seed in (0, 6, 12)}


def store_of(name: str, rows: list[Row], **facts: Any) -> Store:
    """A store that lies nowhere. Fingerprints of one letter are equal or not: near ones have tests of their own."""
    manifest = {
        "records": len(rows), "rate": 100.0, "samples": 1000, "leads": ["I", "II"], "microvolts_per_step": 1.0, "sha256": name,
        "crop": "first", "source": {"name": "s"}, "patient_key_check": "k",
    } | facts  # fmt: skip
    store = Store(Path(name), manifest)
    columns = {
        "record": [f"{name}{number}" for number in range(len(rows))],
        "patient": [row[0] for row in rows],
        "split": [row[1] for row in rows],
        "fingerprint": [row[2] for row in rows],
        "seconds": [10.0 + 2 * row[4] for row in rows],
        "samples": [1000] * len(rows),
    }
    store.__dict__["index"] = pd.DataFrame(columns)
    places = np.arange(len(rows))
    store.__dict__["_places"] = (np.zeros(len(rows), np.int64), places)
    shard = [STEPS[row[3]][:2, int(100 * row[4]) :][:, :1000] for row in rows]
    store._shards[0] = np.stack(shard) if shard else np.zeros((0, 2, 1000), np.int16)
    return store


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch):
    """`open_stores` of stores that lie nowhere."""

    def opening(*stores: Store, weights: list[float] | None = None) -> JoinedStore:
        there = {str(store.path): store for store in stores}
        monkeypatch.setattr(joined, "open_store", lambda path, verify: there[str(path)])
        found = open_stores([store.path for store in stores], weights)
        assert isinstance(found, JoinedStore)
        return found

    return opening


def kept(found: JoinedStore) -> list[str]:
    return found.index["record"].to_list()


def test_the_verification_that_is_asked_for_is_made_of_every_store(monkeypatch):
    asked: list[tuple[str, str]] = []

    def opening(path: str, verify: str) -> Store:
        asked.append((path, verify))
        return store_of(path, [("p", "train", path, 0, 0.0)])

    monkeypatch.setattr(joined, "open_store", opening)
    open_stores(["a", "b"])
    open_stores(["c"], verify="full")
    assert asked == [("a", "sizes"), ("b", "sizes"), ("c", "full")]


@pytest.mark.parametrize(
    ("splits", "stays", "told"),
    [
        (("train", "test"), ["b0"], ["1 records"]),
        (("test", "train"), ["a0"], ["1 records"]),
        (("validation", "test"), ["b0"], ["1 records"]),
        (("train", "validation"), ["b0"], ["1 records"]),
        (("", "train"), ["b0"], ["1 records"]),
        (("train", "train"), ["a0", "b0"], ["2 train records"]),
        (("test", "test"), ["a0", "b0"], []),
        (("", ""), ["a0", "b0"], []),
    ],
)
def test_of_a_signal_in_two_stores_the_more_protected_split_keeps_it(opened, splits, stays, told):
    one, other = (store_of(name, [("p", split, "x", 0, 0.0)]) for name, split in zip("ab", splits, strict=True))
    found = opened(one, other)
    assert kept(found) == stays
    assert [warning.split(" are")[0] for warning in found.warnings if "patients" not in warning] == told


def test_copies_within_one_store_are_not_this_one_s_business(opened):
    """Whoever prepared the store has settled them; another store's record of another signal changes nothing."""
    rows: list[Row] = [("p", "train", "x", 0, 0.0), ("q", "test", "x", 0, 0.0)]
    found = opened(store_of("a", rows), store_of("b", [("r", "train", "y", 6, 0.0)]))
    assert kept(found) == ["a0", "a1", "b0"] and found.warnings == ()


def test_all_is_said_of_copies_in_whole_sentences(opened):
    first = store_of("a", [("p", "train", "x", 0, 0.0), ("q", "train", "y", 6, 0.0), ("r", "train", "", 12, 0.0)])
    second = store_of("b", [("P", "test", "x", 0, 0.0), ("Q", "train", "y", 6, 0.0), ("R", "train", "", 12, 0.0)])
    found = opened(first, second)
    assert kept(found) == ["a1", "a2", "b0", "b1", "b2"]
    assert found.warnings == (
        "1 records are left out: copies of records of another store in a more protected split",
        "2 train records are, by their fingerprints, in several of the stores, and count in each",
    )
    assert found.part.tolist() == [0, 0, 1, 1, 1] and found.part_row.tolist() == [1, 2, 0, 1, 2]
    assert (found.part.dtype, found.part_row.dtype) == (np.int64, np.int64)


def test_three_stores_are_held_against_one_another_each_with_each(opened):
    rows = {name: [(name, split, "x", 0, 0.0)] for name, split in (("a", "validation"), ("b", "test"), ("c", "train"))}
    assert kept(opened(*(store_of(name, known) for name, known in rows.items()))) == ["b0"]


def test_fingerprints_alone_leave_nothing_out(opened):
    """The same fingerprint, and other signals: the signals decide."""
    found = opened(store_of("a", [("p", "train", "x", 0, 0.0)]), store_of("b", [("q", "test", "x", 6, 0.0)]))
    assert kept(found) == ["a0", "b0"] and found.warnings == ()


def test_stretches_of_one_recording_are_compared_where_they_overlap(opened):
    """The first ten seconds here, the central ten of eighteen there: the signals are 4 s apart."""
    first, second = store_of("a", [("p", "train", "x", 0, 0.0)]), store_of("b", [("q", "test", "x", 0, 4.0)], crop="centre")
    assert kept(opened(first, second)) == ["b0"]
    second.manifest["crop"] = "first"  # then the two begin together, and do not agree
    assert kept(opened(first, second)) == ["a0", "b0"]


def test_only_the_measured_part_of_a_signal_is_compared(opened):
    first, second = store_of("a", [("p", "train", "x", 0, 0.0)]), store_of("b", [("q", "test", "x", 0, 0.0)])
    second._shards[0] = np.concatenate([second._shards[0][:, :, :600], first._shards[0][:, :, 400:0:-1]], axis=2)
    assert kept(opened(first, second)) == ["a0", "b0"]
    second.index["samples"] = 600
    assert kept(opened(first, second)) == ["b0"]


@pytest.mark.parametrize(
    ("facts", "what", "one", "other", "how"),
    [
        ({"rate": 62.5}, "rate", "100 Hz", "62.5 Hz", "--rate"),
        ({"samples": 500}, "length", "1000 samples", "500 samples", "--seconds"),
        ({"leads": ["I", "III"]}, "leads", "I II", "I III", "the same version of cmelt"),
        ({"microvolts_per_step": 4.88}, "resolution", "1.0 µV", "4.88 µV", "the same version of cmelt"),
    ],
)
def test_what_two_stores_differ_in_is_told_with_what_to_prepare_alike(opened, facts, what, one, other, how):
    stores = store_of("a", []), store_of("b", []), store_of("c", [], **facts)
    with refused("c", f"its {what} is {other}, that of a is {one}", f"prepare one of them again with {how} as the other"):
        opened(*stores)


def test_one_store_at_two_places_is_told(opened):
    with refused("b", "is the same store as a", "name it once; --weights draws it more often"):
        opened(store_of("a", []), store_of("b", [], sha256="a"))


def test_weights_and_paths_that_make_no_sense_are_told():
    with refused("--data", "no store is named", "give one or more"):
        open_stores([])
    with refused("--weights", "3 weights for 2 stores", "give one a store, in their order"):
        open_stores(["a", "b"], [1, 2, 3])
    for wrong in (0.0, -0.5, float("inf"), float("nan")):
        with refused("--weights", "a weight that is not a positive number", "leave a store out that is not to be used"):
            open_stores(["a", "b"], [1.0, wrong])


def test_weights_are_numbers_and_one_each_where_none_are_given(opened):
    stores = store_of("a", [("p", "train", "x", 0, 0.0)]), store_of("b", [("q", "train", "y", 6, 0.0)])
    assert opened(*stores).weights == (1.0, 1.0)
    found = opened(*stores, weights=[0.5, 3])
    assert found.weights == (0.5, 3.0) and json.dumps(found.weights) == "[0.5, 3.0]"
    assert found.sha256 != opened(*stores, weights=[0.5, 4]).sha256
    assert found.path == "a + b"


def test_the_identity_of_joined_stores_is_the_same_for_ever(opened):
    """Runs and checkpoints keep it: it says what a model was trained on."""
    stores = store_of("a", [("p", "train", "x", 0, 0.0)]), store_of("b", [("q", "train", "y", 6, 0.0)])
    # SHA-256 of [["a",1.0],["b",2.0]]
    assert opened(*stores, weights=[1, 2]).sha256 == "133b7873f918ecb184336a5b487dea1ee91a4bca392bd211c6c2b61215f3752a"


def test_rows_people_and_records_are_those_of_the_store_they_come_from(opened):
    first = store_of("a", [("p", "train", "x", 0, 0.0), ("", "test", "z", 12, 0.0)])
    second = store_of("b", [("p", "train", "y", 6, 0.0)])
    found = opened(first, second)
    assert found.rows("test").tolist() == [1] and found.rows("train").tolist() == [0, 2]
    people = found.people([2, 1, 0])
    assert people == [second.people([0])[0], "", first.people([0])[0]] and people[0] == people[2] != ""
    assert found.people([]) == []
    for ask in (found.people, found.signals, lambda rows: found.record(rows[0])):
        with refused("a + b", "row 3 of 3", "rows count from 0"):
            ask([3])
        with refused("a + b", "row -1 of 3", "rows count from 0"):
            ask([-1])


def test_what_was_left_out_when_the_stores_were_made_is_all_of_it(opened):
    first, second = store_of("a", []), store_of("b", [])
    first.__dict__["quarantine"], second.__dict__["quarantine"] = ({"record": "x"},), ({"record": "y"}, {"record": "z"})
    assert [line["record"] for line in opened(first, second).quarantine] == ["x", "y", "z"]
    assert len(opened(first, second)) == 0 and opened(first, second).warnings == ()


def test_patients_in_other_splits_of_another_store_of_their_source_are_counted(opened):
    first = store_of(
        "a", [("p", "train", "1", 0, 0.0), ("q", "test", "2", 0, 0.0), ("r", "", "3", 0, 0.0), ("s", "train", "4", 0, 0.0)]
    )
    second = store_of(
        "b", [("p", "test", "5", 0, 0.0), ("q", "test", "6", 0, 0.0), ("r", "train", "7", 0, 0.0), ("p", "", "8", 0, 0.0)]
    )
    told = ("1 patients of a are in another split in b",)
    assert opened(first, second).warnings == told
    third = store_of("c", [("q", "train", "9", 0, 0.0), ("s", "test", "0", 0, 0.0)])
    assert opened(first, second, third).warnings == (
        *told,
        "2 patients of a are in another split in c",
        "1 patients of b are in another split in c",
    )


def test_patients_of_other_sources_and_under_other_keys_cannot_be_compared(opened):
    first = store_of("a", [("p", "train", "1", 0, 0.0)])
    other_source = store_of("b", [("p", "test", "2", 0, 0.0)], source={"name": "t"}, patient_key_check="l")
    other_key = store_of("c", [("p", "test", "3", 0, 0.0)], patient_key_check="m")
    same = store_of("d", [("p", "test", "4", 0, 0.0)])
    assert opened(first, other_source).warnings == ()
    assert opened(first, other_source, other_key, same).warnings == (
        "a and c have different patient keys: whom they share is unknown",
        "1 patients of a are in another split in d",
        "c and d have different patient keys: whom they share is unknown",
    )
