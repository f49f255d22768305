"""The page, as files beside this package: served as they are, and nothing else is."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "page"
INDEX = "index.html"


@lru_cache(maxsize=1)
def page_files() -> frozenset[str]:
    """What there is, as addresses without the first slash; "" is the page itself. Nothing where there is no page."""
    names = {path.relative_to(PAGE).as_posix() for path in PAGE.rglob("*") if path.is_file()} if PAGE.is_dir() else set()
    return frozenset({"", *names}) if INDEX in names else frozenset()
