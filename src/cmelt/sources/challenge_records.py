"""Records in the layout of the PhysioNet/CinC Challenges: a header and a `.mat` beside it, age, sex and SNOMED codes in comments.

Nothing but names and comments is read here, so that 88,000 records are listed within seconds, and a header that is broken
elsewhere (two of Chapman–Shaoxing–Ningbo's lost a line break) still says what the record shows; reading it tells the fault.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from cmelt.errors import RecordError, SourceError
from cmelt.records.readers import read_ecg
from cmelt.records.record import Record
from cmelt.sources.snomed import parse_codes
from cmelt.sources.source import Entry
from cmelt.sources.tables import file_stamp

#: PTB-XL's part of the Challenge writes 300 for every age over 89, as PTB-XL itself; stored as 90.
OVER_89 = 300.0
#: As readers have it.
_BEYOND_AGE = 130.0

_SIGNAL_SUFFIXES = (".mat", ".dat")
_SEXES = {"m": "male", "male": "male", "f": "female", "female": "female"}
_MOST_HEADER_BYTES = 1 << 16
_MOST_LIST_BYTES = 1 << 24


@dataclass(frozen=True)
class Found:
    """A tree's records.

    Attributes:
        places: record name → path below the root, without extension and with "/"; sorted by name.
        incomplete: records of which there is a header, a signal or a name in a RECORDS file, and not header and signal.
        twice: names that lie in several folders; the first folder, in sorted order, is taken.
    """

    places: dict[str, str]
    incomplete: frozenset[str]
    twice: frozenset[str]


@dataclass(frozen=True)
class Comments:
    """What a header says of the patient and the diagnoses."""

    age: float | None
    sex: str | None
    codes: tuple[str, ...]


def find_records(root: Path, names: re.Pattern[str], *, header: bool = True) -> Found:
    """Every record below `root` whose name matches `names` in full; without `header`, every signal file of such a name."""
    places: dict[str, str] = {}
    lacking: set[str] = set()
    copies: Counter[str] = Counter()
    for folder, files in folders_below(root):
        signals = {name for name, suffix in map(os.path.splitext, files) if suffix in _SIGNAL_SUFFIXES}
        headers = {name for name, suffix in map(os.path.splitext, files) if suffix == ".hea"}
        named = {name for name in (headers | signals if header else signals) if names.fullmatch(name)}
        if header and "RECORDS" in files:
            named |= {name for name in _listed(Path(folder) / "RECORDS") if names.fullmatch(name)}
        below = Path(os.path.relpath(folder, root))
        for name in named:
            if name not in signals or (header and name not in headers):
                lacking.add(name)
                continue
            copies[name] += 1
            places.setdefault(name, (below / name).as_posix())
    twice = frozenset(name for name, count in copies.items() if count > 1)
    return Found({name: places[name] for name in sorted(places)}, frozenset(lacking - places.keys()), twice)


def read_comments(path: Path) -> Comments:
    """Age, sex and codes of the header at `path`; nothing where they are not stated or not legible."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_HEADER_BYTES).decode("utf-8", errors="replace")
    except OSError:
        text = ""  # reading the record will say why
    said: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            key, _, value = line.lstrip("#").partition(":")
            said.setdefault(key.strip().lower(), value.strip())
    return Comments(read_age(said.get("age", "")), read_sex(said.get("sex", "")), parse_codes(said.get("dx", "")))


def read_age(text: str) -> float | None:
    """Years: None for "NaN", "Unknown", −1 and other impossible numbers, 90 for 300."""
    try:
        age = float(text)
    except ValueError:
        return None
    if age == OVER_89:
        return 90.0
    return age if 0 <= age < _BEYOND_AGE else None


def read_sex(text: str) -> str | None:
    """ "female" or "male" from "Female", "F", "male", ...; None for "Unknown" and anything else."""
    return _SEXES.get(text.strip().lower())


def read_record(folder: str, entry: Entry, suffix: str = ".hea") -> Record:
    """The signal of `entry` below `folder`, with what the entry says of it.

    Raises:
        RecordError: it cannot be used.
    """
    path = Path(folder) / f"{entry.place}{suffix}"
    if not path.is_file():
        raise RecordError(entry.place, f"its {suffix} file is not there", "fetch it")
    record = read_ecg(path)
    return replace(
        record,
        identifier=entry.record,
        report=entry.report,
        patient=entry.patient,
        age=record.age if entry.age is None else entry.age,
        sex=entry.sex or record.sex,
        labels=entry.labels,
        origin=entry.place,
    )


def record_stamp(folder: str, entry: Entry) -> str:
    """Sizes and times of header and samples."""
    stem = Path(folder) / entry.place
    return file_stamp(*(Path(f"{stem}{suffix}") for suffix in (".hea", *_SIGNAL_SUFFIXES)))


def folders_below(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Each folder below `root` with its files, sorted; links are followed, each folder once."""
    seen: set[tuple[int, int]] = set()
    for folder, below, files in os.walk(root, onerror=_refuse, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            below.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        below.sort()
        yield folder, files


def _refuse(error: OSError) -> NoReturn:
    """A folder that cannot be listed is not an empty one."""
    raise SourceError(error.filename, f"cannot be listed: {error.strerror}", "check its permissions")


def _listed(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_LIST_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines()]
