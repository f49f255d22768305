"""Forty requests that are none, and requests made up from the service's own description: refused in a line, nothing echoed."""

from __future__ import annotations

import json
import socket

import pytest

from cmelt.serving.notice import NOTICE
from http_calls import Answer, form

#: Stands in every request below, wherever text can stand.
CANARY = "Zqcanaryzq"
ECG = {"signal": [[0.1, 0.2, 0.3] * 400] * 2, "leads": ["I", "II"], "rate": 100, "unit": "mV"}
JSON = "application/json"
FORM = "multipart/form-data; boundary=x"
CANONICAL = "application/vnd.cmelt.ecg"


def told(**changes: object) -> bytes:
    return json.dumps({**ECG, **changes}).encode()


def raw(name: str, value: str) -> bytes:
    """A body with `value` written in as it stands."""
    return told(**{name: "@"}).replace(b'"@"', value.encode("utf-8", "surrogatepass"))


def canonical(header: object, samples: bytes = b"") -> bytes:
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(head).to_bytes(4, "little") + head + samples


HEADER = {"format": "cmelt-ecg", "version": 1, "leads": [CANARY], "rate": 100, "samples": 4, "microvolts_per_step": 1}

ILL_FORMED: dict[str, tuple[str, str, bytes]] = {
    "NaN among the samples": ("/v1/classify", JSON, raw("signal", "[[NaN, 1, 2]]")),
    "Infinity among the samples": ("/v1/classify", JSON, raw("signal", "[[-Infinity, 1, 2], [1, 2, 3]]")),
    "1e999 among the samples": ("/v1/embed", JSON, raw("signal", "[[1e999, 1, 2], [1, 2, 3]]")),
    "a number of five thousand digits": ("/v1/classify", JSON, raw("signal", f"[[{'9' * 5000}, 1], [1, 2]]")),
    "ragged leads": ("/v1/classify", JSON, raw("signal", "[[1, 2, 3], [1, 2]]")),
    "text among the samples": ("/v1/classify", JSON, raw("signal", f'[["{CANARY}", 1, 2], [1, 2, 3]]')),
    "true among the samples": ("/v1/classify", JSON, raw("signal", "[[true, 1, 2], [1, 2, 3]]")),
    "no samples": ("/v1/classify", JSON, raw("signal", "[[], []]")),
    "a signal of one dimension": ("/v1/classify", JSON, raw("signal", "[1, 2, 3]")),
    "a signal of three dimensions": ("/v1/classify", JSON, raw("signal", "[[[1, 2], [3, 4]]]")),
    "ten kilovolts": ("/v1/classify", JSON, raw("signal", "[[1e7, -1e7, 3], [1, 2, 3]]")),
    "a negative rate": ("/v1/classify", JSON, told(rate=-500)),
    "a rate of nothing": ("/v1/classify", JSON, told(rate=0)),
    "a rate of 1e999": ("/v1/classify", JSON, raw("rate", "1e999")),
    "a rate in words": ("/v1/classify", JSON, told(rate=CANARY)),
    "a unit of another world": ("/v1/classify", JSON, told(unit=CANARY)),
    "leads that are numbers": ("/v1/classify", JSON, told(leads=[1, 2])),
    "a lead twice": ("/v1/classify", JSON, told(leads=["II", "II"])),
    "more leads than rows": ("/v1/classify", JSON, told(leads=["I", "II", "III"])),
    "a key twice": ("/v1/classify", JSON, told()[:-1] + b', "rate": 250}'),
    "an unknown key": ("/v1/classify", JSON, told(**{CANARY: CANARY})),
    "an option in the query and in the body": (f"/v1/classify?classes={CANARY}", JSON, told(classes=["normal-ecg"])),
    "a question of no class": ("/v1/classify", JSON, told(classes=[])),
    "prompts that are numbers": ("/v1/classify", JSON, told(prompts=[1, 2, 3])),
    "a prompt of a megabyte": ("/v1/classify", JSON, told(prompts=[CANARY * 100_000])),
    "half of a character": ("/v1/classify", JSON, raw("prompts", f'["{CANARY} \\ud800"]')),
    "bad UTF-8": ("/v1/classify", JSON, raw("prompts", f'["{CANARY} \ud800"]')),
    "UTF-16": ("/v1/classify", JSON, json.dumps({**ECG, "prompts": [CANARY]}).encode("utf-16")),
    "a depth of a hundred thousand": ("/v1/classify", JSON, b"[" * 100_000),
    "a depth of nine thousand": ("/v1/classify", JSON, b'{"a":' * 9_000 + b"1" + b"}" * 9_000),
    "a list, not an object": ("/v1/classify", JSON, json.dumps([CANARY]).encode()),
    "nothing": ("/v1/classify", JSON, b""),
    "half of it": ("/v1/classify", JSON, told(prompts=[CANARY])[:-40]),
    "a form without an end": ("/v1/classify", FORM, f'--x\r\nContent-Disposition: form-data; name="{CANARY}"'.encode()),
    "a form of another boundary": ("/v1/classify", FORM, form([(CANARY, b"x")])[0]),
    "a file name that climbs": ("/v1/classify", "form", b""),  # two files, below
    "a canonical header that is cut": ("/v1/ecg", CANONICAL, b"\xff\xff\xff\xff" + CANARY.encode()),
    "canonical samples that are cut": ("/v1/ecg", CANONICAL, canonical(HEADER, b"\0" * 7)),
    "a canonical header of another form": ("/v1/ecg", CANONICAL, canonical({**HEADER, "version": CANARY})),
    "a canonical count below nothing": ("/v1/ecg", CANONICAL, canonical({**HEADER, "samples": -4})),
}


