"""Requests made up from the service's own description, by schemathesis: no answer is a fault of ours, none is undescribed."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from cmelt.serving.notice import NOTICE

schemathesis = pytest.importorskip("schemathesis")

from schemathesis.checks import not_a_server_error  # noqa: E402 (it may not be there)
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def statuses_of(operation, examples: int) -> set[int]:
    """Ask one address so many times."""
    seen: set[int] = set()

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def ask(case) -> None:
        response = case.call()
        case.validate_response(response, checks=CHECKS)
        assert response.headers["x-cmelt-intended-use"][0] == NOTICE
        seen.add(response.status_code)

    ask()
    return seen


def asked_by(hardy, examples: int) -> dict[str, set[int]]:
    """Statuses by address."""
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{hardy.service.port}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    return {operation.label: statuses_of(operation, examples) for operation in operations}


def test_the_description_is_whole_and_a_few_requests_made_of_it_are_answered_as_it_says(hardy):
    seen = asked_by(hardy, 5)
    told = json.loads(hardy.service.get("/openapi.json").body)
    assert len(seen) == sum(len(methods) for methods in told["paths"].values())
    assert 200 in seen["GET /healthz"] and not any(status >= 500 for statuses in seen.values() for status in statuses)


@pytest.mark.slow
def test_hundreds_of_requests_made_of_the_description_find_no_fault(hardy):
    seen = asked_by(hardy, 100)
    assert not any(status >= 500 and status != 503 for statuses in seen.values() for status in statuses)
