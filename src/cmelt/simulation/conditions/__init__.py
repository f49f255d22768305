"""The registry of conditions: one topical file each, one entry a condition.

The order is the order in which a heart is changed: the size and direction of the ventricles first, then how they are
activated, then what is lost of them, then how they recover.
"""

from __future__ import annotations

from collections.abc import Iterable

from cmelt.simulation.condition import Condition
from cmelt.simulation.conditions import chambers, conduction, ectopy, infarction, repolarisation, rhythm, unspecific, walls


def _registry(*topics: Iterable[Condition]) -> dict[str, Condition]:
    return {condition.name: condition for topic in topics for condition in topic}


CONDITIONS: dict[str, Condition] = _registry(
    rhythm.CONDITIONS,
    ectopy.CONDITIONS,
    chambers.CONDITIONS,
    conduction.CONDITIONS,
    infarction.CONDITIONS,
    repolarisation.CONDITIONS,
)

#: With those that archives report beside them; drawn only where a domain says so.
EXTENDED: dict[str, Condition] = _registry(
    rhythm.CONDITIONS,
    unspecific.RHYTHM,
    ectopy.CONDITIONS,
    chambers.CONDITIONS,
    unspecific.CHAMBERS,
    conduction.CONDITIONS,
    unspecific.CONDUCTION,
    infarction.CONDITIONS,
    walls.INFARCTS,
    unspecific.WAVES,
    repolarisation.CONDITIONS,
    unspecific.ST_AND_T,
    walls.ST_AND_T,
)
