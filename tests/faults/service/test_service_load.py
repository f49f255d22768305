"""Many callers at once: none lost, none given another's answer, more than can be done refused at once; and the end under load."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hostile_bodies import head
from service_clients import Connection, closed_loop, open_loop, write_asks
from service_load import WRONG, asks_of
from service_process import clients, outcomes_of

from cmelt.records.record import LEADS
from cmelt.serving.http.priority import STEPS
from cmelt.serving.http.settings import Limits
from ecg_files import record
from http_calls import process

SOME = ("normal", "atrial-fibrillation", "one-minute")


@pytest.fixture(scope="module")
def asks(hardy_folder):
    return asks_of(str(hardy_folder), SOME)


def memory(pid: int) -> float:
    """Megabytes."""
    with open(f"/proc/{pid}/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1000


def all_right(outcomes, enough: int) -> None:
    assert len(outcomes) >= enough
    assert [one for one in outcomes if one.status != 200 or one.fault or one.off is None] == []
    assert max(one.off for one in outcomes) <= WRONG


def test_every_answer_of_many_clients_is_the_offline_one_and_memory_does_not_grow(hardy, asks):
    all_right(asyncio.run(closed_loop(hardy.service.port, asks, 16, 1.0)), len(asks))
    before = memory(hardy.running.pid)
    all_right(asyncio.run(closed_loop(hardy.service.port, asks, 16, 2.0)), len(asks))
    assert memory(hardy.running.pid) - before < 20


def test_the_comparison_sees_a_wrong_answer(asks):
    outcome = next(ask for ask in asks if ask.scores)
    from service_clients import difference

    told = {"results": [{"class": name, "score": score} for name, score in outcome.scores.items()]}
    assert difference(outcome, json.dumps(told).encode()) == (0.0, "")
    told["results"][0]["score"] += 1e-3
    assert difference(outcome, json.dumps(told).encode())[0] == pytest.approx(1e-3)
    told["results"].pop()
    assert difference(outcome, json.dumps(told).encode())[1] == "other classes"


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seconds", [60, 600])
def test_a_minute_and_ten_of_thirty_two_clients_lose_nothing(hardy_folder, asks, tmp_path, seconds):
    write_asks(asks, tmp_path / "asks")
    with process(tmp_path / "service", "--model", hardy_folder) as found:
        outcomes_of(clients(found.service.port, tmp_path / "asks", "--clients", 32, "--seconds", 10))
        before = memory(found.running.pid)
        outcomes = outcomes_of(clients(found.service.port, tmp_path / "asks", "--clients", 32, "--seconds", seconds))
        assert [one for one in outcomes if one["status"] != 200 or one["off"] is None or one["off"] > WRONG] == []
        assert memory(found.running.pid) - before <= 50


def held(serving, monkeypatch):
    """The model's thread waits for the event that this gives back; how many records it has had stands in the list."""
    gate, embedded = threading.Event(), []
    embed = serving.inner.worker._embed
    monkeypatch.setattr(
        serving.inner.worker, "_embed", lambda *given: gate.wait(30) and (embedded.append(given[3]), embed(*given))[1]
    )
    return gate, embedded


def body() -> dict:
    return {"signal": record(1).signal.tolist(), "leads": list(LEADS), "rate": 100, "unit": "mV"}


def test_what_is_more_than_can_wait_gets_503_and_retry_after_at_once_and_the_rest_its_answer(serving, monkeypatch, asks):
    with serving(limits=Limits(waiting=4)) as asked:
        gate, _ = held(serving, monkeypatch)
        with ThreadPoolExecutor(4) as inside:
            waiting = [inside.submit(asked.post, "/v1/embed", body()) for _ in range(4)]
            while serving.inner.inside < 4:
                time.sleep(0.01)
            refused = asyncio.run(open_loop(asked.port, asks, 64.0, 1.0))
            gate.set()
            assert [one.result().status for one in waiting] == [200] * 4
    assert len(refused) == 64 and all(one.status == 503 and one.retry_after for one in refused)
    assert np.median([one.seconds for one in refused]) < 0.1


def test_a_caller_who_sends_on_hears_of_the_refusal_before_the_end_of_the_body(serving, monkeypatch):
    with serving(limits=Limits(waiting=1)) as asked:
        gate, _ = held(serving, monkeypatch)
        with ThreadPoolExecutor(1) as inside:
            waiting = inside.submit(asked.post, "/v1/embed", body())
            while serving.inner.inside < 1:
                time.sleep(0.01)

            async def status() -> bytes:
                reader, writer = await asyncio.open_connection("127.0.0.1", asked.port)
                writer.write(head("Content-Length: 1000000") + b"x" * 1000)
                line = await asyncio.wait_for(reader.readline(), 1.0)  # less than the service reads on
                writer.close()
                return line

            assert b"503" in asyncio.run(status())
            gate.set()
            assert waiting.result().status == 200


