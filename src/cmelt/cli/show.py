"""`cmelt show`: what is in one ECG file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cmelt.cli.console import print_json

if TYPE_CHECKING:
    from cmelt.records.record import Record

app = typer.Typer(add_completion=False)


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="The file; a WFDB record also without extension.", show_default=False)],
    rate: Annotated[float | None, typer.Option(help="Hz, for a file of bare numbers.")] = None,
    unit: Annotated[str | None, typer.Option(help="mV, uV, V or nV, likewise.")] = None,
    leads: Annotated[str | None, typer.Option(help="The leads in the file's order, likewise: I,II,III,aVR,…")] = None,
    identity: Annotated[bool, typer.Option("--identity", help="Read the patient's identifier too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Read one ECG, of any format, and say what is in it.

    Example: cmelt show patient.xml --json
    """
    from cmelt.records.readers import ReadOptions, read_ecg

    named = None if leads is None else tuple(name.strip() for name in leads.split(","))
    facts = facts_of(read_ecg(file, ReadOptions(identity, rate, unit, named)))
    if as_json:
        print_json(facts)
    else:
        _print_table(str(file), facts)


def facts_of(record: Record) -> dict[str, Any]:
    """What `--json` prints. `rms_mv` is the root mean square of what was measured, null for a lead without a measurement."""
    import numpy as np

    from cmelt.records.quality import quality_flags
    from cmelt.records.record import without_calibration

    heart = without_calibration(record)
    measured = [row[np.isfinite(row)].astype(np.float64) for row in heart.signal]
    rms = [float(np.sqrt(np.mean(row**2))) if row.size else None for row in measured]
    return {
        "leads": list(record.leads),
        "rate_hz": record.rate,
        "seconds": record.seconds,
        "calibration_seconds": record.calibration / record.rate,
        "rms_mv": dict(zip(record.leads, rms, strict=True)),
        "flags": list(quality_flags(record)),
        "derived": list(record.derived),
        "measurements": dict(record.measurements),
        "age": record.age,
        "sex": record.sex,
        "labels": list(record.labels),
        "report": record.report,
        "patient": record.patient,
    }


def _print_table(title: str, facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    pulse = facts["calibration_seconds"]
    calibration = f", the last {pulse:g} s of it the device's calibration pulse" if pulse else ""
    console.print(f"[bold]{escape(title)}[/bold]")
    console.print(f"{len(facts['leads'])} leads, {facts['rate_hz']:g} Hz, {facts['seconds']:g} s{calibration}")
    table = Table("lead", "RMS mV", "flags")
    for lead in facts["leads"]:
        of_lead = [flag.split(":")[0] for flag in facts["flags"] if flag.endswith(f":{lead}")]
        rms = facts["rms_mv"][lead]
        table.add_row(lead, "–" if rms is None else f"{rms:.3f}", ", ".join(of_lead))
    console.print(table)
    others = [flag for flag in facts["flags"] if flag.partition(":")[2] not in facts["leads"]]
    if others:
        console.print("flags: " + ", ".join(others))
    person = [facts["sex"] or "", "" if facts["age"] is None else f"{facts['age']:g} years", facts["patient"] or ""]
    if any(person):
        console.print(escape(", ".join(word for word in person if word)))
    if facts["measurements"]:
        console.print("the device measured: " + ", ".join(f"{name} {value:g}" for name, value in facts["measurements"].items()))
    if facts["labels"]:
        console.print("labels: " + escape(", ".join(facts["labels"])))
    if facts["report"]:
        console.print(escape(facts["report"]))
