"""`cmelt embed` and `cmelt classify` on archives: what they write, say, and how they end."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from cmelt.cli import INTERRUPTED
from running import cmelt
from trained_towers import saved_model


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    return saved_model(tmp_path_factory.mktemp("bulk") / "model")


def test_embed_writes_a_vector_a_record_and_says_how_many(tiny_store, model_folder, tmp_path):
    out = tmp_path / "vectors.parquet"
    done = cmelt("embed", tiny_store, "--model", model_folder, "--out", out, "--workers", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["records"] == len(pq.read_table(out)) == 60
    assert "60 of 60 records" in done.stderr
    again = cmelt("embed", tiny_store, "--model", model_folder, "--out", out, "--workers", "1")
    assert again.returncode == 0 and "kept 3 of 3 shards" in again.stderr


def test_classify_writes_a_column_a_class(tiny_store, model_folder, tmp_path):
    out = tmp_path / "scores"
    options = ("--task", "atrial-fibrillation", "--task", "normal-ecg", "--workers", "1", "--precision", "bfloat16")
    done = cmelt("classify", tiny_store, "--model", model_folder, "--out", out, *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"60 records in {out}, 0 left out\n"
    assert pq.read_table(out / "shards").column_names == ["record", "atrial-fibrillation", "normal-ecg"]


def test_what_is_there_already_is_an_error_with_a_remedy(tiny_store, model_folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("mine")
    done = cmelt("embed", tiny_store, "--model", model_folder, "--out", tmp_path / "out")
    assert done.returncode == 1 and "give another --out" in done.stderr and not done.stdout


def test_an_interrupt_exits_130_and_keeps_the_finished_shards(tiny_store, model_folder, tmp_path, monkeypatch):
    from cmelt.serving import bulk_tasks

    make = bulk_tasks._make

    def interrupted(task, known_as):
        if task.number == 2:
            raise KeyboardInterrupt
        make(task, known_as)

    arguments = ("embed", tiny_store, "--model", model_folder, "--out", tmp_path / "out", "--workers", "1")
    with monkeypatch.context() as patched:
        patched.setattr(bulk_tasks, "_make", interrupted)
        assert cmelt(*arguments).returncode == INTERRUPTED
    assert not (tmp_path / "out").exists()
    done = cmelt(*arguments)
    assert done.returncode == 0 and "kept 2 of 3 shards" in done.stderr


@pytest.mark.parametrize(
    ("command", "example"), [("embed", "ptbxl100 --model small"), ("classify", "patient.xml --classes afib")]
)
def test_help_begins_with_an_example_and_names_every_option(command, example):
    told = cmelt(command, "--help").stdout
    assert f"Example: cmelt {command} {example}" in told
    for option in ("--out", "--model", "--precision", "--device", "--workers", "--dask", "--force", "--json"):
        assert option in told
