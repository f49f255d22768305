"""Reports in several languages: the English of `report.py`, and one file of words for each other language or style."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.random import Generator

from cmelt.errors import ConfigError
from cmelt.simulation import report
from cmelt.simulation.languages.leads import LeadFindings
from cmelt.simulation.languages.registers import Teller
from cmelt.simulation.languages.words import words_of
from cmelt.simulation.report import Content

#: "en": the five English registers of `report.py`; "en-statements": English as archives' recorders print it; "de": German.
LANGUAGES: tuple[str, ...] = ("en", "en-statements", "de")


def checked_languages(languages: Sequence[str]) -> tuple[str, ...]:
    """The languages as a tuple; one named twice is used twice as often.

    Raises:
        ConfigError: none, an unknown one, or a string in place of a list.
    """
    if isinstance(languages, str) or not languages:
        raise ConfigError("languages", f"got {languages!r}", f"give a list of {', '.join(LANGUAGES)}")
    for language in languages:
        if language not in LANGUAGES:
            raise ConfigError("languages", f"unknown language {language!r}", f"known are {', '.join(LANGUAGES)}")
    return tuple(languages)


def report_in(language: str, content: Content, findings: LeadFindings, rng: Generator) -> str:
    """The report of `content` in one of `LANGUAGES`; `findings` are used by all but "en"."""
    if language == "en":
        return report.written(content, rng)
    return Teller(content, words_of(language), findings, rng).written()


def held_out_phrases(language: str) -> dict[str, tuple[str, ...]]:
    """For every condition, phrases in this language that no report in it contains."""
    from cmelt.simulation.conditions import EXTENDED

    if language.startswith("en"):
        return {name: condition.held_out for name, condition in EXTENDED.items()}
    words = words_of(language)
    return {name: words.conditions[name].held_out for name in EXTENDED}
