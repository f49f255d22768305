"""Reports in several registers: recorder, cardiologist, telegram, capitals; all true, few alike.

What a report says is settled first (`Content`), how it says it then: statements of what was found, of rhythm and rate, of
intervals, of what is absent or normal, and a verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from numpy.random import Generator

from cmelt.simulation.condition import Condition
from cmelt.simulation.negation import NEGATIONS, NORMAL_FINDINGS, true_statements

#: An abnormal finding is left out this often, as reports do.
OMISSION = 0.03


@dataclass(frozen=True)
class Measured:
    """What a report may quote: beats a minute, milliseconds, degrees; None where there is no such interval."""

    rhythm: str
    rate_bpm: float
    pr_ms: float | None
    qrs_ms: float
    qt_ms: float
    qtc_ms: float
    axis_deg: float
    regular: bool


@dataclass(frozen=True)
class Content:
    """What a report says: conditions to mention (rhythm first), their groups, whether all is normal."""

    mentioned: tuple[Condition, ...]
    groups: frozenset[str]
    normal: bool
    measured: Measured


def one_of(rng: Generator, options: tuple[str, ...] | list[str]) -> str:
    """One of the options, each as likely."""
    return options[int(rng.integers(len(options)))]


def some_of(rng: Generator, options: list[str], most: int) -> list[str]:
    """None to `most` of the options, without repetition, in any order."""
    count = min(int(rng.integers(0, most + 1)), len(options))
    return [options[i] for i in rng.permutation(len(options))[:count]]


def _rate(content: Content, rng: Generator) -> str:
    rate = round(content.measured.rate_bpm)
    who = "ventricular rate" if "no-sinus" in content.groups or rng.random() < 0.4 else one_of(rng, ("rate", "heart rate", "HR"))
    shape = one_of(rng, ("{} {} bpm", "{} {}/min", "{} {}", "{} of {} beats per minute", "{} about {}"))
    return shape.format(who, rate)


def _intervals(content: Content, rng: Generator) -> list[str]:
    m = content.measured
    found = []
    if m.pr_ms is not None and m.regular:
        found.append(one_of(rng, ("PR interval {} ms", "PR {} ms", "PR {}")).format(round(m.pr_ms)))
    found.append(one_of(rng, ("QRS duration {} ms", "QRS {} ms", "QRS {}")).format(round(m.qrs_ms)))
    if rng.random() < 0.5:
        found.append(
            one_of(rng, ("QT/QTc {}/{} ms", "QT {} ms, QTc {} ms", "QT {} QTc {}")).format(round(m.qt_ms), round(m.qtc_ms))
        )
    if rng.random() < 0.3:
        found.append(one_of(rng, ("QRS axis {} degrees", "axis {}", "frontal axis {} deg")).format(round(m.axis_deg)))
    return found


def sinus_untold(content: Content) -> bool:
    """Whether the rhythm is sinus rhythm and no condition says so."""
    told = {"slow", "fast", "sinus-variability", "no-sinus"}
    if content.measured.rhythm != "sinus" or any(not c.groups.isdisjoint(told) for c in content.mentioned):
        return False
    return content.groups.isdisjoint({"slow", "fast", "av-dissociation"})


def _sinus(content: Content, rng: Generator) -> str:
    """The rhythm, where no mentioned condition tells it: sinus rhythm."""
    if not sinus_untold(content) or rng.random() < 0.15:
        return ""
    options = ["sinus rhythm", "regular sinus rhythm", "sinus rhythm"]
    if content.measured.regular and content.groups.isdisjoint({"atrial-ectopy", "ventricular-ectopy", "sinus-variability"}):
        options += ["normal sinus rhythm", "NSR", "normal sinus rhythm"]
    else:
        options = ["sinus rhythm", "underlying sinus rhythm", "basic rhythm sinus"]
    return one_of(rng, options)


def _verdict(content: Content, rng: Generator, likely: float = 0.45) -> str:
    if content.normal or rng.random() > likely:
        return ""
    return one_of(rng, ("abnormal ECG", "abnormal ECG", "abnormal tracing", "ECG abnormal", "borderline ECG"))


def _remarks(content: Content, rng: Generator, most: int) -> list[str]:
    absent = true_statements(NEGATIONS, content.groups)
    usual = true_statements(NORMAL_FINDINGS, content.groups)
    return some_of(rng, absent, most) + some_of(rng, usual, most)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _doubted(text: str, content: Content, rng: Generator) -> str:
    """Recorders hedge."""
    if content.normal or rng.random() > 0.1 or text.startswith(("possible", "sinus", "atrial", "borderline")):
        return text
    return one_of(rng, ("possible ", "probable ", "consider ")) + text


def machine(content: Content, rng: Generator) -> str:
    """A recorder's statements, one after the other."""
    found = [_doubted(one_of(rng, c.wording.machine), content, rng) for c in content.mentioned]
    statements = [s for s in [_sinus(content, rng), *found] if s]
    if rng.random() < 0.4:
        statements.insert(min(1, len(statements)), _rate(content, rng))
    if rng.random() < 0.3:
        statements += _intervals(content, rng)
    if rng.random() < 0.35:
        statements += _remarks(content, rng, 1)
    statements.append(_verdict(content, rng, 0.7))
    style = rng.random()
    kept = [s for s in statements if s]
    if style < 0.45:
        return ". ".join(_capital(s) for s in kept) + "."
    if style < 0.7:
        return ". ".join(kept)
    return " | ".join(kept) if style < 0.8 else ", ".join(kept)


