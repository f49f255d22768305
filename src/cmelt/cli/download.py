"""`cmelt download`: an openly published dataset, whole and verified."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cmelt.cli.console import print_json, progress_of, say

app = typer.Typer(add_completion=False)

_NAMED = 20


@app.command()
def download(
    source: Annotated[str, typer.Argument(help="Which; `cmelt sources` lists them.", show_default=False)],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where it goes.", show_default=False)],
    base: Annotated[
        str | None,
        typer.Option("--from", metavar="URL", help="A mirror: the folder with SHA256SUMS.txt, or a Zenodo record's JSON."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Files that match, such as 'records100/*'; may be repeated.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=32, help="Files at a time.")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Download a dataset that is openly published.

    Examples: cmelt download ptb-xl ./ptb-xl --only '*.csv' --only 'records100/*',
    cmelt download mimic-iv-ecg ./mimic-iv-ecg --only '*.csv' --only 'files/p1000/*'

    Started again after an interruption it goes on where it was; files that lie there already are verified.

    Every file is checked against the publisher's checksum. No account is used: what needs one is not downloaded.
    """
    from cmelt.sources import known_sources
    from cmelt.sources.about import about_of
    from cmelt.sources.download import download as fetch

    if source not in known_sources():
        raise typer.BadParameter(f"no source {source!r}; there are {', '.join(known_sources())}", param_hint="SOURCE")
    about = about_of(source)
    for line in (about.title, about.licence and f"licence: {about.licence}", about.citation and f"cite: {about.citation}"):
        if line:
            say(line)
    # Zenodo tells sizes, of few and large files; PhysioNet does not, of many small ones.
    scale, unit = (1_000_000, "MB") if about.download.startswith("zenodo:") else (1, "files")
    with progress_of(f"downloading {source}", unit) as show:

        def progress(done: int, total: int) -> None:
            show(done // scale, total // scale)

        done = fetch(about, folder, base=base, only=only or (), jobs=jobs, progress=progress)
    if as_json:
        print_json(
            {"folder": str(folder), **asdict(done), "failed": [{"path": path, "reason": why} for path, why in done.failed]}
        )
    else:
        print(f"{done.fetched} files came, {done.kept} lay there already, {len(done.failed)} failed: {folder}")
    for path, why in done.failed[:_NAMED]:
        say(f"failed: {path}: {why}")
    if done.failed:
        more = len(done.failed) - _NAMED
        say((f"and {more} more; " if more > 0 else "") + "run it again: what came is kept")
        raise typer.Exit(1)
