"""What a request carries: its ECG as files, JSON or canonical bytes, and its options; nothing is read or decoded yet."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from cmelt.records.record import Record
from cmelt.serving.http import canonical
from cmelt.serving.http.question import READING, Given, merged, read_options
from cmelt.serving.http.refusal import TOO_LARGE, UNPROCESSABLE, UNSUPPORTED, Refusal, no_room
from cmelt.serving.http.signal_body import ECG_KEYS, parsed_body, record_of_body
from cmelt.serving.http.uploads import Upload, read_uploaded

MULTIPART, JSON = "multipart/form-data", "application/json"
_FIELDS = 64
_LONGEST_FIELD = 256 << 10
_FILE = "file"
#: Of a body, or of one file of it; what is larger waits in a file without a name.
_IN_MEMORY = 128 << 10


@dataclass(frozen=True)
class Parcel:
    """A request's content, received and not yet opened; `opened` is for a thread that may take its time.

    Attributes:
        query: options of the address.
        form: options of a form's fields.
        uploads: files; or else
        content: the body, of the media type `kind`, from its beginning; None where there is none.
    """

    kind: str
    query: tuple[tuple[str, str], ...]
    form: tuple[tuple[str, str], ...] = ()
    uploads: tuple[Upload, ...] = ()
    content: BinaryIO | None = None

    def opened(self, known: Sequence[str]) -> tuple[Record, Given]:
        """The ECG, and the options by name, which have to be among `known`.

        Raises:
            CMeltError: no ECG, or an option that is not known.
        """
        if self.kind == JSON:
            given = merged(self.query, _own_options(self._body), known)
            return record_of_body(self._body), given
        if self.kind == canonical.MEDIA_TYPE:
            return canonical.record_in(self._bytes), merged(self.query, (), known)
        given = merged(self.query, self.form, (*known, *READING))
        return read_uploaded(self.uploads, read_options(given)), given

    def options(self, known: Sequence[str]) -> Given:
        """The options alone, of a request that need not have an ECG."""
        if self.kind == JSON:
            return merged(self.query, _own_options(self._body), known)
        return merged(self.query, self.form, (*known, *READING))

    @cached_property
    def _body(self) -> dict[str, Any]:
        return parsed_body(self._bytes)

    @cached_property
    def _bytes(self) -> bytes:
        if self.content is None:
            return b""
        with self.content as content:
            return content.read()

    @property
    def has_ecg(self) -> bool:
        """Whether there is an ECG in it, as far as can be told without opening it."""
        if self.kind == JSON:
            return any(key in self._body for key in ECG_KEYS)
        return bool(self.uploads) or self.kind == canonical.MEDIA_TYPE


async def received(request: Request, most_files: int, *, needs_ecg: bool = True) -> Parcel:
    """The request's content, whole.

    Raises:
        Refusal: another media type, a form that is broken, too many parts, or no file in it.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    query = tuple(request.query_params.multi_items())
    if kind == MULTIPART:
        return await _form(request, query, most_files, needs_ecg=needs_ecg)
    if kind in (JSON, canonical.MEDIA_TYPE):
        return Parcel(kind, query, content=await _spooled(request))
    if not kind and not needs_ecg:
        return Parcel(kind, query)
    reason = "the request has no Content-Type that is taken here"
    raise Refusal(UNSUPPORTED, "the body", reason, f"send {MULTIPART} with a part named file, {JSON}, or {canonical.MEDIA_TYPE}")


async def _spooled(request: Request) -> BinaryIO:
    """The body, in memory while small, else in a file without a name: one that is refused in the end costs no memory."""
    content = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 (whoever reads it closes it)
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > _IN_MEMORY:
                await asyncio.to_thread(content.write, part)
            else:
                content.write(part)
    except OSError as error:
        raise no_room() from error
    content.seek(0)
    return cast("BinaryIO", content)


async def _form(request: Request, query: tuple[tuple[str, str], ...], most_files: int, *, needs_ecg: bool) -> Parcel:
    """Files stay where the form's parser has put them: in memory, or in a file without a name that ends with the request."""
    try:
        parser = MultiPartParser(
            request.headers, request.stream(), max_files=most_files, max_fields=_FIELDS, max_part_size=_LONGEST_FIELD
        )
        parser.spool_max_size = _IN_MEMORY
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith(("Too many", "Part exceeded")):
            remedy = f"send at most {most_files} files, {_FIELDS} fields, and {_LONGEST_FIELD >> 10} KiB a field"
            raise Refusal(TOO_LARGE, "the form", "it has too many parts, or too long a field", remedy) from None
        raise Refusal(UNPROCESSABLE, "the form", "it is not multipart/form-data as RFC 7578 has it", "send it whole") from None
    except OSError as error:
        raise no_room() from error
    uploads, fields = [], []
    for name, value in form.multi_items():
        if not isinstance(value, UploadFile):
            fields.append((name, value))
        elif name == _FILE:
            uploads.append(Upload(value.filename or "", value.file))
        else:
            raise Refusal(UNPROCESSABLE, "the form", "a file in a part of another name", f"name each part with a file {_FILE}")
    if needs_ecg and not uploads:
        raise Refusal(UNPROCESSABLE, "the form", f"it has no part named {_FILE} with a file name", f"curl -F {_FILE}=@ecg.dcm …")
    return Parcel(MULTIPART, query, tuple(fields), tuple(uploads))


def _own_options(body: dict[str, Any]) -> list[tuple[str, Any]]:
    """What of a JSON body is no part of the ECG; null is as if it were not there."""
    return [(name, value) for name, value in body.items() if name not in ECG_KEYS and value is not None]
