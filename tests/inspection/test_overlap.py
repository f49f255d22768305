"""What of one store is inside another: by signal, at any rate; by patient, where hashes can be compared."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.inspection.overlap import overlap_of, patients_comparable
from cmelt.simulation import simulate
from cmelt.sources.folder import Folder
from cmelt.sources.ptb_xl import PtbXl
from cmelt.store import ShardSettings, open_store, prepare_store
from ecg_files import write_wfdb


def store_of(tmp_path, name: str, rows: list[tuple[str, str, int, str]], rate: float = 100.0, key: str = "key"):
    """A store of (record, patient, seed, split)."""
    for record, _, seed, _ in rows:
        write_wfdb(tmp_path / name / record, simulate(seed, [], rate=rate).signal, rate)
    table = tmp_path / f"{name}.csv"
    table.write_text("record,patient,split\n" + "".join(f"{row[0]},{row[1]},{row[3]}\n" for row in rows))
    settings = ShardSettings(100.0, 10.0, "first", key)
    prepare_store(Folder(str(tmp_path / name), str(table)), tmp_path / f"{name}-store", settings)
    return open_store(tmp_path / f"{name}-store")


A_ROWS = [("a0", "p0", 10, "train"), ("a1", "p1", 11, "test"), ("a2", "p2", 12, "train")]
B_ROWS = [("b0", "q0", 20, "test"), ("b1", "q1", 11, "test"), ("b2", "q1", 21, "validation"), ("b3", "p2", 22, "test")]


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("overlap")
    return store_of(folder, "a", A_ROWS), store_of(folder, "b", B_ROWS, rate=500.0)


def test_a_copy_at_another_rate_and_its_splits_are_found(stores):
    found = overlap_of(*stores)
    assert found.pairs.tolist() == [[1, 1]]
    assert found.splits == {("test", "test"): 1}
    assert found.resemblance[0] > 0.99
    assert found.as_json()["copies_by_split"] == {"test/test": 1}


def test_a_patient_is_known_by_hash_or_by_a_copy(stores):
    found = overlap_of(*stores)
    assert found.patients_comparable
    assert found.patient_rows.tolist() == [1, 2, 3]  # b2 is of the patient of the copy, b3 of p2
    assert found.known_rows.tolist() == [1, 2, 3]
    assert found.patient_splits == {"test": 2, "validation": 1}


def test_only_the_splits_asked_for_count(stores):
    found = overlap_of(*stores, splits=("train",))
    assert found.pairs.tolist() == []
    assert found.known_rows.tolist() == [3]
    assert found.as_json()["least_resemblance"] is None


def test_patients_of_other_keys_are_not_compared(stores, tmp_path):
    other = store_of(tmp_path, "b", B_ROWS, key="another key")
    assert not patients_comparable(stores[0], other)
    assert overlap_of(stores[0], other).known_rows.tolist() == [1, 2]


def test_a_store_is_wholly_inside_itself(stores):
    found = overlap_of(stores[1], stores[1])
    assert found.copied_rows.tolist() == [0, 1, 2, 3]
    assert found.rejected == 0


def test_a_near_fingerprint_of_another_signal_is_rejected(stores):
    store = open_store(stores[1].path)
    store.index["fingerprint"] = stores[0].index["fingerprint"].iloc[0]
    found = overlap_of(stores[0], store)
    assert (len(found.pairs), found.rejected) == (0, 4)


def test_the_challenge_s_copy_of_ptb_xl_is_found_in_ptb_xl(data_dir, tmp_path):
    prepare_store(PtbXl(str(data_dir / "ptb-xl")), tmp_path / "a", ShardSettings(100.0, 10.0, "first", "key"))
    prepare_store(Folder(str(data_dir / "challenge-2021/ptb-xl")), tmp_path / "b", ShardSettings(500.0, 10.0, "first", "key"))
    a, b = open_store(tmp_path / "a"), open_store(tmp_path / "b")
    found = overlap_of(a, b)
    numbers = [(int(a.index["record"][one]), int(b.index["record"][other][-5:])) for one, other in found.pairs.tolist()]
    assert all(one == other for one, other in numbers)
    held = {int(record) for record in a.index["record"]}
    assert {other for _, other in numbers} == {int(record[-5:]) for record in b.index["record"]} & held
    assert len(numbers) == 11
    assert found.rejected == 0
    assert np.all(found.resemblance > 0.99)
