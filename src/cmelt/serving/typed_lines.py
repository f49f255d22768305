"""Lines that somebody types, as classes: one that clearly names a bundled statement is asked in all of its words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from cmelt.errors import ConfigError
from cmelt.evaluation.prompts import statements
from cmelt.evaluation.prompts.names import plain, statements_called
from cmelt.evaluation.tasks import Task
from cmelt.serving.classes import task_of

#: What a task is called whose classes are typed lines; each is labelled by the statement that it was taken as, or by itself.
TYPED = "typed"

#: "Is there | any | evidence of | a | …": so many words of asking may stand around one another.
_MOST_LAYERS = 6
_QUOTED = re.compile(r'^["“”„«»](.+)["“”„«»]$')
_ECG = r"(?:(?:this|the|das|dieses|diesem|dem)\s+)?(?:ecg|ekg|tracing)"
#: Words around a finding that no report has, each followed by a space: "is there …", "any signs of …", "gibt es …".
_OPENING = re.compile(
    rf"""^(?:(?:is|are)\s+there | is\s+(?:it|this|that) | (?:does|do)\s+(?:it|you|we|{_ECG}|the\s+patient)\s+(?:show|see|have)
    | can\s+(?:you|we)\s+see | could\s+(?:it|this|there)\s+be | (?:look|check|search)\s+for | show(?:\s+me)? | find
    | (?:presence|signs?|evidence|indications?)\s+of | any | an? | the
    | gibt\s+es | besteh(?:t|en)(?:\s+hier)? | (?:sieht|erkennt)\s+man | zeigt\s+{_ECG} | (?:zeigt|zeigen|findet|finden)\s+sich
    | handelt\s+es\s+sich\s+um | hat\s+(?:der\s+patient|die\s+patientin) | (?:an)?zeichen(?:\s+(?:f(?:ü|ue)r|von))?
    | hinweise?(?:\s+(?:auf|f(?:ü|ue)r))? | ein(?:e[nrsm]?)? | d(?:er|ie|as|en|em|es))\s+""",
    re.IGNORECASE | re.VERBOSE,
)
_ENDING = re.compile(
    rf"""\s+(?:(?:is|are)\s+)?(?:present|visible|seen|(?:in|on|im|in)\s+{_ECG}|im\s+ekg|vorhanden|sichtbar|erkennbar|nachweisbar
    |zu\s+(?:sehen|erkennen))$""",
    re.IGNORECASE | re.VERBOSE,
)
#: German sentences that close around the finding: "liegt Vorhofflimmern vor", "ist eine ST-Hebung zu sehen".
_AROUND = re.compile(
    r"^(?:lieg(?:t|en)\s+(?P<lies>.+)\s+vor|(?:ist|sind)\s+(?P<seen>.+)\s+(?:vorhanden|sichtbar|erkennbar|nachweisbar|zu\s+(?:sehen|erkennen)))$",
    re.IGNORECASE,
)
_NEGATING = frozenset(
    {"no", "not", "non", "without", "none", "never", "neither", "nor", "absent", "absence", "lack", "lacking", "exclude",
     "excluded", "ruled", "rule", "negative", "free", "isn", "aren", "doesn", "don",
     "nicht", "ohne", "kein", "keine", "keinen", "keiner",
     "keines", "keinem", "weder", "nie", "ausgeschlossen", "ausschluss", "fehlend", "fehlende"}
)  # fmt: skip


@dataclass(frozen=True)
class TypedLine:
    """What a line was understood to ask.

    Attributes:
        line: as it was typed.
        asked: without question marks, words of asking and quotes.
        statement: the bundled statement that it names; None where it does not clearly name one.
        why: why it is taken as typed, where that may surprise.
    """

    line: str
    asked: str
    statement: str | None = None
    why: str = ""


def understood(line: str, *, as_typed: bool = False) -> TypedLine:
    """Which statement a line names, by name, abbreviation or one of its own phrasings, in English or German, asked or not.

    In quotes, or with `as_typed`, a line means its words alone. Of a line that says more than a name, or that something is
    absent, nothing is guessed.
    """
    bare = line.strip()
    if quoted := _QUOTED.match(bare):
        return TypedLine(line, quoted[1].strip(), why="in quotes")
    asked = _unasked(bare)
    if as_typed:
        return TypedLine(line, asked)
    if (own := _phrasings().get(plain(bare))) is not None:
        return TypedLine(line, asked, own)
    if _NEGATING & set(re.findall(r"\w+", bare.casefold())) and not statements_called(asked):
        return TypedLine(line, asked, why="it says that something is absent")
    found = statements_called(bare) or statements_called(asked)
    if len(found) > 1:
        return TypedLine(line, asked, why=f"it may mean {' or '.join(found)}")
    return TypedLine(line, asked, *found)


def typed_lines(lines: Sequence[str], *, as_typed: bool = False) -> Task:
    """Typed lines as classes, in their order, each called as its line.

    One that names a statement has that statement's prompts, negative prompts and, in a calibrated model, probability; any other
    is one prompt against a normal ECG. `taken_as` tells which is which.

    Args:
        as_typed: take no line for a statement; quotes around a single one do the same.
    Raises:
        ConfigError: no line, an empty one, or the same line twice.

    Example:
        >>> task = cmelt.typed_lines(["is there atrial fibrillation?", "LSB", "delta wave"])  # doctest: +SKIP
        >>> cmelt.classify(model, processor, "patient.dcm", task)  # doctest: +SKIP
    """
    if not lines or not all(line.strip() for line in lines):
        raise ConfigError("prompts", "there is no line, or an empty one", "write a finding a line")
    if len(set(lines)) < len(lines):
        raise ConfigError("prompts", "the same line stands there twice", "write each finding once")
    classes = {}
    for line in lines:
        one = understood(line, as_typed=as_typed)
        task = task_of([one.statement]) if one.statement is not None else task_of({one.asked: [one.asked]})
        classes[line] = next(iter(task.classes.values()))
    return Task(classes, TYPED)


def taken_as(task: Task) -> dict[str, str | None]:
    """Of each class of typed lines: the statement that it was taken as, None for its words alone. Empty for other tasks."""
    if task.name != TYPED:
        return {}
    return {line: _statement_of(one.labels[0], one.prompts) for line, one in task.classes.items()}


def told_of(task: Task) -> list[str]:
    """The same in words, a line each; empty for other tasks."""
    return told_lines(taken_as(task))


def told_lines(taken: Mapping[str, str | None]) -> list[str]:
    """What `taken_as` says, in words, a line each."""
    return [f"{line if _QUOTED.match(line.strip()) else f'“{line}”'}: {told_line(line, one)}" for line, one in taken.items()]


def told_line(line: str, statement: str | None) -> str:
    """What people are told of a typed line."""
    if statement is not None:
        return f"taken as the statement {statement}"
    one = understood(line)
    words = "" if one.asked == line.strip() else f": “{one.asked}”"
    return f"scored as typed, no probability{words}" + (f" ({one.why})" if one.why else "")


def _statement_of(label: str, prompts: Sequence[str]) -> str | None:
    known = statements().get(label)
    return label if known is not None and known.present.texts() == tuple(prompts) else None


def _unasked(line: str) -> str:
    """A line without question marks and words of asking; never nothing."""
    rest = line.rstrip(" ?？!.").strip()
    if closed := _AROUND.match(rest):
        rest = closed["lies"] or closed["seen"]
    for around in (_ENDING, _OPENING) * _MOST_LAYERS:
        # A name may hold such words itself: "A fib".
        if statements_called(rest):
            break
        rest = around.sub("", rest).strip() or rest
    return rest or line


@cache
def _phrasings() -> Mapping[str, str]:
    """Each statement's own sentences, as `plain` has them, that are no other statement's."""
    found: dict[str, set[str]] = {}
    for name, statement in statements().items():
        for text in statement.present.texts():
            found.setdefault(plain(text), set()).add(name)
    return MappingProxyType({text: next(iter(names)) for text, names in found.items() if len(names) == 1})
