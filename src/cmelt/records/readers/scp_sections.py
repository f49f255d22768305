"""The sections of an SCP-ECG file (EN 1064, ISO 11073-91064): where they lie, and whether their bytes are as they were written.

A file is its checksum, its length, and sections that each begin with a checksum, a number and a length; section 0 points to all
of them. Numbers are little endian, places are counted from 1.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cmelt.errors import RecordError

POINTERS, PATIENT, HUFFMAN, LEADS, REFERENCE_BEATS, REFERENCE_BEAT, RHYTHM = range(7)
MEASUREMENTS, STATEMENTS, STATEMENT_CODES = 7, 8, 11

_HEADER = 16
_POINTER = 10
_MOST_SECTIONS = 1024  # numbers above are not given to anyone


@dataclass(frozen=True)
class Sections:
    """The sections of one file, by number: bodies without their headers, and which of them are known to be unaltered."""

    bodies: Mapping[int, bytes]
    sound: frozenset[int]
    path: Path

    def needed(self, number: int, name: str) -> bytes:
        """The body of a section that the signal depends on.

        Raises:
            RecordError: it is not there, or its checksum fails.
        """
        if number not in self.bodies:
            raise RecordError(self.path, f"has no section {number} ({name})", "export it again from the ECG system")
        if number not in self.sound:
            fault = f"the checksum of section {number} ({name}) fails"
            raise RecordError(self.path, fault, "the file is altered: fetch it again")
        return self.bodies[number]

    def optional(self, number: int) -> bytes:
        """The body of a section that the signal does not depend on; empty where it is not there or altered."""
        return self.bodies.get(number, b"") if number in self.sound else b""


def looks_like_scp(head: bytes) -> bool:
    """Whether a file that begins with `head` is SCP-ECG: its section 0 is marked, or points to itself."""
    if len(head) < _HEADER + 6 + _POINTER:
        return False
    number, length = struct.unpack_from("<HI", head, 8)
    if number != POINTERS or length < _HEADER + _POINTER or (length - _HEADER) % _POINTER:
        return False
    return head[16:22] == b"SCPECG" or struct.unpack_from("<HI", head, 22) == (POINTERS, length)


def read_sections(content: bytes, path: Path) -> Sections:
    """The sections of a whole file's bytes.

    Raises:
        RecordError: not SCP-ECG, truncated, or pointers that do not lead to sections.
    """
    if not looks_like_scp(content[:64]):
        raise RecordError(path, "is not an SCP-ECG file", "check what it is")
    checksum, stated = struct.unpack_from("<HI", content)
    if stated > len(content) or stated < _HEADER + 6:
        fault = f"{len(content)} bytes where {stated} are announced"
        raise RecordError(path, fault, "the file is truncated, or not written as EN 1064 says: fetch it again")
    content = content[:stated]
    whole = checksum == binascii.crc_hqx(content[2:], 0xFFFF)
    bodies: dict[int, bytes] = {}
    sound = set()
    for number, length, place in _pointers(content, path):
        section = content[place : place + length]
        own, named, long = struct.unpack_from("<HHI", section) if len(section) >= _HEADER else (0, -1, 0)
        if (named, long) != (number, length) or len(section) != length or number in bodies:
            fault = "its sections do not lie where its pointers say"
            raise RecordError(path, fault, "the file is damaged, or not written as EN 1064 says")
        bodies[number] = section[_HEADER:]
        # A tool that takes names out of section 1 and leaves the file's checksum as it was has not touched the signal.
        if whole or own == binascii.crc_hqx(section[2:], 0xFFFF):
            sound.add(number)
    return Sections(bodies, frozenset(sound), path)


def _pointers(content: bytes, path: Path) -> list[tuple[int, int, int]]:
    """(number, length, place from 0) of every section that is there."""
    (length,) = struct.unpack_from("<I", content, 10)
    count = (length - _HEADER) // _POINTER
    if 6 + length > len(content) or count > _MOST_SECTIONS:
        raise RecordError(path, "its pointer section is longer than the file", "the file is damaged: fetch it again")
    found = (struct.unpack_from("<HII", content, 6 + _HEADER + _POINTER * number) for number in range(count))
    return [(number, size, place - 1) for number, size, place in found if size and place and number != POINTERS]
