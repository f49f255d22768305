"""Three registers that every language with a file of words has: a recorder's statements, notes, full sentences.

What is said, and that it is true, is settled before (`report.Content`); here it is put in the order in which recorders print
it: premature beats, rhythm, AV conduction, atria, axis, voltage, ventricular conduction, hypertrophy, infarction, ST and T.
"""

from __future__ import annotations

from collections.abc import Sequence

from numpy.random import Generator

from cmelt.simulation.condition import Condition
from cmelt.simulation.languages.leads import LeadFindings, listed
from cmelt.simulation.languages.words import Phrases, Words
from cmelt.simulation.negation import NEGATIONS, NORMAL_FINDINGS, true_statements
from cmelt.simulation.report import Content, one_of, sinus_untold, some_of

_FINDINGS = ("q", "st_up", "st_down", "t_negative", "t_flat")

#: Place in a report, and the groups that belong there; the first that fits counts.
_SECTIONS: tuple[tuple[int, frozenset[str]], ...] = (
    (0, frozenset({"atrial-ectopy", "ventricular-ectopy"})),
    (1, frozenset({"rhythm", "sinus-variability"})),
    (2, frozenset({"av-block"})),
    (3, frozenset({"atrial-shape"})),
    (4, frozenset({"axis", "rotation"})),
    (5, frozenset({"voltage-loss"})),
    (6, frozenset({"bundle", "ventricular-conduction", "pre-excitation"})),
    (7, frozenset({"chamber"})),
    (8, frozenset({"infarction", "r-progression"})),
    (10, frozenset({"normal"})),
)
_ECTOPY, _RHYTHM, _AXIS, _Q, _ST_T = 0, 1, 4, 8, 9

#: Where a machine is not sure: atria, hypertrophy, infarction.
_DOUBTFUL = frozenset({3, 7, 8})

#: With one of these an ECG is not "otherwise normal".
_SERIOUS = frozenset(
    {"no-sinus", "dropped-beats", "av-dissociation", "broad", "ventricular-origin", "pre-excitation", "chamber", "atrial-shape"}
    | {"infarction", "repolarisation", "acute-st", "t-wave", "bigeminy"}
)
#: With one of these the axis means nothing, or it is told anyway.
_NO_AXIS = frozenset({"axis", "ventricular-origin", "third-degree-av-block", "pre-excitation"})
#: Broad QRS, and waves that run through ST and T: what these show there is no finding of its own.
_NO_ST_T = frozenset(
    {"broad", "ventricular-origin", "pre-excitation", "third-degree-av-block", "flutter", "fast"}
    | {"incomplete-right-bundle-branch-block"}
)


def section(condition: Condition) -> int:
    """Where in a report the condition is told."""
    return next((place for place, groups in _SECTIONS if not condition.groups.isdisjoint(groups)), _ST_T)


def axis_type(degrees: float) -> str:
    """The type of a frontal axis by Cabrera's circle; borders as PTB-XL's recorders drew them."""
    if not -90 < degrees <= 180:
        return "extreme-right"
    borders = ((-30, "extreme-left"), (8, "left"), (60, "normal"), (90, "steep"), (120, "right"))
    return next((name for border, name in borders if degrees <= border), "extreme-right")


def _weighted(rng: Generator, options: dict[str, float]) -> str:
    return list(options)[int(rng.choice(len(options), p=list(options.values())))]


