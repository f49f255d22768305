"""What is measured beside the tasks: retrieval, patient identification, and the test in another hospital."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from cmelt.evaluation.embedder import Embedder, EvaluationStore
from cmelt.evaluation.identification import IdentificationResults, evaluate_identification
from cmelt.evaluation.metrics import Figure
from cmelt.evaluation.protocol import Protocol, Report
from cmelt.evaluation.results import plain
from cmelt.evaluation.retrieval import RetrievalResults, evaluate_retrieval
from cmelt.evaluation.search import SearchResult
from cmelt.evaluation.shift import evaluate_shift
from cmelt.evaluation.shift_results import ShiftResults
from cmelt.evaluation.tasks import load_task

SHIFT_TASK = "shift"


@dataclass(frozen=True)
class Asked:
    """Which of them to measure: with a store in `shift_to` the test there, of its records in `shift_part` or of all."""

    retrieval: bool = False
    identification: bool = False
    shift_to: EvaluationStore | None = None
    shift_part: str = ""


@dataclass(frozen=True)
class Further:
    """Those that were asked for; None where one was not."""

    retrieval: RetrievalResults | None = None
    identification: IdentificationResults | None = None
    shift: ShiftResults | None = None

    def to_json(self) -> dict[str, Any]:
        """The keys of results.json beside "results", by kind."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: plain(result) for name, result in found.items() if result is not None}


def measure_further(
    embedder: Embedder,
    control: Embedder,
    store: EvaluationStore,
    protocol: Protocol,
    asked: Asked,
    progress: Report | None = None,
) -> Further:
    """What is asked, on `store`; the shift is from `store` to another, by the bundled task. Raises StoreError as each does."""
    retrieval, identification, shift = None, None, None
    if asked.retrieval:
        retrieval = evaluate_retrieval(embedder, control, store, protocol, progress=progress)
    if asked.identification:
        identification = evaluate_identification(embedder, control, store, protocol, progress=progress)
    if asked.shift_to is not None:
        task, part = load_task(SHIFT_TASK), asked.shift_part
        shift = evaluate_shift(embedder, control, store, asked.shift_to, task, protocol, part, progress)
    return Further(retrieval, identification, shift)


@dataclass(frozen=True)
class Line:
    """One figure to print: the model's, the random-weights control's, and what chance gives."""

    name: str
    model: Figure
    random: Figure
    chance: float


def lines(further: Further) -> list[Line]:
    """Every headline figure, in the order of the report."""
    found = []
    if further.retrieval is not None:
        for way, result in further.retrieval.directions.items():
            found += _search_lines(f"{way}, R@{{}}", result)
    if further.identification is not None:
        found += _search_lines("patient identification, top {}", further.identification.accuracy)
    if (shift := further.shift) is not None:
        compared = {"head at home": shift.at_home, "head on the target": shift.head}
        compared["zero-shot on the target"] = shift.best_zero_shot
        found += [
            Line(f"{shift.name}, {name}", c.model.macro_auroc, c.random.macro_auroc, 0.5)
            for name, c in compared.items()
            if c is not None
        ]
    return found


def _search_lines(name: str, result: SearchResult) -> list[Line]:
    shares = result.model.within
    return [Line(name.format(k), shares[k], result.random.within[k], result.chance.within[k].value) for k in shares]
