"""Figures for Prometheus: counts and times by route, batches, refusals. No label comes from what a request says."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE_LATEST

_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH"})
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The service's own registry, so that two services in a process do not share figures."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        names = ("route", "method", "status")
        self._requests = Counter("cmelt_requests", "Requests answered", names, registry=self._registry)
        self._seconds = Histogram(
            "cmelt_request_seconds", "From the first byte to the answer", ("route",), buckets=_SECONDS, registry=self._registry
        )
        self._together = Histogram(
            "cmelt_batch_requests", "Requests that went through the model together", buckets=_SIZES, registry=self._registry
        )
        self._windows = Histogram(
            "cmelt_batch_windows", "Stretches of the model's length in a batch", buckets=_SIZES, registry=self._registry
        )
        self._model = Gauge("cmelt_model", "The model at work", ("name", "sha256"), registry=self._registry)

    def watch(self, inside: Callable[[], float], ready: Callable[[], bool]) -> None:
        """Where the number of requests inside, and readiness, are to be had when somebody looks."""
        Gauge("cmelt_requests_inside", "Requests at work or waiting", registry=self._registry).set_function(inside)
        Gauge("cmelt_ready", "1 once the model is loaded", registry=self._registry).set_function(lambda: float(ready()))

    def model(self, name: str, sha256: str) -> None:
        """Say which model it is."""
        self._model.labels(name, sha256[:16]).set(1)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answer. `route` is one of those that the service has, not the path that was asked for."""
        self._requests.labels(route, method if method in _METHODS else "other", str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def batch(self, requests: int, windows: int) -> None:
        """Count a batch."""
        self._together.observe(requests)
        self._windows.observe(windows)

    def text(self) -> bytes:
        """All figures, as Prometheus reads them."""
        return generate_latest(self._registry)
