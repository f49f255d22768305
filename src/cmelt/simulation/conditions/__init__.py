"""The registry of conditions: one topical file each, one entry a condition.

The order is the order in which a heart is changed: the shape of the conducted QRS first, what replaces or turns it after.
"""

from __future__ import annotations

from cmelt.simulation.condition import Condition
from cmelt.simulation.conditions import chambers, conduction, ectopy, infarction, repolarisation, rhythm

CONDITIONS: dict[str, Condition] = {
    condition.name: condition
    for topic in (rhythm, ectopy, conduction, chambers, infarction, repolarisation)
    for condition in topic.CONDITIONS
}
