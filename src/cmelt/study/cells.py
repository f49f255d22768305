"""What a study comes to: its cells, what is measured of each, and the names of their folders.

A folder's name ends in a hash of everything that determines what lies in it: the recipe as resolved, the stores' SHA-256,
subset, seed, and the versions below. What has a folder has been made; what changes gets another folder.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cmelt.config import Recipe, load_recipe
from cmelt.evaluation.tasks import Task, load_task
from cmelt.store import open_store
from cmelt.study.settings import WITH_TEXTS, Data, Evaluation, EvaluationKind, Model, ModelKind, Study

#: Count up when the same settings would train, or measure, something else.
TRAINING_VERSION = 1
MEASURING_VERSION = 2
#: Settings of a run that change what is written, not what is computed.
_FREE = ("log_every", "checkpoint_every", "keep_checkpoints", "loaders")


@dataclass(frozen=True)
class StorePart:
    """A store that is trained or measured on: its name in the study, where it lies, what it is, and how much of it is used."""

    name: str
    path: str
    sha256: str
    weight: float = 1.0
    pairs: int | None = None

    @property
    def identity(self) -> list[Any]:
        """What determines the training; neither name nor place does."""
        return [self.sha256, self.weight, self.pairs]


@dataclass(frozen=True)
class Cell:
    """One model, trained or not. `data` is empty where none has a part in it.

    `stages` are trained on one after the other, each by the recipe in its place.
    """

    model: str
    data: str
    seed: int
    kind: ModelKind
    stages: tuple[tuple[StorePart, ...], ...] = ()
    recipes: tuple[Recipe, ...] = ()
    architecture: str | None = None

    @property
    def recipe(self) -> Recipe | None:
        """Of the last stage; None for a network without one."""
        return self.recipes[-1] if self.recipes else None

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that determines the weights."""
        said = [said_by(recipe) for recipe in self.recipes]
        if self.kind == "random":
            # Besides the architecture, only how zero-shot scores are to be taken.
            weights = [recipe.objectives.negative_weight for recipe in self.recipes]
            said = [{"model": one.get("model", {}), "negative_weight": w} for one, w in zip(said, weights, strict=True)]
        return {
            "version": TRAINING_VERSION,
            "kind": self.kind,
            "recipes": said,
            "architecture": self.architecture,
            "stages": [[part.identity for part in stage] for stage in self.stages],
            "seed": self.seed,
        }

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.model}-{self.data or 'none'}-{self.seed}-{digest(self.identity)}"


@dataclass(frozen=True)
class Item:
    """One thing to measure of one model, resolved: one task, one share of the labels, one number of leads."""

    kind: EvaluationKind
    store: StorePart
    task: str = ""
    # Where the task is read from: a bundled name, or a file.
    task_source: str = ""
    # What of the task counts: prompts for zero-shot, labels alone for what learns from labels.
    task_identity: str = ""
    splits: tuple[str, ...] = ()
    fraction: float | None = None
    draws: int = 1
    leads: int | None = None
    target: StorePart | None = None
    part: str = ""
    scoring: str = ""
    records: int | None = None
    leave_out_known: bool = False
    headline: bool = True

    @property
    def what(self) -> str:
        """How it is measured, in words: "probe 1 %", "fine-tuned, 3 leads"."""
        if self.kind == "probe" and self.fraction is not None:
            return f"probe {self.fraction * 100:g} %"
        if self.leads is not None:
            way = "fine-tuned" if self.kind == "fine-tune" else self.kind
            return f"{way}, {self.leads} lead{'s' if self.leads != 1 else ''}"
        if self.kind == "zero-shot" and self.scoring != "headline":
            return f"zero-shot, {self.scoring}"
        if self.target is not None:
            return f"shift to {self.part or self.target.name}"
        return self.kind

    @property
    def title(self) -> str:
        """What is measured, and on what."""
        return ", ".join(word for word in (self.store.name, self.task, self.what) if word)

    @property
    def name(self) -> str:
        """Of its folder."""
        left_out = ("store", "task", "task_source", "target", "headline")
        # As with recipes, what is at its default is not said: a new key makes no measurement stale.
        said = [field for field in dataclasses.fields(self) if field.name not in left_out]
        content = {f.name: getattr(self, f.name) for f in said if getattr(self, f.name) != _default(f)}
        content["stores"] = [self.store.sha256, self.target.sha256 if self.target is not None else None]
        words = "".join(letter if letter.isalnum() else "-" for letter in self.title.replace(" %", "pct"))
        return f"{'-'.join(filter(None, words.split('-')))}-{digest([MEASURING_VERSION, content])}"


