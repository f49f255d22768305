"""The format of a store, fact by fact: what manifest, index, quarantine and shards say of six records, and what is told of it.

Others read these files, and stores of today are read by the program of tomorrow: a name that changes is a new version.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cmelt.errors import RecordError
from cmelt.records.fingerprint import fingerprint
from cmelt.records.record import LEADS, Record
from cmelt.sources.source import Entry, Listing
from cmelt.store import Prepared, ShardSettings, Store, open_store, prepare_store
from cmelt.store.patients import patient_hash, people_of, split_of
from ecg_files import heart
from listed_records import Listed

#: HMAC-SHA-256 under the key "key", of "listed", NUL, and the patient.
PATIENTS = {"anna": "975ff8e664f75e5a", "otto": "87d25d4555cee38c", "eli": "587ede4e82080445"}
#: SHA-256 of "check x", 32 digits of it.
CHECKED = "person 0aa753b1b28010f901017026d36d3aa3"
SETTINGS = ShardSettings(100.0, 6.0, "centre", "key")


def source() -> Listed:
    """Anna twice, somebody unknown with six leads, Otto with a given split and 4 s, Eli, and a record that is broken."""
    six = heart(2, seconds=6.0)[:6]
    records: dict[str, Record | Exception] = {
        "a": Record(
            heart(0, 200.0, 8.0), 200.0, LEADS, "a", "Sinusrhythmus – normal", "anna", 61.5, "female", ("super:NORM", "scp:SR"),
            "files/a", {"qt_ms": 380.0, "heart_rate_bpm": 64.0, "moon_phase": 0.5},
        ),
        "b": Record(heart(6, seconds=6.0), 100.0, LEADS, "b", patient="anna", origin="files/b"),
        "c": Record(six, 100.0, LEADS[:6], "c", origin="files/c"),
        "d": Record(heart(12, seconds=4.0), 100.0, LEADS, "d", patient="otto", origin="files/d"),
        "f": Record(heart(36, seconds=6.0), 100.0, LEADS, "f", patient="eli", origin="files/f"),
        "e": RecordError("files/e", "is broken", "mend it"),
    }  # fmt: skip
    entries = [Entry(name, name, "validation" if name == "d" else None) for name in "abcedf"]
    listing = Listing(tuple(entries), 2, {"age": "at the recording"}, ("look at its ages",))
    return Listed(listing, records, {"edition": "zwölf"})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Prepared, Store]:
    out = tmp_path_factory.mktemp("format") / "store"
    return prepare_store(source(), out, SETTINGS, shard_records=2), open_store(out, verify="full")


def test_the_manifest_says_this_and_nothing_else(made):
    _, store = made
    manifest = json.loads((store.path / "manifest.json").read_text(encoding="utf-8"))
    files = manifest.pop("files")
    assert manifest.pop("sha256") == store.sha256
    assert manifest == {
        "records": 5,
        "patients": 4,
        "splits": {"train": 3, "validation": 1, "test": 1},
        "held_back": 0,
        "quarantined": 1,
        "format": "cmelt-store",
        "version": 2,
        "source": {
            "name": "listed",
            "settings": {"edition": "zwölf"},
            "missing_files": 2,
            "notes": {"age": "at the recording"},
        },
        "rate": 100.0,
        "seconds": 6.0,
        "samples": 600,
        "crop": "centre",
        "leads": ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"],
        "microvolts_per_step": 1.0,
        "patient_key_check": "0522058b8e84e487",
        "warnings": ["look at its ages"],
    }
    shards = ("shards/00000.npy", "shards/00001.npy", "shards/00002.npy")
    assert [files[name].pop("records") for name in shards] == [2, 1, 2]
    content = {name: (store.path / name).read_bytes() for name in (*shards, "index.parquet", "quarantine.jsonl")}
    assert files == {name: {"bytes": len(held), "sha256": hashlib.sha256(held).hexdigest()} for name, held in content.items()}
    assert {path.relative_to(store.path).as_posix() for path in store.path.rglob("*.*")} == {*files, "manifest.json"}


def test_the_manifest_is_text_for_people_in_their_own_letters(made):
    text = (made[1].path / "manifest.json").read_text(encoding="utf-8")
    assert text.startswith('{\n  "records": 5,\n') and text.endswith('"\n}\n') and "zwölf" in text


def test_what_came_of_it_is_told(made):
    prepared, store = made
    out = str(store.path)
    assert prepared == Prepared(out, store.sha256, 5, 1, 2, {"is broken": 1}, 3, 0, ("look at its ages",))


def test_the_quarantine_is_one_line_of_json_a_record(made):
    line = b'{"path":"e","reason":"is broken","record":"e","remedy":"mend it"}\n'
    assert (made[1].path / "quarantine.jsonl").read_bytes() == line
    assert made[1].quarantine == (json.loads(line),)


def test_the_index_has_these_columns_in_this_order_and_of_these_kinds(made):
    text, numbers, real = pa.string(), pa.int64(), pa.float64()
    assert [(field.name, field.type) for field in pq.read_schema(made[1].path / "index.parquet")] == [
        ("record", text), ("patient", text), ("report", text), ("labels", pa.list_(text)), ("age", real), ("sex", text),
        ("split", text), ("missing_leads", pa.list_(text)), ("flags", pa.list_(text)), ("fingerprint", text), ("source", text),
        ("origin", text), ("seconds", real), ("source_rate", real), ("samples", numbers), ("heart_rate_bpm", real),
        ("qt_ms", real), ("shard", numbers), ("shard_row", numbers),
    ]  # fmt: skip


def test_the_index_says_of_each_record_what_its_source_did(made):
    first, second, third, fourth, fifth = pq.read_table(made[1].path / "index.parquet").to_pylist()
    records = source().records
    assert first == {
        "record": "a", "patient": PATIENTS["anna"], "report": "Sinusrhythmus – normal", "labels": ["scp:SR", "super:NORM"],
        "age": 61.5, "sex": "female", "split": "train", "missing_leads": [], "flags": ["cropped"],
        "fingerprint": fingerprint(records["a"]), "source": "listed", "origin": "files/a", "seconds": 8.0, "source_rate": 200.0,
        "samples": 600, "heart_rate_bpm": 64.0, "qt_ms": 380.0, "shard": 0, "shard_row": 0,
    }  # fmt: skip
    nothing = {"report": "", "labels": [], "age": None, "sex": "", "heart_rate_bpm": None, "qt_ms": None, "source": "listed"}
    assert second == nothing | {
        "record": "b", "patient": PATIENTS["anna"], "split": "train", "missing_leads": [], "flags": [],
        "fingerprint": fingerprint(records["b"]), "origin": "files/b", "seconds": 6.0, "source_rate": 100.0, "samples": 600,
        "shard": 0, "shard_row": 1,
    }  # fmt: skip
    assert (third["record"], third["missing_leads"], third["shard"], third["shard_row"]) == ("c", list(LEADS[6:]), 1, 0)
    assert (fourth["record"], fourth["split"], fourth["samples"], fourth["seconds"]) == ("d", "validation", 400, 4.0)
    assert (fifth["record"], fifth["split"], fifth["patient"]) == ("f", "test", PATIENTS["eli"])
    assert (fourth["fingerprint"], fourth["flags"], fourth["patient"]) == ("", ["padded", "short"], PATIENTS["otto"])
    assert third["fingerprint"] == "" and len(third["patient"]) == 16


def test_a_shard_holds_microvolts_of_its_records_and_zeros_where_there_is_nothing(made):
    store = made[1]
    shards = [np.load(store.path / f"shards/0000{number}.npy") for number in range(3)]
    assert [(shard.dtype, shard.shape) for shard in shards] == [(np.int16, (n, 12, 600)) for n in (2, 1, 2)]
    assert np.abs(shards[0][1] - 1000 * heart(6, seconds=6.0)).max() <= 0.51
    assert not shards[1][0, 6:].any() and shards[1][0, :6].any(axis=1).all()
    assert not shards[2][0, :, 400:].any() and shards[2][0, :, :400].any(axis=1).all()


def test_one_record_with_all_that_is_known_of_it(made):
    store = made[1]
    found = store.record(0)
    assert (found.record, found.patient, found.report) == ("a", PATIENTS["anna"], "Sinusrhythmus – normal")
    assert (found.rate, found.labels, found.split, found.flags) == (100.0, ("scp:SR", "super:NORM"), "train", ("cropped",))
    assert found.missing_leads == () and store.record(2).missing_leads == LEADS[6:]
    assert found.signal.dtype == np.float32 and np.array_equal(found.signal, store.millivolts([0])[0])
    assert np.array_equal(found.signal, store.signals([0])[0].astype(np.float32) * np.float32(0.001))


def test_people_are_known_by_one_name_in_all_stores_of_one_key(made):
    store = made[1]
    anna, again, unknown, otto = store.people([0, 1, 2, 3])
    assert anna == again and len({anna, unknown, otto}) == 3
    assert store.people([3, 0]) == [otto, anna]
    assert people_of("check", ["x", "", "x"]) == [CHECKED, "", CHECKED]
    assert anna == people_of(store.manifest["patient_key_check"], [PATIENTS["anna"]])[0]


def test_hashes_and_splits_are_the_same_for_ever():
    """Stores of years apart are joined by these: whoever moves between splits moves from a test into training."""
    assert [patient_hash("key", "listed", patient) for patient in PATIENTS] == list(PATIENTS.values())
    splits = [split_of("ptb-xl", str(number)) for number in range(100)]
    assert [number for number, split in enumerate(splits) if split == "validation"] == [30, 32, 46, 57, 67, 80, 86]
    tested = [number for number, split in enumerate(splits) if split == "test"]
    assert tested == [12, 18, 29, 31, 39, 40, 48, 51, 53, 55, 59, 71, 73, 95]
    assert splits.count("train") == 79


def test_a_store_is_found_again_by_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prepared = prepare_store(source(), "here/store", SETTINGS)
    assert prepared.path == "here/store" and (tmp_path / "here/store/manifest.json").is_file()
    assert open_store(Path("here/store")).sha256 == prepared.sha256
