"""Search over HTTP finds what Python finds, and gives the ECG of what it found."""

from __future__ import annotations

import numpy as np
import pytest

import cmelt
from cmelt.serving.http import canonical
from cmelt.serving.search_index import open_index
from ecg_files import record
from http_calls import Answer

TEXT = "atrial fibrillation with rapid response"


@pytest.fixture(scope="module")
def index(index_folder):
    return open_index(index_folder)


@pytest.fixture(scope="module")
def loaded(model_folder):
    return cmelt.load(model_folder, device="cpu")


def rows(answer: Answer) -> list[tuple[str, float]]:
    assert answer.status == 200, answer.body
    return [(hit["record"], pytest.approx(hit["similarity"], abs=1e-5)) for hit in answer.json["hits"]]


def test_a_text_finds_what_it_finds_in_python(asked, loaded, index):
    expected = cmelt.search(*loaded, index, text=TEXT, k=5)
    for answer in (asked.upload("/v1/search", text=TEXT, k="5"), asked.post("/v1/search", {"text": TEXT, "k": 5}),
                   asked.ask("POST", "/v1/search?k=5&text=" + TEXT.replace(" ", "%20"), b"")):  # fmt: skip
        assert rows(answer) == [(hit.record, hit.similarity) for hit in expected]
        assert (answer.json["query"], answer.json["among"]) == ("text", len(index))
        assert [hit["report"] for hit in answer.json["hits"]] == [hit.report for hit in expected]


def test_an_ecg_finds_what_it_finds_in_python_within_the_filters(asked, loaded, index):
    one = record(3)
    body = {"signal": one.signal.tolist(), "leads": list(one.leads), "rate": 100, "unit": "mV"}
    filters = {"age": (40.0, 60.0), "sex": "f"}
    expected = cmelt.search(*loaded, index, ecg=one, k=4, filters=filters)
    answer = asked.post("/v1/search", {**body, "k": 4, "age": "40-60", "sex": "f"})
    assert rows(answer) == [(hit.record, hit.similarity) for hit in expected]
    assert answer.json["among"] == expected.among < len(index)
    label = index.labels[0]
    labelled = asked.post("/v1/search", {**body, "label": [label]}).json["hits"]
    assert labelled and all(label in hit["labels"] for hit in labelled)
    assert asked.post("/v1/search", {**body, "age": "60-"}).json["hits"][0]["age"] >= 60


def test_the_ecg_of_a_hit_is_the_store_s_and_finds_itself(asked, index):
    hit = asked.upload("/v1/search", text=TEXT, k="1").json["hits"][0]
    drawn = asked.get("/" + hit["ecg"])
    assert drawn.headers["content-type"] == canonical.MEDIA_TYPE
    found, stored = canonical.record_in(drawn.body), index.ecg(hit["row"])
    np.testing.assert_allclose(found.signal[: len(stored.leads)], stored.signal, atol=0.00051)
    again = asked.upload("/v1/search", [("ecg.cmelt", drawn.body)], k="1").json["hits"][0]
    assert again["record"] == hit["record"] and again["similarity"] > 0.999


@pytest.mark.parametrize("fields", [{}, {"text": " "}, {"text": "x", "k": "0"}, {"text": "x", "k": "101"},
                                    {"text": "x", "k": "many"},
                                    {"text": "x", "age": "60-40"}, {"text": "x", "age": "-"}, {"text": "x", "age": "old"},
                                    {"text": "x", "sex": "x"}, {"text": "x" * 2001},
                                    {"text": "x", "label": "nothing-of-the-kind"},
                                    {"text": "x", "prompts": "y"}, {"text": ["x", "y"]}])  # fmt: skip
def test_a_search_that_cannot_be_is_refused(asked, fields):
    answer = asked.upload("/v1/search", **fields)
    assert answer.status == 422 and answer.error


def test_an_ecg_and_a_text_at_once_are_refused(asked):
    example = asked.get("/v1/examples/normal").body
    assert asked.upload("/v1/search", [("e", example)], text="x").status == 422


def test_a_row_that_is_not_there_is_not_found(asked, index):
    for row in (-1, len(index), 10**30):
        assert asked.get(f"/v1/index/{row}").status == 404
    assert asked.get("/v1/index/first").status == 422


def test_without_an_index_there_is_no_search(serving):
    with serving() as asked:
        assert asked.upload("/v1/search", text="x").status == 404
        assert "/v1/search" not in asked.get("/openapi.json").json["paths"]
        assert asked.get("/readyz").json["capabilities"]["index"] is False
