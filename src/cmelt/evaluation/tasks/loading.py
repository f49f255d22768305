"""Tasks: classes with their labels and words, and the bundled ones by name; their files lie beside this one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import ConfigError

Split = Literal["train", "validation", "test"]
#: How zero-shot scores are made of prompts; `cmelt.evaluation.zero_shot` computes them.
Scoring = Literal["contrast", "pairs", "similarity"]
FOLDER = Path(__file__).parent

#: Tasks that are computed, as "module:function"; imported when asked for.
_COMPUTED = {
    "csn-merl": "cmelt.evaluation.tasks.csn_merl:csn_merl_task",
    "simulated": "cmelt.evaluation.tasks.simulated:simulated_task",
}
#: Tasks that are not measured unless they are named: this one asks in two vocabularies what others ask in each.
_BY_NAME_ALONE = ("shift",)


@dataclass(frozen=True)
class TaskClass:
    """One class: a record is positive when it carries any of `labels`; `prompts` say the same in words.

    `negative_prompts` describe what a record of this class does *not* look like, most often the normal ECG: raw similarity ranks
    records by how like any report they are, the difference of two similarities ranks them by class. `absent_prompts` say that
    this class, and nothing else, is not there: `prompts` and they are a pair of opposites.
    """

    labels: tuple[str, ...]
    prompts: tuple[str, ...]
    negative_prompts: tuple[str, ...] = ()
    absent_prompts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, entries in (("labels", self.labels), ("prompts", self.prompts)):
            if not entries:
                raise ValueError(f"{name} is empty: at least one is needed (the class's name will do as a prompt)")
        for name in ("labels", "prompts", "negative_prompts", "absent_prompts"):
            entries = getattr(self, name)
            if any(not entry.strip() for entry in entries):
                raise ValueError(f"{name} holds an empty text")
            if len(set(entries)) < len(entries):
                raise ValueError(f"{name} holds the same text twice")
        if set(self.prompts) & set(self.negative_prompts):
            raise ValueError("a text is both prompt and negative prompt")
        if set(self.prompts) & set(self.absent_prompts):
            raise ValueError("a text says both that the class is there and that it is absent")


@dataclass(frozen=True)
class Task:
    """A set of classes, and which records they are asked of.

    Attributes:
        classes: by name, in the order of the tables.
        population: "labelled" = only records that carry a label of the task (the PTB-XL benchmarks), "all" = every record.
        headline: the zero-shot scoring to quote first; where its prompts are missing, similarity takes its place.
        splits: where records are evaluated. No choice of ours is made on validation records; probabilities are
            calibrated on them, which changes no score.
    """

    classes: dict[str, TaskClass]
    name: str = ""
    description: str = ""
    population: Literal["labelled", "all"] = "all"
    splits: tuple[Split, ...] = ("validation", "test")
    headline: Scoring = "contrast"

    def __post_init__(self) -> None:
        if not self.classes:
            raise ValueError("classes is empty: at least one is needed")
        if not self.splits or len(set(self.splits)) < len(self.splits):
            raise ValueError("splits must name at least one split, each once")

    def truth(self, labels: Sequence[Sequence[str]]) -> NDArray[np.bool_]:
        """labels of n records → [n, C] bool: which classes each record belongs to."""
        wanted = [set(c.labels) for c in self.classes.values()]
        return np.array([[not w.isdisjoint(carried) for w in wanted] for carried in labels], dtype=bool).reshape(
            len(labels), len(wanted)
        )

    def members(self, labels: Sequence[Sequence[str]]) -> NDArray[np.bool_]:
        """labels of n records → [n] bool: which records belong to the task's population."""
        if self.population == "all":
            return np.ones(len(labels), dtype=bool)
        return np.asarray(self.truth(labels).any(axis=1))


def load_task(name: str | Path) -> Task:
    """A bundled task by name, or a task file by path (anything that ends in .yaml or .yml).

    Raises ConfigError naming the file and the key for anything that is not understood.
    """
    from cmelt.evaluation.tasks.files import read_task

    if str(name).endswith((".yaml", ".yml")):
        return read_task(Path(name))
    if str(name) in _COMPUTED:
        module, _, function = _COMPUTED[str(name)].partition(":")
        task: Task = getattr(import_module(module), function)()
        return task
    if str(name) not in bundled_tasks():
        raise ConfigError(f"--task {name}", "no such task", f"one of {', '.join(bundled_tasks())}, or the path of a .yaml file")
    return read_task(FOLDER / f"{name}.yaml")


def bundled_tasks() -> tuple[str, ...]:
    """The names that `load_task` knows without a file."""
    return (*sorted(path.stem for path in FOLDER.glob("*.yaml")), *_COMPUTED)


def tasks_in(labels: Sequence[Sequence[str]]) -> list[Task]:
    """The bundled tasks of which at least one label is among those of the records; none of them for labels of one's own.

    The task of a shift between hospitals is never among them.
    """
    present = {label for carried in labels for label in carried}
    tasks = (load_task(name) for name in bundled_tasks() if name not in _BY_NAME_ALONE)
    return [task for task in tasks if any(not present.isdisjoint(c.labels) for c in task.classes.values())]
