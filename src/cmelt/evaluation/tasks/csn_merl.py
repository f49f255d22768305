"""CSN with MERL's labels as they stand, for comparison with published figures: the task `csn` asked of other labels."""

from __future__ import annotations

from dataclasses import replace

from cmelt.evaluation.tasks.loading import Task, load_task


def csn_merl_task() -> Task:
    """The 38 classes and prompts of `csn`, "csn:NAME" replaced by "merl-csn:NAME".

    2AVB, AF, AVB, CR, SA, ST and VB hold other conditions' records too (`cmelt.sources.vocabularies`); the prompts say what
    the names mean, as MERL's do.
    """
    right = load_task("csn")
    classes = {
        name: replace(one, labels=tuple(label.replace("csn:", "merl-csn:", 1) for label in one.labels))
        for name, one in right.classes.items()
    }
    return replace(right, name="csn-merl", description="CSN's 38 classes as MERL labels them", classes=classes)
