"""What a study's file can say, as types; every name in it is checked before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cmelt.config import from_mapping, read_yaml
from cmelt.errors import ConfigError
from cmelt.records.record import LEAD_SETS

ModelKind = Literal["pretrained", "random", "supervised"]
EvaluationKind = Literal["zero-shot", "probe", "retrieval", "identification", "shift", "fine-tune", "supervised"]
#: What needs classes to be asked for.
WITH_TASKS: tuple[EvaluationKind, ...] = ("zero-shot", "probe", "shift", "fine-tune", "supervised")
#: What compares ECGs with texts.
WITH_TEXTS: tuple[EvaluationKind, ...] = ("zero-shot", "retrieval")
#: What has the store's training records for learning.
LEARN_FROM_TRAINING: tuple[EvaluationKind, ...] = ("probe", "fine-tune", "supervised")


@dataclass(frozen=True)
class Share:
    """One store's part in what a model is trained on.

    Attributes:
        weight: how often its pairs are drawn, as in `cmelt pretrain --weights`.
        pairs: only so many of its pairs, drawn by patient; a larger number holds all pairs of a smaller one.
    """

    weight: float = 1.0
    pairs: int | None = None

    def __post_init__(self) -> None:
        if self.weight <= 0:
            raise ValueError(f"weight {self.weight:g} is not positive")
        if self.pairs is not None and self.pairs < 2:
            raise ValueError(f"pairs {self.pairs}: pre-training needs two or more")


@dataclass(frozen=True)
class Data:
    """What a model is trained on: stores by name, all at once; `then` names other data that the training goes on with.

    `set` changes every model's recipe for these data (section.key=value): as many steps on thousands of pairs as on hundreds.
    """

    stores: dict[str, Share]
    set: tuple[str, ...] = ()
    then: str | None = None

    def __post_init__(self) -> None:
        if not self.stores:
            raise ValueError("stores is empty: at least one is needed")


@dataclass(frozen=True)
class Model:
    """A recipe with changes (`set`: section.key=value); or its architecture with fresh weights; or a supervised network."""

    recipe: str | None = None
    set: tuple[str, ...] = ()
    kind: ModelKind = "pretrained"
    architecture: str | None = None
    description: str = ""

    def __post_init__(self) -> None:
        if self.kind != "supervised" and self.recipe is None:
            raise ValueError("recipe is missing")
        if self.kind == "supervised" and (self.recipe is not None or self.set):
            raise ValueError("a supervised network has no recipe: give its architecture")
        if self.kind != "supervised" and self.architecture is not None:
            raise ValueError("architecture is for kind supervised: a recipe says its own")


@dataclass(frozen=True)
class Evaluation:
    """One thing to measure, of every model or of those named.

    Attributes:
        store: by name; `tasks`: the classes asked for, where the kind asks for any.
        splits: evaluate these instead of the task's own.
        fractions, draws: of probes.
        leads: numbers of leads, of fine-tuning and of supervised networks.
        target: the store that a shifted probe is tested on; `part` of it alone, as in `cmelt evaluate --shift-part`.
        scoring: of zero-shot; `headline` is the task's own choice.
        headline: whether it is a column of the main table (otherwise of the full one alone).
        records: evaluate a random subset of at most so many records, the same for every model.
        leave_out_known: leave out records that a model has seen, which are refused otherwise.
        models, without, data, seeds: measure only these models, not those, only models trained on these data, from these seeds.
    """

    kind: EvaluationKind
    store: str
    tasks: tuple[str, ...] = ()
    splits: tuple[Literal["train", "validation", "test"], ...] = ()
    fractions: tuple[float, ...] = (0.01, 0.1, 1.0)
    draws: int = 5
    leads: tuple[int, ...] = (12,)
    target: str | None = None
    part: str = ""
    scoring: Literal["headline", "contrast", "pairs", "similarity"] = "headline"
    headline: bool = True
    records: int | None = None
    leave_out_known: bool = False
    models: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if (self.kind in WITH_TASKS) != bool(self.tasks):
            raise ValueError(f"{self.kind} needs tasks" if not self.tasks else f"{self.kind} asks for no tasks")
        if "train" in self.splits and self.kind in LEARN_FROM_TRAINING:
            raise ValueError(f"{self.kind} learns from the training records: they cannot be measured on")
        if (self.kind == "shift") != (self.target is not None):
            raise ValueError("shift needs a target store" if self.kind == "shift" else f"{self.kind} has no target")
        if self.records is not None and (self.records < 1 or self.kind not in ("zero-shot", "probe", "supervised")):
            raise ValueError(f"records {self.records}: of zero-shot, probe and supervised only, 1 or more")
        if self.draws < 1 or any(not 0 < share <= 1 for share in self.fractions):
            raise ValueError("draws must be 1 or more, fractions above 0 and at most 1")
        if unknown := set(self.leads) - LEAD_SETS.keys():
            raise ValueError(f"leads {sorted(unknown)}: choose of {sorted(LEAD_SETS, reverse=True)}")


@dataclass(frozen=True)
class Cells:
    """Which models are trained on which data, when not all on all; `seeds` where they differ from the study's."""

    models: tuple[str, ...]
    data: tuple[str, ...]
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Reference:
    """What the others are compared with: trained on `data`, or, where none are named, on each row's own."""

    model: str
    data: str | None = None


