"""The paper's schedule, and which weights decay, rest or run at a rate of their own."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from cmelt.config.settings import OptimiserSettings
from cmelt.model.cmelt import CMeltModel
from cmelt.model.configuration import CMeltConfig
from cmelt.training.optimiser import build_optimiser, freeze_unused, set_rate
from cmelt.training.schedule import rate_factor
from tiny_runs import tiny_recipe

STEPS = 1000


def curve(**changes) -> list[float]:
    settings = OptimiserSettings(**changes)
    return [rate_factor(step, STEPS, settings) for step in range(STEPS)]


def test_tri_stage_warms_up_from_one_percent_holds_and_decays_to_five():
    factors = curve()
    assert factors[0] == pytest.approx(0.01)
    assert factors[50] == pytest.approx(0.505)
    assert factors[100:501] == [1.0] * 401
    assert factors[750] == pytest.approx(math.sqrt(0.05))  # halfway down an exponential
    assert factors[-1] == pytest.approx(0.05, rel=0.01)
    ratios = [later / earlier for earlier, later in pairwise(factors[500:])]
    assert max(ratios) == pytest.approx(min(ratios))
    assert rate_factor(STEPS, STEPS, OptimiserSettings()) == pytest.approx(0.05)


def test_cosine_warms_up_and_falls_to_its_last_value():
    factors = curve(schedule="cosine", last=0.1)
    assert factors[0] == pytest.approx(0.01)
    assert factors[100] == 1.0
    assert factors[550] == pytest.approx(0.55)
    assert factors[-1] == pytest.approx(0.1, abs=1e-4)
    assert all(later <= earlier for earlier, later in pairwise(factors[100:]))


@pytest.mark.parametrize("schedule", ["tri_stage", "cosine"])
def test_any_length_of_run_gives_rates_between_zero_and_one(schedule):
    for steps in (1, 2, 3, 7):
        for changes in ({}, {"warm_up": 0.0}, {"warm_up": 1.0}, {"warm_up": 0.6, "hold": 0.4}, {"warm_up": 0.9, "hold": 0.9}):
            for step in range(steps + 1):
                assert 0 < rate_factor(step, steps, OptimiserSettings(schedule=schedule, **changes)) <= 1


@pytest.fixture(scope="module")
def model() -> CMeltModel:
    torch.manual_seed(0)
    return CMeltModel(CMeltConfig.of(tiny_recipe().model))


def test_only_matrices_decay_and_every_weight_is_in_one_group(model):
    optimiser = build_optimiser(model, OptimiserSettings(weight_decay=0.3))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    seen = []
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            seen.append(names[id(parameter)])
            assert group["weight_decay"] == (0.3 if parameter.ndim >= 2 else 0.0), names[id(parameter)]
    assert sorted(seen) == sorted(name for name, parameter in model.named_parameters() if parameter.requires_grad)
    assert not any(name.endswith("bias") or "norm" in name for group in optimiser.param_groups if group["weight_decay"]
                   for name in (names[id(p)] for p in group["params"]) if "relative_attention_bias" not in name)  # fmt: skip


@pytest.mark.parametrize("text_share", [1.0, 0.1])
def test_the_encoders_run_at_their_share_of_the_rate(model, text_share):
    optimiser = build_optimiser(model, OptimiserSettings(encoder_share=0.2, text_share=text_share))
    set_rate(optimiser, 1e-3)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rates = {"ecg_encoder": 2e-4, "text_encoder": 2e-4 * text_share}
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            assert group["lr"] == pytest.approx(rates.get(names[id(parameter)].split(".")[0], 1e-3))


def test_it_is_adam_with_the_paper_s_constants(model):
    defaults = build_optimiser(model, OptimiserSettings()).defaults
    assert (defaults["lr"], defaults["betas"], defaults["eps"]) == (5e-5, (0.9, 0.98), 1e-6)


def test_a_frozen_text_encoder_is_not_the_optimiser_s_and_its_projection_is():
    torch.manual_seed(0)
    model = CMeltModel(CMeltConfig.of(tiny_recipe("model.text.frozen=true").model))
    freeze_unused(model, frozenset({"info_nce", "mlm"}))
    held = {id(parameter) for group in build_optimiser(model, OptimiserSettings()).param_groups for parameter in group["params"]}
    assert not held & {id(parameter) for parameter in model.text_encoder.parameters()}
    for part in (model.text_projection, model.text_pooler, model.ecg_encoder):
        assert held >= {id(parameter) for parameter in part.parameters()}


def test_frozen_weights_are_not_the_optimiser_s():
    torch.manual_seed(0)
    model = CMeltModel(CMeltConfig.of(tiny_recipe().model))
    freeze_unused(model, frozenset({"ets"}))
    held = {id(parameter) for group in build_optimiser(model, OptimiserSettings()).param_groups for parameter in group["params"]}
    assert not held & {id(parameter) for parameter in model.fusion.parameters()}
    assert held == {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
