"""CODE-test: 827 ECGs with the consensus of cardiologists on six diagnoses. Everything is by position: there are no ids.

All of it is a test set. Each exam is of another patient. There are no reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from cmelt.errors import SourceError
from cmelt.records.record import LEADS, Record
from cmelt.records.units import refuse_impossible_amplitude
from cmelt.sources.about import About, require_files
from cmelt.sources.code_tracings import CLASSES, RATE, UNIT_NOTE, open_tracings, read_tracing, warnings_of
from cmelt.sources.source import Entry, Listing
from cmelt.sources.tables import file_stamp, read_csv

TRACINGS = "ecg_tracings.hdf5"
GOLD = "annotations/gold_standard.csv"
ATTRIBUTES = "attributes.csv"
_SEXES: Mapping[str, str] = {"M": "male", "F": "female"}


@dataclass(frozen=True)
class CodeTest:
    """The dataset unpacked at `folder` (or at its `data`, as the archive has it)."""

    folder: str
    rate: float = 100.0
    name: str = "code-test"
    about: ClassVar[About] = About(
        title="CODE-test 1.0.2",
        records=827,
        patients=827,
        signals="12 leads, 400 Hz, 7 to 10 s; six diagnoses by consensus, no reports",
        licence="CC BY 4.0",
        where="https://zenodo.org/records/3765780",
        citation="Ribeiro, Ribeiro, Paixão, Oliveira, Gomes, Canazart, Ferreira, Andersson, Macfarlane, Meira Jr, Schön, "
        "Ribeiro: Automatic diagnosis of the 12-lead ECG using a deep neural network. Nature Communications 11, 1760 (2020)",
        files=(
            (TRACINGS, "tracings"),
            (GOLD, "the consensus, a line a tracing"),
            (ATTRIBUTES, "age and sex, a line a tracing"),
        ),
        download="zenodo:3765780",
    )

    @property
    def settings(self) -> Mapping[str, str]:
        """Whose annotations the labels are."""
        return {"annotations": "gold_standard"}

    def entries(self) -> Listing:
        """The tracings in their order, all of them test."""
        root = self._root()
        require_files(self.about, root)
        tracings = open_tracings(root / TRACINGS, "code-test")
        gold = read_csv(root / GOLD, CLASSES).to_dict("records")
        attributes = read_csv(root / ATTRIBUTES, ("age", "sex")).to_dict("records")
        counts = {TRACINGS: len(tracings.array), GOLD: len(gold), ATTRIBUTES: len(attributes)}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{name} {count}" for name, count in counts.items())
            raise SourceError(
                root, f"tracings and tables go by position and differ in length: {told}", "fetch all of one version"
            )
        entries = tuple(_entry(row, *both, root) for row, both in enumerate(zip(gold, attributes, strict=True)))
        return Listing(entries, 0, {"unit": UNIT_NOTE}, tuple(warnings_of(TRACINGS, tracings, "code-test")))

    def read(self, entry: Entry) -> Record:
        """The tracing of `entry`, padding cut away."""
        row = int(entry.place.rpartition(":")[2])
        signal = read_tracing(self._root() / TRACINGS, "code-test", row, entry.place)
        refuse_impossible_amplitude(signal, entry.place)
        return Record(
            signal, RATE, LEADS, entry.record, None, entry.patient, entry.age, entry.sex, entry.labels, entry.place
        )  # fmt: skip

    def stamp(self, entry: Entry) -> str:  # noqa: ARG002 (all lie in one file)
        """Size and time of the tracings."""
        return file_stamp(self._root() / TRACINGS)

    def _root(self) -> Path:
        root = Path(self.folder)
        return root / "data" if not (root / TRACINGS).is_file() and (root / "data" / TRACINGS).is_file() else root


def _entry(row: int, gold: Mapping[Any, Any], attributes: Mapping[Any, Any], root: Path) -> Entry:
    marks = {name: str(gold[name]).strip().removesuffix(".0") for name in CLASSES}
    if not set(marks.values()) <= {"0", "1"}:
        raise SourceError(root / GOLD, f"line {row + 2} holds what is neither 0 nor 1", "fetch it again")
    try:
        age = float(attributes["age"]) if str(attributes["age"]).strip() else None
    except ValueError:
        raise SourceError(root / ATTRIBUTES, f"line {row + 2} holds an age that cannot be read", "fetch it again") from None
    return Entry(
        record=str(row),
        place=f"{TRACINGS}:{row}",
        split="test",
        patient=str(row),
        labels=tuple(f"code:{name}" for name in CLASSES if marks[name] == "1"),
        age=age if age is not None and 0 <= age <= 130 else None,
        sex=_SEXES.get(str(attributes["sex"]).strip().upper()),
    )
