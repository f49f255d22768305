"""What a condition is: a change of the heart, what it excludes, and the words it is reported with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from numpy.random import Generator

from cmelt.errors import ConfigError
from cmelt.simulation.heart import Heart


@dataclass(frozen=True)
class Wording:
    """How a condition is put into words; none of these is ever a held-out phrase.

    Attributes:
        machine: statements of a recorder, lower case, as in MIMIC-IV-ECG.
        clinical: noun phrases of a cardiologist, fit for "there is …".
        short: abbreviations, as in telegraphic notes.
        features: what is seen, as a noun phrase; each is enough to know the condition by.
    """

    machine: tuple[str, ...]
    clinical: tuple[str, ...]
    short: tuple[str, ...]
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Condition:
    """One entry of the registry.

    Attributes:
        name: lower case with hyphens.
        change: the heart with this condition; the generator is the person's own for this condition.
        wording: how reports put it.
        held_out: phrases for prompts that no report contains.
        slot: at most one condition a slot; "" for none.
        tags: what groups of conditions it belongs to.
        excludes: names, slots or tags that cannot be had together with it.
        implies: conditions that hold wherever this one does.
        weight: relative frequency when conditions are drawn.
        episodic: drawn for a record (True) or for a person (False).
    """

    name: str
    change: Callable[[Heart, Generator], Heart]
    wording: Wording
    held_out: tuple[str, ...]
    slot: str = ""
    tags: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    implies: tuple[str, ...] = ()
    weight: float = 1.0
    episodic: bool = False

    @property
    def groups(self) -> frozenset[str]:
        """Everything others may exclude it by."""
        return frozenset({self.name, *self.tags} | ({self.slot} if self.slot else set()))


def clash(one: Condition, other: Condition) -> bool:
    """Whether the two cannot be had together."""
    if one.name in other.implies or other.name in one.implies:
        return False
    if one.slot and one.slot == other.slot:
        return True
    return not one.groups.isdisjoint(other.excludes) or not other.groups.isdisjoint(one.excludes)


def clashes(conditions: Iterable[Condition]) -> list[tuple[str, str]]:
    """Names of every two that cannot be had together."""
    return [(a.name, b.name) for a, b in combinations(conditions, 2) if clash(a, b)]


def chosen(names: Sequence[str], registry: dict[str, Condition]) -> tuple[Condition, ...]:
    """The conditions of these names, in the registry's order.

    Raises:
        ConfigError: for an unknown name or a combination that physiology does not allow, naming the two.
    """
    if isinstance(names, str):
        raise ConfigError("conditions", f"got the one string {names!r}", "give a list of condition names")
    for name in names:
        if name not in registry:
            raise ConfigError("conditions", f"unknown condition {name!r}", f"known are {', '.join(registry)}")
    found = tuple(condition for name, condition in registry.items() if name in names)
    if pairs := clashes(found):
        told = "; ".join(f"{a} with {b}" for a, b in pairs)
        raise ConfigError("conditions", f"cannot be combined: {told}", "drop one of each two")
    return found


def with_implied(names: Iterable[str], registry: dict[str, Condition]) -> set[str]:
    """The names and all they imply."""
    found = set(names)
    todo = list(found)
    while todo:
        for implied in registry[todo.pop()].implies:
            if implied not in found:
                found.add(implied)
                todo.append(implied)
    return found
