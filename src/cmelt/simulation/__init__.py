"""12-lead ECGs with reports, computed from stated conditions: ground truth for tests and the data of the demo."""

from __future__ import annotations

from types import MappingProxyType

from cmelt.simulation.condition import Condition
from cmelt.simulation.conditions import CONDITIONS, EXTENDED
from cmelt.simulation.domain import DOMAINS
from cmelt.simulation.languages import LANGUAGES, held_out_phrases
from cmelt.simulation.simulate import simulate

#: For every condition, phrases for prompts that no report contains.
HELD_OUT_PHRASES: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(
    {name: condition.held_out for name, condition in CONDITIONS.items()}
)

__all__ = ["CONDITIONS", "DOMAINS", "EXTENDED", "HELD_OUT_PHRASES", "LANGUAGES", "Condition", "held_out_phrases", "simulate"]
