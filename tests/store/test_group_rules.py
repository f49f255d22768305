"""The rules of grouping, over random archives: no leak, nobody moved, nothing lost."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cmelt.store.grouping import NO_SPLIT, PATIENT, PROTECTED, Claims, doubtful_rows, settle_groups
from cmelt.store.patients import patient_hash, split_of

#: A record is (patient or none, signal): few of each, so that copies are frequent.
ARCHIVES = st.lists(st.tuples(st.sampled_from(["", *(f"p{n}" for n in range(12))]), st.integers(0, 8)), max_size=25)


def claims_of(archive: list[tuple[str, int]], given: list[str] | None = None) -> Claims:
    """Splits are those of the patients, or `given` ones ("" where none)."""
    splits = [split_of("folder", patient) if patient else "" for patient, _ in archive]
    splits = [own or other for own, other in zip(given or [""] * len(archive), splits, strict=True)]
    return Claims(
        np.array([patient_hash("key", "folder", patient) if patient else "" for patient, _ in archive], dtype=PATIENT),
        np.array([PROTECTED.index(split) if split else NO_SPLIT for split in splits], dtype=np.int8),
        np.array([bool(split) for split in given or [""] * len(archive)], dtype=bool),
        [f"signal {signal}" for _, signal in archive],
    )


def settled(archive: list[tuple[str, int]], given: list[str] | None = None) -> tuple[list[dict], set[int]]:
    """Every row as it came to be, and those that are held back."""
    groups = np.array([signal for _, signal in archive], dtype=np.int64)
    found = settle_groups(claims_of(archive, given), groups, "folder", "key")
    rows = [
        {"patient": patient.decode(), "split": PROTECTED[split] if split != NO_SPLIT else "", "signal": signal}
        for patient, split, (_, signal) in zip(found.patient.tolist(), found.split.tolist(), archive, strict=True)
    ]
    return rows, set(np.flatnonzero(found.held_back).tolist())


@given(ARCHIVES)
@settings(max_examples=200, deadline=None)
def test_no_signal_and_no_patient_is_in_two_splits(archive):
    rows, held_back = settled(archive)
    kept = [row for position, row in enumerate(rows) if position not in held_back]
    for key in ("signal", "patient"):
        splits: dict[str, set[str]] = {}
        for row in kept:
            splits.setdefault(row[key], set()).add(row["split"])
        assert all(len(found) == 1 for found in splits.values())


@given(ARCHIVES)
@settings(max_examples=200, deadline=None)
def test_every_record_has_a_patient_and_only_copies_have_no_split(archive):
    rows, held_back = settled(archive)
    assert all(row["patient"] for row in rows)
    assert {position for position, row in enumerate(rows) if not row["split"]} == held_back
    signals = [signal for _, signal in archive]
    for position in held_back:
        assert signals.count(signals[position]) > 1
    kept = {signal for position, signal in enumerate(signals) if position not in held_back}
    assert kept == set(signals)


@given(ARCHIVES, ARCHIVES)
@settings(max_examples=200, deadline=None)
def test_adding_records_moves_no_patient_and_no_record_that_nobody_claims(archive, more):
    before, _ = settled(archive)
    after, _ = settled(archive + more)
    claimed = {signal for patient, signal in archive + more if patient}
    for position, (patient, signal) in enumerate(archive):
        if patient or signal not in claimed:
            # A copy that comes later may hold a record back; it moves none into another split.
            assert after[position]["split"] in (before[position]["split"], "")
            assert after[position]["patient"] == before[position]["patient"]


@given(ARCHIVES, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_table_decides_nothing(archive, random):
    order = list(range(len(archive)))
    random.shuffle(order)
    rows, held_back = settled(archive)
    shuffled, shuffled_held = settled([archive[position] for position in order])
    for place, position in enumerate(order):
        assert (shuffled[place]["split"], shuffled[place]["patient"]) == (rows[position]["split"], rows[position]["patient"])
        assert (place in shuffled_held) == (position in held_back)


def test_near_copies_that_nobody_claims_are_one_patient_named_after_the_least_fingerprint():
    claims = claims_of([("", 5), ("", 3), ("", 3)])
    found = settle_groups(claims, np.array([7, 7, 2]), "folder", "key")
    assert found.patient[0] == found.patient[1] == found.patient[2]  # the third is an exact copy of the least
    assert found.patient[0].decode() == patient_hash("key", "folder", "\0signal signal 3")
    assert len(set(found.split.tolist())) == 1


def test_a_copy_in_a_given_split_is_kept_and_reported():
    archive = [("p1", 0), ("p2", 0), ("p1", 1)]
    rows, held_back = settled(archive, ["train", "test", "validation"])
    assert [row["split"] for row in rows] == ["train", "test", "validation"]
    assert not held_back
    groups = np.array([0, 0, 1])
    warnings = settle_groups(claims_of(archive, ["train", "test", "validation"]), groups, "folder", "key").warnings
    assert [warning.split()[0] for warning in warnings] == ["1", "1"]
    assert "copy in another split" in warnings[0] and "patients" in warnings[1]


def test_only_groups_that_something_hangs_on_are_compared():
    archive = [("p1", 0), ("p1", 0), ("p2", 1), ("p3", 1), ("", 2), ("", 2), ("p4", 3)]
    groups = np.array([signal for _, signal in archive])
    assert doubtful_rows(claims_of(archive), groups).tolist() == [False, False, True, True, True, True, False]
    torn = doubtful_rows(claims_of([("p1", 0), ("p1", 0)], ["train", "test"]), np.array([0, 0]))
    assert torn.tolist() == [True, True]


def test_no_record_at_all_is_settled_too():
    assert settled([]) == ([], set())
