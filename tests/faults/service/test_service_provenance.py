"""From any answer, one command leads to weights, run, stores and source files; what is not known is said to be so."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cmelt.checkpoints.finding import BUNDLED
from cmelt.errors import CheckpointError, ConfigError, StoreError
from cmelt.publishing import MANIFEST, verify
from cmelt.records.record import LEADS
from cmelt.serving.notice import NOTICE
from cmelt.serving.provenance import RUN, Named, named_in, provenance
from cmelt.store.opened import open_store
from ecg_files import heart, record, write_wfdb
from running import cmelt
from trained_towers import saved_model


def body() -> dict:
    return {"signal": record(1).signal.tolist(), "leads": list(LEADS), "rate": 100, "unit": "mV"}


def curled(answer) -> bytes:
    """As `curl -i` prints it."""
    lines = [f"HTTP/1.1 {answer.status} …", *(f"{name}: {value}" for name, value in answer.headers.items()), "", ""]
    return "\r\n".join(lines).encode() + answer.body


def answers(asked) -> dict[str, object]:
    """One of every kind."""
    return {
        "scores": asked.post("/v1/classify?classes=normal-ecg", body()),
        "a vector": asked.post("/v1/embed", body()),
        "an ECG": asked.post("/v1/ecg", body()),
        "an example": asked.get("/v1/examples/normal"),
        "the tasks": asked.get("/v1/tasks"),
        "a refusal": asked.post("/v1/classify", b"{"),
        "no such address": asked.get("/nothing"),
        "readiness": asked.get("/readyz"),
        "life": asked.get("/healthz"),
        "figures": asked.get("/metrics"),
        "the page": asked.get("/"),
        "its script": asked.get("/app.js"),
    }


def test_every_answer_names_the_weights_and_says_what_it_is_for(hardy, hardy_folder):
    weights = verify(hardy_folder)["files"]["model.safetensors"]["sha256"]
    for what, answer in answers(hardy.service).items():
        assert named_in(curled(answer)).weights == weights, what
        assert answer.headers["x-cmelt-intended-use"] == NOTICE, what
        if answer.headers["content-type"] == "application/json":
            assert answer.json["notice"] == NOTICE, what
        if answer.headers["content-type"] == "application/vnd.cmelt.ecg":
            assert NOTICE.encode() in answer.body, what


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b'{"model": {"sha256": "abc"}}', b"a" * 63, b"x-cmelt-model: none", b"\xff" * 99]
)
def test_what_names_no_weights_is_told_so(content):
    with pytest.raises(ConfigError, match="names no weights"):
        named_in(content)


def test_an_answer_s_own_words_and_a_bare_hash_name_the_weights():
    sha256 = "ab" * 32
    told = {"model": {"name": "small", "sha256": sha256}, "store": "cd" * 32}
    assert named_in(json.dumps(told).encode()) == Named(sha256, "small", "cd" * 32)
    assert named_in(f"{sha256}\n".encode()) == Named(sha256)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A dataset of WFDB files and the store that was made of it."""
    folder = tmp_path_factory.mktemp("dataset") / "files"
    folder.mkdir()
    for number in range(6):
        write_wfdb(folder / f"r{number}", heart(number))
    store = folder.parent / "store"
    done = cmelt("prepare", "folder", folder, "--out", store, "--rate", "100", "--workers", "1")
    assert done.returncode == 0, done.stderr
    return folder, store


@pytest.fixture(scope="module")
def trained(source, tmp_path_factory):
    """A model that says that it was trained on that store, and how."""
    run = {"version": "0.1.0", "recipe": {"name": "tiny", "seed": 0}, "store": open_store(source[1]).sha256}
    return saved_model(tmp_path_factory.mktemp("trained") / "model", **{RUN: run}), run


