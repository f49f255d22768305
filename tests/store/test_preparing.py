"""Preparing: the same bytes however it went, nothing half written, nothing lost in silence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmelt.errors import StoreError
from cmelt.publishing import sha256
from cmelt.records.record import LEADS
from cmelt.sources.folder import Folder
from cmelt.sources.mimic_iv_ecg import MimicIvEcg
from cmelt.sources.ptb_xl import PtbXl
from cmelt.store import ShardSettings, open_store, prepare_store
from ecg_files import heart, write_ptb_xl, write_wfdb
from mimic_files import studies, write_mimic

SETTINGS = ShardSettings(100.0, 10.0, "first", "key")


@pytest.fixture
def source(tmp_path):
    return PtbXl(str(write_ptb_xl(tmp_path / "source", 23)))


def tree_of(store: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder."""
    return {path.relative_to(store).as_posix(): sha256(path) for path in sorted(store.rglob("*")) if path.is_file()}


def test_what_goes_in_comes_out(source, tmp_path):
    prepared = prepare_store(source, tmp_path / "out", SETTINGS, shard_records=5)
    store = open_store(tmp_path / "out", verify="full")
    assert (len(store), store.rate, store.samples, store.leads) == (23, 100, 1000, LEADS)
    assert (prepared.records, prepared.missing_files, prepared.shards, prepared.sha256) == (23, 1, 5, store.sha256)
    assert np.abs(store.millivolts([7])[0] - heart(8)).max() <= 0.0011
    assert store.index["record"].to_list() == [str(number) for number in range(1, 24)]
    assert set(store.index["split"]) == {"train", "validation", "test"}
    assert not any(path.name.startswith(".") for path in tmp_path.iterdir())


def test_the_number_of_workers_changes_no_byte(source, tmp_path):
    prepare_store(source, tmp_path / "one", SETTINGS, shard_records=5)
    prepare_store(source, tmp_path / "two", SETTINGS, shard_records=5, workers=2)
    assert tree_of(tmp_path / "one") == tree_of(tmp_path / "two")


def test_no_patient_number_gets_into_a_store(source, tmp_path):
    prepare_store(source, tmp_path / "out", SETTINGS)
    patients = {entry.patient for entry in source.entries().entries}
    assert not patients & set(open_store(tmp_path / "out").index["patient"])
    other = prepare_store(source, tmp_path / "other", replace(SETTINGS, patient_key="another"))
    assert open_store(tmp_path / "other").rows("test").tolist() == open_store(tmp_path / "out").rows("test").tolist()
    assert other.sha256 != open_store(tmp_path / "out").sha256


def test_folders_named_after_patients_are_written_down_nowhere(tmp_path):
    """MIMIC-IV-ECG: the path of each file holds the patient's number; a broken file must still be found, by its study."""
    listed = studies(6)
    root = write_mimic(tmp_path / "mimic", listed)
    (root / f"{listed[2].path}.dat").write_bytes(b"")
    prepare_store(MimicIvEcg(str(root)), tmp_path / "out", SETTINGS)
    store = open_store(tmp_path / "out")
    written = store.index.to_csv() + "".join(
        (tmp_path / "out" / name).read_text() for name in ("manifest.json", "quarantine.jsonl")
    )
    assert not [study.subject for study in listed if str(study.subject) in written]
    assert store.quarantine[0]["path"].endswith(str(listed[2].number))
    assert str(listed[0].number) in store.index["origin"][0]


def cmelt(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "cmelt.cli", *map(str, arguments)]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src"), "OMP_NUM_THREADS": "1"}


def children_of(process: int) -> list[str]:
    listed = Path(f"/proc/{process}/task/{process}/children")
    return listed.read_text().split() if listed.exists() else []


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_killed_preparation_goes_on_and_ends_with_the_same_bytes(tmp_path, workers):
    """SIGKILL in the middle: no store is there, finished shards are not made again, the result is that of an undisturbed run."""
    folder = write_ptb_xl(tmp_path / "source", 400)
    command = cmelt("prepare", "ptb-xl", folder, "--out", tmp_path / "killed", "--shard-records", "20", "--workers", workers)
    receipts = tmp_path / ".killed.preparing" / "receipts"
    with subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL, start_new_session=True) as process:
        deadline = time.monotonic() + 60
        while len(list(receipts.glob("*.json"))) < 4 and time.monotonic() < deadline:
            time.sleep(0.005)
        children = children_of(process.pid)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "killed").exists()
    while any(Path(f"/proc/{child}").exists() for child in children):  # workers go with their parent
        assert time.monotonic() < deadline
        time.sleep(0.02)
    done = {path.name: path.stat().st_mtime_ns for path in receipts.glob("*.json")}
    assert 4 <= len(done) < 20
    again = subprocess.run([*command, "--json"], env=environment(), capture_output=True, check=True, text=True)
    assert json.loads(again.stdout)["shards_kept"] == len(done)
    prepare_store(
        PtbXl(str(folder)), tmp_path / "whole", ShardSettings(100.0, 10.0, "first", "cmelt"), shard_records=20, workers=1
    )
    assert tree_of(tmp_path / "killed") == tree_of(tmp_path / "whole")
    assert not receipts.exists()