@dataclass(frozen=True)
class Plan:
    """The cells of a study in the order in which they are made, and what is measured of each model and data."""

    study: Study
    stores: Path
    cells: tuple[Cell, ...]
    items: dict[str, tuple[Item, ...]]

    def items_of(self, cell: Cell) -> tuple[Item, ...]:
        """What is measured of this cell."""
        return self.items[cell.name]


def plan_study(study: Study, stores: Path, here: Path) -> Plan:
    """Resolve names into recipes, stores and tasks.

    Args:
        stores: the folder of the stores.
        here: the study's own folder, below which its recipe and task files lie.

    Raises ConfigError or StoreError for a recipe, task or store that is not there.
    """
    parts = {name: _part(name, stores) for name in sorted(_store_names(study))}
    study = _with_files(study, here)
    cells = tuple(_cells(study, parts))
    items = {cell.name: tuple(_items_of(study, cell, parts)) for cell in cells}
    return Plan(study, stores, cells, items)


def said_by(settings: Any) -> dict[str, Any]:
    """What a recipe's sections say, keys at their default left out: a new key that is off by default makes no cell stale.

    Name, description and seed do not count, nor do settings that only change what is written.
    """
    said: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if isinstance(settings, Recipe) and field.name in ("name", "description", "seed"):
            continue
        if field.name in _FREE or value == _default(field):
            continue
        said[field.name] = said_by(value) if dataclasses.is_dataclass(value) else value
    return said


def differences(one: Mapping[str, Any], other: Mapping[str, Any], key: str = "") -> dict[str, tuple[Any, Any]]:
    """Where two nested mappings differ: "section.key" → (value in `one`, in `other`); None where it is not said."""
    found: dict[str, tuple[Any, Any]] = {}
    for name in sorted({*one, *other}):
        mine, theirs = one.get(name), other.get(name)
        path = f"{key}.{name}" if key else name
        if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
            found |= differences(mine, theirs, path)
        elif mine != theirs:
            found[path] = (mine, theirs)
    return found


