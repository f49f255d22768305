"""What a source of ECGs offers: a cheap listing from its tables, and one record at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

from cmelt.records.record import Record
from cmelt.sources.about import About

SPLITS: tuple[str, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Entry:
    """One record as its source's table lists it, before any signal is read.

    Attributes:
        record: its name within the source; unique there, and not the patient's number: it enters stores as it is.
        place: where to read it: a path below the source's folder without extension, or a seed.
        split: "train", "validation" or "test" where the source fixes it; None leaves it to a keyed hash of the patient.
        patient, report, labels, age, sex: as in `Record`.
        origin: what stores and their quarantine call the place where `place` itself tells the patient's number, as the folders
            of MIMIC-IV-ECG do; None where `place` may be written down. `Record.origin` must be the same.
    """

    record: str
    place: str
    split: str | None = None
    patient: str | None = field(default=None, repr=False)  # what is printed of an object ends up in logs
    report: str | None = field(default=None, repr=False)
    labels: tuple[str, ...] = ()
    age: float | None = None
    sex: str | None = None
    origin: str | None = None


@dataclass(frozen=True)
class Listing:
    """What a source holds.

    Attributes:
        entries: every record, in an order that does not change from one listing to the next; a large source hands over an
            `EntryTable`, which keeps them in columns.
        missing_files: rows of its table that have no files in this copy.
        notes: conventions of its columns, for the manifest.
        warnings: what the user should look at.
    """

    entries: Sequence[Entry]
    missing_files: int = 0
    notes: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@runtime_checkable
class Source(Protocol):
    """Where ECGs come from. Implementations are picklable: worker processes read through their own copy."""

    about: ClassVar[About]

    @property
    def name(self) -> str:
        """The name in manifests, and part of the patients' hashes."""

    @property
    def rate(self) -> float:
        """Hz at which a store of it is prepared unless told otherwise."""

    @property
    def settings(self) -> Mapping[str, str]:
        """What was chosen about it, for the manifest; no paths of this machine."""

    def entries(self) -> Listing:
        """List it from its tables, without reading signals.

        Raises:
            SourceError: tables missing or not as expected.
        """

    def read(self, entry: Entry) -> Record:
        """Read one record, with everything that the entry says of it.

        Raises:
            RecordError: it cannot be used.
        """

    def stamp(self, entry: Entry) -> str:
        """Changes when the files behind `entry` do (sizes and times), so that finished work is told from stale."""
