"""`cmelt.explain`: the score that is explained is the one that `cmelt.classify` gives, and the evidence lies along the record."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import cmelt
from cmelt.errors import ConfigError, RecordError
from cmelt.records.record import LEADS, Record
from cmelt.serving.explaining import MOST_WINDOWS
from ecg_files import heart

OWN = ["atrial fibrillation with rapid response."]


def record(seconds: float = 10.0, rate: float = 100.0, leads: tuple[str, ...] = LEADS) -> Record:
    whole = heart(1, seconds=seconds, rate=rate)
    return Record(whole[[LEADS.index(lead) for lead in leads]], rate, leads, identifier="someone")


def score_of_classify(model, processor, ecg, texts=OWN):
    return float(cmelt.classify(model, processor, ecg, {"x": texts}).values[0, 0])


@pytest.mark.parametrize("seconds", [6.0, 10.0, 25.0])
@pytest.mark.parametrize("method", ["integrated-gradients", "occlusion"])
def test_the_score_is_that_of_classify_and_evidence_covers_the_record(model, processor, seconds, method):
    ecg = record(seconds, rate=250.0)
    found = cmelt.explain(model, processor, ecg, OWN, method=method)
    assert found.score == pytest.approx(score_of_classify(model, processor, ecg), abs=1e-5)
    assert found.values.shape == (12, len(found.seconds)) and found.values.dtype == np.float32
    assert found.seconds[-1] == pytest.approx(seconds, abs=1.5 / processor.settings.ecg.rate) and found.seconds[0] == 0
    if method == "integrated-gradients":
        gained = found.score - found.baseline
        assert float(found.values.sum(dtype=np.float64)) == pytest.approx(gained, abs=0.02 * max(abs(gained), 0.02))


def test_missing_leads_have_no_evidence_and_computed_ones_do(model, processor):
    found = cmelt.explain(model, processor, record(leads=("I", "II", "V1")), OWN)
    without = {lead for lead, row in zip(found.leads, found.values, strict=True) if not row.any()}
    assert found.leads == LEADS and without == {"V2", "V3", "V4", "V5", "V6"}


def test_a_statement_is_named_by_its_abbreviation_and_a_sentence_is_a_prompt(model, processor):
    assert cmelt.explain(model, processor, record(), "afib").what == "atrial-fibrillation"
    sentence = "there is a delta wave"
    assert cmelt.explain(model, processor, record(), sentence).what == sentence
    asked = cmelt.explain(model, processor, record(), "Gibt es Vorhofflimmern?")
    assert asked.score == pytest.approx(cmelt.explain(model, processor, record(), "afib").score, abs=1e-5)
    assert any("taken as the statement atrial-fibrillation" in note for note in asked.notes)
    described = cmelt.describe(model, processor, ["atrial-fibrillation"])
    assert cmelt.explain(model, processor, record(), described).what == "atrial-fibrillation"


def test_every_scoring_explains_its_own_score(model, processor):
    for scoring in ("similarity", "contrast", "pairs"):
        found = cmelt.explain(model, processor, record(), "afib", scoring=scoring)
        expected = cmelt.classify(model, processor, record(), ["afib"], scoring=scoring).values[0, 0]
        assert found.score == pytest.approx(float(expected), abs=1e-5), scoring


def test_a_window_without_a_usable_lead_is_noted_and_has_no_evidence(model, processor):
    ecg = record(30.0)
    signal = ecg.signal.copy()
    signal[:, 1000:2000] = 0.0
    found = cmelt.explain(model, processor, replace(ecg, signal=signal), OWN)
    rate = round(processor.settings.ecg.rate)
    assert not found.values[:, 10 * rate : 20 * rate].any() and found.values[:, 20 * rate :].any()
    assert any("no usable lead" in note for note in found.notes)
    assert found.score == pytest.approx(score_of_classify(model, processor, replace(ecg, signal=signal)), abs=1e-5)


@pytest.mark.parametrize(
    ("what", "options", "told"),
    [
        ("atrial-fibrilation", {}, "perhaps atrial-fibrillation"), ([], {}, "there is none"), (OWN, {"method": "lime"}, "lime"),
        ("svt-or-so", {}, "a text of your own in a list"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_with_what_can(model, processor, what, options, told):
    with pytest.raises(ConfigError, match=told):
        cmelt.explain(model, processor, record(), what, **options)


def test_several_classes_at_once_and_endless_records_are_refused(model, processor):
    with pytest.raises(ConfigError, match="holds 2 classes"):
        cmelt.explain(model, processor, record(), cmelt.describe(model, processor, ["afib", "lbbb"]))
    with pytest.raises(RecordError, match="give a part of it"):
        cmelt.explain(model, processor, record((MOST_WINDOWS + 1) * processor.seconds), OWN)


def test_gradients_of_reduced_precision_are_refused_and_occlusion_is_not(model_folder):
    reduced, processor = cmelt.load(model_folder, device="cpu", precision="bfloat16")
    with pytest.raises(ConfigError, match='precision="float32"'):
        cmelt.explain(reduced, processor, record(), OWN)
    assert cmelt.explain(reduced, processor, record(), OWN, method="occlusion").values.any()


def test_evidence_can_be_drawn(model, processor):
    found = cmelt.explain(model, processor, record(), OWN)
    drawn = cmelt.plot(record(), evidence=found)
    assert 'class="speaks-for"' in drawn and 'class="speaks-against"' in drawn