def test_what_is_past_its_deadline_is_dropped_unrun_prompts_too(serving, monkeypatch):
    with serving(limits=Limits(answer_seconds=1.0)) as asked:
        gate, embedded = held(serving, monkeypatch)
        read = []
        described = type(serving.inner.loaded).described
        monkeypatch.setattr(
            type(serving.inner.loaded), "described", lambda one, question: read.append(question) or described(one, question)
        )
        with ThreadPoolExecutor(12) as many:
            first = many.submit(asked.post, "/v1/embed", body())
            while serving.inner.inside < 1:
                time.sleep(0.01)
            time.sleep(0.2)  # it is in the model now; what follows waits for it
            late = [many.submit(asked.post, "/v1/embed", body()) for _ in range(6)]
            late += [many.submit(asked.post, f"/v1/classify?prompts=finding+{number}", body()) for number in range(5)]
            assert {one.result().status for one in [first, *late]} == {503}
        gate.set()
        assert asked.post("/v1/embed", body()).status == 200
        assert (sum(embedded), read) == (2, [])  # the first, which was at work, and the last


def test_an_explanation_keeps_nobody_waiting(serving, monkeypatch):
    from cmelt.serving.http import explain_routes

    gate, begun = threading.Event(), threading.Event()
    explained = explain_routes._explained
    monkeypatch.setattr(explain_routes, "_explained", lambda *given: begun.set() or (gate.wait(30) and explained(*given)))
    with serving() as asked, ThreadPoolExecutor(1) as aside:
        explaining = aside.submit(asked.post, "/v1/explain?classes=atrial-fibrillation&method=occlusion", body())
        assert begun.wait(30)
        assert asked.post("/v1/classify?classes=atrial-fibrillation", body()).status == 200
        assert not explaining.done()
        gate.set()
        assert explaining.result().status == 200


def test_told_to_end_under_load_it_cuts_no_request_off_and_is_gone_in_time(hardy_folder, asks, tmp_path):
    write_asks(asks, tmp_path / "asks")
    with process(tmp_path / "service", "--model", hardy_folder) as found:
        running = clients(found.service.port, tmp_path / "asks", "--clients", 32, "--seconds", 60)
        end = time.monotonic() + 60
        while found.log.read_text().count(" 200 ") < 64 and time.monotonic() < end:
            time.sleep(0.05)
        begun = time.monotonic()
        assert found.end() == 0
        taken = time.monotonic() - begun
        outcomes = outcomes_of(running)
    assert taken <= 30
    assert [one for one in outcomes if one["status"] == 0 and not one["fault"].startswith("refused")] == []
    answered = [one for one in outcomes if one["status"] == 200]
    assert len(answered) >= 64 and max(one["off"] for one in answered) <= WRONG
    assert {one["status"] for one in outcomes} <= {0, 200, 503}


def test_a_thread_that_never_ends_does_not_keep_the_process(hardy_folder, tmp_path):
    stuck = tmp_path / "sitecustomize.py"  # as an explanation, or a reader of a file, may be
    stuck.write_text(
        "import time\n"
        "from cmelt.serving.http import signal_body\n"
        "signal_body.record_of_body = lambda body: time.sleep(3600)\n"
        "from cmelt.serving.http import receiving\n"
        "receiving.record_of_body = signal_body.record_of_body\n"
    )
    arguments = ("--model", hardy_folder, "--stop", "1")
    from http_calls import SOURCE

    with process(tmp_path / "service", *arguments, PYTHONPATH=f"{tmp_path}:{SOURCE}") as found:
        threading.Thread(target=found.service.post, args=("/v1/embed", body()), daemon=True).start()
        time.sleep(0.5)
        begun = time.monotonic()
        assert found.end() == 1
        assert time.monotonic() - begun < 15
        assert "without waiting any longer" in found.log.read_text()
        assert list(found.temporary.iterdir()) == []


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads have no priority of their own here")
def test_threads_that_compute_give_way_to_the_one_that_answers(hardy):
    own = os.getpriority(os.PRIO_PROCESS, hardy.running.pid)
    threads = [int(name) for name in os.listdir(f"/proc/{hardy.running.pid}/task")]
    assert {os.getpriority(os.PRIO_PROCESS, one) - own for one in threads if one != hardy.running.pid} >= {STEPS}


def test_requests_over_one_connection_are_each_answered_in_their_turn(hardy, asks):
    async def turns() -> list[float]:
        connection, begun = Connection(hardy.service.port), time.perf_counter()
        outcomes = [await connection.outcome(ask, begun) for ask in asks[:4] * 2]
        await connection.close()
        all_right(outcomes, 8)
        return [one.at for one in outcomes]

    assert all(one < other for one, other in pairwise(asyncio.run(turns())))
