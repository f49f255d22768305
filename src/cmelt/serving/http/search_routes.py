"""Searching the index that the service was given: by ECG, by text; and the ECG of what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from cmelt.records.record import Record
from cmelt.serving.http import canonical
from cmelt.serving.http.answers import Hit, SearchAnswer
from cmelt.serving.http.documentation import CANONICAL_ANSWER, NOT_THERE, REFUSALS, SEARCHED
from cmelt.serving.http.question import Given, number_in, text_of, texts_of
from cmelt.serving.http.receiving import Parcel, received
from cmelt.serving.http.refusal import UNPROCESSABLE, Refusal, blamed_on
from cmelt.serving.http.routes import service_of
from cmelt.serving.http.service import Service, drawable
from cmelt.serving.search_index import SEXES

SEARCHING = ("text", "k", "age", "sex", "label")
MOST_HITS, LONGEST_TEXT = 100, 2000

router = APIRouter(responses=REFUSALS, tags=["search"])


@dataclass(frozen=True)
class Wanted:
    """What is looked for: like `ecg` or like `text`, at most `k`, that `filters` let through."""

    ecg: Record | None
    text: str | None
    k: int
    filters: Mapping[str, Any]


@router.post("/v1/search", openapi_extra=SEARCHED)
async def search(request: Request) -> SearchAnswer:
    """Records of the index most like an ECG, or like what a text says."""
    service = service_of(request)
    parcel = await received(request, service.limits.files, needs_ecg=False)
    wanted = await service.reading(lambda: wanted_by(parcel, service))
    hits = await service.worker.alone(lambda one: one.found(wanted.ecg, wanted.text, wanted.k, wanted.filters))
    index = service.loaded.index
    return SearchAnswer(
        model=service.model,
        query=hits.query,
        store="" if index is None else index.facts.store,
        among=hits.among,
        hits=[Hit.model_validate({**vars(hit), "ecg": f"v1/index/{hit.row}"}) for hit in hits],
    )


@router.get("/v1/index/{row}", responses=CANONICAL_ANSWER | NOT_THERE, response_class=Response)
async def found_ecg(request: Request, row: int) -> Response:
    """The ECG of a hit, in the canonical form."""
    service = service_of(request)
    return Response(await service.reading(lambda: _ecg_of(service, row)), media_type=canonical.MEDIA_TYPE)


def wanted_by(parcel: Parcel, service: Service) -> Wanted:
    """What a request looks for. Raises CMeltError."""
    ecg: Record | None = None
    if parcel.has_ecg:
        with blamed_on("the ECG"):
            ecg, given = parcel.opened(SEARCHING)
            service.refuse_length(ecg)
            # Search brings it into the model's form again; what fails at that must not fail in the model's thread.
            service.loaded.processor.record(ecg)
    else:
        given = parcel.options(SEARCHING)
    text = text_of(given, "text")
    if (ecg is None) == (text is None):
        raise Refusal(UNPROCESSABLE, "the question", "it needs an ECG or a text, and not both", "send a file, or text=…")
    if text is not None and len(text) > LONGEST_TEXT:
        raise Refusal(UNPROCESSABLE, "the question", f"text is longer than {LONGEST_TEXT} characters", "say less")
    k = int(number_in(text_of(given, "k") or "10", "k", 1, MOST_HITS))
    return Wanted(ecg, text, k, filters_in(given))


def filters_in(given: Given) -> dict[str, Any]:
    """Filters as `cmelt.search` takes them. Raises Refusal."""
    sex = text_of(given, "sex")
    if sex is not None and sex.casefold() not in SEXES:
        raise Refusal(UNPROCESSABLE, "the question", "sex is none that records have", "send f or m")
    return {"age": _range(text_of(given, "age")), "sex": sex, "label": texts_of(given.get("label", ()), "label", ",") or None}


def _range(text: str | None) -> tuple[float | None, float | None] | None:
    """ "40-60" as (40, 60), "40-" as (40, None), "-60" as (None, 60), "40" as (40, 40)."""
    if text is None:
        return None
    low, dash, high = (part.strip() for part in text.partition("-"))
    if not low and not high:
        raise Refusal(UNPROCESSABLE, "the question", "age is no range", "send 40-60, 40- or -60")
    high = high if dash else low
    bounds = [number_in(one, "a bound of age", 0, 1000) if one else None for one in (low, high)]
    return bounds[0], bounds[1]


def _ecg_of(service: Service, row: int) -> bytes:
    index = service.loaded.index
    if index is None or not 0 <= row < len(index):
        raise Refusal(404, "the record", "the index has no such row", "take one that /v1/search has found")
    return drawable(index.ecg(row))
