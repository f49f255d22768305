"""Parts that one objective brings with it (phrases' scale, the head of two views): saved, left out, in another's place."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cmelt.checkpoints.model_folder import distinct_tensors, load_weights, read_model, save_model, without_parts
from cmelt.errors import CheckpointError, ConfigError
from cmelt.model.cmelt import CMeltModel, Views
from cmelt.model.configuration import CMeltConfig
from cmelt.study.making import take_weights
from cmelt.text import train_tokenizer
from tiny_runs import tiny_recipe

REPORTS = ["sinus rhythm. normal ecg.", "atrial fibrillation with rapid response."] * 4
PHRASES, VIEWS = "objectives.phrases=1", "objectives.ecg_alignment=1"


def model_with(*assignments: str, seed: int = 0) -> CMeltModel:
    recipe = tiny_recipe("model.text.architecture.vocab_size=300", *assignments)
    torch.manual_seed(seed)
    model = CMeltModel(CMeltConfig.of(recipe.model, recipe.objectives)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return model


@pytest.mark.parametrize("assignments", [(), (PHRASES,), (PHRASES, VIEWS, "objectives.alignment.view=augmented")])
def test_a_model_is_read_with_the_parts_that_its_objectives_gave_it(assignments: tuple[str, ...], tmp_path: Path) -> None:
    model = model_with(*assignments)
    save_model(model, train_tokenizer(REPORTS, 300), tmp_path / "model", {}, "")
    again, _ = read_model(tmp_path / "model")
    assert (again.phrase_scale is not None) == (PHRASES in assignments)
    assert (again.view_head is not None) == (VIEWS in assignments)
    for (name, tensor), (other, known) in zip(again.state_dict().items(), model.state_dict().items(), strict=True):
        assert name == other
        assert torch.equal(tensor, known), name
    _, report = CMeltModel.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]


def test_neither_model_takes_the_other_s_weights_unasked_and_none_is_changed_by_the_attempt() -> None:
    plain, with_phrases = model_with(seed=1), model_with(PHRASES)
    for model, other, fault in ((plain, with_phrases, "unknown"), (with_phrases, plain, "missing")):
        before = {name: tensor.detach().clone() for name, tensor in distinct_tensors(model).items()}
        with pytest.raises(CheckpointError, match=rf"{fault} tensors: phrase_scale\."):
            load_weights(model, distinct_tensors(other), Path("weights"))
        assert all(torch.equal(tensor, before[name]) for name, tensor in distinct_tensors(model).items())


def test_a_stage_with_other_objectives_takes_all_that_both_have_and_begins_its_own_afresh() -> None:
    plain, with_phrases = model_with(seed=1), model_with(PHRASES)
    start = with_phrases.phrase_scale.log_scale.detach().clone()
    take_weights(with_phrases, plain)
    shared = distinct_tensors(plain)
    assert all(torch.equal(tensor, shared[name]) for name, tensor in distinct_tensors(with_phrases).items() if name in shared)
    assert torch.equal(with_phrases.phrase_scale.log_scale, start)
    again = model_with(seed=2)
    take_weights(again, with_phrases)
    assert all(torch.equal(tensor, shared[name]) for name, tensor in distinct_tensors(again).items())
    with pytest.raises(CheckpointError, match="another shape"):
        take_weights(model_with("model.ecg.feed_forward=24"), plain)


def test_without_its_phrase_scale_a_model_embeds_as_before_and_says_what_it_lacks() -> None:
    model = model_with(PHRASES)
    slim = without_parts(model, ["phrase_scale"])
    assert distinct_tensors(model).keys() - distinct_tensors(slim).keys() == {"phrase_scale.log_scale", "phrase_scale.bias"}
    ecg = torch.randn(2, 12, 1000)
    assert torch.equal(slim.embed_ecg(ecg), model.embed_ecg(ecg))
    tokens = torch.ones(2, 4, dtype=torch.long)
    views = Views(ecg, torch.tensor([[0, 3], [1, 2]]), tokens, tokens.bool(), torch.full((2, 4), -100))
    with pytest.raises(ConfigError, match="phrase_scale"):
        slim(views, frozenset({"phrases"}))
