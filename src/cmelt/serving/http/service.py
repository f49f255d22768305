"""The service without HTTP: from what a request carries to an answer."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cmelt.records.leads import derive_limb_leads
from cmelt.records.quality import quality_flags
from cmelt.records.record import LEADS, Record, without_calibration
from cmelt.records.units import measured
from cmelt.serving.confidence import NO_ECG, UNLIKE, Confidence, judge
from cmelt.serving.engine import scored
from cmelt.serving.http import answers, canonical, loaded
from cmelt.serving.http.admission import Gate
from cmelt.serving.http.kept_prompts import KeptPrompts
from cmelt.serving.http.loaded import Loaded, Sources
from cmelt.serving.http.metrics import Metrics
from cmelt.serving.http.priority import give_way
from cmelt.serving.http.question import ASKING, DEFAULT_TASK, Given, Question, question_of
from cmelt.serving.http.receiving import Parcel
from cmelt.serving.http.refusal import TOO_LARGE, Refusal, blamed_on
from cmelt.serving.http.settings import Limits, ServiceSettings
from cmelt.serving.http.worker import Batching, Worker, not_ready
from cmelt.serving.processor import Prepared
from cmelt.serving.typed_lines import taken_as, told_line

_Made = TypeVar("_Made")
#: How long the batch in hand is waited for once nobody waits for its answers any more.
_LAST_SECONDS = 3.0

_log = logging.getLogger("cmelt.serve")


@dataclass(frozen=True)
class Opened:
    """An ECG on its way to the model, with the request's options."""

    record: Record
    prepared: Prepared
    given: Given


class Service:
    """A model at work for many callers.

    Args:
        sources: what to load.
        settings: limits among them.
        settled: called in the model's thread once the model is loaded, before anything is let in.
    """

    def __init__(self, sources: Sources, settings: ServiceSettings, settled: Callable[[], None] = lambda: None) -> None:
        self.sources, self.settings, self.metrics = sources, settings, Metrics()
        limits = settings.limits
        warm = Question(DEFAULT_TASK)
        batching = Batching(limits.batch_windows, limits.batch_seconds)

        def load() -> Loaded:
            found = loaded.load(sources, warm, limits.batch_windows)
            settled()
            return found

        self.worker: Worker[Loaded] = Worker(load, loaded.embed, batching, self.metrics.batch)
        self.gate = Gate(limits)
        self.ending = False
        self.metrics.watch(lambda: float(self.inside), lambda: self.worker.ready)
        self._readers = ThreadPoolExecutor(limits.readers, thread_name_prefix="cmelt-reader", initializer=give_way)
        self._prompts = KeptPrompts(self.worker)

    @property
    def inside(self) -> int:
        """Requests at work or waiting."""
        return self.gate.inside

    @property
    def limits(self) -> Limits:
        """How much may be asked for."""
        return self.settings.limits

    def start(self, failed: Callable[[], None]) -> None:
        """Load the model aside; `failed` is called, in another thread, where that cannot be."""
        self.worker.start(failed)

    def stop(self) -> None:
        """End all threads. What still waits is told so."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        self.worker.stop(min(self.limits.stop_seconds, _LAST_SECONDS))

    @property
    def identity(self) -> str | None:
        """The SHA-256 of the weights at work; None while they are being loaded."""
        return None if self.worker.loaded is None else self.worker.loaded.identity

    @property
    def model(self) -> answers.ModelName:
        """Which model it is. Raises Refusal while it is being loaded."""
        return answers.ModelName(name=self.sources.name, sha256=self.loaded.identity)

    @property
    def loaded(self) -> Loaded:
        """What the model's thread has. Raises Refusal while it is being loaded."""
        if self.worker.loaded is None:
            raise not_ready(stopping=False)
        return self.worker.loaded

    async def reading(self, work: Callable[[], _Made]) -> _Made:
        """What `work` makes, in a thread for work that needs no model."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    async def opened(self, parcel: Parcel, known: Sequence[str]) -> Opened:
        """The ECG of a request in the model's form, and its options."""
        processor = self.loaded.processor

        def open_() -> Opened:
            with blamed_on("the ECG"):
                record, given = parcel.opened(known)
                self.refuse_length(record)
                return Opened(record, processor.record(record), given)

        return await self.reading(open_)

    async def classified(self, parcel: Parcel) -> answers.ClassifyAnswer:
        """Scores of the ECG for the classes asked for."""
        ecg = await self.opened(parcel, ASKING)
        question = await self.reading(lambda: question_of(ecg.given))
        described = await self._prompts.of(question)
        vector = await self.worker.embed(ecg.prepared.ecg)
        values, scoring = scored(vector[np.newaxis], described, question.scoring)
        facts = ecg.prepared.facts
        sure = judge(self.loaded.processor.calibration, described.task, scoring, vector[np.newaxis], values, [facts])
        names = list(described.task.classes)
        order = np.argsort(-values[0], kind="stable").tolist()
        taken = taken_as(described.task)
        results = [result_of(names[column], column, values, sure, taken) for column in order]
        return answers.ClassifyAnswer(
            model=self.model,
            scoring=scoring,
            results=results,
            flags=[*facts.flags, *(flag for flag in sure.flags[0] if flag in (NO_ECG, UNLIKE))],
            facts=scored_facts(ecg),
        )

    async def embedded(self, parcel: Parcel) -> answers.EmbedAnswer:
        """The ECG's vector."""
        ecg = await self.opened(parcel, ())
        vector = await self.worker.embed(ecg.prepared.ecg)
        flags = list(ecg.prepared.facts.flags)
        return answers.EmbedAnswer(model=self.model, embedding=vector.tolist(), flags=flags, facts=scored_facts(ecg))

    async def canonical(self, parcel: Parcel) -> bytes:
        """The ECG as the page draws it, whatever is wrong with it."""

        def convert() -> bytes:
            with blamed_on("the ECG"):
                record, _ = parcel.opened(())
                return drawable(record)

        return await self.reading(convert)

    def refuse_length(self, record: Record) -> None:
        """Raise Refusal for a record of more windows than one request may have."""
        window_seconds = self.loaded.processor.seconds
        windows = math.ceil(record.seconds / window_seconds)
        if windows > self.limits.windows:
            longest = round(self.limits.windows * window_seconds)
            raise Refusal(TOO_LARGE, "the ECG", f"it lasts longer than {longest} s", "send a part of it")


