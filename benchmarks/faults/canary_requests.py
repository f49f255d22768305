"""Requests to the service with canaries wherever a caller can put them: whole ones, and ones that are refused, for any reason.

An answer to a whole request may tell its caller what was asked, and what the ECG's file says of it; an answer that refuses, a
header, the log, the figures and the page tell nothing.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from canary_archive import Archive
from canary_commands import Search
from canary_words import FILE, NAME, PATIENT, REPORT, Person

from ecg_files import heart
from http_calls import Answer, Service, form

#: To the caller who sent it; and of a search, what the index holds.
ANSWER = frozenset({REPORT})
FOUND = frozenset({REPORT, FILE})
JSON, CANONICAL = "application/json", "application/vnd.cmelt.ecg"


@dataclass(frozen=True)
class Ask:
    """A request; `may`: kinds of canaries that its answer may hold where it is no refusal."""

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    may: frozenset[str] = frozenset()


def _signal(**more: Any) -> dict[str, Any]:
    return {"signal": heart(3)[:2].round(3).tolist(), "leads": ["I", "II"], "rate": 100, "unit": "mV", **more}


def _json(path: str, said: Any, headers: Mapping[str, str] | None = None, may: frozenset[str] = ANSWER) -> Ask:
    return Ask("POST", path, json.dumps(said).encode(), {"Content-Type": JSON, **(headers or {})}, may)


def _form(path: str, files: Sequence[tuple[str, bytes]], may: frozenset[str] = ANSWER, **fields: str | Sequence[str]) -> Ask:
    body, kind = form(files, **fields)
    return Ask("POST", path, body, {"Content-Type": kind}, may)


def _files(path: Path) -> list[tuple[str, bytes]]:
    """The file as an upload, with the signals that belong to a WFDB header."""
    beside = [path.with_suffix(".dat")] if path.suffix == ".hea" and path.with_suffix(".dat").exists() else []
    return [(one.name, one.read_bytes()) for one in (path, *beside)]


def _worn(who: Person) -> dict[str, str]:
    """Headers that callers' programs bring."""
    return {
        "User-Agent": f"viewer/{who.patient}", "Referer": f"http://pacs/patient/{who.patient}", "X-Request-ID": who.accession,
        "Cookie": f"patient={who.patient}", "X-Patient": quote(who.name), "Accept-Language": who.word[:8],
    }  # fmt: skip


def good_asks(archive: Archive, most: int = 200) -> list[Ask]:
    """Requests that are answered, to every address."""
    return list(islice(_good(archive), most))


def _good(archive: Archive) -> Iterator[Ask]:
    for path, who in cycle(archive.good):
        yield _form("/v1/classify", _files(path), prompts=who.report)
        yield _form("/v1/embed", _files(path))
        yield _form("/v1/ecg", _files(path))
        asked = _signal(prompts=[who.report, who.name, who.patient])
        yield _json("/v1/classify", asked, _worn(who), frozenset({REPORT, NAME, PATIENT}))
        yield _form("/v1/search", _files(path), FOUND, k="3")
        yield _form("/v1/search", (), FOUND, text=who.report)
        yield _json("/v1/embed", _signal(), _worn(who))
        yield _form("/v1/explain", _files(path), prompts="vorhofflimmern", method="occlusion")
        for address in ("/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/tasks", "/v1/examples", "/app.js"):
            yield Ask("GET", address, None, _worn(who))


def bad_asks(archive: Archive, most: int = 200) -> list[Ask]:
    """Requests that are refused, each for another reason."""
    return list(islice(_bad(archive), most))


def _bad(archive: Archive) -> Iterator[Ask]:
    posts = cycle(("/v1/classify", "/v1/embed", "/v1/ecg", "/v1/search", "/v1/explain"))
    whole = cycle(archive.good)
    for number in count():
        spoiled, who = archive.spoiled[number % len(archive.spoiled)]
        yield _form(next(posts), _files(spoiled), **{who.name.split(",")[0]: who.patient})
        yield _form(next(posts), _files(spoiled)[:1], prompts=who.report, task=who.word)
        ways = list(_ill_formed(who, next(posts), next(whole)[0]))
        yield ways[number % len(ways)]
        yield ways[(number * 7 + 3) % len(ways)]


