"""What the service says when it does not do what was asked: what, reason, remedy, and nothing of what was sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cmelt.errors import CMeltError, ConfigError, RecordError
from cmelt.serving.http.wording import without_foreign_words
from cmelt.serving.notice import NOTICE

UNPROCESSABLE, UNSUPPORTED, TOO_LARGE, TOO_MANY, UNAVAILABLE = 422, 415, 413, 429, 503

#: How `cmelt.read_ecg` says that a file is of no known format, and that a header came alone.
_NO_FORMAT = ("not an ECG format", "a zip archive")
_NO_SIGNALS = "signal file is not there"
_SEVERAL = "send header and signal files of a WFDB record together, each as a part named file; on the page, choose them together"


class Refusal(CMeltError):
    """An answer other than 200.

    Args:
        status: of HTTP.
        what: what was refused, in our own words.
        reason: why.
        remedy: what the caller can do.
        retry_seconds: after which time to ask again, where that helps.
    """

    def __init__(self, status: int, what: str, reason: str, remedy: str, retry_seconds: int | None = None) -> None:
        super().__init__(what, reason, remedy)
        self.status = status
        self.retry_seconds = retry_seconds

    def body(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"error": {"what": self.where, "reason": self.fault, "remedy": self.remedy}, "notice": NOTICE}

    def headers(self) -> dict[str, str]:
        """What goes with it."""
        found = {"Cache-Control": "no-store"}
        if self.retry_seconds is not None:
            found["Retry-After"] = str(self.retry_seconds)
        if self.status == 401:
            found["WWW-Authenticate"] = "Bearer"
        return found


@contextmanager
def blamed_on(what: str) -> Iterator[None]:
    """Whatever a library makes of a broken or absurd ECG is the ECG's fault, told by the error's type alone."""
    try:
        yield
    except (CMeltError, MemoryError):
        raise
    except Exception as error:
        reason = f"its reader failed ({type(error).__name__})"
        raise Refusal(UNPROCESSABLE, what, reason, "it is damaged or absurd: export it again") from error


def no_room() -> Refusal:
    """What to say where the disk does not take a body."""
    return Refusal(UNAVAILABLE, "the body", "there is no room for it on disk", "ask again later", 10)


def refusal_of_record(error: RecordError) -> Refusal:
    """What to say of an ECG that cannot be used. A reader's message may quote the file: words that are not ours are left out."""
    fault, remedy = without_foreign_words(error.fault), without_foreign_words(_by_fields(error.remedy))
    if error.fault.startswith(_NO_FORMAT):
        return Refusal(UNSUPPORTED, "the file", fault, f"{remedy}; {_SEVERAL}")
    if _NO_SIGNALS in error.fault:
        return Refusal(UNPROCESSABLE, "the ECG", fault, _SEVERAL)
    return Refusal(UNPROCESSABLE, "the ECG", fault, remedy or "send another file")


def _by_fields(remedy: str) -> str:
    """A remedy by options of a command, or arguments of a function, as one by fields of a request."""
    return re.sub(r"--(\w+)", r"\1", re.sub(r"--(\w+).*?, or ReadOptions\([^)]*\)", r"in the field \1", remedy))


def refusal_of_question(error: ConfigError) -> Refusal:
    """What to say of classes or options that cannot be had."""
    remedy = without_foreign_words(error.remedy) or "see /openapi.json for what can be asked"
    return Refusal(UNPROCESSABLE, "the question", without_foreign_words(error.fault), remedy)


def refusal_of(error: CMeltError) -> Refusal:
    """Any error of ours as an answer."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, RecordError):
        return refusal_of_record(error)
    if isinstance(error, ConfigError):
        return refusal_of_question(error)
    return Refusal(500, "the service", "something it needs is damaged or missing", "tell whoever runs it")
