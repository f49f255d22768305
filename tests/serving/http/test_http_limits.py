"""What the service does not take: too much, too slow, too many, from strangers; each with its own answer."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cmelt.records.record import LEADS
from cmelt.serving.http.settings import Limits
from ecg_files import record, write_wfdb
from http_calls import files_at, form

TOKEN = "a-token-of-thirty-two-characters"


def body(seconds: float = 10.0, **more) -> dict:
    one = record(1, seconds=seconds)
    return {"signal": one.signal.tolist(), "leads": list(LEADS), "rate": 100, "unit": "mV", "classes": ["normal-ecg"], **more}


def raw(port: int, content: bytes, *, then: bytes = b"", after: float = 0.0) -> bytes:
    """What comes back for bytes on the wire."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(content)
        if then:
            time.sleep(after)
            connection.sendall(then)
        answer = b""
        while part := connection.recv(1 << 16):
            answer += part
    return answer


def nobody_inside(serving) -> bool:
    """Whether all that came in has gone; an answer is sent a moment before its place is free."""
    end = time.monotonic() + 10
    while serving.inner.inside and time.monotonic() < end:
        time.sleep(0.01)
    return serving.inner.inside == 0


def head(length: int | None, kind: str = "application/json", **headers: str) -> bytes:
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    lines = ["POST /v1/classify HTTP/1.1", "Host: localhost", f"Content-Type: {kind}", size]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode()


def test_a_body_that_is_too_large_is_refused_before_and_while_it_comes(serving):
    with serving(limits=Limits(body_bytes=100_000)) as asked:
        large = asked.post("/v1/classify", b"x" * 100_001)
        assert large.status == 413 and "larger than" in large.error["reason"]
        chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
        answer = raw(asked.port, head(None) + chunk * 8)
        assert answer.startswith(b"HTTP/1.1 413")
        announced = raw(asked.port, head(10**12, Expect="100-continue"))
        assert announced.startswith(b"HTTP/1.1 413")  # and not 100 Continue: the body need not be sent
        assert nobody_inside(serving)
        assert asked.get("/healthz").status == 200


def test_too_many_files_and_fields_and_a_recording_that_is_too_long_are_too_large(serving):
    with serving(limits=Limits(files=2, windows=3)) as asked:
        assert asked.upload("/v1/classify", [(f"{n}.dat", b"x") for n in range(3)]).status == 413
        assert asked.upload("/v1/classify", [("a", b"x")], prompts=["a"] * 100).status == 413
        long = asked.post("/v1/classify", body(seconds=31.0))
        assert long.status == 413 and "longer than 30 s" in long.error["reason"]
        assert asked.post("/v1/classify", body(seconds=30.0)).status == 200
        assert asked.post("/v1/ecg", {key: value for key, value in body(31.0).items() if key != "classes"}).status == 200


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/mixed"])
def test_another_media_type_is_not_taken(asked, kind):
    answer = asked.ask("POST", "/v1/classify", b"x", {"Content-Type": kind} if kind else {})
    assert answer.status == 415 and "multipart/form-data" in answer.error["remedy"]


