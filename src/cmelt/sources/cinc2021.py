"""PhysioNet/CinC Challenge 2021: 88,253 ECGs of eight collections with SNOMED CT codes, at 257, 500 and 1000 Hz, 5 s to 30 min.

It *contains* CPSC2018, PTB-XL, Chapman–Shaoxing and Ningbo: look for evaluation records before pre-training on it. There are no
written reports: a report is assembled from the names of the codes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cmelt.errors import SourceError
from cmelt.records.record import Record
from cmelt.sources.about import About, require_files
from cmelt.sources.challenge_records import find_records, read_comments, read_record, record_stamp
from cmelt.sources.entry_table import EntryTable
from cmelt.sources.snomed import assembled_report, conditions, snomed_labels
from cmelt.sources.source import Entry, Listing
from cmelt.sources.tables import read_csv

#: A record's part is told by its name, whatever folder it lies in.
_PREFIXES: Mapping[str, str] = {
    "A": "cpsc_2018", "Q": "cpsc_2018_extra", "I": "st_petersburg_incart", "S": "ptb", "HR": "ptb-xl", "E": "georgia",
}  # fmt: skip
PARTS: tuple[str, ...] = (*_PREFIXES.values(), "chapman_shaoxing", "ningbo")
RECORD_NAME = re.compile(r"(A|Q|I|S|HR|E|JS)(\d{4,5})")

#: JS00001 to JS10646 are Chapman–Shaoxing's, those after Ningbo's.
LAST_OF_CHAPMAN = 10_646

#: How many consecutive records each of St Petersburg's 32 patients has (patients' list of incartdb 1.0.0). The Challenge kept
#: its numbers and left out I36.
INCART_RECORDS: tuple[int, ...] = (
    2, 3, 2, 1, 3, 3, 1, 2, 2, 3, 2, 2, 2, 4, 2, 3, 2, 2, 2, 3, 2, 2, 3, 3, 2, 3, 3, 3, 2, 2, 2, 2,
)  # fmt: skip

#: Parts that hold several records of a patient without saying whose (PTB-XL's does with its table).
_PATIENTS_UNKNOWN = ("cpsc_2018", "cpsc_2018_extra", "ptb", "ptb-xl", "georgia")


@dataclass(frozen=True)
class Cinc2021:
    """The records below `folder`, in the published tree or in flat folders; `parts` names those to take, () all.

    `ptb_xl_table` is the path of `ptbxl_database.csv`: with it the records of PTB-XL have their patients and official folds.
    """

    folder: str
    rate: float = 100.0
    parts: tuple[str, ...] = ()
    ptb_xl_table: str = ""
    name: str = "cinc2021"
    about: ClassVar[About] = About(
        title="PhysioNet/CinC Challenge 2021 (1.0.3)",
        records=88_253,
        signals="12 leads, 257, 500 and 1000 Hz, 5 s to 30 min",
        gigabytes=13.4,
        licence="CC BY 4.0",
        where="https://physionet.org/content/challenge-2021/1.0.3/",
        citation="Reyna, Sadr, Gu, Perez Alday, Liu, Seyedi, Shah, Clifford: Will Two Do? Varying Dimensions in "
        "Electrocardiography: The PhysioNet/Computing in Cardiology Challenge 2021 (version 1.0.3). PhysioNet, 2022",
        files=(("**/*.hea", "headers such as training/ptb-xl/g1/HR00001.hea, each with its .mat"),),
        download="physionet:challenge-2021/1.0.3",
    )

    def __post_init__(self) -> None:
        unknown = [part for part in self.parts if part not in PARTS]
        if unknown:
            raise SourceError("parts", f"the Challenge has no part {', '.join(unknown)}", f"its parts: {', '.join(PARTS)}")

    @property
    def settings(self) -> Mapping[str, str]:
        """Which parts, and whether PTB-XL's table was at hand."""
        return {"parts": ", ".join(self.parts) or "all", "ptb_xl_table": "yes" if self.ptb_xl_table else "no"}

    def entries(self) -> Listing:
        """Every record with header and signal, sorted by name; labels, age and sex from the headers' comments.

        Raises:
            SourceError: no record of the wanted parts is here, or PTB-XL's table cannot be read.
        """
        root = Path(self.folder)
        require_files(self.about, root, ())
        found = find_records(root, RECORD_NAME)
        wanted = {name: place for name, place in found.places.items() if self._wants(name)}
        lacking = sum(self._wants(name) for name in found.incomplete)
        if not wanted:
            require_files(self.about, root)
            fault = f"no record of {', '.join(self.parts) or 'the Challenge'} has both header and signal here"
            raise SourceError(root, fault, "give the folder that holds `training`, or one of its parts")
        known = _ptb_xl_rows(self.ptb_xl_table) if self.ptb_xl_table else {}
        entries = EntryTable.collect(self._entry(root, name, place, known) for name, place in wanted.items())
        counts = Counter(map(part_of, wanted))
        twice = sum(self._wants(name) for name in found.twice)
        return Listing(entries, lacking, _notes(counts), tuple(_warnings(counts, bool(known), twice, entries)))

    def read(self, entry: Entry) -> Record:
        """The signal of `entry`, whole and at its own rate."""
        return read_record(self.folder, entry)

    def stamp(self, entry: Entry) -> str:
        """Sizes and times of header and samples."""
        return record_stamp(self.folder, entry)

    def _wants(self, record: str) -> bool:
        return not self.parts or part_of(record) in self.parts

    def _entry(self, root: Path, name: str, place: str, ptb_xl_rows: Mapping[int, tuple[str, str]]) -> Entry:
        said = read_comments(root / f"{place}.hea")
        patient, split = patient_of(name), None
        if part_of(name) == "ptb-xl":
            patient, split = ptb_xl_rows.get(_number(name), (None, None))
        return Entry(name, place, split, patient, assembled_report(said.codes), snomed_labels(said.codes), said.age, said.sex)


