"""Embedding and zero-shot classification of records: the two things that a trained model is called for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import ConfigError
from cmelt.evaluation import zero_shot
from cmelt.evaluation.tasks import Task
from cmelt.evaluation.tasks.loading import Scoring
from cmelt.records.readers import ReadOptions
from cmelt.records.readers.options import NOTHING_GIVEN
from cmelt.records.record import Record
from cmelt.serving.classes import Classes, task_of
from cmelt.serving.confidence import judge
from cmelt.serving.processor import CMeltProcessor, Facts
from cmelt.serving.typed_lines import taken_as

if TYPE_CHECKING:
    from cmelt.checkpoints.model_embedder import ModelEmbedder
    from cmelt.model.towers import Towers

#: A record, or the file of one.
Source = Record | str | Path
#: Records that are in memory at once.
RECORDS_AT_ONCE = 64


@dataclass(frozen=True)
class Described:
    """Classes whose prompts a model has read already, so that many calls of `classify` need not have them read again."""

    task: Task
    prompts: zero_shot.PromptVectors


@dataclass(frozen=True)
class Scores:
    """How like the description of each class each record is.

    A score is a difference of cosines. It ranks records within a class; it is no probability, and zero is no threshold.
    Probabilities are there for classes that the model was calibrated for (docs/confidence.md), in these words and this scoring.

    Attributes:
        classes: C names.
        values: [n, C] float32.
        records: what was done to each record before it was scored, and what is wrong with it.
        scoring: "contrast": mean cosine to the class's prompts minus that to its negative prompts; "pairs": minus that to the
            prompts that say it is absent; "similarity": nothing taken off.
        probabilities: [n, C] float32, NaN where none can be told; None where no class is calibrated.
        low, high: [n, C] float32: between them lie 95 % of the probabilities that other validation patients would have given.
        flags: of each record, what to know before its scores are read: "not an ECG", "too noisy", "leads look swapped",
            "unlike the training data". `records` has the details.
        cannot_tell: of each record, why it gets no probability; None where nothing speaks against one.
        taken_as: of each typed line (`cmelt.typed_lines`) the bundled statement that it was taken as, None where it is scored as
            typed; empty for other classes.
    """

    classes: tuple[str, ...]
    values: NDArray[np.float32]
    records: tuple[Facts, ...]
    scoring: Scoring
    probabilities: NDArray[np.float32] | None = None
    low: NDArray[np.float32] | None = None
    high: NDArray[np.float32] | None = None
    flags: tuple[tuple[str, ...], ...] = ()
    cannot_tell: tuple[str | None, ...] = ()
    taken_as: Mapping[str, str | None] = field(default_factory=dict)

    def of(self, record: int) -> dict[str, float]:
        """The scores of one record by class, highest first."""
        found = dict(zip(self.classes, self.values[record].tolist(), strict=True))
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def probabilities_of(self, record: int) -> dict[str, tuple[float, float, float]]:
        """Probability, low and high of one record by class; classes without are not there."""
        if self.probabilities is None or self.low is None or self.high is None:
            return {}
        triples = np.stack([self.probabilities[record], self.low[record], self.high[record]], axis=1).tolist()
        return {name: (p, a, b) for name, (p, a, b) in zip(self.classes, triples, strict=True) if p == p}

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers."""
        rows = [{**asdict(facts), "scores": self.of(row), **self._confidence(row)} for row, facts in enumerate(self.records)]
        typed = {"taken_as": dict(self.taken_as)} if self.taken_as else {}
        return {"scoring": self.scoring, "classes": list(self.classes), **typed, "records": rows}

    def _confidence(self, record: int) -> dict[str, Any]:
        if not self.cannot_tell:
            return {}
        told = {name: dict(zip(("probability", "low", "high"), three, strict=True))
                for name, three in self.probabilities_of(record).items()}  # fmt: skip
        return {"probabilities": told, "cannot_tell": self.cannot_tell[record], "verdicts": list(self.flags[record])}


def embed(
    model: Towers, processor: CMeltProcessor, records: Source | Iterable[Source], *, options: ReadOptions = NOTHING_GIVEN
) -> NDArray[np.float32]:
    """Unit vectors [n, D] of records or of their files.

    A record longer than the model's length gives the mean direction of its windows. What is embedded beside a record changes
    nothing of it.

    Args:
        options: what files leave unsaid (rate, unit, leads).
    Raises:
        RecordError: naming the record that is none.
    """
    return _embed(embedder_of(model, processor), processor, records, options)[0]