class Teller:
    """One report in the making: its content, the words of its language, and what is seen in which leads."""

    def __init__(self, content: Content, words: Words, findings: LeadFindings, rng: Generator) -> None:
        self.content, self.words, self.rng = content, words, rng
        chest = one_of(rng, words.chest_lists)  # one report lists leads in one way
        self.leads = {name: listed(leads, chest) for name in _FINDINGS if (leads := getattr(findings, name))}
        shown = {"t-wave"} if {"t_negative", "t_flat"} & set(self.leads) else set()
        shown |= {"acute-st"} if {"st_up", "st_down"} & set(self.leads) else set()
        self.groups = content.groups | shown  # of a T that is flat nobody says that it is normal, whatever the cause

    def written(self) -> str:
        """The report in one of the registers."""
        register = {"statements": self.statements, "notes": self.notes, "sentences": self.sentences}
        text = register[_weighted(self.rng, self.words.share)]()
        if not text.strip(" ."):  # everything was left out: at least the rate
            text = self._rate()
        if self.rng.random() < self.words.respelled_share:
            for letter, others in self.words.respelled.items():
                text = text.replace(letter, others)
        return text if self.rng.random() < 0.9 else text.upper()

    def statements(self) -> str:
        """A recorder's statements, in its order, mostly without a sign between them."""
        told = [(section(c), self._doubted(self.said(c, "statements"), c)) for c in self._mentioned()]
        told += [(_RHYTHM, text) for text in (self._sinus(), self._rate() if self.rng.random() < 0.08 else "") if text]
        told += [(_AXIS, text) for text in [self._axis(self.words.axis_share)] if text]
        told += self._seen(0.35, told)
        parts = [text for _, text in sorted(told, key=lambda pair: pair[0])]  # stable: rhythm before its rate
        if self.rng.random() < 0.08:
            parts += self._intervals()
        if self.rng.random() < 0.08:
            parts += self._remarks(1)
        parts += self._verdict(0.3)
        return _weighted(self.rng, self.words.separators).join(parts)

    def notes(self) -> str:
        """A physician's notes: abbreviations, rate, axis, what else was looked at."""
        rng = self.rng
        parts = [one_of(rng, self.words.sinus_short) if self._sinus() else ""]
        parts += [self._rate() if rng.random() < 0.6 else "", self._axis(0.7)]
        told = [(section(c), self.said(c, "short" if rng.random() < 0.6 else "clinical")) for c in self._mentioned()]
        parts += [text for _, text in sorted(told + self._seen(0.4, told), key=lambda pair: pair[0])]
        if rng.random() < 0.3:
            parts += self._intervals()
        parts += self._remarks(2) + self._verdict(0.4)
        return _weighted(rng, self.words.note_separators).join(part for part in parts if part)

    def sentences(self) -> str:
        """Full sentences; a feature now and then beside the name."""
        rng, words = self.rng, self.words
        sentences = []
        if sinus := self._sinus():
            sentences.append(one_of(rng, words.rhythm_sentence).format(sinus, self._rate()))
        elif rng.random() < 0.4:
            sentences.append(f"{self._rate()}.")
        if axis := self._axis(0.6):
            sentences.append(f"{axis}.")
        said = [self._with_feature(c) for c in self._mentioned()]
        opened = False
        while said:
            if len(said) > 1 and rng.random() < 0.35:
                name, said = one_of(rng, words.both).format(said[0], said[1]), said[2:]
            else:
                name, said = said[0], said[1:]
            sentences.append(one_of(rng, words.more if opened else words.first).format(name))
            opened = True
        sentences += [f"{text}." for _, text in self._seen(0.3, [(0, text) for text in sentences])]
        if rng.random() < 0.25:
            sentences.append(f"{', '.join(self._intervals())}.")
        sentences += [f"{text}." for text in self._remarks(2) + self._verdict(0.3)]
        return " ".join(text[:1].upper() + text[1:] for text in sentences)

    def said(self, condition: Condition, kind: str) -> str:
        """One of the condition's phrases of this kind whose leads there are."""
        phrases: Phrases = self.words.conditions[condition.name]
        return self._one(getattr(phrases, kind) or phrases.clinical)

    def _one(self, options: Sequence[str]) -> str:
        lacking = [f"{{{name}}}" for name in _FINDINGS if name not in self.leads]
        possible = [text for text in options if not any(place in text for place in lacking)]
        return one_of(self.rng, possible).format(**self.leads) if possible else ""

    def _mentioned(self) -> list[Condition]:
        """In the report's order; of bigeminy not also that there are premature beats."""
        mentioned = self.content.mentioned
        implied = {name for c in mentioned if section(c) == _ECTOPY for name in c.implies}
        return sorted((c for c in mentioned if c.name not in implied), key=section)

    def _with_feature(self, condition: Condition) -> str:
        name = self.said(condition, "clinical")
        features = self.words.conditions[condition.name].features
        if not features or self.rng.random() > 0.3:
            return name
        feature = self._one(features)
        return one_of(self.rng, self.words.with_feature).format(name, feature) if feature else name

    def _doubted(self, text: str, condition: Condition) -> str:
        """The statement, now and then hedged where machines hedge, and where it is plain and not hedged by itself."""
        bare = [shape.replace("{}", "").strip(" ,") for shape in self.words.hedges]
        plain = len(text.split()) <= 4 and "," not in text and not any(word in text for word in bare)
        if section(condition) not in _DOUBTFUL or not plain or self.rng.random() > 0.2:
            return text
        return one_of(self.rng, self.words.hedges).format(text)

    def _sinus(self) -> str:
        content = self.content
        if not sinus_untold(content) or self.rng.random() < 0.08:
            return ""
        ectopy = {"atrial-ectopy", "ventricular-ectopy", "sinus-variability"}
        regular = content.measured.regular and content.groups.isdisjoint(ectopy)
        return one_of(self.rng, self.words.sinus_regular if regular else self.words.sinus)

    def _rate(self) -> str:
        return one_of(self.rng, self.words.rate).format(round(self.content.measured.rate_bpm))

    def _axis(self, share: float) -> str:
        if not self.content.groups.isdisjoint(_NO_AXIS) or self.rng.random() > share:
            return ""
        degrees = self.content.measured.axis_deg
        if self.rng.random() < 0.06:
            return one_of(self.rng, self.words.axis_degrees).format(round(degrees))
        options = self.words.axis[axis_type(degrees)]
        return one_of(self.rng, options) if options else ""

    def _intervals(self) -> list[str]:
        m, found = self.content.measured, []
        if m.pr_ms is not None and m.regular and "no-sinus" not in self.content.groups:
            found.append(one_of(self.rng, self.words.pr).format(round(m.pr_ms)))
        found.append(one_of(self.rng, self.words.qrs).format(round(m.qrs_ms)))
        if self.rng.random() < 0.5:
            found.append(one_of(self.rng, self.words.qt).format(round(m.qt_ms), round(m.qtc_ms)))
        return found

    def _remarks(self, most: int) -> list[str]:
        groups = self.groups
        absent = some_of(self.rng, true_statements(NEGATIONS, groups), most)
        usual = some_of(self.rng, true_statements(NORMAL_FINDINGS, groups), most)
        return [one_of(self.rng, self.words.negations[s]) for s in absent] + [
            one_of(self.rng, self.words.normal_findings[s]) for s in usual
        ]

    def _seen(self, share: float, told: list[tuple[int, str]]) -> list[tuple[int, str]]:
        """In which leads something is seen that `told` does not say: not in a normal ECG, not where QRS is broad."""
        groups = self.content.groups
        if self.content.normal or not groups.isdisjoint(_NO_ST_T):
            return []
        usable = [f for f in self.leads if f != "q" or "infarction" in groups]
        new = [f for f in usable if self.rng.random() < share and not any(self.leads[f] in text for _, text in told)]
        return [(_Q if f == "q" else _ST_T, one_of(self.rng, self.words.seen[f]).format(self.leads[f])) for f in new]

    def _verdict(self, share: float) -> list[str]:
        """Of a normal ECG the condition's own words say it; "otherwise normal" only where nothing serious is there."""
        if self.content.normal:
            return []
        if self.groups.isdisjoint(_SERIOUS):
            kind = self.words.otherwise_normal if self.rng.random() < 0.8 else self.words.borderline
            return [one_of(self.rng, kind)] if self.rng.random() < 0.6 else []
        return [one_of(self.rng, self.words.abnormal)] if self.rng.random() < share else []
