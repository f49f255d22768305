"""Which files of a tree are ECGs: by what they are named where ECGs are so named, else by a look at their first bytes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cmelt.records.readers import HEAD_BYTES, known_readers

#: Files so named are taken for ECGs whatever they hold: one that is empty or damaged is to be reported, not overlooked.
ECG_SUFFIXES = frozenset({".bdf", ".dcm", ".edf", ".h5", ".hdf5", ".mat", ".npy", ".npz", ".scp", ".xml"})
_LONGEST_HEADER = 1 << 20


@dataclass
class Passed:
    """What `ecg_files` came by and did not take: files that are no ECGs, by suffix; folders and files it could not read."""

    ignored: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0

    def warnings(self) -> tuple[str, ...]:
        """In words, for the user; empty where everything was taken."""
        said = []
        if self.ignored:
            kinds = ", ".join(f"{suffix} ({count})" for suffix, count in self.ignored.most_common(8))
            said.append(f"{self.ignored.total()} files are no ECGs in a format known here and were passed over: {kinds}")
        if self.unreadable:
            said.append(f"{self.unreadable} folders or files could not be read: check their permissions")
        return tuple(said)


def ecg_files(root: Path, passed: Passed, leave_out: Path | None = None) -> Iterator[str]:
    """The ECG files below `root`, in one order always, as paths below it; a WFDB record without its extension.

    Signal files, segments and annotations of a WFDB record are not listed beside it. Hidden files are left alone, links to
    folders not followed.

    Args:
        passed: filled with what was not taken.
        leave_out: a file of the tree that is no record: its table.
    """

    def note(_: OSError) -> None:
        passed.unreadable += 1

    for folder, folders, names in os.walk(root, onerror=note):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        headers = [name for name in names if name.endswith(".hea")]
        belonging = _belonging(Path(folder), headers)
        for name in sorted(names):
            path = Path(folder, name)
            if name.startswith(".") or path == leave_out or name in belonging:
                continue
            place = path.relative_to(root).as_posix()
            if name.endswith(".hea"):
                yield place.removesuffix(".hea")
            elif _is_named_so(name) or _is_recognised(path, passed):
                yield place
            elif not _annotates(name, belonging):
                passed.ignored[path.suffix.lower() or "without a suffix"] += 1


def _belonging(folder: Path, headers: Sequence[str]) -> set[str]:
    """Names in `folder` that WFDB headers speak of: their signal files, and the headers of their segments."""
    found: set[str] = set()
    for name in headers:
        try:
            with (folder / name).open("rb") as stream:
                text = stream.read(_LONGEST_HEADER).decode("utf-8", "replace")
        except OSError:
            continue
        lines = [fields for line in text.splitlines() if not line.startswith("#") and (fields := line.split())]
        if not lines:
            continue
        segmented = "/" in lines[0][0]
        for fields in lines[1:]:
            found |= {f"{fields[0]}.hea"} - {name} if segmented else {fields[0], f"{fields[0]}.gz"}
        found |= {f"{name.removesuffix('.hea')}{suffix}" for suffix in (".dat", ".mat", ".dat.gz")}
    return found


def _annotates(name: str, belonging: set[str]) -> bool:
    """Whether a file lies beside a record's signals under its name (annotations: `100.atr` beside `100.dat`)."""
    stem = name.split(".")[0]
    return f"{stem}.dat" in belonging or f"{stem}.mat" in belonging


def _is_named_so(name: str) -> bool:
    return os.path.splitext(name.lower().removesuffix(".gz"))[1] in ECG_SUFFIXES


def _is_recognised(path: Path, passed: Passed) -> bool:
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError:
        passed.unreadable += 1
        return False
    return bool(head) and any(reader.recognises(path, head) for reader in known_readers())
