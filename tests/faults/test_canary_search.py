"""The search for canaries finds what it is to find: in every coding and packing, and in every place that a campaign looks at."""

from __future__ import annotations

import base64
import gzip
import io
import json
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "faults"
sys.path.append(str(SCRIPTS))
from canary_commands import NAMED, NOTHING, STORE, Done, Search, Step, run  # noqa: E402
from canary_words import BIRTH, FILE, KINDS, REPORT, found, people, planted  # noqa: E402

PERSON, OTHER = people(2)
CANARIES = planted([PERSON])
SAID = (
    f"Befund {PERSON.name}, {PERSON.born:%d.%m.%Y}, Nr. {PERSON.patient}: {PERSON.report} "
    f"({PERSON.accession}, {PERSON.physician}) {PERSON.file}"
)


def zipped(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b.txt", content)
    return stream.getvalue()


def saved(text: str) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, names=np.array([text]))
    return stream.getvalue()


def parquet(text: str, **how: str) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    pq.write_table(pa.table({"n": [1], "texts": [[text]]}), stream, **how)
    return stream.getvalue()


def arrow(text: str) -> bytes:
    import pyarrow as pa

    table = pa.table({"text": [text]})
    stream = io.BytesIO()
    with pa.ipc.new_file(stream, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return stream.getvalue()


RENDERED = {
    "UTF-8": SAID.encode(),
    "Latin-1": SAID.encode("latin-1"),
    "UTF-16": SAID.encode("utf-16"),
    "UTF-16, odd place": b"x" + SAID.encode("utf-16-be"),
    "four bytes a letter": SAID.encode("utf-32-le"),
    "upper case": SAID.upper().encode(),
    "JSON": json.dumps({"said": SAID}).encode(),
    "base64": base64.b64encode(SAID.encode()),
    "base64 from the second byte on": b"data:" + base64.b64encode(b"xy" + SAID.encode("latin-1")),
    "base64 for addresses": base64.urlsafe_b64encode("\u07ff\u07fe".encode() + SAID.encode()),
    "gzip": gzip.compress(SAID.encode()),
    "gzip in zip in gzip": gzip.compress(zipped(gzip.compress(SAID.encode("utf-16")))),
    "zlib in something": b"\0\1\2%PDF stream " + zlib.compress(SAID.encode()) + b" end",
    "zip": zipped(SAID.encode()),
    "npz": saved(SAID),
    "parquet, zstd": parquet(SAID, compression="zstd"),
    "parquet, snappy, dictionary": parquet(SAID, compression="snappy"),
    "Arrow": arrow(SAID),
    "weights with a word in their head": b"\x20\0\0\0\0\0\0\0" + json.dumps({"__metadata__": {"x": SAID}}).encode() + bytes(64),
}


@pytest.mark.parametrize("way", RENDERED)
def test_every_canary_is_found_in_every_coding(way):
    assert found(RENDERED[way], CANARIES) == set(CANARIES)
    assert found(RENDERED[way], planted([OTHER])) == set()


def test_patients_share_no_canary_and_have_one_of_each_kind():
    many = people(143)
    assert len(planted(many)) == 7 * len(many) > 1000
    assert sorted(PERSON.keys().values()) == sorted(KINDS)


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%d-%b-%Y", "%Y/%m/%d"])
def test_dates_of_birth_are_found_as_files_write_them(form):
    assert found(f"born {PERSON.born.strftime(form)}.".encode(), CANARIES) == {f"{PERSON.born:%Y%m%d}"}
    assert CANARIES[f"{PERSON.born:%Y%m%d}"] == BIRTH
    assert not found(f"0.{PERSON.born:%Y%m%d}".encode(), CANARIES), "digits of a measured figure are no date"


def test_noise_has_no_canaries():
    rng = np.random.default_rng(3)
    assert not found(rng.bytes(1 << 20), planted(people(143)))


STEP = Step("cmelt said", ("info",), made=("left",))


def searched(tmp_path, done: Done, files: dict[str, bytes], step: Step = STEP) -> Search:
    search = Search(CANARIES)
    for name, content in {"left/nothing": b"", **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert run(step, tmp_path, PERSON, search, lambda *_: done) == done.status
    return search


def test_a_command_that_tells_is_found_out(tmp_path):
    assert [leak.where for leak in searched(tmp_path, Done(0, SAID.encode(), b""), {}).leaks] == ["cmelt said: stdout"]
    found_out = searched(tmp_path, Done(1, b"", SAID.encode()), {}).leaks
    assert [(leak.where, sum(leak.kinds.values())) for leak in found_out] == [("cmelt said: stderr", 7)]
    assert searched(tmp_path, Done(0, b"12 records", b""), {}).leaks == []


PLACES = ("run.json", "model/README.md", "model/model.safetensors", "checkpoints/step-3/state.safetensors", "metrics.jsonl",
          "model/tokenizer.json", "results.json", "report.html", "core.123")  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_file_that_tells_is_found_out_wherever_it_lies(tmp_path, place):
    leaks = searched(tmp_path, Done(0, b"", b""), {f"left/{place}": b"\0" * 99 + SAID.encode()}).leaks
    assert [leak.where for leak in leaks] == [f"left/{place}"]


def test_so_is_a_file_s_name(tmp_path):
    assert len(searched(tmp_path, Done(0, b"", b""), {f"left/{PERSON.patient}.txt": b""}).leaks) == 1


def test_what_may_be_told_is_no_leak_and_nothing_beside_it_is_let_through():
    search = Search(CANARIES)
    search.look("a message", f"{PERSON.file}_0.dcm: is damaged".encode(), NAMED)
    search.look("the index", f"{PERSON.file}: {PERSON.report}".encode(), STORE)
    assert not search.leaks and search.rightly == {"a message": 1, "the index": 2}
    search.look("a message", SAID.encode(), NAMED)
    assert set(search.leaks[0].kinds) == set(KINDS) - {FILE}
    search.look("the index", SAID.encode(), STORE)
    assert set(search.leaks[1].kinds) == set(KINDS) - {FILE, REPORT}
    search.look("the log", PERSON.file.encode(), NOTHING)
    assert set(search.leaks[2].kinds) == {FILE}


@pytest.mark.parametrize(
    ("place", "may"),
    [("index.parquet", STORE), ("quarantine.jsonl", NAMED), ("manifest.json", NOTHING), ("shards/00000.npy", NOTHING)],
)
def test_of_a_store_each_file_has_a_rule_of_its_own(tmp_path, place, may):
    search = searched(tmp_path, Done(0, b"", b""), {f"store/{place}": SAID.encode()}, Step("prepare", (), made=("store",)))
    assert set(search.leaks[0].kinds) == set(KINDS) - may
