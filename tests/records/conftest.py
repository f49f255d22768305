"""What every test of this room holds besides what it is about."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kept_promises import promises_kept


@pytest.fixture(scope="module", autouse=True)
def what_is_promised_of_every_call() -> Iterator[None]:
    """None goes nowhere unasked, and every error names the file, the fault and a remedy."""
    with promises_kept("cmelt.records"):
        yield
