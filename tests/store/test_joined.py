"""Stores read as one: nothing copied, nothing confused, and no test taught to training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cmelt.errors import StoreError
from cmelt.sources.cinc2021 import Cinc2021
from cmelt.sources.folder import Folder
from cmelt.sources.ptb_xl import PtbXl
from cmelt.store import JoinedStore, ShardSettings, Store, open_store, open_stores, prepare_store
from ecg_files import heart, write_wfdb

SETTINGS = ShardSettings(100.0, 10.0, "first", "key")

Rows = list[tuple[str, str, str, int]]


def prepared(folder: Path, rows: Rows, rate: float = 100.0, seconds: float = 10.0, key: str = "key") -> Path:
    """A store of (record, patient, split, seed of the signal)."""
    for record, _, _, seed in rows:
        write_wfdb(folder / "tree" / record, heart(seed, 200.0), 200.0)
    lines = [f"{record},{patient},{split},report of {record}" for record, patient, split, _ in rows]
    (folder / "t.csv").write_text("record,patient,split,report\n" + "\n".join(lines) + "\n")
    settings = ShardSettings(rate, seconds, "first", key)
    prepare_store(Folder(str(folder / "tree"), str(folder / "t.csv")), folder / "store", settings, shard_records=2)
    return folder / "store"


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("stores")
    first = prepared(folder / "a", [(f"a{n}", f"pa{n}", "train" if n < 4 else "test", n) for n in range(5)])
    return first, prepared(folder / "b", [(f"b{n}", f"pb{n}", "train", 10 + n) for n in range(3)])


def test_rows_are_numbered_through(stores):
    joined = open_stores(stores)
    assert isinstance(joined, JoinedStore)
    assert joined.index["record"].to_list() == ["a0", "a1", "a2", "a3", "a4", "b0", "b1", "b2"]
    assert len(joined) == len(joined.index) == 8
    assert joined.rows("train").tolist() == [0, 1, 2, 3, 5, 6, 7]
    assert joined.rows("test").tolist() == [4]
    assert joined.rows().tolist() == list(range(8))
    assert (joined.rate, joined.samples, len(joined.leads), joined.microvolts_per_step) == (100, 1000, 12, 1)
    assert joined.warnings == ()
    assert all(str(path) in joined.path for path in stores)


def test_signals_and_records_are_those_of_their_store_in_the_order_asked_for(stores):
    joined, (a, b) = open_stores(stores), (open_store(path) for path in stores)
    found = joined.signals([7, 0, 5, 0, 4])
    expected = [b.signals([2]), a.signals([0]), b.signals([0]), a.signals([0]), a.signals([4])]
    assert np.array_equal(found, np.concatenate(expected))
    assert np.array_equal(joined.millivolts([6]), b.millivolts([1]))
    assert joined.record(6).record == "b1" and np.array_equal(joined.record(6).signal, b.millivolts([1])[0])
    with pytest.raises(StoreError, match="row 8 of 8"):
        joined.signals([8])


def test_signals_go_into_what_is_handed_in(stores):
    for store in (open_store(stores[0]), open_stores(stores)):
        out = np.empty((2, 12, 1000), np.int16)
        assert store.signals([3, 1], out) is out
        assert np.array_equal(out, store.signals([3, 1]))
        with pytest.raises(StoreError, match="give int16"):
            store.signals([3, 1, 2], out)


def test_one_path_is_that_store_itself(stores):
    assert isinstance(open_stores(stores[:1]), Store)
    assert open_stores(stores[:1], [3.0]).sha256 == open_store(stores[0]).sha256


def test_the_identity_is_that_of_all_stores_in_their_order_with_their_weights(stores):
    made = [
        open_stores(stores),
        open_stores(stores[::-1]),
        open_stores(stores, [1, 2]),
        open_stores(stores, [2, 1]),
        open_store(stores[0]),
    ]
    assert len({store.sha256 for store in made}) == len(made)
    assert open_stores(stores, [1, 1]).sha256 == made[0].sha256


@pytest.mark.parametrize("weights", [[1.0], [1.0, 2.0, 3.0], [1.0, 0.0], [1.0, -1.0], [1.0, float("nan")]])
def test_weights_are_one_positive_number_a_store(stores, weights):
    with pytest.raises(StoreError, match="--weights"):
        open_stores(stores, weights)


@pytest.mark.parametrize(
    ("change", "told"), [({"rate": 50.0}, ("100 Hz", "50 Hz")), ({"seconds": 5.0}, ("1000 samples", "500 samples"))]
)
def test_stores_of_another_form_are_refused_and_both_are_named(stores, tmp_path, change, told):
    other = prepared(tmp_path, [("c", "p", "train", 20)], **change)
    with pytest.raises(StoreError) as error:
        open_stores([*stores, other])
    assert all(words in str(error.value) for words in (str(stores[0]), str(other), *told))


def test_a_store_named_twice_and_none_are_refused(stores):
    with pytest.raises(StoreError, match="same store"):
        open_stores([stores[0], stores[1], stores[0]])
    with pytest.raises(StoreError, match="no store is named"):
        open_stores([])


def test_what_is_in_another_store_s_test_is_not_trained_on(stores, tmp_path):
    """Copies of a4 (test of the first) and of a1 (train) come in a third store's train and test splits."""
    third = prepared(tmp_path, [("c0", "q0", "train", 4), ("c1", "q1", "test", 1), ("c2", "q2", "train", 30)])
    joined = open_stores([*stores, third])
    kept = dict(zip(joined.index["record"], joined.index["split"], strict=True))
    assert kept.keys() == {"a0", "a2", "a3", "a4", "b0", "b1", "b2", "c1", "c2"}
    assert (kept["a4"], kept["c1"]) == ("test", "test")
    assert joined.warnings[0].startswith("2 records are left out")
    assert np.array_equal(joined.signals([8])[0], open_store(third).signals([2])[0])
    assert len(joined) == 9


