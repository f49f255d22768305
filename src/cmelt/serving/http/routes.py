"""What can be asked, one function an address."""

from __future__ import annotations

from functools import lru_cache

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from cmelt.evaluation.prompts import statements
from cmelt.evaluation.tasks import bundled_tasks, load_task
from cmelt.serving.http import canonical
from cmelt.serving.http.answers import (
    AliveAnswer,
    ClassifyAnswer,
    EmbedAnswer,
    ExampleName,
    ExamplesAnswer,
    ReadyAnswer,
    Refused,
    TasksAnswer,
)
from cmelt.serving.http.documentation import ASKED, CANONICAL_ANSWER, EMBEDDED, LOOKING, METRICS_ANSWER, NOT_THERE, READ, REFUSALS
from cmelt.serving.http.examples import EXAMPLES, example_record
from cmelt.serving.http.metrics import CONTENT_TYPE_LATEST
from cmelt.serving.http.receiving import received
from cmelt.serving.http.service import Service, drawable

router = APIRouter(responses=REFUSALS)
health = APIRouter(responses=LOOKING)


def service_of(request: Request) -> Service:
    """The service that this application is made of."""
    service: Service = request.app.state.service
    return service


@router.post("/v1/classify", openapi_extra=ASKED, tags=["ECG"])
async def classify(request: Request) -> ClassifyAnswer:
    """Score an ECG for classes that are described in words: `prompts`, bundled statements (`classes`) or a `task`."""
    service = service_of(request)
    return await service.classified(await received(request, service.limits.files))


@router.post("/v1/embed", openapi_extra=EMBEDDED, tags=["ECG"])
async def embed(request: Request) -> EmbedAnswer:
    """The ECG's unit vector."""
    service = service_of(request)
    return await service.embedded(await received(request, service.limits.files))


@router.post("/v1/ecg", openapi_extra=READ, responses=CANONICAL_ANSWER, response_class=Response, tags=["ECG"])
async def ecg(request: Request) -> Response:
    """Any ECG in the canonical form: a JSON header, then int16 steps."""
    service = service_of(request)
    parcel = await received(request, service.limits.files)
    return Response(await service.canonical(parcel), media_type=canonical.MEDIA_TYPE)


@router.get("/v1/examples", tags=["examples"])
async def examples(request: Request) -> ExamplesAnswer:  # noqa: ARG001 (routes are called alike)
    """Simulated ECGs to try the service with."""
    return ExamplesAnswer(
        examples=[
            ExampleName(name=one.name, title=one.title, conditions=list(one.conditions), seconds=one.seconds)
            for one in EXAMPLES.values()
        ]
    )


@router.get("/v1/examples/{name}", responses=CANONICAL_ANSWER | NOT_THERE, response_class=Response, tags=["examples"])
async def example(request: Request, name: str) -> Response:
    """One of them, in the canonical form; always the same."""
    content = await service_of(request).reading(lambda: _example(name))
    return Response(content, media_type=canonical.MEDIA_TYPE)


@router.get("/v1/tasks", tags=["ECG"])
async def tasks(request: Request) -> TasksAnswer:
    """What `task` and `classes` take."""
    return await service_of(request).reading(_tasks)


@health.get("/healthz", tags=["health"])
async def healthz() -> AliveAnswer:
    """Whether the process lives."""
    return AliveAnswer(alive=True)


@health.get("/readyz", response_model=ReadyAnswer, responses={503: {"model": ReadyAnswer | Refused}}, tags=["health"])
async def readyz(request: Request) -> JSONResponse:
    """Whether it answers questions: 503 while the model is being loaded."""
    service = service_of(request)
    ready = service.worker.ready
    capabilities = {"index": service.sources.index is not None, "token": service.settings.token is not None}
    answer = ReadyAnswer(
        ready=ready,
        reason=None if ready else "the model is still being loaded, or the service is about to end",
        model=service.model if ready else None,
        capabilities=capabilities,
    )
    headers = {} if ready else {"Retry-After": "2"}
    return JSONResponse(answer.model_dump(), 200 if ready else 503, headers)


@health.get("/metrics", responses=METRICS_ANSWER, response_class=Response, tags=["health"])
async def metrics(request: Request) -> Response:
    """Figures for Prometheus."""
    return Response(service_of(request).metrics.text(), media_type=CONTENT_TYPE_LATEST)


@lru_cache(maxsize=len(EXAMPLES))
def _example(name: str) -> bytes:
    return drawable(example_record(name))


@lru_cache(maxsize=1)
def _tasks() -> TasksAnswer:
    return TasksAnswer(tasks={name: list(load_task(name).classes) for name in bundled_tasks()}, statements=list(statements()))
