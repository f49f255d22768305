"""XML files, read within bounds: what the vendors' XML formats share.

Entity declarations, external entities and declarations inside the DOCTYPE are refused (defusedxml, and a handler of our
own for the last: default attributes multiply as entities do); size, depth, number of elements, length of a tag and of a
text that is not ASCII are bounded. Errors say what is wrong and in which line, never what the file contains.
"""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, cast
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from cmelt.errors import RecordError
from cmelt.records.readers.limits import read_whole

LARGEST_DOCUMENT = 64 << 20
DEEPEST = 100
MOST_ELEMENTS = 200_000
#: Bytes of one tag, comment or declaration.
LONGEST_TAG = 1 << 20
#: Characters of one text that may hold anything but ASCII; wave data are ASCII, and beyond it Python needs four bytes each.
LONGEST_PROSE = 1 << 20

_CHUNK = 1 << 17
#: Encodings in which ASCII characters are their own bytes, so that the declaration can be read before it is believed.
_ASCII_SUPERSETS = frozenset((
    "utf-8", "ascii", "iso8859-1", "iso8859-2", "iso8859-5", "iso8859-7", "iso8859-9", "iso8859-15", "cp1250", "cp1251", "cp1252",
    "cp1253", "cp1254", "gb2312", "gbk", "gb18030", "big5", "euc_jp", "euc_kr", "koi8-r",
))  # fmt: skip
_DECLARED = re.compile(rb"""^<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")
_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_NAME = re.compile(r"<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)[\s/>]")


def root_name(head: bytes) -> str:
    """The root element's name, without its prefix, if `head` (a file's first bytes) reaches so far; '' otherwise.

    Declarations, comments and a DOCTYPE may come before it, in UTF-8, UTF-16 or an encoding that contains ASCII.
    """
    skip, encoding = _encoding(head)
    text = head[skip:].decode(encoding, errors="replace").lstrip()
    while text.startswith(("<?", "<!")):
        if text.startswith("<?"):
            closed = text.find("?>") + 2
        elif text.startswith("<!--"):
            closed = text.find("-->", 4) + 3
        else:
            closed = _doctype_end(text)
        if closed < 3:  # not found: the head ends before the root begins
            return ""
        text = text[closed:].lstrip()
    found = _NAME.match(text)
    return found[1] if found else ""


def parse_document(path: Path) -> Element:
    """The root of the document at `path`; names of elements and attributes without namespace.

    Raises:
        RecordError: unreadable, not well-formed, or beyond the bounds of this module.
    """
    from defusedxml import DefusedXmlException

    content = read_whole(path, LARGEST_DOCUMENT)
    tree = _BoundedTree(path)
    parser = _parser(tree, path)
    try:
        for text, size in _decoded(content):
            tree.expect(size)
            parser.feed(text)
        root = parser.close()
    except DefusedXmlException as error:
        raise RecordError(path, "declares or refers to entities, which no ECG needs", "check where it comes from") from error
    except ParseError as error:
        line = getattr(error, "position", (0, 0))[0]
        raise RecordError(
            path, "is not well-formed XML", f"see line {line}: it is truncated or altered, fetch it again"
        ) from error
    except (LookupError, ValueError) as error:  # what expat makes of undefined entities and stray bytes
        raise RecordError(path, "is not well-formed XML", "it is altered: fetch it again") from error
    if not isinstance(root, Element):
        raise RecordError(path, "is not well-formed XML", "it has no root element: fetch it again")
    return root


def text_at(element: Element | None, path: str) -> str:
    """The text of the first descendant at `path` ("a/b"), stripped; '' where there is none."""
    found = element.find(path) if element is not None else None
    return (found.text or "").strip() if found is not None else ""


def number_in(text: str) -> float | None:
    """The finite number that `text` is, or None. Stricter than float(): no underscores, no infinities."""
    if not re.fullmatch(r"[+-]?(?:\d{1,300}\.?\d{0,300}|\.\d{1,300})(?:[eE][+-]?\d{1,3})?", text.strip(), re.ASCII):
        return None
    number = float(text)
    return number if abs(number) < 1e300 else None


def base64_bytes(text: str, where: str) -> bytes:
    """The bytes of base64 `text`, in lines or not.

    Raises:
        RecordError: anything else in it.
    """
    compact = text.encode("ascii", errors="replace").translate(None, b" \t\r\n")  # split() would make an object of every line
    try:
        return binascii.a2b_base64(compact, strict_mode=True) if compact else b""
    except binascii.Error as error:
        raise RecordError(where, "samples that are not base64", "the file is altered: fetch it again") from error


def identifier_of(path: Path, patient: str) -> str:
    """A record's name from its file's, unless that holds the patient's number."""
    return "" if len(patient) >= 3 and patient.casefold() in path.stem.casefold() else path.stem