def test_the_chain_leads_from_an_answer_to_the_files_and_each_step_is_checked(source, trained, tmp_path):
    model, run = trained
    weights = verify(model)["files"]["model.safetensors"]["sha256"]
    (tmp_path / "answer.json").write_text(json.dumps({"model": {"name": "model", "sha256": weights}}))
    done = cmelt("provenance", tmp_path / "answer.json", "--model", model, "--data", source[1], "--sources", source[0], "--json")
    assert done.returncode == 0, done.stderr
    steps = {step["what"]: step for step in json.loads(done.stdout)}
    assert list(steps) == ["weights", "run", "store", "source files"]
    assert steps["weights"]["sha256"] == weights and steps["run"]["facts"]["configuration"] == run
    assert steps["store"]["sha256"] == run["store"] and steps["store"]["place"] == str(source[1])
    assert "6 of 6" in steps["source files"]["checked"] and steps["source files"]["place"] == str(source[0])
    for_people = cmelt("provenance", tmp_path / "answer.json", "--model", model)
    assert f"SHA-256 {run['store']}" in for_people.stdout and "not looked at: give the store with --data" in for_people.stdout
    assert for_people.stdout.strip().endswith(NOTICE)


def test_source_files_that_are_others_are_counted(source, trained, tmp_path):
    shutil.copytree(source[0], tmp_path / "files")
    write_wfdb(tmp_path / "files" / "r3", heart(99))
    (tmp_path / "files" / "r4.dat").unlink()
    weights = verify(trained[0])["files"]["model.safetensors"]["sha256"]
    steps = provenance(Named(weights), trained[0], [source[1]], [tmp_path / "files"])
    assert "4 of 6" in steps[-1].checked


def test_altered_weights_and_stores_break_the_chain(source, trained, tmp_path):
    weights = verify(trained[0])["files"]["model.safetensors"]["sha256"]
    for part, error in (("model", CheckpointError), ("store", StoreError)):
        copies = {"model": trained[0], "store": source[1]}
        copies[part] = Path(shutil.copytree(copies[part], tmp_path / part))
        broken = next(copies[part].glob("*.safetensors" if part == "model" else "shards/*"))
        content = bytearray(broken.read_bytes())
        content[-1] ^= 1
        broken.write_bytes(content)
        with pytest.raises(error, match="SHA-256"):
            provenance(Named(weights), copies["model"], [copies["store"]])
    with pytest.raises(CheckpointError, match="no model here has weights"):
        provenance(Named("ab" * 32), trained[0])


def test_a_model_that_says_little_is_told_to_say_little(hardy_folder):
    weights = verify(hardy_folder)["files"]["model.safetensors"]["sha256"]
    steps = provenance(Named(weights), hardy_folder)
    assert [step.what for step in steps] == ["weights", "run", "store"]
    assert steps[1].sha256 == "" and "without its run's configuration" in steps[1].checked
    assert steps[2].sha256 == "a" * 64 and "not looked at" in steps[2].checked


def test_the_bundled_model_says_its_whole_run_and_both_of_its_stores():
    manifest = verify(BUNDLED / "small")
    weights = manifest["files"]["model.safetensors"]["sha256"]
    steps = provenance(Named(weights, "small"))
    configuration = steps[1].facts["configuration"]
    assert configuration["recipe"]["training"]["epochs"] == 40 and configuration["store"] == manifest["store"]
    assert [step.sha256 for step in steps[2:]] == [one["store"] for one in configuration["stores"]]
    for step in steps[2:]:
        assert step.sha256 in manifest["training"]["store"]  # as its card says


def test_a_searched_store_is_a_step_of_its_own(trained):
    weights = verify(trained[0])["files"]["model.safetensors"]["sha256"]
    steps = provenance(replace(Named(weights), store="cd" * 32), trained[0])
    assert steps[-1].sha256 == "cd" * 32 and steps[-1].facts["role"] == "was searched"


def test_the_manifest_holds_the_run(trained):
    assert json.loads((trained[0] / MANIFEST).read_text())[RUN]["recipe"]["name"] == "tiny"
