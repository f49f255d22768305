"""Towers read for inference: the same embeddings as the whole model's, without transformers where that can be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cmelt.checkpoints import load_embedder
from cmelt.checkpoints.inference import load_towers
from cmelt.checkpoints.tensors import WEIGHTS
from cmelt.errors import CheckpointError, ConfigError
from cmelt.model.cmelt import CMeltModel
from cmelt.model.towers import PlainTowers
from cmelt.publishing import seal
from cmelt.text import encode
from cmelt.text.pieces import PieceTokenizer
from trained_towers import BERT, REPORTS, saved_model, tiny_model

SOURCE = Path(__file__).resolve().parents[2] / "src"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved_model(tmp_path_factory.mktemp("inference") / "model")


def embeddings(found):
    ecg = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 12, 1000)).astype(np.float32))
    words = encode(found.tokenizer, REPORTS[:3], 24)
    with torch.no_grad():
        text = found.towers.embed_text(torch.from_numpy(words.ids), torch.from_numpy(words.mask))
        return found.towers.embed_ecg(ecg), text


def test_they_embed_as_the_whole_model_does(folder):
    found, whole = load_towers(folder), load_embedder(folder, device="cpu").model
    assert isinstance(found.towers, PlainTowers) and isinstance(found.tokenizer, PieceTokenizer)
    assert not found.towers.training and not any(t.is_meta for t in found.towers.state_dict().values())
    ecg = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 12, 1000)).astype(np.float32))
    words = encode(found.tokenizer, REPORTS[:3], 24)
    with torch.no_grad():
        text = whole.embed_text(torch.from_numpy(words.ids), torch.from_numpy(words.mask))
        assert torch.equal(embeddings(found)[0], whole.embed_ecg(ecg))
        torch.testing.assert_close(embeddings(found)[1], text, atol=1e-6, rtol=1e-5)


def test_any_other_text_encoder_is_computed_by_transformers(tmp_path):
    model = tiny_model(BERT)
    found = load_towers(saved_model(tmp_path / "bert", model))
    assert isinstance(found.towers, CMeltModel)
    words = encode(found.tokenizer, REPORTS[:3], 24)
    with torch.no_grad():
        expected = model.embed_text(torch.from_numpy(words.ids), torch.from_numpy(words.mask))
    torch.testing.assert_close(embeddings(found)[1], expected)


def test_a_model_that_never_compared_ecgs_with_texts_is_known_as_such(folder, tmp_path):
    assert load_towers(folder).aligned
    masked_only = tiny_model(mem=1.0, mlm=1.0, etm=0.0, ets=0.0)
    assert not load_towers(saved_model(tmp_path / "masked", masked_only)).aligned


def test_reading_draws_nothing_from_the_callers_randomness(folder):
    state = torch.random.get_rng_state()
    load_towers(folder)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_nothing_that_takes_long_to_import_is_imported(folder):
    script = f"""
import sys
from cmelt.checkpoints.inference import load_towers
load_towers({str(folder)!r})
print([name for name in ("transformers", "pandas", "sklearn", "sympy") if name in sys.modules])
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "[]"


@pytest.mark.parametrize("fault", ["missing", "misshapen", "unknown"])
def test_tensors_that_do_not_fit_are_refused_by_name(tmp_path, fault):
    folder = saved_model(tmp_path / "model")
    whole, name = load_file(folder / WEIGHTS), "ecg_encoder.class_token"
    if fault == "missing":
        del whole[name]
    elif fault == "misshapen":
        whole[name] = torch.zeros(3)
    else:
        whole["ecg_encoder.extra"] = torch.zeros(1)
    save_file(whole, folder / WEIGHTS)
    seal(folder, {})
    with pytest.raises(CheckpointError, match=r"ecg_encoder\."):
        load_towers(folder)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("[]", CheckpointError),
        ("{}", CheckpointError),
        ("nonsense", CheckpointError),
        ('{"settings": {"depth": 3}}', ConfigError),
    ],
)
def test_what_is_no_configuration_of_ours_is_refused(tmp_path, content, error):
    folder = saved_model(tmp_path / "model")
    (folder / "config.json").write_text(content)
    seal(folder, {})
    with pytest.raises(error, match=r"config\.json"):
        load_towers(folder)
