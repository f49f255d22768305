"""A web server for tests of downloads: files from memory, ranges, and every fault that a test asks for."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Files:
    """What the server has, what it was asked, and what it is to do wrong.

    Attributes:
        content: by path ("/x/a.dat").
        faults: by path, what to do at the next requests, one each: "503", "404", "drop 1000" (cut the connection after so many
            bytes), "reset" (no answer at all), "other" (other bytes), "long" (more than announced), "chunked" (no length, and
            more than it has), "redirect URL", "stall" (begin, then nothing), "packed", "foreign part" (a range that was not
            asked for).
        marks: by path, its ETag.
        asked: (path, its Range header) of every request.
        ranges: whether parts can be asked for.
    """

    content: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    marks: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    ranges: bool = True
    url: str = ""
    ended: threading.Event = field(default_factory=threading.Event)

    def publish_sums(self, base: str, **named: bytes) -> str:
        """Put files below `base` with their SHA256SUMS.txt, as PhysioNet does; the address of the folder."""
        self.content |= {f"{base}/{name}": content for name, content in named.items()}
        lines = [f"{hashlib.sha256(content).hexdigest()} {name}\n" for name, content in named.items()]
        self.content[f"{base}/SHA256SUMS.txt"] = "".join(lines).encode()
        return self.url + base

    def publish_record(self, base: str, **named: bytes) -> str:
        """Put files below `base` with the JSON of a record, as Zenodo does; the address of the record."""
        self.content |= {f"{base}/files/{name}/content": content for name, content in named.items()}
        listed = [
            {
                "key": name,
                "size": len(content),
                "checksum": "md5:" + hashlib.md5(content, usedforsecurity=False).hexdigest(),
                "links": {"self": f"{self.url}{base}/files/{name}/content"},
            }
            for name, content in named.items()
        ]
        self.content[base] = json.dumps({"id": 1, "files": listed}).encode()
        return self.url + base


@contextmanager
def serving() -> Iterator[Files]:
    """A server on a free port of this machine."""
    files = Files()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(files))
    server.daemon_threads = True
    files.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield files
    finally:
        files.ended.set()
        server.shutdown()
        server.server_close()


def _handler(files: Files) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            """Nothing: tests read `asked`."""

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            files.asked.append((self.path, wanted))
            fault = files.faults[self.path].pop(0) if files.faults[self.path] else ""
            self.close_connection = True
            if fault == "reset":
                return
            if fault.isdigit() or self.path not in files.content:
                self._plain(int(fault or 404))
            elif fault.startswith("redirect "):
                self._plain(302, Location=fault.removeprefix("redirect "))
            else:
                self._file(fault, wanted)

        def _plain(self, status: int, **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": "0", "Retry-After": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def _file(self, fault: str, wanted: str | None) -> None:
            whole, mark = files.content[self.path], files.marks.get(self.path, "")
            start = 0
            if wanted and files.ranges and self.headers.get("If-Range", mark) == mark:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start and start >= len(whole):
                return self._plain(416, **{"Content-Range": f"bytes */{len(whole)}"})
            first = start + (7 if fault == "foreign part" else 0)
            body = bytes(byte ^ 0xFF for byte in whole[first:]) if fault == "other" else whole[first:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {first}-{len(whole) - 1}/{len(whole)}")
            if mark:
                self.send_header("ETag", mark)
            if fault == "packed":
                self.send_header("Content-Encoding", "gzip")
            if fault == "chunked":
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for _ in range(3):
                    self.wfile.write(f"{len(body):x}\r\n".encode() + body + b"\r\n")
                self.wfile.write(b"0\r\n\r\n")
                return None
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self._body(fault, body)
            return None

        def _body(self, fault: str, body: bytes) -> None:
            if fault.startswith("drop "):
                self.wfile.write(body[: int(fault.split()[1])])
            elif fault == "stall":
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                deadline = time.monotonic() + 30
                while not files.ended.wait(0.05) and time.monotonic() < deadline:
                    pass
            else:
                self.wfile.write(body + (b"more" * 1000 if fault == "long" else b""))

    return Handler
