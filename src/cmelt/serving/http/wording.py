"""Messages cleared of everything that a request brought: only words that stand in our own source are passed on.

A reader's message may name a lead, a unit or a file as the upload spells it, and there a patient's name can hide. What is
certainly ours is what our source says; a list of what is not could never be complete.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import resources

#: Rooms whose messages reach callers.
_ROOMS = (
    "cmelt.records",
    "cmelt.records.readers",
    "cmelt.serving",
    "cmelt.serving.http",
    "cmelt.evaluation",
    "cmelt.evaluation.tasks",
    "cmelt.evaluation.prompts",
    "cmelt.index",
)
_ELIDED = "…"
#: A quotation, by an apostrophe that no letter stands before, or a double quote.
_QUOTED = re.compile(r"(?<!\w)'[^']*'|\"[^\"]*\"")
_WORD = re.compile(r"[^\W\d_](?:[\w'’-]*\w)?")
#: Longer numbers count nothing that an ECG has; they may be somebody's.
_LONG_NUMBER = re.compile(r"\d{9,}")
_PATH = re.compile(r"(?:[A-Za-z]:)?[\\/](?:[\w.-]+[\\/])+[\w.-]*")


def without_foreign_words(text: str) -> str:
    """`text` with quotations, paths, long numbers and every word that our source does not have replaced by "…"."""
    known = _own_words()
    shortened = _LONG_NUMBER.sub(_ELIDED, _PATH.sub(_ELIDED, _QUOTED.sub(_ELIDED, text)))
    return _WORD.sub(lambda found: found[0] if found[0].lower() in known else _ELIDED, shortened)


@lru_cache(maxsize=1)
def _own_words() -> frozenset[str]:
    """Words of the source of `_ROOMS`, in lower case; prompts and tables of codes are no messages, and are not read."""
    found: set[str] = set()
    for room in _ROOMS:
        for file in resources.files(room).iterdir():
            if file.name.endswith(".py"):
                found |= {word.lower() for word in _WORD.findall(file.read_text(encoding="utf-8"))}
    return frozenset(found)
