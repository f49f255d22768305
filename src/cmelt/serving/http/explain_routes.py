"""Where in an ECG the evidence for a class lies: a route that is there where captum is installed."""

from __future__ import annotations

from importlib.util import find_spec

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from cmelt.evaluation.tasks.loading import Scoring
from cmelt.explanation import METHODS, Explanation, Method
from cmelt.records.record import Record
from cmelt.serving.explaining import explain
from cmelt.serving.http.answers import ModelName
from cmelt.serving.http.documentation import EXPLAINED, REFUSALS
from cmelt.serving.http.loaded import Loaded, use_threads
from cmelt.serving.http.question import ASKING, Given, Question, question_of, text_of
from cmelt.serving.http.receiving import received
from cmelt.serving.http.refusal import TOO_LARGE, UNPROCESSABLE, Refusal
from cmelt.serving.http.routes import service_of

EXPLAINING = (*ASKING, "method")
#: Windows of the model's length: one is explained at a time, and others wait for it.
MOST_WINDOWS = 6

router = APIRouter(responses=REFUSALS, tags=["ECG"])


class ExplainedEcg(BaseModel):
    """What the ECG is known again by, so that evidence is drawn over no other."""

    seconds: float
    fingerprint: str = Field(description="Nearly the same for copies at another rate; empty for too little of an ECG.")
    sha256: str


class ExplainAnswer(BaseModel):
    """Signed evidence along the leads."""

    notice: str
    model: ModelName
    what: str = Field(description="The class or prompt.")
    method: Method
    score: float = Field(description="As /v1/classify has it. It ranks; it is no probability.")
    baseline: float = Field(description="The score of the same leads as flat lines.")
    leads: list[str]
    seconds: float = Field(description="Length of what was explained, from the beginning of the record.")
    rate: float = Field(description="Values a second, at most 250.")
    values: list[list[float]] = Field(description="[leads][samples], above zero where the ECG speaks for the class.")
    notes: list[str]
    ecg: ExplainedEcg | None = Field(None, description="Which ECG it is of, by its signal.")


def can_explain() -> bool:
    """Whether what explanations need is installed."""
    return find_spec("captum") is not None


@router.post("/v1/explain", openapi_extra=EXPLAINED)
async def explained(request: Request) -> ExplainAnswer:
    """What in an ECG speaks for one class: `prompts`, `classes`, or `task` with `classes`, of which one."""
    service = service_of(request)
    ecg = await service.opened(await received(request, service.limits.files), EXPLAINING)
    if ecg.prepared.facts.windows > MOST_WINDOWS:
        longest = round(MOST_WINDOWS * service.loaded.processor.seconds)
        raise Refusal(
            TOO_LARGE, "the ECG", f"it lasts longer than the {longest} s that are explained at once", "send a part of it"
        )
    question, method = await service.reading(lambda: _asked(ecg.given))
    found = await service.worker.beside(lambda one: _explained(one, ecg.record, question, method))
    told = await service.reading(found.to_json)
    return ExplainAnswer(model=service.model, **told)


def _asked(given: Given) -> tuple[Question, Method]:
    """One class, and how. Raises Refusal."""
    chosen = text_of(given, "method") or METHODS[0]
    method = next((one for one in METHODS if one == chosen), None)
    if method is None:
        raise Refusal(UNPROCESSABLE, "the question", "method is none that is known", f"known: {', '.join(METHODS)}")
    question = question_of(given)
    classes = question.classes  # a task's name, or the classes themselves
    if len(question.only if isinstance(classes, str) else classes) != 1:
        raise Refusal(UNPROCESSABLE, "the question", "it is not of one class", "send one of prompts, or one of classes")
    return question, method


def _explained(loaded: Loaded, record: Record, question: Question, method: Method) -> Explanation:
    use_threads(loaded.threads)
    scoring: Scoring | None = question.scoring
    return explain(loaded.model, loaded.processor, record, loaded.described(question), method=method, scoring=scoring)
