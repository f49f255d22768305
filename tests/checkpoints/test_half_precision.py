"""Half the bytes, the same embeddings to five digits; and nothing that half precision cannot hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cmelt.checkpoints import load_embedder
from cmelt.checkpoints.model_folder import WEIGHTS, read_model, save_model, without_parts
from cmelt.checkpoints.tensors import halved
from cmelt.errors import CheckpointError
from cmelt.model.cmelt import CMeltModel
from cmelt.model.configuration import CMeltConfig
from cmelt.text import train_tokenizer
from tiny_runs import tiny_recipe

REPORTS = ["sinus rhythm. normal ecg.", "atrial fibrillation with rapid response.", "left bundle branch block."] * 4


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = CMeltModel(CMeltConfig.of(tiny_recipe("model.text.architecture.vocab_size=400").model)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return model


@pytest.fixture(scope="module")
def folders(model, tmp_path_factory):
    place, tokenizer = tmp_path_factory.mktemp("half"), train_tokenizer(REPORTS, 400)
    save_model(model, tokenizer, place / "single", {}, "")
    save_model(model, tokenizer, place / "half", {"step": 4}, "", half=True)
    return place


def test_embeddings_stay_what_they_were_to_five_digits(folders):
    """Stated: cosine distance under 1e-5 (the bound asked for is 1e-2)."""
    single, half = (load_embedder(folders / name, device="cpu") for name in ("single", "half"))
    ecg = np.random.default_rng(0).normal(size=(20, 12, 1000)).astype(np.float32)
    for one, other in (
        (single.embed_ecgs(ecg), half.embed_ecgs(ecg)),
        (single.embed_texts(REPORTS[:3]), half.embed_texts(REPORTS[:3])),
    ):
        distance = 1 - (one.astype(np.float64) * other).sum(axis=1)
        assert np.abs(distance).max() < 1e-5
        assert not np.array_equal(one, other)
    assert half.identity != single.identity


def test_the_file_is_half_as_long_and_vectors_are_whole(model, folders):
    sizes = {name: (folders / name / WEIGHTS).stat().st_size for name in ("single", "half")}
    assert sizes["half"] < 0.62 * sizes["single"]  # at this size names and vectors weigh something
    stored = load_file(folders / "half" / WEIGHTS)
    for name, tensor in stored.items():
        assert tensor.dtype == (torch.float16 if tensor.ndim >= 2 else torch.float32), name
        if tensor.ndim < 2:
            assert torch.equal(tensor, model.state_dict()[name]), name


def test_it_is_computed_with_in_single_precision_by_us_and_by_transformers(folders):
    ours, manifest = read_model(folders / "half")
    theirs, report = CMeltModel.from_pretrained(folders / "half", output_loading_info=True)
    assert manifest["step"] == 4
    assert not report["missing_keys"] and not report["unexpected_keys"]
    for (name, tensor), other in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        assert tensor.dtype == other.dtype == torch.float32, name
        assert torch.equal(tensor, other), name


@pytest.mark.parametrize("value", [7.0e4, float("nan"), float("inf")])
def test_weights_that_half_precision_cannot_hold_are_refused_by_name(value):
    with pytest.raises(CheckpointError, match=r"fusion\.odd"):
        halved({"fine": torch.ones(2, 2), "fusion.odd": torch.tensor([[1.0, value]])})


def test_parts_that_are_left_out_are_left_out_of_the_file_and_the_rest_is_the_same(model, folders):
    slim = without_parts(model, ["word_head", "ecg_decoder"])
    save_model(slim, train_tokenizer(REPORTS, 400), folders / "slim", {}, "", half=True)
    again, _ = read_model(folders / "slim")
    assert again.config.absent == ["ecg_decoder", "word_head"]
    whole, half = model.state_dict().keys(), load_embedder(folders / "half", device="cpu")
    assert {name.split(".")[0] for name in whole - again.state_dict().keys()} == {"word_head", "ecg_decoder"}
    ecg = np.random.default_rng(0).normal(size=(2, 12, 1000)).astype(np.float32)
    np.testing.assert_array_equal(load_embedder(folders / "slim", device="cpu").embed_ecgs(ecg), half.embed_ecgs(ecg))
    _, report = CMeltModel.from_pretrained(folders / "slim", output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert model.config.absent == []  # the model it was made of is whole as before
    assert model.word_head is not None


def test_the_random_control_of_a_model_without_parts_is_without_them_too(folders, model):
    save_model(without_parts(model, ["fusion", "match_head"]), train_tokenizer(REPORTS, 400), folders / "towers", {}, "")
    control = load_embedder(folders / "towers", random=True, device="cpu")
    assert control.model.fusion is None
    assert control.embed_texts(["sinus rhythm"]).shape == (1, 16)
