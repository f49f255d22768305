"""Records that training has seen are not evaluated."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.errors import StoreError
from cmelt.evaluation.contamination import (
    check_unseen,
    copies_of,
    overlap_between,
    overlap_with_training,
    rows_seen,
    rows_to_evaluate,
)
from cmelt.evaluation.evaluate import evaluate_tasks
from cmelt.evaluation.protocol import Protocol
from cmelt.records.fingerprint import fingerprint
from cmelt.records.record import LEADS, Record
from cmelt.records.resample import resample
from cmelt.store.patients import people_of
from ecg_files import heart

from .conftest import PlantedEmbedder, planted_store, planted_task


def first(store, split):
    return int(store.rows(split)[0])


def test_a_clean_store_passes():
    check_unseen(planted_store(), planted_store().rows("validation", "test"))


def test_an_identical_signal_in_training_and_test_is_refused_with_its_count():
    store = planted_store()
    store.index.loc[first(store, "test"), "fingerprint"] = store.index.loc[first(store, "train"), "fingerprint"]
    with pytest.raises(StoreError, match=r"1 of the records .* \(1 identical signals, 0 shared patients\)") as caught:
        check_unseen(store, store.rows("validation", "test"))
    assert "--patient-key" not in str(caught.value)
    check_unseen(store, store.rows("validation"))  # the copy is not among these


def test_a_patient_in_training_and_validation_is_refused_without_being_named():
    store = planted_store()
    rows = store.rows("validation")[:2]
    store.index.loc[rows, "patient"] = store.index.loc[first(store, "train"), "patient"]
    with pytest.raises(StoreError, match=r"2 of the records .* 1 shared patients") as caught:
        check_unseen(store, store.rows("validation", "test"))
    assert str(store.index.loc[first(store, "train"), "patient"]) not in str(caught.value).replace("patients", "")


def test_unknown_patients_and_fingerprints_are_not_the_same_patient():
    store = planted_store()
    store.index["patient"] = ""
    store.index["fingerprint"] = ""
    assert overlap_with_training(store, store.rows("test")).records == 0


def test_asking_for_the_training_split_itself_compares_only_the_others():
    store = planted_store()
    check_unseen(store, store.rows("train", "validation", "test"))
    store.index.loc[first(store, "test"), "fingerprint"] = store.index.loc[first(store, "train"), "fingerprint"]
    with pytest.raises(StoreError):
        check_unseen(store, store.rows("train", "test"))


def real_store():
    """A planted store whose records are beats with fingerprints of their own."""
    store = planted_store(60)
    store.rate, store.samples = 100.0, 1000
    store.signal = np.stack([heart(row) for row in range(60)])
    store.index["fingerprint"] = [fingerprint(Record(signal, 100.0, LEADS)) for signal in store.signal]
    return store


def test_a_copy_at_another_gain_and_rate_is_found_and_a_near_fingerprint_alone_is_not_a_copy():
    store = real_store()
    train, test = first(store, "train"), first(store, "test")
    store.signal[test] = 1.7 * resample(resample(store.signal[train], 100.0, 257.0), 257.0, 100.0)[:, :1000]
    store.index.loc[test, "fingerprint"] = fingerprint(Record(store.signal[test], 100.0, LEADS))
    assert overlap_with_training(store, store.rows("test")).rows.tolist() == [test]
    other = heart(999)
    near = store.index.loc[train, "fingerprint"]
    store.signal[test] = other
    store.index.loc[test, "fingerprint"] = near[:-1] + ("0" if near[-1] != "0" else "1")
    assert overlap_with_training(store, store.rows("test")).records == 0


def test_what_the_model_was_trained_on_is_refused_in_any_store():
    store = real_store()
    test = first(store, "test")
    seen = [store.index.loc[test, "fingerprint"]]
    assert overlap_with_training(store, store.rows("test"), seen).rows.tolist() == [test]
    assert overlap_with_training(store, store.rows("validation"), seen).records == 0
    training = store.index.loc[store.rows("train"), "fingerprint"].tolist()
    check_unseen(store, store.rows("validation", "test"), training)
    with pytest.raises(StoreError, match="known from training"):
        check_unseen(store, store.rows("train"), training)


def test_a_patient_of_the_model_s_training_is_refused_in_any_store_of_one_key_by_another_record_too():
    store = planted_store()
    test, other = store.rows("test")[:2], first(store, "validation")
    seen = people_of("planted", [store.index["patient"][test[0]], "somebody else"])
    theirs = store.index["patient"][test[0]] == store.index["patient"]
    assert overlap_with_training(store, store.rows("validation", "test"), seen).rows.tolist() == np.flatnonzero(theirs).tolist()
    told = rf"{theirs.sum()} of the records .* \(0 identical signals, 1 shared patients\).*--patient-key"
    with pytest.raises(StoreError, match=told):
        check_unseen(store, store.rows("test"), seen)
    check_unseen(store, np.array([other]), seen)
    check_unseen(store, store.rows("test"), people_of("another key", store.index["patient"].tolist()))
    assert rows_seen(store, store.rows("test"), seen).tolist() == np.flatnonzero(theirs).tolist()


def test_known_records_are_left_out_where_that_is_asked_for_and_the_results_say_so():
    store, task = planted_store(), planted_task()
    test = first(store, "test")
    store.index.loc[test, "fingerprint"] = "copied"
    model = PlantedEmbedder(seen=("copied",))
    with pytest.raises(StoreError, match="--leave-out-known"):
        evaluate_tasks(model, PlantedEmbedder(blind=True), store, [task], Protocol((), bootstrap=20))
    whole = len(store.rows(*task.splits))
    (result,) = evaluate_tasks(
        model, PlantedEmbedder(blind=True), store, [task], Protocol((), bootstrap=20, leave_out_known=True)
    )
    assert result.records == whole - 1
    assert any("1 records that training has seen" in note for note in result.notes)


def test_two_stores_are_compared_by_signal_at_any_rate_and_by_patient():
    source, target = real_store(), real_store()
    train = source.rows("train")
    target.signal = np.stack([heart(1000 + row) for row in range(60)])
    faster = resample(1.7 * source.signal[train[0]], 100.0, 257.0)
    target.signal[7] = resample(faster, 257.0, 100.0)[:, :1000]
    target.index["fingerprint"] = [fingerprint(Record(signal, 100.0, LEADS)) for signal in target.signal]
    target.index["patient"] = [f"q{row}" for row in range(60)]
    target.index.loc[9, "patient"] = source.index["patient"][train[1]]
    rows = np.arange(60)
    found = overlap_between(source, train, target, rows)
    assert found.rows.tolist() == [7, 9]
    assert (found.signals, found.patients) == (1, 1)
    assert copies_of(source, train, target, rows).tolist() == [7]
    assert copies_of(source, source.rows("test"), target, rows).tolist() == []
    assert overlap_between(source, train, target, rows[rows > 9]).records == 0


def test_unseen_rows_come_with_what_a_reader_must_know():
    store = planted_store()
    rows = store.rows("validation", "test")
    kept, notes = rows_to_evaluate(store, ("validation", "test"), (), False)
    assert kept.tolist() == rows.tolist()
    assert notes == ()
    seen = store.index["fingerprint"][rows[:4]].tolist()
    with pytest.raises(StoreError, match="4 of the records"):
        rows_to_evaluate(store, ("validation", "test"), seen, False)
    kept, notes = rows_to_evaluate(store, ("train", "validation", "test"), seen, True)
    assert kept.tolist() == np.setdiff1d(np.arange(600), rows[:4]).tolist()
    assert ["training records are among" in notes[0], "4 records that training has seen" in notes[1]] == [True, True]
    with pytest.raises(StoreError, match="training has seen all"):
        rows_to_evaluate(store, ("test",), store.index["fingerprint"].tolist(), True)
    store.index["split"] = "train"
    with pytest.raises(StoreError, match="no record in test"):
        rows_to_evaluate(store, ("test",), (), False)
