"""One thread has the model for what is quick; what comes to it at about the same time goes through it together."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from cmelt.serving.http.memory import give_back
from cmelt.serving.http.priority import give_way
from cmelt.serving.http.refusal import UNAVAILABLE, Refusal

Answer = TypeVar("Answer")
Loaded = TypeVar("Loaded")
Vectors = NDArray[np.float32]
#: The thread's work on windows [w, L, T], whose record each is [w] and how many records → their vectors [n, D].
Embed = Callable[[Any, NDArray[np.float32], NDArray[np.int64], int], Vectors]
#: Told of each batch: (requests, windows).
Told = Callable[[int, int], None]
#: Without a job for so long, the model's thread is idle.
_IDLE_SECONDS = 0.5


@dataclass
class _Job:
    """One request's work: windows to embed among others', or anything else, alone."""

    ecg: NDArray[np.float32] | None = None
    alone: Callable[[Any], Any] | None = None
    answer: Future[Any] = field(default_factory=Future)

    @property
    def windows(self) -> int:
        """Of the model's length."""
        return 0 if self.ecg is None else len(self.ecg)


@dataclass(frozen=True)
class Batching:
    """How much goes through the model together (windows), and how long the first waits for others (s)."""

    windows: int
    seconds: float


class Worker(Generic[Loaded]):
    """The thread, its queue, and what it has loaded.

    Args:
        load: makes what `embed` and lone jobs are handed: the model and its belongings. Runs in the thread.
        embed: see `Embed`.
        batching: see `Batching`.
        told: called after each batch.
    """

    def __init__(self, load: Callable[[], Loaded], embed: Embed, batching: Batching, told: Told) -> None:
        self._load, self._embed, self._batching, self._told = load, embed, batching, told
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._held: _Job | None = None
        self._thread = threading.Thread(target=self._run, name="cmelt-model", daemon=True)
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="cmelt-beside", initializer=give_way)
        self._stopping = False
        self.loaded: Loaded | None = None
        self.failure: BaseException | None = None

    def start(self, ended: Callable[[], None]) -> None:
        """Begin loading. `ended` is called in the thread if that fails; `failure` has the reason."""
        self._ended = ended
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether the model is loaded, and taken work is done."""
        return self.loaded is not None and not self._stopping and self._thread.is_alive()

    def stop(self, seconds: float) -> None:
        """Take no more work, tell what waits that the service ends, and wait for the batch in hand."""
        self._stopping = True
        self._jobs.put(None)
        self._beside.shutdown(wait=False, cancel_futures=True)
        if self._thread.is_alive():
            self._thread.join(seconds)

    async def embed(self, ecg: NDArray[np.float32]) -> Vectors:
        """Windows of one record [w, L, T] → its vector [D]."""
        return np.asarray(await self._done(_Job(ecg=ecg)))

    async def alone(self, work: Callable[[Loaded], Answer]) -> Answer:
        """What `work` makes of the loaded model, between two batches."""
        answer: Answer = await self._done(_Job(alone=work))
        return answer

    async def beside(self, work: Callable[[Loaded], Answer]) -> Answer:
        """What `work`, which takes seconds, makes of the loaded model: one at a time, while batches go on."""
        if self.loaded is None or not self.ready:
            raise not_ready(stopping=self._stopping)
        return await asyncio.get_running_loop().run_in_executor(self._beside, work, self.loaded)

    async def _done(self, job: _Job) -> Any:
        if not self.ready:
            raise not_ready(stopping=self._stopping)
        self._jobs.put(job)
        return await asyncio.wrap_future(job.answer)

    def _run(self) -> None:
        give_way()
        try:
            self.loaded = self._load()
        except Exception as error:  # whatever it is, the service has to end with it, not this thread alone
            self.failure = error
            self._ended()
            return
        while jobs := self._next():
            running = [job for job in jobs if job.answer.set_running_or_notify_cancel()]
            if running:
                self._work(running)
        self._refuse_rest()

    def _next(self) -> list[_Job]:
        """What goes through the model next: a lone job, or all that came within the wait; nothing once the end is near."""
        first, self._held = self._held or self._waited_for(), None
        if first is None or first.ecg is None:
            return [] if first is None else [first]
        batch, windows = [first], first.windows
        deadline = time.monotonic() + self._batching.seconds
        while windows < self._batching.windows:
            try:
                job = self._jobs.get(timeout=max(deadline - time.monotonic(), 0.0))
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)
                break
            if job.ecg is None or windows + job.windows > self._batching.windows:
                self._held = job
                break
            batch.append(job)
            windows += job.windows
        return batch

    def _waited_for(self) -> _Job | None:
        """The next job; memory is given back where none comes for a moment."""
        with suppress(queue.Empty):
            return self._jobs.get(timeout=_IDLE_SECONDS)
        give_back()
        return self._jobs.get()

    def _work(self, jobs: Sequence[_Job]) -> None:
        try:
            answers = self._answers(jobs)
        except Exception as error:  # handed to whoever waits for it
            if len(jobs) == 1:
                jobs[0].answer.set_exception(error)
                return
            for job in jobs:  # one record that the model cannot take must not fail its neighbours
                self._work([job])
            return
        for job, answer in zip(jobs, answers, strict=True):
            job.answer.set_result(answer)

    def _answers(self, jobs: Sequence[_Job]) -> Sequence[Any]:
        if jobs[0].alone is not None:
            return [jobs[0].alone(self.loaded)]
        ecg = [job.ecg for job in jobs if job.ecg is not None]
        owner = np.repeat(np.arange(len(ecg)), [len(one) for one in ecg])
        vectors = self._embed(self.loaded, np.concatenate(ecg), owner, len(ecg))
        self._told(len(ecg), len(owner))
        return list(vectors)

    def _refuse_rest(self) -> None:
        self._stopping = True
        rest = [self._held] if self._held else []
        while not self._jobs.empty():
            job = self._jobs.get()
            rest += [job] if job else []
        for job in rest:
            if job.answer.set_running_or_notify_cancel():
                job.answer.set_exception(not_ready(stopping=True))


def not_ready(*, stopping: bool) -> Refusal:
    """What to say while the model is being loaded, or the service ends."""
    reason = "it is about to end" if stopping else "the model is still being loaded"
    return Refusal(UNAVAILABLE, "the service", reason, "ask again in a moment", 5)
