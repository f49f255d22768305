"""A stand-in for the service: known ECGs and answers, so that what the page makes of them can be told in advance."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

import cmelt

PAGE = Path(cmelt.__file__).parent / "serving" / "page"
LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
NOTICE = "Research use only (said by the service)."
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
CANONICAL = "application/vnd.cmelt.ecg"
TOKEN = "a-token-of-the-stand-in"

#: The known ECG: a spike every 0.8 s (75 a minute), 1.5 mV high in II, half in other leads.
PERIOD, FIRST, HEIGHT = 0.8, 0.4, 1.5
AF = "atrial-fibrillation"
#: Where the stand-in's evidence lies: for it in V1, half as much against it in II (s).
FOR_AT, AGAINST_AT = (3.2, 3.4), (5.0, 5.2)


def canonical(signal: np.ndarray, rate: float, leads: tuple[str, ...] = LEADS, /, **header: Any) -> bytes:
    """signal [leads, samples] mV, NaN for gaps → the canonical binary, in steps of 2.5 µV."""
    told = {"format": "cmelt-ecg", "version": 1, "leads": list(leads), "rate": rate, "samples": signal.shape[1]}
    told |= {"microvolts_per_step": 2.5, "missing": [lead for lead in LEADS if lead not in leads], "flags": [], "facts": {}}
    head = json.dumps(told | header).encode()
    steps = np.where(np.isfinite(signal), np.rint(np.nan_to_num(signal) * 400), -32768).astype("<i2")
    return struct.pack("<I", len(head)) + head + steps.tobytes()


def spikes(seconds: float, rate: float, leads: int = 12, height: float = HEIGHT) -> np.ndarray:
    """[leads, samples]: triangles 40 ms wide every PERIOD, `height` mV in the second lead, half of it in the others."""
    time = np.arange(round(seconds * rate)) / rate
    away = np.abs((time - FIRST + PERIOD / 2) % PERIOD - PERIOD / 2)
    wave = np.clip(1 - away / 0.02, 0, None)
    return np.outer([height if lead == 1 else height / 2 for lead in range(leads)], wave)


def examples() -> dict[str, bytes]:
    """Every example of the stand-in."""
    known = spikes(10, 500)
    gaps = known.copy()
    gaps[6, 1000:2000] = np.nan
    evil = "<img src=x onerror=document.title='hacked'>"
    facts = {"age": 63, "sex": "female", "report": "sinus rhythm", "labels": ["AFIB"], "measurements": {"pr_ms": 160}}
    names = (evil, "V" * 300, "I", "II")
    hostile = {
        "missing": [evil],
        "flags": [evil, f"flat:{evil}"],
        "facts": {evil: evil, "report": evil, "age": None, "deep": {evil: [evil]}},
    }
    flat_flags = [f"flat:{lead}" for lead in LEADS] + ["poor-quality"]
    return {
        "known": canonical(known, 500, facts=facts),
        "other": canonical(0.5 * known, 500),
        "minute": canonical(spikes(60, 250), 250),
        "two-leads": canonical(spikes(10, 250, 2), 250, ("I", "II")),
        "flat": canonical(np.zeros((12, 5000)), 500, flags=flat_flags),
        "gaps": canonical(gaps, 500, flags=["nan:V1", "limb-swapped:I/II", "mains:50"]),
        "hostile": canonical(np.full((4, 500), 40.0), 250, names, **hostile),
    }


@dataclass
class StandIn:
    """What the stand-in offers, and what it was asked; tests change and read it."""

    paths: tuple[str, ...] = ("classify", "explain", "search", "ecg", "examples")
    ready: dict[str, Any] = field(default_factory=lambda: {"ready": True, "model": {"name": "stand-in", "sha256": "0"}})
    token: str | None = None
    refusal: tuple[int, dict[str, str], dict[str, str]] | None = None
    asked: list[tuple[str, dict[str, list[str]], bytes]] = field(default_factory=list)
    examples: dict[str, bytes] = field(default_factory=examples)
    address: str = ""


def classified(query: dict[str, list[str]], body: bytes) -> dict[str, Any]:
    """Falling scores; a probability for the first class, none for the second, "cannot tell" for the third.

    The first of several lines that were typed is taken for a statement, whatever it says.
    """
    if "task" in query and "classes" not in query:
        names = ["NORM", "MI", "STTC", "CD", "HYP"]
    else:
        names = query.get("prompts") or query.get("classes") or []
    high = float(np.frombuffer(body[4 + struct.unpack("<I", body[:4])[0] :], "<i2").max()) / 4000
    results = [
        {"class": name, "score": high - 0.1 * place, "probability": None, "low": None, "high": None, "cannot_tell": None}
        for place, name in enumerate(names)
    ]
    if "prompts" in query:
        for result in results:
            result |= {"taken_as": None, "told": "scored as typed, no probability"}
        results[0] |= {"taken_as": AF, "told": f"taken as the statement {AF}"}
    if results:
        results[0] |= {"probability": 0.734, "low": 0.61, "high": 0.82}
    if len(results) > 2:
        results[2]["cannot_tell"] = "unlike the training data"
    return {
        "notice": NOTICE,
        "model": {"name": "stand-in"},
        "scoring": "contrast",
        "results": results,
        "flags": ["too noisy"],
        "facts": {},
    }


def explained() -> dict[str, Any]:
    values = np.zeros((12, 1000))
    values[6, round(FOR_AT[0] * 100) : round(FOR_AT[1] * 100)] = 1.0
    values[1, round(AGAINST_AT[0] * 100) : round(AGAINST_AT[1] * 100)] = -0.5
    return {
        "leads": list(LEADS), "seconds": 10.0, "values": values.tolist(), "score": 0.2, "baseline": 0.0,
        "method": "integrated-gradients", "notes": ["against a zero line"],
    }  # fmt: skip


def found() -> dict[str, Any]:
    hit = {"record": "17", "similarity": 0.91, "report": "atrial fibrillation.", "age": 71.0, "sex": "female", "labels": ["AFIB"]}
    return {
        "notice": NOTICE,
        "query": "ecg",
        "among": 2,
        "hits": [hit | {"ecg": "v1/index/17"}, hit | {"record": "18", "age": None}],
    }


class _Handler(BaseHTTPRequestHandler):
    stand_in: StandIn

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _send(self, status: int, content: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Content-Security-Policy": CSP,
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _json(self, answer: Any, status: int = 200, **headers: str) -> None:
        self._send(status, json.dumps(answer).encode(), "application/json", **headers)

    def _refuse(self, status: int, what: str, reason: str, remedy: str, **headers: str) -> None:
        self._json({"error": {"what": what, "reason": reason, "remedy": remedy}}, status, **headers)

    def _unknown_caller(self, path: str) -> bool:
        token = self.stand_in.token
        return bool(token) and path.startswith("/v1/") and self.headers.get("Authorization") != f"Bearer {token}"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/openapi.json":
            self._json({"paths": {f"/v1/{name}": {} for name in self.stand_in.paths}})
        elif path == "/readyz":
            self._json(self.stand_in.ready)
        elif self._unknown_caller(path):
            self._refuse(401, "the caller", "no token was sent", "send it as Authorization: Bearer …")
        elif path == "/v1/examples":
            self._json({"examples": [{"name": name, "title": f"The {name} ECG"} for name in self.stand_in.examples]})
        elif path.startswith("/v1/examples/"):
            self._send(200, self.stand_in.examples[path.rsplit("/", 1)[1]], CANONICAL)
        elif path == "/v1/index/17":
            self._send(200, self.stand_in.examples["other"], CANONICAL)
        else:
            file = PAGE / (path.lstrip("/") or "index.html")
            if file.parent == PAGE and file.is_file():
                self._send(200, file.read_bytes(), KINDS[file.suffix])
            else:
                self._refuse(404, "the address", "there is nothing", "")

    def do_POST(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/"):
            parts = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body).get_payload()
            fields = [(part.get_param("name", header="content-disposition"), part.get_payload(decode=True)) for part in parts]
            query |= {name: [value.decode() for other, value in fields if other == name] for name, _ in fields if name != "file"}
            body = b"".join(value for name, value in fields if name == "file")
        self.stand_in.asked.append((path, query, body))
        if self._unknown_caller(path):
            self._refuse(401, "the caller", "no token was sent", "send it as Authorization: Bearer …")
        elif self.stand_in.refusal:
            status, words, headers = self.stand_in.refusal
            self._json({"error": words}, status, **headers)
        elif path == "/v1/ecg" and b"cmelt-ecg" in body[:64]:
            self._send(200, body, CANONICAL)
        elif path == "/v1/ecg":
            self._refuse(415, "the file", "not an ECG format that is known", "export it as WFDB, DICOM or CSV")
        else:
            answers = {"/v1/classify": lambda: classified(query, body), "/v1/explain": explained, "/v1/search": found}
            self._json(answers[path]())


@contextmanager
def serving() -> Iterator[StandIn]:
    """A stand-in at work on a free port of this machine."""
    stand_in = StandIn()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"stand_in": stand_in}))
    stand_in.address = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