def result_of(
    name: str, column: int, scores: NDArray[np.float32], sure: Confidence, taken: Mapping[str, str | None] | None = None
) -> answers.ClassResult:
    """One class of the first record of `scores` [n, C], with what can be said of it; `taken`: as `taken_as` has it."""
    told = {"class": name, "score": float(scores[0, column]), "cannot_tell": sure.cannot_tell[0]}
    if taken is not None and name in taken:
        told |= {"taken_as": taken[name], "told": told_line(name, taken[name])}
    if sure.probabilities is not None and sure.low is not None and sure.high is not None:
        three = zip(("probability", "low", "high"), (sure.probabilities, sure.low, sure.high), strict=True)
        told |= {key: answers.plain(float(values[0, column])) for key, values in three}
    return answers.ClassResult.model_validate(told)


def drawable(record: Record) -> bytes:
    """`record` in the canonical form, with the leads that two others imply."""
    record = without_calibration(record)
    record = replace(record, signal=measured(record.signal))
    whole, derived = derive_limb_leads(record)
    flags = (*quality_flags(record), *(f"derived:{lead}" for lead in derived))
    flags = tuple(flag for flag in dict.fromkeys(flags) if not flag.startswith("missing:") or flag[8:] not in derived)
    missing = tuple(lead for lead in LEADS if lead not in whole.leads)
    return canonical.canonical_ecg(whole, missing, flags, facts_of(record, derived).model_dump())


def facts_of(record: Record, derived: Sequence[str] = ()) -> answers.Facts:
    """What the file says beside its samples. Who the patient is, is never read."""
    return answers.Facts(
        seconds=record.seconds,
        rate=record.rate,
        leads=list(record.leads),
        derived=list(dict.fromkeys((*record.derived, *derived))),
        age=answers.plain(record.age),
        sex=record.sex,
        report=record.report,
        labels=list(record.labels),
        measurements={name: value for name, value in record.measurements.items() if answers.plain(value) is not None},
    )


def scored_facts(ecg: Opened) -> answers.ScoredFacts:
    """As `facts_of`, and what the model saw."""
    done = ecg.prepared.facts
    derived = [lead for lead in LEADS if f"derived:{lead}" in done.flags]
    return answers.ScoredFacts(
        **facts_of(ecg.record, derived).model_dump(),
        windows=done.windows,
        windows_left_out=done.windows_left_out,
        missing_leads=list(done.missing_leads),
    )
