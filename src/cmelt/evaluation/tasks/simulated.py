"""The task over the simulator's conditions: prompts are phrasings that no simulated report contains."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cmelt.evaluation.tasks.loading import Task

NORMAL = "normal"


def simulated_task() -> Task:
    """One class a condition, contrasted with the held-out phrases of the normal ECG; "normal" with those of all others.

    Raw similarity is the headline: on another archive (seed 7), with the conditions' bare names as prompts, it reached 0.860
    and the contrast with the normal ECG 0.823. Simulated reports name what is there, normal or not; many real ones say only
    that all is well.

    Built from the simulator's registry, so that a new condition is a new class without a second list to keep.
    """
    from cmelt.evaluation.tasks.loading import Task, TaskClass
    from cmelt.simulation import CONDITIONS, HELD_OUT_PHRASES

    normal = HELD_OUT_PHRASES[NORMAL]
    abnormal = tuple(dict.fromkeys(phrases[0] for name, phrases in HELD_OUT_PHRASES.items() if name != NORMAL))
    classes = {
        name: TaskClass(
            labels=(f"sim:{name}",),
            prompts=tuple(HELD_OUT_PHRASES[name]),
            negative_prompts=abnormal if name == NORMAL else normal,
        )
        for name in CONDITIONS
    }
    return Task(classes, name="simulated", description="Simulated conditions, unseen phrasings", headline="similarity")
