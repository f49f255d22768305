"""The pairs of a store: whose they are, which leads they have, and how often those of several stores are drawn."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cmelt.batches.corpus import corpus_of
from cmelt.batches.order import Share, positions, weighted_positions
from cmelt.errors import StoreError
from cmelt.store import JoinedStore, Store, open_store


@pytest.fixture
def store(tiny_store: Path) -> Store:
    return open_store(tiny_store)


class Told:
    """A store of which an index alone is asked, and its names."""

    path, leads = Path("told"), ("I", "II", "V1")

    def __init__(self, **columns: list) -> None:
        self.index = pd.DataFrame(columns)

    def rows(self, split: str) -> np.ndarray:
        return np.flatnonzero(self.index["split"] == split)


def told(reports: list[str], **columns: list) -> Told:
    known = {"patient": ["p"] * len(reports), "missing_leads": [[]] * len(reports), "split": ["train"] * len(reports)}
    return Told(report=reports, **known | columns)


SINUS, FLUTTER = "sinus rhythm normal ecg", "atrial flutter with block"


def test_two_pairs_are_enough_and_one_is_not() -> None:
    assert len(corpus_of(told([SINUS, "normal", SINUS]))) == 2
    with pytest.raises(StoreError, match=r"(?s)told.*1 of 3 records of split 'train' have a report.*prepare the store with rep"):
        corpus_of(told([SINUS, "normal", ""]))


def test_a_split_without_a_record_has_no_pair() -> None:
    with pytest.raises(StoreError, match=r"0 of 0 records of split 'validation'"):
        corpus_of(told([SINUS, FLUTTER]), "validation")


def test_a_pair_knows_its_row_its_report_its_leads_and_its_patient() -> None:
    found = corpus_of(told(
        [FLUTTER, "normal", SINUS, SINUS, FLUTTER, SINUS],
        patient=["a", "b", "", None, "a", "c"],
        missing_leads=[["V1"], [], [], ["I", "II"], ["V1"], []],
        split=["train", "train", "train", "train", "train", "test"],
    ))  # fmt: skip
    assert found.rows.tolist() == [0, 2, 3, 4] and found.without_report == 1
    assert [found.distinct[number] for number in found.group] == [FLUTTER, SINUS, SINUS, FLUTTER]
    assert found.measured.tolist() == [[True, True, False], [True, True, True], [False, False, True], [True, True, False]]
    assert found.measured.dtype == bool
    assert found.patients == ("a", "record 2", "record 3", "a")  # who is not known is nobody else
    assert found.store.tolist() == [0, 0, 0, 0] and found.store.dtype == np.int64
    assert found.shares == () and found.draws == 4


def test_another_split_can_be_asked_for(store: Store) -> None:
    found = corpus_of(store, "validation")
    assert set(found.rows) <= set(store.rows("validation")) and len(found)
    assert not set(found.rows) & set(corpus_of(store).rows)


def joined(store: Store, weights: tuple[float, ...], first: int = 40) -> JoinedStore:
    """The first rows of the store as one, the others as two more."""
    part = np.repeat([0, 1, 2], [first, 12, len(store) - first - 12])
    return JoinedStore((store,) * 3, weights, part, np.arange(len(store)))


def test_pairs_of_several_stores_are_drawn_as_their_weights_say(store: Store) -> None:
    both = joined(store, (1.0, 2.5, 0.5))
    found = corpus_of(both)
    assert found.rows.tolist() == corpus_of(store).rows.tolist()
    assert found.store.tolist() == both.part[found.rows].tolist()
    pairs = np.bincount(found.store).tolist()
    assert found.shares == tuple(Share(count, weight) for count, weight in zip(pairs, (1.0, 2.5, 0.5), strict=True))
    assert found.draws == pairs[0] + round(2.5 * pairs[1]) + max(1, round(0.5 * pairs[2])) != len(found)
    for size, step, seed in ((7, 2, 5), (5, 3, 5), (7, 2, 6)):
        assert found.drawn(size, step, seed).tolist() == weighted_positions(found.shares, size, step, seed).tolist()


def test_stores_of_weight_one_are_drawn_as_one_store_is(store: Store) -> None:
    found = corpus_of(joined(store, (1.0, 1.0, 1.0)))
    assert found.shares == () and found.draws == len(found)
    assert set(found.store) == {0, 1, 2}
    for size, step, seed in ((7, 2, 5), (5, 3, 5), (7, 2, 6)):
        assert found.drawn(size, step, seed).tolist() == positions(len(found), size, step, seed).tolist()


def test_a_store_without_a_pair_is_named_whatever_its_weight(store: Store, tmp_path: Path) -> None:
    """Nothing of it could be drawn, however much it weighs."""
    whole, empty = joined(store, (1.0, 2.0, 1.0)), open_store(shutil.copytree(store.path, tmp_path / "elsewhere"))
    tests = store.rows("test")
    others = np.setdiff1d(np.arange(len(store)), tests)
    lacking = replace(
        whole,
        parts=(store, empty, store),
        part=np.repeat([0, 1, 2], [20, len(tests), len(others) - 20]),
        part_row=np.concatenate([others[:20], tests, others[20:]]),
    )
    with pytest.raises(StoreError, match=r"(?s)elsewhere.*no pair to draw, whatever its weight.*leave it out"):
        corpus_of(lacking)
    assert corpus_of(replace(lacking, weights=(1.0, 1.0, 1.0))).shares == ()
    last = replace(whole, parts=(store, store, empty), part=np.repeat([0, 1], [30, len(store) - 30]))
    with pytest.raises(StoreError, match="elsewhere"):
        corpus_of(last)
