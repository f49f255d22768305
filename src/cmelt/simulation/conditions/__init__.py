"""The registry of conditions: one topical file each, one entry a condition.

The order is the order in which a heart is changed: the size and direction of the ventricles first, then how they are
activated, then what is lost of them, then how they recover.
"""

from __future__ import annotations

from cmelt.simulation.condition import Condition
from cmelt.simulation.conditions import chambers, conduction, ectopy, infarction, repolarisation, rhythm

CONDITIONS: dict[str, Condition] = {
    condition.name: condition
    for topic in (rhythm, ectopy, chambers, conduction, infarction, repolarisation)
    for condition in topic.CONDITIONS
}
