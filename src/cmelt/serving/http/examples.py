"""ECGs to try the service with: simulated, the same ones everywhere, nobody's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cmelt.records.record import Record
from cmelt.serving.http.refusal import Refusal

_RATE = 500.0


@dataclass(frozen=True)
class Example:
    """One of them.

    Attributes:
        name: in the address.
        title: for people.
        conditions: what the simulator was told; [] for a normal heart.
        seed, patient: as `cmelt.simulation.simulate` has them.
        seconds: its length.
    """

    name: str
    title: str
    conditions: tuple[str, ...]
    seed: int
    patient: int
    seconds: float = 10.0


EXAMPLES: dict[str, Example] = {
    one.name: one
    for one in (
        Example("normal", "Normal ECG", (), 11, 1),
        Example("atrial-fibrillation", "Atrial fibrillation", ("atrial-fibrillation",), 12, 2),
        Example("left-bundle-branch-block", "Left bundle branch block", ("left-bundle-branch-block",), 13, 3),
        Example("right-bundle-branch-block", "Right bundle branch block", ("right-bundle-branch-block",), 14, 4),
        Example("acute-inferior-infarction", "Acute inferior infarction", ("acute-inferior-infarction",), 15, 5),
        Example("left-ventricular-hypertrophy", "Left ventricular hypertrophy", ("left-ventricular-hypertrophy",), 16, 6),
        Example("first-degree-av-block", "First-degree AV block", ("first-degree-av-block",), 17, 7),
        Example("ventricular-premature-beats", "Ventricular premature beats", ("ventricular-premature-beats",), 18, 8),
        Example("before", "One patient, earlier: normal", (), 21, 9),
        Example("after", "The same patient, later: atrial fibrillation", ("atrial-fibrillation",), 22, 9),
        Example("one-minute", "A minute of sinus rhythm", (), 23, 10, 60.0),
    )
}


@lru_cache(maxsize=len(EXAMPLES))
def example_record(name: str) -> Record:
    """The ECG of that name. Raises Refusal where there is none."""
    from cmelt.simulation import simulate

    if name not in EXAMPLES:
        raise Refusal(404, "the example", "there is none of that name", f"there are: {', '.join(EXAMPLES)}")
    one = EXAMPLES[name]
    return simulate(one.seed, one.conditions, patient=one.patient, rate=_RATE, seconds=one.seconds)