@dataclass(frozen=True)
class Study:
    """A study, whole. `store` names are folders below the stores' folder."""

    name: str
    data: dict[str, Data]
    models: dict[str, Model]
    evaluate: tuple[Evaluation, ...]
    reference: Reference
    description: str = ""
    seeds: tuple[int, ...] = (0,)
    cells: tuple[Cells, ...] = ()
    # Classes with fewer positives among the measured records have no figures.
    least_positives: int = 1
    bootstrap: int = 1000
    threads: int = 1
    workers: int = 1

    @property
    def trained(self) -> dict[str, Model]:
        """The models that are trained on pairs."""
        return {name: model for name, model in self.models.items() if model.kind == "pretrained"}

    def __post_init__(self) -> None:
        if not self.data or not self.models or not self.evaluate or not self.seeds:
            raise ValueError("data, models, evaluate and seeds must each hold at least one entry")
        if min(self.threads, self.workers, self.bootstrap) < 1 or min(self.seeds) < 0:
            raise ValueError("threads, workers and bootstrap must be 1 or more, seeds 0 or more")
        _known("reference.model", [self.reference.model], self.models)
        _known("reference.data", [self.reference.data] if self.reference.data else [], self.data)
        for part in self.cells:
            _known("cells.models", part.models, self.trained)
            _known("cells.data", part.data, self.data)
        for item in self.evaluate:
            _known("evaluate.models", (*item.models, *item.without), self.models)
            _known("evaluate.data", item.data, self.data)
        for name, data in self.data.items():
            _known(f"data.{name}.then", [data.then] if data.then else [], self.data)
            if data.then and self.data[data.then].then:
                raise ValueError(f"data.{name}.then names {data.then}, which has a `then` itself: two stages at most")
        for word in (*self.models, *self.data):
            if not word or not all(letter.isalnum() or letter in "-_." for letter in word):
                raise ValueError(f"the name {word!r}: letters, digits, - _ . only, since folders are called after it")


def _known(key: str, names: Iterable[str], among: Iterable[str]) -> None:
    for name in names:
        if name not in among:
            raise ValueError(f"{key} names {name}, known: {', '.join(sorted(among))}")


@dataclass(frozen=True)
class Selection:
    """Which cells are to be made now: by model, data and seed; empty means all."""

    models: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()

    def holds(self, model: str, data: str, seed: int) -> bool:
        """Whether a cell is among those chosen."""
        return all(
            not chosen or value in chosen
            for chosen, value in ((self.models, model), (self.data, data), (self.seeds, seed))
        )  # fmt: skip


def load_study(path: str | Path) -> Study:
    """A study by its file. Raises ConfigError naming the file and key for anything unknown or contradictory."""
    return from_mapping(Study, read_yaml(Path(path)), path)


def selection_of(text: str, study: Study) -> Selection:
    """ "model=cmelt,model=merl,data=real,seed=0" as a selection. Raises ConfigError for a name that the study does not know."""
    chosen: dict[str, list[str]] = {"model": [], "data": [], "seed": []}
    for word in filter(None, (word.strip() for word in text.split(","))):
        key, _, value = word.partition("=")
        if key not in chosen or not value:
            raise ConfigError(f"--only {word}", "not understood", "as in model=cmelt,data=real,seed=0")
        chosen[key].append(value)
    for key, among in (("model", study.models), ("data", study.data)):
        for value in chosen[key]:
            if value not in among:
                raise ConfigError(f"--only {key}={value}", f"no such {key}", f"known: {', '.join(among)}")
    try:
        seeds = tuple(int(seed) for seed in chosen["seed"])
    except ValueError:
        raise ConfigError(f"--only seed={chosen['seed'][0]}", "is not a number") from None
    return Selection(tuple(chosen["model"]), tuple(chosen["data"]), seeds)
