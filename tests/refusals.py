"""What an error tells its reader: the place, what is wrong there, and what to do about it, all three word for word."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cmelt.errors import CMeltError, StoreError


@contextmanager
def refused(where: str | Path, fault: str, remedy: str, kind: type[CMeltError] = StoreError) -> Iterator[None]:
    """The block ends with an error of this kind that tells exactly this."""
    with pytest.raises(kind) as caught:
        yield
    assert (caught.value.where, caught.value.fault, caught.value.remedy) == (str(where), fault, remedy)
