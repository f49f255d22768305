"""The sum of the objectives that a recipe switches on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from cmelt.config.settings import ObjectiveSettings
from cmelt.model.across_ranks import gather
from cmelt.model.cmelt import Outputs
from cmelt.objectives.ecg_alignment import ecg_alignment_loss
from cmelt.objectives.etm import etm_loss
from cmelt.objectives.ets_ring import Groups, ets_loss_of_all
from cmelt.objectives.info_nce import info_nce_loss
from cmelt.objectives.mem import mem_loss, mem_target
from cmelt.objectives.mlm import mlm_loss
from cmelt.objectives.pairs import pairs
from cmelt.objectives.phrases import phrases_loss
from cmelt.objectives.precision import unit


@dataclass(frozen=True)
class Truth:
    """What the objectives compare the outputs with.

    Attributes:
        ecg: [B, L, T] millivolts, no lead masked.
        measured: [B, L] True where the record has the lead.
        kept: [B, K] indices of the ECG tokens that were not masked.
        words: [B, S] masked pieces, −100 elsewhere.
        own_group, text_group: [B] numbers of the ECG's own report and of the one in the fused batch.
        contrast_group: [B] number of the report whose embedding the contrast sees.
        samples_per_token: samples that a token stands for.
        phrases_held, phrases_counted: [B, K] True where the own report holds a phrase, and where that is to be known; or None.
    """

    ecg: Tensor
    measured: Tensor
    kept: Tensor
    words: Tensor
    own_group: Tensor
    text_group: Tensor
    contrast_group: Tensor
    samples_per_token: int
    phrases_held: Tensor | None = None
    phrases_counted: Tensor | None = None


@dataclass(frozen=True)
class Losses:
    """The weighted sum, and each objective before its weight."""

    total: Tensor
    parts: dict[str, Tensor]


def _mlm(outputs: Outputs, truth: Truth, _: ObjectiveSettings) -> Tensor:
    assert outputs.word_logits is not None
    return mlm_loss(outputs.word_logits, truth.words)


def _mem(outputs: Outputs, truth: Truth, _: ObjectiveSettings) -> Tensor:
    assert outputs.samples is not None
    tokens = outputs.samples.shape[1] + truth.kept.shape[1]
    target = mem_target(truth.ecg, tokens, truth.samples_per_token)
    return mem_loss(outputs.samples, target, truth.kept, truth.measured)


def _etm(outputs: Outputs, truth: Truth, _: ObjectiveSettings) -> Tensor:
    assert outputs.match_logits is not None
    return etm_loss(outputs.match_logits, truth.own_group == truth.text_group)


def _ets(outputs: Outputs, truth: Truth, settings: ObjectiveSettings) -> Tensor:
    ecg, text = _embeddings(outputs)
    if settings.contrast.normalise:
        ecg, text = unit(ecg), unit(text)
    groups = Groups(truth.own_group, truth.contrast_group, settings.contrast.identical_reports)
    return ets_loss_of_all(ecg, text, groups, outputs.scale, outputs.bias, settings.contrast.balance)


def _embeddings(outputs: Outputs) -> tuple[Tensor, Tensor]:
    assert outputs.ecg_embedding is not None
    assert outputs.text_embedding is not None
    return outputs.ecg_embedding, outputs.text_embedding


def _info_nce(outputs: Outputs, truth: Truth, settings: ObjectiveSettings) -> Tensor:
    ecg, text = (unit(embedding) for embedding in _embeddings(outputs))
    identical = settings.contrast.identical_reports
    to_text = pairs(truth.own_group, truth.contrast_group, identical)
    to_ecg = pairs(truth.contrast_group, truth.own_group, identical)
    scale = outputs.temperature_scale
    return 0.5 * (info_nce_loss(ecg, gather(text), to_text, scale) + info_nce_loss(text, gather(ecg), to_ecg, scale))


def _phrases(outputs: Outputs, truth: Truth, _: ObjectiveSettings) -> Tensor:
    assert outputs.ecg_embedding is not None
    assert outputs.phrases is not None
    assert truth.phrases_held is not None
    assert truth.phrases_counted is not None
    embedded, scale, bias = outputs.phrases
    ecg, own_share = unit(outputs.ecg_embedding), unit(embedded)
    # Each process has embedded its share of the step's phrases; what was added to make the shares even stands at the end.
    phrases = gather(own_share)[: truth.phrases_held.shape[1]]
    return phrases_loss(ecg, phrases, truth.phrases_held, truth.phrases_counted, scale, bias)


def _ecg_alignment(outputs: Outputs, _: Truth, settings: ObjectiveSettings) -> Tensor:
    assert outputs.ecg_views is not None
    one, other = outputs.ecg_views
    return ecg_alignment_loss(one, other, settings.alignment.temperature, within=settings.alignment.view == "augmented")


#: A new objective is a file of its own, a line here, and a name and weight in `config/settings.py`.
OBJECTIVES: dict[str, Callable[[Outputs, Truth, ObjectiveSettings], Tensor]] = {
    "mlm": _mlm,
    "mem": _mem,
    "etm": _etm,
    "ets": _ets,
    "info_nce": _info_nce,
    "phrases": _phrases,
    "ecg_alignment": _ecg_alignment,
}


def total_loss(outputs: Outputs, truth: Truth, settings: ObjectiveSettings) -> Losses:
    """Every objective with a weight above 0, and their weighted sum."""
    weights = settings.weights
    parts = {name: OBJECTIVES[name](outputs, truth, settings) for name in weights}
    return Losses(sum((weights[name] * part for name, part in parts.items()), start=outputs.scale.new_zeros(())), parts)
