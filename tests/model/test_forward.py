"""One pre-training pass: what is computed, what learns from it, what may be switched off."""

from __future__ import annotations

import itertools

import pytest
import torch

from cmelt.config.settings import OBJECTIVE_NAMES, ObjectiveSettings
from cmelt.model.cmelt import CMeltModel, Views
from cmelt.model.configuration import CMeltConfig
from cmelt.model.heads import hidden_of, sinusoids
from cmelt.objectives.total import Truth, total_loss
from cmelt.training.optimiser import freeze_unused
from tiny_runs import tiny_recipe

SAMPLES, TOKENS = 160, 10
NAMES = OBJECTIVE_NAMES
VIEWS = ("dropout", "augmented")
BATCH, PIECES, KEPT = 3, 6, 4


def model(*assignments: str) -> CMeltModel:
    torch.manual_seed(0)
    known = ("model.text.architecture.vocab_size=50", f"model.ecg.samples={SAMPLES}", "objectives.phrases=1")
    recipe = tiny_recipe(*known, *assignments)
    return CMeltModel(CMeltConfig.of(recipe.model, recipe.objectives))


def views_and_truth(clean: bool = False) -> tuple[Views, Truth]:
    source = torch.Generator().manual_seed(2)
    ecg = torch.randn(BATCH, 12, SAMPLES, generator=source)
    kept = torch.rand(BATCH, TOKENS, generator=source).argsort(1)[:, :KEPT].sort(1).values
    tokens = torch.randint(5, 50, (BATCH, PIECES), generator=source)
    words = torch.where(torch.rand(BATCH, PIECES, generator=source) < 0.4, tokens, -100)
    words[0, 1] = tokens[0, 1]
    mask = torch.ones(BATCH, PIECES, dtype=torch.bool)
    extra = (tokens.flip(1), mask) if clean else (None, None)
    group = torch.arange(BATCH)
    held = torch.tensor([[True, False], [False, False], [False, True]])
    measured = torch.ones(BATCH, 12, dtype=torch.bool)
    truth = Truth(ecg, measured, kept, words, group, group.roll(1) if not clean else group, group, 16, held, ~held | held)
    second = torch.randn(BATCH, 12, SAMPLES, generator=source)
    return Views(ecg, kept, tokens, mask, words, *extra, second, tokens[:2], mask[:2]), truth


def gradients_of(built: CMeltModel, objectives: tuple[str, ...], clean: bool, seed: int = 3) -> dict[str, torch.Tensor | None]:
    alignment = built.config.objective_settings.alignment
    settings = ObjectiveSettings(**{name: float(name in objectives) for name in NAMES}, alignment=alignment)
    views, truth = views_and_truth(clean)
    torch.manual_seed(seed)
    total_loss(built(views, frozenset(objectives)), truth, settings).total.backward()
    return {name: parameter.grad for name, parameter in built.named_parameters()}


SUBSETS = [subset for size in range(1, len(NAMES) + 1) for subset in itertools.combinations(NAMES, size)]
SMALL = [subset for subset in SUBSETS if len(subset) < 3 or subset == NAMES]


@pytest.mark.parametrize("subsets", [SMALL, pytest.param(SUBSETS, marks=pytest.mark.slow)], ids=["small", "all"])
@pytest.mark.parametrize(
    ("fusion_layer", "clean", "changes"),
    [
        (0, False, ("objectives.alignment.view=dropout",)),
        (1, False, ("objectives.alignment.view=augmented",)),
        (1, True, ("objectives.alignment.view=dropout", "model.ecg.layers=0", "model.ecg.pooling=attention")),
        (0, True, ("objectives.alignment.view=augmented", "model.ecg.pooler=none", "model.ecg.pooling=mean")),
        (0, True, ("model.text.frozen=true",)),
    ],
)
def test_what_is_frozen_would_not_have_learned_and_all_the_rest_learns(fusion_layer, clean, changes, subsets):
    """DDP waits for the gradient of every weight that is to have one: none may be missing, for any choice of objectives."""
    learned = ("objectives.contrast.learn_scale_and_bias=true", "objectives.ecg_alignment=1")
    built = model(f"model.decoder.fusion_layer={fusion_layer}", *learned, *changes)
    for subset in subsets:
        built.requires_grad_(True).zero_grad(set_to_none=True)
        reached = {name for name, gradient in gradients_of(built, subset, clean).items() if gradient is not None}
        if built.text_frozen:
            reached = {name for name in reached if not name.startswith("text_encoder.")}
        freeze_unused(built, frozenset(subset))
        learns = {name for name, parameter in built.named_parameters() if parameter.requires_grad}
        assert learns == reached, (subset, sorted(learns ^ reached)[:5])


