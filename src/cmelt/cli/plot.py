"""`cmelt plot`: one ECG as it looks on paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(add_completion=False)


@app.command()
def plot(
    file: Annotated[Path, typer.Argument(help="The ECG; a WFDB record also without extension.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The picture: .svg, .png or .pdf; replaced where it exists.", show_default=False)],
    layout: Annotated[Literal["3x4+1", "6x2", "12x1"], typer.Option(help="Rows × columns, and a rhythm strip.")] = "3x4+1",
    speed: Annotated[Literal["12.5", "25", "50"], typer.Option(help="mm a second.")] = "25",
    gain: Annotated[Literal["5", "10", "20"], typer.Option(help="mm a millivolt.")] = "10",
    start: Annotated[float, typer.Option(help="Where in a longer record the page's ten seconds begin, s.")] = 0.0,
    filtered: Annotated[bool, typer.Option("--filter", help="Draw 0.5 to 40 Hz; the page says so.")] = False,
    evidence: Annotated[
        Path | None,
        typer.Option(help="JSON that `cmelt explain` wrote of this ECG, to be drawn over it.", show_default=False),
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Hz, for a file of bare numbers.")] = None,
    unit: Annotated[str | None, typer.Option(help="mV, uV, V or nV, likewise.")] = None,
    leads: Annotated[str | None, typer.Option(help="The leads in the file's order, likewise: I,II,III,aVR,…")] = None,
) -> None:
    """Draw an ECG on its paper, to scale: grid, calibration pulse, lead names; missing and flat leads marked.

    Example: cmelt plot patient.xml --out page.pdf

    Nothing that says who it is stands on the page. Print a PDF at 100 % for true millimetres.
    """
    from cmelt.cli.console import say, words_of
    from cmelt.drawing.plot import plot as draw
    from cmelt.pages.notice import NOTICE
    from cmelt.records.readers import ReadOptions, read_ecg

    named = None if leads is None else words_of(leads)
    record = read_ecg(file, ReadOptions(rate=rate, unit=unit, leads=named))
    found = None
    if evidence is not None:
        from cmelt.explanation.stored import read_explanation

        found = read_explanation(evidence, record)
        say(f"evidence for {found.what}: score {found.score:.3f}, of flat lines {found.baseline:.3f}. {NOTICE}")
    draw(record, out, layout=layout, speed=float(speed), gain=float(gain), start=start, filtered=filtered, evidence=found)
    print(out)