def _ill_formed(who: Person, address: str, file: Path) -> Iterator[Ask]:
    whole = json.dumps(_signal(prompts=[who.report, who.name], patient=who.patient)).encode()
    last = who.name.split(",")[0]
    yield Ask("POST", address, whole[:-30], {"Content-Type": JSON})
    yield _json(address, {**_signal(), "rate": who.name})
    yield _json(address, {**_signal(), "leads": [who.name, who.name]})
    yield _json(address, {**_signal(), "unit": who.word})
    yield _json(address, {**_signal(), "signal": [[who.patient, 1], [2, who.name]]})
    yield _json(address, {**_signal(), who.name: who.patient})
    yield _json(address, [who.name, who.patient, who.report])
    yield _json(address, {"patient": {"name": who.name, "born": str(who.born), "id": who.patient}})
    yield _json(address, who.report)
    yield Ask("POST", address, who.report.encode("latin-1"), {"Content-Type": JSON})
    yield Ask("POST", address, who.name.encode("utf-16"), {"Content-Type": JSON})
    yield Ask("POST", address, who.report.encode(), {"Content-Type": f"text/{last.encode('ascii', 'ignore').decode()}"})
    yield Ask("POST", address, None, _worn(who))
    yield Ask("GET", f"/patients/{who.patient}/{quote(who.name)}", None, _worn(who))
    yield Ask("GET", f"/v1/index/{who.patient}", None, _worn(who))
    yield Ask("GET", f"/v1/examples/{quote(who.name)}")
    yield Ask("DELETE", f"/v1/classify?patient={who.patient}&name={quote(who.name)}")
    yield Ask("PATCH", f"/{quote(who.report)}", who.report.encode())
    yield _form(f"{address}?classes={quote(who.name)}&task={who.patient}", _files(file))
    yield _form(address, [(f"../{who.name}.hea", b"r 1 100 10\n"), (f"/etc/{who.patient}.dat", b"x")])
    yield _form(address, [(f"{who.name}.xml", f"<RestingECG><PatientID>{who.patient}</PatientID>".encode())])
    yield _form(address, _files(file), classes=who.word, scoring=who.name)
    yield _form("/v1/search", (), text=who.report, age=str(who.born), sex=last, label=who.patient)
    yield _form("/v1/search", (), text=who.report, k=who.patient)
    yield Ask(
        "POST",
        address,
        f'--x\r\nContent-Disposition: form-data; name="{who.name}"\r\n'.encode(),
        {"Content-Type": "multipart/form-data; boundary=x"},
    )
    yield Ask("POST", address, (300_000_000).to_bytes(4, "little") + whole, {"Content-Type": CANONICAL})
    yield Ask("POST", address, whole, {"Content-Type": JSON, "Content-Encoding": last.encode("ascii", "ignore").decode()})
    yield Ask("GET", "/metrics", None, {"Host": f"{who.patient}.example.org"})
    yield Ask("POST", address, whole, {"Content-Type": JSON, "Origin": f"https://{who.patient}.example.org"})
    yield Ask("GET", f"/metrics/{who.patient}")
    yield Ask("GET", f"/{quote(who.file)}.js", None, {"Range": f"bytes={who.patient}-"})


def ask_all(service: Service, asks: Sequence[Ask], search: Search, what: str) -> dict[int, int]:
    """Send each, search its answer; how many answers of each status there were."""
    statuses: dict[int, int] = {}
    for number, ask in enumerate(asks):
        answer = service.ask(ask.method, ask.path, ask.body, ask.headers)
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
        may = ask.may if answer.status < 400 else frozenset()
        name = f"{what} {number}: {ask.method} {ask.path.partition('?')[0][:14]} {answer.status}"
        search.look(f"{name}, body", answer.body, may)
        search.look(f"{name}, headers", _head(answer))
    return statuses


def _head(answer: Answer) -> bytes:
    return "\n".join(f"{name}: {value}" for name, value in answer.headers.items()).encode("utf-8", "replace")


def ask_no_http(service: Service, who: Person, search: Search) -> None:
    """What is no HTTP at all, with a patient in it."""
    heads = (
        f"{who.name} {who.patient}\r\n\r\n", f"GET /{who.patient} HTTP/9.9\r\nHost: x\r\n\r\n",
        f"GET / HTTP/1.1\r\n{who.name}\r\n\r\n",
        f"POST /v1/embed HTTP/1.1\r\nHost: localhost\r\nContent-Length: {who.patient}{who.patient}\r\n\r\n",
        f"POST /v1/embed HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: {who.file}\r\n\r\n",
    )  # fmt: skip
    for number, head in enumerate(heads):
        with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
            connection.sendall(head.encode("utf-8"))
            connection.shutdown(socket.SHUT_WR)
            content = b""
            while part := connection.recv(1 << 16):
                content += part
        search.look(f"no HTTP {number}", content)
