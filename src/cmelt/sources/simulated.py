"""Simulated ECGs as a source: conditions, signals and reports are functions of the seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from cmelt import __version__
from cmelt.errors import SourceError
from cmelt.records.record import Record
from cmelt.simulation.domain import domain_of
from cmelt.simulation.languages import checked_languages
from cmelt.sources.about import About
from cmelt.sources.source import Entry, Listing

#: Hospitals' archives hold one to two ECGs a patient; PTB-XL 1.16, MIMIC-IV-ECG 5.
RECORDS_A_PATIENT = 1.5


@dataclass(frozen=True)
class Simulated:
    """`records` ECGs of `patients` patients (0: so many that each has about 1.5), computed at `rate` Hz.

    Reports are in `languages` (of `cmelt.simulation.LANGUAGES`; one named twice is drawn twice as often), people and conditions
    those of `domain` (of `cmelt.simulation.DOMAINS`).

    Record number i is the same in every source of the same seed and number of patients, however many records it has.
    """

    records: int
    patients: int = 0
    seed: int = 0
    rate: float = 100.0
    seconds: float = 10.0
    languages: tuple[str, ...] = ("en",)
    domain: str = "textbook"
    name: str = "simulated"
    about: ClassVar[About] = About(
        title="Simulated ECGs",
        signals="12 leads, any rate and length, 45 conditions or 77",
        licence="computed here",
        access="computed",
    )

    def __post_init__(self) -> None:
        if self.records < 1 or self.patients < 0 or self.seed < 0:
            raise SourceError("simulated", "fewer than one record, or a negative number", "give --records 1 or more")
        checked_languages(self.languages)
        domain_of(self.domain)

    @property
    def people(self) -> int:
        """How many patients there are to draw from."""
        return self.patients or math.ceil(self.records / RECORDS_A_PATIENT)

    @property
    def settings(self) -> Mapping[str, str]:
        """All that decides the records."""
        settings = {"seed": str(self.seed), "patients": str(self.people), "simulated_at": f"{self.rate:g}"}
        if self.languages != ("en",):  # what was always so is not written, so that stores keep their identity
            settings["languages"] = ",".join(self.languages)
        if self.domain != "textbook":
            settings["domain"] = self.domain
        return settings

    def entries(self) -> Listing:
        """One entry a record: the first ones each a new patient's, then patients drawn at random who come again."""
        return Listing(tuple(self._entry(number) for number in range(self.records)))

    def read(self, entry: Entry) -> Record:
        """Simulate the record of `entry`."""
        from cmelt.simulation import simulate

        seed, person = (int(word) for word in entry.place.split("/"))
        record = simulate(
            seed, patient=person, rate=self.rate, seconds=self.seconds, languages=self.languages, domain=self.domain
        )
        return replace(record, identifier=entry.record, patient=entry.patient, origin=f"simulated {entry.place}")

    def stamp(self, entry: Entry) -> str:  # noqa: ARG002 (nothing lies on disk)
        """The program's version: another one may simulate otherwise."""
        return __version__

    def _entry(self, number: int) -> Entry:
        drawn = number if number < self.people else int(self._word(number, 0) % self.people)
        return Entry(
            record=f"simulated-{self.seed}-{number}",
            place=f"{self._word(number, 1)}/{self._word(drawn, 2)}",
            patient=f"{self.seed}-{drawn}",
        )

    def _word(self, number: int, purpose: int) -> int:
        """An unsigned 32-bit number, a function of the source's seed, `number` and what it is for."""
        return int(np.random.SeedSequence([self.seed, number, purpose]).generate_state(1)[0])
