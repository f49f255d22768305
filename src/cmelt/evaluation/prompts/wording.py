"""Statements and their wordings, from the YAML files beside this one.

A statement ("atrial fibrillation") is worded once, whatever a dataset calls it; tasks refer to it by name. Texts are our own: a
test holds that none is a report, or a sentence of one, of the records that are evaluated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from cmelt.config.parsing import from_mapping
from cmelt.errors import ConfigError
from cmelt.evaluation.strict_yaml import read_strict_yaml

Language = Literal["english", "german"]
LANGUAGES: tuple[Language, ...] = ("english", "german")
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Wording:
    """Sentences that say one thing, by language."""

    english: tuple[str, ...]
    german: tuple[str, ...]

    def texts(self, languages: Iterable[Language] = LANGUAGES) -> tuple[str, ...]:
        """The sentences of these languages, in the order of the languages."""
        by_language = {"english": self.english, "german": self.german}
        return tuple(text for language in languages for text in by_language[language])


@dataclass(frozen=True)
class Statement:
    """Something an ECG report may say.

    Attributes:
        meaning: what a cardiologist understands by it, in one sentence; for readers, not for models.
        english, german: sentences that say that it is there.
        absent: sentences that say that it is not, by what is there instead wherever that can be said: a small text encoder
            hardly reads "no", and tells "sinus rhythm" from "atrial fibrillation" all the better.
    """

    meaning: str
    english: tuple[str, ...]
    german: tuple[str, ...]
    absent: Wording

    def __post_init__(self) -> None:
        for language in LANGUAGES:
            present, absent = self.present.texts([language]), self.absent.texts([language])
            if not present or not absent:
                raise ValueError(f"nothing in {language} for a statement that is there, or for one that is absent")
            if len({*present, *absent}) < len(present) + len(absent):
                raise ValueError(f"the same {language} text twice")

    @property
    def present(self) -> Wording:
        """That it is there, as `absent` is that it is not."""
        return Wording(self.english, self.german)


@cache
def statements() -> Mapping[str, Statement]:
    """Every bundled statement by name, in the order of the files."""
    return read_statements(FOLDER)


def read_statements(folder: Path) -> Mapping[str, Statement]:
    """The statements of every .yaml file of a folder.

    Raises ConfigError naming the file and the key for anything that is not understood, or a statement worded in two files.
    """
    found: dict[str, Statement] = {}
    for path in sorted(folder.glob("*.yaml")):
        for name, content in read_strict_yaml(path).items():
            if name in found:
                raise ConfigError(path, f"statement {name} is worded in an earlier file too", "keep one of the two")
            found[name] = from_mapping(Statement, content, path, name)
    return MappingProxyType(found)