def part_of(record: str) -> str:
    """The part that a record of this name belongs to."""
    prefix = record.rstrip("0123456789")
    if prefix == "JS":
        return "chapman_shaoxing" if _number(record) <= LAST_OF_CHAPMAN else "ningbo"
    return _PREFIXES[prefix]


def patient_of(record: str) -> str | None:
    """St Petersburg's patients, "incart-1" to "incart-32"; None elsewhere, where no patient is told."""
    if part_of(record) != "st_petersburg_incart":
        return None
    left = _number(record)
    for patient, records in enumerate(INCART_RECORDS, start=1):
        left -= records
        if left <= 0:
            return f"incart-{patient}"
    return None


def _number(record: str) -> int:
    return int(record.lstrip("AEHIJQRS"))


def _ptb_xl_rows(path: str) -> dict[int, tuple[str, str]]:
    """ecg_id → (patient, split). The Challenge numbers PTB-XL's records by ecg_id; 38 that later versions dropped have no row."""
    rows: dict[int, tuple[str, str]] = {}
    for row in read_csv(Path(path), ("ecg_id", "patient_id", "strat_fold")).to_dict("records"):
        try:
            number, patient, fold = (int(float(row[column])) for column in ("ecg_id", "patient_id", "strat_fold"))
        except ValueError:
            raise SourceError(path, "an ecg_id, patient or fold that cannot be read", "fetch the table again") from None
        if not 1 <= fold <= 10:
            raise SourceError(path, "a fold that is not 1 to 10", "fetch the table again")
        rows[number] = (f"ptb-xl-{patient}", "train" if fold <= 8 else "validation" if fold == 9 else "test")
    return rows


def _notes(counts: Mapping[str, int]) -> dict[str, str]:
    return {
        "parts": ", ".join(f"{part} {counts[part]}" for part in PARTS if counts[part]),
        "report": "assembled from the names of the record's SNOMED CT codes; not written by a clinician",
        "labels": "snomed:CODE as in the header; cinc:CLASS where the Challenge scored it, equivalent codes as one class",
        "age": "90 stands for every age over 89 in PTB-XL's part; impossible ages are left out",
    }


def _warnings(counts: Mapping[str, int], with_table: bool, twice: int, entries: Iterable[Entry]) -> Iterator[str]:
    torn = [part for part in _PATIENTS_UNKNOWN if counts.get(part) and not (part == "ptb-xl" and with_table)]
    if torn:
        yield (
            f"patients of {', '.join(torn)} are not told: their records are split one by one, so that a patient may have "
            "records in several splits"
        )
    if twice:
        yield f"{twice} records lie in several folders; the first folder is taken"
    labels = Counter(label.removeprefix("snomed:") for entry in entries for label in entry.labels or ("",))
    if labels[""]:
        yield f"{labels['']} records have no diagnosis in their header"
    strange = sorted(code for code in labels if code.isdigit() and code not in conditions())
    if strange:
        yield f"SNOMED CT codes that the Challenge's tables do not name, kept as labels: {', '.join(strange)}"
