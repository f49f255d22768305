"""`cmelt.plot`: an ECG as it looks on paper, as SVG, PNG or PDF."""

from __future__ import annotations

import uuid
from pathlib import Path

from cmelt.drawing.evidence import Evidence
from cmelt.drawing.marks import Sheet
from cmelt.drawing.paper import LayoutName, Paper
from cmelt.drawing.sheet import sheet_of
from cmelt.drawing.svg import svg_of
from cmelt.errors import ConfigError
from cmelt.records.readers import read_ecg
from cmelt.records.record import Record

FORMS = (".svg", ".png", ".pdf")


def plot(
    record: Record | str | Path,
    path: str | Path | None = None,
    *,
    layout: LayoutName = "3x4+1",
    speed: float = 25.0,
    gain: float = 10.0,
    start: float = 0.0,
    filtered: bool = False,
    evidence: Evidence | None = None,
) -> str:
    """An ECG on its paper, to scale, as SVG; and, where `path` is given, as that file too.

    Ten seconds are drawn, with grid, calibration pulse and lead names; leads that are missing or flat are marked, and what looks
    wrong with the recording is said above. Sex, age and the device's measurements stand there too; nothing that says who it is.

    Args:
        record: a Record (`cmelt.record_of` makes one of an array), or the file of one.
        path: ends in .svg, .png or .pdf; one that exists is replaced.
        layout: "3x4+1", "6x2" or "12x1": rows × columns, and a rhythm strip below.
        speed: 12.5, 25 or 50 mm/s.
        gain: 5, 10 or 20 mm/mV.
        start: where the page begins in a longer record, s.
        filtered: draw 0.5 to 40 Hz instead of everything.
        evidence: an explanation, drawn along the traces: `leads`, `seconds`, `values` [leads, samples].
    Raises:
        RecordError: no ECG, or one that ends before `start`.
        ConfigError: a choice that there is not, evidence that does not fit, a file of another kind.

    Example:
        >>> svg = cmelt.plot("patient.dcm", "page.pdf", layout="6x2")  # doctest: +SKIP
    """
    paper = Paper(layout, float(speed), float(gain), start, filtered)
    target = None if path is None else Path(path)
    if target is not None and target.suffix.lower() not in FORMS:
        raise ConfigError(str(target), "is no kind of picture that is drawn here", f"a name that ends in {', '.join(FORMS)}")
    drawn = record if isinstance(record, Record) else read_ecg(record)
    sheet = sheet_of(drawn, paper, evidence)
    svg = svg_of(sheet)
    if target is not None:
        form = target.suffix.lower()
        write_whole(target, svg.encode() if form == ".svg" else _printed(sheet, form))
    return svg


def _printed(sheet: Sheet, form: str) -> bytes:
    from cmelt.drawing.printing import printed

    return printed(sheet, "png" if form == ".png" else "pdf")


def write_whole(target: Path, content: bytes) -> None:
    """Whole or not at all."""
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        draft.write_bytes(content)
        draft.replace(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ConfigError(str(target), f"cannot be written: {error.strerror}", "name a folder that is there") from error