def digest(content: Any) -> str:
    """Ten hexadecimal digits of the SHA-256 of the canonical JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _with_files(study: Study, here: Path) -> Study:
    """The study with its recipe and task files as they are found from anywhere."""

    def found(name: str) -> str:
        return str((here / name).resolve()) if name.endswith((".yaml", ".yml")) else name

    models = {name: replace(model, recipe=found(model.recipe)) if model.recipe else model for name, model in study.models.items()}
    evaluate = tuple(replace(asked, tasks=tuple(map(found, asked.tasks))) for asked in study.evaluate)
    return replace(study, models=models, evaluate=evaluate)


def _store_names(study: Study) -> set[str]:
    trained = {store for data in study.data.values() for store in data.stores}
    measured = {name for item in study.evaluate for name in (item.store, item.target) if name}
    return trained | measured


def _part(name: str, stores: Path) -> StorePart:
    path = (stores / name).resolve()
    return StorePart(name, str(path), open_store(path).sha256)


def _cells(study: Study, parts: dict[str, StorePart]) -> Iterator[Cell]:
    for seed in study.seeds:
        for name, model in study.models.items():
            if model.kind != "pretrained":
                yield _untrained(name, model, seed, study, parts)
    for group in _groups(study):
        for seed in group.seeds or study.seeds:
            for data in group.data:
                for name in group.models:
                    chain = _chain(study.data[data], study.data)
                    stages = tuple(_stage(one, parts) for one in chain)
                    recipes = tuple(_recipe(study.models[name], one, seed) for one in chain)
                    yield Cell(name, data, seed, "pretrained", stages, recipes)


@dataclass(frozen=True)
class _Group:
    models: tuple[str, ...]
    data: tuple[str, ...]
    seeds: tuple[int, ...]


def _groups(study: Study) -> Iterator[_Group]:
    """The groups of cells that the study names, no cell twice; all on all where it names none."""
    if not study.cells:
        yield _Group(tuple(study.trained), tuple(study.data), study.seeds)
        return
    known: set[tuple[str, str, int]] = set()
    for group in study.cells:
        for seed in group.seeds or study.seeds:
            for data in group.data:
                models = tuple(name for name in group.models if (name, data, seed) not in known)
                known |= {(name, data, seed) for name in models}
                if models:
                    yield _Group(models, (data,), (seed,))


def _untrained(name: str, model: Model, seed: int, study: Study, parts: dict[str, StorePart]) -> Cell:
    if model.kind == "supervised":
        return Cell(name, "", seed, "supervised", architecture=model.architecture)
    # Fresh weights need a vocabulary all the same: that of the first data's reports.
    first = next(iter(study.data.values()))
    return Cell(name, "", seed, "random", (_stage(first, parts),), (_recipe(model, Data(first.stores), seed),))


def _recipe(model: Model, data: Data, seed: int) -> Recipe:
    return replace(load_recipe(str(model.recipe), [*model.set, *data.set]), seed=seed)


def _chain(data: Data, known: dict[str, Data]) -> tuple[Data, ...]:
    """The data of each stage."""
    return (data, *_chain(known[data.then], known)) if data.then else (data,)


def _stage(data: Data, parts: dict[str, StorePart]) -> tuple[StorePart, ...]:
    return tuple(replace(parts[name], weight=share.weight, pairs=share.pairs) for name, share in data.stores.items())


def _items_of(study: Study, cell: Cell, parts: dict[str, StorePart]) -> Iterator[Item]:
    for asked in study.evaluate:
        named = (not asked.models or cell.model in asked.models) and cell.model not in asked.without
        named = named and (not asked.seeds or cell.seed in asked.seeds)
        if named and (not asked.data or not cell.data or cell.data in asked.data) and _suits(asked.kind, cell):
            yield from _items(asked, parts)


def _suits(kind: EvaluationKind, cell: Cell) -> bool:
    """Whether a model can be measured so.

    A supervised network has nothing but its classes, and it alone is measured by them directly. A model that has never learned
    to compare ECGs with texts is asked for neither zero-shot scores nor reports.
    """
    if kind in WITH_TEXTS and cell.recipe is not None and not cell.recipe.objectives.aligned:
        return False
    return (kind == "supervised") == (cell.kind == "supervised")


def _items(asked: Evaluation, parts: dict[str, StorePart]) -> Iterator[Item]:
    target = parts[asked.target] if asked.target else None
    for name in asked.tasks or ("",):
        task = load_task(name) if name else None
        item = Item(
            asked.kind,
            parts[asked.store],
            task.name if task else "",
            name,
            _task_identity(task, asked.kind) if task else "",
            splits=asked.splits or (task.splits if task and asked.kind != "shift" else ()),
            target=target,
            part=asked.part,
            records=asked.records,
            leave_out_known=asked.leave_out_known,
            headline=asked.headline,
        )
        if asked.kind == "zero-shot":
            yield replace(item, scoring=asked.scoring)
        elif asked.kind == "probe":
            yield from (replace(item, fraction=f, draws=1 if f >= 1 else asked.draws) for f in asked.fractions)
        elif asked.kind in ("fine-tune", "supervised"):
            yield from (replace(item, leads=leads) for leads in asked.leads)
        else:
            yield item


def _task_identity(task: Task, kind: EvaluationKind) -> str:
    if kind == "zero-shot":
        return digest([dataclasses.asdict(task.classes[name]) for name in task.classes] + [task.population, task.headline])
    return digest([{name: sorted(c.labels) for name, c in task.classes.items()}, task.population])
