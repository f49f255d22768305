"""Scores of ECGs named by their paths: files of any format, folders of them, stores, in any mixture."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmelt.errors import RecordError, StoreError
from cmelt.records.flag_words import in_words
from cmelt.serving.bulk import How, classify_archive
from cmelt.serving.bulk_tables import FACTS, PARTS, RECORD
from cmelt.serving.engine import Described, classify, describe, scored
from cmelt.serving.loading import load
from cmelt.serving.typed_lines import taken_as
from cmelt.store.layout import QUARANTINE

if TYPE_CHECKING:
    from cmelt.evaluation.tasks.loading import Scoring
    from cmelt.model.towers import Towers
    from cmelt.serving.classes import Classes
    from cmelt.serving.processor import CMeltProcessor
    from cmelt.store.staging import Progress

#: Nothing can be said of millivolts that are a thousandth of what they were; and the flag is no matter of opinion.
_REFUSED = "unit-suspect"


@dataclass(frozen=True)
class ScoredRecord:
    """One ECG.

    Attributes:
        record: its path, or its name within its archive.
        scores: by class, highest first.
        facts: `windows`, `missing_leads`, `flags`; empty for a store's records without probabilities: its index says these.
        probabilities: by class, with low and high; of classes that the model is calibrated for.
        cannot_tell: why there is no probability for this ECG.
        verdicts: as `Scores.flags`.
    """

    record: str
    scores: dict[str, float]
    facts: dict[str, Any]
    probabilities: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    cannot_tell: str | None = None
    verdicts: tuple[str, ...] = ()

    @property
    def flags(self) -> tuple[str, ...]:
        """What is wrong with the recording."""
        return tuple(self.facts.get("flags", ()))


@dataclass(frozen=True)
class PathScores:
    """What came of it.

    Attributes:
        scoring: as in `Scores`.
        left_out: what could not be read: `record`, `reason`, `remedy`.
        taken_as: as in `Scores`.
    """

    scoring: Scoring
    classes: tuple[str, ...]
    records: tuple[ScoredRecord, ...]
    left_out: tuple[dict[str, str], ...]
    taken_as: Mapping[str, str | None] = field(default_factory=dict)


def score_paths(
    paths: Sequence[Path],
    classes: Classes,
    model: str = "small",
    how: How = How(),
    *,
    scoring: Scoring | None = None,
    progress: Progress | None = None,
) -> PathScores:
    """Scores of the ECGs at `paths`, in their order. What cannot be read is left out, the others go on.

    Args:
        classes, scoring: as for `cmelt.classify`.
        how: files and archives are read by `how.reading`; workers are for archives.
    Raises:
        RecordError: none of several can be read, or the only one cannot.
        CMeltError: as `cmelt.classify` and `classify_archive`.
    """
    towers, processor = load(model, device=how.device, precision=how.precision)
    described = describe(towers, processor, classes)
    _, chosen = scored(_nothing(processor), described, scoring)
    records: list[ScoredRecord] = []
    left_out: list[dict[str, str]] = []
    counted = progress if len(paths) > 1 and not any(path.is_dir() for path in paths) else None
    for number, path in enumerate(paths):
        try:
            if path.is_dir():
                found, failed = _of_archive(path, described, model, how, chosen, progress)
                within = f"{path}/" if len(paths) > 1 else ""
                records += [replace(one, record=within + one.record) for one in found]
                left_out += [{**one, "record": within + one["record"]} for one in failed]
                continue
            records.append(_of_file(path, towers, processor, described, how, chosen))
        except RecordError as error:
            if len(paths) == 1:
                raise
            left_out.append({"record": str(path), "reason": error.fault, "remedy": error.remedy})
        if counted is not None:
            counted(number + 1, len(paths))
    if not records:
        told = "; ".join(f"{one['record']}: {one['reason']}" for one in left_out[:3])
        raise RecordError(f"{len(paths)} paths", f"no ECG can be read of any: {told}", "correct the files")
    return PathScores(chosen, tuple(described.task.classes), tuple(records), tuple(left_out), taken_as(described.task))


def _of_file(
    path: Path, towers: Towers, processor: CMeltProcessor, described: Described, how: How, scoring: Scoring
) -> ScoredRecord:
    scores = classify(towers, processor, path, described, scoring=scoring, options=how.reading)
    (facts,) = scores.records
    if _REFUSED in facts.flags:
        raise RecordError(path, in_words(_REFUSED), "correct the unit or the gain that the file states")
    said = {name: list(getattr(facts, name)) if name != "windows" else facts.windows for name in FACTS}
    told = scores.probabilities_of(0), scores.cannot_tell[0], scores.flags[0]
    return ScoredRecord(str(path), scores.of(0), said, *told)


def _of_archive(
    path: Path, described: Described, model: str, how: How, scoring: Scoring, progress: Progress | None
) -> tuple[list[ScoredRecord], list[dict[str, str]]]:
    """Through the workers that `--out` has, into a folder that goes away."""
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory(prefix="cmelt-") as folder:
        out = Path(folder) / "scores.parquet"
        try:
            done = classify_archive(path, out, described, model, replace(how, force=True), scoring=scoring, progress=progress)
        except StoreError as error:
            if error.where != str(out):
                raise
            raise RecordError(path, error.fault, error.remedy) from error  # nothing in it can be read
        beside = out.with_suffix(f".{QUARANTINE}")
        lines = beside.read_text(encoding="utf-8").splitlines() if beside.exists() else []
        rows = pq.read_table(out).to_pylist()
    records = [_of_row(row, tuple(described.task.classes), done.calibrated) for row in rows]
    failed = [json.loads(line) for line in lines]
    return records, [{key: one[key] for key in ("record", "reason", "remedy")} for one in failed]


def _of_row(row: dict[str, Any], classes: Sequence[str], calibrated: Sequence[str]) -> ScoredRecord:
    """A row of an archive's results, whose columns are those of `bulk_tables.table_of`."""
    scores = dict(sorted(((name, row[name]) for name in classes), key=lambda item: -item[1]))
    triples = {name: tuple(row[f"{name} {part}"] for part in PARTS) for name in calibrated}
    told = {name: (p, low, high) for name, (p, low, high) in triples.items() if p is not None}
    facts = {name: row[name] for name in FACTS if name in row}
    return ScoredRecord(row[RECORD], scores, facts, told, row.get("cannot_tell"), tuple(row.get("verdicts") or ()))


def _nothing(processor: CMeltProcessor) -> Any:
    import numpy as np

    return np.zeros((0, processor.settings.width), np.float32)
