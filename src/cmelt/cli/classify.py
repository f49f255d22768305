"""`cmelt classify`: scores of ECGs for classes that are described in words: of a few files at once, or of a whole archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cmelt.cli.bulk_options import BulkOptions, run_bulk, with_bulk_options
from cmelt.cli.console import progress_of, say, words_of

if TYPE_CHECKING:
    from cmelt.evaluation.tasks.loading import Scoring
    from cmelt.serving.classes import Classes

app = typer.Typer(add_completion=False)


@app.command()
@with_bulk_options
def classify(
    paths: Annotated[list[Path], typer.Argument(help="ECG files of any format, folders of them, stores.", show_default=False)],
    bulk: BulkOptions,
    prompts: Annotated[
        Path | None, typer.Option(help="A text file with a finding a line, or YAML: a class and its texts.", show_default=False)
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Bundled statements, by name or abbreviation: afib,lbbb.", show_default=False)
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(help="A bundled task or a task file; a bundled statement, may be repeated.", show_default=False),
    ] = None,
    scoring: Annotated[
        Literal["contrast", "pairs", "similarity"] | None, typer.Option(help="Default: the task's own.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Of one store or folder: a .parquet file, or a folder with one a shard; resumable.", show_default=False
        ),
    ] = None,
    as_typed: Annotated[bool, typer.Option("--as-typed", help="Take no line of --prompts for a bundled statement.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the scores as CSV.")] = False,
) -> None:
    """Score ECGs for classes described in words. Research use only, not a medical device.

    A score ranks; a probability stands beside it where the model was calibrated for the class.

    Example: cmelt classify patient.xml --classes afib,lbbb

    Prints a table, or --json, or --csv. A file that cannot be read is told on stderr, and the exit status is 1.
    cmelt classify ptbxl100 --task ptbxl-super --out scores.parquet: a whole archive; started again after an interruption it keeps
    the finished shards.
    """
    asked = _classes(prompts, classes, task or [], as_typed)
    if out is None:
        _to_stdout(paths, asked, bulk, scoring, as_csv)
        return
    if len(paths) != 1 or as_csv:
        raise typer.BadParameter("takes one store or folder, and no --csv: leave --out away to print", param_hint="--out")
    if out.suffix in (".csv", ".json"):
        remedy = f"is a .parquet file, or a folder; for {out.suffix[1:]} leave it away: --{out.suffix[1:]} > {out.name}"
        raise typer.BadParameter(remedy, param_hint="--out")
    from cmelt.serving.bulk import classify_archive
    from cmelt.serving.classes import task_of
    from cmelt.serving.typed_lines import told_of

    for line in told_of(task_of(asked)):
        say(line)
    how = bulk.how()
    results = run_bulk(
        "classifying",
        bulk,
        lambda progress: classify_archive(paths[0], out, asked, bulk.model, how, scoring=scoring, progress=progress),
    )
    if not results.calibrated:
        say("scores alone, no probabilities: this model is not calibrated for any of these classes (cmelt calibrate)")


def _classes(prompts: Path | None, classes: str | None, task: list[str], as_typed: bool) -> Classes:
    """What is asked for, said in one of three ways."""
    if sum((prompts is not None, classes is not None, bool(task))) != 1:
        raise typer.BadParameter("give one of them: what the ECGs are scored for", param_hint="--prompts, --classes, --task")
    if prompts is not None:
        from cmelt.serving.prompt_file import read_prompts

        return read_prompts(prompts, as_typed=as_typed)
    if classes is not None:
        return list(words_of(classes))
    return task[0] if len(task) == 1 else task


def _to_stdout(paths: list[Path], asked: Classes, bulk: BulkOptions, scoring: Scoring | None, as_csv: bool) -> None:
    from cmelt.cli.score_tables import print_scores, print_scores_as_csv, print_scores_as_json
    from cmelt.records.flag_words import DOUBTFUL, in_words
    from cmelt.serving.paths import score_paths
    from cmelt.serving.typed_lines import told_lines

    if bulk.as_json and as_csv:
        raise typer.BadParameter("give one of them", param_hint="--json, --csv")
    with progress_of("classifying") as progress:
        found = score_paths(paths, asked, bulk.model, bulk.how(), scoring=scoring, progress=progress)
    for one in found.left_out:
        say(f"left out {one['record']}: {one['reason']}" + (f" ({one['remedy']})" if one["remedy"] else ""))
    for record in found.records:
        doubts = [in_words(flag) for flag in record.flags if flag.partition(":")[0] in DOUBTFUL]
        if doubts:
            say(f"doubtful: {record.record}: {'; '.join(doubts)}")
    if bulk.as_json:
        print_scores_as_json(found, bulk.model)
    elif as_csv:
        for line in told_lines(found.taken_as):
            say(line)
        print_scores_as_csv(found)
    else:
        print_scores(found)
    if found.left_out:
        raise typer.Exit(1)
