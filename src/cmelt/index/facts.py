"""What an index says of itself in its manifest, and which kind is chosen."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from cmelt.errors import StoreError

FORMAT, VERSION = "cmelt-index", 1

Kind = Literal["exact", "codes", "cells"]

#: Numbers (rows × width) up to which every query is compared with every row: 43,690 rows of 768, 4 ms on one core.
EXACT_NUMBERS = 2**25

#: Rows from which codes are put in cells: until there, reading all codes costs less than 10 ms on one core.
CELLS_FROM = 2_000_000

#: Fewer rows than that cannot teach codes.
LEAST_CODED = 1000

#: Recall is that of the 10 nearest.
RECALL_AT = 10


@dataclass(frozen=True)
class Effort:
    """How hard a coded index is searched.

    Attributes:
        probed: cells whose codes are read for the 10 nearest; both grow in proportion where more are asked for.
        candidates: rows that are compared exactly.
    """

    probed: int
    candidates: int


@dataclass(frozen=True)
class Recall:
    """The share of the true 10 nearest that a search finds.

    Attributes:
        target: what the effort was chosen for.
        reached: measured on sample queries that it was not chosen on.
        queries: how many these are.
        asked: "rows of the index", or "given" where sample queries were handed in.
    """

    target: float
    reached: float
    queries: int
    asked: str


@dataclass(frozen=True)
class IndexFacts:
    """What is known of an index without looking into it.

    Attributes:
        kind: "exact" compares with every row; "codes" reads a short code of every row and compares the best candidates
            exactly; "cells" reads the codes of the nearest cells alone.
        rows, width: N vectors of D numbers.
        cells: into how many cells the codes are divided; 0 where there are none.
        effort, recall: of a coded index; None where the search is exact.
        details: what the builder said of the vectors: the SHA-256 of model and store, for instance.
    """

    kind: Kind
    rows: int
    width: int
    cells: int = 0
    effort: Effort | None = None
    recall: Recall | None = None
    details: dict[str, str] = field(default_factory=dict)

    def to_manifest(self) -> dict[str, Any]:
        """As a manifest holds them."""
        return {"format": FORMAT, "format_version": VERSION, **asdict(self)}

    @classmethod
    def of_manifest(cls, manifest: dict[str, Any], folder: Path) -> IndexFacts:
        """Raises StoreError where the folder holds something else, or an index of another version."""
        if manifest.get("format") != FORMAT:
            raise StoreError(folder, "holds no search index", "build one there with build_index")
        if manifest.get("format_version") != VERSION:
            fault = f"is an index of version {manifest.get('format_version')}, this program reads {VERSION}"
            raise StoreError(folder, fault, "build it again")
        try:
            effort, recall = manifest["effort"], manifest["recall"]
            return cls(
                kind=manifest["kind"],
                rows=int(manifest["rows"]),
                width=int(manifest["width"]),
                cells=int(manifest["cells"]),
                effort=None if effort is None else Effort(**effort),
                recall=None if recall is None else Recall(**recall),
                details=dict(manifest["details"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(folder, "its manifest lacks what an index says", "build it again") from error


def cells_for(rows: int, kind: Kind | Literal["auto"]) -> int:
    """Into how many cells the codes of so many rows are divided: the power of two next to 2·√rows, or one."""
    if kind == "cells" or (kind == "auto" and rows >= CELLS_FROM):
        return int(2 ** round(math.log2(2 * math.sqrt(rows))))
    return 1
