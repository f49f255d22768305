"""Who belongs together: patients, copies of a signal, and splits that nobody is moved between."""

from __future__ import annotations

from collections import Counter

import pytest

from cmelt.sources.folder import Folder
from cmelt.store import ShardSettings, open_store, prepare_store
from cmelt.store.patients import patient_hash, split_of
from ecg_files import heart, write_wfdb

SETTINGS = ShardSettings(100.0, 10.0, "first", "key")


def prepared(tmp_path, rows: list[tuple[str, str, int]], name: str = "out", rate: float = 100.0, split: str = ""):
    """A store of (record, patient, seed of the signal); seeds are shared by copies."""
    tree = tmp_path / "tree"
    for record, _, seed in rows:
        if not (tree / f"{record}.hea").exists():
            write_wfdb(tree / record, heart(seed, 200.0), 200.0)
    lines = [f"{record},{patient},{split}" for record, patient, _ in rows]
    (tmp_path / "t.csv").write_text("record,patient,split\n" + "\n".join(lines) + "\n")
    settings = ShardSettings(rate, 10.0, "first", "key")
    prepare_store(Folder(str(tree), str(tmp_path / "t.csv")), tmp_path / name, settings)
    return open_store(tmp_path / name)


def splits_of(store) -> dict[str, str]:
    return dict(zip(store.index["record"], store.index["split"], strict=True))


def a_patient_in(split: str, besides: tuple[str, ...] = ()) -> str:
    return next(f"p{n}" for n in range(1000) if split_of("folder", f"p{n}") == split and f"p{n}" not in besides)


def test_the_shares_are_80_10_10():
    counts = Counter(split_of("folder", f"patient {number}") for number in range(20_000))
    assert counts["train"] / 20_000 == pytest.approx(0.8, abs=0.01)
    assert counts["validation"] / 20_000 == pytest.approx(0.1, abs=0.01)


def test_hashes_depend_on_key_and_source_and_do_not_show_the_patient():
    found = {patient_hash(key, source, "4711") for key in ("a", "b") for source in ("ptb-xl", "folder")}
    assert len(found) == 4
    assert all(len(text) == 16 and "4711" not in text for text in found)


def test_all_records_of_a_patient_are_in_one_split(tmp_path):
    store = prepared(tmp_path, [(f"r{n}", f"p{n // 3}", n) for n in range(30)])
    by_patient: dict[str, set[str]] = {}
    for patient, split in zip(store.index["patient"], store.index["split"], strict=True):
        by_patient.setdefault(patient, set()).add(split)
    assert len(by_patient) == 10
    assert all(len(found) == 1 for found in by_patient.values())


def test_adding_records_moves_nobody(tmp_path):
    rows = [(f"r{n}", f"p{n}" if n % 2 else "", n) for n in range(30)]
    few = splits_of(prepared(tmp_path, rows[10:25], "few"))
    many = splits_of(prepared(tmp_path, rows, "many"))
    assert all(many[record] == split for record, split in few.items())


def test_copies_without_a_patient_are_one_group_at_any_rate(tmp_path):
    rows = [(f"r{n}", "", n // 2) for n in range(20)]
    store, slower = prepared(tmp_path, rows), prepared(tmp_path, rows, "slower", rate=50.0)
    assert len(store) == 20
    assert store.index["patient"].nunique() == 10
    assert splits_of(store) == splits_of(slower)
    for first, second in zip(store.index["split"][::2], store.index["split"][1::2], strict=True):
        assert first == second


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_copy_without_a_patient_joins_the_patient_that_has_the_signal(tmp_path, split):
    patient = a_patient_in(split)
    store = prepared(tmp_path, [("known", patient, 1), ("nobody", "", 1), ("other", "", 2)])
    assert splits_of(store)["nobody"] == split
    assert store.index["patient"][0] == store.index["patient"][1] != store.index["patient"][2]


def test_a_signal_of_two_patients_in_two_splits_is_kept_where_it_judges(tmp_path):
    learner, judge = a_patient_in("train"), a_patient_in("test")
    rows = [("a", learner, 1), ("b", judge, 1), ("c", learner, 2), ("d", judge, 3)]
    store = prepared(tmp_path, rows)
    assert splits_of(store) == {"a": "", "b": "test", "c": "train", "d": "test"}
    assert ["copy-across-splits" in flags for flags in store.index["flags"]] == [True, False, False, False]
    assert store.manifest["held_back"] == 1 and store.manifest["splits"] == {"train": 1, "validation": 0, "test": 2}
    assert "1 records have the same signal" in store.manifest["warnings"][0] and not store.quarantine
    assert store.rows("train", "validation", "test").tolist() == [1, 2, 3] and len(store.rows()) == 4


def test_a_signal_of_two_patients_in_one_split_stays_twice(tmp_path):
    one = a_patient_in("train")
    store = prepared(tmp_path, [("a", one, 1), ("b", a_patient_in("train", (one,)), 1)])
    assert len(store) == 2


def test_given_splits_are_obeyed_and_what_they_tear_is_reported(tmp_path):
    write_wfdb(tmp_path / "tree/a", heart(1))
    write_wfdb(tmp_path / "tree/b", heart(1))
    (tmp_path / "t.csv").write_text("record,patient,split\na,p,train\nb,p,test\n")
    result = prepare_store(Folder(str(tmp_path / "tree"), str(tmp_path / "t.csv")), tmp_path / "out", SETTINGS)
    assert splits_of(open_store(tmp_path / "out")) == {"a": "train", "b": "test"}
    assert len(result.warnings) == 2
    assert "1 patients" in result.warnings[1]
