"""Every exception we raise: which file or key, what was wrong, what to do about it.

No message carries report text, a patient's name or identifier: these end up in logs.
"""

from __future__ import annotations

from pathlib import Path

#: The environment variable that asks for whole tracebacks, with the messages of libraries in them.
TRACEBACK = "CMELT_TRACEBACK"


def unforeseen(error: BaseException) -> str:
    """An error that is none of ours, in lines: types and places in the source alone.

    What a library raises quotes what it was given: `could not convert string to float: 'Doe, Jane'`.
    """
    import traceback

    lines = [f"failed with {_told(error)}, which was not foreseen (its message may quote a report: {TRACEBACK}=1 shows it)"]
    met: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in met:
        met.add(id(cause))
        places = traceback.extract_tb(cause.__traceback__)
        lines += [f"  {_told(cause)}:", *(f"    {place.filename}:{place.lineno} {place.name}" for place in places)]
        cause = cause.__cause__ or cause.__context__
    return "\n".join(lines)


def _told(error: BaseException) -> str:
    """The error's type, and of what is certainly the system's what it says."""
    said = error.strerror if isinstance(error, OSError) else error.name if isinstance(error, ImportError) else None
    return f"{type(error).__name__} ({said})" if said else type(error).__name__


class CMeltError(Exception):
    """The family of all errors that a user can mend.

    Args:
        where: the file, key or argument concerned.
        fault: what is wrong with it, in one clause.
        remedy: what to do about it; may be empty where the fault says it.
    """

    def __init__(self, where: str | Path, fault: str, remedy: str = "") -> None:
        self.where = str(where)
        self.fault = fault
        self.remedy = remedy
        super().__init__(f"{self.where}: {fault}" + (f" ({remedy})" if remedy else ""))

    def __reduce__(self) -> tuple[type[CMeltError], tuple[str, str, str]]:
        """Rebuild from its three parts, so that worker processes can hand errors over."""
        return type(self), (self.where, self.fault, self.remedy)


class RecordError(CMeltError):
    """A file or an array that is not a usable ECG."""


class SourceError(CMeltError):
    """A dataset on disk that is not laid out as its source expects."""


class StoreError(CMeltError):
    """A prepared store that is missing, incomplete, altered or unfit for the request."""


class ConfigError(CMeltError):
    """A recipe, task file or override with an unknown key, a wrong type or a contradiction."""


class CheckpointError(CMeltError):
    """A checkpoint that is missing, altered, or made for another model."""


class TrainingError(CMeltError):
    """A run that cannot go on: a loss that is not finite, data that ran out, a device that is not there."""
