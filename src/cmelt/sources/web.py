"""Asking web servers for files: http and https alone, no credentials, and every fault sorted into "again" or "never"."""

from __future__ import annotations

import email.message
import http.client
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import IO

from cmelt import __version__
from cmelt.errors import SourceError

#: Seconds without a byte after which a connection counts as lost.
PATIENCE = 30.0
#: Answers that mean "later".
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT = 120.0


class TransientError(Exception):
    """Something that another try may mend. `wait` is what the server asks for, in seconds."""

    def __init__(self, fault: str, wait: float = 0.0) -> None:
        super().__init__(fault)
        self.fault = fault
        self.wait = wait


class _OnlyWeb(urllib.request.HTTPRedirectHandler):
    """Follows redirections to web servers, and none that leaves encryption behind."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        check_url(newurl, f"{req.full_url} redirects elsewhere: ")
        if req.type == "https" and not newurl.lower().startswith("https:"):
            raise SourceError(req.full_url, "redirects from https to http", "download it another way")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_url(url: str, how: str = "") -> str:
    """`url`, if it is one of a web server and carries no credentials.

    Raises:
        SourceError: another scheme (file, ftp, …), no server, a user name or password in it.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        port_is_sound = parts.port is None or parts.port > 0
    except ValueError:
        raise SourceError(how or "URL", "an address that cannot be read", "give one that begins with https://") from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname or not port_is_sound:
        raise SourceError(how or url, f"not an address of a web server ({parts.scheme or 'no scheme'})", "https:// it must be")
    if parts.username is not None or parts.password is not None:
        raise SourceError(parts.hostname, "an address with a user name or password", "leave them out: none is ever sent")
    return url


def ask(url: str, headers: Mapping[str, str] | None = None) -> http.client.HTTPResponse:
    """The server's answer to GET `url`: 200, or 206 or 416 where `headers` ask for a part.

    Raises:
        TransientError: unreachable, too slow, or it says "later".
        SourceError: it says no, or the address is none of a web server.
    """
    request = urllib.request.Request(check_url(url), headers={"User-Agent": f"cmelt/{__version__}", **(headers or {})})
    try:
        return _opener().open(request, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            return error  # type: ignore[return-value]
        with error:
            if error.code in _LATER:
                raise TransientError(f"the server answers {error.code}", _wait_of(error.headers)) from error
            if 300 <= error.code < 400:
                raise SourceError(url, "redirects to no web server, or in a circle", "check the address") from error
            remedy = "it needs an account there" if error.code in (401, 403) else "check the address"
            raise SourceError(url, f"the server answers {error.code}", remedy) from error
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise TransientError(f"no connection ({_name_of(error)})") from error


def read_some(response: http.client.HTTPResponse, most: int) -> bytes:
    """Up to `most` bytes of the answer's body; b'' at its end. Raises TransientError when the connection is lost."""
    try:
        return response.read(most)
    except (http.client.HTTPException, OSError, ValueError) as error:
        raise TransientError(f"the connection was lost ({_name_of(error)})") from error


def length_of(response: http.client.HTTPResponse) -> int | None:
    """How many bytes of body the server announces."""
    text = response.headers.get("Content-Length", "")
    return int(text) if re.fullmatch(r"\d{1,18}", text) else None


def _name_of(error: BaseException) -> str:
    reason = getattr(error, "reason", None)
    return type(reason if isinstance(reason, BaseException) else error).__name__


def _wait_of(headers: email.message.Message | None) -> float:
    text = headers.get("Retry-After", "") if headers is not None else ""
    return min(float(text), _LONGEST_WAIT) if re.fullmatch(r"\d{1,6}", text) else 0.0


def _opener() -> urllib.request.OpenerDirector:
    """Without urllib's handlers for files, FTP, data and passwords."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _OnlyWeb(),
    ):
        opener.add_handler(handler)
    return opener
