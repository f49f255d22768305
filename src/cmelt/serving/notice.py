"""What stands wherever a score is shown; rooms below this one take it from `cmelt.pages.notice`."""

from __future__ import annotations

from cmelt.pages.notice import NOTICE as NOTICE

__all__ = ["NOTICE"]