def judge(answer: Answer) -> None:
    """One line of reason, and nothing of the request."""
    assert 400 <= answer.status < 500, (answer.status, answer.body[:200])
    reason = answer.error["reason"]
    assert "\n" not in reason and len(reason) < 300
    assert CANARY.lower() not in (str(answer.headers) + answer.body.decode()).lower()
    assert answer.json["notice"] == answer.headers["x-cmelt-intended-use"] == NOTICE


def test_there_are_forty_of_them():
    assert len(ILL_FORMED) == 40


@pytest.mark.parametrize("what", ILL_FORMED)
def test_an_ill_formed_request_gets_one_line_of_reason_and_none_of_its_own_words(hardy, what):
    path, kind, body = ILL_FORMED[what]
    if kind == "form":
        body, kind = form([(f"../../{CANARY}.hea", b"r 1 100 10\n"), (f"/etc/{CANARY}.dat", b"x")])
    judge(hardy.service.ask("POST", path, body, {"Content-Type": kind}))
    assert CANARY.lower() not in hardy.log.read_text().lower()


NO_HTTP = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00" + CANARY.encode() + b"\r\n\r\n",
    "a head of a megabyte": b"GET / HTTP/1.1\r\nHost: localhost\r\n" + f"X-A: {CANARY}\r\n".encode() * 50_000,
    "a length below nothing": b"POST /v1/embed HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"POST /v1/embed HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "no host": f"GET /{CANARY} HTTP/1.1\r\n\r\n".encode(),
    "a chunk of no size": b"POST /v1/embed HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzq\r\n",
}


@pytest.mark.parametrize("what", NO_HTTP)
def test_what_is_no_http_is_refused_in_our_words_too(hardy, what):
    with socket.create_connection(("127.0.0.1", hardy.service.port), timeout=20) as connection:
        try:
            connection.sendall(NO_HTTP[what])
        except OSError:
            assert what == "a head of a megabyte"  # the service did not wait for its end
        content = b""
        try:
            while part := connection.recv(1 << 16):
                content += part
        except OSError:
            assert content
    head, _, body = content.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 4") and b"connection: close" in head.lower()
    said = json.loads(body)
    assert said["notice"] == NOTICE and all(said["error"].values()) and NOTICE.encode() in head
    assert CANARY.lower().encode() not in content.lower()
    assert hardy.service.get("/healthz").status == 200