def capitals(content: Content, rng: Generator) -> str:
    """The recorder's statements in capitals, with its measurements in front."""
    return machine(content, rng).replace(" | ", "\n").upper()


_ONE = (
    "There is {}.",
    "The tracing shows {}.",
    "This ECG demonstrates {}.",
    "Findings consistent with {}.",
    "The recording shows {}.",
    "ECG with {}.",
    "Evidence of {}.",
    "Diagnosis: {}.",
    "Note {}.",
    "{}.",
)
_MORE = (
    "Also {}.",
    "In addition {}.",
    "There is also {}.",
    "Furthermore {}.",
    "Moreover there is {}.",
    "{}.",
    "Accompanied by {}.",
)


def _sentences(content: Content, rng: Generator) -> list[str]:
    """The findings as sentences; a feature now and then beside or in place of the name."""
    said = []
    for condition in content.mentioned:
        wording = condition.wording
        name = one_of(rng, wording.clinical)
        if wording.features and rng.random() < 0.3:
            feature = one_of(rng, wording.features)
            name = (
                feature if rng.random() < 0.35 else one_of(rng, ("{} with {}", "{}: {}", "{}, that is {}")).format(name, feature)
            )
        said.append(name)
    sentences: list[str] = []
    while said:
        if len(said) > 1 and rng.random() < 0.4:
            name, said = f"{said[0]} and {said[1]}", said[2:]
        else:
            name, said = said[0], said[1:]
        sentences.append(one_of(rng, _MORE if sentences else _ONE).format(name))
    return sentences


def cardiologist(content: Content, rng: Generator) -> str:
    """Full sentences."""
    sentences = []
    if sinus := _sinus(content, rng):
        shape = one_of(rng, ("{}.", "The rhythm is {}.", "Rhythm: {}.", "{} with a {}."))
        sentences.append(shape.format(sinus, _rate(content, rng)))
    elif rng.random() < 0.3:
        sentences.append(f"The {_rate(content, rng)}.")
    sentences += _sentences(content, rng)
    if rng.random() < 0.3:
        sentences.append(f"{'; '.join(_intervals(content, rng))}.")
    remarks = _remarks(content, rng, 2)
    if remarks and rng.random() < 0.5:
        sentences.append(f"{one_of(rng, (', ', ' and ', '; ')).join(remarks)}.")
    else:
        sentences += [one_of(rng, ("{}.", "There is {}.", "{}.") if r.startswith("no ") else ("{}.",)).format(r) for r in remarks]
    sentences += [f"{v}." for v in [_verdict(content, rng, 0.25)] if v]
    return " ".join(_capital(s) for s in sentences)


def telegram(content: Content, rng: Generator) -> str:
    """Abbreviations and commas."""
    parts = [_sinus(content, rng).replace("sinus rhythm", one_of(rng, ("SR", "sinus", "sinus rhythm")))]
    parts += [one_of(rng, c.wording.short if rng.random() < 0.75 else c.wording.clinical) for c in content.mentioned]
    if rng.random() < 0.5:
        parts.insert(1, str(round(content.measured.rate_bpm)) if rng.random() < 0.5 else _rate(content, rng))
    if rng.random() < 0.25:
        parts += _intervals(content, rng)
    if rng.random() < 0.5:
        parts += _remarks(content, rng, 1)
    text = one_of(rng, (", ", ", ", ". ", "; ", " / ")).join(p for p in parts if p)
    return text if rng.random() < 0.5 else text + "."


def summary(content: Content, rng: Generator) -> str:
    """A recorder's line, and a reader's comment on it."""
    heading = one_of(rng, ("Comment:", "Impression:", "Summary:", "Reviewed:"))
    return f"{machine(content, rng)} {heading} {cardiologist(content, rng)}"


#: Registers and how often each is used.
REGISTERS: tuple[tuple[Callable[[Content, Generator], str], float], ...] = (
    (machine, 0.32),
    (capitals, 0.12),
    (cardiologist, 0.34),
    (telegram, 0.16),
    (summary, 0.06),
)


def content_of(conditions: Iterable[Condition], covered: frozenset[str], measured: Measured, rng: Generator) -> Content:
    """Settle what is said.

    Args:
        conditions: all that hold, in the registry's order.
        covered: names that need no mention, since another's wording says them.
    """
    held = tuple(conditions)
    groups = frozenset().union(*(c.groups for c in held)) if held else frozenset()
    normal = all(c.name == "normal" for c in held)
    mentioned = tuple(c for c in held if c.name not in covered and (normal or rng.random() >= OMISSION))
    if len(mentioned) > 1 and rng.random() < 0.35:  # readers have their own order, once the rhythm is told
        order = rng.permutation(len(mentioned))
        mentioned = tuple(mentioned[i] for i in order)
    return Content(mentioned, groups, normal, measured)


def written(content: Content, rng: Generator) -> str:
    """The report, in one of the registers, now and then all in lower case."""
    register = REGISTERS[int(rng.choice(len(REGISTERS), p=[share for _, share in REGISTERS]))][0]
    text = register(content, rng)
    if not text.strip(" ."):  # everything was left out: at least the rate
        text = f"{_capital(_rate(content, rng))}."
    return text.lower() if rng.random() < 0.12 else text