def _encoding(content: bytes) -> tuple[int, str]:
    """How many bytes of mark to skip, and the encoding, by the bytes themselves before what is declared."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return len(mark), encoding
    if content[:4] in (b"<\0?\0", b"<\0!\0"):
        return 0, "utf-16-le"
    if content[:4] in (b"\0<\0?", b"\0<\0!"):
        return 0, "utf-16-be"
    declared = _DECLARED.match(content[:400].lstrip())
    if declared is None:
        return 0, "utf-8"
    try:
        name = codecs.lookup(declared[1].decode("ascii")).name
    except LookupError:
        return 0, "utf-8"
    # Files saved anew as UTF-8 often go on declaring UTF-16: whoever could read the declaration byte by byte knows better.
    return 0, name if name in _ASCII_SUPERSETS else "utf-8"


def _decoded(content: bytes) -> Iterator[tuple[str, int]]:
    """The document's text in pieces, with the bytes each takes; a byte that is none of the encoding's becomes U+FFFD."""
    start, encoding = _encoding(content)
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    first = True
    for offset in range(start, len(content), _CHUNK):
        piece = content[offset : offset + _CHUNK]
        text = decoder.decode(piece, final=offset + _CHUNK >= len(content))
        if first:  # blank lines before the declaration are against the rules and harmless
            text = text.lstrip("\ufeff \t\r\n")
            first = not text
        if text:
            yield text, len(piece)


def _doctype_end(text: str) -> int:
    """The place after a DOCTYPE that opens `text`, 0 where it does not end; the parser refuses one with declarations within."""
    end = re.match(r"""<!DOCTYPE(?:[^<>\[\]"']|"[^"<]*"|'[^'<]*')*(?:>|\[.*?\]\s*>)""", text, re.DOTALL)
    return end.end() if end else 0


def _parser(tree: _BoundedTree, path: Path) -> XMLParser:
    from defusedxml.ElementTree import DefusedXMLParser

    def refuse_declarations(name: str, system: str | None, public: str | None, internal: bool) -> None:  # noqa: ARG001
        if internal:
            raise RecordError(
                path, "declares entities or attributes in its DOCTYPE, which no ECG needs", "check where it comes from"
            )

    parser: Any = DefusedXMLParser(target=tree, forbid_dtd=False, forbid_entities=True, forbid_external=True)
    parser.parser.StartDoctypeDeclHandler = refuse_declarations
    return cast(XMLParser, parser)


def _local(name: str) -> str:
    return name.rpartition("}")[2]


class _BoundedTree:
    """A tree builder that counts: depth, elements, bytes without an event, characters of a text."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._builder = TreeBuilder()
        self._depth = 0
        self._elements = 0
        self._silent = 0
        self._text = 0

    def expect(self, size: int) -> None:
        """Another `size` bytes come; refuse where too many have come since the last thing they told."""
        if self._silent > LONGEST_TAG:
            self._refuse("a tag or comment of more than a megabyte")
        self._silent += size

    def start(self, tag: str, attributes: dict[str, str]) -> Element:
        """An element begins."""
        self._depth += 1
        self._elements += 1
        if self._depth > DEEPEST:
            self._refuse(f"elements nested more than {DEEPEST} deep")
        if self._elements > MOST_ELEMENTS:
            self._refuse(f"more than {MOST_ELEMENTS} elements")
        self._silent = self._text = 0
        return self._builder.start(_local(tag), {_local(name): value for name, value in attributes.items()})

    def end(self, tag: str) -> Element:
        """An element ends."""
        self._depth -= 1
        self._silent = self._text = 0
        return self._builder.end(_local(tag))

    def data(self, text: str) -> None:
        """Text within an element."""
        self._silent = 0
        self._text += len(text)
        if self._text > LONGEST_PROSE and not text.isascii():
            self._refuse("a text of more than a megabyte that is not ASCII")
        self._builder.data(text)

    def close(self) -> Element:
        """The root."""
        return self._builder.close()

    def _refuse(self, fault: str) -> NoReturn:
        raise RecordError(self._path, fault, "no ECG has that: check where it comes from")
