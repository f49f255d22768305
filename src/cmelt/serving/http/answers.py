"""What the service answers, as types: they are checked on the way out, and stand in /openapi.json."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from cmelt.serving.notice import NOTICE

_AF = "atrial-fibrillation"


class _Answer(BaseModel):
    model_config = ConfigDict(populate_by_name=True, protected_namespaces=())


class _Whole(_Answer):
    """An answer by itself: it says what it is for."""

    notice: Annotated[str, Field(description="The intended use.")] = NOTICE


class ModelName(_Answer):
    """Which weights answered."""

    name: str = Field(examples=["small"])
    sha256: str = Field(description="Of the weights' file.")


class Facts(_Answer):
    """What there is to know of the ECG beside its samples. What the file does not say is null."""

    seconds: float = Field(examples=[10.0])
    rate: float = Field(description="Hz, as recorded.", examples=[500.0])
    leads: list[str] = Field(description="As recorded.")
    derived: list[str] = Field(description="Leads that were computed from others.")
    age: float | None = None
    sex: str | None = None
    report: str | None = Field(None, description="The report or the device's statements, as the file has them.")
    labels: list[str] = []
    measurements: dict[str, float] = Field({}, description="What the device measured: beats a minute, ms, degrees.")


class ScoredFacts(Facts):
    """And what was done to it before the model saw it."""

    windows: int = Field(description="Stretches of the model's length that it saw.")
    windows_left_out: int = Field(description="Stretches without a usable lead.")
    missing_leads: list[str] = Field(description="Leads that the model saw as zeros.")


class ClassResult(_Answer):
    """One class's score."""

    name: str = Field(alias="class", examples=[_AF])
    score: float = Field(description="Difference of cosines. It ranks; it is no probability, and zero is no threshold.")
    probability: float | None = Field(None, description="Calibrated on validation records; null where this class was not.")
    low: float | None = Field(None, description="Of the probability's 95 % interval.")
    high: float | None = None
    cannot_tell: str | None = Field(None, description="Why there is no probability for this ECG.")
    taken_as: str | None = Field(None, description="Of a typed line: the bundled statement that it was taken as.")
    told: str | None = Field(None, description="Of a typed line: how it was taken, in words, which is to be shown.")


class ClassifyAnswer(_Whole):
    """Scores, highest first."""

    model: ModelName
    scoring: str = Field(examples=["contrast"])
    results: list[ClassResult]
    flags: list[str] = Field(
        description="What is wrong with the recording, or that it is unlike the training data.", examples=[["noisy:V2"]]
    )
    facts: ScoredFacts


class EmbedAnswer(_Whole):
    """The ECG's vector."""

    model: ModelName
    embedding: list[float] = Field(description="Unit length.")
    flags: list[str]
    facts: ScoredFacts


class Hit(_Answer):
    """One record that was found."""

    record: str
    similarity: float = Field(description="Cosine. It ranks; it is no probability.")
    report: str | None
    age: float | None
    sex: str | None
    labels: list[str]
    split: str
    source: str
    row: int
    ecg: str = Field(description="Where its ECG is to be had, in the canonical form.", examples=["v1/index/17"])


class SearchAnswer(_Whole):
    """Records, most similar first."""

    model: ModelName
    query: str = Field(description="ecg or text.")
    store: str = Field(description="SHA-256 of the store that is searched.")
    among: int = Field(description="How many records the filters let through.")
    hits: list[Hit]


class ExampleName(_Answer):
    """A simulated ECG to try."""

    name: str = Field(examples=[_AF])
    title: str
    conditions: list[str] = Field(description="What the simulator was told; empty for a normal heart.")
    seconds: float


class ExamplesAnswer(_Whole):
    """All of them."""

    examples: list[ExampleName]


class TasksAnswer(_Whole):
    """What can be asked by name."""

    tasks: dict[str, list[str]] = Field(description="Bundled tasks with their classes.")
    statements: list[str] = Field(description="Names that `classes` takes.")


class AliveAnswer(_Whole):
    """Whether the process lives."""

    alive: bool


class ReadyAnswer(_Whole):
    """Whether the service answers, and what it can do."""

    ready: bool
    reason: str | None = None
    model: ModelName | None = None
    capabilities: dict[str, bool]


class Fault(_Answer):
    """What was refused, why, and what to do."""

    what: str
    reason: str
    remedy: str


class Refused(_Whole):
    """Every answer other than 200."""

    error: Fault


def plain(value: Any) -> Any:
    """A number that JSON has no word for as null."""
    return None if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))) else value
