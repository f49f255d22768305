"""From what a model and its warnings said under each condition to figures: AUROC, paired differences, shares that are told."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import RecordError
from cmelt.evaluation import metrics
from cmelt.evaluation.metrics import Figure
from cmelt.records.record import Record
from cmelt.serving.confidence import judge
from cmelt.serving.engine import Described, scored, vectors_of
from quality import interval
from robustness_conditions import Condition

#: These say what was done to a record, not that something is wrong with it.
REMARKS = ("derived", "cropped", "padded", "interpolated")
#: A loss of more macro AUROC than this counts as broken.
BROKEN = 0.02
#: Records that are changed and embedded together.
_AT_ONCE = 48


@dataclass(frozen=True)
class Question:
    """A task that is asked of some of the records.

    Attributes:
        members: [n] which of the records it is asked of.
        truth: [n, C].
    """

    name: str
    described: Described
    members: NDArray[np.bool_]
    truth: NDArray[np.bool_]


@dataclass(frozen=True)
class Sample:
    """Records that the model was not trained on.

    Attributes:
        patients: [n] integers.
        judged: [n] records of which warnings are counted: those that no threshold of a warning was chosen on.
        parts: rows that are asked about together, by name; every row once.
    """

    name: str
    records: Sequence[Record]
    patients: NDArray[np.int64]
    judged: NDArray[np.bool_]
    questions: tuple[Question, ...]
    parts: dict[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Answers:
    """What came of one condition: unit vectors [n, D], NaN where refused; of each record its warnings, and why no probability."""

    vectors: NDArray[np.float32]
    warnings: tuple[tuple[str, ...], ...]
    refused: NDArray[np.bool_]
    untold: NDArray[np.bool_]


def answers(model: Any, sample: Sample, condition: Condition, known: NDArray[np.float32] | None = None) -> Answers:
    """Ask the model about every record under a condition, as a user would.

    Args:
        model: what `cmelt.load` gives, and the embedder of these.
        known: the vectors [n, D], where only what is said beside them is asked for.
    """
    _, processor, embedder = model
    vectors = np.full((len(sample.records), processor.settings.width), np.nan, np.float32)
    facts: dict[int, Any] = {}
    for start in range(0, len(sample.records), _AT_ONCE):
        some = {}
        for row in range(start, min(start + _AT_ONCE, len(sample.records))):
            try:
                some[row] = processor.record(condition.of(sample.records[row]))
            except RecordError:
                continue
        rows = list(some)
        if known is not None:
            vectors[rows] = known[rows]
        elif some:
            owner = np.repeat(np.arange(len(some)), [len(one.ecg) for one in some.values()])
            vectors[rows] = vectors_of(embedder, np.concatenate([one.ecg for one in some.values()]), owner, len(some))
        facts |= {row: one.facts for row, one in some.items()}
    return _told(processor.calibration, sample, vectors, facts)


def _told(calibration: Any, sample: Sample, vectors: NDArray[np.float32], facts: Mapping[int, Any]) -> Answers:
    """What is said beside the scores."""
    rows = sorted(facts)
    warnings: list[tuple[str, ...]] = [()] * len(vectors)
    refused, untold = np.ones(len(vectors), bool), np.ones(len(vectors), bool)
    refused[rows] = False
    if rows:
        asked = sample.questions[0].described
        values, scoring = scored(vectors[rows], asked, None)
        sure = judge(calibration, asked.task, scoring, vectors[rows], values, [facts[row] for row in rows])
        untold[rows] = [why is not None for why in sure.cannot_tell]
        for row, verdicts in zip(rows, sure.flags, strict=True):
            faults = [flag for flag in facts[row].flags if flag.partition(":")[0] not in REMARKS]
            warnings[row] = tuple(dict.fromkeys([*faults, *verdicts]))
    return Answers(vectors, tuple(warnings), refused, untold)


def keep(answers: Answers, path: Path) -> None:
    """Write what `kept` reads; a file that is there is whole."""
    staging = path.with_suffix(f".{os.getpid()}")  # two runs on one folder do not meet
    with staging.open("wb") as file:
        np.savez(file, vectors=answers.vectors, refused=answers.refused, untold=answers.untold,
                 warnings=np.array(["\n".join(one) for one in answers.warnings]))  # fmt: skip
    staging.replace(path)


def kept(path: Path) -> Answers:
    """What `keep` has written."""
    with np.load(path, allow_pickle=False) as file:
        warnings = tuple(tuple(filter(None, str(one).split("\n"))) for one in file["warnings"])
        return Answers(file["vectors"], warnings, file["refused"], file["untold"])


def joined(sample: Sample, parts: Mapping[str, Answers]) -> Answers:
    """The answers about all records from those about the parts."""
    order = np.argsort(np.concatenate([sample.parts[name] for name in parts]))
    found = list(parts.values())
    warnings = [one for part in found for one in part.warnings]
    vectors, refused, untold = (
        np.concatenate([getattr(part, what) for part in found])[order] for what in ("vectors", "refused", "untold")
    )
    return Answers(vectors, tuple(warnings[row] for row in order), refused, untold)


def figures(sample: Sample, clean: Answers, found: Answers, replicates: int) -> dict[str, Any]:
    """Shares of the judged records, and AUROC by task with its paired difference from `clean`."""
    judged = np.flatnonzero(sample.judged)
    warned = np.array([bool(one) for one in found.warnings]) | found.refused
    kinds = [{flag.partition(":")[0] for flag in found.warnings[row]} for row in judged]
    shares = {kind: round(float(np.mean([kind in one for one in kinds])), 3) for kind in sorted(set().union(*kinds))}
    return {
        "records": len(sample.records),
        "judged": len(judged),
        "refused": _share(found.refused[judged]),
        "flagged": _share(warned[judged]),
        "no_probability": _share(found.untold[judged]),
        "flags": dict(sorted(shares.items(), key=lambda item: -item[1])),
        "tasks": {question.name: _task_figures(sample, question, clean, found, replicates) for question in sample.questions},
    }


def _share(hits: NDArray[np.bool_]) -> list[float]:
    return [round(value, 3) for value in interval(hits)]


def _task_figures(sample: Sample, question: Question, clean: Answers, found: Answers, replicates: int) -> dict[str, Any]:
    """AUROC, its difference from clean records, and that difference among those that still get a probability."""
    asked = question.members & ~found.refused & ~clean.refused
    told = asked & ~found.untold
    return {
        **dict(zip(("auroc", "difference"), _compared(sample, question, asked, clean, found, replicates), strict=True)),
        "with_probability": _compared(sample, question, told, clean, found, replicates)[1],
        "records": int(asked.sum()),
        "records_with_probability": int(told.sum()),
    }


def _compared(
    sample: Sample, question: Question, rows: NDArray[np.bool_], clean: Answers, found: Answers, replicates: int
) -> tuple[list[float] | None, list[float] | None]:
    """Macro AUROC of `found` on some of the records, and that minus the one of `clean` on the same, with 95 % intervals."""
    truth = question.truth[rows]
    classes = metrics.evaluable(truth) if len(truth) else np.zeros(0, bool)
    if not classes.any():
        return None, None
    weights = metrics.patient_weights(metrics.dense(sample.patients[rows]), replicates, np.random.default_rng(11))
    areas = []
    for one in (found, clean):
        values = scored(one.vectors[rows], question.described, None)[0].astype(np.float64)[:, classes]
        points = metrics.mean_points([values], truth[:, classes], metrics.auroc)
        drawn = metrics.class_replicates(values, truth[:, classes], weights, metrics.weighted_auroc)
        areas.append((float(points.mean()), metrics.macro(drawn, points)))
    (mine, my_draws), (theirs, their_draws) = areas
    return _listed(metrics.figure(mine, my_draws)), _listed(metrics.figure(mine - theirs, my_draws - their_draws))


def _listed(figure: Figure) -> list[float]:
    return [round(value, 4) for value in (figure.value, figure.low, figure.high)]


def broken(conditions: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Conditions under which some task loses more than `BROKEN`."""

    def loses(condition: Mapping[str, Any]) -> bool:
        tasks = [task for data in condition["data"].values() for task in data["tasks"].values()]
        return any(task["difference"] is not None and task["difference"][0] < -BROKEN for task in tasks)

    return [condition for condition in conditions if loses(condition)]


def fewer(sample: Sample, rows: NDArray[np.int64]) -> Sample:
    """Some of the records, as one part."""
    return replace(
        sample,
        records=[sample.records[row] for row in rows],
        patients=sample.patients[rows],
        judged=sample.judged[rows],
        questions=tuple(replace(one, members=one.members[rows], truth=one.truth[rows]) for one in sample.questions),
        parts={"all": np.arange(len(rows))},
    )
