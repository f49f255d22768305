"""Whole archives: the vectors of the one-by-one calls, the same bytes whoever works or dies, no other job's leftovers."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import cmelt
from cmelt.errors import CheckpointError, ConfigError, SourceError, StoreError
from cmelt.publishing import MANIFEST, sha256, verify
from cmelt.records.readers import ReadOptions
from cmelt.serving.bulk import How, classify_archive, default_workers, embed_archive
from cmelt.serving.bulk_tasks import BulkTask, Job, finish_bulk
from cmelt.store import open_store
from cmelt.store.staging import only_one
from ecg_files import heart, write_wfdb
from tiny_runs import RATE
from trained_towers import saved_model, tiny_model

CLASSES = {"flutter": ["atrial flutter."], "normal": ["normal ecg."]}
ALONE = How(workers=1)


@pytest.fixture(scope="module")
def alone(tiny_store, model_folder, tmp_path_factory) -> Path:
    """Vectors of the store, by one process."""
    out = tmp_path_factory.mktemp("alone") / "vectors"
    embed_archive(tiny_store, out, model_folder, ALONE)
    return out


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """Seven ECGs, one of 25 s, and one that is none."""
    folder = tmp_path_factory.mktemp("tree")
    for number in range(6):
        write_wfdb(folder / f"ward/{number}", heart(number, rate=250.0), rate=250.0)
    write_wfdb(folder / "long", heart(9, seconds=25.0))
    write_wfdb(folder / "flat", np.zeros((12, 1000), np.float32))
    return folder


def tree_of(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def vectors_in(path: Path) -> np.ndarray:
    return np.stack(pq.read_table(path)["vector"].to_numpy(zero_copy_only=False))


def staging(out: Path) -> Path:
    return out.with_name(f".{out.name}.embedding")


def test_a_store_s_vectors_are_those_of_its_records_one_by_one(alone, tiny_store, model, processor):
    store = open_store(tiny_store)
    records = [cmelt.Record(store.millivolts([row])[0], RATE, cmelt.LEADS) for row in range(len(store))]
    one_by_one = np.concatenate([cmelt.embed(model, processor, record) for record in records])
    found = np.concatenate([vectors_in(path) for path in sorted((alone / "shards").iterdir())])
    assert np.abs(found - one_by_one).max() < 1e-5
    assert np.abs(np.linalg.norm(found, axis=1) - 1).max() < 1e-6
    assert one_by_one.std(0).min() > 1e-5  # they are not all alike


def test_there_is_one_file_of_results_for_each_shard_of_a_store_with_its_records_in_order(alone, tiny_store):
    index = open_store(tiny_store).index
    shards = sorted((alone / "shards").iterdir())
    assert [path.name for path in shards] == [f"{number:05d}.parquet" for number in index["shard"].unique()]
    names = [pq.read_table(path)["record"].to_pylist() for path in shards]
    assert [name for shard in names for name in shard] == index["record"].to_list()
    assert str(pq.read_schema(shards[0]).field("vector").type) == "fixed_size_list<element: float>[16]"


def test_results_say_what_they_are_of_and_are_sealed(alone, tiny_store, model_folder):
    about = verify(alone)["cmelt"]
    weights = json.loads((model_folder / MANIFEST).read_text())["files"]["model.safetensors"]["sha256"]
    assert (about["model"], about["precision"], about["archive"]["sha256"]) == (weights, "float32", open_store(tiny_store).sha256)
    assert (about["records"], about["quarantined"], about["shards"]) == (60, 0, 3)
    assert str(tiny_store) not in (alone / MANIFEST).read_text()
    assert (alone / "quarantine.jsonl").read_bytes() == b""


@pytest.mark.parametrize(
    "how", [How(workers=2), pytest.param(How(workers=2, dask="local"), marks=pytest.mark.slow)], ids=["processes", "Dask"]
)
def test_the_bytes_are_those_of_one_process(alone, tiny_store, model_folder, tmp_path, how):
    if how.dask:
        pytest.importorskip("distributed")
    told = []
    done = embed_archive(tiny_store, tmp_path / "out", model_folder, how, lambda done, total: told.append((done, total)))
    assert tree_of(tmp_path / "out") == tree_of(alone)
    assert (done.records, done.shards, done.shards_kept) == (60, 3, 0)
    assert told[0] == (0, 60) and told[-1] == (60, 60)
    assert not staging(tmp_path / "out").exists()


def embed_slowly(store: str, out: str, model: str) -> None:
    """In a process that is killed: a second between two shards."""
    embed_archive(store, out, model, ALONE, lambda done, _: time.sleep(30 if done else 0))


def test_killed_and_started_again_it_keeps_what_was_finished(alone, tiny_store, model_folder, tmp_path):
    out = tmp_path / "out"
    process = multiprocessing.get_context("spawn").Process(
        target=embed_slowly, args=(str(tiny_store), str(out), str(model_folder))
    )
    process.start()
    deadline = time.monotonic() + 120
    while not list((staging(out) / "receipts").glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not out.exists()
    before = {path.name: path.stat().st_mtime_ns for path in (staging(out) / "result/shards").iterdir()}
    done = embed_archive(tiny_store, out, model_folder, ALONE)
    assert done.shards_kept == len(before) == 1
    assert all((out / "shards" / name).stat().st_mtime_ns == written for name, written in before.items())
    assert tree_of(out) == tree_of(alone)


def test_an_interrupt_leaves_the_finished_shards(tiny_store, model_folder, tmp_path):
    def interrupt(done: int, _: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_archive(tiny_store, tmp_path / "out", model_folder, ALONE, interrupt)
    assert not (tmp_path / "out").exists()
    assert embed_archive(tiny_store, tmp_path / "out", model_folder, ALONE).shards_kept == 1


def test_a_half_written_or_altered_shard_is_made_again(alone, tiny_store, model_folder, tmp_path):
    out = tmp_path / "out"

    def break_it(done: int, _: int) -> None:
        if done == 50:
            shard = staging(out) / "result/shards/00000.parquet"
            shard.write_bytes(shard.read_bytes()[:-1])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_archive(tiny_store, out, model_folder, ALONE, break_it)
    assert embed_archive(tiny_store, out, model_folder, ALONE).shards_kept == 1
    assert tree_of(out) == tree_of(alone)


@pytest.mark.parametrize("other", ["model", "precision", "store", "question"])
def test_another_job_s_leftovers_are_refused_and_thrown_away_only_when_told_to(tiny_store, model_folder, tmp_path, other):
    def interrupt(done: int, _: int) -> None:
        if done:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        embed_archive(tiny_store, out, model_folder, ALONE, interrupt)
    store, model, how = tiny_store, model_folder, ALONE
    if other == "model":
        weights = tiny_model()
        weights.ecg_encoder.class_token.data += 1
        model = saved_model(tmp_path / "model", weights)
    elif other == "precision":
        how = replace(how, precision="bfloat16")
    elif other == "store":
        store = another_store(tmp_path / "store")
    if other == "question":
        with pytest.raises(StoreError, match=r"another job .*classes, prompts, scoring"):
            classify_archive(store, out, CLASSES, model, how)
        return
    with pytest.raises(StoreError, match="unfinished results of another job") as caught:
        embed_archive(store, out, model, how)
    assert "--force" in str(caught.value)
    assert embed_archive(store, out, model, replace(how, force=True)).shards_kept == 0


def another_store(folder: Path) -> Path:
    from cmelt.sources.simulated import Simulated
    from cmelt.store import ShardSettings, prepare_store

    prepare_store(Simulated(6, seed=6, rate=RATE), folder, ShardSettings(RATE, 10.0, "first", "key"))
    return folder


def test_finished_results_are_not_made_again_and_not_replaced_by_others(alone, tiny_store, model_folder, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(alone, out)
    done = embed_archive(tiny_store, out, model_folder, ALONE)
    assert (done.records, done.shards_kept, done.shards) == (60, 3, 3)
    with pytest.raises(StoreError, match="exists already"):
        embed_archive(tiny_store, out, model_folder, replace(ALONE, precision="bfloat16"))
    embed_archive(tiny_store, out, model_folder, replace(ALONE, precision="bfloat16", force=True))
    assert verify(out)["cmelt"]["precision"] == "bfloat16"


def test_what_is_no_result_of_ours_is_never_replaced(tiny_store, model_folder, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter1.tex").write_text("years of work")
    (tmp_path / "table.parquet").write_text("years of work")
    for out in ("thesis", "table.parquet"):
        with pytest.raises(StoreError, match="no results of this command"):
            embed_archive(tiny_store, tmp_path / out, model_folder, replace(ALONE, force=True))
    assert (tmp_path / "thesis/chapter1.tex").read_text() == (tmp_path / "table.parquet").read_text() == "years of work"


def test_two_at_once_do_not_mix(tiny_store, model_folder, tmp_path):
    with only_one(staging(tmp_path / "out")), pytest.raises(StoreError, match="another process is writing"):
        embed_archive(tiny_store, tmp_path / "out", model_folder, ALONE)


def test_one_file_holds_what_the_shards_hold(alone, tiny_store, model_folder, tmp_path):
    out = tmp_path / "vectors.parquet"
    embed_archive(tiny_store, out, model_folder, ALONE)
    assert np.array_equal(vectors_in(out), np.concatenate([vectors_in(path) for path in sorted((alone / "shards").iterdir())]))
    assert json.loads(pq.read_schema(out).metadata[b"cmelt"]) == verify(alone)["cmelt"]
    assert embed_archive(tiny_store, out, model_folder, ALONE).shards_kept == 3
    assert {path.name for path in tmp_path.iterdir()} == {"vectors.parquet"}


def test_a_store_s_scores_are_those_of_its_records_one_by_one(tiny_store, model_folder, model, processor, tmp_path):
    store = open_store(tiny_store)
    classify_archive(tiny_store, tmp_path / "scores.parquet", CLASSES, model_folder, ALONE)
    table = pq.read_table(tmp_path / "scores.parquet")
    assert table.column_names == ["record", *CLASSES]
    expected = cmelt.classify(
        model, processor, [cmelt.Record(store.millivolts([r])[0], RATE, cmelt.LEADS) for r in range(9)], CLASSES
    )
    found = np.stack([table[name].to_numpy()[:9] for name in CLASSES], axis=1)
    assert np.abs(found - expected.values).max() < 1e-5
    about = json.loads(table.schema.metadata[b"cmelt"])
    assert (about["classes"], about["scoring"]) == (list(CLASSES), expected.scoring)


def test_a_question_that_cannot_be_answered_is_refused_before_any_work(tiny_store, model_folder, tmp_path):
    with pytest.raises(ConfigError, match="no scoring"):
        classify_archive(tiny_store, tmp_path / "out", CLASSES, model_folder, ALONE, scoring="nonsense")
    assert not list(tmp_path.iterdir())


def test_a_folder_s_files_are_read_in_the_model_s_form_and_others_are_listed(tree, model_folder, model, processor, tmp_path):
    done = embed_archive(tree, tmp_path / "out", model_folder, replace(ALONE, shard_records=3))
    assert (done.records, done.quarantined, done.shards) == (7, 1, 3)
    table = pq.read_table(tmp_path / "out/shards")
    names = table["record"].to_pylist()
    expected = np.concatenate([cmelt.embed(model, processor, tree / name) for name in names])
    assert np.abs(np.stack(table["vector"].to_numpy(zero_copy_only=False)) - expected).max() < 1e-5
    assert dict(zip(names, table["windows"].to_pylist(), strict=True))[next(n for n in names if "long" in n)] == 3
    left_out = json.loads((tmp_path / "out/quarantine.jsonl").read_text())
    assert "flat" in left_out["path"] and "no usable lead" in left_out["reason"] and left_out["remedy"]


@pytest.mark.slow
def test_a_folder_s_results_are_the_same_bytes_from_several_workers(tree, model_folder, tmp_path):
    how = replace(ALONE, shard_records=2)
    embed_archive(tree, tmp_path / "one", model_folder, how)
    embed_archive(tree, tmp_path / "two", model_folder, replace(how, workers=2))
    assert tree_of(tmp_path / "one") == tree_of(tmp_path / "two")


def test_a_file_of_a_folder_that_changed_meanwhile_is_read_again(tree, model_folder, tmp_path):
    copy = tmp_path / "tree"
    shutil.copytree(tree, copy)

    def interrupt(done: int, _: int) -> None:
        if done == 6:
            raise KeyboardInterrupt

    how = replace(ALONE, shard_records=2)
    with pytest.raises(KeyboardInterrupt):
        embed_archive(copy, tmp_path / "out", model_folder, how, interrupt)
    write_wfdb(copy / "ward/0", heart(77, rate=250.0), rate=250.0)
    assert embed_archive(copy, tmp_path / "out", model_folder, how).shards_kept == 2


def test_files_of_bare_numbers_are_read_as_they_are_said_to_be(model_folder, tmp_path):
    (tmp_path / "tree").mkdir()
    np.save(tmp_path / "tree/a.npy", heart(3))
    with pytest.raises(StoreError, match=r"none of 1 records can be read: 1 × does not name its leads"):
        embed_archive(tmp_path / "tree", tmp_path / "out", model_folder, ALONE)
    said = ReadOptions(rate=100.0, unit="mV", leads=tuple(cmelt.LEADS))
    assert embed_archive(tmp_path / "tree", tmp_path / "out", model_folder, replace(ALONE, reading=said)).records == 1


def test_a_store_in_another_form_than_the_model_s_is_refused(model_folder, tmp_path):
    from cmelt.sources.simulated import Simulated
    from cmelt.store import ShardSettings, prepare_store

    prepare_store(Simulated(3, seed=6, rate=200.0), tmp_path / "store", ShardSettings(200.0, 10.0, "first", "key"))
    with pytest.raises(StoreError, match="200 Hz, the model's is 100 Hz"):
        embed_archive(tmp_path / "store", tmp_path / "out", model_folder, ALONE)


def test_an_altered_shard_of_the_store_is_named(tiny_store, model_folder, tmp_path):
    shutil.copytree(tiny_store, tmp_path / "store")
    shard = tmp_path / "store/shards/00001.npy"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(bytes(content))
    with pytest.raises(StoreError, match=r"00001\.npy: does not match its SHA-256"):
        embed_archive(tmp_path / "store", tmp_path / "out", model_folder, ALONE)


def test_what_is_no_archive_is_said(model_folder, tmp_path):
    with pytest.raises(SourceError, match="is no folder"):
        embed_archive(tmp_path / "nothing", tmp_path / "out", model_folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="holds no ECG"):
        embed_archive(tmp_path / "empty", tmp_path / "out", model_folder)


def test_a_worker_with_other_weights_under_the_same_name_is_refused(tiny_store, model_folder, tmp_path):
    from cmelt.serving.archives import StoreArchive

    job = Job(str(model_folder), "0" * 64, "float32", "cpu", None)
    archive = StoreArchive(str(tiny_store), open_store(tiny_store).sha256)
    task = BulkTask(0, next(archive.shards().parts), archive, job, str(tmp_path))
    with pytest.raises(CheckpointError, match="other weights here"):
        finish_bulk(task)


def test_a_worker_for_each_core_where_there_is_no_gpu(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert (default_workers(None), default_workers("cuda:1"), default_workers("cpu")) == (3, 1, len(os.sched_getaffinity(0)))
