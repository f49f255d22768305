"""POST /v1/explain: the same evidence as from Python, of one class, and refusals in words."""

from __future__ import annotations

import numpy as np
import pytest

import cmelt
from cmelt.pages.notice import NOTICE
from cmelt.records.record import LEADS
from cmelt.serving.http import explain_routes
from cmelt.serving.http.app import build_app
from cmelt.serving.http.loaded import Sources
from cmelt.serving.http.service import Service
from cmelt.serving.http.settings import ServiceSettings
from ecg_files import heart


def body(seconds: float = 10.0, **options) -> dict:
    signal = heart(1, seconds=seconds).round(4).tolist()
    return {"signal": signal, "leads": list(LEADS), "rate": 100, "unit": "mV", **options}


@pytest.mark.parametrize("method", ["integrated-gradients", "occlusion"])
def test_evidence_is_that_of_python_and_the_score_that_of_classify(asked, model, processor, method):
    told = asked.post("/v1/explain", body(classes="afib", method=method))
    assert told.status == 200, told.body
    answer = told.json
    record = cmelt.record_of(np.array(body()["signal"]), rate=100, unit="mV", leads=LEADS)
    ours = cmelt.explain(model, processor, record, "afib", method=method).to_json()
    np.testing.assert_allclose(answer.pop("values"), ours.pop("values"), atol=1e-5)
    assert (answer["notice"], answer["method"], answer["model"]["name"]) == (NOTICE, method, "model")
    assert {key: answer[key] for key in ("what", "leads", "seconds", "rate")} == {
        key: ours[key] for key in ("what", "leads", "seconds", "rate")
    }
    scored = asked.post("/v1/classify", body(classes="afib")).json["results"][0]["score"]
    assert answer["score"] == pytest.approx(scored, abs=1e-5)


def test_what_the_page_sends_for_a_finding_in_words_or_a_class_of_a_task(asked):
    assert asked.post("/v1/explain", body(prompts=["LBBB"], method="occlusion")).json["what"] == "LBBB"
    of_task = asked.post("/v1/explain", body(task="ptbxl-super", classes="MI", method="occlusion"))
    assert of_task.json["what"] == "MI"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "not of one class"), ({"task": "ptbxl-super"}, "not of one class"), ({"classes": "afib,lbbb"}, "not of one class"),
        ({"prompts": ["a", "b"]}, "not of one class"), ({"classes": "afib", "method": "lime"}, "method is none"),
        ({"classes": "afib", "seconds": 70.0}, "longer than the 60 s"),
    ],
)  # fmt: skip
def test_what_cannot_be_explained_is_refused(asked, options, reason):
    told = asked.post("/v1/explain", body(**options))
    assert told.status == (413 if "seconds" in options else 422) and reason in told.error["reason"], told.body


def test_without_captum_the_route_is_not_announced(model_folder, monkeypatch):
    service = Service(Sources(str(model_folder), device="cpu"), ServiceSettings())
    assert "/v1/explain" in build_app(service).openapi()["paths"]
    monkeypatch.setattr(explain_routes, "find_spec", lambda name: None)
    assert "/v1/explain" not in build_app(service).openapi()["paths"]