def test_finished_shards_are_redone_only_where_their_files_changed(source, tmp_path, monkeypatch):
    from cmelt.store import prepare as preparing

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(preparing, "rename", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare_store(source, tmp_path / "out", SETTINGS, shard_records=5)
    write_wfdb(Path(source.folder) / "records100/00000/00007_lr", heart(99))
    damaged = tmp_path / ".out.preparing/store/shards/00003.npy"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    prepared = prepare_store(source, tmp_path / "out", SETTINGS, shard_records=5)
    assert (prepared.shards, prepared.shards_kept) == (5, 3)
    open_store(tmp_path / "out", verify="full")
    assert np.abs(open_store(tmp_path / "out").millivolts([6])[0] - heart(99)).max() <= 0.0011


def test_leftovers_of_other_settings_do_not_get_in(source, tmp_path, monkeypatch):
    from cmelt.store import prepare as preparing

    with monkeypatch.context() as patched:
        patched.setattr(preparing, "rename", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            prepare_store(source, tmp_path / "out", SETTINGS, shard_records=2)
    changed = replace(SETTINGS, seconds=5.0)
    prepared = prepare_store(source, tmp_path / "out", changed, shard_records=5)
    assert prepared.shards_kept == 0
    prepare_store(source, tmp_path / "clean", changed, shard_records=5)
    assert tree_of(tmp_path / "out") == tree_of(tmp_path / "clean")


def test_an_existing_store_is_kept_unless_forced_and_until_the_new_one_is_complete(source, tmp_path, monkeypatch):
    first = prepare_store(source, tmp_path / "out", SETTINGS)
    with pytest.raises(StoreError, match="exists already"):
        prepare_store(source, tmp_path / "out", SETTINGS)
    from cmelt.store import prepare as preparing

    with monkeypatch.context() as patched:
        patched.setattr(preparing, "rename", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            prepare_store(source, tmp_path / "out", replace(SETTINGS, seconds=5.0), force=True)
    assert open_store(tmp_path / "out", verify="full").sha256 == first.sha256
    prepare_store(source, tmp_path / "out", replace(SETTINGS, seconds=5.0), force=True)
    assert open_store(tmp_path / "out", verify="full").samples == 500
    assert {path.name for path in tmp_path.iterdir()} == {"out", "source"}


def test_a_new_or_empty_folder_is_as_good_as_none(source, tmp_path):
    (tmp_path / "empty").mkdir()
    for out in (tmp_path / "empty", tmp_path / "deep/er/out"):
        prepare_store(source, out, SETTINGS)
        assert len(open_store(out)) == 23


def test_replacing_works_where_names_cannot_be_exchanged(source, tmp_path, monkeypatch):
    import cmelt.publishing

    prepare_store(source, tmp_path / "out", SETTINGS)
    monkeypatch.setattr(cmelt.publishing, "_exchange", lambda *_: False)
    prepare_store(source, tmp_path / "out", replace(SETTINGS, seconds=5.0), force=True)
    assert open_store(tmp_path / "out", verify="full").samples == 500
    assert {path.name for path in tmp_path.iterdir()} == {"out", "source"}


def test_a_folder_that_is_no_store_is_never_replaced(source, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter1.tex").write_text("years of work")
    with pytest.raises(StoreError, match="not a store"):
        prepare_store(source, tmp_path / "thesis", SETTINGS, force=True)
    assert (tmp_path / "thesis/chapter1.tex").exists()


def test_two_preparations_of_one_store_do_not_mix(source, tmp_path):
    from cmelt.store.staging import only_one

    with only_one(tmp_path / ".out.preparing"), pytest.raises(StoreError, match="another process"):
        prepare_store(source, tmp_path / "out", SETTINGS)


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"rate": 1e6}, {"seconds": 0.1}])
def test_impossible_settings_are_refused(source, tmp_path, wrong):
    with pytest.raises(StoreError, match="out of range"):
        prepare_store(source, tmp_path / "out", replace(SETTINGS, **wrong))


def test_bad_records_are_left_out_with_their_reason_and_the_others_stay(source, tmp_path):
    folder = Path(source.folder) / "records100/00000"
    (folder / "00003_lr.dat").write_bytes(b"")
    header = folder / "00005_lr.hea"
    header.write_text(header.read_text().replace(" 12 100 ", " 12 -100 "))
    write_wfdb(folder / "00009_lr", np.zeros((12, 1000), np.float32))
    prepared = prepare_store(source, tmp_path / "out", SETTINGS, shard_records=4)
    store = open_store(tmp_path / "out", verify="full")
    assert (len(store), prepared.quarantined) == (20, 3)
    assert [line["record"] for line in store.quarantine] == ["3", "5", "9"]
    assert all(line["reason"] and line["remedy"] and line["path"] for line in store.quarantine)
    assert "no usable lead" in store.quarantine[2]["reason"]
    assert "sinusrhythmus" not in (tmp_path / "out/quarantine.jsonl").read_text()
    assert sum(prepared.reasons.values()) == 3
    assert np.abs(store.millivolts([2])[0] - heart(4)).max() <= 0.0011


def test_a_source_without_a_usable_record_makes_no_store(tmp_path):
    write_wfdb(tmp_path / "tree/r", np.zeros((12, 1000), np.float32))
    with pytest.raises(StoreError, match=r"none of 1 records can be used: 1 × no usable lead"):
        prepare_store(Folder(str(tmp_path / "tree")), tmp_path / "out", SETTINGS)
    assert not (tmp_path / "out").exists()


def test_what_int16_cannot_hold_is_flagged(tmp_path):
    signal = heart()
    signal[7, 500] = 40.0
    write_wfdb(tmp_path / "tree/r", signal, gain=200)
    prepare_store(Folder(str(tmp_path / "tree")), tmp_path / "out", SETTINGS)
    store = open_store(tmp_path / "out")
    assert store.index["flags"][0] == ["beyond-range:V2", "jump:V2"]
    assert store.millivolts([0])[0, 7, 500] == pytest.approx(32.767)
