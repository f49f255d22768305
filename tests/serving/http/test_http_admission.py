"""Who is let in, and how much: each rule by itself, without a server."""

from __future__ import annotations

import asyncio

import pytest

from cmelt.serving.http.admission import Body, Gate, check_host, check_token
from cmelt.serving.http.refusal import Refusal
from cmelt.serving.http.settings import Limits, ServiceSettings

TOKEN = "a-token-of-thirty-two-characters"
LIMITS = Limits(body_bytes=100, bodies=2, waiting=3, receive_seconds=0.2)


def parts(*contents: bytes, pause: float = 0.0):
    """A server's `receive` that gives these parts of one body, then waits for ever."""
    left = list(contents)

    async def receive():
        if pause:
            await asyncio.sleep(pause)
        if not left:
            await asyncio.Event().wait()
        content = left.pop(0)
        return {"type": "http.request", "body": content, "more_body": bool(left)}

    return receive


async def started(receive, gate=None, **headers) -> Body:
    return Body(receive, headers, gate or Gate(LIMITS), LIMITS, asyncio.get_running_loop().time())


async def whole(body: Body) -> bytes:
    content = b""
    while not body.complete:
        content += (await body.receive())["body"]
    return content


def status_of(work) -> int:
    with pytest.raises(Refusal) as found:
        asyncio.run(work)
    return found.value.status


def test_a_body_comes_whole_and_is_counted_once():
    async def work():
        gate = Gate(LIMITS)
        body = await started(parts(b"a" * 60, b"b" * 40), gate)
        content = (await body.receive())["body"]
        assert (gate.inside, gate.bytes) == (0, 60)  # a body on its way takes nobody's place
        content += await whole(body)
        assert (gate.inside, gate.bytes, body.bytes) == (1, 100, 100)
        body.leave()
        assert (gate.inside, gate.bytes) == (0, 0)
        return content

    assert asyncio.run(work()) == b"a" * 60 + b"b" * 40


def test_the_byte_too_many_is_refused_wherever_it_comes():
    async def unannounced():
        await whole(await started(parts(b"a" * 100, b"b")))

    async def announced(length):
        (await started(parts(), **{"content-length": length})).check_announced()

    assert status_of(unannounced()) == 413
    assert status_of(announced("101")) == 413 and status_of(announced("9" * 4000)) == 413
    for length in ("100", "0", "", "-5", "many", "１００"):
        asyncio.run(announced(length))


def test_a_body_that_stops_coming_is_given_up():
    async def slow():
        await whole(await started(parts(b"a", b"b", b"c", pause=0.15)))

    assert status_of(slow()) == 408


def test_a_body_that_comes_at_a_fair_speed_has_longer_than_one_that_trickles_or_stops_after_a_burst():
    limits = Limits(body_bytes=1000, receive_seconds=1.0, slow_seconds=0.1, slow_bytes=20)

    async def seconds(*sizes: int) -> tuple[float, bool, int | None]:
        loop = asyncio.get_running_loop()
        start, left = loop.time(), list(sizes)

        async def receive():
            await asyncio.sleep(0.03)
            if not left:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": b"x" * left.pop(0), "more_body": bool(left)}

        body = Body(receive, {"transfer-encoding": "chunked"}, Gate(limits), limits, start)
        refused = None
        try:
            await whole(body)
        except Refusal as refusal:
            refused = refusal.status
        return loop.time() - start, body.complete, refused

    assert asyncio.run(seconds(*[20] * 12))[1]  # 0.36 s, three times the shortest
    for sizes in ([1] * 100, [500, *[1] * 100]):
        taken, complete, refused = asyncio.run(seconds(*sizes))
        assert not complete and refused == 408 and taken < 0.6


def test_bodies_of_all_together_are_bounded_and_leaving_makes_room():
    gate = Gate(LIMITS)
    gate.take(150)
    with pytest.raises(Refusal) as found:
        gate.take(51)
    assert found.value.status == 503 and gate.bytes == 150
    gate.enter("a")
    gate.leave(150, "a")
    gate.take(200)


