"""The application: routes, the guard around them, the page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.staticfiles import StaticFiles

import cmelt
from cmelt.serving.http.explain_routes import can_explain
from cmelt.serving.http.explain_routes import router as explain_router
from cmelt.serving.http.guard import Guard
from cmelt.serving.http.page import INDEX, PAGE, page_files
from cmelt.serving.http.refusal import UNPROCESSABLE, Refusal
from cmelt.serving.http.routes import health, router
from cmelt.serving.http.search_routes import router as search_router
from cmelt.serving.http.service import Service
from cmelt.serving.notice import NOTICE

_REASONS = {
    404: ("there is nothing at this address", "see /openapi.json for what there is"),
    405: ("this address is not asked that way", "see /openapi.json for the method"),
}


def build_app(service: Service, failed: Callable[[], None] = lambda: None) -> FastAPI:
    """The application around `service`, which it starts and stops; `failed` is called where the model cannot be loaded."""

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        service.start(failed)
        try:
            yield
        finally:
            service.stop()

    app = FastAPI(
        title="C-MELT",
        version=cmelt.__version__,
        description=f"Scores, vectors and neighbours of electrocardiograms. {NOTICE}",
        lifespan=life,
        docs_url=None,  # their scripts would come from elsewhere
        redoc_url=None,
    )
    app.state.service = service
    app.include_router(router)
    app.include_router(health)
    if can_explain():
        app.include_router(explain_router)
    if service.sources.index is not None:
        app.include_router(search_router)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _not_there)
    app.add_middleware(Guard, service=service)
    for name in page_files():
        app.add_route(f"/{name}", _page_file(name), include_in_schema=False)
    return app


def _page_file(name: str) -> Callable[[Request], Awaitable[Response]]:
    """A file of the page: each has a route of its own, so that nothing else of the disk can be asked for."""
    static = StaticFiles(directory=PAGE)

    async def answer(request: Request) -> Response:
        return await static.get_response(name or INDEX, request.scope)

    return answer


async def _invalid(_request: Request, _error: Exception) -> JSONResponse:
    """FastAPI's own answer repeats the request; this one does not."""
    return _told(Refusal(UNPROCESSABLE, "the request", "a part of it has another type than it must", "see /openapi.json"))


async def _not_there(_request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    reason, remedy = _REASONS.get(status, ("it cannot be answered", "see /openapi.json"))
    return _told(Refusal(status, "the request", reason, remedy))


def _told(refusal: Refusal) -> JSONResponse:
    return JSONResponse(refusal.body(), refusal.status, refusal.headers())
