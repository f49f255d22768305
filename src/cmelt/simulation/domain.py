"""Whose ECGs are simulated: which conditions are drawn how often, what hearts and recorders they meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from numpy.random import Generator

from cmelt.errors import ConfigError
from cmelt.simulation.archive.changes import ARCHIVE_CHANGES
from cmelt.simulation.archive.hearts import archive_person
from cmelt.simulation.archive.prevalence import PREVALENCE, RAREST
from cmelt.simulation.archive.recorder import archive_amplifier, archive_disturbance
from cmelt.simulation.condition import Condition
from cmelt.simulation.conditions import CONDITIONS, EXTENDED
from cmelt.simulation.heart import Heart, Person, person
from cmelt.simulation.noise import Amplifier, Disturbance, drawn_amplifier, drawn_disturbance


@dataclass(frozen=True)
class Domain:
    """What `simulate` draws from.

    Attributes:
        name: as in `DOMAINS`.
        conditions: those that are drawn; any of `EXTENDED` may be asked for by name.
        weights: relative frequencies by name, in place of the conditions' own.
        chronic, episodic: probabilities that 0, 1, 2 … conditions are drawn for a person and for a record.
        person: from a number to a person.
        amplifier, disturbance: the recorder's filters, and the noise at a level.
        changes: what some conditions do to a heart, by name, in place of their own.
    """

    name: str
    conditions: Mapping[str, Condition]
    weights: Mapping[str, float] = field(default_factory=dict)
    chronic: tuple[float, ...] = (0.56, 0.30, 0.12, 0.02)
    episodic: tuple[float, ...] = (0.59, 0.33, 0.08)
    person: Callable[[int], Person] = person
    amplifier: Callable[[Generator], Amplifier] = drawn_amplifier
    disturbance: Callable[[Generator, float], Disturbance] = drawn_disturbance
    changes: Mapping[str, Callable[[Heart, Generator], Heart]] = field(default_factory=dict)

    def changed(self, heart: Heart, condition: Condition, rng: Generator) -> Heart:
        """The heart with the condition."""
        return self.changes.get(condition.name, condition.change)(heart, rng)

    def weight(self, condition: Condition) -> float:
        """How often the condition is drawn, against the others; where the domain has weights, those it lacks are rare."""
        if not self.weights or not condition.weight:
            return condition.weight
        return self.weights.get(condition.name, RAREST)


#: "textbook": 45 conditions, clear cases. "extended": the same with all conditions. "archive": all conditions about as often as
#: hospitals see them, in hearts that differ as patients do, on quieter recorders.
DOMAINS: dict[str, Domain] = {
    domain.name: domain
    for domain in (
        Domain("textbook", CONDITIONS),
        Domain("extended", EXTENDED),
        Domain(
            "archive",
            EXTENDED,
            PREVALENCE,
            (0.50, 0.30, 0.15, 0.05),
            (0.52, 0.36, 0.12),
            archive_person,
            archive_amplifier,
            archive_disturbance,
            ARCHIVE_CHANGES,
        ),
    )
}


def domain_of(name: str) -> Domain:
    """The domain of this name. Raises ConfigError, naming those known."""
    if name not in DOMAINS:
        raise ConfigError("domain", f"unknown domain {name!r}", f"known are {', '.join(DOMAINS)}")
    return DOMAINS[name]
