"""`cmelt explain`: where in an ECG the evidence for a finding lies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(add_completion=False)


@app.command()
def explain(
    file: Annotated[Path, typer.Argument(help="The ECG; a WFDB record also without extension.", show_default=False)],
    name: Annotated[
        str | None, typer.Option("--class", help="A bundled statement, by name or abbreviation: afib.", show_default=False)
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="Or a finding in your own words.", show_default=False)] = None,
    out: Annotated[Path | None, typer.Option(help="The picture: .svg, .png or .pdf; or .json.", show_default=False)] = None,
    method: Annotated[
        Literal["integrated-gradients", "occlusion"], typer.Option(help="How evidence is found: docs/explain.md.")
    ] = "integrated-gradients",
    model: Annotated[str, typer.Option(help="A bundled model, a run or a model's folder.")] = "small",
    layout: Annotated[Literal["3x4+1", "6x2", "12x1"], typer.Option(help="Of the picture.")] = "12x1",
    start: Annotated[float, typer.Option(help="Where in a longer record the picture's ten seconds begin, s.")] = 0.0,
    device: Annotated[str | None, typer.Option(help="Such as cpu, cuda:1.", show_default="a GPU, else cpu")] = None,
    rate: Annotated[float | None, typer.Option(help="Hz, for a file of bare numbers.")] = None,
    unit: Annotated[str | None, typer.Option(help="mV, uV, V or nV, likewise.")] = None,
    leads: Annotated[str | None, typer.Option(help="The leads in the file's order, likewise: I,II,III,aVR,…")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the evidence as JSON.")] = False,
) -> None:
    """Draw over an ECG what speaks for a finding (above the line) and what against it (below).

    Example: cmelt explain patient.xml --class afib --out page.pdf

    It shows what moves the model's score, which need not be what a cardiologist would name. Research use only, not a medical
    device. Needs the extra: pip install "cmelt\\[explain]".
    """
    if (name is None) == (prompt is None):
        raise typer.BadParameter("give one of them: what the evidence is for", param_hint="--class, --prompt")
    if out is None and not as_json:
        raise typer.BadParameter("give a picture's name, or --json", param_hint="--out")
    from cmelt.cli.console import print_json, say, words_of
    from cmelt.drawing.plot import plot, write_whole
    from cmelt.pages.notice import NOTICE
    from cmelt.records.readers import ReadOptions, read_ecg
    from cmelt.serving.classes import task_of
    from cmelt.serving.explaining import explain as find
    from cmelt.serving.loading import load
    from cmelt.serving.typed_lines import told_of, typed_lines

    task = typed_lines([prompt]) if prompt is not None else task_of([name or ""])
    record = read_ecg(file, ReadOptions(rate=rate, unit=unit, leads=None if leads is None else words_of(leads)))
    found = find(*load(model, device=device), record, task, method=method)
    if out is not None and out.suffix.lower() == ".json":
        write_whole(out, f"{json.dumps(found.to_json(), ensure_ascii=False)}\n".encode())
    elif out is not None:
        plot(record, out, layout=layout, start=start, evidence=found)
    if as_json:
        print_json(found.to_json())
    else:
        print(out)
    for line in told_of(task):
        say(line)
    say(f"{found.what}: score {found.score:.3f}, of flat lines {found.baseline:.3f}. {NOTICE}")