def test_near_fingerprints_of_different_signals_leave_nothing_out(stores, tmp_path, monkeypatch):
    """The signals decide: here every fingerprint is made to look like every other."""
    from cmelt.store import joined as module

    third = prepared(tmp_path, [("c0", "q0", "train", 4), ("c1", "q1", "test", 31)])
    monkeypatch.setattr(module, "copy_groups", lambda texts: np.zeros(len(texts), np.int64))
    joined = open_stores([*stores, third])
    assert "c0" not in set(joined.index["record"])
    assert len(joined) == 9


def test_copies_in_the_train_splits_of_two_stores_are_kept_and_told(stores, tmp_path):
    joined = open_stores([stores[0], prepared(tmp_path, [("c0", "q0", "train", 2)])])
    assert len(joined) == 6
    assert "2 train records are, by their fingerprints, in several" in joined.warnings[0]


def test_patients_in_different_splits_of_two_stores_are_told_where_they_can_be_known(stores, tmp_path):
    torn = prepared(tmp_path / "one", [("c0", "pa0", "test", 40)])
    assert open_stores([stores[0], torn]).warnings == (f"1 patients of {stores[0]} are in another split in {torn}",)
    hidden = prepared(tmp_path / "two", [("c0", "pa0", "test", 40)], key="another")
    assert "different patient keys" in open_stores([stores[0], hidden]).warnings[0]


@pytest.mark.slow
def test_the_challenge_s_copies_of_ptb_xl_are_kept_out_of_its_test_folds(data_dir, tmp_path):
    """HR00008, HR00009, HR00010 lie in PTB-XL's folds 9 and 10, at 100 Hz there and at 500 Hz here."""
    prepare_store(PtbXl(str(data_dir / "ptb-xl")), tmp_path / "ptb", SETTINGS)
    prepare_store(Cinc2021(str(data_dir / "challenge-2021")), tmp_path / "cinc", SETTINGS)
    joined = open_stores([tmp_path / "ptb", tmp_path / "cinc"])
    named = {record for record in open_store(tmp_path / "cinc").index["record"] if record.startswith("HR")}
    kept = dict(zip(joined.index["record"], joined.index["split"], strict=True))
    copied = {record: str(int(record.removeprefix("HR"))) for record in named}
    for record, original in copied.items():
        if record in kept and original in kept:
            assert kept[record] == kept[original]
    assert {"HR00008", "HR00009", "HR00010"} <= named - kept.keys()
