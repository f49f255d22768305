"""An index on disk: whole or not at all, of one model and one store, altered ones found, nobody's folder replaced."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow as pa
import pytest

import cmelt
from cmelt.errors import CheckpointError, StoreError
from cmelt.publishing import MANIFEST
from cmelt.serving import bulk_tasks, indexing
from cmelt.serving.bulk import How
from cmelt.serving.indexing import index_store
from cmelt.serving.search_index import RECORDS, open_index
from cmelt.store import open_store
from trained_towers import saved_model, tiny_model

ALONE = How(workers=1)


def other_model(folder):
    """One with other weights than the tiny model's."""
    model = tiny_model()
    model.ecg_projection.bias.data.add_(1)
    return saved_model(folder, model)


@pytest.fixture(scope="module")
def made(tiny_store, model_folder, tmp_path_factory):
    return index_store(tiny_store, tmp_path_factory.mktemp("folder") / "index", model_folder, ALONE)


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made.folder, tmp_path / "copy")


def test_it_says_which_model_and_store_it_is_of(made, tiny_store, processor, model_folder):
    store = open_store(tiny_store)
    told = json.loads((made.folder / MANIFEST).read_text())
    assert (told["model"], told["store"], told["records"]) == (processor.identity, store.sha256, 60)
    assert (told["model_name"], told["store_path"], told["precision"]) == (str(model_folder), str(tiny_store), "float32")
    assert made.vectors.facts.details == {"model": processor.identity, "store": store.sha256}


def test_nothing_is_left_beside_it_and_no_patient_is_in_it(made, tiny_store):
    assert [path.name for path in made.folder.parent.iterdir()] == ["index"]
    assert "patient" not in made.records.column_names
    patients = [patient for patient in open_store(tiny_store).index["patient"] if patient]
    content = b"".join(path.read_bytes() for path in made.folder.rglob("*") if path.is_file())
    assert patients and not any(patient.encode() in content for patient in patients)


def test_progress_is_told_stage_by_stage(tiny_store, model_folder, tmp_path):
    told = []
    index_store(tiny_store, tmp_path / "index", model_folder, ALONE, lambda *news: told.append(news))
    assert told[0] == ("embedding", 0, 60) and ("embedding", 60, 60) in told and told[-1] == ("writing", 60, 60)


def test_the_same_index_is_not_made_twice_and_another_s_gives_way_when_asked_only(
    tiny_store, model_folder, tmp_path, monkeypatch
):
    out = tmp_path / "index"
    first = index_store(tiny_store, out, model_folder, ALONE)
    with monkeypatch.context() as patched:
        patched.setattr(indexing, "embed_archive", None)  # would fail if it were called
        assert index_store(tiny_store, out, model_folder, ALONE).facts == first.facts
    other = other_model(tmp_path / "other")
    with pytest.raises(StoreError, match="--force"):
        index_store(tiny_store, out, other, ALONE)
    assert open_index(out).facts == first.facts
    replaced = index_store(tiny_store, out, other, How(workers=1, force=True))
    assert replaced.facts.model != first.facts.model and replaced.facts == open_index(out).facts


