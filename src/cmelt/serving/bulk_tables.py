"""A shard's results as a table: vectors, or scores with what `cmelt.classify` says beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import ConfigError
from cmelt.evaluation.tasks.loading import Scoring
from cmelt.serving.confidence import Calibration, judge
from cmelt.serving.engine import Described, scored
from cmelt.serving.typed_lines import taken_as

if TYPE_CHECKING:
    import pyarrow as pa

    from cmelt.serving.processor import Facts

RECORD, VECTOR, FACTS = "record", "vector", ("windows", "missing_leads", "flags")
#: What is said of a record as a whole where any class is calibrated: `Scores.flags` and `Scores.cannot_tell`.
VERDICTS = ("verdicts", "cannot_tell")
#: Columns of a calibrated class are called as the class, with one of these behind it: "atrial-fibrillation probability".
PARTS = ("probability", "low", "high")


@dataclass(frozen=True)
class Question:
    """Classes that vectors are scored for.

    Attributes:
        calibration: what makes probabilities of the scores; None where it knows none of the classes, in these words.
    """

    described: Described
    scoring: Scoring
    calibration: Calibration | None = None

    @property
    def calibrated(self) -> tuple[str, ...]:
        """The classes that have probabilities."""
        if self.calibration is None:
            return ()
        task = self.described.task
        known = {name: self.calibration.of(task, name, self.scoring) for name in task.classes}
        return tuple(name for name, one in known.items() if one is not None and one.curve is not None)

    def description(self) -> dict[str, Any]:
        """What tells it from other questions."""
        prompts, digest = self.described.prompts, hashlib.sha256()
        for part in (prompts.positive, prompts.negative, prompts.absent):
            digest.update(np.ascontiguousarray(part).data)
        classes = list(self.described.task.classes)
        said: dict[str, Any] = {"classes": classes, "prompts": digest.hexdigest(), "scoring": self.scoring}
        if taken := taken_as(self.described.task):
            said["taken_as"] = taken
        if self.calibration is not None:
            # Calibrated again, the same weights give other probabilities.
            said["calibration"] = hashlib.sha256(self.calibration.to_json().encode()).hexdigest()
            said["calibrated"] = list(self.calibrated)
        return said


def question_for(described: Described, scoring: Scoring, calibration: Calibration | None) -> Question:
    """The question, with the calibration where it has anything to say."""
    whole = Question(described, scoring, calibration)
    return whole if whole.calibrated else Question(described, scoring)


def refuse_reserved_names(classes: Sequence[str]) -> None:
    """Raises ConfigError for a class that is called as another column is: results in columns could not tell them apart."""
    taken = {RECORD, *FACTS, *VERDICTS} | {f"{name} {part}" for name in classes for part in PARTS}
    if found := sorted(taken & set(classes)):
        raise ConfigError("classes", f"{found[0]} is the name of another column of the results", "call the class otherwise")


def table_of(
    names: Sequence[str], vectors: NDArray[np.float32], facts: Sequence[Facts], says_facts: bool, question: Question | None
) -> pa.Table:
    """A row a record: its name, facts, then its vector, or a score by class and its probabilities.

    Args:
        names, vectors, facts: n names, [n, D], n facts.
        says_facts: whether facts are told: of a folder's files, which nothing else says them of. Beside probabilities they
            always are.
    """
    import pyarrow as pa

    columns: dict[str, pa.Array] = {RECORD: pa.array(names, pa.string())}
    if says_facts or (question is not None and question.calibration is not None):
        kinds = dict(zip(FACTS, (pa.int32(), _texts(), _texts()), strict=True))
        columns |= {name: pa.array([getattr(one, name) for one in facts], kind) for name, kind in kinds.items()}
    if question is None:
        flat = pa.array(vectors.reshape(-1), pa.float32())
        columns[VECTOR] = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
        return pa.table(columns)
    scores, _ = scored(vectors, question.described, question.scoring)
    columns |= {name: pa.array(scores[:, i]) for i, name in enumerate(question.described.task.classes)}
    return pa.table(columns | _confidence(question, vectors, scores, facts))


def _confidence(
    question: Question, vectors: NDArray[np.float32], scores: NDArray[np.float32], facts: Sequence[Facts]
) -> dict[str, pa.Array]:
    """Columns of what is said beside scores [n, C] of vectors [n, D]; null where nothing can be told."""
    import pyarrow as pa

    if question.calibration is None:
        return {}
    task = question.described.task
    sure = judge(question.calibration, task, question.scoring, vectors, scores, facts)
    columns = {}
    for name in question.calibrated:
        place = list(task.classes).index(name)
        for part, values in zip(PARTS, (sure.probabilities, sure.low, sure.high), strict=True):
            told = np.full(len(scores), np.nan, np.float32) if values is None else values[:, place]
            columns[f"{name} {part}"] = pa.array(told, pa.float32(), from_pandas=True)
    said = (pa.array(sure.flags, _texts()), pa.array(sure.cannot_tell, pa.string()))
    return columns | dict(zip(VERDICTS, said, strict=True))


def parquet_bytes(table: pa.Table) -> bytes:
    """The table as parquet; the same table gives the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = pa.BufferOutputStream()
    pq.write_table(table, content, compression="zstd", use_dictionary=False)
    return bytes(content.getvalue())


def _texts() -> pa.DataType:
    import pyarrow as pa

    return pa.list_(pa.string())