@pytest.mark.parametrize("clean", [False, True])
def test_an_objective_that_is_off_costs_nothing(clean):
    built, (views, _) = model(), views_and_truth(clean)
    built.match_head.register_forward_hook(lambda *_: pytest.fail("ETM was computed"))
    built.ecg_decoder.register_forward_hook(lambda *_: pytest.fail("MEM was computed"))
    built.ecg_pooler.register_forward_hook(lambda *_: pytest.fail("an embedding was computed"))
    passes = []
    built.ecg_encoder.register_forward_hook(lambda *_: passes.append(1))
    outputs = built(views, frozenset({"mlm"}))
    assert outputs.samples is None and outputs.match_logits is None and outputs.ecg_embedding is None
    assert len(passes) == 1
    other = model()
    other.fusion.register_forward_hook(lambda *_: pytest.fail("fusion was computed"))
    other(views, frozenset({"info_nce"}))


def test_words_are_predicted_where_they_were_masked_in_their_order():
    built, (views, _) = model().eval(), views_and_truth()
    with torch.no_grad():
        outputs = built(views, frozenset({"mlm"}))
        fused = built.fusion(
            built.encode_text(views.tokens, views.text_mask), views.text_mask, built.encode_ecg(views.ecg, views.kept)
        )
        everywhere = built.word_head(fused.text)
    torch.testing.assert_close(outputs.word_logits, everywhere[views.words >= 0])


def test_the_contrast_s_clean_view_masks_nothing():
    built, (views, _) = model().eval(), views_and_truth(clean=True)
    with torch.no_grad():
        outputs = built(views, frozenset({"ets"}))
        torch.testing.assert_close(outputs.ecg_embedding, built.embed_ecg(views.ecg))
        torch.testing.assert_close(outputs.text_embedding, built.embed_text(views.clean_tokens, views.clean_text_mask))
        masked = built(views._replace(clean_tokens=None, clean_text_mask=None), frozenset({"ets"}))
    assert (masked.ecg_embedding - outputs.ecg_embedding).abs().max() > 1e-6


def samples_of_all(decoder, states, kept):
    """The decoder, token by token and for every token: [1, 1 + K, D] → [P, C]."""
    embedded = decoder.embed(states[0])
    tokens = [embedded[0]] + [decoder.mask_token] * TOKENS
    for row, place in zip(embedded[1:], kept[0].tolist(), strict=True):
        tokens[1 + place] = row
    inner = torch.stack(tokens)[None] + sinusoids(1 + TOKENS, embedded.shape[1])
    for layer in decoder.layers:
        inner = layer(inner)
    return decoder.predict(decoder.norm(inner))[0, 1:]


def test_samples_are_predicted_of_the_hidden_tokens_in_their_order_wherever_a_kept_one_is_listed():
    built = model("model.decoder.layers=2").eval()
    states, kept = torch.randn(1, 4, 16), torch.tensor([[7, 2, 9]])
    hidden = [place for place in range(TOKENS) if place not in (7, 2, 9)]
    assert hidden_of(kept, TOKENS).tolist() == [hidden]
    with torch.no_grad():
        for weight in built.ecg_decoder.parameters():
            weight.add_(0.3 * torch.randn_like(weight))  # as initialised, tokens nearly ignore each other
        predicted = built.ecg_decoder(states, kept, TOKENS)
        torch.testing.assert_close(predicted[0], samples_of_all(built.ecg_decoder, states, kept)[hidden])
        again = built.ecg_decoder(states[:, [0, 2, 1, 3]], torch.tensor([[2, 7, 9]]), TOKENS)
        torch.testing.assert_close(again, predicted)
        swapped = built.ecg_decoder(states[:, [0, 2, 1, 3]], kept, TOKENS)
    assert (swapped - predicted).abs().max() > 1e-4


@pytest.mark.parametrize("clean", [False, True])
def test_gradient_checkpointing_changes_no_gradient(clean):
    """Dropout included: what is computed again is computed with the same draws."""
    aligned = "objectives.ecg_alignment=1"
    plain = gradients_of(model(aligned).train(), NAMES, clean)
    frugal = model(aligned).train()
    frugal.recompute_everything()
    for name, gradient in gradients_of(frugal, NAMES, clean).items():
        assert (gradient is None) == (plain[name] is None), name
        if gradient is not None:
            torch.testing.assert_close(gradient, plain[name], atol=1e-7, rtol=1e-5, msg=name)


def test_the_contrast_starts_where_the_recipe_says():
    start = ("objectives.contrast.scale=10", "objectives.contrast.bias=-10", "objectives.contrast.temperature=0.05")
    scale, bias, temperature = model(*start).contrast()
    assert (scale.item(), bias.item(), temperature.item()) == pytest.approx((10, -10, 20))
    fixed = model(*start, "objectives.contrast.learn_scale_and_bias=false").contrast
    assert not fixed.log_scale.requires_grad and not fixed.bias.requires_grad
