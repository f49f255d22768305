"""`cmelt index` and `cmelt search`: what they print, what they refuse, and that no report is in what a log would hold."""

from __future__ import annotations

import json

import pytest

from cmelt.cli.search import _bare, _range
from cmelt.store import open_store
from ecg_files import heart, write_wfdb
from running import cmelt
from trained_towers import saved_model, tiny_model


@pytest.fixture(scope="module")
def places(tiny_store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("commands")
    model, out = saved_model(folder / "model"), folder / "index"
    done = cmelt("index", tiny_store, "--model", model, "--out", out, "--workers", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kind"] == "exact" and json.loads(done.stdout)["records"] == 60
    assert "embedding: 60 of 60 records" in done.stderr
    return out, model


def test_search_by_file_prints_json_and_needs_no_model_s_name(places, tmp_path):
    header = write_wfdb(tmp_path / "r", heart(3))
    done = cmelt("search", places[0], "--ecg", header, "-k", "3", "--age", "40-", "--sex", "f", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 0 and len(told["hits"]) == 3 and "medical device" in told["notice"]
    assert all(hit["sex"] == "female" and hit["age"] >= 40 for hit in told["hits"])


def test_search_by_text_prints_a_table_with_reports_and_the_notice(places, tiny_store, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    done = cmelt("search", places[0], "--text", "sinus rhythm", "--count", "2", "--label", "normal")
    assert done.returncode == 0 and "similarity" in done.stdout and "not a medical device" in done.stderr
    reports = [text for text in open_store(tiny_store).index["report"] if text]
    assert sum(text[:20] in done.stdout for text in set(reports)) >= 1
    assert not any(text[:20] in done.stderr for text in reports)


def test_a_model_that_did_not_make_the_index_is_an_error_that_says_which_did(places, tmp_path):
    other = saved_model(tmp_path / "other", step=4)
    weights = other / "model.safetensors"
    assert weights.read_bytes() == (places[1] / "model.safetensors").read_bytes()
    assert cmelt("search", places[0], "--text", "x", "--model", other).returncode == 0  # the same weights elsewhere
    changed = tiny_model()
    changed.ecg_projection.bias.data.add_(1)
    another = saved_model(tmp_path / "another", changed)
    done = cmelt("search", places[0], "--text", "x", "--model", another)
    assert done.returncode == 1 and "another model" in done.stderr and not done.stdout


@pytest.mark.parametrize("options", [(), ("--ecg", "a", "--text", "b"), ("--text", "b", "--age", "old")])
def test_wrong_usage_exits_2(places, options):
    assert cmelt("search", places[0], *options).returncode == 2


@pytest.mark.parametrize(
    ("text", "bounds"), [("40-60", (40, 60)), ("40-", (40, None)), ("-60", (None, 60)), ("40", (40, 40)), (None, None)]
)
def test_an_age_range_is_read_as_people_write_it(text, bounds):
    assert _range(text) == bounds


def test_labels_are_shown_once_without_vocabulary_or_numbers():
    assert _bare(("rhythm:SR", "scp:SR", "snomed:426783006", "sim:normal", "own")) == "SR normal own"


@pytest.mark.parametrize(("command", "example"), [("index", "cmelt index ptbxl100"), ("search", "cmelt search ptbxl-index")])
def test_help_begins_with_an_example(command, example):
    assert f"Example: {example}" in cmelt(command, "--help").stdout
