"""Batches: what comes together goes together, each gets its own, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import threading
import time

import numpy as np
import pytest

from cmelt.serving.http.refusal import Refusal
from cmelt.serving.http.worker import Batching, Worker


class Model:
    """Embeds a window as its mean; notes the batches; waits where told."""

    def __init__(self):
        self.batches, self.threads = [], set()
        self.free = threading.Event()
        self.free.set()

    def embed(self, loaded, ecg, owner, count):
        assert loaded is self
        self.free.wait(10)
        self.threads.add(threading.get_ident())
        self.batches.append(len(owner))
        if np.isnan(ecg).any():
            raise FloatingPointError("not finite")
        return np.array([[ecg[owner == row].mean()] for row in range(count)], np.float32)


def window(value: float, count: int = 1) -> np.ndarray:
    return np.full((count, 12, 10), value, np.float32)


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def worker(model):
    worker = Worker(lambda: model, model.embed, Batching(8, 0.05), lambda requests, windows: None)
    worker.start(lambda: None)
    while not worker.ready:
        time.sleep(0.001)
    yield worker
    model.free.set()
    worker.stop(5)
    assert not worker._thread.is_alive()


def run(work):
    return asyncio.run(asyncio.wait_for(work, 20))


async def together(*work):
    return await asyncio.gather(*work, return_exceptions=True)


def test_requests_that_come_together_go_through_the_model_together_and_each_gets_its_own(worker, model):
    answers = run(together(*(worker.embed(window(value)) for value in range(20))))
    assert [float(answer[0]) for answer in answers] == list(range(20))
    assert sum(model.batches) == 20 and len(model.batches) <= 5 and max(model.batches) == 8
    assert len(model.threads) == 1 and threading.get_ident() not in model.threads


def test_a_batch_is_no_larger_than_allowed_unless_one_record_alone_is(worker, model):
    sizes = [3, 4, 5, 20, 1]
    answers = run(together(*(worker.embed(window(size, size)) for size in sizes)))
    assert [float(answer[0]) for answer in answers] == sizes
    assert sum(model.batches) == sum(sizes) and all(batch <= 8 or batch == 20 for batch in model.batches)


def test_one_alone_waits_no_longer_than_said(worker, model):
    start = time.monotonic()
    run(worker.embed(window(1)))
    assert time.monotonic() - start < 1 and model.batches == [1]


def test_a_record_that_the_model_cannot_take_fails_alone(worker):
    good, bad, other = run(together(worker.embed(window(1)), worker.embed(window(np.nan)), worker.embed(window(2))))
    assert (float(good[0]), float(other[0])) == (1.0, 2.0)
    assert isinstance(bad, FloatingPointError)


def test_lone_work_has_the_model_to_itself_and_its_errors_come_back(worker, model):
    async def mixed():
        return await together(worker.embed(window(1)), worker.alone(lambda one: one is model), worker.embed(window(2)),
                              worker.alone(lambda one: 1 / 0))  # fmt: skip

    first, alone, second, failed = run(mixed())
    assert (float(first[0]), alone, float(second[0])) == (1.0, True, 2.0) and isinstance(failed, ZeroDivisionError)


def test_work_that_nobody_waits_for_any_more_is_not_done(worker, model):
    async def given_up():
        model.free.clear()
        first = asyncio.create_task(worker.embed(window(1)))
        await asyncio.sleep(0.2)  # it is in the model now
        late = [asyncio.create_task(worker.embed(window(value))) for value in (2, 3)]
        await asyncio.sleep(0)
        late[0].cancel()
        await asyncio.sleep(0)
        model.free.set()
        return await first, await late[1]

    run(given_up())
    assert sum(model.batches) == 2


def test_what_was_taken_before_the_end_is_finished_and_nothing_more_is_taken(worker, model):
    async def ending():
        model.free.clear()
        first = asyncio.create_task(worker.embed(window(1)))
        await asyncio.sleep(0.2)
        late = asyncio.create_task(worker.embed(window(2)))
        await asyncio.sleep(0)
        ended = asyncio.get_running_loop().run_in_executor(None, worker.stop, 10)
        await asyncio.sleep(0.1)
        assert not worker.ready
        model.free.set()
        await ended
        return await together(first, late, worker.embed(window(3)))

    first, late, after = run(ending())
    assert (float(first[0]), float(late[0])) == (1.0, 2.0)
    assert isinstance(after, Refusal) and after.status == 503


def test_a_model_that_cannot_be_loaded_is_told_and_nothing_is_taken():
    told = threading.Event()

    def broken():
        raise ValueError("no such model")

    worker = Worker(broken, Model().embed, Batching(8, 0.0), lambda requests, windows: None)
    worker.start(told.set)
    assert told.wait(5) and isinstance(worker.failure, ValueError) and not worker.ready
    with pytest.raises(Refusal, match="loaded"):
        run(worker.embed(window(1)))
