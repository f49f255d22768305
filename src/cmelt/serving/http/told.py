"""What is kept of a request: a figure and a line of the log, of its route, status and time, and nothing that it says."""

from __future__ import annotations

import logging

from cmelt.serving.http.metrics import Metrics
from cmelt.serving.http.page import page_files

_log = logging.getLogger("cmelt.serve")

#: Routes by their beginning, for figures and the log; anything else is "other".
_ROUTES = (
    *("/v1/classify", "/v1/embed", "/v1/ecg", "/v1/search", "/v1/explain", "/v1/tasks", "/healthz", "/readyz", "/metrics"),
    "/openapi.json",
)
_WITH_NAMES = ("/v1/examples", "/v1/index")


def tell(metrics: Metrics, request_id: str, method: str, path: str, status: int, seconds: float) -> None:
    """Count an answer, and log it."""
    route = route_of(path)
    metrics.answered(route, method, status, seconds)
    _log.info("%s %s %s %d %.0f ms", request_id, method[:8], route, status, 1000 * seconds)


def route_of(path: str) -> str:
    """The route that a path belongs to: one of those that there are, never what a caller wrote."""
    if path in _ROUTES or path in _WITH_NAMES:
        return path
    for route in _WITH_NAMES:
        if path.startswith(f"{route}/"):
            return f"{route}/…"
    return "page" if path.removeprefix("/") in page_files() else "other"
