"""Learning curves: a smaller subset's pairs are among a larger one's, patient by patient, and tests stay as they are."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from cmelt.batches.corpus import corpus_of
from cmelt.errors import StoreError
from cmelt.store import open_store
from cmelt.study.cells import StorePart
from cmelt.study.training_data import SubsetStore, nested_subset, training_store


def part(store: Path, pairs: int | None = None) -> StorePart:
    return StorePart("store", str(store), open_store(store).sha256, 1.0, pairs)


def records_of(store: object) -> set[str]:
    corpus = corpus_of(store)  # type: ignore[arg-type]
    return set(store.index["record"].iloc[corpus.rows])  # type: ignore[attr-defined]


def test_a_larger_subset_holds_the_smaller_ones() -> None:
    patients = [f"p{n % 40}" for n in range(100)]
    subsets = [set(nested_subset(patients, count, np.random.default_rng(3)).tolist()) for count in (5, 20, 60, 100)]
    assert [len(subset) for subset in subsets] == [5, 20, 60, 100]
    assert all(small <= large for small, large in pairwise(subsets))


def test_a_subset_takes_whole_patients_but_for_the_last() -> None:
    patients = np.array([f"p{n % 40}" for n in range(100)])
    taken = nested_subset(patients.tolist(), 31, np.random.default_rng(0))
    torn = [p for p in set(patients[taken]) if (patients[taken] == p).sum() < (patients == p).sum()]
    assert len(torn) <= 1


def test_records_without_a_patient_are_not_one_patient() -> None:
    taken = nested_subset([""] * 50, 25, np.random.default_rng(0))
    assert taken.tolist() != list(range(25))


def test_so_many_pairs_are_trained_on_and_every_test_record_stays(tiny_store: Path) -> None:
    whole = open_store(tiny_store)
    few = training_store([part(tiny_store, 20)], seed=0)
    assert len(corpus_of(few)) == 20
    assert records_of(few) < records_of(whole)
    assert len(few.rows("validation", "test")) == len(whole.rows("validation", "test"))
    row = int(corpus_of(few).rows[3])
    same = int(np.flatnonzero(whole.index["record"] == few.index["record"].iloc[row])[0])
    np.testing.assert_array_equal(few.signals([row]), whole.signals([same]))


def test_subsets_of_a_seed_are_nested_and_another_seed_draws_others(tiny_store: Path) -> None:
    ten, twenty = (records_of(training_store([part(tiny_store, n)], seed=0)) for n in (10, 20))
    assert ten < twenty
    assert records_of(training_store([part(tiny_store, 20)], seed=1)) != twenty


def test_a_subset_is_another_store_to_a_run_that_is_resumed(tiny_store: Path) -> None:
    names = {training_store([part(tiny_store, n)], seed=s).sha256 for n, s in ((10, 0), (20, 0), (20, 1), (None, 0))}
    assert len(names) == 4
    assert isinstance(training_store([part(tiny_store, 10)], 0), SubsetStore)


def test_more_pairs_than_there_are_is_refused(tiny_store: Path) -> None:
    with pytest.raises(StoreError, match="1000 are asked for"):
        training_store([part(tiny_store, 1000)], 0)


def test_another_store_in_the_place_of_the_planned_one_is_refused(tiny_store: Path) -> None:
    with pytest.raises(StoreError, match="another store"):
        training_store([StorePart("store", str(tiny_store), "0" * 64)], 0)
