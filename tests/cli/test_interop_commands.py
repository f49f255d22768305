"""`cmelt import-dbeta` and `cmelt export --dbeta`: there and back, and plain words where it does not go."""

from __future__ import annotations

import json

import pytest
import torch

from cmelt.interop.dbeta_sizes import MIMIC_LEADS
from dbeta_release import WITH_WORDS, write_random
from running import cmelt
from trained_towers import saved_model


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interop")
    path, state = write_random(folder / "theirs", WITH_WORDS)
    (folder / "sizes.json").write_text(json.dumps(WITH_WORDS))
    done = cmelt("import-dbeta", path, "--config", folder / "sizes.json", "--out", folder / "model")
    assert done.returncode == 0, done.stderr
    return folder, state, done


def test_the_import_says_what_it_made_and_what_is_lacking(world):
    folder, _, done = world
    assert done.stdout.startswith(f"{folder / 'model'}: ")
    assert "leads " + " ".join(MIMIC_LEADS) in done.stdout
    assert "no tokenizer" in done.stderr and "--tokenizer PATH" in done.stderr


def test_the_same_as_json(world, tmp_path):
    folder, *_ = world
    arguments = ("--config", folder / "sizes.json", "--out", tmp_path / "model", "--json")
    said = json.loads(cmelt("import-dbeta", folder / "theirs" / "sample.pt", *arguments).stdout)
    assert (said["tokenizer"], tuple(said["leads"])) == (None, MIMIC_LEADS)


def test_info_counts_its_parts(world):
    folder, state, _ = world
    said = json.loads(cmelt("info", folder / "model", "--json").stdout)
    assert said["parts"]["word_head"] == sum(part.numel() for name, part in state.items() if name.startswith("mlm_head."))


def test_there_and_back_changes_no_byte(world, tmp_path):
    folder, state, _ = world
    done = cmelt("export", "--dbeta", folder / "model", "--out", tmp_path / "back.pt")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "back.pt")
    back = torch.load(tmp_path / "back.pt", weights_only=True)["model"]
    assert list(back) == list(state)
    assert all(back[name].numpy().tobytes() == tensor.numpy().tobytes() for name, tensor in state.items())
    again = ("--config", tmp_path / "back.json", "--out", tmp_path / "again")
    assert cmelt("import-dbeta", tmp_path / "back.pt", *again).returncode == 0
    weights = [place / "model.safetensors" for place in (folder / "model", tmp_path / "again")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_what_cannot_be_written_so_is_refused_with_its_reasons(tmp_path):
    done = cmelt("export", "--dbeta", saved_model(tmp_path / "ours"), "--out", tmp_path / "ours.pt")
    assert done.returncode == 1
    assert "1000 samples at 100 Hz" in done.stderr and "fusion.feed_forward is 16" in done.stderr
    assert not (tmp_path / "ours.pt").exists()


def test_a_form_must_be_named(tmp_path):
    done = cmelt("export", "small", "--out", tmp_path / "x")
    assert done.returncode == 2
    assert "--dbeta" in done.stderr


def test_faults_are_one_message_and_exit_status_one(world, tmp_path):
    folder, *_ = world
    (tmp_path / "no.pt").write_text("no")
    for path, said in ((tmp_path / "no.pt", "no file of plain tensors"), (folder / "theirs" / "sample.pt", "do not fit")):
        done = cmelt("import-dbeta", path, "--out", tmp_path / "model")
        assert done.returncode == 1
        assert said in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "model").exists()
