"""The rules of grouping, over random archives: no leak, nobody moved, nothing lost but copies."""

from __future__ import annotations

import copy

from hypothesis import given, settings
from hypothesis import strategies as st

from cmelt.store.index import index_bytes, left_out_entry, settle_groups
from cmelt.store.patients import patient_hash, split_of

#: A record is (patient or none, signal): few of each, so that copies are frequent.
ARCHIVES = st.lists(st.tuples(st.sampled_from(["", *(f"p{n}" for n in range(12))]), st.integers(0, 8)), max_size=25)


def rows_of(archive: list[tuple[str, int]]) -> list[dict]:
    return [
        {
            "record": f"r{number}",
            "patient": patient_hash("key", "folder", patient) if patient else "",
            "split": split_of("folder", patient) if patient else "",
            "split_given": False,
            "fingerprint": f"signal {signal}",
            "origin": f"r{number}",
        }
        for number, (patient, signal) in enumerate(archive)
    ]


def settled(archive: list[tuple[str, int]]) -> tuple[list[dict], set[int]]:
    rows = rows_of(archive)
    _, left_out = settle_groups(rows, "folder", "key")
    return rows, set(left_out)


@given(ARCHIVES)
@settings(max_examples=200, deadline=None)
def test_no_signal_and_no_patient_is_in_two_splits(archive):
    rows, left_out = settled(archive)
    kept = [row for position, row in enumerate(rows) if position not in left_out]
    for key in ("fingerprint", "patient"):
        splits: dict[str, set[str]] = {}
        for row in kept:
            splits.setdefault(row[key], set()).add(row["split"])
        assert all(len(found) == 1 for found in splits.values())


@given(ARCHIVES)
@settings(max_examples=200, deadline=None)
def test_every_record_has_a_patient_and_a_split_and_only_copies_are_left_out(archive):
    rows, left_out = settled(archive)
    assert all(row["patient"] and row["split"] for row in rows)
    signals = [signal for _, signal in archive]
    for position in left_out:
        assert signals.count(signals[position]) > 1
    kept = {signal for position, signal in enumerate(signals) if position not in left_out}
    assert kept == set(signals)


@given(ARCHIVES, ARCHIVES)
@settings(max_examples=200, deadline=None)
def test_adding_records_moves_no_patient_and_no_record_that_nobody_claims(archive, more):
    before, _ = settled(archive)
    after, _ = settled(archive + more)
    claimed = {signal for patient, signal in archive + more if patient}
    for position, (patient, signal) in enumerate(archive):
        if patient or signal not in claimed:
            assert after[position]["split"] == before[position]["split"]
            assert after[position]["patient"] == before[position]["patient"]


@given(ARCHIVES, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_table_decides_nothing(archive, random):
    order = list(range(len(archive)))
    random.shuffle(order)
    rows, left_out = settled(archive)
    shuffled, shuffled_out = settled([archive[position] for position in order])
    for place, position in enumerate(order):
        assert (shuffled[place]["split"], shuffled[place]["patient"]) == (rows[position]["split"], rows[position]["patient"])
        assert (place in shuffled_out) == (position in left_out)


def test_a_row_left_out_is_listed_with_reason_and_remedy_and_without_its_patient():
    line = left_out_entry(rows_of([("p1", 1)])[0])
    assert set(line) == {"record", "path", "reason", "remedy"}
    assert patient_hash("key", "folder", "p1") not in str(line)


def test_the_same_rows_give_the_same_bytes():
    rows = [
        row
        | {
            "report": "", "labels": ["a"], "age": None, "sex": "", "missing_leads": [], "flags": [], "source": "folder",
            "seconds": 10.0, "source_rate": 100.0, "samples": 1000, "shard": 0, "shard_row": 0,
        }
        for row in rows_of([("p1", 1), ("p2", 2)])
    ]  # fmt: skip
    assert index_bytes(rows) == index_bytes(copy.deepcopy(rows))
    assert index_bytes(rows) != index_bytes(rows[::-1])
