"""Patients and splits by hand: who joins whom, who goes with whom, who is held back, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.store.grouping import NO_SPLIT, PATIENT, PROTECTED, Claims, Settled, doubtful_rows, settle_groups
from cmelt.store.patients import patient_hash, split_of

TEST, VALIDATION, TRAIN = range(3)
#: (patient or "", split or none, whether the source says so, number of the signal)
Row = tuple[str, int | None, bool, int]
HELD = (
    "records have the same signal as another patient's in another split: they are in no split (flag copy-across-splits); "
    "correct the patients"
)
ACROSS = "records have a copy in another split, as their source splits them"
TORN = "patients have records in several splits, as their source splits them"


def claims_of(rows: list[Row]) -> tuple[Claims, np.ndarray]:
    splits = [NO_SPLIT if split is None else split for _, split, _, _ in rows]
    claims = Claims(
        np.array([patient for patient, _, _, _ in rows], dtype=PATIENT),
        np.array(splits, dtype=np.int8),
        np.array([given for _, _, given, _ in rows], dtype=bool),
        [f"signal {signal}" for _, _, _, signal in rows],
    )
    return claims, np.array([10 + 3 * signal for _, _, _, signal in rows])


def settled(*rows: Row) -> Settled:
    claims, groups = claims_of(list(rows))
    before = claims.patient.copy(), claims.split.copy()
    found = settle_groups(claims, groups, "src", "key")
    assert np.array_equal(claims.patient, before[0]) and np.array_equal(claims.split, before[1])  # what is known stays known
    assert found.patient.dtype == PATIENT and found.split.dtype == np.int8 and found.held_back.dtype == np.bool_
    return found


def nobody(signal: int) -> bytes:
    return patient_hash("key", "src", f"\0signal signal {signal}").encode()


def test_without_copies_everyone_stays_who_and_where_they_are():
    found = settled(("p", TRAIN, False, 0), ("q", TEST, False, 1), ("p", TRAIN, False, 2), ("r", VALIDATION, True, 3))
    assert found.patient.tolist() == [b"p", b"q", b"p", b"r"]
    assert found.split.tolist() == [TRAIN, TEST, TRAIN, VALIDATION]
    assert found.warnings == () and not found.held_back.any()


def test_a_record_of_nobody_is_known_by_its_signal_and_keeps_a_split_that_its_source_gives():
    found = settled(("", None, False, 0), ("", TEST, True, 1), ("", None, False, 0))
    assert found.patient.tolist() == [nobody(0), nobody(1), nobody(0)]
    drawn = PROTECTED.index(split_of("src", "\0signal signal 0"))
    assert found.split.tolist() == [drawn, TEST, drawn] and found.warnings == ()


def test_records_of_nobody_are_drawn_by_source_and_signal():
    found = settled(*(("", None, False, number) for number in range(60)))
    drawn = [PROTECTED.index(split_of("src", f"\0signal signal {number}")) for number in range(60)]
    assert found.split.tolist() == drawn and set(drawn) == {TEST, VALIDATION, TRAIN}
    assert found.patient.tolist() == [nobody(number) for number in range(60)]


@pytest.mark.parametrize(
    ("rows", "patient", "split"),
    [
        ([("q", TRAIN, False, 0)], b"q", TRAIN),
        ([("q", TRAIN, False, 0), ("p", TRAIN, False, 0)], b"p", TRAIN),  # the least of two hashes
        ([("p", TRAIN, False, 0), ("q", TEST, False, 0)], b"q", TEST),  # who judges goes before
        ([("p", TEST, False, 0), ("q", TRAIN, True, 0)], b"q", TRAIN),  # what the source says goes before that
        ([("", TEST, True, 0), ("q", TRAIN, False, 0)], b"q", TEST),  # who is known goes before all
    ],
)
def test_a_record_of_nobody_joins_the_first_of_those_who_have_its_signal(rows, patient, split):
    found = settled(("x", VALIDATION, False, 7), *rows, ("", None, False, 0))
    assert (found.patient[-1], found.split[-1]) == (patient, split)
    assert found.patient[0] == b"x"


def test_a_record_of_nobody_with_a_split_of_its_own_joins_and_keeps_it():
    found = settled(("p", TRAIN, True, 0), ("", TEST, True, 0), ("p", TRAIN, False, 1))
    assert found.patient.tolist() == [b"p", b"p", b"p"]
    assert found.split.tolist() == [TRAIN, TEST, TRAIN]
    assert found.warnings == (f"1 {ACROSS}", f"1 {TORN}")


def test_who_joins_brings_a_given_split_to_a_patient_who_has_none_given():
    found = settled(("p", TRAIN, False, 0), ("", VALIDATION, True, 0), ("p", TRAIN, False, 1), ("q", TRAIN, False, 2))
    assert found.split.tolist() == [VALIDATION, VALIDATION, VALIDATION, TRAIN] and found.warnings == ()


@pytest.mark.parametrize(
    ("given", "others"), [((TEST,), TEST), ((TRAIN,), TRAIN), ((TRAIN, TEST), TEST), ((VALIDATION, TRAIN), VALIDATION)]
)
def test_a_patient_s_other_records_go_with_those_whose_split_is_given(given, others):
    rows: list[Row] = [("p", split, True, number) for number, split in enumerate(given)]
    found = settled(*rows, ("p", VALIDATION, False, 8), ("q", VALIDATION, False, 9))
    assert found.split.tolist() == [*given, others, VALIDATION]
    assert found.warnings == ((f"1 {TORN}",) if len(given) > 1 else ())


def test_a_given_split_of_nobody_s_record_is_nobody_else_s():
    """Records without a patient are not those of one patient who is called nothing."""
    found = settled(("", TEST, True, 0), ("", None, False, 1), ("p", TRAIN, False, 2))
    drawn = PROTECTED.index(split_of("src", "\0signal signal 1"))
    assert found.split.tolist() == [TEST, drawn, TRAIN] and found.patient[1] == nobody(1)


def test_of_two_patients_with_one_signal_the_less_protected_copy_is_held_back():
    found = settled(("p", TRAIN, False, 0), ("q", VALIDATION, False, 0), ("r", TEST, False, 0), ("p", TRAIN, False, 1))
    assert found.split.tolist() == [NO_SPLIT, NO_SPLIT, TEST, TRAIN]
    assert found.patient.tolist() == [b"p", b"q", b"r", b"p"]
    assert found.held_back.tolist() == [True, True, False, False]
    assert found.warnings == (f"2 {HELD}",)


def test_what_the_source_has_given_stays_and_the_copy_that_is_not_given_gives_way_even_if_it_judges():
    found = settled(("p", TRAIN, True, 0), ("q", TEST, False, 0), ("q", TEST, False, 1))
    assert found.split.tolist() == [TRAIN, NO_SPLIT, TEST] and found.warnings == (f"1 {HELD}",)


def test_a_copy_goes_by_the_most_protected_of_the_given_ones():
    rows = ("p", TRAIN, True, 0), ("q", VALIDATION, True, 0), ("r", VALIDATION, False, 0), ("s", TEST, False, 0)
    found = settled(*rows)
    assert found.split.tolist() == [TRAIN, VALIDATION, VALIDATION, NO_SPLIT]
    assert found.warnings == (f"1 {HELD}", f"1 {ACROSS}")


def test_several_torn_patients_are_each_counted_once():
    rows = [
        (patient, split, True, number)
        for number, (patient, split) in enumerate([*zip("ppqqqr", (0, 1, 0, 1, 2, 2), strict=True)])
    ]
    assert settled(*rows).warnings == (f"2 {TORN}",)


def test_near_ones_of_nobody_are_called_after_the_least_signal_of_their_own_group():
    claims, _ = claims_of([("", None, False, 5), ("", None, False, 3), ("", None, False, 4), ("p", TRAIN, False, 1)])
    found = settle_groups(claims, np.array([2, 2, 0, 2]), "src", "key")
    assert found.patient.tolist() == [b"p", b"p", nobody(4), b"p"]
    found = settle_groups(claims, np.array([2, 2, 0, 1]), "src", "key")
    assert found.patient.tolist() == [nobody(3), nobody(3), nobody(4), b"p"]


def test_a_group_is_doubtful_unless_it_is_one_known_patient_s_in_one_split():
    rows = [("p", 2, False, 0), ("p", 2, False, 0), ("q", 2, False, 1), ("q", 1, True, 1), ("r", 2, False, 2), ("s", 2, False, 2)]
    rows += [("t", 2, False, 3), ("", None, False, 4), ("", None, False, 5), ("", None, False, 5), ("", 2, True, 6)]
    found = doubtful_rows(*claims_of(rows))
    assert found.tolist() == [False, False, True, True, True, True, False, True, True, True, True]
    assert doubtful_rows(*claims_of([])).tolist() == []


def test_no_record_is_no_work():
    found = settle_groups(*claims_of([]), "src", "key")
    assert (found.patient.size, found.split.size, found.warnings) == (0, 0, ())