def test_a_folder_that_is_no_index_is_never_replaced(tiny_store, model_folder, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter").write_text("mine")
    for how in (ALONE, How(workers=1, force=True)):
        with pytest.raises(StoreError, match="holds no whole search index"):
            index_store(tiny_store, tmp_path / "mine", model_folder, how)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_interrupted_one_is_not_there_and_goes_on_with_the_finished_shards(tiny_store, model_folder, tmp_path, monkeypatch):
    make, made_shards = bulk_tasks._make, []

    def interrupted(task, known_as):
        if task.number == 2 and not made_shards:
            raise KeyboardInterrupt
        made_shards.append(task.number) if (tmp_path / "again").exists() else None
        make(task, known_as)

    monkeypatch.setattr(bulk_tasks, "_make", interrupted)
    with pytest.raises(KeyboardInterrupt):
        index_store(tiny_store, tmp_path / "index", model_folder, ALONE)
    assert not (tmp_path / "index").exists()
    monkeypatch.setattr(bulk_tasks, "_make", lambda task, known_as: made_shards.append(task.number) or make(task, known_as))
    assert len(index_store(tiny_store, tmp_path / "index", model_folder, ALONE)) == 60
    assert made_shards == [2]
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_one_that_fails_while_it_is_written_leaves_the_old_one(tiny_store, model_folder, tmp_path, monkeypatch):
    out = tmp_path / "index"
    first = index_store(tiny_store, out, model_folder, ALONE)

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(indexing, "_write_records", full)
    with pytest.raises(OSError, match="no space"):
        index_store(tiny_store, out, model_folder, How(workers=1, force=True))
    assert open_index(out).facts == first.facts
    assert not list(tmp_path.glob(".staging-*"))


@pytest.mark.parametrize("name", [MANIFEST, RECORDS, "vectors/manifest.json"])
def test_an_altered_file_is_found_and_named(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[content.index(b"60") if name == MANIFEST else len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(StoreError, match=name.rpartition("/")[2].replace(".", r"\.")):
        open_index(copy)


def test_cut_vectors_and_an_exchanged_inner_index_are_found(copy, made):
    vectors = copy / "vectors/vectors.bin"
    whole = vectors.read_bytes()
    vectors.write_bytes(whole[:-4])
    with pytest.raises(StoreError, match=r"vectors\.bin"):
        open_index(copy)
    vectors.write_bytes(whole)
    assert len(open_index(copy)) == 60
    cmelt.index.build_index(np.eye(60, 16), copy / "vectors", dict(made.vectors.facts.details))
    with pytest.raises(StoreError, match="vectors"):
        open_index(copy)


def test_what_is_no_index_of_a_store_is_refused_with_what_to_do(tmp_path, tiny_store, made):
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "nothing", tmp_path / "empty", tiny_store, made.folder / "vectors"):
        with pytest.raises(StoreError, match=r"no search index of a store.*cmelt index STORE"):
            open_index(place)


def test_ecgs_are_read_from_where_the_store_lies_now_and_from_no_other(copy, tiny_store, tmp_path, made):
    moved = shutil.copytree(tiny_store, tmp_path / "moved")
    np.testing.assert_array_equal(open_index(copy, store=moved).ecg(3).signal, made.ecg(3).signal)
    manifest = json.loads((moved / MANIFEST).read_text())
    with pytest.raises(StoreError, match=r"manifest\.json"):
        open_index(copy, store=tmp_path).ecg(3)
    from cmelt.store.layout import manifest_sha256

    manifest["created_by"] = "another"
    manifest["sha256"] = manifest_sha256(manifest)
    (moved / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match="not the store that this index was made of"):
        open_index(copy, store=moved).ecg(3)


def test_vectors_of_other_records_are_refused(tmp_path):
    import pyarrow.parquet as pq

    (tmp_path / "shards").mkdir()
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(6, np.float32)), 3)
    pq.write_table(pa.table({"record": ["a", "b"], "vector": vectors}), tmp_path / "shards/00000.parquet")
    names = np.array(["a", "b"], dtype=object)
    assert [block.shape for block in indexing._blocks(tmp_path, names)] == [(2, 3)]
    for wrong in (names[::-1], names[:1], np.array(["a", "b", "c"], dtype=object)):
        with pytest.raises(StoreError, match="records"):
            list(indexing._blocks(tmp_path, wrong))


def test_what_is_told_of_a_vector_is_of_the_record_that_lies_there_on_the_disk(tiny_store):
    store = open_store(tiny_store)
    store.index["shard_row"] = store.index.groupby("shard")["shard_row"].transform(lambda rows: rows.max() - rows)
    order = indexing._disk_order(store)
    told = indexing._told_of(store, order)
    assert not np.array_equal(order, np.arange(60))
    for place, row in enumerate(order):
        assert told["record"][place].as_py() == store.index["record"][row]
        assert told["report"][place].as_py() == store.index["report"][row]
    assert store.index["shard_row"].to_numpy()[order].tolist() == [*range(25), *range(25), *range(10)]


def test_where_the_search_is_not_exact_reports_say_how_hard_to_search(tiny_store, model, processor, monkeypatch):
    store = open_store(tiny_store)
    assert indexing._asking_reports(model, processor, store) is None
    monkeypatch.setattr(indexing, "EXACT_NUMBERS", 1)
    assert indexing._asking_reports(model, processor, store) is None  # too few of them
    monkeypatch.setattr(indexing, "ASKING_REPORTS", 8)
    asking = indexing._asking_reports(model, processor, store)
    reports = cmelt.embed_texts(model, processor, sorted(set(store.index["report"])))
    assert asking.shape == (8, 16) and (asking @ reports.T).max(axis=1) == pytest.approx(1, abs=1e-5)


def test_a_name_that_is_no_model_is_refused_before_anything_is_written(tiny_store, tmp_path):
    with pytest.raises(CheckpointError, match="no such folder"):
        index_store(tiny_store, tmp_path / "index", "tiny", ALONE)
    assert not list(tmp_path.iterdir())
