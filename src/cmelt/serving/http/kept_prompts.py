"""Prompts as the model has read them, kept: the same question of many callers is read once, and what nobody waits for is not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from cmelt.serving.engine import Described
from cmelt.serving.http.loaded import Loaded
from cmelt.serving.http.question import Question
from cmelt.serving.http.worker import Worker

#: Questions whose prompts are kept as vectors.
QUESTIONS_KEPT = 64


@dataclass
class _Reading:
    """Prompts that are read, or have been, and how many callers wait for them."""

    task: asyncio.Task[Described]
    waiting: int = 0

    @property
    def failed(self) -> bool:
        """Whether there is nothing to be had of it."""
        return self.task.done() and (self.task.cancelled() or self.task.exception() is not None)


class KeptPrompts:
    """The last `QUESTIONS_KEPT` questions, as vectors; one event loop uses it."""

    def __init__(self, worker: Worker[Loaded]) -> None:
        self._worker = worker
        self._readings: dict[Question, _Reading] = {}

    async def of(self, question: Question) -> Described:
        """The question's classes for the model. Raises CMeltError."""
        asked = Question(question.classes, None, question.only)
        reading = self._readings.pop(asked, None)
        if reading is None or reading.failed:
            reading = _Reading(asyncio.create_task(self._worker.alone(lambda one: one.described(asked))))
        self._readings[asked] = reading  # the last asked for comes last
        while len(self._readings) > QUESTIONS_KEPT:
            self._readings.pop(next(iter(self._readings)))
        reading.waiting += 1
        try:
            return await asyncio.shield(reading.task)
        finally:
            reading.waiting -= 1
            if not reading.waiting and not reading.task.done():
                reading.task.cancel()  # where it has not begun, the model never sees it