def embed_texts(model: Towers, processor: CMeltProcessor, texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors [n, D] of texts, which are cleaned as reports are; in the same space as those of records."""
    return embedder_of(model, processor).embed_texts(texts)


def describe(model: Towers, processor: CMeltProcessor, classes: Classes, *, against: Sequence[str] | None = None) -> Described:
    """The classes as the text encoder of `model` sees them, for many calls of `classify`; arguments and errors as there."""
    if not processor.aligned:
        raise ConfigError("model", "has never learned to compare ECGs with texts: scores would be chance", "use `embed`")
    task = task_of(classes, against)
    return Described(task, zero_shot.embed_prompts(embedder_of(model, processor), task))


def classify(
    model: Towers,
    processor: CMeltProcessor,
    records: Source | Iterable[Source],
    classes: Classes | Described,
    *,
    against: Sequence[str] | None = None,
    scoring: Scoring | None = None,
    options: ReadOptions = NOTHING_GIVEN,
) -> Scores:
    """Score records, or their files, for classes that are described in words.

    Args:
        classes: a bundled task's name ("ptbxl-super"), names of bundled statements (["atrial-fibrillation"]), or prompts of one's
            own by class ({"atrial fibrillation": ["atrial fibrillation.", "vorhofflimmern."]}); what `typed_lines` made of lines
            that somebody typed; or what `describe` made of any of them.
        against: negative prompts for statements and own prompts; None for those of a normal ECG, () for none.
        scoring: None for the task's own, or where its prompts are missing, raw similarity.
        options: as for `embed`.
    Raises:
        RecordError, ConfigError.
    """
    if isinstance(classes, Described):
        described = classes
    else:
        described = describe(model, processor, _with_needed_prompts(task_of(classes, against), scoring))
    vectors, facts = _embed(embedder_of(model, processor), processor, records, options)
    values, chosen = scored(vectors, described, scoring)
    sure = judge(processor.calibration, described.task, chosen, vectors, values, facts)
    return Scores(tuple(described.task.classes), values, tuple(facts), chosen, **vars(sure), taken_as=taken_as(described.task))


def scored(vectors: NDArray[np.float32], described: Described, scoring: Scoring | None) -> tuple[NDArray[np.float32], Scoring]:
    """Unit vectors [n, D] → scores [n, C], and how they were scored. Arguments and errors as for `classify`."""
    found = zero_shot.scores(vectors, described.prompts)
    if scoring is not None and scoring not in found:
        known = scoring in get_args(Scoring)
        fault = f"{scoring} needs prompts that no class has" if known else f"{scoring!r} is no scoring"
        raise ConfigError("scoring", fault, f"here: {', '.join(found)}")
    headline = described.task.headline
    chosen: Scoring = scoring or (headline if headline in found else "similarity")
    return found[chosen].astype(np.float32), chosen


def vectors_of(
    embedder: ModelEmbedder[Towers], ecg: NDArray[np.float32], owner: NDArray[np.int64], count: int
) -> NDArray[np.float32]:
    """Windows [w, L, T] and whose they are [w] → unit vectors of `count` records [count, D]: mean directions of their windows."""
    return _mean_direction(embedder.embed_prepared(ecg), owner, count)


def _with_needed_prompts(task: Task, scoring: Scoring | None) -> Task:
    """The task without prompts that its scoring has no use for: reading them is most of what one classification costs."""
    if (scoring or task.headline) == "pairs":
        return task
    return replace(task, classes={name: replace(one, absent_prompts=()) for name, one in task.classes.items()})


def embedder_of(model: Towers, processor: CMeltProcessor) -> ModelEmbedder[Towers]:
    from cmelt.checkpoints.model_embedder import ModelEmbedder

    if model.training:
        raise ConfigError("model", "is in training mode: its dropout would be noise", "call model.eval() first")
    return ModelEmbedder(
        model, processor.tokenizer, "", next(model.parameters()).device, negative_weight=processor.negative_weight
    )


def _embed(
    embedder: ModelEmbedder[Towers], processor: CMeltProcessor, records: Source | Iterable[Source], options: ReadOptions
) -> tuple[NDArray[np.float32], list[Facts]]:
    """Vectors [n, D], and what there is to say of each record."""
    given = [records] if isinstance(records, Record | str | Path) else records
    vectors: list[NDArray[np.float32]] = [np.zeros((0, processor.settings.width), np.float32)]
    facts: list[Facts] = []
    for some in _in_parts(given):
        prepared = [processor.record(record, options) for record in some]
        owner = np.repeat(np.arange(len(prepared)), [len(one.ecg) for one in prepared])
        vectors.append(vectors_of(embedder, np.concatenate([one.ecg for one in prepared]), owner, len(prepared)))
        facts += [one.facts for one in prepared]
    return np.concatenate(vectors), facts


def _mean_direction(vectors: NDArray[np.float32], owner: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """Unit vectors of windows [w, D] and whose they are [w] → unit vectors of records [count, D]."""
    total = np.zeros((count, vectors.shape[1]))
    np.add.at(total, owner, vectors)
    return zero_shot.unit(total).astype(np.float32)


def _in_parts(records: Iterable[Source]) -> Iterator[list[Source]]:
    part: list[Source] = []
    for record in records:
        part.append(record)
        if len(part) == RECORDS_AT_ONCE:
            yield part
            part = []
    if part:
        yield part