def test_as_many_as_may_wait_are_let_in_and_no_more():
    gate = Gate(LIMITS)
    for _ in range(3):
        gate.enter("a")
    with pytest.raises(Refusal) as found:
        gate.enter("b")
    assert (found.value.status, found.value.retry_seconds, gate.inside) == (503, 1, 3)
    gate.leave(0, "a")
    gate.enter("b")


def test_one_address_has_no_more_than_its_share_and_the_others_keep_theirs():
    gate = Gate(Limits(waiting=4, per_caller=2))
    gate.enter("a")
    gate.enter("a")
    with pytest.raises(Refusal) as found:
        gate.check("a")
    assert (found.value.status, found.value.retry_seconds, gate.inside) == (429, 1, 2)
    gate.enter("b")
    gate.leave(0, None)  # one that was refused gives no place back
    with pytest.raises(Refusal):
        gate.enter("a")
    gate.leave(0, "a")
    gate.enter("a")
    gate.enter("c")
    with pytest.raises(Refusal) as full:
        gate.enter("c")
    assert full.value.status == 503


def test_what_is_drained_is_neither_kept_nor_waited_for():
    async def work(*contents, **headers):
        gate = Gate(LIMITS)
        body = await started(parts(*contents), gate, **headers)
        await asyncio.wait_for(body.drain(), 5)
        return gate.bytes

    assert asyncio.run(work(b"a" * 50, b"b" * 50)) == 0
    assert asyncio.run(work(*[b"a" * 60] * 5)) == 0  # it stops after as much as may be sent
    assert asyncio.run(work(b"a", expect="100-continue")) == 0


def test_a_caller_who_goes_is_noticed_once_the_body_is_there():
    async def work():
        messages = [{"type": "http.request", "body": b"x", "more_body": False}, {"type": "http.disconnect"}]

        async def receive():
            return messages.pop(0)

        body = await started(receive)
        ended = asyncio.create_task(body.ended())
        await asyncio.sleep(0)
        assert not ended.done()
        await body.receive()
        await asyncio.wait_for(ended, 5)

    asyncio.run(work())


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"host": "localhost:8517"}, True), ({"host": "LocalHost"}, True), ({"host": "[::1]:8517"}, True), ({"host": ""}, False),
        ({}, False), ({"host": "localhost.evil.example"}, False), ({"host": "evil.example:8517"}, False),
        ({"host": "[::2]"}, False),
        ({"host": "localhost:1", "origin": "http://localhost:1"}, True), ({"host": "localhost:1", "origin": "null"}, False),
        ({"host": "localhost:1", "origin": "http://localhost:2"}, False), ({"host": "localhost:1", "origin": ""}, False),
        ({"host": "localhost:1", "origin": "http://evil.example"}, False), ({"host": "localhost:1", "origin": "http://["}, False),
    ],
)  # fmt: skip
def test_only_our_names_and_our_page_are_answered(headers, allowed):
    if allowed:
        check_host(headers, ServiceSettings())
    else:
        with pytest.raises(Refusal) as found:
            check_host(headers, ServiceSettings())
        assert found.value.status == 403 and "evil" not in str(found.value.body())


def test_any_name_will_do_where_names_are_not_known():
    for settings in (ServiceSettings(hosts=("*",)), ServiceSettings(host="0.0.0.0", token=TOKEN)):
        check_host({"host": "whatever.example"}, settings)
        with pytest.raises(Refusal):
            check_host({"host": "whatever.example", "origin": "https://other.example"}, settings)


@pytest.mark.parametrize("shown", ["", "Bearer", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer x{TOKEN}",
                                   f"Bearer {TOKEN.upper()}", TOKEN, "Bearer ümlaut"])  # fmt: skip
def test_a_token_is_the_right_one_or_none(shown):
    settings = ServiceSettings(token=TOKEN)
    with pytest.raises(Refusal) as found:
        check_token({"authorization": shown}, settings)
    assert found.value.status == 401 and TOKEN not in str(found.value.body())
    check_token({"authorization": f"bearer  {TOKEN} "}, settings)
    check_token({"authorization": shown}, ServiceSettings())
