"""Records that training has seen are not evaluated."""

from __future__ import annotations

import pytest

from cmelt.errors import StoreError
from cmelt.evaluation.contamination import check_unseen, overlap_with_training

from .conftest import planted_store


def first(store, split):
    return int(store.rows(split)[0])


def test_a_clean_store_passes():
    check_unseen(planted_store(), ("validation", "test"))


def test_an_identical_signal_in_training_and_test_is_refused_with_its_count():
    store = planted_store()
    store.index.loc[first(store, "test"), "fingerprint"] = store.index.loc[first(store, "train"), "fingerprint"]
    with pytest.raises(StoreError, match=r"1 of the records .* \(1 identical signals, 0 shared patients\)"):
        check_unseen(store, ("validation", "test"))
    check_unseen(store, ("validation",))  # the copy is not among these


def test_a_patient_in_training_and_validation_is_refused_without_being_named():
    store = planted_store()
    rows = store.rows("validation")[:2]
    store.index.loc[rows, "patient"] = store.index.loc[first(store, "train"), "patient"]
    with pytest.raises(StoreError, match=r"2 of the records .* 1 shared patients") as caught:
        check_unseen(store, ("validation", "test"))
    assert str(store.index.loc[first(store, "train"), "patient"]) not in str(caught.value).replace("patients", "")


def test_unknown_patients_and_fingerprints_are_not_the_same_patient():
    store = planted_store()
    store.index["patient"] = ""
    store.index["fingerprint"] = ""
    assert overlap_with_training(store, ("test",)).records == 0


def test_asking_for_the_training_split_itself_compares_only_the_others():
    store = planted_store()
    check_unseen(store, ("train", "validation", "test"))
    store.index.loc[first(store, "test"), "fingerprint"] = store.index.loc[first(store, "train"), "fingerprint"]
    with pytest.raises(StoreError):
        check_unseen(store, ("train", "test"))