@pytest.mark.parametrize(
    "content", [b"", b"--x", b"--x\r\n\r\n", b"\xff" * 1000, b"--x\r\nContent-Disposition: form-data\r\n\r\n1"]
)
def test_a_broken_form_is_refused(asked, content):
    answer = asked.ask("POST", "/v1/classify", content, {"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status == 422 and answer.error
    assert asked.ask("POST", "/v1/classify", content, {"Content-Type": "multipart/form-data"}).status == 422


def test_a_file_in_a_part_of_another_name_and_none_at_all_are_refused(asked):
    content, kind = form([("a.hea", b"x")])
    renamed = content.replace(b'name="file"', b'name="upload"')
    assert asked.ask("POST", "/v1/classify", renamed, {"Content-Type": kind}).status == 422
    assert "no part named file" in asked.upload("/v1/classify", prompts="af").error["reason"]


def test_a_body_that_comes_too_slowly_is_given_up(serving):
    with serving(limits=Limits(receive_seconds=0.3)) as asked:
        start = time.monotonic()
        answer = raw(asked.port, head(1000) + b"{")
        assert answer.startswith(b"HTTP/1.1 408") and time.monotonic() - start < 10
        assert nobody_inside(serving)


def held_back(serving, monkeypatch) -> threading.Event:
    """The service's computing waits until this is set."""
    gate, embed = threading.Event(), serving.inner.worker._embed
    monkeypatch.setattr(serving.inner.worker, "_embed", lambda *given: gate.wait(20) and embed(*given))
    return gate


def test_what_takes_too_long_is_given_up_and_the_next_is_answered(serving, monkeypatch):
    with serving(limits=Limits(answer_seconds=2.0)) as asked:
        gate = held_back(serving, monkeypatch)
        late = asked.post("/v1/classify", body())
        assert late.status == 503 and "longer than 2 s" in late.error["reason"] and late.headers["retry-after"]
        gate.set()
        assert asked.post("/v1/embed", body(classes=None)).status == 200
        assert nobody_inside(serving)


def test_what_a_caller_no_longer_waits_for_is_not_computed(serving, monkeypatch):
    with serving() as asked:
        assert asked.post("/v1/classify", body()).status == 200  # its prompts are read now
        gate, embedded = threading.Event(), []
        embed = serving.inner.worker._embed
        monkeypatch.setattr(
            serving.inner.worker, "_embed", lambda *given: gate.wait(20) and (embedded.append(given[3]), embed(*given))[1]
        )
        with ThreadPoolExecutor(1) as clients:
            waiting = clients.submit(asked.post, "/v1/classify", body())
            while serving.inner.inside < 1:
                time.sleep(0.01)
            time.sleep(0.3)  # it is in the model now
            content = json.dumps(body()).encode()
            with socket.create_connection(("127.0.0.1", asked.port)) as impatient:
                impatient.sendall(head(len(content)) + content)
                while serving.inner.inside < 2:
                    time.sleep(0.01)
                time.sleep(0.3)
            end = time.monotonic() + 5
            while serving.inner.inside > 1 and time.monotonic() < end:
                time.sleep(0.01)
            assert serving.inner.inside == 1
            gate.set()
            assert waiting.result().status == 200
        assert asked.post("/v1/embed", body(classes=None)).status == 200
        assert sum(embedded) == 2  # the first and the last


def test_one_more_than_may_wait_is_told_to_come_again(serving, monkeypatch):
    with serving(limits=Limits(waiting=3)) as asked:
        gate = held_back(serving, monkeypatch)
        with ThreadPoolExecutor(3) as clients:
            inside = [clients.submit(asked.post, "/v1/classify", body()) for _ in range(3)]
            while serving.inner.inside < 3:
                time.sleep(0.01)
            more = asked.post("/v1/classify", body())
            assert more.status == 503 and more.headers["retry-after"] == "1" and "3 requests" in more.error["reason"]
            assert asked.get("/healthz").status == 200  # who looks after it is let in
            gate.set()
            assert [one.result().status for one in inside] == [200, 200, 200]
        assert asked.post("/v1/classify", body()).status == 200


@pytest.mark.parametrize("pieces", [1, 2], ids=["head at once", "head in two pieces"])
def test_a_full_service_refuses_before_it_takes_a_request_apart_and_says_all_that_an_answer_says(
    serving, monkeypatch, caplog, pieces
):
    with serving(limits=Limits(waiting=1)) as asked:
        gate = held_back(serving, monkeypatch)
        with ThreadPoolExecutor(1) as clients:
            inside = clients.submit(asked.post, "/v1/classify", body())
            while serving.inner.inside < 1:
                time.sleep(0.01)
            begun = b"POST /v1/classify?classes=afib HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900000\r\n\r\n{"
            with caplog.at_level(logging.INFO, "cmelt.serve"):
                parts = [begun] if pieces == 1 else [begun[:7], begun[7:]]
                said = raw(asked.port, parts[0], then=b"".join(parts[1:]), after=0.2).decode()
                end = time.monotonic() + 5  # the caller has its answer before the log has its line
                while not any("POST /v1/classify 503" in line for line in caplog.messages) and time.monotonic() < end:
                    time.sleep(0.01)
            figures = asked.get("/metrics").body.decode()
            gate.set()
            assert inside.result().status == 200
    lines = said.partition("\r\n\r\n")[0].lower()
    assert said.startswith("HTTP/1.1 503 Service Unavailable\r\n") and '"1 requests are at work or waiting"' in said
    for name in ("retry-after: 1", "x-request-id: ", "x-cmelt-model: ", "x-cmelt-intended-use: ", "connection: close"):
        assert f"\r\n{name}" in lines, name
    assert any("POST /v1/classify 503" in line and "afib" not in line for line in caplog.messages)
    counted = [line for line in figures.splitlines() if "/v1/classify" in line and 'status="503"' in line]
    assert any(line.endswith(" 1.0") for line in counted), counted


def test_one_address_that_has_its_share_is_told_so_before_the_house_is_full(serving, monkeypatch):
    with serving(limits=Limits(waiting=3, per_caller=2)) as asked:
        gate = held_back(serving, monkeypatch)
        with ThreadPoolExecutor(2) as clients:
            inside = [clients.submit(asked.post, "/v1/classify", body()) for _ in range(2)]
            while serving.inner.inside < 2:
                time.sleep(0.01)
            more = asked.post("/v1/classify", body())
            assert more.status == 429 and more.headers["retry-after"] == "1" and "your address" in more.error["reason"]
            gate.set()
            assert [one.result().status for one in inside] == [200, 200]
        assert asked.post("/v1/classify", body()).status == 200


def test_bodies_on_their_way_are_bounded_together(serving):
    with serving(limits=Limits(body_bytes=50_000, bodies=1)) as asked:
        with socket.create_connection(("127.0.0.1", asked.port)) as slow:
            slow.sendall(head(50_000) + b"x" * 40_000)
            time.sleep(0.3)
            other = asked.post("/v1/classify", b"x" * 30_000)
            assert other.status == 503 and "others" in other.error["reason"]
        time.sleep(0.3)
        assert asked.post("/v1/classify", b"x" * 30_000).status == 422


def test_a_token_is_asked_for_where_data_go_in_or_out(serving):
    with serving(token=TOKEN) as asked:
        paths = {"/v1/classify": "POST", "/v1/ecg": "POST", "/v1/examples": "GET", "/v1/tasks": "GET", "/metrics": "GET"}
        for path, method in paths.items():
            for shown in (None, "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}"):
                answer = asked.ask(method, path, b"" if method == "POST" else None, {"Authorization": shown} if shown else {})
                assert answer.status == 401 and answer.headers["www-authenticate"] == "Bearer" and TOKEN not in str(answer)
        for path in ("/healthz", "/readyz", "/openapi.json"):
            assert asked.get(path).status == 200
        with_token = asked.post("/v1/classify", body(), Authorization=f"Bearer {TOKEN}")
        assert with_token.status == 200 and asked.get("/metrics", Authorization=f"bearer {TOKEN}").status == 200
        assert asked.get("/readyz").json["capabilities"]["token"] is True


def test_names_and_pages_of_others_are_turned_away(asked, running):
    port = asked.port
    for host in (f"127.0.0.1:{port}", "localhost", f"LOCALHOST:{port}", "[::1]:80"):
        assert asked.get("/healthz", Host=host).status == 200
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "127.0.0.2"):
        assert asked.get("/healthz", Host=host).status == 403
    own = {"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}"}
    assert asked.ask("GET", "/v1/tasks", headers=own).status == 200
    for origin in ("https://evil.example", "null", f"http://localhost:{port + 1}"):
        answer = asked.ask("GET", "/v1/tasks", headers={**own, "Origin": origin})
        assert answer.status == 403 and "access-control-allow-origin" not in answer.headers
    assert "access-control-allow-origin" not in asked.ask("GET", "/v1/tasks", headers=own).headers


def test_every_answer_carries_the_headers_that_keep_a_browser_strict(asked):
    for answer in (asked.get("/"), asked.get("/nothing"), asked.get("/v1/tasks"), asked.post("/v1/classify", b"{")):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer" and "server" not in answer.headers
    assert asked.get("/v1/tasks").headers["cache-control"] == "no-store"


def test_the_page_is_served_with_the_types_that_browsers_want(asked):
    page = asked.get("/")
    assert page.status == 200 and page.headers["content-type"].startswith("text/html")
    assert asked.get("/index.html").body == page.body and b"medical device" in page.body
    assert "javascript" in asked.get("/app.js").headers["content-type"]
    assert asked.get("/style.css").headers["content-type"].startswith("text/css")
    assert asked.get("/", **{"If-None-Match": page.headers["etag"]}).status == 304


def test_looking_at_the_page_takes_nobody_s_place(serving):
    with serving(limits=Limits(waiting=3)) as asked:
        for path in ("/", "/app.js", "/style.css", "/v1/tasks", "/v1/examples") * 2:
            assert asked.get(path).status == 200
        assert asked.ask("GET", "/", b"x" * 1000, {}).status == 200
        gate, end = serving.inner.gate, time.monotonic() + 5
        while (gate.inside or gate.bytes) and time.monotonic() < end:
            time.sleep(0.01)  # the answer is out a moment before its bytes are given back
        assert (gate.inside, gate.bytes) == (0, 0)
        assert asked.post("/v1/classify", body()).status == 200


def test_a_fault_of_ours_is_told_without_its_message(serving, monkeypatch, caplog):
    with serving() as asked, caplog.at_level(logging.INFO, "cmelt.serve"):

        def broken(*_):
            raise ValueError("Zqcanaryzq was born in 1950")

        monkeypatch.setattr(serving.inner.worker, "_embed", broken)
        answer = asked.post("/v1/classify", body())
        assert answer.status == 500 and answer.headers["x-request-id"] in answer.error["remedy"]
        assert answer.headers["x-request-id"] in caplog.text and "ValueError at " in caplog.text
        assert "Zqcanaryzq" not in caplog.text and "1950" not in answer.body.decode()


def test_while_the_model_is_loading_it_lives_and_is_not_ready(serving, monkeypatch):
    with serving() as asked:
        worker = serving.inner.worker
        there, worker.loaded = worker.loaded, None
        assert asked.get("/healthz").status == 200
        unready = asked.get("/readyz")
        assert unready.status == 503 and unready.json["ready"] is False and unready.json["reason"]
        assert asked.post("/v1/classify", body()).status == 503
        worker.loaded = there
        assert asked.get("/readyz").json["model"]["sha256"] == there.identity


def test_the_same_question_of_many_is_read_once(serving, monkeypatch):
    with serving() as asked:
        read = []
        described = type(serving.inner.loaded).described
        monkeypatch.setattr(
            type(serving.inner.loaded), "described", lambda one, question: read.append(question) or described(one, question)
        )
        with ThreadPoolExecutor(8) as clients:
            found = list(clients.map(lambda _: asked.post("/v1/classify", body()), range(8)))
        assert {answer.status for answer in found} == {200} and len(read) == 1
        refused = body(classes=None, prompts={"a": ["x"], "b": ["x"]})
        assert asked.post("/v1/classify", refused).status == 200
        assert len(read) == 2


def mutilated(content: bytes, rng: np.random.Generator) -> bytes:
    """`content` with a few bytes changed, a stretch cut out or said twice, or its end missing."""
    what, (first, last) = rng.integers(4), sorted(rng.integers(len(content), size=2))
    if what == 0:
        changed = bytearray(content)
        for place in rng.integers(len(content), size=rng.integers(1, 20)):
            changed[place] = rng.integers(256)
        return bytes(changed)
    return (content[:first], content[:first] + content[last:], content[:last] + content[first:])[what - 1]


@pytest.mark.parametrize("count", [25, pytest.param(1000, marks=pytest.mark.slow)])
def test_mutilated_requests_are_refused_or_answered_and_never_a_fault_of_ours(asked, tmp_path, count):
    header = write_wfdb(tmp_path / "r", record(1).signal)
    upload, kind = form(files_at(header, header.with_suffix(".dat")), classes="normal-ecg", scoring="contrast")
    kinds = [
        (upload, kind),
        (json.dumps({**body(), "signal": record(1).signal[:, :200].round(3).tolist()}).encode(), "application/json"),
        (asked.get("/v1/examples/normal").body[:40_000], "application/vnd.cmelt.ecg"),
    ]
    rng = np.random.default_rng(7)
    for number in range(count):
        content, kind = kinds[number % 3]
        path = ("/v1/classify", "/v1/ecg", "/v1/search")[number % 3 if number % 2 else 0]
        answer = asked.ask("POST", path, mutilated(content, rng), {"Content-Type": kind})
        assert answer.status in (200, 413, 415, 422), (number, answer.status, answer.body)
        assert answer.status == 200 or answer.error


@pytest.mark.parametrize("rate", [1e-300, 1e-3, 37.123456789, 1e6, 1e300])
def test_an_absurd_rate_is_refused_or_answered_and_never_a_fault_of_ours(asked, rate):
    for path in ("/v1/embed", "/v1/ecg", "/v1/search"):
        answer = asked.post(path, body(rate=rate, classes=None))
        assert answer.status in (200, 413, 422), answer.body
