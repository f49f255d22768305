"""Where a DICOM file's data set begins, in which encoding, and whether it is whole: before any value is looked at.

pydicom takes a truncated value for a whole one, inflates without a limit and follows sequences as deep as they go. So the
elements are counted and measured here first: PS3.5, chapters 7 (elements, sequences) and 10 (transfer syntaxes), PS3.10.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from cmelt.errors import RecordError
from cmelt.records.readers.limits import LARGEST_FILE, inflate

IMPLICIT_LITTLE, EXPLICIT_LITTLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, EXPLICIT_BIG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"

#: Ten seconds with every wave marked have some 2,000 elements, half an hour with every beat marked some 30,000, five levels deep.
MOST_ELEMENTS = 75_000
DEEPEST = 16

_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_SHORT = frozenset(
    (b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS", b"ST")
) | frozenset((b"TM", b"UI", b"UL", b"US"))
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
#: Groups that a data set may begin with: the file's own meta information, or what identifies the instance.
_FIRST_GROUPS = (0x0002, 0x0008)


@dataclass(frozen=True)
class Encoded:
    """A data set's bytes (inflated), and how they are to be read."""

    content: bytes
    implicit: bool
    big_endian: bool

    @property
    def transfer_syntax(self) -> str:
        """The transfer syntax that `content` is in."""
        return IMPLICIT_LITTLE if self.implicit else EXPLICIT_BIG if self.big_endian else EXPLICIT_LITTLE


@dataclass(frozen=True)
class _Element:
    tag: tuple[int, int]
    kind: bytes  # the VR, or b"" where the encoding does not state it
    length: int
    value_at: int


@dataclass(frozen=True)
class _Level:
    """A sequence or an item that is open: where it ends, whether items are expected in it, whether a delimiter closes it."""

    end: int
    items: bool
    delimited: bool
    implicit: bool


def looks_like_dicom(head: bytes) -> bool:
    """Whether a file that begins with `head` is DICOM: by its mark, or, lacking that, by three elements in a row."""
    if head[128:132] == b"DICM":
        return True
    for big_endian in (False, True):
        place, before = 0, (-1, -1)
        try:
            for _ in range(3):
                implicit = head[place + 4 : place + 6] not in _LONG | _SHORT
                element = _element(head, place, implicit, big_endian)
                if element.tag <= before or element.tag[0] not in _FIRST_GROUPS or element.length > len(head):
                    break
                place, before = element.value_at + element.length, element.tag
            else:
                return True
        except struct.error:
            continue
    return False


def data_set(content: bytes, path: Path) -> Encoded:
    """The data set of a whole file's bytes, inflated where it is deflated, and checked to be complete.

    Raises:
        RecordError: not DICOM, truncated, an unpacked size or a nesting that no ECG has.
    """
    if not looks_like_dicom(content[:4096]):
        raise RecordError(path, "is not a DICOM file", "check what it is")
    start = 132 if content[128:132] == b"DICM" else 0
    try:
        syntax, start = _meta(content, start)
        if syntax == DEFLATED:
            content, start = _inflated(content[start:], path), 0
        big_endian = syntax == EXPLICIT_BIG or (syntax is None and content[start : start + 2] == b"\x00\x08")
        # What the file's meta information claims is overruled by the data set itself: some writers claim the wrong one.
        implicit = content[start + 4 : start + 6] not in _LONG | _SHORT
        if implicit and big_endian:
            raise RecordError(path, "is not a DICOM file", "fetch it again")
        encoded = Encoded(content[start:], implicit, big_endian)
        _walk(encoded, path)
    except struct.error as error:
        raise RecordError(path, "the DICOM file is truncated", "fetch it again") from error
    return encoded


def _meta(content: bytes, start: int) -> tuple[str | None, int]:
    """The transfer syntax that the meta information (group 0002, always explicit little endian) states, and where it ends."""
    syntax = None
    while content[start : start + 2] == b"\x02\x00":
        element = _element(content, start, content[start + 4 : start + 6] not in _LONG | _SHORT, False)
        start = element.value_at + element.length
        if start > len(content):
            raise struct.error
        if element.tag == (0x0002, 0x0010):
            syntax = content[element.value_at : start].rstrip(b"\x00 ").decode("ascii", "replace")
    return syntax, start


def _inflated(packed: bytes, path: Path) -> bytes:
    """A deflated data set (RFC 1951, without zlib's header), up to `LARGEST_FILE` bytes of it."""
    return inflate(packed, path, LARGEST_FILE, -zlib.MAX_WBITS)


def _element(content: bytes, place: int, implicit: bool, big_endian: bool) -> _Element:
    """The element at `place`. Raises struct.error where the bytes end first."""
    order = ">" if big_endian else "<"
    tag = struct.unpack_from(order + "HH", content, place)
    if implicit or tag[0] == 0xFFFE:  # items state no VR
        return _Element(tag, b"", struct.unpack_from(order + "I", content, place + 4)[0], place + 8)
    kind = content[place + 4 : place + 6]
    if kind in _LONG:
        return _Element(tag, kind, struct.unpack_from(order + "I", content, place + 8)[0], place + 12)
    if kind not in _SHORT:
        raise struct.error
    return _Element(tag, kind, struct.unpack_from(order + "H", content, place + 6)[0], place + 8)


def _walk(encoded: Encoded, path: Path) -> None:
    """Go through every element of every sequence, and find each whole and in its place."""
    content = encoded.content
    levels = [_Level(len(content), False, False, encoded.implicit)]
    place = elements = 0
    while levels:
        level = levels[-1]
        if place == level.end and not level.delimited:
            levels.pop()
            continue
        if place >= level.end or (len(levels) == 1 and not any(content[place : place + 8])):
            _refuse_unless_padding(content[place : level.end], path)
            return
        element = _element(content, place, level.implicit, encoded.big_endian)
        elements += 1
        if elements > MOST_ELEMENTS or len(levels) > 2 * DEEPEST:
            raise RecordError(path, "more elements or levels than any ECG has", "check where the file comes from")
        place = element.value_at
        if element.tag in (_ITEM_END, _SEQUENCE_END):
            if not level.delimited or level.items != (element.tag == _SEQUENCE_END):
                raise struct.error
            levels.pop()
            continue
        if level.items != (element.tag == _ITEM):
            raise struct.error
        stop = level.end if element.length == _UNDEFINED else place + element.length
        if stop > level.end:
            raise struct.error
        if element.tag == _ITEM or _is_sequence(element):
            # A sequence of unknown VR is in implicit little endian, whatever is around it (PS3.5, 6.2.2).
            implicit = level.implicit or element.kind == b"UN"
            levels.append(_Level(stop, element.tag != _ITEM, element.length == _UNDEFINED, implicit))
        elif element.length == _UNDEFINED:
            raise RecordError(path, "holds encapsulated pixels, not a waveform", "an ECG is a waveform: leave pictures out")
        else:
            place = stop


def _is_sequence(element: _Element) -> bool:
    if element.kind:
        return element.kind == b"SQ" or (element.kind == b"UN" and element.length == _UNDEFINED)
    from pydicom.datadict import dictionary_has_tag, dictionary_VR

    number = element.tag[0] << 16 | element.tag[1]
    known = dictionary_has_tag(number)
    return (known and dictionary_VR(number) == "SQ") or (not known and element.length == _UNDEFINED)


def _refuse_unless_padding(rest: bytes, path: Path) -> None:
    """Zeros after the last element are left by some writers; anything else, or nothing at all, is a file cut off."""
    if not rest or any(rest):
        raise RecordError(path, "the DICOM file is truncated", "fetch it again")
