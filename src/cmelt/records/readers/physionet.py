"""WFDB records: a `.hea` header beside `.dat`, `.mat` or FLAC samples (PTB-XL, MIMIC-IV-ECG, the Challenges, MIT-BIH).

All is decoded here, bit for bit as the reference reader does where that is right, at a thirtieth of its time: it spends ten
milliseconds on a header, and reads altered ones without a word.
"""

from __future__ import annotations

import re
from pathlib import Path

from cmelt.errors import RecordError
from cmelt.records.readers.options import NOTHING_GIVEN, ReadOptions
from cmelt.records.readers.physionet_comments import remarks
from cmelt.records.readers.physionet_header import Header, header_text, read_header
from cmelt.records.readers.physionet_segments import read_segments
from cmelt.records.readers.physionet_signals import read_signals
from cmelt.records.record import Record
from cmelt.records.units import refuse_impossible_amplitude

NAME = "WFDB"

_GZIP = b"\x1f\x8b"
#: name, a number of signals, perhaps a rate; then a signal file (whose name has a letter) and one of the storage formats.
_SIGNALS = re.compile(
    rb"[\w.-]+[ \t]+\d{1,3}(?:[ \t]+[\d.][^\n]*)?\n"
    rb"(?=[^ \t\n]*[A-Za-z])[\w.-]+[ \t]+(?:8|16|24|32|61|80|160|212|310|311|508|516|524)(?:[x:+]\d+)*(?:[ \t\n]|$)"
)
#: name/number of segments, a number of signals, perhaps a rate; then a segment, or a gap, and its length.
_SEGMENTS = re.compile(rb"[\w.-]+/\d+[ \t]+\d{1,3}(?:[ \t]+[\d.][^\n]*)?\n(?:~|[\w.-]+)[ \t]+\d+(?:\n|$)")


def recognises(path: Path, head: bytes) -> bool:
    """A header by its first two lines, a signal file by the header beside it that names it."""
    name = path.name.removesuffix(".gz")
    packed = head.startswith(_GZIP)
    if name.endswith(".hea") and (packed or _looks_like_header(head, strictly=False)):
        return True
    if not packed and _looks_like_header(head, strictly=True):
        return True
    return _header_beside(path) is not None


def read(path: Path, options: ReadOptions = NOTHING_GIVEN) -> Record:
    """Read the record whose header (or signal file) is `path`.

    Raises:
        RecordError: a header that is incomplete or contradictory, a signal file that does not fit it, a checksum that fails,
            a rate, unit or lead that neither the header nor `options` states.
    """
    header_path = path if path.name.removesuffix(".gz").endswith(".hea") else _header_beside(path) or path
    return read_behind(read_header(header_path), header_path, options)


def read_behind(header: Header, header_path: Path, options: ReadOptions = NOTHING_GIVEN) -> Record:
    """As `read`, for a `header` that its caller has read from `header_path`."""
    read_all = read_segments if header.segments else read_signals
    leads, rate, signal = read_all(header, header_path, options)
    refuse_impossible_amplitude(signal, str(header_path))
    said = remarks(header.comments, identity=options.identity)
    name = header.name.removesuffix(".mat").removesuffix(".dat")  # the Georgia records of the Challenges name the file here
    return Record(
        signal=signal,
        rate=rate,
        leads=leads,
        identifier=name,
        report=said.report,
        patient=said.patient,
        age=said.age,
        sex=said.sex,
        labels=said.labels,
        origin=str(header_path),
    )


def _looks_like_header(head: bytes, *, strictly: bool) -> bool:
    lines = [line.strip() for line in head.removeprefix(b"\xef\xbb\xbf").replace(b"\r", b"\n").split(b"\n")]
    body = [line for line in lines if line and not line.startswith(b"#")]
    if not body:
        return not strictly and head.startswith(b"#")
    if not strictly:
        fields = body[0].split()
        return head.startswith(b"#") or (len(fields) >= 2 and fields[1].isdigit())
    start = b"\n".join(body[:2])
    return b"\0" not in head and bool(_SIGNALS.match(start) or _SEGMENTS.match(start))


def _header_beside(path: Path) -> Path | None:
    """The header that names the signal file at `path`, where there is one."""
    name = path.name.removesuffix(".gz")
    if not name.strip("."):
        return None
    plain = path.with_name(name)
    for header_path in (plain.with_suffix(".hea"), plain.with_suffix(".hea.gz")):
        if header_path == path or not header_path.is_file():
            continue
        try:
            lines = header_text(header_path).splitlines()
        except RecordError:
            continue
        if any(line.split(maxsplit=1)[:1] in ([plain.name], [path.name]) for line in lines):
            return header_path
    return None
